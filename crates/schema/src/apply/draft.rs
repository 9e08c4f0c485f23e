//! The table that batch mode makes, and how it comes into the place of the old one.

use super::super::text::mentions;
use super::super::{Check, Index, Presence, Table};
use super::{Applying, Flow};
use rollback_core::operation::{Name, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    /// The statements that put the draft in the place of the table.
    pub(super) fn copied(&mut self, name: &TableName, key: &TableName, draft: &mut Draft) -> Flow {
        let dropped = draft.dropped.clone();
        let gone = |columns: &[String]| columns.iter().any(|column| dropped.contains(column));
        // Keys over a column that goes are left out, and checks without a name.
        draft.table.uniques.retain(|unique| !gone(&unique.columns));
        draft
            .table
            .foreign_keys
            .retain(|foreign| !gone(&foreign.columns));
        for foreign in &mut draft.table.foreign_keys {
            foreign.inline = false;
        }
        draft.table.primary_key = draft
            .table
            .primary_key
            .take()
            .filter(|key| !key.columns.is_empty());
        draft
            .table
            .checks
            .retain(|check| check.name != Name::Unnamed);
        let old: Vec<&String> = dropped
            .iter()
            .chain(draft.renamed.iter().map(|(old, _)| old))
            .filter(|old| !draft.table.columns.contains_key(*old))
            .collect();
        let broken = |check: &&Check| {
            let condition = check.condition.as_ref();
            condition.is_some_and(|condition| old.iter().any(|old| mentions(condition, old)))
        };
        if let Some(check) = draft.table.checks.iter().find(broken) {
            let called = check.name.known().unwrap_or_default();
            let subject = Subject::Constraint(name.clone(), called.to_owned());
            let sentence = format!(
                "check {called} of table {name} speaks of a column that is not there any more"
            );
            let sure = check.presence == Presence::Certain;
            self.dependents(subject, sentence, sure)?;
        }
        let mut temporary = format!("_alembic_tmp_{}", name.name);
        temporary = temporary.chars().take(50).collect();
        let temporary = TableName::plain(temporary);
        let there = self.model.tables.get(&self.model.key(&temporary));
        if let Some(presence) = there.map(|table| table.presence) {
            let sentence = format!("table {temporary} already exists");
            self.exists(Subject::Table(temporary), sentence, presence)?;
        }
        self.broken_views(&Subject::Table(name.clone()), Some(key))?;
        // Only now the indexes, those that were there first.
        let lost = draft.table.indexes.iter().find(|index| {
            index
                .columns
                .iter()
                .flatten()
                .any(|column| dropped.contains(column))
        });
        if let Some(index) = lost {
            let called = index.name.known().unwrap_or("without a name");
            let sentence =
                format!("index {called} of table {name} is over a column that is dropped");
            let subject = Subject::Index(Some(name.clone()), called.to_owned());
            let sure = index.presence == Presence::Certain;
            self.dependents(subject, sentence, sure)?;
        }
        draft.table.indexes.retain(|index| {
            !index
                .columns
                .iter()
                .flatten()
                .any(|column| dropped.contains(column))
        });
        for index in std::mem::take(&mut draft.new_indexes) {
            if let Some(called) = index.name.known()
                && let Some(presence) = self.index_elsewhere(key, called)
            {
                let subject = Subject::Index(Some(name.clone()), called.to_owned());
                self.exists(subject, format!("index {called} already exists"), presence)?;
            }
            let columns = index.columns.iter().flatten();
            let absent = columns
                .filter(|column| !draft.table.columns.contains_key(*column))
                .map(String::clone)
                .next();
            if let Some(column) = absent {
                let subject = Subject::Column(name.clone(), column.clone());
                let sentence = format!("column {column} of table {name} does not exist");
                self.missing(subject, sentence, true)?;
            }
            draft.table.indexes.push(index);
        }
        Ok(())
    }

    /// The table may be as it was or as it is in the draft: what differs is uncertain.
    pub(super) fn maybe(&mut self, key: &TableName, draft: Table) {
        let Some(table) = self.model.table_mut(key) else {
            return;
        };
        for (name, column) in &mut table.columns {
            if !draft.columns.contains_key(name) {
                column.presence = Presence::Uncertain;
            }
        }
        for (name, mut column) in draft.columns {
            column.presence = Presence::Uncertain;
            table.columns.entry(name).or_insert(column);
        }
        if table.primary_key != draft.primary_key
            && let Some(key) = &mut table.primary_key
        {
            key.presence = Presence::Uncertain;
        }
        unite(&mut table.uniques, draft.uniques, |key| &mut key.presence);
        unite(&mut table.foreign_keys, draft.foreign_keys, |key| {
            &mut key.presence
        });
        unite(&mut table.checks, draft.checks, |check| &mut check.presence);
        unite(&mut table.indexes, draft.indexes, |index| {
            &mut index.presence
        });
    }
}

fn unite<Part: PartialEq>(
    list: &mut Vec<Part>,
    other: Vec<Part>,
    presence: impl Fn(&mut Part) -> &mut Presence,
) {
    for part in list.iter_mut().filter(|part| !other.contains(part)) {
        *presence(part) = Presence::Uncertain;
    }
    for mut part in other {
        if !list.contains(&part) {
            *presence(&mut part) = Presence::Uncertain;
            list.push(part);
        }
    }
}

/// The table as it is to be.
pub(super) struct Draft {
    pub(super) table: Table,
    pub(super) dropped: Vec<String>,
    pub(super) renamed: Vec<(String, String)>,
    pub(super) new_indexes: Vec<Index>,
    pub(super) convention: bool,
}

impl Draft {
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let table = &mut self.table;
        if let Some(mut column) = table.columns.remove(old) {
            new.clone_into(&mut column.name);
            table.columns.insert(new.to_owned(), column);
        }
        let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
        let keys = keys.map(|key| &mut key.columns);
        let foreign = table.foreign_keys.iter_mut().map(|key| &mut key.columns);
        for column in keys
            .chain(foreign)
            .flatten()
            .filter(|column| *column == old)
        {
            new.clone_into(column);
        }
        for column in table
            .indexes
            .iter_mut()
            .flat_map(|index| &mut index.columns)
            .flatten()
        {
            if column == old {
                new.clone_into(column);
            }
        }
        self.renamed.push((old.to_owned(), new.to_owned()));
    }

    pub(super) fn presence(&self, matches: &dyn Fn(&Name) -> bool) -> Option<Presence> {
        let table = &self.table;
        let keys = table.keys().map(|key| (&key.name, key.presence));
        let foreign = table
            .foreign_keys
            .iter()
            .map(|key| (&key.name, key.presence));
        let checks = table
            .checks
            .iter()
            .map(|check| (&check.name, check.presence));
        keys.chain(foreign)
            .chain(checks)
            .find(|(name, _)| matches(name))
            .map(|(_, presence)| presence)
    }
}
