use super::*;

/// Migrations by name and text, in the order in which they are applied.
fn found_on(dialect: Dialect, migrations: &[(&str, &str)]) -> Vec<String> {
    let ids: Vec<RevisionId> = migrations
        .iter()
        .map(|(name, _)| RevisionId::new(*name))
        .collect();
    let candidates: Vec<Candidate<'_>> = migrations
        .iter()
        .zip(&ids)
        .map(|((_, up), id)| Candidate {
            id,
            up,
            depends_on: &[],
            independent_of: &[],
        })
        .collect();
    drawn(&dependencies(&candidates, dialect).unwrap())
}

fn drawn(found: &[Dependency]) -> Vec<String> {
    let one = |one: &Dependency| {
        let object = one.object.as_deref().unwrap_or("-");
        format!("{} -> {}: {object}", one.of, one.on)
    };
    found.iter().map(one).collect()
}

fn found(migrations: &[(&str, &str)]) -> Vec<String> {
    found_on(Dialect::Postgres, migrations)
}

/// What `b` uses of `a`, `None` where nothing.
fn used(a: &str, b: &str) -> Option<String> {
    let mut all = found(&[("a", a), ("b", b)]);
    assert!(all.len() < 2, "{all:?}");
    all.pop().map(|one| one.replace("b -> a: ", ""))
}

const PROJECTS: &str = "CREATE TABLE projects (id int PRIMARY KEY, name text);";

/// Turns red if a way to use a table of an earlier migration is passed over.
#[test]
fn a_table_is_used_by() {
    for sql in [
        "CREATE TABLE tasks (id int, project_id int REFERENCES projects (id))",
        "CREATE TABLE tasks (id int, project_id int REFERENCES public.projects)",
        "create table tasks (id int, foreign key (id) references PROJECTS (id) on delete cascade)",
        "ALTER TABLE projects ADD COLUMN archived bool",
        "ALTER TABLE IF EXISTS ONLY public.projects ADD archived bool",
        "ALTER TABLE tasks ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES projects (id) NOT VALID",
        "CREATE INDEX ix ON projects (name)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON ONLY projects USING btree (lower(name))",
        "CREATE INDEX ON projects (name)",
        "CREATE VIEW v AS SELECT p.id FROM projects p",
        "CREATE OR REPLACE VIEW v AS SELECT 1 FROM a JOIN b ON a.x = b.x LEFT JOIN projects USING (id)",
        "CREATE MATERIALIZED VIEW v AS WITH x AS (SELECT 1) SELECT * FROM x, projects",
        "CREATE VIEW v AS SELECT (SELECT count(*) FROM projects) AS n",
        "CREATE VIEW v AS SELECT 1 FROM (projects AS p CROSS JOIN x)",
        "CREATE TABLE copy AS SELECT * FROM projects",
        "CREATE TABLE copy (LIKE projects INCLUDING ALL)",
        "CREATE TABLE child () INHERITS (other, projects)",
        "CREATE TABLE part PARTITION OF projects FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE events ATTACH PARTITION projects FOR VALUES IN (1)",
        "ALTER TABLE child INHERIT projects",
        "CREATE POLICY p ON projects FOR SELECT USING (true)",
        "CREATE POLICY p ON tasks USING (EXISTS (SELECT 1 FROM projects WHERE true))",
        "ALTER TABLE projects ENABLE ROW LEVEL SECURITY",
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE OF name ON projects FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON INSERT TO projects DO INSTEAD NOTHING",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT count(*) FROM projects $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT count(*) FROM projects'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM projects; END",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN UPDATE projects SET name = ''; END $f$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ DECLARE r projects%ROWTYPE; BEGIN END $f$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ DECLARE n projects.name%TYPE; BEGIN END $f$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE 'DELETE FROM projects'; END $f$",
        "CREATE FUNCTION f() RETURNS SETOF projects LANGUAGE sql AS $$ SELECT 1 $$",
        "CREATE FUNCTION f(p projects) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
        "DO $$ BEGIN DELETE FROM public.projects; END $$",
        "INSERT INTO projects (id) VALUES (1)",
        "INSERT INTO x SELECT id FROM projects",
        "UPDATE ONLY projects SET name = 'a'",
        "UPDATE x SET a = 1 FROM projects WHERE true",
        "DELETE FROM x USING projects WHERE true",
        "WITH gone AS (DELETE FROM projects RETURNING id) INSERT INTO x SELECT id FROM gone",
        "TRUNCATE a, projects CASCADE",
        "MERGE INTO projects USING x ON true WHEN MATCHED THEN DELETE",
        "COPY projects (id) FROM stdin",
        "GRANT SELECT ON projects TO reader",
        "GRANT SELECT, INSERT ON TABLE other, projects TO reader",
        "REVOKE ALL ON public.projects FROM reader",
        "COMMENT ON TABLE projects IS 'x'",
        "COMMENT ON COLUMN public.projects.name IS 'x'",
        "DROP TABLE IF EXISTS other, projects CASCADE",
        "ALTER TABLE projects RENAME TO works",
        "CREATE PUBLICATION pub FOR TABLE projects",
        "SELECT 'projects'::regclass",
        "SELECT cron.schedule('nightly', '0 3 * * *', $$DELETE FROM projects$$)",
        "LOCK TABLE projects",
        "REFRESH MATERIALIZED VIEW projects",
        "CREATE TABLE IF NOT EXISTS projects (id int)",
        "CREATE STATISTICS s ON a, b FROM projects",
    ] {
        assert_eq!(
            used(PROJECTS, sql).as_deref(),
            Some("table projects"),
            "{sql}"
        );
    }
}

