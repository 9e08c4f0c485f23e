//! SQLite: a lock on a file beside the database, since one on the database itself is what the engine
//! needs. The lock is the kernel's (`flock`), not the existence of the file, so that a crash leaves a
//! file behind and no lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::super::DatabaseError;
use super::super::sqlite::file_identity;
use rollback_core::database_identity::DatabaseIdentity;
use rollback_core::lock::{Holder, LockOwner, Locked};
use rollback_system::files;

/// A claim is written right after the lock is taken. Whoever meets the lock in between looks again.
const LOOKS: u32 = 10;

/// How often a file may be gone again under our hands before that is a fault of something else.
const ATTEMPTS: u32 = 100;

/// A lock that is held. Its file goes with it.
pub(in super::super) struct SqliteLock {
    file: File,
    path: PathBuf,
    database: PathBuf,
    /// What lay at the database's path when it was locked.
    locked: Option<DatabaseIdentity>,
}

/// The lock file of a database: beside the file itself, wherever a link to it is.
pub(in super::super) fn path_of(database: &Path) -> PathBuf {
    let real = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut path = real.into_os_string();
    path.push(".rollback-lock");
    PathBuf::from(path)
}

impl SqliteLock {
    /// Takes the lock or tells who holds it.
    pub(in super::super) fn take(
        database: &Path,
        claim: &LockOwner,
    ) -> Result<Result<Self, Locked>, DatabaseError> {
        let path = path_of(database);
        let failed = |error: &io::Error| DatabaseError::LockFile {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let locked = identity_of(database);
        let mut looks = 0;
        for _ in 0..ATTEMPTS {
            let Some(mut file) = open(&path).map_err(|error| failed(&error))? else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file, locked.as_ref());
                    looks += 1;
                    if holder.claim.is_some() || looks == LOOKS {
                        return Ok(Err(Locked::HeldBy(holder)));
                    }
                    sleep(Duration::from_millis(20));
                    continue;
                }
            }
            let mut lock = Self {
                file,
                path: path.clone(),
                database: database.to_owned(),
                locked: locked.clone(),
            };
            // Its holder may have removed it between our opening and our locking: then it is the lock
            // of a file that nobody can find any more.
            if !lock.is_ours() {
                continue;
            }
            let written = if lock.may_be_written() {
                lock.write(claim)
            } else {
                Err(io::ErrorKind::PermissionDenied.into())
            };
            match written {
                Ok(()) => return Ok(Ok(lock)),
                // Left behind by somebody whose files are not ours to write. It is removed with `lock`,
                // if the directory allows that, and made again.
                Err(error) if !lock.may_be_written() => {
                    fs::remove_file(&path).map_err(|_| failed(&error))?;
                }
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(Err(Locked::HeldBy(Holder::default())))
    }

    /// Whether the file that we locked is still the one that others find, and the database the one beside it.
    pub(in super::super) fn holds(&self) -> bool {
        let same_database = match (&self.locked, identity_of(&self.database)) {
            (Some(locked), Some(now)) => !locked.differs_now(&now),
            (locked, now) => locked.is_none() && now.is_none(),
        };
        same_database && self.is_ours()
    }

    /// Whether the lock file is still the one that we locked.
    fn is_ours(&self) -> bool {
        files::is_at(&self.file, &self.path)
    }

    fn write(&mut self, claim: &LockOwner) -> io::Result<()> {
        self.file.set_len(0)?;
        let identity = self.locked.as_ref();
        let identity = identity.and_then(|identity| serde_json::to_string(identity).ok());
        let text = format!("{claim}\n{}\n", identity.unwrap_or_default());
        self.file.write_all(text.as_bytes())
    }

    /// Whether the lock file is ours to write, and was opened so.
    fn may_be_written(&self) -> bool {
        // Writing nothing tells nothing; setting the length that it has fails where writing would.
        files::may_write(&self.file, &self.path).is_ok_and(|may| may)
            && self
                .file
                .metadata()
                .is_ok_and(|metadata| self.file.set_len(metadata.len()).is_ok())
    }
}

