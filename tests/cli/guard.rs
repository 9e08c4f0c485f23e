//! A command whose failure takes back what it applied.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;
use serde_json::Value;

use crate::support::{Project, Run};

/// Both branches of `diamond`, before its merge point.
const BRANCHES: [&str; 2] = ["7c1e5f0a93d2", "a4d80b2e6f17"];

/// `diamond` with both branches applied and a merge point to come.
fn at_both_branches() -> Project {
    let project = Project::alembic("diamond").at("7c1e5f0a93d2");
    project.engine("alembic upgrade a4d80b2e6f17");
    assert_eq!(project.rows(), BRANCHES);
    project
}

/// The report of the only run.
fn report(project: &Project) -> Value {
    project.run("show latest --format json").exits(0).json()
}

/// Waits until the command under guard has left a file.
fn wait_for(project: &Project, file: &str) {
    let file = project.root().join(file);
    let since = Instant::now();
    while !file.exists() {
        assert!(
            since.elapsed() < Duration::from_mins(1),
            "no {}",
            file.display()
        );
        sleep(Duration::from_millis(20));
    }
}

/// Starts a guard and lets something happen once its command has left the file `up`.
fn once_up(project: &Project, line: &str, happen: impl FnOnce(&Child)) -> Run {
    // In the group of a terminal's own job it would be the terminal that signals the command.
    let mut command = project.rollback(line).piped();
    let child = command.process_group(0).spawn().unwrap();
    wait_for(project, "up");
    happen(&child);
    let output: Output = child.wait_with_output().unwrap();
    project.told(&output)
}

