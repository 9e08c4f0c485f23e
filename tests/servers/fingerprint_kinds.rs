//! Every kind of object beside tables and their parts: a change shows in the lines, and its reverse makes them
//! equal again.

use rollback_core::backup;
use rollback_core::dialect::Dialect;
use rollback_core::schema::{Difference, fingerprint};

use crate::support::{Kind, TestDatabase, cases};
use crate::walk::schema;

/// Whether the lines are those that begin so, one for one.
fn begin_with(lines: &[String], beginnings: &[String]) -> bool {
    let mut beginnings = beginnings.to_vec();
    beginnings.sort_unstable();
    lines.len() == beginnings.len()
        && lines
            .iter()
            .zip(beginnings)
            .all(|(line, beginning)| line.starts_with(&beginning))
}

/// The statements as the server takes them; `None` for what MySQL has not.
fn spoken(kind: Kind, statements: [&str; 2]) -> Option<[String; 2]> {
    let is_foreign = |sql: &str| sql.contains("PACKAGE") || sql.contains("SYSTEM VERSIONING");
    if !kind.is_mysql() {
        return Some(statements.map(str::to_owned));
    }
    if statements.into_iter().any(is_foreign) {
        return None;
    }
    Some(statements.map(|sql| {
        let routine = ["FUNCTION twice", "PROCEDURE nothing"]
            .into_iter()
            .find(|routine| sql.starts_with(&format!("CREATE OR REPLACE {routine}")));
        match routine {
            Some(routine) => format!(
                "DROP {routine}; {}",
                sql.replacen("CREATE OR REPLACE", "CREATE", 1)
            ),
            None => sql.replace(
                "CHARACTER SET DEFAULT",
                "CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci",
            ),
        }
    }))
}

/// Makes each change and its reverse (`<`) on one database that `base` built. The lines are the beginnings of those that
/// the change removes (`-`) and adds (`+`).
fn there_and_back(kind: Kind, base: &str, changes: &str) {
    let database = TestDatabase::create(kind);
    database.execute(base);
    let before = schema(&database);
    for case in cases(changes) {
        let Some([change, reverse]) = spoken(kind, [case.head, case.marked("<")[0]]) else {
            continue;
        };
        let written = |mark: &str| -> Vec<String> {
            let lines = case.marked(mark).into_iter();
            // MySQL's integers have no width.
            lines
                .map(|line| {
                    if kind.is_mysql() {
                        line.replace("int(11)", "int")
                    } else {
                        line.to_owned()
                    }
                })
                .collect()
        };
        let (gone, new) = (&written("-"), &written("+"));
        database.execute(&change);
        let after = schema(&database);
        let difference = Difference::between(Some(&before), Some(&after));
        assert!(
            begin_with(&difference.gone, gone) && begin_with(&difference.new, new),
            "{kind:?}: {change}\n{difference:#?}"
        );
        assert_ne!(
            fingerprint(&before),
            fingerprint(&after),
            "{kind:?}: {change}"
        );
        database.execute(&reverse);
        let back = schema(&database);
        let difference = Difference::between(Some(&before), Some(&back));
        assert!(
            difference.is_empty(),
            "{kind:?}: {reverse}\n{difference:#?}"
        );
    }
}

const POSTGRESQL: &str = "
    CREATE TABLE a (id integer PRIMARY KEY, n integer NOT NULL);
    CREATE UNIQUE INDEX a_n ON a (n);
    CREATE TABLE b (id integer, a_id integer, CONSTRAINT b_a FOREIGN KEY (a_id) REFERENCES a (id));
    CREATE TABLE p (id integer) PARTITION BY RANGE (id);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
    CREATE TABLE parent (x integer); CREATE TABLE child () INHERITS (parent);
    ALTER TABLE a ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON a USING (id > 0);
    CREATE SEQUENCE s;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER stamped BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE RULE quiet AS ON DELETE TO b DO INSTEAD NOTHING;
    CREATE DOMAIN positive AS integer CONSTRAINT positive_check CHECK (VALUE > 0);
    CREATE TYPE pair AS (a integer, b text);
    CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n * 2';
    CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
    CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer);
    CREATE PUBLICATION news FOR TABLE a";

