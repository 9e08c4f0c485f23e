//! An effect that was neither announced nor agreed to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{TableIdentity, Unmeasured};
use crate::figures::count;
use crate::operation::TableName;

/// One unannounced effect, with its object and, if it is known, how much it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Surprise {
    /// A table that held data is gone.
    TableDropped {
        /// The table.
        table: TableIdentity,
        /// Its rows, if they were counted.
        #[serde(default)]
        rows: Option<u64>,
    },
    /// A partition with data no longer belongs to its table.
    PartitionDetached {
        /// The partition.
        partition: TableIdentity,
        /// The table.
        parent: TableIdentity,
    },
    /// A column is gone from a table that held data.
    ColumnDropped {
        /// The table.
        table: TableIdentity,
        /// The column.
        column: String,
        /// Its values that were not null, if they were counted.
        #[serde(default)]
        values: Option<u64>,
    },
    /// The values of a column were converted to another type.
    ColumnRetyped {
        /// The table.
        table: TableIdentity,
        /// The column.
        column: String,
        /// The type before.
        from: String,
        /// The type after.
        to: String,
    },
    /// Rows are gone.
    RowsDeleted {
        /// The table.
        table: TableIdentity,
        /// How many, at most.
        rows: u64,
        /// Rows that were inserted into the same table, at most.
        inserted: u64,
        /// Whether `rows` was counted.
        exact: bool,
    },
    /// Rows were changed.
    RowsUpdated {
        /// The table.
        table: TableIdentity,
        /// How many, at most. Rows that were set to what they were count as well.
        rows: u64,
    },
    /// All rows that a table had are gone, as after `TRUNCATE`.
    TableEmptied {
        /// The table.
        table: TableIdentity,
        /// Its rows before, if they were counted.
        #[serde(default)]
        rows: Option<u64>,
        /// Rows that were inserted since, at most.
        inserted: u64,
        /// Whether it is certain that none of them is left.
        certain: bool,
    },
    /// A table has another name now, with all it held.
    TableRenamed {
        /// The table.
        table: TableIdentity,
    },
    /// Something that holds no data is gone: a view, an index, a trigger.
    ObjectDropped {
        /// The kind of object, in the words of the schema's lines.
        object: String,
        /// Its name.
        name: String,
    },
    /// Data is gone that the step's own transaction did not touch: another connection of the step removed it, or another
    /// session did.
    Elsewhere {
        /// What.
        what: Box<Surprise>,
    },
    /// Rows were not measured, so that nobody can tell.
    NotMeasured {
        /// Why.
        #[serde(flatten)]
        why: Unmeasured,
    },
}

/// What to count to confirm a surprise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRequest {
    /// The table, by its name before the step: to be counted after the step was rolled back.
    pub table: TableName,
    /// The column whose values that are not null are to be counted, instead of the rows.
    pub column: Option<String>,
    /// If the rows have to be counted inside the transaction as well: the table's name there.
    pub now: Option<TableName>,
}

impl Surprise {
    /// Whether it costs no data, so that it is a note unless the operator is strict.
    pub fn is_schema_only(&self) -> bool {
        match self {
            Self::ObjectDropped { .. } | Self::TableRenamed { .. } => true,
            Self::NotMeasured { why } => *why != Unmeasured::CountersSwitchedOff,
            _ => false,
        }
    }

