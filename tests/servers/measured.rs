//! What a step did is measured before it is kept, whatever the plan says of it.

use serde_json::Value;

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};
use crate::walk::{events, rows, upgraded};

/// A project of three revisions whose last two downgrades do what is given. `kept` is a table that no statement of
/// them names.
pub(super) fn project(database: &TestDatabase<'_>, second: &str, first: &str) -> Project {
    let mut project = upgraded("linear", database);
    database.execute(
        "CREATE TABLE kept (id integer PRIMARY KEY, parent integer, word varchar(20));
         INSERT INTO kept VALUES (1, 1, 'one'), (2, 1, 'two'), (3, NULL, 'three')",
    );
    for (file, body) in [
        ("5e6f7a8b9c05_add_a_note_to_orders.py", second),
        ("4d5e6f7a8b04_index_orders_by_customer.py", first),
    ] {
        let path = format!("migrations/versions/{file}");
        let text = std::fs::read_to_string(project.root().join(&path)).unwrap();
        let (above, _) = text.split_once("def downgrade").unwrap();
        let text = format!(
            "import sqlalchemy as sa\n{above}def downgrade():\n    {}\n",
            body.replace('\n', "\n    ")
        );
        project = project.file(&path, text);
    }
    project
}

fn failed(run: &Run) -> Value {
    events(&run.json_lines(), "step_failed")[0].clone()
}

/// What is in the database, but for the version rows.
pub(super) fn contents(database: &TestDatabase<'_>) -> Vec<String> {
    let mut all: Vec<String> = database.open().schema().unwrap().into_iter().collect();
    all.push(format!(
        "{:?}",
        database.query("SELECT * FROM kept ORDER BY id")
    ));
    all
}

/// Statements that the database hides behind others, and what is said of them.
pub(super) const SURPRISES: [(&str, &str, &str, &str); 5] = [
    (
        "a trigger deletes elsewhere",
        "CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN DELETE FROM kept WHERE parent = 1; RETURN OLD; END'; \
         CREATE TRIGGER t AFTER DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION also()",
        "op.execute('DELETE FROM orders')",
        "delete 2 rows of kept",
    ),
    (
        "a rule does more than was asked",
        "CREATE TABLE parents (id integer PRIMARY KEY); INSERT INTO parents VALUES (1); \
         CREATE RULE also AS ON DELETE TO parents DO ALSO DELETE FROM kept WHERE parent = 1",
        "op.execute('DELETE FROM parents')",
        "delete 2 rows of kept",
    ),
    (
        "a type goes with its columns",
        "CREATE TYPE mood AS ENUM ('ok'); ALTER TABLE kept ADD m mood; UPDATE kept SET m = 'ok' WHERE id < 3",
        "op.execute('DROP TYPE mood CASCADE')",
        "drop column kept.m (2 values)",
    ),
    (
        "a function empties a table",
        "CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'TRUNCATE kept'",
        "op.execute('SELECT clear()')",
        "delete all 3 rows of kept",
    ),
    (
        "a deferred trigger at the commit",
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN DELETE FROM kept; RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER t AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION late(); INSERT INTO customers (id, name) VALUES (7, 'a')",
        "op.execute(\"INSERT INTO orders (id, customer_id, placed_at) VALUES (7, 7, now())\")",
        "delete 3 rows of kept",
    ),
];

/// Turns red if PostgreSQL keeps what nobody announced, or something else is rolled back with it.
#[test]
fn what_nobody_announced_is_rolled_back_on_postgresql() {
    // Both beside another step and in a process of its own.
    let ways = ["", " --process-per-step"].into_iter().cycle();
    for ((name, prepare, body, says), way) in SURPRISES.into_iter().zip(ways) {
        let database = TestDatabase::create(Kind::PostgreSql);
        // The surprise is in the second of two steps.
        let project = project(&database, "op.execute('SELECT 1')", body);
        database.execute(prepare);
        let was = contents(&database);
        let run = project
            .run(&format!(
                "downgrade-safe -2 -y --allow all --format json{way}"
            ))
            .exits(4);
        let failed = failed(&run);
        assert_eq!(failed["database"]["state"], "unchanged", "{name}\n{run}");
        assert_eq!(failed["removes"], "4d5e6f7a8b04", "{name}\n{run}");
        assert!(run.stderr.contains(says), "{name}\n{run}");
        assert_eq!(contents(&database), was, "{name}\n{run}");
        assert_eq!(rows(&database), ["4d5e6f7a8b04"], "{name}");

        // The next plan shows it, and whoever wants it can have it.
        let plan = project.run("plan -1 --format json").exits(0).json();
        let findings = plan["steps"][0]["findings"].as_array().unwrap();
        let measured = findings
            .iter()
            .find(|finding| finding["code"] == "measured")
            .unwrap_or_else(|| panic!("{name}: {plan:#}"));
        assert!(
            measured["sentence"].as_str().unwrap().contains(says),
            "{name}: {measured}"
        );
        project
            .run("downgrade-safe --resume -y --allow data-reversed,unknown-code")
            .exits(3);
        let allow = if way.is_empty() {
            "all"
        } else {
            "all,unannounced"
        };
        project
            .run(&format!("downgrade-safe --resume -y --allow {allow}"))
            .exits(0);
        assert_ne!(contents(&database), was, "{name}");
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{name}");
    }
}

