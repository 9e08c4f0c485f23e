//! The process that tells where the database is and then waits for the steps, so that they need no start of their own.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::bridge::{self, BridgeReport, BridgeRequest};
use super::command_line::{CURRENT, SEQUENCE, downgrade_verb};
use super::running::masked;
use super::{AlembicEngine, ordinary};
use rollback_core::engine::{Current, Ended, EngineError, Keep, Listener, Observation, Sequence};
use rollback_core::interrupt::Interrupt;
use rollback_core::revision::Heads;
use rollback_system::process::{Finished, Waiting};

/// Shared by the clones of an engine.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitingEngine(Rc<RefCell<WaitingState>>);

#[derive(Debug, Default)]
enum WaitingState {
    /// Nobody waits.
    #[default]
    Nobody,
    /// It was started and has not told anything yet.
    Started(Waiting),
    /// It waits for steps that begin here.
    Ready(Waiting, Heads),
}

impl AlembicEngine {
    /// Starts the process that will observe and then run the steps, unless `env.py` is known not to let steps share one.
    /// Returns at once.
    pub fn start_ahead(&self) {
        if self.process_per_step {
            return;
        }
        let layout = self.assumed_layout().ok();
        let known = layout.filter(|layout| layout.directory.join("env.py").is_file());
        let is_unusual =
            known.is_some_and(|layout| ordinary::read(Some(&layout.directory)).is_err());
        if is_unusual {
            return;
        }
        let plain = self.unbuffered(&downgrade_verb(SEQUENCE));
        let Some(launch) = self.launch(&plain) else {
            return;
        };
        let request = BridgeRequest {
            lock_timeout: self.lock_timeout,
            session: true,
            observe: true,
            ..BridgeRequest::default()
        };
        let invocation = bridge::invocation(&launch, &self.dir, &plain.env, request);
        // Where it cannot be started, the next start says why.
        if let Ok(process) = Waiting::start(&invocation, &self.interrupt.at_once()) {
            *self.ahead.0.borrow_mut() = WaitingState::Started(process);
        }
    }

    /// What the process says that was started ahead; `None` where there is none, or where the engine has to be asked
    /// in another way.
    pub(super) fn observe_ahead(
        &self,
        interrupt: &Interrupt,
    ) -> Result<Option<Observation>, EngineError> {
        let WaitingState::Started(mut process) = self.ahead.take() else {
            return Ok(None);
        };
        // It asks before it runs an env.py that nobody has read: here this is no `current`.
        let wanted = |line: &str| bridge::directory(line).is_some() || bridge::is_observed(line);
        let report = loop {
            let Some(line) = process.hear(&wanted) else {
                return self.came_to_its_end(process).map(|_| None);
            };
            let Some(directory) = bridge::directory(&line) else {
                break bridge::observed(&line);
            };
            let verdict = ordinary::read(Some(&directory));
            let is_ordinary = verdict.is_ok();
            *self.is_ordinary.borrow_mut() = verdict;
            if !is_ordinary {
                return Ok(None);
            }
            process.say(&json!({ "go_on": true }).to_string());
        };
        let Some(report) = report else {
            return Ok(None);
        };
        let process = if report.waits() {
            Some(process)
        } else {
            let finished = self.came_to_its_end(process)?;
            if finished.is_none_or(|finished| finished.ended != Ended::Exited(0)) {
                return Ok(None);
            }
            None
        };
        self.ready(&report, process, interrupt)
    }

    /// How a process ended that does not wait; `None` where nobody knows.
    fn came_to_its_end(&self, process: Waiting) -> Result<Option<Finished>, EngineError> {
        let finished = process.end().ok().map(masked);
        match finished {
            Some(finished) if finished.ended == Ended::Interrupted => {
                Err(self.failed(CURRENT, &finished, None))
            }
            finished => Ok(finished),
        }
    }

    /// Takes the word of a process, and keeps it if it waits and may run several steps.
    fn ready(
        &self,
        report: &BridgeReport,
        process: Option<Waiting>,
        interrupt: &Interrupt,
    ) -> Result<Option<Observation>, EngineError> {
        if !report.says_all() {
            return Ok(None);
        }
        self.bridged.set(true);
        if let Some(reason) = report.left() {
            *self.is_ordinary.borrow_mut() = Err(reason.to_owned());
        }
        let observation = self.observation(None, Some(report), interrupt)?;
        if let (Some(process), Current::Rows(rows)) = (process, &observation.current) {
            let heads = rows.iter().cloned().collect();
            *self.ahead.0.borrow_mut() = WaitingState::Ready(process, heads);
        }
        Ok(Some(observation))
    }

    /// Ends the process that waits for the steps.
    pub fn dismiss(&self) {
        drop(self.ahead.take());
    }

    /// Runs a sequence in the process that waits for it; `None` where there is none, or its wait was for other steps.
    pub(super) fn run_ahead(
        &self,
        sequence: &Sequence<'_>,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Option<io::Result<Finished>> {
        let WaitingState::Ready(mut process, heads) = self.ahead.take() else {
            return None;
        };
        let fits = !process.has_ended() && sequence.keep == Keep::Each && heads == *sequence.before;
        if !fits {
            return None;
        }
        let run = BridgeRequest {
            sequence: Some(sequence),
            ..BridgeRequest::default()
        };
        let line = json!({ "run": run.value() }).to_string();
        let held = self.held.as_deref();
        Some(process.go_on(&line, held, timeout, &self.interrupt, listener))
    }
}

impl WaitingEngine {
    fn take(&self) -> WaitingState {
        std::mem::take(&mut *self.0.borrow_mut())
    }
}
