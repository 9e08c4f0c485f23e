//! Which lines of a text tell why it ended: the last error of it, and what it came from.

use super::start::patterns;

const MARK: &str = "Traceback (most recent call last):";
const CAUSED: &str = "The above exception was the direct cause of the following exception:";
const HANDLED: &str = "During handling of the above exception, another exception occurred:";

/// As much of an error's own words as is read.
const LINES: usize = 80;

patterns! {
    FRAME = r#"^\s+File "([^"]+)", line (\d+)(?:, in (.*))?$"#;
    ALEMBIC = r"^\s*FAILED: (.*)$";
    FLASK = r"^ERROR[ :]*\[?flask_migrate\]?:? (?:Error: )?(.*)$";
    CLICK = r"^Error: (.*)$";
    USAGE = r"^[\w./-]+(?: [\w-]+)*: error: (.*)$";
    // Every other word before the two spaces is a log's or a translation, which needs its code.
    POSTGRESQL = r"^(?:psql:.*?:\d+: )?(?:psql: )?(?:.*\] )?(?:(?:ERROR|FATAL|PANIC):  |\S+:  ([0-9A-Z]{5}): )(.*)$";
    // As Go's drivers, the Supabase command line and PDO write a code into the sentence.
    WITH_STATE = r"^(.*?)\s*[\[(]SQL ?(?:STATE|State|state)[:= ]+([0-9A-Z]{5})[\])]";
    SEVERITY = r"^.*\b(?:ERROR|FATAL|PANIC|FEHLER|ERREUR): +";
    // One space after the severity is what everybody writes: then the sentence has to be the server's.
    LOOSE = r"^(?:psql:.*?:\d+: )?(?:psql: )?(?:.*\] )?(?:.*\b(?:PSQLException|PG::\w+|DatabaseException|goose run): +)?(?:ERROR|FATAL|PANIC): +(.*)$|^(?:.*[ :])?pq: (.*)$|^error returned from database: (.*)$";
    SERVERS = r#"^(?:(?:relation|table|view|materialized view|sequence|type|schema|index|constraint|trigger|role|extension|policy|column) "[^"]+"(?: (?:of|for) (?:relation|table) "[^"]+")? (?:does not exist|already exists)|column [\w."]+ does not exist|function [\w.]+\(.*\) does not exist|operator does not exist: |duplicate key value violates unique constraint "|(?:insert or update|update or delete) on table "[^"]+" violates|new row for relation "[^"]+" violates|null value in column "|column "[^"]+" (?:of relation "[^"]+" )?contains null values|check constraint "[^"]+" .*is violated by some row|could not create unique index "|cannot drop .* because other objects depend on it|cannot alter type of a column used|column "[^"]+" cannot be cast automatically|cannot cast type |default for column "|syntax error at or near "|deadlock detected$|canceling statement due to |could not obtain lock on |permission denied (?:for|to) (?:table|schema|relation|database|sequence|function|view|type|language|create)|must be owner of |current transaction is aborted|value too long for type |invalid input (?:syntax for type|value for enum) |integer out of range$|bigint out of range$|smallint out of range$|numeric field overflow$|unsafe use of new value|[A-Z][A-Z ]+ cannot run inside a transaction block|cannot execute [A-Z ]+ in a read-only transaction|password authentication failed for user "|database "[^"]*" does not exist|role "[^"]+" is not permitted to log in|no pg_hba\.conf entry for |sorry, too many clients already|remaining connection slots |there is no unique constraint matching given keys|foreign key constraint "[^"]+" cannot be implemented|cannot insert multiple commands into a prepared statement|prepared statement "[^"]+" (?:already exists|does not exist)|the database system is (?:starting up|shutting down|in recovery mode))"#;
    DETAIL = r"^(?:DETAIL|HINT|CONTEXT|LINE \d+|LOCATION|STATEMENT|Detail|Hint): ";
    AT_STATEMENT = r"^At statement: \d+$";
    IN_LINE = r#"(?:query|statement|SQL)[: ]+"([^"]+)": "#;
    GO_MYSQL = r"^(?:.*[ :])?Error (\d{4}) \([0-9A-Z]{5}\): (.*)$";
    SUPABASE = r"^Remote migration versions not found in (?:local )?\S+ directory";
    QUIET = r"^(?:INFO|WARN|WARNING|DEBUG|NOTICE|TRACE)\b";
    PSQL_MORE = r"^(?:psql:.*?:\d+: )?(?:DETAIL|HINT|CONTEXT|LINE \d+|LOCATION|STATEMENT):  ?";
    MARIADB = r"^ERROR (\d{4})(?: \(\w{5}\))?(?: at line \d+)?(?: in file: .*?)?: (.*)$";
    SQLITE = r"^(?:Parse |Runtime )?[Ee]rror:? (?:near line \d+|in prepare|stepping)[:,] (.*)$|^(?:Parse|Runtime) error: (.*)$";
    EXCEPTION = r"^((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Detected|Heads|Violation|Full|Memory)|(?:psycopg2?|asyncpg|pymysql|MySQLdb|sqlite3|sqlalchemy|alembic|click|flask)(?:\.\w+)+)(?:: |$)";
    LOGGED = r"^(?:INFO|WARN|WARNING|DEBUG|ERROR|CRITICAL|NOTICE)\b[ :\[]";
    ABSENT = r"Revision \S+ referenced from .* is not present$";
    // What went wrong while something else was being cleaned up after.
    CLEANING_UP = r"InFailedSqlTransaction|InFailedSQLTransaction|\b25P02\b|PendingRollbackError|SAVEPOINT \S+ does not exist";
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceFrame {
    pub(super) file: String,
    pub(super) line: String,
    pub(super) function: String,
    /// The line of the source; empty where it is not shown.
    pub(super) source: String,
}

/// Who said it, which decides what may be read into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A Python exception.
    Python,
    /// Alembic's or Click's one sentence without a traceback.
    Tool,
    /// `psql` or the log of PostgreSQL.
    PostgreSql,
    /// The clients of MariaDB and MySQL.
    MariaDb,
    /// The shell of SQLite.
    Sqlite,
}

