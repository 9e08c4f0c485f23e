use super::*;

use Dialect::{MySql, Postgres, Sqlite};

const ALL: [Dialect; 3] = [Postgres, MySql, Sqlite];

fn id(name: &str) -> RevisionId {
    RevisionId::new(name)
}

fn read_as(text: &str, dialect: Dialect) -> Result<MigrationFile, Malformed> {
    read(id("2_b"), "m/2_b.sql", text, None, dialect)
}

#[track_caller]
fn sql_of(text: &str) -> (Form, String, usize) {
    let rollback = read_as(text, Postgres).unwrap().rollback.unwrap();
    (rollback.form, rollback.sql, rollback.line)
}

/// For all servers.
#[track_caller]
fn refused(text: &str) -> String {
    let said: Vec<String> = ALL
        .iter()
        .map(|dialect| read_as(text, *dialect).unwrap_err().to_string())
        .collect();
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
    said[0].clone()
}

fn block(lines: &str) -> String {
    format!("CREATE TABLE a (b int);\n-- ROLLBACK START\n{lines}\n-- ROLLBACK END\n")
}

#[test]
fn a_plain_block_is_read() {
    let file = read_as(&block("-- why\nDROP TABLE a;"), Postgres).unwrap();
    assert_eq!(file.up, "CREATE TABLE a (b int);\n");
    let rollback = file.rollback.unwrap();
    assert_eq!(rollback.form, Form::Plain);
    assert_eq!(rollback.sql, "-- why\nDROP TABLE a;\n");
    assert_eq!((rollback.file.as_str(), rollback.line), ("m/2_b.sql", 3));
}

#[test]
fn a_block_of_comments_is_read_without_them() {
    let text = block("-- -- why\n--   DROP TABLE\n\n--b;\n  -- DROP TABLE c;");
    for dialect in ALL {
        let rollback = read_as(&text, dialect).unwrap().rollback.unwrap();
        assert_eq!(rollback.form, Form::Commented);
        assert_eq!(
            rollback.sql,
            "-- why\n  DROP TABLE\n\nb;\n  DROP TABLE c;\n"
        );
    }
}

#[test]
fn marks_are_read_in_whatever_case_and_space() {
    for (start, end) in [
        ("--ROLLBACK START", "--ROLLBACK END"),
        ("-- rollback  start", "--   Rollback\tEnd  "),
        ("  -- ROLLBACK START ", "\t-- rollback end"),
    ] {
        for line in ["DROP TABLE a;", "-- DROP TABLE a;", "--DROP TABLE a;"] {
            let text = format!("SELECT 1;\n{start}\n{line}\n{end}\nSELECT 2;");
            for dialect in ALL {
                let file = read_as(&text, dialect).unwrap();
                assert_eq!(file.up, "SELECT 1;\nSELECT 2;");
                assert_eq!(file.rollback.unwrap().sql.trim(), "DROP TABLE a;");
            }
        }
    }
}

#[test]
fn line_ends_and_byte_order_marks_are_read() {
    let text = "\u{feff}-- ROLLBACK START\r\n-- DROP TABLE a;\r\n-- ROLLBACK END\r\nSELECT 1;\r\n";
    let file = read_as(text, Postgres).unwrap();
    assert_eq!(file.up, "SELECT 1;\r\n");
    assert_eq!(file.rollback.unwrap().sql, "DROP TABLE a;\r\n");
    assert_eq!(
        sql_of("-- ROLLBACK START\nDROP TABLE a;\n-- ROLLBACK END").1,
        "DROP TABLE a;\n"
    );
}

