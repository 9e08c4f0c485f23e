//! What a step did, read inside its own transaction on PostgreSQL 10 and later, over the engine's connection.
//!
//! Every call is one round trip. Its statements run in a savepoint that is rolled back, so that the settings end with
//! it and nothing of the transaction changes. Every name is qualified, because a table of the project or a temporary
//! one may have any name; operators are not, because the server looks for them in `pg_catalog` first unless
//! `search_path` says otherwise.
//!
//! A call that fails has measured nothing, and a step that was not measured must not be kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::quoted;
use rollback_core::checks::is_rollbacks_own;
use rollback_core::connection::VersionTable;
use rollback_core::effect::{Column, CountRequest, Effect, Inventory, RowCounts, Table};
use rollback_core::operation::TableName;
use rollback_core::query::{Queries, QueryError, TextRows};

const INVENTORY: &str = include_str!("effects_postgres.sql");

/// The size opens the table for a moment, for which it waits if another session holds an ACCESS EXCLUSIVE lock. It is
/// asked only of tables that had no page when they were vacuumed or analyzed last, because 1,500 sizes take longer than
/// all the rest.
const BY_SIZE: &str =
    "own.relkind = 'r' AND (own.relpages > 0 OR pg_catalog.pg_relation_size(own.oid) > 0)";

/// Without a look at the files: all are taken to hold data.
const ALL: &str = "own.relkind = 'r'";

/// The columns of every table. They are most of the work.
const ALL_COLUMNS: &str = "SELECT own.oid AS owner, a.attnum, a.attname, a.atttypid, a.atttypmod
    FROM own LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = own.oid AND a.attnum > 0 AND NOT a.attisdropped";

/// The columns of the tables that the transaction may have altered: nobody drops or alters a column without an ACCESS
/// EXCLUSIVE lock, which is held to the end. `OFFSET 0` makes the server look up each table by the index.
const LOCKED_COLUMNS: &str = "SELECT l.relation AS owner, a.attnum, a.attname, a.atttypid, a.atttypmod
    FROM (SELECT DISTINCT k.relation FROM pg_catalog.pg_locks k WHERE k.pid = pg_catalog.pg_backend_pid()
            AND k.locktype = 'relation' AND k.mode = 'AccessExclusiveLock' AND k.granted) l
        LEFT JOIN LATERAL (SELECT c.attnum, c.attname, c.atttypid, c.atttypmod FROM pg_catalog.pg_attribute c
            WHERE c.attrelid = l.relation AND c.attnum > 0 AND NOT c.attisdropped OFFSET 0) a ON true";

/// The step must not be lost to a limit that was set for its own statements. To compile the query would take longer
/// than to run it, and before release 11 the server has no such setting.
///
/// A count must not leave out rows that a policy hides: without `row_security` the server refuses it instead.
const SETTINGS: &str = "SELECT pg_catalog.set_config('statement_timeout', '0', true), \
     pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true), \
     pg_catalog.set_config('lock_timeout', '2s', true), \
     pg_catalog.set_config('row_security', 'off', true), \
     CASE WHEN pg_catalog.current_setting('jit', true) IS NOT NULL \
     THEN pg_catalog.set_config('jit', 'off', true) END";

/// Notes every table but the version table, those of rollback and those of extensions. To be called at the start of
/// the first step of a session, before its first statement.
pub fn inventory(
    transaction: &mut dyn Queries,
    version: &VersionTable,
) -> Result<Inventory, QueryError> {
    sized(transaction, ALL_COLUMNS, version, &Inventory::default())
}

/// The same at the start of a later step, for a part of the work: `last` is what the session read at the end of the
/// step before, and the columns are taken from it. A column that another session changed between is not noticed.
pub fn inventory_at_start(
    transaction: &mut dyn Queries,
    version: &VersionTable,
    last: &Inventory,
) -> Result<Inventory, QueryError> {
    sized(transaction, LOCKED_COLUMNS, version, last)
}

/// The same at the end of a step: after `SET CONSTRAINTS ALL IMMEDIATE`, right before the commit. `start` is what was
/// read at its start, in the same transaction.
pub fn inventory_at_end(
    transaction: &mut dyn Queries,
    version: &VersionTable,
    start: &Inventory,
) -> Result<Inventory, QueryError> {
    read(
        &ask(transaction, &query(LOCKED_COLUMNS, ALL))?,
        version,
        start,
    )
}

fn query(parts: &str, holds_data: &str) -> String {
    INVENTORY
        .replace("{PARTS}", parts)
        .replace("{HOLDS_DATA}", holds_data)
}

fn sized(
    transaction: &mut dyn Queries,
    parts: &str,
    version: &VersionTable,
    known: &Inventory,
) -> Result<Inventory, QueryError> {
    let rows = match ask(transaction, &query(parts, BY_SIZE)) {
        Err(error) if is_lock_timeout(&error) => ask(transaction, &query(parts, ALL))?,
        rows => rows?,
    };
    read(&rows, version, known)
}

