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

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};

use super::connection::{Connection, SessionError, text, texts, version_rows};
use super::failure::Failure;
use super::lock::sqlite::SqliteLock;
use super::schema_sqlite::{Row, SCHEMA, lines};
use super::{
    Database, DatabaseError, DatabaseReader, DatabaseSnapshot, Limited, audit, audited,
    checks_sqlite, left_over, outline, proof_sqlite, put_or_create, snapshot, version_query,
};
use crate::domain::audit as domain_audit;
use crate::domain::checks::{Counts, Faults, Health};
use crate::domain::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use crate::domain::database_identity::{CREATED, DatabaseIdentity, INODE};
use crate::domain::dialect::Dialect;
use crate::domain::lock::{LockOwner, Locked};
use crate::domain::outcome::SchemaLines;
use crate::domain::proof::{Evidence, SqliteEvidence, StepSession, Trace};
use crate::domain::query::TextRows;

/// The step has ended when we look; a lock that lasts is somebody else's and worth a report.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// `SQLITE_CANTOPEN`, `SQLITE_READONLY_CANTINIT`, `SQLITE_READONLY_DIRECTORY`: no side file can be
/// made. Not among them is a journal that waits to be rolled back, without which the file is not whole.
const CANNOT_MAKE_A_LOG: [&str; 3] = ["14", "1288", "1544"];

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
        // The header is read by the first query only, and a text file is no error before.
        database.rows("SELECT count(*) FROM sqlite_master")?;
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
            library: facts.library.clone(),
        };
        database.metadata()?;
        Ok(database)
    }

    fn place(&self) -> String {
        format!("the SQLite file {}", self.path.display())
    }

    /// A session that stays open, for what changes the file. Foreign keys are as SQLite itself leaves them to its
    /// clients: not enforced. The driver would enforce them, and a table that is made anew, as SQLite's own
    /// documents have it, would take the rows along that refer to it.
    pub(super) fn into_session(self) -> Result<Connection<SqliteConnection>, SessionError> {
        let options = self.options().foreign_keys(false);
        Connection::open(vec![options], self.place(), None)
    }

    fn marks(&self) -> Result<SqliteEvidence, DatabaseError> {
        proof_sqlite::evidence(&self.path).map_err(|error| DatabaseError::Unreachable {
            place: self.place(),
            reason: error.to_string(),
        })
    }

    fn metadata(&self) -> Result<Metadata, DatabaseError> {
        let unreachable = |reason| DatabaseError::Unreachable {
            place: self.place(),
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

    fn rows(&self, sql: &str) -> Result<Vec<SqliteRow>, SessionError> {
        self.on(|session| session.rows(sql))
    }

    /// Opens the file for some questions.
    pub(super) fn on<T>(
        &self,
        ask: impl Fn(&mut Connection<SqliteConnection>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        self.metadata().map_err(|report| SessionError {
            failure: Failure::Other,
            code: None,
            number: None,
            report,
        })?;
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let has_log = fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0);
        let query = |options: SqliteConnectOptions| {
            ask(&mut Connection::open(vec![options], self.place(), None)?)
        };
        // With a log we open read-only, so that closing does not copy it; without one we could be
        // the ones to leave an empty log behind, so we open for writing and write nothing.
        let result = query(self.options().read_only(has_log));
        match result {
            // A WAL file in a directory where no log can be made: nobody writes it either.
            Err(error) if !has_log && error.is_code(&CANNOT_MAKE_A_LOG) => {
                query(self.options().read_only(true).immutable(true)).map_err(|_| error)
            }
            result => result,
        }
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(0)
            .disable_statement_logging()
    }
}

impl DatabaseReader for Sqlite {
    fn library(&self) -> Option<&str> {
        self.library.as_deref()
    }

    fn version_rows(&mut self, table: &VersionTable) -> Result<VersionRows, DatabaseError> {
        version_rows(self.rows(&version_query(table, '"')), &[Failure::NoTable])
    }

    fn schema(&mut self) -> Result<SchemaLines, DatabaseError> {
        Ok(self.on(schema)?)
    }

    fn row_counts(&mut self, budget: Duration) -> Limited<Counts> {
        let counts = checks_sqlite::counts(self, budget)?;
        Ok(counts.map(|counts| domain_audit::not_counted(counts, false)))
    }

    fn faults(&mut self, budget: Duration) -> Limited<(Faults, BTreeSet<String>)> {
        checks_sqlite::faults(self, budget)
    }

    fn at_once(&mut self, table: &VersionTable, budget: Duration) -> Option<DatabaseSnapshot> {
        let all = self.on(|session| {
            let rows = session.rows(&version_query(table, '"'))?;
            let schema = schema(session)?;
            let counts = checks_sqlite::counted(session, Instant::now() + budget)?;
            let faults = checks_sqlite::found(session, Instant::now() + budget)?;
            Ok((rows, schema, counts, faults))
        });
        let (rows, schema, counts, faults) = all.ok()?;
        Some(DatabaseSnapshot {
            rows: version_rows(Ok(rows), &[]).ok()?,
            schema,
            counts: counts.map(|counts| domain_audit::not_counted(counts, false)),
            faults,
            snapshot: None,
        })
    }

    fn query(&mut self, sql: &str, limit: Duration) -> Limited<Vec<Vec<Option<String>>>> {
        Ok(checks_sqlite::query(self, sql, limit)?.map(|rows| texts(&rows)))
    }
}

/// Reads [`SCHEMA`].
fn schema(session: &mut Connection<SqliteConnection>) -> Result<SchemaLines, SessionError> {
    let rows = match in_one_value(session) {
        Some(rows) => rows,
        None => texts(&session.rows(SCHEMA)?),
    };
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| {
            let mut columns = row.into_iter();
            let mut next = || columns.next().flatten();
            Row {
                kind: next().unwrap_or_default(),
                table: next().unwrap_or_default(),
                name: next().unwrap_or_default(),
                detail: next().unwrap_or_default(),
                default: next(),
            }
        })
        .collect();
    let schema = outline(lines(&rows).into_iter());
    Ok(domain_audit::without(schema, false))
}