/// Turns red if something that only looks like the table is taken for it.
#[test]
fn a_table_is_not_used_by() {
    for sql in [
        "CREATE TABLE tasks (id int, projects int)",
        "CREATE TABLE \"Projects\" (id int)",
        "CREATE TABLE app.projects (id int)",
        "CREATE VIEW v AS SELECT projects FROM tasks",
        "CREATE VIEW v AS SELECT x.projects FROM x",
        "CREATE VIEW v AS WITH projects AS (SELECT 1) SELECT * FROM projects",
        "CREATE VIEW v AS WITH RECURSIVE a AS (SELECT 1), projects (n) AS (SELECT 2) SELECT * FROM projects",
        "CREATE VIEW v AS SELECT 1 FROM app.projects",
        "CREATE VIEW v AS SELECT a IS DISTINCT FROM projects FROM tasks",
        "INSERT INTO x VALUES ('SELECT 1 FROM projects')",
        "COMMENT ON TABLE x IS 'FROM projects'",
        "-- FROM projects\nSELECT 1",
        "SELECT 1 /* FROM projects */",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 -- FROM projects\n $$",
        "INSERT INTO x (projects) VALUES (1)",
        "CREATE INDEX projects_ix ON x (projects)",
    ] {
        assert_eq!(used(PROJECTS, sql), None, "{sql}");
    }
}

