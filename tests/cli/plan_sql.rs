//! `rollback plan --sql`: the statements that each step would run.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Project;

/// Takes the road on which each step is rendered by a start of its own.
const PLAIN: &str = "--engine-command 'env alembic'";
const LAST: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

/// Takes each step by the engine in one database and by the rendered statements in another, and compares
/// the two whole: tables, rows, version table.
const BOTH_WAYS: &str = r#"
import json, os, shutil, sqlite3
from alembic import command
from alembic.config import Config

def whole(file):
    database = sqlite3.connect(file)
    try:
        return sorted(database.iterdump())
    finally:
        database.close()

shutil.copy("app.db", "rendered.db")
for step in json.load(open("steps.json")):
    assert step["sql_error"] is None, step
    lines = [line for line in step["sql"].splitlines() if line.startswith("-- Running downgrade ")]
    assert [line.split()[3] for line in lines] == [step["removes"]], step
    command.downgrade(Config("alembic.ini"), step["argument"])
    database = sqlite3.connect("rendered.db")
    database.executescript(step["sql"])
    database.close()
    assert whole("app.db") == whole("rendered.db"), (step, whole("app.db"), whole("rendered.db"))
"#;

fn ends_where_the_engine_does(project: Project, options: &str) {
    let before = project.bytes();
    let plan = project
        .run(&format!("plan base --sql --format json {options}"))
        .exits(0)
        .json();
    assert_eq!(project.bytes(), before, "rendering changed the database");
    let steps = &plan["steps"];
    assert!(!steps.as_array().unwrap().is_empty());
    let project = project
        .file("steps.json", steps.to_string())
        .file("both_ways.py", BOTH_WAYS);
    project.engine("python both_ways.py");
}

macro_rules! rendered_steps_end_where_the_engine_does {
    ($($case:ident)*) => {
        mod rendered_steps_end_where_the_engine_does {
            $(
                #[test]
                fn $case() {
                    let project = || super::Project::alembic(stringify!($case)).at("heads");
                    super::ends_where_the_engine_does(project(), "");
                    super::ends_where_the_engine_does(project(), super::PLAIN);
                }
            )*
        }
    };
}

rendered_steps_end_where_the_engine_does! {
    branches custom_version_table depends_on diamond forest labels linear lists merge_of_ancestor
    merge_of_merges mutual_depends_on odd_messages three_way_merge two_heads
}

#[test]
fn rendered_steps_end_where_older_engines_do() {
    for python in ["alembic-1.6", "alembic-1.13"] {
        let project = |case| Project::alembic_of(python, case).at("heads");
        ends_where_the_engine_does(project("forest"), "");
        ends_where_the_engine_does(project("forest"), PLAIN);
        // They keep a row that another implies, which only their own process tells.
        ends_where_the_engine_does(project("mutual_depends_on"), "");
    }
}

