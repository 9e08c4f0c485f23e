//! The backup before the first step, and what it is for afterwards.

use std::time::Instant;

use crate::commands::Context;
use crate::commands::keeper::Keeper;
use crate::commands::record::Record;
use crate::commands::session::Session;
use crate::config::{BackupWhen, OnFailure};
use crate::domain::backup::{self, Manifest, Verified};
use crate::domain::plan::Plan;
use crate::domain::report::{Outcome, Position, Report};
use crate::domain::risk::outlook::Outlook;
use crate::error::Failure;

/// Whether a backup is made before the first step.
pub(in crate::commands) enum Safety {
    /// It is not: it was not wanted, or there is nothing to lose.
    None,
    /// It is, and this is why.
    Backup(String),
    /// It should be and cannot: why it should, and the refusal.
    Impossible(String, Failure),
}

/// What became of a database after a run that failed.
pub(super) enum Rescue {
    /// It stayed as the run left it.
    None,
    /// It is what it was before the run.
    Restored,
    /// It is not, although it should be.
    Failed(Failure),
}

impl Safety {
    /// What the settings and the plan ask for, and whether it can be had. Nothing is written.
    pub(in crate::commands) fn judge(
        context: &Context<'_>,
        session: &Session,
        plan: &Plan,
        outlook: &Outlook,
    ) -> Self {
        if plan.steps.is_empty() {
            return Self::None;
        }
        let settings = context.settings;
        let to_be_restored = settings.on_failure == Some(OnFailure::Restore);
        let reason = match settings.backup.unwrap_or_default() {
            BackupWhen::Never if to_be_restored => {
                return Self::Impossible(
                    "--on-failure restore needs one".to_owned(),
                    none_to_restore(),
                );
            }
            BackupWhen::Never => None,
            BackupWhen::Always => Some("one is made before every run, as asked".to_owned()),
            BackupWhen::Auto => backup::wanted(outlook).or_else(|| {
                to_be_restored
                    .then(|| "a failure is to be undone (--on-failure restore)".to_owned())
            }),
        };
        let Some(reason) = reason else {
            return Self::None;
        };
        let verify = settings.verify_backup.unwrap_or_default();
        let ready = Keeper::of(context, session).and_then(|keeper| keeper.ready(verify.into()));
        match ready {
            Ok(()) => Self::Backup(reason),
            Err(failure) => {
                let mut refusal = Failure::refused("no backup can be made: nothing was changed")
                    .because(format!("one is wanted: {reason}"))
                    .because(failure.message);
                refusal.causes.extend(failure.causes);
                refusal.hints = failure.hints;
                Self::Impossible(reason, refusal.hint("to run without a backup: --no-backup"))
            }
        }
    }

    /// Refuses a backup that is wanted in any case and cannot be made, and gives how far one would be proven that
    /// may be made, for whoever has no plan yet.
    pub(in crate::commands) fn beforehand(
        context: &Context<'_>,
        session: &Session,
    ) -> Result<Option<Verified>, Failure> {
        let settings = context.settings;
        let to_be_restored = settings.on_failure == Some(OnFailure::Restore);
        let when = settings.backup.unwrap_or_default();
        if when == BackupWhen::Never {
            return if to_be_restored {
                Err(none_to_restore())
            } else {
                Ok(None)
            };
        }
        let verify = settings.verify_backup.unwrap_or_default();
        let ready = Keeper::of(context, session).and_then(|keeper| keeper.ready(verify.into()));
        match ready {
            Ok(()) => Ok(Some(verify.into())),
            Err(failure) if when == BackupWhen::Always || to_be_restored => Err(failure
                .because("a backup is to be made before every rollback")
                .hint("to roll back without one: --no-backup")),
            Err(failure) => {
                context.ui.warn(&format!(
                    "no backup can be made here, so that a rollback that wants one will be refused: {}; to roll back without one: --no-backup",
                    failure.message
                ));
                Ok(None)
            }
        }
    }

