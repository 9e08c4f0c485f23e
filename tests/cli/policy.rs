//! The policy: what is missing is told at once, and nothing is changed until it is given.

use std::fs;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use regex::Regex;
use serde_json::Value;

use crate::support::{Project, Run, source};

/// What production asks for, all of it.
const ALL: &str = "--reason 'orders fail' --incident INC-7 --approved-by grace --deployed-at 4m --backup --verify-backup restore";

fn fixture(name: &str) -> String {
    fs::read_to_string(source().join("fixtures/policy").join(name)).expect("a file of the fixture")
}

/// A project with the rules of `fixtures/policy`, at any hour.
fn project() -> Project {
    let windows = "windows = [\"Mon-Thu 22:00-06:00\", \"Sat,Sun 00:00-24:00\"]";
    ruled(&fixture("rollback.toml")).edit("rollback.toml", windows, "windows = [\"00:00-24:00\"]")
}

fn ruled(rules: &str) -> Project {
    Project::alembic("linear")
        .at("heads")
        .file("rollback.toml", rules)
}

/// Runs a program of the fixture in the project, as the project's owner would.
fn program(project: &Project, words: &[&str]) -> Run {
    let call = project.rollback("current").command();
    let mut command = Command::new(words[0]);
    let environment = call
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let output = command
        .args(&words[1..])
        .current_dir(project.root())
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .output()
        .expect("the program");
    project.told(&output)
}

/// Without the name of whoever runs the test, and when.
fn anywhere(text: &str) -> String {
    let user = Regex::new(r"another person than \S+ has").expect("a pattern");
    let moment = Regex::new(r"it is \w{3} [\d-]+ [\d:]+").expect("a pattern");
    let text = user.replace_all(text, "another person than [USER] has");
    moment.replace_all(&text, "it is [MOMENT]").into_owned()
}

fn journal(project: &Project) -> Vec<Value> {
    let runs = project.root().join(".rollback/runs");
    let run = fs::read_dir(runs)
        .expect("runs")
        .next()
        .expect("a run")
        .expect("a folder");
    fs::read_to_string(run.path().join("journal.jsonl"))
        .expect("a journal")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an entry"))
        .collect()
}

