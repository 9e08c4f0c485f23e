//! The program against all three databases: the same project, the same answer.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rollback_core::connection::{VersionRows, VersionTable};
use rollback_core::schema::SchemaLines;
use serde_json::{Value, json};

use crate::crash::{until_intended, until_told};
use crate::project::{Project, Run};
use crate::support::{Kind, PASSWORD, Server, TestDatabase, mysql_folder};

/// A fixture on a database, upgraded to its heads.
pub(crate) fn upgraded(case: &str, database: &TestDatabase<'_>) -> Project {
    let mut project = Project::alembic(case).env("DATABASE_URL", database.url());
    if database.kind() == Kind::MySql {
        // MariaDB's clients have the same names.
        let engine = project.python().parent().unwrap().to_path_buf();
        let folders = [mysql_folder(), engine, "/usr/bin".into(), "/bin".into()];
        project = project.env("PATH", std::env::join_paths(folders).unwrap());
    }
    database.filled(case, || {
        if case == "custom_version_table" && database.kind() == Kind::PostgreSql {
            database.execute("CREATE SCHEMA bookkeeping");
        }
        project.engine("alembic upgrade heads");
    });
    project
}

pub(crate) fn rows(database: &TestDatabase<'_>) -> Vec<String> {
    match database.open().version_rows(&VersionTable::default()) {
        Ok(VersionRows::Rows(ids)) => ids.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn schema(database: &TestDatabase<'_>) -> SchemaLines {
    database.open().schema().unwrap()
}

/// The lines of the schema that name a table.
pub(crate) fn tables(database: &TestDatabase<'_>) -> Vec<String> {
    let lines = database.open().schema().unwrap().into_iter();
    lines.filter(|line| line.starts_with("table ")).collect()
}

pub(crate) fn events(lines: &[Value], name: &str) -> Vec<Value> {
    lines
        .iter()
        .filter(|line| line["event"] == name)
        .cloned()
        .collect()
}

/// Every fixture whose migrations can be rolled back.
fn a_shape_is_walked_back_to_base(kind: Kind, shape: &str) {
    let database = TestDatabase::create(kind);
    let project = upgraded(shape, &database);
    let files = project
        .files()
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "py"))
        .filter(|file| file.components().any(|part| part.as_os_str() == "versions"))
        .count();
    let run = project
        .run("downgrade-safe base -y --allow-failing --format json")
        .exits(0);
    let lines = run.json_lines();
    let finished = events(&lines, "step_finished");
    assert_eq!(finished.len(), files, "{kind:?}\n{run}");
    assert_eq!(
        finished.last().unwrap()["heads"],
        json!([]),
        "{kind:?}\n{run}"
    );
    let tables = tables(&database);
    assert_eq!(tables.len(), 1, "{kind:?}: {tables:?}");
}
on_each!(a_shape_is_walked_back_to_base: sqlite, postgresql, mariadb; [
    branches, custom_version_table, depends_on, diamond, forest,
    labels, linear, lists, merge_of_ancestor, merge_of_merges,
    mutual_depends_on, odd_messages, tangled, three_way_merge, two_heads
]);

fn a_dry_run_a_plan_and_a_run_agree_on_every_database(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("diamond", &database);
    let before = rows(&database);

    let rehearsal = project.run("downgrade-safe -3 --dry-run").exits(0);
    assert!(
        rehearsal
            .stdout
            .contains("Rollback plan: 3 steps, 1 of them a merge"),
        "{rehearsal}"
    );
    assert_eq!(rows(&database), before);

    let plan = project.run("plan base --format json").exits(0).json();
    let planned: Vec<&Value> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["removes"])
        .collect();
    let lines = project
        .run("downgrade-safe base -y --allow-failing --format json")
        .exits(0)
        .json_lines();
    let removed = events(&lines, "finished")[0]["removed"].clone();
    assert_eq!(json!(planned), removed);
    assert_eq!(rows(&database), [""; 0]);
}
on_each!(a_dry_run_a_plan_and_a_run_agree_on_every_database: sqlite, postgresql, mariadb);

fn a_step_that_fails_half_way_is_told_for_what_the_server_made_of_it(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    // PostgreSQL takes the whole step back; on the others the first statement stays done.
    let (exit, state) = if kind == Kind::PostgreSql {
        (4, "unchanged")
    } else {
        (5, "half_done")
    };
    let run = project
        .run("downgrade-safe base -y --allow-failing --format json")
        .exits(exit);
    let lines = run.json_lines();
    assert_eq!(events(&lines, "step_finished").len(), 2, "{kind:?}\n{run}");
    let failed = &events(&lines, "step_failed")[0];
    assert_eq!(failed["removes"], "3333aaaa");
    assert_eq!(failed["database"]["state"], state, "{kind:?}\n{run}");
    assert_eq!(rows(&database), ["3333aaaa"]);
    assert!(run.stderr.contains("never_created"), "{run}");
    if kind != Kind::PostgreSql {
        let gone = failed["database"]["gone"].as_array().unwrap();
        assert!(gone.contains(&json!("table e1b")), "{kind:?}\n{run}");
    }
}
on_each!(a_step_that_fails_half_way_is_told_for_what_the_server_made_of_it: sqlite, postgresql, mariadb);

