//! `rollback explain`: logs of real engines, in every wrapping, and what nobody knows.

use std::fmt::Write as _;
use std::io::Write as _;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Project, Run, source};

/// Runs a command line of the engine, which may fail, and keeps what it prints as `log.txt`.
fn log_of(project: Project, line: &str) -> Project {
    let call = format!(
        "import subprocess, sys; print(subprocess.run({line:?}.split(), \
         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout)"
    );
    let said = project.engine(&format!("python -c {}", shlex::try_quote(&call).unwrap()));
    project.file("log.txt", said)
}

fn explained(project: &Project) -> Value {
    let run = project.run("explain log.txt --format json");
    let answer = run.json();
    let known = answer["code"] != "other";
    assert_eq!(run.code, Some(if known { 0 } else { 7 }), "{run}");
    answer
}

/// A failure of the command line, which no server has a part in: the code, what it stands in, and what is typed.
#[test]
fn each_failure_without_a_server_is_understood() {
    let linear = || Project::alembic("linear");
    let mut wrong = String::new();
    for (code, says, project, line) in [
        (
            "ambiguous-walk",
            "rollback plan -1",
            Project::alembic("diamond").at("heads"),
            "alembic downgrade -2",
        ),
        (
            "several-heads",
            "rollback list",
            Project::alembic("two_heads"),
            "alembic upgrade head",
        ),
        (
            "revision-cycle",
            "bbbb1111",
            Project::alembic("cycle"),
            "alembic heads",
        ),
        (
            "revision-missing",
            "revision nope",
            linear().at("heads"),
            "alembic downgrade nope",
        ),
        (
            "revision-missing",
            "aaaa2222",
            Project::alembic("missing_file"),
            "alembic current",
        ),
        (
            "target-not-below",
            "rollback current",
            linear().at("heads"),
            "alembic downgrade -99",
        ),
        (
            "overlapping-rows",
            "SELECT version_num FROM alembic_version;",
            overlapping(),
            "alembic upgrade head",
        ),
        (
            "python-syntax",
            "versions/",
            Project::alembic("syntax_error"),
            "alembic current",
        ),
        (
            "import-error",
            "no module no_such_module",
            linear().edit(
                "migrations/env.py",
                "import",
                "import no_such_module\nimport",
            ),
            "alembic current",
        ),
        (
            "environment-variable",
            "APP_TENANT",
            linear().edit(
                "migrations/env.py",
                "import",
                "import os\nos.environ['APP_TENANT']\nimport",
            ),
            "alembic current",
        ),
        (
            "x-argument",
            "-x tenant=VALUE",
            Project::alembic("x_argument"),
            "alembic current",
        ),
        (
            "database-url",
            "sqlalchemy.url",
            linear().env("DATABASE_URL", "nonsense"),
            "alembic current",
        ),
        (
            "configuration-missing",
            "rollback -C <dir> current",
            Project::empty(),
            "alembic current",
        ),
        (
            "configuration-broken",
            "cannot be parsed",
            Project::empty().file("alembic.ini", "nonsense"),
            "alembic current",
        ),
        (
            "no-flask-application",
            "FLASK_APP",
            Project::copy_of("flask/app", "project", "flask").env("FLASK_APP", "gone.py"),
            "flask db current",
        ),
        (
            "unknown-option",
            "--nonsense",
            linear(),
            "alembic --nonsense current",
        ),
        (
            "no-downgrade",
            "no function downgrade",
            Project::alembic("no_downgrade").at("heads"),
            "alembic downgrade base",
        ),
        (
            "migration-refuses",
            "the names cannot be restored",
            Project::alembic("no_downgrade").at("aaaa2222"),
            "alembic downgrade -1",
        ),
        (
            "not-offline",
            "instead of --sql",
            with(OFFLINE),
            "alembic downgrade zz:base --sql",
        ),
        (
            "not-up-to-date",
            "alembic stamp head",
            linear().at("1a2b3c4d5e01"),
            "alembic revision --autogenerate -m x",
        ),
        (
            "several-databases-template",
            "written for several databases",
            with("pass").edit(
                "migrations/versions/zz.py",
                "def downgrade()",
                "def downgrade(engine_name)",
            ),
            "alembic downgrade -1",
        ),
        (
            "transaction-already-open",
            "connection.commit()",
            linear().at("heads").edit(
                "migrations/env.py",
                "context.configure(connection=connection)",
                "context.configure(connection=connection)\n        connection.exec_driver_sql('SELECT 1').scalar()",
            )
            .edit(
                "migrations/env.py",
                "context.begin_transaction()",
                "connection.begin()",
            ),
            "alembic downgrade -1",
        ),
        (
            "configuration-broken",
            "write %% for each %",
            linear().edit(
                "migrations/env.py",
                "url = os",
                "config.set_main_option('sqlalchemy.url', 'postgresql://app:p%40ss@db/app')\nurl = os",
            ),
            "alembic current",
        ),
        ("other", "exploded", with(UNKNOWN), "alembic downgrade -1"),
    ] {
        let project = log_of(project, line);
        let answer = explained(&project);
        if answer["code"] != code || !answer.to_string().contains(says) {
            let log = std::fs::read_to_string(project.root().join("log.txt")).unwrap();
            write!(wrong, "{code}, {line}: {answer:#}\n{log}\n\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// `linear` with one more revision, whose downgrade has this body.
fn with(body: &str) -> Project {
    revision(Project::alembic("linear"), "zz", "5e6f7a8b9c05", body).at("heads")
}

fn revision(project: Project, id: &str, below: &str, body: &str) -> Project {
    let text = format!(
        "import sqlalchemy as sa\nfrom alembic import op\n\nrevision = {id:?}\n\
         down_revision = {below:?}\n\n\ndef upgrade():\n    pass\n\n\n\
         def downgrade():\n    {body}\n"
    );
    project.file(&format!("migrations/versions/{id}.py"), text)
}

const OFFLINE: &str = "with op.batch_alter_table('orders') as batch: batch.drop_column('note')";
const UNKNOWN: &str = "{}.exploded";

/// A version table with two rows, of which one descends from the other.
fn overlapping() -> Project {
    let project = Project::alembic("linear").at("4d5e6f7a8b04");
    project.sql("INSERT INTO alembic_version VALUES ('3c4d5e6f7a03')");
    project
}

/// A migration that fails by the schema, as Alembic tells it.
fn missing_table() -> Project {
    log_of(
        Project::alembic("failing").at("3333aaaa"),
        "alembic downgrade -1",
    )
}

#[test]
fn a_log_is_explained_without_a_project() {
    let project = missing_table();
    let log = std::fs::read(project.root().join("log.txt")).unwrap();
    let empty = Project::empty()
        .file("log.txt", log)
        .file("rollback.toml", "this is no configuration");
    assert_snapshot!(empty.run("explain log.txt").exits(0), @"
    exit 0
    --- stdout
    Cause:    table never_created does not exist
    Meaning:  The step counts on something that an earlier step of this rollback, a later revision or a person has removed. With Python's usual settings SQLite keeps what the step did before this statement: it may be half done.
      → find out what removed it: grep -rn never_created in the folder of the migrations
      → make it by hand, or correct the migration that names it
      → see where the database stands: rollback current
    Code:     table-missing
    ");
    assert_snapshot!(empty.run("explain log.txt --format json").exits(0), @r#"
    exit 0
    --- stdout
    {"cause":"table never_created does not exist","code":"table-missing","meaning":"The step counts on something that an earlier step of this rollback, a later revision or a person has removed. With Python's usual settings SQLite keeps what the step did before this statement: it may be half done.","version":1,"what_to_do":["find out what removed it: grep -rn never_created in the folder of the migrations","make it by hand, or correct the migration that names it","see where the database stands: rollback current"]}
    "#);
}

#[test]
fn a_failure_is_found_in_every_wrapping() {
    let project = missing_table();
    let log = std::fs::read_to_string(project.root().join("log.txt")).unwrap();
    let answer = explained(&project);
    for (before, after) in [
        ("web-1  | ", ""),
        ("2026-11-21T09:09:15.1234567Z ", ""),
        ("\u{1b}[36mapi-1  |\u{1b}[0m ", "\u{1b}[0m"),
        ("Nov 21 09:09:15 host alembic[12]: ", "\r"),
        ("2026-11-21T09:09:15.123456789Z stderr F ", ""),
        ("  | ", ""),
        ("deploy\tRun migrations\t2026-11-21T09:09:15.1234567Z ", ""),
        ("2026-11-21T09:09:15.123456+00:00 app[release.1]: ", ""),
        ("[pod/api-7d9/api] ", "\r"),
        ("2024/05/01 10:00:00 ", ""),
    ] {
        let wrapped: String = log
            .lines()
            .map(|line| format!("{before}{line}{after}\n"))
            .collect();
        let noise = "\u{0}\u{fffd} deadlock detected\n".repeat(1000);
        let project = Project::empty().file(
            "log.txt",
            format!("{noise}{wrapped}##[error]Process completed with exit code 1.\n"),
        );
        assert_eq!(explained(&project), answer, "{before:?}");
    }
}

/// A pipe of any size and any bytes is read to its end.
#[test]
fn stdin_is_read_whatever_comes() {
    let project = missing_table();
    let log = std::fs::read(project.root().join("log.txt")).unwrap();
    let through = |bytes: &[u8]| -> Run {
        let mut child = project
            .rollback("explain - --format json")
            .command()
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        project.told(&child.wait_with_output().unwrap())
    };
    let mut large = vec![0xff; 6 << 20];
    large.push(b'\n');
    large.extend(&log);
    assert_eq!(through(&large).exits(0).json(), through(&log).json());
    assert_eq!(through(b"").exits(7).json()["code"], "other");
    through(&vec![b'\n'; 1 << 20]).exits(7);
    through(
        "Traceback (most recent call last):\n"
            .repeat(20_000)
            .as_bytes(),
    )
    .exits(7);
}

#[test]
fn what_is_not_known_is_said_to_be_so() {
    let project = Project::empty().file("log.txt", "INFO everything is fine\n");
    assert_snapshot!(project.run("explain log.txt").exits(7), @"
    exit 7
    --- stdout
    Cause:    nothing in the text is an error that is known
    Meaning:  What it left behind cannot be told from the text.
      → read the last lines of the text, and the migration that they name
      → see where the database stands: rollback current
    Code:     other
    ");
    assert_snapshot!(project.run("explain gone.txt").exits(1), @"
    exit 1
    --- stderr
    error: cannot read gone.txt: No such file or directory (os error 2)
      → name a log that can be read, or hand it over: ... | rollback explain -
    ");
}

/// Turns red if a text of the catalogue reaches the terminal with what could move its cursor.
#[test]
fn a_log_cannot_write_to_the_terminal() {
    let project = Project::empty().file(
        "log.txt",
        "sqlite3.OperationalError: no such table: \u{1b}]0;owned\u{7}x\u{1b}[2J\u{202e}\n",
    );
    let run = project.run("explain log.txt").exits(0);
    assert!(!run.stdout.contains(['\u{1b}', '\u{7}']), "{run}");
}

#[test]
fn the_transcripts_of_real_engines_are_understood_or_left_alone() {
    let root = source().join("fixtures/transcripts");
    let project = Project::empty();
    let disk = root.join("failures/superset-disk-full.downgrade.stderr");
    let run = project.run(&format!("explain {} --format json", disk.display()));
    assert_eq!(run.exits(0).json()["code"], "disk-full");
}

/// Turns red if a password that a log quotes is repeated.
#[test]
fn a_password_in_a_log_is_not_repeated() {
    for log in [
        "ValueError: invalid interpolation syntax in 'postgresql://app:p%40ss@db/app' at position 17\n",
        "RuntimeError: nobody at postgresql://app:p%40ss@db/app\n",
    ] {
        let project = Project::empty().file("log.txt", log);
        let run = project.run("explain log.txt");
        assert!(!run.stdout.contains("p%40ss"), "{run}");
    }
}