/// Turns red if an object of another kind is passed over.
#[test]
fn other_objects_are_used_too() {
    for (made, sql, object) in [
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "CREATE TABLE t (mood mood NOT NULL)",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "CREATE TABLE t (status mood[] NOT NULL)",
            "type mood",
        ),
        (
            "CREATE TYPE app.mood AS ENUM ('a')",
            "CREATE TABLE t (a app.mood)",
            "type app.mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "ALTER TABLE t ADD COLUMN type mood",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "ALTER TABLE t ALTER COLUMN c TYPE mood USING c::text::mood",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "CREATE FUNCTION f(mood) RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "CREATE FUNCTION f() RETURNS mood AS $$ SELECT 1 $$ LANGUAGE sql",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "CREATE FUNCTION f() RETURNS int AS $$ DECLARE m mood; BEGIN END $$ LANGUAGE plpgsql",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "ALTER TYPE mood ADD VALUE 'b'",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "SELECT 'a'::mood",
            "type mood",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a')",
            "SELECT CAST('a' AS mood)",
            "type mood",
        ),
        (
            "CREATE DOMAIN email AS text",
            "CREATE TABLE t (id int, email email)",
            "domain email",
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "CREATE TABLE t (id int DEFAULT f())",
            "function f",
        ),
        (
            "CREATE FUNCTION app.f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "CREATE VIEW v AS SELECT app.f()",
            "function app.f",
        ),
        (
            "CREATE FUNCTION touch() RETURNS trigger AS $$ $$ LANGUAGE plpgsql",
            "CREATE TRIGGER t BEFORE UPDATE ON x FOR EACH ROW EXECUTE PROCEDURE touch()",
            "function touch",
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ SELECT 2 $$ LANGUAGE sql",
            "function f",
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "CREATE POLICY p ON t USING (f() = 1)",
            "function f",
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "DROP FUNCTION IF EXISTS f()",
            "function f",
        ),
        (
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC",
            "function f",
        ),
        (
            "CREATE FUNCTION f(int, int) RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
            "CREATE AGGREGATE total(int) (SFUNC = f, STYPE = int)",
            "function f",
        ),
        (
            "CREATE PROCEDURE p() AS $$ $$ LANGUAGE plpgsql",
            "CALL p()",
            "procedure p",
        ),
        (
            "CREATE VIEW v AS SELECT 1",
            "CREATE VIEW w AS SELECT * FROM v",
            "view v",
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            "CREATE UNIQUE INDEX i ON v (a)",
            "materialized view v",
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "materialized view v",
        ),
        (
            "CREATE SEQUENCE s",
            "CREATE TABLE t (id int DEFAULT nextval('s'))",
            "sequence s",
        ),
        (
            "CREATE SEQUENCE s",
            "CREATE TABLE t (id int DEFAULT nextval('public.s'::regclass))",
            "sequence s",
        ),
        (
            "CREATE SEQUENCE s",
            "ALTER SEQUENCE s OWNED BY t.id",
            "sequence s",
        ),
        (
            "CREATE SCHEMA app",
            "CREATE TABLE app.t (id int)",
            "schema app",
        ),
        (
            "CREATE SCHEMA app",
            "ALTER TABLE t SET SCHEMA app",
            "schema app",
        ),
        (
            "CREATE SCHEMA app",
            "GRANT USAGE ON SCHEMA app TO reader",
            "schema app",
        ),
        (
            "CREATE SCHEMA app",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO reader",
            "schema app",
        ),
        (
            "CREATE SCHEMA app",
            "GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader",
            "schema app",
        ),
        (
            "CREATE ROLE reader",
            "GRANT SELECT ON t TO reader",
            "role reader",
        ),
        ("CREATE ROLE reader", "GRANT reader TO other", "role reader"),
        (
            "CREATE ROLE reader",
            "CREATE POLICY p ON t TO reader USING (true)",
            "role reader",
        ),
        (
            "CREATE ROLE reader",
            "ALTER TABLE t OWNER TO reader",
            "role reader",
        ),
        (
            "CREATE INDEX i ON t (a)",
            "DROP INDEX CONCURRENTLY i",
            "index i",
        ),
        (
            "CREATE INDEX i ON t (a)",
            "ALTER INDEX i RENAME TO j",
            "index i",
        ),
        (
            "CREATE INDEX i ON app.t (a)",
            "DROP INDEX app.i",
            "index app.i",
        ),
        (
            "CREATE POLICY p ON t USING (true)",
            "ALTER POLICY p ON t USING (false)",
            "policy p on t",
        ),
        (
            "CREATE POLICY \"Read all\" ON t USING (true)",
            "DROP POLICY IF EXISTS \"Read all\" ON public.t",
            "policy Read all on t",
        ),
        (
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
            "ALTER TABLE t DISABLE TRIGGER g",
            "trigger g on t",
        ),
        (
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
            "DROP TRIGGER g ON t",
            "trigger g on t",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
            "ALTER TABLE t DROP CONSTRAINT IF EXISTS c",
            "constraint c on t",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
            "ALTER TABLE t RENAME CONSTRAINT c TO d",
            "constraint c on t",
        ),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
            "COMMENT ON CONSTRAINT c ON t IS 'x'",
            "constraint c on t",
        ),
        (
            "CREATE EXTENSION citext",
            "CREATE TABLE t (name citext)",
            "extension citext",
        ),
        (
            "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\"",
            "CREATE TABLE t (id uuid DEFAULT uuid_generate_v4())",
            "extension uuid-ossp",
        ),
        (
            "CREATE EXTENSION postgis SCHEMA extensions",
            "CREATE TABLE t (at extensions.geometry(Point))",
            "extension postgis",
        ),
        (
            "CREATE EXTENSION pg_trgm",
            "CREATE INDEX i ON t USING gin (a gin_trgm_ops)",
            "extension pg_trgm",
        ),
    ] {
        assert_eq!(used(made, sql).as_deref(), Some(object), "{made}; {sql}");
    }
}

