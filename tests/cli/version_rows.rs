//! Version tables whose rows cannot be true, and env.py files that keep nothing.

use insta::assert_snapshot;

use crate::support::Project;

/// A version table without a key, as old releases and copies have it, with these rows.
fn with_rows(rows: &str) -> Project {
    let project = Project::alembic("linear").at("heads");
    project.sql("DROP TABLE alembic_version");
    project.sql("CREATE TABLE alembic_version (version_num VARCHAR(32))");
    project.sql(&format!("INSERT INTO alembic_version VALUES {rows}"));
    project
}

/// Turns red if rows at which Alembic fails after the statements of a step are not noticed before the step, if
/// anything is changed, or if the statement that is suggested does not correct them.
#[test]
fn rows_that_cannot_be_true_are_refused_before_a_step() {
    for (rows, code, says) in [
        (
            "('5e6f7a8b9c05'), ('5e6f7a8b9c05')",
            "repeated_version_row",
            "has the row 5e6f7a8b9c05 2 times",
        ),
        (
            "('5e6f7a8b9c05'), ('5e6f7a8b9c05'), ('5e6f7a8b9c05'), ('5e6f7a8b9c05')",
            "repeated_version_row",
            "has the row 5e6f7a8b9c05 4 times",
        ),
        (
            "('5e6f7a8b9c05'), (NULL)",
            "empty_version_row",
            "has a row that is NULL or empty",
        ),
        (
            "(''), ('5e6f7a8b9c05'), (NULL)",
            "empty_version_row",
            "has 2 rows that are NULL or empty",
        ),
        (
            "(' 5e6f7a8b9c05')",
            "blanks_in_version_row",
            "blanks around the revision: \" 5e6f7a8b9c05\"",
        ),
        (
            "('5e6f7a8b9c05'), ('5e6f7a8b9c05 ')",
            "blanks_in_version_row",
            "blanks around the revision: \"5e6f7a8b9c05 \"",
        ),
    ] {
        let project = with_rows(rows);
        let before = project.bytes();
        let current = project.run("current --format json").exits(0).json();
        let problems = current["problems"].as_array().unwrap();
        assert_eq!(problems[0]["code"], code, "{rows}: {current:#}");
        for line in ["plan -1", "downgrade-safe -1 -y", "guard -y -- true"] {
            let run = project.run(line).exits(3);
            assert!(run.stderr.contains(says), "{rows}: {run}");
            assert_eq!(project.bytes(), before, "{rows}: {run}");
        }
        let refusal = project.run("plan -1").stderr;
        let correction = refusal.split_once("correct it: ").unwrap().1;
        project.sql(correction.lines().next().unwrap());
        assert_eq!(project.rows(), ["5e6f7a8b9c05"], "{rows}: {refusal}");
        project.run("downgrade-safe -1 -y").exits(0);
    }
}

