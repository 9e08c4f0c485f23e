//! Backups of the servers by their own clients: what goes in comes back, to the last byte.

use std::path::{Path, PathBuf};

use rollback_core::backup::DatabaseDigest;
use rollback_core::connection::{ConnectionFacts, VersionTable};
use rollback_core::interrupt::Interrupt;
use rollback_database::backup::{self, BackupContext, BackupDriver, BackupError, NotRestored};
use rollback_system::process::Environment;

use crate::support::{Kind, TestDatabase};

/// A folder for backups, and what goes with it.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) interrupt: Interrupt,
    /// The search path of the clients.
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            interrupt: Interrupt::never(),
            path: crate::support::search_path().into_string().unwrap(),
        }
    }

    pub(crate) fn backups(&self, facts: &ConnectionFacts) -> Box<dyn BackupDriver> {
        let surroundings = BackupContext {
            environment: Environment::from([("PATH".into(), self.path.clone().into())]),
            interrupt: self.interrupt.clone(),
            folder: self.folder.path().to_owned(),
            version_table: VersionTable::default(),
        };
        backup::open(facts, surroundings).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that goes before the real one of that name.
    pub(crate) fn program(&mut self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.file("bin");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
        if !self.path.starts_with(folder.to_str().unwrap()) {
            self.path = format!("{}:{}", folder.display(), self.path);
        }
    }
}

/// Nobody listens.
pub(crate) fn quiet() -> impl FnMut(u64) {
    |_| {}
}

/// A backup of the database under that name.
pub(crate) fn dumped(
    place: &Place,
    database: &TestDatabase<'_>,
    name: &str,
) -> (PathBuf, DatabaseDigest) {
    let file = place.file(name);
    let contents = place
        .backups(&database.facts())
        .dump(&file, &mut quiet())
        .unwrap();
    (file, contents)
}

pub(crate) fn restore(
    place: &Place,
    database: &TestDatabase<'_>,
    file: &Path,
) -> Result<(), NotRestored> {
    place
        .backups(&database.facts())
        .restore(file, &[], &mut quiet())
}

