//! The same by counting: on SQLite, MySQL and MariaDB, whose transactions cannot be looked into, and on PostgreSQL for a step
//! that does not keep to one.

use std::collections::BTreeMap;

use super::{
    Announced, ChangedRows, DroppedColumn, DroppedTable, Effect, RetypedColumn, TableIdentity,
    Unmeasured,
};
use crate::checks::{Counts, is_rollbacks_own};
use crate::connection::VersionTable;
use crate::operation::TableName;
use crate::schema::{Difference, SchemaLines};

/// Every table by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountedInventory {
    /// The tables.
    pub tables: BTreeMap<String, CountedTable>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedTable {
    /// Its name, in parts.
    pub name: TableName,
    /// Its rows; `None` if there was no time to count them.
    pub rows: Option<u64>,
    /// The type of each column, in the server's words.
    pub columns: BTreeMap<String, String>,
}

impl CountedInventory {
    /// Puts together what the schema and the counts say. The version table and what rollback writes is left out.
    pub fn new(schema: &SchemaLines, counts: &Counts, version: &VersionTable) -> Self {
        let tables = schema.tables.iter().filter_map(|(parts, columns)| {
            let name = parts.to_string();
            let count = counts.get(&name).filter(|count| count.exact);
            let table = CountedTable {
                name: parts.clone(),
                rows: count.map(|count| count.rows),
                columns: columns.clone(),
            };
            (!is_rollbacks_own(&name, version)).then_some((name, table))
        });
        Self {
            tables: tables.collect(),
        }
    }

    /// The tables that there was no time for.
    pub fn not_counted(&self) -> Vec<&str> {
        let tables = self.tables.iter();
        let open = tables.filter(|(_, table)| table.rows.is_none());
        open.map(|(name, _)| name.as_str()).collect()
    }
}

impl Effect {
    /// What happened between two inventories, the second one read after the step. A table that the plan renames is
    /// looked for under its new name as well. Rows that others inserted meanwhile hide as many that are gone.
    pub fn counted(
        before: &CountedInventory,
        after: &CountedInventory,
        schema: Difference,
        announced: &Announced,
    ) -> Self {
        let mut effect = Self {
            schema,
            ..Self::default()
        };
        let mut not_counted = Vec::new();
        for (name, table) in &before.tables {
            let TableName {
                schema: of,
                name: own,
            } = table.name.clone();
            let renamed = announced.renames().find_map(|(first, last)| {
                let is_it = |table: &&CountedTable| table.name.name == last.name;
                let was_it = first.name.eq_ignore_ascii_case(&own);
                was_it.then(|| after.tables.values().find(is_it)).flatten()
            });
            let identity = TableIdentity {
                unqualified: of.as_ref().is_none_or(|schema| schema == "public"),
                schema: of,
                name: own,
                ..TableIdentity::default()
            };
            let Some(now) = renamed.or_else(|| after.tables.get(name)) else {
                effect.dropped_tables.push(DroppedTable {
                    table: identity,
                    held_data: table.rows != Some(0),
                    rows: table.rows,
                    replaced: false,
                });
                continue;
            };
            if table.rows != Some(0) {
                effect.compare_columns(&identity, table, now);
            }
            match (table.rows, now.rows) {
                (Some(rows), Some(left)) if left < rows => effect.changed_rows.push(ChangedRows {
                    table: identity,
                    inserted: 0,
                    updated: 0,
                    deleted: rows - left,
                    moved: 0,
                    exact: true,
                }),
                (Some(0), _) | (Some(_), Some(_)) => {}
                _ => not_counted.push(name.clone()),
            }
        }
        if !not_counted.is_empty() {
            effect.unmeasured.push(Unmeasured::NotCounted {
                tables: not_counted,
            });
        }
        effect
    }

    fn compare_columns(
        &mut self,
        identity: &TableIdentity,
        before: &CountedTable,
        after: &CountedTable,
    ) {
        for (column, from) in &before.columns {
            match after.columns.get(column) {
                None => self.dropped_columns.push(DroppedColumn {
                    table: identity.clone(),
                    column: column.clone(),
                }),
                Some(to) if to != from => self.retyped_columns.push(RetypedColumn {
                    table: identity.clone(),
                    column: column.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    rewritten: true,
                }),
                Some(_) => {}
            }
        }
    }
}
