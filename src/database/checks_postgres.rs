//! Rows and faults of PostgreSQL.
//!
//! `SET LOCAL` in one message with a query holds for that query: the message is a transaction of its
//! own, which ends with it whatever happens.

use std::time::Duration;

use sqlx::postgres::PgRow;

use super::postgres::Postgres;
use super::probe::{Probe, ask_all};
use super::session::{SessionError, number, text};
use super::{DatabaseError, Limited};
use crate::domain::checks::{Count, Counts, Faults};

/// `query_canceled`, which is how a statement timeout ends.
const CANCELED: &str = "57014";

/// Each table with rows of its own that we may read. `-1` rows: never analyzed, and then the size
/// says how much there is to read.
const TABLES: &str = r"
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), greatest(c.reltuples, 0)::bigint,
        greatest(c.reltuples, c.relpages * 10, pg_relation_size(c.oid) / 100)::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

const FAULTS: &str = r"
    WITH own AS (
        SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relname, c.relkind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    )
    SELECT 'the index ' || name || ' is invalid' FROM own JOIN pg_index i ON i.indexrelid = own.oid
    WHERE NOT i.indisvalid AND own.relkind = 'i'
    UNION ALL
    SELECT 'the constraint ' || quote_ident(k.conname) || ' of ' || name || ' is not validated'
    FROM own JOIN pg_constraint k ON k.conrelid = own.oid WHERE NOT k.convalidated
    UNION ALL
    SELECT 'the table ' || name || ' of a batch migration is left over' FROM own
    WHERE relkind = 'r' AND relname LIKE '\_alembic\_tmp\_%'";

/// What of the faults is the rest of a step. A constraint may well wait for its validation.
pub(super) fn leftovers(postgres: &mut Postgres) -> Result<Vec<String>, DatabaseError> {
    let rows = postgres.session.rows(FAULTS)?;
    let faults = rows.iter().filter_map(|row| text(row, 0));
    Ok(faults
        .filter(|fault| !fault.starts_with("the constraint "))
        .collect())
}

fn limited(sql: &str, limit: Duration) -> String {
    let milliseconds = limit.as_millis().max(1);
    format!(
        "SET LOCAL statement_timeout = {milliseconds}; SET LOCAL transaction_read_only = on; {sql}"
    )
}

/// A statement that is ended after `limit` and changes nothing; `None` where it was.
pub(super) fn ask(
    postgres: &mut Postgres,
    sql: &str,
    limit: Duration,
) -> Result<Option<Vec<PgRow>>, SessionError> {
    match postgres.session.rows(&limited(sql, limit)) {
        Err(error) if error.is_code(&[CANCELED]) => Ok(None),
        result => result.map(Some),
    }
}

pub(super) fn counts(postgres: &mut Postgres, budget: Duration) -> Limited<Counts> {
    let Some(rows) = ask(postgres, TABLES, budget)? else {
        return Ok(None);
    };
    let mut counts = Counts::new();
    let mut probes = Vec::new();
    for row in &rows {
        let (Some(table), Some(rows), Some(weight)) =
            (text(row, 0), number(row, 1), number(row, 2))
        else {
            continue;
        };
        let from = format!("ONLY {table}");
        probes.push(Probe {
            key: table.clone(),
            from,
            weight,
        });
        counts.insert(table, Count { rows, exact: false });
    }
    let answers = ask_all(probes, budget, |sql, left| {
        let rows = ask(postgres, sql, left)?;
        Ok(rows.map(|rows| super::probe::pairs(&rows)))
    });
    let exact = |rows| Count { rows, exact: true };
    counts.extend(
        answers
            .counts
            .into_iter()
            .map(|(table, rows)| (table, exact(rows))),
    );
    Ok(Some(counts))
}

pub(super) fn faults(
    postgres: &mut Postgres,
    budget: Duration,
) -> Result<Option<Faults>, DatabaseError> {
    let rows = ask(postgres, FAULTS, budget)?;
    Ok(rows.map(|rows| {
        rows.iter()
            .filter_map(|row| Some((text(row, 0)?, 1)))
            .collect()
    }))
}
