//! Crashes of the program, of the engine and of the server, on all three databases. `--resume` then
//! ends where an undisturbed run ends, or says exactly what is in the way.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rollback_core::schema::SchemaLines;
use serde_json::json;

use crate::lock_timeout::until;
use crate::project::Project;
use crate::support::{Kind, Server, Shared, TestDatabase};
use crate::walk::{events, rows, schema, until_step, upgraded};

/// What a run to the same target leaves that nothing disturbs.
fn undisturbed(case: &'static str, kind: Kind, target: &'static str) -> (Vec<String>, SchemaLines) {
    type Key = (&'static str, Kind, &'static str);
    static LEFT: Shared<Key, (Vec<String>, SchemaLines)> = Shared::new();
    LEFT.get((case, kind, target), || {
        let database = TestDatabase::create(kind);
        upgraded(case, &database)
            .run(&format!("downgrade-safe {target} -y --allow-failing"))
            .exits(0);
        (rows(&database), schema(&database))
    })
}

/// A gap by the name of its test: `after_intent_2` is `after_intent:2`, its second passage. The gaps between two effects
/// of a run are called so in `fault::point` of `src/`.
pub(crate) fn gap(test: &str) -> String {
    match test.rsplit_once('_') {
        Some((name, passage)) if passage.parse::<u8>().is_ok() => format!("{name}:{passage}"),
        _ => test.to_owned(),
    }
}

fn the_program_is_killed_at_a_gap(kind: Kind, test: &str) {
    let expected = undisturbed("diamond", kind, "-3");
    let database = TestDatabase::create(kind);
    let project = upgraded("diamond", &database);
    let killed = project
        .rollback("downgrade-safe -3 -y --allow-failing")
        .env("ROLLBACK_FAULT_POINT", &gap(test))
        .run();
    assert_eq!(killed.code, None, "{kind:?}: not killed\n{killed}");
    // A new run is refused until this one is settled.
    let refused = project
        .run("downgrade-safe base -y --allow-failing")
        .exits(3);
    assert!(refused.stderr.contains("rollback resume"), "{refused}");

    let resumed = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(
        (rows(&database), schema(&database)),
        expected,
        "{kind:?}\n{resumed}"
    );
    // It is settled now, and a relative target was not counted anew.
    project.run("downgrade-safe --resume").exits(1);
    project
        .run("downgrade-safe base -y --allow-failing")
        .exits(0);
}
// At the second step, so that one is behind and some are ahead.
on_each!(the_program_is_killed_at_a_gap: sqlite, postgresql, mariadb; [
    after_begun, after_intent_2, after_engine_2, after_look_2, after_done_2, before_ended
]);

/// Turns red if a resume plans the way to the target again: from the rows in the middle of this history it takes the
/// same revisions in another order, and 17 of 40 kills could not be resumed.
#[test]
fn a_tangled_history_is_resumed_after_a_kill_behind_every_step() {
    let expected = undisturbed("tangled", Kind::Sqlite, "base");
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("tangled", &database);
    let mut line = "downgrade-safe base -y --allow-failing --format json";
    for step in 1..=15 {
        // The step is committed, and no record says so.
        let killed = project
            .rollback(line)
            .env("ROLLBACK_FAULT_POINT", "after_engine:1")
            .run();
        assert_eq!(killed.code, None, "step {step}: not killed\n{killed}");
        let started = events(&killed.json_lines(), "step_started").remove(0);
        assert_eq!(
            (&started["step"], &started["of"]),
            (&json!(step), &json!(15))
        );
        line = "downgrade-safe --resume -y --allow-failing --format json";
    }
    let resumed = project.run(line).exits(0);
    assert_eq!((rows(&database), schema(&database)), expected, "{resumed}");
    let report = project.run("show latest --format json").exits(0).json();
    assert_eq!(report["result"], "rolled back 15 revisions");
    let finished = events(&resumed.json_lines(), "finished").remove(0);
    assert_eq!(finished["steps_done"], 15, "{resumed}");
}

#[test]
fn a_crash_of_a_run_that_goes_on_is_gone_on_with_too() {
    let expected = undisturbed("diamond", Kind::Sqlite, "-3");
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("diamond", &database);
    for (line, gap) in [
        ("downgrade-safe -3 -y --allow-failing", "after_engine:1"),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_resumed:2",
        ),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_intent:1",
        ),
        (
            "downgrade-safe --resume -y --allow-failing",
            "after_engine:1",
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
    assert_eq!((rows(&database), schema(&database)), expected);
}

/// Waits until the intent of a step, counted from 0, is recorded. The engine says "Running downgrade" before it is told to
/// begin, and a step that has not begun is a failure of another kind.
pub(crate) fn until_intended(project: &Project, step: usize) {
    let intent = format!(r#""entry":"intent","step":{step},"#);
    until(|| {
        let mut runs = project.root().join(".rollback/runs").read_dir().unwrap();
        let journal = runs.next().unwrap().unwrap().path().join("journal.jsonl");
        std::fs::read_to_string(journal).unwrap().contains(&intent)
    });
    // The lock is looked at once more before the step begins, and the step takes a second.
    std::thread::sleep(Duration::from_millis(300));
}

/// Waits until the second step of `slow` is at work. What is said afterwards goes nowhere as soon as that is dropped.
pub(super) fn until_told(child: &mut Child, what: &str) -> BufReader<ChildStderr> {
    let mut words = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(what) {
        line.clear();
        let read = words.read_line(&mut line).unwrap();
        assert_ne!(read, 0, "no step began");
    }
    words
}

/// The processes whose working directory is the project's, without the program itself.
fn engines(project: &Project, program: u32) -> Vec<Pid> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|process| {
            std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == project.root())
        })
        .filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != program)
        .map(|pid| Pid::from_raw(pid.try_into().unwrap()))
        .collect()
}

