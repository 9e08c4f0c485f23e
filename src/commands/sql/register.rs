//! `rollback sql register`.

use clap::Args;

use crate::commands::Context;
use crate::error::Failure;

/// Write migrations down as applied, with their rollback SQL; once more for one whose file was changed.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Migrations, by the names of their files.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
}

/// Does it.
pub fn run(args: &RegisterArgs, context: &Context<'_>) -> Result<(), Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback sql register is not there yet"))
}
