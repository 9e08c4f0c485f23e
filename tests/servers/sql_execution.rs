//! The connection over which SQL files are run, and the steps that are run over it, on all three servers.

use rollback_core::query::{Execution, RunErrorKind, always};
use std::time::{Duration, Instant};

use crate::session::Session;
use crate::support::{Kind, TestDatabase, database_environment};

fn execution(database: &TestDatabase<'_>, lock_timeout: Option<Duration>) -> Box<dyn Execution> {
    rollback_database::execution(&database.facts(), &database_environment(), lock_timeout).unwrap()
}

fn run(execution: &mut dyn Execution, sql: &str) -> Vec<Vec<Option<String>>> {
    execution
        .run(sql, &mut always)
        .unwrap_or_else(|error| panic!("{error:?}\nin: {sql}"))
}

/// Takes minutes.
pub(crate) fn endless(kind: Kind) -> &'static str {
    match kind {
        Kind::PostgreSql => "SELECT pg_sleep(600)",
        Kind::MariaDb | Kind::MySql => "SELECT SLEEP(600)",
        Kind::Sqlite => {
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        }
    }
}

/// Returns when nobody runs that text on the server any more.
pub(crate) fn until_it_is_gone(database: &TestDatabase<'_>) {
    let sql = match database.kind() {
        Kind::PostgreSql => format!(
            "SELECT count(*)::text FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()",
            database.name()
        ),
        Kind::MariaDb | Kind::MySql => format!(
            "SELECT CAST(count(*) AS CHAR) FROM information_schema.processlist WHERE db = '{}' AND info LIKE '%SLEEP(600)%' AND id <> CONNECTION_ID()",
            database.name()
        ),
        Kind::Sqlite => return,
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.query_one(&sql) != "0" {
        assert!(Instant::now() < deadline, "it still runs");
    }
}

fn a_no_ends_the_statement_on_the_server_and_takes_its_transaction_back(kind: Kind) {
    let database = TestDatabase::create(kind);
    database.execute("CREATE TABLE t (i INTEGER)");
    let mut execution = execution(&database, None);
    run(&mut *execution, "BEGIN");
    run(&mut *execution, "INSERT INTO t VALUES (1)");
    let mut asked = 0;
    let error = execution
        .run(endless(kind), &mut || {
            asked += 1;
            asked < 4
        })
        .unwrap_err();
    assert_eq!(error.kind, RunErrorKind::GivenUp, "{kind:?} {error:?}");
    assert_eq!(
        asked, 4,
        "{kind:?}: asked after a no, or never while it ran"
    );
    until_it_is_gone(&database);
    assert_eq!(database.query("SELECT * FROM t").len(), 0, "{kind:?}");
    // It is not opened again, or the next statement would run outside of the transaction.
    let error = execution.run("SELECT 1", &mut always).unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Lost, "{kind:?} {error:?}");
}
on_each!(a_no_ends_the_statement_on_the_server_and_takes_its_transaction_back: sqlite, postgresql, mariadb);

fn a_no_from_the_beginning_sends_nothing(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut execution = execution(&database, None);
    let error = execution
        .run("CREATE TABLE t (i INTEGER)", &mut || false)
        .unwrap_err();
    assert_eq!(error.kind, RunErrorKind::GivenUp, "{kind:?} {error:?}");
    assert!(database.try_execute("SELECT * FROM t").is_err(), "{kind:?}");
}
on_each!(a_no_from_the_beginning_sends_nothing: sqlite, postgresql, mariadb);

fn what_waits_for_a_lock_in_vain_is_told_apart_and_the_connection_stays(kind: Kind) {
    let database = TestDatabase::create(kind);
    database.execute("CREATE TABLE t (i INTEGER)");
    database.execute("INSERT INTO t VALUES (1)");
    let mut holder = Session::of(&database);
    holder.execute(if kind == Kind::Sqlite {
        "BEGIN IMMEDIATE"
    } else {
        "BEGIN"
    });
    holder.execute("UPDATE t SET i = 2");
    let mut execution = execution(&database, Some(Duration::from_secs(1)));
    for sql in ["UPDATE t SET i = 3", "DROP TABLE t"] {
        let error = execution.run(sql, &mut always).unwrap_err();
        assert_eq!(error.kind, RunErrorKind::LockTimeout, "{kind:?} {error:?}");
    }
    holder.end();
    run(&mut *execution, "UPDATE t SET i = 3");
    assert_eq!(
        run(&mut *execution, "SELECT CAST(i AS CHAR(1)) FROM t"),
        [[Some("3".to_owned())]]
    );
}
on_each!(what_waits_for_a_lock_in_vain_is_told_apart_and_the_connection_stays: sqlite, postgresql, mariadb);

fn a_refusal_leaves_the_connection_and_a_lost_one_is_not_replaced(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut execution = execution(&database, None);
    let refused = execution
        .run("DROP TABLE missing", &mut always)
        .unwrap_err();
    assert_eq!(refused.kind, RunErrorKind::Refused, "{kind:?} {refused:?}");
    let code = if kind == Kind::PostgreSql {
        "42P01"
    } else {
        "1051"
    };
    assert_eq!(refused.code.as_deref(), Some(code), "{refused:?}");

    let own = if kind == Kind::PostgreSql {
        "SELECT pg_backend_pid()::text"
    } else {
        "SELECT CAST(CONNECTION_ID() AS CHAR)"
    };
    let pid = run(&mut *execution, own)[0][0].clone().unwrap();
    database.execute(&match kind {
        Kind::PostgreSql => format!("SELECT pg_terminate_backend({pid})"),
        _ => format!("KILL {pid}"),
    });
    for _ in 0..2 {
        let lost = execution
            .run("CREATE TABLE t (i INTEGER)", &mut always)
            .unwrap_err();
        assert_eq!(lost.kind, RunErrorKind::Lost, "{kind:?} {lost:?}");
    }
    assert!(database.try_execute("SELECT * FROM t").is_err(), "{kind:?}");
}
on_each!(a_refusal_leaves_the_connection_and_a_lost_one_is_not_replaced: postgresql, mariadb);

#[test]
fn a_table_of_sqlite_is_made_anew_without_the_rows_that_refer_to_it() {
    let database = TestDatabase::create(Kind::Sqlite);
    database.execute(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);
         CREATE TABLE b (a INTEGER REFERENCES a (id) ON DELETE CASCADE);
         INSERT INTO a VALUES (1, 'x');
         INSERT INTO b VALUES (1)",
    );
    let mut execution = execution(&database, None);
    for sql in [
        "BEGIN IMMEDIATE",
        "CREATE TABLE a_new (id INTEGER PRIMARY KEY)",
        "INSERT INTO a_new SELECT id FROM a",
        "DROP TABLE a",
        "ALTER TABLE a_new RENAME TO a",
        "COMMIT",
    ] {
        run(&mut *execution, sql);
    }
    assert_eq!(database.query("SELECT a FROM b").len(), 1);
}
