//! Whether a plan can be run as a whole or not at all, and by what.

use std::path::PathBuf;

use super::{Project, StepRuns};
use crate::error::Failure;
use rollback_core::plan::Plan;

/// What makes a whole of the steps.
pub(crate) enum AtomicMethod {
    /// One transaction of the server.
    Transaction,
    /// A copy of this file, to be put back.
    File(PathBuf),
}

/// The refusal of `--atomic`.
pub(crate) fn not_as_a_whole(reason: &str) -> Failure {
    Failure::refused("--atomic cannot be kept here: nothing was changed")
        .because(reason)
        .hint("run the steps one by one, each verified: leave --atomic away")
}

impl Project {
    /// How a plan can be run as a whole or not at all.
    pub(crate) fn as_a_whole(&self, plan: &Plan) -> Result<AtomicMethod, Failure> {
        self.dismiss();
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        let refused = |reason: &str| Err(not_as_a_whole(reason));
        if plan.joint_steps().next().is_some() {
            return refused(
                "a step of the plan removes several revisions that depend on each other",
            );
        }
        match dialect {
            Some("mysql" | "mariadb") => {
                return refused("this server commits at each statement that changes the schema");
            }
            _ if !self.has_own_connection() => {
                return refused("there is no connection of our own to prove it by");
            }
            Some("postgresql") if !self.engine.can_run_a_range() => {
                return refused(
                    "the engine's process cannot be entered, and its command line has no way to say it",
                );
            }
            Some("postgresql" | "sqlite") => {}
            _ => return refused("only PostgreSQL and SQLite have a way"),
        }
        let one_per_migration = match &self.engine {
            StepRuns::Alembic(_) => self.transaction_per_migration,
            StepRuns::SqlFiles(engine) => {
                let steps = plan.steps.iter().filter(|_| dialect != Some("sqlite"));
                let mut alone = steps.filter_map(|step| engine.not_in_a_transaction(&step.removes));
                if let Some(why) = alone.next() {
                    return refused(&why);
                }
                Some(false)
            }
        };
        match (dialect, one_per_migration, &self.identity) {
            (Some("sqlite"), _, Some(identity)) => {
                Ok(AtomicMethod::File(PathBuf::from(&identity.database)))
            }
            (_, Some(false), _) => match self.watched.checks.check_without_a_query() {
                Some(check) => Err(not_as_a_whole(&format!(
                    "the check \"{}\" is made after a step by a command or an address, which cannot see what is not committed",
                    check.name
                ))
                .hint("or write it as sql, or for when = \"before\"")),
                None => Ok(AtomicMethod::Transaction),
            },
            (_, Some(true), _) => {
                refused("env.py asks for one transaction per revision (transaction_per_migration)")
            }
            (_, None, _) => refused("the engine did not tell how env.py uses transactions"),
        }
    }
}
