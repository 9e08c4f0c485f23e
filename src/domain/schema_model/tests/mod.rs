//! Lines as the servers' queries make them.

mod apply;
mod objects;

use super::*;
use crate::domain::operation::Family;
use crate::domain::schema::SchemaLines;

const POSTGRESQL: &[&str] = &[
    "table public.p",
    "column public.p.id integer not null default nextval('p_id_seq'::regclass)",
    "column public.p.u integer",
    "column public.p.w integer",
    "primary key public.p.p_pkey PRIMARY KEY (id)",
    "unique public.p.p_u_key UNIQUE (u)",
    "table public.t",
    "column public.t.id integer not null",
    "column public.t.a character varying(20) default 'x not null'::character varying",
    "column public.t.b integer",
    "column public.t.c integer",
    "column public.t.m mood",
    "primary key public.t.t_pkey PRIMARY KEY (id)",
    "unique public.t.uq UNIQUE (a, b)",
    "foreign key public.t.fk FOREIGN KEY (c) REFERENCES p(id) ON DELETE SET NULL",
    "check public.t.ck CHECK ((b > 0))",
    "index public.t CREATE INDEX ix ON public.t USING btree (c, lower((a)::text))",
    "type public.mood enum ('low', 'it''s')",
    "table public.\"My.Table\"",
    "column public.\"My.Table\".\"a b\" text",
    "view public.v SELECT t.a FROM t;",
    "sequence public.p_id_seq integer start 1",
    "something that is not known",
];

const MYSQL: &[&str] = &[
    "table p",
    "column p.id int(11) not null auto_increment",
    "column p.u int(11)",
    "column p.w int(11)",
    "primary key p (id)",
    "index p.u unique (u)",
    "table t",
    "column t.id int(11) not null",
    "column t.a varchar(20) collate utf8mb4_bin default 'x'",
    "column t.b int(11)",
    "column t.c int(11)",
    "primary key t (id)",
    "index t.uq unique (a(5), b desc)",
    "index t.ix (c)",
    "foreign key t.fk (c) to p (id) on delete set null",
    "check t.ck `b` > 0",
    "view v select `t`.`a` AS `a` from `t`",
    "table my.odd table",
    "column my.odd table.a b varchar(3)",
];

const SQLITE: &[&str] = &[
    "table p",
    "column p.id integer",
    "primary key p (id)",
    "table t strict",
    "column t.id integer",
    "column t.a varchar(20) not null default 'x'",
    "column t.b ",
    "column t.c integer",
    "primary key t (id)",
    "unique t (a, b)",
    "foreign key t (c) to p (id) on delete set null",
    "check t ck ( b > 0 )",
    "index t.ix unique ( c , lower ( a ) ) where b > 5",
    "table w",
    "column w.x integer",
    "column w.y integer",
    "view v select x from w",
];

const STATEMENTS: [(&str, &str); 3] = [
    ("p", "CREATE TABLE p (id integer primary key)"),
    (
        "t",
        "CREATE TABLE t (id integer primary key, a varchar(20) default 'x,(' not null, -- a, b\n b, \
         c integer, CONSTRAINT uq unique (a, b), constraint \"fk\" FOREIGN KEY(c) REFERENCES p (id), \
         CONSTRAINT ck CHECK (b > 0))",
    ),
    ("w", "CREATE TABLE w (x, y)"),
];

fn read(dialect: Dialect) -> SchemaModel {
    let (lines, schema) = match dialect {
        Dialect::Postgres => (POSTGRESQL, Some("public")),
        Dialect::MySql => (MYSQL, None),
        Dialect::Sqlite => (SQLITE, None),
    };
    let lines: SchemaLines = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut model = SchemaModel::read(&lines, dialect, schema);
    model.name_constraints(STATEMENTS);
    model
}

fn table(model: &SchemaModel, name: &str) -> Table {
    let key = model.key(&TableName::plain(name));
    Table::clone(&model.tables[&key])
}

#[test]
fn the_lines_of_each_server_are_read() {
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

/// Turns red if a line cut short anywhere stops the program.
#[test]
fn a_line_may_be_anything() {
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
        for line in POSTGRESQL.iter().chain(MYSQL).chain(SQLITE) {
            for end in 0..line.len() {
                let lines: SchemaLines =
                    ["table t", "table public.t", "column t.a text", &line[..end]]
                        .map(str::to_owned)
                        .into();
                let mut model = SchemaModel::read(&lines, dialect, Some("public"));
                model.name_constraints([("t", line.get(end..).unwrap_or_default())]);
            }
        }
        for (_, statement) in STATEMENTS {
            for end in 0..statement.len() {
                read(dialect).name_constraints([("t", &statement[..end])]);
            }
        }
    }
}
