//! What the plan of a step announced: by the statements that were understood, and by what could not be.

use std::collections::{BTreeMap, BTreeSet};

use super::TableIdentity;
use crate::checks::not_validated;
use crate::dialect::Dialect;
use crate::operation::{Operation, RowChange, TableName};

/// What the part of a step that could not be followed may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfollowed {
    /// All of it was followed.
    #[default]
    Nothing,
    /// It may change rows of any table.
    Rows,
    /// It may do anything.
    Anything,
}

/// What a plan announced of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// The schema of names without one; `None` if that is not known, or the server has no schemas.
    default_schema: Option<String>,
    /// Whether names that differ in case only are two names.
    case_sensitive: bool,
    /// What could not be followed, and was shown as `unknown-code`.
    unfollowed: Unfollowed,
    /// Whether it says that rows go, and not of which table.
    deletes_anywhere: bool,
    tables: BTreeMap<TableName, Expected>,
    /// The names of all objects that statements change, make or drop, tables included.
    objects: BTreeSet<String>,
    /// Whether a finding says that a table goes with what it holds, or the step copies rows, so that they may stay.
    shows_lost_tables: bool,
    /// The faults of constraints that are made `NOT VALID`.
    not_validated: BTreeSet<String>,
    /// Where a renamed table comes from: by its new name.
    origins: BTreeMap<TableName, TableName>,
    /// The same of columns: by the original table and the new name.
    column_origins: BTreeMap<(TableName, String), String>,
}

/// What may happen to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may hold with each of the others"
)]
pub(super) struct Expected {
    /// It may go.
    pub(super) dropped: bool,
    /// It may be copied to a new table of its name (batch mode).
    pub(super) recreated: bool,
    /// It may get another name.
    pub(super) renamed: bool,
    /// Rows may go.
    pub(super) deletes: bool,
    /// Columns that may go, by their first names.
    pub(super) dropped_columns: BTreeSet<String>,
    /// Columns that may get another type or, seen by name only, another name.
    pub(super) changed_columns: BTreeSet<String>,
}

impl Announced {
    /// Nothing yet. `default_schema` is the schema of names without one, on a server that has schemas.
    pub fn new(default_schema: Option<String>, dialect: Option<Dialect>) -> Self {
        Self {
            default_schema,
            case_sensitive: dialect == Some(Dialect::Postgres),
            shows_lost_tables: true,
            ..Self::default()
        }
    }

    /// A plan that says nothing of what it does, such as one whose version files are not at hand.
    pub fn anything() -> Self {
        Self {
            unfollowed: Unfollowed::Anything,
            ..Self::default()
        }
    }

    /// Whether a finding says that a table goes with what it holds.
    pub fn set_shows_lost_tables(&mut self, shows: bool) {
        self.shows_lost_tables = shows;
    }

    /// What could not be followed may do at least this.
    pub fn may_do(&mut self, unfollowed: Unfollowed) {
        self.unfollowed = self.unfollowed.max(unfollowed);
    }

    /// The faults that the plan announces: constraints that look at no row that is there.
    pub fn not_validated(&self) -> &BTreeSet<String> {
        &self.not_validated
    }

    /// What could not be followed.
    pub fn unfollowed(&self) -> Unfollowed {
        self.unfollowed
    }

    /// Whether the plan says that rows go from a table that it cannot name.
    pub fn deletes_anywhere(&self) -> bool {
        self.deletes_anywhere
    }

    /// Tables that the plan renames: the first name and the last. For servers on which a table is known by nothing
    /// else.
    pub fn renames(&self) -> impl Iterator<Item = (&TableName, &TableName)> {
        self.origins.iter().map(|(now, before)| (before, now))
    }

