//! Columns and constraints that go.

use super::super::text::{mentions, reads};
use super::super::{Column, Presence, Release, Table};
use super::removal::{checked, only_column, present, remove, same, take_default, without_column};
use super::{ApplyErrorKind, Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{ConstraintKind, Name, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn drop_column(
        &mut self,
        name: &TableName,
        column: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Flow {
        let Some(key) = self.table(name)? else {
            return Ok(());
        };
        let Some(table) = self.model.tables.get(&key) else {
            return Ok(());
        };
        if if_exists && self.model.column_of(table, column).is_none() {
            return Ok(());
        }
        let known = if if_exists {
            self.model.column_of(table, column)
        } else {
            self.column(&key, name, column)?
        };
        let Some(known) = known else {
            return Ok(());
        };
        let subject = Subject::Column(name.clone(), column.to_owned());
        match self.dialect() {
            Dialect::Postgres => {
                self.keys_referred_to(&subject, &key, cascade, |columns| columns.contains(&known))?;
                self.views_in_the_way(&subject, &key, Some(&known), cascade)?;
            }
            Dialect::MySql => self.mysql_column_goes(&subject, &key, &known)?,
            Dialect::Sqlite => {
                if let Some(old) = self.model.library
                    && old < Release::DROPS_COLUMNS
                {
                    let sentence = format!(
                        "the engine's SQLite is {old}, which has no DROP COLUMN (since {}): drop {column} of table \
                         {name} in a batch operation",
                        Release::DROPS_COLUMNS
                    );
                    return self.unsupported(subject, sentence, true);
                }
                self.sqlite_column_goes(&subject, &key, &known)?;
            }
        }
        let certain = self.act.certain;
        let keeps_parts = self.dialect() == Dialect::MySql;
        if let Some(table) = self.model.table_mut(&key) {
            without_column(table, &known, certain, keeps_parts);
        }
        Ok(())
    }

    fn mysql_column_goes(&mut self, subject: &Subject, key: &TableName, column: &str) -> Flow {
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        let mut reasons: Vec<(String, bool)> = Vec::new();
        let has = |columns: &[String]| columns.iter().any(|one| one == column);
        for foreign in table
            .foreign_keys
            .iter()
            .filter(|foreign| has(&foreign.columns))
        {
            let called = foreign.name.known().unwrap_or("without a name");
            let sure = foreign.presence == Presence::Certain;
            reasons.push((format!("is needed by foreign key {called}"), sure));
        }
        for (other, at) in self.model.referring(key) {
            let foreign = self
                .model
                .tables
                .get(&other)
                .map(|table| &table.foreign_keys[at]);
            if let Some(foreign) = foreign.filter(|foreign| has(&foreign.referent_columns)) {
                let called = foreign.name.known().unwrap_or("without a name");
                let sure = foreign.presence == Presence::Certain;
                reasons.push((
                    format!("is needed by foreign key {called} of table {}", other.name),
                    sure,
                ));
            }
        }
        // MariaDB refuses, MySQL makes the key shorter.
        let unique = table
            .indexes
            .iter()
            .any(|index| index.unique && index.columns.len() > 1 && index.has(column));
        let primary = table
            .primary_key
            .as_ref()
            .is_some_and(|key| key.columns.len() > 1 && has(&key.columns));
        if unique || primary {
            reasons.push(("is part of a unique key".to_owned(), false));
        }
        // That of the column itself goes with it, and which is which is not told.
        if checked(table, column) {
            reasons.push(("is used by a check".to_owned(), false));
        }
        if only_column(table) {
            reasons.push(("is the only column".to_owned(), true));
        }
        self.reasons(subject, reasons)
    }

    fn sqlite_column_goes(&mut self, subject: &Subject, key: &TableName, column: &str) -> Flow {
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        let has = |columns: &[String]| columns.iter().any(|one| one == column);
        let mut reasons: Vec<(String, bool)> = Vec::new();
        let sure = |presence: Presence| presence == Presence::Certain;
        if let Some(primary) = table.primary_key.as_ref().filter(|key| has(&key.columns)) {
            reasons.push(("is in the primary key".to_owned(), sure(primary.presence)));
        }
        if let Some(unique) = table.uniques.iter().find(|key| has(&key.columns)) {
            reasons.push(("is in a unique key".to_owned(), sure(unique.presence)));
        }
        let mut foreign = table.foreign_keys.iter();
        // One that is written in the column itself goes with it.
        if let Some(foreign) = foreign.find(|key| !key.inline && has(&key.columns)) {
            reasons.push(("is in a foreign key".to_owned(), sure(foreign.presence)));
        }
        if let Some(index) = table.indexes.iter().find(|index| index.has(column)) {
            let called = index.name.known().unwrap_or("without a name");
            reasons.push((format!("is in index {called}"), sure(index.presence)));
        }
        // A check of the column itself goes with it, and that is not told apart.
        if checked(table, column) {
            reasons.push(("is used by a check".to_owned(), false));
        }
        if only_column(table) {
            reasons.push(("is the only column".to_owned(), true));
        }
        let views = self
            .model
            .views
            .iter()
            .filter(|(_, view)| reads(&view.query, &key.name) && mentions(&view.query, column));
        reasons.extend(views.map(|(view, _)| (format!("is used by view {}", view.name), false)));
        self.reasons(subject, reasons)?;
        self.broken_views(subject, None)
    }

    /// The certain ones first, for one of them is enough.
    fn reasons(&mut self, subject: &Subject, mut reasons: Vec<(String, bool)>) -> Flow {
        reasons.sort_by_key(|(_, sure)| !sure);
        for (reason, sure) in reasons {
            let sentence = format!("column {} cannot be dropped: it {reason}", subject.object());
            self.dependents(subject.clone(), sentence, sure)?;
        }
        Ok(())
    }

    /// PostgreSQL: foreign keys that rest on a key that goes.
    fn keys_referred_to(
        &mut self,
        subject: &Subject,
        key: &TableName,
        cascade: bool,
        goes: impl Fn(&[String]) -> bool,
    ) -> Flow {
        let mut resting = Vec::new();
        for (other, at) in self.model.referring(key) {
            let table = self.model.tables.get(&other);
            let Some(foreign) = table.map(|table| table.foreign_keys[at].clone()) else {
                continue;
            };
            // A key of its own on the column goes with it.
            let own = other == *key
                && matches!(subject, Subject::Column(_, column) if foreign.columns.contains(column));
            if goes(&foreign.referent_columns) && !own {
                resting.push((other, foreign));
            }
        }
        let certain = self.act.certain;
        for (other, foreign) in resting {
            if cascade {
                if let Some(table) = self.model.table_mut(&other) {
                    Self::take(certain, &mut table.foreign_keys, |one| *one == foreign);
                }
                continue;
            }
            let sentence = format!(
                "{} is needed by {} of table {}",
                subject.object(),
                super::tables::foreign_key_called(foreign.name.known()),
                other.name
            );
            let sure = foreign.presence == Presence::Certain;
            self.dependents(subject.clone(), sentence, sure)?;
        }
        Ok(())
    }

    pub(super) fn drop_constraint(
        &mut self,
        table: &TableName,
        name: &Name,
        kind: Option<ConstraintKind>,
        if_exists: bool,
        cascade: bool,
    ) -> Flow {
        if self.dialect() == Dialect::Sqlite {
            return self.no_constraints_on_sqlite(table, name);
        }
        if self.dialect() == Dialect::MySql && kind.is_none() && self.act.directive {
            let sentence = format!("MySQL needs type_ to drop a constraint of table {table}");
            let subject = match name.known() {
                Some(name) => Subject::Constraint(table.clone(), name.to_owned()),
                None => Subject::Table(table.clone()),
            };
            self.refuse(
                FindingCode::NotSupported,
                ApplyErrorKind::Other,
                subject,
                sentence,
                true,
            )?;
        }
        let name = match name {
            Name::Known(name) => name,
            Name::Unknown => {
                if let Some(key) = self.table(table)?
                    && let Some(table) = self.model.table_mut(&key)
                {
                    remove(table, kind, false, &|_| true);
                }
                return Ok(());
            }
            Name::Unnamed => {
                let sentence =
                    format!("a constraint of table {table} cannot be dropped without its name");
                return self.unsupported(Subject::Table(table.clone()), sentence, true);
            }
        };
        let Some(key) = self.table(table)? else {
            return Ok(());
        };
        let Some(known) = self.model.tables.get(&key).cloned() else {
            return Ok(());
        };
        let subject = Subject::Constraint(table.clone(), name.clone());
        // PostgreSQL does not care what a migration takes it for.
        let kind = kind.filter(|_| self.dialect() == Dialect::MySql);
        let called = |one: &Name| one.known() == Some(name);
        let mysql_primary = kind == Some(ConstraintKind::PrimaryKey);
        let matches = |one: &Name| called(one) || mysql_primary;
        let Some(presence) = present(&known, kind, &matches) else {
            if if_exists {
                return Ok(());
            }
            return self.no_constraint(&key, name, kind, subject);
        };
        if presence.min(known.presence) == Presence::Uncertain && !if_exists {
            let sentence = format!("constraint {name} of table {table} may not exist");
            self.missing(subject.clone(), sentence, false)?;
        }
        let columns: Vec<Vec<String>> = known
            .keys()
            .filter(|key| matches(&key.name))
            .map(|key| key.columns.clone())
            .collect();
        if self.dialect() == Dialect::Postgres {
            let others: Vec<Vec<String>> = known
                .keys()
                .filter(|key| !called(&key.name))
                .map(|key| key.columns.clone())
                .collect();
            self.keys_referred_to(&subject, &key, cascade, |referred| {
                columns.iter().any(|one| same(one, referred))
                    && !others.iter().any(|one| same(one, referred))
            })?;
        } else {
            let at = known.indexes.iter().position(|index| called(&index.name));
            let indexed = !matches!(
                kind,
                Some(ConstraintKind::ForeignKey | ConstraintKind::Check)
            );
            if let Some(at) = at.filter(|_| indexed) {
                self.needed_by_foreign_key(&key, at, &subject)?;
            }
            for columns in &columns {
                self.primary_key_needed(&subject, &key, columns)?;
                self.counts_without_key(&subject, &known, name, columns)?;
            }
        }
        let certain = self.act.certain;
        // Else the table would be copied to be changed.
        drop(known);
        if let Some(table) = self.model.table_mut(&key) {
            remove(table, kind, certain, &matches);
        }
        Ok(())
    }

    /// MySQL: a column with `AUTO_INCREMENT` has to be the first of a key. A statement may give it another one at once.
    fn counts_without_key(
        &mut self,
        subject: &Subject,
        table: &Table,
        dropped: &str,
        columns: &[String],
    ) -> Flow {
        let Some(first) = columns.first() else {
            return Ok(());
        };
        let counts = |column: &Column| {
            let default = column.default.as_deref().unwrap_or_default();
            default.eq_ignore_ascii_case("auto_increment")
        };
        let replaced = table.indexes.iter().any(|index| {
            index.name.known() != Some(dropped)
                && index
                    .columns
                    .first()
                    .is_some_and(|one| one.as_ref() == Some(first))
        });
        if table.columns.get(first).is_some_and(counts) && !replaced {
            let sentence = format!(
                "{} cannot be dropped: column {first} has AUTO_INCREMENT and no other key",
                subject.object()
            );
            self.dependents(subject.clone(), sentence, self.act.directive)?;
        }
        Ok(())
    }

    /// MariaDB: other tables point at the primary key and no index takes its place.
    fn primary_key_needed(
        &mut self,
        subject: &Subject,
        key: &TableName,
        columns: &[String],
    ) -> Flow {
        let Some(table) = self.model.tables.get(key) else {
            return Ok(());
        };
        let needed = self
            .model
            .referring(key)
            .into_iter()
            .find_map(|(other, at)| {
                let foreign = &self.model.tables.get(&other)?.foreign_keys[at];
                let replaced = table
                    .indexes
                    .iter()
                    .any(|index| index.begins_with(&foreign.referent_columns));
                (columns.starts_with(&foreign.referent_columns) && !replaced)
                    .then(|| (other.name.clone(), foreign.presence))
            });
        if let Some((other, presence)) = needed {
            let sentence = format!("{} is needed by table {other}", subject.object());
            self.dependents(subject.clone(), sentence, presence == Presence::Certain)?;
        }
        Ok(())
    }

    /// The name is not there. A constraint that the server or a naming convention has named may be meant.
    fn no_constraint(
        &mut self,
        key: &TableName,
        name: &str,
        kind: Option<ConstraintKind>,
        subject: Subject,
    ) -> Flow {
        let dialect = self.dialect();
        let certain = self.act.certain;
        let Some(table) = self.model.table_mut(key) else {
            return Ok(());
        };
        let unnamed = |one: &Name| one.known().is_none();
        let candidates = present(table, kind, &unnamed).is_some();
        // Since PostgreSQL 18 NOT NULL is a constraint with a name, which is not told.
        let not_null = dialect == Dialect::Postgres && name.ends_with("_not_null");
        let sure = !candidates && !not_null && table.presence == Presence::Certain;
        if candidates {
            if certain && take_default(&key.name, table, name) {
                // It is what PostgreSQL calls it, unless a convention called it something else.
                return Ok(());
            }
            remove(table, kind, false, &unnamed);
        }
        let word = if sure { "does not" } else { "may not" };
        let sentence = format!("constraint {name} of table {} {word} exist", key.name);
        self.missing(subject, sentence, sure)
    }
}
