//! `rollback check`.

use clap::Args;

use super::Context;
use super::foresee::{Foreseen, ProbeArgs};
use super::session::Session;
use crate::error::Failure;
use crate::ui::{Ending, Examination};

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
pub fn run(args: &CheckArgs, context: &Context<'_>) -> Result<(), Failure> {
    let mut session = Session::look(context)?;
    let plan = session.plan_removing(&args.revision)?;
    let foreseen = Foreseen::of(&mut session, &plan, context);
    let target = plan.spelled(&session.graph);
    let next = match &target {
        Some(target) => foreseen.next_command(&[target], context),
        None => context.command(&["list"]),
    };
    let advice = foreseen.advice();
    context.ui.examination(Examination {
        database: session.identity.as_ref(),
        plan: &plan,
        outlook: &foreseen.outlook,
        advice: advice.way.words(),
        reason: &advice.reason,
        ending: Ending {
            verdict: &foreseen.verdict,
            next: &next,
            backup: None,
        },
    })
}
