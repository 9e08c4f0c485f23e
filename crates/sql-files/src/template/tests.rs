use super::*;

fn made(before: &str, up: &str, dialect: Dialect) -> Template {
    template(up, &[before], dialect)
}

/// The statements of the block, one in a line; what is only said of them is left out.
fn statements_of(template: &Template) -> String {
    let lines = template.text.lines().filter_map(|line| {
        let line = line.strip_prefix("--").unwrap().trim_start();
        let marker = line.starts_with("ROLLBACK");
        (!marker && !line.starts_with("--") && template.is_block).then(|| line.to_owned())
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// Turns red if a statement is inverted to anything else, or counted as something else.
fn inverted(dialect: Dialect, before: &str, cases: &[(&str, &str)]) {
    for (up, down) in cases {
        let found = made(before, up, dialect);
        assert_eq!(statements_of(&found), *down, "{up}\n{}", found.text);
        assert_eq!(
            (found.inverted, found.explained),
            (1, 0),
            "{up}\n{}",
            found.text
        );
    }
}

/// Turns red if a statement has an inverse of a sudden, or is explained with other words than these.
fn explained(dialect: Dialect, before: &str, cases: &[(&str, &str)]) {
    for (up, words) in cases {
        let found = made(before, up, dialect);
        let text = found.text.replace("\n-- ", " ").replace("\n--", " ");
        assert!(text.contains(words), "{up}\n{}", found.text);
        assert_eq!(
            (found.inverted, found.explained),
            (0, 1),
            "{up}\n{}",
            found.text
        );
        assert!(!found.is_block, "{up}\n{}", found.text);
        assert!(!found.text.contains("ROLLBACK START"));
    }
}

const TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'a' UNIQUE, n int, \
                     CONSTRAINT positive CHECK (n > 0));";

#[test]
fn what_is_made_is_dropped() {
    inverted(
        Dialect::Postgres,
        "",
        &[
            ("CREATE TABLE public.a (id int)", "DROP TABLE public.a;"),
            (
                "CREATE UNLOGGED TABLE \"A b\" (id int)",
                "DROP TABLE \"A b\";",
            ),
            ("CREATE TABLE a AS SELECT 1", "DROP TABLE a;"),
            ("CREATE TABLE a PARTITION OF b DEFAULT", "DROP TABLE a;"),
            (
                "CREATE FOREIGN TABLE a (id int) SERVER s",
                "DROP FOREIGN TABLE a;",
            ),
            ("CREATE INDEX i ON t (a)", "DROP INDEX i;"),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY i ON app.t (a)",
                "DROP INDEX CONCURRENTLY app.i;",
            ),
            (
                "CREATE INDEX ON app.t USING gin (a, \"B c\")",
                "DROP INDEX app.\"t_a_B c_idx\";",
            ),
            ("CREATE INDEX ON t (a DESC)", "DROP INDEX t_a_idx;"),
            ("CREATE VIEW app.v AS SELECT 1", "DROP VIEW app.v;"),
            (
                "CREATE MATERIALIZED VIEW v AS SELECT 1",
                "DROP MATERIALIZED VIEW v;",
            ),
            (
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "DROP FUNCTION f();",
            ),
            (
                "CREATE FUNCTION app.f(a int, b numeric(10, 2) DEFAULT 1, OUT c text, VARIADIC d text[] = '{}') RETURNS x AS 'SELECT 1' LANGUAGE sql",
                "DROP FUNCTION app.f(a int, b numeric(10, 2), OUT c text, VARIADIC d text[]);",
            ),
            (
                "CREATE PROCEDURE p(a int) LANGUAGE sql AS 'SELECT 1'",
                "DROP PROCEDURE p(a int);",
            ),
            (
                "CREATE AGGREGATE total(int) (SFUNC = f, STYPE = int)",
                "DROP AGGREGATE total(int);",
            ),
            ("CREATE TYPE mood AS ENUM ('a')", "DROP TYPE mood;"),
            ("CREATE TYPE pair AS (a int, b int)", "DROP TYPE pair;"),
            (
                "CREATE DOMAIN mail AS text CHECK (value LIKE '%@%')",
                "DROP DOMAIN mail;",
            ),
            ("CREATE SEQUENCE s START 5", "DROP SEQUENCE s;"),
            ("CREATE SCHEMA app", "DROP SCHEMA app;"),
            ("CREATE SCHEMA AUTHORIZATION joe", "DROP SCHEMA joe;"),
            (
                "CREATE EXTENSION \"uuid-ossp\" WITH SCHEMA extensions",
                "DROP EXTENSION \"uuid-ossp\";",
            ),
            (
                "CREATE TRIGGER g BEFORE UPDATE OF a ON app.t FOR EACH ROW EXECUTE FUNCTION f()",
                "DROP TRIGGER g ON app.t;",
            ),
            (
                "CREATE CONSTRAINT TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
                "DROP TRIGGER g ON t;",
            ),
            (
                "CREATE POLICY \"Read own\" ON t FOR SELECT USING (true)",
                "DROP POLICY \"Read own\" ON t;",
            ),
            (
                "CREATE RULE r AS ON INSERT TO t DO NOTHING",
                "DROP RULE r ON t;",
            ),
            ("CREATE ROLE reader NOLOGIN", "DROP ROLE reader;"),
            ("CREATE USER joe", "DROP USER joe;"),
            ("CREATE PUBLICATION p FOR TABLE t", "DROP PUBLICATION p;"),
            ("CREATE STATISTICS s ON a, b FROM t", "DROP STATISTICS s;"),
            (
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
                "DROP EVENT TRIGGER e;",
            ),
            ("CREATE COLLATION c (locale = 'de')", "DROP COLLATION c;"),
            ("CREATE TABLE IF NOT EXISTS a (id int)", "DROP TABLE a;"),
            (
                "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "DROP FUNCTION f(a int);",
            ),
            ("CREATE OR REPLACE VIEW v AS SELECT 1", "DROP VIEW v;"),
        ],
    );
}

#[test]
fn what_is_added_and_set_is_taken_back() {
    inverted(
        Dialect::Postgres,
        TABLE,
        &[
            (
                "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 1",
                "ALTER TABLE t DROP COLUMN a;",
            ),
            (
                "ALTER TABLE t ADD a int, ADD COLUMN b numeric(1, 2)",
                "ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP COLUMN a;",
            ),
            (
                "ALTER TABLE IF EXISTS ONLY app.t ADD COLUMN IF NOT EXISTS a int",
                "ALTER TABLE app.t DROP COLUMN a;",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT c CHECK (n < 9) NOT VALID",
                "ALTER TABLE t DROP CONSTRAINT c;",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT \"C\" FOREIGN KEY (n) REFERENCES u (id)",
                "ALTER TABLE t DROP CONSTRAINT \"C\";",
            ),
            (
                "ALTER TABLE t ADD UNIQUE (name, n)",
                "ALTER TABLE t DROP CONSTRAINT t_name_n_key;",
            ),
            (
                "ALTER TABLE t ADD PRIMARY KEY (id, n)",
                "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER COLUMN n DROP NOT NULL;",
            ),
            (
                "ALTER TABLE app.t ADD PRIMARY KEY (id)",
                "ALTER TABLE app.t DROP CONSTRAINT t_pkey;",
            ),
            (
                "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES u (id)",
                "ALTER TABLE t DROP CONSTRAINT t_n_fkey;",
            ),
            (
                "ALTER TABLE t ALTER COLUMN n SET DEFAULT 5",
                "ALTER TABLE t ALTER COLUMN n DROP DEFAULT;",
            ),
            (
                "ALTER TABLE t ALTER name SET DEFAULT 'b'",
                "ALTER TABLE t ALTER COLUMN name SET DEFAULT 'a';",
            ),
            (
                "ALTER TABLE t ALTER name DROP DEFAULT",
                "ALTER TABLE t ALTER COLUMN name SET DEFAULT 'a';",
            ),
            (
                "ALTER TABLE u ALTER x SET DEFAULT 5",
                "ALTER TABLE u ALTER COLUMN x DROP DEFAULT;",
            ),
            (
                "ALTER TABLE t ALTER n SET NOT NULL",
                "ALTER TABLE t ALTER COLUMN n DROP NOT NULL;",
            ),
            (
                "ALTER TABLE t ALTER name DROP NOT NULL",
                "ALTER TABLE t ALTER COLUMN name SET NOT NULL;",
            ),
            (
                "ALTER TABLE t DROP CONSTRAINT positive",
                "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0);",
            ),
            (
                "ALTER TABLE t DROP CONSTRAINT t_pkey",
                "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (id);",
            ),
            (
                "ALTER TABLE t DROP CONSTRAINT t_name_key",
                "ALTER TABLE t ADD CONSTRAINT t_name_key UNIQUE (name);",
            ),
            (
                "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE t DISABLE ROW LEVEL SECURITY;",
            ),
            (
                "ALTER TABLE u DISABLE ROW LEVEL SECURITY",
                "ALTER TABLE u ENABLE ROW LEVEL SECURITY;",
            ),
            (
                "ALTER TABLE t FORCE ROW LEVEL SECURITY",
                "ALTER TABLE t NO FORCE ROW LEVEL SECURITY;",
            ),
            (
                "ALTER TABLE u NO FORCE ROW LEVEL SECURITY",
                "ALTER TABLE u FORCE ROW LEVEL SECURITY;",
            ),
            (
                "ALTER TABLE t DISABLE TRIGGER g",
                "ALTER TABLE t ENABLE TRIGGER g;",
            ),
            (
                "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (2)",
                "ALTER TABLE t DETACH PARTITION p;",
            ),
            ("ALTER TABLE t INHERIT u", "ALTER TABLE t NO INHERIT u;"),
            ("ALTER TABLE t NO INHERIT u", "ALTER TABLE t INHERIT u;"),
            ("ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET LOGGED;"),
            (
                "ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY",
                "ALTER TABLE t ALTER COLUMN id DROP IDENTITY;",
            ),
        ],
    );
}

#[test]
fn names_are_given_back() {
    inverted(
        Dialect::Postgres,
        "",
        &[
            (
                "ALTER TABLE app.t RENAME TO \"S\"",
                "ALTER TABLE app.\"S\" RENAME TO t;",
            ),
            (
                "ALTER TABLE t RENAME COLUMN a TO b",
                "ALTER TABLE t RENAME COLUMN b TO a;",
            ),
            (
                "ALTER TABLE t RENAME a TO b",
                "ALTER TABLE t RENAME COLUMN b TO a;",
            ),
            (
                "ALTER TABLE t RENAME CONSTRAINT a TO b",
                "ALTER TABLE t RENAME CONSTRAINT b TO a;",
            ),
            ("ALTER INDEX i RENAME TO j", "ALTER INDEX j RENAME TO i;"),
            (
                "ALTER PUBLICATION p ADD TABLE public.t",
                "ALTER PUBLICATION p DROP TABLE public.t;",
            ),
            (
                "ALTER PUBLICATION p ADD TABLE ONLY t (id) WHERE (id > 1), TABLE u",
                "ALTER PUBLICATION p DROP TABLE u; ALTER PUBLICATION p DROP TABLE t;",
            ),
            (
                "ALTER PUBLICATION p DROP TABLE t",
                "ALTER PUBLICATION p ADD TABLE t;",
            ),
            (
                "ALTER PUBLICATION p RENAME TO q",
                "ALTER PUBLICATION q RENAME TO p;",
            ),
            ("ALTER VIEW v RENAME TO w", "ALTER VIEW w RENAME TO v;"),
            (
                "ALTER MATERIALIZED VIEW app.v RENAME TO w",
                "ALTER MATERIALIZED VIEW app.w RENAME TO v;",
            ),
            (
                "ALTER SEQUENCE s RENAME TO r",
                "ALTER SEQUENCE r RENAME TO s;",
            ),
            (
                "ALTER TYPE mood RENAME TO feeling",
                "ALTER TYPE feeling RENAME TO mood;",
            ),
            (
                "ALTER TYPE mood RENAME VALUE 'a' TO 'b'",
                "ALTER TYPE mood RENAME VALUE 'b' TO 'a';",
            ),
            (
                "ALTER TYPE pair RENAME ATTRIBUTE a TO b",
                "ALTER TYPE pair RENAME ATTRIBUTE b TO a;",
            ),
            ("ALTER SCHEMA a RENAME TO b", "ALTER SCHEMA b RENAME TO a;"),
            (
                "ALTER FUNCTION app.f(a int DEFAULT 1) RENAME TO g",
                "ALTER FUNCTION app.g(a int) RENAME TO f;",
            ),
            (
                "ALTER POLICY p ON t RENAME TO q",
                "ALTER POLICY q ON t RENAME TO p;",
            ),
            (
                "ALTER TRIGGER g ON t RENAME TO h",
                "ALTER TRIGGER h ON t RENAME TO g;",
            ),
            ("ALTER ROLE a RENAME TO b", "ALTER ROLE b RENAME TO a;"),
            (
                "ALTER TABLE app.t SET SCHEMA other",
                "ALTER TABLE other.t SET SCHEMA app;",
            ),
            (
                "ALTER TABLE t SET SCHEMA other",
                "ALTER TABLE other.t SET SCHEMA public;",
            ),
            (
                "ALTER FUNCTION f(int) SET SCHEMA other",
                "ALTER FUNCTION other.f(int) SET SCHEMA public;",
            ),
        ],
    );
}

#[test]
fn rights_and_comments_are_taken_back() {
    inverted(
        Dialect::Postgres,
        "COMMENT ON TABLE t IS 'old';",
        &[
            (
                "GRANT SELECT, INSERT ON TABLE t TO a, b WITH GRANT OPTION",
                "REVOKE SELECT, INSERT ON TABLE t FROM a, b;",
            ),
            (
                "GRANT EXECUTE ON FUNCTION f(int) TO PUBLIC",
                "REVOKE EXECUTE ON FUNCTION f(int) FROM PUBLIC;",
            ),
            (
                "GRANT SELECT ON ALL TABLES IN SCHEMA app TO a",
                "REVOKE SELECT ON ALL TABLES IN SCHEMA app FROM a;",
            ),
            ("GRANT a TO b", "REVOKE a FROM b;"),
            (
                "REVOKE ALL ON FUNCTION f(int) FROM PUBLIC CASCADE",
                "GRANT ALL ON FUNCTION f(int) TO PUBLIC;",
            ),
            (
                "REVOKE GRANT OPTION FOR SELECT ON t FROM a",
                "GRANT SELECT ON t TO a WITH GRANT OPTION;",
            ),
            ("REVOKE a FROM b", "GRANT a TO b;"),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA app GRANT SELECT ON TABLES TO a",
                "ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA app REVOKE SELECT ON TABLES FROM a;",
            ),
            (
                "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
                "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;",
            ),
            (
                "COMMENT ON COLUMN t.a IS 'it''s; so'",
                "COMMENT ON COLUMN t.a IS NULL;",
            ),
            (
                "COMMENT ON TABLE t IS 'new'",
                "COMMENT ON TABLE t IS 'old';",
            ),
            ("COMMENT ON TABLE t IS NULL", "COMMENT ON TABLE t IS 'old';"),
            (
                "COMMENT ON FUNCTION f(int, text) IS 'x'",
                "COMMENT ON FUNCTION f(int, text) IS NULL;",
            ),
        ],
    );
}

