//! How a script is run: all of it in one transaction, or one statement after the other; and where one goes on
//! that was cut off.

use sha2::{Digest as _, Sha256};

use super::history::HistoryProgress;
use rollback_core::dialect::Dialect;
use rollback_sql::script::Statement;
use rollback_sql::sql_statement;
use rollback_sql::words::Sql;

/// How a script is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptMode {
    /// In one transaction with what is written down about it.
    Transactional,
    /// One statement after the other, each of which stays done.
    PerStatement(Vec<NonTransactional>),
}

/// A statement that no transaction can roll back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonTransactional {
    /// Its place in the script, from 0.
    pub at: usize,
    /// The line of the script, from 1, that it begins in.
    pub line: usize,
    /// Its text on one line, shortened.
    pub text: String,
    /// Why, completing "it cannot run in a transaction: ".
    pub reason: &'static str,
}

/// How a script is run on this server.
pub fn way(statements: &[Statement], dialect: Dialect) -> ScriptMode {
    let alone: Vec<NonTransactional> = statements
        .iter()
        .enumerate()
        .filter_map(|(at, statement)| {
            Some(NonTransactional {
                at,
                line: statement.line,
                text: shortened(&statement.text),
                reason: why_alone(statement, dialect)?,
            })
        })
        .collect();
    if alone.is_empty() && dialect != Dialect::MySql {
        ScriptMode::Transactional
    } else {
        ScriptMode::PerStatement(alone)
    }
}

/// Why no transaction can take a statement back.
pub fn why_alone(statement: &Statement, dialect: Dialect) -> Option<&'static str> {
    statement.runs_alone(dialect).or_else(|| {
        statement
            .commits(dialect)
            .then_some("the server commits with it")
    })
}

/// As much of a statement as is shown on one line.
const SHOWN: usize = 72;

/// A text on one line, cut off where it is long.
pub fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    let start: String = line.chars().take(SHOWN - 1).collect();
    format!("{}…", start.trim_end())
}

/// SHA-256 of a text, in hexadecimal.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// SHA-256 of statements, for [`HistoryProgress::script`].
pub fn script_digest(done: &[Statement]) -> String {
    let texts: Vec<&str> = done.iter().map(|one| one.text.as_str()).collect();
    digest(&texts.join("\0"))
}

/// What is known of a script that was cut off, beside what the database has of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResumeFacts<'a> {
    /// The statement that was sent, and of which it is not known whether it was done: its place and SHA-256.
    pub in_flight: Option<(usize, &'a str)>,
    /// Somebody accepts the schema as it is.
    pub vouched: bool,
    /// The server does or does not do a statement that changes the schema, and never half of it.
    pub whole_statements: bool,
}

/// Where a script goes on that was cut off: the place of the next statement, its length where only the end is to be
/// written down. The error is a clause that says why it cannot.
pub fn next(
    progress: &HistoryProgress,
    statements: &[Statement],
    schema: Option<&str>,
    dialect: Dialect,
    known: ResumeFacts<'_>,
) -> Result<usize, String> {
    let (done, of) = (progress.done, statements.len());
    if statements.get(..done).map(script_digest).as_ref() != Some(&progress.script) {
        return Err(format!(
            "{done} of its statements are done, and they are not those that the script has now"
        ));
    }
    if known.vouched {
        return Ok(done);
    }
    let sent = statements
        .get(done)
        .filter(|_| known.in_flight.is_some_and(|(at, _)| at == done));
    if dialect == Dialect::MySql
        && sent.is_some_and(|sent| commits_where_it_likes(&Sql::new(&sent.text, dialect)))
    {
        return Err(format!(
            "{done} of its {of} statements are done, and what statement {} calls may be half done",
            done + 1
        ));
    }
    if let (Some(sent), Some((_, text))) = (sent, known.in_flight)
        && digest(&sent.text) != text
    {
        return Err(format!(
            "{done} of its statements are done, and statement {} was sent, which is another one now",
            done + 1
        ));
    }
    if schema == Some(progress.schema.as_str()) || progress.schema.is_empty() && sent.is_none() {
        return Ok(done);
    }
    if schema.is_none() || progress.schema.is_empty() {
        return Err(format!(
            "{done} of its {of} statements are done, and the schema cannot be read to tell about the next one"
        ));
    }
    let changed = format!(
        "{done} of its {of} statements are done, and the schema is not as it was after them"
    );
    match sent {
        None => Err(format!("{changed}: somebody changed it since")),
        Some(statement) if why_alone(statement, dialect).is_none() => Err(format!(
            "{changed}, and statement {} was not what changed it",
            done + 1
        )),
        Some(statement)
            if known.whole_statements && is_of_one_object(&Sql::new(&statement.text, dialect)) =>
        {
            Ok(done + 1)
        }
        Some(_) => Err(format!(
            "{changed}: statement {} may be half done",
            done + 1
        )),
    }
}

/// Whether a server that does statements whole does so with this one: of several objects it drops one after the
/// other.
fn is_of_one_object(sql: &Sql) -> bool {
    let mut reader = sql.reader();
    !reader.eats("DROP")
        || !reader.says("DATABASE") && !reader.says("SCHEMA") && reader.find(&[","]).is_none()
}

/// Whether a statement runs others that may commit in between.
fn commits_where_it_likes(sql: &Sql) -> bool {
    sql.reader().says("CALL") || sql.reader().says("EXECUTE")
}

