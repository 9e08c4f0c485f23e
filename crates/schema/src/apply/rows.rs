//! Rows that are read or changed.

use std::sync::Arc;

use super::super::{ForeignKey, Table};
use super::{Applying, Flow};
use rollback_core::operation::{RowChange, TableName};

impl Applying<'_> {
    /// Rows are read or changed: the table and the columns that are named have to be there.
    pub(super) fn rows(&mut self, name: Option<&TableName>, columns: &[String]) -> Flow {
        let Some(name) = name else {
            return Ok(());
        };
        if let Some(key) = self.table(name)? {
            for column in columns {
                self.column(&key, name, column)?;
            }
        }
        Ok(())
    }

    /// Rows of a table change, and those of other tables that follow by a foreign key.
    pub(super) fn rows_change(
        &mut self,
        name: Option<&TableName>,
        change: RowChange,
        columns: &[String],
    ) {
        let Some(name) = name else {
            self.model.any_rows_may_change();
            return;
        };
        let key = self.model.key(name);
        let Some(table) = self.model.table_mut(&key) else {
            return;
        };
        match change {
            RowChange::Insert => table.inserted = true,
            RowChange::Delete => table.deleted = true,
            RowChange::Update if columns.is_empty() => table.columns_are_written(|_| true),
            RowChange::Update => {
                let is_set = |name: &str| columns.iter().any(|one| one.eq_ignore_ascii_case(name));
                table.columns_are_written(is_set);
            }
            RowChange::Some => table.rows_may_change(),
        }
        if matches!(change, RowChange::Delete | RowChange::Some) {
            self.rows_follow(&key);
        }
    }

    /// Rows of a table go, and those that refer to them by `ON DELETE CASCADE` and the like.
    fn rows_follow(&mut self, key: &TableName) {
        for other in self.model.deleted_with(key) {
            let Some(table) = self.model.table_mut(&other.table) else {
                continue;
            };
            if other.deleted {
                table.deleted = true;
            } else {
                table.columns_are_written(|name| other.columns.iter().any(|one| one == name));
            }
        }
    }
}

impl super::SchemaModel {
    /// What was asked of any table may not hold any more.
    pub fn any_rows_may_change(&mut self) {
        for table in self.tables.values_mut() {
            Arc::make_mut(table).rows_may_change();
        }
    }

    /// The tables whose rows follow when rows of a table are deleted.
    pub fn deleted_with(&self, table: &TableName) -> Vec<FollowingRows> {
        let mut found: Vec<FollowingRows> = Vec::new();
        let mut from = vec![table.clone()];
        while let Some(referent) = from.pop() {
            for (other, at) in self.referring(&referent) {
                let Some(key) = self.tables.get(&other).map(|table| &table.foreign_keys[at]) else {
                    continue;
                };
                if key.keeps_rows() || other == *table {
                    continue;
                }
                let next = FollowingRows {
                    deleted: key.deletes_rows(),
                    table: other,
                    columns: key.columns.clone(),
                };
                if !found.contains(&next) {
                    if next.deleted {
                        from.push(next.table.clone());
                    }
                    found.push(next);
                }
            }
        }
        found
    }
}

/// Rows that a foreign key has follow when those are deleted that they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowingRows {
    /// Their table.
    pub table: TableName,
    /// The columns of the foreign key.
    pub columns: Vec<String>,
    /// Whether they are deleted. Else these columns lose their values.
    pub deleted: bool,
}

impl ForeignKey {
    /// Whether a row stays as long as another one refers to it.
    pub fn keeps_rows(&self) -> bool {
        !matches!(
            self.on_delete.as_deref(),
            Some("CASCADE" | "SET NULL" | "SET DEFAULT")
        )
    }

    fn deletes_rows(&self) -> bool {
        self.on_delete.as_deref() == Some("CASCADE")
    }
}

impl Table {
    fn rows_may_change(&mut self) {
        (self.inserted, self.deleted) = (true, true);
        self.columns_are_written(|_| true);
    }

    fn columns_are_written(&mut self, is_set: impl Fn(&str) -> bool) {
        for column in self.columns.values_mut() {
            column.written |= is_set(&column.name);
        }
    }
}