fn a_step_that_hangs_is_ended_with_all_its_processes(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("hanging", &database);
    let run = project
        .run("downgrade-safe base -y --allow-failing --timeout 3s --format json")
        .exits(4);
    assert_eq!(
        events(&run.json_lines(), "step_finished").len(),
        2,
        "{kind:?}\n{run}"
    );
    assert_eq!(rows(&database), ["3333aaaa"]);
    assert!(run.stderr.contains("the time limit of 3 s"), "{run}");
    // That none of its processes is left is looked at where each project ends.
}
on_each!(a_step_that_hangs_is_ended_with_all_its_processes: sqlite, postgresql, mariadb);

/// Starts a run and waits until a step is running.
pub(crate) fn until_step(project: &Project, line: &str, step: u64) -> (Child, Vec<u8>) {
    let mut child = project.rollback(line).piped().spawn().unwrap();
    let mut seen = Vec::new();
    let mut stdout = BufReader::new(child.stdout.as_mut().unwrap());
    loop {
        let start = seen.len();
        assert_ne!(
            stdout.read_until(b'\n', &mut seen).unwrap(),
            0,
            "the run ended early"
        );
        let event: Value = serde_json::from_slice(&seen[start..]).unwrap();
        if event["event"] == "step_started" && event["step"] == step {
            break;
        }
    }
    assert!(stdout.buffer().is_empty());
    (child, seen)
}

pub(crate) fn end_of(project: &Project, child: Child, seen: Vec<u8>) -> Run {
    let mut output = child.wait_with_output().unwrap();
    output.stdout = [seen, output.stdout].concat();
    project.told(&output)
}

#[test]
fn a_signal_lets_the_running_step_finish_and_stops_before_the_next() {
    for (kind, signal) in
        Kind::ALL
            .into_iter()
            .zip([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
    {
        let database = TestDatabase::create(kind);
        let project = upgraded("slow", &database);
        let (child, seen) = until_step(
            &project,
            "downgrade-safe base -y --allow-failing --format json",
            2,
        );
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let run = end_of(&project, child, seen).exits(130);
        let finished = &events(&run.json_lines(), "finished")[0];
        assert_eq!(
            finished["removed"],
            json!(["5555aaaa", "4444aaaa"]),
            "{kind:?}\n{run}"
        );
        assert_eq!(rows(&database), ["3333aaaa"]);
        assert!(run.stderr.contains("to go on: rollback resume"), "{run}");
        // And that command does go on.
        project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(0);
        assert_eq!(rows(&database), [""; 0]);
    }
}

fn a_server_that_stops_during_a_step_leaves_the_state_unknown_until_it_is_back(kind: Kind) {
    let server = Server::start(kind);
    let database = server.create_database();
    let project = upgraded("slow", &database);
    let (mut child, seen) = until_step(
        &project,
        "downgrade-safe base -y --allow-failing -v --format json",
        2,
    );
    let mut words = until_told(&mut child, "Running downgrade 4444aaaa");
    until_intended(&project, 1);
    server.stop();
    let run = end_of(&project, child, seen).exits(5);
    let mut said = String::new();
    words.read_to_string(&mut said).unwrap();
    let lines = run.json_lines();
    assert_eq!(
        events(&lines, "step_failed")[0]["database"]["state"],
        "unknown",
        "{run}"
    );
    assert_eq!(
        events(&lines, "finished")[0]["current"],
        Value::Null,
        "{run}"
    );
    assert!(said.contains("rollback resume"), "{said}");
    server.start_again();
    let current = project.run("current --format json").exits(0).json();
    assert_eq!(current["current"], json!(["4444aaaa"]), "{kind:?}");
    let resume = "downgrade-safe --resume -y --allow-failing";
    if kind == Kind::PostgreSql {
        project.run(resume).exits(0);
    } else {
        // It forgets when tables were written, so that nothing proves what the step left.
        let refused = project.run(resume).exits(5);
        assert!(
            refused.stderr.contains("the server was restarted since"),
            "{refused}"
        );
        project.run(&format!("{resume} --accept 4444aaaa")).exits(0);
    }
}
on_each!(a_server_that_stops_during_a_step_leaves_the_state_unknown_until_it_is_back: postgresql, mariadb);

fn a_url_is_held_against_the_database_that_the_engine_uses(kind: Kind) {
    let database = TestDatabase::create(kind);
    let other = TestDatabase::create(kind);
    let project = upgraded("diamond", &database);
    // The same database by another way is the same.
    let same = project
        .rollback("current --format json")
        .env("ROLLBACK_DATABASE_URL", &database.socket_url())
        .run()
        .exits(0);
    assert_eq!(same.json()["behind"], 0, "{same}");

    let refused = project
        .rollback("downgrade-safe base -y --allow-failing")
        .env("ROLLBACK_DATABASE_URL", &other.url())
        .run()
        .exits(1);
    assert!(refused.stderr.contains(database.name()), "{refused}");
    assert!(refused.stderr.contains(other.name()), "{refused}");
    for text in [&same.stdout, &same.stderr, &refused.stdout, &refused.stderr] {
        assert!(
            !text.contains(PASSWORD) && !text.contains("s3cret"),
            "{text}"
        );
    }
    assert_eq!(rows(&database).len(), 1);
}
on_each!(a_url_is_held_against_the_database_that_the_engine_uses: postgresql, mariadb);
