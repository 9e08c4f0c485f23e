//! What is foretold of a changed type, held against the server that changes it: each pair of types, with
//! values at the edges.

use std::time::Duration;

use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnType, Family, TableName};
use rollback_core::probe::{Kind as Type, Probe as _, Question};
use rollback_core::type_fit::{TypeFit, fit};
use rollback_database::evidence::DatabaseProbe;

use crate::support::{Kind, TestDatabase};

/// A type as the server writes it, its family with size and scale, and values of it.
type Case = (
    &'static str,
    Family,
    Option<u32>,
    Option<u32>,
    &'static [&'static str],
);

const COMMON: [Case; 10] = [
    ("SMALLINT", Family::SmallInteger, None, None, &["-3"]),
    ("INTEGER", Family::Integer, None, None, &["7", "70000"]),
    (
        "BIGINT",
        Family::BigInteger,
        None,
        None,
        &["9", "3000000000"],
    ),
    (
        "NUMERIC(12, 4)",
        Family::Numeric,
        Some(12),
        Some(4),
        &["1.5", "99999999.25"],
    ),
    (
        "NUMERIC(5, 2)",
        Family::Numeric,
        Some(5),
        Some(2),
        &["999.99"],
    ),
    (
        "VARCHAR(40)",
        Family::String,
        Some(40),
        None,
        &["'12'", "'four'", "'ab   '", "'2024-01-02'"],
    ),
    ("VARCHAR(3)", Family::String, Some(3), None, &["'abc'"]),
    ("TEXT", Family::Text, None, None, &["'x'", "'-1.5'"]),
    ("DATE", Family::Date, None, None, &["'2024-01-02'"]),
    (
        "DOUBLE PRECISION",
        Family::Float,
        None,
        None,
        &["2.5", "1e12"],
    ),
];

const POSTGRESQL: [Case; 6] = [
    (
        "TIMESTAMP",
        Family::DateTime,
        None,
        None,
        &["'2024-01-02 03:04:05'"],
    ),
    ("BOOLEAN", Family::Boolean, None, None, &["true"]),
    (
        "UUID",
        Family::Uuid,
        None,
        None,
        &["'6fa459ea-ee8a-3ca4-894e-db77e160355e'"],
    ),
    ("JSON", Family::Json, None, None, &["'{\"a\": 1}'"]),
    ("JSONB", Family::Jsonb, None, None, &["'[1]'"]),
    ("TIME", Family::Time, None, None, &["'03:04'"]),
];

const MARIADB: [Case; 1] = [(
    "DATETIME",
    Family::DateTime,
    None,
    None,
    &["'2024-01-02 03:04:05'"],
)];

fn kind((written, family, size, scale, _): Case) -> ColumnType {
    let is_exact = family == Family::Numeric;
    ColumnType {
        family,
        length: size.filter(|_| !is_exact).map(u64::from),
        precision: size.filter(|_| is_exact),
        scale,
        timezone: false,
        enum_name: None,
        values: Vec::new(),
        written: written.to_owned(),
    }
}

/// Turns red if a change is called certain to fail that succeeds, or safe that fails.
#[test]
fn a_change_of_type_goes_as_foretold() {
    for (server, dialect, more) in [
        (Kind::PostgreSql, Dialect::Postgres, POSTGRESQL.as_slice()),
        (Kind::MariaDb, Dialect::MySql, MARIADB.as_slice()),
    ] {
        let database = TestDatabase::create(server);
        let cases: Vec<Case> = COMMON.iter().chain(more).copied().collect();
        // One table for each value and new type.
        let mut changes = Vec::new();
        for from in &cases {
            for to in cases.iter().filter(|to| to.0 != from.0) {
                changes.extend(from.4.iter().map(|value| (*from, *to, *value)));
            }
        }
        let tables: Vec<String> = (0..)
            .zip(&changes)
            .map(|(at, (from, _, value))| {
                format!(
                    "CREATE TABLE t{at} (x {}); INSERT INTO t{at} VALUES ({value})",
                    from.0
                )
            })
            .collect();
        database.execute(&tables.join("; "));
        let mut ours = database.open();
        let minute = Duration::from_mins(1);
        let mut probes = DatabaseProbe::new(ours.as_mut(), dialect, minute, minute);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (at, (from, to, value)) in (0..).zip(changes) {
            let table = format!("t{at}");
            let change = match server {
                Kind::PostgreSql => format!("ALTER TABLE {table} ALTER COLUMN x TYPE {}", to.0),
                _ => format!("ALTER TABLE {table} MODIFY x {}", to.0),
            };
            let story = format!("{dialect:?}: {value} from {} to {}", from.0, to.0);
            match foretold(&mut probes, &table, dialect, (from, to)) {
                Some(true) => good.push((change, story)),
                Some(false) => bad.push((change, story)),
                None => {}
            }
        }
        let settled = good.len() + bad.len();
        let all: Vec<&str> = good.iter().map(|(change, _)| change.as_str()).collect();
        // A connection for each one takes most of the time, so that they are looked at one by one only
        // where something is wrong. What was changed before stays so on MariaDB, which does no harm.
        if database.try_execute(&all.join("; ")).is_err() {
            for (change, story) in &good {
                let done = database.try_execute(change);
                assert!(done.is_ok(), "{story}: {done:?}");
            }
        }
        for (change, story) in &bad {
            assert!(database.try_execute(change).is_err(), "{story} was done");
        }
        assert!(settled > 120, "{dialect:?}: only {settled} were foretold");
    }
}

/// Whether the change succeeds; `None` where that is left open.
fn foretold(
    probes: &mut DatabaseProbe<'_>,
    table: &str,
    dialect: Dialect,
    (from, to): (Case, Case),
) -> Option<bool> {
    let (from, to) = (kind(from), kind(to));
    match fit(&from, &to, dialect) {
        TypeFit::All => Some(true),
        TypeFit::NeedsConversion => Some(false),
        TypeFit::Unknown => None,
        TypeFit::Some => {
            let misfits = probes.ask(&Question::Misfits {
                table: TableName::plain(table),
                column: "x".to_owned(),
                from: Type(from),
                to: Type(to),
            });
            Some(misfits?.count == 0)
        }
    }
}
