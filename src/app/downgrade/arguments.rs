//! How steps are run: the arguments of `downgrade-safe`, `resume` and `guard`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args};

use crate::app::backup_service::VerifyArgs;
use crate::app::forecast::ProbeArgs;
use crate::app::policy_check::CircumstanceArgs;
use crate::app::report_writer;
use crate::config::{self, OnFailure, Warm};
use migration_forecast::risk::verdict::Allowed;
use rollback_sql_files::rollback_blocker::Chosen;

/// `stored` or `file`.
fn chosen() -> impl TypedValueParser<Value = Chosen> {
    PossibleValuesParser::new(["stored", "file"]).map(|word| match word.as_str() {
        "file" => Chosen::File,
        _ => Chosen::Stored,
    })
}

/// How steps are run, whichever they are.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct HowArgs {
    /// Do not ask; for scripts.
    #[arg(short, long)]
    pub yes: bool,

    /// Look at the database after each step; this is the default.
    #[arg(long, overrides_with = "no_validate")]
    pub validate: bool,

    /// Take the engine's exit status for each step's success and look at the end only.
    #[arg(long)]
    pub no_validate: bool,

    /// End a step that takes longer, such as 90s or 5m, and tell where it left the database.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub timeout: Option<Duration>,

    /// Do all steps or none: on PostgreSQL in one transaction, on SQLite with a copy of the file that
    /// is put back. A failure, a failed check or Ctrl-C undoes all of it. Refused where that cannot be
    /// kept. --timeout then counts for all steps together, each with its share.
    #[arg(long, conflicts_with = "no_validate")]
    pub atomic: bool,

    /// Make a backup before the first step, whatever the plan puts at risk. Without it one is made where the
    /// plan could lose data, or cannot be looked into.
    #[arg(long, overrides_with = "no_backup")]
    pub backup: bool,

    /// Make no backup.
    #[arg(long)]
    pub no_backup: bool,

    /// How the backup is proven.
    #[command(flatten)]
    pub verify: VerifyArgs,

    /// Stop where a run fails, or restore the backup of before the first step, with
    /// which all is lost that was written meanwhile. Exit 4 where that is verified, 5 where it failed.
    #[arg(long, value_name = "WHAT")]
    pub on_failure: Option<OnFailure>,

    /// Let no step wait longer than this for a lock of the database, since everybody else then waits
    /// behind it; off for no limit. PostgreSQL, MariaDB and MySQL.
    #[arg(long, value_name = "DURATION", value_parser = config::lock_timeout)]
    pub lock_timeout: Option<Duration>,

    /// Run a step again, up to so many times, that timed out waiting for a lock and was rolled back.
    #[arg(long, value_name = "N")]
    pub lock_retries: Option<u32>,

    /// Wait so long for another run on the same database to end, such as 10m, instead of leaving at once.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub wait: Option<Duration>,

    /// Of a migration whose SQL file is not what was registered, run what is stored in the database, or what the
    /// file says now, which is registered with it. Without it such a plan is refused, and the difference shown.
    #[arg(long = "use", value_name = "WHICH", value_parser = chosen())]
    pub chosen: Option<Chosen>,

    /// Consent by name to what the plan puts at risk: codes of findings, separated by commas, or all.
    /// Without it a high or unknown finding has to be confirmed by typing, and is refused with -y. With unannounced, a
    /// step may also lose what the plan did not announce, which all does not include.
    #[arg(long, value_name = "CODE")]
    pub allow: Option<Allowed>,

    /// Stop at every change of the schema that the plan did not announce, also at one that costs no data, such as an
    /// index or a view that goes. Without it such a change is only shown.
    #[arg(long)]
    pub strict: bool,

    /// Begin a plan although one of its steps is sure to fail.
    #[arg(long)]
    pub allow_failing: bool,

    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,

    /// What is said about it.
    #[command(flatten)]
    pub circumstances: CircumstanceArgs,

    /// Put the report of the run into this file as well, as JSON or as Markdown by its ending: .json or .md.
    #[arg(long, value_name = "FILE", value_parser = report_writer::file)]
    pub report: Option<PathBuf>,

    /// Start the engine for each step. Without it, steps share one process if env.py has one of the usual shapes;
    /// each step is still committed, checked and recorded by itself.
    #[arg(long)]
    pub process_per_step: bool,

    /// Replaced by --process-per-step.
    #[arg(long, value_name = "WHEN", hide = true)]
    pub warm: Option<Warm>,

    /// Run steps that remove several revisions because they depend on each other.
    #[arg(long, action = ArgAction::SetTrue)]
    pub allow_joint_steps: bool,
}
