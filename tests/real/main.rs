//! Superset 6.1.0 on PostgreSQL, rolled back from its head until it can go no further.
//!
//! One scenario, because each of its steps costs what a start of Superset costs. Turns red when the
//! plan of a real history is wrong, when a step does not verify, when a run starts the engine more
//! than once, when steps that are each a start of it end elsewhere or start it more often than that, when the first revision that cannot be rolled back is not told before
//! anything runs, when the one that is named in its place cannot be reached, or when the backup of the
//! first run does not bring everything back at the end.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does: by a panic"
)]

#[path = "../support/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "of the servers of all tests one is used here"
)]
mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use assert_cmd::assert::OutputAssertExt as _;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use rollback_core::backup::DatabaseDigest;
use rollback_core::connection::VersionTable;
use rollback_core::interrupt::Interrupt;
use rollback_database::backup::{self, BackupContext};
use serde_json::Value;
use support::{Kind, Server, TestDatabase};

/// The first revision from the head down that Superset 6.1.0 cannot take back on PostgreSQL: its
/// downgrade drops a column of a table that a later revision has dropped for good.
const FIRST_BROKEN: &str = "6f139c533bea";
/// The merge point nearest to the head.
const FIRST_MERGE: &str = "eb1c288c71c4";
/// The steps from the head to it, itself included.
const STEPS_OVER_THE_FIRST_MERGE: usize = 16;
/// Those of them for which the engine is started each time: the merge point and the step before it.
const STARTED_STEPS: usize = 2;

struct Superset {
    database: TestDatabase<'static>,
    home: tempfile::TempDir,
}

impl Superset {
    fn at_head() -> Self {
        let superset = Self {
            database: TestDatabase::create(Kind::PostgreSql),
            home: tempfile::tempdir().unwrap(),
        };
        let output = superset
            .command(&programs().join("superset"), &["db", "upgrade"])
            .output()
            .unwrap_or_else(|error| panic!("Superset does not start ({error}): run `make test`"));
        assert!(output.status.success(), "{}", shown(&output));
        superset
    }

