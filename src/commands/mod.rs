//! One file for each subcommand, or a folder: its arguments and its function. Only here are implementations of the
//! traits picked.

pub mod abandon;
mod audit_table;
pub mod backup;
mod backup_service;
pub mod backups;
pub mod check;
pub mod completions;
mod connection;
pub mod current;
pub mod downgrade_safe;
pub mod explain;
mod foresee;
pub mod guard;
mod health_checks;
pub mod history;
mod journal_recorder;
pub mod list;
mod lock;
pub mod man;
mod measure;
pub mod plan;
mod policy_check;
mod project;
mod report_writer;
pub mod restore;
pub mod resume;
mod revisions;
mod route;
mod run_lookup;
pub mod show;
pub mod sql;
mod unfinished;
mod verifier;
mod whose_run;

use rollback_core::command::{Command, ProjectOptions};

/// What every command gets.
#[derive(Debug)]
pub struct CommandContext<'a> {
    /// The settings.
    pub settings: &'a crate::config::Settings,
    /// The project's directory.
    pub dir: &'a std::path::Path,
    /// The environment.
    pub environment: &'a rollback_system::process::Environment,
    /// The clock.
    pub now: fn() -> std::time::SystemTime,
    /// Whose process this is.
    pub operator: &'a rollback_core::lock::Operator,
    /// The operator's signals.
    pub interrupt: &'a rollback_core::interrupt::Interrupt,
    /// The options that say which project and database is meant, for the commands that are suggested.
    pub which_project: ProjectOptions,
    /// Where to print and ask.
    pub ui: &'a crate::ui::Ui,
}

impl CommandContext<'_> {
    /// A command of this program on the same project and database.
    fn command(&self, words: &[&str]) -> Command {
        Command::new(&self.which_project, words)
    }
}
