//! What each step of a plan puts at risk: one rule, one file.

mod finding_draft;
mod instant;
mod objects;
mod operation_context;
pub mod plan_forecast;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
pub mod type_fit;
pub mod verdict;

use std::fmt;

use serde::Serialize;

use super::effect::Surprise;
use super::finding_code::FindingCode;
pub use super::finding_code::Level;
use super::forecast::StepTrace;
use super::operation::{ColumnType, Place, TableName};
use super::revision::RevisionId;
use super::schema_model::Subject;

/// All findings of one step, in the order in which things happen; one for each object and code.
///
/// What is lost is asked for first, in case the time of `ask` does not suffice for all.
pub fn examine(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<Finding> {
    let mut all = Vec::new();
    for rule in &rules::RULES {
        all.extend(rule(seen, ask));
    }
    finding_draft::merged(all)
}

/// A finding for each effect that an earlier run measured and did not keep. Such evidence counts more than reading.
pub fn measured(effects: &[Surprise]) -> Vec<Finding> {
    let finding = |effect: &Surprise| Finding {
        code: FindingCode::Measured,
        level: Level::High,
        outcome: None,
        sentence: format!("would {effect}, as an earlier run measured"),
        evidence: None,
        advice: String::new(),
        place: None,
        culprit: None,
    };
    effects.iter().map(finding).collect()
}

/// Whether the step comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePrediction {
    /// It depends on what is not known.
    MayFail,
    /// It does not.
    WillFail,
}

/// What a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// A sentence with the figures: `88 rows`.
    pub sentence: String,
    /// The figure, for programs.
    pub count: Option<u64>,
    /// Whether it was counted. Else it is the server's estimate.
    pub exact: bool,
    /// The query that was asked, to be asked again.
    pub query: Option<String>,
    /// Whether the sentence of the finding has the figure, so that it need not be shown again.
    #[serde(skip)]
    pub is_told: bool,
}

/// One thing to know before a step is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub code: FindingCode,
    /// How bad.
    pub level: Level,
    /// Whether the step fails by it; `None` where it does not.
    pub outcome: Option<FailurePrediction>,
    /// What happens, in one sentence, with the names of the objects.
    pub sentence: String,
    /// What that rests on; `None` where the code alone says it.
    pub evidence: Option<Evidence>,
    /// What to do about it, in one sentence; empty where there is nothing to do.
    pub advice: String,
    /// Where in the code.
    pub place: Option<Place>,
    /// Which revision made or removed the object that a failure is about, if one in sight did.
    pub culprit: Option<Culprit>,
}

/// The revision that made or removed an object, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// The object.
    pub object: Subject,
    /// The revision.
    pub revision: RevisionId,
    /// The place in its file.
    pub place: Option<Place>,
}

impl fmt::Display for Culprit {
    /// `revision c3 at c3.py:40`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "revision {}", self.revision)?;
        match &self.place {
            Some(place) => write!(formatter, " at {}", place.in_short()),
            None => Ok(()),
        }
    }
}

/// What can be asked of the database, read-only. Names are those that the database has now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// How many rows a table has.
    Rows {
        /// The table.
        table: TableName,
    },
    /// How many rows hold something in a column: neither NULL nor its server default.
    Values {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// SQL of the default, if it has one.
        default: Option<String>,
    },
    /// How many rows have no value in a column.
    Nulls {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// How many values do not fit a type that the column is to have.
    Misfits {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The present type.
        from: Kind,
        /// The type to be.
        to: Kind,
    },
    /// How many values fit a type that the column is to have, but not as they are: digits after the
    /// point or the time of day get lost.
    Changes {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The present type.
        from: Kind,
        /// The type to be.
        to: Kind,
    },
    /// How many groups of rows share the values of columns that are to be unique.
    Duplicates {
        /// The table.
        table: TableName,
        /// The columns.
        columns: Vec<String>,
        /// SQL that holds for the rows that count; all do where there is none.
        condition: Option<String>,
        /// Whether a NULL is like another one.
        nulls: bool,
    },
    /// How many rows point at nothing.
    Orphans {
        /// The table.
        table: TableName,
        /// The columns.
        columns: Vec<String>,
        /// What they are to point at.
        referent: TableName,
        /// The columns there.
        referent_columns: Vec<String>,
    },
    /// How many rows break a condition that is to be a check.
    Violations {
        /// The table.
        table: TableName,
        /// SQL.
        condition: String,
    },
    /// How many rows hold one of the words in a column.
    Holding {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The words.
        words: Vec<String>,
    },
    /// How many bytes a table takes with its indexes.
    Size {
        /// The table.
        table: TableName,
    },
    /// What keeps a server of MySQL's kind from adding or dropping a column without writing the rows: a code of
    /// `instant.rs`.
    ColumnChange {
        /// The table.
        table: TableName,
    },
}

/// A type as part of a question: two of the same text are the same.
#[derive(Debug, Clone)]
pub struct Kind(pub ColumnType);

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.0.written == other.0.written
    }
}

impl Eq for Kind {}

impl std::hash::Hash for Kind {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.written.hash(state);
    }
}

/// An answer of the database's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number.
    pub count: u64,
    /// Whether it was counted. Else it is the server's estimate.
    pub exact: bool,
    /// The query that was asked, as an operator would type it.
    pub query: String,
}

/// Nobody answers: there is no database at hand, or it is not to be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn ask(&mut self, _: &Question) -> Option<Answer> {
        None
    }
}

/// Who answers. The same question is asked once only.
pub trait Probe {
    /// `None` where there is no database to ask, no time left, or the query failed.
    fn ask(&mut self, question: &Question) -> Option<Answer>;
}
