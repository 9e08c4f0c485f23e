//! Objects that are gone and hold no data: indexes, views, triggers and the like, from the lines of the schema.

use std::collections::BTreeSet;

use super::{Announced, Effect, Surprise, TableIdentity};
use crate::schema_names::Object;

/// What the schema lost that the plan did not name. A line that is there again with other words is no loss, and what
/// goes with a table or column is told with it.
pub(super) fn unannounced(effect: &Effect, announced: &Announced) -> Vec<Surprise> {
    let new: BTreeSet<Object<'_>> = effect
        .schema
        .new
        .iter()
        .filter_map(|line| Object::of(line))
        .collect();
    let mut found = Vec::new();
    for line in &effect.schema.gone {
        let Some(object) = Object::of(line) else {
            continue;
        };
        // They are measured, with what they held.
        if matches!(object.kind, "table" | "column") {
            continue;
        }
        let named = object.names.iter().any(|name| announced.names_object(name));
        let of_a_table = object.kind == "sequence"
            && object.names.iter().any(|name| {
                let table = name.rsplitn(3, '_').last();
                table.is_some_and(|table| announced.names_object(table))
            });
        if named || of_a_table || new.contains(&object) || is_told(&object, effect) {
            continue;
        }
        let surprise = Surprise::ObjectDropped {
            object: object.kind.to_owned(),
            name: shown(&object),
        };
        if !found.contains(&surprise) {
            found.push(surprise);
        }
    }
    found
}

/// Whether it is part of a table that is measured as gone or renamed.
fn is_told(object: &Object<'_>, effect: &Effect) -> bool {
    let is_of = |table: &TableIdentity| {
        let mut names = object.names.iter();
        match &table.schema {
            Some(schema) => {
                names.any(|name| name == schema) && names.any(|name| *name == table.name)
            }
            None => names.any(|name| *name == table.name),
        }
    };
    let dropped = effect.dropped_tables.iter().map(|one| &one.table);
    dropped.chain(&effect.renamed_tables).any(is_of)
}

/// The last name, with the table before it where it is part of one.
fn shown(object: &Object<'_>) -> String {
    let of_a_table = matches!(
        object.kind,
        "primary key" | "foreign key" | "unique" | "check" | "constraint" | "policy" | "rule"
    );
    match object.names.as_slice() {
        [.., table, name] if of_a_table => format!("{table}.{name}"),
        [.., name] => name.clone(),
        [] => String::new(),
    }
}
