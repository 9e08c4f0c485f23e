//! What cannot work: one sentence, the cause, and what to type next; nothing is changed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use insta::assert_snapshot;

use crate::support::Project;

#[test]
fn a_folder_without_an_engine() {
    let project = Project::empty();
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: no migration engine in [PROJECT]: looked for alembic.ini, [tool.alembic] in pyproject.toml, ALEMBIC_CONFIG, FLASK_APP, .flaskenv, superset_config.py, SUPERSET_CONFIG_PATH and a Flask-Migrate folder migrations/
      → run rollback in the project's directory, or name it with `-C DIR`
      → name the engine, such as `--engine-command 'docker compose exec -T api alembic'`
    ");
}

#[test]
fn a_folder_below_or_above_the_project_points_to_it() {
    let project = Project::alembic("linear");
    assert_snapshot!(project.run("-C migrations current"), @r"
    exit 1
    --- stderr
    error: no migration engine in [PROJECT]/migrations: looked for alembic.ini, [tool.alembic] in pyproject.toml, ALEMBIC_CONFIG, FLASK_APP, .flaskenv, superset_config.py, SUPERSET_CONFIG_PATH and a Flask-Migrate folder migrations/
      → there is one in [PROJECT]: try `-C [PROJECT]`
      → name the engine, such as `--engine-command 'docker compose exec -T api alembic'`
    ");
    assert_snapshot!(project.run("-C .. current"), @r"
    exit 1
    --- stderr
    error: no migration engine in [PROJECT]/..: looked for alembic.ini, [tool.alembic] in pyproject.toml, ALEMBIC_CONFIG, FLASK_APP, .flaskenv, superset_config.py, SUPERSET_CONFIG_PATH and a Flask-Migrate folder migrations/
      → there is one in [PROJECT]: try `-C [PROJECT]`
      → name the engine, such as `--engine-command 'docker compose exec -T api alembic'`
    ");
}

#[test]
fn a_folder_that_is_not_there() {
    let project = Project::alembic("linear");
    assert_snapshot!(project.run("-C elsewhere current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/elsewhere is not a directory
      → name the project's directory: rollback -C <dir> current
    ");
    assert_snapshot!(project.run("-C alembic.ini current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/alembic.ini is not a directory
      → name the project's directory: rollback -C <dir> current
    ");
}

#[test]
fn an_engine_that_is_not_installed() {
    let project = Project::alembic("linear").env("PATH", "/usr/bin:/bin");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: alembic.ini asks for `alembic`, but no such program was found in .venv/bin, in VIRTUAL_ENV or on PATH
      → activate the environment that has it, so that `alembic --help` works
      → name the engine, such as `--engine-command 'docker compose exec -T api alembic'`
    ");
    assert_snapshot!(project.run("current --engine-command 'alembik -c x'"), @r"
    exit 1
    --- stderr
    error: the engine command `alembik -c x` cannot be started: no program `alembik` was found on PATH, in .venv or in VIRTUAL_ENV
      → see whether `command -v alembik` finds it, or name its full path
    ");
    assert_snapshot!(project.run("current --engine-command bin/alembic"), @r"
    exit 1
    --- stderr
    error: the engine command `bin/alembic` cannot be started: there is no file [PROJECT]/bin/alembic
      → see whether `command -v bin/alembic` finds it, or name its full path
    ");
    assert_snapshot!(project.run("current --engine-command ''"), @r"
    exit 2
    --- stderr
    error: invalid value '' for '--engine-command <COMMAND>': the command line is empty

    For more information, try '--help'.
    ");
}

#[test]
fn an_engine_that_is_not_executable() {
    let project = Project::alembic("linear").file("alembic", "#!/bin/sh\n");
    assert_snapshot!(project.run("current --engine-command ./alembic"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/./alembic is not executable
      → make it so with `chmod +x [PROJECT]/./alembic`
    ");
}

#[test]
fn an_engine_that_is_something_else() {
    let project = Project::alembic("linear");
    assert_snapshot!(project.run("current --engine-command echo"), @r#"
    exit 1
    --- stderr
    error: `echo current --verbose` was not understood: expected `Current revision(s) for ...`, but the engine printed "current --verbose"
      → the command must end where Alembic's verbs begin: `alembic`, `flask db` or `superset db`; see `engine_command` in the configuration and --engine-command
      → the engine's whole output: the same command with -v
    "#);
    assert_snapshot!(project.run("current --engine-command false"), @r"
    exit 1
    --- stderr
    error: `false current --verbose` failed: exit status 1, and not a word about why
      → it printed nothing; the project's logging configuration may hide the reason. Try `false current --verbose`
    ");
}

#[test]
fn a_broken_alembic_ini() {
    let project = Project::alembic("linear").file("alembic.ini", "[alembic\nscript_location = x\n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: configparser.MissingSectionHeaderError: File contains no section headers.
      → correct the configuration file until `alembic current --verbose` works
      → the engine's whole output: the same command with -v
    ");
    let project = Project::alembic("linear").file("alembic.ini", "[alembic]\n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: No 'script_location' key found in configuration.
      → run rollback in the project's directory, or name it with -C DIR, or name the configuration with `alembic_config` in rollback.toml
      → the engine's whole output: the same command with -v
    ");
    let project =
        Project::alembic("linear").edit("alembic.ini", "%(here)s/migrations", "%(here)s/gone");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: Path doesn't exist: [PROJECT]/gone. Please use the 'init' command to create a new scripts folder.
      → run rollback in the project's directory, or name it with -C DIR, or name the configuration with `alembic_config` in rollback.toml
      → the engine's whole output: the same command with -v
    ");
}

#[test]
fn a_version_file_with_a_syntax_error() {
    let project = Project::alembic("syntax_error");
    assert_snapshot!(project.run("plan base"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: SyntaxError: '(' was never closed
      → correct the syntax in [PROJECT]/migrations/versions/aaaa2222_left_in_the_middle_of_an_edit.py, line 19
      → the engine's whole output: the same command with -v
    ");
    let whole = project.run("plan base -v").exits(1);
    assert!(
        whole.stderr.contains("Traceback (most recent call last)"),
        "{whole}"
    );
}

#[test]
fn histories_that_contradict_themselves() {
    assert_snapshot!(Project::alembic("cycle").run("plan base"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: Cycle is detected in revisions (bbbb1111, bbbb2222, bbbb3333)
      → correct the `down_revision` or `depends_on` of one of these revisions
      → the engine's whole output: the same command with -v
    ");
    assert_snapshot!(Project::alembic("duplicate_id").run("plan base"), @r"
    exit 1
    --- stderr
    error: two version files have the revision id aaaa2222: [PROJECT]/migrations/versions/aaaa2222_another_revision_with_the_same_identifie.py and [PROJECT]/migrations/versions/aaaa2222_one_revision.py
      → give one of them another id; then try `alembic history --verbose`
    ");
}

#[test]
fn a_missing_revision_file() {
    let project = Project::alembic("missing_file");
    assert_snapshot!(project.run("plan base"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` failed: Revision aaaa2222 referenced from aaaa2222 -> aaaa3333 (head), The revision after it is not present
      → restore the version file of aaaa2222, or correct the `down_revision` that names it
      → the engine's whole output: the same command with -v
    ");
}

#[test]
fn an_env_py_that_migrates_two_databases() {
    let project = Project::alembic("multidb");
    project.engine("alembic upgrade heads");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` migrates several databases or version tables, and a run rolls back one of them: [PROJECT]/orders.db, table alembic_version; [PROJECT]/reports.db, table alembic_version
      → choose one with -n SECTION or -x KEY=VALUE, as the project's env.py reads it
    ");
    assert_snapshot!(project.run("downgrade-safe -1 -y"), @r"
    exit 1
    --- stderr
    error: `alembic current --verbose` migrates several databases or version tables, and a run rolls back one of them: [PROJECT]/orders.db, table alembic_version; [PROJECT]/reports.db, table alembic_version
      → choose one with -n SECTION or -x KEY=VALUE, as the project's env.py reads it
    ");
}

#[test]
fn a_setting_that_does_not_exist_names_the_nearest() {
    let project = Project::alembic("linear").file("rollback.toml", "timout = '5m'\n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/rollback.toml has an unknown key timout
      → did you mean timeout?
    ");
    let project = Project::alembic("linear").file("rollback.toml", "timeout = 'soon'\n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/rollback.toml, timeout: soon is not a duration such as 90s, 5m or 1h 30m
      → mend the file; README.md lists its keys
    ");
    let project = Project::alembic("linear").file("rollback.toml", "timeout = \n");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/rollback.toml, line 1: string values must be quoted, expected literal string
      → mend the file; README.md lists its keys
    ");
    let project = Project::alembic("linear").env("ROLLBACK_FORMAT", "yaml");
    assert_snapshot!(project.run("current"), @r"
    exit 1
    --- stderr
    error: the environment variable ROLLBACK_FORMAT: invalid variant: yaml
      → set it anew or remove it: unset ROLLBACK_FORMAT
    ");
}

#[test]
fn alembics_configuration_is_not_ours() {
    let project = Project::alembic("linear");
    assert_snapshot!(project.run("--config alembic.ini current"), @r"
    exit 1
    --- stderr
    error: [PROJECT]/alembic.ini is Alembic's configuration, and --config names ours
      → give it to Alembic: --alembic-config [PROJECT]/alembic.ini
    ");
    assert_snapshot!(project.run("--config gone.toml current"), @r"
    exit 1
    --- stderr
    error: the configuration file [PROJECT]/gone.toml does not exist
      → leave --config away to use rollback.toml of the project's directory, if any
    ");
}

#[test]
fn a_folder_whose_name_is_not_unicode() {
    // The engine itself cannot show such a name in a URL, so the database lies elsewhere.
    let folder = OsStr::from_bytes(b"pro\xffject");
    let project = Project::copy_of("alembic/diamond", folder, "alembic-current");
    let database = project.root().with_file_name("app.db");
    let url = format!("sqlite:///{}", database.display());
    let project = project.env("DATABASE_URL", url).at("heads");
    assert_snapshot!(project.run("downgrade-safe -2 -y -v --allow unknown-code"), @"
    exit 0
    --- stdout
    Database:  SQLite [VERSION], file [HOME]/app.db
    Current:   e86f3a7d1c95
    Target:    -2

    Rollback plan: 2 steps, 1 of them a merge

      1. e86f3a7d1c95  Add a currency to invoices
         created 2024-01-14 04:18:31, leaves b52d08e7f41c
         runs alembic downgrade e86f3a7d1c95@b52d08e7f41c
         file [PROJECT]/migrations/versions/e86f3a7d1c95_add_a_currency_to_invoices.py
      2. b52d08e7f41c [MERGE]  Merge invoices and sessions
         created 2024-01-13 03:17:30, leaves 7c1e5f0a93d2, a4d80b2e6f17
         runs alembic downgrade b52d08e7f41c@7c1e5f0a93d2
         file [PROJECT]/migrations/versions/b52d08e7f41c_merge_invoices_and_sessions.py

    Unread:    no version file of the plan is at hand, so that nothing is known of the steps
    Asked:     0 questions of the database in [TIME], of [TIME] allowed
    Verdict:   unknown: 2 possible failures; 2 things that are not known
    Next:      rollback downgrade-safe -2
    --- stderr
    History:   the engine's: the name of the project's folder is no text
          each step has a process of its own: env.py cannot be read: No such file or directory (os error 2)
    [1/2] Rolling back e86f3a7d1c95 ... Add a currency to invoices
          | INFO  [alembic.runtime.migration] Running downgrade e86f3a7d1c95 -> b52d08e7f41c, Add a currency to invoices
          ✓ [TIME], now at b52d08e7f41c
          - column invoices.currency varchar(3)
    [2/2] Rolling back b52d08e7f41c [MERGE] ... Merge invoices and sessions
          | INFO  [alembic.runtime.migration] Running downgrade b52d08e7f41c -> 7c1e5f0a93d2, a4d80b2e6f17, Merge invoices and sessions
          ✓ [TIME], now at 7c1e5f0a93d2, a4d80b2e6f17

    ✓ Rolled back 2 revisions in [TIME]
      e86f3a7d1c95  [TIME]
      b52d08e7f41c  [TIME]
    Current revision: 7c1e5f0a93d2, a4d80b2e6f17, read from the database
    Report:   [PROJECT]/.rollback/runs/[RUN]/report.md
    ");
}

#[test]
fn a_folder_with_spaces_and_quotes() {
    let name = "it's a \"project\"";
    let project = Project::copy_of("alembic/diamond", name, "alembic-current").at("heads");
    project.run("downgrade-safe -2 -y").exits(0);
    assert_eq!(project.rows(), ["7c1e5f0a93d2", "a4d80b2e6f17"]);
}
