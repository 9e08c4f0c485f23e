//! `rollback sql snapshot`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Keep the schema as it is, and compare it later.
#[derive(Debug, Args)]
pub struct SnapshotArgs {}

/// Does it.
pub fn run(args: &SnapshotArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql snapshot is not there yet"))
}
