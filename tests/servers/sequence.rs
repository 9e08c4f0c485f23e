//! Steps that share a process of the engine and its transactions: with nothing kept, with everything kept together, with
//! nothing announced, and with a connection that goes while nobody uses it.

use rollback_alembic::{AlembicEngine, AlembicOptions, Discovery};
use rollback_core::engine::{Current, Ended, Engine as _, Judge, Keep, Listener, Sequence};
use rollback_core::interrupt::Interrupt;
use rollback_core::plan::Plan;
use rollback_core::query::Queries;
use rollback_core::revision::{Heads, RevisionId};
use rollback_system::process::Environment;

use crate::measured::{SURPRISES, contents, counted, project};
use crate::project::Project;
use crate::support::{Kind, TestDatabase};
use crate::walk::{rows, upgraded};

/// Allows everything, and writes down what it hears and sees inside.
#[derive(Default)]
struct Seen(Vec<String>);

impl Listener for Seen {}

impl Judge for Seen {
    fn applied(
        &mut self,
        index: usize,
        heads: &Heads,
        transaction: &mut dyn Queries,
    ) -> Result<(), String> {
        let heads: Vec<&str> = heads.iter().map(RevisionId::as_str).collect();
        let inside = transaction
            .rows(&[
                "SELECT string_agg(version_num, ' ' ORDER BY version_num) FROM alembic_version",
            ])
            .unwrap();
        let inside = inside[0][0].clone().unwrap_or_default();
        assert_eq!(inside, heads.join(" "));
        self.0.push(format!("{index} {inside}"));
        Ok(())
    }

    fn finished(&mut self, _: &mut dyn Queries) -> Result<(), String> {
        self.0.push("finished".to_owned());
        Ok(())
    }
}

fn engine(project: &Project) -> AlembicEngine {
    let command = project.rollback("plan base").command();
    let environment: Environment = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    AlembicEngine::discover(Discovery {
        settings: AlembicOptions::default(),
        dir: project.root().to_owned(),
        env: environment,
        interrupt: Interrupt::never(),
    })
    .unwrap()
}

/// Turns red if a rehearsal leaves anything, or the steps are not all run in it.
#[test]
fn steps_that_are_never_kept_leave_nothing() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = upgraded("linear", &database);
    let before = (database.open().schema().unwrap(), rows(&database));
    let engine = engine(&project);
    let observation = engine.observe().unwrap();
    let Current::Rows(current) = &observation.current else {
        panic!("no rows: {observation:?}");
    };
    let plan = Plan::new(&observation.graph, current, &"base".parse().unwrap()).unwrap();
    let mut seen = Seen::default();
    let sequence = Sequence {
        before: &plan.current,
        steps: &plan.steps,
        keep: Keep::Never,
    };
    let run = engine
        .run_sequence(&sequence, None, &mut seen)
        .unwrap()
        .unwrap();
    assert_eq!(run.ended, Ended::Exited(0), "{run:?}");
    assert_eq!(
        seen.0,
        [
            "0 4d5e6f7a8b04",
            "1 3c4d5e6f7a03",
            "2 2b3c4d5e6f02",
            "3 1a2b3c4d5e01",
            "4 ",
            "finished"
        ]
    );
    assert_eq!((database.open().schema().unwrap(), rows(&database)), before);
}

/// Turns red if a whole is kept in which one step did what nobody announced.
#[test]
fn a_surprise_takes_the_whole_back() {
    for (name, prepare, body, says) in SURPRISES {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = project(&database, "op.execute('SELECT 1')", body);
        database.execute(prepare);
        let was = contents(&database);
        let run = project
            .run("downgrade-safe -2 -y --allow all --atomic")
            .exits(4);
        assert!(run.stderr.contains(says), "{name}\n{run}");
        assert_eq!(contents(&database), was, "{name}\n{run}");
        assert_eq!(rows(&database), ["5e6f7a8b9c05"], "{name}");
        project
            .run("downgrade-safe --resume -y --allow all,unannounced")
            .exits(0);
        assert_eq!(rows(&database), ["3c4d5e6f7a03"], "{name}");
    }
}

/// Turns red if PostgreSQL keeps a loss because a forecast was believed.
#[test]
fn without_any_forecast_nothing_is_lost_on_postgresql() {
    const BLIND: &str = "ROLLBACK_FAULT_BLIND";
    for (fixture, fill, tables) in [
        (
            "linear",
            "INSERT INTO customers (id, name, email) VALUES (1, 'a', 'b'); \
             INSERT INTO orders (id, customer_id, placed_at, note) VALUES (1, 1, now(), 'c')",
            ["customers", "orders"],
        ),
        (
            "diamond",
            "INSERT INTO accounts (id, email) VALUES (1, 'a'); \
             INSERT INTO invoices (id, account_id, amount, currency) VALUES (1, 1, 1, 'EUR')",
            ["accounts", "invoices"],
        ),
    ] {
        for way in ["", " --process-per-step", " --atomic"] {
            let database = TestDatabase::create(Kind::PostgreSql);
            let project = upgraded(fixture, &database);
            database.execute(fill);
            let read = || {
                tables.map(|table| {
                    let query = format!("SELECT row_to_json({table}) FROM {table}");
                    format!("{:?}", database.query(&query))
                })
            };
            let was = read();
            let run = project
                .rollback(&format!("downgrade-safe base -y --allow all{way}"))
                .env(BLIND, "1")
                .run()
                .exits(4);
            assert!(
                run.stderr.contains("the plan did not announce"),
                "{fixture}{way}\n{run}"
            );
            assert_eq!(read(), was, "{fixture}{way}\n{run}");
        }
    }
}

/// Turns red if a connection that the server has closed, before the first step or between two, ends the run.
#[test]
fn a_connection_that_is_closed_while_nobody_uses_it_is_replaced() {
    for when in ["before", "after_step"] {
        let database = TestDatabase::create(Kind::PostgreSql);
        let project = upgraded("linear", &database);
        let script = "[ ! -e closed ] || exit 0\n: > closed\npython -S close.py\n";
        let close = "import os, site\nsite.main()\nfrom sqlalchemy import create_engine, text\n\
             with create_engine(os.environ['DATABASE_URL']).connect() as connection:\n    \
                 connection.execute(text(\"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid() AND application_name NOT LIKE 'rollback%'\"))\n";
        let project = counted(project)
            .file("close.sh", script)
            .file("close.py", close)
            .file(
                "rollback.toml",
                format!("[[check]]\nname = 'close'\nwhen = '{when}'\ncommand = 'sh close.sh'\n"),
            );
        let run = project.run("downgrade-safe base -y -v").exits(0);
        assert_eq!(rows(&database), [""; 0], "{when}\n{run}");
        assert!(
            run.stderr
                .contains("the version table cannot be read any more"),
            "{when}\n{run}"
        );
    }
}
