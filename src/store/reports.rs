//! What is told of runs, beside their journals: all of it can be made again from them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Store, StoreError, journal, sync};
use rollback_core::journal::{Entry, Line};
use rollback_system::files;

/// The account for programs.
pub const JSON: &str = "report.json";

/// The account for people.
pub const MARKDOWN: &str = "report.md";

/// A run of the store: its id, and its journal as far as it can be read.
pub type RecordedRun = (String, Result<Vec<Line>, StoreError>);

impl Store {
    /// All runs, newest first. A journal that cannot be read is among them, and hides no other.
    pub fn recorded(&self) -> Result<Vec<RecordedRun>, StoreError> {
        let mut runs: Vec<(Option<u64>, RecordedRun)> = Vec::new();
        let mut unread: Vec<RecordedRun> = Vec::new();
        for (run, journal) in self.journals()? {
            let lines = journal::read(&journal);
            match lines.as_deref().map(begun) {
                Ok(number) => runs.push((number, (run, lines))),
                Err(_) => unread.push((run, lines)),
            }
        }
        runs.sort_by(|(number, one), (other_number, other)| {
            (other_number, &other.0).cmp(&(number, &one.0))
        });
        let mut runs: Vec<RecordedRun> = runs.into_iter().map(|(_, run)| run).collect();
        // Of one that cannot be read only the id says when it was begun.
        for run in unread {
            let place = runs.iter().position(|(id, _)| *id < run.0);
            runs.insert(place.unwrap_or(runs.len()), run);
        }
        Ok(runs)
    }

    /// The lines of one journal.
    pub fn lines(&self, run: &str) -> Result<Vec<Line>, StoreError> {
        journal::read(&self.folder(run).join(journal::FILE))
    }

    /// Puts a report beside the journal of a run and gives its path.
    pub fn put_report(&self, run: &str, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder(run).join(name);
        put(&path, text)?;
        Ok(path)
    }

    fn folder(&self, run: &str) -> PathBuf {
        self.root.join("runs").join(run)
    }
}

/// The number of the run that these lines are of.
fn begun(lines: &[Line]) -> Option<u64> {
    lines.iter().find_map(|line| match &line.entry {
        Entry::Begun(begun) => begun.number,
        _ => None,
    })
}

/// Writes a file of the owner's alone, whole or not at all: under another name first. A link is replaced by the file,
/// and what it leads to stays as it is.
pub fn put(path: &Path, text: &str) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let name = path.file_name().ok_or_else(|| {
        failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no name of a file",
        ))
    })?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = files::replaceable(path)
        .and_then(|()| files::emptied(&temporary))
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // Half a report is of no use to anybody.
        let _ = fs::remove_file(&temporary);
        return Err(failed(source));
    }
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => sync(folder),
        None => Ok(()),
    }
}
