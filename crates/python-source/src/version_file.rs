//! The version files of a project, as far as they could be read.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::source;
use super::tree::Source;
use rollback_core::revision::Revision;

/// One version file.
#[derive(Debug, Clone)]
pub struct VersionFile {
    /// What it declares.
    pub revision: Revision,
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub source: Source,
}

/// The version files of a project, in Alembic's loading order.
#[derive(Debug, Clone)]
pub struct VersionFiles {
    /// The files.
    pub files: Vec<VersionFile>,
    /// Why a file that the engine has loaded cannot be read here, by its revision.
    pub unread: HashMap<String, Unreadable>,
    /// Where modules of the project are imported from, as Python would search.
    pub roots: Vec<PathBuf>,
    /// Whether the connection of the migrations may commit each statement by itself.
    pub may_autocommit: bool,
}

/// Why the version files do not tell the history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unreadable {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, completing "cannot be read: ".
    pub reason: String,
}

impl Unreadable {
    /// `reason` completes "cannot be read: ".
    pub fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} cannot be read: {}",
            self.path.display(),
            self.reason
        )
    }
}

impl VersionFiles {
    /// The text of the files that the engine says it has loaded. Left out is what is not there, such
    /// as where the engine runs in a container.
    pub fn of_engine(revisions: &[Revision], roots: Vec<PathBuf>, may_autocommit: bool) -> Self {
        let mut files = Vec::new();
        let mut unread = HashMap::new();
        for revision in revisions {
            let Some(path) = revision.path.as_ref().map(PathBuf::from) else {
                continue;
            };
            match source::read(&path) {
                Ok(source) => files.push(VersionFile {
                    revision: revision.clone(),
                    path,
                    source: source.into(),
                }),
                Err(reason) if path.exists() => {
                    unread.insert(revision.id.clone(), Unreadable::new(&path, reason));
                }
                Err(_) => {}
            }
        }
        Self {
            files,
            unread,
            roots,
            may_autocommit,
        }
    }

    /// What the files declare, in the order of loading.
    pub fn revisions(&self) -> Vec<Revision> {
        self.files
            .iter()
            .map(|file| file.revision.clone())
            .collect()
    }
}
