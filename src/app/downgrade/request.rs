//! A rollback that was asked for, by whichever command.

use super::HowArgs;
use super::guard_rollback::GuardRollback;
use crate::app::whose_run::Purpose;
use rollback_core::guard::TARGET;

/// What to roll back, and how.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) goal: Goal,
    /// Show the plan and change nothing.
    pub(crate) dry_run: bool,
    pub(crate) how: HowArgs,
}

/// Where a rollback ends.
#[derive(Debug)]
pub(crate) enum Goal {
    /// As typed: `-3`, a revision, `base`.
    Target(String),
    /// One migration of SQL files.
    Only(String),
    /// Where the unfinished run was going.
    Resume {
        /// The revision that the database is at after a repair by hand.
        accept: Option<String>,
        /// Whether the run may be of another database, which was moved here.
        other_database: bool,
    },
    /// The unfinished run is closed, and nothing is run.
    Abandon {
        /// As above.
        other_database: bool,
    },
    /// Where a command under guard began.
    BeforeGuarded(Box<GuardRollback>),
}

impl Request {
    pub(super) fn purpose(&self) -> Purpose {
        match self.goal {
            Goal::Resume { other_database, .. } | Goal::Abandon { other_database } => {
                Purpose::TakeUp { other_database }
            }
            _ if self.dry_run => Purpose::Look,
            _ => Purpose::Begin,
        }
    }

    /// The target as typed; words if there is none.
    pub(super) fn shown_target(&self) -> String {
        match &self.goal {
            Goal::Target(target) => target.clone(),
            Goal::Only(only) => format!("--only {only}"),
            Goal::BeforeGuarded(_) => TARGET.to_owned(),
            Goal::Resume { .. } | Goal::Abandon { .. } => "what was left".to_owned(),
        }
    }

    pub(super) fn guarded(&self) -> Option<&GuardRollback> {
        match &self.goal {
            Goal::BeforeGuarded(guarded) => Some(guarded),
            _ => None,
        }
    }

    pub(crate) fn accepted(&self) -> Option<&str> {
        match &self.goal {
            Goal::Resume { accept, .. } => accept.as_deref(),
            _ => None,
        }
    }
}
