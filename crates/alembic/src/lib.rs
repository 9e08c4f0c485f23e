//! Finds and drives Alembic and the tools that speak its verbs: `alembic`, `flask db`, `superset db`, or a command line
//! that ends in one of them.
//!
//! One start of the engine answers all questions if the bridge gets into its process; otherwise the printed output of two
//! starts is read.

pub mod bridge;
mod command_line;
pub mod discovery;
mod environment;
mod failure;
pub mod ini;
pub mod launcher;
pub mod layout;
mod observation;
mod ordinary;
pub mod output;
mod render;
mod running;
mod statements;
mod transaction;
pub mod version_files;
mod waiting;

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::bridge::BridgeReport;
use self::command_line::{CURRENT, SEQUENCE, downgrade_verb};
use self::discovery::DiscoveredEngine;
use self::transaction::JudgeAdapter;
use self::waiting::WaitingEngine;
use error_diagnosis::start as complaint;
use rollback_core::engine::{
    Current, Ended, Engine, EngineError, Judge, Keep, Listener, LockLimit, LockTimeoutScope,
    Observation, Sequence, SessionNews, StepRun,
};
use rollback_core::graph::Graph;
use rollback_core::interrupt::Interrupt;
use rollback_system::process::Environment;

/// What flags and configuration say about the engine.
#[derive(Debug, Clone, Default)]
pub struct AlembicOptions {
    /// The words of a command line that ends in `alembic`, `flask db` or `superset db`.
    pub engine_command: Option<Vec<String>>,
    /// Handed to Alembic as `-c`.
    pub alembic_config: Option<PathBuf>,
    /// Handed to Alembic as `-n`.
    pub name: Option<String>,
    /// Each handed to Alembic as `-x`, `KEY=VALUE`.
    pub x: Vec<String>,
    /// How long a step may wait for a lock of the database.
    pub lock_timeout: Option<Duration>,
    /// Whether each step has a process of its own, whatever the project is like.
    pub process_per_step: bool,
}

/// Where the engine is looked for.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Flags and configuration.
    pub settings: AlembicOptions,
    /// The project's directory, absolute: the engine runs in it.
    pub dir: PathBuf,
    /// The environment, which the engine inherits.
    pub env: Environment,
    /// The operator's signals.
    pub interrupt: Interrupt,
}

/// A command line that speaks Alembic's verbs, in one directory and environment.
#[derive(Debug, Clone)]
pub struct AlembicEngine {
    found: DiscoveredEngine,
    /// The options between the program and its verb.
    options: Vec<OsString>,
    dir: PathBuf,
    env: Environment,
    interrupt: Interrupt,
    /// Kept open by every process that runs a step.
    held: Option<Arc<File>>,
    lock_timeout: Option<Duration>,
    /// Whether the bridge has got into the engine and told of it.
    bridged: Cell<bool>,
    /// Whether `env.py` lets steps share a process; else why not.
    is_ordinary: RefCell<Result<(), String>>,
    /// Whether `PGOPTIONS` keep the engine from its database.
    options_refused: Cell<bool>,
    /// A history that is taken instead of the engine's own.
    believed: Option<Arc<Graph>>,
    process_per_step: bool,
    ahead: WaitingEngine,
}

impl AlembicEngine {
    /// Has every process that runs a step keep a file open, so that a lock on it tells whether one is
    /// still at work after we are gone.
    pub fn hold(&mut self, file: Arc<File>) {
        self.held = Some(file);
    }

    /// Takes this history for the engine's, which is then not asked for its own.
    pub fn believe(&mut self, graph: Graph) {
        self.believed = Some(Arc::new(graph));
    }

    /// Whether the settings or the directory ask for it. Starts nothing.
    pub fn is_shown(discovery: &Discovery) -> bool {
        discovery::is_shown(&discovery.settings, &discovery.dir, &discovery.env)
    }