    /// The same in a database and a folder of its own.
    fn copy(&self) -> Self {
        let copy = Self {
            database: TestDatabase::create(Kind::PostgreSql),
            home: tempfile::tempdir().unwrap(),
        };
        let (from, to) = (self.database.name(), copy.database.name());
        let server = Server::shared(Kind::PostgreSql);
        server.execute(&format!("DROP DATABASE {to}"));
        server.execute(&format!("CREATE DATABASE {to} TEMPLATE {from}"));
        copy
    }

    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env(
                "PATH",
                std::env::join_paths([programs(), "/usr/bin".into(), "/bin".into()]).unwrap(),
            )
            .env("HOME", self.home.path())
            // One run asks for a backup by itself: what it takes at the head.
            .env("ROLLBACK_BACKUP", "never")
            .env("SUPERSET_HOME", self.home.path())
            .env(
                "SUPERSET_CONFIG_PATH",
                root.join("fixtures/superset/superset_config.py"),
            )
            .env("SUPERSET_DATABASE_URI", self.database.url())
            .env("FLASK_APP", "superset")
            .env("PYTHONPATH", root.join("tests/real"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("COUNT_STARTS_IN", self.starts());
        command
    }

    fn starts(&self) -> PathBuf {
        self.home.path().join("starts")
    }

    /// Runs `rollback`, and tells how often it started the engine.
    fn rollback(&self, args: &[&str]) -> (Output, usize) {
        fs::write(self.starts(), "").unwrap();
        let begun = Instant::now();
        let output = self
            .command(Path::new(env!("CARGO_BIN_EXE_rollback")), args)
            .output()
            .unwrap();
        let starts = fs::read_to_string(self.starts()).unwrap().lines().count();
        // Told, never asserted: machines differ.
        #[expect(clippy::disallowed_methods, reason = "a test tells its runner")]
        let _ = writeln!(
            std::io::stderr(),
            "rollback {}: {:.0} s, {starts} engine starts",
            args.join(" "),
            begun.elapsed().as_secs_f64()
        );
        (output, starts)
    }

    /// Fingerprint of the schema and counts of all rows, as the program takes them.
    fn contents(&self) -> DatabaseDigest {
        let surroundings = BackupContext {
            environment: std::env::vars_os().collect(),
            interrupt: Interrupt::default(),
            folder: self.home.path().to_owned(),
            version_table: VersionTable::default(),
        };
        backup::open(&self.database.facts(), surroundings)
            .and_then(|mut backups| backups.contents())
            .unwrap()
    }

    /// A hash over the rows of each table, as the server takes it.
    fn hashes(&self) -> Vec<(String, String)> {
        let tables = self.database.query(
            "SELECT relname FROM pg_class WHERE relkind = 'r' \
             AND relnamespace = 'public'::regnamespace ORDER BY relname",
        );
        let hash = |row: Vec<Option<String>>| {
            let table = row[0].clone().unwrap();
            let hash = self.database.query_one(&format!(
                "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM \"{table}\" t"
            ));
            (table, hash)
        };
        tables.into_iter().map(hash).collect()
    }

    fn version(&self) -> String {
        self.database.query_one(
            "SELECT string_agg(version_num, ' ' ORDER BY version_num) FROM alembic_version",
        )
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/python/superset/bin")
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == name).collect()
}

fn json_lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A plan without what asking took, which differs from one time to the next.
fn without_times(plan: &Value) -> Value {
    let mut plan = plan.clone();
    plan["verdict"]["asked"]["seconds"] = Value::Null;
    plan
}

/// The first step, from 0, that is said to be sure to fail.
fn first_certain_failure(steps: &[Value]) -> Option<usize> {
    steps.iter().position(|step| {
        let findings = step["findings"].as_array().unwrap();
        findings
            .iter()
            .any(|finding| finding["outcome"] == "will_fail")
    })
}

#[test]
fn superset_goes_back_over_its_first_merge_and_up_to_the_revision_that_cannot() {
    let superset = Superset::at_head();

    let (output, starts) = superset.rollback(&["plan", "base", "--format", "json"]);
    assert!(output.status.success(), "{}", shown(&output));
    let plan = &json_lines(&output)[0];
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 344);
    assert_eq!(
        steps.iter().filter(|step| step["is_merge"] == true).count(),
        32
    );
    assert_eq!(starts, 1);
    let order: Vec<&str> = steps
        .iter()
        .map(|step| step["removes"].as_str().unwrap())
        .collect();
    let broken = order.iter().position(|id| *id == FIRST_BROKEN).unwrap();

    // By the version files and the URL alone the plan is the same, and no engine is started.
    let url = superset.database.url();
    let (output, starts) =
        superset.rollback(&["plan", "base", "--format", "json", "--database-url", &url]);
    assert!(output.status.success(), "{}", shown(&output));
    let mut by_files = json_lines(&output).swap_remove(0);
    // The command to type next repeats the option by which this plan was reached, without the password.
    let (user, server) = url.rsplit_once('@').unwrap();
    let (user, _) = user.rsplit_once(':').unwrap();
    let hidden = format!("{user}:***@{server}");
    let next = plan["verdict"]["next"].as_str().unwrap();
    let arguments = next.strip_prefix("rollback ").unwrap();
    assert_eq!(
        by_files["verdict"]["next"].take(),
        format!("rollback --database-url '{hidden}' {arguments}")
    );
    by_files["verdict"]["next"] = plan["verdict"]["next"].clone();
    assert_eq!(without_times(&by_files), without_times(plan));
    assert_eq!(starts, 0);

