//! Settings: a file of the project, the environment, flags; the later is the stronger.

use insta::assert_snapshot;

use crate::support::Project;

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let project = Project::alembic("linear")
        .at("heads")
        .file("rollback.toml", "format = 'json'\n");
    let is_json = |run: crate::support::Run| run.exits(0).stdout.starts_with('{');
    assert!(is_json(project.run("current")));
    assert!(!is_json(
        project
            .rollback("current")
            .env("ROLLBACK_FORMAT", "human")
            .run()
    ));
    assert!(is_json(
        project
            .rollback("current --format json")
            .env("ROLLBACK_FORMAT", "human")
            .run()
    ));
}

#[test]
fn pyproject_may_hold_them_too() {
    let project = Project::alembic("linear").at("heads").file(
        "pyproject.toml",
        "[tool.rollback]\nengine_command = 'env alembic'\n",
    );
    assert_snapshot!(project.run("current"), @r"
    exit 0
    --- stdout
    Database:  sqlite, file [PROJECT]/app.db
    Engine:    env alembic
    Current:   5e6f7a8b9c05 Add a note to orders
    Code head: 5e6f7a8b9c05 Add a note to orders
    Behind by: nothing: every revision of the code is applied
    ");
}

#[test]
fn the_version_table_may_be_named_where_nobody_can_tell() {
    let project = Project::alembic("linear")
        .at("heads")
        .file("rollback.toml", "version_table = 'elsewhere'\n");
    assert_snapshot!(project.run("plan -1"), @r"
    exit 1
    --- stderr
    error: the engine says that the database stands at 5e6f7a8b9c05, and there is no version table elsewhere
      because another process is migrating, or the version table has another name or schema
      → set version_table and version_table_schema to what env.py names, or leave both away
    ");
}
