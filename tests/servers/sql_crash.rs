//! Crashes of the program and of the server while SQL files are run, on all three databases. `--resume` then ends
//! where an undisturbed run ends: with the rows that count each statement, with the schema, and with what is written
//! down.

use std::io::{BufRead as _, BufReader};

use rollback_core::schema::SchemaLines;

use crate::crash::gap;
use crate::sql_shop::{DOWN, applied, count, statuses};
use crate::support::{Kind, Server, Shared, TestDatabase};

/// A script that one transaction holds on PostgreSQL and SQLite, and none on MariaDB.
const PLAIN: &str = DOWN;

/// One that none holds.
fn alone(kind: Kind) -> String {
    let alone = match kind {
        Kind::PostgreSql => "DROP INDEX CONCURRENTLY b_n;",
        Kind::Sqlite => "VACUUM;",
        Kind::MariaDb | Kind::MySql => "ALTER TABLE b DROP COLUMN n;",
    };
    DOWN.replace("UPDATE a SET x = x + 10;", alone)
}

type End = (String, Vec<String>, SchemaLines);

fn end(database: &TestDatabase<'_>) -> End {
    let schema = database.open().schema().unwrap();
    (count(database), statuses(database), schema)
}

/// What a run to the same target leaves that nothing disturbs.
fn undisturbed(kind: Kind, down: &str) -> End {
    static LEFT: Shared<(Kind, String), End> = Shared::new();
    LEFT.get((kind, down.to_owned()), || {
        let database = TestDatabase::create(kind);
        applied(&database, down)
            .run("downgrade-safe -2 -y --allow-failing")
            .exits(0);
        end(&database)
    })
}

/// Kills the program at a gap. Where it may not be told whether a statement was done, `is_unclear` says so, and a person
/// looks.
fn killed_at(kind: Kind, down: &str, gap: &str, is_unclear: bool) {
    let expected = undisturbed(kind, down);
    let database = TestDatabase::create(kind);
    let project = applied(&database, down);
    let killed = project
        .rollback("downgrade-safe -2 -y --allow-failing")
        .env("ROLLBACK_FAULT_POINT", gap)
        .run();
    assert_eq!(killed.code, None, "{kind:?} {gap}: not killed\n{killed}");
    // A new run is refused until this one is settled.
    let refused = project
        .run("downgrade-safe base -y --allow-failing")
        .exits(3);
    assert!(refused.stderr.contains("rollback resume"), "{refused}");

    let resumed = project.run("downgrade-safe --resume -y --allow-failing");
    if is_unclear {
        assert_eq!(resumed.code, Some(5), "{kind:?} {gap}\n{resumed}");
        assert!(resumed.stderr.contains("gone: "), "{gap}\n{resumed}");
        return;
    }
    assert_eq!(resumed.code, Some(0), "{kind:?} {gap}\n{resumed}");
    assert_eq!(end(&database), expected, "{kind:?} {gap}\n{resumed}");
    project.run("downgrade-safe --resume").exits(1);
}

/// Between two effects of any run, and in a step whose statements are one transaction. The first passage of some is the
/// step before it.
fn the_program_is_killed_in_a_transaction(kind: Kind, test: &str) {
    killed_at(kind, PLAIN, &gap(test), false);
}
on_each!(the_program_is_killed_in_a_transaction: sqlite, postgresql; [
    after_begun, after_intent_2, after_engine_2, after_look_2, after_done_2, before_ended,
    before_commit_2, after_commit_2,
    before_statement_2, after_statement_2, before_statement_4, after_statement_4, before_statement_7, after_statement_7
]);

/// Around statements that each stay done, one of each kind: rows, the schema, what runs alone, and the last one.
fn the_program_is_killed_around_a_statement(kind: Kind, test: &str) {
    // What is done in several transactions may be half done.
    let is_unclear = kind == Kind::PostgreSql && test == "after_statement_4";
    killed_at(kind, &alone(kind), &gap(test), is_unclear);
}
on_each!(the_program_is_killed_around_a_statement: sqlite, postgresql; [
    after_progress_begun_1, before_commit_2, after_commit_2,
    before_statement_2, after_statement_2, after_progress_1, after_statement_ended_1,
    before_statement_3, after_statement_3, after_progress_2, after_statement_ended_2,
    before_statement_4, after_statement_4, after_progress_3, after_statement_ended_3,
    before_statement_7, after_statement_7, after_progress_6, after_statement_ended_6
]);

/// The same on a server on which every step is so.
fn the_program_is_killed_around_a_statement_of_any_step(kind: Kind, test: &str) {
    killed_at(kind, PLAIN, &gap(test), false);
}
on_each!(the_program_is_killed_around_a_statement_of_any_step: mariadb; [
    after_begun, after_intent_2, after_engine_2, after_look_2, after_done_2, before_ended,
    after_progress_begun_2, before_commit_2, after_commit_2,
    before_statement_2, after_statement_2, after_progress_2, after_statement_ended_2,
    before_statement_3, after_statement_3, after_progress_3, after_statement_ended_3,
    before_statement_4, after_statement_4, after_progress_4, after_statement_ended_4,
    before_statement_7, after_statement_7, after_progress_7, after_statement_ended_7
]);

