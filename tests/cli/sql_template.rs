//! A rollback block for a file that has none, without a database.

use std::fs;

use crate::support::Project;

const TAGS: &str = "migrations/20250120_add_tags.sql";
const UP: &str = "CREATE TABLE tags (id bigint PRIMARY KEY);\nCREATE INDEX tags_id ON tags (id);\n";
const BLOCK: &str =
    "-- ROLLBACK START\n-- DROP INDEX tags_id;\n-- DROP TABLE tags;\n-- ROLLBACK END\n";

fn project(up: &str) -> Project {
    Project::empty()
        .file(
            "rollback.toml",
            "engine = \"sql\"\nmigrations = \"migrations\"\n",
        )
        .file(TAGS, up)
}

fn text(project: &Project) -> String {
    fs::read_to_string(project.root().join(TAGS)).unwrap()
}

#[test]
fn the_block_is_printed_and_the_file_stays() {
    let project = project(UP);
    let run = project.run("sql template 20250120_add_tags").exits(0);
    assert_eq!(run.stdout, BLOCK);
    assert!(run.stderr.contains("2 statements inverted."), "{run}");
    assert_eq!(text(&project), UP);
}

/// Turns red if the file is not what it was with the block behind it, or another file is left beside it.
#[test]
fn the_block_is_put_at_the_end_once() {
    let project = project(UP);
    let files = project.files();
    let run = project
        .run("sql template 20250120_add_tags.sql --write")
        .exits(0);
    assert_eq!(run.stdout, "", "{run}");
    assert!(
        run.stderr.contains("sql register 20250120_add_tags"),
        "{run}"
    );
    assert_eq!(text(&project), format!("{UP}\n{BLOCK}"));
    assert_eq!(project.files(), files);

    let run = project
        .run("sql template 20250120_add_tags --write")
        .exits(0);
    assert_eq!(run.stdout, BLOCK);
    assert!(run.stderr.contains("has a rollback block already"), "{run}");
    assert_eq!(text(&project), format!("{UP}\n{BLOCK}"));
}

#[test]
fn without_an_inverse_nothing_is_written() {
    let up = "DELETE FROM tags;\n";
    let project = project(up);
    let run = project
        .run("sql template 20250120_add_tags --write")
        .exits(0);
    assert!(
        run.stdout
            .starts_with("-- DELETE FROM tags has no inverse: "),
        "{run}"
    );
    assert!(
        run.stdout
            .contains("--   CREATE TABLE archived_tags AS SELECT * FROM tags;"),
        "{run}"
    );
    assert!(run.stderr.contains("nothing to put into a block"), "{run}");
    assert_eq!(text(&project), up);
}

/// What an earlier file made is put back as it made it.
#[test]
fn earlier_files_tell_what_was_there_before() {
    let project = project("DROP VIEW recent;\n").file(
        "migrations/20250101_recent.sql",
        "CREATE VIEW recent AS SELECT 1 AS id;\n",
    );
    let run = project.run("sql template 20250120_add_tags").exits(0);
    assert!(
        run.stdout
            .contains("-- CREATE VIEW recent AS SELECT 1 AS id;\n"),
        "{run}"
    );
}

#[test]
fn a_name_that_is_none_is_refused() {
    let project = project(UP);
    let run = project.run("sql template 20250121_none").exits(1);
    assert!(
        run.stderr.contains("there is no migration 20250121_none"),
        "{run}"
    );
    let run = project.run("sql template ../20250120_add_tags").exits(1);
    assert!(run.stderr.contains("is a path"), "{run}");
}
