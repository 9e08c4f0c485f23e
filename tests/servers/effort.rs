//! What a run costs the server beside the engine's own work: connections of ours, and round trips.

use std::time::Duration;

use rollback_core::connection::{ConnectionFacts, RowsAre, VersionRows, VersionTable};
use rollback_database::{self, Database, DatabaseSnapshot};

use crate::relay::Relay;
use crate::support::{Kind, Server, TestDatabase, database_environment};
use crate::walk::upgraded;

const BUDGET: Duration = Duration::from_secs(30);

/// Tables with an index, a check and a foreign key each, as one statement for each of them.
fn tables(kind: Kind, from: usize, to: usize) -> String {
    let text = if kind == Kind::MariaDb {
        "varchar(20)"
    } else {
        "text"
    };
    let table = |number: usize| {
        let parent = number.saturating_sub(1);
        format!(
            "CREATE TABLE t{number} (id integer PRIMARY KEY, name {text}, parent integer, \
             CONSTRAINT c{number} CHECK (id > 0), \
             CONSTRAINT f{number} FOREIGN KEY (parent) REFERENCES t{parent} (id)); \
             CREATE INDEX i{number} ON t{number} (name); \
             INSERT INTO t{number} VALUES (1, 'a', NULL), (2, 'b', NULL);"
        )
    };
    (from..to).map(table).collect()
}

fn at_once(database: &mut dyn Database) -> DatabaseSnapshot {
    database
        .at_once(&VersionTable::default(), BUDGET)
        .expect("all at once")
}

fn with_rows(kind: Kind) -> TestDatabase<'static> {
    let database = TestDatabase::create(kind);
    database.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)");
    database.execute("INSERT INTO alembic_version VALUES ('one'), ('two')");
    database
}

/// Red where one of the looks is missing in the whole, or sees something else there.
fn what_is_seen_at_once_is_what_each_look_sees(kind: Kind) {
    let database = with_rows(kind);
    database.execute(&tables(kind, 0, 5));
    database.execute("DELETE FROM t4");
    database.execute("CREATE TABLE never (id integer)");
    database.execute("CREATE TABLE _alembic_tmp_t0 (id integer)");
    database.execute("CREATE VIEW v AS SELECT id FROM t0");
    if kind != Kind::Sqlite && !kind.is_mysql() {
        database.execute("CREATE SEQUENCE s");
    }
    let mut own = database.open();
    let seen = at_once(own.as_mut());
    let table = VersionTable::default();
    assert_eq!(seen.rows, own.version_rows(&table).unwrap(), "{kind:?}");
    assert!(matches!(&seen.rows, VersionRows::Rows(rows) if rows.len() == 2));
    assert_eq!(seen.schema, own.schema().unwrap(), "{kind:?}");
    assert!(seen.schema.len() > 25, "{kind:?}: {:?}", seen.schema);
    assert_eq!(seen.counts, own.row_counts(BUDGET).unwrap(), "{kind:?}");
    let counted = seen.counts.unwrap();
    for (table, rows) in [("t0", 2), ("t4", 0), ("never", 0)] {
        let named = |name: &str| name == table || name == format!("public.{table}");
        let (_, count) = counted.iter().find(|(name, _)| named(name)).unwrap();
        assert_eq!((count.rows, count.exact), (rows, true), "{kind:?} {table}");
    }
    assert_eq!(seen.faults, own.faults(BUDGET).unwrap(), "{kind:?}");
    assert_eq!(seen.faults.unwrap().0.len(), 1, "{kind:?}");
}
on_each!(what_is_seen_at_once_is_what_each_look_sees: sqlite, postgresql, mariadb);

/// Red where a look that cannot be had is passed over: it has to be asked for by itself then, and say why.
fn what_cannot_be_seen_at_once_is_left_to_each_look(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut own = database.open();
    let table = VersionTable {
        name: "nowhere".to_owned(),
        schema: None,
        rows: RowsAre::Heads,
    };
    assert!(own.at_once(&table, BUDGET).is_none(), "{kind:?}");
    assert_eq!(own.version_rows(&table).unwrap(), VersionRows::NoTable);
    assert!(own.schema().unwrap().is_empty(), "{kind:?}");
}
on_each!(what_cannot_be_seen_at_once_is_left_to_each_look: sqlite, postgresql, mariadb);

/// Red where the catalogue is asked table by table. Counting is one question for each 200 tables, and so is
/// looking for orphans on MariaDB.
#[test]
fn the_number_of_questions_does_not_grow_with_the_tables() {
    for (kind, few, many) in [(Kind::PostgreSql, 2, 3), (Kind::MariaDb, 3, 5)] {
        let database = with_rows(kind);
        let relay = Relay::before(Server::shared(kind));
        let facts = ConnectionFacts {
            port: Some(relay.port()),
            ..database.facts()
        };
        let mut own = rollback_database::open(&facts, &database_environment()).unwrap();
        let turns = |own: &mut dyn Database| {
            let before = relay.turns();
            at_once(own);
            relay.turns() - before
        };
        database.execute(&tables(kind, 0, 5));
        assert_eq!(turns(own.as_mut()), few, "{kind:?}, 5 tables");
        database.execute(&tables(kind, 5, 230));
        assert_eq!(turns(own.as_mut()), many, "{kind:?}, 230 tables");
        let before = relay.turns();
        own.schema().unwrap();
        assert_eq!(relay.turns() - before, 1, "{kind:?}: the schema alone");
        own.leftovers().unwrap();
        assert_eq!(
            relay.turns() - before,
            2,
            "{kind:?}: what is left over alone"
        );
    }
}

