//! Whether what a downgrade drops comes from the migration itself, and whether it goes with its table anyway.

use std::collections::BTreeMap;

use super::operation_context::{OperationContext, is_same, operations, operations_with_schema};
use crate::{EventKind, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ObjectKind, Operation, SchemaObject, TableName};

/// What the upgrade says of an object that the downgrade drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Definition {
    /// The upgrade makes it, so that running it again makes it again.
    InUpgrade,
    /// The upgrade makes it, but there may have been another one before.
    MayReplace,
    /// The upgrade is not seen to make it.
    Elsewhere,
}

/// Where the definition of an object is.
pub(super) fn definition(seen: &StepTrace, dropped: &SchemaObject) -> Definition {
    let mut found = Definition::Elsewhere;
    let mut dropped_before = false;
    for operation in operations(&seen.upgrade) {
        match operation {
            Operation::DropObject { object } if is_same_object(object, dropped) => {
                dropped_before = true;
            }
            Operation::CreateObject { object, may_exist } if is_same_object(object, dropped) => {
                found = if *may_exist || dropped_before {
                    Definition::MayReplace
                } else {
                    Definition::InUpgrade
                };
            }
            _ => {}
        }
    }
    found
}

/// Where the definition of a view is.
pub(super) fn view_definition(seen: &StepTrace, dropped: &TableName) -> Definition {
    let mut found = Definition::Elsewhere;
    let mut dropped_before = false;
    for operation in operations(&seen.upgrade) {
        match operation {
            Operation::DropView { name, .. } if is_same(name, dropped) => dropped_before = true,
            Operation::CreateView {
                name, or_replace, ..
            } if is_same(name, dropped) => {
                found = if *or_replace || dropped_before {
                    Definition::MayReplace
                } else {
                    Definition::InUpgrade
                };
            }
            _ => {}
        }
    }
    found
}

/// Where the words of a type are; `None` if the downgrade itself gave it that name, as one that it replaces.
pub(super) fn type_definition(seen: &StepTrace, dropped: &TableName) -> Option<Definition> {
    let makes = |operation: &Operation| match operation {
        Operation::CreateEnum { name, .. } => is_same(name, dropped),
        Operation::RenameType { to, .. } => *to == dropped.name,
        Operation::CreateObject { object, .. } => {
            object.kind == ObjectKind::Type && is_same(&object.name, dropped)
        }
        _ => false,
    };
    if operations(&seen.downgrade).any(makes) {
        return None;
    }
    Some(if operations(&seen.upgrade).any(makes) {
        Definition::InUpgrade
    } else {
        Definition::Elsewhere
    })
}

fn is_same_object(made: &SchemaObject, dropped: &SchemaObject) -> bool {
    let same_table = match (&made.table, &dropped.table) {
        (Some(one), Some(other)) => is_same(one, other),
        _ => true,
    };
    made.kind == dropped.kind
        && is_same(&made.name, &dropped.name)
        && same_table
        && same_arguments(made.arguments.as_deref(), dropped.arguments.as_deref())
}

/// `f(n integer DEFAULT 1)` is made, and `f(integer)` or `f(n integer)` is dropped.
fn same_arguments(made: Option<&[Vec<String>]>, dropped: Option<&[Vec<String>]>) -> bool {
    let (Some(made), Some(dropped)) = (made, dropped) else {
        return true;
    };
    let made: Vec<&[String]> = made.iter().filter_map(|one| input(one)).collect();
    let dropped: Vec<&[String]> = dropped.iter().filter_map(|one| input(one)).collect();
    made.len() == dropped.len()
        && made.iter().zip(&dropped).all(|(made, dropped)| {
            let (made, dropped) = (usual(made), usual(dropped));
            made == dropped || made.get(1..) == Some(&dropped) || dropped.get(1..) == Some(&made)
        })
}

/// An argument without its mode and its default; `None` for one that only comes out.
fn input(words: &[String]) -> Option<&[String]> {
    let end = words
        .iter()
        .position(|word| word == "default" || word == "=" || word == ":=");
    let words = &words[..end.unwrap_or(words.len())];
    match words.first().map(String::as_str) {
        Some("out") => None,
        Some("in" | "inout" | "variadic") if words.len() > 1 => words.get(1..),
        _ => Some(words),
    }
}

/// Types under the names that the server shows.
fn usual(words: &[String]) -> Vec<&str> {
    let known = |word: &str| match word {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "float8" => "double precision",
        "varchar" => "character varying",
        "timestamptz" => "timestamp with time zone",
        "decimal" => "numeric",
        _ => "",
    };
    let words = words.iter().map(String::as_str);
    words
        .map(|word| match known(word) {
            "" => word,
            usual => usual,
        })
        .collect()
}

/// The tables that a step drops, so that what belongs to them goes anyway.
pub(super) struct DroppedTables<'a> {
    by_name: BTreeMap<&'a str, Vec<(usize, &'a TableName)>>,
}

impl<'a> DroppedTables<'a> {
    /// None if others could see what is between, because the step is not one transaction.
    pub(super) fn of(seen: &'a StepTrace) -> Self {
        let in_one_transaction = seen.dialect == Some(Dialect::Postgres)
            && !seen.downgrade.happened.iter().any(|happened| {
                happened.event.autocommit
                    || matches!(happened.event.kind, EventKind::EndsTransaction)
            });
        let mut by_name: BTreeMap<&str, Vec<(usize, &TableName)>> = BTreeMap::new();
        for scene in operations_with_schema(seen) {
            if let Operation::DropTable { table, .. } = scene.operation
                && scene.certain
                && in_one_transaction
            {
                let same_name = by_name.entry(&table.name).or_default();
                same_name.push((scene.order, table));
            }
        }
        Self { by_name }
    }