#[test]
fn what_is_in_quotes_is_no_mark() {
    for dialect in ALL {
        for quoted in [
            "INSERT INTO t VALUES ('\n-- ROLLBACK START\n');\n",
            "/*\n-- ROLLBACK START\n*/\n",
        ] {
            let file = read_as(quoted, dialect).unwrap();
            assert_eq!(file.rollback, None, "{quoted}");
            assert_eq!(file.up, quoted);
        }
    }
    let body =
        "CREATE FUNCTION f() RETURNS int AS $$\n-- ROLLBACK END\nSELECT 1;\n$$ LANGUAGE sql;\n";
    assert_eq!(sql_of(&block(body.trim_end())).1, body);
    // Data of psql is none of the server's language.
    let dump = "COPY t (a) FROM stdin;\nit's\n-- ROLLBACK START\n\\.\n";
    let file = read_as(&format!("{dump}{}", block("DROP TABLE a;")), Postgres).unwrap();
    assert!(file.up.starts_with(dump), "{}", file.up);
    assert!(file.rollback.is_some());
    // Behind something else, and in a comment of a comment.
    assert_eq!(
        read_as("SELECT 1; -- ROLLBACK START\n", Sqlite)
            .unwrap()
            .rollback,
        None
    );
    assert_eq!(
        read_as("-- -- ROLLBACK START\n", Sqlite).unwrap().rollback,
        None
    );
}

#[test]
fn comments_outside_the_block_say_what_it_needs() {
    let text = "-- Migration: 2_b.sql\n-- Description:  Tags: all of them \n--depends ON : 1_a.sql, 0_z,\n\
                -- Depends on: 1_a\nSELECT '\n-- Depends on: x\n';\n-- Independent of: 3_c\n";
    let text = format!(
        "{text}{}-- Description: another",
        block("-- -- Depends on: 9_x\n-- DROP TABLE a;")
    );
    let file = read_as(&text, Postgres).unwrap();
    assert_eq!(file.description.as_deref(), Some("Tags: all of them"));
    assert_eq!(file.depends_on, [id("1_a"), id("0_z")]);
    assert_eq!(file.independent_of, [id("3_c")]);
    let none = read_as("SELECT 1;", Postgres).unwrap();
    assert_eq!(
        (none.description, none.depends_on, none.rollback),
        (None, vec![], None)
    );
}

#[test]
fn names_that_are_paths_are_refused() {
    assert_eq!(
        refused("SELECT 1;\n-- Depends on: 1_a, ../1_b.sql\n"),
        "m/2_b.sql:2: \"../1_b.sql\" is a path, and a migration is named by its file alone"
    );
    assert_eq!(
        refused("-- Depends on: a,,b"),
        "m/2_b.sql:1: \"\" is no name of a migration"
    );
    assert_eq!(
        refused("\n-- Depends on:\n"),
        "m/2_b.sql:2: Depends on names no migration"
    );
    assert_eq!(
        refused("\n\n-- Independent of: 2_b.sql\n"),
        "m/2_b.sql:3: 2_b names itself"
    );
}

#[test]
fn marks_that_do_not_match_are_refused() {
    assert_eq!(
        refused("SELECT 1;\n-- ROLLBACK START\nDROP TABLE a;\n"),
        "m/2_b.sql:2: the block that begins here has no end"
    );
    assert_eq!(
        refused("SELECT 1;\n-- ROLLBACK END\n"),
        "m/2_b.sql:2: a block ends here that did not begin"
    );
    assert_eq!(
        refused("-- ROLLBACK END\n-- ROLLBACK START\nDROP TABLE a;\n"),
        "m/2_b.sql:1: a block ends here that did not begin"
    );
    assert_eq!(
        refused(
            "-- ROLLBACK START\n-- ROLLBACK START\nDROP TABLE a;\n-- ROLLBACK END\n-- ROLLBACK END\n"
        ),
        "m/2_b.sql:2: a block begins here in another one"
    );
    let two = block("DROP TABLE a;") + &block("DROP TABLE a;");
    assert_eq!(refused(&two), "m/2_b.sql:6: a second block begins here");
    assert_eq!(
        refused(&format!("{}-- ROLLBACK END", block("DROP TABLE a;"))),
        "m/2_b.sql:5: a block ends here that did not begin"
    );
}

