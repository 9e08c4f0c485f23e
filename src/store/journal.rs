//! One journal: JSON lines, appended and synced one by one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
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
        self.append_all([entry])
    }

    /// Writes entries that become true together, in this order. All are on the disk when this returns, and the
    /// disk is waited for once; a crash in between leaves the first of them, as it would between two.
    pub fn append_all(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<(), StoreError> {
        let at = humantime::format_rfc3339_millis((self.clock)()).to_string();
        let mut text = String::new();
        for entry in entries {
            let line = Line {
                version: VERSION,
                at: at.clone(),
                form: FORM,
                entry,
            };
            text += &serde_json::to_string(&line).map_err(|error| self.error(error.into()))?;
            text.push('\n');
        }
        // One write, so that a full disk cuts off one line at the most.
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| self.error(source))
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

/// How much of the end of a journal is read for its last line. Such a line is short.
const END: u64 = 8 * 1024;

/// Whether the last whole line says that the run is over for good. A line that is too long or cannot be read
/// does not say so.
pub(super) fn is_settled(path: &Path) -> Result<bool, StoreError> {
    let end = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut end = Vec::new();
        file.take(END).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = end().map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    let Some(line) = end
        .strip_suffix(b"\n")
        .and_then(|lines| lines.rsplit(|&byte| byte == b'\n').next())
    else {
        return Ok(false);
    };
    let line: Result<Line, _> = serde_json::from_slice(line);
    Ok(line.is_ok_and(|line| line.version == VERSION && line.entry.settles()))
}
