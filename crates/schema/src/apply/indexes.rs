//! Indexes.

use super::super::{ForeignKey, Index, Presence, Table};
use super::tables::foreign_key_called;
use super::{Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Name, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn create_index(
        &mut self,
        name: &Name,
        table: &TableName,
        columns: &[Option<String>],
        unique: bool,
        if_not_exists: bool,
    ) -> Flow {
        let Some(key) = self.table(table)? else {
            return Ok(());
        };
        if let Some(name) = name.known()
            && let Some(presence) = self.index_there(&key, name)
        {
            if if_not_exists {
                return Ok(());
            }
            let subject = Subject::Index(Some(table.clone()), name.to_owned());
            self.exists(subject, format!("index {name} already exists"), presence)?;
        }
        let mut own = Vec::new();
        for column in columns {
            own.push(match column {
                Some(column) => self
                    .column(&key, table, column)?
                    .or_else(|| Some(column.clone())),
                None => None,
            });
        }
        let plain: Vec<String> = own.iter().flatten().cloned().collect();
        self.may_be_indexed(table, &key, &plain)?;
        let (presence, dialect) = (self.presence(), self.dialect());
        if let Some(table) = self.model.table_mut(&key) {
            let index = Index {
                name: name.clone(),
                columns: own,
                unique,
                presence,
            };
            put(table, index, dialect);
        }
        Ok(())
    }

    /// Whether the name is taken: on PostgreSQL by anything in the schema, on SQLite by any index or
    /// table, on MariaDB by an index of the table.
    fn index_there(&self, table: &TableName, name: &str) -> Option<Presence> {
        let model = &self.model;
        let called = |index: &&Index| {
            let known = index.name.known();
            known.is_some_and(|known| {
                known == name || model.folds() && known.eq_ignore_ascii_case(name)
            })
        };
        match self.dialect() {
            Dialect::Postgres => model.relation(&TableName {
                schema: table.schema.clone(),
                name: name.to_owned(),
            }),
            Dialect::MySql => {
                let table = model.tables.get(table)?;
                table
                    .indexes
                    .iter()
                    .find(called)
                    .map(|index| index.presence)
            }
            Dialect::Sqlite => {
                let table = model.tables.get(&model.key(&TableName::plain(name)));
                let mut indexes = model.tables.values().flat_map(|table| &table.indexes);
                table
                    .map(|table| table.presence)
                    .or_else(|| indexes.find(called).map(|index| index.presence))
            }
        }
    }

    /// SQLite: whether another table has an index of that name.
    pub(super) fn index_elsewhere(&self, key: &TableName, name: &str) -> Option<Presence> {
        let others = self.model.tables.iter().filter(|(other, _)| *other != key);
        others
            .flat_map(|(_, table)| &table.indexes)
            .find(|index| {
                index
                    .name
                    .known()
                    .is_some_and(|one| one.eq_ignore_ascii_case(name))
            })
            .map(|index| index.presence)
    }

    /// PostgreSQL. The index of a key has the key's name.
    pub(super) fn rename_index(&mut self, name: &TableName, to: &str, if_exists: bool) -> Flow {
        let key = self.model.key(name);
        let called = |one: &Name| one.known() == Some(key.name.as_str());
        let has = |table: &Table| {
            table.keys().any(|one| called(&one.name))
                || table.indexes.iter().any(|index| called(&index.name))
        };
        let mut tables = self.model.tables.iter();
        let found = tables.find(|(table, known)| table.schema == key.schema && has(known));
        let Some(owner) = found.map(|(table, _)| table.clone()) else {
            if if_exists {
                return Ok(());
            }
            // The server may have named it.
            let subject = Subject::Index(None, name.name.clone());
            return self.missing(subject, format!("index {name} may not exist"), false);
        };
        let taken = TableName {
            schema: key.schema.clone(),
            name: to.to_owned(),
        };
        if let Some(presence) = self.model.relation(&taken) {
            let subject = Subject::Index(Some(owner.clone()), to.to_owned());
            self.exists(subject, format!("{to} already exists"), presence)?;
        }
        if self.act.certain
            && let Some(table) = self.model.table_mut(&owner)
        {
            let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
            let names = keys.map(|key| &mut key.name);
            for one in names.chain(table.indexes.iter_mut().map(|index| &mut index.name)) {
                if called(one) {
                    *one = Name::Known(to.to_owned());
                }
            }
        }
        Ok(())
    }

    pub(super) fn drop_index(
        &mut self,
        name: &Name,
        table: Option<&TableName>,
        if_exists: bool,
    ) -> Flow {
        // A name that a convention gives, or that cannot be followed.
        let Some(name) = name.known() else {
            return Ok(());
        };
        let subject = Subject::Index(table.cloned(), name.to_owned());
        let mut within = None;
        if self.dialect() == Dialect::MySql {
            let Some(table) = table else {
                return Ok(());
            };
            let Some(key) = self.table(table)? else {
                return Ok(());
            };
            within = Some(key);
        }
        let Some((key, at)) = self.find_index(name, table, within.as_ref()) else {
            if if_exists {
                return Ok(());
            }
            self.owned_by_constraint(name, table, &subject)?;
            return self.no_index(name, table, subject);
        };
        let found = self
            .model
            .tables
            .get(&key)
            .map(|table| table.indexes[at].clone());
        let Some(found) = found else {
            return Ok(());
        };
        if found.presence == Presence::Uncertain && !if_exists {
            let sentence = format!("index {name} may not exist");
            self.missing(subject.clone(), sentence, false)?;
        }
        if self.dialect() == Dialect::MySql {
            self.needed_by_foreign_key(&key, at, &subject)?;
        }
        let certain = self.act.certain;
        if let Some(table) = self.model.table_mut(&key) {
            Self::take(certain, &mut table.indexes, |index| *index == found);
        }
        Ok(())
    }

    fn find_index(
        &self,
        name: &str,
        table: Option<&TableName>,
        within: Option<&TableName>,
    ) -> Option<(TableName, usize)> {
        let model = &self.model;
        let schema = table
            .and_then(|table| table.schema.as_ref())
            .or(model.default_schema.as_ref());
        let called = |index: &Index| {
            let known = index.name.known();
            known.is_some_and(|known| {
                known == name || model.folds() && known.eq_ignore_ascii_case(name)
            })
        };
        model
            .tables
            .iter()
            .filter(|(key, _)| match self.dialect() {
                Dialect::Postgres => schema.is_none() || key.schema.as_ref() == schema,
                Dialect::MySql => within == Some(key),
                Dialect::Sqlite => true,
            })
            .find_map(|(key, table)| {
                let at = table.indexes.iter().position(called)?;
                Some((key.clone(), at))
            })
    }

    /// PostgreSQL: the index of a key goes with the key only.
    fn owned_by_constraint(
        &mut self,
        name: &str,
        table: Option<&TableName>,
        subject: &Subject,
    ) -> Flow {
        if self.dialect() != Dialect::Postgres {
            return Ok(());
        }
        let schema = table
            .and_then(|table| table.schema.clone())
            .or_else(|| self.model.default_schema.clone());
        let owner = self
            .model
            .tables
            .iter()
            .filter(|(key, _)| schema.is_none() || key.schema == schema)
            .find_map(|(key, table)| {
                let mut keys = table.keys();
                let found = keys.find(|one| one.name.known() == Some(name))?;
                Some((key.name.clone(), found.presence.min(table.presence)))
            });
        if let Some((owner, presence)) = owner {
            let sentence = format!("index {name} is needed by constraint {name} of table {owner}");
            self.dependents(subject.clone(), sentence, presence == Presence::Certain)?;
        }
        Ok(())
    }

    fn no_index(&mut self, name: &str, table: Option<&TableName>, subject: Subject) -> Flow {
        // One that a convention or the server has named may be meant.
        let unnamed = |known: &Table| {
            known
                .indexes
                .iter()
                .any(|index| index.name.known().is_none())
        };
        let candidates = match table {
            Some(table) => {
                let known = self.model.tables.get(&self.model.key(table));
                known.is_some_and(|known| unnamed(known) || known.presence == Presence::Uncertain)
            }
            None => self.model.tables.values().any(|known| unnamed(known)),
        };
        let elsewhere = self.model.tables.values().any(|known| {
            let mut indexes = known.indexes.iter();
            indexes.any(|index| index.name.known() == Some(name))
        });
        let foreign = table.is_some_and(|table| self.model.beyond(table) && table.schema.is_some());
        let sure = !candidates && !foreign && (!elsewhere || self.dialect() != Dialect::Postgres);
        if candidates
            && self.act.certain
            && let Some(key) = table.map(|table| self.model.key(table))
            && let Some(table) = self.model.table_mut(&key)
        {
            let default = default_index_names(&key.name, table);
            let Some(at) = default.iter().position(|(_, default)| default == name) else {
                return self.missing(subject, format!("index {name} may not exist"), false);
            };
            table.indexes.remove(default[at].0);
            return Ok(());
        }
        self.missing(subject, format!("index {name} does not exist"), sure)
    }

    /// MariaDB: a foreign key needs an index that begins with its columns, on both sides.
    pub(super) fn needed_by_foreign_key(
        &mut self,
        key: &TableName,
        at: usize,
        subject: &Subject,
    ) -> Flow {
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        // Whether it is needed: for certain, or unless another one is there that may be.
        let serves = |columns: &[String]| {
            if columns.is_empty()
                || !table.indexes[at].begins_with(columns)
                || table.keys().any(|key| key.columns.starts_with(columns))
            {
                return None;
            }
            let others = table.indexes.iter().enumerate();
            let other = others
                .filter(|(other, index)| *other != at && index.begins_with(columns))
                .map(|(_, index)| index.presence)
                .max();
            match other {
                None => Some(Presence::Certain),
                Some(Presence::Uncertain) => Some(Presence::Uncertain),
                Some(Presence::Certain) => None,
            }
        };
        let own = table.foreign_keys.iter().filter_map(|foreign| {
            let needed = serves(&foreign.columns)?;
            Some((foreign.name.clone(), foreign.presence.min(needed)))
        });
        let others = self.model.referring(key);
        let referring = others.iter().filter_map(|(other, at)| {
            let foreign = &self.model.tables.get(other)?.foreign_keys[*at];
            let needed = serves(&foreign.referent_columns)?;
            Some((foreign.name.clone(), foreign.presence.min(needed)))
        });
        let needed: Vec<(Name, Presence)> = own.chain(referring).collect();
        let index = table.indexes[at].presence;
        for (name, presence) in needed {
            let sentence = format!(
                "index {} is needed by {}",
                subject.object(),
                foreign_key_called(name.known())
            );
            let sure = presence.min(index) == Presence::Certain;
            self.dependents(subject.clone(), sentence, sure)?;
        }
        Ok(())
    }
}

