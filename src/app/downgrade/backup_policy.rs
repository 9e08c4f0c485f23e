//! The backup before the first step, and what it is for afterwards.

use crate::app::CommandContext;
use crate::app::backup_service::BackupService;
use crate::app::project::Project;
use crate::config::{BackupWhen, OnFailure};
use crate::error::Failure;
use migration_forecast::risk::plan_forecast::PlanForecast;
use rollback_core::backup::Verified;
use rollback_core::journal::{BackupMoment, RunBackup, to_go_back};
use rollback_core::plan::Plan;

/// Whether a backup is made before the first step that is run now.
pub(crate) enum BackupDecision {
    /// It is not: it was not wanted, or there is nothing to lose.
    NotNeeded,
    /// It is, and this is why.
    Needed(String),
    /// The run has one already, which is sound.
    Kept(Box<RunBackup>),
    /// It should be and cannot.
    Impossible {
        /// Why it should.
        wanted: String,
        /// Why it cannot.
        why: String,
        /// What refuses the run.
        refusal: Failure,
    },
}

/// The backup that a run has before its steps are run: one from before the command under guard, or from an
/// earlier part of a run that is resumed.
pub(super) enum ExistingBackup {
    /// It has none.
    None,
    /// It is there, and its file is as it was written.
    Sound {
        /// The one to go back to.
        backup: Box<RunBackup>,
        /// Whether the run has one from before its steps as well.
        covers_steps: bool,
    },
    /// Its file is gone or damaged, which these sentences say.
    Unsound(Box<RunBackup>, Failure),
}

impl ExistingBackup {
    /// Looks for it, and reads its file.
    pub(super) fn of(
        context: &CommandContext<'_>,
        project: &Project,
        backups: &[RunBackup],
    ) -> Self {
        let Some(backup) = to_go_back(backups) else {
            return Self::None;
        };
        let backup = Box::new(backup.clone());
        let covers_steps = backups
            .iter()
            .any(|backup| backup.before != BackupMoment::Command);
        let sound =
            BackupService::of(context, project).and_then(|service| service.check(&backup.manifest));
        match sound {
            Ok(()) => Self::Sound {
                backup,
                covers_steps,
            },
            Err(failure) => Self::Unsound(backup, failure),
        }
    }

    /// The one that can be restored.
    pub(super) fn sound(&self) -> Option<&RunBackup> {
        match self {
            Self::Sound { backup, .. } => Some(backup),
            Self::None | Self::Unsound(..) => None,
        }
    }
}

impl BackupDecision {
    /// What the settings and the plan ask for where the run has a backup already or not.
    pub(super) fn of_run(
        context: &CommandContext<'_>,
        project: &Project,
        plan: &Plan,
        forecast: &PlanForecast,
        own: &ExistingBackup,
    ) -> Self {
        let settings = context.settings;
        let to_be_restored = settings.on_failure == OnFailure::Restore;
        let when = settings.backup;
        match own {
            ExistingBackup::None => {}
            _ if plan.steps.is_empty() => {}
            ExistingBackup::Sound {
                backup,
                covers_steps,
            } => {
                let another = match (when, backup.before) {
                    (BackupWhen::Never, _) => None,
                    // What was written since the command is in none.
                    (_, BackupMoment::Command) if !covers_steps => {
                        forecast.backup_reason(project.dialect())
                    }
                    (BackupWhen::Always, BackupMoment::Run | BackupMoment::Resume) => {
                        Some("one is made before every run, as asked".to_owned())
                    }
                    _ => None,
                };
                return match another {
                    Some(reason) => Self::wanted(context, project, reason),
                    None => Self::Kept(backup.clone()),
                };
            }
            ExistingBackup::Unsound(backup, failure) if to_be_restored => {
                return Self::Impossible {
                    wanted: "--on-failure restore needs the backup of this run".to_owned(),
                    why: failure.message.clone(),
                    refusal: cannot_be_restored(backup, failure),
                };
            }
            ExistingBackup::Unsound(backup, failure) => context.ui.warn(&format!(
                "the backup {} of this run, made {}, cannot be restored: {}",
                backup.manifest.id,
                backup.before.phrase(),
                failure.causes.last().unwrap_or(&failure.message)
            )),
        }
        Self::judge(context, project, plan, forecast)
    }

    /// What the settings and the plan ask for, and whether it can be had. Nothing is written.
    pub(crate) fn judge(
        context: &CommandContext<'_>,
        project: &Project,
        plan: &Plan,
        forecast: &PlanForecast,
    ) -> Self {
        if plan.steps.is_empty() {
            return Self::NotNeeded;
        }
        let settings = context.settings;
        let to_be_restored = settings.on_failure == OnFailure::Restore;
        let reason = match settings.backup {
            BackupWhen::Never if to_be_restored => {
                let refusal = none_to_restore();
                return Self::Impossible {
                    wanted: "--on-failure restore needs one".to_owned(),
                    why: refusal.message.clone(),
                    refusal,
                };
            }
            BackupWhen::Never => None,
            BackupWhen::Always => Some("one is made before every run, as asked".to_owned()),
            BackupWhen::Auto => forecast.backup_reason(project.dialect()).or_else(|| {
                to_be_restored
                    .then(|| "a failure is to be undone (--on-failure restore)".to_owned())
            }),
        };
        match reason {
            Some(reason) => Self::wanted(context, project, reason),
            None => Self::NotNeeded,
        }
    }

