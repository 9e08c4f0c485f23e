//! Copies that an earlier run left.

use std::fs;
use std::path::{Path, PathBuf};

use super::{MARK, Snapshot, failed, remove};

/// The copies beside a file that are still there, in the order of their names.
pub(in super::super) fn copies_beside(file: &Path) -> Vec<PathBuf> {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else {
        return Vec::new();
    };
    let beginning = format!("{}{MARK}", name.to_string_lossy());
    let mut copies: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let process = name.to_string_lossy();
            let process = process.strip_prefix(&beginning);
            process.is_some_and(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|entry| entry.path())
        .collect();
    copies.sort();
    copies
}

/// A copy that the record of an earlier run names, and that is still there.
#[derive(Debug)]
pub struct LeftoverSnapshot(PathBuf);

impl LeftoverSnapshot {
    /// `None` where it is gone.
    pub fn find(copy: &str) -> Option<Self> {
        let copy = PathBuf::from(copy);
        copy.exists().then_some(Self(copy))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the file what it was, as [`Snapshot::put_back`] does. The error is a sentence.
    pub fn put_back(&self, file: &Path) -> Result<(), String> {
        let file = file
            .canonicalize()
            .map_err(|error| failed("find", file, &error))?;
        let copy = self.0.clone();
        Snapshot { file, copy }.put_back()
    }

    /// Removes it.
    pub fn discard(&self) -> Result<(), String> {
        remove(&self.0)
    }
}
