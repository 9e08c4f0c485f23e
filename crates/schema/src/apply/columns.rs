//! Columns made and changed.

use super::super::text::{mentions, renamed};
use super::super::{Column, Index, Presence};
use super::{ApplyErrorKind, Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, ColumnType, Constraint, Family, Name, Reference, TableName,
    UniqueScope,
};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn new_column(&self, column: &ColumnDefinition) -> Column {
        Column {
            name: column.name.clone(),
            kind: column.kind.clone(),
            nullable: column.nullable && !column.primary_key,
            default: column.server_default.clone(),
            origin: self.made(),
            presence: self.presence(),
            written: false,
        }
    }

    /// PostgreSQL: the enum type of a column has to be there. Only a table that Alembic makes makes it
    /// as well, unless it is told not to, and then it must not be there.
    pub(super) fn type_of_new_column(
        &mut self,
        column: &ColumnDefinition,
        with_table: bool,
    ) -> Flow {
        let Some(kind) = &column.kind else {
            return Ok(());
        };
        self.enum_of(kind, with_table && self.act.directive)
    }

    pub(super) fn enum_of(&mut self, kind: &ColumnType, makes: bool) -> Flow {
        let (Family::Enum, Some(name), Dialect::Postgres) =
            (kind.family, &kind.enum_name, self.dialect())
        else {
            return Ok(());
        };
        let key = self.model.key(name);
        let there = self.model.enums.contains_key(&key);
        let subject = Subject::Type(name.clone());
        if makes && there {
            // `create_type=False` is not told.
            let sentence = format!("type {name} already exists");
            return self.exists(subject, sentence, Presence::Uncertain);
        }
        if makes {
            self.model.enums.insert(key, kind.values.clone());
        } else if !there && !self.model.beyond(name) {
            let sentence = format!("type {name} does not exist");
            self.missing(subject, sentence, true)?;
        }
        Ok(())
    }

    pub(super) fn add_column(
        &mut self,
        name: &TableName,
        column: &ColumnDefinition,
        if_not_exists: bool,
    ) -> Flow {
        let Some(key) = self.table(name)? else {
            return Ok(());
        };
        let Some(table) = self.model.tables.get(&key) else {
            return Ok(());
        };
        if let Some(known) = self.model.column_of(table, &column.name) {
            if if_not_exists {
                return Ok(());
            }
            let presence = table.columns.get(&known).map(|column| column.presence);
            let presence = presence.unwrap_or(Presence::Certain).min(table.presence);
            let sentence = format!("column {} of table {name} already exists", column.name);
            let subject = Subject::Column(name.clone(), column.name.clone());
            self.exists(subject, sentence, presence)?;
        }
        self.type_of_new_column(column, false)?;
        let new = self.new_column(column);
        let unique = column.unique && !column.index;
        let constrained = unique || column.foreign_keys.iter().any(|key| !key.inline);
        if self.dialect() == Dialect::Sqlite && constrained && !self.act.directive && column.unique
        {
            let subject = Subject::Column(name.clone(), column.name.clone());
            let sentence = "SQLite cannot add a column that is unique".to_owned();
            self.unsupported(subject, sentence, true)?;
        }
        if let Some(table) = self.model.table_mut(&key) {
            table.columns.insert(column.name.clone(), new);
        }
        if self.dialect() == Dialect::Sqlite && constrained && self.act.directive {
            // The column is there by then.
            self.no_constraints_on_sqlite(name, &Name::Unnamed)?;
        }
        self.constrain_column(name, &key, column)
    }

    /// What a column brings along.
    pub(super) fn constrain_column(
        &mut self,
        name: &TableName,
        key: &TableName,
        column: &ColumnDefinition,
    ) -> Flow {
        let columns = vec![column.name.clone()];
        if column.unique && !column.index {
            let unique = Constraint::Unique {
                name: Name::Unnamed,
                columns: columns.clone(),
                alike: UniqueScope::default(),
            };
            self.constrain(name, key, &unique)?;
        }
        if column.index {
            let (presence, dialect) = (self.presence(), self.dialect());
            if let Some(table) = self.model.table_mut(key) {
                let index = Index {
                    // Or what a naming convention says.
                    name: Name::Unnamed,
                    columns: vec![Some(column.name.clone())],
                    unique: column.unique,
                    presence,
                };
                super::indexes::put(table, index, dialect);
            }
        }
        for reference in &column.foreign_keys {
            let foreign = Constraint::ForeignKey {
                columns: columns.clone(),
                references: reference.clone(),
                not_valid: false,
            };
            self.constrain(name, key, &foreign)?;
        }
        Ok(())
    }

    pub(super) fn alter_column(
        &mut self,
        name: &TableName,
        column: &str,
        change: &ColumnChange,
    ) -> Flow {
        let more = change.changes_type
            || change.kind.is_some()
            || change.nullable.is_some()
            || change.server_default.is_some();
        let rename = change.new_name.as_deref();
        let subject = Subject::Column(name.clone(), column.to_owned());
        if self.dialect() == Dialect::Sqlite && more {
            let sentence = format!(
                "SQLite cannot change column {column} of table {name} outside of batch mode"
            );
            return self.unsupported(subject, sentence, true);
        }
        if !more && rename.is_none() {
            return Ok(());
        }
        let typed = change.changes_type || change.kind.is_some() || change.existing_kind.is_some();
        if self.dialect() == Dialect::MySql
            && self.act.directive
            && !typed
            && (change.nullable.is_some() || rename.is_some())
        {
            // Or it is there and was not understood.
            let sentence =
                format!("MySQL needs existing_type to change column {column} of table {name}");
            self.unsupported(subject.clone(), sentence, false)?;
        }
        let Some(key) = self.table(name)? else {
            return Ok(());
        };
        let Some(known) = self.column(&key, name, column)? else {
            return Ok(());
        };
        self.type_may_change(name, &key, &known, change)?;
        let refused = self.dialect() == Dialect::Postgres || self.model.is_mysql_itself;
        // MySQL's statement names the column whole, and as nullable where nothing says otherwise.
        let perhaps_nullable = self.model.is_mysql_itself
            && self.act.directive
            && change.nullable.is_none()
            && change.existing_nullable != Some(false)
            && (rename.is_some() || change.changes_type);
        if refused && (change.nullable == Some(true) || perhaps_nullable) {
            let primary = self
                .model
                .tables
                .get(&key)
                .and_then(|table| table.primary_key.as_ref());
            let presence = primary
                .filter(|primary| primary.columns.contains(&known))
                .map(|primary| primary.presence);
            if let Some(presence) = presence {
                let sentence = format!("column {column} of table {name} is in the primary key");
                let certain = presence == Presence::Certain && !perhaps_nullable;
                self.dependents(subject.clone(), sentence, certain)?;
            }
        }
        if rename.is_some() && self.dialect() == Dialect::Sqlite {
            self.broken_views(&subject, None)?;
        }
        if let Some(new) = rename {
            self.name_is_free(name, &key, &known, new)?;
        }
        let certain = self.act.certain;
        if let Some(table) = self.model.table_mut(&key)
            && let Some(column) = table.columns.get_mut(&known)
        {
            alter(column, change, certain);
        }
        if let Some(new) = rename.filter(|new| *new != known) {
            self.rename_column(&key, &known, new);
        }
        Ok(())
    }

    fn name_is_free(&mut self, name: &TableName, key: &TableName, old: &str, new: &str) -> Flow {
        let there = self.model.tables.get(key).and_then(|table| {
            let known = self.model.column_of(table, new)?;
            // MariaDB alone takes a column's own name for a new one.
            let own = known == old && self.dialect() != Dialect::Postgres;
            (!own).then(|| table.columns.get(&known).map(|column| column.presence))?
        });
        if let Some(presence) = there {
            let sentence = format!("column {new} of table {name} already exists");
            let subject = Subject::Column(name.clone(), new.to_owned());
            self.exists(subject, sentence, presence)?;
        }
        Ok(())
    }

    /// What keeps a type from being changed, whatever the rows hold.
    fn type_may_change(
        &mut self,
        name: &TableName,
        key: &TableName,
        column: &str,
        change: &ColumnChange,
    ) -> Flow {
        let Some(kind) = &change.kind else {
            return Ok(());
        };
        let subject = Subject::Column(name.clone(), column.to_owned());
        if self.dialect() == Dialect::Postgres {
            self.enum_of(kind, false)?;
            let table = self.model.tables.get(key);
            let known = table.and_then(|table| table.columns.get(column));
            if let Some(known) = known
                && let Some(present) = &known.kind
                && !casts(present, kind)
                && (change.using.is_none() || known.default.is_some())
            {
                let (what, without) = match change.using {
                    // USING is about the values alone.
                    Some(_) => ("the default of ", ""),
                    None => ("", " without USING"),
                };
                let sentence = format!(
                    "{what}column {column} of table {name} cannot be cast to {}{without}",
                    kind.written
                );
                self.refuse(
                    FindingCode::NotCastable,
                    ApplyErrorKind::Other,
                    subject.clone(),
                    sentence,
                    true,
                )?;
            }
            self.comparable_after(&subject, key, column, kind)?;
            let mut using: Vec<(String, bool)> = self
                .model
                .views
                .iter()
                .filter_map(|(view, it)| {
                    let uses = it.uses_column(key, column);
                    let sure = uses == Some(true) && it.presence == Presence::Certain;
                    (uses != Some(false)).then(|| (view.name.clone(), sure))
                })
                .collect();
            using.sort_by_key(|(_, sure)| !sure);
            if let Some((view, sure)) = using.into_iter().next() {
                let sentence = format!("column {column} of table {name} is used by view {view}");
                self.dependents(subject, sentence, sure)?;
            }
        } else if self.dialect() == Dialect::MySql {
            let own = self.model.tables.get(key).is_some_and(|table| {
                let mut keys = table.foreign_keys.iter();
                keys.any(|key| key.columns.iter().any(|one| one == column))
            });
            let referred = self.model.referring(key).into_iter().any(|(other, at)| {
                self.model.tables.get(&other).is_some_and(|table| {
                    table.foreign_keys[at]
                        .referent_columns
                        .iter()
                        .any(|one| one == column)
                })
            });
            let indexed = self.model.tables.get(key).is_some_and(|table| {
                table.indexes.iter().any(|index| index.has(column))
                    || table
                        .keys()
                        .any(|key| key.columns.iter().any(|one| one == column))
            });
            if indexed && endless(kind) {
                let sentence = endless_sentence(name, column);
                self.dependents(subject.clone(), sentence, false)?;
            }
            if own || referred {
                // The same type written in another way is no change.
                let sentence = format!("column {column} of table {name} is used in a foreign key");
                self.dependents(subject, sentence, false)?;
            }
        }
        Ok(())
    }

    /// PostgreSQL looks again whether the two sides of a foreign key can be compared, and whether a
    /// check still means something.
    fn comparable_after(
        &mut self,
        subject: &Subject,
        key: &TableName,
        column: &str,
        kind: &ColumnType,
    ) -> Flow {
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        let mut reasons: Vec<(String, bool)> = Vec::new();
        let keys = table.foreign_keys.iter().map(|foreign| (key, foreign));
        let others = self.model.referring(key);
        let others = others.iter().filter_map(|(other, at)| {
            Some((other, &self.model.tables.get(other)?.foreign_keys[*at]))
        });
        for (owner, foreign) in keys.chain(others) {
            let referent = self.model.key(&foreign.referent);
            for (here, there) in foreign.columns.iter().zip(&foreign.referent_columns) {
                let other = if owner == key && here == column {
                    self.kind_of(&referent, there)
                } else if referent == *key && there == column {
                    self.kind_of(owner, here)
                } else {
                    continue;
                };
                if other.is_some_and(|other| !comparable(&other, kind)) {
                    let name = super::tables::foreign_key_called(foreign.name.known());
                    reasons.push((name, foreign.presence == Presence::Certain));
                }
            }
        }
        let changes = self
            .kind_of(key, column)
            .is_some_and(|present| !comparable(&present, kind));
        for check in table.checks.iter().filter(|_| changes) {
            let condition = check.condition.as_ref();
            if condition.is_some_and(|condition| mentions(condition, column)) {
                let name = check.name.known().unwrap_or("without a name");
                reasons.push((format!("check {name}"), false));
            }
        }
        for (reason, sure) in reasons {
            let sentence = format!(
                "column {} cannot become {}, because of {reason}",
                subject.object(),
                kind.written
            );
            self.dependents(subject.clone(), sentence, sure)?;
        }
        Ok(())
    }

    /// MariaDB: columns that come into an index.
    pub(super) fn may_be_indexed(
        &mut self,
        name: &TableName,
        key: &TableName,
        columns: &[String],
    ) -> Flow {
        if self.dialect() != Dialect::MySql {
            return Ok(());
        }
        for column in columns {
            if self.kind_of(key, column).is_some_and(|kind| endless(&kind)) {
                let subject = Subject::Column(name.clone(), column.clone());
                self.dependents(subject, endless_sentence(name, column), false)?;
            }
        }
        Ok(())
    }

    pub(super) fn kind_of(&self, table: &TableName, column: &str) -> Option<ColumnType> {
        let table = self.model.tables.get(table)?;
        table.columns.get(column)?.kind.clone()
    }

    /// Wherever the column is spoken of, it is spoken of by its new name.
    pub(super) fn rename_column(&mut self, key: &TableName, old: &str, new: &str) {
        let certain = self.act.certain;
        for (other, at) in self.model.referring(key) {
            if let Some(table) = self.model.table_mut(&other) {
                replace(&mut table.foreign_keys[at].referent_columns, old, new);
            }
        }
        let Some(table) = self.model.table_mut(key) else {
            return;
        };
        if let Some(column) = table.columns.get(old).cloned() {
            let mut column = Column {
                name: new.to_owned(),
                ..column
            };
            if certain {
                table.columns.remove(old);
            } else {
                column.presence = Presence::Uncertain;
                if let Some(old) = table.columns.get_mut(old) {
                    old.presence = Presence::Uncertain;
                }
            }
            table.columns.insert(new.to_owned(), column);
        }
        let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
        for key in keys {
            replace(&mut key.columns, old, new);
        }
        for key in &mut table.foreign_keys {
            replace(&mut key.columns, old, new);
        }
        for check in &mut table.checks {
            if let Some(condition) = &mut check.condition {
                *condition = renamed(condition, old, new);
            }
        }
        for column in table
            .indexes
            .iter_mut()
            .flat_map(|index| &mut index.columns)
        {
            if column.as_deref() == Some(old) {
                *column = Some(new.to_owned());
            }
        }
        if self.dialect() == Dialect::MySql {
            return;
        }
        let table = key.name.clone();
        for view in self.model.views.values_mut() {
            if mentions(&view.query, &table) && mentions(&view.query, old) {
                view.query = renamed(&view.query, old, new);
            }
            view.renamed(certain, |(of, column)| {
                let is_it = of == *key && column == old;
                let column = if is_it { new.to_owned() } else { column };
                (of, column)
            });
        }
    }
}

