//! A connection over which migrations of SQL files are run.

use std::time::Duration;

use sqlx::{Connection, Executor};

use super::failure::Failure;
use super::mysql::MySql;
use super::postgres::Postgres;
use super::session::{Session, SessionError, texts};
use super::sqlite::Sqlite;
use super::{DatabaseError, Environment};
use crate::domain::connection::{ConnectionFacts, Dialect};
use crate::domain::query::{Execution, RunError, RunErrorKind, TextRows, always};

/// Opens one, with a limit to waiting for locks.
pub(super) fn open(
    facts: &ConnectionFacts,
    environment: &Environment,
    lock_timeout: Option<Duration>,
) -> Result<Box<dyn Execution>, DatabaseError> {
    let milliseconds = lock_timeout.map_or(0, |limit| limit.as_millis());
    let (mut execution, limit): (Box<dyn Execution>, _) = match facts.known_dialect() {
        Some(Dialect::PostgreSql) => (
            Box::new(Runs(Postgres::open(facts, environment)?.session)),
            format!("SET lock_timeout = {milliseconds}"),
        ),
        Some(Dialect::MySql) => {
            let seconds = lock_timeout.map_or(31_536_000, |limit| limit.as_secs().max(1));
            (
                Box::new(Runs(MySql::open(facts)?.session)),
                format!(
                    "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}"
                ),
            )
        }
        Some(Dialect::Sqlite) => (
            Box::new(Runs(Sqlite::open(facts)?.into_session()?)),
            format!("PRAGMA busy_timeout = {milliseconds}"),
        ),
        None => return Err(DatabaseError::UnsupportedDialect(facts.dialect.clone())),
    };
    execution
        .run(&limit, &mut always)
        .map_err(|error| DatabaseError::Settings(error.reason))?;
    Ok(execution)
}

/// A session that is used once and never replaced.
pub(super) struct Runs<C: Connection>(pub(super) Session<C>);

impl<C> Execution for Runs<C>
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    usize: sqlx::ColumnIndex<<C::Database as sqlx::Database>::Row>,
    for<'r> String: sqlx::Decode<'r, C::Database>,
{
    fn run(&mut self, sql: &str, goes_on: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError> {
        let mut given_up = false;
        let mut is_over = || {
            given_up = !goes_on();
            given_up
        };
        let answer = self.0.rows_patiently(sql, &mut is_over);
        answer
            .map(|rows| texts(&rows))
            .map_err(|error| told(error, given_up))
    }
}

fn told(error: SessionError, given_up: bool) -> RunError {
    let kind = match (given_up, error.failure, error.code.as_deref()) {
        (true, ..) => RunErrorKind::GivenUp,
        (false, Failure::Broken | Failure::NotReady, _) | (false, _, None) => RunErrorKind::Lost,
        // PostgreSQL's lock_not_available; MariaDB's lock wait timeout; SQLITE_BUSY.
        (false, _, Some("55P03" | "1205" | "5")) => RunErrorKind::LockTimeout,
        _ => RunErrorKind::Refused,
    };
    let reason = match error.report {
        DatabaseError::Query { reason, .. } => reason,
        other => other.to_string(),
    };
    RunError {
        kind,
        code: error.code,
        reason,
    }
}
