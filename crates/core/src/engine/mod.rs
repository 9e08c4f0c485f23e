//! The programs that run migrations, behind one seam.

mod listener;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use self::listener::{Channel, Ended, Lines, Listener, NoChannel, NoListener};
use crate::connection::{ConnectionFacts, VersionTable};
use crate::graph::Graph;
use crate::plan::Step;
use crate::proof::StepSession;
use crate::query::Queries;
use crate::revision::{Heads, RevisionId};

/// The name of the engine of SQL files, for people and in records.
pub const SQL_FILES: &str = "SQL files";

/// What the engine says about the project and its database before anything is changed.
#[derive(Debug)]
pub struct Observation {
    /// All revisions of the code.
    pub graph: Graph,
    /// What the engine's own `current` said: the rows, or why it would not say.
    pub current: Current,
    /// How the engine connects; `None` on the plain road.
    pub connection: Option<ConnectionFacts>,
    /// The URL that `current --verbose` shows, password masked.
    pub reported_url: Option<String>,
    /// The version table that `env.py` configures; `None` where that is not known.
    pub version_table: Option<VersionTable>,
    /// Whether `env.py` asks for one transaction per revision; `None` on the plain road.
    pub transaction_per_migration: Option<bool>,
    /// Whether `env.py` begins a transaction before the migrations and does not commit it, so that nothing of a step
    /// is kept. Only the bridge sees that.
    pub leaves_transaction_open: bool,
    /// Alembic's version, where known.
    pub engine_version: Option<String>,
}

/// The answer of the engine's `current`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// The applied rows; empty where nothing is applied or there is no version table.
    Rows(Vec<RevisionId>),
    /// The database names a revision that no version file has.
    UnknownRevision(String),
}

/// A failed start or a complaint of the engine. Carries its output whole.
#[derive(Debug, thiserror::Error)]
#[error("{summary}")]
pub struct EngineError {
    /// One sentence: what was tried and what the engine's last line says.
    pub summary: String,
    /// What the engine printed on stdout.
    pub stdout: String,
    /// What the engine printed on stderr.
    pub stderr: String,
    /// What to do about it, as sentences that end in a command where there is one.
    pub hints: Vec<String>,
}

/// One run of `downgrade`. Says what the process did, not what the database looks like.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// How the process ended.
    pub ended: Ended,
    /// Everything it printed on stdout.
    pub stdout: String,
    /// Everything it printed on stderr.
    pub stderr: String,
    /// The line of it that tells why it failed; `None` where nothing failed or nothing tells.
    pub reason: Option<String>,
    /// Whether it failed because it waited for a lock as long as it may.
    pub lock_timeout: bool,
    /// The statement that failed and how many there are, counted from 1, where the engine sends them itself.
    pub statement: Option<(usize, usize)>,
    /// How many of them are done and stay so although it failed, and how many there are.
    pub kept: Option<(usize, usize)>,
    /// Wall time from start to end.
    pub elapsed: Duration,
}

/// Steps that one process runs.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// The version rows at the start.
    pub before: &'a Heads,
    /// The steps, newest first.
    pub steps: &'a [Step],
    /// What becomes of them.
    pub keep: Keep,
}

/// What becomes of the steps of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// One transaction for each, which is committed before the next begins.
    Each,
    /// One transaction for all.
    End,
    /// One transaction for all, which is rolled back when the last step is done.
    Never,
    /// One step, run by the command line that names it, in whatever transaction the project makes for it.
    Own,
}

/// How far a lock timeout reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockTimeoutScope {
    /// Every connection that the engine opens.
    Connection,
    /// PostgreSQL alone, by what libpq reads from the environment.
    Libpq,
    /// Nothing: what libpq reads is refused by whoever answers the engine, such as `PgBouncer`.
    Refused,
}

/// What became of the lock timeout on a connection of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockLimit {
    /// It holds as long as the connection does, or there is nothing that it could be set on.
    Session,
    /// It holds within each transaction: a pooler hands the session on to others.
    Transactions,
    /// It was not set, and why.
    None(String),
}

/// What the engine's process tells of its session with the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionNews {
    /// It opened a connection.
    Opened,
    /// It is about to commit. The rows that it deleted, by table, at most, and the tables that it locked for itself.
    Committing {
        /// By table.
        deleted: BTreeMap<String, u64>,
        /// Each may have been emptied.
        locked: Vec<String>,
    },
    /// It is done with its connection.
    Ended {
        /// The server's numbers of its transactions; `None` unless these are all transactions of the process.
        transactions: Option<Vec<u64>>,
    },
}

/// Puts together what is told of the session of a step.
#[derive(Debug, Default)]
pub struct SessionFacts {
    known: StepSession,
    opened: usize,
    is_complete: bool,
}

