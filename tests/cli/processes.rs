//! The process of the engine: one observes, waits and runs all steps, where that is sound, and it must end where a process
//! for each step ends, whatever happens to it, to the project and to us.
//!
//! A test counts the interpreters that were started: steps that did not share one would prove nothing.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, Road, Run};

/// What every interpreter of the project runs before anything else: it writes itself down.
const AT_START: &str = "
import os
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(root, 'starts'), 'a') as starts:
    starts.write('%d\\n' % os.getpid())
";

const ORDERS: &str = "migrations/versions/3c4d5e6f7a03_create_the_orders_table.py";

/// A project whose starts are counted, not yet upgraded.
fn watched(project: Project) -> Project {
    let folder = project.root().join("watch");
    project
        .env("PYTHONPATH", folder)
        .file("watch/sitecustomize.py", AT_START)
}

fn linear(road: Road) -> Project {
    watched(Project::alembic("linear").on(road))
}

/// The lines that a project's processes wrote into a file of it.
fn lines(project: &Project, file: &str) -> Vec<String> {
    fs::read_to_string(project.root().join(file))
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn starts(project: &Project) -> usize {
    lines(project, "starts").len()
}

/// Upgrades it, and forgets what that started.
fn ready(project: Project, revision: &str) -> Project {
    let project = project.at(revision);
    let _ = fs::remove_file(project.root().join("starts"));
    project
}

/// A run, and what it left.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    run: Run,
    schema: Vec<String>,
    rows: Vec<String>,
}

/// The second is how many processes it took.
fn outcome(project: &Project, line: &str) -> (Outcome, usize) {
    let run = project.run(line);
    // The questions of a test are processes as well.
    let taken = starts(project);
    let outcome = Outcome {
        run,
        schema: project.sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"),
        rows: project.rows(),
    };
    (outcome, taken)
}

/// Runs a line with shared steps and with a process for each, and compares. What came of it, and how many processes
/// each took.
#[track_caller]
fn alike(project: impl Fn(Road) -> Project, line: &str) -> (Outcome, [usize; 2]) {
    let [shared, alone] = Road::BOTH.map(|road| outcome(&project(road), line));
    assert_eq!(shared.0, alone.0);
    (shared.0, [shared.1, alone.1])
}

/// Turns red if the engine is started more than once.
#[test]
fn one_start_is_enough_for_the_plan_and_all_steps() {
    for python in ["alembic-current", "alembic-1.13", "alembic-1.6"] {
        for (target, steps) in [("base", 5), ("-1", 1)] {
            let (outcome, starts) = alike(
                |road| {
                    let project = Project::alembic_of(python, "linear").on(road);
                    ready(watched(project), "heads")
                },
                &format!("downgrade-safe {target} -y"),
            );
            assert_eq!(outcome.run.code, Some(0), "{python}\n{}", outcome.run);
            assert_eq!(starts, [1, steps + 1], "{python} {target}");
        }
    }
}

