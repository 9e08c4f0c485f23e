//! `rollback sql install`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Make the tables of the migration history, or bring those of an older version up to now.
#[derive(Debug, Args)]
pub struct InstallArgs {}

/// Does it.
pub fn run(args: &InstallArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql install is not there yet"))
}
