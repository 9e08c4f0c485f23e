//! What PostgreSQL shows of a step that left nothing: the fate of every transaction since, and where that does not
//! decide, the rows themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::DatabaseError;
use super::checks_postgres::{self, TABLES};
use super::postgres::Postgres;
use super::postgres_looks::Asks as _;
use super::probe::{CountQuery, ask_all};
use rollback_core::checks::{Health, is_rollbacks_own};
use rollback_core::connection::VersionTable;
use rollback_core::proof::{
    Counted, PostgresEvidence, PostgresTrace, SequenceEvidence, StepSession, TableTrace,
};
use rollback_core::query::TextRows;

/// How long these questions may take, each.
const LIMIT: Duration = Duration::from_secs(5);

/// How long transactions that are about to end are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

const TICK: Duration = Duration::from_millis(50);

/// More transactions than these are not asked for one by one.
const MANY: u64 = 1_000_000;

const SEQUENCES: &str = "(SELECT json_object_agg(quote_ident(schemaname) || '.' || quote_ident(sequencename), \
     json_build_array(last_value, increment_by))::text FROM pg_catalog.pg_sequences)";

/// Notes what a later look is compared with.
pub(super) fn evidence(
    postgres: &mut Postgres,
    version: &VersionTable,
    health: Option<&Health>,
) -> Result<PostgresEvidence, DatabaseError> {
    let sql = format!("SELECT txid_current_snapshot()::text, clock_timestamp()::text, {SEQUENCES}");
    let rows = postgres.ask(&sql, Some(LIMIT))?;
    let counted = health.and_then(|health| {
        let mut rows = health.exact_rows();
        rows.retain(|table, _| !is_rollbacks_own(table, version));
        Some(Counted {
            snapshot: health.snapshot.clone()?,
            rows,
            gone: Vec::new(),
        })
    });
    Ok(PostgresEvidence {
        snapshot: value(&rows, 0),
        moment: value(&rows, 1),
        sequences: sequences(&value(&rows, 2)),
        counted,
    })
}

/// Looks at what happened since.
pub(super) fn trace(
    postgres: &mut Postgres,
    before: &PostgresEvidence,
    step: Option<&StepSession>,
    table: &VersionTable,
    budget: Duration,
) -> Result<PostgresTrace, DatabaseError> {
    let Some(from) = xmax(&before.snapshot) else {
        return Ok(PostgresTrace {
            wound_back: true,
            ..PostgresTrace::default()
        });
    };
    let at_work = still_at_work(postgres, &before.moment)?;
    let sql = format!("SELECT txid_snapshot_xmax(txid_current_snapshot())::text, {SEQUENCES}");
    let rows = postgres.ask(&sql, Some(LIMIT))?;
    let until: u64 = value(&rows, 0).parse().unwrap_or_default();
    let mut trace = PostgresTrace {
        wound_back: until < from,
        at_work,
        sequences: sequences(&value(&rows, 1)),
        ..PostgresTrace::default()
    };
    if trace.wound_back {
        return Ok(trace);
    }
    trace.kept = not_rolled_back(postgres, from, until)?;
    if trace.kept == 0 {
        return Ok(trace);
    }
    if let Some(step) = step {
        trace.step_rolled_back = are_rolled_back(postgres, &step.transactions)?;
    }
    if let (false, Some(counted)) = (trace.step_rolled_back, &before.counted) {
        trace.unreadable = unreadable(postgres)?;
        trace.tables = tables(postgres, &counted.snapshot, table, budget)?;
    }
    Ok(trace)
}

fn value(rows: &TextRows, column: usize) -> String {
    let row = rows.first();
    row.and_then(|row| row.get(column)?.clone())
        .unwrap_or_default()
}

fn sequences(json: &str) -> BTreeMap<String, SequenceEvidence> {
    // Without a sequence there is no object.
    serde_json::from_str(json).unwrap_or_default()
}

/// The end of a snapshot `XMIN:XMAX:XIP,...`.
fn xmax(snapshot: &str) -> Option<u64> {
    snapshot.split(':').nth(1)?.parse().ok()
}

/// Whether a session that began after a moment is in a transaction and stays in it. One whose client is gone ends
/// by itself unless it is in the middle of a statement.
fn still_at_work(postgres: &mut Postgres, since: &str) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT pid || ' ' || xact_start FROM pg_catalog.pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_start >= '{}'::timestamptz AND xact_start IS NOT NULL \
         AND application_name NOT LIKE 'rollback%'",
        since.replace('\'', "''")
    );
    let end = Instant::now() + PATIENCE;
    let mut first: Option<Vec<String>> = None;
    loop {
        let rows = postgres.ask(&sql, Some(LIMIT))?;
        let now: Vec<String> = rows.into_iter().flatten().flatten().collect();
        let first = first.get_or_insert_with(|| now.clone());
        first.retain(|session| now.contains(session));
        if first.is_empty() {
            return Ok(false);
        }
        if Instant::now() >= end {
            return Ok(true);
        }
        std::thread::sleep(TICK);
    }
}