    /// Whether a table goes after an operation.
    pub(super) fn has(&self, table: &TableName, after: &OperationContext<'_>) -> bool {
        self.by_name.get(table.name.as_str()).is_some_and(|all| {
            all.iter()
                .any(|(order, dropped)| *order > after.order && is_same(dropped, table))
        })
    }
}

/// Whether every row of a table was written to another one before an operation drops it, and stays there until the
/// end of the step. The other table, which the step itself makes.
pub(super) fn copy_of<'a>(
    seen: &'a StepTrace,
    drop: &OperationContext<'_>,
    dropped: &TableName,
) -> Option<&'a TableName> {
    let (_, known) = drop.table(dropped)?;
    let is_copy = |operation: &Operation| matches!(operation, Operation::CopyRows { .. });
    if !operations(&seen.downgrade).any(is_copy) {
        return None;
    }
    let all = operations_with_schema(seen);
    let copied = all.iter().find_map(|context| {
        let Operation::CopyRows { from, to, columns } = context.operation else {
            return None;
        };
        let whole = columns
            .as_ref()
            .is_none_or(|columns| known.columns.keys().all(|name| columns.contains(name)));
        let fits = context.certain && context.order < drop.order && is_same(from, dropped) && whole;
        (fits && is_new_with_the_types(drop, to, known)).then_some((context.order, to))
    });
    let (order, to) = copied?;
    let followed = seen
        .downgrade
        .happened
        .iter()
        .all(|happened| !matches!(happened.event.kind, EventKind::Unknown { .. }));
    let spoils = |context: &OperationContext<'_>| match context.operation {
        Operation::Sql { .. } => true,
        // It may keep rows out of the copy.
        Operation::CreateObject { object, .. } => {
            matches!(object.kind, ObjectKind::Trigger | ObjectKind::Rule)
        }
        Operation::ChangeRows { table, .. } => {
            context.order > order
                && table
                    .as_ref()
                    .is_none_or(|table| is_same(table, to) || is_same(table, dropped))
        }
        Operation::DropTable { table, .. }
        | Operation::DropColumn { table, .. }
        | Operation::AlterColumn { table, .. }
        | Operation::RenameTable { table, .. } => context.order > order && is_same(table, to),
        _ => false,
    };
    (followed && !all.iter().any(spoils)).then_some(to)
}

/// Whether the step makes the table, and its columns take what those of the other hold.
fn is_new_with_the_types(
    context: &OperationContext<'_>,
    table: &TableName,
    other: &rollback_schema::Table,
) -> bool {
    use rollback_schema::Origin;
    context.table(table).is_some_and(|(_, made)| {
        matches!(made.origin, Origin::Made { .. })
            && !other.columns.is_empty()
            && other.columns.iter().all(|(name, column)| {
                made.columns.get(name).is_some_and(|copy| {
                    let written = |kind: &rollback_core::operation::ColumnType| {
                        (kind.family, kind.length, kind.precision, kind.scale)
                    };
                    match (&copy.kind, &column.kind) {
                        (Some(copy), Some(column)) => written(copy) == written(column),
                        _ => false,
                    }
                })
            })
    })
}

/// The copy that the upgrade made of a table before it took something away: the table, if a statement of the
/// downgrade reads it, and only if every row was copied.
pub(super) fn restored_from<'a>(
    seen: &'a StepTrace,
    restored: &TableName,
    column: Option<&str>,
) -> Option<&'a TableName> {
    let copies = operations(&seen.upgrade).filter_map(|operation| match operation {
        Operation::CopyRows { from, to, columns } if is_same(from, restored) => {
            let has = match (columns, column) {
                (None, _) => true,
                (Some(columns), Some(column)) => columns.iter().any(|one| one == column),
                (Some(_), None) => false,
            };
            has.then_some(to)
        }
        _ => None,
    });
    let mut copies = copies;
    copies.find(|copy| {
        operations(&seen.downgrade).any(|operation| match operation {
            Operation::ChangeRows {
                table: Some(table),
                sql: Some(sql),
                ..
            } => is_same(table, restored) && names(sql, &copy.name),
            _ => false,
        })
    })
}

/// The table from which the upgrade made a copy that the downgrade drops, after it has read the copy to fill what comes
/// back.
pub(super) fn archived_columns<'a>(
    seen: &'a StepTrace,
    drop: &OperationContext<'_>,
    dropped: &TableName,
) -> Option<&'a TableName> {
    let mut copied = operations(&seen.upgrade).filter_map(|operation| match operation {
        Operation::CopyRows { from, to, .. } if is_same(to, dropped) => Some(from),
        _ => None,
    });
    copied.find(|from| {
        operations_with_schema(seen)
            .iter()
            .any(|context| match context.operation {
                Operation::ChangeRows {
                    table: Some(table),
                    sql: Some(sql),
                    ..
                } => {
                    context.certain
                        && context.order < drop.order
                        && is_same(table, from)
                        && names(sql, &dropped.name)
                }
                _ => false,
            })
    })
}

/// Whether a text has a name as a word of its own.
pub(super) fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}
