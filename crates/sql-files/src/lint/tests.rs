use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::*;
use Dialect::{MySql, Postgres, Sqlite};

/// What each server takes.
const TAKEN: [(&str, Dialect, &dyn sqlparser::dialect::Dialect); 3] = [
    (
        include_str!("accepted/postgresql.sql"),
        Postgres,
        &PostgreSqlDialect {},
    ),
    (include_str!("accepted/mysql.sql"), MySql, &MySqlDialect {}),
    (
        include_str!("accepted/sqlite.sql"),
        Sqlite,
        &SQLiteDialect {},
    ),
];

fn fault_in(sql: &str, dialect: Dialect) -> Option<String> {
    let found = statements(sql, dialect).unwrap();
    found
        .iter()
        .find_map(|one| lint_statement(one, dialect))
        .map(|error| error.to_string())
}

/// Red where a rule refuses what a server takes. The figures are those that the module gives as its reason, and
/// change when the parser learns more.
#[test]
fn what_servers_take_is_not_refused() {
    let mut refused = Vec::new();
    for (sql, dialect, grammar) in TAKEN {
        let found = statements(sql, dialect).unwrap();
        for one in &found {
            assert_eq!(lint_statement(one, dialect), None, "{}", one.text);
        }
        let by_the_parser = |one: &&Statement| Parser::parse_sql(grammar, &one.text).is_err();
        refused.push((found.iter().filter(by_the_parser).count(), found.len()));
    }
    assert_eq!(refused, [(56, 107), (20, 42), (7, 27)]);
}

#[test]
fn conditions_of_the_other_direction_are_refused() {
    for sql in [
        "DROP INDEX CONCURRENTLY IF NOT EXISTS a",
        "drop materialized view if not exists a",
        "ALTER TABLE a DROP COLUMN b, DROP COLUMN IF NOT EXISTS c",
        "ALTER TABLE IF NOT EXISTS a ADD b int",
        "ALTER TABLE a ADD COLUMN IF EXISTS b int",
        "CREATE UNIQUE INDEX IF EXISTS a ON b (c)",
        "CREATE TABLE IF EXISTS a (b int)",
    ] {
        let said = fault_in(sql, Postgres).unwrap();
        assert!(said.contains("and no IF"), "{sql}: {said}");
    }
    for sql in [
        "DROP TABLE \"IF\"",
        "CREATE VIEW if AS SELECT 1",
        "CREATE FUNCTION if() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION a(int), b",
    ] {
        assert_eq!(fault_in(sql, Postgres), None, "{sql}");
    }
}

#[test]
fn a_statement_behind_one_without_an_end_is_found_in_its_line() {
    for dialect in [Postgres, MySql, Sqlite] {
        assert_eq!(
            fault_in("SELECT 1;\nDROP VIEW a\n\nDROP TABLE b;", dialect).unwrap(),
            "line 4: a statement begins here, and the one before it has no ; at its end"
        );
    }
}

#[test]
fn a_statement_in_a_comment_is_known() {
    for text in [
        " DROP TABLE a;",
        "DELETE FROM a WHERE b = 1;  ",
        "update a set b = 1;",
    ] {
        assert!(is_statement(text, Postgres), "{text}");
    }
    for text in [
        "DROP TABLE a",
        "Drop the table;",
        "Update everything first;",
        "see below;",
        "Delete old rows;",
        "the table;",
        "",
        ";",
        "it's;",
    ] {
        assert!(!is_statement(text, Postgres), "{text}");
    }
}
