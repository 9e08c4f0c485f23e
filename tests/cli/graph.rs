//! The history as the version files tell it, held to what the engine loads.

use insta::assert_snapshot;

use crate::support::{Project, source};

/// What a plan says of the history, and where the heads of the code are. The next command repeats the options.
fn answers(project: &Project, options: &str) -> Vec<serde_json::Value> {
    let answer = |line| {
        let mut answer = project.run(&format!("{line} {options}")).exits(0).json();
        if let Some(next) = answer.pointer_mut("/verdict/next") {
            let without = next.as_str().unwrap().replace(&format!("{options} "), "");
            *next = without.into();
        }
        answer
    };
    ["current --format json", "plan base --format json"]
        .map(answer)
        .to_vec()
}

/// Turns red where a project's files are read as another history than Alembic loads: then `plan`
/// would show steps that are not taken.
#[test]
fn the_files_and_the_engine_tell_the_same_history_of_every_project() {
    // These no engine upgrades, or they want an argument.
    let others = [
        "cycle",
        "dependency_cycle",
        "duplicate_id",
        "missing_file",
        "multidb",
        "syntax_error",
        "x_argument",
    ];
    let mut projects: Vec<String> = std::fs::read_dir(source().join("fixtures/alembic"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|case| !others.contains(&case.as_str()))
        .collect();
    projects.sort();
    assert!(projects.len() > 15, "{projects:?}");
    for case in projects {
        let project = Project::alembic(&case);
        let project = if case == "pyproject" {
            project.env("DATABASE_URL", "sqlite:///app.db")
        } else {
            project
        };
        let project = project.at("heads");
        let engine = answers(&project, "--graph engine");
        assert_eq!(answers(&project, "--graph files"), engine, "{case}");
        let url = "--database-url sqlite:///app.db";
        assert_eq!(answers(&project, url), engine, "{case}, by the URL");
    }
}

#[test]
fn with_a_url_no_engine_is_started() {
    let project = Project::alembic("linear").at("heads");
    // An `env.py` that cannot be run would end any start of the engine.
    let project = project.edit("migrations/env.py", "import os", "raise SystemExit(7)");
    project.run("plan base").exits(1);
    for line in ["current", "plan base", "downgrade-safe base --dry-run"] {
        project
            .run(&format!("{line} --database-url sqlite:///app.db"))
            .exits(0);
    }
    project
        .run("plan base --database-url sqlite:///app.db --graph engine")
        .exits(1);
    project
        .run("downgrade-safe base -y --database-url sqlite:///app.db")
        .exits(1);
}

#[test]
fn the_engine_is_asked_where_the_version_table_may_be_another() {
    let project = Project::alembic("linear").at("heads");
    let asks = |project: &Project, line: &str| {
        let run = project.run(&format!("{line} --database-url sqlite:///app.db"));
        assert!(run.stderr.contains("marker"), "{line}\n{run}");
    };
    let project = project.edit(
        "migrations/env.py",
        "import os",
        "import os, sys\nprint('marker', file=sys.stderr)\nsys.exit(7)  # version_table",
    );
    asks(&project, "plan -1 -v");
    let project = project
        .edit("migrations/env.py", "  # version_table", "")
        .file("rollback.toml", "version_table = 'elsewhere'\n");
    asks(&project, "plan -1 -v");
    let project = project.file("rollback.toml", "");
    project.sql("UPDATE alembic_version SET version_num = 'unknown'");
    asks(&project, "plan -1 -v");
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_history_to_the_engine() {
    let project = Project::alembic("linear").at("heads").file(
        "migrations/versions/computed.py",
        "import os\nrevision = os.environ.get('NONE', 'ffff')\ndown_revision = '5e6f7a8b9c05'\n\
         def downgrade(): pass\n",
    );
    let run = project.run("current -v").exits(0);
    assert!(run.stdout.contains("ffff"), "{run}");
    assert!(
        run.stderr
            .contains("computed.py cannot be read: its revision is computed"),
        "{run}"
    );
    assert_snapshot!(project.run("plan base --graph files"), @r"
    exit 1
    --- stderr
    error: the version files do not tell the history: [PROJECT]/migrations/versions/computed.py cannot be read: its revision is computed
      → leave --graph files away, and the engine is asked where they do not
    ");
}

#[test]
fn what_was_taken_is_told_to_who_wants_to_know() {
    let project = Project::alembic("linear").at("heads");
    let told = |options: &str| {
        let run = project.run(&format!("current -v {options}")).exits(0);
        let line = run.stderr.lines().find(|line| line.starts_with("History:"));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!(
        told(""),
        "History:   5 revisions, read from the version files"
    );
    assert_eq!(
        told("--graph engine"),
        "History:   the engine's: it was chosen"
    );
    assert_eq!(
        told("--engine-command 'env alembic'"),
        "History:   the engine's: the engine does not run under a Python of this machine, as far as can be seen"
    );
    assert_eq!(
        told("--engine-command 'env alembic' --graph files"),
        "History:   5 revisions, read from the version files"
    );
    assert!(!project.run("current").stderr.contains("History"));
}
