//! What our own connection says when it cannot read, and that it never says the password.

use std::time::{Duration, Instant};

use rollback_core::connection::{ConnectionFacts, VersionRows, VersionTable};
use rollback_core::secret::Secret;
use rollback_database::{self, Database, DatabaseError};

use crate::support::{Kind, PASSWORD, Server, TestDatabase, USER, database_environment};

const OTHER_PASSWORD: &str = "wr0ng p@ssword";

fn refused(facts: &ConnectionFacts) -> DatabaseError {
    let error = rollback_database::open(facts, &database_environment())
        .err()
        .expect("an error");
    check(&error);
    error
}

/// Neither form of the error shows a password.
fn check(error: &DatabaseError) {
    let shown = format!("{error} {error:?} {error:#?}");
    for password in [PASSWORD, OTHER_PASSWORD, "s3cret", "wr0ng"] {
        assert!(!shown.contains(password), "{shown}");
    }
}

fn a_wrong_password_is_told_from_a_wrong_database(kind: Kind) {
    let database = TestDatabase::create(kind);
    let facts = ConnectionFacts {
        password: Some(Secret::new(OTHER_PASSWORD)),
        ..database.facts()
    };
    let error = refused(&facts);
    assert!(
        matches!(error, DatabaseError::LoginRefused { .. }),
        "{kind:?}: {error:?}"
    );
    assert!(error.to_string().contains(USER), "{error}");
    let facts = ConnectionFacts {
        password: None,
        ..database.facts()
    };
    assert!(
        matches!(refused(&facts), DatabaseError::LoginRefused { .. }),
        "{kind:?}"
    );

    let facts = ConnectionFacts {
        database: Some("no_such".to_owned()),
        ..database.facts()
    };
    let error = refused(&facts);
    assert!(
        matches!(error, DatabaseError::NoSuchDatabase { .. }),
        "{kind:?}: {error:?}"
    );
    assert!(error.to_string().contains("no_such"), "{error}");
}
on_each!(a_wrong_password_is_told_from_a_wrong_database: postgresql, mariadb);

fn a_server_that_is_not_there_is_said_to_be_unreachable_at_once(kind: Kind) {
    let server = Server::shared(kind);
    let facts = server.facts("app");
    let nowhere = ConnectionFacts {
        port: Some(1),
        ..facts.clone()
    };
    let no_name = ConnectionFacts {
        host: Some("no.such.invalid".to_owned()),
        ..facts.clone()
    };
    let no_socket = match kind {
        Kind::PostgreSql => ConnectionFacts {
            host: Some("/no/such".to_owned()),
            ..facts
        },
        _ => ConnectionFacts {
            socket: Some("/no/such.sock".to_owned()),
            ..facts
        },
    };
    for facts in [nowhere, no_name, no_socket] {
        let error = refused(&facts);
        assert!(
            matches!(error, DatabaseError::Unreachable { .. }),
            "{kind:?}: {error:?}"
        );
    }
}
on_each!(a_server_that_is_not_there_is_said_to_be_unreachable_at_once: postgresql, mariadb);

fn a_missing_right_is_an_error_and_no_missing_table(kind: Kind) {
    let database = TestDatabase::create(kind);
    let user = format!("reader_{}", database.name());
    database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))");
    database.execute("CREATE TABLE other (id INTEGER)");
    let server = Server::shared(kind);
    match kind {
        Kind::PostgreSql => {
            server.execute(&format!("CREATE USER {user} PASSWORD '{OTHER_PASSWORD}'"));
        }
        _ => server.execute(&format!(
            "CREATE USER {user}@'%' IDENTIFIED BY '{OTHER_PASSWORD}'; \
             GRANT SELECT ON {}.other TO {user}@'%'",
            database.name()
        )),
    }
    let facts = ConnectionFacts {
        user: Some(user.clone()),
        password: Some(Secret::new(OTHER_PASSWORD)),
        ..database.facts()
    };
    let mut ours = rollback_database::open(&facts, &database_environment()).unwrap();
    let error = ours.version_rows(&VersionTable::default()).unwrap_err();
    check(&error);
    assert!(
        matches!(error, DatabaseError::Query { .. }),
        "{kind:?}: {error:?}"
    );
    assert!(error.to_string().contains("denied"), "{error}");
    // Who may read little is still told what the server is, and that it is the same one.
    let identity = ours.identity().unwrap();
    assert_eq!(
        identity.fingerprint,
        database.open().identity().unwrap().fingerprint
    );
    drop((ours, database));
    server.execute(&format!("DROP USER {user}"));
}
on_each!(a_missing_right_is_an_error_and_no_missing_table: postgresql, mariadb);

fn read(database: &mut dyn Database) -> Result<VersionRows, DatabaseError> {
    database.version_rows(&VersionTable::default())
}

/// Turns red if a connection that once stood is not opened again.
fn a_restart_between_two_reads_goes_unnoticed(kind: Kind) {
    let server = Server::start(kind);
    let database = server.create_database();
    database.execute("CREATE TABLE alembic_version AS SELECT 'x' AS version_num");
    let mut ours = database.open();
    let before = read(ours.as_mut()).unwrap();

    server.stop();
    server.start_again();
    assert_eq!(read(ours.as_mut()).unwrap(), before, "{kind:?}: stopped");

    server.kill9();
    server.start_again();
    assert_eq!(read(ours.as_mut()).unwrap(), before, "{kind:?}: crashed");

    // It comes back only while we are asking.
    server.stop();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            server.start_again();
        });
        assert_eq!(
            read(ours.as_mut()).unwrap(),
            before,
            "{kind:?}: while it starts"
        );
    });
}
on_each!(a_restart_between_two_reads_goes_unnoticed: postgresql, mariadb);

fn a_server_that_stays_away_is_an_error_after_some_seconds(kind: Kind) {
    let server = Server::start(kind);
    let database = server.create_database();
    let mut ours = database.open();
    server.stop();
    let started = Instant::now();
    let error = read(ours.as_mut()).unwrap_err();
    check(&error);
    assert!(
        matches!(error, DatabaseError::Unreachable { .. }),
        "{kind:?}: {error:?}"
    );
    let seconds = started.elapsed().as_secs_f32();
    assert!(seconds >= 4.0, "{kind:?}: {seconds} s");
}
on_each!(a_server_that_stays_away_is_an_error_after_some_seconds: postgresql, mariadb);

fn a_connection_that_the_server_ended_is_replaced(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut ours = database.open();
    read(ours.as_mut()).unwrap();
    if kind == Kind::PostgreSql {
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    } else {
        let id = database.query_one(
            "SELECT id FROM information_schema.processlist \
             WHERE db = DATABASE() AND id <> CONNECTION_ID()",
        );
        database.execute(&format!("KILL {id}"));
    }
    assert_eq!(
        read(ours.as_mut()).unwrap(),
        VersionRows::NoTable,
        "{kind:?}"
    );
}
on_each!(a_connection_that_the_server_ended_is_replaced: postgresql, mariadb);
