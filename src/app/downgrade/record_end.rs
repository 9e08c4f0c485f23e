//! The last entries of a record: where a run ended, and what there is then.

use super::Planned;
use crate::app::journal_recorder::RunRecorder;
use crate::app::project::Project;
use crate::error::{Exit, Failure};
use crate::ui::hidden;
use error_diagnosis::{self, DiagnosisContext};
use rollback_core::journal::{Entry, Stopped};
use rollback_core::outcome::{Cause, RunOutcome};
use rollback_core::secret::mask;

/// Writes them. `next` are the commands that the operator is told to type.
pub(super) fn write(
    project: &mut Project,
    planned: &Planned,
    known: &[DiagnosisContext],
    record: &mut RunRecorder,
    report: &RunOutcome,
    next: &[String],
    exit: Exit,
) -> Result<(), Failure> {
    let mut entries = Vec::new();
    if let Some(mut stopped) = stopped(project, planned, known, report, next) {
        stopped.step += record.offset();
        entries.push(Entry::Stopped(Box::new(stopped)));
    }
    let rows = project.rows_at_the_end(report.stop.is_none());
    if !rows.is_empty() {
        entries.push(Entry::Counted { rows });
    }
    record.end(entries, report, exit)
}

fn stopped(
    project: &Project,
    planned: &Planned,
    known: &[DiagnosisContext],
    report: &RunOutcome,
    next: &[String],
) -> Option<Stopped> {
    let stop = report.stop.as_ref()?;
    let secrets = project.secrets();
    let masked = |text: &str| mask(text, secrets);
    let step = planned.plan.steps.get(stop.index)?;
    let known = known.get(stop.index).cloned().unwrap_or_default();
    // Without passwords already when it is made: it quotes what the engine said.
    let diagnosis = error_diagnosis::of_stop(&hidden(stop, secrets), &known);
    Some(Stopped {
        step: stop.index,
        revision: step.removes.to_string(),
        cause: masked(&stop.cause.to_string()),
        position: masked(&stop.position.to_string()),
        unannounced: match &stop.cause {
            Cause::Unannounced(surprises) => surprises.clone(),
            _ => Vec::new(),
        },
        reason: stop.reason.as_deref().map(masked),
        diagnosis,
        next: next.iter().map(|text| masked(text)).collect(),
        stdout: masked(&stop.stdout),
        stderr: masked(&stop.stderr),
    })
}
