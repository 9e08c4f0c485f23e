//! A session that holds a lock on what a step needs: the step gives up in time, and says who it was.

use std::process::Child;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::project::{Project, Run};
use crate::session::Session;
use crate::support::{Kind, TestDatabase, USER};
use crate::walk::{rows, upgraded};

/// A session of somebody else, in a transaction that has read a table.
fn reader(database: &TestDatabase<'_>, table: &str) -> Session {
    let mut session = Session::of(database);
    session.execute("BEGIN");
    session.one(&format!(
        "SELECT 'kept ' FROM {table} UNION ALL SELECT 'read'"
    ));
    session
}

#[track_caller]
fn event(run: &Run, name: &str) -> Value {
    let lines = run.json_lines();
    let found = lines.iter().find(|line| line["event"] == name);
    found.unwrap_or_else(|| panic!("no {name}\n{run}")).clone()
}

/// Turns red if the limit does not reach the engine's connection, or the holder is not looked for
/// while the step runs.
fn a_step_that_waits_for_a_lock_gives_up_and_names_the_holder(kind: Kind) {
    gives_up_and_names_the_holder(kind);
}
on_each!(a_step_that_waits_for_a_lock_gives_up_and_names_the_holder: postgresql, mariadb);

pub(crate) fn gives_up_and_names_the_holder(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    let holder = reader(&database, "fourth");
    let before = database.open().schema().unwrap();
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --lock-timeout 2s --format json")
        .exits(4);
    let failed = event(&run, "step_failed");
    assert_eq!(failed["removes"], "4444aaaa", "{kind:?}\n{run}");
    assert_eq!(failed["database"]["state"], "unchanged", "{kind:?}\n{run}");
    assert_eq!(failed["database"]["schema_compared"], true);
    assert_eq!(
        failed["blockers"][0]["pid"],
        holder.pid(),
        "{kind:?}\n{run}"
    );
    assert_eq!(failed["blockers"].as_array().unwrap().len(), 1, "{run}");
    assert_eq!(failed["blockers"][0]["user"], USER);
    assert!(
        run.stderr
            .contains(&format!("Blocked by: pid {}, user {USER}", holder.pid())),
        "{run}"
    );
    if kind == Kind::PostgreSql {
        assert_eq!(failed["blockers"][0]["application"], "the worker");
        assert_eq!(failed["blockers"][0]["state"], "idle in transaction");
    }
    // The step before it went, and nothing else.
    assert_eq!(rows(&database), ["4444aaaa"]);
    let after = database.open().schema().unwrap();
    let gone: Vec<_> = before.difference(&after).collect();
    assert!(gone.iter().all(|line| line.contains("fifth")), "{gone:?}");
    holder.end();
    // And the advice holds.
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(rows(&database), ["3333aaaa"]);
}

/// An application's query queues behind the step, as the step behind the holder. Turns red if it
/// comes through only after the holder is gone.
fn what_queues_behind_the_step_goes_on_when_the_step_gives_up(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    let holder = reader(&database, "fifth");
    let child = project
        .rollback("downgrade-safe -1 -y --allow-failing --lock-timeout 4s --format json")
        .piped()
        .spawn()
        .unwrap();
    let waiting = if kind == Kind::PostgreSql {
        "SELECT count(*)::text FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'"
    } else {
        "SELECT CAST(count(*) AS CHAR) FROM information_schema.processlist \
         WHERE db = DATABASE() AND state LIKE 'Waiting for table metadata lock'"
    };
    until(|| database.query_one(waiting) == "1");
    // Sent while the step waits, answered while the holder still holds.
    database.query("SELECT * FROM fifth");
    let run = end_of(&project, child).exits(4);
    assert_eq!(
        event(&run, "step_failed")["blockers"][0]["pid"],
        holder.pid()
    );
    holder.end();
}
on_each!(what_queues_behind_the_step_goes_on_when_the_step_gives_up: postgresql, mariadb);

