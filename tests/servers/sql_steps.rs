//! Steps of SQL files that fail, wait, hang or run as one, on all three servers.

use std::io::{BufRead as _, BufReader, Read as _};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::session::Session;
use crate::sql_execution::{endless, until_it_is_gone};
use crate::sql_shop::{DOWN, applied, count, mended, metadata, replaced, statuses};
use crate::support::{Kind, TestDatabase};

/// A statement that no server has a table for, in the middle.
fn failing() -> String {
    DOWN.replace(
        "UPDATE a SET x = x + 10;",
        "UPDATE missing\n   SET x = x + 10;",
    )
}

fn stopped(lines: &[Value]) -> &Value {
    lines
        .iter()
        .find(|line| line["event"] == "step_failed")
        .unwrap_or_else(|| panic!("no step failed: {lines:?}"))
}

fn steps_are_run_written_down_and_verified(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, DOWN);
    project.run("downgrade-safe -2 -y --allow-failing").exits(0);
    assert_eq!(count(&database), "111", "{kind:?}");
    assert_eq!(
        statuses(&database),
        ["applied", "rolled_back", "rolled_back"],
        "{kind:?}"
    );
    assert!(metadata(&database).get("progress").is_none(), "{kind:?}");
    for table in ["b", "c", "d"] {
        let gone = database.try_execute(&format!("SELECT * FROM {table}"));
        assert!(gone.is_err(), "{kind:?}: {table} is there");
    }
}
on_each!(steps_are_run_written_down_and_verified: sqlite, postgresql, mariadb);

fn a_failing_statement_is_named_and_what_it_left_is_gone_on_with(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, &failing());
    // Only a server that takes back what it did to the schema leaves the step as it was.
    let whole = kind != Kind::MariaDb;
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --format json")
        .exits(if whole { 4 } else { 5 });
    let stop = stopped(&run.json_lines()).clone();
    let state = if whole { "unchanged" } else { "half_done" };
    assert_eq!(stop["database"]["state"], state, "{kind:?}\n{run}");
    if !whole {
        let next = "have it go on at statement 3: rollback resume";
        assert!(run.stderr.contains(next), "{run}");
    }
    for words in [
        "statement 3 of 6 failed",
        "migrations/002_middle.sql:9: ",
        "missing",
    ] {
        assert!(run.stderr.contains(words), "{kind:?} {words}\n{run}");
    }
    assert_eq!(count(&database), if whole { "0" } else { "1" });
    assert_eq!(
        statuses(&database),
        ["applied", "failed", "rolled_back"],
        "{kind:?}"
    );
    let metadata = metadata(&database);
    let error = metadata["error"].as_str().unwrap_or_default();
    assert!(error.contains("002_middle.sql:9"), "{kind:?} {metadata}");
    let done = &metadata["progress"]["done"];
    assert_eq!(
        *done,
        if whole { Value::Null } else { 2.into() },
        "{kind:?}"
    );

    mended(&database, DOWN);
    let resumed = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(count(&database), "111", "{kind:?}\n{resumed}");
    assert_eq!(
        statuses(&database),
        ["applied", "rolled_back", "rolled_back"],
        "{kind:?}\n{resumed}"
    );
    if !whole {
        assert!(
            resumed.stderr.contains("2 of its 6 statements are done"),
            "{resumed}"
        );
    }
}
on_each!(a_failing_statement_is_named_and_what_it_left_is_gone_on_with: sqlite, postgresql, mariadb);

#[test]
fn a_schema_that_somebody_changed_in_the_middle_of_a_step_is_for_a_person() {
    let database = TestDatabase::create(Kind::MariaDb);
    let project = applied(&database, &failing());
    project.run("downgrade-safe -2 -y --allow-failing").exits(5);
    mended(&database, DOWN);
    database.execute("CREATE TABLE unexpected (i INTEGER)");
    let refused = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(5);
    for words in [
        "somebody changed it since",
        "new:  table unexpected",
        "--accept",
    ] {
        assert!(refused.stderr.contains(words), "{words}\n{refused}");
    }
    assert_eq!(count(&database), "1");
    // Vouched for, it goes on with the statement that is next.
    project
        .run("downgrade-safe --resume --accept 002_middle -y --allow-failing")
        .exits(0);
    assert_eq!(count(&database), "111");
}

