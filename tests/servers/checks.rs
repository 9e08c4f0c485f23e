//! What is checked after a step beside the version rows and the project's own checks.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};
use crate::walk::upgraded;

const LAST: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

/// `linear` at its head with two customers and an order, its last downgrade doing more than it should.
fn doing(database: &TestDatabase<'_>, also: &str) -> Project {
    let project = upgraded("linear", database);
    database.execute(
        "INSERT INTO customers (id, name) VALUES (1, 'a'), (2, 'b');
         INSERT INTO orders (id, customer_id, placed_at) VALUES (1, 2, '2024-01-01')",
    );
    let drop = "    op.drop_column(\"orders\", \"note\")";
    project.edit(LAST, drop, &format!("{drop}\n{also}"))
}

fn failed(run: &Run) -> String {
    let lines = run.json_lines();
    let finished: Vec<&Value> = lines
        .iter()
        .filter(|line| line["event"] == "step_finished")
        .collect();
    assert_eq!(finished.len(), 1, "the step itself is done\n{run}");
    assert!(run.stderr.contains("a check after it failed"), "{run}");
    run.stderr.clone()
}

fn two_steps(project: &Project, exit: i32) -> Run {
    project
        .run("downgrade-safe -2 -y --allow-failing --format json")
        .exits(exit)
}

fn rows_that_another_table_lost_stop_the_run(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = doing(
        &database,
        "    op.execute('DELETE FROM customers WHERE id = 1')",
    );
    let told = failed(&two_steps(&project, 5));
    assert!(
        told.contains("customers had 2 rows and has 1"),
        "{kind:?}: {told}"
    );
    // The step is done, so the run goes on from there.
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);

    let database = TestDatabase::create(kind);
    let project = doing(
        &database,
        "    op.execute('DELETE FROM customers WHERE id = 1')",
    )
    .file("rollback.toml", "may_lose_rows = ['customers']");
    two_steps(&project, 0);
}
on_each!(rows_that_another_table_lost_stop_the_run: sqlite, postgresql, mariadb);

#[test]
fn an_index_that_is_left_invalid_stops_the_run_on_postgresql() {
    let invalid = "    op.execute(\"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_orders_customer_id'::regclass\")";
    let database = TestDatabase::create(Kind::PostgreSql);
    let told = failed(&two_steps(&doing(&database, invalid), 5));
    assert!(
        told.contains("the index public.ix_orders_customer_id is invalid"),
        "{told}"
    );

    let unvalidated = "    op.execute('ALTER TABLE customers ADD CONSTRAINT c CHECK (id > 0)')\n    \
        op.execute(\"UPDATE pg_constraint SET convalidated = false WHERE conname = 'c'\")";
    let database = TestDatabase::create(Kind::PostgreSql);
    let told = failed(&two_steps(&doing(&database, unvalidated), 5));
    assert!(
        told.contains("the constraint c of public.customers is not validated"),
        "{told}"
    );

    // The plan announced it.
    let announced =
        "    op.execute('ALTER TABLE customers ADD CONSTRAINT c CHECK (id > 0) NOT VALID')";
    let database = TestDatabase::create(Kind::PostgreSql);
    two_steps(&doing(&database, announced), 0);

    // One that was there before is none of this run.
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = doing(&database, "");
    database.execute("ALTER TABLE customers ADD CONSTRAINT c CHECK (id > 0) NOT VALID");
    two_steps(&project, 0);
}

#[test]
fn orphans_stop_the_run() {
    for (kind, prelude) in [
        (Kind::Sqlite, "PRAGMA foreign_keys = OFF"),
        (Kind::MariaDb, "SET foreign_key_checks = 0"),
    ] {
        for (exit, also) in [
            (
                5,
                format!(
                    "    op.execute('{prelude}')\n    op.execute('UPDATE bills SET customer_id = 7')"
                ),
            ),
            // An old orphan is none of this run.
            (0, String::new()),
        ] {
            let database = TestDatabase::create(kind);
            let project = doing(&database, &also);
            database.execute(
                "CREATE TABLE bills (customer_id INTEGER, FOREIGN KEY (customer_id) REFERENCES customers (id));
                 INSERT INTO bills VALUES (2)",
            );
            if exit == 0 {
                database.execute(&format!("{prelude}; UPDATE bills SET customer_id = 7"));
            }
            let run = two_steps(&project, exit);
            if exit == 5 {
                let told = failed(&run);
                assert!(
                    told.contains("rows of bills have no row in customers"),
                    "{kind:?}: {told}"
                );
            }
        }
    }
}

