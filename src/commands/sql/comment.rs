//! `rollback sql comment`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Make the rollback block of a file a comment, so that nobody runs it with the file.
#[derive(Debug, Args)]
pub struct CommentArgs {
    /// A migration, by the name of its file.
    pub name: String,
}

/// Does it.
pub fn run(args: &CommentArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql comment is not there yet"))
}
