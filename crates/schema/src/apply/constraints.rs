//! Constraints made.

use super::super::{Check, ForeignKey, Index, Key, Presence, Table};
use super::columns::{comparable, referred_columns};
use super::indexes::put;
use super::{ApplyErrorKind, Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{Constraint, Name, Reference, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    /// Alembic refuses before it looks at the table, and SQLite has no grammar for it.
    pub(super) fn no_constraints_on_sqlite(&mut self, table: &TableName, name: &Name) -> Flow {
        let what = name.known().unwrap_or("without a name");
        let sentence = format!(
            "SQLite cannot change constraint {what} of table {table} outside of batch mode"
        );
        let subject = match name.known() {
            Some(name) => Subject::Constraint(table.clone(), name.to_owned()),
            None => Subject::Table(table.clone()),
        };
        self.unsupported(subject, sentence, true)
    }

    pub(super) fn add_constraint(&mut self, name: &TableName, constraint: &Constraint) -> Flow {
        if self.dialect() == Dialect::Sqlite {
            return self.no_constraints_on_sqlite(name, constraint.name());
        }
        match self.table(name)? {
            Some(key) => self.constrain(name, &key, constraint),
            None => Ok(()),
        }
    }

    /// Adds a constraint to a table that is there.
    pub(super) fn constrain(
        &mut self,
        table: &TableName,
        key: &TableName,
        constraint: &Constraint,
    ) -> Flow {
        self.constraint_is_free(table, key, constraint)?;
        match constraint {
            Constraint::PrimaryKey { columns, .. } | Constraint::Unique { columns, .. } => {
                for column in columns {
                    self.column(key, table, column)?;
                }
                self.may_be_indexed(table, key, columns)?;
            }
            Constraint::ForeignKey {
                columns,
                references,
                ..
            } => {
                if self.dialect() == Dialect::Postgres {
                    // It looks for the other table before it looks at its own.
                    self.table(&references.table)?;
                }
                for column in columns {
                    self.column(key, table, column)?;
                }
                self.may_be_indexed(table, key, columns)?;
                self.reference(table, key, columns, references)?;
            }
            Constraint::Check { .. } => {}
        }
        let new = self.resolved(constraint);
        let (presence, dialect) = (self.presence(), self.dialect());
        if let Some(table) = self.model.table_mut(key) {
            insert(table, &new, presence, dialect);
        }
        Ok(())
    }

    /// A foreign key names its referent as the schema model does, with its columns.
    pub(super) fn resolved(&self, constraint: &Constraint) -> Constraint {
        let Constraint::ForeignKey {
            columns,
            references,
            not_valid,
        } = constraint
        else {
            return constraint.clone();
        };
        let referent = self.model.key(&references.table);
        let table = self.model.tables.get(&referent);
        let primary = table.and_then(|table| table.primary_key.as_ref());
        let primary = primary.map(|key| key.columns.as_slice());
        Constraint::ForeignKey {
            columns: columns.clone(),
            references: Reference {
                columns: referred_columns(references, primary),
                table: referent,
                ..references.clone()
            },
            not_valid: *not_valid,
        }
    }

    fn constraint_is_free(
        &mut self,
        table: &TableName,
        key: &TableName,
        constraint: &Constraint,
    ) -> Flow {
        let Some(known) = self.model.tables.get(key) else {
            return Ok(());
        };
        let primary = known.primary_key.as_ref().map(|key| key.presence);
        if let (Constraint::PrimaryKey { name, .. }, Some(presence)) = (constraint, primary) {
            let sentence = format!("table {table} has a primary key already");
            let name = name.known().unwrap_or("primary key").to_owned();
            return self.exists(Subject::Constraint(table.clone(), name), sentence, presence);
        }
        let Some(name) = constraint.name().known() else {
            return Ok(());
        };
        let key_like = matches!(
            constraint,
            Constraint::PrimaryKey { .. } | Constraint::Unique { .. }
        );
        let named = |one: &Name| one.known() == Some(name);
        let foreign = |table: &Table| {
            let mut keys = table.foreign_keys.iter();
            keys.find(|key| named(&key.name)).map(|key| key.presence)
        };
        let check = || {
            let mut checks = known.checks.iter();
            checks
                .find(|check| named(&check.name))
                .map(|check| check.presence)
        };
        let there = match self.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres if key_like => self
                .model
                .relation(&TableName {
                    schema: key.schema.clone(),
                    name: name.to_owned(),
                })
                .or_else(|| foreign(known))
                .or_else(check),
            Dialect::Postgres => {
                let keys = known.keys().find(|key| named(&key.name));
                keys.map(|key| key.presence)
                    .or_else(|| foreign(known))
                    .or_else(check)
            }
            Dialect::MySql => match constraint {
                Constraint::Check { .. } => check(),
                // One space for the whole database.
                Constraint::ForeignKey { .. } => {
                    self.model.tables.values().find_map(|table| foreign(table))
                }
                _ => {
                    let mut indexes = known.indexes.iter();
                    indexes
                        .find(|index| named(&index.name))
                        .map(|index| index.presence)
                }
            },
        };
        if let Some(presence) = there {
            let sentence = format!("constraint {name} of table {table} already exists");
            let subject = Subject::Constraint(table.clone(), name.to_owned());
            self.exists(subject, sentence, presence)?;
        }
        Ok(())
    }

    /// What a foreign key points at has to be there and to be unique; on MariaDB it has to have an
    /// index. SQLite looks when rows change.
    fn reference(
        &mut self,
        table: &TableName,
        key: &TableName,
        own: &[String],
        reference: &Reference,
    ) -> Flow {
        if self.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let Some(referent) = self.table(&reference.table)? else {
            return Ok(());
        };
        for column in &reference.columns {
            self.column(&referent, &reference.table, column)?;
        }
        let Some(known) = self.model.tables.get(&referent) else {
            return Ok(());
        };
        let primary = known.primary_key.as_ref().map(|key| key.columns.as_slice());
        let columns = referred_columns(reference, primary);
        let same = |key: &Key| {
            key.columns.len() == columns.len()
                && columns.iter().all(|one| key.columns.contains(one))
        };
        let mysql = self.dialect() == Dialect::MySql;
        let fits = !columns.is_empty()
            && (known.keys().any(same)
                || known
                    .indexes
                    .iter()
                    .any(|index| (mysql || index.unique) && index.begins_with(&columns))
                || mysql && known.keys().any(|key| key.columns.starts_with(&columns)));
        if !fits {
            let sentence = format!(
                "no key of table {} fits the foreign key of table {table}",
                reference.table
            );
            let subject = Subject::Table(reference.table.clone());
            let sure = known.presence == Presence::Certain && !columns.is_empty();
            self.refuse(
                FindingCode::KeyMissing,
                ApplyErrorKind::Other,
                subject,
                sentence,
                sure,
            )?;
        }
        if self.dialect() == Dialect::Postgres {
            let unlike = own.iter().zip(&columns).find(|(here, there)| {
                let kinds = (self.kind_of(key, here), self.kind_of(&referent, there));
                matches!(kinds, (Some(here), Some(there)) if !comparable(&here, &there))
            });
            if let Some((here, there)) = unlike {
                let sentence = format!(
                    "column {here} of table {table} cannot point at {}.{there}, whose type is another",
                    reference.table
                );
                let subject = Subject::Column(table.clone(), here.clone());
                self.refuse(
                    FindingCode::KeyMissing,
                    ApplyErrorKind::Other,
                    subject,
                    sentence,
                    true,
                )?;
            }
        }
        Ok(())
    }
}

