//! What a statement leaves: what is made, under which name, and what is gone.

use std::collections::BTreeSet;

use super::object_index::{Key, ObjectClass, ObjectIndex, ObjectRecord};
use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::{
    self, Action, ConstraintKind, Create, Object, SqlStatement,
};
use rollback_sql::words::{self, Name};

pub(super) fn key(
    dialect: Dialect,
    kind: Object,
    class: ObjectClass,
    name: &Name,
    on: Option<&Name>,
) -> Key {
    let within = kind.is_of_a_table() || (dialect == Dialect::MySql && kind == Object::Index);
    match on {
        // A trigger of MariaDB and SQLite is dropped without its table.
        Some(on) if within && !(dialect != Dialect::Postgres && kind == Object::Trigger) => {
            Key::within(&on.key(), kind, &name.key())
        }
        // An index is in the schema of its table.
        Some(on) if kind == Object::Index => Key::new(class, &on.key_beside(&name.last().folded)),
        _ => Key::new(class, &name.key()),
    }
}

fn made(by: usize, shown: String) -> ObjectRecord {
    ObjectRecord {
        by,
        shown,
        arguments: String::new(),
        unique_on: None,
    }
}

fn shown(kind: Object, name: &str) -> String {
    format!("{} {name}", kind.words())
}

/// What is there afterwards.
pub(super) fn apply(
    world: &mut ObjectIndex,
    by: usize,
    act: &SqlStatement<'_>,
    types: BTreeSet<String>,
) {
    match act {
        SqlStatement::Create(create) => {
            let Some(name) = &create.name else { return };
            if create.temporary {
                return;
            }
            let class = ObjectClass::of(create.kind);
            let key = key(world.dialect, create.kind, class, name, create.on.as_ref());
            if create.if_not_exists && world.is_made(&key) {
                return;
            }
            let shown = match &create.on {
                Some(on) if create.kind.is_of_a_table() => {
                    format!("{} on {}", shown(create.kind, &name.key()), on.key())
                }
                _ => shown(create.kind, &key.name),
            };
            if create.kind == Object::Table {
                world.typed(&name.key(), types);
            }
            let unique_on = (create.kind == Object::Index)
                .then_some(create.on.as_ref())
                .flatten()
                .map(|on| (on.key(), unique_columns(create)));
            world.makes(
                key,
                ObjectRecord {
                    arguments: if create.kind.has_arguments() {
                        sql_statement::arguments(create.group)
                    } else {
                        String::new()
                    },
                    unique_on,
                    ..made(by, shown)
                },
            );
        }
        SqlStatement::Alter {
            kind,
            name,
            on,
            actions,
            ..
        } => {
            for action in actions {
                changed(world, by, *kind, name, on.as_ref(), action, &types);
            }
        }
        SqlStatement::RenameTables(pairs) => {
            for (from, to) in pairs {
                let key = |name: &Name| Key::new(ObjectClass::Relation, &name.key());
                let shown = shown(Object::Table, &to.key());
                world.renames(by, &key(from), key(to), shown);
            }
        }
        SqlStatement::Drop(it) => {
            for (name, group) in &it.names {
                let class = ObjectClass::of(it.kind);
                let key = key(world.dialect, it.kind, class, name, it.on.as_ref());
                let arguments = group.map(|group| sql_statement::arguments(Some(group)));
                world.takes_away(by, &key, arguments.as_deref());
            }
        }
        _ => {}
    }
}

/// The columns of an index that is unique for all rows.
fn unique_columns(create: &Create<'_>) -> Vec<String> {
    let unique = create
        .rest
        .sql
        .reader()
        .until(create.rest.at)
        .find(&["UNIQUE"])
        .is_some();
    let Some(group) = create.group else {
        return Vec::new();
    };
    if !unique || create.rest.find(&["WHERE"]).is_some() {
        return Vec::new();
    }
    let columns = group.list().into_iter().map(|mut one| {
        let part = one.part()?;
        (!one.says("(")).then_some(part.folded)
    });
    columns.collect::<Option<_>>().unwrap_or_default()
}

