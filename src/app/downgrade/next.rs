//! The commands to type after a run.

use super::Request;
use super::backup_policy::restoring;
use super::options::resuming;
use super::restore_on_failure::RestoreOutcome;
use crate::app::CommandContext;
use migration_forecast::risk::verdict::UNANNOUNCED;
use rollback_core::journal::{BackupMoment, RunBackup};
use rollback_core::outcome::{Commands, RunOutcome};

/// What to do next, most urgent first.
pub(super) fn advice(
    request: &Request,
    context: &CommandContext<'_>,
    report: &RunOutcome,
    rescue: &RestoreOutcome,
    backup: Option<&RunBackup>,
) -> Vec<String> {
    let commands = next_commands(request, context);
    match rescue {
        RestoreOutcome::Restored(BackupMoment::Command | BackupMoment::Run) => {
            return vec![format!(
                "nothing of the run is left; see where the database stands, fix the cause, then start again: {}",
                commands.current
            )];
        }
        RestoreOutcome::Restored(BackupMoment::Resume) => {
            return vec![
                format!("fix the cause, then resume: {}", commands.resume),
                format!("to leave it here: {}", commands.abandon),
            ];
        }
        RestoreOutcome::None | RestoreOutcome::Failed(_) => {}
    }
    let mut advice = report.advice(&commands);
    if let (Some(backup), Some(last)) = (backup, advice.len().checked_sub(1)) {
        advice.insert(
            last,
            format!("to {}: {}", undoing(backup), restoring(context, backup)),
        );
    }
    if let RestoreOutcome::Failed(failure) = rescue {
        advice.splice(0..0, failure.hints.iter().cloned());
    }
    advice
}

/// What a restore of a backup does to a run, as it completes "to ".
pub(crate) fn undoing(backup: &RunBackup) -> String {
    let what = match backup.before {
        BackupMoment::Command => "undo the command and all of the run",
        BackupMoment::Run => "undo all of the run",
        BackupMoment::Resume => "undo what was done since the run was resumed",
    };
    format!(
        "{what}, and lose what was written since {}",
        backup.before.since()
    )
}

/// The commands that may come next.
fn next_commands(request: &Request, context: &CommandContext<'_>) -> Commands {
    let resume = resuming(&request.how, context.command(&["resume"]));
    Commands {
        resume_unannounced: resume.clone().option("--allow", UNANNOUNCED).to_string(),
        resume: resume.to_string(),
        abandon: context.command(&["abandon"]).to_string(),
        current: context.command(&["current"]).to_string(),
    }
}
