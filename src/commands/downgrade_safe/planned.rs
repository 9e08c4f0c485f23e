//! The plan of this run with all that is shown of it.

use super::backup_policy::{Own, restoring};
use super::file_checks::{FileChecks, PlanScope};
use super::next::undoing;
use super::{BackupDecision, DowngradeSafeArgs};
use crate::commands::CommandContext;
use crate::commands::foresee::ShownForecast;
use crate::commands::policy_check::{PolicyCheck, RunConditions, rule};
use crate::commands::project::Project;
use crate::commands::unfinished::ResumedRun;
use crate::error::Failure;
use crate::ui::{PlanFooter, PlanView};
use error_diagnosis::DiagnosisContext;
use rollback_core::command::Command;
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::plan::Plan;
use rollback_core::policy::Consent;

pub(in super::super) struct Planned {
    /// As typed, or in words.
    target: String,
    pub(in super::super) plan: Plan,
    /// The command line of each step.
    pub(in super::super) commands: Vec<Vec<String>>,
    pub(in super::super) forecast: ShownForecast,
    pub(in super::super) ruled: PolicyCheck,
    /// Whether there is a backup before the first step.
    pub(in super::super) safety: BackupDecision,
    /// The backup that the run has already.
    pub(super) own: Own,
    /// The command that restores the backup to go back to, once there is one.
    pub(super) restore: Option<String>,
    /// What keeps SQL files from being run.
    pub(super) registered: FileChecks,
}

impl Planned {
    /// Plans the way to the target, or takes the plan of a run that goes on.
    pub(in super::super) fn new(
        args: &DowngradeSafeArgs,
        context: &CommandContext<'_>,
        project: &mut Project,
        resumed: Option<&ResumedRun>,
    ) -> Result<Self, Failure> {
        let target = args.told_target();
        let plan = match (resumed, &args.taking_back, &args.only) {
            (Some(resumed), ..) => resumed.plan.clone(),
            (None, Some(taking_back), _) => taking_back.plan(context, project)?,
            (None, None, Some(only)) => project.plan_only(only, context)?,
            (None, None, None) => project.plan(&target)?,
        };
        let extent = match (resumed, &args.only) {
            (Some(_), _) => PlanScope::Rest,
            (None, Some(_)) => PlanScope::Only,
            (None, None) => PlanScope::Newest,
        };
        let again = same_plan(args, &plan, context, project);
        let registered = FileChecks::of(project, &plan, args.how.chosen, extent, again);
        let forecast = ShownForecast::of(project, &plan, context);
        let own = match (resumed, &args.taking_back) {
            (Some(resumed), _) => Own::of(context, project, &resumed.run.backups),
            (None, Some(taking_back)) => Own::of(context, project, taking_back.backups()),
            (None, None) => Own::None,
        };
        let safety = BackupDecision::of_run(context, project, &plan, &forecast.forecast, &own);
        let begun_as_a_whole = resumed.is_some_and(|resumed| resumed.run.as_a_whole);
        let manner = RunConditions {
            consent: if args.how.yes {
                Consent::Yes
            } else {
                Consent::Terminal
            },
            validate: args.how.atomic || begun_as_a_whole || context.settings.validate,
            backup: safety.intended(context),
            resumed,
        };
        let ruled = rule(context, project, &plan, &forecast, manner)?;
        Ok(Self {
            target,
            registered,
            commands: project.command_lines(&plan),
            forecast,
            ruled,
            safety,
            restore: own.sound().map(|backup| restoring(context, backup)),
            own,
            plan,
        })
    }

    pub(in super::super) fn show(
        &self,
        args: &DowngradeSafeArgs,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Result<(), Failure> {
        let again = self.again(args, context, project);
        let next = self.forecast.next_command(again, context).to_string();
        let backup = self.safety.sentence();
        let view = PlanView {
            database: project.identity.as_ref(),
            target: &self.target,
            plan: &self.plan,
            commands: &self.commands,
            ways: &project.ways(&self.plan),
            forecast: &self.forecast.forecast,
            ruling: self.ruled.ruling.as_ref(),
            ending: PlanFooter {
                verdict: &self.forecast.verdict,
                next: &next,
                backup: backup.as_deref(),
            },
        };
        context.ui.plan_of_run(view, args.dry_run)?;
        if args.dry_run && project.sql().is_some() {
            let sql = project.render(&self.plan, context)?;
            context.ui.sql_of_dry_run(&self.plan, &sql)?;
        }
        if args.dry_run {
            self.registered.foretell(context);
        } else {
            self.registered.show(context);
        }
        Ok(())
    }

    /// The command for the same plan, with what was chosen.
    fn again(
        &self,
        args: &DowngradeSafeArgs,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Command {
        let again = same_plan(args, &self.plan, context, project);
        match args.how.chosen {
            Some(chosen) => again.option("--use", chosen.name()),
            None => again,
        }
    }

    /// A refusal of what guard would do, with what to type instead.
    pub(super) fn with_way(
        &self,
        failure: Failure,
        args: &DowngradeSafeArgs,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Failure {
        match args.taking_back {
            Some(_) => {
                let by_hand = self.again(args, context, project);
                let failure = failure.hint(format!("or do it by hand: {by_hand}"));
                match self.own.sound() {
                    Some(backup) => failure.hint(format!(
                        "or {}: {}",
                        undoing(backup),
                        restoring(context, backup)
                    )),
                    None => failure,
                }
            }
            None => failure,
        }
    }

    /// What is known of each step, should it fail.
    pub(super) fn known(
        &self,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Vec<DiagnosisContext> {
        let dialect = project
            .identity
            .as_ref()
            .and_then(|identity| Dialect::named(&identity.dialect));
        let steps = self.plan.steps.iter().enumerate();
        steps
            .map(|(index, step)| DiagnosisContext {
                dialect,
                revision: Some(step.removes.to_string()),
                dropped_by: self.forecast.culprits(index, FindingCode::ObjectMissing),
                made_by: self.forecast.culprits(index, FindingCode::ObjectExists),
                restore: self.restore.clone(),
                look: Some(context.command(&["current"]).to_string()),
                ..DiagnosisContext::default()
            })
            .collect()
    }
}

/// The command for the same plan.
fn same_plan(
    args: &DowngradeSafeArgs,
    plan: &Plan,
    context: &CommandContext<'_>,
    project: &Project,
) -> Command {
    if args.resume {
        return context.command(&["resume"]);
    }
    let command = context.command(&["downgrade-safe"]);
    if let Some(only) = &args.only {
        return command.option("--only", only);
    }
    let spelled = args
        .taking_back
        .as_ref()
        .and_then(|_| plan.spelled(&project.graph));
    command.target(spelled.unwrap_or_else(|| args.told_target()))
}