/// Red where a question takes words before and after it, or one that the server cannot answer is asked again.
fn a_question_is_one_round_trip(kind: Kind) {
    let database = with_rows(kind);
    let relay = Relay::before(Server::shared(kind));
    let facts = ConnectionFacts {
        port: Some(relay.port()),
        ..database.facts()
    };
    let mut own = rollback_database::open(&facts, &database_environment()).unwrap();
    let turns = |ask: &mut dyn FnMut()| {
        let before = relay.turns();
        ask();
        relay.turns() - before
    };
    // The session of MariaDB becomes read-only with the first.
    let mut one = || drop(own.query("SELECT 1", BUDGET).unwrap());
    let first = if kind == Kind::MariaDb { 2 } else { 1 };
    assert_eq!([turns(&mut one), turns(&mut one)], [first, 1], "{kind:?}");
    // It is asked for the plugin that tells who holds a lock, once.
    let mut look = || drop(own.blockers(Duration::MAX).unwrap());
    assert_eq!([turns(&mut look), turns(&mut look)], [first, 1], "{kind:?}");
}
on_each!(a_question_is_one_round_trip: postgresql, mariadb);

/// Red where a query that left the session other than it was lets the next one write.
#[test]
fn a_session_stays_read_only_whatever_is_asked() {
    let database = with_rows(Kind::MariaDb);
    let mut own = database.open();
    let mut refused = || own.query("DELETE FROM alembic_version", BUDGET).is_err();
    assert!(refused() && refused());
    own.query("SET SESSION TRANSACTION READ WRITE", BUDGET)
        .unwrap();
    let mut refused = || own.query("DELETE FROM alembic_version", BUDGET).is_err();
    assert!(refused());
    assert_eq!(database.query("SELECT * FROM alembic_version").len(), 2);
}

/// Red where a command opens more connections of ours than it needs: one that looks, and for a run one more that
/// holds the lock, since a look that is given up closes its connection, and the lock must not go with it.
fn a_run_has_one_connection_that_looks_and_one_that_holds_the_lock(kind: Kind) {
    let database = TestDatabase::create(kind);
    let relay = Relay::before(Server::shared(kind));
    let project = upgraded("linear", &database);
    let ours = relay.url(&database);
    let opened = |line: &str, code: i32| {
        let run = project
            .rollback(line)
            .env("ROLLBACK_DATABASE_URL", &ours)
            .run()
            .exits(code);
        (relay.connections(), run)
    };
    for line in [
        "current",
        "plan -1",
        "plan base",
        "downgrade-safe -1 --dry-run",
    ] {
        let (connections, run) = opened(line, 0);
        assert_eq!(connections, 1, "{kind:?} {line}\n{run}");
    }
    for line in [
        "downgrade-safe -1 -y --allow all",
        "downgrade-safe base -y --allow all",
    ] {
        let (connections, run) = opened(line, 0);
        assert_eq!(connections, 2, "{kind:?} {line}\n{run}");
    }
}
on_each!(a_run_has_one_connection_that_looks_and_one_that_holds_the_lock: postgresql, mariadb);

/// Red where the questions before a backup take a connection each. A backup has one of its own, which holds the moment
/// that it is of; on MariaDB two, since one keeps the tables as they are while the other reads.
#[test]
fn a_backup_is_asked_for_over_one_connection() {
    for (kind, to_see, to_make) in [(Kind::PostgreSql, 1, 1), (Kind::MariaDb, 1, 2)] {
        let database = TestDatabase::create(kind);
        let relay = Relay::before(Server::shared(kind));
        let project = upgraded("linear", &database);
        let url = relay.url(&database);
        let run = project
            .rollback("downgrade-safe -1 -y --allow all")
            .env("ROLLBACK_DATABASE_URL", &url)
            .env("ROLLBACK_BACKUP", "always")
            .run()
            .exits(0);
        // The client that writes the file has one as well, and whether it will reach the same server is asked over
        // one more.
        let expected = 2 + to_see + to_make + 1 + 1;
        assert_eq!(relay.connections(), expected, "{kind:?}\n{run}");
    }
}

/// Red where going on with a run takes more connections than the run itself.
fn going_on_takes_as_many_connections_as_a_run(kind: Kind) {
    let database = TestDatabase::create(kind);
    let relay = Relay::before(Server::shared(kind));
    let project = upgraded("linear", &database);
    let url = relay.url(&database);
    let call = |line: &str| project.rollback(line).env("ROLLBACK_DATABASE_URL", &url);
    let killed = call("downgrade-safe base -y --allow all")
        .env("ROLLBACK_FAULT_POINT", "after_done:1")
        .run();
    assert_eq!(killed.code, None, "{killed}");
    assert_eq!(relay.connections(), 2, "{kind:?}\n{killed}");
    let run = call("downgrade-safe --resume -y --allow all")
        .run()
        .exits(0);
    assert_eq!(relay.connections(), 2, "{kind:?}\n{run}");
}
on_each!(going_on_takes_as_many_connections_as_a_run: postgresql, mariadb);

/// Red where the engine's own parameters are tried once more by us although they are ours word for word.
#[test]
fn a_url_that_is_the_engines_own_is_connected_to_once() {
    let kind = Kind::PostgreSql;
    let database = TestDatabase::create(kind);
    let relay = Relay::before(Server::shared(kind));
    let url = relay.url(&database);
    let project = upgraded("linear", &database).env("DATABASE_URL", &url);
    let run = project
        .rollback("downgrade-safe base -y --allow all")
        .env("ROLLBACK_DATABASE_URL", &url)
        .run()
        .exits(0);
    // The one with the lock has the claim as its name, which begins so as well. Before the first step one sees where
    // the address leads, and before the other four, which share its connection, at most once a second.
    let seen = relay.connections_of("application_name\0rollback");
    assert!((3..=7).contains(&seen), "{seen}\n{run}");
}
