//! A rollback in its phases: observe, plan, agree, protect, run the steps, report. `downgrade-safe`, `resume`, `abandon` and `guard` are all
//! one of these.

mod arguments;
mod backup_policy;
mod begun;
mod confirmation;
mod consent;
mod execution_mode;
mod file_checks;
mod guard_rollback;
mod next;
mod options;
mod planned;
mod recheck;
mod record_end;
mod request;
mod restore_on_failure;
mod rollback;
mod steps;

pub(crate) use self::arguments::HowArgs;
pub(crate) use self::backup_policy::BackupDecision;
pub(crate) use self::file_checks::{FileChecks, PlanScope, refuse_choice};
pub(crate) use self::guard_rollback::GuardRollback;
pub(crate) use self::next::undoing;
pub(crate) use self::options::repeating;
use self::planned::Planned;
pub(crate) use self::request::{Goal, Request};
pub(crate) use self::rollback::run;
