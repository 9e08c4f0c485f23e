//! What is left of a run: its reports, `rollback history` and `rollback show`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use insta::assert_snapshot;
use regex::Regex;
use serde_json::Value;

use crate::support::{Project, Run};

/// The folder of the only run, or the newest one.
fn folder(project: &Project) -> PathBuf {
    let runs = fs::read_dir(project.root().join(".rollback/runs")).unwrap();
    let mut runs: Vec<PathBuf> = runs.map(|run| run.unwrap().path()).collect();
    runs.sort();
    runs.pop().unwrap()
}

fn text(project: &Project, name: &str) -> String {
    fs::read_to_string(folder(project).join(name)).unwrap()
}

/// Both reports are there, are the owner's alone, and are what `show` makes of the record.
#[track_caller]
fn reported(project: &Project) -> Value {
    for name in ["report.json", "report.md"] {
        let mode = fs::metadata(folder(project).join(name))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    let written: Value = serde_json::from_str(&text(project, "report.json")).unwrap();
    let shown = project
        .rollback("show latest --format json")
        .piped()
        .output()
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&shown.stdout).unwrap(),
        written
    );
    let page = project
        .rollback("show latest --markdown")
        .piped()
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&page.stdout),
        text(project, "report.md")
    );
    assert_eq!(written["version"], 1);
    written
}

fn states(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| step["state"].as_str().unwrap()).collect()
}

