//! What the files of a project create, as it should exist once all of them are applied.

use std::collections::{BTreeMap, BTreeSet};

use super::{LiveKind, LiveObject};
use rollback_core::dialect::Dialect;
use rollback_sql::sql_statement::{
    Action, ConstraintKind, Create, Object, SqlStatement, constraint, unquoted,
};
use rollback_sql::words::{Name, Reader};

/// Who created an object that should exist if all files are applied.
#[derive(Debug, Clone, Default)]
pub(super) struct CreatedEntry {
    /// The positions of the files.
    pub(super) creators: Vec<usize>,
    /// The file that gave it this name.
    pub(super) renamed_by: Option<usize>,
}

/// What the files create, one after the other.
pub(super) struct Created {
    dialect: Dialect,
    pub(super) entries: BTreeMap<LiveObject, CreatedEntry>,
    /// What a file dropped that another one had created.
    pub(super) dropped: BTreeSet<LiveObject>,
}

impl Created {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            entries: BTreeMap::new(),
            dropped: BTreeSet::new(),
        }
    }

    /// Goes over a statement of the file at a position.
    pub(super) fn follow(&mut self, by: usize, act: &SqlStatement<'_>) {
        match act {
            SqlStatement::Create(create) if !create.temporary => self.create(by, create),
            SqlStatement::Alter {
                kind,
                name,
                on,
                actions,
                ..
            } => {
                for action in actions {
                    self.alter(by, *kind, name, on.as_ref(), action);
                }
            }
            SqlStatement::RenameTables(pairs) => {
                for (from, to) in pairs {
                    let from = self.object(LiveKind::Table, from, None);
                    let to = self.object(LiveKind::Table, to, None);
                    self.rename(by, &from, &to);
                }
            }
            SqlStatement::Drop(it) => {
                let Some(kind) = LiveKind::created(it.kind) else {
                    return;
                };
                for (name, _) in &it.names {
                    let object = self.object(kind, name, it.on.as_ref());
                    self.drop(by, &object);
                }
            }
            _ => {}
        }
    }

    /// A name as the server stores it.
    fn stored(&self, name: &str) -> String {
        // NAMEDATALEN - 1.
        const LONGEST: usize = 63;
        match self.dialect {
            Dialect::Postgres if name.len() > LONGEST => {
                let mut end = LONGEST;
                while !name.is_char_boundary(end) {
                    end -= 1;
                }
                name[..end].to_owned()
            }
            _ => name.to_owned(),
        }
    }

    fn object(&self, kind: LiveKind, name: &Name, on: Option<&Name>) -> LiveObject {
        let of_table = match kind {
            LiveKind::Policy => true,
            LiveKind::Trigger => self.dialect == Dialect::Postgres,
            LiveKind::Index => self.dialect == Dialect::MySql,
            _ => false,
        };
        let last = self.stored(&name.last().folded);
        match on {
            Some(on) => LiveObject {
                kind,
                schema: on.schema(),
                table: of_table.then(|| self.stored(&on.last().folded)),
                name: last,
            },
            None => LiveObject {
                kind,
                schema: name.schema(),
                table: None,
                name: last,
            },
        }
    }

    fn within(&self, kind: LiveKind, table: &Name, name: &str) -> LiveObject {
        LiveObject {
            kind,
            schema: table.schema(),
            table: Some(self.stored(&table.last().folded)),
            name: self.stored(name),
        }
    }

    fn made(&mut self, by: usize, object: LiveObject) {
        let entry = self.entries.entry(object).or_default();
        if !entry.creators.contains(&by) {
            entry.creators.push(by);
        }
    }

    fn create(&mut self, by: usize, create: &Create<'_>) {
        let (Some(kind), Some(name)) = (LiveKind::created(create.kind), &create.name) else {
            return;
        };
        let object = self.object(kind, name, create.on.as_ref());
        self.made(by, object);
        if create.kind == Object::Table {
            for column in create.group.map(columns).unwrap_or_default() {
                let column = self.within(LiveKind::Column, name, &column);
                self.made(by, column);
            }
        }
    }

    fn alter(
        &mut self,
        by: usize,
        kind: Object,
        name: &Name,
        on: Option<&Name>,
        action: &Action<'_>,
    ) {
        let column = |part: &str| self.within(LiveKind::Column, name, part);
        match action {
            Action::AddColumn { name: part, .. } => {
                let column = column(&part.folded);
                self.made(by, column);
            }
            Action::DropColumn { name: part } | Action::ChangeColumn { from: part } => {
                let column = column(&part.folded);
                self.drop(by, &column);
            }
            Action::RenameColumn { from, to } => {
                let (from, to) = (column(&from.folded), column(&to.folded));
                self.rename(by, &from, &to);
            }
            Action::AddConstraint {
                name: Some(part),
                sort,
                ..
            } => {
                // MySQL calls every primary key PRIMARY.
                if self.dialect == Dialect::MySql && *sort == ConstraintKind::PrimaryKey {
                    return;
                }
                let kind = if *sort == ConstraintKind::Index {
                    LiveKind::Index
                } else {
                    LiveKind::Constraint
                };
                let constraint = self.within(kind, name, &part.folded);
                self.made(by, constraint);
            }
            Action::DropConstraint { name: part } => {
                for kind in [LiveKind::Constraint, LiveKind::Index] {
                    let object = self.within(kind, name, &part.folded);
                    self.drop(by, &object);
                }
            }
            Action::RenameConstraint { from, to } | Action::RenameIndex { from, to } => {
                let kind = match action {
                    Action::RenameIndex { .. } => LiveKind::Index,
                    _ => LiveKind::Constraint,
                };
                let object = |part: &str| self.within(kind, name, part);
                let (from, to) = (object(&from.folded), object(&to.folded));
                self.rename(by, &from, &to);
            }
            Action::Rename { to } => {
                let Some(kind) = LiveKind::created(kind) else {
                    return;
                };
                let from = self.object(kind, name, on);
                let to = LiveObject {
                    name: self.stored(&to.last().folded),
                    ..from.clone()
                };
                self.rename(by, &from, &to);
            }
            Action::SetSchema { to } => {
                let Some(kind) = LiveKind::created(kind) else {
                    return;
                };
                let from = self.object(kind, name, on);
                let schema = Some(to.folded.clone()).filter(|schema| schema != "public");
                let to = LiveObject {
                    schema,
                    ..from.clone()
                };
                self.rename(by, &from, &to);
            }
            Action::AddValue { value, .. } => {
                let value = self.within(LiveKind::EnumValue, name, &unquoted(value));
                self.made(by, value);
            }
            Action::RenameValue { from, to } => {
                let value = |value: &str| self.within(LiveKind::EnumValue, name, &unquoted(value));
                let (from, to) = (value(from), value(to));
                self.rename(by, &from, &to);
            }
            _ => {}
        }
    }

    /// What goes with an object, itself not included.
    fn belongings(&self, object: &LiveObject) -> Vec<LiveObject> {
        let belongs = |one: &&LiveObject| match object.kind {
            LiveKind::Table | LiveKind::View | LiveKind::Type => {
                one.schema == object.schema && one.table.as_ref() == Some(&object.name)
            }
            LiveKind::Schema => one.schema.as_ref() == Some(&object.name),
            _ => false,
        };
        self.entries.keys().filter(belongs).cloned().collect()
    }

    fn drop(&mut self, by: usize, object: &LiveObject) {
        for one in self.belongings(object).into_iter().chain([object.clone()]) {
            let Some(entry) = self.entries.remove(&one) else {
                continue;
            };
            if entry.creators != [by] {
                self.dropped.insert(one);
            }
        }
    }

    fn rename(&mut self, by: usize, from: &LiveObject, to: &LiveObject) {
        let moved = self.belongings(from).into_iter().map(|one| {
            let to = LiveObject {
                schema: to.schema.clone(),
                table: Some(to.name.clone()),
                ..one.clone()
            };
            (one, to)
        });
        let moved: Vec<(LiveObject, LiveObject)> =
            moved.chain([(from.clone(), to.clone())]).collect();
        for (from, to) in moved {
            let entry = self.entries.remove(&from).unwrap_or_default();
            if !entry.creators.is_empty() && entry.creators != [by] {
                self.dropped.insert(from);
            }
            let creators = if entry.creators.is_empty() {
                vec![by]
            } else {
                entry.creators
            };
            let entry = CreatedEntry {
                renamed_by: Some(by).filter(|by| creators != [*by]),
                creators,
            };
            self.entries.insert(to, entry);
        }
    }
}

/// The columns between the brackets of `CREATE TABLE`.
fn columns(group: Reader<'_>) -> Vec<String> {
    let column = |mut item: Reader<'_>| {
        let elsewhere = ["LIKE", "PERIOD", "SELECT"]
            .iter()
            .any(|word| item.says(word));
        if elsewhere || constraint(item).is_some() {
            return None;
        }
        let part = item.part()?;
        // `tokenize = 'porter'`: an option of a virtual table.
        (!item.says("=")).then_some(part.folded)
    };
    group.list().into_iter().filter_map(column).collect()
}
