//! Real servers for the tests, started by the tests and gone with them.
//!
//! ```text
//! let database = TestDatabase::create(Kind::PostgreSql);   // on the server that all tests share
//! database.execute("CREATE TABLE t (i integer)");
//! run_the_engine_with(database.url());
//! assert_eq!(database.query_one("SELECT count(*) FROM t"), "0");
//!
//! let server = Server::start(Kind::MariaDb);               // a private one, to be stopped
//! let database = server.create_database();
//! server.stop();
//! ```
//!
//! A test binary takes it in by `#[path = "../support/mod.rs"] mod support;`, with
//! `#[expect(dead_code, reason = "...")]` where it does not use everything.

mod cases;
mod database;
mod mariadb;
mod mysql;
mod postgres;
mod server;
mod shared;
mod supervisor;
mod template;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

pub(crate) use cases::cases;
pub(crate) use database::{TestDatabase, database_environment};
pub(crate) use server::{PASSWORD, Server, USER};
pub(crate) use shared::Shared;

/// The databases that every scenario has to hold on.
///
/// With `ROLLBACK_TEST_MARIADB=mysql`, MySQL runs in MariaDB's place in all tests that ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    PostgreSql,
    MariaDb,
    /// For the tests that run on it beside MariaDB. It may be missing: see [`Kind::is_installed`].
    MySql,
    /// A file; there is no server to start or stop.
    Sqlite,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::PostgreSql, Self::MariaDb];
    pub(crate) const SERVERS: [Self; 2] = [Self::PostgreSql, Self::MariaDb];

    /// Whether the server is MySQL itself.
    pub(crate) fn is_mysql(self) -> bool {
        self == Self::MySql || self == Self::MariaDb && replaces_mariadb()
    }

    /// Whether tests can start it. If not, `scripts/run-tests` is told, and says so at the end.
    pub(crate) fn is_installed(self) -> bool {
        let is_installed = self != Self::MySql || mysql::folder().is_some();
        if let (false, Some(file)) = (is_installed, std::env::var_os("ROLLBACK_TEST_WITHOUT")) {
            std::fs::write(file, "MySQL\n").expect("the note of a missing server can be written");
        }
        is_installed
    }

    /// The names of the client that dumps and the one that loads.
    pub(crate) fn clients(self) -> (&'static str, &'static str) {
        match self {
            Self::PostgreSql => ("pg_dump", "psql"),
            Self::MariaDb | Self::MySql if self.is_mysql() => ("mysqldump", "mysql"),
            Self::MariaDb | Self::MySql => ("mariadb-dump", "mariadb"),
            Self::Sqlite => panic!("SQLite needs no client"),
        }
    }
}

fn replaces_mariadb() -> bool {
    static REPLACES: LazyLock<bool> =
        LazyLock::new(|| match std::env::var("ROLLBACK_TEST_MARIADB").as_deref() {
            Ok("mysql") => true,
            Ok("mariadb" | "") | Err(_) => false,
            Ok(other) => panic!("ROLLBACK_TEST_MARIADB is mariadb or mysql, not {other}"),
        });
    *REPLACES
}

/// The folders of servers and clients that go before those of `PATH`.
pub(crate) fn folders() -> Vec<PathBuf> {
    let postgres = std::env::var_os("ROLLBACK_TEST_PG_BIN").map(PathBuf::from);
    let mysql = replaces_mariadb().then(mysql_folder);
    postgres.into_iter().chain(mysql).collect()
}

/// The folder of MySQL's clients.
pub(crate) fn mysql_folder() -> PathBuf {
    mysql::folder().expect("MySQL is installed").to_owned()
}

/// `PATH` behind [`folders`].
pub(crate) fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders().into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(all).expect("no colon in the paths")
}