/// One error, as it was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) speaker: Speaker,
    /// Its words, the first line being the sentence.
    pub(super) lines: Vec<String>,
    /// The code that was printed beside it.
    pub(super) code: Option<String>,
    /// Where it came from, innermost last.
    pub(super) frames: Vec<TraceFrame>,
    /// What Alembic had warned of before it.
    pub(super) warning: Option<String>,
    /// What stands between it and the error before it in one chain.
    link: Option<Link>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// That one was given as its cause.
    Caused,
    /// That one was being handled, and may well have been expected.
    Handled,
}

/// The error that ended it and, after it, those that it was raised for.
pub(super) fn telling(lines: &[String]) -> Option<Vec<Excerpt>> {
    let errors = errors(lines);
    let last = errors.len().checked_sub(1)?;
    let mut chain = Vec::new();
    for index in (0..=last).rev() {
        let told = &errors[index];
        chain.push(told.clone());
        let goes_on = match told.link {
            Some(Link::Caused) => true,
            Some(Link::Handled) => CLEANING_UP.is_match(&told.lines.join("\n")),
            None => false,
        };
        if !goes_on {
            break;
        }
    }
    // What only follows from an error is told by that one, where it is known.
    let (follows, mut chain): (Vec<Excerpt>, Vec<Excerpt>) = chain
        .into_iter()
        .partition(|told| CLEANING_UP.is_match(&told.lines.join("\n")));
    chain.extend(follows);
    // Of a missing file Alembic says what it is in a warning, and ends with a bare key.
    if let Some(told) = chain.first_mut()
        && told.lines[0].starts_with("KeyError")
        && told
            .frames
            .last()
            .is_some_and(|frame| frame.file.contains("alembic"))
    {
        let warning = lines.iter().rfind(|line| ABSENT.is_match(line));
        told.warning = warning.cloned();
    }
    Some(chain)
}

/// The sentence with which each traceback of a text ends, last one first.
pub(super) fn ends_of_tracebacks(text: &str) -> impl Iterator<Item = &str> {
    let tracebacks = text.matches(MARK).count();
    text.rsplit(MARK).take(tracebacks).filter_map(|after| {
        after
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with(char::is_whitespace))
    })
}

fn errors(lines: &[String]) -> Vec<Excerpt> {
    let mut errors: Vec<Excerpt> = Vec::new();
    let mut link = None;
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index].as_str();
        if line.trim() == CAUSED {
            link = Some(Link::Caused);
        } else if line.trim() == HANDLED {
            link = Some(Link::Handled);
        } else if let Some((told, next)) = traceback(lines, index).or_else(|| single(lines, index))
        {
            errors.push(Excerpt {
                link: link.take(),
                ..told
            });
            index = next;
            continue;
        } else if !line.trim().is_empty() {
            link = None;
        }
        index += 1;
    }
    errors
}