/// Turns red if what an earlier migration made is not put back as that one made it.
#[test]
fn what_an_earlier_migration_made_is_put_back() {
    let before = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
        CREATE OR REPLACE FUNCTION f(a text) RETURNS int LANGUAGE sql AS $$ SELECT 3 $$;
        CREATE VIEW v AS SELECT 1 AS a;
        CREATE INDEX i ON app.t (a);
        CREATE POLICY p ON t USING (true);
        CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION h();
        CREATE TYPE mood AS ENUM ('a');
        CREATE TABLE parts (a int) PARTITION BY LIST (a);
        CREATE TABLE one PARTITION OF parts FOR VALUES IN (1);
        CREATE UNIQUE INDEX u ON t (id);";
    inverted(
        Dialect::Postgres,
        before,
        &[
            (
                "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
                "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;",
            ),
            (
                "CREATE OR REPLACE FUNCTION f(a bool) RETURNS int LANGUAGE sql AS 'SELECT 2'",
                "DROP FUNCTION f(a bool);",
            ),
            (
                "CREATE OR REPLACE VIEW v AS SELECT 2 AS a",
                "DROP VIEW v; CREATE VIEW v AS SELECT 1 AS a;",
            ),
            ("DROP VIEW v", "CREATE VIEW v AS SELECT 1 AS a;"),
            ("DROP INDEX IF EXISTS app.i", "CREATE INDEX i ON app.t (a);"),
            ("DROP POLICY p ON t", "CREATE POLICY p ON t USING (true);"),
            (
                "ALTER POLICY p ON t USING (false)",
                "DROP POLICY p ON t; CREATE POLICY p ON t USING (true);",
            ),
            (
                "DROP TRIGGER g ON t",
                "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION h();",
            ),
            ("DROP TYPE mood", "CREATE TYPE mood AS ENUM ('a');"),
            (
                "DROP FUNCTION f(a text)",
                "CREATE OR REPLACE FUNCTION f(a text) RETURNS int LANGUAGE sql AS $$ SELECT 3 $$;",
            ),
            (
                "ALTER TABLE parts DETACH PARTITION one",
                "ALTER TABLE parts ATTACH PARTITION one FOR VALUES IN (1);",
            ),
            ("DROP SCHEMA app", "CREATE SCHEMA app;"),
            ("DROP EXTENSION citext", "CREATE EXTENSION citext;"),
            (
                "ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX u",
                "ALTER TABLE t DROP CONSTRAINT k; CREATE UNIQUE INDEX u ON t (id);",
            ),
        ],
    );
}

