//! Rows and faults of SQLite.
//!
//! The library has no time limit for a statement, but asks every so often whether to go on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::connection::{Connection, SessionError, number, text};
use super::probe::pairs;
use super::sqlite::Sqlite;
use super::{Limited, left_over, quoted};
use crate::domain::checks::{Count, Counts, Faults};

/// How many tables are counted by one statement. The library takes 500 parts at most.
const TOGETHER: usize = 200;

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
    session: &mut Connection<SqliteConnection>,
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
    session: &mut Connection<SqliteConnection>,
    end: Instant,
) -> Result<Option<Counts>, SessionError> {
    let Some(tables) = ask(session, TABLES, end)? else {
        return Ok(None);
    };
    let mut counts = Counts::new();
    let tables: Vec<String> = tables.iter().filter_map(|row| text(row, 0)).collect();
    session.end_at(end);
    for some in tables.chunks(TOGETHER) {
        let none = Count {
            rows: 0,
            exact: false,
        };
        counts.extend(some.iter().map(|table| (table.clone(), none)));
        if Instant::now() >= end {
            continue;
        }
        let count = |(at, table): (usize, &String)| {
            format!("SELECT {at}, count(*) FROM {}", quoted(table, '"'))
        };
        let each: Vec<String> = some.iter().enumerate().map(count).collect();
        // Those that were counted when the time was over are counted.
        let (rows, broken) = session.rows_so_far(&each.join(" UNION ALL "));
        if let Some(error) = broken.filter(|error| !error.is_code(&[INTERRUPTED])) {
            return Err(error);
        }
        for (at, rows) in pairs(&rows) {
            if let Some(table) = some.get(at) {
                counts.insert(table.clone(), Count { rows, exact: true });
            }
        }
    }
    Ok(Some(counts))
}

pub(super) fn faults(sqlite: &Sqlite, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
    Ok(sqlite.on(|session| found(session, Instant::now() + budget))?)
}

/// The same over an open file.
pub(super) fn found(
    session: &mut Connection<SqliteConnection>,
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
