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

mod database;
mod keeper;
mod mariadb;
mod postgres;
mod server;
mod template;

pub(crate) use database::{TestDatabase, database_environment};
pub(crate) use server::{PASSWORD, Server, USER};

/// The databases that every scenario has to hold on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    PostgreSql,
    MariaDb,
    /// A file; there is no server to start or stop.
    Sqlite,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::PostgreSql, Self::MariaDb];
    pub(crate) const SERVERS: [Self; 2] = [Self::PostgreSql, Self::MariaDb];
}
