//! A child that tells something and then waits to hear what it is to do.

use std::fmt;
use std::fs::File;
use std::io;
use std::time::Duration;

use super::running::Running;
use super::{Files, Finished, Invocation, SpawnError, started};
use rollback_core::engine::{Channel as _, Listener, NoListener};
use rollback_core::interrupt::Interrupt;

/// Such a child. It is ended when this value is dropped, without having done anything more.
pub struct Waiting(Option<Running>);

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Waiting")
    }
}

impl Waiting {
    /// Starts it, and returns at once. The operator's signals end it while it is listened to.
    pub fn start(invocation: &Invocation, interrupt: &Interrupt) -> Result<Self, SpawnError> {
        started(invocation, Files::default(), None, interrupt).map(|running| Self(Some(running)))
    }

    /// Waits for a line of the side channel that is wanted; whatever else it writes is handed on once it goes on.
    /// `None` where it ended before.
    pub fn hear(&mut self, is_wanted: &dyn Fn(&str) -> bool) -> Option<String> {
        self.0.as_mut()?.hear(is_wanted)
    }

    /// Says a line. One that is gone does not hear it.
    pub fn say(&mut self, line: &str) {
        if let Some(running) = &mut self.0 {
            running.send(line);
        }
    }

    /// Whether it is gone.
    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(Running::has_ended)
    }

    /// Tells it what to do and hears of it until its end, as [`super::run_heard`]. `file` stays open in it.
    pub fn go_on(
        mut self,
        line: &str,
        file: Option<&File>,
        timeout: Option<Duration>,
        interrupt: &Interrupt,
        listener: &mut dyn Listener,
    ) -> io::Result<Finished> {
        let mut running = self.0.take().ok_or(io::ErrorKind::NotConnected)?;
        // One that does not read has ended, or will: how is for the database to say.
        let _ = running.begin(line, file, timeout, interrupt);
        let status = running.until_its_end(listener)?;
        Ok(running.finished(status))
    }

    /// Waits for the end of one that has nothing more to hear.
    pub fn end(mut self) -> io::Result<Finished> {
        let mut running = self.0.take().ok_or(io::ErrorKind::NotConnected)?;
        let status = running.until_its_end(&mut NoListener)?;
        Ok(running.finished(status))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.dismiss();
        }
    }
}