fn a_table_that_a_batch_migration_left_stops_the_run(kind: Kind) {
    let database = TestDatabase::create(kind);
    let also = "    op.execute('CREATE TABLE _alembic_tmp_x (id INTEGER)')";
    let told = failed(&two_steps(&doing(&database, also), 5));
    assert!(
        told.contains("_alembic_tmp_x of a batch migration is left over"),
        "{kind:?}: {told}"
    );
}
on_each!(a_table_that_a_batch_migration_left_stops_the_run: sqlite, postgresql, mariadb);

/// Answers each request with this status.
fn serve(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n"
            );
        }
    });
    url
}

#[test]
fn the_projects_own_checks_pass_and_fail_on_every_database() {
    let (well, ill) = (serve(200), serve(503));
    let good = [
        "sql = 'SELECT id FROM customers WHERE id > 5'".to_owned(),
        "sql = 'SELECT count(*) FROM customers'\nexpect = 2".to_owned(),
        "command = 'test -f alembic.ini'".to_owned(),
        format!("url = '{well}'"),
        format!("url = '{ill}'\nstatus = 503"),
    ];
    let bad = [
        (
            "sql = 'SELECT id FROM customers'".to_owned(),
            "no rows were expected",
        ),
        (
            "sql = 'SELECT count(*) FROM customers'\nexpect = 9".to_owned(),
            "expected 9, found 2",
        ),
        (
            "command = ['sh', '-c', 'echo why >&2; exit 4']".to_owned(),
            "exited with status 4: why",
        ),
        (
            "command = 'sleep 9'\ntimeout = '200ms'".to_owned(),
            "took longer than",
        ),
        (format!("url = '{ill}'"), "answered 503, not 200"),
    ];
    for (kind, (text, words)) in Kind::ALL.into_iter().cycle().zip(bad) {
        let database = TestDatabase::create(kind);
        let project = doing(&database, "");
        let check =
            |text: &str, when: &str| format!("[[check]]\nname = 'mine'\n{text}\nwhen = '{when}'\n");
        let passing: String = good
            .iter()
            .flat_map(|text| ["before", "after_step", "after"].map(|when| check(text, when)))
            .collect();
        let project = project.file(
            "rollback.toml",
            format!("{passing}{}", check(&text, "before")),
        );
        let run = two_steps(&project, 3);
        assert!(run.stderr.contains("the check \"mine\" failed"), "{run}");
        assert!(run.stderr.contains(words), "{kind:?}: {words}\n{run}");

        let project = project.file(
            "rollback.toml",
            format!("{passing}{}", check(&text, "after_step")),
        );
        let run = project
            .run("downgrade-safe -1 -y --allow-failing --format json")
            .exits(5);
        assert!(failed(&run).contains(words), "{kind:?}: {words}\n{run}");
        // Its one step is done: there is nothing left to go on with.
        project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(0);

        let project = project.file(
            "rollback.toml",
            format!("{passing}{}", check(&text, "after")),
        );
        let run = project
            .run("downgrade-safe -1 -y --allow-failing --format json")
            .exits(5);
        assert!(failed(&run).contains(words), "{kind:?}: {words}\n{run}");

        let project = project.file("rollback.toml", passing);
        project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(0);
        if kind != Kind::Sqlite {
            database.execute("DELETE FROM orders");
        }
        project
            .run("downgrade-safe 2b3c4d5e6f02 -y --allow-failing")
            .exits(0);
    }
}

/// Turns red if a check can hang: on a lock, or by the work it does.
#[test]
fn a_query_that_takes_too_long_is_ended() {
    for (kind, slow) in [
        (Kind::PostgreSql, "SELECT pg_sleep(20)"),
        // Its sleep would answer 1 where it is ended.
        (
            Kind::MariaDb,
            "SELECT count(*) FROM information_schema.columns a, information_schema.columns b, \
             information_schema.columns c",
        ),
        (
            Kind::Sqlite,
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        ),
    ] {
        let database = TestDatabase::create(kind);
        let mut ours = database.open();
        let answer = ours.query(slow, Duration::from_millis(300)).unwrap();
        assert!(answer.is_none(), "{kind:?}: {answer:?}");
        // And the connection is as it was.
        let one = ours.query("SELECT 1", Duration::from_secs(1)).unwrap();
        assert_eq!(one, Some(vec![vec![Some("1".to_owned())]]), "{kind:?}");
    }
}

/// Turns red if an error of a class that a timeout belongs to passes for one.
#[test]
fn a_query_that_fails_is_not_one_that_takes_too_long() {
    let database = TestDatabase::create(Kind::MariaDb);
    let answer = database
        .open()
        .query("SELECT ExtractValue('<a/>', '/[')", Duration::from_secs(5));
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("XPATH"), "{error}");
}

