//! Predicts what a plan will do before anything runs, by following its migrations step by step over the schema of the
//! database, newest first.
//!
//! `python` reads Alembic's version files, `risk` has the rules.

mod announced;
mod change_log;
mod follow;
mod predict;
pub mod python;
mod reads;
pub mod risk;
mod taken_along;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use announced::announced;
pub use predict::{StepForecast, predict};
pub use reads::{Reachable, reachable};

use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, Place};
use rollback_core::revision::RevisionId;
use rollback_schema::{Failure, SchemaModel};

/// Which of the two functions of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `upgrade()`.
    Upgrade,
    /// `downgrade()`.
    Downgrade,
}

/// Something that happens while a migration is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it stands. In a helper this is the helper's line.
    pub place: Place,
    /// The line of the version file itself that led there, where that is another one.
    pub called_from: Option<Place>,
    /// Whether it happens whenever the migration runs. Not so behind a condition that cannot be
    /// decided, in a loop over what is not known, or after code that cannot be followed and may leave.
    pub certain: bool,
    /// Inside `autocommit_block`.
    pub autocommit: bool,
    /// What happens.
    pub kind: EventKind,
}

/// What code that cannot be followed may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SideEffect {
    /// Rows: it was handed a session, or rows that belong to one, or is chosen while the migration runs.
    /// That such code changes the schema would be possible, and was seen in no history.
    Rows,
    /// Anything: it was handed a connection, an engine, Alembic's own operations, or makes code.
    Schema,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A directive or statement.
    Operation(Box<Operation>),
    /// The migration itself commits or rolls back.
    EndsTransaction,
    /// The migration raises.
    Raises {
        /// `NotImplementedError`.
        exception: String,
        /// Its words, where they are known.
        message: Option<String>,
    },
    /// Code that cannot be followed.
    Unknown {
        /// What it is, completing "cannot follow ...".
        what: String,
        /// What of the database it may change.
        may_change: SideEffect,
    },
}

/// An exception of the database's, raised inside the migration at the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// What the server would say.
    pub message: String,
}

/// What a migration runs against while it is followed.
pub trait Host {
    /// The server; `None` where that is not known.
    fn dialect(&self) -> Option<Dialect>;

    /// The schema as it is at this point; `None` where that is not known.
    fn schema_model(&self) -> Option<&SchemaModel>;

    /// Something happens. The error is raised inside the migration, which may catch it.
    fn happens(&mut self, event: Event) -> Result<(), Raised>;

    /// What was raised at an event was not caught: the migration ends with it. Not called where the
    /// migration catches it and goes on.
    fn escaped(&mut self, raised: &Raised, certain: bool) {
        let _ = (raised, certain);
    }
}

/// How the following of one function ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// There is no such function.
    Missing,
    /// To its end, with no statement but `pass`, a docstring or `return`.
    Empty,
    /// To its end or to something that was raised.
    Whole,
    /// The file cannot be read or parsed: the sentence says why.
    Unreadable(String),
}

/// The migrations of a project.
pub trait Migrations {
    /// Follows one function of one revision over `host`.
    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed;

    /// What the upgrade of a revision does over no schema. It depends on nothing that happens before.
    fn upgrade(&self, revision: &RevisionId, dialect: Option<Dialect>) -> Arc<Function> {
        let mut host = follow::Collect::new(dialect);
        let followed = self.follow(revision, Direction::Upgrade, &mut host);
        Arc::new(Function {
            followed,
            happened: host.happened,
            failures: Vec::new(),
        })
    }

    /// What is wrong with a revision that cannot be followed down: a sentence.
    fn lacks(&self, revision: &RevisionId) -> String {
        format!("revision {revision} has no function downgrade")
    }

    /// Whether they are files of SQL, which have no functions.
    fn are_sql_files(&self) -> bool {
        false
    }

    /// Whether their connection may be one that commits each statement by itself, without a transaction.
    fn may_autocommit(&self) -> bool;
}

/// An event with the schema right before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The event. SQL is taken apart where that can be done: one event for each statement.
    pub event: Event,
    /// The schema before it; `None` where that is not known.
    pub before: Option<Arc<SchemaModel>>,
}

/// One function of a migration, followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// How it ended.
    pub followed: Followed,
    /// What happens, in order, up to the first certain failure.
    pub happened: Vec<Happened>,
    /// What goes wrong by the schema alone: at most one certain failure, the last.
    pub failures: Vec<Failure>,
}

/// One step of a plan, followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTrace {
    /// The revision that goes.
    pub revision: RevisionId,
    /// Whether it is a merge point.
    pub is_merge: bool,
    /// Whether it is a file of SQL, which has no functions.
    pub is_sql_file: bool,
    /// The server, where known.
    pub dialect: Option<Dialect>,
    /// Its `downgrade`, over the schema at that point of the plan.
    pub downgrade: Function,
    /// Its `upgrade`, over no schema: what the downgrade is to take back.
    pub upgrade: Arc<Function>,
}
