//! Backups of one database, each by the server's own means.
//!
//! The only part of this room that starts programs: the clients of the servers, by `process`.

mod client;
mod mysql;
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};

use super::DatabaseError;
use rollback_core::backup::{DatabaseDigest, LeftOut};
use rollback_core::connection::{ConnectionFacts, VersionTable};
use rollback_core::dialect::Dialect;
use rollback_core::interrupt::Interrupt;
use rollback_system::process::Environment;

/// What a backup works with besides the database.
#[derive(Debug, Clone)]
pub struct BackupContext {
    /// The environment; clients are found by its `PATH`.
    pub environment: Environment,
    /// The operator's signals: the second ends a client that is at work.
    pub interrupt: Interrupt,
    /// A folder of the owner's alone, on the disk that the backup goes to, for what must not outlive a call.
    pub folder: PathBuf,
    /// Where the version rows are.
    pub version_table: VersionTable,
}

/// Hears how many bytes are written or read so far, a few times a second.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Why there is no backup, or none that can be believed. No variant carries a password.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The client program is missing.
    #[error("{program} was not found")]
    NoClient {
        /// Which.
        program: &'static str,
        /// The package that has it, by the usual name: `postgresql-client-15`.
        package: String,
    },
    /// The client is older than the server.
    #[error("{client} is older than the server, {server}")]
    OldClient {
        /// The client with its version.
        client: String,
        /// The server with its version.
        server: String,
        /// The package to install.
        package: String,
    },
    /// The client failed.
    #[error("{program} failed: {reason}")]
    Client {
        /// Which.
        program: &'static str,
        /// Its own words, without a password.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is no whole backup.
    #[error("{} is no whole backup: {reason}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else holds the file of the database.
    #[error("{} is in use{}", path.display(), told(by))]
    InUse {
        /// Which.
        path: PathBuf,
        /// The processes that have it open, as far as we may see them.
        by: Vec<String>,
    },
    /// The database cannot be asked or changed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is no way to back this database up.
    #[error("no backup of the dialect {0} can be made")]
    UnsupportedDialect(String),
    /// This server or user cannot take the backup, which is known before anything is changed.
    #[error("the backup cannot be restored here: {0}")]
    Unfit(String),
    /// No database beside the real one can be made.
    #[error("no scratch database can be made: {0}")]
    NoScratch(String),
    /// The operator ended it.
    #[error("interrupted")]
    Interrupted,
}

/// A restore that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotRestored {
    /// Why.
    #[source]
    pub error: BackupError,
    /// Whether anything of the database was changed before.
    pub began: bool,
}

/// What was found out before a restore.
#[derive(Debug, Default)]
pub struct Ready {
    /// What the backup holds, read from a scratch database that it was loaded into.
    pub contents: Option<DatabaseDigest>,
    /// Why it was not loaded into one, although that was wanted.
    pub unproven: Option<String>,
}

/// Makes, reads and restores backups of one database.
pub trait BackupDriver {
    /// The program that does it and its version, found and fit for the server: an error here comes before
    /// anything is written. `None` where no program is needed.
    fn client(&mut self) -> Result<Option<String>, BackupError>;

    /// The bytes that the database takes, by the server's word; `None` where it does not tell.
    fn size(&mut self) -> Result<Option<u64>, BackupError>;

    /// What the database holds now, every row counted.
    fn contents(&mut self) -> Result<DatabaseDigest, BackupError>;

    /// Writes a backup of one moment into `file`, which does not exist yet, and tells what is in it. What is
    /// left of the file after an error is for the caller to remove.
    fn dump(&mut self, file: &Path, progress: Progress<'_>) -> Result<DatabaseDigest, BackupError>;

    /// As [`dump`](Self::dump), for a database that cannot be written down whole: what cannot be read is left
    /// out and named.
    fn salvage(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        self.dump(file, progress)
    }

    /// Reads a backup whole, as a restore would, and changes nothing.
    fn read_back(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError>;

    /// Restores a backup into a scratch database beside the real one, tells what is in it, and drops it again.
    fn rehearse(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError>;

    /// Finds out whether a restore will succeed, if an error in the middle of it could not be undone: the
    /// file is whole, the server takes its longest value, the user has the rights, and with `try_out` it is
    /// loaded into a scratch database. Nothing of the database is changed.
    fn check(
        &mut self,
        _file: &Path,
        _try_out: bool,
        _progress: Progress<'_>,
    ) -> Result<Ready, BackupError> {
        Ok(Ready::default())
    }

    /// Makes the database what it was: everything of our own in it is replaced, but for objects that the backup
    /// left out. In one transaction if the server can, so that an error leaves it as it was
    /// ([`is_atomic`](Self::is_atomic)).
    fn restore(
        &mut self,
        file: &Path,
        left_out: &[LeftOut],
        progress: Progress<'_>,
    ) -> Result<(), NotRestored>;

    /// Whether a restore that fails changes nothing.
    fn is_atomic(&self) -> bool;

    /// How a backup is named after its id: `.dump`, `.sql`, `.sqlite`.
    fn extension(&self) -> &'static str;
}

/// The way to back up the database that the facts lead to. Nothing is connected or started yet.
pub fn open(
    facts: &ConnectionFacts,
    surroundings: BackupContext,
) -> Result<Box<dyn BackupDriver>, BackupError> {
    match facts.known_dialect() {
        Some(Dialect::Postgres) => Ok(Box::new(postgres::PostgresBackups::open(
            facts,
            surroundings,
        )?)),
        Some(Dialect::Sqlite) => Ok(Box::new(sqlite::SqliteBackups::new(facts, surroundings)?)),
        Some(Dialect::MySql) => Ok(Box::new(mysql::MySqlBackups::new(facts, surroundings))),
        None => Err(BackupError::UnsupportedDialect(facts.dialect.clone())),
    }
}

fn told(users: &[String]) -> String {
    if users.is_empty() {
        return String::new();
    }
    format!("; open in {}", users.join(", "))
}
