//! The record of runs on disk: `.rollback/runs/RUN/journal.jsonl` in the project's directory.
//!
//! A journal is only ever appended to, and each line is on the disk when its writer returns: what a
//! crash leaves is a beginning of the truth. The folder is its owner's alone and unknown to git.

mod backups;
mod journal;
mod order;
mod reports;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rollback_core::database_identity::DatabaseReference;
use rollback_core::journal::{Begun, Entry, Run};
use rollback_system::files;

pub use backups::{BackupStore, ListedBackup, NotFound, PendingBackup, beside, fault, sha256};
pub use journal::Journal;
pub use reports::{JSON, MARKDOWN, RecordedRun, put};

/// The clock, as a value.
pub type Clock = fn() -> SystemTime;

/// Why the record cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be made, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A journal holds what is no entry of this version, before its last line.
    #[error("{}, line {line}, is no entry that this version reads", path.display())]
    Damaged {
        /// Which journal.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// A journal is of a newer version, before its last line.
    #[error("{} is in format {version}, which a newer rollback wrote", path.display())]
    Newer {
        /// Which journal.
        path: PathBuf,
        /// The version of the format.
        version: u64,
    },
    /// A journal that is being written is not at its place any more: what is written to it is lost.
    #[error("{} was removed or replaced while the run was under way", path.display())]
    Gone {
        /// Which journal.
        path: PathBuf,
    },
}

/// The folder of all records of a project.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    clock: Clock,
    /// Whether a user named the folder, which may be a link then.
    is_named: bool,
}

impl Store {
    /// The store in `root`, which need not exist yet.
    pub fn new(root: PathBuf, clock: Clock) -> Self {
        Self {
            root,
            clock,
            is_named: false,
        }
    }