fn changed(
    world: &mut ObjectIndex,
    by: usize,
    kind: Object,
    name: &Name,
    on: Option<&Name>,
    action: &Action<'_>,
    types: &BTreeSet<String>,
) {
    let table = name.key();
    let column = |part: &str| format!("column {table}.{part}");
    match action {
        Action::AddColumn {
            name: part,
            if_not_exists,
            ..
        } => {
            world.typed(&table, types.iter().cloned());
            let key = Key::within(&table, Object::Column, &part.folded);
            if !(*if_not_exists && world.is_made(&key)) {
                world.makes(key, made(by, column(&part.folded)));
            }
        }
        Action::ColumnType { .. } | Action::ChangeColumn { .. } => {
            world.typed(&table, types.iter().cloned());
        }
        Action::DropColumn { name: part } => {
            let key = Key::within(&table, Object::Column, &part.folded);
            // One that the table was made with is taken away as well.
            if !world.is_made(&key) {
                world.makes(key.clone(), made(by, column(&part.folded)));
            }
            world.takes_away(by, &key, None);
        }
        Action::RenameColumn { from, to } => {
            let key = Key::within(&table, Object::Column, &from.folded);
            if !world.is_made(&key) {
                world.makes(key.clone(), made(by, column(&from.folded)));
            }
            world.takes_away(by, &key, None);
            let key = Key::within(&table, Object::Column, &to.folded);
            world.makes(key, made(by, column(&to.folded)));
        }
        Action::AddConstraint {
            name: part,
            sort,
            columns,
            ..
        } => {
            let columns: Vec<String> = columns.iter().map(|one| one.folded.clone()).collect();
            let (kind, part) = match part {
                Some(part) if *sort == ConstraintKind::Index => {
                    (Object::Index, part.folded.clone())
                }
                Some(part) => (Object::Constraint, part.folded.clone()),
                None => (Object::Constraint, format!("({})", columns.join(", "))),
            };
            let unique = matches!(sort, ConstraintKind::Unique | ConstraintKind::PrimaryKey);
            let shown = format!("{} {part} on {table}", kind.words());
            world.makes(
                Key::within(&table, kind, &part),
                ObjectRecord {
                    unique_on: unique.then(|| (table.clone(), columns)),
                    ..made(by, shown)
                },
            );
        }
        Action::DropConstraint { name: part } => {
            for kind in [Object::Constraint, Object::Index] {
                let key = Key::within(&table, kind, &part.folded);
                world.takes_away(by, &key, None);
            }
        }
        Action::RenameConstraint { from, to } => {
            let key = |part: &str| Key::within(&table, Object::Constraint, part);
            world.takes_away(by, &key(&from.folded), None);
            let shown = format!("constraint {} on {table}", to.folded);
            world.makes(key(&to.folded), made(by, shown));
        }
        Action::RenameIndex { from, to } => {
            let key = |part: &str| Key::within(&table, Object::Index, part);
            world.takes_away(by, &key(&from.folded), None);
            let shown = format!("index {} on {table}", to.folded);
            world.makes(key(&to.folded), made(by, shown));
        }
        Action::Rename { to } => {
            let class = ObjectClass::of(kind);
            let from = key(world.dialect, kind, class, name, on);
            let last = &to.last().folded;
            let to = match on {
                Some(_) => last.clone(),
                None => name.key_beside(last),
            };
            let to = Key {
                name: to,
                ..from.clone()
            };
            let shown = shown(kind, &to.name);
            world.renames(by, &from, to, shown);
        }
        Action::SetSchema { to } => {
            let class = ObjectClass::of(kind);
            let from = key(world.dialect, kind, class, name, on);
            let last = &name.last().folded;
            let to = words::key([to.folded.as_str(), last].into_iter());
            let shown = shown(kind, &to);
            world.renames(by, &from, Key::new(class, &to), shown);
        }
        Action::AddValue { value, .. } => {
            let shown = format!("value {value} of type {table}");
            world.makes(
                Key::within(&table, Object::EnumValue, value),
                made(by, shown),
            );
        }
        Action::RenameValue { from, to } => {
            let key = Key::within(&table, Object::EnumValue, from);
            world.takes_away(by, &key, None);
            let shown = format!("value {to} of type {table}");
            world.makes(Key::within(&table, Object::EnumValue, to), made(by, shown));
        }
        _ => {}
    }
}
