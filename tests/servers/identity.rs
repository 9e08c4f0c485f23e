//! Another server behind the same address, another address of the same server, and another file of the same name: a
//! run and a backup belong to the database that they were made on.

use rollback_core::connection::ConnectionFacts;
use rollback_core::database_identity::{DATABASE_OID, SERVER_UID, SERVER_UUID, SYSTEM_IDENTIFIER};
use rollback_core::secret::Secret;
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::project::{Project, Run};
use crate::relay::Relay;
use crate::support::{Kind, Server, TestDatabase, database_environment};
use crate::walk::{rows, upgraded};

const RESUME: &str = "downgrade-safe --resume -y --allow all";

/// The second server of a kind, which all tests here share.
fn other(kind: Kind) -> &'static Server {
    static POSTGRES: OnceLock<Server> = OnceLock::new();
    static MARIADB: OnceLock<Server> = OnceLock::new();
    let server = if kind == Kind::PostgreSql {
        &POSTGRES
    } else {
        &MARIADB
    };
    server.get_or_init(|| Server::start(kind))
}

/// Two servers that take turns at one address, each with a database of the same name.
struct Two {
    relay: Relay,
    first: TestDatabase<'static>,
    second: TestDatabase<'static>,
    project: Project,
}

impl Two {
    /// Both upgraded to the newest revision; the first one is at the address.
    fn upgraded(kind: Kind) -> Self {
        let first = TestDatabase::create(kind);
        let second = other(kind).create_database_named(first.name());
        let relay = Relay::before(Server::shared(kind));
        let project = Project::alembic("linear").env("DATABASE_URL", relay.url(&first));
        relay.switch_to(other(kind));
        project.engine("alembic upgrade heads");
        relay.switch_to(Server::shared(kind));
        project.engine("alembic upgrade heads");
        Self {
            relay,
            first,
            second,
            project,
        }
    }

    fn kind(&self) -> Kind {
        self.first.kind()
    }

    fn lead_to_the_second(&self) {
        self.relay.switch_to(other(self.kind()));
    }

    fn lead_to_the_first(&self) {
        self.relay.switch_to(Server::shared(self.kind()));
    }

    /// A refusal has to show what tells both apart.
    fn shows_both(&self, run: &Run) {
        for database in [&self.first, &self.second] {
            let identity = database.open().identity().unwrap().lasting.unwrap();
            let mark = match self.kind() {
                Kind::PostgreSql => SYSTEM_IDENTIFIER,
                kind if kind.is_mysql() => SERVER_UUID,
                _ => SERVER_UID,
            };
            let id = &identity.marks[mark];
            assert!(run.stderr.contains(id), "{id} is not shown\n{run}");
        }
    }
}

/// A run to base that is killed when its first step is done.
fn killed(project: &Project) {
    let killed = project
        .rollback("downgrade-safe base -y --allow all")
        .env("ROLLBACK_FAULT_POINT", "after_done:1")
        .run();
    assert_eq!(killed.code, None, "{killed}");
}

