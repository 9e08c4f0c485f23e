//! What commands share: opening a project, planning, verifying, backing up, resuming, reporting. Only here are implementations of
//! the traits of `rollback-core` chosen.

pub(crate) mod audit_table;
pub(crate) mod backup_service;
pub(crate) mod connection;
pub(crate) mod downgrade;
pub(crate) mod forecast;
pub(crate) mod health_checks;
pub(crate) mod journal_recorder;
pub(crate) mod lock;
pub(crate) mod measure;
pub(crate) mod policy_check;
pub(crate) mod project;
pub(crate) mod report_writer;
pub(crate) mod revisions;
pub(crate) mod route;
pub(crate) mod run_lookup;
pub(crate) mod sql;
pub(crate) mod unfinished;
pub(crate) mod verifier;
pub(crate) mod whose_run;

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
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        Command::new(&self.which_project, words)
    }
}
