//! `scripts/accuracy` on a project of SQLite: what it counts, what it calls a miss, and what it leaves as it was.

use std::process::Output;

use serde_json::Value;

use crate::support::{Project, bin, source};

/// Drops a table in the middle of the history and fails after that; every table has a row.
fn failing() -> Project {
    let project = Project::alembic("failing").at("head");
    for table in project
        .sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
    {
        project.sql(&format!("INSERT INTO {table} (name) VALUES ('a')"));
    }
    project
}

fn accuracy(project: &Project, program: &str) -> Output {
    let script = source().join("scripts/accuracy");
    let line = format!(
        "python {} --results results . sqlite:///app.db",
        script.display()
    );
    project
        .shell(&line)
        .env("ROLLBACK_PROGRAM", program)
        .output()
        .unwrap()
}

fn comparison(project: &Project) -> Vec<Value> {
    let path = project.root().join("results/comparison.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_forecast_that_names_the_failure_and_the_losses_has_no_miss() {
    let project = failing();
    let before = project.bytes();
    let output = accuracy(&project, bin().to_str().unwrap());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said.contains("1 of 5 (20 %) steps fail"), "{said}");
    assert!(said.contains("\n0 misses\n"), "{said}");
    assert!(project.bytes() == before, "the original has changed");
    let steps = comparison(&project);
    let results: Vec<_> = steps
        .iter()
        .map(|step| step["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["ok", "ok", "failed", "ok", "ok"]);
    assert_eq!(steps[2]["said"], "will_fail");
    // The steps below the failing one were run as well, and took their rows.
    assert_eq!(steps[4]["losses"][0]["kind"], "rows", "{}", steps[4]);
}

#[test]
fn failures_and_losses_that_no_finding_names_are_misses() {
    let project = failing().file(
        "silent",
        format!(
            "#!/bin/sh\nexec {} \"$@\" | python -c 'import json, sys\nplan = json.load(sys.stdin)\n\
             for step in plan[\"steps\"]:\n    step[\"findings\"] = []\nprint(json.dumps(plan))'\n",
            bin().display()
        ),
    );
    project.make_executable("silent");
    let output = accuracy(&project, "./silent");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said.contains("not named: OperationalError: no such table: never_created"),
        "{said}"
    );
    assert!(said.contains("not announced: 1 row of "), "{said}");
}