    /// Adds what one operation announces.
    pub fn add(&mut self, operation: &Operation, dialect: Option<Dialect>) {
        match operation {
            Operation::DropTable { table, .. } => self.table(table).dropped = true,
            Operation::RenameTable { table, to } => self.rename(table, to),
            Operation::DropColumn { table, column, .. } => {
                let column = self.first_name(table, column);
                self.table(table).dropped_columns.insert(column);
            }
            Operation::AlterColumn {
                table,
                column,
                change,
            } => {
                let first = self.first_name(table, column);
                if change.changes_type || change.new_name.is_some() {
                    self.table(table).changed_columns.insert(first.clone());
                }
                if let Some(to) = &change.new_name {
                    let key = (self.origin(table), to.clone());
                    self.column_origins.insert(key, first);
                }
                self.table(table);
            }
            Operation::Batch {
                table, operations, ..
            } => {
                self.table(table);
                for (_, operation) in operations {
                    self.add(operation, dialect);
                }
                if dialect.is_none_or(|dialect| operation.copies_table(dialect)) {
                    self.table(table).recreated = true;
                }
            }
            Operation::ChangeRows {
                change,
                table: Some(table),
                ..
            } => {
                let table = self.table(table);
                table.deletes |= matches!(change, RowChange::Delete | RowChange::Some);
            }
            Operation::ChangeRows {
                change,
                table: None,
                ..
            } if *change != RowChange::Insert => {
                self.may_do(Unfollowed::Rows);
                self.deletes_anywhere |= *change == RowChange::Delete;
            }
            // The forecast shows it as unknown code.
            Operation::Sql { .. } => self.may_do(Unfollowed::Anything),
            Operation::AddConstraint { table, constraint } => {
                self.table(table);
                if let (true, Some(name)) = (constraint.is_not_valid(), constraint.name().known()) {
                    let table = self.complete(table);
                    self.not_validated
                        .insert(not_validated(&format!("{name} of {table}")));
                }
            }
            Operation::AddColumn { table, .. } => {
                self.table(table);
            }
            Operation::CopyRows { to: table, .. } => {
                self.shows_lost_tables = true;
                self.table(table);
            }
            Operation::CreateIndex { name, table, .. }
            | Operation::DropConstraint { table, name, .. } => {
                self.table(table);
                self.objects.extend(name.known().map(str::to_owned));
            }
            Operation::DropIndex { name, .. } => {
                self.objects.extend(name.known().map(str::to_owned));
            }
            Operation::CreateTableAs { table, .. } => {
                self.shows_lost_tables = true;
                self.objects.insert(table.name.clone());
            }
            Operation::RenameIndex { name, .. }
            | Operation::CreateTable { table: name, .. }
            | Operation::CreateEnum { name, .. }
            | Operation::DropType { name, .. }
            | Operation::AddEnumValue { name, .. }
            | Operation::RenameType { name, .. }
            | Operation::CreateView { name, .. }
            | Operation::DropView { name, .. } => {
                self.objects.insert(name.name.clone());
            }
            Operation::CreateObject { object, .. } | Operation::DropObject { object } => {
                self.objects.insert(object.name.name.clone());
            }
            Operation::ChangeRights { table, .. } => {
                self.objects
                    .extend(table.iter().map(|table| table.name.clone()));
            }
            // New rows take nothing away, wherever they go.
            Operation::ChangeRows { .. } | Operation::ReadRows { .. } => {}
        }
    }

    fn rename(&mut self, table: &TableName, to: &str) {
        let first = self.origin(table);
        self.table(table).renamed = true;
        self.objects.insert(to.to_owned());
        let now = TableName {
            schema: table.schema.clone(),
            name: to.to_owned(),
        };
        self.origins.insert(self.complete(&now), first);
    }

    /// The entry of a table, under its first name.
    fn table(&mut self, name: &TableName) -> &mut Expected {
        self.objects.insert(name.name.clone());
        let first = self.origin(name);
        self.objects.insert(first.name.clone());
        self.tables.entry(first).or_default()
    }

    fn complete(&self, name: &TableName) -> TableName {
        TableName {
            schema: name.schema.clone().or_else(|| self.default_schema.clone()),
            name: name.name.clone(),
        }
    }

    fn origin(&self, name: &TableName) -> TableName {
        let known = self.origins.get(&self.complete(name));
        known.unwrap_or(name).clone()
    }

    fn first_name(&self, table: &TableName, column: &str) -> String {
        let key = (self.origin(table), column.to_owned());
        let known = self.column_origins.get(&key).cloned();
        known.unwrap_or_else(|| column.to_owned())
    }

    fn is_same(&self, one: &str, other: &str) -> bool {
        one == other || !self.case_sensitive && one.eq_ignore_ascii_case(other)
    }

    fn means(&self, name: &TableName, table: &TableIdentity) -> bool {
        let in_schema = match (&name.schema, &table.schema) {
            (Some(one), Some(other)) => self.is_same(one, other),
            (None, schema) => {
                table.unqualified || schema.is_some() && *schema == self.default_schema
            }
            (Some(_), None) => true,
        };
        in_schema && self.is_same(&name.name, &table.name)
    }

    /// What is announced of a table, under any of its names.
    fn expected(&self, table: &TableIdentity) -> impl Iterator<Item = &Expected> {
        let names = std::iter::once(table).chain(&table.related);
        let names: Vec<&TableIdentity> = names.collect();
        let tables = self.tables.iter();
        tables
            .filter(move |(name, _)| names.iter().any(|table| self.means(name, table)))
            .map(|(_, expected)| expected)
    }

    /// Whether the table is one that the plan changes in any way.
    pub(super) fn names(&self, table: &TableIdentity) -> bool {
        self.expected(table).next().is_some()
    }

    pub(super) fn may(&self, table: &TableIdentity, allows: impl Fn(&Expected) -> bool) -> bool {
        self.expected(table).any(allows)
    }

    /// Whether the plan showed that tables go with what they hold.
    pub(super) fn shows_lost_tables(&self) -> bool {
        self.shows_lost_tables
    }

    pub(super) fn is_in(&self, columns: &BTreeSet<String>, column: &str) -> bool {
        columns.iter().any(|one| self.is_same(one, column))
    }

    /// Whether an object is one that a statement of the plan changes, makes or drops.
    pub(super) fn names_object(&self, name: &str) -> bool {
        self.objects.iter().any(|one| self.is_same(one, name))
    }
}
