//! Where the steps connect to, and whether that is still the same server.

use super::Context;
use crate::database;
use crate::domain::connection::{ConnectionFacts, Identity};
use crate::domain::database_identity::DatabaseIdentity;
use crate::domain::report::Cause;
use crate::process::Environment;

/// The address that each step connects to, and the server that was there when the run began.
///
/// Our own connections stay with the server that they reached first. A step connects again, and a proxy, a tunnel or
/// a failover may lead it elsewhere.
pub(super) struct Route {
    facts: ConnectionFacts,
    environment: Environment,
    began_at: Option<DatabaseIdentity>,
}

impl Route {
    pub(super) fn new(context: &Context<'_>, facts: ConnectionFacts, identity: &Identity) -> Self {
        Self {
            facts,
            environment: context.environment.clone(),
            began_at: identity.lasting.clone(),
        }
    }

    /// Connects once more and compares.
    pub(super) fn check(&self) -> Result<(), Cause> {
        let Some(began_at) = &self.began_at else {
            return Ok(());
        };
        let now = database::open(&self.facts, &self.environment)
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
}
