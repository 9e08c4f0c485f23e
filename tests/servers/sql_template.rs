//! What `rollback sql template` writes is the inverse: a database is afterwards as it was before.

use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_sql::script;
use rollback_sql_files::file;
use rollback_sql_files::template::template;

use crate::dump::dump;
use crate::support::{Kind, TestDatabase};

/// A server has its roles for all its databases, so that these are ours.
const ROLES: &str = "CREATE ROLE template_reader NOLOGIN; CREATE ROLE template_owner NOLOGIN;";

/// What is there before each statement.
const BASE: &str = "
    CREATE SCHEMA app;
    CREATE SCHEMA other;
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
    CREATE FUNCTION total(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT a + b; $$;
    CREATE TABLE users (
        id bigint PRIMARY KEY,
        email text NOT NULL DEFAULT 'nobody' UNIQUE,
        age int,
        seen timestamptz DEFAULT now(),
        CONSTRAINT adult CHECK (age >= 18)
    );
    CREATE INDEX users_seen ON users (seen);
    CREATE UNIQUE INDEX users_age ON users (age);
    CREATE TABLE app.posts (id bigint PRIMARY KEY, user_id bigint, body text, at date NOT NULL);
    CREATE TABLE events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE events_new (id bigint, at date NOT NULL);
    CREATE VIEW emails AS SELECT id, email FROM users;
    CREATE MATERIALIZED VIEW ages AS SELECT age, count(*) AS n FROM users GROUP BY age;
    CREATE SEQUENCE numbers START 10;
    CREATE POLICY see ON users FOR SELECT USING (age > 20);
    CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
    COMMENT ON TABLE users IS 'Who can sign in.';
    INSERT INTO users (id, age) VALUES (1, 30);
";

/// Statements that are inverted whole.
const INVERTED: &[&str] = &[
    "CREATE TABLE tags (id serial PRIMARY KEY, user_id bigint REFERENCES users (id), kind mood)",
    "CREATE TABLE IF NOT EXISTS app.\"Odd name\" (id int GENERATED ALWAYS AS IDENTITY)",
    "CREATE TABLE copies AS SELECT * FROM users",
    "CREATE TABLE app.events_newer (LIKE events INCLUDING ALL)",
    "CREATE TABLE events_newest PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "ALTER TABLE users ADD COLUMN nick text NOT NULL DEFAULT ''",
    "ALTER TABLE users ADD a int, ADD COLUMN b serial, ADD COLUMN IF NOT EXISTS c text UNIQUE",
    "ALTER TABLE app.posts ADD COLUMN author bigint REFERENCES users (id) ON DELETE CASCADE",
    "CREATE INDEX posts_user ON app.posts (user_id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS posts_body ON app.posts USING btree (lower(body)) WHERE id > 0",
    "CREATE INDEX ON app.posts (user_id, at)",
    "CREATE INDEX CONCURRENTLY posts_at ON app.posts (at)",
    "CREATE VIEW app.old_users AS SELECT * FROM users WHERE age > 90",
    "CREATE OR REPLACE VIEW young_users AS SELECT * FROM users WHERE age < 9",
    "CREATE OR REPLACE VIEW emails AS SELECT id, email, age FROM users",
    "CREATE MATERIALIZED VIEW recent AS SELECT id FROM users WITH NO DATA",
    "CREATE FUNCTION hello(name text DEFAULT 'you', VARIADIC more int[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$ SELECT 'hello;' || name $$",
    "CREATE FUNCTION total(a numeric, OUT b numeric) LANGUAGE sql AS 'SELECT a'",
    "CREATE FUNCTION pairs() RETURNS TABLE (a int, b text) LANGUAGE plpgsql AS $f$ BEGIN RETURN; END; $f$",
    "CREATE OR REPLACE FUNCTION total(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT a * b $$",
    "CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "CREATE PROCEDURE clean(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := 1; END $$",
    "CREATE AGGREGATE sum_of(int) (SFUNC = total, STYPE = int)",
    "CREATE TYPE size AS ENUM ('s', 'm')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%')",
    "CREATE SEQUENCE app.counter INCREMENT 5",
    "CREATE SCHEMA fresh AUTHORIZATION template_owner",
    "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA other",
    "CREATE ROLE template_made NOLOGIN",
    "CREATE TRIGGER posts_touch BEFORE INSERT OR UPDATE OF body ON app.posts FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE CONSTRAINT TRIGGER posts_late AFTER INSERT ON app.posts DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE POLICY \"See own\" ON app.posts FOR SELECT TO template_reader USING (user_id > 0)",
    "CREATE RULE keep AS ON DELETE TO app.posts DO INSTEAD NOTHING",
    "CREATE STATISTICS app.posts_stats ON user_id, at FROM app.posts",
    "CREATE COLLATION plain FROM \"C\"",
    "CREATE PUBLICATION all_users FOR TABLE users",
    "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION look()",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "ALTER TABLE app.posts ADD CONSTRAINT posts_author FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID",
    "ALTER TABLE app.posts ADD CONSTRAINT posts_positive CHECK (user_id > 0)",
    "ALTER TABLE app.posts ADD FOREIGN KEY (user_id) REFERENCES users (id)",
    "ALTER TABLE app.posts ADD UNIQUE (user_id, at)",
    "ALTER TABLE app.posts ADD CONSTRAINT posts_no_two EXCLUDE USING btree (at WITH =)",
    "ALTER TABLE events_new ADD PRIMARY KEY (id)",
    "ALTER TABLE users ADD CONSTRAINT users_age_once UNIQUE USING INDEX users_age",
    "ALTER TABLE users DROP CONSTRAINT adult",
    "ALTER TABLE users DROP CONSTRAINT users_email_key",
    "ALTER TABLE app.posts RENAME TO articles",
    "ALTER TABLE users RENAME COLUMN age TO years",
    "ALTER TABLE users RENAME CONSTRAINT adult TO grown",
    "ALTER INDEX users_seen RENAME TO users_last",
    "ALTER VIEW emails RENAME TO addresses",
    "ALTER MATERIALIZED VIEW ages RENAME TO years",
    "ALTER SEQUENCE numbers RENAME TO digits",
    "ALTER TYPE mood RENAME TO feeling",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'low'",
    "ALTER SCHEMA app RENAME TO application",
    "ALTER FUNCTION total(int, int) RENAME TO sum_up",
    "ALTER POLICY see ON users RENAME TO look",
    "ALTER POLICY see ON users USING (age > 21)",
    "ALTER TRIGGER users_touch ON users RENAME TO users_touched",
    "ALTER TABLE users SET SCHEMA other",
    "ALTER TABLE app.posts SET SCHEMA other",
    "ALTER FUNCTION total(int, int) SET SCHEMA other",
    "ALTER TABLE users ALTER COLUMN age SET DEFAULT 40",
    "ALTER TABLE users ALTER COLUMN email SET DEFAULT 'a''b'",
    "ALTER TABLE users ALTER seen DROP DEFAULT",
    "ALTER TABLE app.posts ALTER COLUMN body SET NOT NULL",
    "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    "ALTER TABLE events_new ALTER at DROP NOT NULL",
    "ALTER TABLE app.posts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY",
    "ALTER TABLE events ATTACH PARTITION events_new FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
    "ALTER TABLE events DETACH PARTITION events_old",
    "ALTER TABLE users DISABLE TRIGGER users_touch",
    "ALTER TABLE events_new SET UNLOGGED",
    "DROP VIEW emails",
    "DROP MATERIALIZED VIEW ages",
    "DROP INDEX users_seen, users_age",
    "DROP POLICY see ON users",
    "DROP TRIGGER users_touch ON users",
    "DROP FUNCTION total(int, int)",
    "DROP SEQUENCE numbers",
    "DROP SCHEMA other",
    "GRANT SELECT, INSERT ON users, app.posts TO template_reader WITH GRANT OPTION",
    "GRANT SELECT (email), UPDATE (age) ON users TO template_reader",
    "GRANT USAGE ON SCHEMA app TO template_reader",
    "GRANT template_reader TO template_owner",
    "REVOKE EXECUTE ON FUNCTION total(int, int) FROM PUBLIC",
    "REVOKE USAGE ON TYPE mood FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO template_reader",
    "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    "COMMENT ON TABLE users IS 'Everybody.'",
    "COMMENT ON COLUMN users.email IS 'it''s; here'",
    "COMMENT ON FUNCTION total(int, int) IS 'Adds.'",
    "COMMENT ON TABLE users IS NULL",
];

/// Whole migrations, in which the statements hang on each other.
const WHOLE: &[&str] = &[
    "CREATE TYPE tag_kind AS ENUM ('a', 'b');
     CREATE TABLE tags (id bigint PRIMARY KEY, kind tag_kind NOT NULL DEFAULT 'a');
     ALTER TABLE app.posts ADD COLUMN tag_id bigint REFERENCES tags (id);
     CREATE INDEX posts_tag ON app.posts (tag_id);
     CREATE FUNCTION tag_of(bigint) RETURNS SETOF tags LANGUAGE sql AS $$ SELECT * FROM tags WHERE id = $1 $$;
     CREATE VIEW tagged AS SELECT p.id, t.kind FROM app.posts p JOIN tags t ON t.id = p.tag_id;
     ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
     CREATE POLICY tags_read ON tags FOR SELECT USING (true);
     CREATE TRIGGER tags_touch BEFORE UPDATE ON tags FOR EACH ROW EXECUTE FUNCTION touch();
     GRANT SELECT ON tags TO template_reader;
     COMMENT ON TABLE tags IS 'Of posts.';",
    "BEGIN;
     SET LOCAL lock_timeout = '5s';
     ALTER TABLE users RENAME TO people;
     ALTER TABLE people ADD COLUMN label text;
     ALTER TABLE people RENAME COLUMN label TO title;
     ALTER TABLE people ALTER title SET DEFAULT 'x';
     ALTER TABLE people ALTER title SET DEFAULT 'y';
     CREATE INDEX ON people (title);
     CREATE OR REPLACE FUNCTION total(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
     CREATE OR REPLACE FUNCTION total(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;
     COMMIT;",
    "DROP POLICY see ON users;
     CREATE POLICY see ON users FOR SELECT USING (age > 50);
     DROP TRIGGER users_touch ON users;
     CREATE TRIGGER users_touch AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
     DROP VIEW emails;
     CREATE VIEW emails AS SELECT email FROM users;",
];

/// Statements that have no inverse, or not a whole one, and words of what is said of them.
const EXPLAINED: &[(&str, &str)] = &[
    (
        "DROP TABLE app.posts",
        "CREATE TABLE app.archived_posts AS SELECT * FROM app.posts;",
    ),
    (
        "DROP TABLE IF EXISTS users CASCADE",
        "what CASCADE takes with it",
    ),
    (
        "ALTER TABLE app.posts DROP COLUMN body",
        "ALTER TABLE app.posts ADD COLUMN body text;",
    ),
    (
        "ALTER TABLE users ALTER COLUMN age TYPE bigint",
        "USING age::int;",
    ),
    (
        "UPDATE users SET age = age + 1 WHERE id = 1",
        "SELECT * FROM users WHERE id = 1;",
    ),
    (
        "DELETE FROM users WHERE id = 1",
        "INSERT INTO users SELECT * FROM archived_users;",
    ),
    ("TRUNCATE users", "all rows are lost"),
    (
        "INSERT INTO users (id, age) VALUES (7, 50), (8, 51)",
        "DELETE FROM users WHERE id IN (7, 8);",
    ),
    (
        "ALTER TYPE mood ADD VALUE 'great'",
        "cannot take a value of an enum away",
    ),
    (
        "ALTER TABLE users OWNER TO template_owner",
        "OWNER TO the role that had it",
    ),
    ("ALTER TABLE users ADD CHECK (age > 1)", "Name it."),
    (
        "ALTER TABLE users ALTER age DROP DEFAULT",
        "so that nothing is put back",
    ),
    ("CREATE INDEX ON users (lower(email))", "Name it."),
    (
        "CREATE TABLE IF NOT EXISTS users (id int)",
        "IF NOT EXISTS left it as it was",
    ),
    (
        "DROP POLICY IF EXISTS nobody ON users",
        "so that nothing is put back",
    ),
    (
        "DO $$ BEGIN PERFORM 1; END $$",
        "what it changes is not known here",
    ),
    (
        "SELECT setval('numbers', 50)",
        "what it changes is not known here",
    ),
    (
        "ALTER SEQUENCE numbers RESTART 5",
        "how it was before is not written here",
    ),
];

/// The schema, functions, rights, policies and comments, the lines of the fingerprint, and the roles.
fn state(database: &TestDatabase<'_>) -> Vec<String> {
    let roles = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'template_%' ORDER BY 1";
    let members = "SELECT roleid::regrole || ' ' || member::regrole FROM pg_auth_members
                   WHERE roleid::regrole::text LIKE 'template_%' ORDER BY 1";
    let rows = [roles, members].map(|sql| database.query(sql)).concat();
    dump(database, &["--schema-only"])
        .into_iter()
        .chain(database.open().schema().unwrap())
        .chain(rows.into_iter().flatten().flatten())
        .collect()
}

/// One after the other, as psql does it: some cannot run in a transaction with others.
fn run(database: &TestDatabase<'_>, sql: &str) {
    for statement in script::statements(sql, Dialect::Postgres).unwrap() {
        database.execute(&statement.text);
    }
}

/// The lines of the fingerprint alone, which cost no dump.
fn outline(database: &TestDatabase<'_>) -> Vec<String> {
    database.open().schema().unwrap().into_iter().collect()
}

/// Fails with what is gone and what is new.
fn same(before: &[String], after: &[String], told: &str) {
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(after == before, "{told}\ngone: {gone:#?}\nnew: {new:#?}");
}

/// What there was before.
struct Before {
    state: Vec<String>,
    outline: Vec<String>,
}

/// Turns red if what the template writes cannot be read back, fails, or leaves another schema than there was.
fn restored(database: &TestDatabase<'_>, before: &Before, up: &str) -> (usize, usize) {
    let found = template(up, &[BASE], Dialect::Postgres);
    assert!(found.is_block, "{up}\n{}", found.text);
    let text = format!("{up};\n\n{}", found.text);
    let file = file::read(
        RevisionId::new("a"),
        "a.sql",
        &text,
        None,
        Dialect::Postgres,
    );
    let file = file.unwrap_or_else(|error| panic!("{error}\n{text}"));

    // A transaction of the text's own is begun and ended by one session.
    if up.starts_with("BEGIN") {
        database.execute(&file.up);
    } else {
        run(database, &file.up);
    }
    let told = format!("{up}\n{}", found.text);
    let is_in_the_outline = outline(database) != before.outline;
    if !is_in_the_outline {
        assert_ne!(state(database), before.state, "it changes nothing: {up}");
    }
    run(database, &file.rollback.unwrap().sql);
    if is_in_the_outline {
        same(&before.outline, &outline(database), &told);
    } else {
        same(&before.state, &state(database), &told);
    }
    (found.inverted, found.explained)
}

/// How many of those whose change is in the outline are tried between two dumps, which take longer than all else: what
/// one of them leaves beside that is still there.
const BETWEEN_DUMPS: usize = 10;

#[test]
fn the_inverse_restores_the_schema() {
    // Each leaves the database to the next as it was.
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(ROLES);
    run(&database, BASE);
    let before = Before {
        state: state(&database),
        outline: outline(&database),
    };
    let mut tried = 0;
    let mut inverted = 0;
    let all: Vec<&str> = INVERTED.iter().chain(WHOLE).copied().collect();
    for some in all.chunks(BETWEEN_DUMPS) {
        for up in some {
            let (restored, explained) = restored(&database, &before, up);
            assert_eq!(explained, 0, "{up}");
            tried += 1;
            inverted += restored;
        }
        same(
            &before.state,
            &state(&database),
            &format!("one of {some:#?}"),
        );
    }
    // Each of the statements on its own, and those of the whole migrations.
    assert_eq!((INVERTED.len(), WHOLE.len()), (97, 3));
    assert_eq!((tried, inverted), (100, 97 + 11 + 8 + 6));
    database.execute("DROP ROLE template_reader; DROP ROLE template_owner");
}

/// Turns red if a statement without an inverse gets one, or is explained without saying how to keep what is lost.
#[test]
fn what_has_no_inverse_is_explained() {
    let mut explained = 0;
    for (up, words) in EXPLAINED {
        let found = template(up, &[BASE], Dialect::Postgres);
        assert_eq!(
            (found.inverted, found.explained),
            (0, 1),
            "{up}\n{}",
            found.text
        );
        assert!(!found.is_block, "{up}\n{}", found.text);
        let text = found.text.replace("\n-- ", " ");
        assert!(text.contains(words), "{up}\n{}", found.text);
        explained += 1;
    }
    assert_eq!(explained, 18);
}

/// Turns red if the way that an explanation names for keeping rows does not keep them.
#[test]
fn what_an_explanation_proposes_keeps_the_rows() {
    for up in [
        "DROP TABLE app.posts",
        "ALTER TABLE app.posts DROP COLUMN body",
        "ALTER TABLE app.posts ALTER COLUMN user_id TYPE smallint USING 1::smallint",
        "UPDATE app.posts SET body = 'lost', user_id = 9 WHERE id = 1",
        "DELETE FROM app.posts WHERE id = 2",
        "TRUNCATE app.posts",
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        run(&database, BASE);
        database.execute(
            "INSERT INTO app.posts (id, user_id, body, at)
             VALUES (1, 1, 'one', '2025-01-01'), (2, 70000, 'two', '2025-01-02')",
        );
        let rows = "SELECT id, user_id, body, at FROM app.posts ORDER BY id";
        let before = database.query(rows);

        let found = template(up, &[BASE], Dialect::Postgres);
        let proposed: Vec<&str> = found
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("--   "))
            .collect();
        database.execute(proposed[0]);
        database.execute(up);
        for sql in &proposed[1..] {
            database.execute(sql);
        }
        assert_eq!(database.query(rows), before, "{up}\n{}", found.text);
    }
}
