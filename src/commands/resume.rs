//! `rollback resume`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::downgrade::{self, Goal, HowArgs, Request};
use crate::error::{Exit, Failure};

/// Resume the unfinished run on this database.
///
/// Finds the run that did not reach its target, examines what it left behind, shows the rest of its plan, asks, and
/// runs it. If the database is not as the record says, nothing is run.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  rollback resume --dry-run              Show the rest of the plan and stop
  rollback resume                        Run it, after a question
  rollback resume -y                     For scripts
  rollback resume --accept 363a9b1e8992  After a repair by hand

Exit codes: as of downgrade-safe; 1 if no run is unfinished.")]
pub struct ResumeArgs {
    /// Show the rest of the plan and change nothing.
    #[arg(long, conflicts_with = "report")]
    pub dry_run: bool,

    /// Accept the database as it is: it was repaired by hand, and is at this revision.
    #[arg(long, value_name = "REV")]
    pub accept: Option<String>,

    /// Resume a run of another database, which was moved here.
    ///
    /// For example by dump and load. The record of the run says so.
    #[arg(long)]
    pub other_database: bool,

    /// How the rest is run.
    #[command(flatten)]
    pub how: HowArgs,
}

/// The same as `downgrade-safe --resume`.
pub fn run(args: &ResumeArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let request = Request {
        goal: Goal::Resume {
            accept: args.accept.clone(),
            other_database: args.other_database,
        },
        dry_run: args.dry_run,
        how: args.how.clone(),
    };
    downgrade::run(&request, context)
}
