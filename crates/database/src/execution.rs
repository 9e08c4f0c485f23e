//! A connection over which migrations of SQL files are run.
//!
//! What it did stays done: it sends nothing twice, and where it breaks it stays broken. A statement that is given
//! up is ended on the server, since a server does not notice by itself that nobody waits for it any more.

use std::time::Duration;

use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};
use sqlx::postgres::{PgConnection, PgDatabaseError};
use sqlx::{Connection as SqlxConnection, Executor};

use super::connection::{Connection, ExecutionError, text, texts};
use super::failure::FailureKind;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{DatabaseError, Environment};
use rollback_core::connection::ConnectionFacts;
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError, RunErrorKind, TextRows, always};

/// As long as it takes, for a server that counts seconds: its own limit, a year.
const A_YEAR: u64 = 31_536_000;

/// Opens one, with a limit to waiting for locks.
pub(super) fn open(
    facts: &ConnectionFacts,
    environment: &Environment,
    lock_timeout: Option<Duration>,
) -> Result<Box<dyn Execution>, DatabaseError> {
    match facts.known_dialect() {
        Some(Dialect::Postgres) => {
            let session = Postgres::open(facts, environment)?.session;
            postgres(session, lock_timeout)
        }
        Some(Dialect::MySql) => mysql(MySql::open(facts)?.session, lock_timeout),
        Some(Dialect::Sqlite) => Ok(Box::new(Sqlite::open(facts)?.into_execution(lock_timeout)?)),
        None => Err(DatabaseError::UnsupportedDialect(facts.dialect.clone())),
    }
}

fn postgres(
    mut session: Connection<PgConnection>,
    lock_timeout: Option<Duration>,
) -> Result<Box<dyn Execution>, DatabaseError> {
    let rows = session.rows_here("SELECT pg_backend_pid()::text")?;
    let pid = rows.first().and_then(|row| text(row, 0));
    let pid = pid.unwrap_or_default();
    let cancellations = vec![
        format!("SELECT pg_cancel_backend({pid})"),
        format!("SELECT pg_terminate_backend({pid})"),
    ];
    let milliseconds = lock_timeout.map_or(0, |limit| limit.as_millis());
    let limit = format!("SET lock_timeout = {milliseconds}");
    let mut runs = Runs::new(session, cancellations, Some(limit.clone()));
    set(&mut runs, &limit)?;
    notice_our_end(&mut runs);
    Ok(Box::new(runs))
}

/// If this program is killed, the server ends the statement within a second. Only from release 14 on, and not on every
/// system.
fn notice_our_end(execution: &mut dyn Execution) {
    let _ = execution.run("SET client_connection_check_interval = '1s'", &mut always);
}

fn mysql(
    mut session: Connection<MySqlConnection>,
    lock_timeout: Option<Duration>,
) -> Result<Box<dyn Execution>, DatabaseError> {
    let rows = session.rows_here("SELECT CAST(CONNECTION_ID() AS CHAR)")?;
    let id = rows.first().and_then(|row| text(row, 0));
    let id = id.unwrap_or_default();
    let cancellations = vec![format!("KILL QUERY {id}"), format!("KILL {id}")];
    let mut runs = Runs::new(session, cancellations, None);
    let seconds = lock_timeout.map_or(A_YEAR, |limit| limit.as_secs().max(1));
    let limits = format!(
        "SET SESSION autocommit = 1, SESSION lock_wait_timeout = {seconds}, \
         SESSION innodb_lock_wait_timeout = {seconds}"
    );
    set(&mut runs, &limits)?;
    Ok(Box::new(runs))
}

fn set(execution: &mut dyn Execution, sql: &str) -> Result<(), DatabaseError> {
    match execution.run(sql, &mut always) {
        Ok(_) => Ok(()),
        Err(error) => Err(DatabaseError::Settings(error.reason)),
    }
}

/// A session that is never replaced.
struct Runs<C: SqlxConnection> {
    session: Connection<C>,
    /// What ends a statement, sent over a second connection.
    cancellations: Vec<String>,
    /// What limits the wait for locks, if all else of the session can be reset.
    limit: Option<String>,
}

impl<C: SqlxConnection> Runs<C> {
    fn new(session: Connection<C>, cancellations: Vec<String>, limit: Option<String>) -> Self {
        Self {
            session,
            cancellations,
            limit,
        }
    }
}

impl<C> Execution for Runs<C>
where
    C: SqlxConnection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    usize: sqlx::ColumnIndex<<C::Database as sqlx::Database>::Row>,
    for<'r> String: sqlx::Decode<'r, C::Database>,
{
    fn run(&mut self, sql: &str, goes_on: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError> {
        let answer = self.session.once(sql, goes_on, &self.cancellations);
        answer.map(|rows| texts(&rows)).map_err(told)
    }

    fn renew(&mut self) -> bool {
        let Some(limit) = self.limit.clone() else {
            return false;
        };
        let is_renewed =
            self.run("DISCARD ALL", &mut always).is_ok() && self.run(&limit, &mut always).is_ok();
        notice_our_end(self);
        is_renewed
    }
}

fn told(undone: ExecutionError) -> RunError {
    let (error, source) = match undone {
        ExecutionError::GivenUp => return RunError::given_up(),
        ExecutionError::Failed(failed) => *failed,
    };
    let database = source.as_database_error();
    // The driver gives the class of an error as its code, which is the same for very different ones.
    let number = database
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .map(|error| error.number().to_string());
    let code = number.or(error.code);
    let mut reason = match error.report {
        DatabaseError::Query { reason, .. } => reason,
        other => other.to_string(),
    };
    if let Some(error) = database.and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
        for (name, text) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
            if let Some(text) = text {
                reason.push_str(&format!("\n{name}:  {text}"));
            }
        }
    }
    RunError {
        kind: kind(error.failure, code.as_deref(), database.is_some()),
        code,
        reason,
    }
}

/// What an error means for what was done. `spoke` is whether it was the server that told it.
fn kind(failure: FailureKind, code: Option<&str>, spoke: bool) -> RunErrorKind {
    match (failure, code) {
        (FailureKind::Broken, _) => RunErrorKind::Lost,
        _ if !spoke => RunErrorKind::Lost,
        // PostgreSQL's `lock_not_available`; MariaDB's and MySQL's time for a lock that is over, and a lock that is not
        // waited for.
        (_, Some("55P03" | "1205" | "3572")) => RunErrorKind::LockTimeout,
        _ => RunErrorKind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_say_what_became_of_a_statement() {
        for (failure, code, spoke, expected) in [
            (
                FailureKind::Other,
                Some("55P03"),
                true,
                RunErrorKind::LockTimeout,
            ),
            (
                FailureKind::Other,
                Some("1205"),
                true,
                RunErrorKind::LockTimeout,
            ),
            (
                FailureKind::Other,
                Some("57014"),
                true,
                RunErrorKind::Refused,
            ),
            (
                FailureKind::Other,
                Some("1213"),
                true,
                RunErrorKind::Refused,
            ),
            (
                FailureKind::NoTable,
                Some("42P01"),
                true,
                RunErrorKind::Refused,
            ),
            (FailureKind::Broken, Some("57P01"), true, RunErrorKind::Lost),
            (FailureKind::Broken, Some("1927"), true, RunErrorKind::Lost),
            (FailureKind::Broken, None, false, RunErrorKind::Lost),
            (FailureKind::Other, None, false, RunErrorKind::Lost),
        ] {
            assert_eq!(kind(failure, code, spoke), expected, "{code:?}");
        }
    }
}
