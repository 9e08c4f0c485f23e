//! What is foretold of a plan: how it is shown, what it denies, and what has to be consented to.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::Project;

/// Invoices hold something, the other tables nothing.
fn with_invoices() -> Project {
    let project = Project::alembic("diamond").at("heads");
    project.sql("INSERT INTO invoices VALUES (1, 1, 2, 'EUR'), (2, 1, 2, NULL)");
    project
}

#[test]
fn what_goes_is_counted() {
    assert_snapshot!(with_invoices().run("plan -3 -v"), @r#"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   e86f3a7d1c95
    Target:    -3

    Rollback plan: 3 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         runs alembic downgrade e86f3a7d1c95@b52d08e7f41c
         file [PROJECT]/migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py
         high       drops column invoices.currency with 1 value
                    [column-dropped] [PROJECT]/migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py:23
                    asked: SELECT count(*) FROM "invoices" WHERE "invoices"."currency" IS NOT NULL
                    → keep a copy of invoices.currency with the key of its table, if it is still wanted
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17
         runs alembic downgrade b52d08e7f41c@7c1e5f0a93d2
         file [PROJECT]/migrations/versions/b52d08e7f41c_merge_invoices_and_sessions.py
      3. 7c1e5f0a93d2  Add invoices
         created 2024-01-11 01:15:28, leaves a4d80b2e6f17
         runs alembic downgrade 7c1e5f0a93d2@3f9a1b6c2d84
         file [PROJECT]/migrations/versions/7c1e5f0a93d2_add_invoices.py
         high       drops table invoices with 2 rows
                    [table-dropped] [PROJECT]/migrations/versions/7c1e5f0a93d2_add_invoices.py:28
                    asked: SELECT count(*) FROM "invoices"
                    → dump table invoices before, if its rows are still wanted

    Asked:     2 questions of the database in [TIME], of [TIME] allowed
    Verdict:   high: drops 1 value in 1 column, 1 table with 2 rows
    Next:      rollback downgrade-safe -3
    --- stderr
    History:   5 revisions, read from the version files
    "#);
}

#[test]
fn a_list_tells_of_every_applied_revision() {
    assert_snapshot!(Project::alembic("no_downgrade").at("heads").run("list"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db

    revision  after  foreseen   why
    aaaa5555      -  low        drops column things.last, which holds nothing but its default
    aaaa4444      1  will fail  has no downgrade function
    aaaa3333      2  medium     does nothing: what the upgrade did stays, only the version row goes
    aaaa2222      3  will fail  raises NotImplementedError: the names cannot be restored
    aaaa1111      4  low        drops table things, which is empty

    5 revisions applied: 2 will fail, 0 may fail
    ");
}

#[test]
fn a_check_tells_all_of_one_revision() {
    assert_snapshot!(with_invoices().run("check 7c1e"), @r#"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Revision:  7c1e5f0a93d2 Add invoices
    Created:   2024-01-11 01:15:28
    File:      [PROJECT]/migrations/versions/7c1e5f0a93d2_add_invoices.py
    Before it: 2 revisions need it: e86f3a7d1c95, b52d08e7f41c

    high       drops table invoices with 2 rows
               [table-dropped] [PROJECT]/migrations/versions/7c1e5f0a93d2_add_invoices.py:28
               asked: SELECT count(*) FROM "invoices"
               → dump table invoices before, if its rows are still wanted

    Advice:    fix forward
    Because:   it drops table invoices with 2 rows

    Asked:     2 questions of the database in [TIME], of [TIME] allowed
    Verdict:   high: drops 1 value in 1 column, 1 table with 2 rows
    Next:      rollback downgrade-safe 7c1e5f0a93d2@3f9a1b6c2d84
    "#);
}

#[test]
fn a_check_of_what_is_not_applied_is_an_error() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    assert_snapshot!(project.run("check e86f3a7d1c95"), @"
    exit 1
    --- stderr
    error: e86f3a7d1c95 is not below the current position: it is not applied
      → see the revisions that are applied: rollback plan base
    ");
}

#[test]
fn a_level_can_be_denied() {
    let project = with_invoices();
    project.run("plan -2 --deny high").exits(3);
    assert_snapshot!(project.run("plan -2 --deny high").stderr, @"
    refused: the plan has a finding of level high, and --deny high was given
      because column-dropped: drops column invoices.currency with 1 value
    ");
    project.run("plan -1 --deny unknown").exits(0);
}

#[test]
fn without_asking_what_is_held_is_not_known() {
    let project = with_invoices();
    let plan = project
        .run("plan -1 --no-probe --format json")
        .exits(0)
        .json();
    let finding = &plan["steps"][0]["findings"][0];
    assert_eq!(finding["code"], "column-dropped");
    assert_eq!(finding["evidence"], json!(null));
    assert_eq!(plan["verdict"]["asked"], json!({ "reason": "--no-probe" }));
}

#[test]
fn consent_is_given_by_name() {
    let project = with_invoices();
    let bytes = project.bytes();
    assert_snapshot!(project.run("downgrade-safe -3 -y").stderr, @"
    refused: -y alone does not allow what this plan puts at risk: nothing was changed
      because column-dropped, high: drops column invoices.currency with 1 value
      because table-dropped, high: drops table invoices with 2 rows
      → to allow it by name: --allow column-dropped,table-dropped
    ");
    project
        .run("downgrade-safe -3 -y --allow column-dropped")
        .exits(3);
    assert_eq!(project.bytes(), bytes);
    project
        .run("downgrade-safe -1 -y --allow column-dropped")
        .exits(0);
    project
        .rollback("downgrade-safe -2 -y")
        .env("ROLLBACK_ALLOW", "all")
        .run()
        .exits(0);
}

#[test]
fn a_word_that_is_no_finding_is_no_consent() {
    let project = with_invoices();
    assert_snapshot!(project.run("downgrade-safe -1 -y --allow table-droped").stderr, @r#"
    error: invalid value 'table-droped' for '--allow <CODE>': "table-droped" is not a finding; did you mean table-dropped?

    For more information, try '--help'.
    "#);
}

#[test]
fn a_certain_failure_is_refused_before_anything_runs() {
    let project = Project::alembic("failing").at("heads");
    let bytes = project.bytes();
    assert_snapshot!(project.run("downgrade-safe base -y").stderr, @"
    refused: step 3 of 5, 3333aaaa, will fail: nothing was changed
      because object-missing: table never_created does not exist, at [PROJECT]/migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py:28
      → the last position that can be reached is 3333aaaa: rollback downgrade-safe 3333aaaa
      → to begin all the same, and stop there: --allow-failing
    ");
    assert_eq!(project.bytes(), bytes);
    // What is named instead is reached.
    project.run("downgrade-safe 3333aaaa -y").exits(0);
}

/// Turns red if the forecast goes by the library of this program, which is newer than that of many machines.
#[test]
fn an_old_library_of_the_engine_is_known_before_it_fails() {
    let project = Project::alembic("diamond").at("heads");
    let env = std::fs::read_to_string(project.root().join("migrations/env.py")).unwrap();
    let old = format!("from sqlite3 import dbapi2\n\ndbapi2.sqlite_version = \"3.34.1\"\n{env}");
    let project = project.file("migrations/env.py", old);
    let plan = project.run("plan -1 --format json").exits(0).json();
    let findings = plan["steps"][0]["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|finding| finding["code"] == "not-supported")
        .unwrap_or_else(|| panic!("{plan}"));
    assert_eq!(found["outcome"], "will_fail", "{plan}");
    assert!(
        found["sentence"]
            .as_str()
            .unwrap()
            .contains("SQLite is 3.34.1"),
        "{plan}"
    );
}
