//! `rollback abandon`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::downgrade::{self, Goal, HowArgs, Request};
use crate::error::{Exit, Failure};

/// Give up the unfinished run on this database.
///
/// Closes its record, so that another run can begin. The database is not touched: it stays where the run left it.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  rollback abandon                  Give up the run that did not reach its target
  rollback -C services/api abandon  The one of another project

Exit codes: 0 abandoned, 1 no run is unfinished, 6 another run holds the lock of the database.")]
pub struct AbandonArgs {
    /// Give up a run of another database, which was moved here.
    #[arg(long)]
    pub other_database: bool,
}

/// The same as `downgrade-safe --abandon`.
pub fn run(args: &AbandonArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let request = Request {
        goal: Goal::Abandon {
            other_database: args.other_database,
        },
        dry_run: false,
        how: HowArgs::default(),
    };
    downgrade::run(&request, context)
}
