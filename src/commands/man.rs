//! `rollback man`.

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::error::Failure;
use crate::ui::Ui;

/// Print a manual page.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback man | man -l -
  rollback man downgrade-safe > rollback-downgrade-safe.1")]
pub struct ManArgs {
    /// The command to describe; the program as a whole if left away.
    command: Option<String>,
}

/// Prints the page.
pub fn run(args: &ManArgs, ui: &Ui) -> Result<(), Failure> {
    // The global options have to be handed down before a subcommand can be described by itself.
    let mut program = crate::cli::Cli::command();
    program.build();
    let described = match &args.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .map(|command| command.name(format!("rollback-{name}")))
            .ok_or_else(|| {
                let names: Vec<&str> = program
                    .get_subcommands()
                    .map(clap::Command::get_name)
                    .collect();
                Failure::user(format!("there is no command {name}"))
                    .hint(format!("one of: {}", names.join(", ")))
            })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(described)
        .render(&mut page)
        .context("rendering the manual page")?;
    ui.document(&String::from_utf8_lossy(&page))
}