    /// Whether the backup can be made that is wanted for this reason.
    fn wanted(context: &CommandContext<'_>, project: &Project, reason: String) -> Self {
        let verify = context.settings.verify_backup;
        let ready = BackupService::of(context, project).and_then(|service| service.ready(verify));
        match ready {
            Ok(()) => Self::Needed(reason),
            Err(failure) => {
                let mut refusal = Failure::refused("no backup can be made: nothing was changed")
                    .because(format!("one is wanted: {reason}"))
                    .because(&failure.message);
                refusal.causes.extend(failure.causes);
                refusal.hints = failure.hints;
                Self::Impossible {
                    wanted: reason,
                    why: failure.message,
                    refusal: refusal.hint("to run without a backup: --no-backup"),
                }
            }
        }
    }

    /// Refuses a backup that is wanted in any case and cannot be made, and gives how far one would be proven that
    /// may be made, for whoever has no plan yet.
    pub(crate) fn beforehand(
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Result<Option<Verified>, Failure> {
        let settings = context.settings;
        let to_be_restored = settings.on_failure == OnFailure::Restore;
        let when = settings.backup;
        if when == BackupWhen::Never {
            return if to_be_restored {
                Err(none_to_restore())
            } else {
                Ok(None)
            };
        }
        let verify = settings.verify_backup;
        let ready = BackupService::of(context, project).and_then(|service| service.ready(verify));
        match ready {
            Ok(()) => Ok(Some(verify)),
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

    /// Makes the backup from before a command under guard, where one is to be made in any case. Whether what the
    /// command will apply puts data at risk is only known afterwards.
    pub(crate) fn before_the_command(
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Result<Option<RunBackup>, Failure> {
        let settings = context.settings;
        let reason = match (settings.backup, settings.on_failure) {
            (BackupWhen::Never, _) => return Ok(None),
            (_, OnFailure::Restore) => {
                "it is restored if the rollback fails (--on-failure restore)"
            }
            (BackupWhen::Always, _) => "one is made before every command, as asked",
            (BackupWhen::Auto, _) => return Ok(None),
        };
        context.ui.backing_up(reason);
        made(context, project, None, BackupMoment::Command, reason)
            .map(Some)
            .map_err(|failure| {
                failure
                    .because("it was to be made before the command")
                    .hint("to run the command without one: --no-backup")
            })
    }

    /// How far the backup that will be made will be proven.
    pub(crate) fn intended(&self, context: &CommandContext<'_>) -> Option<Verified> {
        match self {
            Self::Needed(_) => Some(context.settings.verify_backup),
            Self::Kept(backup) => Some(backup.manifest.verified),
            Self::NotNeeded | Self::Impossible { .. } => None,
        }
    }

    /// In a line of a plan.
    pub(crate) fn sentence(&self) -> Option<String> {
        match self {
            Self::NotNeeded => None,
            Self::Needed(reason) => Some(format!("is made first: {reason}")),
            Self::Kept(backup) => Some(format!(
                "{}, made {}",
                backup.manifest.id,
                backup.before.phrase()
            )),
            Self::Impossible { wanted, why, .. } => {
                Some(format!("is wanted and cannot be made, {why}: {wanted}"))
            }
        }
    }

    /// Refuses a run that should have a backup and cannot.
    pub(super) fn refuse(&mut self) -> Result<(), Failure> {
        match std::mem::replace(self, Self::NotNeeded) {
            Self::Impossible { refusal, .. } => Err(refusal),
            own => {
                *self = own;
                Ok(())
            }
        }
    }

    /// Makes the backup that is wanted for a run.
    pub(super) fn make(
        &self,
        context: &CommandContext<'_>,
        project: &Project,
        run: &str,
        before: BackupMoment,
    ) -> Result<Option<RunBackup>, Failure> {
        let Self::Needed(reason) = self else {
            return Ok(None);
        };
        context.ui.backing_up(reason);
        let made = made(context, project, Some(run), before, reason).map_err(|failure| {
            failure
                .because("it was to be made before the first step: nothing was changed")
                .hint("to run without a backup: --no-backup")
        })?;
        Ok(Some(made))
    }
}

/// Makes a backup and says where it is.
fn made(
    context: &CommandContext<'_>,
    project: &Project,
    run: Option<&str>,
    before: BackupMoment,
    reason: &str,
) -> Result<RunBackup, Failure> {
    let service = BackupService::of(context, project)?;
    let manifest = service.make(run, context.settings.verify_backup)?;
    let path = service.backups().file(&manifest);
    let backup = RunBackup::new(manifest, before);
    context
        .ui
        .backed_up(&backup, &path, reason, &restoring(context, &backup));
    Ok(backup)
}

/// The refusal of a resume that is to be undone by a backup that is gone or damaged.
fn cannot_be_restored(backup: &RunBackup, failure: &Failure) -> Failure {
    let mut refusal = Failure::refused(
        "--on-failure restore cannot restore the backup of this run: nothing was changed",
    )
    .because(format!(
        "{} was made {}",
        backup.manifest.id,
        backup.before.phrase()
    ))
    .because(&failure.message);
    refusal.causes.extend(failure.causes.iter().cloned());
    refusal
        .hint("bring its file back, then resume")
        .hint("to resume without a restore on failure: --on-failure stop")
}

fn none_to_restore() -> Failure {
    Failure::refused(
        "--on-failure restore needs a backup, and none is to be made: nothing was changed",
    )
    .hint("leave --no-backup and ROLLBACK_BACKUP=never away, or --on-failure restore")
}

/// The command that puts a backup back.
pub(super) fn restoring(context: &CommandContext<'_>, backup: &RunBackup) -> String {
    context
        .command(&["restore", &backup.manifest.id])
        .to_string()
}