/// The entries of the only record.
fn entries(project: &Project) -> Vec<Value> {
    let journal = fs::read_dir(project.root().join(".rollback/runs"))
        .unwrap()
        .map(|run| run.unwrap().path().join("journal.jsonl"))
        .next()
        .unwrap();
    let text = fs::read_to_string(journal).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Red if a backup is known by the address of its database: staging's was restored into production, with exit 0.
fn a_backup_is_not_restored_into_another_server_at_the_same_address(kind: Kind) {
    let two = Two::upgraded(kind);
    two.project.run("backup").exits(0);
    two.second.execute("CREATE TABLE production (id integer)");
    two.lead_to_the_second();
    let name = two.first.name();
    let restore = format!("restore latest -y --no-backup --database {name}");
    let refused = two.project.run(&restore).exits(3);
    two.shows_both(&refused);
    assert!(refused.stderr.contains("--other-database"), "{refused}");
    two.second.execute("INSERT INTO production VALUES (1)");
    two.lead_to_the_first();
    two.project.run(&restore).exits(0);
    // A move that the operator knows of.
    two.lead_to_the_second();
    let moved = format!("{restore} --other-database");
    two.project.run(&moved).exits(0);
    assert!(
        two.second
            .try_execute("INSERT INTO production VALUES (1)")
            .is_err(),
        "{kind:?}: it was not restored"
    );
}
on_each!(a_backup_is_not_restored_into_another_server_at_the_same_address: postgresql, mariadb);

/// Red if a run is known by the address of its database: staging's was resumed in production, with exit 0.
fn a_run_is_not_resumed_on_another_server_at_the_same_address(kind: Kind) {
    let two = Two::upgraded(kind);
    killed(&two.project);
    let left = rows(&two.first);
    let untouched = rows(&two.second);
    assert_ne!(left, untouched);
    two.lead_to_the_second();
    for line in [
        RESUME,
        "downgrade-safe --abandon",
        "downgrade-safe -1 -y --allow all",
        "guard -y -- true",
    ] {
        let refused = two.project.run(line).exits(3);
        two.shows_both(&refused);
        assert_eq!(rows(&two.second), untouched, "{kind:?} {line}\n{refused}");
    }
    // Looking is allowed, and tells of it.
    let looked = two.project.run("downgrade-safe -1 --dry-run").exits(0);
    two.shows_both(&looked);
    two.lead_to_the_first();
    two.project.run(RESUME).exits(0);
    assert_eq!(rows(&two.first), [""; 0], "{kind:?}");
    assert_eq!(rows(&two.second), untouched, "{kind:?}");
}
on_each!(a_run_is_not_resumed_on_another_server_at_the_same_address: postgresql, mariadb);

/// Red if a database that was moved cannot be told to be the same, or if that is not written down.
fn a_run_of_a_database_that_was_moved_is_resumed_when_that_is_said(kind: Kind) {
    let two = Two::upgraded(kind);
    killed(&two.project);
    let left = rows(&two.first);
    two.lead_to_the_second();
    two.project
        .engine(&format!("alembic downgrade {}", left[0]));
    assert_eq!(rows(&two.second), left);
    // It looks as the run left it, and is another database.
    two.project.run(RESUME).exits(3);
    assert_eq!(rows(&two.second), left);
    let resumed = two
        .project
        .run(&format!("{RESUME} --other-database"))
        .exits(0);
    two.shows_both(&resumed);
    assert_eq!(rows(&two.second), [""; 0], "{kind:?}\n{resumed}");
    assert_eq!(rows(&two.first), left, "{kind:?}\n{resumed}");
    let entries = entries(&two.project);
    let moved: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["entry"] == "other_database")
        .collect();
    assert_eq!(moved.len(), 1, "{entries:?}");
    let (then, now) = (
        &entries[0]["identity"]["marks"],
        &moved[0]["identity"]["marks"],
    );
    assert!(
        then.is_object() && now.is_object() && then != now,
        "{entries:?}"
    );
}
on_each!(a_run_of_a_database_that_was_moved_is_resumed_when_that_is_said: postgresql, mariadb);

/// Red if a run on a database that is gone can only be closed by hand, or if closing it changes another database.
#[test]
fn a_run_of_another_server_is_abandoned_when_that_is_said() {
    let two = Two::upgraded(Kind::PostgreSql);
    killed(&two.project);
    two.lead_to_the_second();
    let untouched = rows(&two.second);
    two.project
        .run("downgrade-safe --abandon --other-database")
        .exits(0);
    assert_eq!(rows(&two.second), untouched);
    two.project.run("downgrade-safe -1 -y --allow all").exits(0);
}

/// Red if a database is known by the spelling of its address: a run that was begun over TCP was neither in the way of
/// a new one over the socket, nor could it be resumed there.
fn another_way_to_the_same_server_leads_to_the_same_run(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("linear", &database);
    project.run("backup").exits(0);
    killed(&project);
    let project = project.env("DATABASE_URL", database.socket_url());
    let refused = project.run("downgrade-safe -1 -y --allow all").exits(3);
    assert!(refused.stderr.contains("rollback resume"), "{refused}");
    project.run(RESUME).exits(0);
    assert_eq!(rows(&database), [""; 0], "{kind:?}");
    let line = format!("restore latest -y --database {}", database.name());
    project.run(&line).exits(0);
    assert_eq!(rows(&database).len(), 1, "{kind:?}");
}
on_each!(another_way_to_the_same_server_leads_to_the_same_run: postgresql, mariadb);

