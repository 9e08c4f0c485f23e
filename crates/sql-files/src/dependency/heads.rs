//! What the head of a statement names: the object that it makes or changes, and what that is in.

use super::object_index::{Key, ObjectClass};
use super::scan::{Scan, table_and_column};
pub(super) use rollback_sql::sql_statement::{self, Action, Create, Object, SqlStatement};
use rollback_sql::words::{Name, Reader};

impl Scan<'_> {
    /// What the head of a statement names.
    pub(super) fn head(&mut self, act: &SqlStatement<'_>) {
        match act {
            SqlStatement::Create(made) => self.create(made),
            SqlStatement::Alter {
                kind,
                name,
                on,
                actions,
                ..
            } => {
                if let Some(on) = on {
                    self.relation(on);
                }
                self.object(*kind, name, on.as_ref());
                for action in actions {
                    self.action(*kind, name, action);
                }
            }
            SqlStatement::RenameTables(pairs) => {
                for (from, to) in pairs {
                    self.relation(from);
                    let key = Key::new(ObjectClass::Relation, &to.key());
                    self.world.needs_gone(self.by, &key);
                }
            }
            SqlStatement::Drop(it) => {
                if let Some(on) = &it.on {
                    self.relation(on);
                }
                for (name, _) in &it.names {
                    self.object(it.kind, name, it.on.as_ref());
                }
            }
            SqlStatement::Comment {
                kind: Some(kind),
                name: Some(name),
                target,
                ..
            } => self.comment(*kind, name, *target),
            SqlStatement::Rights(rights) => {
                let role = |scan: &mut Self, reader: Reader<'_>| {
                    for mut one in reader.list() {
                        if let Some(name) = one.name() {
                            scan.object(Object::Role, &name, None);
                        }
                    }
                };
                for part in rights.defaults.into_iter().chain([rights.what]) {
                    let Some(at) = part.find(&["IN SCHEMA"]) else {
                        continue;
                    };
                    for mut one in (Reader { at: at + 2, ..part }).list() {
                        if let Some(name) = one.name() {
                            self.schema(&name.key());
                        }
                    }
                }
                match &rights.on {
                    Some((kind, names)) => {
                        for name in names {
                            if !self.object(*kind, name, None) {
                                self.schema_of(name);
                            }
                        }
                    }
                    None if rights.defaults.is_none() => role(self, rights.what),
                    None => {}
                }
                role(self, rights.whom);
            }
            SqlStatement::Rows { tables, .. } => {
                for table in tables {
                    self.relation(table);
                }
            }
            SqlStatement::Comment { .. }
            | SqlStatement::EndsTransaction
            | SqlStatement::Harmless
            | SqlStatement::Other => {}
        }
    }

    fn schema_of(&mut self, name: &Name) {
        if let Some(schema) = name.schema() {
            self.schema(&schema);
        }
    }

    fn create(&mut self, made: &Create<'_>) {
        if let Some(on) = &made.on {
            self.relation(on);
            if made.kind == Object::Trigger {
                for row in ["new", "old"] {
                    self.aliases.insert(row.to_owned(), on.key());
                }
            }
        }
        let Some(name) = &made.name else { return };
        if made.kind != Object::Index {
            self.schema_of(name);
        }
        let class = ObjectClass::of(made.kind);
        let key = self.key(made.kind, class, name, made.on.as_ref());
        // Another routine of that name may be one with other arguments.
        if class != ObjectClass::Routine || made.or_replace {
            let known = self.world.is_made(&key);
            if known && (class != ObjectClass::Routine || self.same(&key, made)) {
                self.world.uses(self.by, &key);
            }
        }
        self.world.needs_gone(self.by, &key);
    }

    fn same(&self, key: &Key, made: &Create<'_>) -> bool {
        self.world
            .made(key)
            .iter()
            .any(|one| one.arguments == sql_statement::arguments(made.group))
    }

    fn action(&mut self, kind: Object, name: &Name, action: &Action<'_>) {
        let table = name.key();
        let within = |kind, part: &str| Key::within(&table, kind, part);
        match action {
            Action::AddColumn { name, .. } => {
                let key = within(Object::Column, &name.folded);
                self.world.uses(self.by, &key);
                self.world.needs_gone(self.by, &key);
            }
            Action::AddConstraint {
                name: Some(name), ..
            } => {
                let key = within(Object::Constraint, &name.folded);
                self.world.uses(self.by, &key);
                self.world.needs_gone(self.by, &key);
            }
            Action::DropColumn { name }
            | Action::Default { column: name, .. }
            | Action::NotNull { column: name, .. }
            | Action::ColumnType { column: name }
            | Action::ChangeColumn { from: name }
            | Action::Identity { column: name, .. } => {
                let key = within(Object::Column, &name.folded);
                self.world.uses(self.by, &key);
            }
            Action::RenameColumn { from, to } => {
                let key = within(Object::Column, &from.folded);
                self.world.uses(self.by, &key);
                let key = within(Object::Column, &to.folded);
                self.world.needs_gone(self.by, &key);
            }
            Action::DropConstraint { name } | Action::RenameConstraint { from: name, .. } => {
                let key = within(Object::Constraint, &name.folded);
                self.world.uses(self.by, &key);
                let key = within(Object::Index, &name.folded);
                self.world.uses(self.by, &key);
            }
            Action::RenameIndex { from, .. } => {
                let key = within(Object::Index, &from.folded);
                self.world.uses(self.by, &key);
            }
            Action::Rename { to } => {
                let class = ObjectClass::of(kind);
                let key = Key::new(class, &name.key_beside(&to.last().folded));
                self.world.needs_gone(self.by, &key);
            }
            Action::SetSchema { to } => {
                self.schema(&to.folded);
            }
            Action::Attach { partition } | Action::Detach { partition } => {
                self.relation(partition);
            }
            Action::Inherit { parent, .. } => {
                self.relation(parent);
            }
            Action::Switch { trigger, .. } => {
                let key = within(Object::Trigger, &trigger.folded);
                self.world.uses(self.by, &key);
            }
            Action::RenameValue { from, .. } => {
                let key = within(Object::EnumValue, from);
                self.world.uses(self.by, &key);
            }
            _ => {}
        }
    }

    fn comment(&mut self, kind: Object, name: &Name, target: Reader<'_>) {
        if kind == Object::Column {
            if let Some((table, column)) = table_and_column(name) {
                self.relation_key(&table);
                let key = Key::within(&table, Object::Column, &column);
                self.world.uses(self.by, &key);
            }
            return;
        }
        let on = target.find(&["ON"]).and_then(|at| {
            let mut reader = Reader {
                at: at + 1,
                ..target
            };
            reader.eats("DOMAIN");
            reader.name()
        });
        if let Some(on) = &on {
            self.relation(on);
        }
        if kind == Object::Constraint {
            if let Some(on) = &on {
                let key = Key::within(&on.key(), kind, &name.key());
                self.world.uses(self.by, &key);
            }
            return;
        }
        self.object(kind, name, on.as_ref());
    }
}
