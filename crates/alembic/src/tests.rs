//! The plain road, with a shell script in the engine's place.

use super::*;
use rollback_core::engine::Lines;

/// Prints what each verb is to print; anything else than a shell could not be started here.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("engine");
        std::fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn engine(&self, settings: AlembicOptions) -> AlembicEngine {
        let engine_command = Some(vec!["./engine".to_owned(), "db".to_owned()]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        AlembicEngine::discover(Discovery {
            settings: AlembicOptions {
                engine_command,
                ..settings
            },
            dir: self.folder.path().to_owned(),
            env: Environment::from([("PATH".into(), path)]),
            interrupt: Interrupt::never(),
        })
        .unwrap()
    }
}

const LISTING: &str = r#"
case "$2" in
current)
    echo "Current revision(s) for postgresql://o:***@h/app:"
    printf 'Rev: b (head)\nParent: a\nPath: /p/b.py\n\n    two\n\n' ;;
history)
    printf 'Rev: c\nParent: <base>\nAlso depends on: left\nPath: /p/c.py\n\n    three\n\n'
    printf 'Rev: b (head)\nParent: a\nPath: /p/b.py\n\n    two\n\n'
    printf 'Rev: a\nParent: <base>\nBranch names: left\nPath: /p/a.py\n\n    one\n\n' ;;
show)
    printf 'Rev: a\nParent: <base>\nBranch names: left\nPath: /p/a.py\n\n    one\n\n' ;;
downgrade) shift 2; echo "$# $*"; echo "$PYTHONUNBUFFERED" >&2; exit 3 ;;
esac
"#;

#[test]
fn the_printed_listings_make_an_observation() {
    let project = Project::new(LISTING);
    let seen = project.engine(AlembicOptions::default()).observe().unwrap();
    let ids: Vec<_> = seen
        .graph
        .revisions()
        .iter()
        .map(|one| one.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(seen.graph.revisions()[2].depends_on, ["a"]);
    assert_eq!(seen.current, Current::Rows(vec!["b".into()]));
    assert_eq!(
        seen.reported_url.as_deref(),
        Some("postgresql://o:***@h/app")
    );
    assert!(seen.connection.is_none() && seen.version_table.is_none());
}

#[test]
fn a_step_is_run_as_it_is_shown() {
    let project = Project::new(LISTING);
    let engine = project.engine(AlembicOptions {
        x: vec!["tenant=a b".to_owned()],
        ..AlembicOptions::default()
    });
    let shown = [
        "./engine",
        "db",
        "-x",
        "tenant=a b",
        "downgrade",
        "--",
        "-1",
    ];
    assert_eq!(engine.command_line("-1"), shown);
    let engine = project.engine(AlembicOptions::default());
    let mut lines = Vec::new();
    let step = engine
        .downgrade(
            "-1",
            None,
            &mut Lines(&mut |line| lines.push(line.to_owned())),
        )
        .unwrap();
    assert_eq!(
        (step.ended, step.stdout.as_str()),
        (Ended::Exited(3), "2 -- -1\n")
    );
    assert_eq!(step.stderr, "1\n");
    lines.sort();
    assert_eq!(lines, ["1", "2 -- -1"]);
    assert_eq!(
        engine.command_line("b@a"),
        ["./engine", "db", "downgrade", "b@a"]
    );
}

#[test]
fn a_revision_without_a_file_is_a_state_and_not_a_failure() {
    let script = LISTING.replace(
        "current)",
        "current) echo \"FAILED: Can't locate revision identified by 'z'\"; exit 255 ;;\nnever)",
    );
    let seen = Project::new(&script)
        .engine(AlembicOptions::default())
        .observe()
        .unwrap();
    assert_eq!(seen.current, Current::UnknownRevision("z".to_owned()));
    assert_eq!(seen.graph.revisions().len(), 3);
}

#[test]
fn two_files_with_one_id_are_an_error() {
    let twice = LISTING.replace(
        "history)",
        "history) printf 'Rev: c\\nParent: <base>\\nPath: /p/d.py\\n\\n    x\\n\\n'",
    );
    let error = Project::new(&twice)
        .engine(AlembicOptions::default())
        .observe()
        .unwrap_err();
    assert!(error.summary.contains("/p/c.py and /p/d.py"), "{error}");
    let warned = LISTING.replace(
        "history)",
        "history) echo 'Revision c is present more than once' >&2; exit 1",
    );
    let error = Project::new(&warned)
        .engine(AlembicOptions::default())
        .observe()
        .unwrap_err();
    assert!(error.summary.contains("have the revision id c"), "{error}");
}

#[test]
fn several_databases_in_one_run_are_refused() {
    let script = LISTING.replace(
        "current)",
        "current) echo 'Current revision(s) for sqlite:///b.db:'",
    );
    let error = Project::new(&script)
        .engine(AlembicOptions::default())
        .observe()
        .unwrap_err();
    assert!(
        error.summary.contains("sqlite:///b.db; postgresql://"),
        "{error}"
    );
}

#[test]
fn passwords_that_the_engine_quotes_are_hidden_everywhere() {
    let url = "postgres//o:secret@h/d";
    let script = format!("echo 'out {url}'; echo 'error: {url}' >&2; exit 1");
    let engine = Project::new(&script);
    let engine = engine.engine(AlembicOptions::default());
    let error = engine.observe().unwrap_err();
    let mut shown = format!("{error:?}");
    let step = engine
        .downgrade("a", None, &mut Lines(&mut |line| shown.push_str(line)))
        .unwrap();
    shown.push_str(&format!("{step:?}"));
    assert!(
        !shown.contains("secret") && shown.contains("o:***@h/d"),
        "{shown}"
    );
}

#[test]
fn an_engine_that_says_nothing_is_reported_with_its_status() {
    let error = Project::new("exit 1")
        .engine(AlembicOptions::default())
        .observe()
        .unwrap_err();
    assert_eq!(
        error.summary,
        "`./engine db current --verbose` failed: exit status 1, and not a word about why"
    );
    assert!(error.hints[0].contains("`./engine db current --verbose`"));
}