/// Red if a run goes on with whatever server its address leads to: the step ran on the second server then.
fn a_run_stops_before_the_step_that_would_reach_another_server(kind: Kind) {
    let two = Two::upgraded(kind);
    let untouched = rows(&two.second);
    fs::write(
        two.project.root().join("rollback.toml"),
        "[[check]]\nname = 'pause'\nwhen = 'after_step'\ntimeout = '60s'\n\
         command = ['sh', '-c', 'touch pause; while test -e pause; do sleep 0.05; done']\n",
    )
    .unwrap();
    let run = two
        .project
        .shell("rollback downgrade-safe base -y --allow all")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pause = two.project.root().join("pause");
    let deadline = Instant::now() + Duration::from_mins(1);
    while !pause.exists() {
        assert!(Instant::now() < deadline, "{kind:?}: no step was done");
        sleep(Duration::from_millis(20));
    }
    two.lead_to_the_second();
    // Steps that share a connection look only once a second.
    sleep(Duration::from_secs(1));
    fs::remove_file(&pause).unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{kind:?}\n{stderr}");
    assert!(
        stderr.contains("the address leads to another server"),
        "{kind:?}\n{stderr}"
    );
    assert_eq!(rows(&two.second), untouched, "{kind:?}\n{stderr}");
    two.lead_to_the_first();
    fs::remove_file(two.project.root().join("rollback.toml")).unwrap();
    two.project.run(RESUME).exits(0);
}
on_each!(a_run_stops_before_the_step_that_would_reach_another_server: postgresql, mariadb);

/// Red if a client for backups is started without seeing where it will connect: it replaced the second database then,
/// or made a backup of it that counted as one of the first.
fn a_backup_is_neither_made_of_nor_restored_into_a_server_that_came_meanwhile(kind: Kind) {
    let first = TestDatabase::create(kind);
    let second = other(kind).create_database_named(first.name());
    let project = upgraded("linear", &first);
    project.run("backup").exits(0);
    second.execute("CREATE TABLE production (id integer)");
    let restore = format!("restore latest -y --no-backup --database {}", first.name());
    for (line, ours) in [("backup", 1), (&restore, 2)] {
        let relay = Relay::before(Server::shared(kind));
        // One that looks and, for a restore, one that holds the lock. The engine has its own way.
        relay.switch_after(ours, other(kind));
        let refused = project
            .rollback(line)
            .env("ROLLBACK_DATABASE_URL", &relay.url(&first))
            .run()
            .exits(3);
        assert!(
            refused.stderr.contains("leads to another server"),
            "{kind:?}\n{refused}"
        );
        second.execute("INSERT INTO production VALUES (1)");
    }
    let listed = project.run("backups --format json").exits(0).json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1, "{listed}");
}
on_each!(a_backup_is_neither_made_of_nor_restored_into_a_server_that_came_meanwhile: postgresql, mariadb);

/// Another file takes the place of the database: with the same content, and perhaps with the same inode.
fn replaced(database: &TestDatabase<'_>) {
    let path = database.path();
    let content = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, content).unwrap();
}

/// Red if a SQLite database is known by its path.
#[test]
fn another_file_of_the_same_name_is_another_database() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("linear", &database);
    project.run("backup").exits(0);
    killed(&project);
    replaced(&database);
    let left = rows(&database);
    let restore = "restore latest -y --no-backup --database app.db";
    for line in [
        RESUME,
        "downgrade-safe --abandon",
        "downgrade-safe -1 -y --allow all",
        restore,
    ] {
        let refused = project.run(line).exits(3);
        assert!(refused.stderr.matches("inode").count() >= 2, "{refused}");
        assert!(refused.stderr.contains("--other-database"), "{refused}");
        assert_eq!(rows(&database), left, "{line}");
    }
    project.run(&format!("{RESUME} --other-database")).exits(0);
    assert_eq!(rows(&database), [""; 0]);
    project.run(&format!("{restore} --other-database")).exits(0);
    assert_eq!(rows(&database).len(), 1);
}

/// Red if rollback itself makes another database of a file: by a restore, or by going back to a copy.
#[test]
fn a_file_that_was_put_back_is_the_same_database() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("linear", &database);
    let identity = || database.open().identity().unwrap().lasting.unwrap();
    let before = identity();
    assert!(before.marks.len() == 2, "{before:?}");
    project.run("backup").exits(0);
    project.run("downgrade-safe -1 -y --allow all").exits(0);
    let restore = "restore latest -y --no-backup --database app.db";
    project.run(restore).exits(0);
    assert_eq!(identity(), before);
    let killed = project
        .rollback("downgrade-safe base --atomic -y --allow all")
        .env("ROLLBACK_FAULT_POINT", "after_engine:2")
        .run();
    assert_eq!(killed.code, None, "{killed}");
    project.run(&format!("{RESUME} --allow-failing")).exits(0);
    assert_eq!(identity(), before);
}

