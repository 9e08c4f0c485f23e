//! `rollback current`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use regex::Regex;
use serde_json::json;

use crate::support::Project;

#[test]
fn a_database_at_the_head_is_shown_with_its_code() {
    let project = Project::alembic("diamond").at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   e86f3a7d1c95 Add a currency to invoices
    Code head: e86f3a7d1c95 Add a currency to invoices
    Behind by: nothing: every revision of the code is applied
    ");
}

#[test]
fn colour_adds_nothing_that_is_needed() {
    let project = Project::alembic("diamond").at("7c1e5f0a93d2");
    assert_snapshot!(project.run("current --color always"), @r"
    exit 0
    --- stdout
    {bold}Database: {/} SQLite [VERSION], file [PROJECT]/app.db
    {bold}Engine:   {/} alembic (Alembic [VERSION])
    {bold}Current:  {/} {cyan}7c1e5f0a93d2{/} Add invoices
    {bold}Code head:{/} {cyan}e86f3a7d1c95{/} Add a currency to invoices
    {bold}Behind by:{/} 3 revisions
    ");
}

#[test]
fn no_color_is_respected_and_a_flag_is_stronger() {
    let project = Project::alembic("diamond").at("heads");
    let silenced = project.rollback("current").env("NO_COLOR", "1").run();
    assert_eq!(silenced, project.run("current --color never"));
    let flag = project
        .rollback("current --color always")
        .env("NO_COLOR", "1")
        .run();
    assert!(flag.stdout.contains("{bold}"), "{flag}");
}

#[test]
fn json_is_one_object_with_the_documented_fields() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    let run = project.run("current --format json").exits(0);
    assert_eq!(
        run.json(),
        json!({
            "version": 1,
            "database": {
                "dialect": "sqlite",
                "server": "SQLite [VERSION]",
                "host": null,
                "port": null,
                "database": "[PROJECT]/app.db",
                "user": null,
            },
            "engine": "alembic (Alembic [VERSION])",
            "current": ["b52d08e7f41c"],
            "heads": ["e86f3a7d1c95"],
            "behind": 1,
            "problems": [],
            "unfinished": null,
            "last_backup": null,
        })
    );
}

/// Red if a run that did not reach its target, or the newest backup of this database, is not shown.
#[test]
fn an_unfinished_run_and_the_newest_backup_are_shown() {
    let project = Project::alembic("linear").at("heads");
    project.run("backup").exits(0);
    let killed = project
        .rollback("downgrade-safe -3 -y --allow all --backup")
        .env("ROLLBACK_FAULT_POINT", "after_engine:2")
        .run();
    assert_eq!(killed.code, None, "{killed}");
    let run = project.run("-x a=b current").exits(0);
    let ids = Regex::new(r"\b\d{8}T\d{6}Z-\d+").unwrap();
    let told = ids.replace_all(&run.stdout, "[ID]");
    let told = Regex::new(r"by \S+ to -3, started \d+ s ago")
        .unwrap()
        .replace(&told, "by [WHO] to -3, started [AGE] ago");
    let told = Regex::new(r", \d+ s ago, made")
        .unwrap()
        .replace(&told, ", [AGE] ago, made");
    let records: Vec<&str> = told
        .lines()
        .skip_while(|line| !line.starts_with("Run:"))
        .collect();
    assert_eq!(
        records,
        [
            "Run:       [ID] by [WHO] to -3, started [AGE] ago, is unfinished: 1 of 3 steps done",
            "Next:      rollback -x 'a=b' resume",
            "Backup:    [BACKUP], [AGE] ago, made for run [ID]",
        ],
        "{run}"
    );
    let shown = project.run("current --format json").exits(0).json();
    let unfinished = &shown["unfinished"];
    assert_eq!(unfinished["steps_done"], 1, "{shown:#}");
    assert_eq!(unfinished["steps"], 3);
    assert_eq!(unfinished["target"], "-3");
    assert_eq!(unfinished["at_work"], false);
    assert_eq!(
        unfinished["next"],
        json!([
            "to resume it: rollback resume",
            "to give it up: rollback abandon"
        ])
    );
    assert_eq!(shown["last_backup"]["run"], unfinished["run"]);
    project.run("abandon").exits(0);
    let run = project.run("current").exits(0);
    assert!(
        !run.stdout.contains("Run:") && run.stdout.contains("Backup:"),
        "{run}"
    );
}

/// Red if a run is shown as unfinished of which the next run says that it is over, or one of another database.
#[test]
fn a_run_that_is_over_and_a_backup_of_another_database_are_not_shown() {
    let project = Project::alembic("no_downgrade").at("aaaa2222");
    project
        .run("downgrade-safe -1 -y --allow all --allow-failing --backup")
        .exits(4);
    assert!(
        project
            .run("current")
            .stdout
            .contains("is unfinished: 0 of 1 step done")
    );
    project.engine("alembic upgrade aaaa3333");
    let run = project.run("current").exits(0);
    assert!(!run.stdout.contains("unfinished"), "{run}");
    assert!(run.stdout.contains("Backup:"), "{run}");
    // A renamed file is still the same database, a copy is not.
    fs::copy(project.database(), project.root().join("other.db")).unwrap();
    let project = project.edit("alembic.ini", "/app.db", "/other.db");
    let run = project.run("current").exits(0);
    assert!(!run.stdout.contains("Backup:"), "{run}");
}