/// Turns red if one of the kinds has no line, such as row-level security, whose loss was called unchanged.
#[test]
fn tables_of_postgresql_have_lines_for_what_belongs_to_them() {
    there_and_back(
        Kind::PostgreSql,
        POSTGRESQL,
        r#"
            ALTER TABLE a DISABLE ROW LEVEL SECURITY
              < ALTER TABLE a ENABLE ROW LEVEL SECURITY
              - row security public.a enabled
            ALTER TABLE a FORCE ROW LEVEL SECURITY
              < ALTER TABLE a NO FORCE ROW LEVEL SECURITY
              - row security public.a enabled
              + row security public.a enabled forced
            DROP POLICY own ON a
              < CREATE POLICY own ON a USING (id > 0)
              - policy public.a.own to PUBLIC using ((id > 0))
            ALTER POLICY own ON a TO pg_read_all_data, pg_monitor USING (id > 1)
              < ALTER POLICY own ON a TO PUBLIC USING (id > 0)
              - policy public.a.own to PUBLIC using ((id > 0))
              + policy public.a.own to pg_monitor, pg_read_all_data using ((id > 1))
            CREATE POLICY writes ON a AS RESTRICTIVE FOR INSERT WITH CHECK (id < 9)
              < DROP POLICY writes ON a
              + policy public.a.writes restrictive for insert to PUBLIC with check ((id < 9))
            ALTER TABLE a DISABLE TRIGGER stamped
              < ALTER TABLE a ENABLE TRIGGER stamped
              - trigger public.a CREATE TRIGGER stamped BEFORE INSERT
              + trigger public.a CREATE TRIGGER stamped BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION stamp() disabled
            ALTER TABLE a ENABLE ALWAYS TRIGGER stamped
              < ALTER TABLE a ENABLE TRIGGER stamped
              - trigger public.a CREATE TRIGGER stamped BEFORE INSERT
              + trigger public.a CREATE TRIGGER stamped BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION stamp() always
            ALTER TABLE b DISABLE TRIGGER ALL
              < ALTER TABLE b ENABLE TRIGGER ALL
              + constraint trigger public.b.b_a "RI_FKey_check_ins" disabled
              + constraint trigger public.b.b_a "RI_FKey_check_upd" disabled
            DROP RULE quiet ON b
              < CREATE RULE quiet AS ON DELETE TO b DO INSTEAD NOTHING
              - rule public.b.quiet CREATE RULE quiet AS ON DELETE TO public.b DO INSTEAD NOTHING;
            ALTER TABLE b DISABLE RULE quiet
              < ALTER TABLE b ENABLE RULE quiet
              - rule public.b.quiet CREATE RULE
              + rule public.b.quiet CREATE RULE quiet AS ON DELETE TO public.b DO INSTEAD NOTHING; disabled
            ALTER TABLE p DETACH PARTITION p1
              < ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (1) TO (10)
              - partition public.p1 of public.p FOR VALUES FROM (1) TO (10)
            CREATE TABLE q (id integer) PARTITION BY HASH (id)
              < DROP TABLE q
              + column public.q.id integer
              + partitioned public.q by HASH (id)
              + table public.q
            ALTER TABLE child NO INHERIT parent
              < ALTER TABLE child INHERIT parent
              - inherits public.child of public.parent
            ALTER TABLE b SET UNLOGGED
              < ALTER TABLE b SET LOGGED
              + unlogged public.b
            ALTER TABLE a REPLICA IDENTITY FULL
              < ALTER TABLE a REPLICA IDENTITY DEFAULT
              + replica identity public.a full
            ALTER TABLE a REPLICA IDENTITY USING INDEX a_n
              < ALTER TABLE a REPLICA IDENTITY DEFAULT
              + replica identity public.a index a_n
            ALTER TABLE a SET (fillfactor = 70, autovacuum_enabled = false)
              < ALTER TABLE a RESET (autovacuum_enabled, fillfactor)
              + options public.a autovacuum_enabled=false, fillfactor=70
            ALTER TABLE a OWNER TO pg_monitor
              < ALTER TABLE a OWNER TO CURRENT_USER
              + owner public.a pg_monitor
            CREATE STATISTICS st ON id, n FROM a
              < DROP STATISTICS st
              + statistics CREATE STATISTICS public.st ON id, n FROM a
            "#,
    );
}

