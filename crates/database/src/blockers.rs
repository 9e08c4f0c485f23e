//! Who stands in the way: the servers' own lists of sessions and locks.
//!
//! Named are the sessions at the root. One that is waited for and waits itself, such as the engine
//! with the application's queries behind it, is the victim and not the cause.

use std::time::Duration;

use sqlx::Row as _;

use super::DatabaseError;
use super::connection::{Connection, text};
use rollback_core::blocker::{Blocker, shortened};

/// `pg_blocking_pids` names who holds a lock that conflicts and who stands before in its queue. A
/// prepared transaction is 0 there.
const POSTGRES: &str = r"
    WITH waiting AS (
        SELECT pid, pg_catalog.pg_blocking_pids(pid) AS behind FROM pg_catalog.pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    ), session AS (
        SELECT pid, usename AS owner,
            coalesce(nullif(application_name, ''), host(client_addr)) AS application, state,
            extract(epoch FROM clock_timestamp() - xact_start) AS age,
            extract(epoch FROM clock_timestamp() - query_start) AS query_age, left(query, 400) AS query
        FROM pg_catalog.pg_stat_activity
        WHERE pid <> pg_backend_pid() AND (datname = current_database() OR pid IN (SELECT unnest(behind) FROM waiting))
        UNION ALL
        SELECT 0, owner, gid, 'prepared', extract(epoch FROM clock_timestamp() - prepared), NULL, NULL
        FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
    ), told AS (
        SELECT session.*, EXISTS (SELECT FROM waiting WHERE session.pid = ANY (behind)) AS blocks
        FROM session WHERE pid NOT IN (SELECT pid FROM waiting)
    )
    SELECT pid, owner, application, state, age, query_age, query, CASE WHEN blocks THEN 1 ELSE 0 END
    FROM told WHERE blocks OR age > ";

/// Sessions in a transaction. Which tables they hold only a plugin or another product's catalog says;
/// but while somebody of this database waits for a lock, it is for one of these.
const MYSQL: &str = r"
    SELECT p.id, p.user, p.host, LOWER(CONCAT(p.command, IF(p.command = 'Sleep', ' in transaction', ''))),
        TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), p.time, LEFT(COALESCE(p.info, t.trx_query), 400),
        EXISTS (SELECT 1 FROM information_schema.processlist w WHERE w.db = DATABASE() AND w.id <> p.id
            AND (w.state LIKE 'Waiting for%lock%' OR w.id IN (
                SELECT l.trx_mysql_thread_id FROM information_schema.innodb_trx l WHERE l.trx_state = 'LOCK WAIT')))
    FROM information_schema.innodb_trx t
        JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
    WHERE p.id <> CONNECTION_ID() AND (p.db = DATABASE() OR p.db IS NULL)
        AND t.trx_state <> 'LOCK WAIT' AND COALESCE(p.state, '') NOT LIKE 'Waiting for%lock%'";

/// With the plugin `metadata_lock_info` of MariaDB: who holds a lock on a table of this database, also
/// without a transaction of `InnoDB` (`LOCK TABLES`, another storage engine).
const MARIADB_HOLDERS: &str = r"
    SELECT DISTINCT m.thread_id FROM information_schema.metadata_lock_info m
    WHERE m.table_schema = DATABASE()";

/// What the servers say without the plugin.
const NO_SUCH_TABLE: &str = "42S02";

const MARIADB_SESSIONS: &str = r"
    SELECT p.id, p.user, p.host, LOWER(p.command), NULL, p.time, LEFT(p.info, 400), 1
    FROM information_schema.processlist p
    WHERE p.id <> CONNECTION_ID() AND COALESCE(p.state, '') NOT LIKE 'Waiting for%lock%'
        AND EXISTS (SELECT 1 FROM information_schema.processlist w WHERE w.db = DATABASE() AND w.id <> p.id
            AND w.state LIKE 'Waiting for%lock%')
        AND p.id IN ";

pub(super) fn of_postgres(
    session: &mut Connection<sqlx::PgConnection>,
    open_for: Duration,
) -> Result<Vec<Blocker>, DatabaseError> {
    let rows = session.glance(&format!("{POSTGRES}{}", open_for.as_secs_f64()))?;
    Ok(rows
        .iter()
        .map(|row| blocker(|index| text(row, index)))
        .collect())
}

pub(super) fn of_mysql(
    session: &mut Connection<sqlx::MySqlConnection>,
    open_for: Duration,
    tells_holders: &mut bool,
) -> Result<Vec<Blocker>, DatabaseError> {
    let rows = session.glance(MYSQL)?;
    let mut found: Vec<Blocker> = rows
        .iter()
        .map(|row| blocker(|index| text(row, index)))
        .collect();
    // Not every server has the plugin, and it tells what we would like to know only.
    let mut holders: Vec<String> = Vec::new();
    if *tells_holders {
        match session.glance(MARIADB_HOLDERS) {
            Ok(rows) => holders = rows.iter().filter_map(|row| text(row, 0)).collect(),
            Err(error) => *tells_holders = !error.is_code(&[NO_SUCH_TABLE]),
        }
    }
    if !holders.is_empty() {
        let holds = |one: &Blocker| holders.contains(&one.pid.to_string());
        if found.iter().any(|one| one.blocks && holds(one)) {
            for one in &mut found {
                one.blocks = one.blocks && holds(one);
            }
        }
        let others = format!("{MARIADB_SESSIONS}({})", holders.join(", "));
        for row in session.glance(&others)? {
            let other = blocker(|index| text(&row, index));
            if row.len() > 0 && !found.iter().any(|one| one.pid == other.pid) {
                found.push(other);
            }
        }
    }
    found.retain(|one| one.blocks || one.transaction_age.is_some_and(|age| age > open_for));
    Ok(found)
}

fn blocker(column: impl Fn(usize) -> Option<String>) -> Blocker {
    let seconds = |index| {
        let value: f64 = column(index)?.parse().ok()?;
        Duration::try_from_secs_f64(value.max(0.0)).ok()
    };
    Blocker {
        pid: column(0).and_then(|pid| pid.parse().ok()).unwrap_or(0),
        user: column(1),
        application: column(2),
        state: column(3),
        transaction_age: seconds(4),
        query_age: seconds(5),
        query: column(6).map(|query| shortened(&query)),
        blocks: column(7).as_deref() == Some("1"),
    }
}