/// How many transactions with these numbers were not rolled back. Those that are under way are waited for.
fn not_rolled_back(postgres: &mut Postgres, from: u64, until: u64) -> Result<u64, DatabaseError> {
    if until - from > MANY {
        return Ok(until - from);
    }
    let last = until.saturating_sub(1);
    let sql = format!(
        "SELECT count(*) FILTER (WHERE status IS DISTINCT FROM 'in progress')::text, \
         count(*) FILTER (WHERE status = 'in progress')::text \
         FROM (SELECT txid_status(x) AS status FROM generate_series({from}, {last}) x) s \
         WHERE status IS DISTINCT FROM 'aborted'"
    );
    let end = Instant::now() + PATIENCE;
    loop {
        let rows = postgres.ask(&sql, Some(LIMIT))?;
        let [kept, under_way] = [0, 1].map(|column| value(&rows, column).parse().unwrap_or(1));
        if kept > 0 || under_way == 0 || Instant::now() >= end {
            return Ok(kept + under_way);
        }
        std::thread::sleep(TICK);
    }
}

fn are_rolled_back(postgres: &mut Postgres, numbers: &[u64]) -> Result<bool, DatabaseError> {
    for number in numbers {
        let sql = format!("SELECT txid_status({number})");
        if value(&postgres.ask(&sql, Some(LIMIT))?, 0) != "aborted" {
            return Ok(false);
        }
    }
    Ok(!numbers.is_empty())
}

/// How many tables the user may not read, which are in no count.
fn unreadable(postgres: &mut Postgres) -> Result<u64, DatabaseError> {
    let rows = postgres.ask(
        "SELECT count(*)::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))",
        Some(LIMIT),
    )?;
    Ok(value(&rows, 0).parse().unwrap_or(1))
}

/// Counts each table, and its rows that the snapshot did not see. The column `xmin` has the lower half of a number,
/// which is compared around the circle.
fn tables(
    postgres: &mut Postgres,
    snapshot: &str,
    version: &VersionTable,
    budget: Duration,
) -> Result<BTreeMap<String, TableTrace>, DatabaseError> {
    const HALF: u64 = 1 << 32;
    let Some(listed) = checks_postgres::ask(postgres, TABLES, budget)? else {
        return Ok(BTreeMap::new());
    };
    let counts = checks_postgres::counted(postgres, listed.clone(), budget);
    let from = xmax(snapshot).unwrap_or_default() % HALF;
    let under_way: Vec<String> = snapshot
        .split(':')
        .nth(2)
        .unwrap_or_default()
        .split(',')
        .filter_map(|number| number.parse::<u64>().ok())
        .map(|number| (number % HALF).to_string())
        .collect();
    let number = "xmin::text::bigint";
    let mut is_newer =
        format!("({number} > 2 AND (({number} - {from}) & 4294967295) < 2147483648)");
    if !under_way.is_empty() {
        is_newer.push_str(&format!(" OR {number} IN ({})", under_way.join(", ")));
    }
    let mut found: BTreeMap<String, TableTrace> = BTreeMap::new();
    let mut probes = Vec::new();
    for row in listed {
        let [Some(table), _, Some(weight), empty] = row.as_slice() else {
            continue;
        };
        if is_rollbacks_own(table, version) {
            continue;
        }
        let count = counts.get(table).filter(|count| count.exact);
        let newer = empty.is_some().then_some(0);
        let rows = count.map(|count| count.rows);
        found.insert(table.clone(), TableTrace { rows, newer });
        if newer.is_none() {
            probes.push(CountQuery {
                key: table.clone(),
                from: format!("ONLY {table} WHERE {is_newer}"),
                weight: weight.parse().unwrap_or(u64::MAX),
            });
        }
    }
    let answers = ask_all(probes, budget, |sql, left| {
        let rows = checks_postgres::ask(postgres, sql, left)?;
        Ok(rows.map(|rows| {
            rows.iter()
                .filter_map(|row| checks_postgres::pair(row))
                .collect()
        }))
    });
    for (table, newer) in answers.counts {
        if let Some(table) = found.get_mut(&table) {
            table.newer = Some(newer);
        }
    }
    Ok(found)
}
