//! The common commands on a project of SQL files, on SQLite with nothing to start.

use insta::assert_snapshot;
use rusqlite::Connection;

use crate::support::{Project, Run};

const CUSTOMERS: &str = "20250106090000_create_customers";
const PRODUCTS: &str = "20250107090000_create_products";
const ORDERS: &str = "20250108090000_create_orders";
const NOTES: &str = "20250109090000_add_order_notes";
const NEWSLETTER: &str = "20250110090000_create_newsletter";

/// A moment that every machine shows in the same way.
const APPLIED: &str =
    "UPDATE migration_history SET applied_at = '2025-01-20T14:30:00Z', applied_by = 'ada@db'";

/// The shop without its tables of the history.
fn bare() -> Project {
    Project::copy_of("sql/shop", "project", "alembic-current")
        .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
        .file("app.db", "")
}

/// The shop, applied and written down, with a row that its last migration would lose.
fn shop() -> Project {
    let project = bare();
    let database = Connection::open(project.database()).unwrap();
    for file in project.files() {
        if file.extension().is_some_and(|end| end == "sql") {
            let text = std::fs::read_to_string(project.root().join(file)).unwrap();
            database.execute_batch(&text).unwrap();
        }
    }
    drop(database);
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    project.sql(APPLIED);
    project
}

fn path(name: &str) -> String {
    format!("migrations/{name}.sql")
}

fn status(project: &Project, name: &str) -> String {
    project
        .sql(&format!(
            "SELECT status FROM migration_history WHERE migration_name = '{name}'"
        ))
        .join("")
}

/// Nothing was changed, and the command that comes next is named.
#[track_caller]
fn refused(run: &Run, code: i32, says: &[&str]) {
    assert_eq!(run.code, Some(code), "{run}");
    for words in says {
        assert!(run.stderr.contains(words), "{words}\n{run}");
    }
}

#[test]
fn current_tells_the_newest_and_what_is_odd() {
    let project = shop();
    assert_snapshot!(project.run("current").exits(0));
    let answer = project.run("current --format json").exits(0).json();
    assert_eq!(answer["newest"], NEWSLETTER);
    assert_eq!(answer["current"].as_array().unwrap().len(), 5);
    assert_eq!(answer["behind"], 0);

    let odd = project
        .edit(&path(NOTES), "DROP COLUMN note", "DROP COLUMN notes")
        .edit(&path(NEWSLETTER), "-- DROP TABLE", "DROP TABLE")
        .file(
            "migrations/20250111090000_broken.sql",
            "-- ROLLBACK START\n-- DROP TABLE a;\n",
        )
        .file(
            "migrations/20250112090000_new.sql",
            "CREATE TABLE new (id INTEGER);\n-- ROLLBACK START\n-- DROP TABLE new;\n-- ROLLBACK END\n",
        );
    std::fs::remove_file(odd.root().join(path(PRODUCTS))).unwrap();
    assert_snapshot!(odd.run("current").exits(0));
}

#[test]
fn without_tables_or_rows_the_command_that_is_missing_is_named() {
    let project = bare();
    let current = project.run("current").exits(0);
    assert!(current.stdout.contains("rollback sql install"), "{current}");
    for line in ["list", "plan -1", "check 2025", "downgrade-safe -1 -y"] {
        refused(&project.run(line), 1, &["rollback sql install"]);
    }
    project.run("sql install").exits(0);
    for line in ["list", "plan -1", "check 2025", "downgrade-safe -1 -y"] {
        refused(&project.run(line), 1, &["rollback sql sync"]);
    }
}

#[test]
fn list_says_of_each_whether_it_can_go_and_why_not() {
    let project = shop();
    project.sql("INSERT INTO newsletter (email) VALUES ('a@b')");
    assert_snapshot!(project.run("list").exits(0));
    let answer = project.run("list --format json").exits(0).json();
    assert_eq!(answer["total"], 5);
    assert_eq!(answer["can_rollback"], 2);
    let customers = &answer["revisions"][4];
    assert_eq!(customers["revision"], CUSTOMERS);
    assert_eq!(customers["can_rollback"], false);
    let first = &customers["dependents"][0];
    assert_eq!(first["revision"], NEWSLETTER);
    assert_eq!(first["why"], format!("{CUSTOMERS} (declared)"));
}

