//! What is checked in a whole before it is kept: inside the transaction on PostgreSQL, before the copy is
//! let go on SQLite.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::atomic::{events, everything, ten};
use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, until_step, upgraded};

fn check(name: &str, text: &str, when: &str) -> String {
    format!("[[check]]\nname = '{name}'\n{text}\nwhen = '{when}'\n")
}

/// Fails as soon as the version table holds this revision.
fn until(revision: &str) -> String {
    format!("sql = \"SELECT version_num FROM alembic_version WHERE version_num = '{revision}'\"")
}

/// Three steps of ten as a whole, of which nothing is to be left.
fn undone(project: &Project, database: &TestDatabase<'_>, exit: i32) -> Run {
    let before = everything(database);
    let run = project
        .run("downgrade-safe -3 -y --allow-failing --atomic --format json")
        .exits(exit);
    assert_eq!(everything(database), before, "{:?}\n{run}", database.kind());
    assert_eq!(rows(database), ["r10"], "{run}");
    assert!(
        run.stderr.contains("all that was done was taken back"),
        "{run}"
    );
    assert_eq!(events(&run, "finished")[0]["removed"], json!([]), "{run}");
    run
}

/// Turns red if a check is made over a connection that does not see the transaction, or after its end.
fn a_check_that_fails_takes_everything_back(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = ten(&database, "pass");
    for (revision, when, step) in [("r08", "after_step", 2), ("r07", "after", 3)] {
        let settings = [
            check("mine", &until(revision), when),
            check("well", "sql = 'SELECT count(*) FROM t1'\nexpect = 2", when),
        ];
        std::fs::write(project.root().join("rollback.toml"), settings.concat()).unwrap();
        let run = undone(&project, &database, 4);
        assert!(
            run.stderr.contains("the check \"mine\" failed"),
            "{kind:?}\n{run}"
        );
        assert_eq!(events(&run, "step_failed")[0]["step"], step, "{run}");
        project.run("downgrade-safe --abandon").exits(0);
    }
    std::fs::remove_file(project.root().join("rollback.toml")).unwrap();
    project
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(0);
    assert_eq!(rows(&database), ["r07"]);
}
on_each!(a_check_that_fails_takes_everything_back: postgresql, sqlite);

fn rows_that_another_table_lost_take_everything_back(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = ten(&database, "pass").edit(
        "migrations/versions/r09.py",
        "    op.drop_table(\"t9\")\n",
        "    op.drop_table(\"t9\")\n    op.execute(\"DELETE FROM t1 WHERE id = 1\")\n",
    );
    let run = undone(&project, &database, 4);
    assert!(run.stderr.contains("t1 had 2 rows and has 1"), "{run}");
    let project = project.file("rollback.toml", "may_lose_rows = ['t1']");
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(rows(&database), ["r07"]);
}
on_each!(rows_that_another_table_lost_take_everything_back: postgresql, sqlite);

/// A query of a check that fails or hangs is a fault of the check, and leaves the transaction as it was.
#[test]
fn what_a_query_of_a_check_does_stays_in_it() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass");
    for (sql, words) in [
        ("sql = 'SELECT nothing FROM nowhere'", "nowhere"),
        ("sql = 'DELETE FROM t1'", "read-only transaction"),
        (
            "sql = 'SELECT pg_sleep(20)'\ntimeout = '200ms'",
            "no answer within",
        ),
    ] {
        let settings = check("mine", sql, "after_step");
        std::fs::write(project.root().join("rollback.toml"), settings).unwrap();
        let run = undone(&project, &database, 4);
        assert!(run.stderr.contains(words), "{run}");
        project.run("downgrade-safe --abandon").exits(0);
    }
}

/// Turns red if values come in Python's words.
#[test]
fn values_are_the_servers_words_inside_as_outside() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let values = [
        ("true", "t"),
        ("1.50::numeric", "1.50"),
        ("2::float8", "2"),
        ("date ''2024-01-02''", "2024-01-02"),
        (
            "timestamptz ''2024-01-02 03:04Z''",
            "2024-01-02 03:04:00+00",
        ),
        ("ARRAY[1, 2]", "{1,2}"),
        ("jsonb ''{\"a\": 1}''", "{\"a\": 1}"),
        ("''100%''::text", "100%"),
    ];
    let settings: String = ["before", "after_step", "after"]
        .iter()
        .flat_map(|when| {
            values.map(|(value, text)| {
                let sql = value.replace("''", "'");
                let sql = format!("sql = '''SELECT {sql}'''\nexpect = '{text}'");
                check(&text.replace('\'', ""), &sql, when)
            })
        })
        .collect();
    let project = ten(&database, "pass").file("rollback.toml", settings);
    project
        .run("downgrade-safe -2 -y --allow-failing --atomic")
        .exits(0);
}

