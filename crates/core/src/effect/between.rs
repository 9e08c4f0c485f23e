//! What is between two inventories.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ChangedRows, DetachedPartition, DroppedColumn, DroppedTable, Effect, Inventory, RetypedColumn,
    RewrittenTable, RowCounts, Table, TableIdentity, Unmeasured,
};
use crate::schema::Difference;

impl Effect {
    /// What happened between two inventories of one transaction. `schema` is the difference that the schema's lines
    /// show. [`emptied`](super::RewrittenTable::emptied) is left open: the database has to be asked.
    pub fn between(before: &Inventory, after: &Inventory, schema: Difference) -> Self {
        let pair = Pair { before, after };
        let (dropped_columns, retyped_columns) = pair.columns();
        let unmeasured = match (before.track_counts, after.track_counts) {
            (true, true) => Vec::new(),
            (true, false) => vec![Unmeasured::CountersSwitchedOff],
            (false, _) => vec![Unmeasured::CountersOff],
        };
        Self {
            dropped_tables: pair.dropped_tables(),
            renamed_tables: pair.renamed_tables(),
            detached_partitions: pair.detached_partitions(),
            dropped_columns,
            retyped_columns,
            changed_rows: pair.changed_rows(),
            rewritten_tables: pair.rewritten_tables(),
            schema,
            unmeasured,
        }
    }

    /// Whether the step did nothing that can be measured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

struct Pair<'a> {
    before: &'a Inventory,
    after: &'a Inventory,
}

