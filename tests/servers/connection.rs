//! What our own connection reads.

use std::path::Path;

use rollback_core::connection::{Identity, VersionRows, VersionTable};
use rollback_core::revision::RevisionId;
use rollback_database::{self, url};

use crate::support::{Kind, Server, TestDatabase, USER, database_environment};

fn rows(ids: &[&str]) -> VersionRows {
    VersionRows::Rows(ids.iter().copied().map(RevisionId::from).collect())
}

fn reached(url: &str) -> Identity {
    let facts = url::parse(url, Path::new("/")).unwrap();
    let mut database = rollback_database::open(&facts, &database_environment())
        .unwrap_or_else(|error| panic!("{}: {error}", url::masked(&facts)));
    database.identity().unwrap()
}

const CREATE: &str = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)";

fn the_server_says_what_it_is(kind: Kind) {
    let database = TestDatabase::create(kind);
    let identity = database.open().identity().unwrap();
    let server = identity.server.clone().unwrap();
    let name = match kind {
        Kind::PostgreSql => "PostgreSQL ",
        Kind::MariaDb | Kind::MySql if kind.is_mysql() => "MySQL ",
        Kind::MariaDb | Kind::MySql => "MariaDB ",
        Kind::Sqlite => "SQLite ",
    };
    let version = server
        .strip_prefix(name)
        .unwrap_or_else(|| panic!("{server}"));
    assert!(
        version.chars().all(|c| c.is_ascii_digit() || c == '.'),
        "{server}"
    );
    assert_eq!(identity.database, database.name());
    if kind != Kind::Sqlite {
        assert_eq!(identity.host.as_deref(), Some("127.0.0.1"));
        assert_eq!(identity.port, Some(Server::shared(kind).port()));
        assert_eq!(identity.user.as_deref(), Some(USER));
    }
}
on_each!(the_server_says_what_it_is: sqlite, postgresql, mariadb);

/// Red if a driver refuses a password that the clients of the servers take.
fn a_password_may_have_a_tab(kind: Kind) {
    let server = Server::shared(kind);
    let database = server.create_database();
    let password = "a\tb";
    server.execute(&match kind {
        Kind::PostgreSql => format!("CREATE ROLE tabbed LOGIN PASSWORD '{password}'"),
        _ => format!("CREATE USER tabbed IDENTIFIED BY '{password}'"),
    });
    if kind != Kind::PostgreSql {
        database.execute(&format!("GRANT ALL ON {}.* TO tabbed", database.name()));
    }
    let url = database.url();
    let (scheme, _) = url.split_once("://").unwrap();
    let (_, place) = url.rsplit_once('@').unwrap();
    let identity = reached(&format!("{scheme}://tabbed:a%09b@{place}"));
    server.execute(match kind {
        Kind::PostgreSql => "DROP ROLE tabbed",
        _ => "DROP USER tabbed",
    });
    assert_eq!(identity.user.as_deref(), Some("tabbed"), "{kind:?}");
}
on_each!(a_password_may_have_a_tab: postgresql, mariadb);

fn the_version_table_is_read_as_it_changes(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut ours = database.open();
    let table = VersionTable::default();
    assert_eq!(
        ours.version_rows(&table).unwrap(),
        VersionRows::NoTable,
        "{kind:?}"
    );
    database.execute(CREATE);
    assert_eq!(ours.version_rows(&table).unwrap(), rows(&[]), "{kind:?}");
    database.execute("INSERT INTO alembic_version VALUES ('b2'), ('a1')");
    let VersionRows::Rows(mut read) = ours.version_rows(&table).unwrap() else {
        panic!("{kind:?}: the table is there");
    };
    read.sort();
    assert_eq!(VersionRows::Rows(read), rows(&["a1", "b2"]), "{kind:?}");
    database.execute("DELETE FROM alembic_version WHERE version_num = 'b2'");
    assert_eq!(
        ours.version_rows(&table).unwrap(),
        rows(&["a1"]),
        "{kind:?}"
    );
}
on_each!(the_version_table_is_read_as_it_changes: sqlite, postgresql, mariadb);

/// Turns red if a name reaches the server outside its quotes.
fn a_table_may_have_any_name(kind: Kind) {
    let database = TestDatabase::create(kind);
    let name = "odd \"name\" `of` a 'table'; DROP";
    let quoted = match kind {
        Kind::MariaDb | Kind::MySql => format!("`{}`", name.replace('`', "``")),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    };
    database.execute(&format!("CREATE TABLE {quoted} (version_num VARCHAR(32))"));
    database.execute(&format!("INSERT INTO {quoted} VALUES ('x')"));
    let table = VersionTable {
        name: name.to_owned(),
        ..VersionTable::default()
    };
    assert_eq!(
        database.open().version_rows(&table).unwrap(),
        rows(&["x"]),
        "{kind:?}"
    );
}
on_each!(a_table_may_have_any_name: sqlite, postgresql, mariadb);

