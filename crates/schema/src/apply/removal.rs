//! Parts of a table that go.

use super::super::text::mentions;
use super::super::{Presence, Table};
use super::Applying;
use rollback_core::operation::{ConstraintKind, Name};

pub(super) fn same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|column| other.contains(column))
}

pub(super) fn checked(table: &Table, column: &str) -> bool {
    let mut conditions = table
        .checks
        .iter()
        .filter_map(|check| check.condition.as_ref());
    conditions.any(|condition| mentions(condition, column))
}

pub(super) fn only_column(table: &Table) -> bool {
    table.columns.len() == 1 && table.presence == Presence::Certain
}

/// Takes a column out of a table with all that is about it. MariaDB only makes indexes shorter.
pub(super) fn without_column(table: &mut Table, column: &str, certain: bool, keeps_parts: bool) {
    let has = |columns: &[String]| columns.iter().any(|one| one == column);
    if certain {
        table.columns.remove(column);
    } else if let Some(column) = table.columns.get_mut(column) {
        column.presence = Presence::Uncertain;
    }
    if keeps_parts {
        let doubt = if certain {
            None
        } else {
            Some(Presence::Uncertain)
        };
        for index in table.indexes.iter_mut().filter(|index| index.has(column)) {
            if let Some(doubt) = doubt {
                index.presence = doubt;
            } else {
                index.columns.retain(|one| one.as_deref() != Some(column));
            }
        }
        if let (true, Some(key)) = (certain, &mut table.primary_key) {
            key.columns.retain(|one| one != column);
        }
    }
    Applying::take(certain, &mut table.indexes, |index| {
        if keeps_parts {
            index.columns.is_empty()
        } else {
            index.has(column)
        }
    });
    if let Some(key) = table
        .primary_key
        .as_mut()
        .filter(|key| has(&key.columns) || key.columns.is_empty())
    {
        if certain {
            table.primary_key = None;
        } else {
            key.presence = Presence::Uncertain;
        }
    }
    Applying::take(certain, &mut table.uniques, |key| has(&key.columns));
    Applying::take(certain, &mut table.foreign_keys, |key| has(&key.columns));
    Applying::take(certain, &mut table.checks, |check| {
        let condition = check.condition.as_ref();
        condition.is_some_and(|condition| mentions(condition, column))
    });
}

/// Whether there is a constraint of the kind whose name matches.
pub(super) fn present(
    table: &Table,
    kind: Option<ConstraintKind>,
    matches: &dyn Fn(&Name) -> bool,
) -> Option<Presence> {
    let of = |wanted| kind.is_none_or(|kind| kind == wanted);
    let primary = table
        .primary_key
        .iter()
        .map(|key| (ConstraintKind::PrimaryKey, &key.name, key.presence));
    let uniques = table
        .uniques
        .iter()
        .map(|key| (ConstraintKind::Unique, &key.name, key.presence));
    let indexes = table
        .indexes
        .iter()
        // MariaDB tells unique keys as indexes.
        .filter(|_| kind == Some(ConstraintKind::Unique))
        .map(|index| (ConstraintKind::Unique, &index.name, index.presence));
    let foreign = table
        .foreign_keys
        .iter()
        .map(|key| (ConstraintKind::ForeignKey, &key.name, key.presence));
    let checks = table
        .checks
        .iter()
        .map(|check| (ConstraintKind::Check, &check.name, check.presence));
    primary
        .chain(uniques)
        .chain(indexes)
        .chain(foreign)
        .chain(checks)
        .find(|(one, name, _)| of(*one) && matches(name))
        .map(|(_, _, presence)| presence)
}

/// Removes the constraints of the kind whose names match, or makes them uncertain.
pub(super) fn remove(
    table: &mut Table,
    kind: Option<ConstraintKind>,
    certain: bool,
    matches: &dyn Fn(&Name) -> bool,
) {
    let of = |wanted| kind.is_none_or(|kind| kind == wanted);
    if of(ConstraintKind::PrimaryKey)
        && let Some(key) = table.primary_key.as_mut().filter(|key| matches(&key.name))
    {
        if certain {
            table.primary_key = None;
        } else {
            key.presence = Presence::Uncertain;
        }
    }
    if of(ConstraintKind::Unique) {
        Applying::take(certain, &mut table.uniques, |key| matches(&key.name));
    }
    if kind == Some(ConstraintKind::Unique) {
        Applying::take(certain, &mut table.indexes, |index| matches(&index.name));
    }
    if of(ConstraintKind::ForeignKey) {
        Applying::take(certain, &mut table.foreign_keys, |key| matches(&key.name));
    }
    if of(ConstraintKind::Check) {
        Applying::take(certain, &mut table.checks, |check| matches(&check.name));
    }
}

/// Removes the constraint without a name that PostgreSQL would have called so.
pub(super) fn take_default(name: &str, table: &mut Table, wanted: &str) -> bool {
    let called =
        |columns: &[String], end: &str| format!("{name}_{}_{end}", columns.join("_")) == wanted;
    let unnamed = |name: &Name| name.known().is_none();
    if let Some(key) = &table.primary_key
        && unnamed(&key.name)
        && wanted == format!("{name}_pkey")
    {
        table.primary_key = None;
        return true;
    }
    let unique = table
        .uniques
        .iter()
        .position(|key| unnamed(&key.name) && called(&key.columns, "key"));
    if let Some(at) = unique {
        table.uniques.remove(at);
        return true;
    }
    let foreign = table
        .foreign_keys
        .iter()
        .position(|key| unnamed(&key.name) && called(&key.columns, "fkey"));
    if let Some(at) = foreign {
        table.foreign_keys.remove(at);
        return true;
    }
    false
}