fn is_lock_timeout(error: &QueryError) -> bool {
    error.code.as_deref() == Some("55P03")
}

fn ask(transaction: &mut dyn Queries, sql: &str) -> Result<TextRows, QueryError> {
    transaction.rows(&[SETTINGS, sql])
}

/// The answer to [`INVENTORY`].
#[derive(Deserialize)]
struct EffectAnswer {
    track_counts: bool,
    search_path: Vec<String>,
    types: Option<Vec<(u32, i32, String)>>,
    tables: Option<Vec<EffectRow>>,
}

/// OID, schema, name, relfilenode, whether it holds data, parent, rows inserted, updated and deleted, columns.
type EffectRow = (
    u32,
    String,
    String,
    u32,
    bool,
    Option<u32>,
    u64,
    u64,
    u64,
    Option<Vec<(i16, String, u32, i32)>>,
);

/// Reads the answer; the columns of a table that is not among them are the known ones.
fn read(
    rows: &TextRows,
    version: &VersionTable,
    known: &Inventory,
) -> Result<Inventory, QueryError> {
    let text = rows.first().and_then(|row| row.first()?.as_deref());
    let answer: EffectAnswer =
        serde_json::from_str(text.unwrap_or_default()).map_err(|error| QueryError {
            code: None,
            reason: format!("the tables cannot be read: {error}"),
        })?;
    let types: BTreeMap<(u32, i32), String> = answer
        .types
        .unwrap_or_default()
        .into_iter()
        .map(|(oid, modifier, name)| ((oid, modifier), name))
        .collect();
    let tables = answer.tables.unwrap_or_default().into_iter();
    let tables = tables.filter_map(|row| {
        let (oid, schema, name, storage, holds_data, parent, inserted, updated, deleted, columns) =
            row;
        if is_rollbacks_own(&format!("{schema}.{name}"), version) {
            return None;
        }
        let columns = columns.map(|columns| {
            let columns = columns.into_iter().map(|(number, name, oid, modifier)| {
                let type_id = (oid, modifier);
                let type_name = types.get(&type_id).cloned().unwrap_or_default();
                let column = Column {
                    name,
                    type_id,
                    type_name,
                };
                (number, column)
            });
            columns.collect()
        });
        let of_before = || known.tables.get(&oid).map(|table| table.columns.clone());
        let table = Table {
            schema,
            name,
            storage,
            holds_data,
            parent,
            columns: columns.or_else(of_before).unwrap_or_default(),
            rows: RowCounts {
                inserted,
                updated,
                deleted,
            },
        };
        Some((oid, table))
    });
    Ok(Inventory {
        track_counts: answer.track_counts,
        search_path: answer.search_path,
        tables: tables.collect(),
    })
}

/// Looks up which of the rewritten tables have rows left that they had before the step: more than were inserted
/// since. Reads one row more than that of each table, and none if nothing was rewritten.
pub fn look_up_emptied(
    transaction: &mut dyn Queries,
    effect: &mut Effect,
) -> Result<(), QueryError> {
    for rewritten in &mut effect.rewritten_tables {
        let Some(now) = &rewritten.table.now else {
            continue;
        };
        let sql = format!(
            "SELECT pg_catalog.count(*)::pg_catalog.text FROM (SELECT FROM ONLY {} LIMIT {}) head",
            full_name(now),
            rewritten.inserted.saturating_add(1)
        );
        match ask(transaction, &sql) {
            Ok(rows) => {
                rewritten.emptied = number(&rows).map(|rows| rows <= rewritten.inserted);
            }
            // The role may not see all rows.
            Err(error) if error.code.as_deref().is_some_and(is_refused) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Counts inside the transaction what a surprise has to be confirmed by. `None` where the role may not see all rows,
/// or nothing has to be counted there.
pub fn count_now(
    transaction: &mut dyn Queries,
    request: &CountRequest,
) -> Result<Option<u64>, QueryError> {
    let Some(now) = &request.now else {
        return Ok(None);
    };
    match ask(transaction, &count(now, None)) {
        Ok(rows) => Ok(number(&rows)),
        Err(error) if error.code.as_deref().is_some_and(is_refused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The query that counts the same after the step was rolled back: rows, or the values of a column.
pub fn count_after_rollback(request: &CountRequest) -> String {
    count(&request.table, request.column.as_deref())
}

fn count(table: &TableName, column: Option<&str>) -> String {
    let what = column.map_or_else(|| "*".to_owned(), |column| quoted(column, '"'));
    format!(
        "SELECT pg_catalog.count({what})::pg_catalog.text FROM {}",
        full_name(table)
    )
}

fn full_name(table: &TableName) -> String {
    let schema = table
        .schema
        .as_deref()
        .map(|schema| quoted(schema, '"') + ".");
    schema.unwrap_or_default() + &quoted(&table.name, '"')
}

fn number(rows: &TextRows) -> Option<u64> {
    rows.first()?.first()?.as_deref()?.parse().ok()
}

/// No right to read the table, or not all of its rows.
fn is_refused(code: &str) -> bool {
    code == "42501"
}