/// Turns red if the guard touches a database whose deploy went well, or leaves a run behind.
#[test]
fn a_command_that_succeeds_is_all_that_happens() {
    let project = at_both_branches();
    let run =
        project.run("guard -y --report run.md -- sh -c 'alembic -q upgrade head && echo deployed'");
    assert_snapshot!(run, @"
    exit 0
    --- stdout
    deployed
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 7c1e5f0a93d2, a4d80b2e6f17
      $ sh -c 'alembic -q upgrade head && echo deployed'
    INFO  [alembic.runtime.migration] Running upgrade 7c1e5f0a93d2, a4d80b2e6f17 -> b52d08e7f41c, Merge invoices and sessions
    INFO  [alembic.runtime.migration] Running upgrade b52d08e7f41c -> e86f3a7d1c95, Add a currency to invoices
    ✓ the command succeeded; nothing else was done
    ");
    assert_eq!(project.rows(), ["e86f3a7d1c95"]);
    assert!(!project.root().join(".rollback/runs").exists());
    assert!(!project.root().join("run.md").exists());
}

/// Turns red if more goes than the command applied, less, or in one step; or if its exit status is lost.
#[test]
fn what_a_failed_deploy_applied_goes_and_what_was_there_stays() {
    let project = at_both_branches();
    let run = project.run(
        "guard -y --reason 'release 4.2' --report run.json -- sh -c 'alembic -q upgrade head; exit 7'",
    );
    assert_snapshot!(run, @"
    exit 8
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   e86f3a7d1c95
    Target:    where it stood before the command

    Rollback plan: 2 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         low        drops column invoices.currency, which holds nothing but its default
                    [column-dropped] e86f3a7d1c95_add_a_currency_to_invoices.py:23
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe b52d08e7f41c@7c1e5f0a93d2
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 7c1e5f0a93d2, a4d80b2e6f17
      $ sh -c 'alembic -q upgrade head; exit 7'
    INFO  [alembic.runtime.migration] Running upgrade 7c1e5f0a93d2, a4d80b2e6f17 -> b52d08e7f41c, Merge invoices and sessions
    INFO  [alembic.runtime.migration] Running upgrade b52d08e7f41c -> e86f3a7d1c95, Add a currency to invoices
    failed: the command ended with exit status 7 after [TIME]; looking at what it applied
    [1/2] Rolling back e86f3a7d1c95 ... Add a currency to invoices
          ✓ [TIME], now at b52d08e7f41c
    [2/2] Rolling back b52d08e7f41c [MERGE] ... Merge invoices and sessions
          ✓ [TIME], now at 7c1e5f0a93d2, a4d80b2e6f17

    ✓ Rolled back 2 revisions in [TIME]
      e86f3a7d1c95  [TIME]
      b52d08e7f41c  [TIME]
    Current revision: 7c1e5f0a93d2, a4d80b2e6f17, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    The command ended with exit status 7; the database is where it was before it: 7c1e5f0a93d2, a4d80b2e6f17
    ");
    assert_eq!(project.rows(), BRANCHES);
    let report = report(&project);
    assert_eq!(report["exit_code"], 8);
    assert_eq!(report["status"], "done");
    assert_eq!(report["guarded"]["exit_status"], 7);
    assert_eq!(
        report["guarded"]["command"],
        "sh -c 'alembic -q upgrade head; exit 7'"
    );
    let written = fs::read_to_string(project.root().join("run.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["guarded"]["exit_status"], 7);
    let told = project.run("history").stdout;
    let told: Vec<&str> = told.lines().skip(2).collect();
    assert_snapshot!(told.join("\n"), @"
    from      e86f3a7d1c95 Add a currency to invoices
    to        7c1e5f0a93d2 Add invoices, a4d80b2e6f17 Keep login sessions in the database (target where it stood before the command)
    why       release 4.2
    result    the command ended with exit status 7, rolled back 2 revisions
    ");
    assert!(
        project
            .run("show latest")
            .stdout
            .contains("with exit status 7, after")
    );
    // It is over: nothing is in the way of the next one.
    project.run("guard -y -- true").exits(0);
}

#[test]
fn from_nothing_it_goes_back_to_nothing() {
    let project = Project::alembic("two_heads");
    project
        .run("guard -y -- sh -c 'alembic -q upgrade heads; exit 1'")
        .exits(8);
    assert_eq!(project.rows(), [""; 0]);
    assert_eq!(
        project.sql("SELECT name FROM sqlite_master WHERE type = 'table'"),
        ["alembic_version"]
    );
}

/// Turns red if a failure that has nothing to be taken back is taken for something else, or is not written down.
#[test]
fn a_command_that_fails_before_it_migrates_leaves_nothing_to_do() {
    let project = at_both_branches();
    let bytes = project.bytes();
    let run = project.run("guard -y -- sh -c 'exit 3'");
    assert_snapshot!(run, @"
    exit 8
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   7c1e5f0a93d2, a4d80b2e6f17
    Target:    where it stood before the command

    Nothing to roll back: the database already stands there.
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 7c1e5f0a93d2, a4d80b2e6f17
      $ sh -c 'exit 3'
    failed: the command ended with exit status 3 after [TIME]; looking at what it applied
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    The command ended with exit status 3; the database is where it was before it: 7c1e5f0a93d2, a4d80b2e6f17
    ");
    assert_eq!(project.bytes(), bytes);
    let report = report(&project);
    assert_eq!(report["exit_code"], 8);
    assert_eq!(report["guarded"]["exit_status"], 3);
    assert_eq!(report["steps"], Value::Array(Vec::new()));
    assert_eq!(
        report["result"],
        "the command ended with exit status 3, and had applied nothing"
    );
    // A signal is no exit status.
    let run = project.run("guard -y -- sh -c 'kill -9 $$'").exits(8);
    assert!(run.stderr.contains("ended by signal 9"), "{run}");
}

/// Turns red if anything that is known before the command is found out after it.
#[test]
fn what_is_known_before_the_command_is_refused_before_it() {
    let project = at_both_branches();
    let bytes = project.bytes();
    assert_snapshot!(project.run("guard -- touch ran"), @"
    exit 3
    --- stderr
    refused: nobody could be asked after the command: there is no terminal; the command was not run
      → consent beforehand with -y, which runs a rollback without a question
    ");
    assert_snapshot!(project.run("guard -y -- no-such-command --flag"), @"
    exit 1
    --- stderr
    error: no program is called no-such-command; the command was not run
      → name a program of PATH, or a file by its path
    ");
    assert_snapshot!(project.run("guard -y 'touch ran'"), @"
    exit 1
    --- stderr
    error: no program is called touch ran; the command was not run
      → give a line for the shell to a shell: rollback guard -y -- sh -c 'touch ran'
    ");
    let policy = "[policy]\nrequire_incident = true\nallow_yes = false\n";
    let project = project.file("rollback.toml", policy);
    assert_snapshot!(project.run("guard -y -- touch ran"), @"
    exit 3
    --- stderr
    refused: the policy is not met: nothing was changed; the command was not run
      because the record of an incident is required; none is named
      because a person has to consent at a terminal; -y was given
      → leave -y away and answer the question, or have allow_yes = true set in the policy
      → give what is missing: --incident <id>
    ");
    let project = project.file("rollback.toml", "");
    project
        .run("guard -y --on-failure restore -- touch ran")
        .exits(3);
    let held = File::create(project.root().join("app.db.rollback-lock")).unwrap();
    held.lock().unwrap();
    project.run("guard -y -- touch ran").exits(6);
    drop(held);
    project
        .run("--database-url sqlite:///elsewhere/app.db guard -y -- touch ran")
        .exits(1);
    assert_eq!(project.bytes(), bytes);
    project.sql("UPDATE alembic_version SET version_num = 'ffff' WHERE version_num LIKE '7c%'");
    project.run("guard -y -- touch ran").exits(1);
    assert!(!project.root().join("ran").exists());
    assert!(!project.root().join(".rollback/runs").exists());
}

/// Turns red if the failed rollback of a guard cannot be gone on with, or is told as a success.
#[test]
fn a_rollback_that_fails_is_told_and_gone_on_with() {
    let file = "migrations/versions/4d5e6f7a8b04_index_orders_by_customer.py";
    let project = Project::alembic("linear").at("2b3c4d5e6f02").edit(
        file,
        "def downgrade():\n",
        "def downgrade():\n    if __import__('os').path.exists('up'):\n        raise RuntimeError('not now')\n",
    );
    let run =
        project.run("guard -y --allow all -- sh -c 'alembic -q upgrade head; touch up; exit 7'");
    let run = run.exits(4);
    assert!(run.stderr.contains(": rollback resume\n"), "{run}");
    assert_eq!(project.rows(), ["4d5e6f7a8b04"]);
    let told = report(&project);
    assert_eq!(told["exit_code"], 4);
    assert_eq!(told["guarded"]["exit_status"], 7);
    fs::remove_file(project.root().join("up")).unwrap();
    // The next deploy has to wait for a person.
    project.run("guard -y -- touch ran").exits(3);
    assert!(!project.root().join("ran").exists());
    project
        .run("downgrade-safe --resume -y --allow all")
        .exits(0);
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
    assert_eq!(report(&project)["exit_code"], 0);
}

/// Turns red if -y is taken for consent to everything, or the way back is not told.
#[test]
fn what_a_rollback_may_lose_needs_consent_that_was_given_before() {
    let project = Project::alembic("linear").at("2b3c4d5e6f02").file(
        "deploy",
        "alembic -q upgrade head\n\
         python -c \"import sqlite3; d = sqlite3.connect('app.db'); \
         d.execute(\\\"INSERT INTO customers (id, name) VALUES (1, 'Ada')\\\"); \
         d.execute('INSERT INTO orders (id, customer_id, placed_at) VALUES (1, 1, 0)'); d.commit()\"\n\
         exit 7\n",
    );
    let run = project.run("guard -y -- sh deploy");
    assert_snapshot!(run, @"
    exit 3
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   5e6f7a8b9c05
    Target:    where it stood before the command

    Rollback plan: 3 steps

      1. 5e6f7a8b9c05  Add a note to orders
         created 2024-01-14 04:18:31, leaves 4d5e6f7a8b04
         low        drops column orders.note, which holds nothing but its default
                    [column-dropped] 5e6f7a8b9c05_add_a_note_to_orders.py:23
      2. 4d5e6f7a8b04  Index orders by customer
         created 2024-01-13 03:17:30, leaves 3c4d5e6f7a03
         low        drops index ix_orders_customer_id of orders (8.1 kB)
                    [index-dropped] 4d5e6f7a8b04_index_orders_by_customer.py:22
      3. 3c4d5e6f7a03  Create the orders table
         created 2024-01-12 02:16:29, leaves 2b3c4d5e6f02
         high       drops table orders with 1 row
                    [table-dropped] 3c4d5e6f7a03_create_the_orders_table.py:28

    Asked:     3 questions of the database in [TIME], of [TIME] allowed
    Verdict:   high: drops 1 table with 1 row
    Next:      rollback downgrade-safe 2b3c4d5e6f02
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 2b3c4d5e6f02
      $ sh deploy
    INFO  [alembic.runtime.migration] Running upgrade 2b3c4d5e6f02 -> 3c4d5e6f7a03, Create the orders table
    INFO  [alembic.runtime.migration] Running upgrade 3c4d5e6f7a03 -> 4d5e6f7a8b04, Index orders by customer
    INFO  [alembic.runtime.migration] Running upgrade 4d5e6f7a8b04 -> 5e6f7a8b9c05, Add a note to orders
    failed: the command ended with exit status 7 after [TIME]; looking at what it applied
    refused: -y alone does not allow what this plan puts at risk: nothing was changed
      because table-dropped, high: drops table orders with 1 row
      because the command ended with exit status 7, and what it applied was not taken back
      → to allow it by name: --allow table-dropped
      → or do it by hand: rollback downgrade-safe 2b3c4d5e6f02
    ");
    assert_eq!(project.rows(), ["5e6f7a8b9c05"]);
    project
        .run("downgrade-safe 2b3c4d5e6f02 -y --allow all")
        .exits(0);
    project.sql("DELETE FROM customers");
    project.run("guard -y --allow all -- sh deploy").exits(8);
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
}

/// Turns red if a database is called what it was because its version table is.
#[test]
fn what_a_broken_migration_left_is_for_a_person() {
    let project = Project::alembic("linear").at("2b3c4d5e6f02").edit(
        "migrations/versions/4d5e6f7a8b04_index_orders_by_customer.py",
        "def upgrade():\n",
        "def upgrade():\n    op.create_table('half', op.f('x') and __import__('sqlalchemy').Column('id', __import__('sqlalchemy').Integer))\n    raise RuntimeError('half way')\n",
    );
    let run = project.run("guard -y -- alembic -q upgrade head").exits(5);
    assert!(run.stderr.contains("new:  table half"), "{run}");
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
    let told = report(&project);
    assert_eq!(told["exit_code"], 5);
    let checks = told["checks"].as_array().unwrap();
    assert!(
        checks.iter().any(|check| check["name"] == "schema"
            && check["fault"]
                .as_str()
                .is_some_and(|fault| fault.contains("table half"))),
        "{checks:?}"
    );
}

#[test]
fn a_database_that_is_not_above_where_it_was_is_left_alone() {
    let project = at_both_branches();
    let run =
        project.run("guard -y -- sh -c 'alembic -q downgrade 7c1e5f0a93d2@3f9a1b6c2d84; exit 1'");
    assert_snapshot!(run, @"
    exit 5
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 7c1e5f0a93d2, a4d80b2e6f17
      $ sh -c 'alembic -q downgrade 7c1e5f0a93d2@3f9a1b6c2d84; exit 1'
    INFO  [alembic.runtime.migration] Running downgrade 7c1e5f0a93d2 -> 3f9a1b6c2d84, Add invoices
    failed: the command ended with exit status 1 after [TIME]; looking at what it applied
    error: the database is not above where it was: 7c1e5f0a93d2 went
      because it stood at 7c1e5f0a93d2, a4d80b2e6f17 before the command, and stands at a4d80b2e6f17 now
      because the command itself took something back, or somebody else did; nothing was done about it
      because the command ended with exit status 1, and what it applied was not taken back
      → see where it stands: rollback current
      → where that is not what it should be, have the engine bring it to 7c1e5f0a93d2, a4d80b2e6f17
    ");
    assert_eq!(project.rows(), ["a4d80b2e6f17"]);
}

#[test]
fn code_that_the_command_put_away_is_asked_for() {
    let project = at_both_branches();
    let run = project.run(
        "guard -y -- sh -c 'alembic -q upgrade head; rm migrations/versions/e86f3a7d1c95*; exit 1'",
    );
    assert_snapshot!(run, @"
    exit 5
    --- stderr
    on guard: SQLite [VERSION], file [PROJECT]/app.db at 7c1e5f0a93d2, a4d80b2e6f17
      $ sh -c 'alembic -q upgrade head; rm migrations/versions/e86f3a7d1c95*; exit 1'
    INFO  [alembic.runtime.migration] Running upgrade 7c1e5f0a93d2, a4d80b2e6f17 -> b52d08e7f41c, Merge invoices and sessions
    INFO  [alembic.runtime.migration] Running upgrade b52d08e7f41c -> e86f3a7d1c95, Add a currency to invoices
    failed: the command ended with exit status 1 after [TIME]; looking at what it applied
    error: the database stands at revision e86f3a7d1c95, which no version file declares
      because the command put other migration files in the place of those it ran, or removed them
      because the database stood at 7c1e5f0a93d2, a4d80b2e6f17 before it
      because the command ended with exit status 1, and what it applied was not taken back
      → bring the files back that it ran, then: rollback downgrade-safe <target>
    ");
    assert_eq!(project.rows(), ["e86f3a7d1c95"]);
}

/// Turns red if a rollback begins while somebody else is at the database.
#[test]
fn a_lock_that_somebody_took_meanwhile_is_kept() {
    let project = at_both_branches();
    let line = "guard -y -- sh -c \
                'alembic -q upgrade head; touch up; while [ ! -e held ]; do sleep 0.05; done; exit 7'";
    let lock = project.root().join("app.db.rollback-lock");
    let mut held = None;
    let run = once_up(&project, line, |_| {
        // Free as long as the command runs.
        let file = File::create(&lock).unwrap();
        file.try_lock().unwrap();
        held = Some(file);
        fs::write(project.root().join("held"), "").unwrap();
    })
    .exits(6);
    assert!(
        run.stderr.contains("the command ended with exit status 7"),
        "{run}"
    );
    assert_eq!(project.rows(), ["e86f3a7d1c95"]);
}

/// Turns red if Ctrl-C does not reach the command, or keeps the rollback from being made.
#[test]
fn ctrl_c_is_for_the_command_and_then_it_is_judged() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let project = at_both_branches();
        let line = "guard -y -- sh -c 'alembic -q upgrade head; touch up; sleep 600'";
        let run = once_up(&project, line, |child| {
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        })
        .exits(8);
        assert!(
            run.stderr
                .contains(&format!("ended by signal {}", signal as i32)),
            "{run}"
        );
        assert_eq!(project.rows(), BRANCHES);
    }
}

/// Turns red if the command has no terminal, gets a Ctrl-C there twice or not at all, or nobody is asked.
#[test]
fn on_a_terminal_the_command_has_it_and_then_there_is_a_question() {
    let project = at_both_branches();
    let line = "guard -- sh -c \
                'trap \"echo heard >> heard\" INT; alembic -q upgrade head; test -t 0 && echo up-$((40+2)); \
                 while [ ! -e heard ]; do sleep 0.05; done; sleep 0.5; exit 7'";
    let mut session = spawn_command(project.rollback(line).command(), Some(60_000)).unwrap();
    // Not what the line itself says.
    session.exp_string("up-42").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("Proceed with rollback?").unwrap();
    // The terminal is set to single keys right after the question is written.
    sleep(Duration::from_millis(200));
    session.send_line("y").unwrap();
    let rest = session.exp_eof().unwrap();
    let status = session.process().wait().unwrap();
    assert!(
        matches!(status, WaitStatus::Exited(_, 8)),
        "{status:?}: {rest}"
    );
    let heard = fs::read_to_string(project.root().join("heard")).unwrap();
    assert_eq!(heard, "heard\n");
    assert_eq!(project.rows(), BRANCHES);
}

/// Turns red if a command that heard the signal and came to its end well is undone all the same.
#[test]
fn a_command_may_take_a_signal_for_what_it_wants() {
    let project = at_both_branches();
    let line = "guard -y -- sh -c \
                'trap \"touch heard\" INT; alembic -q upgrade head; touch up; \
                 while [ ! -e heard ]; do sleep 0.05; done; exit 0'";
    once_up(&project, line, |child| {
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    })
    .exits(0);
    assert_eq!(project.rows(), ["e86f3a7d1c95"]);
}

/// Turns red if a guard that was killed leaves a lock or a run behind.
#[test]
fn a_guard_that_is_killed_leaves_nothing_to_resume() {
    let project = at_both_branches();
    let line = "guard -y -- sh -c \
                'alembic -q upgrade head; touch up; while [ ! -e go ]; do sleep 0.05; done; touch gone; exit 7'";
    let mut child = project.rollback(line).piped().spawn().unwrap();
    wait_for(&project, "up");
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(project.root().join("go"), "").unwrap();
    wait_for(&project, "gone");
    assert_eq!(project.rows(), ["e86f3a7d1c95"]);
    assert!(!project.root().join(".rollback/runs").exists());
    project.run("downgrade-safe -1 -y").exits(0);
}

/// Turns red if the command's output gets among the events, or the events do not tell how it ended.
#[test]
fn programs_are_told_in_events() {
    let project = at_both_branches();
    let run = project
        .run("guard -y --format json -- sh -c 'echo said; alembic -q upgrade head; exit 7'")
        .exits(8);
    let events = run.json_lines();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "guard_began",
            "guard_command_ended",
            "plan",
            "step_started",
            "step_finished",
            "step_started",
            "step_finished",
            "finished"
        ]
    );
    assert_eq!(events[0]["current"], serde_json::json!(BRANCHES));
    assert_eq!(events[1]["exit_status"], 7);
    assert_eq!(events[7]["exit_code"], 8);
    assert_eq!(events[7]["current"], serde_json::json!(BRANCHES));
    assert!(run.stderr.contains("said\n"), "{run}");
    let refused = project.run("guard --format json -- true").exits(3);
    assert_eq!(refused.json_lines()[0]["exit_code"], 3);
}

/// Turns red if a password on the command line is printed or kept.
#[test]
fn passwords_of_the_command_line_appear_nowhere() {
    let project = at_both_branches();
    let run = project
        .run(
            "guard -y -v -- sh -c 'PGPASSWORD=hunter2; alembic -q upgrade head; exit 7' \
             --db-password hunter2 postgresql://ada:hunter2@db/app",
        )
        .exits(8);
    assert!(!run.to_string().contains("hunter2"), "{run}");
    let mut kept = String::new();
    for file in project.files() {
        if file.starts_with(".rollback") {
            let mut file = File::open(project.root().join(file)).unwrap();
            file.read_to_string(&mut kept).unwrap();
        }
    }
    assert!(kept.contains("PGPASSWORD=***"), "{kept}");
    assert!(!kept.contains("hunter2"), "{kept}");
}

/// What applies SQL files to SQLite, as a project's own script would.
const APPLY: &str = "\
import sqlite3, sys
with sqlite3.connect('app.db') as database:
    for name in sys.argv[1:]:
        database.executescript(open(f'migrations/{name}.sql').read())
";

/// The shop of SQL files on SQLite, with the first two migrations applied.
fn shop() -> Project {
    let project =
        Project::copy_of("sql/shop", "project", "alembic-current").file("apply.py", APPLY);
    let url = format!("sqlite:///{}", project.database().display());
    let project = project.env("ROLLBACK_DATABASE_URL", url);
    project
        .engine("python apply.py 20250106090000_create_customers 20250107090000_create_products");
    project
}

fn tables(project: &Project) -> Vec<String> {
    project.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'migration%' ORDER BY name")
}

/// Turns red if a deploy of SQL files is not undone, or what was there before goes with it.
#[test]
fn sql_files_that_a_failed_deploy_applied_go() {
    let project = shop();
    project.run("sql install").exits(0);
    project
        .run("sql register 20250106090000_create_customers 20250107090000_create_products")
        .exits(0);
    let run = project
        .run(
            "guard -y -- sh -c \
             'python apply.py 20250108090000_create_orders 20250109090000_add_order_notes && \
              rollback -q sql register 20250108090000_create_orders 20250109090000_add_order_notes && exit 7'",
        )
        .exits(8);
    assert!(run.stderr.contains("✓ Rolled back 2 revisions"), "{run}");
    assert_eq!(tables(&project), ["customers", "products"]);
    assert_eq!(
        project.sql("SELECT migration_name, status FROM migration_history ORDER BY migration_name"),
        [
            "20250106090000_create_customers applied",
            "20250107090000_create_products applied",
            "20250108090000_create_orders rolled_back",
            "20250109090000_add_order_notes rolled_back",
        ]
    );
    assert_eq!(report(&project)["guarded"]["exit_status"], 7);
}

/// Turns red if SQL that nobody wrote down is passed over.
#[test]
fn sql_files_that_are_not_written_down_are_for_a_person() {
    let project = shop();
    let refused = project.run("guard -y -- touch ran");
    assert_snapshot!(refused, @"
    exit 1
    --- stderr
    error: the tables of the migration history are not there: migration_history; the command was not run
      → make them: rollback sql install
    ");
    assert!(!project.root().join("ran").exists());
    project.run("sql install").exits(0);
    let run = project
        .run("guard -y -- sh -c 'python apply.py 20250108090000_create_orders && exit 7'")
        .exits(5);
    assert!(run.stderr.contains("new:  table orders"), "{run}");
    assert_eq!(tables(&project), ["customers", "orders", "products"]);
}

/// Turns red if the backup is made after the command, when what it changed is in it already.
#[test]
fn the_backup_is_made_before_the_command_and_restored_after_it() {
    let project = at_both_branches().file(
        "deploy.py",
        "import sqlite3, sys\nconnection = sqlite3.connect('app.db')\n\
         connection.execute(\"INSERT INTO accounts (id, email) VALUES (7, 'by the command')\")\n\
         connection.commit()\n",
    );
    project.sql("INSERT INTO accounts (id, email) VALUES (1, 'before')");
    let file = "migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py";
    let project = project.edit(
        file,
        "    op.drop_column(\"invoices\", \"currency\")\n",
        "    op.drop_table(\"never_created\")\n",
    );
    let line = "guard -y --allow-failing --backup --on-failure restore --format json -- \
                sh -c 'alembic -q upgrade head && python deploy.py && exit 7'";
    let run = project
        .rollback(line)
        .env("ROLLBACK_BACKUP", "")
        .run()
        .exits(4);
    let lines = run.json_lines();
    let named = |name: &str| lines.iter().find(|line| line["event"] == name).unwrap();
    assert_eq!(named("backup_finished")["before"], "command", "{run}");
    assert_eq!(named("restored")["backup"], named("backup_finished")["id"]);
    assert_eq!(named("restored")["before"], "command", "{run}");
    assert!(
        run.stderr
            .contains("the database is as it was before the command"),
        "{run}"
    );
    assert!(!run.stderr.contains("as it was before the run"), "{run}");
    assert_eq!(project.rows(), BRANCHES);
    assert_eq!(project.sql("SELECT id, email FROM accounts"), ["1 before"]);
    let report = report(&project);
    assert_eq!(report["backup"]["before"], "command", "{report}");
    assert_eq!(report["backup"]["id"], named("backup_finished")["id"]);
}

/// Turns red if half a migration that has no revision to roll back stays although a restore was asked for.
#[test]
fn what_a_command_left_without_a_revision_is_restored_too() {
    let project = at_both_branches();
    let before = project.sql("SELECT sql FROM sqlite_master ORDER BY name");
    let line = "guard -y --on-failure restore -- sh -c 'sqlite3 app.db \"CREATE TABLE half (id)\"; exit 7'";
    let run = project
        .rollback(line)
        .env("ROLLBACK_BACKUP", "")
        .run()
        .exits(8);
    assert!(
        run.stderr
            .contains("the database is as it was before the command"),
        "{run}"
    );
    assert_eq!(
        project.sql("SELECT sql FROM sqlite_master ORDER BY name"),
        before
    );
}
