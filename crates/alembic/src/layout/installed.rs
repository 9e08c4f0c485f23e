//! What is installed beside an interpreter.

use std::fs;
use std::path::{Path, PathBuf};

/// A version of Alembic's, whole and as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `1.16.5`.
    pub text: String,
    /// 1 and 16.
    numbers: (u32, u32),
}

impl Version {
    pub(in super::super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let numbers = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Self {
            text: text.to_owned(),
            numbers,
        })
    }

    /// Whether `pyproject.toml` and `path_separator` are read.
    pub(super) fn reads_pyproject(&self) -> bool {
        self.numbers >= (1, 16)
    }

    /// Whether files are listed by name: before, as the file system has them, and without recursion.
    pub(super) fn lists_by_name(&self) -> bool {
        self.numbers >= (1, 10)
    }
}

/// The release whose rules hold where none is to be seen.
pub(super) const ASSUMED: Version = Version {
    text: String::new(),
    numbers: (1, 20),
};

/// Where packages are installed for an interpreter of a virtual environment.
pub(super) fn site_packages(interpreter: &Path) -> Option<PathBuf> {
    let environment = interpreter.parent()?.parent()?;
    if !environment.join("pyvenv.cfg").is_file() {
        return None;
    }
    let mut found = fs::read_dir(environment.join("lib"))
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"))
        .filter(|site| site.is_dir());
    let first = found.next()?;
    // Two releases of Python in one environment: which one is started is not to be seen.
    found.next().is_none().then_some(first)
}

/// The version of a package beside an interpreter, as its installer has noted it.
pub(super) fn installed(interpreter: &Path, package: &str) -> Option<String> {
    let notes = fs::read_dir(site_packages(interpreter)?).ok()?;
    let mut versions = notes.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (found, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
        (found == package).then(|| version.to_owned())
    });
    let first = versions.next()?;
    versions.next().is_none().then_some(first)
}
