//! Crashes of a run that is to be whole. `--resume` then ends where an undisturbed run ends, and what it
//! leaves is all or nothing.

use std::time::{Duration, Instant};

use crate::atomic::{FAILS, events, everything, ten};
use rollback_core::schema::SchemaLines;

use crate::crash::gap;
use crate::project::{Project, Run};
use crate::support::{Kind, Shared, TestDatabase};
use crate::walk::{rows, schema};

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

/// What a run leaves that nothing disturbs.
fn undisturbed(kind: Kind) -> (Vec<String>, SchemaLines) {
    static LEFT: Shared<Kind, (Vec<String>, SchemaLines)> = Shared::new();
    LEFT.get(kind, || {
        let database = TestDatabase::create(kind);
        ten(&database, "pass")
            .run("downgrade-safe -3 -y --allow-failing --atomic")
            .exits(0);
        (rows(&database), schema(&database))
    })
}

fn a_transaction_is_killed_at_a_gap(kind: Kind, test: &str) {
    let gap = gap(test);
    let expected = undisturbed(kind);
    let database = TestDatabase::create(kind);
    let project = ten(&database, "pass");
    killed(
        &project,
        "downgrade-safe -3 -y --allow-failing --atomic",
        &gap,
    );
    if gap == "after_copy" {
        // No run was begun: the copy is all there is of it.
        assert_eq!(copies(&database).len(), 1);
        project
            .run("downgrade-safe -3 -y --allow-failing --atomic")
            .exits(0);
        assert_eq!((rows(&database), schema(&database)), expected, "{gap}");
        return;
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
on_each!(a_transaction_is_killed_at_a_gap: postgresql; [
    after_whole, after_intent, inside_step_2, before_committing, after_committing,
    after_engine, after_done_1, after_done_3, before_ended
]);

fn a_whole_with_a_copy_is_killed_at_a_gap(kind: Kind, test: &str) {
    a_transaction_is_killed_at_a_gap(kind, test);
}
on_each!(a_whole_with_a_copy_is_killed_at_a_gap: sqlite; [
    after_copy, after_whole, after_intent_1, after_engine_2, after_done_2,
    before_committing, after_committing, after_recorded_1, after_recorded_3, before_ended
]);

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
            assert!(run.stderr.contains("some of it may have happened"), "{run}");
            assert!(run.stderr.contains("Put back:"), "{run}");
        }
        assert_eq!(everything(&database), before, "{first} {second:?}\n{run}");
        let project = project.edit("migrations/versions/r01.py", FAILS, "pass");
        resumed(&project, "").exits(0);
        assert_eq!(rows(&database), [""; 0], "{first} {second:?}");
    }
}

const EIGHT: &str = "downgrade-safe r02 -y --allow all --atomic";

