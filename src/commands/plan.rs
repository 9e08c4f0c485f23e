//! `rollback plan`.

use clap::Args;

use super::Context;
use super::session::Session;
use crate::error::Failure;
use crate::ui::PlanView;

/// Show the steps down to a target without taking them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback plan -3                    Three steps, merges included
  rollback plan 363a                  Down to the revision whose id begins with 363a
  rollback plan base --format json    Everything, for a program
  rollback plan 363a9b1e8992 -v       With the engine's commands and the version files")]
pub struct PlanArgs {
    /// -N steps, a revision, the beginning of one, base, LABEL@base, LABEL@REV or REV-N.
    #[arg(allow_negative_numbers = true)]
    pub target: String,
}

/// Shows the plan.
pub fn run(args: &PlanArgs, context: &Context<'_>) -> Result<(), Failure> {
    let session = Session::look(context)?;
    let plan = session.plan(&args.target)?;
    context.ui.plan(PlanView {
        database: session.identity.as_ref(),
        target: &args.target,
        plan: &plan,
        commands: &session.command_lines(&plan),
    })
}
