//! Whether a step left nothing behind: what is noted before it, what is seen after it, and what follows.
//!
//! "Unchanged" is a claim about rows as well as about the schema, so it needs evidence. Each kind of server has its
//! own, taken before a step without reading a table whole. [`Proof::of`] compares it with what is seen
//! afterwards: no doubt is proof, and each doubt says what could not be proven.

mod mysql;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::mysql::{Hot, MySqlEvidence, MySqlTrace, TableState};
pub use self::postgres::{Counted, PostgresEvidence, PostgresTrace, SequenceEvidence, TableTrace};
pub use self::sqlite::{Log, SqliteEvidence};
use super::names::some;

/// What is noted about the rows of a database before a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "server", rename_all = "snake_case")]
pub enum RowEvidence {
    /// Of PostgreSQL.
    Postgresql(PostgresEvidence),
    /// Of MySQL and MariaDB.
    Mysql(MySqlEvidence),
    /// Of a SQLite file.
    Sqlite(SqliteEvidence),
}

/// What is seen of the same database after the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// Of PostgreSQL.
    Postgresql(PostgresTrace),
    /// Of MySQL and MariaDB.
    Mysql(MySqlTrace),
    /// Of a SQLite file, which is noted in the same way.
    Sqlite(SqliteEvidence),
}

/// Why it is not proven that a step left nothing behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// rollback has no direct connection to the database.
    NoConnection,
    /// Nothing was noted before the step.
    NoEvidence,
    /// The database could not be asked; the words of the server.
    NotRead(String),
    /// The schema could not be read before or after the step.
    NoSchema,
    /// The evidence is of another kind of server, or of a server whose transactions were numbered higher.
    AnotherServer,
    /// The server was started after the evidence was taken and has forgotten what it is compared with.
    Restarted,
    /// A session that began during the step is still at work.
    StillAtWork,
    /// Rows of these tables were changed while the step ran.
    RowsChanged(Vec<String>),
    /// These tables lost rows that they had before the step.
    Emptied(Vec<String>),
    /// These tables could not be compared.
    NotCompared(Vec<String>),
    /// So many tables cannot be read by the user of the direct connection.
    Unreadable(u64),
    /// These sequences were set back.
    SequencesSetBack(Vec<String>),
    /// The file was written while the step ran.
    FileWritten,
}

/// What is known about the rows, and perhaps about more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// What is not proven; empty if the rows are those of before.
    pub doubts: Vec<Doubt>,
    /// Whether the schema is proven to be the same as well, without reading it.
    pub with_schema: bool,
}

impl Proof {
    /// Compares what is seen after a step with what was noted before it.
    pub fn of(before: &RowEvidence, after: &Trace) -> Self {
        let doubts = match (before, after) {
            (RowEvidence::Postgresql(before), Trace::Postgresql(after)) => before.doubts(after),
            (RowEvidence::Mysql(before), Trace::Mysql(after)) => before.doubts(after),
            (RowEvidence::Sqlite(before), Trace::Sqlite(after)) => before.doubts(after),
            _ => vec![Doubt::AnotherServer],
        };
        let with_schema = match after {
            Trace::Postgresql(after) => after.kept == 0 || after.step_rolled_back,
            Trace::Mysql(_) => false,
            Trace::Sqlite(_) => true,
        };
        Self {
            with_schema: with_schema && doubts.is_empty(),
            doubts,
        }
    }

    /// Nothing is known, for this reason.
    pub fn none(doubt: Doubt) -> Self {
        Self {
            doubts: vec![doubt],
            with_schema: false,
        }
    }

    /// The doubts that are left where the schema was compared or not, and found to be the same.
    pub fn doubts_with(self, schema_compared: bool) -> Vec<Doubt> {
        let mut doubts = self.doubts;
        if !schema_compared && !self.with_schema && !doubts.contains(&Doubt::NoConnection) {
            doubts.push(Doubt::NoSchema);
        }
        doubts
    }
}

