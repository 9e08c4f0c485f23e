//! The workflows of docs/deploy.md do what the page says of them.

use std::fs;

use crate::support::workflow::Played;
use crate::support::{Project, workflows};

const DOCUMENT: &str = "docs/deploy.md";

const GUARD: &str = "Migrate, release, and look whether it is healthy";
const BACK: &str = "Put the release before back";
const SHOW: &str = "Show what was taken back";

/// A project whose release is noted, and is as healthy as `health` says, which is the status of `curl`.
fn project(health: i32) -> Project {
    Project::alembic("linear")
        .at("2b3c4d5e6f02")
        .stub("deploy", "echo \"$1\" >> released")
        .stub("stubs/pip", "exit 0")
        .stub("stubs/curl", &format!("echo asked \"$@\"; exit {health}"))
}

/// Plays the workflow for Alembic.
fn played(project: &Project) -> Played {
    let url = format!("sqlite:///{}", project.database().display());
    let workflow = workflows(DOCUMENT).remove(0);
    project.play(
        &workflow,
        &[
            ("secrets.DATABASE_URL", &url),
            ("vars.HEALTH_URL", "https://app.example/health"),
            ("github.event.before", "before"),
        ],
    )
}

fn released(project: &Project) -> String {
    fs::read_to_string(project.root().join("released")).unwrap_or_default()
}

/// Turns red if the page shows a job that does not take a bad release back.
#[test]
fn the_workflow_takes_an_unhealthy_release_back() {
    let project = project(22);
    let played = played(&project);
    assert!(played.failed, "{}", played.output);
    assert_eq!(played.ran[1..], [GUARD, BACK, SHOW], "{}", played.output);
    assert_eq!(project.rows(), ["2b3c4d5e6f02"]);
    assert_eq!(released(&project), "0123abcd\nbefore\n");
    let shown = fs::read_to_string(project.root().join("github-summary")).unwrap();
    assert!(shown.contains("with exit status 22"), "{shown}");
}

#[test]
fn the_workflow_leaves_a_healthy_release_alone() {
    let project = project(0);
    let played = played(&project);
    assert!(!played.failed, "{}", played.output);
    assert!(
        played
            .output
            .contains("asked -fsS --retry 5 https://app.example/health")
    );
    assert_eq!(played.ran.len(), 2, "{:?}", played.ran);
    assert_eq!(project.rows(), ["5e6f7a8b9c05"]);
    assert_eq!(released(&project), "0123abcd\n");
}

/// Turns red if a job that changed nothing deploys the release before all the same.
#[test]
fn the_workflow_puts_nothing_back_that_did_not_go_out() {
    let project = project(0).file("rollback.toml", "[policy]\nallow_yes = false\n");
    let played = played(&project);
    assert!(played.failed, "{}", played.output);
    assert_eq!(played.ran[1..], [GUARD, SHOW], "{}", played.output);
    assert_eq!(released(&project), "");
}

/// Both are the same job but for how it migrates, so that one that is played speaks for the other.
#[test]
fn the_workflows_differ_in_how_they_migrate_alone() {
    let [alembic, supabase] = &workflows(DOCUMENT)[..] else {
        panic!("two workflows");
    };
    let step = |workflow: &yaml_rust2::Yaml, name: &str| {
        let steps = workflow["jobs"]["deploy"]["steps"].as_vec().unwrap();
        let step = steps
            .iter()
            .find(|step| step["name"].as_str() == Some(name));
        step.unwrap_or_else(|| panic!("no step {name}")).clone()
    };
    for name in [BACK, SHOW] {
        assert_eq!(step(alembic, name), step(supabase, name));
    }
    let script = |workflow| step(workflow, GUARD)["run"].as_str().unwrap().to_owned();
    assert_eq!(
        script(alembic).replace("alembic upgrade head", "MIGRATE"),
        script(supabase).replace("supabase db push --db-url \"$SUPABASE_DB_URL\"", "MIGRATE")
    );
}
