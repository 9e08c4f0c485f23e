//! A copy of a SQLite file to go back to.
//!
//! Both ways a lock of SQLite keeps everybody else away. Such locks belong to the process and go with the
//! first descriptor of the file that it closes, so ours is opened before the lock and closed after it.

mod leftover;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use self::leftover::LeftoverSnapshot;
pub(super) use self::leftover::copies_beside;
use super::sqlite_connection::{log_size, open_to_write, rows, session_error};
use rollback_system::files;

/// Between the name of the file and the process that copied it.
const MARK: &str = ".before-rollback-";

/// The copy. It stays where it is until it is discarded.
#[derive(Debug)]
pub struct Snapshot {
    file: PathBuf,
    copy: PathBuf,
}

impl Snapshot {
    /// Copies the file, which nobody else may have open. The error is a sentence.
    pub fn take(file: &Path) -> Result<Self, String> {
        let file = file
            .canonicalize()
            .map_err(|error| failed("find", file, &error))?;
        let snapshot = Self {
            copy: free_name(&file),
            file,
        };
        let mut source =
            File::open(&snapshot.file).map_err(|error| failed("read", &snapshot.file, &error))?;
        // The log of WAL mode is brought into the file first, so that the file is all there is.
        let lock = snapshot.lock("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let copied = files::create(&snapshot.copy)
            .and_then(|mut copy| {
                io::copy(&mut source, &mut copy)?;
                copy.sync_all()
            })
            // Its name as well: the record of the run will rely on it.
            .and_then(|()| match snapshot.copy.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            });
        drop(lock);
        if let Err(error) = copied {
            // Half a copy is of no use to anybody.
            let _ = fs::remove_file(&snapshot.copy);
            return Err(failed("write", &snapshot.copy, &error));
        }
        Ok(snapshot)
    }

    /// Where the copy is.
    pub fn path(&self) -> &Path {
        &self.copy
    }

    /// Makes the file what it was, unless somebody else has it open. The copy stays until
    /// [`discard`](Self::discard).
    pub fn put_back(&self) -> Result<(), String> {
        let mut source = files::own(&self.copy, OpenOptions::new().read(true))
            .map_err(|error| failed("read", &self.copy, &error))?;
        // Whose the database is decided who made it, and we change what is in it anyway.
        let mut target = files::anybodys(&self.file, OpenOptions::new().write(true))
            .map_err(|error| failed("write", &self.file, &error))?;
        // Leaving WAL mode needs the file for oneself, and leaves no log that belongs to the other content.
        let lock = self.lock("PRAGMA journal_mode = DELETE")?;
        let written = io::copy(&mut source, &mut target)
            .and_then(|length| target.set_len(length))
            .and_then(|()| target.sync_all());
        drop(lock);
        written.map_err(|error| failed("write", &self.file, &error))
    }

    /// Removes the copy.
    pub fn discard(&self) -> Result<(), String> {
        remove(&self.copy)
    }

    /// Keeps everybody else away until it is dropped.
    fn lock(&self, first: &str) -> Result<Connection, String> {
        let users = users(&self.file);
        if !users.is_empty() {
            return Err(format!(
                "{} is open in another process: {}",
                self.file.display(),
                users.join(", ")
            ));
        }
        let connection = open_to_write(&self.file)
            .map_err(|error| session_error(&self.file, &error).report.to_string())?;
        for statement in [first, "BEGIN EXCLUSIVE"] {
            let rows = rows(&connection, statement)
                .map_err(|error| session_error(&self.file, &error).report.to_string())?;
            // `wal_checkpoint` does not fail if it could not get through: it says 1.
            if rows.into_iter().flatten().flatten().next().as_deref() == Some("1") {
                return Err(format!("{} is in use", self.file.display()));
            }
        }
        if log_size(&self.file) > 0 {
            return Err(format!("{} is in use", self.file.display()));
        }
        Ok(connection)
    }
}

/// The other processes that have the file open, as far as we may see them.
pub(super) fn users(file: &Path) -> Vec<String> {
    let Ok(own) = fs::metadata(file) else {
        return Vec::new();
    };
    let same = |path: PathBuf| {
        fs::metadata(path).is_ok_and(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
    };
    let mut users = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == std::process::id().to_string() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let descriptors = fs::read_dir(process.path().join("fd"));
        if descriptors
            .into_iter()
            .flatten()
            .flatten()
            .any(|descriptor| same(descriptor.path()))
        {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            users.push(format!("pid {pid} {}", name.trim()));
        }
    }
    users
}

/// `FILE.before-rollback-PID`, with a number behind it where an earlier process of that number left one.
fn free_name(file: &Path) -> PathBuf {
    let named = |end: String| {
        let mut name = file.to_owned().into_os_string();
        name.push(format!("{MARK}{}{end}", std::process::id()));
        PathBuf::from(name)
    };
    let mut copy = named(String::new());
    let mut number = 2;
    while copy.symlink_metadata().is_ok() {
        copy = named(format!("-{number}"));
        number += 1;
    }
    copy
}

fn remove(copy: &Path) -> Result<(), String> {
    fs::remove_file(copy).map_err(|error| failed("remove", copy, &error))
}

fn failed(what: &str, file: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", file.display())
}