impl RowEvidence {
    /// The same without what `known` has already; `known` has it all afterwards. A record that has one of these
    /// for each step stays small.
    #[must_use]
    pub fn without(mut self, known: &mut BTreeMap<String, u64>) -> Self {
        if let Self::Postgresql(PostgresEvidence {
            counted: Some(counted),
            ..
        }) = &mut self
        {
            counted.leave_out(known);
        }
        self
    }

    /// The inverse of [`without`](Self::without).
    #[must_use]
    pub fn with(mut self, known: &mut BTreeMap<String, u64>) -> Self {
        if let Self::Postgresql(PostgresEvidence {
            counted: Some(counted),
            ..
        }) = &mut self
        {
            counted.complete(known);
        }
        self
    }
}

/// How many names a sentence has.
const SHOWN: usize = 5;

impl Doubt {
    /// The code in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoConnection => "no-direct-connection",
            Self::NoEvidence => "no-evidence",
            Self::NotRead(_) => "not-read",
            Self::NoSchema => "schema-not-read",
            Self::AnotherServer => "another-server",
            Self::Restarted => "server-restarted",
            Self::StillAtWork => "session-at-work",
            Self::RowsChanged(_) => "rows-changed",
            Self::Emptied(_) => "rows-gone",
            Self::NotCompared(_) => "not-compared",
            Self::Unreadable(_) => "unreadable-tables",
            Self::SequencesSetBack(_) => "sequences-set-back",
            Self::FileWritten => "file-written",
        }
    }

    /// The tables or sequences that it is about.
    pub fn objects(&self) -> &[String] {
        match self {
            Self::RowsChanged(names)
            | Self::Emptied(names)
            | Self::NotCompared(names)
            | Self::SequencesSetBack(names) => names,
            _ => &[],
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => formatter.write_str(
                "rollback has no direct connection, so it could compare only the version table",
            ),
            Self::NoEvidence => formatter.write_str(
                "nothing was noted about the rows before the step, so they cannot be compared",
            ),
            Self::NotRead(reason) => write!(formatter, "the rows cannot be compared: {reason}"),
            Self::NoSchema => formatter.write_str("the schema cannot be read"),
            Self::AnotherServer => {
                formatter.write_str("the server is not the one that the step ran on")
            }
            Self::Restarted => formatter.write_str(
                "the server was restarted since, and no longer knows which tables were written",
            ),
            Self::StillAtWork => {
                formatter.write_str("a session that began during the step is still at work")
            }
            Self::RowsChanged(tables) => write!(
                formatter,
                "rows of {} were written while the step ran",
                some(tables, SHOWN)
            ),
            Self::Emptied(tables) => write!(
                formatter,
                "{} had rows before the step and is empty",
                some(tables, SHOWN)
            ),
            Self::NotCompared(tables) => {
                write!(formatter, "{} could not be compared", some(tables, SHOWN))
            }
            Self::Unreadable(tables) => write!(
                formatter,
                "rollback's user may not read {tables} of the tables"
            ),
            Self::SequencesSetBack(sequences) => {
                write!(formatter, "{} was set back", some(sequences, SHOWN))
            }
            Self::FileWritten => formatter.write_str("the file was written while the step ran"),
        }
    }
}

/// What is known of the transactions of a step from inside the engine's process.
///
/// It is complete: the engine opened one connection through SQLAlchemy, and every transaction on it is known. A
/// connection that a migration opens past SQLAlchemy is not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepSession {
    /// The server's numbers of its transactions.
    pub transactions: Vec<u64>,
    /// How many rows of which table it deleted before it committed, at most.
    pub deleted: BTreeMap<String, u64>,
    /// The tables that it held an exclusive lock on when it committed: it may have emptied them.
    pub locked: Vec<String>,
    /// How many of its transactions told what they removed.
    pub commits: usize,
}

impl StepSession {
    /// Whether it may have removed so many rows of a table; `None` if one of its transactions did not tell.
    pub fn may_have_removed(&self, table: &str, rows: u64) -> Option<bool> {
        let removed = self.locked.iter().any(|locked| locked == table)
            || self
                .deleted
                .get(table)
                .is_some_and(|deleted| *deleted >= rows);
        (removed || self.commits >= self.transactions.len()).then_some(removed)
    }
}

#[cfg(test)]
mod tests;