/// Turns red if something is put back that is no longer right.
#[test]
fn what_was_changed_since_is_not_put_back() {
    let view = "CREATE VIEW v AS SELECT name FROM t;";
    let changed = "a later one changed it";
    for (change, up) in [
        ("ALTER TABLE t RENAME COLUMN name TO title;", "DROP VIEW v"),
        ("ALTER TABLE t RENAME TO s;", "DROP VIEW v"),
        ("ALTER VIEW v SET (security_invoker = on);", "DROP VIEW v"),
        (
            "ALTER TABLE t RENAME COLUMN name TO title;",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
        ),
    ] {
        explained(
            Dialect::Postgres,
            &format!("{view}{change}"),
            &[(up, changed)],
        );
    }
    let dropped = "no earlier migration makes v";
    explained(
        Dialect::Postgres,
        &format!("{view} DROP VIEW v;"),
        &[("DROP VIEW v", dropped)],
    );
    // The policies of a table go with it.
    let policy = "CREATE POLICY p ON t USING (true); DROP TABLE t;";
    explained(
        Dialect::Postgres,
        policy,
        &[(
            "DROP POLICY IF EXISTS p ON t",
            "no earlier migration makes p, so that nothing is put back",
        )],
    );
}

#[test]
fn what_has_no_inverse_is_explained() {
    explained(
        Dialect::Postgres,
        TABLE,
        &[
            (
                "DROP TABLE t",
                "CREATE TABLE archived_t AS SELECT * FROM t;",
            ),
            (
                "DROP TABLE t",
                "CREATE TABLE t (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'a' UNIQUE",
            ),
            (
                "DROP TABLE app.\"U\"",
                "INSERT INTO app.\"U\" SELECT * FROM app.\"archived_U\";",
            ),
            (
                "ALTER TABLE t DROP COLUMN name",
                "CREATE TABLE archived_t_name AS SELECT id, name FROM t;",
            ),
            (
                "ALTER TABLE t DROP COLUMN name",
                "ALTER TABLE t ADD COLUMN name text NOT NULL DEFAULT 'a' UNIQUE;",
            ),
            (
                "ALTER TABLE t DROP COLUMN name",
                "UPDATE t SET name = archived_t_name.name FROM archived_t_name WHERE t.id = archived_t_name.id;",
            ),
            ("ALTER TABLE u DROP a", "(id stands for the primary key.)"),
            (
                "ALTER TABLE t ALTER n TYPE text USING n::text",
                "ALTER TABLE t ALTER COLUMN n TYPE int USING n::int;",
            ),
            (
                "UPDATE t SET name = 'b', n = 1 WHERE id = 3",
                "CREATE TABLE archived_t AS SELECT * FROM t WHERE id = 3;",
            ),
            (
                "UPDATE t SET name = 'b', n = 1 WHERE id = 3",
                "UPDATE t SET name = archived_t.name, n = archived_t.n FROM archived_t WHERE t.id = archived_t.id;",
            ),
            (
                "DELETE FROM t WHERE n IS NULL",
                "CREATE TABLE archived_t AS SELECT * FROM t WHERE n IS NULL;",
            ),
            (
                "DELETE FROM t WHERE n IS NULL",
                "INSERT INTO t SELECT * FROM archived_t;",
            ),
            (
                "TRUNCATE t, u",
                "CREATE TABLE archived_u AS SELECT * FROM u;",
            ),
            (
                "INSERT INTO t (id, name) VALUES (1, 'a'), (2, 'b')",
                "DELETE FROM t WHERE id IN (1, 2);",
            ),
            (
                "INSERT INTO t (name) VALUES ('a')",
                "DELETE FROM t WHERE ...;",
            ),
            ("INSERT INTO t SELECT * FROM u", "DELETE FROM t WHERE ...;"),
            (
                "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE",
                "CREATE TABLE archived_t AS SELECT * FROM t;",
            ),
            ("COPY t FROM stdin", "has no inverse that is sure"),
            (
                "ALTER TYPE mood ADD VALUE 'b'",
                "cannot take a value of an enum away",
            ),
            (
                "ALTER TABLE t OWNER TO joe",
                "ALTER TABLE t OWNER TO the role that had it",
            ),
            (
                "ALTER TABLE u ALTER x DROP DEFAULT",
                "ALTER COLUMN x SET DEFAULT and what it was",
            ),
            (
                "ALTER TABLE t ALTER n DROP DEFAULT",
                "so that nothing is put back",
            ),
            (
                "ALTER TABLE t ALTER n DROP NOT NULL",
                "the column was so before",
            ),
            ("ALTER TABLE t ADD CHECK (n < 9)", "Name it."),
            (
                "ALTER TABLE u DROP CONSTRAINT c",
                "ALTER TABLE u ADD CONSTRAINT c and what it said",
            ),
            (
                "ALTER TABLE u DETACH PARTITION p",
                "ATTACH PARTITION p FOR VALUES and the bounds",
            ),
            (
                "ALTER TABLE t ALTER id DROP IDENTITY",
                "where its sequence stood is lost",
            ),
            (
                "ALTER EXTENSION citext SET SCHEMA x",
                "SET SCHEMA and that schema",
            ),
            ("CREATE INDEX ON t (lower(name))", "Name it."),
            (
                "CREATE TABLE IF NOT EXISTS t (id int)",
                "IF NOT EXISTS left it as it was",
            ),
            (
                "CREATE SCHEMA app CREATE TABLE x (id int)",
                "a schema with objects in it",
            ),
            ("DROP ROLE reader", "its password, are lost"),
            (
                "DROP POLICY IF EXISTS p ON t",
                "no earlier migration makes p, so that nothing is put back",
            ),
            ("COMMENT ON TABLE t IS NULL", "the comment that was there"),
            (
                "DO $$ BEGIN PERFORM 1; END $$",
                "what it changes is not known here",
            ),
            ("SELECT setval('s', 5)", "what it changes is not known here"),
            (
                "ALTER SYSTEM SET work_mem = '1GB'",
                "what it changes is not known here",
            ),
            ("FROBNICATE", "what it changes is not known here"),
            (
                "ALTER SEQUENCE s RESTART 5",
                "how it was before is not written here",
            ),
        ],
    );
}