/// Red if records that cannot be read keep the position of the database from being shown, or are passed over.
#[test]
fn records_that_cannot_be_read_are_odd() {
    let project = Project::alembic("linear")
        .at("heads")
        .file("records/runs", "");
    let run = project
        .run("--state-dir records current --format json")
        .exits(0);
    let shown = run.json();
    assert_eq!(shown["current"], json!(["5e6f7a8b9c05"]));
    assert_eq!(
        shown["problems"][0]["code"], "records_unreadable",
        "{shown:#}"
    );
}

#[test]
fn several_heads_are_odd() {
    let project = Project::alembic("two_heads").at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   aaaa1111 Head a
               bbbb1111 Head b
    Code head: aaaa1111 Head a
               bbbb1111 Head b
    Behind by: nothing: every revision of the code is applied
    odd: the database has 2 current heads
    odd: the code has 2 heads
    ");
}

#[test]
fn a_row_that_stands_only_for_a_dependency_is_shown_as_it_is() {
    let project = Project::alembic("depends_on").at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   yyyy2222 Point from y to the code of x
    Code head: xxxx2222 Add a code to x
               yyyy2222 Point from y to the code of x
    Behind by: nothing: every revision of the code is applied
    odd: the code has 2 heads
    ");
}

#[test]
fn a_revision_that_the_code_does_not_know_is_odd() {
    let project = Project::alembic("linear").at("heads");
    project.sql("UPDATE alembic_version SET version_num = 'feedfacefeed'");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   feedfacefeed
    Code head: 5e6f7a8b9c05 Add a note to orders
    Behind by: cannot be told
    odd: revision feedfacefeed is applied, and no version file declares it: is this the right checkout?
    ");
    let told = project.run("current --format json").exits(0).json();
    assert_eq!(told["behind"], json!(null));
    assert_eq!(told["problems"][0]["code"], "unknown_revision");
}

#[test]
fn an_empty_version_table_is_told_from_one_that_is_not_there() {
    let project = Project::alembic("linear").at("heads");
    project.sql("DELETE FROM alembic_version");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   unknown: no revision is recorded
    Code head: 5e6f7a8b9c05 Add a note to orders
    Behind by: cannot be told
    odd: the version table is empty, and tables of the migrations are in the database: customers (made by 1a2b3c4d5e01), orders (made by 3c4d5e6f7a03): the rows may have been deleted
    ");
    project.sql("DROP TABLE alembic_version");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   unknown: no revision is recorded
    Code head: 5e6f7a8b9c05 Add a note to orders
    Behind by: cannot be told
    odd: there is no version table alembic_version, and tables of the migrations are in the database: customers (made by 1a2b3c4d5e01), orders (made by 3c4d5e6f7a03): the rows may have been deleted
    ");
}

#[test]
fn the_version_table_is_the_one_that_env_py_names() {
    let project = Project::alembic("custom_version_table").at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   aaaa3333 Add a third column
    Code head: aaaa3333 Add a third column
    Behind by: nothing: every revision of the code is applied
    ");
    project.run("downgrade-safe -1 -y").exits(0);
    assert_eq!(
        project.run("current --format json").json()["current"],
        json!(["aaaa2222"])
    );
}

#[test]
fn flask_migrate_is_found_by_its_folder() {
    let project = Project::flask().at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    flask db (Alembic [VERSION])
    Current:   aaaa3333 Create the comments table
    Code head: aaaa3333 Create the comments table
    Behind by: nothing: every revision of the code is applied
    ");
}

#[test]
fn the_configuration_may_be_in_pyproject() {
    let project = Project::alembic("pyproject")
        .env("DATABASE_URL", "sqlite:///app.db")
        .at("heads");
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Engine:    alembic (Alembic [VERSION])
    Current:   aaaa2222 Add a second column
    Code head: aaaa2222 Add a second column
    Behind by: nothing: every revision of the code is applied
    ");
}

#[test]
fn arguments_for_env_py_and_the_section_are_passed_on() {
    let project = Project::alembic("x_argument");
    project.engine("alembic -x tenant=blue upgrade aaaa1111");
    project.engine("alembic -n archive -x tenant=blue upgrade aaaa2222");
    assert_snapshot!(project.run("current -x tenant=blue"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/blue.db
    Engine:    alembic (Alembic [VERSION])
    Current:   aaaa1111 Create the table
    Code head: aaaa2222 Add a second column
    Behind by: 1 revision
    ");
    assert_snapshot!(project.run("current -n archive -x tenant=blue"), @r"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/blue-archive.db
    Engine:    alembic (Alembic [VERSION])
    Current:   aaaa2222 Add a second column
    Code head: aaaa2222 Add a second column
    Behind by: nothing: every revision of the code is applied
    ");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: KeyError: 'tenant'
      → the project's env.py wants an argument: add `-x tenant=VALUE`
      → the engine's whole output: the same command with -v
    ");
}

#[test]
fn quiet_still_answers() {
    let project = Project::alembic("linear").at("heads");
    assert_eq!(project.run("current -q"), project.run("current"));
}

#[test]
fn a_project_that_cannot_be_written_to_can_be_looked_at() {
    let project = Project::alembic("diamond").at("heads");
    let mode = |mode| fs::set_permissions(project.root(), fs::Permissions::from_mode(mode));
    mode(0o555).unwrap();
    let current = project.run("current");
    let plan = project.run("plan base");
    // Otherwise the folder could not be taken away again.
    mode(0o755).unwrap();
    assert_eq!(
        (current.code, plan.code),
        (Some(0), Some(0)),
        "{current}{plan}"
    );
}