    // What cannot be reached is refused before anything runs, with a way that can.
    let head = superset.version();
    assert_eq!(first_certain_failure(steps), Some(broken));
    let (output, starts) = superset.rollback(&[
        "downgrade-safe",
        "base",
        "-y",
        "--allow",
        "all",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let lines = json_lines(&output);
    assert_eq!(events(&lines, "step_started").len(), 0);
    let refused = events(&lines, "finished")[0];
    let words = refused["error"].as_str().unwrap();
    assert!(
        words.contains(&format!(
            "step {} of 344, {FIRST_BROKEN}, will fail",
            broken + 1
        )),
        "{words}"
    );
    let reachable = refused["next"].as_array().unwrap().iter().find_map(|next| {
        let (_, command) = next.as_str()?.split_once("rollback downgrade-safe ")?;
        command.split(' ').next()
    });
    let reachable = reachable.unwrap_or_else(|| panic!("no command in {refused:#}"));
    assert_eq!(superset.version(), head);
    assert_eq!(starts, 1);

    let plain = superset.copy();
    let (contents, hashes) = (superset.contents(), superset.hashes());
    assert!(contents.rows.len() > 40, "{contents:#?}");
    let target = format!("-{STEPS_OVER_THE_FIRST_MERGE}");
    let (output, starts) = superset.rollback(&[
        "downgrade-safe",
        &target,
        "-y",
        "--allow",
        "all",
        "--backup",
        "--verify-backup",
        "restore",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let lines = json_lines(&output);
    let removed: Vec<&str> = events(&lines, "step_finished")
        .iter()
        .map(|event| event["removes"].as_str().unwrap())
        .collect();
    assert_eq!(removed, order[..STEPS_OVER_THE_FIRST_MERGE]);
    assert_eq!(removed.last(), Some(&FIRST_MERGE));
    assert_eq!(starts, 1);
    let heads = steps[STEPS_OVER_THE_FIRST_MERGE - 1]["heads_after"]
        .as_array()
        .unwrap();
    let heads: Vec<&str> = heads.iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(superset.version(), heads.join(" "));

    // The same where each step is a start of the engine: for the last steps, because a start takes seconds.
    let (output, _) = plain.rollback(&[
        "downgrade-safe",
        &format!("-{}", STEPS_OVER_THE_FIRST_MERGE - STARTED_STEPS),
        "-y",
        "--allow",
        "all",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let (output, starts) = plain.rollback(&[
        "downgrade-safe",
        &format!("-{STARTED_STEPS}"),
        "-y",
        "--allow",
        "all",
        "--process-per-step",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let steps_of = |lines: &[Value]| -> Vec<[Value; 2]> {
        let finished = events(lines, "step_finished").into_iter();
        finished
            .map(|event| ["removes", "heads"].map(|key| event[key].clone()))
            .collect()
    };
    let last = &steps_of(&lines)[STEPS_OVER_THE_FIRST_MERGE - STARTED_STEPS..];
    assert_eq!(steps_of(&json_lines(&output)), last);
    assert_eq!(starts, STARTED_STEPS + 1);
    assert_eq!(plain.version(), superset.version());
    assert_eq!(plain.contents(), superset.contents());

    let (output, starts) = superset.rollback(&[
        "downgrade-safe",
        reachable,
        "-y",
        "--allow",
        "all",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let lines = json_lines(&output);
    let walked = broken - STEPS_OVER_THE_FIRST_MERGE;
    assert_eq!(events(&lines, "step_finished").len(), walked);
    assert_eq!(superset.version(), FIRST_BROKEN);
    assert_eq!(starts, 1);

    // And the step that was said to fail does.
    let (output, starts) = superset.rollback(&[
        "downgrade-safe",
        "-1",
        "-y",
        "--allow",
        "all",
        "--allow-failing",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let lines = json_lines(&output);
    assert_eq!(events(&lines, "step_finished").len(), 0);
    let failed = events(&lines, "step_failed");
    assert_eq!(failed[0]["removes"], FIRST_BROKEN);
    assert_eq!(failed[0]["database"]["state"], "unchanged");
    assert_eq!(failed[0]["database"]["schema_compared"], true);
    let finished = events(&lines, "finished")[0];
    assert_eq!(finished["exit_code"], 4);
    assert_eq!(finished["current"], serde_json::json!([FIRST_BROKEN]));
    assert_eq!(superset.version(), FIRST_BROKEN);
    assert_eq!(starts, 1);
    let names_the_relation = contains(r#"relation "columns" does not exist"#);
    let tells_the_position = contains("Current revision: 6f139c533bea, read from the database");
    output
        .assert()
        .code(4)
        .stderr(names_the_relation.and(tells_the_position));

    // Everything is as it was at the head, after the backup of the first run is restored.
    assert_ne!(superset.contents(), contents);
    let (output, _) = superset.rollback(&[
        "restore",
        "latest",
        "-y",
        "--database",
        superset.database.name(),
        "--no-backup",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert_eq!(superset.contents(), contents);
    assert_eq!(superset.hashes(), hashes);
    assert_eq!(superset.version(), head);
}
