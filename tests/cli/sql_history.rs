//! The tables of the migration history, and what is written down in them, on SQLite with nothing to start.

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Project, Run};

const ORDERS: &str = "20250108090000_create_orders";
const NOTES: &str = "20250109090000_add_order_notes";

/// The shop with an empty database and, if wanted, the tables of the history.
fn shop(installed: bool) -> Project {
    let project = Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
        .file("app.db", "");
    if installed {
        project.run("sql install").exits(0);
    }
    project
}

fn states(run: &Run) -> Vec<(String, String)> {
    let answer = run.json();
    let migrations = answer["migrations"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    migrations
        .map(|one| (text(&one["name"]), text(&one["state"])))
        .collect()
}

/// The states of all files, by what `sync` would do.
fn state_of(project: &Project, name: &str) -> String {
    let run = project.run("sql sync --dry-run --format json");
    let found = states(&run).into_iter().find(|(one, _)| one == name);
    found.unwrap_or_else(|| panic!("no {name}\n{run}")).1
}

fn set(project: &Project, name: &str, status: &str) {
    project.sql(&format!(
        "UPDATE migration_history SET status = '{status}' WHERE migration_name = '{name}'"
    ));
}

#[test]
fn what_needs_the_tables_names_the_command_that_makes_them() {
    let project = shop(false);
    for line in [
        "sql sync --assume-applied",
        "sql register 20250108090000_create_orders",
        "sql snapshot list",
        "sql snapshot create",
    ] {
        let run = project.run(line).exits(1);
        assert!(run.stdout.is_empty(), "{run}");
        assert!(
            run.stderr.contains("make them: rollback sql install"),
            "{run}"
        );
    }
    let dry = project.run("sql install --dry-run").exits(0);
    assert!(
        dry.stdout.contains("CREATE TABLE \"migration_history\""),
        "{dry}"
    );
    assert_eq!(project.sql("SELECT count(*) FROM sqlite_master"), ["0"]);
    assert_snapshot!(project.run("sql install").exits(0));
    let before = project.bytes();
    let again = project.run("sql install").exits(0);
    assert!(again.stderr.contains("nothing to do"), "{again}");
    assert_eq!(project.bytes(), before, "the second time writes nothing");
}

#[test]
fn sync_writes_down_what_is_not_and_nothing_twice() {
    let project = shop(true);
    let before = project.bytes();
    project.run("sql sync --dry-run").exits(0);
    assert_eq!(project.bytes(), before, "a dry run writes nothing");
    assert_snapshot!(project.run("sql sync --assume-applied").exits(0));
    let again = project.run("sql sync --format json").exits(0);
    assert_eq!(again.json()["registered"], 0, "{again}");
    assert!(
        states(&again).iter().all(|(_, state)| state == "unchanged"),
        "{again}"
    );
    // Of what is registered the dependencies are those that are stored.
    let orders = &again.json()["migrations"][2];
    assert_eq!(
        orders["depends_on"][0]["object"], "table customers",
        "{again}"
    );
    assert_eq!(
        project.sql("SELECT count(*) FROM migration_audit WHERE action = 'registered'"),
        ["5"]
    );
}

/// Turns red if one bad file keeps the others out, or is passed over in silence.
#[test]
fn a_malformed_file_is_told_with_its_line_and_the_others_are_registered() {
    let project = shop(true)
        .file(
            "migrations/20250111_broken.sql",
            "CREATE TABLE x (id int);\n-- ROLLBACK START\n-- DROP TABLE x;\n",
        )
        .file(
            "migrations/20250112_needs_it.sql",
            "-- Depends on: 20250111_broken\nCREATE TABLE y (id int);\n",
        );
    let run = project.run("sql sync --assume-applied").exits(1);
    assert_snapshot!(run);
    assert_eq!(project.sql("SELECT count(*) FROM migration_history"), ["5"]);
    let run = project.run("sql register 20250111_broken").exits(1);
    assert!(
        run.stderr.contains("migrations/20250111_broken.sql:"),
        "{run}"
    );
}

#[test]
fn a_plain_block_is_told_with_the_command_that_mends_it() {
    let project = shop(true).file(
        "migrations/20250111_plain.sql",
        "CREATE TABLE x (id int);\n-- ROLLBACK START\nDROP TABLE x;\n-- ROLLBACK END\n",
    );
    for line in [
        "sql sync --assume-applied",
        "sql sync",
        "sql register 20250111_plain",
    ] {
        let run = project.run(line).exits(0);
        assert!(
            run.stderr.contains("rollback sql comment 20250111_plain"),
            "{line}\n{run}"
        );
    }
}

#[test]
fn to_register_again_brings_the_row_up_to_the_file() {
    let project = shop(true);
    project.run("sql sync --assume-applied").exits(0);
    let project = project
        .file(
            "migrations/20250109090000_add_order_notes.sql",
            "-- Independent of: 20250108090000_create_orders\nALTER TABLE orders ADD COLUMN note text;\n",
        );
    assert_eq!(state_of(&project, NOTES), "changed");
    let stored = || {
        project.sql(&format!(
            "SELECT status, rollback_sql IS NULL, json_extract(metadata, '$.up_sql') LIKE '%note text%', \
             (SELECT count(*) FROM migration_dependencies d WHERE d.migration_name = h.migration_name) \
             FROM migration_history h WHERE migration_name = '{NOTES}'"
        ))
    };
    assert_eq!(stored(), ["applied 0 0 1"]);
    project.run("sql sync --assume-applied").exits(0);
    assert_eq!(
        stored(),
        ["applied 0 0 1"],
        "sync leaves what is registered"
    );
    let run = project.run(&format!("sql register {NOTES}")).exits(0);
    assert!(run.stdout.contains("updated"), "{run}");
    assert!(
        run.stderr
            .contains(&format!("rollback sql template {NOTES}")),
        "no rollback SQL is said\n{run}"
    );
    assert_eq!(stored(), ["applied 1 1 0"]);

    set(&project, NOTES, "failed");
    project.sql(
        "UPDATE migration_history SET metadata = json_set(metadata, '$.error', 'no such table')",
    );
    let run = project.run(&format!("sql register {NOTES}.sql")).exits(0);
    assert!(run.stdout.contains("mended"), "{run}");
    assert!(
        run.stderr.contains("looked after now: no such table"),
        "{run}"
    );
    assert_eq!(stored(), ["applied 1 1 0"]);

    set(&project, NOTES, "rolled_back");
    assert_eq!(
        state_of(&project, NOTES),
        "rolled_back",
        "sync does not apply it again"
    );
    let run = project.run(&format!("sql register {NOTES}")).exits(0);
    assert!(run.stdout.contains("applied again"), "{run}");
    assert_eq!(stored(), ["applied 1 1 0"]);
}

#[test]
fn what_is_needed_has_to_be_registered_before() {
    let project = shop(true)
        .file("migrations/20250111_a.sql", "CREATE TABLE a (id int);\n")
        .file(
            "migrations/20250112_b.sql",
            "-- Depends on: 20250111_a\nSELECT 1;\n",
        )
        .file(
            "migrations/20250113_c.sql",
            "-- Depends on: 20250111_q\nSELECT 1;\n",
        );
    let run = project.run("sql register 20250112_b").exits(1);
    assert!(
        run.stderr
            .contains("rollback sql register 20250111_a 20250112_b"),
        "{run}"
    );
    let run = project.run("sql register 20250113_c").exits(1);
    assert!(
        run.stderr
            .contains("20250111_q, which is no migration here"),
        "{run}"
    );
    project.run("sql register 20250112_b 20250111_a").exits(0);
    set(&project, "20250111_a", "rolled_back");
    let run = project.run("sql register 20250112_b").exits(1);
    assert!(
        run.stderr.contains("20250111_a, which is rolled back"),
        "{run}"
    );
    let run = project.run("sql register 20250111_aa").exits(1);
    assert!(run.stderr.contains("did you mean 20250111_a?"), "{run}");
    for path in ["../20250111_a", "migrations/20250111_a.sql"] {
        let run = project.run(&format!("sql register {path}")).exits(1);
        assert!(run.stderr.contains("is a path"), "{run}");
    }
}

#[test]
fn a_snapshot_shows_what_changed_since() {
    let project = shop(true);
    project.sql("CREATE TABLE old (id int)");
    let kept = project
        .run(&format!(
            "sql snapshot create {ORDERS} --note 'before it' --format json"
        ))
        .exits(0)
        .json();
    let id = kept["id"].as_str().unwrap().to_owned();
    let lines = kept["schema"].as_array().unwrap();
    assert!(!lines.is_empty(), "{kept}");
    assert!(
        !lines
            .iter()
            .any(|line| line.as_str().unwrap().contains("migration_")),
        "the tables of ours are none of the project\n{kept}"
    );
    let same = project
        .run(&format!("sql snapshot diff {}", &id[..6]))
        .exits(0);
    assert!(same.stdout.contains("the same from"), "{same}");
    project.sql("ALTER TABLE old ADD COLUMN note text");
    let diff = project.run("sql snapshot diff latest").exits(0);
    assert_eq!(diff.stdout.trim_end(), "+ column old.note text", "{diff}");
    project.run("sql snapshot create").exits(0);
    let all = project
        .run("sql snapshot list --format json")
        .exits(0)
        .json();
    let all = all["snapshots"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[1]["id"], &all[1]["migration"]),
        (&Value::from(id.clone()), &Value::from(ORDERS))
    );
    let other = all[0]["id"].as_str().unwrap();
    let diff = project
        .run(&format!("sql snapshot diff {id} {other} --format json"))
        .exits(0)
        .json();
    assert_eq!(
        (&diff["gone"], &diff["new"][0]),
        (
            &Value::Array(Vec::new()),
            &Value::from("column old.note text")
        )
    );
    let shown = project.run(&format!("sql snapshot show {id}")).exits(0);
    assert!(shown.stdout.contains("Note:      before it"), "{shown}");
    let none = project.run("sql snapshot show zzz").exits(1);
    assert!(none.stderr.contains("rollback sql snapshot list"), "{none}");
}