#[test]
fn a_block_without_sql_is_refused() {
    let nothing =
        "m/2_b.sql:2: there is no SQL in it: what cannot be taken back has no block at all";
    for empty in [
        "",
        " \n",
        "-- -- why",
        "/* DROP TABLE a; */",
        ";;",
        "BEGIN;\nCOMMIT;",
    ] {
        assert_eq!(refused(&block(empty)), nothing, "{empty:?}");
    }
}

#[test]
fn prose_in_a_block_of_comments_is_refused() {
    let hint = ": each line of this block is SQL, and a comment in it begins with -- --";
    assert_eq!(
        refused(&block("-- This section undoes it\n-- DROP TABLE a;")),
        format!("m/2_b.sql:3: no statement begins with \"This\"{hint}")
    );
    assert_eq!(
        refused(&block(
            "-- DROP TABLE a;\n\n-- Drop the rest\n-- DROP TABLE b;"
        )),
        format!("m/2_b.sql:5: \"Drop the\" is no SQL{hint}")
    );
    assert_eq!(
        refused(&block("-- Create index again\n-- CREATE INDEX i ON a (b);")),
        format!(
            "m/2_b.sql:4: a statement begins here, and the one before it has no ; at its end{hint}"
        )
    );
}

#[test]
fn sql_that_no_server_takes_is_refused() {
    for (sql, said) in [
        (
            "\nDROP TABLE IF NOT EXISTS a CASCADE;",
            "4: DROP takes IF EXISTS, and no IF NOT EXISTS",
        ),
        (
            "DROP TABLE a\nDROP TABLE b;",
            "4: a statement begins here, and the one before it has no ; at its end",
        ),
        (
            "DROP TABLE a (;",
            "3: a parenthesis is opened here and never closed",
        ),
        (
            "DROP TABLE a);",
            "3: a parenthesis is closed that was never opened",
        ),
        ("DORP TABLE a;", "3: no statement begins with \"DORP\""),
        (
            "DROP TABLE IF EXISTS;",
            "3: this drops nothing, for it has no name in it",
        ),
        ("DROP TABLE a,;", "3: nothing follows this comma"),
        ("UPDATE a b = 1;", "3: UPDATE has no SET"),
        (
            "INSERT INTO a\nVALUES ('b);",
            "4: a string begins here and never ends",
        ),
    ] {
        let text = if said.contains("string") {
            block(sql).replace("-- ROLLBACK", "--ROLLBACK")
        } else {
            block(sql)
        };
        assert_eq!(refused(&text), format!("m/2_b.sql:{said}"), "{sql}");
    }
}

#[test]
fn transactions_of_its_own_are_refused_but_for_a_wrapper() {
    let (_, sql, line) = sql_of(&block("BEGIN;\nDROP TABLE a;\nCOMMIT;"));
    assert_eq!((sql.as_str(), line), ("\nDROP TABLE a;\n\n", 3));
    let (form, sql, _) = sql_of(&block("-- begin work;\n-- DROP TABLE a;\n-- END"));
    assert_eq!(
        (form, sql.as_str()),
        (Form::Commented, "\nDROP TABLE a;\n\n")
    );
    for (sql, said) in [
        ("DROP TABLE a;\nCOMMIT;\nDROP TABLE b;", "4: COMMIT"),
        ("BEGIN;\nDROP TABLE a;", "3: BEGIN"),
        (
            "BEGIN;\nSAVEPOINT a;\nDROP TABLE a;\nCOMMIT;",
            "4: SAVEPOINT",
        ),
        ("begin read only; SELECT 1; COMMIT;", "3: BEGIN"),
    ] {
        assert_eq!(
            refused(&block(sql)),
            format!("m/2_b.sql:{said} in a rollback: it is run in a transaction of its own")
        );
    }
}