    /// How far the backup that will be made will be proven.
    pub(in crate::commands) fn intended(&self, context: &Context<'_>) -> Option<Verified> {
        let verify = context.settings.verify_backup.unwrap_or_default();
        matches!(self, Self::Backup(_)).then(|| verify.into())
    }

    /// In a line of a plan.
    pub(in crate::commands) fn sentence(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Backup(reason) => Some(format!("is made first: {reason}")),
            Self::Impossible(reason, failure) => {
                let why = failure.causes.get(1).unwrap_or(&failure.message);
                Some(format!("is wanted and cannot be made, {why}: {reason}"))
            }
        }
    }

    /// Refuses a run that should have a backup and cannot.
    pub(super) fn refuse(&mut self) -> Result<(), Failure> {
        match std::mem::replace(self, Self::None) {
            Self::Impossible(_, failure) => Err(failure),
            own => {
                *self = own;
                Ok(())
            }
        }
    }

    /// Makes the backup that is wanted for a run.
    pub(super) fn make(
        &self,
        context: &Context<'_>,
        session: &Session,
        run: &str,
    ) -> Result<Option<Manifest>, Failure> {
        let Self::Backup(reason) = self else {
            return Ok(None);
        };
        context.ui.backing_up(reason);
        let keeper = Keeper::of(context, session)?;
        let verify = context.settings.verify_backup.unwrap_or_default();
        let manifest = keeper.make(Some(run), verify.into()).map_err(|failure| {
            failure
                .because("it was to be made before the first step: nothing was changed")
                .hint("to run without a backup: --no-backup")
        })?;
        let path = keeper.backups().file(&manifest);
        context
            .ui
            .backed_up(&manifest, &path, reason, &restoring(context, &manifest));
        Ok(Some(manifest))
    }
}

fn none_to_restore() -> Failure {
    Failure::refused(
        "--on-failure restore needs a backup, and none is to be made: nothing was changed",
    )
    .hint("leave --no-backup and ROLLBACK_BACKUP=never away, or --on-failure restore")
}

/// The command that puts a backup back.
pub(super) fn restoring(context: &Context<'_>, manifest: &Manifest) -> String {
    context.command(&["restore", &manifest.id])
}

/// Makes the database what it was before the run, where the run failed, changed it, and is to be undone.
pub(super) fn rescue(
    context: &Context<'_>,
    session: &mut Session,
    manifest: Option<&Manifest>,
    record: &mut Record,
    report: &mut Report,
) -> Rescue {
    let changed = match report.outcome() {
        Outcome::FailedChanged => true,
        Outcome::FailedUnchanged => !report.done.is_empty(),
        Outcome::Done | Outcome::Interrupted => false,
    };
    let (true, Some(manifest), Some(OnFailure::Restore)) =
        (changed, manifest, context.settings.on_failure)
    else {
        return Rescue::None;
    };
    let started = Instant::now();
    match put_back(context, session, manifest) {
        Ok(()) => {
            let elapsed = started.elapsed();
            context.ui.put_back(manifest, elapsed);
            report.done = Vec::new();
            report.undone = true;
            report.current = Some(manifest.heads.clone());
            if let Some(stop) = &mut report.stop {
                stop.position = Position::Unchanged {
                    schema_compared: true,
                };
            }
            if let Err(reason) = record.restored(manifest, context.operator, elapsed) {
                context
                    .ui
                    .warn(&format!("that is not in the record of the run: {reason}"));
            }
            Rescue::Restored
        }
        Err(failure) => {
            context.ui.not_put_back(manifest, &failure);
            Rescue::Failed(failure)
        }
    }
}

fn put_back(
    context: &Context<'_>,
    session: &mut Session,
    manifest: &Manifest,
) -> Result<(), Failure> {
    // Whoever has the lock now may have changed what would be replaced.
    session.parts().2.may_go_on().map_err(Failure::user)?;
    let keeper = Keeper::of(context, session)?;
    keeper.check(manifest)?;
    keeper.put_back(manifest).map_err(|not| not.failure)?;
    Ok(())
}