/// Turns red if a check can change what it looks at.
fn a_query_cannot_change_anything(kind: Kind) {
    let database = TestDatabase::create(kind);
    database.execute("CREATE TABLE kept (id INTEGER); INSERT INTO kept VALUES (1)");
    let mut tried = vec![
        "DELETE FROM kept",
        "INSERT INTO kept VALUES (2)",
        "UPDATE kept SET id = 3",
        "DROP TABLE kept",
        "ALTER TABLE kept ADD n INTEGER",
        "CREATE TABLE more (id INTEGER)",
        "CREATE INDEX more ON kept (id)",
        "CREATE VIEW more AS SELECT * FROM kept",
        "SELECT 1; DELETE FROM kept",
    ];
    if kind == Kind::MariaDb {
        database.execute(
            "CREATE TABLE plain (id INTEGER) ENGINE = MyISAM; INSERT INTO plain VALUES (1);
             CREATE FUNCTION sly () RETURNS INTEGER MODIFIES SQL DATA
             BEGIN DELETE FROM kept; RETURN 1; END",
        );
        tried.extend([
            "DELETE FROM plain",
            "DROP TABLE plain",
            "TRUNCATE TABLE kept",
            "RENAME TABLE kept TO more",
            "REPLACE INTO kept VALUES (2)",
            "OPTIMIZE TABLE plain",
            "CREATE SEQUENCE more",
            "SELECT sly()",
            "BEGIN; DELETE FROM kept",
            "ANALYZE DELETE FROM kept",
            "GRANT SELECT ON kept TO 'nobody'@'localhost' IDENTIFIED BY 'x'",
        ]);
    }
    let mut ours = database.open();
    let before = ours.schema().unwrap();
    for sql in tried {
        let error = ours.query(sql, Duration::from_secs(2));
        assert!(error.is_err(), "{kind:?}: {sql}: {error:?}");
        assert_eq!(
            database.query("SELECT * FROM kept"),
            [[Some("1".to_owned())]],
            "{kind:?}: {sql}"
        );
    }
    if kind == Kind::MariaDb {
        assert_eq!(database.query_one("SELECT id FROM plain"), "1");
    }
    assert_eq!(ours.schema().unwrap(), before, "{kind:?}");
    // What a query left open would hold up the engine's next step.
    let _ = ours.query("BEGIN; SELECT * FROM kept", Duration::from_secs(2));
    database.execute("ALTER TABLE kept ADD n INTEGER");
    // And the connection still reads.
    let one = ours.query("SELECT id FROM kept", Duration::from_secs(2));
    assert_eq!(one.unwrap(), Some(vec![vec![Some("1".to_owned())]]));
}
on_each!(a_query_cannot_change_anything: sqlite, postgresql, mariadb);

/// Turns red if what another run left is passed over in silence, by a new run or where no record is.
#[test]
fn what_a_step_left_is_told_before_a_run_and_where_the_record_is_lost() {
    for (kind, made, told) in [
        (
            Kind::Sqlite,
            "CREATE TABLE _alembic_tmp_x (id INTEGER)",
            "the table _alembic_tmp_x of a batch migration is left over",
        ),
        (
            Kind::MariaDb,
            "CREATE TABLE _alembic_tmp_x (id INTEGER)",
            "the table _alembic_tmp_x of a batch migration is left over",
        ),
        (
            Kind::PostgreSql,
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_orders_customer_id'::regclass",
            "the index public.ix_orders_customer_id is invalid",
        ),
    ] {
        let database = TestDatabase::create(kind);
        let project = doing(&database, "");
        let run = project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(1);
        for words in [
            "there is no record of a run on this database in",
            "the database stands at 5e6f7a8b9c05, which the code knows",
            "no other run holds its lock",
            "nothing in it looks like the rest of a step",
            "rollback current",
            "rollback downgrade-safe <target>",
        ] {
            assert!(run.stderr.contains(words), "{kind:?}: {words}\n{run}");
        }
        assert!(!run.stderr.contains("warning"), "{run}");

        database.execute(made);
        let run = project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(1);
        assert!(run.stderr.contains(told), "{kind:?}\n{run}");
        let run = project.run("downgrade-safe -1 -y --allow-failing").exits(0);
        assert!(
            run.stderr.contains(&format!("warning: {told}")),
            "{kind:?}\n{run}"
        );
    }

    let database = TestDatabase::create(Kind::Sqlite);
    let project = doing(&database, "");
    let copy = format!("{}.before-rollback-4711", database.name());
    std::fs::copy(database.path(), &copy).unwrap();
    for (line, exit) in [("--resume -y", 1), ("-1 -y", 0)] {
        let run = project.run(&format!("downgrade-safe {line}")).exits(exit);
        assert!(
            run.stderr
                .contains("a run with --atomic left a copy of the file as it was before: "),
            "{run}"
        );
        assert!(run.stderr.contains("app.db.before-rollback-4711"), "{run}");
    }
}
