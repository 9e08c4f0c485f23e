//! Rows that are read or changed.

use std::sync::Arc;

use super::super::Table;
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
            for (other, effect) in self.model.deleted_with(&key) {
                let Some(table) = self.model.table_mut(&other) else {
                    continue;
                };
                match effect {
                    None => table.deleted = true,
                    Some(columns) => {
                        table.columns_are_written(|name| columns.iter().any(|one| one == name))
                    }
                }
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

    /// The tables whose rows follow when rows of a table are deleted: they are deleted (`None`), or these columns lose
    /// their values.
    pub fn deleted_with(&self, table: &TableName) -> Vec<(TableName, Option<Vec<String>>)> {
        let mut found: Vec<(TableName, Option<Vec<String>>)> = Vec::new();
        let mut from = vec![table.clone()];
        while let Some(referent) = from.pop() {
            for (other, at) in self.referring(&referent) {
                let Some(key) = self.tables.get(&other).map(|table| &table.foreign_keys[at]) else {
                    continue;
                };
                let effect = match key
                    .on_delete
                    .as_deref()
                    .map(str::to_ascii_uppercase)
                    .as_deref()
                {
                    Some("CASCADE") => None,
                    Some("SET NULL" | "SET DEFAULT") => Some(key.columns.clone()),
                    _ => continue,
                };
                let next = (other, effect);
                if !found.contains(&next) {
                    if next.1.is_none() && next.0 != *table {
                        from.push(next.0.clone());
                    }
                    found.push(next);
                }
            }
        }
        found
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