/// Resumes a killed run of [`EIGHT`] steps and compares its end with that of an undisturbed one.
fn resumes_from_the_copy(database: &TestDatabase<'_>, project: &Project, killed: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let run = loop {
        let run = project.run("downgrade-safe --resume -y --allow all --format json");
        if run.code != Some(6) {
            break run.exits(0);
        }
        assert!(Instant::now() < deadline, "the engine does not end\n{run}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(rows(database), ["r02"], "{killed}\n{run}");
    let left: Vec<String> = everything(database)
        .into_keys()
        .filter(|name| name.starts_with("rows of"))
        .collect();
    assert_eq!(
        left,
        ["rows of alembic_version", "rows of t1", "rows of t2"],
        "{killed}\n{run}"
    );
    assert!(!run.stdout.contains("will-fail"), "{killed}\n{run}");
    let plan = &events(&run, "plan")[0];
    for step in plan["steps"].as_array().unwrap() {
        let number = step["removes"]
            .as_str()
            .unwrap()
            .trim_start_matches(['r', '0']);
        assert_eq!(
            step["findings"][0]["sentence"],
            format!("drops table t{number} with 2 rows"),
            "{killed}\n{run}"
        );
    }
}

/// Turns red if a resume is planned and predicted from the half-finished file: there the tables of the steps that are
/// done are missing, and every step that drops one "will fail", which refused 10 of 20 resumes.
#[test]
fn a_resume_is_predicted_from_the_copy_that_is_put_back() {
    let gaps = ["after_intent", "after_engine", "after_look", "after_done"];
    for (number, gap) in (1..=8).zip(gaps.iter().cycle()) {
        let gap = format!("{gap}:{number}");
        let database = TestDatabase::create(Kind::Sqlite);
        let project = ten(&database, "pass");
        killed(&project, EIGHT, &gap);
        resumes_from_the_copy(&database, &project, &gap);
        assert_eq!(copies(&database), [""; 0], "{gap}");
    }
}

/// The same at moments that are spread over the time that an undisturbed run takes.
#[test]
fn a_whole_that_is_killed_at_any_moment_is_resumed_on_sqlite() {
    let undisturbed = TestDatabase::create(Kind::Sqlite);
    let project = ten(&undisturbed, "pass");
    let started = Instant::now();
    project.run(EIGHT).exits(0);
    let whole = started.elapsed();
    for part in 3..=10 {
        let database = TestDatabase::create(Kind::Sqlite);
        let project = ten(&database, "pass");
        let mut child = project.rollback(EIGHT).piped().spawn().unwrap();
        std::thread::sleep(whole * part / 11);
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = project.run("history --format json").exits(0).json();
        match begun["runs"][0]["status"].as_str() {
            Some("unfinished") => {
                resumes_from_the_copy(&database, &project, &format!("{part} of 11"));
            }
            // It was killed before it began or after it was done.
            Some("done") => assert_eq!(rows(&database), ["r02"]),
            None => assert_eq!(rows(&database), ["r10"]),
            other => panic!("{other:?}"),
        }
    }
}

/// Rows that a step changed before it was cut off are in neither version table nor schema. Turns red if the step is
/// run again on them.
#[test]
fn rows_that_half_a_step_changed_are_put_back_before_it_runs_again() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = ten(&database, "pass").edit(
        "migrations/versions/r10.py",
        "    op.drop_table(\"t10\")\n",
        "    import os, time\n    \
         op.get_bind().connection.executescript(\"UPDATE t1 SET id = id * 10\")\n    \
         open('at', 'w').close()\n    \
         while not os.path.exists('go'):\n        \
         time.sleep(0.02)\n        \
         if os.path.exists('die'):\n            os.remove('at')\n            os._exit(1)\n    \
         op.drop_table(\"t10\")\n",
    );
    let ids = || database.query("SELECT group_concat(id) FROM t1");
    let mut child = project
        .rollback("downgrade-safe -2 -y --allow all --atomic")
        .piped()
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !project.root().join("at").exists() {
        assert!(Instant::now() < deadline, "the step does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let project = project.file("die", "");
    while project.root().join("at").exists() {
        assert!(Instant::now() < deadline, "the engine does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ids(), [[Some("10,20".to_owned())]]);
    let project = project.file("go", "");
    resumed(&project, "--allow all").exits(0);
    assert_eq!(rows(&database), ["r08"]);
    assert_eq!(ids(), [[Some("10,20".to_owned())]]);
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
    assert!(run.stderr.contains("rollback abandon"), "{run}");

    // Brought back by hand, the database is where the run began.
    std::fs::rename(&aside, database.path()).unwrap();
    // It is another file, which only the operator can know to be the same database.
    let refused = resumed(&project, "").exits(3);
    assert!(refused.stderr.contains("--other-database"), "{refused}");
    // Without the copy nothing proves which rows are in it, so the record is closed and another run begins.
    resumed(&project, "--other-database").exits(5);
    project.run("abandon --other-database").exits(0);
    project
        .run("downgrade-safe -3 -y --allow-failing --atomic")
        .exits(0);
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
