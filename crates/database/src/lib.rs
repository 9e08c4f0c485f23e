//! The direct connection to PostgreSQL, MySQL, MariaDB and SQLite: schema, effects, locks, probes and backups.
//!
//! The drivers of the servers are asynchronous; nothing outside this crate is.

mod audit;
pub mod backup;
mod blockers;
mod checks_mysql;
mod checks_postgres;
mod checks_sqlite;
mod connection;
pub mod effects_postgres;
pub mod evidence;
mod execution;
mod execution_sqlite;
mod failure;
mod lock;
mod mysql;
mod pgpass;
mod postgres;
mod postgres_looks;
mod probe;
mod proof_mysql;
mod proof_postgres;
mod proof_sqlite;
mod schema_model;
mod schema_mysql;
mod schema_postgres;
mod schema_sqlite;
mod snapshot;
mod sqlite;
mod sqlite_connection;
pub mod url;

pub use self::schema_model::schema_model;
pub use self::schema_postgres::SCHEMA as SCHEMA_OF_POSTGRES;
pub use self::snapshot::{LeftoverSnapshot, Snapshot};

use std::collections::BTreeSet;
use std::time::Duration;

use self::connection::SessionError;
use self::failure::FailureKind;
use rollback_core::audit::Row as AuditRow;
use rollback_core::blocker::Blocker;
use rollback_core::checks::{Counts, Faults, Health, Leftover};
use rollback_core::connection::{ConnectionFacts, Identity, RowsAre, VersionRows, VersionTable};
use rollback_core::dialect::Dialect;
use rollback_core::lock::{LockOwner, Locked};
use rollback_core::operation::TableName;
use rollback_core::outcome::SchemaLines;
use rollback_core::proof::{RowEvidence, StepSession, Trace};
use rollback_core::query::{Execution, Queries, TextRows};
use rollback_core::revision::RevisionId;
use rollback_system::process::Environment;

/// Opens a connection and proves that it works: a wrong password is an error here, not later.
///
/// Of the environment only the variables of libpq matter (`PGHOST`, `PGSSLMODE`, ...), for PostgreSQL.
/// One attempt, ten seconds at most; only a connection that once stood is waited for.
pub fn open(
    facts: &ConnectionFacts,
    environment: &Environment,
) -> Result<Box<dyn Database>, DatabaseError> {
    match facts.known_dialect() {
        Some(Dialect::Postgres) => Ok(Box::new(postgres::Postgres::open(facts, environment)?)),
        Some(Dialect::MySql) => Ok(Box::new(mysql::MySql::open(facts)?)),
        Some(Dialect::Sqlite) => Ok(Box::new(sqlite::Sqlite::open(facts)?)),
        None => Err(DatabaseError::UnsupportedDialect(facts.dialect.clone())),
    }
}

/// As [`open`], for a database that is about to be replaced: a SQLite file may be damaged.
pub fn open_to_replace(
    facts: &ConnectionFacts,
    environment: &Environment,
) -> Result<Box<dyn Database>, DatabaseError> {
    match facts.known_dialect() {
        Some(Dialect::Sqlite) => Ok(Box::new(sqlite::Sqlite::unread(facts)?)),
        _ => open(facts, environment),
    }
}

/// Opens a connection over which migrations are run. `lock_timeout` is how long a statement may wait for a lock
/// of the database; `None` for as long as it takes.
pub fn execution(
    facts: &ConnectionFacts,
    environment: &Environment,
    lock_timeout: Option<Duration>,
) -> Result<Box<dyn Execution>, DatabaseError> {
    execution::open(facts, environment, lock_timeout)
}

/// `name` as an identifier, whatever it holds, between quotes of the server's kind.
fn quoted(name: &str, quote: char) -> String {
    format!(
        "{quote}{}{quote}",
        name.replace(quote, &format!("{quote}{quote}"))
    )
}

/// The one query on the version table.
fn version_query(table: &VersionTable, quote: char) -> String {
    let schema = table
        .schema
        .as_deref()
        .map(|schema| quoted(schema, quote) + ".");
    let schema = schema.unwrap_or_default();
    let name = quoted(&table.name, quote);
    match table.rows {
        RowsAre::Heads => format!("SELECT version_num FROM {schema}{name}"),
        RowsAre::History => format!(
            "SELECT migration_name FROM {schema}{name} WHERE status <> 'rolled_back' ORDER BY 1"
        ),
    }
}