    /// Finds the engine. Starts nothing.
    pub fn discover(discovery: Discovery) -> Result<Self, EngineError> {
        let Discovery {
            settings,
            dir,
            mut env,
            interrupt,
        } = discovery;
        let found = discovery::find(&settings, &dir, &env)?;
        for (name, value) in &found.extra_env {
            env.insert((*name).into(), (*value).into());
        }
        let mut options = Vec::new();
        if let Some(file) = settings.alembic_config {
            options.extend(["-c".into(), file.into_os_string()]);
        }
        if let Some(name) = settings.name {
            options.extend(["-n".into(), name.into()]);
        }
        for pair in settings.x {
            // Flask-Migrate 3 takes it for a step alone, which could then act on another database
            // than the one that was shown: given to the group, it is refused there.
            options.extend(["-x".into(), pair.into()]);
        }
        Ok(Self {
            found,
            options,
            dir,
            env,
            interrupt,
            held: None,
            lock_timeout: settings.lock_timeout,
            bridged: Cell::new(false),
            is_ordinary: RefCell::new(Err("the engine's process cannot be looked into".to_owned())),
            options_refused: Cell::new(false),
            believed: None,
            process_per_step: settings.process_per_step,
            ahead: WaitingEngine::default(),
        })
    }

    /// How far the lock timeout reaches; `None` where there is none.
    pub fn reach(&self) -> Option<LockTimeoutScope> {
        self.lock_timeout.map(|_| {
            if self.bridged.get() {
                LockTimeoutScope::Connection
            } else if self.options_refused.get() {
                LockTimeoutScope::Refused
            } else {
                LockTimeoutScope::Libpq
            }
        })
    }

    /// Whether a range of steps can be run in one transaction.
    pub fn can_run_a_range(&self) -> bool {
        self.bridged.get()
    }
}

impl Engine for AlembicEngine {
    fn name(&self) -> String {
        let program = self
            .found
            .shown
            .rsplit('/')
            .next()
            .unwrap_or(&self.found.shown);
        let args = self
            .found
            .args
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned());
        std::iter::once(program.to_owned())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn observe(&self) -> Result<Observation, EngineError> {
        // Nothing is changed yet, so the first Ctrl-C may end it.
        let interrupt = self.interrupt.at_once();
        if interrupt.count() > 0 {
            // It came before anything was asked, and would not come again.
            return Err(EngineError {
                summary: "stopped, as you asked".to_owned(),
                stdout: String::new(),
                stderr: String::new(),
                hints: Vec::new(),
            });
        }
        if let Some(observation) = self.observe_ahead(&interrupt)? {
            return Ok(observation);
        }
        let plain = self.invocation(CURRENT);
        if let Some(launch) = self.launch(&plain) {
            let bridged = bridge::invocation(
                &launch,
                &self.dir,
                &self.env,
                bridge::BridgeRequest::default(),
            );
            let finished = self.run(CURRENT, &bridged, None, &interrupt, &mut |_| {});
            // Without a report nobody knows what ran there: the engine is asked again, plainly.
            if let Ok(finished) = finished {
                if finished.ended == Ended::Interrupted {
                    return Err(self.failed(CURRENT, &finished, None));
                }
                if let Some(report) = BridgeReport::read(&finished.side_channel) {
                    self.bridged.set(true);
                    *self.is_ordinary.borrow_mut() = ordinary::read(report.directory());
                    return self.observation(Some(&finished), Some(&report), &interrupt);
                }
            }
        }
        let finished = self.ask_with_options(&interrupt)?;
        self.observation(Some(&finished), None, &interrupt)
    }

    fn current(&self) -> Result<Current, EngineError> {
        let finished = self.ask(CURRENT, &self.interrupt)?;
        self.printed_current(&finished, None)
            .map(|(_, current)| current)
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        self.words(&downgrade_verb(argument))
    }

    fn downgrade(
        &self,
        argument: &str,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        self.run_changing(&downgrade_verb(argument), None, timeout, listener)
    }

    fn hands_over_control(&self) -> bool {
        self.bridged.get()
    }

    fn shares_a_process(&self) -> Result<(), String> {
        if self.process_per_step {
            return Err("you asked for it".to_owned());
        }
        self.is_ordinary.borrow().clone()
    }

    fn run_sequence(
        &self,
        sequence: &Sequence<'_>,
        timeout: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Option<Result<StepRun, EngineError>> {
        if !self.can_run_a_range() {
            return None;
        }
        let target = match (sequence.keep, sequence.steps) {
            (Keep::Own, [step]) => &step.argument,
            (Keep::Own, _) => return None,
            (Keep::Each | Keep::End | Keep::Never, _) => SEQUENCE,
        };
        let verb = downgrade_verb(target);
        Some(self.run_changing(&verb, Some(sequence), timeout, &mut JudgeAdapter(judge)))
    }

    fn session_news(&self, line: &str) -> Option<SessionNews> {
        bridge::session_news(line)
    }

    fn lock_limit(&self, line: &str) -> Option<LockLimit> {
        bridge::lock_limit(line)
    }
}

#[cfg(test)]
mod tests;