#[test]
fn several_objects_in_one_statement_are_for_a_person_on_mariadb() {
    let down = "UPDATE a SET x = x + 1; DROP TABLE b, c;";
    killed_at(Kind::MariaDb, down, "before_statement:3", false);
    killed_at(Kind::MariaDb, down, "after_statement:3", true);
}

#[test]
fn a_crash_of_a_run_that_goes_on_is_gone_on_with_too() {
    let kind = Kind::MariaDb;
    let expected = undisturbed(kind, PLAIN);
    let database = TestDatabase::create(kind);
    let project = applied(&database, PLAIN);
    for (line, gap) in [
        ("downgrade-safe -2 -y --allow-failing", "after_statement:3"),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_resumed:2",
        ),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_progress_begun:1",
        ),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_statement:2",
        ),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_intent:1",
        ),
    ] {
        let killed = project
            .rollback(line)
            .env("ROLLBACK_FAULT_POINT", gap)
            .run();
        assert_eq!(killed.code, None, "{gap}\n{killed}");
    }
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(end(&database), expected);
}

#[test]
fn without_the_record_a_step_that_was_cut_off_goes_on_where_that_is_certain() {
    let expected = undisturbed(Kind::MariaDb, PLAIN);
    for (gap, certain) in [("before_statement:4", true), ("after_statement:3", false)] {
        let database = TestDatabase::create(Kind::MariaDb);
        let project = applied(&database, PLAIN);
        let killed = project
            .rollback("downgrade-safe -2 -y --allow-failing")
            .env("ROLLBACK_FAULT_POINT", gap)
            .run();
        assert_eq!(killed.code, None, "{gap}\n{killed}");
        std::fs::remove_dir_all(project.root().join(".rollback")).unwrap();
        // The forecast ends where the step is foretold to fail, and so does what the plan announces.
        let run = project.run("downgrade-safe -1 -y --allow-failing --allow all,unannounced");
        if certain {
            assert_eq!(run.code, Some(0), "{run}");
            assert_eq!(end(&database), expected, "{run}");
        } else {
            assert_eq!(run.code, Some(4), "{run}");
            assert!(run.stderr.contains("was cut off before"), "{run}");
            assert_eq!(count(&database), "1", "{run}");
        }
    }
}

/// A statement that takes a while, in the place of the fourth one.
fn slow(kind: Kind) -> String {
    let wait = match kind {
        Kind::PostgreSql => "SELECT pg_sleep(3);",
        _ => "DO SLEEP(3);",
    };
    DOWN.replace(
        "UPDATE a SET x = x + 10;",
        &format!("{wait} UPDATE a SET x = x + 10;"),
    )
}

fn a_statement_that_outlives_the_program_is_waited_for(kind: Kind) {
    let expected = undisturbed(kind, &slow(kind));
    let database = TestDatabase::create(kind);
    let project = applied(&database, &slow(kind));
    let mut child = until_it_waits(&project);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(end(&database), expected, "{kind:?}\n{resumed}");
}
on_each!(a_statement_that_outlives_the_program_is_waited_for: postgresql, mariadb);

/// A run whose slow statement was sent.
fn until_it_waits(project: &crate::project::Project) -> std::process::Child {
    let call = project.rollback("downgrade-safe -2 -y --allow-failing -v");
    let mut child = call.piped().spawn().unwrap();
    let words = BufReader::new(child.stderr.take().unwrap());
    let waits = words
        .lines()
        .map_while(Result::ok)
        .any(|line| line.to_uppercase().contains("SLEEP(3)"));
    assert!(waits, "it ended early");
    child
}

fn the_server_is_killed_in_the_middle_of_a_step(kind: Kind) {
    let expected = undisturbed(kind, &slow(kind));
    let server = Server::start(kind);
    let database = server.create_database();
    let project = applied(&database, &slow(kind));
    let mut child = until_it_waits(&project);
    server.kill9();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(5), "{kind:?}");
    server.start_again();
    let resumed = project.run("downgrade-safe --resume -y --allow-failing");
    if resumed.code == Some(0) {
        assert_eq!(end(&database), expected, "{kind:?}\n{resumed}");
    } else {
        // The test servers do not wait for their disk, so a kill may take back what was verified.
        assert_eq!(resumed.code, Some(5), "{kind:?}\n{resumed}");
        assert!(resumed.stderr.contains("Found:"), "{resumed}");
    }
}
on_each!(the_server_is_killed_in_the_middle_of_a_step: postgresql, mariadb);
