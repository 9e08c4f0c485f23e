//! What became of the objects of a schema model.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Column, Effect, Key, Presence, SchemaModel, Table, View};
use rollback_core::operation::TableName;
use rollback_core::subject::Subject;

impl SchemaModel {
    /// Either this schema or another one: what they do not share is there perhaps.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut either = self.clone();
        either.doubtful |= self != other;
        for (name, table) in &mut either.tables {
            match other.tables.get(name) {
                Some(there) if there == table => {}
                Some(there) => *table = Arc::new(table.or(there)),
                None => Arc::make_mut(table).presence = Presence::Uncertain,
            }
        }
        for (name, table) in &other.tables {
            if !either.tables.contains_key(name) {
                let mut table = Table::clone(table);
                table.presence = Presence::Uncertain;
                either.tables.insert(name.clone(), Arc::new(table));
            }
        }
        for (name, view) in &mut either.views {
            if other.views.get(name) != Some(view) {
                view.presence = Presence::Uncertain;
            }
        }
        for (name, view) in &other.views {
            either.views.entry(name.clone()).or_insert_with(|| View {
                presence: Presence::Uncertain,
                ..view.clone()
            });
        }
        either
    }

    /// What is there in `self` and not, or not for certain, in `after` is gone, and the other way round
    /// is made. Names only; certainty of tables and columns only.
    pub fn effects_to(&self, after: &Self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (name, table) in &self.tables {
            match after.tables.get(name) {
                None => effects.push(Effect::Gone(Subject::Table(name.clone()))),
                Some(other) if Arc::ptr_eq(table, other) => {}
                Some(other) if other.presence < table.presence => {
                    effects.push(Effect::Gone(Subject::Table(name.clone())));
                }
                Some(other) => {
                    for part in parts(name, table) {
                        if !other.has(&part) || other.doubts(&part, table) {
                            effects.push(Effect::Gone(part));
                        }
                    }
                    for part in parts(name, other) {
                        if !table.has(&part) {
                            effects.push(Effect::Made(part));
                        }
                    }
                }
            }
        }
        let new = after
            .tables
            .keys()
            .filter(|name| !self.tables.contains_key(*name));
        effects.extend(new.map(|name| Effect::Made(Subject::Table(name.clone()))));
        either(&self.views, &after.views, Subject::View, &mut effects);
        either(&self.enums, &after.enums, Subject::Type, &mut effects);
        effects
    }
}

fn either<Value>(
    before: &BTreeMap<TableName, Value>,
    after: &BTreeMap<TableName, Value>,
    subject: impl Fn(TableName) -> Subject,
    effects: &mut Vec<Effect>,
) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        effects.push(Effect::Gone(subject(name.clone())));
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        effects.push(Effect::Made(subject(name.clone())));
    }
}

fn parts(name: &TableName, table: &Table) -> Vec<Subject> {
    let columns = table.columns.keys();
    let mut parts: Vec<Subject> = columns
        .map(|column| Subject::Column(name.clone(), column.clone()))
        .collect();
    let indexes = table.indexes.iter().filter_map(|index| index.name.known());
    parts.extend(indexes.map(|index| Subject::Index(Some(name.clone()), index.to_owned())));
    parts.extend(
        constraints(table)
            .map(|constraint| Subject::Constraint(name.clone(), constraint.to_owned())),
    );
    parts
}

fn constraints(table: &Table) -> impl Iterator<Item = &str> {
    let keys = table.keys().map(|key| &key.name);
    let foreign = table.foreign_keys.iter().map(|key| &key.name);
    let checks = table.checks.iter().map(|check| &check.name);
    keys.chain(foreign)
        .chain(checks)
        .filter_map(|name| name.known())
}

impl Table {
    /// Whether the table has the column, index or constraint.
    fn has(&self, part: &Subject) -> bool {
        match part {
            Subject::Column(_, column) => self.columns.contains_key(column),
            Subject::Index(_, name) => self
                .indexes
                .iter()
                .any(|index| index.name.known() == Some(name)),
            Subject::Constraint(_, name) => constraints(self).any(|one| one == name),
            Subject::Table(_) | Subject::Type(_) | Subject::View(_) => false,
        }
    }

    /// Whether the column is less certain here than it was before.
    fn doubts(&self, part: &Subject, before: &Self) -> bool {
        let Subject::Column(_, column) = part else {
            return false;
        };
        let presence = |table: &Self| table.columns.get(column).map(|column| column.presence);
        presence(self) < presence(before)
    }

    fn or(&self, other: &Self) -> Self {
        let mut either = self.clone();
        either.presence = self.presence.min(other.presence);
        either.inserted |= other.inserted;
        either.deleted |= other.deleted;
        for (name, column) in &mut either.columns {
            let there = other.columns.get(name);
            column.written |= there.is_some_and(|there| there.written);
            let written = column.written;
            if there.is_none_or(|there| {
                Column {
                    written,
                    ..there.clone()
                } != *column
            }) {
                column.presence = Presence::Uncertain;
            }
        }
        for (name, column) in &other.columns {
            either
                .columns
                .entry(name.clone())
                .or_insert_with(|| Column {
                    presence: Presence::Uncertain,
                    ..column.clone()
                });
        }
        if self.primary_key != other.primary_key {
            let key = either.primary_key.take().or(other.primary_key.clone());
            either.primary_key = key.map(|key| Key {
                presence: Presence::Uncertain,
                ..key
            });
        }
        unshared(&mut either.uniques, &other.uniques, |it| &mut it.presence);
        unshared(&mut either.foreign_keys, &other.foreign_keys, |it| {
            &mut it.presence
        });
        unshared(&mut either.checks, &other.checks, |it| &mut it.presence);
        unshared(&mut either.indexes, &other.indexes, |it| &mut it.presence);
        either
    }
}

/// Adds what is in the other list alone, and doubts what is in one of them only.
fn unshared<Part: Clone + PartialEq>(
    own: &mut Vec<Part>,
    other: &[Part],
    presence: fn(&mut Part) -> &mut Presence,
) {
    let added: Vec<Part> = other
        .iter()
        .filter(|part| !own.contains(part))
        .cloned()
        .collect();
    for part in own.iter_mut().filter(|part| !other.contains(part)) {
        *presence(part) = Presence::Uncertain;
    }
    own.extend(added.into_iter().map(|mut part| {
        *presence(&mut part) = Presence::Uncertain;
        part
    }));
}
