//! `rollback sql sync`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Write all migrations down that are applied and not registered yet.
#[derive(Debug, Args)]
pub struct SyncArgs {}

/// Does it.
pub fn run(args: &SyncArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql sync is not there yet"))
}