/// The rows of the version table; `absent` lists the failures that mean that it does not exist.
fn version_rows(
    answer: Result<TextRows, SessionError>,
    absent: &[FailureKind],
) -> Result<VersionRows, DatabaseError> {
    match answer {
        Ok(rows) => {
            // A row that is NULL is a row, and Alembic fails at it as at an empty one.
            let id = |row: Vec<Option<String>>| row.into_iter().next().flatten();
            let ids = rows.into_iter().map(|row| id(row).unwrap_or_default());
            Ok(VersionRows::Rows(ids.map(RevisionId::new).collect()))
        }
        Err(error) if absent.contains(&error.failure) => Ok(VersionRows::NoTable),
        Err(error) => Err(error.into()),
    }
}

/// The schema from rows of a line, and of a table with its schema and name, of a column also with its name, its type and
/// what follows the type in its line. Each line is on one line whatever its expressions look like.
pub fn schema_of(rows: TextRows) -> SchemaLines {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut schema = SchemaLines::new();
    for row in rows {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let (Some(mut line), of, table, column, kind, rest) =
            (next(), next(), next(), next(), next(), next())
        else {
            continue;
        };
        if let Some(name) = table {
            let table = TableName { schema: of, name };
            let columns = schema.tables.entry(table).or_default();
            match (column, kind, rest) {
                (None, ..) => {}
                (Some(column), Some(kind), Some(rest)) => {
                    line = format!("{line} {kind}{rest}");
                    columns.insert(column, one_line(&kind));
                }
                // Dropped meanwhile.
                _ => continue,
            }
        }
        schema.insert(one_line(&line));
    }
    schema
}

