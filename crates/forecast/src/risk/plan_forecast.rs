//! What is foretold of a whole plan, as it is shown and decided on.

use std::time::Duration;

use crate::Reachable;
use rollback_core::dialect::Dialect;
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::finding_code::{FindingCode, Level};

/// How the database was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeUsage {
    /// It was not: the reason completes "the database was not asked: ".
    Not(String),
    /// It was.
    Within {
        /// How many questions it answered.
        answers: usize,
        /// How many there was no time or no answer for.
        unanswered: usize,
        /// How long that took.
        took: Duration,
        /// How long it might have taken.
        budget: Duration,
    },
}

/// What is foretold of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanForecast {
    /// The findings of each step, in the order of the plan.
    pub steps: Vec<Vec<Finding>>,
    /// Why no migration of the plan could be looked into at all, if so.
    pub unread: Option<String>,
    /// How the database was asked.
    pub asked: ProbeUsage,
    /// Where to stop before the first certain failure; `None` where none is foretold.
    pub reachable: Option<Reachable>,
}

impl PlanForecast {
    /// All findings.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.steps.iter().flatten()
    }

    /// The worst level; `None` where there is nothing to find.
    pub fn level(&self) -> Option<Level> {
        self.findings().map(|finding| finding.level).max()
    }

    /// The first step that is sure to fail, from 0, with the finding that says so.
    pub fn first_failure(&self) -> Option<(usize, &Finding)> {
        let fails = |finding: &&Finding| finding.outcome == Some(FailurePrediction::WillFail);
        self.steps
            .iter()
            .enumerate()
            .find_map(|(index, findings)| Some((index, findings.iter().find(fails)?)))
    }

    /// Why this plan needs a backup, as the end of "a backup is made first: "; `None` if every step could be analysed and
    /// none can destroy data.
    ///
    /// SQLite copies a table for most changes. What the code leaves out of the copy, or what points at the old table, may
    /// be lost without a word.
    pub fn backup_reason(&self, dialect: Option<Dialect>) -> Option<String> {
        if let Some(reason) = &self.unread {
            return Some(format!("the steps could not be looked into: {reason}"));
        }
        self.findings()
            .filter(|finding| finding.level >= Level::Medium)
            // A step that fails destroys least: it is the reason only if nothing else is.
            .max_by_key(|finding| {
                (
                    finding.outcome != Some(FailurePrediction::WillFail),
                    finding.level,
                )
            })
            .or_else(|| {
                let copies_table = |finding: &&Finding| finding.code == FindingCode::TableRewritten;
                let is_sqlite = dialect == Some(Dialect::Sqlite);
                self.findings().find(|one| is_sqlite && copies_table(one))
            })
            .map(|finding| finding.sentence.clone())
    }
}
