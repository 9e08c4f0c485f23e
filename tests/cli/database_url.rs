//! The database by its URL: whose it is, whether it can be used, and that nobody reads its password.

use insta::assert_snapshot;

use crate::support::Project;

#[test]
fn a_file_that_is_no_database() {
    let project =
        Project::alembic("linear").file("app.db", "this is a text, and not a short one\n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database
      → see the engine's own words with `alembic current --verbose`
      → the engine's whole output: the same command with -v
    ");
}

#[test]
fn a_url_of_another_database_is_refused_and_both_are_shown() {
    let project = Project::alembic("linear").at("heads");
    let bytes = project.bytes();
    let project = project.file("copy.db", &bytes);
    assert_snapshot!(project.run("downgrade-safe -1 -y --database-url sqlite:///copy.db"), @r"
    exit 1
    --- stderr
    error: alembic does not migrate the database of the URL
      because the URL leads to sqlite:///[PROJECT]/copy.db
      because the engine connects to SQLite [VERSION], file [PROJECT]/app.db
      → leave the URL away, and the engine is asked where it connects to
    ");
    let same = project.run("current --database-url sqlite:///app.db");
    assert_eq!(same.exits(0), project.run("current"));
    assert_eq!(project.bytes(), bytes);
}

#[test]
fn a_password_is_never_said() {
    let project = Project::alembic("linear").at("heads");
    for url in [
        "postgresql://someone:canary7@127.0.0.1:1/nowhere",
        "mysql://someone:canary7@127.0.0.1:1/nowhere",
        "postgresql://someone:canary7@",
        "oracle://someone:canary7@127.0.0.1/nowhere",
        "postgresql//someone:canary7@127.0.0.1/nowhere",
    ] {
        let by_variable = project
            .rollback("downgrade-safe -1 -y -v")
            .env("ROLLBACK_DATABASE_URL", url)
            .run();
        let by_flag = project.run(&format!("plan -1 --format json --database-url {url}"));
        for run in [by_variable.exits(1), by_flag.exits(1)] {
            assert!(!run.to_string().contains("canary7"), "{url}\n{run}");
        }
    }
}

#[test]
fn an_engine_that_says_the_password_is_not_quoted() {
    let project = Project::alembic("linear")
        .env(
            "DATABASE_URL",
            "postgresql+psycopg2://someone:canary7@127.0.0.1:1/nowhere",
        )
        .edit(
            "migrations/env.py",
            "def run_migrations_offline",
            "raise RuntimeError(f'cannot reach {url}')\ndef run_migrations_offline",
        );
    let run = project.run("current -v").exits(1);
    assert!(
        run.stderr
            .contains("cannot reach postgresql+psycopg2://someone:***@"),
        "{run}"
    );
    assert!(!run.to_string().contains("canary7"), "{run}");
}
