use super::*;
use rollback_core::probe::Kind;
use rollback_sql::read_type;

const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite];

fn evil() -> TableName {
    TableName {
        schema: None,
        name: "a\"b`c'; DROP TABLE t; --".to_owned(),
    }
}

#[test]
fn questions_are_typed_as_a_person_would() {
    let table = TableName {
        schema: Some("public".to_owned()),
        name: "users".to_owned(),
    };
    let values = |default: Option<&str>| Question::Values {
        table: table.clone(),
        column: "email".to_owned(),
        default: default.map(str::to_owned),
    };
    let of = |question: &Question| query_of(Dialect::Postgres, question).unwrap();
    assert_eq!(
        of(&values(None)),
        "SELECT count(*) FROM \"public\".\"users\" WHERE \"email\" IS NOT NULL"
    );
    assert_eq!(
        of(&values(Some("'x'::text"))),
        "SELECT count(*) FROM \"public\".\"users\" WHERE \"email\" <> 'x'::text"
    );
    assert_eq!(of(&values(Some("now()"))), of(&values(None)));
    let narrower = Question::Misfits {
        table: TableName::plain("users"),
        column: "email".to_owned(),
        from: Kind(read_type("VARCHAR(255)", Dialect::Postgres)),
        to: Kind(read_type("VARCHAR(100)", Dialect::Postgres)),
    };
    assert_eq!(
        ALL.map(|dialect| query_of(dialect, &narrower).unwrap()),
        [
            "SELECT count(*) FROM \"users\" WHERE char_length(rtrim(\"email\", ' ')) > 100",
            "SELECT count(*) FROM `users` WHERE char_length(`email`) > 100",
            "SELECT count(*) FROM \"users\" WHERE length(\"users\".\"email\") > 100",
        ]
    );
}

/// Turns red if a name can end the statement that it stands in.
#[test]
fn a_name_stays_between_its_quotes() {
    let rows = Question::Rows { table: evil() };
    assert_eq!(
        ALL.map(|dialect| query_of(dialect, &rows).unwrap()),
        [
            "SELECT count(*) FROM \"a\"\"b`c'; DROP TABLE t; --\"",
            "SELECT count(*) FROM `a\"b``c'; DROP TABLE t; --`",
            "SELECT count(*) FROM \"a\"\"b`c'; DROP TABLE t; --\"",
        ]
    );
    let size = Question::Size { table: evil() };
    assert_eq!(
        query_of(Dialect::Postgres, &size).unwrap(),
        "SELECT pg_total_relation_size('\"a\"\"b`c''; DROP TABLE t; --\"'::regclass)"
    );
}

/// Turns red if a server is asked what only MySQL's kind of server knows, or about the table of another schema.
#[test]
fn what_a_change_of_columns_costs_is_asked_of_mysql_alone() {
    let question = Question::ColumnChange { table: evil() };
    assert_eq!(query_of(Dialect::Postgres, &question), None);
    assert_eq!(query_of(Dialect::Sqlite, &question), None);
    let query = query_of(Dialect::MySql, &question).unwrap();
    assert!(query.contains("table_schema = DATABASE()"), "{query}");
}

#[test]
fn a_backslash_means_nothing() {
    let texts = ALL.map(|dialect| literal(dialect, "a\\'").unwrap());
    assert_eq!(
        texts,
        ["E'a\\\\'''", "CONVERT(x'615c27' USING utf8mb4)", "'a\\'''"]
    );
    assert_eq!(literal(Dialect::Postgres, "a\0"), None);
}

#[test]
fn what_cannot_be_asked_is_not() {
    let violations = Question::Violations {
        table: evil(),
        condition: "1) OR (SELECT 1".to_owned(),
    };
    let orphans = Question::Orphans {
        table: evil(),
        columns: vec!["a".to_owned()],
        referent: evil(),
        referent_columns: Vec::new(),
    };
    for dialect in ALL {
        assert_eq!(query_of(dialect, &violations), None);
        assert_eq!(query_of(dialect, &orphans), None);
    }
}