/// Fails if it is not recorded who rolled a migration back and why, or if a list shows another kind than was asked for.
#[test]
fn what_was_rolled_back_is_listed_with_who_and_why() {
    let project = shop();
    let run = project
        .run("downgrade-safe -1 -y --reason 'too slow' --use stored")
        .exits(0);
    let known = project.sql(
        "SELECT count(*) FROM migration_history WHERE notes LIKE 'rolled back by %@% in run %: too slow' \
         AND notes = (SELECT detail FROM migration_audit WHERE action = 'rolled_back')",
    );
    assert_eq!(known, ["1"], "{run}");
    let check = project.run(&format!("check {NEWSLETTER}")).exits(0);
    assert!(
        check.stdout.contains("Status:    rolled back 20"),
        "{check}"
    );
    assert!(check.stdout.contains("Reason:    too slow"), "{check}");
    let answer = project
        .run(&format!("check {NEWSLETTER} --format json"))
        .exits(0)
        .json();
    assert_eq!(answer["revision"]["reason"], "too slow");
    assert!(answer["revision"]["run"].is_string(), "{answer}");

    project.sql(&format!(
        "UPDATE migration_history SET status = 'failed' WHERE migration_name = '{NOTES}'"
    ));
    project.sql(&format!(
        "UPDATE migration_history SET rollback_sql = NULL WHERE migration_name = '{PRODUCTS}'"
    ));
    let names = |options: &str| -> Vec<String> {
        let answer = project
            .run(&format!("list --format json {options}"))
            .exits(0)
            .json();
        let lists = ["revisions", "no_longer_applied"];
        let lists = lists.iter().flat_map(|key| answer[key].as_array().unwrap());
        lists
            .map(|one| one["revision"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(""), [NOTES, ORDERS, PRODUCTS, CUSTOMERS]);
    assert_eq!(
        names("--all"),
        [NOTES, ORDERS, PRODUCTS, CUSTOMERS, NEWSLETTER]
    );
    assert_eq!(names("--failed"), [NOTES]);
    assert_eq!(names("--without-sql"), [PRODUCTS]);
    assert_eq!(names("--rolled-back"), [NEWSLETTER]);
    // The others were registered in January 2025.
    assert_eq!(names("--all --since 7d"), [NEWSLETTER]);
    assert_eq!(names("--since 7d"), [""; 0]);
    let list = project.run("list --rolled-back").exits(0);
    assert!(list.stdout.contains("too slow"), "{list}");
    assert!(list.stdout.contains("4 not shown"), "{list}");
    project.run("list --failed --all").exits(2);
    let alembic = Project::alembic("linear").at("heads");
    refused(&alembic.run("list --failed"), 1, &["are for SQL files"]);
}

/// Fails if a plan for one migration is another one, or if a dry run does not show what would run.
#[test]
fn a_plan_and_a_dry_run_of_one_migration_show_what_would_run() {
    let project = shop();
    let plan = project
        .run(&format!("plan --only {NEWSLETTER} --format json"))
        .exits(0)
        .json();
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["removes"], NEWSLETTER);
    refused(
        &project.run(&format!("plan --only {ORDERS}")),
        3,
        &["cannot be rolled back alone"],
    );
    project.run("plan").exits(2);
    project.run(&format!("plan -1 --only {ORDERS}")).exits(2);
    let before = project.bytes();
    let dry = project
        .run(&format!("downgrade-safe --only {NEWSLETTER} --dry-run"))
        .exits(0);
    let shown = format!("SQL that would run:\n\n-- {NEWSLETTER}\nDROP TABLE newsletter;\n");
    assert!(dry.stdout.contains(&shown), "{dry}");
    assert_eq!(project.bytes(), before);
}

/// Fails if the name of a snapshot is taken for the section of Alembic's configuration.
#[test]
fn a_snapshot_is_named_beside_the_global_options() {
    let project = shop();
    project
        .run(&format!("-n section sql snapshot create {ORDERS}"))
        .exits(0);
    assert_eq!(
        project.sql("SELECT migration_name FROM migration_snapshots"),
        [ORDERS]
    );
}

#[test]
fn check_names_what_has_to_go_before_and_who_says_so() {
    let project = shop().edit(&path(NEWSLETTER), "-- DROP TABLE", "DROP TABLE");
    assert_snapshot!(
        "check_of_one_that_others_need",
        project.run(&format!("check {CUSTOMERS}")).exits(0)
    );
    let plain = project.run("check 20250110").exits(0);
    assert!(
        plain
            .stdout
            .contains(&format!("rollback sql comment {NEWSLETTER}")),
        "{plain}"
    );
    project.run("downgrade-safe -1 -y --use stored").exits(0);
    let gone = project.run(&format!("check {NEWSLETTER}.sql")).exits(0);
    assert!(
        gone.stdout.contains("no: it is already rolled back"),
        "{gone}"
    );
    refused(
        &project.run("check nothing"),
        1,
        &["no migration is called nothing", "rollback list"],
    );
}

#[test]
fn a_plan_tells_what_is_lost_with_the_lines_of_the_files() {
    let project = shop();
    project.sql("INSERT INTO customers (id, email, name) VALUES (1, 'a@b', 'Ada')");
    project.sql("INSERT INTO orders VALUES (1, 1, 1, 2, 'soon')");
    project.sql("INSERT INTO newsletter (email) VALUES ('a@b')");
    assert_snapshot!("plan_of_all", project.run("plan base").exits(0));
    assert_snapshot!("plan_as_sql", project.run("plan -2 --sql").exits(0));
}

#[test]
fn steps_go_one_by_one_and_are_written_down() {
    let project = shop();
    assert_snapshot!("one_step", project.run("downgrade-safe -1 -y").exits(0));
    assert_eq!(status(&project, NEWSLETTER), "rolled_back");
    // Down to one, by the beginning of its name and with the ending of its file.
    project
        .run(&format!("downgrade-safe {CUSTOMERS}.sql -y --allow all"))
        .exits(0);
    assert_eq!(status(&project, PRODUCTS), "rolled_back");
    assert_eq!(status(&project, CUSTOMERS), "applied");
    project.run("downgrade-safe base -y").exits(0);
    let left = "SELECT name FROM sqlite_master WHERE name IN ('customers', 'orders', 'products', 'newsletter')";
    assert!(project.sql(left).is_empty());
    let history = project.run("history --format json").exits(0).json();
    let runs = history["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "{history}");
    let report = project.run("show latest").exits(0);
    assert!(
        report.stdout.contains("one migration after the other"),
        "{report}"
    );
}

#[test]
fn one_alone_goes_where_nothing_needs_it() {
    let project = shop();
    assert_snapshot!(
        "only_one_that_others_need",
        project
            .run(&format!("downgrade-safe --only {CUSTOMERS} -y"))
            .exits(3)
    );
    // In the middle of the sequence.
    let run = project
        .run(&format!("downgrade-safe --only {NOTES} -y"))
        .exits(0);
    assert!(run.stdout.contains(&format!("--only {NOTES}")), "{run}");
    assert_eq!(status(&project, NOTES), "rolled_back");
    assert_eq!(status(&project, NEWSLETTER), "applied");
    refused(
        &project.run(&format!("downgrade-safe --only {NOTES} -y")),
        1,
        &["is not applied", "it is already rolled back"],
    );
    for line in [
        "downgrade-safe -1 --only x",
        "downgrade-safe --resume --only x",
    ] {
        project.run(line).exits(2);
    }
}

#[test]
fn a_changed_file_is_shown_and_refused_until_somebody_chooses() {
    let old = "-- DROP TABLE newsletter;";
    let new = "-- DROP TABLE IF EXISTS newsletter;";
    let project = shop().edit(&path(NEWSLETTER), old, new);
    assert_snapshot!(
        "changed_and_nobody_chose",
        project.run("downgrade-safe -1 -y").exits(3)
    );
    // A plan that does not touch it is none of its business.
    project
        .run(&format!("downgrade-safe --only {NOTES} -y"))
        .exits(0);
    let file = project.run("downgrade-safe -1 -y --use file").exits(0);
    assert!(file.stderr.contains("what it says now runs"), "{file}");
    let stored = "SELECT rollback_sql FROM migration_history WHERE migration_name LIKE '20250110%'";
    assert_eq!(project.sql(stored)[0], "DROP TABLE IF EXISTS newsletter;\n");
    assert_eq!(status(&project, NEWSLETTER), "rolled_back");
}

#[test]
fn what_was_registered_runs_where_it_is_chosen_or_the_file_is_gone() {
    let project = shop().edit(
        &path(NEWSLETTER),
        "DROP TABLE newsletter",
        "DROP TABLE nothing",
    );
    project.run("downgrade-safe -1 -y --use stored").exits(0);
    assert_eq!(status(&project, NEWSLETTER), "rolled_back");
    std::fs::remove_dir_all(project.root().join("migrations")).unwrap();
    project.run("downgrade-safe -1 -y").exits(0);
    assert_eq!(status(&project, NOTES), "rolled_back");
}

#[test]
fn a_block_that_was_only_made_a_comment_needs_no_choice() {
    let project = shop().edit(
        &path(NEWSLETTER),
        "-- Description: Letters",
        "-- Description: Mail",
    );
    let run = project.run("downgrade-safe -1 -y").exits(0);
    assert!(run.stderr.contains("is not what was registered"), "{run}");
}

#[test]
fn a_malformed_file_stops_only_whoever_wants_it() {
    let project = shop().edit(&path(NEWSLETTER), "-- ROLLBACK END\n", "");
    refused(
        &project.run("downgrade-safe -1 -y --use file"),
        3,
        &[&format!("{}:", path(NEWSLETTER)), "--use stored"],
    );
    let run = project.run("downgrade-safe -1 -y").exits(0);
    assert!(
        run.stderr.contains(&format!("{}:", path(NEWSLETTER))),
        "{run}"
    );
}

#[test]
fn what_nothing_takes_down_is_refused_before_anything_runs() {
    let project = shop();
    project.sql(&format!(
        "UPDATE migration_history SET rollback_sql = NULL WHERE migration_name = '{NOTES}'"
    ));
    std::fs::remove_file(project.root().join(path(NOTES))).unwrap();
    refused(
        &project.run("downgrade-safe base -y --allow all --allow-failing"),
        3,
        &[NOTES, &format!("rollback sql template {NOTES}")],
    );
    assert_eq!(status(&project, NEWSLETTER), "applied");
}

#[test]
fn a_failed_rollback_leaves_all_as_it_was_and_says_how_to_go_on() {
    let project = shop();
    let broken = "UPDATE migration_history SET rollback_sql = 'DROP TABLE newsletter; DROP TABLE nothing;' \
                  WHERE migration_name LIKE '20250110%'";
    project.sql(broken);
    project
        .run("downgrade-safe -1 -y --use stored --allow-failing --allow all")
        .exits(4);
    assert_eq!(status(&project, NEWSLETTER), "failed");
    assert_eq!(project.sql("SELECT count(*) FROM newsletter"), ["0"]);
    project.run("downgrade-safe --abandon").exits(0);
    refused(
        &project.run("downgrade-safe -1 -y --use stored --allow-failing --allow all"),
        3,
        &[
            "failed before",
            &format!("rollback sql register {NEWSLETTER}"),
            "rollback resume",
        ],
    );
    project.run(&format!("sql register {NEWSLETTER}")).exits(0);
    project.run("downgrade-safe -1 -y").exits(0);
}

#[test]
fn a_run_of_one_alone_is_gone_on_with() {
    let project = shop();
    let set = |sql: &str| {
        project.sql(&format!(
            "UPDATE migration_history SET rollback_sql = '{sql}' WHERE migration_name = '{NOTES}'"
        ));
    };
    set("DROP TABLE nothing;");
    let line = format!("downgrade-safe --only {NOTES} -y --use stored --allow-failing --allow all");
    let failed = project.run(&line).exits(4);
    assert!(
        failed.stderr.contains("rollback resume --use stored"),
        "{failed}"
    );
    set("ALTER TABLE orders DROP COLUMN note;");
    project.run("downgrade-safe --resume -y").exits(0);
    assert_eq!(status(&project, NOTES), "rolled_back");
    assert_eq!(status(&project, NEWSLETTER), "applied");
}

#[test]
fn what_depends_on_something_that_is_not_applied_is_an_error_with_names() {
    let project = shop();
    project.sql(&format!(
        "UPDATE migration_history SET status = 'rolled_back' WHERE migration_name = '{CUSTOMERS}'"
    ));
    refused(
        &project.run("downgrade-safe -1 -y"),
        1,
        &[
            &format!("{NEWSLETTER} depends on {CUSTOMERS}, which is not applied"),
            &format!("rollback sql register {CUSTOMERS}"),
        ],
    );
    let current = project.run("current").exits(0);
    assert!(current.stdout.contains("which is not applied"), "{current}");
}

#[test]
fn migrations_that_need_each_other_are_named() {
    let project = shop();
    project.sql(&format!(
        "INSERT INTO migration_dependencies (migration_name, depends_on, kind) VALUES ('{CUSTOMERS}', '{ORDERS}', 'declared')"
    ));
    refused(
        &project.run("plan -1"),
        1,
        &[CUSTOMERS, ORDERS, "in a circle", "-- Independent of: NAME"],
    );
}

/// A name may look like a step, a branch or a way up: it is a name first.
#[test]
fn an_exact_name_wins_over_what_a_target_may_say() {
    let names = ["001_a", "002_a-2", "003_a@b", "004_a+1"];
    let mut project = Project::empty()
        .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
        .file("app.db", "")
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        );
    for (index, name) in names.iter().enumerate() {
        let text = format!(
            "CREATE TABLE t{index} (id INTEGER);\n-- ROLLBACK START\n-- DROP TABLE t{index};\n-- ROLLBACK END\n"
        );
        project = project.file(&path(name), text);
        project.sql(&format!("CREATE TABLE t{index} (id INTEGER)"));
    }
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    let steps = |target: &str| {
        let answer = project
            .run(&format!("plan {target} --format json"))
            .exits(0)
            .json();
        answer["steps"].as_array().unwrap().len()
    };
    assert_eq!(steps("003_a@b"), 1);
    assert_eq!(steps("002_a-2.sql"), 2);
    assert_eq!(steps("004_a+1"), 0);
    assert_eq!(steps("003"), 1);
    assert_eq!(steps("-3"), 3);
    project.run("downgrade-safe --only 002_a-2 -y").exits(0);
    assert_eq!(status(&project, "002_a-2"), "rolled_back");
    refused(
        &project.run("downgrade-safe migrations/001_a.sql -y"),
        1,
        &["no migration is called"],
    );
}

#[test]
fn alembic_has_no_way_to_take_one_alone() {
    let project = Project::alembic("linear").at("heads");
    refused(
        &project.run("downgrade-safe --only a1 -y"),
        1,
        &["--only is for SQL files", "rollback check a1"],
    );
    for line in [
        "downgrade-safe -1 -y --use file",
        "guard -y --use file -- false",
    ] {
        refused(&project.run(line), 1, &["--use is for SQL files"]);
    }
}

/// Red where a row for each migration is printed as a list of a hundred names.
#[test]
fn a_hundred_migrations_are_not_told_one_by_one() {
    let mut project = Project::empty()
        .env("ROLLBACK_DATABASE_URL", "sqlite:///app.db")
        .file("app.db", "")
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        );
    let mut tables = String::new();
    for number in 0..100 {
        let table = format!("CREATE TABLE t{number} (id INTEGER);\n");
        tables.push_str(&table);
        let text = format!("{table}-- ROLLBACK START\n-- DROP TABLE t{number};\n-- ROLLBACK END\n");
        project = project.file(&path(&format!("{:03}_t", 100 + number)), text);
    }
    Connection::open(project.database())
        .unwrap()
        .execute_batch(&tables)
        .unwrap();
    project.run("sql install").exits(0);
    project.run("sql sync").exits(0);
    let backup = project.run("backup").exits(0);
    let plan = project.run("plan -2").exits(0);
    let run = project.run("downgrade-safe -2 -y").exits(0);
    let told = [
        "current",
        "history",
        "show latest",
        "show latest --markdown",
        "backups",
    ];
    let told = told.map(|line| project.run(line));
    for one in [backup, plan, run].iter().chain(&told) {
        assert!(!one.to_string().contains("150_t"), "{one}");
    }
}
