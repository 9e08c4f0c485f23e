//! One journal: JSON lines, appended and synced one by one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Clock, StoreError};
use crate::domain::journal::{Entry, Line, VERSION};
use crate::domain::schema::FORM;

/// Its name in the folder of a run.
pub(super) const FILE: &str = "journal.jsonl";

/// The file that a run and its engines keep locked.
pub(super) const ENGINE_LOCK: &str = "engine.lock";

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    clock: Clock,
}

impl Journal {
    pub(super) fn create(path: PathBuf, clock: Clock) -> Result<Self, StoreError> {
        // Two runs of one second and process are one run too many.
        Self::open(path, clock, OpenOptions::new().create_new(true))
    }

    pub(super) fn reopen(path: PathBuf, clock: Clock) -> Result<Self, StoreError> {
        let text = fs::read(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        let journal = Self::open(path, clock, &mut OpenOptions::new())?;
        journal
            .file
            .set_len(whole as u64)
            .map_err(|source| journal.error(source))?;
        Ok(journal)
    }

    fn open(path: PathBuf, clock: Clock, options: &mut OpenOptions) -> Result<Self, StoreError> {
        match options.append(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { path, file, clock }),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Writes an entry. It is on the disk when this returns.
    pub fn append(&mut self, entry: Entry) -> Result<(), StoreError> {
        let at = humantime::format_rfc3339_millis((self.clock)()).to_string();
        let line = Line {
            version: VERSION,
            at,
            form: FORM,
            entry,
        };
        let written = serde_json::to_string(&line)
            .map_err(io::Error::from)
            // One write, so that a full disk cuts off one line at the most.
            .and_then(|text| self.file.write_all(format!("{text}\n").as_bytes()))
            .and_then(|()| self.file.sync_data());
        written.map_err(|source| self.error(source))
    }

    /// A locked file for the engines of this run to keep open: the lock goes with the last of them.
    pub fn engine_lock(&self) -> Result<File, StoreError> {
        let path = self.path.with_file_name(ENGINE_LOCK);
        let locked = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| StoreError::Io { path, source })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// All whole lines. What stands behind the last line break was cut off by a crash.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, StoreError> {
    let text = fs::read_to_string(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|_| StoreError::Damaged {
                path: path.to_owned(),
                line: index + 1,
            })
        })
        .collect()
}