/// Everything that a backup of PostgreSQL may hold, under names that have to be quoted.
const POSTGRES: &str = r#"
    CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('aaaa1111'), ('bbbb2222');
    CREATE EXTENSION pgcrypto;
    CREATE SCHEMA extensions; CREATE EXTENSION hstore SCHEMA extensions;
    CREATE TABLE extensions.mine (id int);
    CREATE SCHEMA "Zweites ""Schema""";
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'glücklich');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TYPE span AS RANGE (subtype = float8);
    CREATE SEQUENCE counter START 5 INCREMENT 3 CYCLE MAXVALUE 1000; SELECT nextval('counter'), nextval('counter');
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END$$;
    CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
    CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE AGGREGATE rows_of(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE COLLATION numeric_order (provider = icu, locale = 'en-u-kn-true');
    CREATE TABLE "Größe ""x"" y" (
        id serial PRIMARY KEY, "Ünicode's" text, raw bytea, flag boolean, i2 smallint, i8 bigint, f4 real, f8 float8,
        n numeric(20, 5), d date, t time, tz timestamptz, ts timestamp, iv interval, u uuid, j json, jb jsonb, a int[],
        m mood, p pair, po positive, r int4range, s span, ip inet, mac macaddr, b bit(3), pt point, x xml, ts_v tsvector,
        c char(5), mo money, h extensions.hstore, twice_of int GENERATED ALWAYS AS (i2 * 2) STORED);
    INSERT INTO "Größe ""x"" y" ("Ünicode's", raw, flag, i2, i8, f4, f8, n, d, t, tz, ts, iv, u, j, jb, a, m, p, po, r, s,
            ip, mac, b, pt, x, ts_v, c, mo, h) VALUES
        ('', '\x', NULL, NULL, -9223372036854775808, 'NaN', '-Infinity', 'NaN', 'infinity', '24:00', '0001-01-01 BC', NULL,
            '-1 year', NULL, 'null', '[]', '{}', 'sad', '(,)', 1, 'empty', NULL, '::1', NULL, '101', NULL, NULL, '', '', 0, ''),
        (E'Zeile\n\ttab \\. \\N "q" ''s'' $$ 🙂', decode(string_agg_bytes(), 'hex'), true, 3, 2, 1.1, 0.1, 1.00001, '2026-02-28',
            '12:34:56.789', '2026-01-01 12:00+05', '1999-12-31', '3 days', gen_random_uuid(), '{"a" :  1}', '{"ä": [1, null]}',
            '{{1,2},{3,NULL}}', 'it''s "ok"', '(7,"a ""b""")', 9, '[1,5)', '[0.5,1)', '10.0.0.0/8', '08:00:2b:01:02:03', '010',
            '(1,2)', '<a>ü</a>', 'ein wort', 'ab', 12.34, 'a=>1, "b c"=>NULL');
    CREATE TABLE "Zweites ""Schema"""."Kind" (
        id int GENERATED ALWAYS AS IDENTITY (START 10) PRIMARY KEY, parent int REFERENCES "Größe ""x"" y" ON DELETE CASCADE,
        note text COLLATE numeric_order, deleted boolean DEFAULT false);
    INSERT INTO "Zweites ""Schema"""."Kind" (parent, note) SELECT 1 + n % 2, 'n' || n FROM generate_series(1, 20000) n;
    CREATE UNIQUE INDEX live ON "Zweites ""Schema"""."Kind" (id) WHERE NOT deleted;
    CREATE INDEX by_function ON "Zweites ""Schema"""."Kind" (twice(id), note DESC);
    CREATE TRIGGER stamped BEFORE INSERT ON "Zweites ""Schema"""."Kind" FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE VIEW seen AS SELECT k.id, g."Ünicode's" FROM "Zweites ""Schema"""."Kind" k JOIN "Größe ""x"" y" g ON g.id = k.parent;
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM seen;
    CREATE TABLE measured (at date NOT NULL, value int) PARTITION BY RANGE (at);
    CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
    INSERT INTO measured VALUES ('2025-06-01', 1), ('2031-01-01', 2);
    CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1); INSERT INTO parent VALUES (2);
    ALTER TABLE parent ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON parent USING (id > 0);
    CREATE STATISTICS st ON at, value FROM measured_rest;
    CREATE PUBLICATION news FOR TABLE parent;
    COMMENT ON TABLE parent IS 'it''s the parent';
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA extensions GRANT SELECT ON TABLES TO PUBLIC;
    GRANT SELECT ON parent TO PUBLIC;
    SELECT lo_from_bytea(4711, '\x00ff');
    CREATE FUNCTION seen_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
    CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION seen_ddl();
    GRANT SELECT (id), UPDATE ON child TO pg_monitor WITH GRANT OPTION; GRANT USAGE ON SEQUENCE counter TO pg_monitor;
    REVOKE ALL ON FUNCTION twice(int) FROM PUBLIC; REVOKE USAGE ON TYPE positive FROM PUBLIC; GRANT USAGE ON SCHEMA extensions TO pg_monitor;
    ALTER TABLE child OWNER TO pg_monitor; ALTER TABLE parent REPLICA IDENTITY FULL, FORCE ROW LEVEL SECURITY;
    CREATE POLICY later ON parent AS RESTRICTIVE FOR INSERT TO pg_read_all_data, pg_monitor WITH CHECK (id < 100);
    CREATE UNLOGGED TABLE fast (id serial PRIMARY KEY) WITH (fillfactor = 70, autovacuum_enabled = false);
    CREATE RULE quiet AS ON INSERT TO fast DO INSTEAD NOTHING; ALTER TABLE fast DISABLE RULE quiet;
    ALTER TABLE "Zweites ""Schema"""."Kind" DISABLE TRIGGER stamped; ALTER TABLE "Zweites ""Schema"""."Kind" DISABLE TRIGGER ALL;
    CREATE FOREIGN DATA WRAPPER nobody; CREATE SERVER far FOREIGN DATA WRAPPER nobody OPTIONS (host 'x', port '1');
    CREATE USER MAPPING FOR PUBLIC SERVER far; CREATE FOREIGN TABLE distant (id int) SERVER far OPTIONS (t 'x');
    CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
    CREATE FUNCTION atomic(i int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT i + count(*) FROM child; END;
"#;

/// What happens between the backup and the restore.
const POSTGRES_CHANGES: &str = r#"
    DROP EVENT TRIGGER on_ddl;
    DROP TABLE "Größe ""x"" y" CASCADE;
    DROP SCHEMA "Zweites ""Schema""" CASCADE;
    ALTER TYPE mood ADD VALUE 'new';
    DROP EXTENSION pgcrypto;
    DROP PUBLICATION news;
    UPDATE alembic_version SET version_num = 'cccc3333' WHERE version_num = 'aaaa1111';
    INSERT INTO parent VALUES (77);
    CREATE EXTENSION citext;
    CREATE SCHEMA later; CREATE TABLE later.things (id serial, name citext); CREATE TABLE other (m mood);
    CREATE FUNCTION later_function(mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE CAST (pair AS text) WITH INOUT;
    CREATE PUBLICATION later_news FOR ALL TABLES;
    CREATE VIEW later_view AS SELECT * FROM parent;
    ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    SELECT nextval('counter');
    SELECT lo_unlink(4711); SELECT lo_from_bytea(815, '\x01');
    CREATE FUNCTION loud() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL here'; END$$;
    CREATE EVENT TRIGGER no_drop ON sql_drop EXECUTE FUNCTION loud();
"#;

/// Rows, values of sequences, comments and large objects, which the fingerprint does not see, and functions, rights
/// and the rest in words of the test's own.
const POSTGRES_WHOLE: &str = r"
    SELECT 'rows ' || c.oid::regclass || ' ' || (xpath('/row/h/text()', query_to_xml(format(
            'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) AS h FROM ONLY %s t', c.oid::regclass), true, true, '')))[1]::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL SELECT 'sequence ' || schemaname || '.' || sequencename || ' ' || coalesce(last_value::text, 'unused') FROM pg_sequences
    UNION ALL SELECT 'rights ' || oid::regclass || ' ' || ARRAY(SELECT one::text FROM unnest(relacl) one ORDER BY 1)::text || ' ' || relowner::regrole || ' ' || relrowsecurity
    FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    UNION ALL SELECT 'function ' || oid::regprocedure || ' ' || md5(prosrc) FROM pg_proc
    WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
    UNION ALL SELECT 'type ' || oid::regtype FROM pg_type WHERE typnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    UNION ALL SELECT 'schema ' || nspname || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT 'extension ' || extname FROM pg_extension
    UNION ALL SELECT 'publication ' || pubname || puballtables FROM pg_publication
    UNION ALL SELECT 'policy ' || polname FROM pg_policy
    UNION ALL SELECT 'statistics ' || pg_get_statisticsobjdef(oid) FROM pg_statistic_ext
    UNION ALL SELECT 'operator ' || oid::regoperator FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT 'collation ' || oid::regcollation FROM pg_collation WHERE oid >= 16384
    UNION ALL SELECT 'cast ' || castsource::regtype || casttarget::regtype FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'default rights ' || defaclrole::regrole || defaclnamespace::regnamespace || defaclobjtype::text || defaclacl::text FROM pg_default_acl
    UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
    UNION ALL SELECT 'comment ' || description FROM pg_description WHERE objoid >= 16384 AND classoid = 'pg_class'::regclass
    UNION ALL SELECT 'large object ' || oid || ' ' || encode(lo_get(oid), 'hex') FROM pg_largeobject_metadata
    ORDER BY 1";

fn whole(database: &TestDatabase<'_>) -> Vec<String> {
    let rows = database.query(POSTGRES_WHOLE);
    rows.into_iter().flatten().flatten().collect()
}

fn filled_postgres() -> TestDatabase<'static> {
    let database = TestDatabase::create(Kind::PostgreSql);
    fill_postgres(&database);
    database
}

fn fill_postgres(database: &TestDatabase<'_>) {
    // Every byte there is.
    let bytes: String = (0..=255_u8).map(|byte| format!("{byte:02x}")).collect();
    let mut filling = POSTGRES.replace("string_agg_bytes()", &format!("'{bytes}'"));
    // A server that was built without ICU has none of its collations.
    if database.query_one("SELECT count(*)::text FROM pg_collation WHERE collname LIKE '%-x-icu'")
        == "0"
    {
        filling = filling.replace(
            "provider = icu, locale = 'en-u-kn-true'",
            "provider = libc, locale = 'C'",
        );
    }
    database.execute(&filling);
}

/// Turns red if anything of a database is left out, left over or altered on its way out and back.
#[test]
fn everything_comes_back_on_postgresql() {
    let database = filled_postgres();
    let place = Place::new();
    let before = whole(&database);
    let mut backups = place.backups(&database.facts());
    assert!(backups.client().unwrap().unwrap().starts_with("pg_dump 1"));
    assert!(backups.size().unwrap().unwrap() > 1_000_000);
    assert!(backups.is_atomic());

    let (file, contents) = dumped(&place, &database, "a.dump");
    assert_eq!(contents, backups.contents().unwrap());
    let heads: Vec<&str> = contents
        .heads
        .iter()
        .map(rollback_core::revision::RevisionId::as_str)
        .collect();
    assert_eq!(heads, ["aaaa1111", "bbbb2222"]);
    assert_eq!(contents.rows["\"Zweites \"\"Schema\"\"\".\"Kind\""], 20_000);
    assert_eq!(contents.rows["public.parent"], 1);

    database.execute(POSTGRES_CHANGES);
    assert_ne!(backups.contents().unwrap(), contents);
    let mut heard = 0;
    backups
        .restore(&file, &[], &mut |bytes| heard = heard.max(bytes))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(backups.contents().unwrap(), contents);
    similar(&before, &whole(&database));
    assert!(heard <= file.metadata().unwrap().len());
    assert_eq!(left_in(&place), ["a.dump"]);
}

/// Two lists, with their difference where they differ.
pub(crate) fn similar(before: &[String], after: &[String]) {
    let gone: Vec<_> = before.iter().filter(|it| !after.contains(it)).collect();
    let new: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
    assert!(
        gone.is_empty() && new.is_empty() && before.len() == after.len(),
        "gone: {gone:#?}\nnew: {new:#?}"
    );
    assert!(before.len() > 20, "{before:#?}");
}

pub(crate) fn left_in(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn scratches(database: &TestDatabase<'_>) -> String {
    let query = match database.kind() {
        Kind::PostgreSql => {
            "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'rollback_scratch%'"
        }
        _ => {
            "SELECT CONCAT(count(*), '') FROM information_schema.schemata WHERE schema_name LIKE 'rollback_scratch%'"
        }
    };
    database.query_one(query)
}

/// Turns red if a rehearsal proves less than a restore, or leaves its database behind.
#[test]
fn a_rehearsal_has_the_same_contents_and_leaves_nothing_on_postgresql() {
    let server = crate::support::Server::start(Kind::PostgreSql);
    let database = server.create_database();
    fill_postgres(&database);
    database.execute(&format!(
        "ALTER DATABASE {} SET search_path = \"Zweites \"\"Schema\"\"\", public, extensions",
        database.name()
    ));
    let place = Place::new();
    let (file, contents) = dumped(&place, &database, "a.dump");
    let mut backups = place.backups(&database.facts());
    assert_eq!(backups.rehearse(&file, &mut quiet()).unwrap(), contents);
    assert_eq!(scratches(&database), "0");

    // A half of it, a client that fails, an operator who has enough.
    let half = place.file("half.dump");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let error = backups.rehearse(&half, &mut quiet()).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    assert_eq!(scratches(&database), "0");
    let mut failing = Place::new();
    for name in ["pg_dump", "pg_restore"] {
        failing.program(name, &format!("exec {} \"$@\"", real(name).display()));
    }
    failing.program("psql", "echo 'psql: sorry' >&2; exit 2");
    let error = failing
        .backups(&database.facts())
        .rehearse(&file, &mut quiet())
        .unwrap_err();
    assert_eq!(error.to_string(), "psql failed: psql: sorry");
    assert_eq!(scratches(&database), "0");
    failing.program("psql", "sleep 60");
    let interrupt = failing.interrupt.clone();
    let error = failing
        .backups(&database.facts())
        .rehearse(&file, &mut |_| interrupt.raise())
        .unwrap_err();
    assert!(matches!(error, BackupError::Interrupted), "{error}");
    assert_eq!(scratches(&database), "0");

    server.execute("CREATE ROLE modest LOGIN SUPERUSER PASSWORD 'modest'");
    server.execute("ALTER ROLE modest NOSUPERUSER");
    let modest = as_user(&database, "modest", "modest");
    let error = place
        .backups(&modest)
        .rehearse(&file, &mut quiet())
        .unwrap_err();
    assert!(
        error.to_string().contains("ALTER ROLE \"modest\" CREATEDB"),
        "{error}"
    );
}

/// Turns red if damage goes unnoticed that makes a restore impossible.
#[test]
fn damage_is_noticed_when_a_file_of_postgresql_is_read() {
    let database = filled_postgres();
    let place = Place::new();
    let (file, _) = dumped(&place, &database, "a.dump");
    let mut backups = place.backups(&database.facts());
    let mut heard = Vec::new();
    backups
        .read_back(&file, &mut |bytes| heard.push(bytes))
        .unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let broken = place.file("broken.dump");
    let last = bytes.len() - 1;
    let cut = |length: usize| bytes[..length].to_vec();
    let altered = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    // In the middle of the data of the largest table, and in the head.
    for (what, content) in [
        ("empty", Vec::new()),
        ("a half", cut(bytes.len() / 2)),
        ("all but one", cut(last)),
        ("one altered", altered(bytes.len() - 20_000)),
        ("no archive", altered(0)),
    ] {
        std::fs::write(&broken, content).unwrap();
        let error = backups.read_back(&broken, &mut quiet()).unwrap_err();
        assert!(
            matches!(error, BackupError::Damaged { .. }),
            "{what}: {error}"
        );
    }
    let error = backups
        .read_back(&place.file("missing.dump"), &mut quiet())
        .unwrap_err();
    assert!(matches!(error, BackupError::Io { .. }), "{error}");
}

/// Turns red if anything of a restore that does not come to its end stays.
#[test]
fn a_restore_that_fails_changes_nothing_on_postgresql() {
    let database = filled_postgres();
    let mut place = Place::new();
    let (file, _) = dumped(&place, &database, "a.dump");
    database.execute("INSERT INTO parent VALUES (99); CREATE TABLE later (id int)");
    let before = whole(&database);

    // The archive ends in the middle, after the database was emptied.
    let half = place.file("half.dump");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let error = restore(&place, &database, &half).unwrap_err().error;
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    similar(&before, &whole(&database));

    // A statement of it fails, here the last one: a role of the archive is gone.
    database.execute("CREATE ROLE reader; GRANT SELECT ON parent TO reader");
    let (granted, _) = dumped(&place, &database, "granted.dump");
    database.execute("REVOKE SELECT ON parent FROM reader; DROP ROLE reader");
    let error = restore(&place, &database, &granted)
        .unwrap_err()
        .to_string();
    assert!(error.contains("role \"reader\" does not exist"), "{error}");
    similar(&before, &whole(&database));

    // The operator ends it.
    place.program(
        "pg_dump",
        &format!("exec {} \"$@\"", real("pg_dump").display()),
    );
    place.program("psql", &format!("exec {} \"$@\"", real("psql").display()));
    place.program(
        "pg_restore",
        &format!(
            "case \"$*\" in *--list*) exec {0} \"$@\";; esac; {0} \"$@\"; sleep 60",
            real("pg_restore").display()
        ),
    );
    let interrupt = place.interrupt.clone();
    let error = place
        .backups(&database.facts())
        .restore(&file, &[], &mut |_| interrupt.raise())
        .unwrap_err()
        .error;
    assert!(matches!(error, BackupError::Interrupted), "{error}");
    similar(&before, &whole(&database));
    assert_eq!(
        left_in(&place),
        ["a.dump", "bin", "granted.dump", "half.dump"]
    );
}

/// Turns red if a restore queues for ever behind somebody, or a backup does.
#[test]
fn somebody_elses_lock_ends_a_backup_and_a_restore_of_postgresql() {
    let database = filled_postgres();
    let place = Place::new();
    let (file, contents) = dumped(&place, &database, "a.dump");
    let (go, wait) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let facts = database.facts();
        let holder = scope.spawn(move || holding(&facts, "LOCK TABLE parent", &wait));
        while database.query_one(
            "SELECT count(*)::text FROM pg_locks JOIN pg_database d ON d.oid = database
             WHERE relation = 'parent'::regclass AND mode = 'AccessExclusiveLock' AND datname = current_database()",
        ) == "0"
        {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let mut backups = place.backups(&database.facts());
        for result in [
            backups.dump(&place.file("b.dump"), &mut quiet()).map(drop),
            backups
                .restore(&file, &[], &mut quiet())
                .map_err(|not| not.error),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(
                error.contains("somebody holds a lock on a table for longer than 10s"),
                "{error}"
            );
        }
        go.send(()).unwrap();
        holder.join().unwrap();
        assert_eq!(backups.contents().unwrap(), contents);
    });
}

/// Holds what the statement takes until it is told to let go.
fn holding(facts: &ConnectionFacts, sql: &str, until: &std::sync::mpsc::Receiver<()>) {
    use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(facts.host.as_deref().unwrap())
        .port(facts.port.unwrap())
        .username(facts.user.as_deref().unwrap())
        .password(facts.password.as_ref().unwrap().reveal())
        .database(facts.database.as_deref().unwrap());
    let mut connection = runtime.block_on(options.connect()).unwrap();
    runtime.block_on(connection.execute("BEGIN")).unwrap();
    runtime
        .block_on(connection.execute(sqlx::AssertSqlSafe(sql.to_owned())))
        .unwrap();
    until.recv().unwrap();
    runtime.block_on(connection.close()).unwrap();
}

/// Turns red if a change between the dump and the count makes the record tell something else than the file.
#[test]
fn what_is_written_meanwhile_is_neither_in_the_file_nor_in_its_contents() {
    let database = filled_postgres();
    let mut place = Place::new();
    for name in ["psql", "pg_restore"] {
        place.program(name, &format!("exec {} \"$@\"", real(name).display()));
    }
    // It has said that it begins when somebody else writes, and reads only then.
    place.program(
        "pg_dump",
        &format!(
            "case \"$*\" in *--version*) ;; *) {} -q -c \"INSERT INTO parent VALUES (1000)\" || exit 9;; esac\nexec {} \"$@\"",
            real("psql").display(),
            real("pg_dump").display()
        ),
    );
    let (file, contents) = dumped(&place, &database, "a.dump");
    assert_eq!(
        database.query_one("SELECT count(*)::text FROM ONLY parent"),
        "2"
    );
    assert_eq!(contents.rows["public.parent"], 1);
    restore(&place, &database, &file).unwrap();
    assert_eq!(
        database.query_one("SELECT count(*)::text FROM ONLY parent"),
        "1"
    );
}

/// Turns red if a backup goes on after the operator's first signal, or is taken for one.
fn the_first_signal_ends_a_backup(kind: Kind) {
    let (client, loader) = kind.clients();
    let database = TestDatabase::create(kind);
    let mut place = Place::new();
    for name in [loader, "pg_restore"] {
        place.program(name, &format!("exec {} \"$@\"", real(name).display()));
    }
    let version = format!("exec {} --version", real(client).display());
    place.program(
        client,
        &format!("case \"$*\" in *--version*) {version};; esac; sleep 60"),
    );
    let interrupt = place.interrupt.clone();
    let error = place
        .backups(&database.facts())
        .dump(&place.file("a"), &mut |_| interrupt.raise())
        .unwrap_err();
    assert!(matches!(error, BackupError::Interrupted), "{error}");
}
on_each!(the_first_signal_ends_a_backup: postgresql, mariadb);

/// Turns red if a client that cannot read the server is started, or a fitting one beside it is missed.
#[test]
fn an_old_client_of_postgresql_is_passed_over() {
    let database = filled_postgres();
    let mut place = Place::new();
    place.program("pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'");
    let found = place.backups(&database.facts()).client();
    // Debian has a fitting one outside of the search path.
    if Path::new("/usr/lib/postgresql").is_dir() {
        let client = found.unwrap().unwrap();
        assert!(!client.contains("9.6"), "{client}");
    } else {
        let error = found.unwrap_err();
        assert!(matches!(error, BackupError::OldClient { .. }), "{error}");
    }
}

/// Turns red if a disk that is full is not told, or a file that is not whole is taken for one.
#[test]
fn a_full_disk_is_told() {
    let database = filled_postgres();
    let mut place = Place::new();
    for name in ["psql", "pg_restore"] {
        place.program(name, &format!("exec {} \"$@\"", real(name).display()));
    }
    place.program(
        "pg_dump",
        &format!(
            "trap '' XFSZ; ulimit -f 16; exec {} \"$@\"",
            real("pg_dump").display()
        ),
    );
    let error = place
        .backups(&database.facts())
        .dump(&place.file("a.dump"), &mut quiet())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("pg_dump failed: pg_dump: error: could not write"),
        "{error}"
    );
    assert!(error.contains("File too large"), "{error}");
}

