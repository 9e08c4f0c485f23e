//! One journal: JSON lines, appended and synced.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{Clock, StoreError};
use rollback_core::journal::{Entry, Line, VERSION};
use rollback_core::schema::FORM;
use rollback_core::time::{self, Precision};
use rollback_core::untrusted;
use rollback_system::files;

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
        let text = files::read_own(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let whole = whole_lines(&text).len();
        let journal = Self::open(path, clock, &mut OpenOptions::new())?;
        journal
            .file
            .set_len(whole as u64)
            .map_err(|source| journal.error(source))?;
        Ok(journal)
    }

    fn open(path: PathBuf, clock: Clock, options: &mut OpenOptions) -> Result<Self, StoreError> {
        match files::own(&path, options.append(true)) {
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
        self.write(entries)?;
        self.file.sync_data().map_err(|source| self.error(source))
    }

    /// Writes entries that a crash of the program does not lose. The disk is waited for with the next entry that is
    /// appended: until then a crash of the machine leaves the journal as it was before, and what they say has to be
    /// found in the database.
    pub fn write(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), StoreError> {
        if !files::is_at(&self.file, &self.path) {
            return Err(StoreError::Gone {
                path: self.path.clone(),
            });
        }
        let at = time::rfc3339((self.clock)(), Precision::Millis);
        let mut text = String::new();
        for entry in entries {
            let line = Line {
                version: VERSION,
                at: at.clone(),
                form: FORM,
                entry,
            };
            text += &untrusted::json(&line).map_err(|error| self.error(error.into()))?;
            text.push('\n');
        }
        // One write, so that a full disk cuts off one line at the most.
        self.file
            .write_all(text.as_bytes())
            .map_err(|source| self.error(source))
    }

    /// A locked file for the engines of this run to keep open: the lock goes with the last of them.
    pub fn engine_lock(&self) -> Result<File, StoreError> {
        let path = self.path.with_file_name(ENGINE_LOCK);
        let locked = files::own(&path, OpenOptions::new().create(true).append(true))
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
    let text = files::read_own(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    whole_lines(&text)
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| {
            let unreadable = || match version_of(line) {
                Some(version) if version > VERSION.into() => StoreError::Newer {
                    path: path.to_owned(),
                    version,
                },
                _ => StoreError::Damaged {
                    path: path.to_owned(),
                    line: index + 1,
                },
            };
            let read: Option<Line> = serde_json::from_slice(line).ok();
            read.filter(|line| line.version == VERSION)
                .ok_or_else(unreadable)
        })
        .collect()
}

/// Without what a crash cut off, perhaps in the middle of a character.
fn whole_lines(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte == b'\n');
    end.map_or(&[], |end| &text[..=end])
}

/// The version of the format of a line, whatever else it holds.
fn version_of(line: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("version")?.as_u64()
}

/// How much of the end of a journal is read for its last line. Such a line is short.
const END: u64 = 8 * 1024;

/// Whether the last whole line says that the run is over for good. A line that is too long or cannot be read
/// does not say so.
pub(super) fn is_settled(path: &Path) -> Result<bool, StoreError> {
    let end = || {
        let mut file = files::own(path, OpenOptions::new().read(true))?;
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
