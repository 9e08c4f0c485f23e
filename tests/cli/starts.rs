//! How often a command starts the engine, counted by each Python interpreter that begins.

use std::fs;

use crate::support::{Project, Run, source};

/// A project whose interpreters note that they begin.
struct Counted {
    project: Project,
}

impl Counted {
    fn of(project: Project) -> Self {
        let notes = project.root().join("starts");
        let project = project
            .env("PYTHONPATH", source().join("tests/real"))
            .env("COUNT_STARTS_IN", &notes);
        Self { project }
    }

    fn run(&self, line: &str) -> (usize, Run) {
        self.with(line, &[])
    }

    /// Runs with variables, and says how many interpreters began meanwhile.
    fn with(&self, line: &str, variables: &[(&str, &str)]) -> (usize, Run) {
        let notes = self.project.root().join("starts");
        fs::write(&notes, "").unwrap();
        let call = variables
            .iter()
            .fold(self.project.rollback(line), |call, (name, value)| {
                call.env(name, value)
            });
        let run = call.run();
        (fs::read_to_string(&notes).unwrap().lines().count(), run)
    }
}

fn url(project: &Project) -> String {
    format!("sqlite:///{}", project.database().display())
}

/// Red where an answer that the files and the database have between them starts the engine.
#[test]
fn with_a_url_nothing_that_only_looks_starts_the_engine() {
    let counted = Counted::of(Project::alembic("diamond").at("heads"));
    let url = url(&counted.project);
    for line in [
        "current",
        "plan -1",
        "plan base",
        "list",
        "check 7c1e5f0a93d2",
        "downgrade-safe -2 --dry-run",
    ] {
        let (starts, run) = counted.with(line, &[("ROLLBACK_DATABASE_URL", &url)]);
        assert_eq!((starts, run.code), (0, Some(0)), "{line}\n{run}");
    }
}

/// Red where the engine is asked twice for what it said, or a step takes more than one start.
#[test]
fn without_a_url_the_engine_is_asked_once_and_started_once_for_each_step() {
    let counted = Counted::of(Project::alembic("diamond").at("heads"));
    for line in ["current", "plan base", "downgrade-safe -2 --dry-run"] {
        let (starts, run) = counted.run(line);
        assert_eq!((starts, run.code), (1, Some(0)), "{line}\n{run}");
    }
    let plain = [("ROLLBACK_PROCESS_PER_STEP", "1")];
    let (starts, run) = counted.with("downgrade-safe -2 -y", &plain);
    assert_eq!((starts, run.code), (1 + 2, Some(0)), "{run}");
}

/// Red where a URL makes a run ask more, or going on asks more than the run did.
#[test]
fn a_url_and_going_on_change_nothing_in_that() {
    let counted = Counted::of(Project::alembic("diamond").at("heads"));
    let url = url(&counted.project);
    let plain = [
        ("ROLLBACK_PROCESS_PER_STEP", "1"),
        ("ROLLBACK_DATABASE_URL", url.as_str()),
    ];
    let killed = [plain[0], plain[1], ("ROLLBACK_FAULT_POINT", "after_done:1")];
    let (starts, run) = counted.with("downgrade-safe -3 -y", &killed);
    assert_eq!((starts, run.code), (1 + 1, None), "{run}");
    let (starts, run) = counted.with("downgrade-safe --resume -y", &plain);
    assert_eq!((starts, run.code), (1 + 2, Some(0)), "{run}");
}

/// Red where `guard` asks the engine more often than before its command and after it failed.
#[test]
fn guard_asks_before_its_command_and_after_it_failed() {
    let counted = Counted::of(Project::alembic("linear").at("1a2b3c4d5e01"));
    let plain = [("ROLLBACK_PROCESS_PER_STEP", "1")];
    let (starts, run) = counted.with("guard -y -- true", &plain);
    assert_eq!((starts, run.code), (1, Some(0)), "{run}");
    let (starts, run) = counted.with("guard -y -- sh -c 'alembic upgrade +1; exit 1'", &plain);
    // Its own command is one of them.
    assert_eq!((starts, run.code), (1 + 1 + 1 + 1, Some(8)), "{run}");
}