#[test]
fn half_a_block_of_comments_is_refused() {
    let said = "m/2_b.sql:4: this line is SQL in a comment, and others of the block are none: it is not known what is meant";
    assert_eq!(refused(&block("DROP TABLE a;\n-- DROP TABLE b;")), said);
    assert_eq!(
        sql_of(&block("-- Step 1: drop it\nDROP TABLE a; -- the table;")).0,
        Form::Plain
    );
}

#[test]
fn a_companion_is_what_takes_it_down() {
    let read = |text: &str, companion: &str| {
        read(
            id("2_b"),
            "m/2_b.sql",
            text,
            Some(("m/2_b.down.sql", companion)),
            Sqlite,
        )
    };
    let file = read("SELECT 1;", "\u{feff}DROP TABLE a;\n").unwrap();
    let rollback = file.rollback.unwrap();
    assert_eq!(
        (rollback.form, rollback.sql.as_str()),
        (Form::Companion, "DROP TABLE a;\n")
    );
    assert_eq!(
        (rollback.file.as_str(), rollback.line),
        ("m/2_b.down.sql", 1)
    );
    let both = read(&block("DROP TABLE a;"), "DROP TABLE a;").unwrap_err();
    assert_eq!(
        both.to_string(),
        "m/2_b.sql:2: there is a block here and the file m/2_b.down.sql as well"
    );
    let wrong = read("SELECT 1;", "\nDROP TABLE a;\nROLLBACK;").unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "m/2_b.down.sql:3: ROLLBACK in a rollback: it is run in a transaction of its own"
    );
    let marked = read("SELECT 1;", &block("DROP TABLE a;")).unwrap_err();
    assert_eq!(
        marked.to_string(),
        "m/2_b.down.sql:2: a .down.sql file is run as it is, and has no block"
    );
}

#[test]
fn the_checksum_is_of_both_files() {
    let of = |text: &str, companion| {
        read(id("a"), "a.sql", text, companion, Sqlite)
            .unwrap()
            .checksum
    };
    // printf 'SELECT 1;' | sha256sum
    assert_eq!(
        of("SELECT 1;", None),
        "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"
    );
    assert_ne!(
        of("SELECT 1;", None),
        of("SELECT 1;", Some(("b", "DROP TABLE a")))
    );
    assert_ne!(of("SELECT 1;", None), of("SELECT 1;\r\n", None));
}

#[test]
fn a_block_is_made_a_comment() {
    let text = "\u{feff}SELECT 1;\r\n--rollback start\r\n-- why\r\n\r\nDROP TABLE\r\n  a;\r\n-- ROLLBACK END\r\nSELECT 2;";
    let made = commented("m/2_b.sql", text, Postgres).unwrap();
    assert_eq!(
        made,
        "\u{feff}SELECT 1;\r\n--rollback start\r\n-- -- why\r\n\r\n-- DROP TABLE\r\n--   a;\r\n-- ROLLBACK END\r\nSELECT 2;"
    );
    assert_eq!(commented("m/2_b.sql", &made, Postgres).unwrap(), made);
    assert_eq!(
        commented("m/2_b.sql", "SELECT 1;", Postgres).unwrap(),
        "SELECT 1;"
    );
    // The text of a block may stand in the line of its mark too.
    let text = "-- ROLLBACK START\nT\n-- ROLLBACK END\n";
    assert_eq!(
        commented("a", text, Sqlite).unwrap(),
        "-- ROLLBACK START\n-- T\n-- ROLLBACK END\n"
    );
    let text = block("SELECT '\nROLLBACK END\n';");
    assert_eq!(
        commented("m/2_b.sql", &text, MySql)
            .unwrap_err()
            .to_string(),
        "m/2_b.sql:4: this line would look like a mark of the block if it were a comment"
    );
}