/// The rows of the table of `[audit]` as they were asked for; none where it is not there.
fn audited(answer: Result<TextRows, SessionError>) -> Result<Vec<(String, String)>, DatabaseError> {
    let rows = match answer {
        Ok(rows) => rows,
        Err(error) if error.failure == FailureKind::NoTable => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let pair = |row: Vec<Option<String>>| match <[Option<String>; 2]>::try_from(row) {
        Ok([Some(run), Some(report)]) => Some((run, report)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// Runs `put`, and once more after `create` where there was no table for it.
fn put_or_create(
    mut run: impl FnMut(&str) -> Result<(), SessionError>,
    put: &str,
    create: &str,
) -> Result<(), DatabaseError> {
    match run(put) {
        // To create it needs a right that is not needed where an administrator did so.
        Err(error) if error.failure == FailureKind::NoTable => {
            run(create)?;
            Ok(run(put)?)
        }
        result => Ok(result?),
    }
}

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
    /// The server answered a query of our own with an error.
    #[error("{place} answered: {reason}")]
    Query {
        /// Host and database.
        place: String,
        /// The server's words.
        reason: String,
    },
    /// A lock cannot be held behind this address: each statement may reach another session.
    #[error(
        "{0} is reached through a pooler that gives each statement another session, such as PgBouncer \
         in transaction mode: no lock can be held there"
    )]
    Pooled(String),
    /// The file that locks a SQLite database cannot be made or locked.
    #[error("cannot lock by the file {path}: {reason}")]
    LockFile {
        /// The lock file.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// A setting of the connection is not understood.
    #[error("{0}")]
    Settings(String),
}

/// An answer that may be too much for its time: `None` is "it took longer".
pub type Limited<T> = Result<Option<T>, DatabaseError>;

/// What is looked at after a step, as of one moment.
#[derive(Debug)]
pub struct DatabaseSnapshot {
    /// As [`DatabaseReader::version_rows`] has it.
    pub rows: VersionRows,
    /// As [`DatabaseReader::schema`] has it.
    pub schema: SchemaLines,
    /// As [`DatabaseReader::row_counts`] has it.
    pub counts: Option<Counts>,
    /// As [`DatabaseReader::faults`] has it.
    pub faults: Option<(Faults, BTreeSet<String>)>,
    /// As [`DatabaseReader::snapshot`] has it, of before the rows were counted.
    pub snapshot: Option<String>,
}

/// What is looked at between the steps: over a connection of our own, or inside a transaction of the
/// engine.
pub trait DatabaseReader {
    /// Reads the version table. A missing table is an answer, not an error.
    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError>;

    /// Reads the schema in one query, without the server's own objects.
    fn schema(&mut self) -> Result<SchemaLines, DatabaseError>;

    /// Counts the rows of the tables, the smallest first; those that the budget does not allow have
    /// the server's estimate, on SQLite, which has none, 0.
    fn row_counts(&mut self, budget: Duration) -> Limited<Counts>;

    /// Looks for what is wrong with the data or left over. The second is what there was no time for.
    fn faults(&mut self, budget: Duration) -> Limited<(Faults, BTreeSet<String>)>;

    /// The server's snapshot of this moment as it writes it, which tells later which rows are newer. `None` if the
    /// server has none, or does not answer.
    fn snapshot(&mut self) -> Option<String> {
        None
    }

    /// All of these at once, in as few round trips as the server allows. `None` where something stood in the
    /// way: each is asked by itself then, and says what it was. `budget` is for each of the last two.
    fn at_once(&mut self, _table: &VersionTable, _budget: Duration) -> Option<DatabaseSnapshot> {
        None
    }

    /// Runs a query of the user's and gives every value as text. It is ended after `limit`; on
    /// PostgreSQL and SQLite it cannot change anything.
    fn query(&mut self, sql: &str, limit: Duration) -> Limited<TextRows>;
}

/// One open connection.
///
/// Implementations hold no transaction between two calls (an open one would block the engine's DDL)
/// and open a new connection where the old one broke: once per call, and for about five seconds
/// where the server does not answer, because it may be restarting after the failure that the caller
/// is about to look at.
pub trait Database: DatabaseReader {
    /// Asks the server what it is. One round trip.
    fn identity(&mut self) -> Result<Identity, DatabaseError>;

    /// Locks the database against every other run, at once or not at all; it may be asked again. The
    /// lock is no transaction and blocks nobody but other runs. It is let go of with this value, or
    /// when the process ends, however it ends.
    fn lock(&mut self, claim: &LockOwner) -> Result<Locked, DatabaseError>;

    /// Lets go of the lock, at once: whoever asks next gets it.
    fn release_lock(&mut self) -> Result<(), DatabaseError>;

    /// Whether the lock that was taken is still ours. It lives only as long as the connection or the
    /// file that it was taken on.
    fn holds_lock(&mut self) -> Result<bool, DatabaseError>;

    /// The sessions that others of this database wait for, and those whose transaction is open for
    /// longer than `open_for`. Asked while the engine runs, so it neither waits nor connects again.
    fn blockers(&mut self, _open_for: Duration) -> Result<Vec<Blocker>, DatabaseError> {
        Ok(Vec::new())
    }

    /// What looks like the rest of a step or run that broke off.
    fn leftovers(&mut self) -> Result<Vec<Leftover>, DatabaseError>;

    /// Puts a row into the table of `[audit]`, which is beside the version table and is made if it is
    /// missing, in a transaction of its own. Nothing else is written over our own connection.
    fn write_audit(&mut self, beside: &VersionTable, row: &AuditRow) -> Result<(), DatabaseError>;

    /// Each run of that table and its report, newest first; none where there is no such table.
    fn audit(&mut self, beside: &VersionTable) -> Result<Vec<(String, String)>, DatabaseError>;

    /// Notes before a step what shows later whether the step left anything. `health` is the data as it was counted
    /// last. `table` is the version table, which is compared by itself.
    fn evidence(
        &mut self,
        table: &VersionTable,
        health: Option<&Health>,
    ) -> Result<RowEvidence, DatabaseError>;

    /// Looks after a step for what has to be compared with the evidence. `step` is what is known of the step's own
    /// session, `budget` the time for counting rows if nothing else decides.
    fn trace(
        &mut self,
        before: &RowEvidence,
        step: Option<&StepSession>,
        table: &VersionTable,
        budget: Duration,
    ) -> Result<Trace, DatabaseError>;

    /// The same looks inside a transaction of somebody else, which this connection does not see into.
    /// `None` where there are no such transactions.
    fn inside<'a>(
        &mut self,
        _transaction: &'a mut dyn Queries,
    ) -> Option<Box<dyn DatabaseReader + 'a>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_leave_its_quotes() {
        let table = VersionTable {
            name: "a\"b`c".to_owned(),
            schema: Some("s.\"".to_owned()),
            rows: RowsAre::Heads,
        };
        assert_eq!(
            version_query(&table, '"'),
            "SELECT version_num FROM \"s.\"\"\".\"a\"\"b`c\""
        );
        assert_eq!(
            version_query(&table, '`'),
            "SELECT version_num FROM `s.\"`.`a\"b``c`"
        );
        let table = VersionTable::default();
        assert_eq!(
            version_query(&table, '"'),
            "SELECT version_num FROM \"alembic_version\""
        );
    }

    #[test]
    fn another_dialect_is_named() {
        let facts = ConnectionFacts {
            dialect: "mssql".to_owned(),
            ..ConnectionFacts::default()
        };
        let error = open(&facts, &Environment::new()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "no connection of our own for the dialect mssql"
        );
    }
}