/// Turns red if the application is built for each step.
#[test]
fn an_application_of_flask_is_built_once() {
    let (outcome, starts) = alike(
        |road| ready(watched(Project::flask().on(road)), "heads"),
        "downgrade-safe base -y",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(starts, [1, 4]);
}

/// Turns red if the operator's word is not heard, in its old form either.
#[test]
fn a_process_for_each_step_can_be_asked_for() {
    for (flag, variable, expected) in [
        ("--process-per-step", "0", 3),
        ("", "1", 3),
        ("", "0", 1),
        ("--warm never", "", 3),
        ("--warm auto", "", 1),
    ] {
        let project = ready(linear(Road::Shared), "2b3c4d5e6f02");
        let run = project
            .rollback(&format!("downgrade-safe base -y {flag}"))
            .env("ROLLBACK_PROCESS_PER_STEP", variable)
            .run()
            .exits(0);
        assert_eq!(starts(&project), expected, "{flag} {variable}");
        assert_eq!(
            run.stderr.contains("`warm` is replaced by"),
            flag.starts_with("--warm"),
            "{run}"
        );
    }
}

/// Turns red if steps share a process although `env.py` may leave something from one to the next, or that is not said.
#[test]
fn an_env_py_of_another_shape_has_a_process_for_each_step() {
    let (outcome, starts) = alike(
        |road| {
            ready(linear(road), "2b3c4d5e6f02").edit(
                "migrations/env.py",
                "context.run_migrations()",
                "connection.execute(__import__('sqlalchemy').text('SELECT 1')); context.run_migrations()",
            )
        },
        "downgrade-safe base -y",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(starts, [3, 3]);
}

/// A check of the project at that point of the run, which a script is.
fn with_check(project: Project, when: &str, script: &str) -> Project {
    project.file("check.sh", script).file(
        "rollback.toml",
        format!("[[check]]\nname = 'script'\nwhen = '{when}'\ncommand = 'sh check.sh'\n"),
    )
}

/// Turns red if the run counts on a process that is not there any more.
#[test]
fn a_process_that_is_gone_before_the_first_step_is_done_without() {
    let script = "kill -s KILL $(tail -n 1 starts) 2> /dev/null || :";
    let (outcome, starts) = alike(
        |road| with_check(ready(linear(road), "3c4d5e6f7a03"), "before", script),
        "downgrade-safe base -y",
    );
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run);
    assert_eq!(starts, [2, 4]);
}

/// Turns red if a step is run although somebody has killed the process that was to run it, or is said to have happened.
#[test]
fn a_process_that_is_killed_between_two_steps_ends_the_run() {
    let script = "[ ! -e killed ] || exit 0
        : > killed
        kill -s KILL $(tail -n 1 starts)";
    let project = ready(linear(Road::Shared), "3c4d5e6f7a03");
    let project = with_check(project, "after_step", script);
    let run = project.run("downgrade-safe base -y").exits(4);
    assert!(run.stderr.contains("ended by signal 9"), "{run}");
    assert_eq!(project.rows(), ["2b3c4d5e6f02"], "{run}");
    project.run("downgrade-safe --resume -y").exits(0);
    assert_eq!(project.rows(), [""; 0]);
}

/// A downgrade that writes down that it began, and waits until it may go on.
const SLOW: &str = "
def downgrade():
    import os, time
    with open('at_work', 'w') as file:
        file.write('%d\\n' % os.getpid())
    for _ in range(6000):
        if os.path.exists('go'):
            break
        time.sleep(0.01)
";

/// Starts a run and waits until its first step is at work in this process.
fn at_work(project: &Project, line: &str) -> (Child, Pid) {
    let child = project.rollback(line).piped().spawn().unwrap();
    let file = project.root().join("at_work");
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut told = String::new();
    while !told.ends_with('\n') {
        assert!(Instant::now() < deadline, "no step began");
        sleep(Duration::from_millis(10));
        told = fs::read_to_string(&file).unwrap_or_default();
    }
    (child, Pid::from_raw(told.trim().parse().unwrap()))
}

fn lives(process: Pid) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    // A dead one that nobody has buried is not alive.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

/// Turns red if the process goes on to another step when the run is gone, or if its step is not known to be at work.
#[test]
fn when_the_run_is_killed_the_step_goes_on_alone_and_holds_the_lock() {
    let project =
        ready(linear(Road::Shared), "3c4d5e6f7a03").edit(ORDERS, "def downgrade():\n", SLOW);
    let (mut child, step) = at_work(&project, "downgrade-safe base -y --allow unknown-code");
    assert_eq!(starts(&project), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = project.run("downgrade-safe --resume -y").exits(6);
    assert!(refused.stderr.contains("is still at work"), "{refused}");
    let project = project.file("go", "");
    let deadline = Instant::now() + Duration::from_secs(30);
    while lives(step) {
        assert!(Instant::now() < deadline, "the step does not end");
        sleep(Duration::from_millis(20));
    }
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
    project
        .run("downgrade-safe --resume -y --allow unknown-code")
        .exits(0);
    assert_eq!(project.rows(), [""; 0]);
}

/// Turns red if what a step has started outlives a time limit.
#[test]
fn a_time_limit_ends_all_that_a_step_has_started() {
    let starts_more = "
def downgrade():
    import subprocess
    subprocess.Popen(['sleep', '600'])
    subprocess.run(['sleep', '600'])
";
    let (outcome, starts) = alike(
        |road| ready(linear(road), "3c4d5e6f7a03").edit(ORDERS, "def downgrade():\n", starts_more),
        "downgrade-safe base -y --allow unknown-code --timeout 6s",
    );
    // That nothing is left is looked at where each project ends.
    assert_eq!(outcome.run.code, Some(4), "{}", outcome.run);
    assert!(
        outcome.run.stderr.contains("the time limit of 6 s"),
        "{}",
        outcome.run
    );
    assert_eq!(starts[0], 1);
}

/// Turns red if a question that nobody answers keeps a process, or one is left where the run ends before its steps.
#[test]
fn a_run_that_ends_before_its_first_step_leaves_no_process() {
    for (line, code) in [
        ("downgrade-safe base", 3),
        ("downgrade-safe base -y", 3),
        ("downgrade-safe nonsense -y", 1),
    ] {
        let project = ready(linear(Road::Shared), "2b3c4d5e6f02");
        let project = with_check(project, "before", "false");
        let bytes = project.bytes();
        let run = project.run(line);
        assert_eq!(run.code, Some(code), "{run}");
        assert_eq!(project.bytes(), bytes, "{run}");
    }
}

/// Turns red if looking makes a version table, or a transaction is left open while the operator thinks.
#[test]
fn a_process_that_waits_has_changed_nothing_and_keeps_nobody_out() {
    let project = ready(linear(Road::Shared), "2b3c4d5e6f02");
    let script = "python -c 'import sqlite3
connection = sqlite3.connect(\"app.db\", timeout=0)
connection.execute(\"BEGIN EXCLUSIVE\")
connection.rollback()'";
    let project = with_check(project, "before", script);
    project.run("downgrade-safe base -y").exits(0);
    assert_eq!(starts(&project), 2, "the engine's, and that of the check");
    let project = linear(Road::Shared);
    project.run("downgrade-safe base -y").exits(1);
    assert_eq!(starts(&project), 1);
    let made = project.sql("SELECT name FROM sqlite_master");
    assert_eq!(made, [""; 0]);
}

/// Turns red if an engine whose start hangs is waited for without end where a signal asks to stop.
#[test]
fn an_engine_that_hangs_while_it_is_imported_can_be_given_up() {
    let told = Road::BOTH.map(|road| {
        let hangs = format!("{AT_START}import time\ntime.sleep(600)\n");
        let project = ready(linear(road), "2b3c4d5e6f02").file("watch/sitecustomize.py", hangs);
        let bytes = project.bytes();
        let child = project
            .rollback("downgrade-safe base -y")
            .piped()
            .spawn()
            .unwrap();
        while lines(&project, "starts").is_empty() {
            sleep(Duration::from_millis(20));
        }
        let id = Pid::from_raw(child.id().cast_signed());
        kill(id, Signal::SIGINT).unwrap();
        let run = project.told(&child.wait_with_output().unwrap());
        assert_eq!(project.bytes(), bytes);
        run
    });
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].code, Some(130), "{}", told[0]);
}
