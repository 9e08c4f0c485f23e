//! The version files themselves, read with a Python parser and never run.

mod identifiers;
mod listing;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::layout::Layout;
use python_source::tree::Source;
use python_source::version_file::{Unreadable, VersionFile, VersionFiles};
use python_source::{source, syntax};

/// More threads than this wait for the disk, and not for each other.
const MOST_READERS: usize = 8;
/// The trees of more files than this take more memory than all the rest, and of most of them nothing is asked
/// again: they are built again for those that are.
const TREES_WORTH_KEEPING: usize = 500;
/// Fewer files are read before a thread has begun.
const FILES_WORTH_A_THREAD: usize = 16;

/// Reads every version file of a project. If one cannot be read, the history would be a guess, so that is an error.
pub fn read(layout: &Layout) -> Result<VersionFiles, Unreadable> {
    let paths = listing::files(layout)?;
    if paths.is_empty() {
        // Rather a place that was not understood than a project without migrations.
        return Err(Unreadable::new(
            &layout.directory,
            "no version files belong to it",
        ));
    }
    let mut files = declared_by_all(&paths)
        .ok_or_else(|| Unreadable::new(&layout.directory, "the parser broke off"))??;
    resolve_labels(&mut files);
    Ok(VersionFiles {
        files,
        unread: HashMap::new(),
        roots: layout.roots.clone(),
        may_autocommit: layout.may_autocommit,
    })
}

/// Every file, in order, or the first that cannot be read; `None` where a thread broke off. The files
/// do not depend on each other, so each core reads the next one that is left.
fn declared_by_all(paths: &[PathBuf]) -> Option<Result<Vec<VersionFile>, Unreadable>> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut read = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else {
                return read;
            };
            read.push((at, declared(path, paths.len() <= TREES_WORTH_KEEPING)));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores
        .min(MOST_READERS)
        .min(paths.len().div_ceil(FILES_WORTH_A_THREAD));
    let mut read = syntax::on_deep_stacks(threads, take)?;
    read.sort_by_key(|(at, _)| *at);
    Some(read.into_iter().map(|(_, file)| file).collect())
}

fn declared(path: &Path, keeps_tree: bool) -> Result<VersionFile, Unreadable> {
    let read = || {
        let text = source::read(path)?;
        let module = syntax::parse(&text)?.into_syntax();
        let revision = identifiers::read(&module, path)?;
        Ok(VersionFile {
            revision,
            path: path.to_owned(),
            source: if keeps_tree {
                Source::parsed(text, module)
            } else {
                text.into()
            },
        })
    };
    read().map_err(|reason: String| Unreadable::new(path, reason))
}

/// Names the revision where a `depends_on` names its label, as Alembic does when it has loaded all.
fn resolve_labels(files: &mut [VersionFile]) {
    let ids: HashSet<&str> = files.iter().map(|file| file.revision.id.as_str()).collect();
    let labels: HashMap<&str, &str> = files
        .iter()
        .map(|file| &file.revision)
        .flat_map(|revision| {
            let labels = revision.branch_labels.iter();
            labels.map(|label| (label.as_str(), revision.id.as_str()))
        })
        .collect();
    let resolved: Vec<Vec<String>> = files
        .iter()
        .map(|file| {
            let names = file.revision.depends_on.iter();
            names
                .map(|name| match labels.get(name.as_str()) {
                    Some(id) if !ids.contains(name.as_str()) => (*id).to_owned(),
                    _ => name.clone(),
                })
                .collect()
        })
        .collect();
    for (file, depends_on) in files.iter_mut().zip(resolved) {
        file.revision.depends_on = depends_on;
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