#[test]
fn a_repeated_row_is_told_with_its_correction() {
    let project = with_rows("('5e6f7a8b9c05'), ('5e6f7a8b9c05')");
    assert_snapshot!(project.run("downgrade-safe -1 -y"), @"
    exit 3
    --- stderr
    refused: the version table alembic_version has the row 5e6f7a8b9c05 2 times: nothing was changed
      because Alembic does the statements of a step and then fails at such a row, which leaves the step half done on servers without transactions for DDL
      → correct it: DELETE FROM alembic_version WHERE version_num = '5e6f7a8b9c05' AND rowid <> (SELECT min(rowid) FROM alembic_version WHERE version_num = '5e6f7a8b9c05');
      → then see what is applied: rollback current
    ");
}

/// Turns red if an emptied version table, or one that is gone, passes for a database in which everything was
/// rolled back.
#[test]
fn tables_without_a_row_are_not_called_rolled_back() {
    let project = Project::alembic("linear").at("heads");
    project.sql("DELETE FROM alembic_version");
    assert_snapshot!(project.run("plan -1"), @"
    exit 3
    --- stderr
    refused: the version table is empty: it is not known which revisions are applied
      because tables of the migrations are in the database: customers (made by 1a2b3c4d5e01), orders (made by 3c4d5e6f7a03), and no revision is recorded for them
      because the rows may have been deleted, or this is another version table than the migrations used
      → find out which revision the schema is at: from the last deploy, a backup, or rollback history
      → then record it, which changes no table: alembic stamp REVISION
    ");
    project.run("downgrade-safe -1 -y").exits(3);
    project.sql("DROP TABLE alembic_version");
    assert_snapshot!(project.run("plan -1"), @"
    exit 3
    --- stderr
    refused: the database has no version table alembic_version: it is not known which revisions are applied
      because tables of the migrations are in the database: customers (made by 1a2b3c4d5e01), orders (made by 3c4d5e6f7a03), and no revision is recorded for them
      because the rows may have been deleted, or this is another version table than the migrations used
      → find out which revision the schema is at: from the last deploy, a backup, or rollback history
      → then record it, which changes no table: alembic stamp REVISION
    ");
    project.run("downgrade-safe base -y").exits(3);

    // The suggested command, with the revision filled in, makes it a database that can be rolled back.
    project.engine("alembic stamp 5e6f7a8b9c05");
    project.run("downgrade-safe -1 -y").exits(0);
}

/// Turns red if a database in which everything was rolled back is called anything else.
#[test]
fn a_database_without_tables_is_called_rolled_back() {
    let project = Project::alembic("linear").at("heads");
    project.engine("alembic downgrade base");
    let told = project.run("current").exits(0);
    assert!(
        told.stdout.contains(
            "the version table is empty, and no table is in the database: nothing is applied"
        ),
        "{told}"
    );
    project.sql("CREATE TABLE notes_of_another_program (id INTEGER)");
    let told = project.run("current").exits(0);
    assert!(
        told.stdout
            .contains("1 table is in the database that no migration is seen to make"),
        "{told}"
    );
}

const CONFIGURE: &str = "context.configure(connection=connection)";

fn asks_first(after: &str) -> Project {
    Project::alembic("linear").at("heads").edit(
        "migrations/env.py",
        CONFIGURE,
        &format!("connection.exec_driver_sql('SELECT 1').scalar()\n        {after}{CONFIGURE}"),
    )
}

/// Turns red if an env.py that keeps nothing of a migration runs one, or if one that keeps it is refused.
#[test]
fn an_env_that_leaves_its_transaction_open_is_refused_before_a_step() {
    let project = asks_first("");
    let before = project.bytes();
    assert_snapshot!(project.run("downgrade-safe -1 -y"), @"
    exit 3
    --- stderr
    refused: env.py leaves a transaction open, so that no migration would be kept: nothing was changed
      because a transaction was open when env.py called context.configure(): Alembic then leaves the commit to env.py, which does not commit
      → in env.py, call connection.commit() before context.configure(), or ask the database over another connection
      → alembic itself exits with 0 there and changes nothing, or on MariaDB, MySQL and SQLite half of it
    ");
    project.run("guard -y -- true").exits(3);
    assert_eq!(project.bytes(), before);
    let told = project.run("current --format json").exits(0).json();
    assert_eq!(told["problems"][0]["code"], "transaction_left_open");

    asks_first("connection.commit()\n        ")
        .run("downgrade-safe -1 -y")
        .exits(0);
    Project::alembic("linear")
        .at("heads")
        .edit("migrations/env.py", "engine.connect()", "engine.begin()")
        .run("downgrade-safe -1 -y")
        .exits(0);
    // It commits by itself, at the end.
    asks_first("")
        .edit(
            "migrations/env.py",
            "            context.run_migrations()\n\n\nif",
            "            context.run_migrations()\n        connection.commit()\n\n\nif",
        )
        .run("downgrade-safe -1 -y")
        .exits(0);
    // The connection commits each statement by itself.
    asks_first("")
        .edit(
            "migrations/env.py",
            "poolclass=pool.NullPool",
            "poolclass=pool.NullPool, isolation_level='AUTOCOMMIT'",
        )
        .run("downgrade-safe -1 -y")
        .exits(0);
}
