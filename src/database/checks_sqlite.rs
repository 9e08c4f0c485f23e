//! Rows and faults of SQLite.
//!
//! The library has no time limit for a statement, but asks every so often whether to go on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::session::{Session, SessionError, number, text};
use super::sqlite::Sqlite;
use super::{Limited, left_over, quoted};
use crate::domain::checks::{Count, Counts, Faults};

/// `SQLITE_INTERRUPT`.
const INTERRUPTED: &str = "9";

pub(super) const TABLES: &str = r"SELECT name FROM sqlite_master WHERE type = 'table'
    AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%'";

const ORPHANS: &str = r#"SELECT 'rows of ' || "table" || ' have no row in ' || parent, count(*)
    FROM pragma_foreign_key_check GROUP BY "table", parent, fkid"#;

pub(super) const LEFTOVERS: &str = r"SELECT name FROM sqlite_master WHERE type = 'table'
    AND name LIKE '\_alembic\_tmp\_%' ESCAPE '\'";

/// A statement that is ended when the time is over; `None` where it was.
fn ask(
    session: &mut Session<SqliteConnection>,
    sql: &str,
    end: Instant,
) -> Result<Option<Vec<SqliteRow>>, SessionError> {
    if Instant::now() >= end {
        return Ok(None);
    }
    session.end_at(end);
    match session.rows(sql) {
        Err(error) if error.is_code(&[INTERRUPTED]) => Ok(None),
        result => result.map(Some),
    }
}

pub(super) fn query(sqlite: &Sqlite, sql: &str, limit: Duration) -> Limited<Vec<SqliteRow>> {
    let end = Instant::now() + limit;
    Ok(sqlite.on(|session| {
        session.rows("PRAGMA query_only = 1")?;
        ask(session, sql, end)
    })?)
}

/// There are no estimates here: a table that was too much is estimated at nothing.
pub(super) fn counts(sqlite: &Sqlite, budget: Duration) -> Limited<Counts> {
    Ok(sqlite.on(|session| counted(session, Instant::now() + budget))?)
}

/// The same over an open file.
pub(super) fn counted(
    session: &mut Session<SqliteConnection>,
    end: Instant,
) -> Result<Option<Counts>, SessionError> {
    let Some(tables) = ask(session, TABLES, end)? else {
        return Ok(None);
    };
    let mut counts = Counts::new();
    for table in tables.iter().filter_map(|row| text(row, 0)) {
        let sql = format!("SELECT count(*) FROM {}", quoted(&table, '"'));
        let answer = ask(session, &sql, end)?;
        let exact = answer.is_some();
        let rows = answer.and_then(|rows| number(rows.first()?, 0));
        counts.insert(
            table,
            Count {
                rows: rows.unwrap_or_default(),
                exact,
            },
        );
    }
    Ok(Some(counts))
}

pub(super) fn faults(sqlite: &Sqlite, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
    Ok(sqlite.on(|session| found(session, Instant::now() + budget))?)
}

/// The same over an open file.
pub(super) fn found(
    session: &mut Session<SqliteConnection>,
    end: Instant,
) -> Result<Option<(Faults, BTreeSet<String>)>, SessionError> {
    let mut faults = Faults::new();
    let Some(tables) = ask(session, LEFTOVERS, end)? else {
        return Ok(None);
    };
    for table in tables.iter().filter_map(|row| text(row, 0)) {
        faults.insert(left_over(&table), 1);
    }
    match ask(session, ORPHANS, end) {
        Ok(Some(rows)) => {
            for row in &rows {
                let (Some(fault), Some(times)) = (text(row, 0), number(row, 1)) else {
                    continue;
                };
                *faults.entry(fault).or_default() += times;
            }
        }
        Ok(None) => return Ok(None),
        // "foreign key mismatch": what a key refers to is not unique, or not there.
        Err(error) => {
            faults.insert(
                format!("the foreign keys cannot be checked: {}", error.report),
                1,
            );
        }
    }
    let Some(rows) = ask(session, "PRAGMA quick_check(20)", end)? else {
        return Ok(None);
    };
    let found = rows
        .iter()
        .filter_map(|row| text(row, 0))
        .filter(|line| line != "ok");
    faults.extend(found.map(|line| (format!("quick_check: {line}"), 1)));
    Ok(Some((faults, BTreeSet::new())))
}
