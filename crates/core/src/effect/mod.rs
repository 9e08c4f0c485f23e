//! Measure before you keep: what a step did to the database, and whether the plan announced it.
//!
//! An [`Inventory`] is noted before a step and again after it, on PostgreSQL both inside the step's transaction.
//! [`Effect::between`] is what is between them, and [`judge`] compares it with what the plan [`Announced`] and what
//! the operator agreed to ([`Consent`]). Nothing here talks to a database.

mod announced;
mod between;
mod counted;
mod inventory;
mod judge;
mod objects;
mod surprise;
#[cfg(test)]
mod tests;

pub use announced::{Announced, Unfollowed};
pub use counted::{CountedInventory, CountedTable};
pub use inventory::{Column, Inventory, RowCounts, Table};
pub use judge::{Consent, Verdict, judge};
pub use surprise::{CountRequest, Surprise};

use serde::{Deserialize, Serialize};

use super::checks::is_named;
use super::operation::TableName;
use super::schema::Difference;

/// A table by the name that it had before the step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableIdentity {
    /// The server's number for it, on PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<u32>,
    /// The schema, on a server that has schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The name without quotes.
    pub name: String,
    /// Whether the name alone, without a schema, means this table.
    pub unqualified: bool,
    /// Its name inside the transaction; `None` if the step dropped it, or it is the same on a server that is measured
    /// by counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<TableName>,
    /// Other names under which a plan may speak of it: the tables that it is a partition or child of, and the
    /// partitions that took part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<TableIdentity>,
}

impl TableIdentity {
    /// The name before the step, which is its name again after a rollback.
    pub fn before(&self) -> TableName {
        TableName {
            schema: self.schema.clone(),
            name: self.name.clone(),
        }
    }
}

/// What a step did, as measured. Tables that the step itself created are no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effect {
    /// Tables that are gone.
    pub dropped_tables: Vec<DroppedTable>,
    /// Tables that have another name or schema now.
    pub renamed_tables: Vec<TableIdentity>,
    /// Partitions and children with data that no longer belong to their table.
    pub detached_partitions: Vec<DetachedPartition>,
    /// Columns that are gone from tables that held data.
    pub dropped_columns: Vec<DroppedColumn>,
    /// Columns that have another type, in tables that held data.
    pub retyped_columns: Vec<RetypedColumn>,
    /// Rows that were changed; partitions are summed at their root.
    pub changed_rows: Vec<ChangedRows>,
    /// Tables that held data and have new storage.
    pub rewritten_tables: Vec<RewrittenTable>,
    /// The difference between the schemas, as lines.
    pub schema: Difference,
    /// Why the rows were not measured, or not all of them.
    pub unmeasured: Vec<Unmeasured>,
}

impl Effect {
    /// The same without the schema's lines, for a record that has them already.
    #[must_use]
    pub fn without_schema(self) -> Self {
        Self {
            schema: Difference::default(),
            ..self
        }
    }

    /// The losses of a later look that this effect does not show: what was measured inside the transaction of a step
    /// has been judged, and what is missing from it happened elsewhere.
    pub fn elsewhere(&self, surprises: Vec<Surprise>) -> Vec<Surprise> {
        let is_unseen = |surprise: &Surprise| match surprise {
            Surprise::TableDropped { table, .. }
            | Surprise::ColumnDropped { table, .. }
            | Surprise::RowsDeleted { table, .. }
            | Surprise::TableEmptied { table, .. } => !self.shows(table),
            _ => false,
        };
        let unseen = surprises.into_iter().filter(is_unseen).map(Box::new);
        unseen.map(|what| Surprise::Elsewhere { what }).collect()
    }

    /// Whether so many rows of a table, by the name that the schema gives it, may be gone by this effect; `None` if not
    /// all of it was measured.
    pub fn may_have_removed(&self, table: &str, rows: u64) -> Option<bool> {
        let is_it = |one: &TableIdentity| {
            let mut names = std::iter::once(one).chain(&one.related);
            names.any(|one| is_named(table, &one.before().to_string()))
        };
        let deleted = self.changed_rows.iter().filter(|one| is_it(&one.table));
        let deleted: u64 = deleted.map(|one| one.deleted + one.moved).sum();
        let may = deleted >= rows || self.replaced().any(is_it);
        (may || self.unmeasured.is_empty()).then_some(may)
    }

    /// Whether data of the table was moved or went.
    fn shows(&self, table: &TableIdentity) -> bool {
        let rows = self.changed_rows.iter();
        let rows = rows.filter(|rows| rows.deleted > 0 || rows.moved > 0);
        let columns = self.dropped_columns.iter().map(|column| &column.table);
        self.replaced()
            .chain(columns)
            .chain(rows.map(|rows| &rows.table))
            .flat_map(|one| std::iter::once(one).chain(&one.related))
            .any(|one| one.before() == table.before())
    }

    /// The tables that do not stand where they stood with what they held.
    fn replaced(&self) -> impl Iterator<Item = &TableIdentity> {
        let partitions = self.detached_partitions.iter();
        let dropped = self.dropped_tables.iter().map(|one| &one.table);
        dropped
            .chain(&self.renamed_tables)
            .chain(partitions.flat_map(|one| [&one.partition, &one.parent]))
            .chain(self.rewritten_tables.iter().map(|one| &one.table))
    }
}

/// A table that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedTable {
    /// The table.
    pub table: TableIdentity,
    /// Whether it, or a partition that went with it, held data. On PostgreSQL data may be rows that were deleted.
    pub held_data: bool,
    /// Its rows, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Whether there is another table of that name now.
    pub replaced: bool,
}

/// A partition or child that no longer belongs to its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachedPartition {
    /// The partition, which is still there.
    pub partition: TableIdentity,
    /// The table that it was part of.
    pub parent: TableIdentity,
}

/// A column that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedColumn {
    /// The table, which is still there.
    pub table: TableIdentity,
    /// The column's name before the step. There may be a new one of the same name.
    pub column: String,
}

/// A column that has another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetypedColumn {
    /// The table.
    pub table: TableIdentity,
    /// The column's name before the step.
    pub column: String,
    /// The type before, in the server's words.
    pub from: String,
    /// The type after.
    pub to: String,
    /// Whether the values were written again. If not, they are what they were.
    pub rewritten: bool,
}

/// Rows that were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedRows {
    /// The table.
    pub table: TableIdentity,
    /// New rows, without those that moved.
    pub inserted: u64,
    /// Changed rows.
    pub updated: u64,
    /// Rows that are gone, without those that moved.
    pub deleted: u64,
    /// Rows that moved from one partition to another.
    pub moved: u64,
    /// Whether the numbers were counted. The server's counters include what a savepoint took back.
    pub exact: bool,
}

/// A table with new storage: by `TRUNCATE`, or by one of the many statements that write a table again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewrittenTable {
    /// The table.
    pub table: TableIdentity,
    /// Rows that the step inserted since, at most.
    pub inserted: u64,
    /// Whether none of its rows is left; `None` if that could not be looked up.
    pub emptied: Option<bool>,
}

/// What was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Unmeasured {
    /// The server does not count the rows of a transaction (`track_counts = off`).
    CountersOff,
    /// The step switched the counters off.
    CountersSwitchedOff,
    /// There was no time to count the rows of these tables.
    NotCounted {
        /// Their names.
        tables: Vec<String>,
    },
}