/// The same as one value: each row on its own would be handed from the driver's thread to ours, which takes longer
/// than reading it. `None` where a text is none, such as a default that is a BLOB.
fn in_one_value(session: &mut Connection<SqliteConnection>) -> Option<TextRows> {
    let sql = format!(
        "WITH line (kind, owner, name, detail, other) AS ({SCHEMA}) \
         SELECT json_group_array(json_array(kind, owner, name, detail, other)) FROM line"
    );
    let rows = session.rows(&sql).ok()?;
    serde_json::from_str(&text(rows.first()?, 0)?).ok()
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
        // A session of its own, so that nobody finds the file open afterwards.
        let mut session =
            Connection::<SqliteConnection>::open(vec![self.options()], self.place(), None)?;
        put_or_create(
            |statement| session.rows_here(statement).map(drop),
            &audit::put(Dialect::Sqlite, &table, row),
            &audit::create(Dialect::Sqlite, &table),
        )
    }

    fn audit(&mut self, beside: &VersionTable) -> Result<Vec<(String, String)>, DatabaseError> {
        let table = audit::name(Dialect::Sqlite, beside.schema.as_deref());
        audited(self.rows(&audit::all(&table)).map(|rows| texts(&rows)))
    }

    fn evidence(
        &mut self,
        _: &VersionTable,
        _: Option<&Health>,
    ) -> Result<Evidence, DatabaseError> {
        self.marks().map(Evidence::Sqlite)
    }

    fn trace(
        &mut self,
        _: &Evidence,
        _: Option<&StepSession>,
        _: &VersionTable,
        _: Duration,
    ) -> Result<Trace, DatabaseError> {
        // What an engine that was killed left in the file goes back when it is read.
        self.rows("SELECT count(*) FROM sqlite_master")?;
        self.marks().map(Trace::Sqlite)
    }

    fn leftovers(&mut self) -> Result<Vec<String>, DatabaseError> {
        let rows = self.rows(checks_sqlite::LEFTOVERS)?;
        let tables = rows
            .iter()
            .filter_map(|row| Some(left_over(&text(row, 0)?)));
        let copies = snapshot::copies_beside(&self.path).into_iter().map(|copy| {
            format!(
                "a run with --atomic left a copy of the file as it was before: {}",
                copy.display()
            )
        });
        Ok(tables.chain(copies).collect())
    }
}