/// Puts an index into a table. MariaDB drops for it, without a word, the one that it had made itself for a
/// foreign key which the new one serves as well, and tells nobody which of its indexes it has made.
pub(super) fn put(table: &mut Table, new: Index, dialect: Dialect) {
    if dialect == Dialect::MySql {
        let Table {
            indexes,
            foreign_keys,
            ..
        } = table;
        for old in indexes.iter_mut() {
            let replaced = !old.unique && new.columns.starts_with(&old.columns);
            if replaced && foreign_keys.iter().any(|key| is_made_for(old, key)) {
                old.presence = Presence::Uncertain;
            }
        }
    }
    table.indexes.push(new);
}

/// Whether an index is called as MariaDB calls the one that it makes for a foreign key: as the key, and as
/// the column for a key without a name.
fn is_made_for(index: &Index, key: &ForeignKey) -> bool {
    let same = index.columns.iter().flatten().eq(&key.columns);
    same && match (index.name.known(), key.columns.first()) {
        (Some(name), Some(column)) => {
            key.name.known() == Some(name) || name.starts_with(column.as_str())
        }
        _ => true,
    }
}

/// SQLAlchemy's `ix_table_column` for those without a name.
fn default_index_names(name: &str, table: &Table) -> Vec<(usize, String)> {
    table
        .indexes
        .iter()
        .enumerate()
        .filter(|(_, index)| index.name.known().is_none())
        .filter_map(|(at, index)| {
            let column = index.columns.first()?.as_ref()?;
            Some((at, format!("ix_{name}_{column}")))
        })
        .collect()
}
