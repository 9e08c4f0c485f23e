//! What MySQL and MariaDB show of a step that left nothing: when each table was written last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sqlx::mysql::MySqlRow;

use super::checks_mysql::{self, limited};
use super::connection::{number, text, texts};
use super::mysql::MySql;
use super::probe::{CountQuery, ask_all, pairs};
use super::{DatabaseError, quoted};
use rollback_core::checks::{Health, is_rollbacks_own};
use rollback_core::connection::VersionTable;
use rollback_core::proof::{Hot, MySqlEvidence, MySqlTrace, TableState};

/// How long a statement of a session that was left alone is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

const TICK: Duration = Duration::from_millis(100);

/// Up to this size, in bytes, the rows of a table are put into a checksum at once.
const SMALL: u64 = 4_000_000;

/// MySQL keeps what it says of a table for a day unless told otherwise.
const AS_OF_NOW: &str =
    "SET @rollback_now = 1 /*!80000 , SESSION information_schema_stats_expiry = 0 */";

const SERVER: &str =
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Open_table_definitions')";

const MOMENT: &str = "SELECT UNIX_TIMESTAMP(), CONNECTION_ID(), @@GLOBAL.table_definition_cache";

const TABLES: &str = "SELECT table_name, engine, UNIX_TIMESTAMP(create_time), UNIX_TIMESTAMP(update_time), data_length \
     FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'";

/// The storage engines that note when a table is written.
const NOTING: [&str; 4] = ["innodb", "myisam", "aria", "rocksdb"];

/// The server and its tables at one moment.
struct BinlogMoment {
    second: u64,
    session: u64,
    started: u64,
    forgets: bool,
    tables: Vec<ListedTable>,
}

struct ListedTable {
    name: String,
    notes_writes: bool,
    created: Option<u64>,
    written: Option<u64>,
    bytes: u64,
}

impl ListedTable {
    fn is_written_at(&self, second: u64) -> bool {
        [self.created, self.written]
            .into_iter()
            .flatten()
            .any(|it| it >= second)
    }
}

/// Notes what a later look is compared with. A large table that was written in this very second is waited for until
/// the second is over.
pub(super) fn evidence(
    mysql: &mut MySql,
    version: &VersionTable,
    health: Option<&Health>,
) -> Result<MySqlEvidence, DatabaseError> {
    let mut moment = moment(mysql, version)?;
    let is_large = |moment: &BinlogMoment| {
        let mut tables = moment.tables.iter();
        tables.any(|table| table.is_written_at(moment.second) && table.bytes > SMALL)
    };
    if is_large(&moment) {
        std::thread::sleep(Duration::from_millis(1_050));
        moment = self::moment(mysql, version)?;
    }
    let hot: Vec<&ListedTable> = moment
        .tables
        .iter()
        .filter(|table| table.is_written_at(moment.second))
        .collect();
    let small = hot.iter().filter(|table| table.bytes <= SMALL);
    let small: Vec<&str> = small.map(|table| table.name.as_str()).collect();
    let mut checksums = checksums(mysql, &small);
    let hot = hot.iter().map(|table| {
        let checksum = checksums.remove(&table.name);
        (table.name.clone(), Hot { checksum })
    });
    let hot = hot.collect();
    let counted = health.map(Health::exact_rows).unwrap_or_default();
    let mut empty: BTreeSet<String> = counted
        .iter()
        .filter(|(table, rows)| **rows == 0 && !is_rollbacks_own(table, version))
        .map(|(table, _)| table.clone())
        .collect();
    let names = moment.tables.iter().map(|table| &table.name);
    let uncounted: Vec<&String> = names.filter(|name| !counted.contains_key(*name)).collect();
    let with_rows = with_rows(mysql, &uncounted);
    empty.extend(
        uncounted
            .into_iter()
            .filter(|name| with_rows.get(*name) == Some(&false))
            .cloned(),
    );
    Ok(MySqlEvidence {
        started: moment.started,
        moment: moment.second,
        session: moment.session,
        hot,
        empty,
    })
}

/// Looks at what happened since.
pub(super) fn trace(
    mysql: &mut MySql,
    before: &MySqlEvidence,
    version: &VersionTable,
) -> Result<MySqlTrace, DatabaseError> {
    let at_work = still_at_work(mysql, before.session)?;
    let now = moment(mysql, version)?;
    let hot: Vec<&str> = now
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .filter(|name| {
            before
                .hot
                .get(*name)
                .is_some_and(|hot| hot.checksum.is_some())
        })
        .collect();
    let mut checksums = checksums(mysql, &hot);
    let asked: Vec<&String> = now
        .tables
        .iter()
        .map(|table| &table.name)
        .filter(|name| !before.empty.contains(*name))
        .collect();
    let with_rows = with_rows(mysql, &asked);
    let tables = now.tables.iter().map(|table| {
        let state = TableState {
            notes_writes: table.notes_writes,
            created: table.created,
            written: table.written,
            checksum: checksums.remove(&table.name),
            has_rows: with_rows.get(&table.name).copied(),
        };
        (table.name.clone(), state)
    });
    Ok(MySqlTrace {
        started: now.started,
        at_work,
        forgets: now.forgets,
        tables: tables.collect(),
    })
}