/// Whether a statement settles something for the session alone, so that a script that goes on needs it again.
pub fn is_a_setting(text: &str, dialect: Dialect) -> bool {
    let sql = Sql::new(text, dialect);
    let mut reader = sql.reader();
    if reader.eats("SET") {
        let lasting = [
            "GLOBAL",
            "PERSIST",
            "PERSIST_ONLY",
            "PASSWORD",
            "DEFAULT",
            "LOCAL",
        ];
        return !lasting.iter().any(|word| reader.says(word));
    }
    reader.says("USE") || reader.says("PRAGMA") || sql_statement::is_settings(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(texts: &[&str]) -> Vec<Statement> {
        let one = |(index, text): (usize, &&str)| Statement {
            text: (*text).to_owned(),
            line: index + 1,
        };
        texts.iter().enumerate().map(one).collect()
    }

    /// One is done.
    fn progress(statements: &[Statement]) -> HistoryProgress {
        HistoryProgress {
            run: "r".to_owned(),
            done: 1,
            schema: "before".to_owned(),
            script: script_digest(&statements[..1]),
        }
    }

    fn at(statement: &str, schema: Option<&str>, known: ResumeFacts<'_>) -> Result<usize, String> {
        let statements = statements(&["DROP TABLE a", statement, "DROP TABLE c"]);
        let text = digest(statement);
        let known = ResumeFacts {
            in_flight: known.in_flight.map(|(at, _)| (at, text.as_str())),
            ..known
        };
        let progress = progress(&statements);
        next(&progress, &statements, schema, Dialect::MySql, known)
    }

    const SENT: ResumeFacts<'_> = ResumeFacts {
        in_flight: Some((1, "")),
        vouched: false,
        whole_statements: true,
    };

    #[test]
    fn a_schema_as_after_the_last_statement_means_that_the_next_one_was_not_done() {
        for known in [SENT, ResumeFacts::default()] {
            assert_eq!(at("DROP TABLE b", Some("before"), known), Ok(1));
        }
    }

    #[test]
    fn a_schema_that_changed_means_that_the_statement_on_its_way_was_done() {
        assert_eq!(at("DROP TABLE b", Some("after"), SENT), Ok(2));
    }

    #[test]
    fn what_cannot_be_told_is_not_gone_on_with() {
        let refused = |statement, schema, known, why: &str| {
            let error = at(statement, schema, known).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        // None was on its way, so it was somebody else.
        refused(
            "DROP TABLE b",
            Some("after"),
            ResumeFacts::default(),
            "somebody",
        );
        let other = ResumeFacts {
            in_flight: Some((0, "")),
            ..SENT
        };
        refused("DROP TABLE b", Some("after"), other, "somebody");
        // Rows and the note about them are one transaction.
        refused("DELETE FROM b", Some("after"), SENT, "was not what changed");
        refused("DROP TABLE b, c", Some("after"), SENT, "half done");
        refused("DROP DATABASE b", Some("after"), SENT, "half done");
        refused("CALL p(1)", Some("before"), SENT, "half done");
        let old = ResumeFacts {
            whole_statements: false,
            ..SENT
        };
        refused("DROP TABLE b", Some("after"), old, "half done");
        refused("DROP TABLE b", None, SENT, "cannot be read");
    }

    #[test]
    fn a_script_that_changed_is_not_gone_on_with() {
        let run = statements(&["DROP TABLE a", "DROP TABLE b"]);
        let progress = progress(&run);
        let at = |texts: &[&str], known| {
            let schema = Some("before");
            next(&progress, &statements(texts), schema, Dialect::MySql, known)
        };
        let vouched = ResumeFacts {
            vouched: true,
            ..ResumeFacts::default()
        };
        for known in [ResumeFacts::default(), vouched] {
            // What comes after those that are done may be fixed.
            assert_eq!(at(&["DROP TABLE a", "DROP VIEW b"], known), Ok(1));
            let error = at(&["DROP TABLE b", "DROP TABLE a"], known).unwrap_err();
            assert!(error.contains("not those"), "{error}");
            assert!(at(&[], known).is_err());
        }
        let sent = ResumeFacts {
            in_flight: Some((1, "another")),
            ..SENT
        };
        let error = at(&["DROP TABLE a", "DROP TABLE b"], sent).unwrap_err();
        assert!(error.contains("another one"), "{error}");
    }

    #[test]
    fn settings_of_the_session_are_known() {
        let dialect = Dialect::MySql;
        for (text, expected) in [
            ("SET foreign_key_checks = 0", true),
            ("/* why */ set @a = 1", true),
            ("-- why\nUSE other", true),
            ("PRAGMA foreign_keys=OFF", true),
            (
                "SELECT pg_catalog.set_config('search_path', '', false)",
                true,
            ),
            ("SET GLOBAL max_connections = 1", false),
            ("SET LOCAL lock_timeout = 1", false),
            ("SELECT 1", false),
            ("DROP TABLE a", false),
        ] {
            assert_eq!(is_a_setting(text, dialect), expected, "{text}");
        }
    }

    #[test]
    fn a_long_statement_is_cut_off_on_one_line() {
        assert_eq!(shortened("DROP\n  TABLE a"), "DROP TABLE a");
        let long = shortened(&"é ".repeat(100));
        assert_eq!(long.chars().count(), SHOWN, "{long}");
        assert!(long.ends_with('…'));
    }
}
