//! How SQLite files are opened and read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Error, ErrorCode, OpenFlags, ffi};

use super::connection::{QUERY_TIMEOUT, SessionError, no_answer_within};
use super::failure::FailureKind;
use rollback_core::query::TextRows;

/// Somebody who only reads or writes a little is done by then; a longer lock is worth a report.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How many operations of the library pass between two looks at the clock.
const OPERATIONS: i32 = 10_000;

/// Opens a file that exists.
fn open(file: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(file, flags).map_err(|error| match error {
        // Without the message, to which rusqlite adds the path.
        Error::SqliteFailure(cause, _) => Error::SqliteFailure(cause, None),
        error => error,
    })?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Opens a file for what changes it.
pub(super) fn open_to_write(file: &Path) -> Result<Connection, Error> {
    open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Opens a file for reading and leaves no trace: with a log only to read, since closing would copy the log into the
/// file; without one for writing, since only reading could leave an empty log behind.
pub(super) fn open_to_read(file: &Path) -> Result<Connection, Error> {
    let has_log = log_size(file) > 0;
    let flags = if has_log {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let connection = open(file, flags)?;
    match read_header(&connection) {
        // A file in WAL mode in a directory where no log can be made: nobody writes it either.
        Err(error) if !has_log && cannot_make_a_log(&error) => {
            open_immutable(file).map_err(|_| error)
        }
        result => result.map(|()| connection),
    }
}

/// Opens a file that nobody writes: it is read without a lock and without a file beside it.
pub(super) fn open_immutable(file: &Path) -> Result<Connection, Error> {
    let path: String = file
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                char::from(*byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let connection = open(
        Path::new(&format!("file:{path}?immutable=1")),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )?;
    read_header(&connection)?;
    Ok(connection)
}

/// Only the first query reads the header, and rolls back what a writer that was killed left: a text file opens
/// without an error.
fn read_header(connection: &Connection) -> Result<(), Error> {
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
}

/// Whether no side file can be made. A journal that has to be rolled back is another error, because without it the
/// file is not whole.
fn cannot_make_a_log(error: &Error) -> bool {
    cause(error).is_some_and(|cause| {
        matches!(
            cause.extended_code,
            ffi::SQLITE_CANTOPEN | ffi::SQLITE_READONLY_CANTINIT | ffi::SQLITE_READONLY_DIRECTORY
        )
    })
}

/// Runs all statements of a text within the time that every query has, and gives their rows.
pub(super) fn rows(connection: &Connection, sql: &str) -> Result<TextRows, Error> {
    let mut rows = TextRows::new();
    read_until(connection, sql, Instant::now() + QUERY_TIMEOUT, &mut rows)?;
    Ok(rows)
}

/// Runs all statements of a text until `end`, which is `SQLITE_INTERRUPT`, and adds their rows to `rows`.
pub(super) fn read_until(
    connection: &Connection,
    sql: &str,
    end: Instant,
    rows: &mut TextRows,
) -> Result<(), Error> {
    connection.progress_handler(OPERATIONS, Some(move || Instant::now() >= end))?;
    let result = interrupted_at(connection, end, || read(connection, sql, rows));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    result
}

/// Interrupts from another thread what is still running at `end`: the count of a whole table is one operation, during which
/// the progress handler is not called. An interrupt between two statements is lost, so it is repeated.
fn interrupted_at<T>(connection: &Connection, end: Instant, work: impl FnOnce() -> T) -> T {
    let handle = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut limit = end.saturating_duration_since(Instant::now());
            while is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
                limit = Duration::from_millis(1);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Runs all statements of a text, for as long as it takes.
pub(super) fn read(connection: &Connection, sql: &str, rows: &mut TextRows) -> Result<(), Error> {
    let mut statements = Batch::new(connection, sql);
    while let Some(mut statement) = statements.next()? {
        let width = statement.column_count();
        // A parameter, which a text may have by mistake, is NULL.
        let mut answer = statement.raw_query();
        while let Some(row) = answer.next()? {
            let texts = (0..width).map(|column| text(connection, row.get_ref(column)?));
            rows.push(texts.collect::<Result<_, _>>()?);
        }
    }
    Ok(())
}

/// A value as SQLite writes it.
fn text(connection: &Connection, value: ValueRef<'_>) -> Result<Option<String>, Error> {
    Ok(match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => {
            connection.query_row("SELECT CAST(?1 AS TEXT)", [number], |row| row.get(0))?
        }
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => String::from_utf8(bytes.to_vec()).ok(),
    })
}

/// The code that SQLite gave.
pub(super) fn cause(error: &Error) -> Option<&ffi::Error> {
    match error {
        Error::SqliteFailure(cause, _) | Error::SqlInputError { error: cause, .. } => Some(cause),
        _ => None,
    }
}

/// SQLite's sentence, without the statement, which rusqlite adds.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(cause, None) if cause.code == ErrorCode::CannotOpen => {
            "unable to open database file".to_owned()
        }
        error => error.to_string(),
    }
}

/// Whether a statement was ended before it was done.
pub(super) fn is_interrupted(error: &Error) -> bool {
    cause(error).is_some_and(|cause| cause.code == ErrorCode::OperationInterrupted)
}

/// SQLite has one code, `SQLITE_ERROR`, for everything that does not compile. Its sentences are not translated.
pub(super) fn is_no_table(error: &Error) -> bool {
    let reason = reason(error);
    reason.starts_with("no such table") || reason.starts_with("unknown database")
}

/// How errors name a file.
pub(super) fn place(file: &Path) -> String {
    format!("the SQLite file {}", file.display())
}

/// The error to show. Only a file that could not be opened has no message.
pub(super) fn session_error(file: &Path, error: &Error) -> SessionError {
    let failure = match error {
        Error::SqliteFailure(cause, None) if cause.code == ErrorCode::CannotOpen => {
            FailureKind::Broken
        }
        _ if is_no_table(error) => FailureKind::NoTable,
        _ => FailureKind::Other,
    };
    let reason = if is_interrupted(error) {
        no_answer_within(QUERY_TIMEOUT)
    } else {
        reason(error)
    };
    SessionError {
        failure,
        code: cause(error).map(|cause| cause.extended_code.to_string()),
        number: None,
        report: failure.report(place(file), reason),
    }
}

/// The name of a file that SQLite keeps beside the database.
pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(end);
    PathBuf::from(name)
}