/// Turns red if a right has no line, or if one that was given and revoked again leaves a trace.
#[test]
fn rights_of_postgresql_have_lines() {
    there_and_back(
        Kind::PostgreSql,
        POSTGRESQL,
        r"
            GRANT SELECT, INSERT ON a TO PUBLIC; GRANT UPDATE ON a TO pg_monitor WITH GRANT OPTION
              < REVOKE ALL ON a FROM pg_monitor; REVOKE ALL ON a FROM PUBLIC
              + grant public.a INSERT, SELECT to PUBLIC
              + grant public.a UPDATE to pg_monitor with grant option
            GRANT SELECT (n) ON a TO PUBLIC
              < REVOKE SELECT (n) ON a FROM PUBLIC
              + grant public.a.n SELECT to PUBLIC
            GRANT USAGE ON SEQUENCE s TO PUBLIC
              < REVOKE USAGE ON SEQUENCE s FROM PUBLIC
              + grant public.s USAGE to PUBLIC
            REVOKE ALL ON FUNCTION twice(integer) FROM PUBLIC
              < GRANT EXECUTE ON FUNCTION twice(integer) TO PUBLIC
              + revoke function public.twice(n integer) EXECUTE from PUBLIC
            REVOKE USAGE ON TYPE pair FROM PUBLIC
              < GRANT USAGE ON TYPE pair TO PUBLIC
              + revoke type public.pair USAGE from PUBLIC
            REVOKE USAGE ON SCHEMA public FROM PUBLIC
              < GRANT USAGE ON SCHEMA public TO PUBLIC
              + revoke schema public USAGE from PUBLIC
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC
              < ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM PUBLIC
              + grant default privileges of …
            ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
              < ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC
              + revoke default privileges of …
            ",
    );
}

/// Turns red if one of the kinds has no line.
#[test]
fn objects_of_postgresql_beside_tables_have_lines() {
    there_and_back(
        Kind::PostgreSql,
        POSTGRESQL,
        r"
            DROP DOMAIN positive
              < CREATE DOMAIN positive AS integer CONSTRAINT positive_check CHECK (VALUE > 0)
              - domain check public.positive.positive_check CHECK ((VALUE > 0))
              - domain public.positive integer
            ALTER DOMAIN positive SET DEFAULT 1; ALTER DOMAIN positive SET NOT NULL
              < ALTER DOMAIN positive DROP DEFAULT; ALTER DOMAIN positive DROP NOT NULL
              - domain public.positive integer
              + domain public.positive integer not null default 1
            ALTER TYPE pair ADD ATTRIBUTE c date
              < ALTER TYPE pair DROP ATTRIBUTE c
              - type public.pair composite (a integer, b text)
              + type public.pair composite (a integer, b text, c date)
            CREATE TYPE span AS RANGE (subtype = float8)
              < DROP TYPE span
              + type public.span range (double precision operator class float8_ops)
            CREATE EXTENSION citext
              < DROP EXTENSION citext
              + extension citext 1.
            CREATE OR REPLACE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n + n'
              < CREATE OR REPLACE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT n * 2'
              - function public.twice(n integer) …
              + function public.twice(n integer) …
            ALTER FUNCTION twice(integer) SECURITY DEFINER
              < ALTER FUNCTION twice(integer) SECURITY INVOKER
              - function public.twice(n integer) …
              + function public.twice(n integer) …
            DROP PROCEDURE nothing()
              < CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'
              - procedure public.nothing() …
            DROP AGGREGATE total (integer); CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0')
              < DROP AGGREGATE total (integer); CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer)
              - aggregate public.total(integer) …
              + aggregate public.total(integer) …
            CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER on_table ON ddl_command_end WHEN TAG IN ('DROP TABLE', 'ALTER TABLE') EXECUTE FUNCTION seen()
              < DROP EVENT TRIGGER on_table; DROP FUNCTION seen()
              + event trigger on_table on ddl_command_end tags ALTER TABLE, DROP TABLE execute seen()
              + function public.seen() …
            ALTER PUBLICATION news ADD TABLE b
              < ALTER PUBLICATION news DROP TABLE b
              + publication news of public.b
            ALTER PUBLICATION news SET (publish = 'insert')
              < ALTER PUBLICATION news SET (publish = 'insert, update, delete, truncate')
              - publication news insert update delete truncate
              + publication news insert
            CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere' PUBLICATION z, y WITH (connect = false, slot_name = NONE)
              < DROP SUBSCRIPTION sub
              + subscription sub disabled of y, z
            CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w OPTIONS (host 'secret-host'); CREATE USER MAPPING FOR PUBLIC SERVER far; CREATE FOREIGN TABLE ft (id integer) SERVER far OPTIONS (t 'x')
              < DROP FOREIGN DATA WRAPPER w CASCADE
              + column public.ft.id integer
              + foreign server far of w …
              + foreign table public.ft server far …
              + foreign-data wrapper w
              + table public.ft
              + user mapping far of PUBLIC
            CREATE SCHEMA other AUTHORIZATION pg_monitor
              < DROP SCHEMA other
              + owner schema other pg_monitor
              + schema other
            CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq)
              < DROP OPERATOR === (integer, integer)
              + operator public.===(integer,integer)
            CREATE CAST (pair AS text) WITH INOUT
              < DROP CAST (pair AS text)
              + cast (public.pair AS pg_catalog.text)
            CREATE TEXT SEARCH CONFIGURATION words (COPY = simple)
              < DROP TEXT SEARCH CONFIGURATION words
              + text search configuration public.words
            ",
    );
}

