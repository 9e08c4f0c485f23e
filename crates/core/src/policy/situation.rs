//! What a policy looks at.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::RunContext;
use crate::backup::Verified;
use crate::finding_code::{FindingCode, Level};
use crate::lock::Operator;

/// How the operator consents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentSource {
    /// By an answer at a terminal.
    Terminal,
    /// By `-y`, with which nobody reads the plan.
    Yes,
}

/// A rollback as it is about to begin.
///
/// It does not matter here whether it is a dry run: the ruling is the same, and only who asked for the run is
/// refused by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// What the operator said.
    pub circumstances: RunContext,
    /// Who runs it.
    pub operator: Operator,
    /// How the operator consents.
    pub consent: ConsentSource,
    /// How many steps are to be taken.
    pub steps: usize,
    /// The worst level that is predicted; [`Level::Unknown`] where no migration could be read.
    pub level: Option<Level>,
    /// The codes of what is predicted.
    pub codes: BTreeSet<FindingCode>,
    /// The backup that will be made first, and how far it will be proven; `None` where none will be.
    pub backup: Option<Verified>,
    /// Whether each step will be looked at.
    pub validate: bool,
    /// What is left over from before and what is at fault, a sentence each; `None` where it could not be
    /// looked for.
    pub faults: Option<Vec<String>>,
    /// The moment.
    pub now: Timestamp,
}
