//! Backups of a SQLite file, by SQLite's own online backup.
//!
//! The copy is an ordinary SQLite file. It is written page by page while others go on reading, and put back
//! in one transaction of SQLite: whoever reads the file after a crash in the middle finds what was there before.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, Error, ErrorCode};

use super::super::checks_sqlite::TABLES;
use super::super::schema_sqlite::schema;
use super::super::snapshot::users;
use super::super::sqlite_connection::{
    beside, cause, is_no_table, log_size, open_immutable, open_to_read, open_to_write, read,
    reason, session_error, size,
};
use super::super::{DatabaseError, quoted, version_query};
use super::{BackupContext, BackupDriver, BackupError, NotRestored, Progress};
use rollback_core::backup::{DatabaseDigest, LeftOut, OmittedPart, fingerprint};
use rollback_core::connection::{ConnectionFacts, VersionTable};
use rollback_core::dialect::Dialect;
use rollback_core::failpoint;
use rollback_core::query::TextRows;
use rollback_core::revision::{Heads, RevisionId};

/// A megabyte at a time where pages are as large as usual: the bar moves, and a Ctrl-C is noticed.
const PAGES: i32 = 256;

/// How often somebody else's write may have the copy begin again before writers have to wait for it.
const RESTARTS: u32 = 3;

/// The file of a rehearsal.
const REHEARSAL: &str = "rehearsal.sqlite";

/// Backups of one file.
pub(super) struct SqliteBackups {
    path: PathBuf,
    surroundings: BackupContext,
}

impl SqliteBackups {
    pub(super) fn new(
        facts: &ConnectionFacts,
        surroundings: BackupContext,
    ) -> Result<Self, BackupError> {
        let Some(path) = &facts.database else {
            return Err(
                DatabaseError::Settings("the connection names no SQLite file".to_owned()).into(),
            );
        };
        let path = fs::canonicalize(path).map_err(|source| io_error(Path::new(path), source))?;
        Ok(Self { path, surroundings })
    }

    fn reading(&self) -> Result<Connection, BackupError> {
        open_to_read(&self.path).map_err(|error| self.failed(&self.path, error))
    }

    /// What an error of SQLite on one of the files means.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it stands behind map_err everywhere"
    )]
    fn failed(&self, file: &Path, error: Error) -> BackupError {
        match cause(&error).map(|cause| cause.code) {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => self.in_use(),
            Some(ErrorCode::DiskFull) => io_error(file, io::ErrorKind::StorageFull.into()),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => BackupError::Damaged {
                path: file.to_owned(),
                reason: reason(&error),
            },
            _ => BackupError::Database(session_error(file, &error).report),
        }
    }

    fn in_use(&self) -> BackupError {
        BackupError::InUse {
            path: self.path.clone(),
            by: users(&self.path),
        }
    }

    /// Copies all pages. The transaction on `to` is kept with the last of them, and not before.
    fn transfer(
        &self,
        from: &Connection,
        to: &mut Connection,
        course: CopyPhase,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        let failed = |error| self.failed(&self.path, error);
        let page = page_size(from).map_err(failed)?;
        let backup = Backup::new(from, to).map_err(failed)?;
        let (mut done, mut restarts) = (0, 0);
        loop {
            if self.surroundings.interrupt.count() >= course.patience {
                return Err(BackupError::Interrupted);
            }
            let step = backup.step(PAGES).map_err(failed)?;
            let counts = backup.progress();
            let copied = u64::try_from(counts.pagecount - counts.remaining).unwrap_or_default();
            progress(copied * page);
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                _ => return Err(self.in_use()),
            }
            failpoint::point(course.name);
            // Each step copies something, unless it has to begin again.
            if copied <= done {
                restarts += 1;
                if restarts == RESTARTS {
                    hold_still(from).map_err(failed)?;
                }
            }
            done = copied;
        }
    }
}

/// What a transfer is, and at which signal it ends.
#[derive(Clone, Copy)]
struct CopyPhase {
    /// Its point of fault.
    name: &'static str,
    /// The number of signals that end it.
    patience: usize,
}

