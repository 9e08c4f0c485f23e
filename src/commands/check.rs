//! `rollback check`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::forecast::{ProbeArgs, ShownForecast};
use crate::app::project::Project;
use crate::error::Failure;
use crate::ui::{CheckView, PlanFooter};

/// Show all that is known of taking one applied revision back.
///
/// What has to go before it, everything that was found with the queries that were asked, and whether
/// to roll back, to restore a backup or to fix forward.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback check 363a9b1e8992
  rollback check 363a --format json")]
pub struct CheckArgs {
    /// A revision, or the beginning of one.
    pub revision: String,

    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// Shows what is known.
pub fn run(args: &CheckArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let mut project = Project::look(context)?;
    if let Some((id, verdict)) = project.not_applied(&args.revision)? {
        let database = project.identity.as_ref();
        let record = project.sql().and_then(|sql| sql.history.get(&id));
        return context.ui.not_applied(database, &id, record, &verdict);
    }
    let plan = project.plan_removing(&args.revision)?;
    let forecast = ShownForecast::of(&mut project, &plan, context);
    let removed = plan.steps.last().map(|step| step.removes.clone());
    let registered = removed.as_ref().and_then(|id| project.registered(id));
    let target = plan.spelled(&project.graph);
    let next = match (&target, &removed) {
        (_, Some(id)) if registered.is_some() && plan.steps.len() == 1 => {
            let only = context.command(&["downgrade-safe"]);
            forecast.next_command(only.option("--only", id.as_str()), context)
        }
        (Some(target), _) => {
            let again = context.command(&["downgrade-safe"]).target(target);
            forecast.next_command(again, context)
        }
        // The first of those that have to go before it.
        (None, Some(_)) if registered.is_some() => match plan.steps.first() {
            Some(first) => context
                .command(&["downgrade-safe"])
                .option("--only", first.removes.as_str()),
            None => context.command(&["list"]),
        },
        (None, _) => context.command(&["list"]),
    };
    let advice = forecast.advice();
    context.ui.examination(CheckView {
        database: project.identity.as_ref(),
        plan: &plan,
        registered: registered.as_ref(),
        forecast: &forecast.forecast,
        advice: advice.recommendation.words(),
        reason: &advice.reason,
        ending: PlanFooter {
            verdict: &forecast.verdict,
            next: &next.to_string(),
            backup: None,
        },
    })
}
