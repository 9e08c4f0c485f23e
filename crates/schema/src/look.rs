//! Finding what a name means.

use std::sync::Arc;

use super::{Index, Key, Origin, Presence, SchemaModel, Table};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Name, TableName};

impl SchemaModel {
    /// The name under which the schema model has, or would have, what a migration calls so.
    pub fn key(&self, name: &TableName) -> TableName {
        match self.dialect {
            Dialect::Postgres => self.postgresql_key(name),
            Dialect::MySql => name.clone(),
            Dialect::Sqlite => {
                let plain = TableName {
                    schema: name.schema.clone().filter(|schema| schema != "main"),
                    name: name.name.clone(),
                };
                if self.tables.contains_key(&plain) {
                    return plain;
                }
                // SQLite knows no case.
                let same = |key: &&TableName| {
                    key.schema == plain.schema && key.name.eq_ignore_ascii_case(&plain.name)
                };
                let found = self
                    .tables
                    .keys()
                    .find(same)
                    .or_else(|| self.views.keys().find(same));
                found.cloned().unwrap_or(plain)
            }
        }
    }

    fn postgresql_key(&self, name: &TableName) -> TableName {
        if name.schema.is_some() {
            return name.clone();
        }
        let is_there = |key: &TableName| {
            self.tables.contains_key(key)
                || self.views.contains_key(key)
                || self.enums.contains_key(key)
        };
        let on_path = self.search_path.iter().flatten().map(|schema| TableName {
            schema: Some(schema.clone()),
            name: name.name.clone(),
        });
        if let Some(found) = on_path.into_iter().find(is_there) {
            return found;
        }
        if let Some(schema) = &self.default_schema {
            return TableName {
                schema: Some(schema.clone()),
                name: name.name.clone(),
            };
        }
        let same = |key: &&TableName| key.name == name.name;
        let found = self
            .tables
            .keys()
            .find(same)
            .or_else(|| self.views.keys().find(same))
            .or_else(|| self.enums.keys().find(same));
        found.unwrap_or(name).clone()
    }

    /// Whether a name may stand for something of which the schema model knows nothing: in another
    /// database, of the server's own, or further down the search path.
    pub fn beyond(&self, name: &TableName) -> bool {
        let schema = name.schema.as_deref();
        match self.dialect {
            Dialect::MySql => schema.is_some(),
            Dialect::Sqlite => {
                schema.is_some_and(|schema| schema != "main")
                    || name.name.to_ascii_lowercase().starts_with("sqlite_")
            }
            Dialect::Postgres => {
                if let Some(schema) = schema {
                    return schema.starts_with("pg_") || schema == "information_schema";
                }
                let same = |key: &TableName| key.name == name.name && self.search_path.is_none();
                name.name.starts_with("pg_")
                    || self.tables.keys().any(same)
                    || self.views.keys().any(same)
                    || self.enums.keys().any(same)
            }
        }
    }

    /// The table of that key, to be changed.
    pub(super) fn table_mut(&mut self, key: &TableName) -> Option<&mut Table> {
        self.tables.get_mut(key).map(Arc::make_mut)
    }

    /// Whether the server compares the names of columns without regard to case.
    pub(super) fn folds(&self) -> bool {
        self.dialect != Dialect::Postgres
    }

    /// The name under which a table has a column.
    pub(super) fn column_of(&self, table: &Table, column: &str) -> Option<String> {
        if table.columns.contains_key(column) {
            return Some(column.to_owned());
        }
        let mut names = table.columns.keys();
        names
            .find(|name| self.folds() && name.eq_ignore_ascii_case(column))
            .cloned()
    }

    /// PostgreSQL: whether a schema has a table, view, index or key of that name, which share one space.
    pub(super) fn relation(&self, key: &TableName) -> Option<Presence> {
        if let Some(table) = self.tables.get(key) {
            return Some(table.presence);
        }
        if let Some(view) = self.views.get(key) {
            return Some(view.presence);
        }
        self.tables
            .iter()
            .filter(|(name, _)| name.schema == key.schema)
            .find_map(|(_, table)| {
                let named = |name: &Name| name.known() == Some(&key.name);
                let keys = table.primary_key.iter().chain(&table.uniques);
                let index = table.indexes.iter().find(|index| named(&index.name));
                index.map(|index| index.presence).or_else(|| {
                    keys.into_iter()
                        .find(|key| named(&key.name))
                        .map(|key| key.presence)
                })
            })
    }

    /// The foreign keys that point at a table: the table that has it, and its position there.
    pub fn referring(&self, referent: &TableName) -> Vec<(TableName, usize)> {
        let mut found = Vec::new();
        for (name, table) in &self.tables {
            for (at, key) in table.foreign_keys.iter().enumerate() {
                if self.key(&key.referent) == *referent {
                    found.push((name.clone(), at));
                }
            }
        }
        found
    }
}

impl Table {
    /// A table with nothing in it.
    pub(super) fn empty(origin: Origin, presence: Presence) -> Self {
        Self {
            columns: std::collections::BTreeMap::new(),
            primary_key: None,
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            origin,
            presence,
            inserted: false,
            deleted: false,
        }
    }

    /// Primary and unique keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.primary_key.iter().chain(&self.uniques)
    }
}

impl Index {
    /// Whether the index begins with these columns, in any order.
    pub(super) fn begins_with(&self, columns: &[String]) -> bool {
        let first = self.columns.get(..columns.len());
        first.is_some_and(|first| {
            columns
                .iter()
                .all(|column| first.contains(&Some(column.clone())))
        })
    }

    /// Whether a column is one of its own.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().flatten().any(|one| one == column)
    }
}
