//! "Unchanged" is said only with proof: about rows as well as about the schema.

use serde_json::Value;

use crate::lock_timeout::until;
use crate::project::{Call, Project, Run};
use crate::session::Session;
use crate::support::{Kind, TestDatabase};
use crate::walk::{end_of, events, rows, upgraded};

const LAST: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

const RUN: &str = "downgrade-safe -1 -y --allow-failing --format json";

const RESTORING: &str =
    "downgrade-safe -1 -y --allow all --allow-failing --on-failure restore --format json";

const WRITTEN_BY_OTHERS: &str = "CREATE TABLE written_by_others (id integer PRIMARY KEY); INSERT INTO written_by_others VALUES (1), (2)";

/// `linear` at its head, with a table that no migration knows. The last downgrade does what `body` says.
fn doing(database: &TestDatabase<'_>, body: &str) -> Project {
    let project = upgraded("linear", database);
    database.execute(
        "CREATE TABLE cents (id integer PRIMARY KEY, cents integer);
         INSERT INTO cents VALUES (1, 10000), (2, 20000);
         CREATE TABLE events_seen (id integer PRIMARY KEY);
         INSERT INTO events_seen VALUES (1), (2)",
    );
    project.edit(LAST, "    op.drop_column(\"orders\", \"note\")", body)
}

/// The same, and then it fails.
fn failing(database: &TestDatabase<'_>, body: &str) -> Project {
    doing(
        database,
        &format!("{body}\n    raise RuntimeError('after that')"),
    )
}

/// As a user has it, who set nothing.
fn with_backups<'a>(project: &'a Project, line: &str) -> Call<'a> {
    project.rollback(line).env("ROLLBACK_BACKUP", "")
}

fn database_of(run: &Run) -> Value {
    events(&run.json_lines(), "step_failed")[0]["database"].clone()
}

fn cents(database: &TestDatabase<'_>) -> String {
    database.query_one(match database.kind() {
        Kind::PostgreSql => "SELECT coalesce(sum(cents), 0)::text FROM cents",
        Kind::MariaDb | Kind::MySql => "SELECT CAST(coalesce(sum(cents), 0) AS CHAR) FROM cents",
        Kind::Sqlite => "SELECT CAST(coalesce(sum(cents), 0) AS TEXT) FROM cents",
    })
}

/// Schema, version rows and rows.
fn everything(database: &TestDatabase<'_>, also: &str) -> Vec<String> {
    let mut all: Vec<String> = database.open().schema().unwrap().into_iter().collect();
    all.extend(rows(database));
    for query in [
        "SELECT * FROM cents ORDER BY 1",
        "SELECT * FROM events_seen ORDER BY 1",
        also,
    ] {
        all.push(format!("{query}: {:?}", database.query(query)));
    }
    all
}

/// Something that a step does and that stays although the step fails afterwards.
struct Kept<'a> {
    name: &'a str,
    /// What there is before the run.
    prepare: &'a str,
    /// What the step does.
    body: &'a str,
    /// A query that shows what is gone.
    shows: &'a str,
}

/// Without a restore the run ends with 5, and so does going on with it: nothing is done twice. With one the database
/// is what it was.
fn is_noticed(kind: Kind, kept: &Kept<'_>) {
    for restore in [false, true] {
        let database = TestDatabase::create(kind);
        let project = failing(&database, kept.body);
        if !kept.prepare.is_empty() {
            database.execute(kept.prepare);
        }
        let was = everything(&database, kept.shows);
        if !restore {
            let run = project.run(RUN).exits(5);
            let state = database_of(&run)["state"].clone();
            assert!(
                ["may_have_changed", "half_done"].contains(&state.as_str().unwrap()),
                "{}\n{run}",
                kept.name
            );
            let after = everything(&database, kept.shows);
            assert_ne!(after, was, "{}: nothing was changed\n{run}", kept.name);
            project
                .run("downgrade-safe --resume -y --allow-failing")
                .exits(5);
            assert_eq!(everything(&database, kept.shows), after, "{}", kept.name);
            continue;
        }
        let run = with_backups(&project, &format!("{RUN} --on-failure restore"))
            .run()
            .exits(4);
        assert_eq!(
            everything(&database, kept.shows),
            was,
            "{}\n{run}",
            kept.name
        );
        let restored = events(&run.json_lines(), "restored").remove(0);
        let saved = restored["saved"].as_str().unwrap();
        let listed = project.run("backups --format json").exits(0).json();
        let listed = listed["backups"].as_array().unwrap();
        assert!(listed.iter().any(|one| one["id"] == saved), "{run}");
    }
}