#[test]
fn on_mariadb() {
    inverted(
        Dialect::MySql,
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 3);",
        &[
            ("CREATE TABLE `a b` (id int)", "DROP TABLE `a b`;"),
            ("CREATE UNIQUE INDEX i ON `t` (a)", "DROP INDEX i ON `t`;"),
            ("CREATE FULLTEXT INDEX i ON t (a)", "DROP INDEX i ON t;"),
            ("CREATE VIEW v AS SELECT 1", "DROP VIEW v;"),
            (
                "CREATE DEFINER=`root`@`localhost` VIEW v AS SELECT 1",
                "DROP VIEW v;",
            ),
            (
                "CREATE FUNCTION f(a INT) RETURNS INT RETURN 1",
                "DROP FUNCTION f;",
            ),
            ("CREATE PROCEDURE p() SELECT 1", "DROP PROCEDURE p;"),
            (
                "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
                "DROP TRIGGER g;",
            ),
            (
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
                "DROP EVENT e;",
            ),
            ("CREATE SEQUENCE s", "DROP SEQUENCE s;"),
            (
                "ALTER TABLE t ADD COLUMN b int AFTER id",
                "ALTER TABLE t DROP COLUMN b;",
            ),
            (
                "ALTER TABLE t ADD (b int, c int)",
                "ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN b;",
            ),
            (
                "ALTER TABLE t ADD INDEX i (a), ADD UNIQUE KEY u (a)",
                "ALTER TABLE t DROP INDEX u; ALTER TABLE t DROP INDEX i;",
            ),
            (
                "ALTER TABLE t ADD INDEX (a)",
                "ALTER TABLE t DROP INDEX `a`;",
            ),
            (
                "ALTER TABLE t ADD PRIMARY KEY (a)",
                "ALTER TABLE t DROP PRIMARY KEY;",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)",
                "ALTER TABLE t DROP FOREIGN KEY f;",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
                "ALTER TABLE t DROP CONSTRAINT c;",
            ),
            (
                "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
                "ALTER TABLE t DROP INDEX u;",
            ),
            (
                "ALTER TABLE t ALTER a SET DEFAULT 4",
                "ALTER TABLE t ALTER COLUMN a SET DEFAULT 3;",
            ),
            (
                "ALTER TABLE t RENAME COLUMN a TO b",
                "ALTER TABLE t RENAME COLUMN b TO a;",
            ),
            (
                "ALTER TABLE t RENAME INDEX a TO b",
                "ALTER TABLE t RENAME INDEX b TO a;",
            ),
            (
                "ALTER TABLE t RENAME TO other.s",
                "ALTER TABLE other.s RENAME TO t;",
            ),
            (
                "RENAME TABLE a TO b, c TO d",
                "RENAME TABLE d TO c; RENAME TABLE b TO a;",
            ),
            ("GRANT SELECT ON t TO joe", "REVOKE SELECT ON t FROM joe;"),
        ],
    );
    explained(
        Dialect::MySql,
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 3);",
        &[
            (
                "ALTER TABLE t MODIFY a bigint",
                "ALTER TABLE t MODIFY a int DEFAULT 3;",
            ),
            (
                "UPDATE t SET a = 1",
                "UPDATE t JOIN archived_t ON t.id = archived_t.id SET t.a = archived_t.a;",
            ),
            (
                "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id)",
                "Name it.",
            ),
            ("CREATE OR REPLACE TABLE t (id int)", "its rows are lost"),
            (
                "CREATE DATABASE shop",
                "dropping a database takes everything",
            ),
        ],
    );
}

