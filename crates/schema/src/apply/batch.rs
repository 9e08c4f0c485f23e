//! Alembic's batch mode: `BatchOperationsImpl.flush` and `ApplyBatchImpl` in
//! `alembic/operations/batch.py`.
//!
//! A table that is made anew is reflected, changed in memory, made under another name, filled, and put
//! in the place of the old one. What fails in memory leaves the database as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{Index, Presence, Table};
use super::columns::alter;
use super::constraints::insert;
use super::draft::Draft;
use super::removal::remove;
use super::{ApplyErrorKind, Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, Constraint, Name, Operation, Place, TableName, UniqueScope,
};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn batch(&mut self, batch: &Operation) -> Flow {
        let Operation::Batch {
            table,
            copy_from,
            naming_convention,
            operations,
            ..
        } = batch
        else {
            return Ok(());
        };
        if !batch.copies_table(self.dialect()) {
            for (place, operation) in operations {
                self.place = place.clone();
                self.operation(operation)?;
            }
            return Ok(());
        }
        if *copy_from {
            return self.copied_from(table, operations);
        }
        self.anew(table, *naming_convention, operations)
    }

    /// What is copied is not the table that is there: the result is not known.
    fn copied_from(&mut self, table: &TableName, operations: &[(Place, Operation)]) -> Flow {
        let Some(key) = self.table(table)? else {
            return Ok(());
        };
        if let Some(known) = self.model.table_mut(&key) {
            for column in known.columns.values_mut() {
                column.presence = Presence::Uncertain;
            }
            remove(known, None, false, &|_| true);
            for index in &mut known.indexes {
                index.presence = Presence::Uncertain;
            }
            for (_, operation) in operations {
                if let Operation::DropColumn { column, .. } = operation {
                    known.columns.remove(column);
                }
            }
        }
        Ok(())
    }

    fn anew(
        &mut self,
        name: &TableName,
        convention: bool,
        operations: &[(Place, Operation)],
    ) -> Flow {
        let Some(key) = self.table(name)? else {
            return Ok(());
        };
        self.reflection(&key, &mut BTreeSet::new())?;
        let Some(table) = self.model.tables.get(&key) else {
            return Ok(());
        };
        let mut draft = Draft {
            table: Table::clone(table),
            dropped: Vec::new(),
            renamed: Vec::new(),
            new_indexes: Vec::new(),
            convention,
        };
        for (place, operation) in operations {
            self.place = place.clone();
            self.draft(name, &key, &mut draft, operation)?;
        }
        self.place = self.act.place.clone();
        if self.dialect() == Dialect::Sqlite {
            self.copied(name, &key, &mut draft)?;
        }
        if self.act.certain {
            self.model.tables.insert(key.clone(), Arc::new(draft.table));
        } else {
            self.maybe(&key, draft.table);
        }
        for (old, new) in draft.renamed {
            for (other, at) in self.model.referring(&key) {
                if let Some(table) = self.model.table_mut(&other) {
                    let columns = &mut table.foreign_keys[at].referent_columns;
                    for column in columns.iter_mut().filter(|column| **column == old) {
                        column.clone_from(&new);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reflection follows foreign keys to the tables that they point at.
    fn reflection(&mut self, key: &TableName, seen: &mut BTreeSet<TableName>) -> Flow {
        if !seen.insert(key.clone()) {
            return Ok(());
        }
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        let referents: Vec<(TableName, Presence)> = table
            .foreign_keys
            .iter()
            .map(|foreign| (self.model.key(&foreign.referent), foreign.presence))
            .collect();
        for (referent, presence) in referents {
            if self.model.tables.contains_key(&referent) {
                self.reflection(&referent, seen)?;
            } else if !self.model.beyond(&referent) {
                let sentence = format!(
                    "table {} does not exist, and a foreign key of table {} refers to it",
                    referent.name, key.name
                );
                let sure = presence == Presence::Certain;
                self.missing(Subject::Table(referent), sentence, sure)?;
            }
        }
        Ok(())
    }

    fn draft(
        &mut self,
        name: &TableName,
        key: &TableName,
        draft: &mut Draft,
        operation: &Operation,
    ) -> Flow {
        match operation {
            Operation::AddColumn { column, .. } => self.draft_column(name, draft, column),
            Operation::DropColumn { column, .. } => {
                if self.draft_has(name, draft, column)? {
                    draft.table.columns.remove(column);
                    if let Some(primary) = &mut draft.table.primary_key {
                        primary.columns.retain(|one| one != column);
                    }
                    draft.dropped.push(column.clone());
                }
                Ok(())
            }
            Operation::AlterColumn { column, change, .. } => {
                self.draft_change(name, draft, column, change)
            }
            Operation::CreateIndex {
                name: index,
                columns,
                unique,
                ..
            } => {
                draft.new_indexes.push(Index {
                    name: index.clone(),
                    columns: columns.clone(),
                    unique: *unique,
                    presence: self.presence(),
                });
                Ok(())
            }
            Operation::DropIndex { name: index, .. } => {
                let Some(index) = index.known() else {
                    return Ok(());
                };
                let named = |one: &Index| one.name.known() == Some(index);
                let there = draft.table.indexes.iter().find(|one| named(one));
                let presence = there.map(|index| index.presence);
                if presence != Some(Presence::Certain) {
                    let unnamed = draft
                        .table
                        .indexes
                        .iter()
                        .any(|one| one.name.known().is_none());
                    let subject = Subject::Index(Some(name.clone()), index.to_owned());
                    let sentence = format!("index {index} does not exist");
                    self.missing(subject, sentence, presence.is_none() && !unnamed)?;
                }
                draft.table.indexes.retain(|one| !named(one));
                Ok(())
            }
            Operation::AddConstraint { constraint, .. } => {
                self.draft_constraint(name, key, draft, constraint)
            }
            Operation::DropConstraint {
                name: constraint, ..
            } => self.draft_drop(name, draft, constraint),
            _ => Ok(()),
        }
    }

    /// Whether the copy has a column. Alembic compares names to the letter.
    fn draft_has(&mut self, name: &TableName, draft: &Draft, column: &str) -> Flow<bool> {
        let presence = draft
            .table
            .columns
            .get(column)
            .map(|column| column.presence);
        if presence != Some(Presence::Certain) {
            let subject = Subject::Column(name.clone(), column.to_owned());
            let sentence = format!("column {column} of table {name} does not exist");
            let sure = presence.is_none() && !draft.table.columns.is_empty();
            self.missing(subject, sentence, sure)?;
        }
        Ok(presence.is_some())
    }

    fn draft_column(
        &mut self,
        name: &TableName,
        draft: &mut Draft,
        column: &ColumnDefinition,
    ) -> Flow {
        if draft.table.columns.contains_key(&column.name) {
            // The last column of a table is replaced without a word, and which one that is is not told.
            let sentence = format!("column {} of table {name} already exists", column.name);
            let subject = Subject::Column(name.clone(), column.name.clone());
            self.exists(subject, sentence, Presence::Uncertain)?;
        }
        let new = self.new_column(column);
        draft.table.columns.insert(column.name.clone(), new);
        draft.dropped.retain(|dropped| *dropped != column.name);
        let columns = vec![column.name.clone()];
        if column.unique && !column.index {
            self.unnamed_in_batch(name, &Name::Unnamed)?;
            let unique = Constraint::Unique {
                name: Name::Unnamed,
                columns: columns.clone(),
                alike: UniqueScope::default(),
            };
            insert(&mut draft.table, &unique, self.presence(), self.dialect());
        }
        for reference in &column.foreign_keys {
            self.unnamed_in_batch(name, &reference.name)?;
            let foreign = self.resolved(&Constraint::ForeignKey {
                columns: columns.clone(),
                references: reference.clone(),
                not_valid: false,
            });
            insert(&mut draft.table, &foreign, self.presence(), self.dialect());
        }
        if column.index {
            draft.new_indexes.push(Index {
                name: Name::Unnamed,
                columns: vec![Some(column.name.clone())],
                unique: column.unique,
                presence: self.presence(),
            });
        }
        Ok(())
    }

    fn draft_change(
        &mut self,
        name: &TableName,
        draft: &mut Draft,
        column: &str,
        change: &ColumnChange,
    ) -> Flow {
        if !self.draft_has(name, draft, column)? {
            return Ok(());
        }
        let certain = self.act.certain;
        if let Some(known) = draft.table.columns.get_mut(column) {
            alter(known, change, certain);
        }
        if let Some(new) = change.new_name.as_deref().filter(|new| *new != column) {
            if let Some(other) = draft.table.columns.get(new) {
                let sentence = format!("column {new} of table {name} already exists");
                let subject = Subject::Column(name.clone(), new.to_owned());
                let presence = other.presence;
                self.exists(subject, sentence, presence)?;
            }
            draft.rename(column, new);
        }
        Ok(())
    }

    fn draft_constraint(
        &mut self,
        name: &TableName,
        key: &TableName,
        draft: &mut Draft,
        constraint: &Constraint,
    ) -> Flow {
        self.unnamed_in_batch(name, constraint.name())?;
        if let Some(known) = constraint.name().known() {
            // One of the same name is replaced.
            remove(&mut draft.table, None, true, &|one| {
                one.known() == Some(known)
            });
        }
        let columns: &[String] = match constraint {
            Constraint::PrimaryKey { columns, .. }
            | Constraint::Unique { columns, .. }
            | Constraint::ForeignKey { columns, .. } => columns,
            Constraint::Check { .. } => &[],
        };
        // Left out without a word where one of its columns is not there.
        if columns
            .iter()
            .all(|column| draft.table.columns.contains_key(column))
        {
            let mut constraint = self.resolved(constraint);
            if let Constraint::ForeignKey { references, .. } = &mut constraint
                && references.table == *name
            {
                references.table = key.clone();
            }
            insert(
                &mut draft.table,
                &constraint,
                self.presence(),
                self.dialect(),
            );
        }
        Ok(())
    }

    /// Alembic asks for a name, which a naming convention of the project may give.
    fn unnamed_in_batch(&mut self, table: &TableName, name: &Name) -> Flow {
        if *name == Name::Unnamed {
            let sentence = format!("a constraint of table {table} needs a name in batch mode");
            let subject = Subject::Table(table.clone());
            self.refuse(
                FindingCode::NotSupported,
                ApplyErrorKind::Other,
                subject,
                sentence,
                false,
            )?;
        }
        Ok(())
    }

    fn draft_drop(&mut self, name: &TableName, draft: &mut Draft, constraint: &Name) -> Flow {
        let Some(wanted) = constraint.known() else {
            self.unnamed_in_batch(name, constraint)?;
            remove(&mut draft.table, None, false, &|_| true);
            return Ok(());
        };
        let found = draft.presence(&|one| one.known() == Some(wanted));
        if found != Some(Presence::Certain) {
            // One whose name is not known, or that a convention names.
            let others = draft.presence(&|one| match one {
                Name::Known(_) => false,
                Name::Unknown => true,
                Name::Unnamed => draft.convention,
            });
            let sure = found.is_none() && others.is_none();
            let subject = Subject::Constraint(name.clone(), wanted.to_owned());
            let word = if sure { "does not" } else { "may not" };
            let sentence = format!("constraint {wanted} of table {name} {word} exist");
            self.missing(subject, sentence, sure)?;
            if found.is_none() {
                let convention = draft.convention;
                remove(&mut draft.table, None, false, &|one| match one {
                    Name::Known(_) => false,
                    Name::Unknown => true,
                    Name::Unnamed => convention,
                });
            }
        }
        remove(&mut draft.table, None, self.act.certain, &|one| {
            one.known() == Some(wanted)
        });
        Ok(())
    }
}
