//! Statements as migrations write them.

use super::*;
use Dialect::{MySql, Postgres, Sqlite};
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, Constraint, IndexRows, Name, RowChange, SchemaObject,
    UniqueScope,
};

/// The effects of a text, in short; `{}` is a hole.
fn read(text: &str, dialect: Dialect) -> Vec<String> {
    let mut pieces = Vec::new();
    for (number, piece) in text.split("{}").enumerate() {
        if number > 0 {
            pieces.push(None);
        }
        pieces.push(Some(piece.to_owned()));
    }
    take_apart(&pieces, dialect).iter().map(short).collect()
}

fn short(effect: &Effect) -> String {
    match effect {
        Effect::EndsTransaction => "ends transaction".to_owned(),
        Effect::Operation(operation) => operation_in_short(operation),
    }
}

fn flags(flags: &[(&str, bool)]) -> String {
    let set = flags.iter().filter(|(_, set)| *set);
    set.map(|(name, _)| format!(" {name}")).collect()
}

fn named(name: &Name) -> &str {
    match name {
        Name::Known(name) => name,
        Name::Unnamed => "-",
        Name::Unknown => "?",
    }
}

fn column(it: &ColumnDefinition) -> String {
    let kind = it
        .kind
        .as_ref()
        .map_or("?".to_owned(), |kind| format!("{:?}", kind.family));
    let default = it
        .server_default
        .as_ref()
        .map(|sql| format!(" default {sql}"));
    let references: String = it
        .foreign_keys
        .iter()
        .map(|to| format!(" -> {}({})", to.table, to.columns.join(",")))
        .collect();
    format!(
        "{}:{kind}{}{}{references}",
        it.name,
        flags(&[
            ("not null", !it.nullable),
            ("key", it.primary_key),
            ("unique", it.unique)
        ]),
        default.unwrap_or_default()
    )
}

/// Which rows a unique key compares.
fn alike(rows: &UniqueScope) -> String {
    let among = match &rows.among {
        IndexRows::All => String::new(),
        IndexRows::Where(condition) => format!(" among {condition}"),
        IndexRows::Unknown => " among some".to_owned(),
    };
    let nulls = if rows.nulls { " nulls alike" } else { "" };
    let in_part = if rows.in_part { " in part" } else { "" };
    format!("{among}{nulls}{in_part}")
}

fn constraint(it: &Constraint) -> String {
    match it {
        Constraint::PrimaryKey { name, columns } => {
            format!("primary {}({})", named(name), columns.join(","))
        }
        Constraint::Unique {
            name,
            columns,
            alike: rows,
        } => {
            format!(
                "unique {}({}){}",
                named(name),
                columns.join(","),
                alike(rows)
            )
        }
        Constraint::ForeignKey {
            columns,
            references,
            not_valid,
        } => format!(
            "foreign {}({}) -> {}({}){}{}",
            named(&references.name),
            columns.join(","),
            references.table,
            references.columns.join(","),
            references
                .on_delete
                .as_ref()
                .map(|it| format!(" {it}"))
                .unwrap_or_default(),
            flags(&[("not valid", *not_valid)])
        ),
        Constraint::Check {
            name, condition, ..
        } => {
            format!(
                "check {}({})",
                named(name),
                condition.as_deref().unwrap_or("?")
            )
        }
    }
}

fn change(it: &ColumnChange) -> String {
    let mut told = Vec::new();
    if it.changes_type {
        let kind = it.kind.as_ref().map_or("?", |kind| kind.written.as_str());
        told.push(format!("type {kind}"));
    }
    told.extend(
        it.nullable
            .map(|it| if it { "null" } else { "not null" }.to_owned()),
    );
    told.extend(it.server_default.as_ref().map(|it| {
        it.as_ref()
            .map_or("no default".to_owned(), |sql| format!("default {sql}"))
    }));
    told.extend(it.new_name.as_ref().map(|name| format!("to {name}")));
    told.extend(it.using.as_ref().map(|sql| format!("using {sql}")));
    told.join(", ")
}