/// Whether MariaDB takes a type into an index by its first characters only. Where the length that is
/// to be taken is not told, that is no more than a possible failure.
fn endless(kind: &ColumnType) -> bool {
    let long = matches!(kind.family, Family::Text | Family::Binary | Family::Json);
    long && kind.length.is_none()
}

fn endless_sentence(table: &TableName, column: &str) -> String {
    format!("column {column} of table {table} cannot be in an index without a length")
}

/// What changes of a column besides its name. Uncertain changes leave what is not known behind.
pub(super) fn alter(column: &mut Column, change: &ColumnChange, certain: bool) {
    if change.changes_type || change.kind.is_some() {
        column.kind = if certain { change.kind.clone() } else { None };
    }
    if let Some(nullable) = change.nullable {
        column.nullable = nullable && certain || column.nullable && !certain;
    }
    if let Some(default) = &change.server_default {
        column.default.clone_from(default);
    }
}

fn replace(columns: &mut [String], old: &str, new: &str) {
    for column in columns.iter_mut().filter(|column| *column == old) {
        new.clone_into(column);
    }
}

/// Families whose values PostgreSQL compares with each other; `None` where that is not known.
fn class(family: Family) -> Option<u8> {
    use Family::{
        Array, BigInteger, Binary, Boolean, Date, DateTime, Enum, Float, Integer, Interval, Json,
        Jsonb, Numeric, Other, SmallInteger, String, Text, Time, Uuid,
    };
    match family {
        SmallInteger | Integer | BigInteger | Numeric | Float => Some(1),
        Boolean => Some(2),
        String | Text => Some(3),
        Binary => Some(4),
        Date | DateTime => Some(5),
        Time => Some(6),
        Interval => Some(7),
        Json | Jsonb => Some(8),
        Uuid => Some(9),
        Enum => Some(10),
        Array | Other => None,
    }
}

/// Whether two columns may be the sides of a foreign key. Where it is not known, they may.
pub(super) fn comparable(one: &ColumnType, other: &ColumnType) -> bool {
    match (class(one.family), class(other.family)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// Whether PostgreSQL casts one type to the other by itself when a column changes: by an assignment
/// cast (`pg_cast`), or because all becomes text. Where it is not known, it does.
fn casts(from: &ColumnType, to: &ColumnType) -> bool {
    match (class(from.family), class(to.family)) {
        (_, Some(3) | None) | (None, _) | (Some(6), Some(7)) | (Some(7), Some(6)) => true,
        (Some(5), Some(6)) => from.family == Family::DateTime,
        (Some(10), Some(10)) => match (&from.enum_name, &to.enum_name) {
            (Some(from), Some(to)) => from.name == to.name,
            _ => true,
        },
        (from, to) => from == to,
    }
}

/// A reference's columns, which may be left out where they are the primary key.
pub(super) fn referred_columns(reference: &Reference, primary: Option<&[String]>) -> Vec<String> {
    if reference.columns.is_empty() {
        primary.unwrap_or_default().to_vec()
    } else {
        reference.columns.clone()
    }
}
