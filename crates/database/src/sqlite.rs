//! SQLite: a file, opened for each question and closed again.
//!
//! An open connection would keep the engine from leaving WAL mode and would go on reading a file
//! that was replaced. And it must leave no trace, which in WAL mode takes care: whoever closes such a
//! file last copies the log into it, and whoever only reads one leaves a log behind.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::{Connection, Error};

use super::connection::SessionError;
use super::execution_sqlite::SqliteExecution;
use super::failure::FailureKind;
use super::lock::sqlite::SqliteLock;
use super::sqlite_connection::{open_to_read, open_to_write, place, rows, session_error};
use super::{
    Database, DatabaseError, DatabaseReader, DatabaseSnapshot, Limited, audit, audited,
    checks_sqlite, proof_sqlite, put_or_create, schema_sqlite, snapshot, version_query,
    version_rows,
};
use rollback_core::audit as domain_audit;
use rollback_core::checks::{Counts, Faults, Health, Leftover};
use rollback_core::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use rollback_core::database_identity::{CREATED, DatabaseIdentity, INODE};
use rollback_core::dialect::Dialect;
use rollback_core::lock::{LockOwner, Locked};
use rollback_core::outcome::SchemaLines;
use rollback_core::proof::{RowEvidence, SqliteEvidence, StepSession, Trace};
use rollback_core::query::TextRows;

/// A file that was there and could be read when it was opened.
pub(super) struct Sqlite {
    path: PathBuf,
    lock: Option<SqliteLock>,
    /// The version of the library that the engine uses.
    library: Option<String>,
}

impl Sqlite {
    pub(super) fn open(facts: &ConnectionFacts) -> Result<Self, DatabaseError> {
        let database = Self::unread(facts)?;
        database.read(|_| Ok(()))?;
        Ok(database)
    }

    /// The same of a file that may be damaged: nothing of it is read yet.
    pub(super) fn unread(facts: &ConnectionFacts) -> Result<Self, DatabaseError> {
        let Some(path) = &facts.database else {
            return Err(DatabaseError::Settings(
                "the connection names no SQLite file".to_owned(),
            ));
        };
        let database = Self {
            path: PathBuf::from(path),
            lock: None,
            library: facts.session.library.clone(),
        };
        database.metadata()?;
        Ok(database)
    }

    /// A connection that stays open, for what changes the file.
    pub(super) fn into_execution(
        self,
        lock_timeout: Option<Duration>,
    ) -> Result<SqliteExecution, SessionError> {
        SqliteExecution::open(&self.path, lock_timeout).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &Error) -> SessionError {
        session_error(&self.path, error)
    }

    fn marks(&self) -> Result<SqliteEvidence, DatabaseError> {
        proof_sqlite::evidence(&self.path).map_err(|error| DatabaseError::Unreachable {
            place: place(&self.path),
            reason: error.to_string(),
        })
    }