/// Nothing is lost by leaving at once.
const COPYING: CopyPhase = CopyPhase {
    name: "backing_up",
    patience: 1,
};

/// Who wants to leave is told first that it is nearly done.
const RESTORING: CopyPhase = CopyPhase {
    name: "restoring",
    patience: 2,
};

impl BackupDriver for SqliteBackups {
    fn client(&mut self) -> Result<Option<String>, BackupError> {
        Ok(None)
    }

    fn size(&mut self) -> Result<Option<u64>, BackupError> {
        let file = fs::metadata(&self.path).map_err(|error| io_error(&self.path, error))?;
        Ok(Some(file.len() + log_size(&self.path)))
    }

    fn contents(&mut self) -> Result<DatabaseDigest, BackupError> {
        let file = self.reading()?;
        contents(&file, &self.surroundings.version_table)
            .map_err(|error| self.failed(&self.path, error))
    }

    fn dump(&mut self, file: &Path, progress: Progress<'_>) -> Result<DatabaseDigest, BackupError> {
        let source = self.reading()?;
        create(file)?;
        let failed = |error| self.failed(file, error);
        let mut copy = open_to_write(file).map_err(failed)?;
        // The copy is synced as a whole and removed where it breaks off: it needs no journal of its own.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            .map_err(failed)?;
        if journal_mode(&source).map_err(failed)? == "wal" {
            // Who writes goes on writing: into the log.
            hold_still(&source).map_err(failed)?;
        }
        self.transfer(&source, &mut copy, COPYING, progress)
            .map_err(|error| about(error, file))?;
        drop((copy, source));
        File::open(file)
            .and_then(|file| file.sync_all())
            .map_err(|error| io_error(file, error))?;
        open_immutable(file)
            .and_then(|copy| contents(&copy, &self.surroundings.version_table))
            .map_err(failed)
    }

    fn salvage(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let reason = match self.dump(file, progress) {
            Err(error @ (BackupError::Damaged { .. } | BackupError::Database(_))) => {
                error.to_string()
            }
            dumped => return dumped,
        };
        // The bytes are there, whatever SQLite makes of them. What it wrote of a copy is in the way.
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::copy(&self.path, file),
        }
        .map_err(|error| io_error(file, error))?;
        let mut reasons = vec![format!("{reason}; the file was copied byte by byte")];
        let log = beside(&self.path, "-wal");
        if size(&log) > 0 {
            reasons.push(format!("{} is not in the copy", log.display()));
        }
        Ok(DatabaseDigest {
            left_out: reasons
                .into_iter()
                .map(|reason| LeftOut::all(OmittedPart::Unknown, reason))
                .collect(),
            ..DatabaseDigest::default()
        })
    }

    fn read_back(&mut self, file: &Path, progress: Progress<'_>) -> Result<(), BackupError> {
        let found = open_immutable(file)
            .and_then(|copy| first_column(&copy, "PRAGMA integrity_check(10)"))
            .map_err(|error| self.failed(file, error))?;
        progress(size(file));
        if found == ["ok"] {
            return Ok(());
        }
        Err(BackupError::Damaged {
            path: file.to_owned(),
            reason: found.join("; "),
        })
    }

    fn rehearse(
        &mut self,
        file: &Path,
        progress: Progress<'_>,
    ) -> Result<DatabaseDigest, BackupError> {
        let scratch = SqliteScratch(self.surroundings.folder.join(REHEARSAL));
        let failed = |error| self.failed(file, error);
        create(&scratch.0)?;
        let mut target = open_to_write(&scratch.0).map_err(failed)?;
        let copy = open_immutable(file).map_err(failed)?;
        self.transfer(&copy, &mut target, COPYING, progress)
            .map_err(|error| about(error, file))?;
        contents(&target, &self.surroundings.version_table).map_err(failed)
    }

    fn restore(
        &mut self,
        file: &Path,
        _left_out: &[LeftOut],
        progress: Progress<'_>,
    ) -> Result<(), NotRestored> {
        // It is one transaction.
        put_back(self, file, progress).map_err(|error| NotRestored {
            error,
            began: false,
        })
    }

    fn is_atomic(&self) -> bool {
        true
    }

    fn extension(&self) -> &'static str {
        ".sqlite"
    }
}