fn traceback(lines: &[String], start: usize) -> Option<(Excerpt, usize)> {
    lines[start].contains(MARK).then_some(())?;
    let mut frames: Vec<TraceFrame> = Vec::new();
    let mut index = start + 1;
    // A text that was cut off within a traceback does not say what happened.
    while lines.get(index)?.starts_with([' ', '\t']) || lines[index].is_empty() {
        let line = &lines[index];
        if let Some(found) = FRAME.captures(line) {
            let group = |number| found.get(number).map_or("", |text| text.as_str());
            frames.push(TraceFrame {
                file: group(1).to_owned(),
                line: group(2).to_owned(),
                function: group(3).to_owned(),
                source: String::new(),
            });
        } else if let Some(frame) = frames.last_mut().filter(|frame| frame.source.is_empty()) {
            line.trim().clone_into(&mut frame.source);
        }
        index += 1;
    }
    let (words, next) = words(lines, index);
    let told = Excerpt {
        speaker: Speaker::Python,
        lines: words,
        code: None,
        frames,
        warning: None,
        link: None,
    };
    Some((told, next))
}

/// The words of an error: its line and what belongs to it.
fn words(lines: &[String], start: usize) -> (Vec<String>, usize) {
    let mut index = start + 1;
    while let Some(line) = lines.get(index) {
        let ends = line.contains(MARK)
            || line.trim() == CAUSED
            || line.trim() == HANDLED
            || LOGGED.is_match(line)
            || ALEMBIC.is_match(line)
            || CLICK.is_match(line)
            || EXCEPTION.is_match(line);
        if ends || index - start > LINES {
            break;
        }
        index += 1;
    }
    let mut words: Vec<String> = lines[start..index].to_vec();
    while words.last().is_some_and(|line| line.trim().is_empty()) {
        words.pop();
    }
    (words, index)
}

/// An error without a traceback.
fn single(lines: &[String], start: usize) -> Option<(Excerpt, usize)> {
    let line = lines[start].as_str();
    let told = |speaker, lines: Vec<String>, code: Option<&str>| Excerpt {
        speaker,
        lines,
        code: code.map(str::to_owned),
        frames: Vec::new(),
        warning: None,
        link: None,
    };
    if let Some(found) = POSTGRESQL.captures(line) {
        let mut words = vec![found[2].to_owned()];
        let more = lines[start + 1..]
            .iter()
            .take_while(|line| PSQL_MORE.is_match(line) || line.starts_with([' ', '\t']))
            .take(LINES);
        words.extend(more.cloned());
        let next = start + words.len();
        // Verbose, the code comes first in English, too.
        let (code, rest) = match (found.get(1), words[0].split_once(": ")) {
            (Some(code), _) => (Some(code.as_str().to_owned()), None),
            (None, Some((code, rest))) if is_state(code) => {
                (Some(code.to_owned()), Some(rest.to_owned()))
            }
            _ => (None, None),
        };
        if let Some(rest) = rest {
            words[0] = rest;
        }
        return Some((told(Speaker::PostgreSql, words, code.as_deref()), next));
    }
    if let Some(found) = MARIADB.captures(line) {
        let words = vec![found[2].to_owned()];
        return Some((told(Speaker::MariaDb, words, Some(&found[1])), start + 1));
    }
    if let Some(found) = SQLITE.captures(line) {
        return Some((
            told(Speaker::Sqlite, vec![first_group(&found).to_owned()], None),
            start + 1,
        ));
    }
    if let Some((code, words, next)) = drivers_words(lines, start) {
        return Some((told(Speaker::PostgreSql, words, code.as_deref()), next));
    }
    if let Some(found) = GO_MYSQL.captures(line).filter(|_| !QUIET.is_match(line)) {
        let words = vec![found[2].to_owned()];
        return Some((told(Speaker::MariaDb, words, Some(&found[1])), start + 1));
    }
    if SUPABASE.is_match(line) {
        let words = lines[start..].iter().take(LINES).cloned().collect();
        return Some((told(Speaker::Tool, words, None), lines.len()));
    }
    for pattern in [&*ALEMBIC, &*FLASK, &*CLICK, &*USAGE] {
        let Some(found) = pattern.captures(line) else {
            continue;
        };
        if line.starts_with("psql: error: ") {
            return Some((
                told(Speaker::PostgreSql, vec![found[1].to_owned()], None),
                start + 1,
            ));
        }
        // Alembic breaks its sentences to the width of the terminal.
        let mut sentence = found[1].to_owned();
        let more = lines[start + 1..]
            .iter()
            .take_while(|line| line.starts_with("  ") && !line.trim().is_empty())
            .take(LINES);
        let mut next = start + 1;
        for line in more {
            sentence = format!("{sentence} {}", line.trim());
            next += 1;
        }
        return Some((told(Speaker::Tool, vec![sentence], None), next));
    }
    if EXCEPTION.is_match(line) {
        let (words, next) = words(lines, start);
        return Some((told(Speaker::Python, words, None), next));
    }
    None
}