    fn metadata(&self) -> Result<Metadata, DatabaseError> {
        let unreachable = |reason| DatabaseError::Unreachable {
            place: place(&self.path),
            reason,
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Ok(metadata),
            Ok(_) => Err(unreachable("it is not a file".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(DatabaseError::NoSuchFile(self.path.display().to_string()))
            }
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    fn rows(&self, sql: &str) -> Result<TextRows, SessionError> {
        self.read(|connection| rows(connection, sql))
    }

    /// Opens the file for some questions.
    fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, SessionError> {
        self.metadata().map_err(|report| SessionError {
            failure: FailureKind::Other,
            code: None,
            number: None,
            report,
        })?;
        let answer = open_to_read(&self.path).and_then(|connection| ask(&connection));
        answer.map_err(|error| self.failed(&error))
    }
}

impl DatabaseReader for Sqlite {
    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError> {
        version_rows(
            self.rows(&version_query(table, '"')),
            &[FailureKind::NoTable],
        )
    }

    fn schema(&mut self) -> Result<SchemaLines, DatabaseError> {
        let schema = self.read(schema_sqlite::schema)?;
        Ok(domain_audit::without(schema, false))
    }

    fn row_counts(&mut self, budget: Duration) -> Limited<Counts> {
        let end = Instant::now() + budget;
        let counts = self.read(|connection| checks_sqlite::counts(connection, end))?;
        Ok(counts.map(|counts| domain_audit::not_counted(counts, false)))
    }

    fn faults(&mut self, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
        let end = Instant::now() + budget;
        Ok(self.read(|connection| checks_sqlite::faults(connection, &self.path, end))?)
    }

    fn at_once(&mut self, table: &VersionTable, budget: Duration) -> Option<DatabaseSnapshot> {
        let all = self.read(|connection| {
            let end = || Instant::now() + budget;
            Ok((
                rows(connection, &version_query(table, '"'))?,
                schema_sqlite::schema(connection)?,
                checks_sqlite::counts(connection, end())?,
                checks_sqlite::faults(connection, &self.path, end())?,
            ))
        });
        let (rows, schema, counts, faults) = all.ok()?;
        Some(DatabaseSnapshot {
            rows: version_rows(Ok(rows), &[]).ok()?,
            schema: domain_audit::without(schema, false),
            counts: counts.map(|counts| domain_audit::not_counted(counts, false)),
            faults,
            snapshot: None,
        })
    }

    fn query(&mut self, sql: &str, limit: Duration) -> Limited<TextRows> {
        let end = Instant::now() + limit;
        Ok(self.read(|connection| checks_sqlite::query(connection, sql, end))?)
    }
}

/// Two names of one file have the same.
fn fingerprint(metadata: &Metadata) -> String {
    format!("sqlite:{}:{}", metadata.dev(), metadata.ino())
}

/// What the file is known by later, independent of its content. A restore writes into the file that is there, and so
/// does going back to a copy: both keep it. The number of the device may change with a restart of the machine.
pub(super) fn file_identity(metadata: &Metadata, server: Option<String>) -> DatabaseIdentity {
    // Not every file system keeps the moment.
    let created = metadata.created().ok();
    let created = created.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let marks = [
        (INODE, Some(metadata.ino().to_string())),
        (CREATED, created.map(|since| since.as_nanos().to_string())),
    ];
    DatabaseIdentity::new(server, marks, Some(fingerprint(metadata)))
}

impl Database for Sqlite {
    fn identity(&mut self) -> Result<Identity, DatabaseError> {
        let metadata = self.metadata()?;
        // The library says it, so that a damaged file has an identity as well.
        let named = |version: &str| Some(format!("SQLite {version}"));
        Ok(Identity {
            dialect: "sqlite".to_owned(),
            lasting: Some(file_identity(&metadata, named(rusqlite::version()))),
            server: named(self.library.as_deref().unwrap_or(rusqlite::version())),
            host: None,
            port: None,
            database: self.path.display().to_string(),
            user: None,
            fingerprint: Some(fingerprint(&metadata)),
        })
    }

    fn lock(&mut self, claim: &LockOwner) -> Result<Locked, DatabaseError> {
        if self.lock.as_ref().is_some_and(SqliteLock::holds) {
            return Ok(Locked::Taken);
        }
        Ok(match SqliteLock::take(&self.path, claim)? {
            Ok(lock) => {
                self.lock = Some(lock);
                Locked::Taken
            }
            Err(held) => held,
        })
    }

    fn release_lock(&mut self) -> Result<(), DatabaseError> {
        self.lock = None;
        Ok(())
    }

    fn holds_lock(&mut self) -> Result<bool, DatabaseError> {
        Ok(self.lock.as_ref().is_some_and(SqliteLock::holds))
    }

    fn write_audit(
        &mut self,
        beside: &VersionTable,
        row: &domain_audit::Row,
    ) -> Result<(), DatabaseError> {
        self.metadata()?;
        let table = audit::name(Dialect::Sqlite, beside.schema.as_deref());
        // A connection of its own, so that nobody finds the file open afterwards.
        let connection = open_to_write(&self.path).map_err(|error| self.failed(&error))?;
        put_or_create(
            |statement| match rows(&connection, statement) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.failed(&error)),
            },
            &audit::put(Dialect::Sqlite, &table, row),
            &audit::create(Dialect::Sqlite, &table),
        )
    }

    fn audit(&mut self, beside: &VersionTable) -> Result<Vec<(String, String)>, DatabaseError> {
        let table = audit::name(Dialect::Sqlite, beside.schema.as_deref());
        audited(self.rows(&audit::all(&table)))
    }

    fn evidence(
        &mut self,
        _: &VersionTable,
        _: Option<&Health>,
    ) -> Result<RowEvidence, DatabaseError> {
        self.marks().map(RowEvidence::Sqlite)
    }

    fn trace(
        &mut self,
        _: &RowEvidence,
        _: Option<&StepSession>,
        _: &VersionTable,
        _: Duration,
    ) -> Result<Trace, DatabaseError> {
        // What an engine that was killed left in the file goes back when it is read.
        self.read(|_| Ok(()))?;
        self.marks().map(Trace::Sqlite)
    }

    fn leftovers(&mut self) -> Result<Vec<Leftover>, DatabaseError> {
        let rows = self.rows(checks_sqlite::LEFTOVERS)?;
        let tables = rows.into_iter().flatten().flatten().map(Leftover::Table);
        let copies = snapshot::copies_beside(&self.path).into_iter();
        Ok(tables.chain(copies.map(Leftover::Snapshot)).collect())
    }
}
