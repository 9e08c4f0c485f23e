//! `rollback sql comment`: only what stands between the marks is changed, and only where it was plain.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::support::Project;

fn project(case: &str) -> Project {
    Project::copy_of(&format!("sql/{case}"), "project", "alembic-current")
}

const TASKS: &str = "migrations/20250121090000_create_tasks.sql";

#[test]
fn a_plain_block_is_made_a_comment_once() {
    let project = project("plain_blocks");
    let path = project.root().join(TASKS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_snapshot!(project.run("sql comment 20250121090000_create_tasks"), @"
    exit 0
    --- stderr
    The rollback block of migrations/20250121090000_create_tasks.sql is a comment now.
    Where it is registered, write the new checksum down: rollback sql register 20250121090000_create_tasks
    ");
    assert_snapshot!(fs::read_to_string(&path).unwrap(), @"
    -- Depends on: 20250120090000_create_projects.sql

    CREATE TABLE tasks (
        id INTEGER NOT NULL PRIMARY KEY,
        project_id INTEGER NOT NULL,
        title VARCHAR(100) NOT NULL,
        CONSTRAINT tasks_project FOREIGN KEY (project_id) REFERENCES projects (id)
    );

    -- ROLLBACK START
    -- BEGIN;
    -- DROP TABLE IF EXISTS tasks;
    -- COMMIT;
    -- ROLLBACK END
    ");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 3, "something was left beside the file");
    assert_snapshot!(project.run(&format!("sql comment {TASKS}")), @"
    exit 0
    --- stderr
    The block of migrations/20250121090000_create_tasks.sql is a comment already.
    ");
}

#[test]
fn all_plain_blocks_are_made_comments() {
    let project = project("plain_blocks");
    assert_snapshot!(project.run("sql comment --all"), @"
    exit 0
    --- stderr
    The rollback block of migrations/20250120090000_create_projects.sql is a comment now.
    Where it is registered, write the new checksum down: rollback sql register 20250120090000_create_projects
    The rollback block of migrations/20250121090000_create_tasks.sql is a comment now.
    Where it is registered, write the new checksum down: rollback sql register 20250121090000_create_tasks
    ");
    assert_snapshot!(project.run("sql comment --all"), @"
    exit 0
    --- stderr
    There is no plain block among the files.
    ");
}

#[test]
fn files_without_a_block_stay() {
    let project = project("companions");
    assert_snapshot!(project.run("sql comment 0001_create_notes"), @"
    exit 0
    --- stderr
    What takes migrations/0001_create_notes.sql down has a file of its own, which is not run with it.
    ");
    fs::remove_file(project.root().join("migrations/0001_create_notes.down.sql")).unwrap();
    assert_snapshot!(project.run("sql comment 0001_create_notes"), @"
    exit 0
    --- stderr
    There is no rollback block in migrations/0001_create_notes.sql. One is written by: rollback sql template 0001_create_notes
    ");
}

#[test]
fn malformed_files_and_paths_are_refused() {
    let project = project("malformed");
    assert_snapshot!(project.run("sql comment 0007_no_sql"), @"
    exit 1
    --- stderr
    error: migrations/0007_no_sql.sql:4: DROP takes IF EXISTS, and no IF NOT EXISTS
      → mend the file, then try again
    ");
    assert_snapshot!(project.run("sql comment --all"), @r#"
    exit 1
    --- stderr
    error: some files cannot be read, so that none was changed
      because migrations/0002_no_end.sql:3: the block that begins here has no end
      because migrations/0003_two_blocks.sql:7: a second block begins here
      because migrations/0004_nested.sql:4: a block begins here in another one
      because migrations/0005_empty.sql:3: there is no SQL in it: what cannot be taken back has no block at all
      because migrations/0006_end_before_start.sql:3: a block ends here that did not begin
      because migrations/0007_no_sql.sql:4: DROP takes IF EXISTS, and no IF NOT EXISTS
      because migrations/0008_prose.sql:4: no statement begins with "This": each line of this block is SQL, and a comment in it begins with -- --
      because migrations/0009_half_commented.sql:4: this line is SQL in a comment, and others of the block are none: it is not known what is meant
      because migrations/0010_transaction.sql:5: COMMIT in a rollback: it is run in a transaction of its own
      because migrations/0011_no_string_end.sql:2: a string begins here and never ends
      because migrations/0012_path.sql:1: "../0001_sound.sql" is a path, and a migration is named by its file alone
      because migrations/0013_both.sql:3: there is a block here and the file migrations/0013_both.down.sql as well
      because migrations/0014_alone.down.sql:1: there is no 0014_alone.sql and no 0014_alone.up.sql that it could take down
      because migrations/0015_psql.sql:4: \echo is a command of psql, and no SQL
      → mend them, or name one migration at a time
    "#);
    assert_snapshot!(project.run("sql comment ../0001_sound"), @r#"
    exit 1
    --- stderr
    error: "../0001_sound" is a path, and a migration is named by its file alone
      → name a file of the folder, without .sql
    "#);
    assert_snapshot!(project.run("sql comment 0099_nothing"), @"
    exit 1
    --- stderr
    error: there is no migration 0099_nothing
      → the migrations are looked for in [PROJECT]/migrations
    ");
    assert_snapshot!(project.run("sql comment"), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <NAME>

    Usage: rollback sql comment <NAME>

    For more information, try '--help'.
    ");
}
