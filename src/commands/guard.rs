//! `rollback guard`.

use clap::Args;

use super::Context;
use crate::error::{Exit, Failure};

/// Run a command, and take back what it did to the migrations where it fails.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// The command and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<String>,
}

/// Runs it.
pub fn run(args: &GuardArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let _ = (args, context);
    Err(Failure::user("rollback guard is not there yet"))
}
