//! Whether a rollback may be run here and now, and what is missing if not.
//!
//! A policy keeps people from mistakes: a forgotten reason, the wrong hour, a script that was meant for
//! another place. Who may write its file may do what they want.

pub mod checklist;
mod decide;
pub mod environment;
mod situation;
pub mod window;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::window::Windows;
use super::backup::Verified;
use super::finding_code::{FindingCode, Level};

pub use self::decide::is_same_person;
pub use self::situation::{ConsentSource, Situation};

/// What an operator says about a rollback besides its target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunContext {
    /// Where this is: `production`; `None` where nothing says so.
    pub environment: Option<String>,
    /// Why it is rolled back.
    pub reason: Option<String>,
    /// The record of the incident.
    pub incident: Option<String>,
    /// Who else agreed.
    pub approved_by: Option<String>,
    /// When the release went out, RFC 3339.
    pub deployed_at: Option<String>,
}

/// One requirement and whether it is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Stable, for programs: `reason`, `backup`, `window`.
    pub code: String,
    /// What is required, and what was found.
    pub sentence: String,
    /// Whether it is met.
    pub met: bool,
    /// What helps, if anything does.
    pub remedy: Option<String>,
    /// Whether that is an option to give. The journal does not have it.
    #[serde(skip)]
    pub is_option: bool,
}

/// The rules of one environment. Without any, everything is allowed that the rest of the program allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a rule that is there or not"
)]
pub struct Policy {
    /// The environment that they are for; `None` where nobody says.
    pub environment: Option<String>,
    /// The environments that have rules of their own, where it is not said which of them this is.
    pub undecided: Vec<String>,
    /// A reason has to be given.
    pub require_reason: bool,
    /// An incident has to be named.
    pub require_incident: bool,
    /// Another person than the operator has to have approved.
    pub require_approver: bool,
    /// A backup has to be made first, and proven so far.
    pub require_backup: Option<Verified>,
    /// The maintenance windows; `None` for at any time.
    pub windows: Option<Windows>,
    /// Nothing may be left over from before, and the data and indexes have no faults.
    pub require_clean_schema: bool,
    /// Each step has to be looked at.
    pub require_validation: bool,
    /// How many steps at most. None at all is the rule of who only goes forward.
    pub max_steps: Option<usize>,
    /// How old the release may be that is rolled back.
    pub max_age: Option<Duration>,
    /// Findings of this level or worse are refused, whatever is allowed.
    pub deny_level: Option<Level>,
    /// Findings of these codes are refused, whatever is allowed.
    pub deny_codes: BTreeSet<FindingCode>,
    /// `-y` is not enough: a person has to consent.
    pub forbid_yes: bool,
    /// The question is answered by the name of the database, even where nothing is at stake.
    pub typed_confirmation: bool,
}

/// What the policy made of a rollback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDecision {
    /// The environment whose rules were used.
    pub environment: Option<String>,
    /// Each requirement.
    pub points: Vec<Requirement>,
}

impl PolicyDecision {
    /// Whether nothing is missing.
    pub fn is_met(&self) -> bool {
        self.missing().next().is_none()
    }

    /// The requirements that are not met.
    pub fn missing(&self) -> impl Iterator<Item = &Requirement> {
        self.points.iter().filter(|point| !point.met)
    }
}

#[cfg(test)]
mod tests;
