//! The objects that the migrations so far have made, each with its maker.

use std::collections::{BTreeMap, BTreeSet};

use rollback_core::dialect::Dialect;
pub(super) use rollback_sql::sql_statement::Object;

/// Objects of one class cannot have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectClass {
    /// Tables, views, indexes, sequences.
    Relation,
    Routine,
    Type,
    Of(Object),
}

impl ObjectClass {
    pub(super) fn of(kind: Object) -> Self {
        match kind {
            Object::Table
            | Object::View
            | Object::MaterializedView
            | Object::ForeignTable
            | Object::Index
            | Object::Sequence => Self::Relation,
            Object::Function | Object::Procedure | Object::Aggregate => Self::Routine,
            Object::Type | Object::Domain => Self::Type,
            other => Self::Of(other),
        }
    }
}

/// What an object is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The table that it belongs to, and the type of an enum's value.
    pub(super) of: Option<String>,
    pub(super) class: ObjectClass,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(class: ObjectClass, name: &str) -> Self {
        Self {
            of: None,
            class,
            name: name.to_owned(),
        }
    }

    pub(super) fn within(table: &str, kind: Object, name: &str) -> Self {
        Self {
            of: Some(table.to_owned()),
            class: ObjectClass::Of(kind),
            name: name.to_owned(),
        }
    }
}

/// Something that a migration has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectRecord {
    /// The position of the migration.
    pub(super) by: usize,
    /// `table projects`.
    pub(super) shown: String,
    /// The arguments of a routine: there may be others of that name.
    pub(super) arguments: String,
    /// The table of an index, and the columns of one that is unique.
    pub(super) unique_on: Option<(String, Vec<String>)>,
}

/// The objects.
#[derive(Debug)]
pub(super) struct ObjectIndex {
    pub(super) dialect: Dialect,
    made: BTreeMap<Key, Vec<ObjectRecord>>,
    /// What was taken away, and by whom: whoever makes it again needs that.
    gone: BTreeMap<Key, ObjectRecord>,
    /// The types of the columns of a table.
    types: BTreeMap<String, BTreeSet<String>>,
    used: Vec<(usize, String)>,
}