fn moment(mysql: &mut MySql, version: &VersionTable) -> Result<BinlogMoment, DatabaseError> {
    let together = mysql.session.results(&[AS_OF_NOW, MOMENT, SERVER, TABLES]);
    let together = together
        .ok()
        .and_then(|all| <[Vec<MySqlRow>; 4]>::try_from(all).ok());
    let [_, moment, server, tables] = match together {
        Some(answers) => answers,
        // Each by itself opens the connection again that a failure may have closed, and says what is wrong.
        None => [
            mysql.session.rows(AS_OF_NOW)?,
            mysql.session.rows(MOMENT)?,
            mysql.session.rows(SERVER)?,
            mysql.session.rows(TABLES)?,
        ],
    };
    let of_moment = |column| {
        let row = moment.first();
        row.and_then(|row| number(row, column)).unwrap_or_default()
    };
    let status = |name: &str| {
        let mut rows = server.iter();
        let row = rows.find(|row| text(*row, 0).is_some_and(|it| it.eq_ignore_ascii_case(name)));
        row.and_then(|row| number(row, 1)).unwrap_or_default()
    };
    let second = of_moment(0);
    let listed = |row: &MySqlRow| {
        let name = text(row, 0).filter(|name| !is_rollbacks_own(name, version))?;
        let engine = text(row, 1).unwrap_or_default().to_lowercase();
        Some(ListedTable {
            name,
            notes_writes: NOTING.contains(&engine.as_str()),
            created: number(row, 2),
            written: number(row, 3),
            bytes: number(row, 4).unwrap_or(u64::MAX),
        })
    };
    Ok(BinlogMoment {
        second,
        session: of_moment(1),
        started: second.saturating_sub(status("Uptime")),
        forgets: status("Open_table_definitions") >= of_moment(2),
        tables: tables.iter().filter_map(listed).collect(),
    })
}

/// The checksum of each table that could be read in time.
fn checksums(mysql: &mut MySql, tables: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for table in tables {
        let sql = limited(
            &format!("CHECKSUM TABLE {}", quoted(table, '`')),
            Duration::from_secs(2),
        );
        let answer = mysql.session.rows(&sql);
        // A table that cannot be read has none, and is not proven to be the same.
        let sum = answer.ok().and_then(|rows| text(rows.first()?, 1));
        found.extend(sum.map(|sum| ((*table).to_owned(), sum)));
    }
    found
}

/// Whether each table has a row; a table that cannot be asked is left out.
fn with_rows(mysql: &mut MySql, tables: &[&String]) -> BTreeMap<String, bool> {
    let probes = tables.iter().map(|table| CountQuery {
        key: (*table).clone(),
        from: format!("(SELECT 1 FROM {} LIMIT 1) one", quoted(table, '`')),
        weight: 1,
    });
    let answers = ask_all(probes.collect(), Duration::from_secs(5), |sql, left| {
        Ok(checks_mysql::ask(mysql, sql, left)?.map(|rows| pairs(&texts(&rows))))
    });
    let answers = answers.counts.into_iter();
    answers.map(|(table, rows)| (table, rows > 0)).collect()
}

/// Whether a session that began after this one is at a statement in this database, and stays at it. The server ends
/// a running statement whose client is gone, whether it is killed or crashed, only at the next word to it.
fn still_at_work(mysql: &mut MySql, session: u64) -> Result<bool, DatabaseError> {
    let sql = format!(
        "SELECT CONCAT(id, ' ', COALESCE(info, '')) FROM information_schema.processlist WHERE db = DATABASE() \
         AND id > {session} AND id <> CONNECTION_ID() AND command NOT IN ('Sleep', 'Daemon')"
    );
    let end = Instant::now() + PATIENCE;
    let mut first: Option<Vec<String>> = None;
    loop {
        let rows = mysql.session.rows(&sql)?;
        let now: Vec<String> = rows.iter().filter_map(|row| text(row, 0)).collect();
        let first = first.get_or_insert_with(|| now.clone());
        first.retain(|statement| now.contains(statement));
        if first.is_empty() {
            return Ok(false);
        }
        if Instant::now() >= end {
            return Ok(true);
        }
        std::thread::sleep(TICK);
    }
}