/// Turns red if something that costs nothing keeps a step from being done.
#[test]
fn what_costs_no_data_is_kept() {
    for (name, prepare, body) in [
        (
            "a column without a value",
            "CREATE TYPE mood AS ENUM ('ok'); ALTER TABLE kept ADD m mood",
            "op.execute('DROP TYPE mood CASCADE')",
        ),
        (
            "a table without a row, after rows were deleted",
            "CREATE SCHEMA extra; CREATE TABLE extra.empty (id integer); INSERT INTO extra.empty VALUES (1); \
             DELETE FROM extra.empty",
            "op.execute('DROP SCHEMA extra CASCADE')",
        ),
        (
            "a table with another name",
            "SELECT 1",
            "op.rename_table('kept', 'renamed')\nop.rename_table('renamed', 'kept')",
        ),
        (
            "a view",
            "CREATE VIEW v AS SELECT 1 AS one",
            "op.execute('DROP VIEW v')",
        ),
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = project(&database, "op.execute('SELECT 1')", body);
        database.execute(prepare);
        let run = project.run("downgrade-safe -2 -y --allow all").exits(0);
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{name}\n{run}");
    }
}

/// Turns red if the record does not have what a step did.
#[test]
fn the_record_has_what_was_measured() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = project(
        &database,
        "op.execute('DELETE FROM kept WHERE id = 3')",
        "op.execute(\"UPDATE kept SET word = 'x'\")",
    );
    project.run("downgrade-safe -2 -y --allow all").exits(0);
    let runs = project.root().join(".rollback/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    let journal = std::fs::read_to_string(run.path().join("journal.jsonl")).unwrap();
    let entries = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let done: Vec<Value> = entries.filter(|entry| entry["entry"] == "done").collect();
    assert_eq!(done[0]["effect"]["changed_rows"][0]["deleted"], 1);
    assert_eq!(done[1]["effect"]["changed_rows"][0]["updated"], 2);
    assert_eq!(
        done[0]["effect"]["changed_rows"][0]["table"]["name"],
        "kept"
    );
}

/// Turns red if a step that cannot be rolled back is told as well done.
#[test]
fn elsewhere_the_run_stops_after_the_step() {
    for (kind, prepare, body, says) in [
        (
            Kind::Sqlite,
            "SELECT 1",
            "table = sa.Table('kept', sa.MetaData(), sa.Column('id', sa.Integer, primary_key=True), sa.Column('word', sa.String(20)))\n\
             with op.batch_alter_table('kept', copy_from=table, recreate='always') as batch:\n    batch.drop_column('word')",
            "drop column kept.parent",
        ),
        (
            Kind::MariaDb,
            "CREATE TABLE parents (id integer PRIMARY KEY); INSERT INTO parents VALUES (1); \
             CREATE TRIGGER also AFTER DELETE ON parents FOR EACH ROW DELETE FROM kept WHERE parent = OLD.id",
            "op.execute('DELETE FROM parents')",
            "delete 2 rows of kept",
        ),
    ] {
        let database = TestDatabase::create(kind);
        let project = project(&database, "op.execute('SELECT 1')", body);
        database.execute(prepare);
        let run = project
            .run("downgrade-safe -2 -y --allow all --format json")
            .exits(5);
        assert_eq!(failed(&run)["removes"], "4d5e6f7a8b04", "{kind:?}\n{run}");
        assert!(run.stderr.contains(says), "{kind:?}\n{run}");
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{kind:?}");
    }
}

const BEGINS: &str =
    "        with context.begin_transaction():\n            context.run_migrations()\n";

/// `env.py` with these lines in the place of its end, and whether the steps share a process.
const SHAPES: [(&str, &str, bool); 7] = [
    ("as it is", BEGINS, true),
    (
        "a search path that ends with the first commit",
        "        with context.begin_transaction():\n            \
         connection.exec_driver_sql('SET LOCAL search_path = public')\n            context.run_migrations()\n",
        false,
    ),
    (
        "a transaction of its own",
        "        with connection.begin():\n            context.run_migrations()\n",
        false,
    ),
    (
        "something after the migrations",
        "        with context.begin_transaction():\n            context.run_migrations()\n            \
         connection.exec_driver_sql('SELECT 1')\n",
        false,
    ),
    (
        "a transaction with a name",
        "        with context.begin_transaction() as t:\n            context.run_migrations()\n",
        false,
    ),
    (
        "a lock of the session",
        "        connection.exec_driver_sql('SELECT pg_advisory_lock(7)')\n        connection.commit()\n\
         \x20       with context.begin_transaction():\n            context.run_migrations()\n",
        false,
    ),
    (
        "words after the migrations",
        "        with context.begin_transaction():\n            context.run_migrations()\n        print('done')\n",
        true,
    ),
];