/// Red if rows that an implicit commit kept are passed over. TRUNCATE is noted nowhere by the server, and the time of
/// a write only when it is committed.
#[test]
fn what_mariadb_kept_of_a_step_is_not_called_unchanged() {
    for kept in [
        Kept {
            name: "truncate",
            prepare: "",
            body: "    op.execute('TRUNCATE TABLE cents')",
            shows: "SELECT 1",
        },
        Kept {
            name: "delete and analyze",
            prepare: "",
            body: "    op.execute('DELETE FROM cents WHERE id = 1')\n    op.execute('ANALYZE TABLE cents')",
            shows: "SELECT 1",
        },
        Kept {
            name: "update and a statement that commits",
            prepare: "",
            body: "    op.execute('UPDATE cents SET cents = cents / 100')\n    op.execute('CREATE TABLE brief (id int)')\n    op.execute('DROP TABLE brief')",
            shows: "SELECT 1",
        },
        Kept {
            name: "drop partition",
            prepare: "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)
                        (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20));
                      INSERT INTO parted VALUES (1), (11)",
            body: "    op.execute('ALTER TABLE parted DROP PARTITION p1')",
            shows: "SELECT CAST(count(*) AS CHAR) FROM parted",
        },
    ] {
        is_noticed(Kind::MariaDb, &kept);
    }
}

/// Red if a commit in the middle of a step goes unnoticed.
#[test]
fn what_postgresql_kept_of_a_step_is_not_called_unchanged() {
    for kept in [
        Kept {
            name: "delete in an autocommit block",
            prepare: "",
            body: "    with op.get_context().autocommit_block():\n        op.execute('DELETE FROM cents WHERE id = 1')",
            shows: "SELECT 1",
        },
        Kept {
            name: "update and a plain commit",
            prepare: "",
            body: "    op.execute('UPDATE cents SET cents = cents / 100')\n    op.execute('COMMIT')",
            shows: "SELECT 1",
        },
        Kept {
            name: "truncate and refill",
            prepare: "",
            body: "    op.execute('TRUNCATE cents; INSERT INTO cents VALUES (1, 1), (2, 2); COMMIT')",
            shows: "SELECT 1",
        },
        Kept {
            name: "setval, which no rollback undoes",
            prepare: "CREATE SEQUENCE numbers; SELECT setval('numbers', 500)",
            body: "    op.execute(\"SELECT setval('numbers', 1)\")",
            shows: "SELECT last_value::text FROM numbers",
        },
    ] {
        is_noticed(Kind::PostgreSql, &kept);
    }
}

/// Red if a commit in the middle of a step goes unnoticed, with the rollback journal or in WAL mode.
#[test]
fn what_sqlite_kept_of_a_step_is_not_called_unchanged() {
    for mode in ["", "PRAGMA journal_mode = wal"] {
        for (name, body) in [
            (
                "a commit by the driver",
                "    op.execute('DELETE FROM cents WHERE id = 1')\n    op.get_bind().connection.commit()",
            ),
            (
                "executescript",
                "    op.get_bind().connection.executescript('UPDATE cents SET cents = cents / 100')",
            ),
        ] {
            is_noticed(
                Kind::Sqlite,
                &Kept {
                    name,
                    prepare: mode,
                    body,
                    shows: "SELECT 1",
                },
            );
        }
    }
}

/// Red if a step that the server rolled back is not called unchanged, be it that the proof is missing or that it
/// finds something.
fn what_was_rolled_back_is_unchanged(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = failing(&database, "    op.execute('DELETE FROM cents')");
    let was = everything(&database, "SELECT 1");
    let run = project.run(RUN).exits(4);
    assert_eq!(database_of(&run)["state"], "unchanged", "{kind:?}\n{run}");
    assert_eq!(everything(&database, "SELECT 1"), was, "{kind:?}");
    // What is written after that is not held against it.
    database.execute("INSERT INTO cents VALUES (3, 1)");
    let project = project.edit(LAST, "    raise RuntimeError('after that')", "");
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(cents(&database), "0", "{kind:?}");
}
on_each!(what_was_rolled_back_is_unchanged: sqlite, postgresql, mariadb);

/// Somebody else commits while a step runs that is then rolled back. Red if that counts as the step's doing, or is undone.
#[test]
fn what_others_commit_meanwhile_is_not_the_steps_doing_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = failing(
        &database,
        &format!(
            "    op.execute('DELETE FROM cents')\n{}",
            application(&database, "events_seen")
        ),
    );
    let run = with_backups(&project, &format!("{RUN} --on-failure restore"))
        .run()
        .exits(4);
    assert_eq!(database_of(&run)["state"], "unchanged", "{run}");
    assert_eq!(events(&run.json_lines(), "restored").len(), 0, "{run}");
    assert_eq!(cents(&database), "30000");
    assert_eq!(seen(&database), 51, "{run}");
}