    /// Whether data is gone.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::TableDropped { .. }
            | Self::ColumnDropped { .. }
            | Self::RowsDeleted { .. }
            | Self::TableEmptied { .. } => true,
            Self::Elsewhere { what } => what.is_loss(),
            _ => false,
        }
    }

    /// Whether it is about rows alone.
    pub fn is_of_rows(&self) -> bool {
        match self {
            Self::RowsDeleted { .. }
            | Self::RowsUpdated { .. }
            | Self::TableEmptied { .. }
            | Self::NotMeasured { .. } => true,
            Self::Elsewhere { what } => what.is_of_rows(),
            _ => false,
        }
    }

    /// What to count so that [`counted`](Self::counted) can confirm it; `None` if it is as certain as it gets.
    pub fn needs_count(&self) -> Option<CountRequest> {
        let request = |table: &TableIdentity, column: Option<&String>, now: bool| {
            Some(CountRequest {
                table: table.before(),
                column: column.cloned(),
                now: table.now.clone().filter(|_| now),
            })
        };
        match self {
            Self::TableDropped { table, rows: None } => request(table, None, false),
            Self::ColumnDropped {
                table,
                column,
                values: None,
            } => request(table, Some(column), false),
            Self::RowsDeleted {
                table,
                exact: false,
                ..
            } => request(table, None, true),
            Self::TableEmptied {
                table,
                rows: None,
                certain,
                ..
            } => request(table, None, !certain),
            _ => None,
        }
    }

    /// The same with the numbers that [`needs_count`](Self::needs_count) asked for: `before` after the step was rolled
    /// back, `now` inside its transaction. `None` if nothing was lost.
    #[must_use]
    pub fn counted(self, before: u64, now: Option<u64>) -> Option<Self> {
        match self {
            Self::TableDropped { table, .. } => (before > 0).then_some(Self::TableDropped {
                table,
                rows: Some(before),
            }),
            Self::ColumnDropped { table, column, .. } => {
                (before > 0).then_some(Self::ColumnDropped {
                    table,
                    column,
                    values: Some(before),
                })
            }
            Self::RowsDeleted {
                table,
                rows,
                inserted,
                exact,
            } => {
                let Some(now) = now else {
                    let rows = rows.min(before.saturating_add(inserted));
                    return (rows > 0).then_some(Self::RowsDeleted {
                        table,
                        rows,
                        inserted,
                        exact,
                    });
                };
                let lost = before
                    .saturating_add(inserted)
                    .saturating_sub(now)
                    .min(rows);
                (lost > 0).then_some(Self::RowsDeleted {
                    table,
                    rows: lost,
                    inserted,
                    exact: true,
                })
            }
            Self::TableEmptied {
                table,
                inserted,
                certain,
                ..
            } => {
                let kept = now
                    .map(|now| now.saturating_sub(inserted))
                    .unwrap_or_default();
                let is_lost = before > 0 && (certain || now.is_none() || kept < before);
                is_lost.then_some(Self::TableEmptied {
                    table,
                    rows: Some(before.saturating_sub(kept)),
                    inserted,
                    certain: certain || now.is_some(),
                })
            }
            other => Some(other),
        }
    }

    /// Whether agreement to `self` is agreement to `other`: the same effect on the same object, and not more of it.
    pub fn covers(&self, other: &Self) -> bool {
        let same = |one: &TableIdentity, other: &TableIdentity| one.before() == other.before();
        match (self, other) {
            (Self::TableDropped { table, .. }, Self::TableDropped { table: other, .. })
            | (Self::TableEmptied { table, .. }, Self::TableEmptied { table: other, .. }) => {
                same(table, other)
            }
            (
                Self::PartitionDetached { partition, .. },
                Self::PartitionDetached {
                    partition: other, ..
                },
            ) => same(partition, other),
            (
                Self::ColumnDropped { table, column, .. },
                Self::ColumnDropped {
                    table: other,
                    column: of_other,
                    ..
                },
            ) => same(table, other) && column == of_other,
            (
                Self::ColumnRetyped {
                    table, column, to, ..
                },
                Self::ColumnRetyped {
                    table: other,
                    column: of_other,
                    to: to_other,
                    ..
                },
            ) => same(table, other) && column == of_other && to == to_other,
            (
                Self::RowsDeleted { table, rows, .. },
                Self::RowsDeleted {
                    table: other,
                    rows: more,
                    ..
                },
            )
            | (
                Self::RowsUpdated { table, rows },
                Self::RowsUpdated {
                    table: other,
                    rows: more,
                },
            ) => same(table, other) && more <= rows,
            (Self::Elsewhere { what }, Self::Elsewhere { what: other }) => what.covers(other),
            _ => self == other,
        }
    }
}

/// `billing`, or `audit.billing` if the name alone means another table.
impl fmt::Display for TableIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) if !self.unqualified => write!(formatter, "{schema}.{}", self.name),
            _ => formatter.write_str(&self.name),
        }
    }
}

/// Completes "step 2 would ...": `also delete 3 rows of billing`.
impl fmt::Display for Surprise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self, Self::Elsewhere { .. }) {
            formatter.write_str("also ")?;
        }
        match self {
            Self::Elsewhere { what } => {
                write!(
                    formatter,
                    "{what} over another connection, unless another session did"
                )
            }
            Self::TableDropped { table, rows: None } => write!(formatter, "drop table {table}"),
            Self::TableDropped {
                table,
                rows: Some(number),
            } => {
                write!(formatter, "drop table {table} ({})", count(*number, "row"))
            }
            Self::PartitionDetached { partition, parent } => {
                write!(formatter, "detach partition {partition} from {parent}")
            }
            Self::ColumnDropped {
                table,
                column,
                values: None,
            } => {
                write!(formatter, "drop column {table}.{column}")
            }
            Self::ColumnDropped {
                table,
                column,
                values: Some(number),
            } => {
                let values = count(*number, "value");
                write!(formatter, "drop column {table}.{column} ({values})")
            }
            Self::ColumnRetyped {
                table,
                column,
                from,
                to,
            } => {
                write!(
                    formatter,
                    "change column {table}.{column} from {from} to {to}"
                )
            }
            Self::RowsDeleted {
                table,
                rows: number,
                exact,
                ..
            } => {
                let at_most = if *exact { "" } else { "up to " };
                write!(
                    formatter,
                    "delete {at_most}{} of {table}",
                    count(*number, "row")
                )
            }
            Self::RowsUpdated {
                table,
                rows: number,
            } => {
                write!(
                    formatter,
                    "update up to {} of {table}",
                    count(*number, "row")
                )
            }
            Self::TableEmptied {
                table,
                rows: number,
                certain,
                ..
            } => {
                let may = if *certain { "" } else { "perhaps " };
                match number {
                    Some(number) => {
                        write!(
                            formatter,
                            "{may}delete all {} of {table}",
                            count(*number, "row")
                        )
                    }
                    None => write!(formatter, "{may}delete all rows of {table}"),
                }
            }
            Self::TableRenamed { table } => match &table.now {
                Some(now) => write!(formatter, "rename table {table} to {now}"),
                None => write!(formatter, "rename table {table}"),
            },
            Self::ObjectDropped { object, name } => write!(formatter, "drop {object} {name}"),
            Self::NotMeasured { why } => {
                match why {
                    Unmeasured::CountersOff => formatter
                        .write_str("change rows that were not counted (track_counts is off)"),
                    Unmeasured::CountersSwitchedOff => formatter
                        .write_str("switch off track_counts, so that its rows are not counted"),
                    Unmeasured::NotCounted { tables } => {
                        write!(
                            formatter,
                            "change rows that were not counted: {}",
                            tables.join(", ")
                        )
                    }
                }
            }
        }
    }
}