/// The length of a file, 0 if it does not exist.
pub(super) fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// The length of the log of WAL mode.
pub(super) fn log_size(file: &Path) -> u64 {
    size(&beside(file, "-wal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn texts(sql: &str) -> Vec<Vec<Option<String>>> {
        rows(&memory(), sql).unwrap()
    }

    #[test]
    fn a_value_is_written_as_sqlite_writes_it() {
        let written = "SELECT CAST(a AS TEXT) FROM (SELECT 1 AS a UNION ALL SELECT -2.50 UNION ALL SELECT 1e308 \
             UNION ALL SELECT 0.1 + 0.2 UNION ALL SELECT 'x' UNION ALL SELECT x'4142' UNION ALL SELECT NULL)";
        let read = written.replace("CAST(a AS TEXT)", "a");
        assert_eq!(texts(&read), texts(written));
        assert_eq!(texts("SELECT x'ff00'"), [[None]], "a BLOB is not a text");
        let damaged = Some("a\u{fffd}".to_owned());
        assert_eq!(texts("SELECT CAST(x'61ff' AS TEXT)"), [[damaged]]);
    }

    #[test]
    fn a_text_has_any_number_of_statements() {
        let one = Some("1".to_owned());
        assert_eq!(
            texts("-- none\n; SELECT 1, :not_bound; /* */ SELECT NULL; -- end"),
            [vec![one, None], vec![None]]
        );
        assert!(texts(" -- none").is_empty());
    }

    /// Red if the rows before the end are lost, or if the limit holds for what is read later.
    #[test]
    fn what_was_read_at_the_end_is_kept() {
        let connection = memory();
        let endless = "SELECT 1 UNION ALL SELECT count(*) FROM \
             (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n)";
        let mut rows = TextRows::new();
        let end = Instant::now() + Duration::from_millis(50);
        let error = read_until(&connection, endless, end, &mut rows).unwrap_err();
        assert!(is_interrupted(&error), "{error}");
        assert_eq!(rows, [[Some("1".to_owned())]]);
        let long = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
             SELECT count(*) FROM n";
        read(&connection, long, &mut rows).unwrap();
    }

    #[test]
    fn the_count_of_a_whole_table_is_interrupted_too() {
        let connection = memory();
        let fill = "CREATE TABLE t AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
             SELECT i, hex(randomblob(20)) FROM n";
        read(&connection, fill, &mut TextRows::new()).unwrap();
        let count =
            "SELECT count(*) FROM t".to_owned() + &" UNION ALL SELECT count(*) FROM t".repeat(300);
        let end = Instant::now() + Duration::from_millis(1);
        let error = read_until(&connection, &count, end, &mut TextRows::new()).unwrap_err();
        assert!(is_interrupted(&error), "{error}");
    }

    #[test]
    fn an_error_has_no_words_of_the_driver() {
        let shown = |report: &SessionError| report.report.to_string();
        let file = Path::new("/nowhere/app.db");
        let error = open_to_read(file).unwrap_err();
        assert_eq!(
            shown(&session_error(file, &error)),
            "cannot reach the SQLite file /nowhere/app.db: unable to open database file"
        );
        let error = rows(&memory(), "SELECT a FROM b").unwrap_err();
        let error = session_error(file, &error);
        assert_eq!(
            shown(&error),
            "the SQLite file /nowhere/app.db answered: no such table: b"
        );
        assert_eq!(error.failure, FailureKind::NoTable);
    }
}