/// An application that inserts 50 rows and deletes one while the step runs, over a connection of its own.
fn application(database: &TestDatabase<'_>, deletes_from: &str) -> String {
    let connect = match database.kind() {
        Kind::PostgreSql => {
            "import psycopg2; own = psycopg2.connect(os.environ['DATABASE_URL'].replace('+psycopg2', ''))"
        }
        Kind::MariaDb | Kind::MySql => {
            "import pymysql, sqlalchemy; url = sqlalchemy.engine.make_url(os.environ['DATABASE_URL']); \
             own = pymysql.connect(host=url.host, port=url.port, user=url.username, password=url.password, database=url.database)"
        }
        Kind::Sqlite => {
            "import sqlite3; own = sqlite3.connect(os.environ['DATABASE_URL'].replace('sqlite:///', ''))"
        }
    };
    let delete = format!("cursor.execute('DELETE FROM {deletes_from} WHERE id = 1')");
    [
        "import os",
        connect,
        "cursor = own.cursor()",
        "cursor.execute('INSERT INTO events_seen VALUES ' + ', '.join('(%d)' % n for n in range(100, 150)))",
        &delete,
        "own.commit()",
        "own.close()",
    ]
    .map(|line| format!("    {line}\n"))
    .concat()
}

fn seen(database: &TestDatabase<'_>) -> usize {
    database.query("SELECT id FROM events_seen").len()
}

/// While a step runs that does what it should, 50 rows are inserted into one table and one is deleted of another, over
/// a connection that the step opens itself. Red if the 50 are gone afterwards, or if what cannot be told is told.
fn a_false_alarm_destroys_nothing(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = doing(
        &database,
        &format!(
            "{}    op.drop_column(\"orders\", \"note\")",
            application(&database, "written_by_others")
        ),
    );
    database.execute(WRITTEN_BY_OTHERS);
    let run = with_backups(&project, RESTORING).run().exits(5);
    assert_eq!(seen(&database), 52, "{kind:?}\n{run}");
    let lost = "written_by_others had 2 rows and has 1";
    assert!(run.stderr.contains(lost), "{kind:?}\n{run}");
    assert_eq!(events(&run.json_lines(), "restored").len(), 0, "{run}");
    assert!(run.stderr.contains("the backup was not restored"), "{run}");
    if kind == Kind::PostgreSql {
        let cause = "also delete 1 row of written_by_others over another connection, unless another session did";
        assert!(run.stderr.contains(cause), "{run}");
    }
}
on_each!(a_false_alarm_destroys_nothing: sqlite, postgresql, mariadb);

/// The same by another session, while a step waits for it that was followed whole. Red if the step is held to account.
#[test]
fn what_another_session_removed_is_not_the_steps_doing_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = doing(&database, "    op.drop_column(\"orders\", \"note\")");
    database.execute(WRITTEN_BY_OTHERS);
    let mut other = Session::of(&database);
    other.execute("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE");
    let child = with_backups(&project, RESTORING).piped().spawn().unwrap();
    // Databases made from one template share their relation OIDs: only the database tells the locks apart.
    let waits = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
        WHERE NOT granted AND relation = 'orders'::regclass AND datname = current_database())::text";
    until(|| database.query_one(waits) == "true");
    other.execute("DELETE FROM written_by_others WHERE id = 1; COMMIT");
    let run = end_of(&project, child, Vec::new()).exits(0);
    let warning =
        "written_by_others had 2 rows and has 1: the step's own session did not remove them";
    assert!(run.stderr.contains(warning), "{run}");
    assert_eq!(events(&run.json_lines(), "restored").len(), 0, "{run}");
}

/// Red if rows that the step's own session deleted are taken for somebody else's doing.
#[test]
fn what_a_step_removed_itself_is_undone_on_postgresql() {
    for body in [
        "    op.execute('DELETE FROM cents WHERE id = 1')\n",
        "    op.execute('TRUNCATE cents')\n",
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = doing(
            &database,
            &format!("{body}    op.drop_column(\"orders\", \"note\")"),
        );
        let was = everything(&database, "SELECT 1");
        let run = with_backups(&project, RESTORING).run().exits(4);
        assert!(run.stderr.contains("cents had 2 rows and has"), "{run}");
        assert_eq!(everything(&database, "SELECT 1"), was, "{run}");
    }
}

