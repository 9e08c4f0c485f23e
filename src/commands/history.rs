//! `rollback history`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::run_lookup::{self, RunSource};
use crate::error::Failure;
use crate::ui::HistoryRow;

/// Show the recorded runs of the project, newest first.
///
/// Reads the records in .rollback (see --state-dir). Neither the engine nor the database is
/// asked, unless the state folder was lost and the table of `[audit]` has them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback history
  rollback history --database app        Of databases whose name has this in it
  rollback history --from-database       From the table rollback_audit, if the records were lost
  rollback history --format json")]
pub struct HistoryArgs {
    /// Only runs on databases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub database: Option<String>,

    /// Where runs are looked for.
    #[command(flatten)]
    pub source: RunSource,
}

/// Shows the runs.
pub fn run(args: &HistoryArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let (mut runs, place) = run_lookup::all(&args.source, context)?;
    if let Some(wanted) = &args.database {
        // Of a damaged one nobody can tell, so it stays.
        runs.retain(|told| match told {
            HistoryRow::Run { document, .. } => document.database.contains(wanted.as_str()),
            HistoryRow::Damaged { .. } => true,
        });
    }
    context.ui.history(&runs, &place)
}
