//! Every start of the engine, and what is heard of it.

use std::io;
use std::time::Duration;

use super::bridge::BridgeRequest;
use super::command_line::{CURRENT, limit_by_libpq};
use super::{AlembicEngine, bridge, complaint};
use rollback_core::engine::{Channel, Ended, EngineError, Listener, NoChannel, Sequence, StepRun};
use rollback_core::interrupt::Interrupt;
use rollback_core::secret::mask;
use rollback_system::process::{self, Finished, Invocation, SpawnError};

impl AlembicEngine {
    /// Runs a verb that only reads.
    pub(super) fn ask(
        &self,
        verb: &[&str],
        interrupt: &Interrupt,
    ) -> Result<Finished, EngineError> {
        self.run(verb, &self.invocation(verb), None, interrupt, &mut |_| {})
    }

    /// Asks `current` with the options that the steps are to have, and where a pooler refuses those,
    /// without them. Later would be too late: a step that failed is not started again.
    pub(super) fn ask_with_options(&self, interrupt: &Interrupt) -> Result<Finished, EngineError> {
        if let Some(limit) = self.lock_timeout {
            let mut limited = self.invocation(CURRENT);
            limit_by_libpq(&mut limited.env, limit);
            let finished = self.run(CURRENT, &limited, None, interrupt, &mut |_| {})?;
            let refused = matches!(finished.ended, Ended::Exited(status) if status != 0)
                && complaint::refuses_options(&finished.stdout, &finished.stderr);
            if !refused {
                return Ok(finished);
            }
            self.options_refused.set(true);
        }
        self.ask(CURRENT, interrupt)
    }

    pub(super) fn run_changing(
        &self,
        verb: &[&str],
        sequence: Option<&Sequence<'_>>,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        let request = BridgeRequest {
            lock_timeout: self.lock_timeout,
            session: true,
            sequence,
            ..BridgeRequest::default()
        };
        let ahead =
            sequence.and_then(|sequence| self.run_ahead(sequence, timeout, &mut Masked(listener)));
        let (finished, entered) = if let Some(finished) = ahead {
            (self.heard(verb, finished)?, true)
        } else {
            let plain = self.changing(verb, request);
            let finished = self.run_heard(verb, &plain, timeout, &self.interrupt, listener)?;
            (finished, plain.side_channel)
        };
        if self.lock_timeout.is_some()
            && entered
            && finished.ended == Ended::Exited(0)
            && !heard_of_the_limit(&finished.side_channel)
        {
            // In the words of the bridge, which did not come to it.
            listener.on_message(r#"{"lock_timeout": "none", "why": "the engine opened no connection that was seen"}"#, &mut NoChannel);
        }
        let failed = matches!(finished.ended, Ended::Exited(status) if status != 0);
        // Where somebody else ended it, its last line is not why.
        let reason = failed
            .then(|| complaint::read(&finished.stdout, &finished.stderr).line)
            .filter(|line| !line.is_empty());
        Ok(StepRun {
            lock_timeout: failed && complaint::is_lock_timeout(&finished.stdout, &finished.stderr),
            ended: finished.ended,
            statement: None,
            kept: None,
            reason,
            stdout: finished.stdout,
            stderr: finished.stderr,
            elapsed: finished.elapsed,
        })
    }

    /// Every start goes through here: an error of the engine may quote a URL with its password.
    pub(super) fn run(
        &self,
        verb: &[&str],
        invocation: &Invocation,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Finished, EngineError> {
        self.run_heard(
            verb,
            invocation,
            timeout,
            interrupt,
            &mut rollback_core::engine::Lines(on_line),
        )
    }

    fn run_heard(
        &self,
        verb: &[&str],
        invocation: &Invocation,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        listener: &mut dyn Listener,
    ) -> Result<Finished, EngineError> {
        let finished = process::run_heard(invocation, timeout, interrupt, &mut Masked(listener));
        let finished = finished.map_err(|error| {
            listener.left_nothing();
            self.not_started(verb, &error)
        })?;
        Ok(masked(finished))
    }

    fn heard(
        &self,
        verb: &[&str],
        finished: io::Result<Finished>,
    ) -> Result<Finished, EngineError> {
        finished.map(masked).map_err(|source| {
            let program = self.found.program.clone();
            self.not_started(verb, &SpawnError::Other { program, source })
        })
    }
}

pub(super) fn masked(finished: Finished) -> Finished {
    Finished {
        stdout: mask(&finished.stdout, None),
        stderr: mask(&finished.stderr, None),
        ..finished
    }
}

/// Takes URLs' passwords out of the printed lines.
struct Masked<'a>(&'a mut dyn Listener);

impl Listener for Masked<'_> {
    fn line(&mut self, line: &str) {
        self.0.line(&mask(line, None));
    }

    fn on_message(&mut self, line: &str, channel: &mut dyn Channel) {
        self.0.on_message(line, channel);
    }

    fn left_nothing(&mut self) {
        self.0.left_nothing();
    }

    fn on_debug(&mut self, text: &str) {
        self.0.on_debug(text);
    }

    fn on_tick(&mut self) {
        self.0.on_tick();
    }
}

fn heard_of_the_limit(side_channel: &[u8]) -> bool {
    let told = String::from_utf8_lossy(side_channel);
    told.lines().any(|line| bridge::lock_limit(line).is_some())
}