/// A project whose interpreters write themselves down.
pub(super) fn counted(project: Project) -> Project {
    let folder = project.root().join("watch");
    let at_start = "import os\nwith open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'starts'), 'a') as starts:\n    starts.write('one\\n')\n";
    project
        .env("PYTHONPATH", folder)
        .file("watch/sitecustomize.py", at_start)
}

/// Each shape on one Alembic, and what most projects have on all of them.
fn zoo() -> impl Iterator<Item = (&'static str, (&'static str, &'static str, bool))> {
    let versions = ["alembic-current", "alembic-1.13", "alembic-1.6"];
    let usual = versions.into_iter().zip([SHAPES[0]; 3]);
    usual.chain(versions.into_iter().cycle().zip(SHAPES.into_iter().skip(1)))
}

/// Turns red if steps share a process under an `env.py` that could make one reach into the next, or end elsewhere
/// than steps of their own.
#[test]
fn steps_share_a_process_only_where_nothing_of_one_reaches_into_the_next() {
    let one_by_one = TestDatabase::create(Kind::PostgreSql);
    let project = upgraded("linear", &one_by_one);
    for _ in 0..5 {
        project.engine("alembic downgrade -1");
    }
    let expected = one_by_one.open().schema().unwrap();
    for (python, (name, end, shared)) in zoo() {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = Project::alembic_of(python, "linear").env("DATABASE_URL", database.url());
        database.filled("linear", || {
            project.engine("alembic upgrade heads");
        });
        let project = project.edit("migrations/env.py", BEGINS, end);
        let project = counted(project);
        let run = project
            .run("downgrade-safe base -y --allow all -v")
            .exits(0);
        let processes = std::fs::read_to_string(project.root().join("starts")).unwrap();
        let processes = processes.lines().count();
        // One that observed beside one for each of the five steps.
        let name = format!("{name}, {python}");
        assert_eq!(processes, if shared { 1 } else { 6 }, "{name}\n{run}");
        let says_why = run
            .stderr
            .contains("each step has a process of its own: env.py");
        assert_eq!(says_why, !shared, "{name}\n{run}");
        assert_eq!(rows(&database), [""; 0], "{name}");
        assert_eq!(database.open().schema().unwrap(), expected, "{name}");
    }
}

/// Turns red if what one step leaves in the session is there for the next one, or a step that only fails beside others
/// ends the run.
#[test]
fn what_a_step_leaves_in_its_session_ends_with_it() {
    for (name, leaves, minds) in [
        (
            "a setting",
            "op.execute(\"SET work_mem = '8MB'\")",
            "op.execute('SELECT 1 FROM kept')",
        ),
        (
            "a temporary table",
            "op.execute('CREATE TEMPORARY TABLE scratch (id integer)')",
            "op.execute('CREATE TEMPORARY TABLE scratch (id integer)')",
        ),
        (
            "a lock",
            "op.execute('SELECT pg_advisory_lock(9)')",
            "op.execute('SELECT 1')",
        ),
    ] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = project(&database, leaves, minds);
        let run = project
            .run("downgrade-safe -2 -y --allow all --allow-failing -v")
            .exits(0);
        assert!(
            run.stderr.contains("left something behind in the session"),
            "{name}\n{run}"
        );
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{name}");
    }
}

/// What hides from the transaction of the step.
const OUTSIDE: [(&str, &str, &str); 3] = [
    (
        "a block without a transaction",
        "with op.get_context().autocommit_block():\n    op.execute('SELECT clear()')",
        "",
    ),
    (
        "a connection without transactions",
        "op.execute('SELECT clear()')",
        ", isolation_level='AUTOCOMMIT'",
    ),
    (
        "a second connection",
        "from sqlalchemy import create_engine\nother = create_engine(str(op.get_bind().engine.url.render_as_string(hide_password=False)))\nwith other.begin() as connection:\n    connection.exec_driver_sql('SELECT clear()')",
        "",
    ),
];

/// Turns red if PostgreSQL loses rows that nobody announced, and the run ends well because they were not in the transaction.
#[test]
fn what_is_lost_outside_the_transaction_ends_the_run() {
    for ((name, body, engine), way) in OUTSIDE
        .into_iter()
        .flat_map(|case| ["", " --process-per-step"].map(|way| (case, way)))
    {
        let database = TestDatabase::create(Kind::PostgreSql);
        let pool = "poolclass=pool.NullPool";
        let project = project(&database, "op.execute('SELECT 1')", body).edit(
            "migrations/env.py",
            pool,
            &format!("{pool}{engine}"),
        );
        database.execute(
            "CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'DELETE FROM kept WHERE id < 3'",
        );
        let run = project
            .run(&format!("downgrade-safe -2 -y --allow all{way}"))
            .exits(5);
        assert!(run.stderr.contains("2 rows of kept"), "{name}\n{run}");
        assert_eq!(
            database.query_one("SELECT count(*) FROM kept"),
            "1",
            "{name}"
        );
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{name}");
    }
}
