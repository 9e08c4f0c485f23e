//! MySQL and MariaDB note the second in which a table was written last, when the writing transaction commits.
//!
//! That note is lost if the server restarts, and `TRUNCATE` makes none: then a table is empty that was not. `ALTER
//! TABLE` changes the time of creation.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Doubt;

/// By how many seconds the start of a server may differ between two looks: it is computed from whole seconds.
const SAME_START: u64 = 2;

/// What is noted before a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySqlEvidence {
    /// When the server was started, in seconds since 1970.
    pub started: u64,
    /// The second in which this was noted.
    pub moment: u64,
    /// The number of the session that noted it; the engine's have higher ones.
    pub session: u64,
    /// The tables that were written in that second: by time alone a later write cannot be told from an earlier one.
    #[serde(default)]
    pub hot: BTreeMap<String, Hot>,
    /// The tables without a row.
    #[serde(default)]
    pub empty: BTreeSet<String>,
}

/// A table that was written in the second of the note.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hot {
    /// The checksum of its rows; `None` if that would take too long.
    pub checksum: Option<String>,
}

/// What is seen after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MySqlTrace {
    /// When the server was started.
    pub started: u64,
    /// Whether a session that began after the evidence was taken is still at a statement.
    pub at_work: bool,
    /// Whether the server may have forgotten when a table was written: it holds as many tables as it may.
    pub forgets: bool,
    /// Every table.
    pub tables: BTreeMap<String, TableState>,
}

/// What a table shows after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableState {
    /// Whether its storage engine notes when it is written.
    pub notes_writes: bool,
    /// When it was created or altered, in seconds since 1970.
    pub created: Option<u64>,
    /// When it was written last; `None` if it was not since the server was started.
    pub written: Option<u64>,
    /// The checksum of its rows, if it was a hot one.
    pub checksum: Option<String>,
    /// Whether it has a row; `None` if that could not be asked.
    pub has_rows: Option<bool>,
}

impl MySqlEvidence {
    pub(super) fn doubts(&self, after: &MySqlTrace) -> Vec<Doubt> {
        if self.started.abs_diff(after.started) > SAME_START {
            return vec![Doubt::Restarted];
        }
        let (mut changed, mut emptied, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (name, table) in &after.tables {
            let name = name.clone();
            let is_late = |second: Option<u64>| second.is_some_and(|it| it >= self.moment);
            let hot = self.hot.get(&name);
            let is_same = match (hot.and_then(|hot| hot.checksum.as_ref()), &table.checksum) {
                (Some(was), Some(is)) => Some(was == is),
                _ => None,
            };
            if is_late(table.created) || is_late(table.written) {
                match (hot, is_same) {
                    (Some(_), Some(true)) => {}
                    // Written in that very second, before or after it was noted.
                    (Some(_), None) => unknown.push(name.clone()),
                    _ => changed.push(name.clone()),
                }
            } else if !table.notes_writes || (after.forgets && table.written.is_none()) {
                unknown.push(name.clone());
            }
            match table.has_rows {
                Some(true) => {}
                _ if self.empty.contains(&name) => {}
                Some(false) => emptied.push(name),
                None => unknown.push(name),
            }
        }
        let mut doubts = Vec::new();
        if after.at_work {
            doubts.push(Doubt::StillAtWork);
        }
        emptied.retain(|table| !changed.contains(table));
        unknown.dedup();
        let found = [
            Doubt::RowsChanged(changed),
            Doubt::Emptied(emptied),
            Doubt::NotCompared(unknown),
        ];
        doubts.extend(
            found
                .into_iter()
                .filter(|doubt| !doubt.objects().is_empty()),
        );
        doubts
    }
}
