//! A database schema as objects, and what an operation does to it.
//!
//! `rows` builds the objects from the rows of a server, `apply` does what a server would do, and `subject` says which
//! objects an operation makes and removes.

mod apply;
mod difference;
mod look;
mod rows;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod views;

pub use apply::{ApplyContext, FollowingRows};
pub use subject::{ApplyError, ApplyErrorKind, Effect, Failure, effects};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rollback_core::dialect::Dialect;
use rollback_core::operation::{ColumnType, Name, TableName};
use rollback_core::revision::RevisionId;

/// Where an object comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The database has it now, under this name: what it holds can be asked.
    Live {
        /// Its name there: of a column, that of the column.
        name: String,
    },
    /// A step of the plan makes it.
    Made {
        /// The revision whose downgrade does.
        by: RevisionId,
    },
}

/// Whether an object is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It depends on what is not known.
    Uncertain,
    /// It is.
    Certain,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; `None` where that is not known.
    pub kind: Option<ColumnType>,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// SQL of its default, identity or computation.
    pub default: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether the plan updates values of it, so that an answer of today may not hold then.
    pub written: bool,
}

/// A primary or unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name; unnamed where the server has no names for them (SQLite).
    pub name: Name,
    /// Its columns.
    pub columns: Vec<String>,
    /// Whether it is there.
    pub presence: Presence,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name.
    pub name: Name,
    /// The columns.
    pub columns: Vec<String>,
    /// The table that it points at, as the schema model names it.
    pub referent: TableName,
    /// The columns there.
    pub referent_columns: Vec<String>,
    /// `CASCADE`, `SET NULL` and so on.
    pub on_delete: Option<String>,
    /// Whether it is written as part of its column, with which SQLite drops it.
    pub inline: bool,
    /// Whether it is there.
    pub presence: Presence,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: Name,
    /// SQL.
    pub condition: Option<String>,
    /// Whether it is there.
    pub presence: Presence,
}

/// An index that is no constraint. MariaDB tells unique keys here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: Name,
    /// Its columns; `None` stands for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it is there.
    pub presence: Presence,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns by name.
    pub columns: BTreeMap<String, Column>,
    /// Its primary key.
    pub primary_key: Option<Key>,
    /// Its unique keys.
    pub uniques: Vec<Key>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// Where it comes from; of a live one the name is that of the table.
    pub origin: Origin,
    /// Whether it is there.
    pub presence: Presence,
    /// Whether the plan inserts rows.
    pub inserted: bool,
    /// Whether the plan deletes rows.
    pub deleted: bool,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its query, as the server tells it.
    pub query: String,
    /// The columns that it uses, each with its table; `None` where only the words of the query tell.
    pub uses: Option<BTreeSet<(TableName, String)>>,
    /// Whether it is there.
    pub presence: Presence,
}

/// A schema at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaModel {
    /// The server.
    pub dialect: Dialect,
    /// The schema that names without one mean; `None` where the server has none. Names in the
    /// catalogue always have their schema, where the server has schemas.
    pub default_schema: Option<String>,
    /// PostgreSQL: the schemas where a name without one is looked for; `None` where that is not known.
    pub search_path: Option<Vec<String>>,
    /// Its tables.
    pub tables: BTreeMap<TableName, Arc<Table>>,
    /// Its views.
    pub views: BTreeMap<TableName, View>,
    /// Its enum types with their words in order.
    pub enums: BTreeMap<TableName, Vec<String>>,
    /// Its other types: domains, composite types, ranges.
    pub types: BTreeSet<TableName>,
    /// Whether code that cannot be followed may have changed anything.
    pub doubtful: bool,
    /// Whether a server of MySQL's kind is MySQL itself. MariaDB ignores what it does not like of a primary key.
    pub is_mysql_itself: bool,
    /// The library of SQLite that runs the steps, if the engine tells.
    pub library: Option<Release>,
    /// SQLite: whether the engine's connection enforces foreign keys; `None` where that is not known.
    pub foreign_keys: Option<bool>,
    /// Whether the engine's driver refuses a text of several statements; `None` if it takes one.
    pub one_statement: Option<Presence>,
}

/// `3.33.0` of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl Release {
    /// The first release of SQLite with `DROP COLUMN`: <https://sqlite.org/releaselog/3_35_0.html>.
    pub(crate) const DROPS_COLUMNS: Self = Self(3, 35, 0);

    /// Reads up to three numbers with points between them.
    pub fn of(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let first = numbers.next()?.ok()?;
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or_default();
        Some(Self(first, next(), next()))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}
