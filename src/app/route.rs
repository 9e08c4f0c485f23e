//! Where the steps connect to, and whether that is still the same server.

use super::CommandContext;
use rollback_core::connection::{ConnectionFacts, Identity};
use rollback_core::database_identity::DatabaseIdentity;
use rollback_core::outcome::Cause;
use rollback_system::process::Environment;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The address that each step connects to, and the server that was there when the run began.
///
/// Our own connections stay with the server that they reached first. A step connects again, and a proxy, a tunnel or
/// a failover may lead it elsewhere.
pub(crate) struct Route {
    facts: ConnectionFacts,
    environment: Environment,
    began_at: Option<DatabaseIdentity>,
    checked: Cell<Option<Instant>>,
}

/// Between two looks where nothing connects: a connection may take longer than a small step.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

impl Route {
    pub(crate) fn new(
        context: &CommandContext<'_>,
        facts: ConnectionFacts,
        identity: &Identity,
    ) -> Self {
        Self {
            facts,
            environment: context.environment.clone(),
            began_at: identity.lasting.clone(),
            checked: Cell::new(None),
        }
    }

    /// Connects once more and compares.
    pub(crate) fn check(&self) -> Result<(), Cause> {
        self.checked.set(Some(Instant::now()));
        let Some(began_at) = &self.began_at else {
            return Ok(());
        };
        let now = rollback_database::open(&self.facts, &self.environment)
            .and_then(|mut database| database.identity())
            .map_err(|error| {
                Cause::OtherServer(format!(
                    "cannot tell whether the address still leads to the same server: {error}"
                ))
            })?
            .lasting
            .unwrap_or_default();
        if began_at.differs_now(&now) {
            return Err(Cause::OtherServer(format!(
                "the address leads to another server than at the start of this run: it was {began_at}, and is {now}"
            )));
        }
        Ok(())
    }

    /// The same unless it was done a moment ago: for a step over a connection that is open already.
    pub(crate) fn check_now_and_then(&self) -> Result<(), Cause> {
        match self.checked.get() {
            Some(at) if at.elapsed() < NOW_AND_THEN => Ok(()),
            _ => self.check(),
        }
    }
}