impl Pair<'_> {
    fn is_dropped(&self, oid: u32) -> bool {
        self.before.tables.contains_key(&oid) && !self.after.tables.contains_key(&oid)
    }

    /// Of tables that went together, the one that the others were part of.
    fn dropped_tables(&self) -> Vec<DroppedTable> {
        let mut with_data: BTreeSet<u32> = BTreeSet::new();
        for (oid, table) in &self.before.tables {
            if table.holds_data && self.is_dropped(*oid) {
                with_data.insert(*oid);
                with_data.extend(self.before.ancestors(*oid));
            }
        }
        let gone = self.before.tables.iter().filter(|(oid, _)| {
            let ancestors = self.before.ancestors(**oid);
            self.is_dropped(**oid) && !ancestors.iter().any(|one| self.is_dropped(*one))
        });
        gone.map(|(oid, table)| DroppedTable {
            table: self.before.identity_within(*oid, self.after),
            held_data: with_data.contains(oid),
            rows: None,
            replaced: self.successor(table).is_some(),
        })
        .collect()
    }

    fn renamed_tables(&self) -> Vec<TableIdentity> {
        let renamed = self.before.tables.iter().filter(|(oid, table)| {
            let now = self.after.tables.get(oid);
            now.is_some_and(|now| now.name != table.name || now.schema != table.schema)
        });
        renamed
            .map(|(oid, _)| self.before.identity_within(*oid, self.after))
            .collect()
    }

    /// The table of the same name that took the place of one that is gone.
    fn successor(&self, table: &Table) -> Option<&Table> {
        let mut tables = self.after.tables.iter();
        let found = tables.find(|(oid, one)| {
            let is_new = !self.before.tables.contains_key(oid);
            is_new && one.name == table.name && one.schema == table.schema
        });
        found.map(|(_, table)| table)
    }

    fn detached_partitions(&self) -> Vec<DetachedPartition> {
        let with_data = self.before.with_data();
        let detached = self.before.tables.iter().filter_map(|(oid, table)| {
            let (parent, now) = (table.parent?, self.after.tables.get(oid)?);
            let moved = now.parent != Some(parent) && self.before.tables.contains_key(&parent);
            (moved && with_data.contains(oid)).then_some((*oid, parent))
        });
        detached
            .map(|(oid, parent)| DetachedPartition {
                partition: self.before.identity(oid, self.after),
                parent: self.before.identity_within(parent, self.after),
            })
            .collect()
    }

    /// A column of partitions is one of the outermost table that has it.
    fn columns(&self) -> (Vec<DroppedColumn>, Vec<RetypedColumn>) {
        let mut dropped: BTreeMap<(u32, &str), DroppedColumn> = BTreeMap::new();
        let mut retyped: BTreeMap<(u32, &str), RetypedColumn> = BTreeMap::new();
        for (oid, table) in &self.before.tables {
            if !table.holds_data {
                continue;
            }
            let kept = self.after.tables.get(oid);
            let Some(now) = kept.or_else(|| self.successor(table)) else {
                continue;
            };
            for (number, column) in &table.columns {
                let after = match kept {
                    Some(now) => now.columns.get(number),
                    // The columns of a new table are known by their names.
                    None => now.columns.values().find(|one| one.name == column.name),
                };
                if after.is_some_and(|after| after.type_id == column.type_id) {
                    continue;
                }
                let owner = self.owner(*oid, &column.name);
                let key = (owner, column.name.as_str());
                let identity = || {
                    let mut identity = self.before.identity_within(owner, self.after);
                    if owner != *oid {
                        let leaf = self.before.identity(*oid, self.after);
                        identity.related.push(leaf);
                    }
                    identity
                };
                let Some(after) = after else {
                    dropped.entry(key).or_insert_with(|| DroppedColumn {
                        table: identity(),
                        column: column.name.clone(),
                    });
                    continue;
                };
                let entry = retyped.entry(key).or_insert_with(|| RetypedColumn {
                    table: identity(),
                    column: column.name.clone(),
                    from: column.type_name.clone(),
                    to: after.type_name.clone(),
                    rewritten: false,
                });
                entry.rewritten |= now.storage != table.storage;
            }
        }
        (
            dropped.into_values().collect(),
            retyped.into_values().collect(),
        )
    }

    fn owner(&self, oid: u32, column: &str) -> u32 {
        let has = |oid: &&u32| {
            let table = self.before.tables.get(oid);
            table.is_some_and(|table| table.columns.values().any(|one| one.name == column))
        };
        let ancestors = self.before.ancestors(oid);
        ancestors.iter().rev().find(has).copied().unwrap_or(oid)
    }

    fn changed_rows(&self) -> Vec<ChangedRows> {
        if !(self.before.track_counts && self.after.track_counts) {
            return Vec::new();
        }
        let mut roots: BTreeMap<u32, Vec<(u32, RowCounts)>> = BTreeMap::new();
        for (oid, table) in &self.after.tables {
            let known = self.before.tables.get(oid);
            let start = known.map(|table| table.rows).unwrap_or_default();
            let changed = table.rows.since(start);
            let root = match known {
                Some(_) => self.before.root(*oid),
                // A partition that the step made: rows may have moved there.
                None => self.after.root(*oid),
            };
            if !changed.is_empty() && self.before.tables.contains_key(&root) {
                roots.entry(root).or_default().push((*oid, changed));
            }
        }
        let roots = roots.into_iter();
        roots
            .map(|(root, parts)| self.summed(root, &parts))
            .collect()
    }

    fn summed(&self, root: u32, parts: &[(u32, RowCounts)]) -> ChangedRows {
        let sum = |of: fn(&RowCounts) -> u64| parts.iter().map(|(_, rows)| of(rows)).sum::<u64>();
        let (inserted, deleted) = (sum(|rows| rows.inserted), sum(|rows| rows.deleted));
        let moved = moved(parts.iter().map(|(_, rows)| (rows.deleted, rows.inserted)));
        let mut table = self.before.identity(root, self.after);
        let parts = parts.iter().map(|(oid, _)| *oid).filter(|oid| *oid != root);
        let known = parts.filter(|oid| self.before.tables.contains_key(oid));
        table.related = known
            .map(|oid| self.before.identity(oid, self.after))
            .collect();
        ChangedRows {
            table,
            inserted: inserted - moved,
            updated: sum(|rows| rows.updated),
            deleted: deleted - moved,
            moved,
            exact: false,
        }
    }

    fn rewritten_tables(&self) -> Vec<RewrittenTable> {
        let rewritten = self.before.tables.iter().filter_map(|(oid, table)| {
            let now = self.after.tables.get(oid)?;
            let changed = now.storage != table.storage && table.holds_data;
            changed.then(|| RewrittenTable {
                table: self.before.identity_within(*oid, self.after),
                inserted: now.rows.since(table.rows).inserted,
                emptied: None,
            })
        });
        rewritten.collect()
    }
}

/// How many rows went from one partition to another, at most: as many as were deleted here and inserted elsewhere.
/// Rows that were deleted from and inserted into the same partition did not move.
pub(super) fn moved(parts: impl Iterator<Item = (u64, u64)> + Clone) -> u64 {
    let deleted: u64 = parts.clone().map(|(deleted, _)| deleted).sum();
    let inserted: u64 = parts.clone().map(|(_, inserted)| inserted).sum();
    let elsewhere = parts
        .map(|(gone, new)| (deleted - gone) + (inserted - new))
        .min();
    deleted.min(inserted).min(elsewhere.unwrap_or_default())
}
