//! Enum types and views.

use super::super::{Presence, View};
use super::{Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{ObjectKind, SchemaObject, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn create_enum(
        &mut self,
        name: &TableName,
        values: &[String],
        if_not_exists: bool,
    ) -> Flow {
        if self.dialect() != Dialect::Postgres {
            return Ok(());
        }
        let key = self.model.key(name);
        if self.model.enums.contains_key(&key) {
            if if_not_exists {
                return Ok(());
            }
            let sentence = format!("type {name} already exists");
            self.exists(Subject::Type(name.clone()), sentence, Presence::Certain)?;
        }
        self.model.enums.insert(key, values.to_vec());
        Ok(())
    }

    /// Types have no presence of their own: one that may be gone stays, and what fails over it is told
    /// as certain only where the schema itself is.
    pub(super) fn drop_type(&mut self, name: &TableName, if_exists: bool, cascade: bool) -> Flow {
        if self.dialect() != Dialect::Postgres {
            return Ok(());
        }
        let key = self.model.key(name);
        let subject = Subject::Type(name.clone());
        if self.model.types.contains(&key) {
            if self.act.certain {
                self.model.types.remove(&key);
            }
            // It may take columns along.
            self.model.doubtful |= cascade;
            return Ok(());
        }
        if !self.model.enums.contains_key(&key) {
            if if_exists {
                return Ok(());
            }
            let sure = !self.model.beyond(name);
            let sentence = format!("type {name} does not exist");
            return self.missing(subject, sentence, sure);
        }
        let mut users = Vec::new();
        for (table, known) in &self.model.tables {
            for column in known.columns.values() {
                let kind = column
                    .kind
                    .as_ref()
                    .and_then(|kind| kind.enum_name.as_ref());
                if kind.is_some_and(|kind| self.model.key(kind) == key) {
                    let presence = column.presence.min(known.presence);
                    users.push((table.clone(), column.name.clone(), presence));
                }
            }
        }
        let certain = self.act.certain;
        for (table, column, presence) in users {
            if cascade {
                if let Some(table) = self.model.table_mut(&table) {
                    super::removal::without_column(table, &column, certain, false);
                }
                continue;
            }
            let sentence = format!(
                "type {name} is used by column {column} of table {}",
                table.name
            );
            self.dependents(subject.clone(), sentence, presence == Presence::Certain)?;
        }
        if certain {
            self.model.enums.remove(&key);
        }
        Ok(())
    }

    /// Domains, composite types and ranges. What is only perhaps made or dropped may be there.
    pub(super) fn type_is_there(&mut self, object: &SchemaObject, made: bool) {
        if !matches!(object.kind, ObjectKind::Domain | ObjectKind::Type) {
            return;
        }
        let key = self.model.key(&object.name);
        if made {
            self.model.types.insert(key);
        } else if self.act.certain {
            self.model.types.remove(&key);
        }
    }

    pub(super) fn add_enum_value(
        &mut self,
        name: &TableName,
        value: &str,
        if_not_exists: bool,
    ) -> Flow {
        let key = self.model.key(name);
        let Some(words) = self.model.enums.get_mut(&key) else {
            let sure = !self.model.beyond(name);
            let sentence = format!("type {name} does not exist");
            return self.missing(Subject::Type(name.clone()), sentence, sure);
        };
        if !words.iter().any(|word| word == value) {
            words.push(value.to_owned());
            return Ok(());
        }
        if if_not_exists {
            return Ok(());
        }
        let sentence = format!("type {name} has the word {value} already");
        let subject = Subject::Type(name.clone());
        // One more may have been added behind a condition.
        self.exists(subject, sentence, Presence::Certain)
    }

    pub(super) fn rename_type(&mut self, name: &TableName, to: &str) -> Flow {
        let key = self.model.key(name);
        let Some(words) = self.model.enums.get(&key).cloned() else {
            let sure = !self.model.beyond(name);
            let sentence = format!("type {name} does not exist");
            return self.missing(Subject::Type(name.clone()), sentence, sure);
        };
        let target = TableName {
            schema: key.schema.clone(),
            name: to.to_owned(),
        };
        if self.model.enums.contains_key(&target) {
            let sentence = format!("type {to} already exists");
            self.exists(Subject::Type(target.clone()), sentence, Presence::Certain)?;
        }
        if !self.act.certain {
            self.model.enums.insert(target, words);
            return Ok(());
        }
        self.model.enums.remove(&key);
        let names: Vec<TableName> = self.model.tables.keys().cloned().collect();
        for table in names {
            let uses = self.model.tables.get(&table).is_some_and(|table| {
                let mut kinds = table
                    .columns
                    .values()
                    .filter_map(|column| column.kind.as_ref());
                kinds.any(|kind| kind.enum_name.as_ref() == Some(&key))
            });
            if let Some(table) = uses.then(|| self.model.table_mut(&table)).flatten() {
                for kind in table
                    .columns
                    .values_mut()
                    .filter_map(|column| column.kind.as_mut())
                {
                    if kind.enum_name.as_ref() == Some(&key) {
                        kind.enum_name = Some(target.clone());
                    }
                }
            }
        }
        self.model.enums.insert(target, words);
        Ok(())
    }

    pub(super) fn create_view(
        &mut self,
        name: &TableName,
        or_replace: bool,
        query: Option<&str>,
    ) -> Flow {
        let key = self.model.key(name);
        let there = if self.dialect() == Dialect::Postgres {
            self.model.relation(&key)
        } else {
            let table = self.model.tables.get(&key).map(|table| table.presence);
            table.or_else(|| self.model.views.get(&key).map(|view| view.presence))
        };
        let replaced = or_replace && self.model.views.contains_key(&key);
        if let Some(presence) = there.filter(|_| !replaced) {
            let sentence = format!("{name} already exists");
            self.exists(Subject::View(name.clone()), sentence, presence)?;
        }
        let view = View {
            query: query.unwrap_or_default().to_owned(),
            uses: None,
            presence: if replaced {
                Presence::Certain
            } else {
                self.presence()
            },
        };
        self.model.views.insert(key, view);
        Ok(())
    }

    pub(super) fn drop_view(&mut self, name: &TableName, if_exists: bool) -> Flow {
        let key = self.model.key(name);
        let presence = self.model.views.get(&key).map(|view| view.presence);
        if presence != Some(Presence::Certain) && !if_exists {
            let sure = presence.is_none() && !self.model.beyond(name);
            let sentence = format!("view {name} does not exist");
            self.missing(Subject::View(name.clone()), sentence, sure)?;
        }
        if self.act.certain {
            self.model.views.remove(&key);
        } else if let Some(view) = self.model.views.get_mut(&key) {
            view.presence = Presence::Uncertain;
        }
        Ok(())
    }
}
