//! `rollback show`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::run_lookup::{self, RunSource};
use crate::error::Failure;

/// Show the report of one run.
///
/// It is made from the run's record, also where the run crashed before it could write one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback show latest
  rollback show 20261121T0400              The beginning of a run's id is enough
  rollback show latest --markdown > report.md
  rollback show latest --format json")]
pub struct ShowArgs {
    /// A run's id, the beginning of one, or latest.
    pub run: String,

    /// Write Markdown.
    #[arg(long, conflicts_with = "format")]
    pub markdown: bool,

    /// Where runs are looked for.
    #[command(flatten)]
    pub source: RunSource,
}

/// Shows the report.
pub fn run(args: &ShowArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let document = run_lookup::find(&args.run, &args.source, context)?;
    context.ui.report(&document, args.markdown)
}