#[test]
fn a_check_that_cannot_see_into_the_transaction_is_refused() {
    for when in ["after_step", "after"] {
        for text in ["command = 'false'", "url = 'http://127.0.0.1:1/'"] {
            let settings = check("from outside", text, when);
            let database = TestDatabase::create(Kind::PostgreSql);
            let project = ten(&database, "pass").file("rollback.toml", settings.clone());
            let run = project
                .run("downgrade-safe -3 -y --allow-failing --atomic")
                .exits(3);
            assert!(run.stderr.contains("\"from outside\""), "{run}");
            assert!(
                run.stderr.contains("cannot see what is not committed"),
                "{run}"
            );
            assert_eq!(rows(&database), ["r10"], "{run}");
        }
        // The file itself is what such a check sees on SQLite, and the copy is put back.
        let database = TestDatabase::create(Kind::Sqlite);
        let settings = check("from outside", "command = 'false'", when);
        let project = ten(&database, "pass").file("rollback.toml", settings);
        let run = undone(&project, &database, 4);
        assert!(run.stderr.contains("the check \"from outside\""), "{run}");
    }
}

/// What each step did to the schema is known inside a range as well.
#[test]
fn the_record_has_what_each_step_of_a_transaction_did() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass");
    let run = project
        .run("downgrade-safe -3 -y --allow-failing --atomic -v")
        .exits(0);
    for table in [
        "- table public.t10",
        "- table public.t9",
        "- table public.t8",
    ] {
        assert_eq!(run.stderr.matches(table).count(), 1, "{table}\n{run}");
    }
    let journal = project
        .files()
        .into_iter()
        .find(|file| file.ends_with("journal.jsonl"))
        .unwrap();
    let text = std::fs::read_to_string(project.root().join(journal)).unwrap();
    let done: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["entry"] == "done")
        .collect();
    assert_eq!(done.len(), 3, "{text}");
    for (line, table) in done.iter().zip(["t10", "t9", "t8"]) {
        let gone = line["difference"]["gone"].to_string();
        assert!(gone.contains(&format!("table public.{table}\"")), "{gone}");
    }
}

fn a_signal_takes_a_whole_back_before_its_next_step(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("slow", &database);
    let before = everything(&database);
    let (child, _) = until_step(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic --format json",
        2,
    );
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = project.told(&output);
    assert_eq!(output.status.code(), Some(130), "{kind:?}\n{told}");
    assert_eq!(everything(&database), before, "{kind:?}\n{told}");
    project
        .run("downgrade-safe --resume --atomic -y --allow-failing")
        .exits(0);
}
on_each!(a_signal_takes_a_whole_back_before_its_next_step: postgresql, sqlite);

/// Old releases of Alembic and SQLAlchemy have the hooks that the bridge needs.
#[test]
fn older_engines_are_judged_inside_as_well() {
    for python in ["alembic-1.6", "alembic-1.13"] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = Project::alembic_of(python, "linear").env("DATABASE_URL", database.url());
        project.engine("alembic upgrade heads");
        let before = everything(&database);
        let failing = check("mine", &until("2b3c4d5e6f02"), "after");
        std::fs::write(project.root().join("rollback.toml"), failing).unwrap();
        let run = project
            .run("downgrade-safe 2b3c4d5e6f02 -y --allow-failing --atomic")
            .exits(4);
        assert!(run.stderr.contains("the check \"mine\" failed"), "{run}");
        assert_eq!(everything(&database), before, "{python}\n{run}");
        std::fs::remove_file(project.root().join("rollback.toml")).unwrap();
        project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(0);
        assert_eq!(rows(&database), ["2b3c4d5e6f02"], "{python}");
    }
}

/// Neither a project's search path nor its driver's manners make another schema of the same one.
#[test]
fn an_engine_with_a_search_path_of_its_own_is_seen_as_from_outside() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass").edit(
        "migrations/env.py",
        "context.configure(connection=connection)",
        "connection.exec_driver_sql(\"SET search_path TO pg_catalog, public\")\n        connection.exec_driver_sql(\"SET DateStyle TO 'German'\")\n        connection.commit()\n        context.configure(connection=connection)",
    );
    database.execute(
        "CREATE VIEW v AS SELECT id FROM t1;
         ALTER TABLE t1 ADD COLUMN day date DEFAULT '2024-01-31'",
    );
    project
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(0);
    assert_eq!(rows(&database), ["r07"]);
}
