//! Rows and faults of SQLite.
//!
//! The library has no time limit for a statement, but asks every so often whether to go on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, Error};

use super::probe::pairs;
use super::quoted;
use super::sqlite_connection::{is_interrupted, read_until, session_error};
use rollback_core::checks::{Count, Counts, Faults, Leftover};
use rollback_core::query::TextRows;

/// How many tables are counted by one statement. The library takes 500 parts at most.
const TOGETHER: usize = 200;

pub(super) const TABLES: &str = r"SELECT name FROM sqlite_master WHERE type = 'table'
    AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND sql NOT LIKE 'CREATE VIRTUAL%'";

const ORPHANS: &str = r#"SELECT 'rows of ' || "table" || ' have no row in ' || parent, count(*)
    FROM pragma_foreign_key_check GROUP BY "table", parent, fkid"#;

pub(super) const LEFTOVERS: &str = r"SELECT name FROM sqlite_master WHERE type = 'table'
    AND name LIKE '\_alembic\_tmp\_%' ESCAPE '\'";

/// A statement that is ended when the time is over; `None` if it was.
fn ask(connection: &Connection, sql: &str, end: Instant) -> Result<Option<TextRows>, Error> {
    if Instant::now() >= end {
        return Ok(None);
    }
    let mut rows = TextRows::new();
    match read_until(connection, sql, end, &mut rows) {
        Err(error) if is_interrupted(&error) => Ok(None),
        result => result.map(|()| Some(rows)),
    }
}

/// A query of the user's, which can change nothing.
pub(super) fn query(
    connection: &Connection,
    sql: &str,
    end: Instant,
) -> Result<Option<TextRows>, Error> {
    connection.execute_batch("PRAGMA query_only = 1")?;
    ask(connection, sql, end)
}

/// SQLite has no estimates: a table that was too much is estimated at nothing.
pub(super) fn counts(connection: &Connection, end: Instant) -> Result<Option<Counts>, Error> {
    let Some(tables) = ask(connection, TABLES, end)? else {
        return Ok(None);
    };
    let mut counts = Counts::new();
    let tables: Vec<String> = tables.into_iter().flatten().flatten().collect();
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
        let mut rows = TextRows::new();
        match read_until(connection, &each.join(" UNION ALL "), end, &mut rows) {
            Err(error) if !is_interrupted(&error) => return Err(error),
            _ => {}
        }
        for (at, rows) in pairs(&rows) {
            if let Some(table) = some.get(at) {
                counts.insert(table.clone(), Count { rows, exact: true });
            }
        }
    }
    Ok(Some(counts))
}

/// Looks for what is wrong with the data or left over. The second is empty: SQLite looks at all of it or at nothing.
pub(super) fn faults(
    connection: &Connection,
    file: &Path,
    end: Instant,
) -> Result<Option<(Faults, BTreeSet<String>)>, Error> {
    let mut faults = Faults::new();
    let Some(tables) = ask(connection, LEFTOVERS, end)? else {
        return Ok(None);
    };
    for table in tables.into_iter().flatten().flatten() {
        faults.insert(Leftover::Table(table).to_string(), 1);
    }
    match ask(connection, ORPHANS, end) {
        Ok(Some(rows)) => {
            for row in rows {
                if let [Some(fault), Some(times)] = row.as_slice()
                    && let Ok(times) = times.parse::<u64>()
                {
                    *faults.entry(fault.clone()).or_default() += times;
                }
            }
        }
        Ok(None) => return Ok(None),
        // "foreign key mismatch": what a key refers to is not unique, or not there.
        Err(error) => {
            let report = session_error(file, &error).report;
            faults.insert(format!("the foreign keys cannot be checked: {report}"), 1);
        }
    }
    let Some(rows) = ask(connection, "PRAGMA quick_check(20)", end)? else {
        return Ok(None);
    };
    let found = rows.into_iter().flatten().flatten();
    let found = found.filter(|line| line != "ok");
    faults.extend(found.map(|line| (format!("quick_check: {line}"), 1)));
    Ok(Some((faults, BTreeSet::new())))
}