pub(crate) fn real(name: &str) -> PathBuf {
    std::env::split_paths(&crate::support::search_path())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed"))
}

/// The same database, somebody else.
pub(crate) fn as_user(database: &TestDatabase<'_>, user: &str, password: &str) -> ConnectionFacts {
    ConnectionFacts {
        user: Some(user.to_owned()),
        password: Some(rollback_core::secret::Secret::new(password)),
        ..database.facts()
    }
}

/// Turns red if a password is on a command line, in a file or in an error, or is altered on its way.
#[test]
fn a_password_of_any_signs_works_and_is_seen_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering};
    const CANARY: &str = r#"pw'"\ $#;ü"#;
    for kind in Kind::SERVERS {
        let server = crate::support::Server::start(kind);
        let database = server.create_database();
        let (client, loader) = kind.clients();
        if kind == Kind::PostgreSql {
            fill_postgres(&database);
            server.execute(&format!(
                "CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{}'",
                CANARY.replace('\'', "''")
            ));
        } else {
            crate::backup_mysql::fill(&database);
            server.execute(&format!(
                "CREATE USER canary@'%' IDENTIFIED BY '{}'; GRANT ALL ON *.* TO canary@'%'",
                CANARY.replace('\\', "\\\\").replace('\'', "\\'")
            ));
        }
        let place = Place::new();
        let facts = as_user(&database, "canary", CANARY);
        let is_over = AtomicBool::new(false);
        let (seen, errors) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut seen = std::collections::BTreeSet::new();
                while !is_over.load(Ordering::Relaxed) {
                    seen.extend(command_lines());
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                seen
            });
            // Whatever fails, the watcher has to end.
            let result = std::panic::catch_unwind(|| {
                let mut backups = place.backups(&facts);
                let file = place.file("a");
                let contents = backups.dump(&file, &mut quiet()).unwrap();
                backups.read_back(&file, &mut quiet()).unwrap();
                assert_eq!(backups.rehearse(&file, &mut quiet()).unwrap(), contents);
                backups.restore(&file, &[], &mut quiet()).unwrap();
                assert_eq!(backups.contents().unwrap(), contents);
                let mut errors = Vec::new();
                errors.extend(backups.dump(&file, &mut quiet()).err());
                std::fs::write(&file, CANARY).unwrap();
                let restored = backups.restore(&file, &[], &mut quiet());
                errors.extend(restored.err().map(|not| not.error));
                std::fs::remove_file(&file).unwrap();
                let wrong = as_user(&database, "canary", &format!("{CANARY}!"));
                errors.extend(place.backups(&wrong).contents().err());
                errors
            });
            is_over.store(true, Ordering::Relaxed);
            (watcher.join().unwrap(), result)
        });
        let errors = errors.unwrap();
        assert_eq!(errors.len(), 3, "{errors:?}");
        for error in errors {
            let text = format!("{error} {error:?}");
            assert!(!text.contains(CANARY), "{text}");
        }
        for program in [client, loader] {
            assert!(
                seen.iter().any(|line| line.contains(program)),
                "{program} was not seen in {seen:?}"
            );
        }
        for line in &seen {
            assert!(!line.contains(CANARY), "{line}");
        }
        assert_eq!(left_in(&place), [""; 0]);
    }
}

/// The command lines of all processes.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}