/// `a` makes the table, `b` adds a column, `c` uses it.
fn with_a_column(c: &str) -> Vec<String> {
    let all = found(&[
        ("a", "CREATE TABLE t (id int PRIMARY KEY)"),
        (
            "b",
            "ALTER TABLE t ADD COLUMN label text, ADD PRIMARY KEY (id)",
        ),
        ("c", c),
    ]);
    assert_eq!(all[0], "b -> a: table t");
    all[1..]
        .iter()
        .map(|one| one.replace("c -> ", ""))
        .collect()
}

#[test]
fn a_column_belongs_to_the_migration_that_added_it() {
    for sql in [
        "CREATE INDEX i ON t (label)",
        "CREATE INDEX i ON t (lower(label)) WHERE id > 0",
        "CREATE VIEW v AS SELECT label FROM t",
        "CREATE VIEW v AS SELECT x.label FROM t AS x JOIN y ON true",
        "CREATE VIEW v AS SELECT t.label FROM t",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE VIEW v AS SELECT x.* FROM t x",
        "ALTER TABLE t ALTER COLUMN label SET NOT NULL",
        "ALTER TABLE t ALTER label SET DEFAULT 'a'",
        "ALTER TABLE t ALTER label TYPE varchar(3)",
        "ALTER TABLE t DROP COLUMN label",
        "ALTER TABLE t RENAME COLUMN label TO tag",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (label)",
        "ALTER TABLE t ADD CHECK (length(label) > 1)",
        "UPDATE t SET label = 'a'",
        "INSERT INTO t (id, label) VALUES (1, 'a')",
        "CREATE POLICY p ON t USING (label = current_user)",
        "CREATE TRIGGER g AFTER UPDATE OF label ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "COMMENT ON COLUMN t.label IS 'x'",
        "GRANT SELECT (label) ON t TO reader",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ UPDATE t SET label = '' $$",
    ] {
        assert_eq!(
            with_a_column(sql),
            ["a: table t", "b: column t.label"],
            "{sql}"
        );
    }
    for sql in [
        "CREATE INDEX i ON t (id)",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE VIEW v AS SELECT y.label FROM t, y",
        "ALTER TABLE t ADD COLUMN other text",
        "CREATE TABLE s AS SELECT * FROM t",
    ] {
        assert_eq!(with_a_column(sql), ["a: table t"], "{sql}");
    }
}

/// Turns red if the last maker of an object is not the one that is named.
#[test]
fn an_object_belongs_to_its_last_maker() {
    assert_eq!(
        found(&[
            (
                "a",
                "CREATE FUNCTION f() RETURNS int AS 'SELECT 1' LANGUAGE sql"
            ),
            (
                "b",
                "CREATE OR REPLACE FUNCTION f() RETURNS int AS 'SELECT 2' LANGUAGE sql"
            ),
            ("c", "CREATE VIEW v AS SELECT f()"),
        ]),
        ["b -> a: function f", "c -> b: function f"]
    );
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int)"),
            ("b", "ALTER TABLE t RENAME TO s"),
            ("c", "CREATE INDEX i ON s (id)"),
            ("d", "CREATE TABLE t (id int)"),
            ("e", "DROP TABLE s"),
        ]),
        [
            "b -> a: table t",
            "c -> b: table s",
            "d -> b: table s",
            "e -> b: table s",
        ]
    );
    // Taken away and made again.
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int)"),
            ("b", "DROP TABLE t"),
            ("c", "CREATE TABLE t (id int)"),
            ("d", "INSERT INTO t VALUES (1)"),
        ]),
        ["b -> a: table t", "c -> b: table t", "d -> c: table t"]
    );
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int, c int)"),
            ("b", "ALTER TABLE t DROP COLUMN c"),
            ("c", "ALTER TABLE t ADD COLUMN c text"),
        ]),
        ["b -> a: table t", "c -> a: table t", "c -> b: column t.c"]
    );
    // What is there already is not made once more.
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int)"),
            ("b", "CREATE TABLE IF NOT EXISTS t (id int)"),
            ("c", "CREATE INDEX i ON t (id)"),
        ]),
        ["b -> a: table t", "c -> a: table t"]
    );
    // What a column was called before belongs to the one that renamed it.
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int, old int)"),
            ("b", "ALTER TABLE t RENAME COLUMN old TO new"),
            ("c", "CREATE INDEX i ON t (new)"),
        ]),
        ["b -> a: table t", "c -> a: table t", "c -> b: column t.new"]
    );
    // A dropped table takes its columns with it.
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int)"),
            ("b", "ALTER TABLE t ADD COLUMN x int"),
            ("c", "DROP TABLE t; CREATE TABLE t (id int, x int)"),
            ("d", "CREATE INDEX i ON t (x)"),
        ]),
        ["b -> a: table t", "c -> a: table t", "d -> c: table t"]
    );
}

