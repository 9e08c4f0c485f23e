//! Rows and faults of MariaDB and MySQL.
//!
//! The limits are part of the statement, so that nothing of the session is changed.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::mysql::MySqlRow;

use super::connection::{SessionError, number, text, texts};
use super::failure::FailureKind;
use super::mysql::MySql;
use super::probe::{CountQuery, ask_all, pairs};
use super::{Limited, quoted};
use rollback_core::checks::{Count, Counts, Faults, Leftover};

/// `ER_STATEMENT_TIMEOUT` of MariaDB, `ER_QUERY_TIMEOUT` of MySQL, and `ER_LOCK_WAIT_TIMEOUT` of both.
const OVER_TIME: [u16; 3] = [1969, 3024, 1205];

pub(super) const TABLES: &str = "
    SELECT table_name, table_rows, GREATEST(table_rows, data_length DIV 100)
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'";

/// The foreign keys with the condition that joins them, and whether the table that they need exists. The
/// tables are put together first: looked up one by one, the server would open each again.
pub(super) const FOREIGN_KEYS: &str = r"
    SELECT k.table_name, k.constraint_name, k.other_schema, k.other, k.are_set, k.fit, t.table_rows,
        IF(k.other_schema = DATABASE(), p.table_name, (SELECT MAX(o.table_name) FROM information_schema.tables o
            WHERE o.table_schema = k.other_schema AND o.table_name = k.other))
    FROM (SELECT table_name, constraint_name, MAX(referenced_table_schema) AS other_schema,
            MAX(referenced_table_name) AS other,
            GROUP_CONCAT(CONCAT('c.`', REPLACE(column_name, '`', '``'), '` IS NOT NULL') SEPARATOR ' AND ') AS are_set,
            GROUP_CONCAT(CONCAT('p.`', REPLACE(referenced_column_name, '`', '``'), '` = c.`',
                REPLACE(column_name, '`', '``'), '`') SEPARATOR ' AND ') AS fit
        FROM information_schema.key_column_usage
        WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL
        GROUP BY table_name, constraint_name) k
        JOIN (SELECT DISTINCT table_name, table_rows FROM information_schema.tables
            WHERE table_schema = DATABASE()) t ON t.table_name = k.table_name
        LEFT JOIN (SELECT DISTINCT table_name FROM information_schema.tables
            WHERE table_schema = DATABASE()) p ON p.table_name = k.other";

pub(super) const LEFTOVERS: &str = "SELECT table_name FROM information_schema.tables \
     WHERE table_schema = DATABASE() AND table_name LIKE '\\_alembic\\_tmp\\_%'";

pub(super) fn limited(sql: &str, limit: Duration) -> String {
    let seconds = limit.as_secs_f64().max(0.001);
    let whole = limit.as_secs().max(1);
    let hinted = match sql.strip_prefix("SELECT ") {
        Some(rest) => format!(
            "SELECT /*+ MAX_EXECUTION_TIME({}) */ {rest}",
            limit.as_millis().max(1)
        ),
        None => sql.to_owned(),
    };
    format!(
        "/*M!100102 SET STATEMENT max_statement_time={seconds:.3}, lock_wait_timeout={whole} FOR */ {hinted}"
    )
}

/// A statement that is ended after `limit`; `None` where it was.
pub(super) fn ask(
    mysql: &mut MySql,
    sql: &str,
    limit: Duration,
) -> Result<Option<Vec<MySqlRow>>, SessionError> {
    match mysql.session.rows(&limited(sql.trim_start(), limit)) {
        Err(error) if error.is_number(&OVER_TIME) => Ok(None),
        result => result.map(Some),
    }
}