fn put_back(
    backups: &SqliteBackups,
    file: &Path,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let of_copy = |error| backups.failed(file, error);
    let of_target = |error| backups.failed(&backups.path, error);
    let copy = open_immutable(file).map_err(of_copy)?;
    let page = page_size(&copy).map_err(of_copy)?;
    // SQLite takes an empty file for an empty database, which would be put back in full.
    if size(file) == 0 {
        return Err(BackupError::Damaged {
            path: file.to_owned(),
            reason: "it is empty".to_owned(),
        });
    }
    let mut target = open_to_write(&backups.path).map_err(of_target)?;
    // A log holds pages of one size.
    if is_in_wal_mode(&target).map_err(of_target)? && page_size(&target).map_err(of_target)? != page
    {
        target
            .execute_batch("PRAGMA journal_mode = DELETE")
            .map_err(of_target)?;
    }
    backups.transfer(&copy, &mut target, RESTORING, progress)
}

/// Of a file that is damaged SQLite does not tell; the pages of the backup replace it anyway.
fn is_in_wal_mode(target: &Connection) -> Result<bool, Error> {
    match journal_mode(target) {
        Err(Error::SqliteFailure(error, _)) if error.code == ErrorCode::DatabaseCorrupt => {
            Ok(false)
        }
        mode => Ok(mode? == "wal"),
    }
}

/// Keeps what is read the state of one moment.
fn hold_still(source: &Connection) -> Result<(), Error> {
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master")
}

/// A file that goes with this value, with what SQLite keeps beside it.
struct SqliteScratch(PathBuf);

impl Drop for SqliteScratch {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.0, end));
        }
    }
}

fn create(file: &Path) -> Result<(), BackupError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map(drop)
        .map_err(|error| io_error(file, error))
}

fn page_size(connection: &Connection) -> Result<u64, Error> {
    connection.query_row("SELECT page_size FROM pragma_page_size", [], |row| {
        row.get::<_, u32>(0).map(u64::from)
    })
}

fn journal_mode(connection: &Connection) -> Result<String, Error> {
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))
}

/// All that is compared, read at one moment.
fn contents(connection: &Connection, table: &VersionTable) -> Result<DatabaseDigest, Error> {
    let transaction = connection.unchecked_transaction()?;
    let heads: Heads = match first_column(&transaction, &version_query(table, '"')) {
        Ok(rows) => rows.into_iter().map(RevisionId::new).collect(),
        Err(error) if is_no_table(&error) => Heads::new(),
        Err(error) => return Err(error),
    };
    let schema = schema(&transaction)?;
    let rows = first_column(&transaction, TABLES)?
        .into_iter()
        .map(|table| {
            let query = format!("SELECT count(*) FROM {}", quoted(&table, '"'));
            let rows: i64 = transaction.query_row(&query, [], |row| row.get(0))?;
            Ok((table, rows.unsigned_abs()))
        })
        .collect::<Result<_, Error>>()?;
    Ok(DatabaseDigest {
        heads,
        schema: fingerprint(&schema, Dialect::Sqlite),
        rows,
        left_out: Vec::new(),
    })
}

fn first_column(connection: &Connection, query: &str) -> Result<Vec<String>, Error> {
    let first = |row: Vec<Option<String>>| row.into_iter().next().flatten().unwrap_or_default();
    let mut rows = TextRows::new();
    read(connection, query, &mut rows)?;
    Ok(rows.into_iter().map(first).collect())
}

/// An error of writing names the file that is written.
fn about(error: BackupError, file: &Path) -> BackupError {
    match error {
        BackupError::Io { source, .. } => io_error(file, source),
        error => error,
    }
}

fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
