//! The table of `[audit]`: it has every run, and shows in nothing else.

use serde_json::Value;

use crate::atomic::{FAILS, ten};
use crate::project::Project;
use crate::support::{Kind, PASSWORD, TestDatabase};
use crate::walk::schema;

const WANTED: &str = "[audit]\ntable = true\n";

fn kept(database: &TestDatabase<'_>) -> Vec<Vec<Option<String>>> {
    database.query(
        "SELECT result, exit_code, target, to_revisions, reason FROM rollback_audit ORDER BY run",
    )
}

fn row(cells: &[&str]) -> Vec<Option<String>> {
    let cell = |cell: &&str| (!cell.is_empty()).then(|| (*cell).to_owned());
    cells.iter().map(cell).collect()
}

/// What a run says of rows and schema, without its times and names.
fn told(project: &Project) -> Value {
    let mut report = project.run("show latest --format json").exits(0).json();
    for step in report["steps"].as_array_mut().unwrap() {
        step["seconds"] = Value::Null;
        step["started"] = Value::Null;
    }
    ["steps", "data", "checks", "losses", "stands_at"]
        .map(|name| report[name].take())
        .into_iter()
        .collect()
}

/// Turns red if the table is compared, counted, foretold or dropped.
fn a_run_with_the_table_is_as_one_without(kind: Kind) {
    let line = "downgrade-safe base -y --reason \"it's 'over'; \\\\ \u{e9}\"";
    let without = TestDatabase::create(kind);
    let plain = ten(&without, "pass");
    plain.run("downgrade-safe -1 -y").exits(0);
    plain.run(line).exits(0);

    let database = TestDatabase::create(kind);
    let project = ten(&database, "pass").file("rollback.toml", WANTED);
    project.run("downgrade-safe -1 -y").exits(0);
    let plan = |project: &Project| project.run("plan base").exits(0).stdout;
    assert!(!plan(&project).contains("rollback_audit"), "{kind:?}");
    project.run(line).exits(0);

    assert_eq!(told(&project), told(&plain), "{kind:?}");
    assert_eq!(schema(&database), schema(&without), "{kind:?}");
    assert_eq!(
        kept(&database),
        [
            row(&["done", "0", "-1", "r09", ""]),
            row(&["done", "0", "base", "base", "it's 'over'; \\ \u{e9}"]),
        ],
        "{kind:?}"
    );
    // What the state folder told, the database tells.
    let history = project.run("history --format json").exits(0).json();
    std::fs::remove_dir_all(project.root().join(".rollback")).unwrap();
    let from_database = project
        .run("history --from-database --format json")
        .exits(0);
    assert_eq!(from_database.json(), history, "{kind:?}");
    assert!(!from_database.to_string().contains(PASSWORD) || kind == Kind::Sqlite);
}
on_each!(a_run_with_the_table_is_as_one_without: sqlite, postgresql, mariadb);

fn a_run_that_fails_or_is_taken_back_is_in_the_table(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = ten(&database, FAILS).file("rollback.toml", WANTED);
    let line = "downgrade-safe base -y --allow-failing";
    let code = match kind {
        Kind::MariaDb | Kind::MySql => project.run(line).code,
        _ => project.run(&format!("{line} --atomic")).code,
    };
    let code = code.unwrap().to_string();
    assert_eq!(
        kept(&database),
        [row(&["failed", &code, "base", "base", ""])],
        "{kind:?}"
    );
    if kind != Kind::MariaDb {
        assert_eq!(code, "4", "{kind:?}");
    }
    project.run("downgrade-safe --abandon").exits(0);
    assert_eq!(
        kept(&database),
        [row(&["abandoned", &code, "base", "base", ""])],
        "{kind:?}"
    );
}
on_each!(a_run_that_fails_or_is_taken_back_is_in_the_table: sqlite, postgresql, mariadb);

fn a_crash_leaves_a_row_that_is_filled_when_the_run_goes_on(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = ten(&database, "pass").file("rollback.toml", WANTED);
    let killed = project
        .rollback("downgrade-safe -2 -y")
        .env("ROLLBACK_FAULT_POINT", "after_done:1")
        .run();
    assert_eq!(killed.code, None, "{killed}");
    let unfinished = [row(&["unfinished", "", "-2", "r08", ""])];
    assert_eq!(kept(&database), unfinished, "{kind:?}");
    project.run("downgrade-safe --resume -y").exits(0);
    assert_eq!(
        kept(&database),
        [row(&["done", "0", "-2", "r08", ""])],
        "{kind:?}"
    );
}
on_each!(a_crash_leaves_a_row_that_is_filled_when_the_run_goes_on: sqlite, postgresql, mariadb);

/// Turns red if the table is looked for in another schema than the version table's.
#[test]
fn the_table_is_beside_the_version_table() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project =
        crate::walk::upgraded("custom_version_table", &database).file("rollback.toml", WANTED);
    project.run("downgrade-safe -1 -y").exits(0);
    assert_eq!(
        database.query("SELECT schemaname FROM pg_tables WHERE tablename = 'rollback_audit'"),
        [row(&["bookkeeping"])]
    );
}

#[test]
fn without_the_right_to_write_it_no_run_begins() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass").file("rollback.toml", WANTED);
    database.execute(
        "CREATE TABLE rollback_audit (run text);
         CREATE RULE nothing AS ON INSERT TO rollback_audit DO INSTEAD NOTHING",
    );
    let refused = project.run("downgrade-safe -1 -y").exits(3);
    assert!(
        refused
            .stderr
            .contains("the table rollback_audit cannot be written"),
        "{refused}"
    );
    assert!(!project.root().join(".rollback").exists());
    assert_eq!(crate::walk::rows(&database), ["r10"]);
}
