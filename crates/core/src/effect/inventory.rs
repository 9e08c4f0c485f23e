//! The tables of a PostgreSQL database as noted at one moment inside a transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::TableIdentity;
use crate::operation::TableName;

/// Every table by its OID, with what tells later whether it lost something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Whether the server counts the rows that a transaction changes.
    pub track_counts: bool,
    /// The schemas in which a name without one is looked up, in order.
    pub search_path: Vec<String>,
    /// The tables by OID.
    pub tables: BTreeMap<u32, Table>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The relfilenode, which changes if the table is written again; 0 for a partitioned table.
    pub storage: u32,
    /// Whether its own file has data. Rows that were deleted count until the table is vacuumed.
    pub holds_data: bool,
    /// The table that it is a partition or, by inheritance, a child of; the first one of several.
    pub parent: Option<u32>,
    /// The columns by attnum.
    pub columns: BTreeMap<i16, Column>,
    /// What the session's transaction did to it so far. Read at the start of a step, it is what a transaction
    /// before left uncounted.
    pub rows: RowCounts,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The OID of its type and the modifier. Types are compared by it, so that another type of the same name is one.
    pub type_id: (u32, i32),
    /// The type in the server's words.
    pub type_name: String,
}

/// How many rows were changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// New rows.
    pub inserted: u64,
    /// Changed rows.
    pub updated: u64,
    /// Rows that are gone.
    pub deleted: u64,
}

impl RowCounts {
    /// What came after `start`.
    #[must_use]
    pub fn since(self, start: Self) -> Self {
        Self {
            inserted: self.inserted.saturating_sub(start.inserted),
            updated: self.updated.saturating_sub(start.updated),
            deleted: self.deleted.saturating_sub(start.deleted),
        }
    }

    /// Whether nothing changed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Inventory {
    /// The tables that one is a partition or child of, the nearest first.
    pub fn ancestors(&self, oid: u32) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = oid;
        while let Some(parent) = self.tables.get(&at).and_then(|table| table.parent) {
            // A server that is asked in the middle of something must not send us round in circles.
            if parent == oid || found.contains(&parent) || !self.tables.contains_key(&parent) {
                break;
            }
            found.push(parent);
            at = parent;
        }
        found
    }

    /// The outermost of those, or the table itself.
    pub fn root(&self, oid: u32) -> u32 {
        self.ancestors(oid).last().copied().unwrap_or(oid)
    }

    /// The tables that hold data, with those that they are part of.
    pub fn with_data(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for (oid, table) in &self.tables {
            if table.holds_data && found.insert(*oid) && table.parent.is_some() {
                found.extend(self.ancestors(*oid));
            }
        }
        found
    }

    /// Whether a name without a schema means the table: it is the first of its name in the search path, or there is
    /// none of that name in the search path.
    fn means(&self, table: &Table) -> bool {
        let named = |schema: &String| {
            let mut tables = self.tables.values();
            tables.any(|one| one.name == table.name && one.schema == *schema)
        };
        let first = self.search_path.iter().find(|schema| named(schema));
        first.is_none_or(|schema| *schema == table.schema)
    }

    /// A table of this inventory with its name in a later one.
    pub(super) fn identity(&self, oid: u32, after: &Self) -> TableIdentity {
        let Some(table) = self.tables.get(&oid) else {
            return TableIdentity::default();
        };
        let now = after.tables.get(&oid).map(|table| TableName {
            schema: Some(table.schema.clone()),
            name: table.name.clone(),
        });
        TableIdentity {
            oid: Some(oid),
            schema: Some(table.schema.clone()),
            name: table.name.clone(),
            unqualified: self.means(table) || means_later(self, after, table),
            now,
            related: Vec::new(),
        }
    }

    /// The same with the tables that it is part of.
    pub(super) fn identity_within(&self, oid: u32, after: &Self) -> TableIdentity {
        let ancestors = self.ancestors(oid);
        let related = ancestors.into_iter().map(|one| self.identity(one, after));
        TableIdentity {
            related: related.collect(),
            ..self.identity(oid, after)
        }
    }
}

/// The step may have set another search path for its own statements.
fn means_later(before: &Inventory, after: &Inventory, table: &Table) -> bool {
    if before.search_path == after.search_path {
        return false;
    }
    let named = |schema: &&String| {
        let mut tables = before.tables.values();
        tables.any(|one| one.name == table.name && one.schema == **schema)
    };
    after.search_path.iter().find(named) == Some(&table.schema)
}