#[test]
fn the_text_is_a_file_of_sql() {
    let project = Project::alembic("two_heads").at("heads");
    assert_snapshot!(project.run("plan base --sql"), @"
    exit 0
    --- stdout
    -- Database:  SQLite [VERSION], file [PROJECT]/app.db
    -- Current:   aaaa1111, bbbb1111
    -- Target:    base
    --
    -- Rollback plan: 3 steps
    --
    --   1. aaaa1111  Head a
    --      created 2024-01-11 01:15:28, leaves bbbb1111
    --      low        drops table head_a, which is empty
    --                 [table-dropped] aaaa1111_head_a.py:27
    --   2. bbbb1111  Head b
    --      created 2024-01-12 02:16:29, leaves cccc1111
    --      low        drops table head_b, which is empty
    --                 [table-dropped] bbbb1111_head_b.py:27
    --   3. cccc1111  Create what both need
    --      created 2024-01-10 00:14:27, leaves base
    --      low        drops table common, which is empty
    --                 [table-dropped] cccc1111_create_what_both_need.py:27
    --
    -- Asked:     3 questions of the database in [TIME], of [TIME] allowed
    -- Verdict:   low: loses nothing
    -- Next:      rollback downgrade-safe base

    -- step 1 of 3: aaaa1111  Head a
    -- the version table holds aaaa1111, bbbb1111 before it and bbbb1111 after it

    -- Running downgrade aaaa1111 -> cccc1111

    DROP TABLE head_a;

    DELETE FROM alembic_version WHERE alembic_version.version_num = 'aaaa1111';

    -- step 2 of 3: bbbb1111  Head b
    -- the version table holds bbbb1111 before it and cccc1111 after it

    -- Running downgrade bbbb1111 -> cccc1111

    DROP TABLE head_b;

    UPDATE alembic_version SET version_num='cccc1111' WHERE alembic_version.version_num = 'bbbb1111';

    -- step 3 of 3: cccc1111  Create what both need
    -- the version table holds cccc1111 before it and base after it

    -- Running downgrade cccc1111 -> 

    DROP TABLE common;

    DELETE FROM alembic_version WHERE alembic_version.version_num = 'cccc1111';
    ");
}

/// A migration that looks at the database, by a helper of the project, between two that do not.
fn with_an_inspector() -> Project {
    Project::alembic("linear")
        .at("heads")
        .file(
            "helpers.py",
            "import sqlalchemy as sa\n\n\ndef has_column(bind):\n    return sa.inspect(bind) is not None\n",
        )
        .edit("alembic.ini", "[alembic]", "[alembic]\nprepend_sys_path = .")
        .edit(
            LAST,
            "def downgrade():\n",
            "def downgrade():\n    from helpers import has_column\n\n    has_column(op.get_bind())\n",
        )
}

#[test]
fn a_step_that_looks_at_the_database_is_named_with_its_line_and_the_rest_is_rendered() {
    assert_snapshot!(with_an_inspector().run("plan -2 --sql -q"), @"
    exit 0
    --- stdout
    -- Database:  SQLite [VERSION], file [PROJECT]/app.db
    -- Current:   5e6f7a8b9c05
    -- Target:    -2
    --
    -- Rollback plan: 2 steps
    --
    --   1. 5e6f7a8b9c05  Add a note to orders
    --      created 2024-01-14 04:18:31, leaves 4d5e6f7a8b04
    --      low        drops column orders.note, which holds nothing but its default
    --                 [column-dropped] 5e6f7a8b9c05_add_a_note_to_orders.py:26
    --   2. 4d5e6f7a8b04  Index orders by customer
    --      created 2024-01-13 03:17:30, leaves 3c4d5e6f7a03
    --      low        drops index ix_orders_customer_id of orders (8.1 kB)
    --                 [index-dropped] 4d5e6f7a8b04_index_orders_by_customer.py:22
    --
    -- Asked:     2 questions of the database in [TIME], of [TIME] allowed
    -- Verdict:   low: loses nothing
    -- Next:      rollback downgrade-safe -2

    -- step 1 of 2: 5e6f7a8b9c05  Add a note to orders
    -- the version table holds 5e6f7a8b9c05 before it and 4d5e6f7a8b04 after it
    -- 5e6f7a8b9c05 cannot be rendered offline: [PROJECT]/migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py:25
    -- needs the live connection: `has_column(op.get_bind())` (NoInspectionAvailable: No inspection system is available for object of type <class 'sqlalchemy.engine.mock.MockConnection'>, at [PROJECT]/helpers.py:5)

    -- step 2 of 2: 4d5e6f7a8b04  Index orders by customer
    -- the version table holds 4d5e6f7a8b04 before it and 3c4d5e6f7a03 after it

    -- Running downgrade 4d5e6f7a8b04 -> 3c4d5e6f7a03

    DROP INDEX ix_orders_customer_id;

    UPDATE alembic_version SET version_num='3c4d5e6f7a03' WHERE alembic_version.version_num = '4d5e6f7a8b04';
    ");
    // The engine's own words tell the line as well.
    let plan = with_an_inspector()
        .run(&format!("plan -2 --sql --format json {PLAIN}"))
        .exits(0)
        .json();
    let error = &plan["steps"][0]["sql_error"];
    assert_eq!(error["file"], json!(format!("[PROJECT]/{LAST}")), "{error}");
    assert!(error["line"].is_u64(), "{error}");
    assert_eq!(plan["steps"][0]["sql"], Value::Null);
    assert!(plan["steps"][1]["sql"].is_string());
}

#[test]
fn what_is_missing_is_warned_of() {
    assert_snapshot!(with_an_inspector().run("plan -2 --sql").stderr, @r#"
    warning: 1 of 2 steps cannot be rendered offline: the SQL is not whole
    "#);
}

#[test]
fn json_has_the_statements_or_the_obstacle() {
    let plan = with_an_inspector()
        .run("plan -2 --sql --format json")
        .exits(0)
        .json();
    let steps = &plan["steps"];
    assert_eq!(steps[0]["sql"], Value::Null);
    assert_eq!(steps[0]["sql_error"]["line"], 25);
    assert_eq!(
        steps[0]["sql_error"]["file"],
        format!("[PROJECT]/{LAST}").as_str()
    );
    assert_eq!(steps[1]["sql_error"], Value::Null);
    assert!(
        steps[1]["sql"]
            .as_str()
            .unwrap()
            .contains("-- Running downgrade ")
    );
    let plain = with_an_inspector().run("plan -2 --format json").json();
    assert_eq!(plain["steps"][0].get("sql"), None);
}

#[test]
fn a_migration_that_connects_by_itself_reaches_nothing_even_if_it_swallows_that() {
    let project = Project::alembic("linear").at("heads");
    let before = project.bytes();
    let project = project.edit(
        LAST,
        "def downgrade():\n",
        "def downgrade():\n    try:\n        with sa.create_engine('sqlite:///app.db').begin() as mine:\n            \
         mine.execute(sa.text('DELETE FROM alembic_version'))\n    except Exception:\n        pass\n",
    );
    let plan = project.run("plan -1 --sql --format json").exits(0).json();
    let sentence = plan["steps"][0]["sql_error"]["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("connects by itself: `with sa.create_engine("),
        "{sentence}"
    );
    assert_eq!(project.bytes(), before);
}

#[test]
fn an_env_py_without_an_offline_mode_is_said_once() {
    let project = Project::alembic("diamond").at("heads").edit(
        "migrations/env.py",
        "    context.configure(url=url, literal_binds=True)\n",
        "    raise SystemExit('offline mode is not supported')\n",
    );
    assert_snapshot!(project.run("plan -3 --sql"), @r#"
    exit 1
    --- stderr
    error: `alembic downgrade e86f3a7d1c95:e86f3a7d1c95@b52d08e7f41c --sql` failed: offline mode is not supported
      → see the engine's own words with `alembic downgrade e86f3a7d1c95:e86f3a7d1c95@b52d08e7f41c --sql`
      → SQL is rendered by the offline mode of the project's env.py (`run_migrations_offline`); leave --sql away for the plan alone
      → the engine's whole output: the same command with -v
    "#);
    assert_snapshot!(project.run(&format!("plan -3 --sql {PLAIN}")), @r#"
    exit 1
    --- stderr
    error: `env alembic downgrade 7c1e5f0a93d2:7c1e5f0a93d2@3f9a1b6c2d84 --sql` failed: offline mode is not supported
      → see the engine's own words with `env alembic downgrade 7c1e5f0a93d2:7c1e5f0a93d2@3f9a1b6c2d84 --sql`
      → SQL is rendered by the offline mode of the project's env.py (`run_migrations_offline`); leave --sql away for the plan alone
      → the engine's whole output: the same command with -v
    "#);
    // Whoever goes online there would connect.
    let project = Project::alembic("diamond").at("heads").edit(
        "migrations/env.py",
        "    run_migrations_offline()\nelse",
        "    run_migrations_online()\nelse",
    );
    assert_snapshot!(project.run("plan -3 --sql"), @r#"
    exit 1
    --- stderr
    error: `alembic downgrade e86f3a7d1c95:e86f3a7d1c95@b52d08e7f41c --sql` failed: rollback_bridge.Offline: the database is connected to, which is not done while SQL is rendered
      → see the engine's own words with `alembic downgrade e86f3a7d1c95:e86f3a7d1c95@b52d08e7f41c --sql`
      → SQL is rendered by the offline mode of the project's env.py (`run_migrations_offline`); leave --sql away for the plan alone
      → the engine's whole output: the same command with -v
    "#);
}

#[test]
fn a_migration_that_ends_the_process_leaves_the_steps_before_it() {
    let project = Project::alembic("diamond").at("heads").edit(
        "migrations/versions/7c1e5f0a93d2_add_invoices.py",
        "def downgrade():\n",
        "def downgrade():\n    import os\n    os._exit(3)\n",
    );
    assert_snapshot!(told(&project, "plan base"), @r#"
    e86f3a7d1c95: rendered
    b52d08e7f41c: rendered
    7c1e5f0a93d2: ends the engine's process, with exit status 3
    a4d80b2e6f17: an earlier step ended the engine's process
    3f9a1b6c2d84: an earlier step ended the engine's process
    "#);
}

/// A line for each step: whether it was rendered, or why not.
fn told(project: &Project, line: &str) -> String {
    let plan = project
        .run(&format!("{line} --sql --format json"))
        .exits(0)
        .json();
    let mut told = String::new();
    for step in plan["steps"].as_array().unwrap() {
        let sentence = step["sql_error"]["sentence"].as_str();
        assert_eq!(step["sql"].is_string(), sentence.is_none(), "{step}");
        let _ = writeln!(
            told,
            "{}: {}",
            step["removes"].as_str().unwrap(),
            sentence.unwrap_or("rendered")
        );
    }
    told
}

#[test]
fn values_are_written_out_and_passwords_are_not() {
    let project = Project::alembic("linear")
        .at("heads")
        .edit(
            "migrations/env.py",
            "context.configure(url=url, literal_binds=True)",
            "context.configure(url=url)",
        )
        .edit(
            LAST,
            "def downgrade():\n",
            "def downgrade():\n    invoices = sa.table('invoices', sa.column('note', sa.String))\n    \
             op.execute(invoices.update().values(note='100% of postgresql://app:s3cret@db/app'))\n",
        );
    let plan = project.run("plan -1 --sql --format json").exits(0).json();
    let sql = plan["steps"][0]["sql"].as_str().unwrap();
    assert!(
        sql.contains("UPDATE invoices SET note='100% of postgresql://app:***@db/app';"),
        "{sql}"
    );
}

#[test]
fn what_the_engine_would_not_do_as_planned_is_not_rendered_as_if() {
    // Alembic cannot upgrade this one, so the rows are written by hand; nor can it take it back.
    let project = Project::alembic("dependency_cycle").at("aaaa1111");
    project.sql("UPDATE alembic_version SET version_num = 'aaaa3333'");
    project.sql("INSERT INTO alembic_version VALUES ('bbbb3333')");
    assert_snapshot!(told(&project, "plan base"), @r#"
    aaaa3333: rendered
    bbbb3333: rendered
    aaaa2222: is not taken back alone by the engine (NotAsPlanned: the engine would leave the rows bbbb2222)
    bbbb1111: rendered
    aaaa1111: rendered
    "#);
}

#[test]
fn where_there_is_nothing_to_do_there_is_nothing_to_render() {
    let project = Project::alembic("diamond").at("b52d08e7f41c");
    assert_snapshot!(project.run("plan b52d --sql"), @r#"
    exit 0
    --- stdout
    -- Database:  SQLite [VERSION], file [PROJECT]/app.db
    -- Current:   b52d08e7f41c
    -- Target:    b52d
    --
    -- Nothing to roll back: the database already stands there.
    "#);
}

#[test]
fn flask_migrate_renders_as_well() {
    let project = Project::flask().at("heads");
    let plan = project.run("plan -1 --sql --format json").exits(0).json();
    let sql = plan["steps"][0]["sql"]
        .as_str()
        .unwrap_or_else(|| panic!("{plan}"));
    assert!(sql.contains("-- Running downgrade "), "{sql}");
}