#[test]
fn routines_of_one_name_are_told_apart_where_they_are_made() {
    assert_eq!(
        found(&[
            (
                "a",
                "CREATE FUNCTION f(int) RETURNS int AS 'SELECT 1' LANGUAGE sql"
            ),
            (
                "b",
                "CREATE FUNCTION f(text) RETURNS int AS 'SELECT 1' LANGUAGE sql"
            ),
            ("c", "CREATE VIEW v AS SELECT f(1)"),
            (
                "d",
                "CREATE OR REPLACE FUNCTION f(bool DEFAULT true) RETURNS int AS 'SELECT 1' LANGUAGE sql"
            ),
        ]),
        ["c -> a: function f", "c -> b: function f"]
    );
}

#[test]
fn what_makes_a_foreign_key_possible_is_used() {
    assert_eq!(
        found(&[
            ("a", "CREATE TABLE t (id int, mail text)"),
            ("b", "CREATE UNIQUE INDEX i ON t (mail)"),
            ("c", "CREATE INDEX j ON t (id)"),
            ("d", "CREATE TABLE s (mail text REFERENCES t (mail))"),
            ("e", "CREATE TABLE r (id int REFERENCES t (id))"),
        ]),
        [
            "b -> a: table t",
            "c -> a: table t",
            "d -> a: table t",
            "d -> b: index i",
            "e -> a: table t",
        ]
    );
}

#[test]
fn a_value_of_an_enum_belongs_to_the_migration_that_added_it() {
    let migrations = |last| {
        found(&[
            ("a", "CREATE TYPE mood AS ENUM ('ok')"),
            ("b", "CREATE TABLE t (m mood)"),
            (
                "c",
                "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'happy' AFTER 'ok'",
            ),
            ("d", last),
        ])
        .into_iter()
        .filter(|one| one.starts_with("d ->"))
        .collect::<Vec<_>>()
    };
    let value = "d -> c: value 'happy' of type mood";
    assert_eq!(
        migrations("UPDATE t SET m = 'happy'"),
        ["d -> b: table t", value]
    );
    assert_eq!(
        migrations("SELECT 'happy'::mood"),
        ["d -> a: type mood", value]
    );
    assert_eq!(migrations("UPDATE t SET m = 'ok'"), ["d -> b: table t"]);
    assert_eq!(migrations("INSERT INTO s VALUES ('happy')"), [""; 0]);
}

/// Turns red if a statement that no parser knows hides what it uses.
#[test]
fn what_cannot_be_read_is_looked_through() {
    assert_eq!(
        used(PROJECTS, "FROBNICATE THE TABLE projects WITH (vigour = 3)").as_deref(),
        Some("table projects")
    );
    assert_eq!(used(PROJECTS, "FROBNICATE projects"), None);
    // Nothing is known of what has no tokens; the other statements are told apart from it or not at all.
    assert_eq!(used(PROJECTS, "SELECT 'open"), None);
}