/// Turns red if the schema `public`, which every database has without a line, is missed when it is gone, or if
/// one that was made again is taken for the first one, which everybody may use.
#[test]
fn the_schema_public_is_missed_and_its_rights_are_seen() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let lines =
        |database: &TestDatabase<'_>| -> Vec<String> { schema(database).into_iter().collect() };
    assert_eq!(lines(&database), [""; 0]);
    database.execute("DROP SCHEMA public");
    assert_eq!(lines(&database), ["schema public absent"]);
    database.execute("CREATE SCHEMA public");
    assert_eq!(
        lines(&database)[0],
        "revoke schema public USAGE from PUBLIC"
    );
    database.execute("GRANT USAGE ON SCHEMA public TO PUBLIC");
    assert!(!lines(&database).iter().any(|line| line.contains("USAGE")));
}

/// Turns red if the lines contain a number of the server's own, the order in which rights were given, or a
/// password in the options of a foreign server.
#[test]
fn two_ways_to_the_same_objects_give_the_same_lines() {
    let lines = |sql: &str| {
        let database = TestDatabase::create(Kind::PostgreSql);
        database.execute(sql);
        schema(&database)
    };
    let one = lines(
        "CREATE TABLE t (id integer); GRANT SELECT ON t TO PUBLIC; GRANT INSERT ON t TO pg_monitor;
         CREATE TYPE c AS (x integer); CREATE FUNCTION f(c) RETURNS integer LANGUAGE sql AS 'SELECT 1';
         CREATE POLICY own ON t TO pg_monitor, pg_read_all_data USING (true);
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w OPTIONS (a '1', password 'hunter2')",
    );
    let other = lines(
        "CREATE TABLE before (id integer); CREATE TYPE c AS (y text, x integer); ALTER TYPE c DROP ATTRIBUTE y;
         CREATE FUNCTION f(c) RETURNS integer LANGUAGE sql AS 'SELECT 2';
         CREATE OR REPLACE FUNCTION f(c) RETURNS integer LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE t (id integer); GRANT ALL ON t TO pg_monitor; REVOKE ALL ON t FROM pg_monitor;
         GRANT INSERT ON t TO pg_monitor; GRANT SELECT ON t TO PUBLIC;
         CREATE POLICY own ON t TO pg_read_all_data, pg_monitor USING (true);
         REVOKE EXECUTE ON FUNCTION f(c) FROM PUBLIC; GRANT EXECUTE ON FUNCTION f(c) TO PUBLIC; DROP TABLE before;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w OPTIONS (password 'hunter2', a '1')",
    );
    assert_eq!(one, other);
    assert!(one.len() > 8, "{one:#?}");
    assert!(!one.iter().any(|line| line.contains("hunter2")), "{one:#?}");
}

/// Turns red if what a dump cannot carry makes a restored database look different, or if more is left out.
#[test]
fn a_backup_is_compared_by_what_it_carries() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(POSTGRESQL);
    let lines = || backup::fingerprint(&schema(&database), Dialect::Postgres);
    let before = lines();
    database.execute("ALTER TABLE b DISABLE TRIGGER ALL; ALTER TABLE a OWNER TO pg_monitor");
    assert_eq!(lines(), before);
    database.execute("GRANT SELECT ON b TO PUBLIC");
    assert_ne!(lines(), before);
}

const MARIADB: &str = "
    CREATE TABLE a (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 1);
    CREATE TABLE p (id integer) PARTITION BY RANGE (id) (
        PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20));
    CREATE VIEW v AS SELECT id FROM a;
    CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.n = 1;
    CREATE FUNCTION twice(n integer) RETURNS integer DETERMINISTIC RETURN n * 2;
    CREATE PROCEDURE nothing(IN x integer) SELECT x;
    CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM a";

