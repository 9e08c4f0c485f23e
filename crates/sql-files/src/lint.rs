//! What is certainly no SQL.
//!
//! A false refusal takes a way down from somebody who has one, and a fault that is missed here is found by the
//! server, which then takes the whole step back. So nothing is refused because a parser does not know it:
//! of the 107 statements in `lint/accepted/postgresql.sql`, all of which PostgreSQL takes, `sqlparser` 0.63 refuses
//! 56, such as `ALTER DEFAULT PRIVILEGES`, `REFRESH MATERIALIZED VIEW`, `DROP RULE`, `DO` and `ALTER SEQUENCE`; for
//! MariaDB it is 20 of 42, for SQLite 7 of 27. What is refused is what one of the small rules here says of it.

use rollback_core::dialect::Dialect;
pub(crate) use rollback_sql::script::{ScriptError, Statement, begins, statements};
use rollback_sql::tokens::{Kind, Token, outside};

/// What begins a statement on PostgreSQL.
const POSTGRESQL: &str = "ABORT ALTER ANALYZE ANALYSE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE \
    DEALLOCATE DECLARE DELETE DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE \
    NOTIFY PREPARE REASSIGN REFRESH REINDEX RELEASE REPACK RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW \
    START TABLE TRUNCATE UNLISTEN UPDATE VACUUM VALUES WAIT WITH";

/// On MariaDB and MySQL.
const MYSQL: &str = "ALTER ANALYZE BACKUP BEGIN BINLOG CACHE CALL CASE CHANGE CHECK CHECKSUM CLONE COMMIT CREATE DEALLOCATE \
    DELETE DESC DESCRIBE DO DROP EXECUTE EXPLAIN FLUSH FOR GET GRANT HANDLER HELP IF IMPORT INSERT INSTALL KILL LOAD LOCK \
    LOOP OPTIMIZE PREPARE PURGE RELEASE RENAME REPAIR REPEAT REPLACE RESET RESIGNAL RESTART REVOKE ROLLBACK SAVEPOINT \
    SELECT SET SHOW SHUTDOWN SIGNAL START STOP TABLE TRUNCATE UNINSTALL UNLOCK UPDATE USE VALUES WHILE WITH XA";

/// On SQLite.
const SQLITE: &str = "ALTER ANALYZE ATTACH BEGIN COMMIT CREATE DELETE DETACH DROP END EXPLAIN INSERT PRAGMA REINDEX RELEASE \
    REPLACE ROLLBACK SAVEPOINT SELECT UPDATE VACUUM VALUES WITH";

/// Begin no name of a kind of object, and many a sentence about one.
const PROSE: &str = "THE A AN THIS THAT THESE THOSE ALL ANY EVERYTHING IT ITS OUR WHAT AGAIN";

/// What can be made and dropped, in at most two words.
const OBJECTS: &str = "TABLE VIEW INDEX SEQUENCE TYPE DOMAIN SCHEMA FUNCTION PROCEDURE TRIGGER POLICY ROLE EXTENSION \
    DATABASE USER EVENT";

fn among(word: &str, list: &str) -> bool {
    list.split(' ').any(|it| it == word)
}

/// One piece of a statement that is in no parentheses.
struct Piece<'a> {
    token: Token<'a>,
    /// In capitals.
    word: String,
    /// Whether it is the first of its line.
    leads: bool,
}

fn pieces<'a>(text: &'a str, dialect: Dialect) -> Vec<Piece<'a>> {
    let mut line = 0;
    let piece = |token: Token<'a>| {
        let leads = token.line > line;
        line = token.line;
        Piece {
            token,
            word: token.text.to_ascii_uppercase(),
            leads,
        }
    };
    outside(text, dialect).map(piece).collect()
}

