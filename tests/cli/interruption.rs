//! Signals, and outputs that are taken away in the middle of a run.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rollback_core::lock::{LockOwner, Operator};

use crate::support::{Project, Run};

/// Starts a run and lets something happen to it once it said something that contains `cue`.
fn run_and(
    project: &Project,
    line: &str,
    cue: &str,
    mut happen: impl FnMut(&mut Child, &mut dyn FnMut(&str)),
) -> Run {
    let mut child = project.rollback(line).piped().spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut stderr = Vec::new();
    let mut wait_for = |cue: &str| {
        loop {
            let start = stderr.len();
            let read = lines.read_until(b'\n', &mut stderr).unwrap();
            let told = String::from_utf8_lossy(&stderr);
            assert!(read > 0, "`{cue}` was not said:\n{told}");
            if String::from_utf8_lossy(&stderr[start..]).contains(cue) {
                break;
            }
        }
    };
    wait_for(cue);
    happen(&mut child, &mut wait_for);
    lines.read_to_end(&mut stderr).unwrap();
    let output = child.wait_with_output().unwrap();
    project.told(&Output { stderr, ..output })
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

#[test]
fn ctrl_c_lets_the_step_finish_and_says_how_to_go_on() {
    let project = Project::alembic("slow").at("heads");
    let run = run_and(
        &project,
        "downgrade-safe -3 -y -v",
        "Running downgrade",
        |child, _| {
            send(child, Signal::SIGINT);
        },
    );
    assert_snapshot!(run.stderr, @"
    History:   5 revisions, read from the version files
    [1/3] Rolling back 5555aaaa ... Create the fifth table
          | INFO  [alembic.runtime.migration] Running downgrade 5555aaaa -> 4444aaaa, Create the fifth table
          stopping: the running step is finished first; once more ends the engine
          ✓ [TIME], now at 4444aaaa
          - column fifth.id integer not null
          - column fifth.name varchar(80) not null
          - primary key fifth (id)
          - table fifth

    Rolled back:
      5555aaaa  [TIME]

    interrupted before step 2 of 3, 4444aaaa
      Done:     1 of 3 steps rolled back before it
    Current revision: 4444aaaa, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → to go on: rollback resume
      → to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    run.exits(130);
    assert_eq!(project.rows(), ["4444aaaa"]);
}

/// Red when who waits for another run is not told whom it waits for, or Ctrl-C is heard only when that is over.
#[test]
fn who_waits_is_told_so_and_ctrl_c_ends_that_at_once() {
    let project = Project::alembic("slow").at("heads");
    let operator = Operator {
        user: "anna".to_owned(),
        host: "b7".to_owned(),
        pid: 4711,
    };
    let claim = LockOwner::new("20261121T040000Z-4711", &operator, SystemTime::now());
    let path = project.root().join("app.db.rollback-lock");
    std::fs::write(&path, format!("{claim}\n")).unwrap();
    let lock = File::open(&path).unwrap();
    lock.lock().unwrap();
    let line = "downgrade-safe -1 -y --wait 10m --format json";
    let run = run_and(&project, line, "waiting", |child, _| {
        send(child, Signal::SIGINT);
    });
    let run = run.exits(130);
    let events = run.json_lines();
    assert_eq!(events[0]["event"], "waiting", "{run}");
    assert_eq!(events[0]["holder"]["run"], "20261121T040000Z-4711", "{run}");
    assert_eq!(events[0]["holder"]["by"]["pid"], 4711, "{run}");
    assert_eq!(events[0]["at_most_seconds"], 600.0, "{run}");
    assert!(run.stderr.contains("which has held the lock for"), "{run}");
    assert_eq!(project.rows(), ["5555aaaa"]);
}

#[test]
fn sigterm_is_heard_in_the_same_way() {
    let project = Project::alembic("slow").at("heads");
    let run = run_and(
        &project,
        "downgrade-safe base -y -v --format json",
        "Running downgrade",
        |child, _| send(child, Signal::SIGTERM),
    )
    .exits(130);
    let events = run.json_lines();
    let last = events.last().unwrap();
    assert_eq!(last["event"], "finished");
    assert_eq!(last["exit_code"], 130);
    assert_eq!(last["current"], serde_json::json!(["4444aaaa"]));
    assert_eq!(last["next"][0], "to go on: rollback resume");
}

#[test]
fn a_second_ctrl_c_ends_the_engine_and_the_database_is_looked_at() {
    let project = Project::alembic("hanging").at("3333aaaa");
    let run = run_and(
        &project,
        "downgrade-safe -2 -y --allow unknown-code -v",
        "Running downgrade",
        |child, wait_for| {
            send(child, Signal::SIGINT);
            wait_for("stopping");
            send(child, Signal::SIGINT);
        },
    );
    assert_snapshot!(run.stderr, @"
    History:   5 revisions, read from the version files
    [1/2] Rolling back 3333aaaa ... Create the table whose removal hangs
          | INFO  [alembic.runtime.migration] Running downgrade 3333aaaa -> 2222aaaa, Create the table whose removal hangs
          stopping: the running step is finished first; once more ends the engine
          ending the engine

    interrupted in step 1 of 2, 3333aaaa: the engine was ended, as asked
      $ alembic downgrade 3333aaaa@2222aaaa
      the engine printed nothing on stdout
      the engine's stderr:
      | INFO  [alembic.runtime.migration] Running downgrade 3333aaaa -> 2222aaaa, Create the table whose removal hangs
      File:     [PROJECT]/migrations/versions/3333aaaa_create_the_table_whose_removal_hangs.py
      Database: unchanged by this step: version table, schema and rows are as before
      Done:     0 of 2 steps rolled back before it
    Current revision: 3333aaaa, read from the database
      Record:   [PROJECT]/.rollback/runs/[RUN]/journal.jsonl
      → to go on: rollback resume
      → to leave it here: rollback abandon
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
    run.exits(130);
    assert_eq!(project.rows(), ["3333aaaa"]);
}

#[test]
fn ctrl_c_while_the_engine_is_only_asked_changes_nothing() {
    let project = Project::alembic("linear").at("heads").edit(
        "migrations/env.py",
        "import os\n",
        "import os, time\nopen('asked', 'w').close()\ntime.sleep(60)\n",
    );
    let bytes = project.bytes();
    let child = project.rollback("plan base").piped().spawn().unwrap();
    while !project.root().join("asked").exists() {
        sleep(Duration::from_millis(20));
    }
    send(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_snapshot!(project.told(&output), @r"
    exit 130
    --- stderr
    interrupted: nothing was changed
    ");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn a_plan_that_nobody_can_read_is_not_run() {
    let full = std::path::Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let project = Project::alembic("linear").at("heads");
    let bytes = project.bytes();
    let full = File::options().write(true).open(full).unwrap();
    let output = project
        .rollback("downgrade-safe base -y")
        .piped()
        .stdout(full)
        .output()
        .unwrap();
    assert_snapshot!(project.told(&output), @r"
    exit 1
    --- stderr
    error: cannot write to stdout: No space left on device (os error 28)
      → nothing was changed; check where the output goes and run it again
    ");
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn a_reader_that_leaves_during_the_run_does_not_stop_it() {
    let project = Project::alembic("slow").at("2222aaaa");
    let run = run_and(
        &project,
        "downgrade-safe base -y -v --format json",
        "Running downgrade",
        |child, _| drop(child.stdout.take()),
    );
    run.exits(0);
    assert_eq!(project.rows(), [""; 0]);
}

#[test]
fn a_terminal_that_is_closed_during_the_run_does_not_stop_it() {
    let project = Project::alembic("linear").at("2b3c4d5e6f02");
    let mut child = project
        .rollback("downgrade-safe base -y")
        .piped()
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(project.rows(), [""; 0]);
}
