//! Which files Alembic loads, and in which order: `Script._list_py_dir` and
//! `ScriptDirectory._load_revisions` of 1.10 and later. The order decides between equals.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::layout::Layout;
use python_source::version_file::Unreadable;

/// The version files in the order of loading, with links resolved as Alembic resolves them.
pub(super) fn files(layout: &Layout) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for location in &layout.locations {
        match location.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Unreadable::new(location, error.to_string())),
            Ok(facts) if !facts.is_dir() => continue,
            Ok(_) => {}
        }
        for listed in listed(location, layout)? {
            let Some(file) = listed.resolved()? else {
                continue;
            };
            // A file that two locations show is loaded once.
            if !known.insert(file.clone()) {
                continue;
            }
            match kind(&file) {
                FileKind::Source => found.push(file),
                FileKind::Compiled if layout.sourceless => {
                    if !has_source(&file) {
                        return Err(Unreadable::new(
                            &file,
                            "it is compiled, and its source is not there",
                        ));
                    }
                }
                FileKind::Compiled | FileKind::Other => {}
            }
        }
    }
    Ok(found)
}

enum FileKind {
    Source,
    Compiled,
    Other,
}

fn kind(file: &Path) -> FileKind {
    let name = file.file_name().unwrap_or_default().as_bytes();
    if name.starts_with(b".#") || name.starts_with(b"__init__") {
        FileKind::Other
    } else if name.ends_with(b".py") {
        FileKind::Source
    } else if name.ends_with(b".pyc") || name.ends_with(b".pyo") {
        FileKind::Compiled
    } else {
        FileKind::Other
    }
}

/// Whether what `x.pyc` is made of is beside it.
fn has_source(file: &Path) -> bool {
    file.with_extension("py").exists()
}

/// A file of a folder.
struct ListedFile {
    path: PathBuf,
    is_link: bool,
}

impl ListedFile {
    /// Where it leads in the end; `None` for a dangling link whose goal is no version file.
    fn resolved(self) -> Result<Option<PathBuf>, Unreadable> {
        if self.is_link {
            resolved(&self.path)
        } else {
            Ok(Some(self.path))
        }
    }
}

fn resolved(file: &Path) -> Result<Option<PathBuf>, Unreadable> {
    match file.canonicalize() {
        Ok(real) => Ok(Some(real)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Editors leave links to nowhere as locks.
            let goal = std::fs::read_link(file).unwrap_or_else(|_| file.to_owned());
            match kind(&goal) {
                FileKind::Source => Err(Unreadable::new(file, "it is a link to nowhere")),
                FileKind::Compiled | FileKind::Other => Ok(None),
            }
        }
        Err(error) => match kind(file) {
            FileKind::Source => Err(Unreadable::new(file, error.to_string())),
            FileKind::Compiled | FileKind::Other => Ok(None),
        },
    }
}

/// The files of a folder by name, then those of its folders by name where that is asked for.
fn listed(location: &Path, layout: &Layout) -> Result<Vec<ListedFile>, Unreadable> {
    let real = location
        .canonicalize()
        .map_err(|error| Unreadable::new(location, error.to_string()))?;
    let mut found = Vec::new();
    // Each as it was named and as it is: to resolve every single file would take longer than to read it.
    let mut open = vec![(location.to_owned(), real)];
    while let Some((folder, real)) = open.pop() {
        let (files, folders) = entries(&folder)?;
        let cache = folder.as_os_str().as_bytes().ends_with(b"__pycache__");
        if !cache {
            if layout.sourceless {
                compiled_alone(&folder, &files)?;
            }
            found.extend(files.iter().map(|(name, is_link)| ListedFile {
                path: if *is_link { &folder } else { &real }.join(name),
                is_link: *is_link,
            }));
            if !layout.recursive {
                break;
            }
        }
        // The next to be looked at is the last.
        let inner = folders.iter().rev();
        open.extend(inner.map(|name| (folder.join(name), real.join(name))));
    }
    Ok(found)
}

/// The name of a file, and whether it is a link.
type File = (OsString, bool);

/// Files and folders, each sorted by name. A link to a folder is not descended into, and no file.
fn entries(folder: &Path) -> Result<(Vec<File>, Vec<OsString>), Unreadable> {
    let unreadable = |error: std::io::Error| Unreadable::new(folder, error.to_string());
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            folders.push(entry.file_name());
        } else if !(kind.is_symlink() && entry.path().is_dir()) {
            files.push((entry.file_name(), kind.is_symlink()));
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// Refuses where `sourceless` makes Alembic load a file out of `__pycache__`.
fn compiled_alone(folder: &Path, files: &[File]) -> Result<(), Unreadable> {
    let cache = folder.join("__pycache__");
    if !cache.exists() {
        return Ok(());
    }
    let stem = |name: &OsStr| {
        name.as_bytes()
            .split(|byte| *byte == b'.')
            .next()
            .map(<[u8]>::to_vec)
    };
    let known: HashSet<_> = files.iter().map(|(name, _)| stem(name)).collect();
    let (cached, _) = entries(&cache)?;
    match cached.iter().map(|(name, _)| name).find(|name| {
        !known.contains(&stem(name)) && matches!(kind(Path::new(name)), FileKind::Compiled)
    }) {
        Some(name) => Err(Unreadable::new(
            &cache.join(name),
            "it is compiled, and its source is not there",
        )),
        None => Ok(()),
    }
}