#[test]
fn statements_that_are_done_and_changed_since_are_not_gone_on_with() {
    let database = TestDatabase::create(Kind::MariaDb);
    let project = applied(&database, &failing());
    project.run("downgrade-safe -2 -y --allow-failing").exits(5);
    mended(&database, &DOWN.replace("x + 1;", "x + 2;"));
    let refused = project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(5);
    assert!(
        refused.stderr.contains("not those that the script has now"),
        "{refused}"
    );
    assert_eq!(count(&database), "1");
}

#[test]
fn what_no_transaction_can_take_back_is_run_outside_of_one() {
    for (kind, alone) in [
        (Kind::PostgreSql, "DROP INDEX CONCURRENTLY b_n"),
        (Kind::Sqlite, "VACUUM"),
    ] {
        let database = TestDatabase::create(kind);
        let down = DOWN.replace("UPDATE a SET x = x + 10;", &format!("{alone};"));
        let project = applied(&database, &down);
        project.run("downgrade-safe -2 -y --allow-failing").exits(0);
        assert_eq!(count(&database), "101", "{kind:?}");

        // A failure after it leaves what is done before it.
        let database = TestDatabase::create(kind);
        let project = applied(&database, &down.replace("x = x + 100", "missing = 1"));
        project.run("downgrade-safe -2 -y --allow-failing").exits(5);
        assert_eq!(metadata(&database)["progress"]["done"], 4, "{kind:?}");
        mended(&database, &down);
        project
            .run("downgrade-safe --resume -y --allow-failing")
            .exits(0);
        assert_eq!(count(&database), "101", "{kind:?}");
    }
}

#[test]
fn a_setting_of_the_session_is_told_again_and_does_not_reach_the_next_step() {
    let database = TestDatabase::create(Kind::MariaDb);
    let seen = "UPDATE a SET x = x + 1000 * @@SESSION.div_precision_increment;";
    let down = format!("SET SESSION div_precision_increment = 7; DROP TABLE missing; {seen}");
    let project = applied(&database, &down);
    project.run("downgrade-safe -2 -y --allow-failing").exits(4);
    mended(
        &database,
        &down.replace("DROP TABLE missing", "DROP TABLE c"),
    );
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(count(&database), "7000");
}

fn a_step_that_hangs_is_ended_on_the_server(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, &format!("DELETE FROM a; {};", endless(kind)));
    let run = project
        .run("downgrade-safe -2 -y --timeout 3s")
        .exits(if kind == Kind::MariaDb { 5 } else { 4 });
    assert!(
        run.stderr.contains("the time limit of 3 s"),
        "{kind:?}\n{run}"
    );
    until_it_is_gone(&database);
    // On MariaDB the rows are one statement, and stay gone.
    let rows = database.query("SELECT x FROM a").len();
    assert_eq!(rows, usize::from(kind != Kind::MariaDb), "{kind:?}");
    assert_eq!(statuses(&database), ["applied", "applied", "rolled_back"]);
}
on_each!(a_step_that_hangs_is_ended_on_the_server: sqlite, postgresql, mariadb);

fn a_step_that_waits_for_a_lock_gives_up_and_can_be_run_again(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, "UPDATE a SET x = x + 1;");
    project.run("downgrade-safe -1 -y --allow-failing").exits(0);
    let mut holder = Session::of(&database);
    holder.execute(if kind == Kind::Sqlite {
        "BEGIN IMMEDIATE"
    } else {
        "BEGIN"
    });
    holder.execute("UPDATE a SET x = 5");
    let run = project
        .run("downgrade-safe -1 -y --lock-timeout 1s")
        .exits(4);
    assert!(run.stderr.contains("lock timeout"), "{kind:?}\n{run}");
    if kind != Kind::Sqlite {
        let pid = holder.pid().to_string();
        assert!(run.stderr.contains(&pid), "{kind:?} {pid}\n{run}");
    }
    assert_eq!(statuses(&database)[1], "applied", "{kind:?}");
    holder.end();
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(count(&database), "1", "{kind:?}");
}
on_each!(a_step_that_waits_for_a_lock_gives_up_and_can_be_run_again: sqlite, postgresql, mariadb);

#[test]
fn all_steps_are_one_transaction_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = applied(&database, DOWN);
    project
        .run("downgrade-safe -2 -y --allow-failing --atomic")
        .exits(0);
    assert_eq!(count(&database), "111");
    assert_eq!(
        statuses(&database),
        ["applied", "rolled_back", "rolled_back"]
    );

    let database = TestDatabase::create(Kind::PostgreSql);
    let project = applied(&database, &failing());
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --atomic")
        .exits(4);
    assert!(run.stderr.contains("statement 3 of 6 failed"), "{run}");
    assert_eq!(count(&database), "0");
    // The first step went with it; the second is known to have failed.
    assert_eq!(statuses(&database), ["applied", "failed", "applied"]);
    database.execute("SELECT * FROM d");

    let database = TestDatabase::create(Kind::PostgreSql);
    let project = applied(&database, "DROP INDEX CONCURRENTLY b_n;");
    let run = project
        .run("downgrade-safe -2 -y --allow-failing --atomic")
        .exits(3);
    for words in ["002_middle.sql:7", "DROP INDEX CONCURRENTLY b_n"] {
        assert!(run.stderr.contains(words), "{words}\n{run}");
    }
}

