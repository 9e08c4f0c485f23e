//! Crashes of the program and of the server while SQL files are run, on all three databases. `--resume` then ends
//! where an undisturbed run ends: with the rows that count each statement, with the schema, and with what is written
//! down.

use std::io::{BufRead as _, BufReader};

use rollback::domain::schema::SchemaLines;

use crate::sql_shop::{DOWN, applied, count, statuses};
use crate::support::{Kind, Server, TestDatabase};

/// The gaps between two effects of any run: see `fault::point` in `src/`. The number is the passage.
const OF_A_RUN: [&str; 6] = [
    "after_begun",
    "after_intent:2",
    "after_engine:2",
    "after_look:2",
    "after_done:2",
    "before_ended",
];

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

/// The gaps of a step whose statements are one transaction. The first passage of some is the step before it.
fn in_a_transaction() -> Vec<String> {
    let mut gaps = vec!["before_commit:2".to_owned(), "after_commit:2".to_owned()];
    for at in [2, 4, 7] {
        gaps.push(format!("before_statement:{at}"));
        gaps.push(format!("after_statement:{at}"));
    }
    gaps
}

/// The gaps of one whose statements each stay done: `first` is the passage of its first statement, `begun` that of
/// its beginning.
fn by_statement(begun: usize, first: usize, noted: usize) -> Vec<String> {
    let mut gaps = vec![
        format!("after_progress_begun:{begun}"),
        "before_commit:2".to_owned(),
        "after_commit:2".to_owned(),
    ];
    // One of each kind: rows, the schema, what runs alone, and the last one.
    for at in [0, 1, 2, 5] {
        gaps.push(format!("before_statement:{}", first + at));
        gaps.push(format!("after_statement:{}", first + at));
        gaps.push(format!("after_progress:{}", noted + at));
        gaps.push(format!("after_statement_ended:{}", noted + at));
    }
    gaps
}

type End = (String, Vec<String>, SchemaLines);

fn end(database: &TestDatabase<'_>) -> End {
    let schema = database.open().schema().unwrap();
    (count(database), statuses(database), schema)
}

/// What a run to the same target leaves that nothing disturbs.
fn undisturbed(kind: Kind, down: &str) -> End {
    let database = TestDatabase::create(kind);
    applied(&database, down)
        .run("downgrade-safe -2 -y --allow-failing")
        .exits(0);
    end(&database)
}

/// Kills the program at each gap. Where it may not be told whether a statement was done, `unclear` says so, and a
/// person looks.
fn killed_at(kind: Kind, down: &str, gaps: &[String], unclear: &[&str]) {
    let expected = undisturbed(kind, down);
    for gap in gaps {
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
        if unclear.contains(&gap.as_str()) {
            assert_eq!(resumed.code, Some(5), "{kind:?} {gap}\n{resumed}");
            assert!(resumed.stderr.contains("gone: "), "{gap}\n{resumed}");
            continue;
        }
        assert_eq!(resumed.code, Some(0), "{kind:?} {gap}\n{resumed}");
        assert_eq!(end(&database), expected, "{kind:?} {gap}\n{resumed}");
        project.run("downgrade-safe --resume").exits(1);
    }
}

fn of_a_run() -> Vec<String> {
    OF_A_RUN.map(str::to_owned).to_vec()
}

#[test]
fn the_program_is_killed_at_every_gap_of_a_transaction_on_sqlite() {
    let gaps = [of_a_run(), in_a_transaction()].concat();
    killed_at(Kind::Sqlite, PLAIN, &gaps, &[]);
}

#[test]
fn the_program_is_killed_at_every_gap_of_a_transaction_on_postgresql() {
    let gaps = [of_a_run(), in_a_transaction()].concat();
    killed_at(Kind::PostgreSql, PLAIN, &gaps, &[]);
}

#[test]
fn the_program_is_killed_around_every_statement_on_sqlite() {
    let gaps = by_statement(1, 2, 1);
    killed_at(Kind::Sqlite, &alone(Kind::Sqlite), &gaps, &[]);
}

#[test]
fn the_program_is_killed_around_every_statement_on_postgresql() {
    let gaps = by_statement(1, 2, 1);
    // What is done in several transactions may be half done.
    let unclear = ["after_statement:4"];
    killed_at(Kind::PostgreSql, &alone(Kind::PostgreSql), &gaps, &unclear);
}

#[test]
fn the_program_is_killed_around_every_statement_on_mariadb() {
    let gaps = [of_a_run(), by_statement(2, 2, 2)].concat();
    killed_at(Kind::MariaDb, PLAIN, &gaps, &[]);
}

#[test]
fn several_objects_in_one_statement_are_for_a_person_on_mariadb() {
    let down = "UPDATE a SET x = x + 1; DROP TABLE b, c;";
    let gaps = ["before_statement:3", "after_statement:3"].map(str::to_owned);
    killed_at(Kind::MariaDb, down, &gaps, &["after_statement:3"]);
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

#[test]
fn a_statement_that_outlives_the_program_is_waited_for() {
    for kind in Kind::SERVERS {
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
}

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

#[test]
fn the_server_is_killed_in_the_middle_of_a_step() {
    for kind in Kind::SERVERS {
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
}