    /// The same where a user named the folder: a link to one of its own is as good as the folder.
    #[must_use]
    pub fn named(self) -> Self {
        Self {
            is_named: true,
            ..self
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All runs on the databases that are asked for, newest first.
    pub fn runs_on(
        &self,
        is_meant: &dyn Fn(&DatabaseReference) -> bool,
    ) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        for (_, journal) in self.journals()? {
            runs.extend(Run::read(journal::read(&journal)?));
        }
        runs.retain(|run| is_meant(&run.database));
        runs.sort_by(|one, other| place(&other.begun).cmp(&place(&one.begun)));
        Ok(runs)
    }

    /// The runs on such databases that neither reached their target nor were given up, newest first. Of a run that is over for
    /// good only the last line is read, so that this does not take longer with each run.
    pub fn unfinished_on(
        &self,
        is_meant: &dyn Fn(&DatabaseReference) -> bool,
    ) -> Result<Vec<Run>, StoreError> {
        let mut unfinished = Vec::new();
        for (_, journal) in self.journals()? {
            if journal::is_settled(&journal)? {
                continue;
            }
            let run = Run::read(journal::read(&journal)?)
                .filter(|run| is_meant(&run.database) && run.is_unfinished());
            unfinished.extend(run);
        }
        unfinished.sort_by(|one, other| place(&other.begun).cmp(&place(&one.begun)));
        Ok(unfinished)
    }

    /// Each run and where its journal is, in no order.
    fn journals(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let folder = self.root.join("runs");
        let failed = |source| StoreError::Io {
            path: folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        self.trusted()?;
        files::own_folder(&folder).map_err(failed)?;
        let mut journals = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let journal = path.join(journal::FILE);
            // A crash between making the folder and its journal leaves a run that never began.
            let is_there = journal.symlink_metadata().is_ok();
            if let (Some(run), true) = (path.file_name(), is_there) {
                journals.push((run.to_string_lossy().into_owned(), journal));
            }
        }
        Ok(journals)
    }

    /// Starts the journal of a new run.
    pub fn begin(&self, mut begun: Begun) -> Result<Journal, StoreError> {
        let folder = self.root.join("runs").join(&begun.run);
        self.prepare(&folder)?;
        begun.number = Some(self.next_number()?);
        let mut journal = Journal::create(folder.join(journal::FILE), self.clock)?;
        journal.append(Entry::Begun(Box::new(begun)))?;
        for folder in [folder.as_path(), &self.root.join("runs"), &self.root] {
            sync(folder)?;
        }
        Ok(journal)
    }

    /// Whether there is a journal of a run.
    pub fn has(&self, run: &str) -> bool {
        self.root
            .join("runs")
            .join(run)
            .join(journal::FILE)
            .exists()
    }

    /// Opens the journal of a run to go on with it.
    pub fn reopen(&self, run: &str) -> Result<Journal, StoreError> {
        Journal::reopen(
            self.root.join("runs").join(run).join(journal::FILE),
            self.clock,
        )
    }

    /// Whether an engine that a run started is still at work, although the run itself is gone. One that was between two
    /// steps ends as soon as it hears of that, and is given the time.
    pub fn engine_at_work(&self, run: &str) -> Result<bool, StoreError> {
        const TO_HEAR_OF_IT: Duration = Duration::from_secs(1);
        let path = self.root.join("runs").join(run).join(journal::ENGINE_LOCK);
        match files::own(&path, OpenOptions::new().read(true)) {
            Ok(file) => {
                let since = Instant::now();
                let is_held = || matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                while is_held() {
                    if since.elapsed() > TO_HEAR_OF_IT {
                        return Ok(true);
                    }
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn prepare(&self, folder: &Path) -> Result<(), StoreError> {
        let failed = |path: &Path, source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        // From the top, so that nothing is made where a folder is somebody else's.
        if self.root.symlink_metadata().is_err() {
            files::folder(&self.root).map_err(|source| failed(&self.root, source))?;
        }
        self.trusted()?;
        let below: Vec<&Path> = folder
            .ancestors()
            .take_while(|above| *above != self.root)
            .collect();
        for folder in below.into_iter().rev() {
            files::folder(folder).map_err(|source| failed(folder, source))?;
        }
        let ignore = self.root.join(".gitignore");
        match files::create(&ignore) {
            Ok(mut file) => file
                .write_all(b"*\n")
                .map_err(|source| failed(&ignore, source)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(failed(&ignore, source)),
        }
    }

    /// Refuses a folder that somebody else may have put there.
    fn trusted(&self) -> Result<(), StoreError> {
        let trusted = if self.is_named {
            files::named_folder(&self.root)
        } else {
            files::own_folder(&self.root)
        };
        trusted.map_err(|source| StoreError::Io {
            path: self.root.clone(),
            source,
        })
    }
}

/// The place of a run among others, oldest first. Those of older programs have no number and come first.
fn place(begun: &Begun) -> (Option<u64>, &str) {
    (begun.number, &begun.run)
}

/// Puts the names in a folder on the disk.
fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StoreError::Io {
            path: folder.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::UNIX_EPOCH;

    use super::*;
    use rollback_core::lock::Operator;

    fn is_db(database: &DatabaseReference) -> bool {
        database.key == "db"
    }

    fn begun(run: &str, key: &str) -> Begun {
        Begun {
            run: run.into(),
            database_key: key.into(),
            database: String::new(),
            target: "base".into(),
            removes: vec!["b".into(), "a".into()],
            arguments: Vec::new(),
            by: Operator {
                user: String::new(),
                host: String::new(),
                pid: 1,
            },
            reason: None,
            tool: String::new(),
            engine: String::new(),
            heads: ["b".into()].into(),
            schema: ["table t".to_owned()].into(),
            ..Begun::default()
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join(".rollback"), || UNIX_EPOCH);
        (folder, store)
    }

    fn intent(step: usize) -> Entry {
        Entry::Intent {
            step,
            removes: "b".into(),
            evidence: None,
        }
    }

    #[test]
    fn runs_are_found_by_database_newest_first() {
        let (_folder, store) = store();
        assert_eq!(store.runs_on(&is_db).unwrap(), []);
        for (run, key) in [("1", "db"), ("3", "db"), ("2", "other")] {
            store.begin(begun(run, key)).unwrap();
        }
        let runs: Vec<String> = store
            .runs_on(&is_db)
            .unwrap()
            .into_iter()
            .map(|run| run.begun.run)
            .collect();
        assert_eq!(runs, ["3", "1"]);
    }

    /// Turns red if the clock decides which run is the newest: it was set back before the second one.
    #[test]
    fn the_run_that_was_begun_last_is_the_newest_whatever_its_id_says() {
        let (_folder, store) = store();
        for run in ["20261121T040000Z-1", "20200101T000000Z-1"] {
            store.begin(begun(run, "db")).unwrap();
        }
        fs::create_dir(store.root.join("runs/20230101T000000Z-1")).unwrap();
        let damaged = store
            .root
            .join("runs/20230101T000000Z-1")
            .join(journal::FILE);
        fs::write(damaged, "no entry\n").unwrap();
        let recorded = store.recorded().unwrap();
        let ids: Vec<&str> = recorded.iter().map(|(run, _)| run.as_str()).collect();
        assert_eq!(
            ids,
            [
                "20230101T000000Z-1",
                "20200101T000000Z-1",
                "20261121T040000Z-1"
            ]
        );
        fs::remove_dir_all(store.root.join("runs/20230101T000000Z-1")).unwrap();
        let runs = store.runs_on(&is_db).unwrap();
        assert_eq!(runs[0].begun.run, "20200101T000000Z-1");
        let unfinished = store.unfinished_on(&is_db).unwrap();
        assert_eq!(unfinished[0].begun.run, "20200101T000000Z-1");
    }

    /// Red where a run that goes on is passed over, or one that is over is read whole.
    #[test]
    fn the_newest_that_is_not_over_is_found_and_one_that_is_over_is_not_read() {
        let (_folder, store) = store();
        let ended = |exit_code| Entry::Ended {
            exit_code,
            cause: None,
            heads: None,
        };
        for (run, key, last) in [
            ("1", "db", Some(ended(4))),
            ("2", "db", None),
            ("3", "other", None),
            ("4", "db", Some(ended(0))),
        ] {
            let mut journal = store.begin(begun(run, key)).unwrap();
            journal.append(intent(0)).unwrap();
            if let Some(entry) = last {
                journal.append(entry).unwrap();
            }
        }
        let found = || {
            store
                .unfinished_on(&is_db)
                .map(|runs| runs.into_iter().next().map(|run| run.begun.run))
        };
        assert_eq!(found().unwrap().as_deref(), Some("2"));
        // Whatever stands in the middle of it.
        let path = store.root.join("runs/4").join(journal::FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("intent", "content", 1)).unwrap();
        assert_eq!(found().unwrap().as_deref(), Some("2"));
        // Without its last line whole it has not ended.
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        assert_eq!(found().unwrap().as_deref(), Some("4"));
        // And it may be resumed.
        let resumed = Entry::Resumed {
            by: begun("", "").by,
            circumstances: None,
            ruling: None,
        };
        fs::write(&path, text).unwrap();
        store.reopen("4").unwrap().append(resumed).unwrap();
        assert_eq!(found().unwrap().as_deref(), Some("4"));
        fs::write(&path, "no entry\n").unwrap();
        assert!(found().is_err());
    }

    #[test]
    fn entries_written_together_are_lines_of_their_own() {
        let (_folder, store) = store();
        let mut journal = store.begin(begun("1", "db")).unwrap();
        journal.append_all([intent(0), intent(1)]).unwrap();
        let lines = store.lines("1").unwrap();
        let entries: Vec<Entry> = lines.into_iter().skip(1).map(|line| line.entry).collect();
        assert_eq!(entries, [intent(0), intent(1)]);
    }

    #[test]
    fn the_folder_is_its_owners_alone_and_unknown_to_git() {
        let (_folder, store) = store();
        store.begin(begun("1", "db")).unwrap();
        let mode = fs::metadata(&store.root).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(
            fs::read_to_string(store.root.join(".gitignore")).unwrap(),
            "*\n"
        );
    }

    #[test]
    fn a_line_that_a_crash_cut_off_counts_for_nothing_and_is_written_over() {
        let (_folder, store) = store();
        let path = store.root.join("runs/1").join(journal::FILE);
        store
            .begin(begun("1", "db"))
            .unwrap()
            .append(intent(0))
            .unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        assert_eq!(store.runs_on(&is_db).unwrap()[0].in_flight, None);
        store.reopen("1").unwrap().append(intent(1)).unwrap();
        assert_eq!(store.runs_on(&is_db).unwrap()[0].in_flight, Some(1));
    }

    /// Red when a journal is read as text before the line that a crash cut off is left out.
    #[test]
    fn a_line_that_was_cut_off_inside_a_character_counts_for_nothing() {
        let (_folder, store) = store();
        store.begin(begun("1", "db")).unwrap();
        let path = store.root.join("runs/1").join(journal::FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&"{\"é".as_bytes()[..3]);
        fs::write(&path, bytes).unwrap();
        assert_eq!(store.runs_on(&is_db).unwrap().len(), 1);
        store.reopen("1").unwrap().append(intent(1)).unwrap();
        assert_eq!(store.runs_on(&is_db).unwrap()[0].in_flight, Some(1));
    }

    /// Red when an entry goes to a file that nobody finds any more.
    #[test]
    fn a_journal_that_is_not_at_its_place_takes_no_entry() {
        let (_folder, store) = store();
        let mut journal = store.begin(begun("1", "db")).unwrap();
        let away = store.root.with_file_name("away");
        fs::rename(&store.root, &away).unwrap();
        assert!(matches!(
            journal.append(intent(0)),
            Err(StoreError::Gone { .. })
        ));
        fs::rename(&away, &store.root).unwrap();
        journal.append(intent(0)).unwrap();
    }

    #[test]
    fn a_damaged_journal_does_not_hide_the_others() {
        let (_folder, store) = store();
        for run in ["1", "2", "3"] {
            store.begin(begun(run, "db")).unwrap();
        }
        fs::write(store.root.join("runs/2").join(journal::FILE), "no entry\n").unwrap();
        let recorded = store.recorded().unwrap();
        let told: Vec<(&str, bool)> = recorded
            .iter()
            .map(|(run, lines)| (run.as_str(), lines.is_ok()))
            .collect();
        assert_eq!(told, [("3", true), ("2", false), ("1", true)]);
    }

    #[test]
    fn a_report_is_its_owners_alone_and_replaces_the_one_before() {
        let (_folder, store) = store();
        store.begin(begun("1", "db")).unwrap();
        store.put_report("1", JSON, "long text").unwrap();
        let path = store.put_report("1", JSON, "text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> = fs::read_dir(store.root.join("runs/1"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["journal.jsonl", "report.json"]);
        // A folder is no file: what was begun is taken away again.
        fs::create_dir(store.root.join("runs/1/report.md")).unwrap();
        assert!(store.put_report("1", MARKDOWN, "text").is_err());
        assert_eq!(fs::read_dir(store.root.join("runs/1")).unwrap().count(), 3);
    }

    #[test]
    fn an_engine_is_at_work_as_long_as_a_process_keeps_its_lock() {
        let (_folder, store) = store();
        let journal = store.begin(begun("1", "db")).unwrap();
        assert!(!store.engine_at_work("1").unwrap());
        let lock = journal.engine_lock().unwrap();
        let inherited = lock.try_clone().unwrap();
        drop(lock);
        assert!(store.engine_at_work("1").unwrap());
        drop(inherited);
        assert!(!store.engine_at_work("1").unwrap());
    }

    #[test]
    fn a_damaged_journal_is_named_with_the_line() {
        let (_folder, store) = store();
        let path = store.root.join("runs/1").join(journal::FILE);
        store
            .begin(begun("1", "db"))
            .unwrap()
            .append(intent(0))
            .unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.replacen("begun", "begone", 1)).unwrap();
        let error = store.runs_on(&is_db).unwrap_err().to_string();
        assert!(
            error.ends_with("line 1, is no entry that this version reads"),
            "{error}"
        );
    }
}