#[test]
fn names_are_compared_as_the_server_does() {
    let sql = "CREATE TABLE tasks (p int REFERENCES Projects (id))";
    let quoted = "CREATE TABLE tasks (p int REFERENCES \"Projects\" (id))";
    let ticks = "CREATE TABLE tasks (p int, FOREIGN KEY (p) REFERENCES `Projects` (id))";
    let two = |dialect, sql| found_on(dialect, &[("a", PROJECTS), ("b", sql)]);
    assert_eq!(two(Dialect::Postgres, sql), ["b -> a: table projects"]);
    assert_eq!(two(Dialect::Postgres, quoted), [""; 0]);
    assert_eq!(two(Dialect::Sqlite, quoted), ["b -> a: table projects"]);
    assert_eq!(two(Dialect::MySql, ticks), ["b -> a: table projects"]);
    assert_eq!(
        found_on(
            Dialect::Sqlite,
            &[
                ("a", PROJECTS),
                ("b", "CREATE INDEX main.i ON projects (id)")
            ]
        ),
        ["b -> a: table projects"]
    );
}

#[test]
fn on_mariadb() {
    let all = |migrations: &[(&str, &str)]| found_on(Dialect::MySql, migrations);
    assert_eq!(
        all(&[
            ("a", "CREATE TABLE `t` (id int PRIMARY KEY, KEY k (id))"),
            (
                "b",
                "ALTER TABLE t ADD COLUMN x int AFTER id, ADD INDEX ix (x)"
            ),
            ("c", "DROP INDEX ix ON t"),
            ("d", "ALTER TABLE t MODIFY x bigint NOT NULL"),
            ("e", "RENAME TABLE t TO s"),
            (
                "f",
                "CREATE TRIGGER g BEFORE INSERT ON s FOR EACH ROW SET NEW.x = 1"
            ),
            ("g", "DROP TRIGGER g"),
        ]),
        [
            "b -> a: table t",
            "c -> a: table t",
            "c -> b: index ix on t",
            "d -> a: table t",
            "d -> b: column t.x",
            "e -> a: table t",
            "f -> b: column s.x",
            "f -> e: table s",
            "g -> f: trigger g on s",
        ]
    );
}

fn declared<'a>(
    id: &'a RevisionId,
    up: &'a str,
    depends_on: &'a [RevisionId],
    independent_of: &'a [RevisionId],
) -> Candidate<'a> {
    Candidate {
        id,
        up,
        depends_on,
        independent_of,
    }
}

fn ids(names: &str) -> Vec<RevisionId> {
    names.split(' ').map(RevisionId::new).collect()
}

#[test]
fn what_is_declared_counts_first() {
    let ids = ids("a b c d");
    let index = "CREATE INDEX i ON projects (name)";
    let found = dependencies(
        &[
            declared(&ids[0], PROJECTS, &[], &[]),
            declared(&ids[1], index, &ids[..1], &[]),
            declared(&ids[2], "CREATE INDEX j ON projects (name)", &[], &ids[..2]),
            declared(&ids[3], "SELECT 1", &ids[1..2], &ids[1..2]),
        ],
        Dialect::Postgres,
    )
    .unwrap();
    let kinds: Vec<_> = found.iter().map(|one| one.kind).collect();
    assert_eq!(
        drawn(&found),
        ["b -> a: -", "c -> a: table projects", "d -> b: -"]
    );
    assert_eq!(
        kinds,
        [
            HistoryKind::Declared,
            HistoryKind::Independent,
            HistoryKind::Declared
        ]
    );
}

/// A migration that declares to need a later one is applied after it.
#[test]
fn objects_are_followed_in_the_order_that_is_declared() {
    let ids = ids("a b c");
    let found = dependencies(
        &[
            declared(&ids[0], "CREATE INDEX i ON projects (id)", &ids[1..2], &[]),
            declared(&ids[1], PROJECTS, &[], &[]),
            declared(&ids[2], "DROP INDEX i", &[], &[]),
        ],
        Dialect::Postgres,
    )
    .unwrap();
    assert_eq!(drawn(&found), ["a -> b: -", "c -> a: index i"]);
}

