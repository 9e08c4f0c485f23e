//! One run per database: taking the lock, or telling who has it, or waiting.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::CommandContext;
use super::connection::database_failure;
use crate::error::{Exit, Failure};
use rollback_core::lock::{Holder, LockOwner, Locked, new_run_id};
use rollback_database::Database;

/// How often the holder is asked after.
const LOOK: Duration = Duration::from_millis(500);

/// How often whoever waits is told so.
const TELL: Duration = Duration::from_secs(5);

/// How soon Ctrl-C is noticed.
const TICK: Duration = Duration::from_millis(50);

/// A wish to have the database alone.
#[derive(Debug)]
pub(crate) struct Lock {
    claim: LockOwner,
    /// How long to wait for somebody else's run.
    wait: Option<Duration>,
}

impl Lock {
    /// For a run that begins now.
    pub(crate) fn new(context: &CommandContext<'_>, wait: Option<Duration>) -> Self {
        let now = (context.now)();
        let run = new_run_id(now, context.operator.pid);
        Self {
            claim: LockOwner::new(&run, context.operator, now),
            wait,
        }
    }

    /// The id of the run.
    pub(crate) fn run(&self) -> &str {
        &self.claim.run
    }

    /// Takes the lock, or waits for it as long as is allowed.
    pub(crate) fn take(
        &self,
        database: &mut dyn Database,
        context: &CommandContext<'_>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let mut told: Option<Instant> = None;
        loop {
            let holder = match database.lock(&self.claim).map_err(|error| {
                database_failure(&error).because("a run needs the database alone, and locks it")
            })? {
                Locked::Taken => return Ok(()),
                Locked::HeldBy(holder) => holder,
            };
            let waited = started.elapsed();
            if waited >= self.wait.unwrap_or_default() {
                return Err(self.held(&holder, context));
            }
            if told.is_none_or(|told| told.elapsed() >= TELL) {
                let at_most = self.wait.unwrap_or_default();
                context
                    .ui
                    .waiting(&holder, (context.now)(), waited, at_most);
                told = Some(Instant::now());
            }
            let look = Instant::now() + LOOK;
            while Instant::now() < look {
                if context.interrupt.count() > 0 {
                    return Err(Failure::new(Exit::Interrupted, "nothing was changed"));
                }
                sleep(TICK);
            }
        }
    }

    fn held(&self, holder: &Holder, context: &CommandContext<'_>) -> Failure {
        let message = "another run holds the lock of this database; nothing was changed";
        let failure = Failure::new(Exit::Locked, message).because(format!("it is {holder}"));
        match self.wait {
            Some(wait) => failure.because(format!("it did not end within {} s", wait.as_secs())),
            None => failure.hint("to wait for its end, such as for ten minutes: --wait 10m"),
        }
        .hint(format!(
            "see where the database stands: {}",
            context.command(&["current"])
        ))
    }
}
