//! Rows as the servers' queries give them.

mod apply;
mod objects;

use super::*;
use rollback_core::operation::Family;

const POSTGRESQL: &[&str] = &[
    "default schema||||public",
    "table|public|p",
    "column|public|p|id|integer|not null|||nextval('p_id_seq'::regclass)",
    "column|public|p|u|integer",
    "column|public|p|w|integer",
    "primary key|public|p|p_pkey|id",
    "unique|public|p|p_u_key|u",
    "table|public|t",
    "column|public|t|id|integer|not null",
    "column|public|t|a|character varying(20)||||'x not null'::character varying",
    "column|public|t|b|integer",
    "column|public|t|c|integer",
    "column|public|t|m|mood",
    "primary key|public|t|t_pkey|id",
    "unique|public|t|uq|a",
    "unique|public|t|uq|b",
    "foreign key|public|t|fk|c|SET NULL|public|p|id",
    "check|public|t|ck|(b > 0)",
    "index|public|t|ix|c",
    "index|public|t|ix|",
    "enum|public|mood||low",
    "enum|public|mood||it's",
    "table|public|My.Table",
    "column|public|My.Table|a b|text",
    "view|public|v||SELECT t.a FROM t;",
    "view column|public|v||||public|t|a",
    "something that is not known|public|t",
];

const MYSQL: &[&str] = &[
    "server||||MariaDB",
    "table||p",
    "column||p|id|int(11)|not null|||auto_increment",
    "column||p|u|int(11)",
    "column||p|w|int(11)",
    "primary key||p|PRIMARY|id|unique",
    "index||p|u|u|unique",
    "table||t",
    "column||t|id|int(11)|not null",
    "column||t|a|varchar(20)||||'x'",
    "column||t|b|int(11)",
    "column||t|c|int(11)",
    "primary key||t|PRIMARY|id|unique",
    "index||t|uq|a|unique",
    "index||t|uq|b|unique",
    "index||t|ix|c",
    "foreign key||t|fk|c|SET NULL||p|id",
    "check||t|ck|`b` > 0",
    "view||v||select `t`.`a` AS `a` from `t`",
    "table||my.odd table",
    "column||my.odd table|a b|varchar(3)",
];

const SQLITE: &[&str] = &[
    "table||p||CREATE TABLE p (id integer primary key)",
    "statement||p||CREATE TABLE p (id integer primary key)",
    "column||p|id|integer",
    "primary key||p||id",
    "table||t",
    "column||t|id|integer",
    "column||t|a|varchar(20)|not null|||'x,('",
    "column||t|b",
    "column||t|c|integer",
    "primary key||t||id",
    "unique||t|sqlite_autoindex_t_1|a",
    "unique||t|sqlite_autoindex_t_1|b",
    "foreign key||t|0|c|SET NULL||p|id",
    "index||t|ix|c|unique",
    "index||t|ix||unique",
    STATEMENT,
    "table||w",
    "column||w|x|integer",
    "column||w|y|integer",
    "statement||w||CREATE TABLE w (x, y)",
    "view||v||CREATE VIEW v AS select x from w",
];

const STATEMENT: &str = "statement||t||CREATE TABLE t (id integer primary key, \
     a varchar(20) default 'x,(' not null, -- a, b\n b, c integer, CONSTRAINT uq unique (a, b), \
     constraint \"fk\" FOREIGN KEY(c) REFERENCES p (id), CONSTRAINT ck CHECK (b > 0)) strict";

fn read(dialect: Dialect) -> SchemaModel {
    let rows = match dialect {
        Dialect::Postgres => POSTGRESQL,
        Dialect::MySql => MYSQL,
        Dialect::Sqlite => SQLITE,
    };
    SchemaModel::of_text(dialect, rows)
}

fn table(model: &SchemaModel, name: &str) -> Table {
    let key = model.key(&TableName::plain(name));
    Table::clone(&model.tables[&key])
}

#[test]
fn the_rows_of_each_server_are_read() {
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
        let model = read(dialect);
        let t = table(&model, "t");
        let columns: Vec<&str> = t.columns.keys().map(String::as_str).collect();
        assert!(
            columns.starts_with(&["a", "b", "c"]),
            "{dialect:?}: {columns:?}"
        );
        let a = t.columns["a"].kind.clone().unwrap();
        assert_eq!(
            (a.family, a.length),
            (Family::String, Some(20)),
            "{dialect:?}"
        );
        assert!(t.columns["a"].default.as_ref().unwrap().starts_with("'x"));
        assert!(!t.columns["id"].nullable || dialect == Dialect::Sqlite);
        assert_eq!(t.primary_key.unwrap().columns, ["id"]);
        let key = &t.foreign_keys[0];
        assert_eq!(key.name, Name::Known("fk".to_owned()));
        assert_eq!(key.referent.name, "p");
        assert_eq!(key.referent_columns, ["id"]);
        assert_eq!(key.on_delete.as_deref(), Some("SET NULL"));
        assert_eq!(t.checks[0].name, Name::Known("ck".to_owned()));
        let unique = if dialect == Dialect::MySql {
            let index = t.indexes.iter().find(|index| index.unique).unwrap();
            assert_eq!(index.columns, [Some("a".to_owned()), Some("b".to_owned())]);
            index.name.clone()
        } else {
            assert_eq!(t.uniques[0].columns, ["a", "b"]);
            t.uniques[0].name.clone()
        };
        assert_eq!(unique, Name::Known("uq".to_owned()), "{dialect:?}");
        let index = t
            .indexes
            .iter()
            .find(|index| index.name.known() == Some("ix"))
            .unwrap();
        assert_eq!(index.columns[0].as_deref(), Some("c"));
        assert_eq!(
            index.columns.get(1),
            if dialect == Dialect::MySql {
                None
            } else {
                Some(&None)
            }
        );
        assert_eq!(model.views.len(), 1);
    }
}

#[test]
fn names_with_points_and_spaces_are_read() {
    let model = read(Dialect::Postgres);
    assert!(table(&model, "My.Table").columns.contains_key("a b"));
    assert!(
        table(&read(Dialect::MySql), "my.odd table")
            .columns
            .contains_key("a b")
    );
    let m = table(&model, "t").columns["m"].kind.clone().unwrap();
    assert_eq!(
        (m.family, m.values),
        (Family::Enum, vec!["low".to_owned(), "it's".to_owned()])
    );
}

/// Turns red if a row cut short anywhere stops the program.
#[test]
fn a_row_may_be_anything() {
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
        for row in POSTGRESQL.iter().chain(MYSQL).chain(SQLITE) {
            for end in 0..row.len() {
                let rows = [
                    "table||t",
                    "table|public|t",
                    "column||t|a|text",
                    "column|public|t|a|text",
                    &row[..end],
                ];
                SchemaModel::of_text(dialect, &rows);
            }
        }
    }
}
