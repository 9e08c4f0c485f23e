//! PostgreSQL numbers its transactions and says what became of each of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Doubt;

/// What is noted before a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresEvidence {
    /// The snapshot of the moment as the server writes it, `XMIN:XMAX:XIP,...`. The step's transactions are numbered
    /// from XMAX on.
    pub snapshot: String,
    /// The time on the server, as it writes it.
    pub moment: String,
    /// Where each sequence is. What a sequence counted survives a rollback.
    #[serde(default)]
    pub sequences: BTreeMap<String, SequenceEvidence>,
    /// The rows of the tables, if they were counted.
    #[serde(default)]
    pub counted: Option<Counted>,
}

/// Where a sequence is: the last value, `None` before the first one, and the increment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceEvidence(pub Option<i64>, pub i64);

/// Rows that were counted, each table in or after a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The snapshot.
    pub snapshot: String,
    /// The number of rows by table; only those that were counted to the end.
    pub rows: BTreeMap<String, u64>,
    /// In a record: the tables that an earlier entry has and that count no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}

impl Counted {
    pub(super) fn leave_out(&mut self, known: &mut BTreeMap<String, u64>) {
        let all = std::mem::take(&mut self.rows);
        self.gone = known
            .keys()
            .filter(|table| !all.contains_key(*table))
            .cloned()
            .collect();
        let is_new = |(table, rows): &(&String, &u64)| known.get(*table) != Some(rows);
        self.rows = all
            .iter()
            .filter(is_new)
            .map(|(table, rows)| (table.clone(), *rows))
            .collect();
        *known = all;
    }

    pub(super) fn complete(&mut self, known: &mut BTreeMap<String, u64>) {
        for table in self.gone.drain(..) {
            known.remove(&table);
        }
        known.append(&mut self.rows);
        self.rows.clone_from(known);
    }
}

/// What is seen after a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresTrace {
    /// Whether transactions are numbered lower now than they were.
    pub wound_back: bool,
    /// Whether a session that began after the evidence was taken is still in a transaction.
    pub at_work: bool,
    /// How many transactions of the whole server were begun since and did not roll back.
    pub kept: u64,
    /// Whether every transaction of the step is known, and the server rolled all of them back.
    pub step_rolled_back: bool,
    /// Where each sequence is.
    pub sequences: BTreeMap<String, SequenceEvidence>,
    /// The tables, if it had to be decided by them.
    pub tables: BTreeMap<String, TableTrace>,
    /// How many tables may not be read.
    pub unreadable: u64,
}

/// What a table shows after a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableTrace {
    /// Its rows, if they could be counted.
    pub rows: Option<u64>,
    /// How many of them are from transactions that the snapshot of the count before did not see.
    pub newer: Option<u64>,
}

impl PostgresEvidence {
    pub(super) fn doubts(&self, after: &PostgresTrace) -> Vec<Doubt> {
        if after.wound_back {
            return vec![Doubt::AnotherServer];
        }
        let mut doubts = Vec::new();
        if after.at_work {
            doubts.push(Doubt::StillAtWork);
        }
        let set_back: Vec<String> = self
            .sequences
            .iter()
            .filter(|(name, was)| {
                after
                    .sequences
                    .get(*name)
                    .is_some_and(|is| was.is_after(is))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if !set_back.is_empty() {
            doubts.push(Doubt::SequencesSetBack(set_back));
        }
        if after.kept > 0 && !after.step_rolled_back {
            doubts.extend(self.doubts_by_table(after));
        }
        doubts
    }

    /// Somebody committed something on the server. The rows of each table are those of before if there are as many
    /// and none of them is new.
    fn doubts_by_table(&self, after: &PostgresTrace) -> Vec<Doubt> {
        let Some(counted) = &self.counted else {
            return vec![Doubt::NoEvidence];
        };
        let (mut changed, mut unknown) = (Vec::new(), Vec::new());
        for (table, is) in &after.tables {
            match (counted.rows.get(table), is.rows, is.newer) {
                (Some(was), Some(is), Some(0)) if *was == is => {}
                (Some(_), Some(_), Some(_)) => changed.push(table.clone()),
                _ => unknown.push(table.clone()),
            }
        }
        let gone = counted.rows.keys();
        unknown.extend(
            gone.filter(|table| !after.tables.contains_key(*table))
                .cloned(),
        );
        let mut doubts = Vec::new();
        if !changed.is_empty() {
            doubts.push(Doubt::RowsChanged(changed));
        }
        if !unknown.is_empty() {
            doubts.push(Doubt::NotCompared(unknown));
        }
        if after.unreadable > 0 {
            doubts.push(Doubt::Unreadable(after.unreadable));
        }
        doubts
    }
}

impl SequenceEvidence {
    /// Whether this position comes after another one of the same sequence, in the direction in which it counts.
    fn is_after(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Some(_), None) => true,
            (Some(was), Some(is)) if self.1 >= 0 => is < was,
            (Some(was), Some(is)) => is > was,
            (None, _) => false,
        }
    }
}