#[test]
fn names_and_versions_are_read_off_files() {
    assert_eq!(named(" 1_a.sql ").unwrap(), id("1_a"));
    assert_eq!(version(&id("20250120_a_b")), "20250120");
    assert_eq!(version(&id("v2_a")), "v2_a");
    for path in ["../a", "a/b", "a\\b", "..", "/a.sql"] {
        assert!(matches!(named(path), Err(NameError::Path(_))), "{path}");
    }
    for name in ["", ".sql", "-a", "a\0b", "a\nb"] {
        assert!(matches!(named(name), Err(NameError::NoName(_))), "{name:?}");
    }
}

#[test]
fn sections_of_other_tools_are_both_ways() {
    for text in [
        "-- migrate:up transaction:false\nCREATE TABLE a (b int);\n\n-- migrate:down\nDROP TABLE a;\n",
        "-- +goose Up\nCREATE TABLE a (b int);\n\n-- +goose Down\nDROP TABLE a;\n",
        "-- +migrate Up\nCREATE TABLE a (b int);\n\n--+migrate Down notransaction\nDROP TABLE a;\n",
    ] {
        for dialect in ALL {
            let file = read_as(text, dialect).unwrap();
            assert_eq!(file.up, "CREATE TABLE a (b int);\n\n", "{text}");
            let rollback = file.rollback.unwrap();
            assert_eq!(rollback.form, Form::Section);
            assert_eq!(rollback.sql, "DROP TABLE a;\n");
            assert_eq!((rollback.file.as_str(), rollback.line), ("m/2_b.sql", 5));
        }
        assert!(has_mark(text));
    }
    let routine = "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int AS $$ SELECT 1; $$;\n\
                   -- +goose StatementEnd\n-- +goose Down\n-- +goose StatementBegin\nDROP FUNCTION f();\n\
                   -- +goose StatementEnd\n";
    assert!(sql_of(routine).1.contains("DROP FUNCTION f();"));
    // What cannot be rolled back has an empty section.
    let nothing = "-- migrate:up\nSELECT 1;\n-- migrate:down\n\n";
    assert_eq!(read_as(nothing, Postgres).unwrap().rollback, None);
    assert!(!has_mark("-- migrate:up\nSELECT 1;\n"));
}

#[test]
fn sections_that_do_not_fit_are_refused() {
    for (text, reason) in [
        (
            "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2;\n",
            "m/2_b.sql:3: a second section \"up\" begins here",
        ),
        (
            "-- +goose Down\nSELECT 1;\n",
            "m/2_b.sql:1: there is no section \"up\" beside this one",
        ),
        (
            "-- why\nSELECT 1;\n-- migrate:up\nSELECT 2;\n",
            "m/2_b.sql:2: this stands before the first section, and belongs to none",
        ),
        (
            "-- migrate:up\nSELECT 1;\n-- ROLLBACK START\n-- SELECT 2;\n-- ROLLBACK END\n",
            "m/2_b.sql:1: there is a section here and a rollback block as well",
        ),
        (
            "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\nCOMMIT;\n",
            "m/2_b.sql:5: COMMIT in a rollback: it is run in a transaction of its own",
        ),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
    for (text, format) in [
        (
            "-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;\n",
            "node-pg-migrate",
        ),
        (
            "--liquibase formatted sql\nSELECT 1;\n--rollback SELECT 2;\n",
            "Liquibase",
        ),
        ("-- +goose Up\n-- +goose ENVSUB ON\nSELECT 1;\n", "goose"),
    ] {
        let said = refused(text);
        assert!(said.contains(format), "{said}");
        assert!(said.contains("-- ROLLBACK START"), "{said}");
    }
    let both = read(
        id("2_b"),
        "m/2_b.sql",
        "-- migrate:up\nSELECT 1;\n",
        Some(("m/2_b.down.sql", "SELECT 2;")),
        Sqlite,
    );
    assert_eq!(
        both.unwrap_err().to_string(),
        "m/2_b.sql:1: there is a section here and the file m/2_b.down.sql as well"
    );
}
