//! `rollback completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::error::Failure;
use crate::ui::Ui;

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback completions bash > ~/.local/share/bash-completion/completions/rollback
  rollback completions zsh > ~/.zfunc/_rollback
  rollback completions fish > ~/.config/fish/completions/rollback.fish")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, ui: &Ui) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::cli::Cli::command(),
        "rollback",
        &mut script,
    );
    ui.document(&String::from_utf8_lossy(&script))
}