/// Red if a record of before identities were written down is of no use any more, or if it is not said that only the
/// address was compared.
#[test]
fn a_record_without_an_identity_is_known_by_its_address() {
    let database = TestDatabase::create(Kind::Sqlite);
    let project = upgraded("linear", &database);
    project.run("backup").exits(0);
    killed(&project);
    for file in project.files() {
        let path = project.root().join(&file);
        let is_record = file.ends_with("journal.jsonl")
            || file.extension().is_some_and(|end| end == "json")
                && file.components().any(|part| part.as_os_str() == "backups");
        if !is_record {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let without = |text: &str| {
            let mut value: Value = serde_json::from_str(text).unwrap();
            let known = value.as_object_mut().unwrap().remove("identity").is_some();
            (known, value.to_string() + "\n")
        };
        let old = if file.ends_with("journal.jsonl") {
            let mut lines = text.lines();
            let (known, first) = without(lines.next().unwrap());
            assert!(known, "{file:?}");
            let rest: String = lines.map(|line| format!("{line}\n")).collect();
            first + &rest
        } else {
            let (known, old) = without(&text);
            assert!(known, "{file:?}");
            old
        };
        fs::write(&path, old).unwrap();
    }
    replaced(&database);
    let resumed = project.run(RESUME).exits(0);
    assert!(resumed.stderr.contains("by the address alone"), "{resumed}");
    let restored = project
        .run("restore latest -y --no-backup --database app.db")
        .exits(0);
    assert!(
        restored.stderr.contains("by the address alone"),
        "{restored}"
    );
    // Written down now.
    let entries = entries(&project);
    assert!(entries[0]["identity"].is_null(), "{entries:?}");
}

/// Red if a user who may not read the identifier of the server cannot connect, or passes for one who can.
#[test]
fn a_server_that_keeps_its_identifier_to_itself_is_known_by_what_it_tells() {
    let database = TestDatabase::create(Kind::PostgreSql);
    database.execute(
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC; \
         CREATE ROLE limited LOGIN PASSWORD 'limited'",
    );
    let facts = |user: &str, password: &str| ConnectionFacts {
        user: Some(user.to_owned()),
        password: Some(Secret::new(password)),
        ..database.facts()
    };
    let marks = |facts: &ConnectionFacts| {
        let mut own = rollback_database::open(facts, &database_environment()).unwrap();
        own.identity().unwrap().lasting.unwrap().marks
    };
    let all = marks(&database.facts());
    assert_eq!(all.len(), 2, "{all:?}");
    let limited = marks(&facts("limited", "limited"));
    assert_eq!(limited.get(DATABASE_OID), all.get(DATABASE_OID));
    assert_eq!(limited.get(SYSTEM_IDENTIFIER), None);
    database.execute("DROP ROLE limited");
}

/// Red if the same identifier behind another address passes for the same server after a restart, when it may as well be
/// a copy of its files.
#[test]
fn a_copy_of_a_server_cannot_be_told_from_it_by_its_identifier() {
    let server = Server::start(Kind::PostgreSql);
    let database = server.create_database();
    let project = upgraded("linear", &database);
    killed(&project);
    let left = rows(&database);
    server.stop();
    server.start_again();
    let project = project.env("DATABASE_URL", database.socket_url());
    let refused = project.run(RESUME).exits(3);
    assert!(refused.stderr.contains("cannot tell whether"), "{refused}");
    assert_eq!(rows(&database), left, "{refused}");
    project.run(&format!("{RESUME} --other-database")).exits(0);
    assert_eq!(rows(&database), [""; 0]);
}

/// Red if the record of any database is taken for one that was moved here, or if nobody learns how to say that it is.
#[test]
fn of_several_runs_elsewhere_none_is_taken() {
    let databases = [(); 3].map(|()| TestDatabase::create(Kind::Sqlite));
    let mut project = upgraded("linear", &databases[0]);
    killed(&project);
    let left = rows(&databases[0]);
    project = project.env("DATABASE_URL", databases[1].url());
    project.engine("alembic upgrade heads");
    killed(&project);
    project = project.env("DATABASE_URL", databases[2].url());
    project.engine(&format!("alembic upgrade {}", left[0]));
    let unknown = project.run(RESUME).exits(1);
    assert!(unknown.stderr.contains("add --other-database"), "{unknown}");
    let moved = format!("{RESUME} --other-database");
    let refused = project.run(&moved).exits(3);
    assert!(refused.stderr.contains("several runs"), "{refused}");
    assert_eq!(rows(&databases[2]), left);
    project = project.env("DATABASE_URL", databases[0].url());
    project.run("downgrade-safe --abandon").exits(0);
    project = project.env("DATABASE_URL", databases[2].url());
    project.run(&moved).exits(0);
    assert_eq!(rows(&databases[2]), [""; 0]);
    assert_eq!(rows(&databases[1]), left);
}