/// What is wrong with a statement, whatever the schema. The line is one of the script.
pub(super) fn lint_statement(statement: &Statement, dialect: Dialect) -> Option<ScriptError> {
    let pieces = pieces(&statement.text, dialect);
    let words: Vec<String> = pieces.iter().map(|piece| piece.word.clone()).collect();
    let first = pieces.first()?;
    let at = |piece: &Piece<'_>, reason: String| {
        Some(ScriptError::new(
            statement.line + piece.token.line - 1,
            reason,
        ))
    };
    let begun = match dialect {
        Dialect::Postgres => POSTGRESQL,
        Dialect::MySql => MYSQL,
        Dialect::Sqlite => SQLITE,
    };
    let labelled = dialect == Dialect::MySql && words.get(1).is_some_and(|it| it == ":");
    let known = match first.token.kind {
        Kind::Word => among(&first.word, begun) || labelled,
        Kind::Symbol => first.word == "(",
        Kind::Conditional => return None,
        _ => false,
    };
    if !known {
        return at(
            first,
            format!("no statement begins with {}", shown(first.token.text)),
        );
    }
    if begins(&words, &["DROP|CREATE|ALTER"])
        && let Some(second) = pieces.get(1)
        && second.token.kind == Kind::Word
        && among(&second.word, PROSE)
    {
        let said = format!("{} {}", first.token.text, second.token.text);
        return at(first, format!("{} is no SQL", shown(&said)));
    }
    if let Some((piece, reason)) = wrong_condition(&pieces, &words) {
        return at(piece, reason.to_owned());
    }
    if let Some(piece) = unended(&pieces, &words) {
        let text = "a statement begins here, and the one before it has no ; at its end";
        return at(piece, text.to_owned());
    }
    let last = pieces.last()?;
    if last.token.is(",") {
        return at(last, "nothing follows this comma".to_owned());
    }
    let bare = words.iter().skip(1).all(|word| {
        among(word, OBJECTS) || among(word, "MATERIALIZED TEMPORARY CONCURRENTLY IF EXISTS")
    });
    if words[0] == "DROP" && bare {
        return at(
            first,
            "this drops nothing, for it has no name in it".to_owned(),
        );
    }
    missing(&words).and_then(|reason| at(first, reason.to_owned()))
}

/// `IF NOT EXISTS` is of what is made, and `IF EXISTS` of what is there.
fn wrong_condition<'a, 'b>(
    pieces: &'a [Piece<'b>],
    words: &[String],
) -> Option<(&'a Piece<'b>, &'static str)> {
    const DROP: &str = "DROP takes IF EXISTS, and no IF NOT EXISTS";
    const CREATE: &str = "CREATE takes IF NOT EXISTS, and no IF EXISTS";
    const ALTER: &str = "ALTER takes IF EXISTS, and no IF NOT EXISTS";
    const ADD: &str = "ADD takes IF NOT EXISTS, and no IF EXISTS";
    let condition = |from: usize| {
        // Behind the verb stand one to three words that say what it is of.
        let until = (from + 5).min(words.len());
        let found = (from + 1..until).find(|at| words[*at] == "IF")?;
        let named = words[from + 1..found]
            .iter()
            .all(|word| among(word, OBJECTS) || among(word, KINDS));
        let not = begins(&words[found..], &["IF", "NOT", "EXISTS"]);
        (named && (not || begins(&words[found..], &["IF", "EXISTS"]))).then_some((found, not))
    };
    let exists = |from: usize| condition(from).filter(|(_, not)| !not).map(|(at, _)| at);
    let not_exists = |from: usize| condition(from).filter(|(_, not)| *not).map(|(at, _)| at);
    let found = match words.first()?.as_str() {
        "DROP" => (not_exists(0), DROP),
        "CREATE" => (exists(0), CREATE),
        "ALTER" => match not_exists(0) {
            Some(at) => (Some(at), ALTER),
            None if words.get(1).is_some_and(|it| it == "TABLE") => {
                let inside = (2..words.len()).find_map(|from| match words[from].as_str() {
                    "DROP" => not_exists(from).map(|at| (Some(at), DROP)),
                    "ADD" => exists(from).map(|at| (Some(at), ADD)),
                    _ => None,
                });
                inside.unwrap_or((None, ALTER))
            }
            None => (None, ALTER),
        },
        _ => (None, DROP),
    };
    Some((pieces.get(found.0?)?, found.1))
}

