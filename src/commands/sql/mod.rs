//! `rollback sql`: what only a project of SQL files needs.

pub mod comment;
pub mod install;
pub mod register;
pub mod snapshot;
pub mod sync;
pub mod template;

use clap::{Args, Subcommand};

use crate::app::CommandContext;
use crate::error::Failure;

/// What only a project of SQL-file migrations needs: its tables, its files, its snapshots.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql install                     Make the tables of the history
  rollback sql sync                        Write down what is applied
  rollback sql template 20250120_add_tags  A rollback block for a file that has none
  rollback sql comment 20250120_add_tags   Make the block of a file a comment")]
pub struct SqlArgs {
    /// The command.
    #[command(subcommand)]
    pub command: SqlCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a comment here would replace the help text of the arguments"
)]
pub enum SqlCommand {
    Install(install::InstallArgs),
    Register(register::RegisterArgs),
    Sync(sync::SyncArgs),
    Template(template::TemplateArgs),
    Comment(comment::CommentArgs),
    Snapshot(snapshot::SnapshotArgs),
}

/// Does what is asked.
pub fn run(args: &SqlArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    match &args.command {
        SqlCommand::Install(args) => install::run(args, context),
        SqlCommand::Register(args) => register::run(args, context),
        SqlCommand::Sync(args) => sync::run(args, context),
        SqlCommand::Template(args) => template::run(args, context),
        SqlCommand::Comment(args) => comment::run(args, context),
        SqlCommand::Snapshot(args) => snapshot::run(args, context),
    }
}
