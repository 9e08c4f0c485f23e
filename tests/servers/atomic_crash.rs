//! Crashes of a run that is to be whole. `--resume` then ends where an undisturbed run ends, and what it
//! leaves is all or nothing.

use std::time::{Duration, Instant};

use rollback::domain::schema::Schema;

use crate::atomic::{FAILS, everything, rows, ten};
use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};

/// Between two effects of a run in one transaction: see `fault::point` in `src/`.
const IN_A_TRANSACTION: [&str; 9] = [
    "after_whole",
    "after_intent",
    "inside_step:2",
    "before_committing",
    "after_committing",
    "after_engine",
    "after_done:1",
    "after_done:3",
    "before_ended",
];

/// The same with a copy of the file.
const WITH_A_COPY: [&str; 10] = [
    "after_copy",
    "after_whole",
    "after_intent:1",
    "after_engine:2",
    "after_done:2",
    "before_committing",
    "after_committing",
    "after_recorded:1",
    "after_recorded:3",
    "before_ended",
];

fn schema(database: &TestDatabase<'_>) -> Schema {
    database.open().schema().unwrap()
}

fn killed(project: &Project, line: &str, gap: &str) {
    let run = project
        .rollback(line)
        .env("ROLLBACK_FAULT_POINT", gap)
        .run();
    assert_eq!(run.code, None, "{gap}: not killed\n{run}");
}

/// Goes on as soon as the engine of the killed run is gone.
fn resumed(project: &Project, words: &str) -> Run {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let run = project.run(&format!(
            "downgrade-safe --resume -y --allow-failing {words}"
        ));
        if run.code != Some(6) {
            return run;
        }
        assert!(Instant::now() < deadline, "the engine does not end\n{run}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What lies beside the file.
fn copies(database: &TestDatabase<'_>) -> Vec<String> {
    if database.kind() != Kind::Sqlite {
        return Vec::new();
    }
    let path = database.path();
    std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-rollback"))
        .collect()
}

fn killed_at_every_gap(kind: Kind, gaps: &[&str]) {
    let undisturbed = TestDatabase::create(kind);
    ten(&undisturbed, "pass")
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(0);
    let expected = (rows(&undisturbed), schema(&undisturbed));
    for gap in gaps {
        let database = TestDatabase::create(kind);
        let project = ten(&database, "pass");
        killed(
            &project,
            "downgrade-safe -3 -y --allow-failing --atomic",
            gap,
        );
        if *gap == "after_copy" {
            // No run was begun: the copy is all there is of it.
            assert_eq!(copies(&database).len(), 1);
            project
                .run("downgrade-safe -3 -y --allow-failing --atomic")
                .exits(0);
            assert_eq!((rows(&database), schema(&database)), expected, "{gap}");
            continue;
        }
        let run = resumed(&project, "").exits(0);
        assert_eq!(
            (rows(&database), schema(&database)),
            expected,
            "{kind:?} {gap}\n{run}"
        );
        assert_eq!(copies(&database), [""; 0], "{gap}\n{run}");
        project.run("downgrade-safe --resume").exits(1);
        project
            .run("downgrade-safe base -y --allow-failing --atomic")
            .exits(0);
    }
}

#[test]
fn a_whole_is_killed_at_every_gap_on_postgresql() {
    killed_at_every_gap(Kind::PostgreSql, &IN_A_TRANSACTION);
}

#[test]
fn a_whole_is_killed_at_every_gap_on_sqlite() {
    killed_at_every_gap(Kind::Sqlite, &WITH_A_COPY);
}

/// Turns red if a whole is gone on with step by step, or recorded twice.
#[test]
fn what_was_committed_without_a_record_is_recorded_and_not_repeated() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass");
    killed(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic",
        "after_engine",
    );
    let committed = everything(&database);
    let run = resumed(&project, "").exits(0);
    assert!(
        run.stderr
            .contains("all of it happened without being recorded"),
        "{run}"
    );
    assert_eq!(everything(&database), committed, "{run}");

    // Where somebody has changed the schema since, a person has to look.
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass");
    killed(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic",
        "after_engine",
    );
    database.execute("ALTER TABLE t1 ADD COLUMN more integer");
    let run = resumed(&project, "").exits(5);
    assert!(run.stderr.contains("new:  column public.t1.more"), "{run}");
    assert!(run.stderr.contains("--accept r07"), "{run}");
    database.execute("ALTER TABLE t1 DROP COLUMN more");
    resumed(&project, "").exits(0);
}

/// Also where the cause of a failure is still there, and where putting back is cut off itself.
#[test]
fn some_of_a_whole_is_put_back_and_begun_again() {
    for (first, second) in [
        ("after_engine:2", None),
        ("after_engine:2", Some("before_put_back")),
        ("after_engine:2", Some("after_put_back")),
        ("after_engine:2", Some("after_copy")),
        ("after_engine:2", Some("after_resumed")),
        ("after_engine:2", Some("after_engine:3")),
        ("before_put_back", None),
        ("after_put_back", None),
    ] {
        let database = TestDatabase::create(Kind::Sqlite);
        let project = ten(&database, FAILS);
        let before = everything(&database);
        killed(
            &project,
            "downgrade-safe base -y --allow-failing --atomic",
            first,
        );
        if let Some(gap) = second {
            killed(&project, "downgrade-safe --resume -y --allow-failing", gap);
        }
        let run = resumed(&project, "").exits(4);
        if second.is_none() && first != "after_put_back" {
            assert!(run.stderr.contains("some of it happened"), "{run}");
            assert!(run.stderr.contains("Put back:"), "{run}");
        }
        assert_eq!(everything(&database), before, "{first} {second:?}\n{run}");
        let project = project.edit("migrations/versions/r01.py", FAILS, "pass");
        resumed(&project, "").exits(0);
        assert_eq!(rows(&database), [""; 0], "{first} {second:?}");
    }
}

/// A dry run and a refusal put nothing back.
#[test]
fn nothing_is_put_back_before_it_is_agreed_to() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = ten(&database, "pass");
    killed(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic",
        "after_engine:2",
    );
    let half = everything(&database);
    let dry = project.run("downgrade-safe --resume --dry-run").exits(0);
    assert!(dry.stdout.contains("Rollback plan: 3 steps"), "{dry}");
    project.run("downgrade-safe --resume").exits(3);
    assert_eq!(everything(&database), half);

    let told = project.run("downgrade-safe --abandon").exits(0);
    let [copy] = copies(&database).try_into().unwrap();
    assert!(
        told.stderr
            .contains("it was before the first step is kept as"),
        "{told}"
    );
    assert!(told.stderr.contains(&copy), "{told}");
    assert_eq!(everything(&database), half);
}

