//! SQLite counts the transactions that changed a file, in its header or in the log of WAL mode.

use serde::{Deserialize, Serialize};

use super::Doubt;

/// What is noted before a step, and seen after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqliteEvidence {
    /// The length of the file, in bytes.
    pub length: u64,
    /// The change counter of its header, which every transaction raises that changes the file.
    pub counter: u32,
    /// Whether the file is in WAL mode, in which the counter may stay.
    pub has_log: bool,
    /// When the file was written last, in nanoseconds since 1970; counts in WAL mode alone, since a transaction that
    /// is rolled back writes the file, too.
    pub written: Option<u64>,
    /// What the log of WAL mode holds; `None` without a committed transaction in it.
    pub log: Option<Log>,
}

/// The committed part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The salts of its header, which change when it is begun again.
    pub salts: u64,
    /// The number of pages up to the end of the last transaction.
    pub pages: u64,
}

impl SqliteEvidence {
    pub(super) fn doubts(&self, after: &Self) -> Vec<Doubt> {
        let same_file = (self.length, self.counter, self.has_log)
            == (after.length, after.counter, after.has_log);
        let same_log = self.written == after.written && self.log == after.log;
        if same_file && (same_log || !self.has_log) {
            Vec::new()
        } else {
            vec![Doubt::FileWritten]
        }
    }
}
