//! The files that an imported engine depends on: what it was made of must not be of yesterday.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is read at a start as far as it is there, and says how to connect.
const CONFIGURATION: [&str; 5] = [
    ".env",
    ".flaskenv",
    "alembic.ini",
    "pyproject.toml",
    "setup.cfg",
];

/// Files and folders, as they were when they were read.
#[derive(Debug)]
pub(super) struct Watched {
    /// Since when they are read.
    since: SystemTime,
    files: BTreeMap<PathBuf, Option<Stamp>>,
    folders: BTreeMap<PathBuf, Vec<OsString>>,
    /// One that was changed between its reading and when it was told.
    changed: Option<PathBuf>,
}

/// What differs once a file was written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::from)
    }

    /// Whether the file was changed after that moment, by its own clock.
    fn is_later_than(self, moment: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) =
            (u64::try_from(self.changed.0), u32::try_from(self.changed.1))
        else {
            return false;
        };
        UNIX_EPOCH + Duration::new(seconds, nanoseconds) > moment
    }
}

impl From<&Metadata> for Stamp {
    fn from(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

impl Watched {
    /// Watches the configuration in the project's directory; the rest is told once it was read.
    pub(super) fn from_now_on(dir: &Path) -> Self {
        let files = CONFIGURATION.iter().map(|name| {
            let path = dir.join(name);
            let stamp = Stamp::of(&path);
            (path, stamp)
        });
        Self {
            since: SystemTime::now(),
            files: files.collect(),
            folders: BTreeMap::new(),
            changed: None,
        }
    }

    /// Watches these as well, which were read since the beginning. A folder ends in `/`: of it the names of Python
    /// files count.
    pub(super) fn add(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                let names = python_files(&path);
                self.folders.entry(path).or_insert(names);
            } else if !self.files.contains_key(&path) {
                let stamp = Stamp::of(&path);
                if stamp.is_some_and(|stamp| stamp.is_later_than(self.since)) {
                    self.changed.get_or_insert_with(|| path.clone());
                }
                self.files.insert(path, stamp);
            }
        }
    }

    /// One that is not as it was read.
    pub(super) fn changed(&self) -> Option<String> {
        let files = self.files.iter();
        let mut files = files.filter(|(path, stamp)| Stamp::of(path) != **stamp);
        let mut folders = self.folders.iter();
        self.changed
            .as_ref()
            .or_else(|| files.next().map(|(path, _)| path))
            .or_else(|| {
                folders
                    .find(|(path, names)| python_files(path) != **names)
                    .map(|(path, _)| path)
            })
            .map(|path| path.display().to_string())
    }
}

fn python_files(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut names: Vec<OsString> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| name.as_encoded_bytes().ends_with(b".py"))
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a file in it, both written before anything is watched.
    fn project() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.py");
        std::fs::write(&file, "a = 1").unwrap();
        (folder, file)
    }

    /// Turns red where an edited, replaced, removed or added file goes unnoticed.
    #[test]
    fn whatever_becomes_of_a_file_is_noticed() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("a.py", |dir| {
                std::fs::write(dir.join("a.py"), "a = 12").unwrap();
            }),
            ("a.py", |dir| {
                // Of the same size and age.
                let age = dir.join("a.py").metadata().unwrap().modified().unwrap();
                let file = std::fs::File::create(dir.join("b")).unwrap();
                std::io::Write::write_all(&mut &file, b"a = 2").unwrap();
                file.set_modified(age).unwrap();
                std::fs::rename(dir.join("b"), dir.join("a.py")).unwrap();
            }),
            ("a.py", |dir| {
                std::fs::remove_file(dir.join("a.py")).unwrap();
            }),
            ("", |dir| std::fs::write(dir.join("b.py"), "").unwrap()),
            (".env", |dir| {
                std::fs::write(dir.join(".env"), "A=1").unwrap();
            }),
        ];
        for (name, change) in changes {
            let (folder, file) = project();
            let dir = folder.path();
            let mut watched = Watched::from_now_on(dir);
            watched.since = SystemTime::now() + Duration::from_mins(1);
            watched.add(vec![file, dir.join("")]);
            assert_eq!(watched.changed(), None);
            change(dir);
            let expected = dir.join(name).display().to_string();
            assert_eq!(watched.changed(), Some(expected));
        }
    }

    #[test]
    fn a_file_that_changed_between_its_reading_and_the_word_of_it_counts_as_changed() {
        let (folder, file) = project();
        let mut watched = Watched::from_now_on(folder.path());
        watched.since = SystemTime::now() - Duration::from_mins(1);
        watched.add(vec![file.clone()]);
        assert_eq!(watched.changed(), Some(file.display().to_string()));
    }

    #[test]
    fn what_python_keeps_beside_the_files_is_no_change() {
        let (folder, _) = project();
        let mut watched = Watched::from_now_on(folder.path());
        watched.add(vec![
            folder.path().join(""),
            folder.path().join("absent.zip"),
        ]);
        std::fs::create_dir(folder.path().join("__pycache__")).unwrap();
        std::fs::write(folder.path().join("a.pyc"), "").unwrap();
        assert_eq!(watched.changed(), None);
    }
}
