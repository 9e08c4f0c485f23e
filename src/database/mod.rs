//! Our own connection to the database that the engine migrates: the witness of every step.
//!
//! The drivers are asynchronous; nothing outside this folder is.

pub mod mysql;
pub mod postgres;
pub mod sqlite;
pub mod url;

use crate::domain::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use crate::domain::report::Schema;
use crate::process::Environment;

/// Why the database could not be asked. No variant carries a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another dialect than the three that we speak.
    #[error("no connection of our own for the dialect {0}")]
    UnsupportedDialect(String),
    /// The server cannot be reached, or the connection broke.
    #[error("cannot reach {place}: {reason}")]
    Unreachable {
        /// Host and database, without password.
        place: String,
        /// The driver's words.
        reason: String,
    },
    /// The server refused the user or the password.
    #[error("{place} refused the login: {reason}")]
    LoginRefused {
        /// Host, database and user, without password.
        place: String,
        /// The server's words.
        reason: String,
    },
    /// The SQLite file does not exist.
    #[error("the SQLite file {0} does not exist")]
    NoSuchFile(String),
    /// The database does not exist on that server.
    #[error("{place} does not exist: {reason}")]
    NoSuchDatabase {
        /// Host and database.
        place: String,
        /// The server's words.
        reason: String,
    },
    /// The server answered a query of ours with an error.
    #[error("{place} answered: {reason}")]
    Query {
        /// Host and database.
        place: String,
        /// The server's words.
        reason: String,
    },
    /// A setting of the connection is not understood.
    #[error("{0}")]
    Settings(String),
}

/// One open connection.
///
/// Implementations hold no transaction between two calls (an open one would block the engine's DDL)
/// and open a new connection where the old one broke.
pub trait Database {
    /// Asks the server what it is. One round trip.
    fn identity(&mut self) -> Result<Identity, DatabaseError>;

    /// Reads the version table. A missing table is an answer, not an error.
    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError>;

    /// Reads the outline of the schema: tables, columns and indexes, without the server's own.
    fn schema(&mut self) -> Result<Schema, DatabaseError>;
}

/// Opens a connection.
pub fn open(
    facts: &ConnectionFacts,
    _environment: &Environment,
) -> Result<Box<dyn Database>, DatabaseError> {
    Err(DatabaseError::UnsupportedDialect(facts.dialect.clone()))
}