#[test]
fn a_table_may_be_in_a_schema() {
    let table = |schema: &str| VersionTable {
        schema: Some(schema.to_owned()),
        ..VersionTable::default()
    };

    let postgres = TestDatabase::create(Kind::PostgreSql);
    let mut ours = postgres.open();
    assert_eq!(
        ours.version_rows(&table("Odd.\"s")).unwrap(),
        VersionRows::NoTable,
        "no schema"
    );
    postgres.execute("CREATE SCHEMA \"Odd.\"\"s\"");
    assert_eq!(
        ours.version_rows(&table("Odd.\"s")).unwrap(),
        VersionRows::NoTable,
        "no table"
    );
    postgres.execute("CREATE TABLE \"Odd.\"\"s\".alembic_version AS SELECT 'x' AS version_num");
    assert_eq!(ours.version_rows(&table("Odd.\"s")).unwrap(), rows(&["x"]));

    let other = TestDatabase::create(Kind::MariaDb);
    let mut ours = TestDatabase::create(Kind::MariaDb).open();
    assert_eq!(
        ours.version_rows(&table("no_such")).unwrap(),
        VersionRows::NoTable
    );
    assert_eq!(
        ours.version_rows(&table(other.name())).unwrap(),
        VersionRows::NoTable
    );
    other.execute("CREATE TABLE alembic_version AS SELECT 'x' AS version_num");
    assert_eq!(
        ours.version_rows(&table(other.name())).unwrap(),
        rows(&["x"])
    );

    let sqlite = TestDatabase::create(Kind::Sqlite);
    sqlite.execute("CREATE TABLE alembic_version AS SELECT 'x' AS version_num");
    assert_eq!(
        sqlite.open().version_rows(&table("main")).unwrap(),
        rows(&["x"])
    );
    assert_eq!(
        sqlite.open().version_rows(&table("none")).unwrap(),
        VersionRows::NoTable
    );
}

fn one_database_has_one_fingerprint_whatever_the_way_there(kind: Kind) {
    let (one, other) = (TestDatabase::create(kind), TestDatabase::create(kind));
    let by_tcp = reached(&one.url());
    let by_socket = reached(&one.socket_url());
    assert!(by_tcp.fingerprint.is_some());
    assert_eq!(by_tcp.fingerprint, by_socket.fingerprint, "{kind:?}");
    assert_ne!(
        by_tcp.fingerprint,
        reached(&other.url()).fingerprint,
        "{kind:?}"
    );
    assert_eq!(
        by_socket.host.as_deref(),
        Some(Server::shared(kind).socket().as_str())
    );
}
on_each!(one_database_has_one_fingerprint_whatever_the_way_there: postgresql, mariadb);

fn two_servers_have_two_fingerprints(kind: Kind) {
    let server = Server::start(kind);
    // The same name and, with PostgreSQL, possibly the same number on both.
    let name = if kind == Kind::PostgreSql {
        "postgres"
    } else {
        "mysql"
    };
    let fingerprint = |server: &Server| {
        let mut database =
            rollback_database::open(&server.facts(name), &database_environment()).unwrap();
        database.identity().unwrap().fingerprint
    };
    assert_ne!(
        fingerprint(&server),
        fingerprint(Server::shared(kind)),
        "{kind:?}"
    );
}
on_each!(two_servers_have_two_fingerprints: postgresql, mariadb);

fn the_outline_shows_what_a_half_done_step_did(kind: Kind) {
    let database = TestDatabase::create(kind);
    let mut ours = database.open();
    assert!(
        ours.schema().unwrap().is_empty(),
        "{kind:?}: {:?}",
        ours.schema().unwrap()
    );
    database.execute("CREATE TABLE users (id INTEGER NOT NULL, email VARCHAR(100) DEFAULT 'x')");
    let before = ours.schema().unwrap();
    assert_eq!(before, ours.schema().unwrap(), "{kind:?}");
    for change in [
        "CREATE INDEX by_email ON users (email)",
        "ALTER TABLE users ADD COLUMN age INTEGER",
        "ALTER TABLE users RENAME COLUMN age TO years",
        "CREATE TABLE other (id INTEGER PRIMARY KEY)",
        "CREATE VIEW emails AS SELECT email FROM users",
        "DROP VIEW emails",
        "DROP TABLE other",
    ] {
        let was = ours.schema().unwrap();
        database.execute(change);
        assert_ne!(was, ours.schema().unwrap(), "{kind:?}: {change}");
    }
    let gone: Vec<_> = before
        .difference(&ours.schema().unwrap())
        .cloned()
        .collect();
    assert!(gone.is_empty(), "{kind:?}: {gone:?}");
    let column = before
        .iter()
        .find(|line| line.contains("email"))
        .unwrap()
        .to_lowercase();
    assert!(
        column.starts_with("column ") && column.contains("default"),
        "{column}"
    );
}
on_each!(the_outline_shows_what_a_half_done_step_did: sqlite, postgresql, mariadb);

/// Turns red if a transaction or a lock of ours outlives the call: DDL would wait for it.
fn nothing_of_ours_stands_in_the_way_of_ddl(kind: Kind) {
    let database = TestDatabase::create(kind);
    database.execute(CREATE);
    let mut ours = database.open();
    ours.version_rows(&VersionTable::default()).unwrap();
    ours.schema().unwrap();
    if kind == Kind::PostgreSql {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rollback' \
             AND datname = current_database()";
        assert_eq!(database.query_one(open), "1");
        assert_eq!(
            database.query_one(&format!("{open} AND state <> 'idle'")),
            "0"
        );
    }
    database.execute("DROP TABLE alembic_version");
    assert_eq!(
        ours.version_rows(&VersionTable::default()).unwrap(),
        VersionRows::NoTable
    );
}
on_each!(nothing_of_ours_stands_in_the_way_of_ddl: sqlite, postgresql, mariadb);