#[test]
fn a_copy_that_is_missing_is_for_a_person() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = ten(&database, "pass");
    killed(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic",
        "after_engine:2",
    );
    let [copy] = copies(&database).try_into().unwrap();
    let copy = database.path().with_file_name(copy);
    let aside = copy.with_extension("aside");
    std::fs::rename(&copy, &aside).unwrap();
    let run = resumed(&project, "").exits(5);
    assert!(run.stderr.contains("is missing"), "{run}");
    assert!(!run.stderr.contains("--accept"), "{run}");
    assert!(run.stderr.contains("--abandon"), "{run}");

    // Brought back by hand, the database is where the run began.
    std::fs::rename(&aside, database.path()).unwrap();
    resumed(&project, "").exits(0);
    assert_eq!(rows(&database), ["r07"]);
}

/// A commit that fails by itself leaves nothing, although it was recorded as about to happen.
#[test]
fn a_commit_that_fails_is_no_commit() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = ten(&database, "pass");
    database.execute(
        "CREATE TABLE one (id integer PRIMARY KEY);
         CREATE TABLE two (id integer REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED)",
    );
    let bad = "    op.drop_table(\"t9\")\n    op.execute(\"INSERT INTO two VALUES (7)\")\n";
    let project = project.edit(
        "migrations/versions/r09.py",
        "    op.drop_table(\"t9\")\n",
        bad,
    );
    let before = everything(&database);
    let run = project
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(4);
    assert_eq!(everything(&database), before, "{run}");
    let project = project.edit(
        "migrations/versions/r09.py",
        bad,
        "    op.drop_table(\"t9\")\n",
    );
    resumed(&project, "").exits(0);
    assert_eq!(rows(&database), ["r07"]);
}

/// The engine is killed where the parent waits for it, in the middle of the range.
#[test]
fn an_engine_that_is_killed_in_its_transaction_leaves_nothing() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let kills =
        "    op.drop_table(\"t9\")\n    import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n";
    let project = ten(&database, "pass").edit(
        "migrations/versions/r09.py",
        "    op.drop_table(\"t9\")\n",
        kills,
    );
    let before = everything(&database);
    let run = project
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(4);
    assert_eq!(everything(&database), before, "{run}");
    assert!(
        run.stderr.contains("all that was done was taken back"),
        "{run}"
    );
}