#[test]
fn on_sqlite() {
    inverted(
        Dialect::Sqlite,
        "",
        &[
            ("CREATE TABLE a (id INTEGER PRIMARY KEY)", "DROP TABLE a;"),
            ("CREATE VIRTUAL TABLE f USING fts5(body)", "DROP TABLE f;"),
            ("CREATE INDEX i ON t (a)", "DROP INDEX i;"),
            ("CREATE VIEW v AS SELECT 1", "DROP VIEW v;"),
            (
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; END",
                "DROP TRIGGER g;",
            ),
            (
                "ALTER TABLE t ADD COLUMN a INTEGER",
                "ALTER TABLE t DROP COLUMN a;",
            ),
            ("ALTER TABLE t RENAME TO s", "ALTER TABLE s RENAME TO t;"),
            (
                "ALTER TABLE t RENAME COLUMN a TO b",
                "ALTER TABLE t RENAME COLUMN b TO a;",
            ),
        ],
    );
    explained(
        Dialect::Sqlite,
        "",
        &[
            (
                "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
                "SQLite can neither add nor drop a constraint",
            ),
            (
                "UPDATE t SET a = 1",
                "UPDATE t SET a = archived_t.a FROM archived_t",
            ),
        ],
    );
}

#[test]
fn what_leaves_nothing_behind_needs_nothing() {
    let up = "BEGIN; SET lock_timeout = '1s'; SELECT pg_catalog.set_config('search_path', '', false); \
              CREATE TEMP TABLE x (id int); ANALYZE; REFRESH MATERIALIZED VIEW v; \
              ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT;";
    let found = template(up, &[], Dialect::Postgres);
    assert_eq!(
        found,
        Template {
            text: String::new(),
            is_block: false,
            inverted: 0,
            explained: 0,
        }
    );
}

