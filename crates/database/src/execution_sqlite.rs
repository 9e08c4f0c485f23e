//! The connection over which migrations of SQL files are run on SQLite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Error, ErrorCode};

use super::connection::{ENDING, TICK};
use super::sqlite_connection::{cause, open_to_write, read, reason};
use rollback_core::query::{Execution, RunError, RunErrorKind, TextRows};

/// As long as it takes, for SQLite, which counts milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_millis(2_147_483_647);

/// How many operations of the library pass between two looks whether to go on.
const OPERATIONS: i32 = 1_000;

/// A connection that is never replaced. What is open in it is rolled back when it is closed.
pub(super) struct SqliteExecution {
    connection: Option<Connection>,
    /// Ends whatever is being run once it is set.
    is_over: Arc<AtomicBool>,
}

impl SqliteExecution {
    /// Foreign keys are as SQLite itself leaves them to its clients: not enforced. The library that is built in would
    /// enforce them, and a table that is rebuilt the way SQLite documents it would take along the rows that refer to it.
    pub(super) fn open(file: &Path, lock_timeout: Option<Duration>) -> Result<Self, Error> {
        let connection = open_to_write(file)?;
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        connection.busy_timeout(lock_timeout.map_or(LONGEST, |limit| limit.min(LONGEST)))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let is_set = Arc::clone(&is_over);
        let handler = move || is_set.load(Ordering::SeqCst);
        connection.progress_handler(OPERATIONS, Some(handler))?;
        Ok(Self {
            connection: Some(connection),
            is_over,
        })
    }
}

impl Execution for SqliteExecution {
    /// The statements run on another thread, so that this one can ask `goes_on`. One that waits for a lock does not
    /// notice that it is to end, and is left behind.
    fn run(&mut self, sql: &str, goes_on: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError> {
        let connection = self.connection.take().ok_or_else(lost)?;
        if !goes_on() {
            return Err(RunError::given_up());
        }
        let (sender, receiver) = mpsc::channel();
        let sql = sql.to_owned();
        thread::spawn(move || {
            let mut rows = TextRows::new();
            let result = read(&connection, &sql, &mut rows).map(|()| rows);
            // Nobody waits for the answer of a statement that was left behind.
            let _ = sender.send((connection, result));
        });
        loop {
            match receiver.recv_timeout(TICK) {
                Ok((connection, result)) => {
                    self.connection = Some(connection);
                    return result.map_err(|error| run_error(&error));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) if goes_on() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.is_over.store(true, Ordering::SeqCst);
                    // Closed before this returns, if it ends in time.
                    drop(receiver.recv_timeout(ENDING));
                    return Err(RunError::given_up());
                }
            }
        }
    }
}

fn lost() -> RunError {
    RunError {
        kind: RunErrorKind::Lost,
        code: None,
        reason: "the connection was lost".to_owned(),
    }
}

fn run_error(error: &Error) -> RunError {
    let cause = cause(error);
    RunError {
        kind: match cause.map(|cause| cause.code) {
            Some(ErrorCode::DatabaseBusy) => RunErrorKind::LockTimeout,
            Some(_) => RunErrorKind::Refused,
            None => RunErrorKind::Lost,
        },
        code: cause.map(|cause| cause.extended_code.to_string()),
        reason: reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollback_core::query::always;

    const WAL: &str = "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)";

    fn file(sql: &str) -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join("app.db")).unwrap();
        other.execute_batch(sql).unwrap();
        (folder, other)
    }

    fn execution(folder: &tempfile::TempDir, lock_timeout: Option<Duration>) -> SqliteExecution {
        SqliteExecution::open(&folder.path().join("app.db"), lock_timeout).unwrap()
    }

    fn error(execution: &mut SqliteExecution, sql: &str) -> (RunErrorKind, String, String) {
        let error = execution.run(sql, &mut always).unwrap_err();
        (error.kind, error.code.unwrap_or_default(), error.reason)
    }

    #[test]
    fn the_codes_say_what_became_of_a_statement() {
        let (folder, other) = file(WAL);
        let mut execution = execution(&folder, Some(Duration::from_millis(50)));
        let refused =
            |code: &str, reason: &str| (RunErrorKind::Refused, code.to_owned(), reason.to_owned());
        let locked = |code: &str| {
            let reason = "database is locked".to_owned();
            (RunErrorKind::LockTimeout, code.to_owned(), reason)
        };
        assert_eq!(
            error(&mut execution, "SELECT * FROM gone"),
            refused("1", "no such table: gone")
        );
        assert_eq!(
            error(
                &mut execution,
                "CREATE UNIQUE INDEX i ON t (a); INSERT INTO t VALUES (1)"
            ),
            refused("2067", "UNIQUE constraint failed: t.a")
        );
        execution
            .run("BEGIN; SELECT a FROM t", &mut always)
            .unwrap();
        other.execute_batch("DELETE FROM t").unwrap();
        // What was read is of an older state: `SQLITE_BUSY_SNAPSHOT`.
        assert_eq!(
            error(&mut execution, "INSERT INTO t VALUES (2)"),
            locked("517")
        );
        execution.run("ROLLBACK", &mut always).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(
            error(&mut execution, "INSERT INTO t VALUES (2)"),
            locked("5")
        );
    }

    /// Red if a statement is not ended, or if its connection stays open and keeps the file locked.
    #[test]
    fn a_statement_is_given_up_and_rolled_back() {
        let (folder, other) = file(WAL);
        let mut execution = execution(&folder, None);
        execution.run("BEGIN IMMEDIATE", &mut always).unwrap();
        let endless = "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) \
             SELECT count(*) FROM n";
        let mut asked = 0;
        let given_up = execution.run(endless, &mut || {
            asked += 1;
            asked < 3
        });
        assert_eq!(given_up.unwrap_err().kind, RunErrorKind::GivenUp);
        other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
        assert_eq!(error(&mut execution, "SELECT 1").0, RunErrorKind::Lost);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_never_begun() {
        let (folder, other) = file(WAL);
        let given_up = execution(&folder, None).run("DELETE FROM t", &mut || false);
        assert_eq!(given_up.unwrap_err().kind, RunErrorKind::GivenUp);
        let rows: i64 = other
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }

    /// Red if the keys are enforced: SQLite deletes the rows of a table before it drops the table.
    #[test]
    fn foreign_keys_are_not_enforced() {
        let (folder, _) = file(
            "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1); \
             CREATE TABLE b (a REFERENCES a ON DELETE CASCADE); INSERT INTO b VALUES (1)",
        );
        let rows = execution(&folder, None)
            .run("DROP TABLE a; SELECT count(*) FROM b", &mut always)
            .unwrap();
        assert_eq!(rows, [[Some("1".to_owned())]]);
    }
}