#[test]
fn a_circle_is_told_in_its_order() {
    let names = ids("a b c d");
    let error = dependencies(
        &[
            declared(&names[0], "", &names[2..3], &[]),
            declared(&names[1], "", &names[0..1], &[]),
            declared(&names[2], "", &names[1..2], &[]),
            declared(&names[3], "", &names[0..1], &[]),
        ],
        Dialect::Postgres,
    )
    .unwrap_err();
    assert_eq!(error, DependencyError::Cycle(ids("a c b")));
    assert_eq!(
        error.to_string(),
        "migrations depend on each other in a circle: a, which depends on c, which depends on b, which depends on a"
    );
    let error = dependencies(
        &[declared(&names[0], "", &names[..1], &[])],
        Dialect::Postgres,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "a depends on itself");
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let names = ids("20250101_projects 20250102_tasks 20250101_project x");
    let with = |depends_on, independent_of| {
        dependencies(
            &[
                declared(&names[0], "", &[], &[]),
                declared(&names[1], "", depends_on, independent_of),
            ],
            Dialect::Postgres,
        )
        .unwrap_err()
    };
    let error = with(&names[2..3], &[]);
    assert_eq!(
        error.to_string(),
        "20250102_tasks depends on 20250101_project, which is no migration here"
    );
    assert_eq!(error.hint(), "did you mean 20250101_projects?");
    let error = with(&[], &names[3..]);
    assert_eq!(
        error.to_string(),
        "20250102_tasks is declared independent of x, which is no migration here"
    );
    assert_eq!(error.hint(), "name a migration by its file, without .sql");
}

/// A hundred migrations of one project: each table refers to the one before and to the table three before, and
/// between them come an added column, an index on it, a view and a function.
#[test]
fn a_hundred_migrations() {
    let mut names = Vec::new();
    let mut texts = Vec::new();
    let mut expected = Vec::new();
    let mut depends = |of: &str, on: &str, object: &str| {
        expected.push(format!("{of} -> {on}: {object}"));
    };
    for number in 0..100_usize {
        let name = format!("{number:03}");
        let table = |number: usize| format!("t{:03}", number - number % 5);
        let group = number - number % 5;
        let at = |offset: usize| format!("{:03}", group + offset);
        let text = match number % 5 {
            0 => {
                let mut columns = vec!["id int PRIMARY KEY".to_owned(), "body text".to_owned()];
                for back in [5, 15] {
                    if number >= back {
                        let other = table(number - back);
                        columns.push(format!("r{back} int REFERENCES public.{other} (id)"));
                    }
                }
                for back in [15, 5] {
                    if number >= back {
                        let on = format!("{:03}", number - back);
                        depends(&name, &on, &format!("table {}", table(number - back)));
                    }
                }
                format!("CREATE TABLE {} ({});", table(number), columns.join(", "))
            }
            1 => {
                depends(&name, &at(0), &format!("table {}", table(number)));
                format!(
                    "ALTER TABLE {} ADD COLUMN label text NOT NULL DEFAULT '';",
                    table(number)
                )
            }
            2 => {
                depends(&name, &at(0), &format!("table {}", table(number)));
                depends(&name, &at(1), &format!("column {}.label", table(number)));
                format!("CREATE INDEX ix_{name} ON {} (label);", table(number))
            }
            3 => {
                depends(&name, &at(0), &format!("table {}", table(number)));
                format!(
                    "CREATE VIEW v_{} AS SELECT x.id, x.body FROM {} x;",
                    at(3),
                    table(number)
                )
            }
            _ => {
                depends(&name, &at(0), &format!("table {}", table(number)));
                depends(&name, &at(3), &format!("view v_{}", at(3)));
                format!(
                    "CREATE FUNCTION f_{name}() RETURNS bigint LANGUAGE plpgsql AS $$\nBEGIN\n  \
                     DELETE FROM {} WHERE body IS NULL;\n  RETURN (SELECT count(*) FROM v_{});\nEND $$;",
                    table(number),
                    at(3)
                )
            }
        };
        names.push(name);
        texts.push(text);
    }
    let migrations: Vec<(&str, &str)> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let all = found(&migrations);
    assert_eq!(all, expected);
    assert_eq!(all.len(), 20 + 40 + 20 + 40 + 36);
}