/// A query of the user's, in a session that refuses to change anything: there a statement that would
/// change a table, or would commit one, fails with error 1792. The session stays so, until something is
/// written over it.
pub(super) fn query(
    mysql: &mut MySql,
    sql: &str,
    limit: Duration,
) -> Result<Option<Vec<MySqlRow>>, SessionError> {
    let text = limited(sql.trim_start(), limit);
    mysql.become_read_only()?;
    // On this connection or none: a new one would not be read-only.
    let mut answer = mysql.session.rows_here(&text);
    if matches!(&answer, Err(error) if error.failure == FailureKind::Broken) {
        mysql.may_have_changed();
        mysql.become_read_only()?;
        answer = mysql.session.rows_here(&text);
    }
    let answer = match answer {
        Err(error) if error.is_number(&OVER_TIME) => Ok(None),
        answer => answer.map(Some),
    };
    if may_stay_in_the_way(sql) {
        if let Err(error) = mysql.session.rows("ROLLBACK") {
            return answer.and(Err(error));
        }
        // Whatever it set, the next one is asked to be read-only again.
        mysql.may_have_changed();
    }
    answer
}

/// Whether a query of a project may begin a transaction, which the engine would wait for, or set something of the
/// session.
fn may_stay_in_the_way(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    ["begin", "start", "set", "call", "/*"]
        .iter()
        .any(|word| sql.contains(word))
}

pub(super) fn counts(mysql: &mut MySql, budget: Duration) -> Limited<Counts> {
    let tables = ask(mysql, TABLES, budget)?;
    Ok(tables.map(|tables| counted(mysql, &tables, budget)))
}

/// The rows of these [`TABLES`].
pub(super) fn counted(mysql: &mut MySql, tables: &[MySqlRow], budget: Duration) -> Counts {
    let mut counts = Counts::new();
    let mut probes = Vec::new();
    for row in tables {
        let Some(table) = text(row, 0) else { continue };
        let rows = number(row, 1).unwrap_or_default();
        probes.push(CountQuery {
            key: table.clone(),
            from: quoted(&table, '`'),
            weight: number(row, 2).unwrap_or_default(),
        });
        counts.insert(table, Count { rows, exact: false });
    }
    let answers = ask_all(probes, budget, |sql, left| {
        Ok(ask(mysql, sql, left)?.map(|rows| pairs(&texts(&rows))))
    });
    let exact = |rows| Count { rows, exact: true };
    counts.extend(
        answers
            .counts
            .into_iter()
            .map(|(table, rows)| (table, exact(rows))),
    );
    counts
}

/// Orphans that came in while the checks of foreign keys were off, and leftovers. The second is what
/// the time did not allow to look for.
pub(super) fn faults(mysql: &mut MySql, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
    let (Some(tables), Some(keys)) = (
        ask(mysql, LEFTOVERS, budget)?,
        ask(mysql, FOREIGN_KEYS, budget)?,
    ) else {
        return Ok(None);
    };
    Ok(Some(found(mysql, &tables, &keys, budget)))
}

/// What of these [`LEFTOVERS`] and [`FOREIGN_KEYS`] is a fault.
pub(super) fn found(
    mysql: &mut MySql,
    tables: &[MySqlRow],
    keys: &[MySqlRow],
    budget: Duration,
) -> (Faults, BTreeSet<String>) {
    let mut faults: Faults = tables
        .iter()
        .filter_map(|row| Some((Leftover::Table(text(row, 0)?).to_string(), 1)))
        .collect();
    let mut probes = Vec::new();
    for row in keys {
        let column = |index| text(row, index).unwrap_or_default();
        let (table, parent) = (column(0), column(3));
        if text(row, 7).is_none() {
            let fault = format!(
                "the foreign key {} of {table} needs the table {parent}, which is gone",
                column(1)
            );
            faults.insert(fault, 1);
            continue;
        }
        probes.push(CountQuery {
            key: format!("rows of {table} have no row in {parent} ({})", column(1)),
            from: format!(
                "{} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {}.{} p WHERE {})",
                quoted(&table, '`'),
                column(4),
                quoted(&column(2), '`'),
                quoted(&parent, '`'),
                column(5)
            ),
            weight: number(row, 6).unwrap_or_default(),
        });
    }
    let asked: BTreeSet<String> = probes.iter().map(|probe| probe.key.clone()).collect();
    let answers = ask_all(probes, budget, |sql, left| {
        Ok(ask(mysql, sql, left)?.map(|rows| pairs(&texts(&rows))))
    });
    let unchecked = asked
        .into_iter()
        .filter(|key| !answers.counts.contains_key(key))
        .collect();
    faults.extend(answers.counts.into_iter().filter(|(_, rows)| *rows > 0));
    (faults, unchecked)
}
