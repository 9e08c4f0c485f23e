//! The version files themselves, read with a Python parser and never run.

pub mod follow;

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::revision::Revision;

/// One version file.
#[derive(Debug, Clone)]
pub struct VersionFile {
    /// What it declares.
    pub revision: Revision,
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub source: Arc<str>,
}

/// The version files of a project, in Alembic's loading order.
#[derive(Debug, Clone)]
pub struct VersionFiles {
    /// The files.
    pub files: Vec<VersionFile>,
    /// Where modules of the project are imported from, as Python would search.
    pub roots: Vec<PathBuf>,
}