impl ObjectIndex {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            made: BTreeMap::new(),
            gone: BTreeMap::new(),
            types: BTreeMap::new(),
            used: Vec::new(),
        }
    }

    /// What was used since this was asked last, by the position of the maker, first uses first.
    pub(super) fn take_used(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.used)
    }

    pub(super) fn is_made(&self, key: &Key) -> bool {
        self.made.contains_key(key)
    }

    pub(super) fn made(&self, key: &Key) -> &[ObjectRecord] {
        self.made.get(key).map_or(&[], Vec::as_slice)
    }

    /// Notes that an object is used, where it was made by another migration.
    pub(super) fn uses(&mut self, by: usize, key: &Key) -> bool {
        let Some(made) = self.made.get(key) else {
            return false;
        };
        for one in made {
            if one.by != by {
                self.used.push((one.by, one.shown.clone()));
            }
        }
        true
    }

    /// Notes that a name was free only because another migration took the object away.
    pub(super) fn needs_gone(&mut self, by: usize, key: &Key) {
        if let Some(one) = self.gone.get(key)
            && one.by != by
        {
            self.used.push((one.by, one.shown.clone()));
        }
    }

    pub(super) fn makes(&mut self, key: Key, made: ObjectRecord) {
        self.gone.remove(&key);
        let all = self.made.entry(key).or_default();
        all.retain(|one| one.arguments != made.arguments);
        all.push(made);
    }

    pub(super) fn takes_away(&mut self, by: usize, key: &Key, arguments: Option<&str>) {
        let Some(all) = self.made.get_mut(key) else {
            return;
        };
        let Some(last) = all.last().cloned() else {
            return;
        };
        match arguments {
            Some(arguments) if all.len() > 1 => all.retain(|one| one.arguments != arguments),
            _ => all.clear(),
        }
        if all.is_empty() {
            self.made.remove(key);
            self.gone.insert(key.clone(), ObjectRecord { by, ..last });
        }
        if key.of.is_some() {
            return;
        }
        if key.class == ObjectClass::Relation {
            for inner in self.of_table(&key.name) {
                self.takes_away(by, &inner, None);
            }
            for index in self.indexes_of(&key.name) {
                self.takes_away(by, &index, None);
            }
            self.types.remove(&key.name);
        }
        if key.class == ObjectClass::Of(Object::Schema) {
            let inside = format!("{}.", key.name);
            let keys = self.made.keys();
            let keys: Vec<Key> = keys
                .filter(|one| one.of.is_none() && one.name.starts_with(&inside))
                .cloned()
                .collect();
            for one in keys {
                self.takes_away(by, &one, None);
            }
        }
    }

    fn of_table(&self, table: &str) -> Vec<Key> {
        let start = Key {
            of: Some(table.to_owned()),
            class: ObjectClass::Relation,
            name: String::new(),
        };
        self.made
            .range(start..)
            .map(|(key, _)| key)
            .take_while(|key| key.of.as_deref() == Some(table))
            .cloned()
            .collect()
    }

    fn indexes_of(&self, table: &str) -> Vec<Key> {
        self.made
            .iter()
            .filter(|(key, made)| {
                key.class == ObjectClass::Relation
                    && made
                        .iter()
                        .any(|one| one.unique_on.as_ref().is_some_and(|(of, _)| of == table))
            })
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Gives a table, a view or a type another name, with all that belongs to it.
    pub(super) fn renames(&mut self, by: usize, from: &Key, to: Key, shown: String) {
        let before = self.made.remove(from).unwrap_or_default();
        let last = before.into_iter().last();
        self.gone.insert(
            from.clone(),
            ObjectRecord {
                by,
                shown: shown.clone(),
                arguments: String::new(),
                unique_on: None,
            },
        );
        for key in self.of_table(&from.name) {
            if let Some(mut made) = self.made.remove(&key) {
                for one in &mut made {
                    one.shown = match key.class {
                        ObjectClass::Of(Object::Column) => {
                            format!("column {}.{}", to.name, key.name)
                        }
                        ObjectClass::Of(Object::EnumValue) => {
                            format!("value {} of type {}", key.name, to.name)
                        }
                        ObjectClass::Of(kind) => {
                            format!("{} {} on {}", kind.words(), key.name, to.name)
                        }
                        _ => continue,
                    };
                }
                let key = Key {
                    of: Some(to.name.clone()),
                    ..key
                };
                self.made.insert(key, made);
            }
        }
        if let Some(types) = self.types.remove(&from.name) {
            self.types.insert(to.name.clone(), types);
        }
        for index in self.indexes_of(&from.name) {
            for one in self.made.get_mut(&index).into_iter().flatten() {
                if let Some((table, _)) = &mut one.unique_on {
                    table.clone_from(&to.name);
                }
            }
        }
        let (arguments, unique_on) = last
            .map(|last| (last.arguments, last.unique_on))
            .unwrap_or_default();
        self.makes(
            to,
            ObjectRecord {
                by,
                shown,
                arguments,
                unique_on,
            },
        );
    }

    /// The columns that were added to a table after it was made.
    pub(super) fn columns(&self, table: &str) -> Vec<Key> {
        self.of_table(table)
            .into_iter()
            .filter(|key| key.class == ObjectClass::Of(Object::Column))
            .collect()
    }

    /// What makes these columns of a table unique.
    pub(super) fn unique(&self, table: &str, columns: &[String]) -> Vec<Key> {
        let wanted: BTreeSet<&String> = columns.iter().collect();
        self.made
            .iter()
            .filter(|(_, made)| {
                made.iter().any(|one| {
                    one.unique_on.as_ref().is_some_and(|(of, on)| {
                        of == table
                            && !on.is_empty()
                            && on.iter().collect::<BTreeSet<_>>() == wanted
                    })
                })
            })
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// The enum values that a text in quotes may be, by type.
    pub(super) fn values(&self, literal: &str) -> Vec<Key> {
        self.made
            .keys()
            .filter(|key| key.class == ObjectClass::Of(Object::EnumValue) && key.name == literal)
            .cloned()
            .collect()
    }

    pub(super) fn has_type(&self, table: &str, name: &str) -> bool {
        self.types
            .get(table)
            .is_some_and(|types| types.contains(name))
    }

    pub(super) fn typed(&mut self, table: &str, types: impl IntoIterator<Item = String>) {
        self.types
            .entry(table.to_owned())
            .or_default()
            .extend(types);
    }
}