fn a_retry_succeeds_when_the_lock_is_free(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    let holder = reader(&database, "fifth");
    let pid = holder.pid();
    let mut child = project
        .rollback(
            "downgrade-safe -1 -y --allow-failing --lock-timeout 1s --lock-retries 9 --format json",
        )
        .piped()
        .spawn()
        .unwrap();
    let mut seen = String::new();
    {
        use std::io::{BufRead as _, BufReader};
        let mut stdout = BufReader::new(child.stdout.as_mut().unwrap());
        while !seen.contains("lock_retry") {
            assert_ne!(stdout.read_line(&mut seen).unwrap(), 0, "{kind:?}: {seen}");
        }
    }
    let last = seen.lines().last().unwrap();
    let retry: Value = serde_json::from_str(last).unwrap();
    assert_eq!(retry["blockers"][0]["pid"], pid, "{retry}");
    holder.end();
    end_of(&project, child).exits(0);
    assert_eq!(rows(&database), ["4444aaaa"]);
}
on_each!(a_retry_succeeds_when_the_lock_is_free: postgresql, mariadb);

#[test]
fn the_plain_road_gives_up_by_what_libpq_reads() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = upgraded("failing", &database).file(
        "engine",
        "#!/bin/sh\n# The operator's own options have to be there still.\n\
         case \"$PGOPTIONS\" in *work_mem*) ;; *) exit 9 ;; esac\nexec alembic \"$@\"\n",
    );
    project.make_executable("engine");
    let holder = reader(&database, "fifth");
    let run = project
        .rollback(
            "downgrade-safe -1 -y --allow-failing -v --engine-command ./engine --lock-timeout 1s",
        )
        .env("PGOPTIONS", "-c work_mem=8MB")
        .env("ROLLBACK_DATABASE_URL", &database.url())
        .run()
        .exits(4);
    assert!(run.stderr.contains("through PGOPTIONS"), "{run}");
    assert!(run.stderr.contains("within the lock timeout"), "{run}");
    holder.end();
}

fn a_transaction_that_is_open_for_long_is_warned_of_before_a_step(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("failing", &database);
    let holder = reader(&database, "first");
    // MariaDB counts whole seconds.
    sleep(Duration::from_millis(2100));
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --lock-timeout 1s --format json")
        .exits(0);
    let told = event(&run, "open_transactions");
    assert_eq!(told["sessions"][0]["pid"], holder.pid(), "{kind:?}\n{run}");
    assert_eq!(run.stderr.matches("a transaction is open").count(), 1);
    holder.end();
}
on_each!(a_transaction_that_is_open_for_long_is_warned_of_before_a_step: postgresql, mariadb);

#[test]
fn the_limit_can_be_switched_off_and_a_shorter_one_of_the_project_stays() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let holder = |project: &Project, line: &str, expected: &str| {
        project.run(line).exits(0);
        assert_eq!(
            database.query_one("SELECT note FROM seen ORDER BY id DESC LIMIT 1"),
            expected,
            "{line}"
        );
    };
    let project = upgraded("failing", &database);
    database.execute("CREATE TABLE seen (id serial, note text)");
    for file in [
        "5555aaaa_create_the_fifth_table",
        "4444aaaa_create_the_fourth_table",
    ] {
        let path = format!("migrations/versions/{file}.py");
        let text = std::fs::read_to_string(project.root().join(&path)).unwrap();
        let note = "def downgrade():\n    op.execute(\"INSERT INTO seen (note) SELECT current_setting('lock_timeout')\")\n";
        std::fs::write(
            project.root().join(&path),
            text.replace("def downgrade():\n", note),
        )
        .unwrap();
    }
    holder(
        &project,
        "downgrade-safe -1 -y --allow-failing --lock-timeout off",
        "0",
    );
    holder(&project, "downgrade-safe -1 -y --allow-failing", "5s");
    project.engine("alembic upgrade heads");
    database.execute(&format!(
        "ALTER DATABASE {} SET lock_timeout = '700ms'",
        database.name()
    ));
    holder(&project, "downgrade-safe -1 -y --allow-failing", "700ms");
}

pub(crate) fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to that");
        sleep(Duration::from_millis(50));
    }
}

fn end_of(project: &Project, child: Child) -> Run {
    let output = spawn(move || child.wait_with_output().unwrap())
        .join()
        .unwrap();
    project.told(&output)
}
