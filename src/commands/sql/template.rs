//! `rollback sql template`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Write a rollback block for a migration: the inverse of each of its statements, last first.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    /// A migration, by the name of its file.
    pub name: String,
}

/// Does it.
pub fn run(args: &TemplateArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql template is not there yet"))
}
