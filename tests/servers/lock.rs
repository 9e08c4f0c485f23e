//! One run per database.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rollback_core::connection::VersionTable;
use rollback_core::lock::{Holder, LockOwner, Locked, Operator};
use serde_json::json;

use crate::session::Session;
use crate::support::{Kind, TestDatabase};
use crate::walk::{end_of, events, rows, until_step, upgraded};

const RUN: &str = "downgrade-safe base -y --allow-failing --format json";

fn claim(user: &str) -> LockOwner {
    let operator = Operator {
        user: user.to_owned(),
        host: "build-7".to_owned(),
        pid: 4711,
    };
    LockOwner::new("20261121T040000Z-4711", &operator, UNIX_EPOCH)
}

fn holder(locked: Locked) -> Holder {
    match locked {
        Locked::HeldBy(holder) => holder,
        Locked::Taken => panic!("taken"),
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Our lock's connection, ended by the server; of SQLite the file, taken away.
fn take_the_lock_away(database: &TestDatabase<'_>) {
    match database.kind() {
        Kind::Sqlite => {
            let file = format!("{}.rollback-lock", database.name());
            std::fs::remove_file(file).unwrap();
        }
        Kind::PostgreSql => {
            let ended = database.query(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                 WHERE locktype = 'advisory' AND datname = current_database()",
            );
            assert_eq!(ended.len(), 1);
        }
        Kind::MariaDb | Kind::MySql => {
            let id = database.query_one(
                "SELECT IS_USED_LOCK(CONCAT('rollback', LEFT(SHA2(DATABASE(), 256), 40)))",
            );
            database.execute(&format!("KILL {id}"));
        }
    }
}

/// How soon a server notices that a client is gone.
fn soon(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !happens() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn the_second_connection_is_told_who_holds_the_lock(kind: Kind) {
    let database = TestDatabase::create(kind);
    let (mut first, mut second) = (database.open(), database.open());
    assert!(!first.holds_lock().unwrap(), "{kind:?}");
    assert_eq!(first.lock(&claim("anna")).unwrap(), Locked::Taken);
    assert!(first.holds_lock().unwrap(), "{kind:?}");
    let held = holder(second.lock(&claim("ben")).unwrap());
    assert_eq!(held.claim, Some(claim("anna")), "{kind:?}: {held}");
    assert_eq!(held.session.is_none(), kind == Kind::Sqlite, "{held}");
    assert!(!second.holds_lock().unwrap(), "{kind:?}");
    // Whoever asks again gets the same answer, and the lock once it is free.
    assert_eq!(holder(second.lock(&claim("ben")).unwrap()), held);
    drop(first);
    soon("the lock is free", || {
        second.lock(&claim("ben")).unwrap() == Locked::Taken
    });
    let held = holder(database.open().lock(&claim("cleo")).unwrap());
    assert_eq!(held.claim, Some(claim("ben")), "{kind:?}: {held}");
}
on_each!(the_second_connection_is_told_who_holds_the_lock: sqlite, postgresql, mariadb);

/// Red when letting go of the lock takes a while, or leaves it where it cannot be taken again.
fn a_lock_that_is_released_is_free_at_once_and_can_be_taken_again(kind: Kind) {
    let database = TestDatabase::create(kind);
    let (mut first, mut second) = (database.open(), database.open());
    first.release_lock().unwrap();
    assert_eq!(first.lock(&claim("anna")).unwrap(), Locked::Taken);
    first.release_lock().unwrap();
    assert!(!first.holds_lock().unwrap(), "{kind:?}");
    assert_eq!(second.lock(&claim("ben")).unwrap(), Locked::Taken);
    let held = holder(first.lock(&claim("anna")).unwrap());
    assert_eq!(held.claim, Some(claim("ben")), "{kind:?}: {held}");
    second.release_lock().unwrap();
    assert_eq!(first.lock(&claim("anna")).unwrap(), Locked::Taken);
    assert!(first.holds_lock().unwrap(), "{kind:?}");
}
on_each!(a_lock_that_is_released_is_free_at_once_and_can_be_taken_again: sqlite, postgresql, mariadb);

#[test]
fn a_lock_that_somebody_else_took_by_hand_is_told_in_the_servers_words() {
    for (kind, by_hand) in [
        (
            Kind::PostgreSql,
            "SELECT pg_advisory_lock(1919904876, 1650549611)::text",
        ),
        (
            Kind::MariaDb,
            "SELECT CAST(GET_LOCK(CONCAT('rollback', LEFT(SHA2(DATABASE(), 256), 40)), 0) AS CHAR)",
        ),
    ] {
        let database = TestDatabase::create(kind);
        let mut somebody = Session::of(&database);
        let mut ours = database.open();
        somebody.one(by_hand);
        let held = holder(ours.lock(&claim("anna")).unwrap());
        assert_eq!(held.claim, None, "{kind:?}: {held}");
        assert!(held.session.is_some(), "{kind:?}: {held}");
        let text = held.to_string();
        assert!(text.contains("of the database user rollback"), "{text}");
        assert!(text.contains("127.0.0.1"), "{text}");
        assert!(!ours.holds_lock().unwrap());
        drop(somebody);
        soon("the lock is free", || {
            ours.lock(&claim("anna")).unwrap() == Locked::Taken
        });
    }
}

fn another_database_of_the_server_is_not_locked(kind: Kind) {
    let (one, other) = (TestDatabase::create(kind), TestDatabase::create(kind));
    let (mut first, mut second) = (one.open(), other.open());
    assert_eq!(first.lock(&claim("anna")).unwrap(), Locked::Taken);
    assert_eq!(second.lock(&claim("ben")).unwrap(), Locked::Taken);
    assert!(first.holds_lock().unwrap() && second.holds_lock().unwrap());
}
on_each!(another_database_of_the_server_is_not_locked: sqlite, postgresql, mariadb);

fn the_lock_is_in_nobodys_way(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut ours = database.open();
    assert_eq!(ours.lock(&claim("anna")).unwrap(), Locked::Taken);
    let project = upgraded("linear", &database);
    database.execute("CREATE TABLE theirs (i INTEGER); INSERT INTO theirs VALUES (1)");
    database.execute("ALTER TABLE theirs ADD COLUMN j INTEGER");
    assert_eq!(database.query_one("SELECT count(*) FROM theirs"), "1");
    database.execute("DROP TABLE theirs");
    project.engine("alembic downgrade base");
    // What only looks is not kept out either.
    project.run("current").exits(0);
    project.engine("alembic upgrade heads");
    project.run("plan base").exits(0);
    project.run("downgrade-safe base --dry-run").exits(0);
    assert!(ours.holds_lock().unwrap(), "{kind:?}");
    project
        .run("downgrade-safe base -y --allow-failing")
        .exits(6);
}
on_each!(the_lock_is_in_nobodys_way: sqlite, postgresql, mariadb);

fn a_lock_goes_with_its_connection_and_does_not_come_back(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut ours = database.open();
    ours.version_rows(&VersionTable::default()).unwrap();
    assert_eq!(ours.lock(&claim("anna")).unwrap(), Locked::Taken);
    take_the_lock_away(&database);
    assert!(!ours.holds_lock().unwrap(), "{kind:?}");
    // Reading goes on, over a connection that may be a new one; the lock does not.
    ours.version_rows(&VersionTable::default()).unwrap();
    assert!(!ours.holds_lock().unwrap(), "{kind:?}");
    let mut other = database.open();
    assert_eq!(other.lock(&claim("ben")).unwrap(), Locked::Taken);
    assert!(!ours.holds_lock().unwrap(), "{kind:?}");
}
on_each!(a_lock_goes_with_its_connection_and_does_not_come_back: sqlite, postgresql, mariadb);

fn of_two_runs_at_once_one_runs_and_one_leaves_and_names_the_other(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("slow", &database);
    let (mut child, seen) = until_step(&project, RUN, 1);
    let pid = child.id();

    let second = project.run(RUN).exits(6);
    assert!(
        child.try_wait().unwrap().is_none(),
        "it did not leave at once"
    );
    let run = end_of(&project, child, seen).exits(0);

    let user = nix::unistd::User::from_uid(nix::unistd::getuid());
    let user = user.unwrap().unwrap().name;
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_string_lossy();
    for part in [
        format!("-{pid} of {user} on {}", &host[..host.len().min(8)]),
        format!("process {pid}, since 20"),
        "→ to wait for its end, such as for ten minutes: --wait 10m".to_owned(),
    ] {
        assert!(second.stderr.contains(&part), "{kind:?}: {part}\n{second}");
    }
    let last = &second.json_lines()[0];
    assert_eq!(
        (&last["exit_code"], &last["removed"]),
        (&json!(6), &json!([]))
    );
    // Nothing of the second is mixed into the first.
    assert_eq!(events(&run.json_lines(), "step_finished").len(), 5, "{run}");
    assert_eq!(rows(&database), [""; 0]);
    assert!(!std::path::Path::new(&format!("{}.rollback-lock", database.name())).exists());
}
on_each!(of_two_runs_at_once_one_runs_and_one_leaves_and_names_the_other: sqlite, postgresql, mariadb);

fn whoever_waits_goes_on_from_where_the_first_has_ended(kind: Kind) {
    let database = TestDatabase::create(kind);
    // The second run has to find the first one at work, also on a busy machine.
    let project = upgraded("slow", &database).edit(
        "migrations/versions/4444aaaa_create_the_fourth_table.py",
        "time.sleep(1)",
        "time.sleep(6)",
    );
    let (child, seen) = until_step(
        &project,
        "downgrade-safe -2 -y --allow-failing --format json",
        1,
    );
    let second = project
        .run("downgrade-safe -1 -y --allow-failing --wait 1m --format json")
        .exits(0);
    end_of(&project, child, seen).exits(0);
    assert!(
        second
            .stderr
            .contains("waiting [TIME] of 1 min 0 s for run 2"),
        "{second}"
    );
    // The step counts from the rows after the wait, not from those at its start.
    let removed = &events(&second.json_lines(), "finished")[0]["removed"];
    assert_eq!(removed, &json!(["3333aaaa"]), "{kind:?}\n{second}");
    assert_eq!(rows(&database), ["2222aaaa"]);
}
on_each!(whoever_waits_goes_on_from_where_the_first_has_ended: sqlite, postgresql, mariadb);

fn waiting_ends_with_its_time_or_with_ctrl_c(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("linear", &database);
    let before = rows(&database);
    let mut other = database.open();
    assert_eq!(other.lock(&claim("anna")).unwrap(), Locked::Taken);
    let run = project
        .run("downgrade-safe base -y --allow-failing --wait 1s")
        .exits(6);
    assert!(run.stderr.contains("it did not end within 1 s"), "{run}");
    assert!(
        run.stderr.contains("of anna on build-7, process 4711"),
        "{run}"
    );

    let mut child = project
        .rollback("downgrade-safe base -y --allow-failing --wait 1m")
        .piped()
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("waiting "), "{line}");
    signal(&child, Signal::SIGINT);
    errors.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}");
    assert!(line.contains("nothing was changed"), "{line}");
    assert_eq!(rows(&database), before);
}
on_each!(waiting_ends_with_its_time_or_with_ctrl_c: sqlite, postgresql, mariadb);

fn a_crash_lets_go_of_the_lock(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("slow", &database);
    let (mut child, _) = until_step(&project, RUN, 1);
    let mut other = database.open();
    holder(other.lock(&claim("anna")).unwrap());
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    soon("the lock is free", || {
        other.lock(&claim("anna")).unwrap() == Locked::Taken
    });
}
on_each!(a_crash_lets_go_of_the_lock: sqlite, postgresql, mariadb);

fn a_run_that_lost_its_lock_stops_before_the_next_step(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("slow", &database);
    let (child, seen) = until_step(&project, RUN, 2);
    take_the_lock_away(&database);
    let run = end_of(&project, child, seen).exits(4);
    let lines = run.json_lines();
    let finished = &events(&lines, "finished")[0];
    assert_eq!(
        finished["removed"],
        json!(["5555aaaa", "4444aaaa"]),
        "{kind:?}\n{run}"
    );
    assert!(run.stderr.contains("the lock of this run is gone"), "{run}");
    assert_eq!(rows(&database), ["3333aaaa"]);
    // And the command that it names goes on.
    let go_on = "rollback resume";
    assert!(run.stderr.contains(go_on), "{run}");
    project
        .run("downgrade-safe --resume -y --allow-failing")
        .exits(0);
    assert_eq!(rows(&database), [""; 0]);
}
on_each!(a_run_that_lost_its_lock_stops_before_the_next_step: sqlite, postgresql, mariadb);

#[test]
fn where_only_the_engine_reaches_the_database_there_is_no_lock_and_a_word_about_it() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("linear", &database);
    let run = project
        .run("downgrade-safe -1 -y --allow-failing --engine-command 'env alembic'")
        .exits(0);
    assert!(
        run.stderr.contains("no lock keeps another run out"),
        "{run}"
    );
}
