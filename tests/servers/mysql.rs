//! What has to hold on MySQL itself, beside MariaDB, in every run of the tests that finds a MySQL.
//!
//! All other tests of MariaDB run on MySQL with `ROLLBACK_TEST_MARIADB=mysql`.

use crate::lock_timeout::gives_up_and_names_the_holder;
use crate::restore::a_run_that_failed_is_undone_by_hand;
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, upgraded};

/// Turns red if the server is taken for a MariaDB, or a plan and its run differ.
#[test]
fn a_project_is_planned_and_rolled_back() {
    if !Kind::MySql.is_installed() {
        return;
    }
    let database = TestDatabase::create(Kind::MySql);
    let server = database.open().identity().unwrap().server.unwrap();
    assert!(server.starts_with("MySQL "), "{server}");
    let project = upgraded("diamond", &database);
    let before = rows(&database);
    let plan = project.run("plan -2 --format json").exits(0).json();
    assert_eq!(rows(&database), before);
    assert_eq!(plan["database"]["server"], server.as_str(), "{plan}");
    let run = project.run("downgrade-safe -2 -y --format json").exits(0);
    let lines = run.json_lines();
    let finished = crate::walk::events(&lines, "step_finished");
    let removed: Vec<_> = finished.iter().map(|step| &step["removes"]).collect();
    let planned: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["removes"])
        .collect();
    assert_eq!(removed, planned, "{run}");
    assert_eq!(removed.len(), 2, "{run}");
}

/// Turns red if a backup does not come back whole, or a step that failed half-way is not told.
#[test]
fn a_half_done_run_is_undone_by_its_backup() {
    if Kind::MySql.is_installed() {
        a_run_that_failed_is_undone_by_hand(Kind::MySql);
    }
}

/// Turns red if the limit of MariaDB is one that MySQL refuses: `LEAST` alone is, with error 1232.
#[test]
fn a_step_that_waits_for_a_lock_gives_up() {
    if Kind::MySql.is_installed() {
        gives_up_and_names_the_holder(Kind::MySql);
    }
}

/// Turns red if a verified backup is refused because of it: MySQL keeps the `;` of a function that was made by one of
/// several statements, and its dump does not have it.
#[test]
fn the_end_of_a_statement_is_no_part_of_a_function() {
    if !Kind::MySql.is_installed() {
        return;
    }
    let database = TestDatabase::create(Kind::MySql);
    let made = "CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN n * 2";
    database.execute(&format!("{made}; DO 1"));
    let kept = "SELECT routine_definition FROM information_schema.routines WHERE routine_schema = DATABASE()";
    assert_eq!(database.query_one(kept), "RETURN n * 2;");
    let among_others = database.open().schema().unwrap();
    database.execute("DROP FUNCTION twice");
    database.execute(made);
    assert_eq!(database.query_one(kept), "RETURN n * 2");
    assert_eq!(database.open().schema().unwrap(), among_others);
}
