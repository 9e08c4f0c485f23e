//! Taking one migration down.

use std::collections::BTreeMap;
use std::time::Duration;

use super::history_table::{By, Tables};
use crate::domain::query::Execution;
use crate::domain::revision::RevisionId;
use crate::engine::{Current, Engine, EngineError, Observation, StepRun};
use crate::process::{Interrupt, Listener};

/// What takes one migration down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The SQL.
    pub sql: String,
    /// Where it stands, as it is shown: the file, or the history table.
    pub source: String,
    /// The line of the source that its first line is.
    pub line: usize,
    /// Statements for the same transaction, before it: where the file is run and not what is stored, they bring
    /// the row up to the file.
    pub before: Vec<String>,
}

/// Opens a connection over which a step is run. The error is a sentence without a password.
pub type Connect = Box<dyn Fn() -> Result<Box<dyn Execution>, String>>;

/// The engine of SQL files.
pub struct SqlFiles {
    /// Opens the connection of each step: what a script sets for its session ends with it, and of SQLite
    /// nothing is held open between two steps.
    pub connect: Connect,
    /// Where they are written down.
    pub tables: Tables,
    /// What is run, by migration.
    pub scripts: BTreeMap<RevisionId, Script>,
    /// Who runs them.
    pub by: By,
    /// Whether Supabase keeps a table of its own.
    pub supabase: bool,
    /// The operator's signals; a second one ends a step.
    pub interrupt: Interrupt,
}

impl Engine for SqlFiles {
    fn name(&self) -> String {
        "SQL files".to_owned()
    }

    fn observe(&self) -> Result<Observation, EngineError> {
        Err(not_asked())
    }

    fn current(&self) -> Result<Current, EngineError> {
        Err(not_asked())
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        vec![
            "rollback".to_owned(),
            "downgrade-safe".to_owned(),
            "--only".to_owned(),
            argument.to_owned(),
        ]
    }

    fn downgrade(
        &self,
        argument: &str,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        let _ = (argument, timeout, listener);
        Err(not_asked())
    }
}

/// The database is read over our own connection alone.
fn not_asked() -> EngineError {
    EngineError {
        summary: "SQL files have no engine that could be asked".to_owned(),
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}