/// A sentence of PostgreSQL's as drivers and other tools repeat it: known by the code in it, else by its words. Gives
/// the code, the words with what belongs to them, and the line after them.
fn drivers_words(lines: &[String], start: usize) -> Option<(Option<String>, Vec<String>, usize)> {
    let line = lines[start].as_str();
    if QUIET.is_match(line) {
        return None;
    }
    let coded = WITH_STATE
        .captures(line)
        .filter(|found| is_state(&found[2]))
        .map(|found| {
            let sentence = match SEVERITY.find(&found[1]) {
                Some(before) => found[1][before.end()..].to_owned(),
                None => found[1].to_owned(),
            };
            (Some(found[2].to_owned()), sentence)
        });
    let (code, sentence) = coded.or_else(|| {
        let found = LOOSE.captures(line)?;
        let sentence = first_group(&found);
        SERVERS
            .is_match(sentence)
            .then(|| (None, sentence.to_owned()))
    })?;
    let mut words = vec![sentence];
    let more = lines[start + 1..]
        .iter()
        .take_while(|line| DETAIL.is_match(line) || line.starts_with([' ', '\t']))
        .take(LINES);
    words.extend(more.cloned());
    let mut next = start + words.len();
    if let Some(found) = IN_LINE.captures(line) {
        words.push(format!("STATEMENT:  {}", &found[1]));
    } else if lines
        .get(next)
        .is_some_and(|line| AT_STATEMENT.is_match(line))
        && let Some(statement) = lines.get(next + 1)
    {
        words.push(format!("STATEMENT:  {statement}"));
        next += 2;
    }
    Some((code, words, next))
}

/// The text of the first group that took part.
fn first_group<'text>(found: &regex::Captures<'text>) -> &'text str {
    let group = found.iter().skip(1).flatten().next();
    group.map_or("", |text| text.as_str())
}

/// Whether it has the form of an `SQLSTATE`.
pub(super) fn is_state(text: &str) -> bool {
    text.len() == 5
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_words(text: &str) -> Vec<String> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        telling(&lines)
            .unwrap_or_default()
            .into_iter()
            .map(|told| told.lines[0].clone())
            .collect()
    }

    const FIRST: &str = "Traceback (most recent call last):\n  File \"a\", line 1, in f\n    x()\nA.Error: one\nDETAIL: d\n\n";

    #[test]
    fn what_was_given_as_the_cause_comes_along_and_what_was_handled_does_not() {
        let second = "\nTraceback (most recent call last):\n  File \"b\", line 2\nB.Error: two\n";
        assert_eq!(
            first_words(&format!("{FIRST}{CAUSED}\n{second}")),
            ["B.Error: two", "A.Error: one"]
        );
        assert_eq!(
            first_words(&format!("{FIRST}{HANDLED}\n{second}")),
            ["B.Error: two"]
        );
        assert_eq!(
            first_words(&format!("{FIRST}INFO  [app] went on\n{second}")),
            ["B.Error: two"]
        );
    }

    #[test]
    fn the_error_that_only_follows_from_another_one_lets_it_speak_first() {
        let second = "\nTraceback (most recent call last):\n  File \"b\", line 2\npsycopg2.errors.InFailedSqlTransaction: no\n";
        assert_eq!(
            first_words(&format!("{FIRST}{HANDLED}\n{second}")),
            ["A.Error: one", "psycopg2.errors.InFailedSqlTransaction: no"]
        );
    }

    #[test]
    fn the_innermost_frame_has_its_source() {
        let lines: Vec<String> = FIRST.lines().map(str::to_owned).collect();
        let told = &telling(&lines).unwrap()[0];
        assert_eq!(told.lines, ["A.Error: one", "DETAIL: d"]);
        let frame = told.frames.last().unwrap();
        assert_eq!(
            (frame.function.as_str(), frame.source.as_str()),
            ("f", "x()")
        );
    }

    #[test]
    fn clients_say_it_each_in_their_way() {
        for (text, expected) in [
            (
                "psql:f.sql:3: ERROR:  relation \"x\" does not exist",
                "relation \"x\" does not exist",
            ),
            (
                "psql:f.sql:3: FEHLER:  42P01: Relation »x« existiert nicht",
                "Relation »x« existiert nicht",
            ),
            (
                "ERROR 1091 (42000) at line 1: Can't DROP 'x'",
                "Can't DROP 'x'",
            ),
            (
                "Parse error near line 1: no such table: x",
                "no such table: x",
            ),
            (
                "  FAILED: Can't locate\n  revision",
                "Can't locate revision",
            ),
            (
                "alembic: error: unrecognized arguments: -z",
                "unrecognized arguments: -z",
            ),
        ] {
            assert_eq!(first_words(text), [expected], "{text}");
        }
        assert!(first_words("ERROR:root:deadlock detected\nINFO permission denied").is_empty());
    }
}