/// Without what differs from run to run.
fn stable(project: &Project, text: &str) -> String {
    let text = project.on_screen(text);
    let mut text = text;
    for (pattern, with) in [
        (r"\b\d{8}T\d{6}Z-\d+\b", "[RUN]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[WHEN]"),
        (
            r"(?m)((?:Executed by:\**|\[WHEN\]) +)[\w.-]+@[\w.-]+$",
            "${1}[WHO]",
        ),
        (r"rollback \d+\.\d+\.\d+", "rollback [VERSION]"),
        (r#""(host|user|tool)": "[^"]*""#, "\"$1\": \"[NAME]\""),
        (r#""pid": \d+"#, "\"pid\": 0"),
        (r#""seconds": \d+\.\d+"#, "\"seconds\": 0.0"),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, with).into_owned();
    }
    text
}

fn killed(project: &Project, line: &str, gap: &str) -> Run {
    let run = project
        .rollback(line)
        .env("ROLLBACK_FAULT_POINT", gap)
        .run();
    assert_eq!(run.code, None, "{gap}: not killed\n{run}");
    run
}

#[test]
fn a_run_leaves_a_report_for_people_and_one_for_programs() {
    let project = Project::alembic("losses").at("heads");
    let run = project.run("downgrade-safe -3 -y --allow data-reversed --reason 'a bad | release'");
    let last = run.exits(0).stderr;
    assert!(
        last.ends_with("Report:   [PROJECT]/.rollback/runs/[RUN]/report.md\n"),
        "{last}"
    );
    reported(&project);
    assert_snapshot!("report_md", stable(&project, &text(&project, "report.md")));
    assert_snapshot!(
        "report_json",
        stable(&project, &text(&project, "report.json"))
    );
}

#[test]
fn a_failed_run_reports_where_and_why() {
    for (case, at, line, code, last) in [
        ("no_downgrade", "aaaa3333", "-3", 4, "failed"),
        ("failing", "heads", "-3", 5, "failed"),
    ] {
        let project = Project::alembic(case).at(at);
        let line = format!("downgrade-safe {line} -y --allow all --allow-failing");
        project.run(&line).exits(code);
        let report = reported(&project);
        assert_eq!(report["status"], "failed");
        assert_eq!(report["exit_code"], code);
        assert!(states(&report).contains(&last), "{report:#}");
        let stop = &report["stops"][0];
        assert!(
            stop["stderr"].as_str().unwrap().contains("Traceback"),
            "{stop}"
        );
        assert!(
            stop["next"].to_string().contains("rollback resume"),
            "{stop}"
        );
        assert!(text(&project, "report.md").contains("## Where it stopped"));
        assert_eq!(report["data"]["counted_after"], true);
    }
}

#[test]
fn a_check_that_fails_is_in_the_report_by_its_name() {
    let project = Project::alembic("linear").at("heads").file(
        "rollback.toml",
        "[[check]]\nname = 'nobody is left'\nwhen = 'after_step'\nsql = 'SELECT 1'\n",
    );
    project.run("downgrade-safe -1 -y").exits(5);
    let report = reported(&project);
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks
        .iter()
        .filter(|check| !check["fault"].is_null())
        .collect();
    assert_eq!(failed.len(), 1, "{checks:#?}");
    assert_eq!(failed[0]["name"], "nobody is left");
    assert_eq!(
        (&failed[0]["moment"], &failed[0]["step"]),
        (&"after_step".into(), &1.into())
    );
}

#[test]
fn a_run_that_is_taken_back_reports_that_nothing_is_done() {
    let project = Project::alembic("failing").at("heads");
    project
        .run("downgrade-safe -3 -y --allow all --allow-failing --atomic")
        .exits(4);
    let report = reported(&project);
    assert_eq!(report["atomic"], true);
    assert_eq!(states(&report), ["taken_back", "taken_back", "failed"]);
    assert_eq!(report["stands_at"][0]["revision"], "5555aaaa");
    // Counted again after everything was put back.
    let tables = report["data"]["rows"].as_array().unwrap();
    assert!(
        tables.iter().all(|table| table["change"] == 0),
        "{tables:#?}"
    );

    let project = Project::alembic("linear").at("heads");
    project.run("downgrade-safe -2 -y --atomic").exits(0);
    assert_eq!(states(&reported(&project)), ["done", "done"]);
}

#[test]
fn a_crash_leaves_no_report_and_is_told_all_the_same() {
    let project = Project::alembic("linear").at("heads");
    killed(&project, "downgrade-safe -2 -y", "after_engine:2");
    assert!(!folder(&project).join("report.json").exists());
    let shown = project.run("show latest --format json").exits(0).json();
    assert_eq!(shown["status"], "unfinished");
    assert_eq!(states(&shown), ["done", "under_way"]);
    let history = project.run("history").exits(0);
    assert_snapshot!(stable(&project, &history.stdout), @"
    [RUN]  unfinished   [WHEN]  [WHO]
      database  SQLite [VERSION], file [PROJECT]/app.db
      from      5e6f7a8b9c05 Add a note to orders
      to        3c4d5e6f7a03 Create the orders table (target -2)
      result    no end is recorded: step 2 of 2, 4d5e6f7a8b04, is under way or was broken off
      next      rollback resume
    ");

    // Gone on with, the whole of it is one run.
    project
        .run("downgrade-safe --resume -y --report out.md")
        .exits(0);
    let report = reported(&project);
    assert_eq!(report["status"], "done");
    assert_eq!(states(&report), ["done", "done"]);
    assert_eq!(report["events"][0]["event"], "resumed");
    let elsewhere = fs::read_to_string(project.root().join("out.md")).unwrap();
    assert_eq!(elsewhere, text(&project, "report.md"));
}

#[test]
fn a_run_that_is_given_up_reports_it() {
    let project = Project::alembic("failing").at("heads");
    project
        .run("downgrade-safe -3 -y --allow all --allow-failing")
        .exits(5);
    let run = project
        .run("downgrade-safe --abandon --report out.json")
        .exits(0);
    assert!(run.stderr.contains("Report:   "), "{run}");
    let report = reported(&project);
    assert_eq!(
        (&report["status"], &report["exit_code"]),
        (&"abandoned".into(), &5.into())
    );
    let elsewhere = fs::read_to_string(project.root().join("out.json")).unwrap();
    assert_eq!(elsewhere, text(&project, "report.json"));
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning() {
    let project = Project::alembic("linear").at("heads");
    let run = project
        .run("downgrade-safe -1 -y --report missing/out.md")
        .exits(0);
    assert!(
        run.stderr
            .contains("warning: the report cannot be written: [PROJECT]/missing/out.md"),
        "{run}"
    );
    reported(&project);
    assert_snapshot!(project.run("downgrade-safe -1 -y --report out.txt"), @"
    exit 2
    --- stderr
    error: invalid value 'out.txt' for '--report <FILE>': out.txt ends neither in .json, for programs, nor in .md, for people

    For more information, try '--help'.
    ");
}

#[test]
fn history_needs_neither_engine_nor_database_and_a_damaged_record_hides_no_other() {
    let project = Project::alembic("linear").at("heads");
    project.run("downgrade-safe -1 -y --reason one").exits(0);
    project.run("downgrade-safe -1 -y --reason two").exits(0);
    let damaged = project.root().join(".rollback/runs/20200101T000000Z-1");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("journal.jsonl"), "no entry\n").unwrap();
    fs::remove_file(project.database()).unwrap();
    fs::remove_dir_all(project.root().join("migrations")).unwrap();
    let history = project.rollback("history").env("PATH", "/nowhere").run();
    assert_snapshot!(stable(&project, &history.exits(0).stdout), @"
    [RUN]  done         [WHEN]  [WHO]
      database  SQLite [VERSION], file [PROJECT]/app.db
      from      4d5e6f7a8b04 Index orders by customer
      to        3c4d5e6f7a03 Create the orders table (target -1)
      why       two
      result    rolled back 1 revision

    [RUN]  done         [WHEN]  [WHO]
      database  SQLite [VERSION], file [PROJECT]/app.db
      from      5e6f7a8b9c05 Add a note to orders
      to        4d5e6f7a8b04 Index orders by customer (target -1)
      why       one
      result    rolled back 1 revision

    [RUN]  cannot be read
      why       [PROJECT]/.rollback/runs/[RUN]/journal.jsonl, line 1, is no entry that this version reads
    ");
    let json = project.run("history --format json").exits(0).json();
    let reasons: Vec<&Value> = json["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["reason"])
        .collect();
    assert_eq!(reasons, ["two", "one"]);
    assert_eq!(json["damaged"][0]["run"], "20200101T000000Z-1");

    let elsewhere = project.run("history --database other").exits(0);
    assert!(!elsewhere.stdout.contains("one"), "{elsewhere}");
    assert_snapshot!(project.run("show 20200101"), @"
    exit 1
    --- stderr
    error: the record of run 20200101T000000Z-1 cannot be read
      because [PROJECT]/.rollback/runs/[RUN]/journal.jsonl, line 1, is no entry that this version reads
      → see which there are: rollback history
    ");
    assert_snapshot!(project.run("show 2031"), @"
    exit 1
    --- stderr
    error: no run 2031 is recorded in [PROJECT]/.rollback
      → see which there are: rollback history
    ");
    let several = project.run("show 20").exits(1);
    assert!(
        several.stderr.contains("several runs begin with 20"),
        "{several}"
    );
    let newest = project.run("show latest").exits(0);
    assert_snapshot!(stable(&project, &newest.stdout), @"
    Migration rollback report

    Summary
      Run:         [RUN]
      Status:      done: rolled back 1 revision
      Exit code:   0
      Date:        [WHEN]
      Ended:       [WHEN]
      Duration:    [TIME]
      Reason:      two
      Incident:    not given
      Approved by: not given
      Executed by: [WHO]
      Database:    SQLite [VERSION], file [PROJECT]/app.db
      Server:      SQLite [VERSION]
      Engine:      alembic (Alembic [VERSION])
      Tool:        rollback [VERSION]

    Rollback
      From revision:   4d5e6f7a8b04 (Index orders by customer)
      To revision:     3c4d5e6f7a03 (Create the orders table)
      Target as typed: -1
      Stands at:       3c4d5e6f7a03 (Create the orders table)
      Method:          one process of the engine for each revision, each looked up before the next
      Steps done:      1 of 1

    State before
      Current revision: 4d5e6f7a8b04 (Index orders by customer)
      Tables:           3
      Rows:             1 in 3 tables
      Tables that the steps changed:
      - orders: 0 rows

    Foretold
      Losses:       nothing is known to be lost
      Consented to: nothing by name
      step  level  what                                                  code
      1     low    drops index ix_orders_customer_id of orders (8.1 kB)  index-dropped

    Backup
      This run made no backup.

    Steps
      step  revision      message                   result  started                  took
      1     4d5e6f7a8b04  Index orders by customer  done    [WHEN]  [TIME]

      Step 1: 4d5e6f7a8b04
        alembic downgrade 4d5e6f7a8b04@3c4d5e6f7a03
      What it did to the schema:
        - index orders.ix_orders_customer_id ( customer_id )

    Checks
      when          check                                state  result
      after step 1  version table, schema, rows, faults  ok     in order
      at the end    version table                        ok     in order

    Data
      3 tables have as many rows as before.

    Checklist

      Before
      [ ] Back the database up: this run made none
      [x] Check the current revision: the version table said 4d5e6f7a8b04
      [ ] Review the migration files: what the program read in them is told here; that a person read them is not known
      [x] Assess what is lost: 1 finding: loses nothing that is known
      [ ] Say why, and for which incident: no incident is named; the reason is: two
      [ ] Notify the team: nobody can tell from here
      [ ] Get approval: nobody was named
      [ ] Keep to the policy: no policy was asked
      [ ] Make the project's checks before the first step: none was made

      While it runs
      [x] Run the rollback, one revision at a time: 1 of 1 step done
      [x] Watch for errors: each step was watched to its end, and none failed
      [x] Look at the database after each step: version table and schema were read after each step

      After
      [x] Verify where the database stands: the version table says 3c4d5e6f7a03
      [x] Check the integrity of the data: passed: faults, rows; the rows of 3 tables were counted at the end
      [ ] Test the application: the project has no check that is made after a run
      [ ] Watch the application's logs: nobody can tell from here

    Next steps
      - see where the database stands: rollback current
    ");
}

#[test]
fn a_project_without_runs_has_no_history() {
    let project = Project::empty();
    assert_snapshot!(project.run("history"), @"
    exit 0
    --- stderr
    No run is recorded in [PROJECT]/.rollback.
    ");
    assert_snapshot!(project.run("show latest"), @"
    exit 1
    --- stderr
    error: no run is recorded in [PROJECT]/.rollback
      → is it the right project and folder? See -C and --state-dir
    ");
    assert_eq!(
        project.run("history --format json").exits(0).json(),
        serde_json::json!({ "version": 1, "runs": [], "damaged": [] })
    );
}

#[test]
fn a_password_is_in_no_file_of_a_record() {
    let project = Project::alembic("failing").at("heads").edit(
        "migrations/versions/3333aaaa_create_the_table_that_cannot_be_undone.py",
        "op.drop_table(\"never_created\")",
        "raise RuntimeError('postgresql://someone:canary7@127.0.0.1/x')",
    );
    project
        .run("downgrade-safe -3 -y --allow all --allow-failing --reason 'postgresql://someone:canary7@h/x' -x url=postgresql://someone:canary7@h/x")
        .exits(5);
    for name in ["journal.jsonl", "report.json", "report.md"] {
        let text = text(&project, name);
        assert!(text.contains("someone:***@"), "{name}\n{text}");
        assert!(!text.contains("canary7"), "{name}\n{text}");
    }
}

#[test]
fn the_table_of_the_database_tells_the_runs_where_the_records_are_lost() {
    for atomic in ["", "--atomic"] {
        let project = Project::alembic("failing")
            .at("heads")
            .file("rollback.toml", "[audit]\ntable = true\n");
        project
            .run(&format!("downgrade-safe -1 -y {atomic}"))
            .exits(0);
        let code = if atomic.is_empty() { 5 } else { 4 };
        project
            .run(&format!(
                "downgrade-safe -2 -y --allow all --allow-failing --reason why {atomic}"
            ))
            .exits(code);
        assert_eq!(
            project
                .sql("SELECT result, exit_code, target, reason FROM rollback_audit ORDER BY began"),
            ["done 0 -1 None".to_owned(), format!("failed {code} -2 why")]
        );
        let kept = project.run("history --format json").exits(0).json();
        fs::remove_dir_all(project.root().join(".rollback")).unwrap();
        let told = project
            .run("history --from-database --format json")
            .exits(0)
            .json();
        assert_eq!(told, kept);
        // The table is none of the schema.
        let report = project
            .run("show latest --from-database --format json")
            .exits(0)
            .json();
        assert!(
            !report["data"].to_string().contains("rollback_audit"),
            "{report:#}"
        );
    }
}

#[test]
fn a_table_that_cannot_be_written_refuses_the_run() {
    let project = Project::alembic("linear")
        .at("heads")
        .file("rollback.toml", "[audit]\ntable = true\n");
    project.sql("CREATE TABLE rollback_audit (other TEXT)");
    assert_snapshot!(project.run("downgrade-safe -1 -y"), @"
    exit 3
    --- stdout
    Database:  SQLite [VERSION], file [PROJECT]/app.db
    Current:   5e6f7a8b9c05
    Target:    -1

    Rollback plan: 1 step

      1. 5e6f7a8b9c05  Add a note to orders
         created 2024-01-14 04:18:31, leaves 4d5e6f7a8b04
         low        drops column orders.note, which holds nothing but its default
                    [column-dropped] 5e6f7a8b9c05_add_a_note_to_orders.py:23

    Asked:     1 question of the database in [TIME], of [TIME] allowed
    Verdict:   low: loses nothing
    Next:      rollback downgrade-safe -1
    --- stderr
    refused: the table rollback_audit cannot be written
      because the SQLite file [PROJECT]/app.db answered: table rollback_audit has no column named run
      → give the user of the connection the right to create and write it
      → or do without it: leave [audit] table away
    ");
    assert!(!project.root().join(".rollback").exists());
    assert_eq!(project.rows(), ["5e6f7a8b9c05"]);
}