fn the_engine_is_killed_in_the_middle_of_a_step(kind: Kind) {
    let expected = undisturbed("slow", kind, "-3");
    let database = TestDatabase::create(kind);
    let project = upgraded("slow", &database);
    let (mut child, _) = until_step(
        &project,
        "downgrade-safe -3 -y --allow-failing -v --format json",
        2,
    );
    // Whatever waits to be told what to run is killed with the step, and must not be taken for it.
    let words = until_told(&mut child, "Running downgrade 4444aaaa");
    for engine in engines(&project, child.id()) {
        let _ = kill(engine, Signal::SIGKILL);
    }
    drop(words);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(4),
        "{kind:?}\n{}",
        project.told(&output)
    );
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!((rows(&database), schema(&database)), expected, "{kind:?}");
}
on_each!(the_engine_is_killed_in_the_middle_of_a_step: sqlite, postgresql, mariadb);

fn an_engine_that_outlives_the_program_is_waited_for(kind: Kind) {
    let expected = undisturbed("slow", kind, "-3");
    let database = TestDatabase::create(kind);
    // However busy the machine is, it is still at work when it is asked for.
    let project = upgraded("slow", &database).edit(
        "migrations/versions/4444aaaa_create_the_fourth_table.py",
        "    time.sleep(1)\n",
        "    import os\n    print('at work', flush=True)\n    for _ in range(6000):\n        if os.path.exists('go'):\n            break\n        time.sleep(0.01)\n",
    );
    let (mut child, _) = until_step(
        &project,
        "downgrade-safe -3 -y --allow-failing -v --format json",
        2,
    );
    // Before it is in the step it dies with the program, which feeds it at its start and is asked before the step.
    let _words = until_told(&mut child, "at work");
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(6);
    assert!(refused.stderr.contains("is still at work"), "{refused}");
    let project = project.file("go", "");
    let deadline = Instant::now() + Duration::from_mins(1);
    while !engines(&project, child.id()).is_empty() {
        assert!(
            Instant::now() < deadline,
            "{kind:?}: the engine does not end"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let resumed = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    // PostgreSQL keeps nothing of a step that nobody was left to judge.
    assert_eq!(
        resumed
            .stderr
            .contains("it happened without being recorded"),
        kind != Kind::PostgreSql,
        "{resumed}"
    );
    assert_eq!((rows(&database), schema(&database)), expected, "{kind:?}");
}
on_each!(an_engine_that_outlives_the_program_is_waited_for: sqlite, postgresql, mariadb);

fn half_a_step_is_shown_line_by_line_and_gone_on_with_only_when_vouched_for(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    project.run("downgrade-safe -4 -y --allow-failing").exits(5);
    let stopped = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(5);
    assert!(stopped.stderr.contains("half of it happened"), "{stopped}");
    assert!(stopped.stderr.contains("gone: table e1b"), "{stopped}");
    // The operator removes what fails in the script, and does by hand what is left of the step.
    let script = "migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py";
    let project = project
        .edit(script, "    op.drop_table(\"e1b\")\n", "    pass\n")
        .edit(script, "    op.drop_table(\"never_created\")\n", "");
    project
        .run("downgrade-safe --resume --accept 4444 -y --allow-failing")
        .exits(3);
    project
        .run("downgrade-safe --resume --accept 3333 -y --allow-failing")
        .exits(0);
    assert_eq!(rows(&database), ["1111aaaa"]);
}
on_each!(half_a_step_is_shown_line_by_line_and_gone_on_with_only_when_vouched_for: sqlite, mariadb);

#[test]
fn a_run_that_is_given_up_makes_way() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("failing", &database);
    project.run("downgrade-safe -4 -y --allow-failing").exits(5);
    let before = schema(&database);
    project.run("downgrade-safe --abandon").exits(0);
    assert_eq!(schema(&database), before);
    project.run("downgrade-safe --abandon").exits(1);
    // What the failed step had dropped is still gone, so it now fails at once.
    project.run("downgrade-safe -1 -y --allow-failing").exits(4);
}

fn the_server_is_killed_in_the_middle_of_a_step(kind: Kind) {
    let expected = undisturbed("slow", kind, "-3");
    let server = Server::start(kind);
    let database = server.create_database();
    let project = upgraded("slow", &database);
    let (mut child, _) = until_step(
        &project,
        "downgrade-safe -3 -y --allow-failing -v --format json",
        2,
    );
    let words = until_told(&mut child, "Running downgrade 4444aaaa");
    until_intended(&project, 1);
    server.kill9();
    drop(words);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(5),
        "{kind:?}\n{}",
        project.told(&output)
    );
    server.start_again();
    let resumed = project.run("downgrade-safe --resume -y --allow-failing");
    if resumed.code == Some(0) {
        assert_eq!(
            (rows(&database), schema(&database)),
            expected,
            "{kind:?}\n{resumed}"
        );
    } else {
        // The test servers do not wait for their disk, so a kill may take back what was verified.
        assert_eq!(resumed.code, Some(5), "{kind:?}\n{resumed}");
        assert!(resumed.stderr.contains("Found:"), "{resumed}");
    }
}
on_each!(the_server_is_killed_in_the_middle_of_a_step: postgresql, mariadb);
