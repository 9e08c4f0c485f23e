//! One file for each subcommand: its arguments and its function. Only here are implementations of the
//! traits picked.

pub mod completions;
pub mod current;
pub mod downgrade_safe;
pub mod man;
pub mod plan;
mod session;
mod watch;

/// What every command gets.
#[derive(Debug)]
pub struct Context<'a> {
    /// The settings, all layers together.
    pub settings: &'a crate::config::Layer,
    /// The project's directory.
    pub dir: &'a std::path::Path,
    /// The environment.
    pub environment: &'a crate::process::Environment,
    /// The operator's signals.
    pub interrupt: &'a crate::process::Interrupt,
    /// The command line as typed, for the commands that are suggested.
    pub typed: &'a [std::ffi::OsString],
    /// Where to print and ask.
    pub ui: &'a crate::ui::Ui,
}