/// Red if a step has a connection of its own, or if what one leaves in its session is there in the next.
#[test]
fn steps_share_a_connection_and_nothing_of_its_session_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute("CREATE TABLE seen (pid integer, memory text, locks bigint, tables bigint)");
    let look = "INSERT INTO seen SELECT pg_backend_pid(), current_setting('work_mem'), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
        (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema());";
    let down = format!(
        "{look} SET work_mem = '3MB'; SELECT pg_advisory_lock(7); CREATE TEMPORARY TABLE own (id integer); {DOWN}"
    );
    let project = applied(&database, &down);
    replaced(&database, "001_first", look);
    project
        .run("downgrade-safe -3 -y --allow all --allow-failing")
        .exits(0);
    let seen = database.query("SELECT pid::text, memory, locks::text, tables::text FROM seen");
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0][3].as_deref(), Some("0"), "{seen:?}");
}

/// Red if a step of SQL is kept that does more than the plan announced, or if it cannot be agreed to.
#[test]
fn what_nobody_announced_is_rolled_back_on_postgresql() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = applied(&database, DOWN);
    database.execute(
        "CREATE TABLE kept (id integer PRIMARY KEY);
         INSERT INTO kept VALUES (1), (2);
         CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM kept; RETURN NULL; END';
         CREATE TRIGGER also AFTER UPDATE ON a EXECUTE FUNCTION also()",
    );
    let kept = || database.query_one("SELECT count(*)::text FROM kept");
    let run = project
        .run("downgrade-safe -2 -y --allow all --allow-failing --format json")
        .exits(4);
    assert!(run.stderr.contains("also delete 2 rows of kept"), "{run}");
    assert_eq!(stopped(&run.json_lines())["database"]["state"], "unchanged");
    assert_eq!((kept(), count(&database)), ("2".to_owned(), "0".to_owned()));
    assert_eq!(
        statuses(&database),
        ["applied", "applied", "rolled_back"],
        "{run}"
    );
    project
        .run("downgrade-safe --resume -y --allow all,unannounced --allow-failing")
        .exits(0);
    assert_eq!(
        (kept(), count(&database)),
        ("0".to_owned(), "111".to_owned())
    );
}

fn a_script_that_ends_the_transaction_is_not_run(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, "DROP TABLE c; COMMIT; DROP TABLE b;");
    let run = project.run("downgrade-safe -2 -y --allow-failing");
    assert_ne!(run.code, Some(0), "{kind:?}\n{run}");
    database.execute("SELECT * FROM c");
    // Around all of it they are left away.
    let database = TestDatabase::create(kind);
    let project = applied(&database, &format!("BEGIN;\n{DOWN}\nCOMMIT;"));
    project.run("downgrade-safe -2 -y --allow-failing").exits(0);
    assert_eq!(count(&database), "111", "{kind:?}");
}
on_each!(a_script_that_ends_the_transaction_is_not_run: sqlite, postgresql, mariadb);

fn a_second_signal_ends_the_statement_on_the_server(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = applied(&database, &format!("DELETE FROM a; {};", endless(kind)));
    let call = project.rollback("downgrade-safe -2 -y --allow-failing -v");
    let mut child = call.piped().spawn().unwrap();
    let mut words = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("statement 2 of 2") {
        line.clear();
        assert_ne!(words.read_line(&mut line).unwrap(), 0, "{kind:?}");
    }
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        kill(pid, signal).unwrap();
    }
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    let code = child.wait().unwrap().code();
    // What was deleted on MariaDB stays so, which no schema shows.
    let expected = if kind == Kind::MariaDb { 5 } else { 130 };
    assert_eq!(code, Some(expected), "{kind:?}\n{rest}");
    until_it_is_gone(&database);
    let rows = database.query("SELECT x FROM a").len();
    assert_eq!(rows, usize::from(kind != Kind::MariaDb), "{kind:?}");
}
on_each!(a_second_signal_ends_the_statement_on_the_server: sqlite, postgresql, mariadb);
