//! `rollback downgrade-safe`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::downgrade::{self, Goal, HowArgs, Request};
use crate::error::{Exit, Failure};

/// Take the database down to a target, one revision at a time.
///
/// Shows the plan and the database, asks, and then runs one process of the engine for each revision, or
/// the registered rollback of each SQL file. After each the version table is read and has to say what was predicted; the first thing that is
/// not as predicted ends the run. Ctrl-C lets the running step finish and stops before the next; a
/// second Ctrl-C ends the engine.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  rollback downgrade-safe -3 --dry-run       Show the plan and stop
  rollback downgrade-safe -3                 Three steps, after a question
  rollback downgrade-safe 363a9b1e8992 -y    Down to a revision, for scripts
  rollback downgrade-safe base --timeout 5m  Everything, no step longer than five minutes
  rollback downgrade-safe -1 --wait 10m      As soon as another run on this database has ended
  rollback downgrade-safe --only 20250120_add_tags   Exactly this one, of SQL files

Exit codes: 0 done, 1 error before anything was changed, 3 refused or not confirmed, 4 a step failed
and the database stands at the last good revision, 5 a person must look, 6 another run holds
the lock of the database, 130 interrupted at a revision.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DowngradeSafeArgs {
    /// -N steps, a revision, the beginning of one, base, LABEL@base, LABEL@REV or REV-N. Of SQL files a
    /// migration by its name, with or without .sql, which stays.
    #[arg(allow_negative_numbers = true, required_unless_present_any = ["only", "resume", "abandon"])]
    pub target: Option<String>,

    /// Take back exactly this migration, of SQL files. Refused while others depend on it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["target", "resume", "abandon"])]
    pub only: Option<String>,

    /// Show the plan and change nothing.
    #[arg(long, conflicts_with = "report")]
    pub dry_run: bool,

    /// How it is run.
    #[command(flatten)]
    pub how: HowArgs,

    /// Go on with the run on this database that did not reach its target, once it is clear what it
    /// left behind.
    #[arg(long, conflicts_with_all = ["target", "abandon"])]
    pub resume: bool,

    /// With --resume: the database was repaired by hand, and now is at this revision as it should.
    #[arg(long, value_name = "REV", requires = "resume")]
    pub accept: Option<String>,

    /// Give the run on this database up that did not reach its target. The database is not touched.
    #[arg(long, conflicts_with_all = ["target", "dry_run"])]
    pub abandon: bool,

    /// With --resume or --abandon: this database is not the one that the run began on, for example because that one
    /// was moved here by dump and load. Written down in the record of the run.
    #[arg(long, conflicts_with_all = ["target", "only"])]
    pub other_database: bool,
}

/// Rolls back.
pub fn run(args: &DowngradeSafeArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let other_database = args.other_database;
    let goal = match &args.only {
        _ if args.resume => Goal::Resume {
            accept: args.accept.clone(),
            other_database,
        },
        _ if args.abandon => Goal::Abandon { other_database },
        Some(only) => Goal::Only(only.clone()),
        // The parser asks for one if there is none of the others.
        None => Goal::Target(args.target.clone().unwrap_or_default()),
    };
    let request = Request {
        goal,
        dry_run: args.dry_run,
        how: args.how.clone(),
    };
    downgrade::run(&request, context)
}
