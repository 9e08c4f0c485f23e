//! How the steps are run: each for itself, or all of them or none.

use super::Request;
use crate::app::CommandContext;
use crate::app::project::{AtomicMethod, Project, not_as_a_whole};
use crate::app::unfinished::ResumedRun;
use crate::error::Failure;
use rollback_core::failpoint;
use rollback_core::outcome::{Outcome, RunOutcome};
use rollback_core::plan::Plan;
use rollback_core::runner::{self, RunnerParts};
use rollback_database::Snapshot;

/// What makes a whole of the steps, where they are to be one. What was begun as a whole goes on as one.
pub(super) fn whole(
    request: &Request,
    context: &CommandContext<'_>,
    project: &Project,
    plan: &Plan,
    resumed: Option<&ResumedRun>,
) -> Result<Option<AtomicMethod>, Failure> {
    let begun_so = resumed.is_some_and(|resumed| resumed.run.as_a_whole);
    if !request.how.atomic && !begun_so {
        return Ok(None);
    }
    let whole = project.as_a_whole(plan).map_err(|failure| {
        if begun_so {
            failure.hint(format!(
                "the run was begun with --atomic; to go another way, give it up and begin anew: {}",
                context.command(&["abandon"])
            ))
        } else {
            failure
        }
    })?;
    Ok(Some(whole))
}

/// How the steps are run, with all that has to be there for it.
pub(super) enum ExecutionMode {
    StepByStep,
    Transaction,
    /// To be put back where the steps do not come to their end.
    FileSnapshot(Snapshot),
}

impl ExecutionMode {
    /// Takes the copy where there is to be one.
    pub(super) fn prepare(whole: Option<AtomicMethod>) -> Result<Self, Failure> {
        Ok(match whole {
            None => Self::StepByStep,
            Some(AtomicMethod::Transaction) => Self::Transaction,
            Some(AtomicMethod::File(file)) => {
                let taken = Snapshot::take(&file).map_err(|reason| not_as_a_whole(&reason))?;
                failpoint::point("after_copy");
                Self::FileSnapshot(taken)
            }
        })
    }

    pub(super) fn is_atomic(&self) -> bool {
        !matches!(self, Self::StepByStep)
    }

    pub(super) fn copy(&self) -> Option<&Snapshot> {
        match self {
            Self::FileSnapshot(snapshot) => Some(snapshot),
            Self::StepByStep | Self::Transaction => None,
        }
    }

    /// The failure of a run that did not begin: the copy has nothing to bring back.
    pub(super) fn not_gone(&self, failure: Failure) -> Failure {
        match self.copy().map(Snapshot::discard) {
            Some(Err(reason)) => failure.because(reason),
            Some(Ok(())) | None => failure,
        }
    }

    pub(super) fn run(
        &self,
        plan: &Plan,
        parts: &mut RunnerParts<'_>,
        context: &CommandContext<'_>,
    ) -> RunOutcome {
        match self {
            Self::StepByStep => runner::run(plan, parts),
            Self::Transaction => runner::run_in_transaction(plan, parts),
            Self::FileSnapshot(snapshot) => run_with_snapshot(plan, parts, snapshot, context),
        }
    }
}

/// The copy outlives the run where it could not be put back.
fn run_with_snapshot(
    plan: &Plan,
    parts: &mut RunnerParts<'_>,
    snapshot: &Snapshot,
    context: &CommandContext<'_>,
) -> RunOutcome {
    let ui = context.ui;
    let (report, kept) = runner::run_with_snapshot(plan, parts, || snapshot.put_back());
    if report.outcome() == Outcome::Done || kept.is_ok() {
        for reason in [kept, snapshot.discard()]
            .into_iter()
            .filter_map(Result::err)
        {
            ui.warn(&reason);
        }
    } else if let Err(reason) = kept {
        ui.warn(&format!(
            "the file was not put back: {reason}; as it was before the first step it is kept as {}; to put it back: {}",
            snapshot.path().display(),
            context.command(&["resume"])
        ));
    }
    report
}
