//! What a forecast asks of the database.

use super::operation::{ColumnType, TableName};

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

/// Answers nothing: no database is available, or it may not be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn ask(&mut self, _: &Question) -> Option<Answer> {
        None
    }
}

/// Who answers. The same question is asked once only.
pub trait Probe {
    /// `None` if no database can be asked, no time is left, or the query failed.
    fn ask(&mut self, question: &Question) -> Option<Answer>;
}