/// Puts a constraint into a table.
pub(super) fn insert(
    table: &mut Table,
    constraint: &Constraint,
    presence: Presence,
    dialect: Dialect,
) {
    match constraint {
        Constraint::PrimaryKey { name, columns } => {
            for column in columns {
                if let Some(column) = table.columns.get_mut(column) {
                    column.nullable = false;
                }
            }
            table.primary_key = Some(Key {
                name: name.clone(),
                columns: columns.clone(),
                presence,
            });
        }
        Constraint::Unique { name, columns, .. } if dialect == Dialect::MySql => {
            // Without a name it is called as its first column.
            let name = name.known().map(str::to_owned);
            let index = Index {
                name: name
                    .or_else(|| columns.first().cloned())
                    .map_or(Name::Unnamed, Name::Known),
                columns: columns.iter().cloned().map(Some).collect(),
                unique: true,
                presence,
            };
            put(table, index, dialect);
        }
        Constraint::Unique { name, columns, .. } => table.uniques.push(Key {
            name: name.clone(),
            columns: columns.clone(),
            presence,
        }),
        Constraint::ForeignKey {
            columns,
            references,
            ..
        } => {
            let covered = table.indexes.iter().any(|index| index.begins_with(columns))
                || table.keys().any(|key| key.columns.starts_with(columns));
            if dialect == Dialect::MySql && !covered {
                let index = Index {
                    name: references.name.clone(),
                    columns: columns.iter().cloned().map(Some).collect(),
                    unique: false,
                    presence,
                };
                put(table, index, dialect);
            }
            table.foreign_keys.push(ForeignKey {
                name: references.name.clone(),
                columns: columns.clone(),
                referent: references.table.clone(),
                referent_columns: references.columns.clone(),
                on_delete: references.on_delete.clone(),
                inline: references.inline,
                presence,
            });
        }
        Constraint::Check {
            name, condition, ..
        } => table.checks.push(Check {
            name: name.clone(),
            condition: condition.clone(),
            presence,
        }),
    }
}