fn operation_in_short(operation: &Operation) -> String {
    match operation {
        Operation::Sql { .. } => "unknown".to_owned(),
        Operation::CreateTable {
            table,
            columns,
            constraints,
            if_not_exists,
        } => {
            let parts: Vec<String> = columns
                .iter()
                .map(column)
                .chain(constraints.iter().map(constraint))
                .collect();
            format!(
                "create table {table}{} ({})",
                flags(&[("if not exists", *if_not_exists)]),
                parts.join("; ")
            )
        }
        Operation::DropTable {
            table,
            if_exists,
            cascade,
        } => {
            format!(
                "drop table {table}{}",
                flags(&[("if exists", *if_exists), ("cascade", *cascade)])
            )
        }
        Operation::RenameTable { table, to } => format!("rename {table} to {to}"),
        Operation::AddColumn {
            table,
            column: it,
            if_not_exists,
        } => {
            format!(
                "add {table}.{}{}",
                column(it),
                flags(&[("if not exists", *if_not_exists)])
            )
        }
        Operation::DropColumn {
            table,
            column,
            if_exists,
            cascade,
        } => {
            format!(
                "drop {table}.{column}{}",
                flags(&[("if exists", *if_exists), ("cascade", *cascade)])
            )
        }
        Operation::AlterColumn {
            table,
            column,
            change: it,
        } => format!("alter {table}.{column}: {}", change(it)),
        Operation::CreateIndex {
            name,
            table,
            columns,
            unique,
            alike: rows,
            concurrently,
            if_not_exists,
        } => {
            let columns: Vec<&str> = columns
                .iter()
                .map(|it| it.as_deref().unwrap_or("?"))
                .collect();
            format!(
                "index {} on {table}({}){}{}",
                named(name),
                columns.join(","),
                alike(rows),
                flags(&[
                    ("unique", *unique),
                    ("concurrently", *concurrently),
                    ("if not exists", *if_not_exists)
                ])
            )
        }
        Operation::DropIndex {
            name,
            table,
            concurrently,
            if_exists,
        } => format!(
            "drop index {}{}{}",
            named(name),
            table
                .as_ref()
                .map(|table| format!(" on {table}"))
                .unwrap_or_default(),
            flags(&[("concurrently", *concurrently), ("if exists", *if_exists)])
        ),
        Operation::AddConstraint {
            table,
            constraint: it,
        } => format!("add to {table}: {}", constraint(it)),
        Operation::DropConstraint {
            table,
            name,
            kind,
            if_exists,
            cascade,
        } => format!(
            "drop from {table}: {}{}{}",
            named(name),
            kind.map(|kind| format!(" {kind:?}")).unwrap_or_default(),
            flags(&[("if exists", *if_exists), ("cascade", *cascade)])
        ),
        Operation::ChangeRows {
            change,
            table,
            columns,
            conditional,
            ..
        } => format!(
            "{} {}({}){}",
            match change {
                RowChange::Insert => "insert",
                RowChange::Update => "update",
                RowChange::Delete => "delete",
                RowChange::Some => "change",
            },
            table.as_ref().map_or("?".to_owned(), ToString::to_string),
            columns.join(","),
            flags(&[("some", *conditional)])
        ),
        Operation::ReadRows { table, columns } => {
            format!(
                "read {}({})",
                table.as_ref().map_or("?".to_owned(), ToString::to_string),
                columns.join(",")
            )
        }
        Operation::CreateTableAs {
            table,
            source,
            columns,
            if_not_exists,
        } => {
            let columns = columns.iter().flatten();
            let columns: Vec<String> = columns.map(|(from, to)| format!("{from}>{to}")).collect();
            format!(
                "table {table} from {}({}){}",
                source.as_ref().map_or("?".to_owned(), ToString::to_string),
                columns.join(","),
                flags(&[("if not exists", *if_not_exists)])
            )
        }
        Operation::CopyRows { from, to, columns } => format!(
            "copy {from}({}) to {to}",
            columns.as_ref().map_or("*".to_owned(), |all| all.join(","))
        ),
        Operation::RenameIndex {
            name,
            to,
            if_exists,
        } => format!(
            "rename index {name} to {to}{}",
            flags(&[("if exists", *if_exists)])
        ),
        Operation::CreateObject { object, may_exist } => format!(
            "make {}{}",
            object_in_short(object),
            flags(&[("may exist", *may_exist)])
        ),
        Operation::DropObject { object } => format!("drop {}", object_in_short(object)),
        Operation::ChangeRights { loosens, .. } => {
            if *loosens { "loosen" } else { "tighten" }.to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn object_in_short(object: &SchemaObject) -> String {
    let arguments = object
        .arguments
        .iter()
        .flatten()
        .map(|words| words.join(" "));
    let arguments: Vec<String> = arguments.collect();
    let on = object.table.iter().map(|table| format!(" on {table}"));
    format!(
        "{:?} {}({}){}",
        object.kind,
        object.name,
        arguments.join(","),
        on.collect::<String>()
    )
}

fn all(dialect: Dialect, cases: &[(&str, &[&str])]) {
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = read(text, dialect);
        if found != *expected {
            wrong.push_str(&format!(
                "{text}\n     is {found:?}\n not as {expected:?}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{dialect:?}\n{wrong}");
}

#[test]
fn tables() {
    all(
        Postgres,
        &[
            (
                "CREATE TABLE Users (id SERIAL PRIMARY KEY, \"Name\" varchar(20) NOT NULL DEFAULT 'x', org int REFERENCES orgs(id) ON DELETE CASCADE, CONSTRAINT u UNIQUE (org, \"Name\"), CHECK (org > 0))",
                &[
                    "create table users (id:Integer not null key default serial; Name:String not null default 'x'; org:Integer -> orgs(id); unique u(org,Name); check -(org > 0))",
                ],
            ),
            (
                "create table if not exists a.b (x int, primary key (x))",
                &["create table a.b if not exists (x:Integer not null key; primary -(x))"],
            ),
            ("CREATE TABLE a AS SELECT 1", &["table a from ?()"]),
            ("CREATE TABLE a (LIKE b)", &["unknown"]),
            (
                "CREATE TABLE a (b int) PARTITION BY RANGE (b)",
                &["create table a (b:Integer)"],
            ),
            (
                "DROP TABLE IF EXISTS a, s.b CASCADE",
                &[
                    "drop table a if exists cascade",
                    "drop table s.b if exists cascade",
                ],
            ),
            ("ALTER TABLE a RENAME TO b", &["rename a to b"]),
            (
                "ALTER TABLE ONLY a ADD COLUMN IF NOT EXISTS b timestamptz DEFAULT now()",
                &["add a.b:DateTime default now() if not exists"],
            ),
            (
                "ALTER TABLE a ADD b int NOT NULL UNIQUE CHECK (b > 1), DROP COLUMN IF EXISTS c CASCADE, DROP d",
                &[
                    "add a.b:Integer not null unique",
                    "add to a: check -(b > 1)",
                    "drop a.c if exists cascade",
                    "drop a.d",
                ],
            ),
            (
                "ALTER TABLE a ALTER COLUMN b TYPE varchar(10) USING b::varchar(10), ALTER c SET NOT NULL, ALTER COLUMN d DROP NOT NULL, ALTER e SET DEFAULT 1, ALTER f DROP DEFAULT",
                &[
                    "alter a.b: type VARCHAR(10), using b::VARCHAR(10)",
                    "alter a.c: not null",
                    "alter a.d: null",
                    "alter a.e: default 1",
                    "alter a.f: no default",
                ],
            ),
            ("ALTER TABLE a RENAME COLUMN b TO c", &["alter a.b: to c"]),
            ("ALTER TABLE a RENAME b TO c", &["alter a.b: to c"]),
            (
                "ALTER TABLE a ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES s.c (d) ON DELETE SET NULL NOT VALID",
                &["add to a: foreign k(b) -> s.c(d) SET NULL not valid"],
            ),
            (
                "ALTER TABLE a ADD PRIMARY KEY (b), ADD CONSTRAINT c CHECK (d IN (1, 2))",
                &["add to a: primary -(b)", "add to a: check c(d IN (1, 2))"],
            ),
            (
                "ALTER TABLE a ADD CONSTRAINT k UNIQUE USING INDEX i",
                &["unknown"],
            ),
            (
                "ALTER TABLE a DROP CONSTRAINT IF EXISTS \"K\" CASCADE",
                &["drop from a: K if exists cascade"],
            ),
            (
                "ALTER TABLE IF EXISTS a DROP COLUMN b",
                &["drop a.b if exists"],
            ),
            ("ALTER TABLE IF EXISTS a ADD COLUMN b int", &["unknown"]),
            ("ALTER TABLE a RENAME CONSTRAINT b TO c", &["unknown"]),
            ("ALTER TABLE a SET (fillfactor = 70)", &[]),
        ],
    );
    all(
        MySql,
        &[
            (
                "CREATE TABLE `a` (`id` int(11) NOT NULL AUTO_INCREMENT, `b` enum('x','y') DEFAULT NULL, PRIMARY KEY (`id`), KEY `i` (`b`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
                &[
                    "create table a (id:Integer not null key default AUTO_INCREMENT; b:Enum; primary -(id))",
                    "index i on a(b)",
                ],
            ),
            (
                "ALTER TABLE a MODIFY COLUMN b VARCHAR(10) NOT NULL DEFAULT 'x'",
                &["alter a.b: type VARCHAR(10), not null, default 'x'"],
            ),
            (
                "ALTER TABLE a MODIFY b int",
                &["alter a.b: type INT, null, no default"],
            ),
            (
                "ALTER TABLE a CHANGE COLUMN b c BIGINT UNSIGNED NULL",
                &["alter a.b: type BIGINT UNSIGNED, null, no default, to c"],
            ),
            (
                "ALTER TABLE a DROP FOREIGN KEY k, DROP INDEX i, DROP PRIMARY KEY",
                &[
                    "drop from a: k ForeignKey",
                    "drop index i on a",
                    "drop from a: PRIMARY PrimaryKey",
                ],
            ),
            (
                "ALTER TABLE a ADD INDEX i (b), ADD UNIQUE KEY u (c), ALGORITHM=INPLACE",
                &["index i on a(b)", "add to a: unique u(c)"],
            ),
            (
                "RENAME TABLE a TO b, c TO d",
                &["rename a to b", "rename c to d"],
            ),
        ],
    );
    all(
        Sqlite,
        &[
            (
                "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT)",
                &["create table a (id:Integer not null key default rowid; b:Text)"],
            ),
            (
                "CREATE TABLE a (id INTEGER NOT NULL, b, PRIMARY KEY (id))",
                &["create table a (id:Integer not null key default rowid; b:Other; primary -(id))"],
            ),
            ("ALTER TABLE a DROP COLUMN b", &["drop a.b"]),
        ],
    );
}

#[test]
fn indexes_types_and_views() {
    all(
        Postgres,
        &[
            (
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a USING btree (b, lower(c), d DESC) WHERE b > 1",
                &["index i on a(b,?,d) among b > 1 in part unique concurrently if not exists"],
            ),
            ("CREATE INDEX ON a (b)", &["index - on a(b)"]),
            (
                "DROP INDEX CONCURRENTLY IF EXISTS s.i",
                &["drop index i concurrently if exists"],
            ),
            ("DROP INDEX i, j", &["drop index i", "drop index j"]),
            (
                "CREATE TYPE mood AS ENUM ('a', 'b')",
                &[
                    "CreateEnum { name: TableName { schema: None, name: \"mood\" }, values: [\"a\", \"b\"], if_not_exists: false }",
                ],
            ),
            (
                "DROP TYPE IF EXISTS mood",
                &[
                    "DropType { name: TableName { schema: None, name: \"mood\" }, if_exists: true, cascade: false }",
                ],
            ),
            (
                "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'c' AFTER 'b'",
                &[
                    "AddEnumValue { name: TableName { schema: None, name: \"mood\" }, value: \"c\", if_not_exists: true }",
                ],
            ),
            (
                "ALTER TYPE mood RENAME TO mood_old",
                &[
                    "RenameType { name: TableName { schema: None, name: \"mood\" }, to: \"mood_old\" }",
                ],
            ),
            ("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", &["unknown"]),
            (
                "CREATE OR REPLACE VIEW v AS SELECT 1",
                &[
                    "CreateView { name: TableName { schema: None, name: \"v\" }, or_replace: true, query: Some(\"SELECT 1\") }",
                ],
            ),
            (
                "DROP MATERIALIZED VIEW v CASCADE",
                &[
                    "DropView { name: TableName { schema: None, name: \"v\" }, if_exists: false, cascade: true }",
                ],
            ),
        ],
    );
    all(
        MySql,
        &[
            ("CREATE INDEX i ON a (b(20))", &["index i on a(b) in part"]),
            ("DROP INDEX i ON a", &["drop index i on a"]),
            (
                "DROP VIEW IF EXISTS v",
                &[
                    "DropView { name: TableName { schema: None, name: \"v\" }, if_exists: true, cascade: false }",
                ],
            ),
        ],
    );
}

#[test]
fn rows() {
    all(
        Postgres,
        &[
            (
                "INSERT INTO a (b, c) VALUES (1, 'x'), (2, 'y;z')",
                &["insert a(b,c)"],
            ),
            (
                "INSERT INTO a SELECT b FROM c WHERE d",
                &["read c(b)", "insert a() some"],
            ),
            (
                "INSERT INTO a (b) VALUES (1) ON CONFLICT DO NOTHING",
                &["change a(b) some"],
            ),
            ("UPDATE a SET b = 1, c = NULL", &["update a(b,c)"]),
            (
                "UPDATE s.a AS t SET b = x.b FROM x WHERE x.id = t.id",
                &["update s.a(b) some"],
            ),
            (
                "UPDATE a SET (b, c) = (1, 2) WHERE d = :d",
                &["update a(b,c) some"],
            ),
            ("DELETE FROM a", &["delete a()"]),
            (
                "DELETE FROM a USING b WHERE a.x = b.x",
                &["read b()", "delete a() some"],
            ),
            ("TRUNCATE a, b", &["delete a()", "delete b()"]),
            ("TRUNCATE TABLE a CASCADE", &["unknown"]),
            (
                "WITH x AS (SELECT 1 AS id) UPDATE a SET b = 1 WHERE id IN (SELECT id FROM x)",
                &["update a(b) some"],
            ),
            (
                "WITH x AS (DELETE FROM b RETURNING id) INSERT INTO a SELECT id FROM x",
                &["unknown"],
            ),
            (
                "SELECT id, name AS n, count(*) FROM users WHERE x = 1",
                &["read users(id,name)"],
            ),
            (
                "SELECT a.id FROM a JOIN b ON a.id = b.id",
                &["read a()", "read b()"],
            ),
            ("SELECT 1", &[]),
            ("SELECT id FROM (SELECT 1) AS x", &["read ?()"]),
            ("SELECT create_hypertable('a', 'b')", &["unknown"]),
            ("SELECT id FROM a FOR UPDATE", &["read a(id)"]),
        ],
    );
    all(
        MySql,
        &[
            ("UPDATE a JOIN b ON a.id = b.id SET a.x = b.x", &["unknown"]),
            (
                "UPDATE a INNER JOIN b ON a.id = b.id SET x = 1",
                &["read b()", "update a(x) some"],
            ),
            (
                "DELETE t FROM a t JOIN b ON t.id = b.id",
                &["delete a() some"],
            ),
            ("REPLACE INTO a (b) VALUES (1)", &["change a(b)"]),
            ("INSERT IGNORE INTO a SET b = 1", &["insert a(b) some"]),
        ],
    );
    all(
        Sqlite,
        &[
            ("INSERT OR REPLACE INTO a VALUES (1)", &["change a() some"]),
            ("SELECT \"x\", y FROM a", &["read a(y)"]),
        ],
    );
}

#[test]
fn rights_and_what_has_no_effect() {
    all(
        Postgres,
        &[
            ("GRANT SELECT ON a TO b", &["loosen"]),
            ("REVOKE ALL ON TABLE a FROM PUBLIC", &["tighten"]),
            (
                "ALTER DEFAULT PRIVILEGES IN SCHEMA a REVOKE ALL ON TABLES FROM b",
                &["tighten"],
            ),
            ("EXPLAIN DELETE FROM a; EXPLAIN (COSTS) DELETE FROM a", &[]),
            (
                "EXPLAIN ANALYZE DELETE FROM a; EXPLAIN (ANALYZE) DELETE FROM a",
                &["unknown", "unknown"],
            ),
            (
                "SELECT pg_catalog.set_config('search_path', '', false)",
                &[],
            ),
            ("SELECT set_config('a', '', false), f()", &["unknown"]),
            ("DROP TABLE; RENAME TABLE", &["unknown", "unknown"]),
            (
                "CREATE POLICY p ON a FOR SELECT USING (true)",
                &["loosen", "make Policy p() on a"],
            ),
            (
                "CREATE POLICY p ON a AS RESTRICTIVE USING (x)",
                &["tighten"],
            ),
            ("ALTER TABLE a DISABLE ROW LEVEL SECURITY", &["loosen"]),
            ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", &["tighten"]),
            (
                "DROP EXTENSION IF EXISTS pgcrypto",
                &["drop Extension pgcrypto()"],
            ),
            ("DROP EXTENSION postgis CASCADE", &["unknown"]),
            ("COMMENT ON COLUMN a.b IS 'x'", &[]),
            ("SET lock_timeout = '5s'; SET LOCAL search_path TO x", &[]),
            (
                "ANALYZE a; LOCK TABLE a IN ACCESS EXCLUSIVE MODE; VACUUM a; REINDEX TABLE a",
                &[],
            ),
            (
                "BEGIN; DROP TABLE a; COMMIT",
                &["drop table a", "ends transaction"],
            ),
            (
                "SAVEPOINT x; ROLLBACK TO SAVEPOINT x; ROLLBACK",
                &["ends transaction"],
            ),
            (
                "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"",
                &["make Extension uuid-ossp() may exist"],
            ),
        ],
    );
    all(
        MySql,
        &[(
            "START TRANSACTION; SET FOREIGN_KEY_CHECKS = 0; LOCK TABLES a WRITE; UNLOCK TABLES",
            &["ends transaction"],
        )],
    );
    all(Sqlite, &[("PRAGMA foreign_keys=OFF", &[])]);
}

#[test]
fn several_statements_and_routines() {
    all(
        Postgres,
        &[
            (
                "DROP TABLE a; nonsense here; DROP TABLE b;",
                &["drop table a", "unknown", "drop table b"],
            ),
            (
                "-- a comment; with a point\nDROP TABLE a; /* DROP TABLE c; */",
                &["drop table a"],
            ),
            (
                "DO $$ BEGIN DROP TABLE a; END $$; DROP TABLE b",
                &["unknown", "drop table b"],
            ),
            (
                "CREATE FUNCTION f() RETURNS trigger AS $x$ BEGIN DELETE FROM a; RETURN NEW; END; $x$ LANGUAGE plpgsql; DROP TABLE b",
                &["make Function f()", "drop table b"],
            ),
            ("DROP TABLE 'unclosed", &["unknown"]),
            ("", &[]),
            (" ; ;", &[]),
        ],
    );
    all(
        MySql,
        &[
            (
                "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN DELETE FROM b; DROP TABLE c; END; DROP TABLE d",
                &["make Trigger t() on a", "drop table d"],
            ),
            (
                "BEGIN NOT ATOMIC DELETE FROM a; END; DROP TABLE b",
                &["unknown", "drop table b"],
            ),
            (
                "/*!50003 DROP TABLE a */; ALTER TABLE b DROP c /*!80000 , DROP d */",
                &["drop table a", "drop b.c", "drop b.d"],
            ),
            ("DROP TEMPORARY TABLE a", &[]),
            ("USE b", &["unknown"]),
        ],
    );
    all(
        Sqlite,
        &[
            (
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END; DROP TABLE c",
                &["make Trigger t() on a", "drop table c"],
            ),
            (
                "CREATE TABLE \"trigger\" (a int); DROP TABLE c",
                &["create table trigger (a:Integer)", "drop table c"],
            ),
        ],
    );
}

#[test]
fn holes() {
    all(
        Postgres,
        &[
            ("DROP TABLE {}", &["unknown"]),
            ("DROP TABLE a {}", &["unknown"]),
            (
                "DROP TABLE {}_old; DROP TABLE b",
                &["unknown", "drop table b"],
            ),
            (
                "ALTER TABLE a ALTER COLUMN b TYPE varchar({})",
                &["unknown"],
            ),
            ("UPDATE a SET b = '{}' WHERE c = {}", &["update a(b) some"]),
            ("UPDATE a SET {} = 1", &["unknown"]),
            ("DELETE FROM a WHERE id IN ({})", &["delete a() some"]),
            ("INSERT INTO a (b) VALUES ('{}', {})", &["insert a(b)"]),
            ("INSERT INTO a (b) {}", &["unknown"]),
            ("SELECT id FROM a WHERE {} = 1", &["read a(id)"]),
            ("SELECT {} FROM a", &["unknown"]),
            (
                "ALTER TABLE a ADD CHECK (b > {})",
                &["add to a: check -(?)"],
            ),
            (
                "ALTER TABLE a ADD b int DEFAULT '{}'",
                &["add a.b:Integer default '{...}'"],
            ),
            ("{}", &["unknown"]),
        ],
    );
    let whole = take_apart(
        &[
            Some("DROP TABLE ".into()),
            None,
            Some(" CASCADE; DROP TABLE b".into()),
        ],
        Postgres,
    );
    let first = Operation::Sql {
        text: vec![Some("DROP TABLE ".into()), None, Some(" CASCADE".into())],
    };
    assert_eq!(whole[0], Effect::of(first));
    let told = take_apart(&[Some("UPDATE a SET b = ".into()), None], Sqlite);
    assert!(
        format!("{told:?}").contains("UPDATE a SET b = {...}"),
        "{told:?}"
    );
}

/// Turns red, by the death of the test, where a shape of nesting is not bounded.
#[test]
fn hostile_statements_are_unknown_and_never_the_end() {
    for times in [100, 900, 15_000] {
        for text in [
            format!("SELECT {}1{}", "(".repeat(times), ")".repeat(times)),
            format!("SELECT 1{}", " + 1".repeat(times)),
            format!("SELECT {} 1", "NOT ".repeat(times)),
            format!("SELECT 1{}", " UNION SELECT 1".repeat(times)),
            format!(
                "SELECT {}1{}",
                "CASE WHEN 1 THEN ".repeat(times),
                " END".repeat(times)
            ),
            format!(
                "DELETE FROM a WHERE b IN {}",
                "(SELECT b FROM c WHERE d IN ".repeat(times)
            ),
            format!("SELECT a{}", "[1]".repeat(times)),
            format!("SELECT a{}", "::int".repeat(times)),
            format!("SELECT 1{}", " AND f(1, 2)".repeat(times)),
            "(".repeat(times),
            "'".repeat(times),
            "$a$".repeat(times),
            "/*".repeat(times),
            "BEGIN ".repeat(times),
        ] {
            for dialect in [Postgres, MySql, Sqlite] {
                read(&text, dialect);
            }
        }
    }
    let rows = ", (1, 'a')".repeat(50_000);
    assert_eq!(
        read(&format!("INSERT INTO a VALUES (1, 'a'){rows}"), Postgres),
        ["insert a()"]
    );
}

#[test]
fn objects_besides_tables() {
    all(
        Postgres,
        &[
            (
                "CREATE OR REPLACE FUNCTION \"S\".Touch(n numeric(5, 2) DEFAULT 1) RETURNS trigger AS $$ BEGIN; END $$ LANGUAGE plpgsql",
                &["make Function S.touch(n numeric ( 5 , 2 ) default 1) may exist"],
            ),
            (
                "DROP FUNCTION IF EXISTS f, g(int, text) RESTRICT",
                &["drop Function f()", "drop Function g(int,text)"],
            ),
            ("DROP FUNCTION f CASCADE", &["unknown"]),
            (
                "CREATE CONSTRAINT TRIGGER t AFTER UPDATE OF a ON auth.users DEFERRABLE FOR EACH ROW EXECUTE FUNCTION f()",
                &["make Trigger t() on auth.users"],
            ),
            (
                "DROP TRIGGER t ON users CASCADE",
                &["drop Trigger t() on users"],
            ),
            (
                "CREATE POLICY \"own; rows\" ON a USING (true)",
                &["loosen", "make Policy own; rows() on a"],
            ),
            ("CREATE POLICY p ON a AS RESTRICTIVE", &["tighten"]),
            ("DROP POLICY IF EXISTS p ON a", &["drop Policy p() on a"]),
            ("CREATE TYPE pair AS (a int, b int)", &["make Type pair()"]),
            (
                "DROP EXTENSION IF EXISTS citext, hstore",
                &["drop Extension citext()", "drop Extension hstore()"],
            ),
            (
                "ALTER PUBLICATION p ADD TABLE ONLY a, b (x, y) WHERE (x > 1)",
                &[
                    "loosen",
                    "make PublishedTable p() on a",
                    "loosen",
                    "make PublishedTable p() on b",
                ],
            ),
            (
                "ALTER PUBLICATION p DROP TABLE a",
                &["drop PublishedTable p() on a"],
            ),
            ("ALTER PUBLICATION p OWNER TO b", &["unknown"]),
            (
                "ALTER INDEX IF EXISTS s.i RENAME TO J",
                &["rename index s.i to j if exists"],
            ),
            ("DROP FUNCTION {}()", &["unknown"]),
            (
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; DROP TABLE a",
                &["make Function f()", "drop table a"],
            ),
            ("CREATE CAST (a AS b) WITH FUNCTION f(a)", &["unknown"]),
            (
                "CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b",
                &["make Rule r() on a", "unknown"],
            ),
            (
                "CREATE TYPE mood AS ENUM ('sad', 'it''s'); ALTER TYPE mood ADD VALUE 'ok'",
                &[
                    "CreateEnum { name: TableName { schema: None, name: \"mood\" }, values: [\"sad\", \"it's\"], if_not_exists: false }",
                    "AddEnumValue { name: TableName { schema: None, name: \"mood\" }, value: \"ok\", if_not_exists: false }",
                ],
            ),
        ],
    );
    all(
        MySql,
        &[
            (
                "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = 1",
                &["make Trigger t() on a"],
            ),
            ("DROP TRIGGER IF EXISTS t", &["drop Trigger t()"]),
            ("ALTER INDEX i RENAME TO j", &["unknown"]),
        ],
    );
}

#[test]
fn copies_of_tables() {
    all(
        Postgres,
        &[
            (
                "CREATE TABLE b AS SELECT * FROM s.a",
                &["read s.a()", "table b from s.a()", "copy s.a(*) to b"],
            ),
            (
                "CREATE TABLE b AS SELECT a.id, email AS mail FROM a",
                &[
                    "read a(email)",
                    "table b from a(id>id,email>mail)",
                    "copy a(id,email) to b",
                ],
            ),
            (
                "CREATE TABLE IF NOT EXISTS b AS SELECT * FROM a",
                &["read a()", "table b from a() if not exists"],
            ),
            (
                "CREATE TABLE b AS SELECT * FROM a WHERE id > 1",
                &["read a()", "table b from ?()"],
            ),
            (
                "CREATE TABLE b AS SELECT * FROM a LIMIT 5",
                &["read a()", "table b from ?()"],
            ),
            (
                "CREATE TABLE b AS SELECT DISTINCT id FROM a",
                &["read a(id)", "table b from ?()"],
            ),
            ("CREATE TABLE b AS SELECT grab(id) FROM a", &["unknown"]),
            ("CREATE TEMP TABLE b AS SELECT * FROM a", &["unknown"]),
            (
                "SELECT * INTO b FROM a",
                &["read a()", "table b from a()", "copy a(*) to b"],
            ),
            ("SELECT * INTO TEMP b FROM a", &["unknown"]),
            (
                "INSERT INTO b SELECT * FROM a",
                &["read a()", "insert b() some", "copy a(*) to b"],
            ),
            (
                "INSERT INTO b (id) SELECT id FROM a ON CONFLICT DO NOTHING",
                &["read a(id)", "change b(id) some"],
            ),
            (
                "INSERT INTO b SELECT a.* FROM a JOIN c ON c.id = a.id",
                &["read a()", "read c()", "insert b() some"],
            ),
        ],
    );
}