/// The update is committed by the statement that then waits for a lock in vain. Red if it is done a second time by a
/// retry, by going on with the run, or by what the run itself says to type.
#[test]
fn a_retry_never_repeats_work_on_mariadb() {
    let database = TestDatabase::create(Kind::MariaDb);
    let project = doing(
        &database,
        "    op.execute('UPDATE cents SET cents = cents / 100')\n    op.execute('DROP TABLE events_seen')",
    );
    let mut holder = Session::of(&database);
    holder.execute("BEGIN");
    holder.one("SELECT 'kept ' FROM events_seen UNION ALL SELECT 'read'");
    let run = project
        .run(&format!("{RUN} --lock-timeout 1s --lock-retries 3"))
        .exits(5);
    assert_eq!(cents(&database), "300", "{run}");
    assert_eq!(events(&run.json_lines(), "lock_retry").len(), 0, "{run}");
    let failed = database_of(&run);
    assert_eq!(failed["state"], "may_have_changed", "{run}");
    assert_eq!(failed["unproven"][0]["code"], "rows-changed", "{run}");
    assert_eq!(failed["unproven"][0]["objects"][0], "cents", "{run}");
    holder.end();
    let resumed = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(5);
    assert!(
        resumed.stderr.contains("rows of cents were written"),
        "{resumed}"
    );
    assert_eq!(cents(&database), "300");
    // Only who looked says so.
    project
        .run("downgrade-safe --resume --accept 5e6f7a8b9c05 -y --allow-failing")
        .exits(0);
    assert_eq!(cents(&database), "3");
}

/// What is committed in the middle of a step, by what it removes.
fn committed(statement: &str) -> String {
    format!("    with op.get_context().autocommit_block():\n        op.execute(\"{statement}\")")
}

/// Red if an object that is no table, column or index goes unnoticed. Its loss is committed before the failure.
#[test]
fn objects_that_postgresql_lost_are_not_called_unchanged() {
    for (name, prepare, statement, shows) in [
        (
            "policy and row security",
            "ALTER TABLE cents ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON cents USING (id > 0)",
            "DROP POLICY mine ON cents; ALTER TABLE cents DISABLE ROW LEVEL SECURITY",
            "SELECT count(*)::text FROM pg_policy",
        ),
        (
            "grant to everybody",
            "",
            "GRANT SELECT ON cents TO PUBLIC",
            "SELECT relacl::text FROM pg_class WHERE oid = 'cents'::regclass",
        ),
        (
            "trigger switched off",
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER watcher BEFORE UPDATE ON cents FOR EACH ROW EXECUTE FUNCTION nothing()",
            "ALTER TABLE cents DISABLE TRIGGER watcher",
            "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'watcher'",
        ),
        (
            "domain",
            "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
            "DROP DOMAIN positive",
            "SELECT count(*)::text FROM pg_type WHERE typname = 'positive'",
        ),
        (
            "composite type",
            "CREATE TYPE pair AS (a integer, b integer)",
            "DROP TYPE pair",
            "SELECT count(*)::text FROM pg_type WHERE typname = 'pair'",
        ),
        (
            "extension",
            "CREATE EXTENSION citext",
            "DROP EXTENSION citext",
            "SELECT count(*)::text FROM pg_extension WHERE extname = 'citext'",
        ),
        (
            "partition detached",
            "CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
             CREATE TABLE part_one PARTITION OF parted FOR VALUES FROM (1) TO (10);
             INSERT INTO parted VALUES (1)",
            "ALTER TABLE parted DETACH PARTITION part_one",
            "SELECT count(*)::text FROM parted",
        ),
    ] {
        is_noticed(
            Kind::PostgreSql,
            &Kept {
                name,
                prepare,
                body: &committed(statement),
                shows,
            },
        );
    }
}

/// The same on MariaDB.
#[test]
fn an_event_that_mariadb_lost_is_not_called_unchanged() {
    is_noticed(
        Kind::MariaDb,
        &Kept {
            name: "event",
            prepare: "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM cents",
            body: "    op.execute('DROP EVENT nightly')",
            shows: "SELECT CAST(count(*) AS CHAR) FROM information_schema.events WHERE event_schema = DATABASE()",
        },
    );
}

/// In fallback mode the step's transactions are not known, so the tables decide once another session has committed. Red
/// if that is no proof although all rows are those of before.
#[test]
fn in_fallback_mode_the_tables_prove_it_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let elsewhere = TestDatabase::create(Kind::PostgreSql);
    elsewhere.execute("CREATE TABLE events_seen (id integer); CREATE TABLE other (id integer)");
    elsewhere.execute("INSERT INTO other VALUES (1)");
    let meanwhile = application(&database, "other").replace(
        "os.environ['DATABASE_URL']",
        &format!("'{}'", elsewhere.url()),
    );
    let body = format!("    op.execute('DELETE FROM cents')\n{meanwhile}");
    let project = failing(&database, &body)
        .env("ROLLBACK_DATABASE_URL", database.url())
        .file("engine", "#!/bin/sh\nexec alembic \"$@\"\n");
    project.make_executable("engine");
    let run = project
        .run(&format!("{RUN} --engine-command ./engine"))
        .exits(4);
    assert_eq!(database_of(&run)["state"], "unchanged", "{run}");
    assert_eq!(cents(&database), "30000");
}