#[test]
fn a_script_in_production_without_what_is_asked_for_changes_nothing_and_is_told_all_of_it() {
    let project = project()
        .edit("rollback.toml", "allow_yes = true", "allow_yes = false")
        .edit(
            "rollback.toml",
            "deny_codes = [",
            "deny_codes = [\"column-dropped\", ",
        )
        .file("rollback-production.sh", fixture("rollback-production.sh"));
    project.make_executable("rollback-production.sh");
    let bytes = project.bytes();
    let run = program(&project, &["./rollback-production.sh"]).exits(3);
    assert_snapshot!(anywhere(&run.stderr), @"
    refused: the policy of production is not met: nothing was changed
      because a reason is required; none is given
      because the record of an incident is required; none is named
      because another person than [USER] has to have approved; nobody is named
      because a backup that is restored beside the database and compared with it is required first; none will be made
      because the release may be at most 5m old; it is not said when it went out
      because these findings are refused: column-dropped, table-dropped, unknown-code; the plan has column-dropped
      because a person has to consent at a terminal; -y was given
      → fix forward with a new migration, or restore a backup
      → leave -y away and answer the question, or have allow_yes = true set in the policy
      → give what is missing: --reason <text> --incident <id> --approved-by <name> --backup --verify-backup restore --deployed-at <time>
    ");
    assert_eq!(project.bytes(), bytes);
    assert!(
        !project.root().join(".rollback").exists(),
        "a refused run has no record"
    );
}

#[test]
fn with_all_that_is_asked_for_the_script_runs_and_the_record_says_so() {
    let project = project().file("rollback-production.sh", fixture("rollback-production.sh"));
    project.make_executable("rollback-production.sh");
    let mut words = vec!["./rollback-production.sh".to_owned()];
    words.extend(shlex::split(ALL).expect("words"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    program(&project, &words).exits(0);
    assert_eq!(project.rows(), ["4d5e6f7a8b04"]);
    let begun = &journal(&project)[0];
    let said = &begun["circumstances"];
    assert_eq!(said["environment"], "production", "{begun:#}");
    assert_eq!(said["reason"], "orders fail");
    assert_eq!(said["incident"], "INC-7");
    assert_eq!(said["approved_by"], "grace");
    assert!(
        said["deployed_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{begun:#}"
    );
    assert_eq!(begun["ruling"]["environment"], "production");
    let points = begun["ruling"]["points"].as_array().expect("points");
    assert!(points.iter().all(|point| point["met"] == true), "{begun:#}");
    let codes: Vec<&str> = points
        .iter()
        .filter_map(|point| point["code"].as_str())
        .collect();
    assert_eq!(
        codes,
        [
            "reason",
            "incident",
            "approver",
            "backup",
            "window",
            "clean-schema",
            "validation",
            "steps",
            "age",
            "level",
            "codes"
        ]
    );
}

#[test]
fn variables_say_the_same_as_flags() {
    let project = project();
    let call = project
        .rollback("downgrade-safe -1 -y")
        .env("ROLLBACK_ENVIRONMENT", "production")
        .env("ROLLBACK_REASON", "orders fail")
        .env("ROLLBACK_INCIDENT", "INC-7")
        .env("ROLLBACK_APPROVED_BY", "grace")
        .env("ROLLBACK_DEPLOYED_AT", "4m")
        .env("ROLLBACK_BACKUP", "always")
        .env("ROLLBACK_VERIFY_BACKUP", "restore");
    call.run().exits(0);
    assert_eq!(project.rows(), ["4d5e6f7a8b04"]);
}

#[test]
fn the_plan_and_a_dry_run_show_each_point_and_are_not_refused() {
    let project = project().edit("rollback.toml", "max_steps = 1", "max_steps = 0");
    let line = "-1 --environment production --reason 'orders fail'";
    let plan = project.run(&format!("plan {line}")).exits(0);
    let (_, policy) = plan.stdout.split_once("\nPolicy").expect("a ruling");
    assert_snapshot!(anywhere(policy), @"
     of production: 5 of 11 requirements are missing

      met      a reason is required; orders fail
      missing  the record of an incident is required; none is named
               → --incident <id>
      missing  another person than [USER] has to have approved; nobody is named
               → --approved-by <name>
      missing  a backup that is restored beside the database and compared with it is required first; none will be made
               → --backup --verify-backup restore
      met      a maintenance window has to be open: 00:00-24:00 (Europe/Berlin); it is [MOMENT]
      met      nothing may be left over from before, and nothing be at fault in data and indexes; nothing was found
      met      the database has to be looked at after each step; it will be
      missing  no step may be taken back: migrations only go forward here; the plan has 1 step
               → fix forward with a new migration
      missing  the release may be at most 5m old; it is not said when it went out
               → --deployed-at <time>
      met      no finding may be high or worse; the worst is low
      met      these findings are refused: table-dropped, unknown-code; the plan has none of them

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback --environment production downgrade-safe -1
    ");
    let dry = project
        .run(&format!("downgrade-safe {line} --dry-run"))
        .exits(0);
    assert!(anywhere(&dry.stdout).contains(&anywhere(policy)), "{dry}");
    let json = project
        .run(&format!("plan {line} --format json"))
        .exits(0)
        .json();
    assert_eq!(json["ruling"]["environment"], "production");
    let point = &json["ruling"]["points"][1];
    assert_eq!(point["code"], "incident", "{json:#}");
    assert_eq!(point["met"], false);
    assert_eq!(point["remedy"], "--incident <id>");
}

#[test]
fn the_plan_says_nothing_where_there_is_no_policy() {
    let project = ruled("");
    let json = project.run("plan -1 --format json").exits(0).json();
    assert_eq!(json["ruling"], Value::Null);
}

#[test]
fn production_without_a_policy_does_not_take_y_alone() {
    let project = ruled("environment = 'production'");
    let bytes = project.bytes();
    assert_snapshot!(project.run("downgrade-safe -1 -y").exits(3).stderr, @"
    refused: the policy of production is not met: nothing was changed
      because a person has to consent at a terminal; -y was given
      → leave -y away and answer the question, or have allow_yes = true set in the policy
    ");
    assert_snapshot!(project.run("downgrade-safe -1").exits(3).stderr, @"
    refused: not confirmed: there is no terminal to ask on
      → the policy wants a person at a terminal; to see the plan only, add --dry-run
    ");
    assert_eq!(project.bytes(), bytes);
    let allowed = ruled("environment = 'production'\n[policy]\nallow_yes = true");
    allowed.run("downgrade-safe -1 -y").exits(0);
}

#[test]
fn a_place_that_nobody_names_or_knows_is_refused() {
    let project = project();
    let bytes = project.bytes();
    assert_snapshot!(project.run("downgrade-safe -1 -y --reason r").exits(3).stderr, @"
    refused: the policy is not met: nothing was changed
      because it has to be said which environment this is, one of development, production, staging; nothing says so
      → give what is missing: --environment <name>
    ");
    assert_snapshot!(
        project.run("downgrade-safe -1 -y --reason r --environment prodution"),
        @"
    exit 1
    --- stderr
    error: there is no environment prodution: the settings have rules for development, production, staging
      → did you mean production?
      → an environment with the rules of [policy] alone is written as an empty table: [policy.prodution]
    "
    );
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn what_is_at_stake_and_what_the_policy_misses_is_told_together() {
    let project = project();
    project.sql(
        "INSERT INTO orders (id, customer_id, placed_at, note) VALUES (1, 1, '2026-01-01', 'x')",
    );
    let run = project
        .run("downgrade-safe -1 -y --environment staging")
        .exits(3);
    assert_snapshot!(run.stderr, @"
    refused: the policy of staging is not met: nothing was changed
      because a reason is required; none is given
      because column-dropped, high: drops column orders.note with 1 value
      → give what is missing: --reason <text>
      → to allow it by name: --allow column-dropped
    ");
}

#[test]
fn what_is_left_over_is_no_clean_schema() {
    let project = project();
    project.sql("CREATE TABLE _alembic_tmp_orders (id INTEGER)");
    let line = format!("downgrade-safe -1 -y --environment production {ALL}");
    let run = project.run(&line).exits(3);
    assert!(run.stderr.contains("_alembic_tmp_orders"), "{run}");
    project.sql("DROP TABLE _alembic_tmp_orders");
    project.run(&line).exits(0);
}

#[test]
fn a_run_that_goes_on_is_ruled_by_what_was_said_when_it_was_begun() {
    let rules = fixture("rollback.toml").replace("require_clean_schema = true", "");
    let project = Project::alembic("linear")
        .edit(
            "migrations/versions/4d5e6f7a8b04_index_orders_by_customer.py",
            "op.drop_index(\"ix_orders_customer_id\", table_name=\"orders\")",
            "raise RuntimeError(\"not now\")",
        )
        .at("heads")
        .file("rollback.toml", rules);
    let begin = "downgrade-safe -2 -y --environment staging --reason 'a bad one' --approved-by grace --allow-failing";
    project.run(begin).exits(4);
    // The environment of the begun run holds, and so does its reason.
    let resumed = project.run("downgrade-safe --resume --dry-run").exits(0);
    assert!(
        resumed.stdout.contains("Policy of staging: met"),
        "{resumed}"
    );
    assert!(
        resumed.stdout.contains("a reason is required; a bad one"),
        "{resumed}"
    );
    let elsewhere = project
        .run("downgrade-safe --resume -y --environment development")
        .exits(1);
    assert!(
        elsewhere.stderr.contains("the run was begun in staging"),
        "{elsewhere}"
    );
    // The step fails again; who agreed to go on is written down.
    project
        .run("downgrade-safe --resume -y --allow-failing --approved-by barbara")
        .exits(4);
    let resumed = journal(&project)
        .into_iter()
        .find(|line| line["entry"] == "resumed")
        .expect("an entry");
    assert_eq!(
        resumed["circumstances"]["approved_by"], "barbara",
        "{resumed:#}"
    );
    assert_eq!(resumed["circumstances"]["reason"], "a bad one");
    assert_eq!(resumed["ruling"]["environment"], "staging");
}

#[test]
fn the_makefile_runs() {
    let project = project().file("Makefile", fixture("Makefile"));
    let current = program(&project, &["make", "migrate-current"]).exits(0);
    assert!(current.stdout.contains("5e6f7a8b9c05"), "{current}");
    let place = "ROLLBACK_ENVIRONMENT=production";
    let bytes = project.bytes();
    let plan = program(&project, &["env", place, "make", "migrate-plan"]).exits(0);
    assert!(plan.stdout.contains("Policy of production"), "{plan}");
    let refused = program(
        &project,
        &["env", place, "make", "migrate-down-one", "ARGS=-y"],
    )
    .exits(2);
    assert!(
        refused.stderr.contains("--reason <text> --incident <id>"),
        "{refused}"
    );
    assert!(refused.stderr.contains("Error 3"), "{refused}");
    assert_eq!(project.bytes(), bytes);
    let args = format!("ARGS=-y {ALL}");
    program(&project, &["env", place, "make", "migrate-down-one", &args]).exits(0);
    assert_eq!(project.rows(), ["4d5e6f7a8b04"]);
}

#[test]
fn the_job_of_the_pipeline_fails_where_data_would_be_lost() {
    let job = fixture("ci.yml");
    let line = job
        .lines()
        .find_map(|line| line.trim().strip_prefix("- run: rollback "))
        .expect("a call of rollback");
    let project = project();
    let run = |project: &Project| {
        project
            .rollback(line)
            .env("ROLLBACK_ENVIRONMENT", "staging")
            .run()
    };
    run(&project).exits(0);
    project.sql(
        "INSERT INTO orders (id, customer_id, placed_at, note) VALUES (1, 1, '2026-01-01', 'x')",
    );
    run(&project).exits(3);
}