/// The whole text, as it is put at the end of a file.
#[test]
fn a_block() {
    let up = "\
-- Description: Tags of projects.
CREATE TYPE tag_kind AS ENUM ('colour', 'size');
CREATE TABLE IF NOT EXISTS tags (id bigint PRIMARY KEY, kind tag_kind);
CREATE INDEX ON tags (kind);
UPDATE projects SET name = trim(name) WHERE name LIKE ' %';
CREATE OR REPLACE FUNCTION tag_count() RETURNS bigint LANGUAGE sql AS $$
  SELECT count(*)

  FROM tags;
$$;
ALTER TABLE tags ENABLE ROW LEVEL SECURITY, DROP COLUMN kind;
";
    let before =
        "CREATE FUNCTION tag_count() RETURNS bigint LANGUAGE sql AS $$\n  SELECT\n\n    0\n$$;";
    let found = template(up, &[before], Dialect::Postgres);
    assert_eq!((found.inverted, found.explained), (4, 2));
    assert!(found.is_block);
    assert_eq!(
        found.text,
        "\
-- ROLLBACK START
-- -- ALTER TABLE tags ENABLE ROW LEVEL SECURITY, DROP COLUMN kind has no inverse: the values of kind are
-- -- lost, with the indexes and constraints on it. To keep that, put before it in the part that goes up:
-- --   CREATE TABLE archived_tags_kind AS SELECT id, kind FROM tags;
-- -- and here:
-- --   ALTER TABLE tags ADD COLUMN kind tag_kind;
-- --   UPDATE tags SET kind = archived_tags_kind.kind FROM archived_tags_kind WHERE tags.id = archived_tags_kind.id;
-- --   DROP TABLE archived_tags_kind;
-- ALTER TABLE tags DISABLE ROW LEVEL SECURITY;
-- -- As an earlier migration made it.
-- CREATE OR REPLACE FUNCTION tag_count() RETURNS bigint LANGUAGE sql AS $$
--   SELECT
--
--     0
-- $$;
-- -- UPDATE projects SET name = trim(name) WHERE name LIKE ' %' has no inverse: what the rows of projects
-- -- held before is lost. (id stands for the primary key.) To keep that, put before it in the part that
-- -- goes up:
-- --   CREATE TABLE archived_projects AS SELECT * FROM projects WHERE name LIKE ' %';
-- -- and here:
-- --   UPDATE projects SET name = archived_projects.name FROM archived_projects WHERE projects.id = archived_projects.id;
-- --   DROP TABLE archived_projects;
-- -- The index has no name of its own. PostgreSQL calls it so unless that name was taken.
-- DROP INDEX tags_kind_idx;
-- -- IF NOT EXISTS: had it been there before, this takes away what was there before.
-- DROP TABLE tags;
-- DROP TYPE tag_kind;
-- ROLLBACK END
"
    );
}

/// Without an inverse there is no block, which would be an empty one, and the file stays as it is.
#[test]
fn explanations_alone_are_no_block() {
    let found = template(
        "DROP ROLE reader; DO $$ BEGIN END $$",
        &[],
        Dialect::Postgres,
    );
    assert_eq!((found.inverted, found.explained), (0, 2));
    assert_eq!(
        found.text,
        "\
-- DO $$ BEGIN END $$ has no inverse: what it changes is not known here. Write what takes it back, or
-- let it be where nothing has to be.
-- DROP ROLE reader has no inverse: what the role owned and was allowed, and its password, are lost.
-- Make it again and give it its rights.
"
    );
}
