//! `--on-failure restore`: a run that failed after it had changed the database ends with its backup restored.

use std::time::Instant;

use super::backup_policy::restoring;
use crate::app::CommandContext;
use crate::app::backup_service::BackupService;
use crate::app::journal_recorder::RunRecorder;
use crate::app::project::Project;
use crate::config::OnFailure;
use crate::error::Failure;
use rollback_core::backup::Manifest;
use rollback_core::journal::{BackupMoment, RunBackup};
use rollback_core::outcome::{Outcome, Position, RunOutcome};

/// What became of a database after a run that failed.
pub(super) enum RestoreOutcome {
    /// It stayed as the run left it.
    None,
    /// It is what it was before this.
    Restored(BackupMoment),
    /// It is not, although it should be.
    Failed(Failure),
}

/// Restores the backup of a run that failed after it had changed the database, where that was asked for.
pub(super) fn restore_on_failure(
    context: &CommandContext<'_>,
    project: &mut Project,
    backup: Option<&RunBackup>,
    record: &mut RunRecorder,
    report: &mut RunOutcome,
) -> RestoreOutcome {
    let Some(backup) = backup else {
        return RestoreOutcome::None;
    };
    // What the command did, or an earlier part of the run, is undone as well.
    let earlier = match backup.before {
        BackupMoment::Command => true,
        BackupMoment::Run => record.offset() > 0,
        BackupMoment::Resume => false,
    };
    let changed = match report.outcome() {
        Outcome::FailedChanged => true,
        Outcome::FailedUnchanged => earlier || !report.done.is_empty(),
        Outcome::Done | Outcome::Interrupted => false,
    };
    if !changed {
        return RestoreOutcome::None;
    }
    let asked_for = context.settings.on_failure == OnFailure::Restore;
    if asked_for && report.stop.as_ref().is_some_and(|stop| stop.may_be_others) {
        context.ui.warn(
            "the backup was not restored: rows are gone, and rollback cannot tell whether this run or another \
             session removed them",
        );
        return RestoreOutcome::None;
    }
    let rescue = restore(context, project, backup, record);
    if let RestoreOutcome::Restored(_) = rescue {
        report.done = Vec::new();
        report.undone = true;
        report.current = Some(backup.manifest.heads.clone());
        if let Some(stop) = &mut report.stop {
            stop.position = Position::Unchanged {
                schema_compared: true,
            };
        }
    }
    rescue
}

/// Restores a backup where the operator asked for that on a failure.
pub(super) fn restore(
    context: &CommandContext<'_>,
    project: &mut Project,
    backup: &RunBackup,
    record: &mut RunRecorder,
) -> RestoreOutcome {
    if context.settings.on_failure != OnFailure::Restore {
        return RestoreOutcome::None;
    }
    let started = Instant::now();
    match put_back(context, project, backup) {
        Ok(saved) => {
            let elapsed = started.elapsed();
            context.ui.put_back(backup, &saved, elapsed);
            if let Err(reason) = record.restored(&backup.manifest, context.operator, elapsed) {
                context
                    .ui
                    .warn(&format!("that is not in the record of the run: {reason}"));
            }
            RestoreOutcome::Restored(backup.before)
        }
        Err(failure) => {
            context.ui.not_put_back(&backup.manifest, &failure);
            RestoreOutcome::Failed(failure)
        }
    }
}

/// Saves the state that is replaced, then restores the backup. Gives the backup of the replaced state: what others
/// wrote meanwhile is in it and nowhere else. So without it nothing is restored.
fn put_back(
    context: &CommandContext<'_>,
    project: &mut Project,
    backup: &RunBackup,
) -> Result<Manifest, Failure> {
    // Whoever has the lock now may have changed what would be replaced.
    let verifier = project.runner_parts().2;
    verifier
        .may_go_on(true)
        .map_err(|cause| Failure::user(cause.to_string()))?;
    let service = BackupService::of(context, project)?;
    let manifest = &backup.manifest;
    service.check(manifest)?;
    let saved = service.make(None, context.settings.verify_backup).map_err(|failure| {
        failure
            .because("the state that the restore would replace could not be saved, so it was not replaced")
            .hint(format!(
                "to restore without saving it: {} --no-backup",
                restoring(context, backup)
            ))
    })?;
    context.ui.saved_before_restore(&saved);
    service.put_back(manifest).map_err(|not| {
        not.failure.hint(format!(
            "the state after the failure is saved: {}",
            context.command(&["restore", &saved.id])
        ))
    })?;
    Ok(saved)
}
