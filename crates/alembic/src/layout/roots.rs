//! Where modules of a project are imported from.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rollback_core::revision::Revision;

/// Where modules are imported from, as far as it shows in where version files lie.
pub fn roots_of(revisions: &[Revision]) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    let paths = revisions.iter().filter_map(|one| one.path.as_deref());
    for folder in paths.filter_map(|path| Path::new(path).parent()) {
        let directory = match folder.parent() {
            Some(above) if folder.file_name() == Some(OsStr::new("versions")) => above,
            _ => folder,
        };
        let root = above_package(directory);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// The folder from which the module that a script directory is, or is in, is imported.
pub(super) fn above_package(directory: &Path) -> PathBuf {
    let is_package = |folder: &Path| folder.join("__init__.py").is_file();
    let mut folder = directory;
    if !is_package(folder) {
        folder = folder.parent().unwrap_or(folder);
    }
    while is_package(folder)
        && let Some(above) = folder.parent()
    {
        folder = above;
    }
    folder.to_owned()
}