impl Drop for SqliteLock {
    /// While the lock is held, so that nobody else's file is meant.
    fn drop(&mut self) {
        if self.is_ours() {
            // What is left behind is empty of meaning without a lock on it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens or makes the file; `None` where it came or went meanwhile. Locking needs no right to write.
fn open(path: &Path) -> io::Result<Option<File>> {
    let made = files::anybodys(
        path,
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false),
    );
    match made {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => {
            match files::anybodys(path, OpenOptions::new().read(true)) {
                Ok(file) => Ok(Some(file)),
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// What is at the path of the database; `None` if nothing does.
fn identity_of(database: &Path) -> Option<DatabaseIdentity> {
    let metadata = fs::metadata(database).ok()?;
    Some(file_identity(&metadata, None))
}

/// Who wrote the claim, which is the first line. The second is the identity of the file that was locked.
fn holder(file: &mut File, here: Option<&DatabaseIdentity>) -> Holder {
    let mut bytes = Vec::new();
    // Nobody's claim is longer; whatever else is there need not be read whole.
    let read = file.take(1024).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let claim = lines.next().unwrap_or_default();
    let locked: Option<DatabaseIdentity> = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok());
    let other = match (locked, here) {
        (Some(locked), Some(here)) if locked.differs_now(here) => Some(format!(
            "it locked another file that had this name: {locked}"
        )),
        _ => None,
    };
    Holder {
        claim: read.ok().and_then(|_| LockOwner::parse(claim.trim_end())),
        session: other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::UNIX_EPOCH;

    use super::*;
    use rollback_core::lock::Operator;

    fn claim() -> LockOwner {
        let operator = Operator {
            user: "anna".to_owned(),
            host: "b7".to_owned(),
            pid: 4711,
        };
        LockOwner::new("a-run", &operator, UNIX_EPOCH)
    }

    fn database() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        fs::write(&path, "").unwrap();
        (directory, path)
    }

    fn taken(database: &Path) -> SqliteLock {
        SqliteLock::take(database, &claim()).unwrap().ok().unwrap()
    }

    fn first_line(path: &Path) -> String {
        let text = fs::read_to_string(path).unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    }

    fn refused(database: &Path) -> Locked {
        SqliteLock::take(database, &claim()).unwrap().err().unwrap()
    }

    #[test]
    fn it_keeps_a_second_one_out_under_every_name_of_the_file() {
        let (directory, database) = database();
        let link = directory.path().join("link.db");
        symlink(&database, &link).unwrap();
        let lock = taken(&link);
        let held = Locked::HeldBy(Holder {
            claim: Some(claim()),
            session: None,
        });
        assert_eq!(refused(&database), held);
        assert!(lock.holds());
        drop(lock);
        assert!(!path_of(&database).exists());
        drop(taken(&database));
    }

    #[test]
    fn a_file_left_behind_is_no_lock() {
        let (_directory, database) = database();
        fs::write(
            path_of(&database),
            "rollback a 1-2 b@c, and much more of it\n",
        )
        .unwrap();
        let lock = taken(&database);
        assert_eq!(
            first_line(&path_of(&database)),
            claim().to_string(),
            "what was there before is gone"
        );
        drop(lock);
        assert!(!path_of(&database).exists());
    }

    #[test]
    fn a_file_that_was_taken_away_is_not_held_and_another_is_left_alone() {
        let (_directory, database) = database();
        let lock = taken(&database);
        fs::remove_file(path_of(&database)).unwrap();
        assert!(!lock.holds());
        let other = taken(&database);
        drop(lock);
        assert!(other.holds(), "the first removed the file of the second");
    }

    /// Red if the lock of a file counts for another file that took its place, or if nobody is told that it did.
    #[test]
    fn the_lock_is_for_the_file_that_was_there() {
        let (_directory, database) = database();
        let lock = taken(&database);
        let Locked::HeldBy(holder) = refused(&database) else {
            panic!("it is held");
        };
        assert_eq!(holder.session, None);
        fs::remove_file(&database).unwrap();
        fs::write(&database, "").unwrap();
        assert!(!lock.holds());
        let Locked::HeldBy(holder) = refused(&database) else {
            panic!("it is still held");
        };
        assert_eq!(holder.claim, Some(claim()));
        let session = holder.session.unwrap();
        assert!(
            session.contains("another file that had this name: created "),
            "{session}"
        );
        drop(lock);
        assert!(!path_of(&database).exists());
    }

    #[test]
    fn a_directory_without_room_for_it_is_an_error_that_names_the_file() {
        let (_directory, database) = database();
        fs::create_dir(path_of(&database)).unwrap();
        let error = SqliteLock::take(&database, &claim()).err().unwrap();
        assert!(
            error.to_string().contains("app.db.rollback-lock"),
            "{error}"
        );
    }

    #[test]
    fn of_many_at_once_one_has_it_at_a_time() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let (_directory, database) = database();
        let inside = AtomicU32::new(0);
        let taken = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 200 {
                        if let Ok(lock) = SqliteLock::take(&database, &claim()).unwrap() {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            std::thread::yield_now();
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
    }
}