impl SessionFacts {
    /// Takes the next news.
    pub fn hear(&mut self, news: SessionNews) {
        match news {
            SessionNews::Opened => {
                self.opened += 1;
                self.is_complete = false;
            }
            SessionNews::Committing { deleted, locked } => {
                for (table, rows) in deleted {
                    *self.known.deleted.entry(table).or_default() += rows;
                }
                self.known.locked.extend(locked);
                self.known.commits += 1;
            }
            SessionNews::Ended { transactions } => {
                self.is_complete = transactions.is_some();
                self.known.transactions = transactions.unwrap_or_default();
            }
        }
    }

    /// What is known of a step that is over while the session goes on, and no more of it afterwards; `None` if
    /// another session may have been at work, or nothing was told of the commit.
    pub fn take_step(&mut self) -> Option<StepSession> {
        let known = std::mem::take(&mut self.known);
        (self.opened == 1 && known.commits > 0).then_some(known)
    }

    /// All of it; `None` if something may be missing.
    pub fn complete(self) -> Option<StepSession> {
        self.is_complete.then_some(self.known)
    }
}

/// A program that knows the revisions and can take one back.
pub trait Engine {
    /// For people: `alembic 1.20.1`, `superset db`.
    fn name(&self) -> String;

    /// Looks at the project and its database without changing either.
    fn observe(&self) -> Result<Observation, EngineError>;

    /// Asks the engine where the database is: one process.
    fn current(&self) -> Result<Current, EngineError>;

    /// The command line of one step as an operator would type it.
    fn command_line(&self, argument: &str) -> Vec<String>;

    /// Runs one step: one process, ended by `timeout` or by the operator's second signal. Every line
    /// it prints is handed to `listener` as it comes. Fails only where the process cannot be started.
    fn downgrade(
        &self,
        argument: &str,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError>;

    /// Whether [`Self::run_sequence`] can run a step by itself and be judged before the commit.
    fn hands_over_control(&self) -> bool {
        false
    }

    /// Whether several steps may share a process that keeps each: only if nothing of one can reach into the next.
    /// The error is a sentence.
    fn shares_a_process(&self) -> Result<(), String> {
        Err("this engine runs each step by itself".to_owned())
    }

    /// Whether the steps of a sequence that keeps each share a connection, so that a later one cannot come to another
    /// server.
    fn stays_connected(&self) -> bool {
        true
    }

    /// Runs the steps one after the other in one process. What `judge` does not allow is not committed. The time limit
    /// counts for each step that is kept by itself. `None` where the engine has no way to do so: then nothing was run.
    fn run_sequence(
        &self,
        _sequence: &Sequence<'_>,
        _timeout: Option<Duration>,
        _judge: &mut dyn Judge,
    ) -> Option<Result<StepRun, EngineError>> {
        None
    }

    /// Reads a line of [`Listener::on_message`] about the session with the database.
    fn session_news(&self, _line: &str) -> Option<SessionNews> {
        None
    }

    /// Reads a line of [`Listener::on_message`] that says what became of the lock timeout.
    fn lock_limit(&self, _line: &str) -> Option<LockLimit> {
        None
    }
}

/// Hears of a sequence and decides inside its transactions whether it goes on. Each error is a sentence, upon
/// which the engine rolls back what is not committed.
pub trait Judge: Listener {
    /// The one transaction of all steps is open, and nothing was done in it.
    fn begun(&mut self, _transaction: &mut dyn Queries) -> Result<(), String> {
        Ok(())
    }

    /// The step at this position begins; until then nothing of it can have happened. Not told of the steps of one
    /// transaction, nor of a step that is run by the command line that names it.
    fn began(&mut self, _index: usize) {}

    /// The transaction of the step at this position is open, and nothing was done in it. Not told where the server has
    /// no transactional DDL.
    fn starting(&mut self, _index: usize, _transaction: &mut dyn Queries) -> Result<(), String> {
        Ok(())
    }

    /// The step at this position is committed, and no transaction is open. The error is not shown: the engine does not go
    /// on to the next step.
    fn kept(&mut self, _index: usize) -> Result<(), String> {
        Ok(())
    }

    /// The engine does not run the next steps in this process, for this reason; nothing of them was begun.
    fn left(&mut self, _reason: &str) {}

    /// The step at this position is done; the version rows are the engine's word.
    fn applied(
        &mut self,
        index: usize,
        heads: &Heads,
        transaction: &mut dyn Queries,
    ) -> Result<(), String>;

    /// All steps of the one transaction are done, and after this everything is committed, if anything is.
    fn finished(&mut self, _transaction: &mut dyn Queries) -> Result<(), String> {
        Ok(())
    }
}
