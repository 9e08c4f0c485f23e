//! Alembic and everything that speaks its verbs.

use std::path::PathBuf;
use std::time::Duration;

use super::{Current, Engine, EngineError, Observation, StepRun};
use crate::process::{Environment, Interrupt};

/// What flags and configuration say about the engine.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The words of a command line that ends in `alembic`, `flask db` or `superset db`.
    pub engine_command: Option<Vec<String>>,
    /// Handed to Alembic as `-c`.
    pub alembic_config: Option<PathBuf>,
    /// Handed to Alembic as `-n`.
    pub name: Option<String>,
    /// Each handed to Alembic as `-x`, `KEY=VALUE`.
    pub x: Vec<String>,
}

/// Where the engine is looked for.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Flags and configuration.
    pub settings: Settings,
    /// The project's directory: the engine runs in it.
    pub dir: PathBuf,
    /// The environment, which the engine inherits.
    pub env: Environment,
    /// The operator's signals.
    pub interrupt: Interrupt,
}

/// A command line that speaks Alembic's verbs, in one directory and environment.
#[derive(Debug)]
pub struct AlembicEngine {
    discovery: Discovery,
}

impl AlembicEngine {
    /// Finds the engine. Starts nothing.
    pub fn discover(discovery: Discovery) -> Result<Self, EngineError> {
        Ok(Self { discovery })
    }
}

impl Engine for AlembicEngine {
    fn name(&self) -> String {
        "alembic".to_owned()
    }

    fn observe(&self) -> Result<Observation, EngineError> {
        Err(unfinished(self))
    }

    fn current(&self) -> Result<Current, EngineError> {
        Err(unfinished(self))
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        vec![
            "alembic".to_owned(),
            "downgrade".to_owned(),
            argument.to_owned(),
        ]
    }

    fn downgrade(
        &self,
        _argument: &str,
        _timeout: Option<Duration>,
        _on_line: &mut dyn FnMut(&str),
    ) -> Result<StepRun, EngineError> {
        Err(unfinished(self))
    }
}

fn unfinished(engine: &AlembicEngine) -> EngineError {
    EngineError {
        summary: format!("no engine in {} yet", engine.discovery.dir.display()),
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}
