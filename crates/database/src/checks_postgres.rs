//! Rows and faults of PostgreSQL.

use std::time::Duration;

use super::connection::SessionError;
use super::postgres_looks::Asks;
use super::probe::{CountQuery, ask_all};
use super::{DatabaseError, Limited};
use rollback_core::checks::{Count, Counts, Faults, Leftover, not_validated};
use rollback_core::query::TextRows;

/// `query_canceled`, which is how a statement timeout ends.
const CANCELED: &str = "57014";

/// Each table with rows of its own that we may read. `-1` rows: never analyzed, and then the size
/// says how much there is to read. A heap without a block has no rows, and need not be asked: on a server with
/// many tables most are like that. Before release 12 a table has no access method, and is a heap.
pub(super) const TABLES: &str = r"
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), greatest(c.reltuples, 0)::bigint,
        greatest(c.reltuples, c.relpages * 10, pg_relation_size(c.oid) / 100)::bigint,
        CASE WHEN pg_relation_size(c.oid) = 0 AND c.relam IN (0, 2) THEN 'empty' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

pub(super) const FAULTS: &str = r"
    WITH own AS (
        SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relname, c.relkind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    )
    SELECT 'index', name FROM own JOIN pg_index i ON i.indexrelid = own.oid
    WHERE NOT i.indisvalid AND own.relkind = 'i'
    UNION ALL
    SELECT 'constraint', quote_ident(k.conname) || ' of ' || name
    FROM own JOIN pg_constraint k ON k.conrelid = own.oid WHERE NOT k.convalidated
    UNION ALL
    SELECT 'table', name FROM own
    WHERE relkind = 'r' AND relname LIKE '\_alembic\_tmp\_%'";

/// What of the faults is the rest of a step.
pub(super) fn leftovers(database: &mut impl Asks) -> Result<Vec<Leftover>, DatabaseError> {
    let faults = database.ask(FAULTS, None)?;
    Ok(faults.iter().filter_map(|row| leftover(row)).collect())
}

/// The kind and the name of a fault. A constraint may well wait for its validation.
fn leftover(fault: &[Option<String>]) -> Option<Leftover> {
    match fault {
        [Some(kind), Some(name)] if kind == "index" => Some(Leftover::Index(name.clone())),
        [Some(kind), Some(name)] if kind == "table" => Some(Leftover::Table(name.clone())),
        _ => None,
    }
}

/// A statement that is ended after `limit` and changes nothing; `None` where it was.
pub(super) fn ask(
    database: &mut impl Asks,
    sql: &str,
    limit: Duration,
) -> Result<Option<TextRows>, SessionError> {
    match database.ask(sql, Some(limit)) {
        Err(error) if error.is_code(&[CANCELED]) => Ok(None),
        result => result.map(Some),
    }
}

pub(super) fn counts(database: &mut impl Asks, budget: Duration) -> Limited<Counts> {
    let tables = ask(database, TABLES, budget)?;
    Ok(tables.map(|tables| counted(database, tables, budget)))
}

/// The rows of these [`TABLES`].
pub(super) fn counted(database: &mut impl Asks, tables: TextRows, budget: Duration) -> Counts {
    let exact = |rows| Count { rows, exact: true };
    let mut counts = Counts::new();
    let mut probes = Vec::new();
    for row in tables {
        let [Some(table), Some(rows), Some(weight), empty] = row.as_slice() else {
            continue;
        };
        if empty.is_some() {
            counts.insert(table.clone(), exact(0));
            continue;
        }
        let (Ok(rows), Ok(weight)) = (rows.parse(), weight.parse()) else {
            continue;
        };
        probes.push(CountQuery {
            key: table.clone(),
            from: format!("ONLY {table}"),
            weight,
        });
        counts.insert(table.clone(), Count { rows, exact: false });
    }
    let answers = ask_all(probes, budget, |sql, left| {
        let rows = ask(database, sql, left)?;
        Ok(rows.map(|rows| rows.iter().filter_map(|row| pair(row)).collect()))
    });
    counts.extend(
        answers
            .counts
            .into_iter()
            .map(|(table, rows)| (table, exact(rows))),
    );
    counts
}

/// The two columns of a probe's answer.
pub(super) fn pair(row: &[Option<String>]) -> Option<(usize, u64)> {
    match row {
        [Some(at), Some(rows)] => Some((at.parse().ok()?, rows.parse().ok()?)),
        _ => None,
    }
}

pub(super) fn faults(
    database: &mut impl Asks,
    budget: Duration,
) -> Result<Option<Faults>, DatabaseError> {
    Ok(ask(database, FAULTS, budget)?.map(|rows| found(&rows)))
}

/// The answer to [`FAULTS`].
pub(super) fn found(rows: &[Vec<Option<String>>]) -> Faults {
    let faults = rows.iter().filter_map(|row| match leftover(row) {
        Some(leftover) => Some(leftover.to_string()),
        None => Some(not_validated(row.get(1)?.as_deref()?)),
    });
    faults.map(|fault| (fault, 1)).collect()
}