/// Turns red if one of the kinds has no line, such as events and partitions, whose loss was called unchanged.
#[test]
fn objects_of_mariadb_beside_columns_and_keys_have_lines() {
    there_and_back(
        Kind::MariaDb,
        MARIADB,
        r"
            DROP EVENT nightly
              < CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM a
              - definer event nightly …
              - event nightly disabled every 1 day starts 2030-01-01 00:00:00
            ALTER EVENT nightly DO DELETE FROM p
              < ALTER EVENT nightly DO DELETE FROM a
              - event nightly disabled every 1 day
              + event nightly disabled every 1 day
            ALTER EVENT nightly ON SCHEDULE EVERY 2 HOUR STARTS '2031-01-01 00:00:00'
              < ALTER EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'
              - event nightly disabled every 1 day starts 2030-01-01 00:00:00
              + event nightly disabled every 2 hour starts 2031-01-01 00:00:00
            ALTER TABLE p DROP PARTITION p1
              < ALTER TABLE p ADD PARTITION (PARTITION p1 VALUES LESS THAN (20))
              - partition p.p1 range (`id`) less than 20
            ALTER TABLE a PARTITION BY HASH (id) PARTITIONS 2
              < ALTER TABLE a REMOVE PARTITIONING
              + partition a.p0 hash (`id`)
              + partition a.p1 hash (`id`)
            CREATE OR REPLACE FUNCTION twice(n integer) RETURNS integer DETERMINISTIC RETURN n + n
              < CREATE OR REPLACE FUNCTION twice(n integer) RETURNS integer DETERMINISTIC RETURN n * 2
              - function twice returns int(11) …
              + function twice returns int(11) …
            CREATE OR REPLACE PROCEDURE nothing(IN x bigint) SELECT x
              < CREATE OR REPLACE PROCEDURE nothing(IN x integer) SELECT x
              - procedure nothing …
              + procedure nothing …
            ALTER PROCEDURE nothing SQL SECURITY INVOKER
              < ALTER PROCEDURE nothing SQL SECURITY DEFINER
              - procedure nothing …
              + procedure nothing …
            SET sql_mode = 'ORACLE'; CREATE PACKAGE pack AS FUNCTION f(x int) RETURN int; END
              < SET sql_mode = 'ORACLE'; DROP PACKAGE pack
              + definer package pack …
              + package pack …
            ALTER SQL SECURITY INVOKER VIEW v AS SELECT id FROM a
              < ALTER SQL SECURITY DEFINER VIEW v AS SELECT id FROM a
              - view v select `a`.`id` AS `id` from `a`
              + view v select `a`.`id` AS `id` from `a` sql security invoker
            ALTER DEFINER = somebody@'%' VIEW v AS SELECT id FROM a
              < ALTER DEFINER = CURRENT_USER VIEW v AS SELECT id FROM a
              - definer view v …
              + definer view v somebody@%
            ALTER TABLE a ENGINE = MyISAM
              < ALTER TABLE a ENGINE = InnoDB
              + options a engine MyISAM
            ALTER TABLE a ROW_FORMAT = COMPACT
              < ALTER TABLE a ROW_FORMAT = DEFAULT
              + options a row_format=COMPACT
            ALTER TABLE p DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
              < ALTER TABLE p DEFAULT CHARACTER SET DEFAULT
              + options p collate utf8mb4_bin
            ALTER TABLE a ADD SYSTEM VERSIONING
              < ALTER TABLE a DROP SYSTEM VERSIONING
              + options a system versioned
            CREATE USER reader_of_kinds@'%'; GRANT UPDATE, SELECT ON a TO reader_of_kinds@'%'; GRANT INSERT (n) ON a TO reader_of_kinds@'%'
              < DROP USER reader_of_kinds@'%'
              + grant a select, update to 'reader_of_kinds'@'%'
              + grant a.n insert to 'reader_of_kinds'@'%'
            ",
    );
}

/// Turns red if a statement of SQLite or a number that an application keeps in the file has no line.
#[test]
fn virtual_tables_and_numbers_of_a_file_have_lines() {
    there_and_back(
        Kind::Sqlite,
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE r USING rtree(id, low, high);
         CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 1; END",
        r"
            DROP TRIGGER t; CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 2; END
              < DROP TRIGGER t; CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 1; END
              - trigger a.t create trigger t after delete on a begin select 1 ; end
              + trigger a.t create trigger t after delete on a begin select 2 ; end
            DROP TABLE r; CREATE VIRTUAL TABLE r USING rtree(id, west, east)
              < DROP TABLE r; CREATE VIRTUAL TABLE r USING rtree(id, low, high)
              - table r using rtree ( id , low , high )
              + table r using rtree ( id , west , east )
            PRAGMA user_version = 7
              < PRAGMA user_version = 0
              + pragma user_version 7
            PRAGMA application_id = -5
              < PRAGMA application_id = 0
              + pragma application_id -5
            ",
    );
}
