//! `rollback check`.

use clap::Args;

use super::CommandContext;
use super::foresee::{ProbeArgs, ShownForecast};
use super::project::Project;
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
    let mut session = Project::look(context)?;
    if let Some((id, verdict)) = session.not_applied(&args.revision)? {
        let database = session.identity.as_ref();
        let record = session.sql().and_then(|sql| sql.history.get(&id));
        return context.ui.not_applied(database, &id, record, &verdict);
    }
    let plan = session.plan_removing(&args.revision)?;
    let foreseen = ShownForecast::of(&mut session, &plan, context);
    let removed = plan.steps.last().map(|step| step.removes.clone());
    let registered = removed.as_ref().and_then(|id| session.registered(id));
    let target = plan.spelled(&session.graph);
    let next = match (&target, &removed) {
        (_, Some(id)) if registered.is_some() && plan.steps.len() == 1 => {
            let only = context.command(&["downgrade-safe"]);
            foreseen.next_command(only.option("--only", id.as_str()), context)
        }
        (Some(target), _) => {
            let again = context.command(&["downgrade-safe"]).target(target);
            foreseen.next_command(again, context)
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
    let advice = foreseen.advice();
    context.ui.examination(CheckView {
        database: session.identity.as_ref(),
        plan: &plan,
        registered: registered.as_ref(),
        outlook: &foreseen.outlook,
        advice: advice.recommendation.words(),
        reason: &advice.reason,
        ending: PlanFooter {
            verdict: &foreseen.verdict,
            next: &next.to_string(),
            backup: None,
        },
    })
}
