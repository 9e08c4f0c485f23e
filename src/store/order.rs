//! The order in which runs and backups were begun, which no clock decides.
//!
//! The file `.rollback/order` holds the last number that was given. Whoever wants the next one locks the file.
//! If it is gone or cannot be read, the numbers in the manifests and journals say where to continue.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;

use super::{Store, StoreError, journal};
use rollback_core::journal::Run;

/// The name of the file.
const FILE: &str = "order";

/// Bytes of the longest number.
const LONGEST: u64 = 32;

impl Store {
    /// The next number. It is on the disk before it is given, so that no other process gets it, too.
    pub(super) fn next_number(&self) -> Result<u64, StoreError> {
        let path = self.root.join(FILE);
        let failed = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        let mut file = opened(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut text = String::new();
        let last = match (&mut file).take(LONGEST).read_to_string(&mut text) {
            Ok(_) => text.trim().parse().ok(),
            Err(_) => None,
        };
        let next = match last {
            Some(last) => last,
            None => self.last_number()?,
        } + 1;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{next}"))
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        Ok(next)
    }

    /// The highest number that anything here has.
    fn last_number(&self) -> Result<u64, StoreError> {
        let listed = self.backups().list()?;
        let mut last = listed
            .manifests
            .iter()
            .filter_map(|manifest| manifest.number)
            .max()
            .unwrap_or_default();
        for (_, path) in self.journals()? {
            // One that cannot be read hides no other, and is reported elsewhere.
            let run = journal::read(&path).ok().and_then(Run::read);
            last = last.max(run.and_then(|run| run.begun.number).unwrap_or_default());
        }
        Ok(last)
    }
}

fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::UNIX_EPOCH;

    use super::*;
    use rollback_core::journal::Begun;

    /// Turns red if two get the same number, or a lost file begins again with 1.
    #[test]
    fn each_gets_a_number_of_its_own_and_a_lost_file_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned(), || UNIX_EPOCH);
        let given: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| store.next_number().unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut sorted = given;
        sorted.sort_unstable();
        assert_eq!(sorted, (1..=8).collect::<Vec<u64>>());
        let begun = Begun {
            run: "a".to_owned(),
            ..Begun::default()
        };
        store.begin(begun).unwrap();
        for text in [None, Some("no number")] {
            let path = folder.path().join(FILE);
            fs::remove_file(&path).unwrap();
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            assert_eq!(store.next_number().unwrap(), 10, "{text:?}");
        }
    }
}