/// Beside [`OBJECTS`], what stands before such a condition.
const KINDS: &str = "COLUMN CONSTRAINT MATERIALIZED UNIQUE TEMPORARY TEMP UNLOGGED FOREIGN CONCURRENTLY RULE AGGREGATE OR \
    REPLACE PRIMARY KEY PARTITION SERVER COLLATION STATISTICS PUBLICATION SUBSCRIPTION ROUTINE FULLTEXT SPATIAL VIRTUAL";

/// A line that begins a statement, in the middle of one that can hold no other.
fn unended<'a, 'b>(pieces: &'a [Piece<'b>], words: &[String]) -> Option<&'a Piece<'b>> {
    let holds_none = begins(
        words,
        &["DROP|DELETE|UPDATE|INSERT|TRUNCATE|COMMENT|REFRESH"],
    ) || begins(words, &["ALTER", "TABLE|INDEX|SEQUENCE|TYPE|DOMAIN|VIEW"])
        || begins(
            words,
            &[
                "CREATE",
                "UNIQUE?",
                "TABLE|INDEX|VIEW|SEQUENCE|TYPE|DOMAIN|EXTENSION|POLICY",
            ],
        );
    if !holds_none {
        return None;
    }
    let begins_one = |at: usize| {
        let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
        match words[at].as_str() {
            // `ALTER TABLE` has a `DROP INDEX` of its own on MariaDB and MySQL.
            "DROP" => among(
                next,
                "TABLE VIEW SEQUENCE TYPE SCHEMA FUNCTION PROCEDURE TRIGGER POLICY",
            ),
            "CREATE" => among(
                next,
                "TABLE VIEW INDEX SEQUENCE TYPE SCHEMA FUNCTION PROCEDURE TRIGGER POLICY",
            ),
            "ALTER" => next == "TABLE",
            _ => false,
        }
    };
    (1..pieces.len())
        .find(|at| {
            let piece = &pieces[*at];
            // `AS` and `.` make a name of it.
            piece.leads
                && piece.token.kind == Kind::Word
                && !matches!(words[at - 1].as_str(), "AS" | "." | ",")
                && begins_one(*at)
        })
        .and_then(|at| pieces.get(at))
}

/// What a statement cannot do without.
fn missing(words: &[String]) -> Option<&'static str> {
    let has = |word: &str| words.iter().any(|it| it == word);
    match words.first()?.as_str() {
        "UPDATE" if !has("SET") => Some("UPDATE has no SET"),
        "DELETE" if !has("FROM") => Some("DELETE has no FROM"),
        _ => None,
    }
}

/// As much of a text as fits into a sentence.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .filter(|it| !it.is_control())
        .take(40)
        .collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}

/// Whether the text of a comment is a statement that somebody has taken out: of a kind that a rollback has, and
/// with its end.
pub(super) fn is_statement(text: &str, dialect: Dialect) -> bool {
    let Some(text) = text.trim().strip_suffix(';') else {
        return false;
    };
    let Ok(found) = statements(text, dialect) else {
        return false;
    };
    let [one] = found.as_slice() else {
        return false;
    };
    let pieces = pieces(&one.text, dialect);
    let words: Vec<String> = pieces.iter().map(|piece| piece.word.clone()).collect();
    let verb = begins(&words, &["INSERT|REPLACE", "INTO"])
        || begins(&words, &["DELETE", "FROM"])
        || begins(&words, &["UPDATE"]) && words.iter().any(|it| it == "SET")
        || begins(&words, &["DROP|CREATE|ALTER"])
            && words.iter().skip(1).take(2).any(|it| among(it, OBJECTS));
    verb && lint_statement(one, dialect).is_none()
}

#[cfg(test)]
mod tests;
