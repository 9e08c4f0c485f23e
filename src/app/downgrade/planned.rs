//! The plan of this run with all that is shown of it.

use super::backup_policy::{ExistingBackup, restoring};
use super::file_checks::{FileChecks, PlanScope};
use super::next::undoing;
use super::{BackupDecision, Goal, Request};
use crate::app::CommandContext;
use crate::app::forecast::ShownForecast;
use crate::app::policy_check::{PolicyCheck, RunConditions, rule};
use crate::app::project::Project;
use crate::app::unfinished::ResumedRun;
use crate::error::Failure;
use crate::ui::{PlanFooter, PlanView};
use error_diagnosis::DiagnosisContext;
use rollback_core::command::Command;
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::plan::Plan;
use rollback_core::policy::ConsentSource;

pub(crate) struct Planned {
    /// As typed, or in words.
    target: String,
    pub(crate) plan: Plan,
    /// The command line of each step.
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) forecast: ShownForecast,
    pub(crate) ruled: PolicyCheck,
    /// Whether there is a backup before the first step.
    pub(crate) safety: BackupDecision,
    /// The backup that the run has already.
    pub(super) own: ExistingBackup,
    /// The command that restores the backup to go back to, once there is one.
    pub(super) restore: Option<String>,
    /// What keeps SQL files from being run.
    pub(super) registered: FileChecks,
}

impl Planned {
    /// Plans the way to the target, or takes the plan of a run that goes on.
    pub(crate) fn new(
        request: &Request,
        context: &CommandContext<'_>,
        project: &mut Project,
        resumed: Option<&ResumedRun>,
    ) -> Result<Self, Failure> {
        let target = request.shown_target();
        let plan = match (resumed, &request.goal) {
            (Some(resumed), _) => resumed.plan.clone(),
            (None, Goal::BeforeGuarded(guarded)) => guarded.plan(context, project)?,
            (None, Goal::Only(only)) => project.plan_only(only, context)?,
            (None, _) => project.plan(&target)?,
        };
        let extent = match (resumed, &request.goal) {
            (Some(_), _) => PlanScope::Rest,
            (None, Goal::Only(_)) => PlanScope::Only,
            (None, _) => PlanScope::Newest,
        };
        let again = same_plan(request, &plan, context, project);
        let registered = FileChecks::of(project, &plan, request.how.chosen, extent, again);
        let forecast = ShownForecast::of(project, &plan, context);
        let own = match (resumed, request.guarded()) {
            (Some(resumed), _) => ExistingBackup::of(context, project, &resumed.run.backups),
            (None, Some(guarded)) => ExistingBackup::of(context, project, guarded.backups()),
            (None, None) => ExistingBackup::None,
        };
        let safety = BackupDecision::of_run(context, project, &plan, &forecast.forecast, &own);
        let begun_as_a_whole = resumed.is_some_and(|resumed| resumed.run.as_a_whole);
        let manner = RunConditions {
            consent: if request.how.yes {
                ConsentSource::Yes
            } else {
                ConsentSource::Terminal
            },
            validate: request.how.atomic || begun_as_a_whole || context.settings.validate,
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

    pub(crate) fn show(
        &self,
        request: &Request,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Result<(), Failure> {
        let again = self.again(request, context, project);
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
        context.ui.plan_of_run(view, request.dry_run)?;
        if request.dry_run && project.sql().is_some() {
            let sql = project.render(&self.plan, context)?;
            context.ui.sql_of_dry_run(&self.plan, &sql)?;
        }
        if request.dry_run {
            self.registered.foretell(context);
        } else {
            self.registered.show(context);
        }
        Ok(())
    }

    /// The command for the same plan, with what was chosen.
    fn again(&self, request: &Request, context: &CommandContext<'_>, project: &Project) -> Command {
        let again = same_plan(request, &self.plan, context, project);
        match request.how.chosen {
            Some(chosen) => again.option("--use", chosen.name()),
            None => again,
        }
    }

    /// A refusal of what guard would do, with what to type instead.
    pub(super) fn with_way(
        &self,
        failure: Failure,
        request: &Request,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Failure {
        match request.guarded() {
            Some(_) => {
                let by_hand = self.again(request, context, project);
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
    request: &Request,
    plan: &Plan,
    context: &CommandContext<'_>,
    project: &Project,
) -> Command {
    let command = context.command(&["downgrade-safe"]);
    match &request.goal {
        Goal::Resume { .. } | Goal::Abandon { .. } => context.command(&["resume"]),
        Goal::Only(only) => command.option("--only", only),
        Goal::Target(target) => command.target(target),
        Goal::BeforeGuarded(_) => {
            let spelled = plan.spelled(&project.graph);
            command.target(spelled.unwrap_or_else(|| request.shown_target()))
        }
    }
}
