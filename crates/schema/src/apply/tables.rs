//! Tables and rows.

use std::sync::Arc;

use super::super::text::{mentions, reads, renamed, sources};
use super::super::{Column, Presence, Table};
use super::{Applying, Flow};
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{ColumnDefinition, Constraint, TableName};
use rollback_core::subject::Subject;

impl Applying<'_> {
    pub(super) fn create_table(
        &mut self,
        name: &TableName,
        columns: &[ColumnDefinition],
        constraints: &[Constraint],
        if_not_exists: bool,
    ) -> Flow {
        let key = self.model.key(name);
        let there = if self.dialect() == Dialect::Postgres {
            self.model.relation(&key)
        } else {
            let table = self.model.tables.get(&key).map(|table| table.presence);
            table.or_else(|| self.model.views.get(&key).map(|view| view.presence))
        };
        if let Some(presence) = there {
            if if_not_exists {
                if let Some(table) = self.model.table_mut(&key)
                    && self.act.certain
                {
                    table.presence = Presence::Certain;
                }
                return Ok(());
            }
            let sentence = format!("table {name} already exists");
            self.exists(Subject::Table(name.clone()), sentence, presence)?;
        }
        // The keys of the table itself are there before what points at it is looked at.
        let mut table = Table::empty(self.made(), self.presence());
        for column in columns {
            table
                .columns
                .insert(column.name.clone(), self.new_column(column));
        }
        let before = self.model.tables.insert(key.clone(), Arc::new(table));
        let outcome = self.fill(name, &key, columns, constraints);
        if outcome.is_err() {
            match before {
                Some(before) => self.model.tables.insert(key, before),
                None => self.model.tables.remove(&key),
            };
        }
        outcome
    }

    /// A table from a query. Where its columns are not known, neither is the schema any more.
    pub(super) fn create_table_as(
        &mut self,
        name: &TableName,
        source: Option<&TableName>,
        columns: Option<&[(String, String)]>,
        if_not_exists: bool,
    ) -> Flow {
        let there = self.model.tables.contains_key(&self.model.key(name));
        let mut copied = None;
        if let Some(source) = source {
            let key = self.model.key(source);
            let names: Vec<String> = columns
                .into_iter()
                .flatten()
                .map(|(from, _)| from.clone())
                .collect();
            self.rows(Some(source), &names)?;
            copied = self.model.tables.get(&key).and_then(|table| {
                let column = |from: &str, to: &str| {
                    let column = table.columns.get(from)?;
                    Some(Column {
                        name: to.to_owned(),
                        nullable: true,
                        default: None,
                        origin: self.made(),
                        ..column.clone()
                    })
                };
                match columns {
                    Some(columns) => columns.iter().map(|(from, to)| column(from, to)).collect(),
                    None => table
                        .columns
                        .keys()
                        .map(|name| column(name, name))
                        .collect(),
                }
            });
        }
        self.create_table(name, &[], &[], if_not_exists)?;
        if there && if_not_exists {
            return Ok(());
        }
        let copied: Option<Vec<Column>> =
            copied.filter(|columns: &Vec<Column>| !columns.is_empty());
        if copied.is_none() {
            self.model.doubtful = true;
        }
        let key = self.model.key(name);
        if let Some(table) = self.model.table_mut(&key) {
            let columns = copied.into_iter().flatten();
            table
                .columns
                .extend(columns.map(|column| (column.name.clone(), column)));
            table.inserted = true;
        }
        Ok(())
    }

    fn fill(
        &mut self,
        name: &TableName,
        key: &TableName,
        columns: &[ColumnDefinition],
        constraints: &[Constraint],
    ) -> Flow {
        for column in columns {
            self.type_of_new_column(column, true)?;
        }
        let primary: Vec<String> = columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.clone())
            .collect();
        let said = constraints
            .iter()
            .any(|constraint| matches!(constraint, Constraint::PrimaryKey { .. }));
        if !primary.is_empty() && !said {
            let constraint = Constraint::PrimaryKey {
                name: rollback_core::operation::Name::Unnamed,
                columns: primary,
            };
            self.constrain(name, key, &constraint)?;
        }
        let keys_first =
            |constraint: &&Constraint| !matches!(constraint, Constraint::ForeignKey { .. });
        for constraint in constraints.iter().filter(keys_first) {
            self.constrain(name, key, constraint)?;
        }
        for column in columns {
            self.constrain_column(name, key, column)?;
        }
        for constraint in constraints.iter().filter(|one| !keys_first(one)) {
            self.constrain(name, key, constraint)?;
        }
        Ok(())
    }

    pub(super) fn drop_table(&mut self, name: &TableName, if_exists: bool, cascade: bool) -> Flow {
        let key = self.model.key(name);
        if if_exists && !self.model.tables.contains_key(&key) {
            return Ok(());
        }
        let subject = Subject::Table(name.clone());
        if !self.model.tables.contains_key(&key) && self.model.views.contains_key(&key) {
            let sentence = format!("{name} is a view and no table");
            return self.refuse(
                FindingCode::ObjectMissing,
                super::ApplyErrorKind::Other,
                subject,
                sentence,
                true,
            );
        }
        let certain_table = self
            .model
            .tables
            .get(&key)
            .is_some_and(|table| table.presence == Presence::Certain);
        if !if_exists && self.table(name)?.is_none() {
            return Ok(());
        }
        for (other, at) in self.model.referring(&key) {
            if other == key {
                continue;
            }
            let Some(foreign) = self.model.tables.get(&other).map(|table| {
                let key = &table.foreign_keys[at];
                (key.name.clone(), key.presence.min(table.presence))
            }) else {
                continue;
            };
            if self.dialect() == Dialect::Sqlite || cascade && self.dialect() == Dialect::Postgres {
                continue;
            }
            let sentence = format!(
                "table {name} cannot be dropped, because {} of table {} refers to it",
                foreign_key_called(foreign.0.known()),
                other.name
            );
            let sure = foreign.1 == Presence::Certain && certain_table;
            self.dependents(subject.clone(), sentence, sure)?;
        }
        if self.dialect() == Dialect::Postgres {
            self.views_in_the_way(&subject, &key, None, cascade)?;
            let certain = self.act.certain;
            for (other, _) in self.model.referring(&key) {
                let referent = key.clone();
                if let Some(table) = self.model.table_mut(&other) {
                    Self::take(certain, &mut table.foreign_keys, |one| {
                        one.referent == referent
                    });
                }
            }
        }
        if self.act.certain {
            self.model.tables.remove(&key);
        } else if let Some(table) = self.model.table_mut(&key) {
            table.presence = Presence::Uncertain;
        }
        Ok(())
    }

    /// PostgreSQL: views that use a table or a column keep it from going.
    pub(super) fn views_in_the_way(
        &mut self,
        subject: &Subject,
        table: &TableName,
        column: Option<&str>,
        cascade: bool,
    ) -> Flow {
        let using: Vec<(TableName, Presence)> = self
            .model
            .views
            .iter()
            .filter_map(|(name, view)| {
                let sure = match column {
                    Some(column) => match view.uses_column(table, column) {
                        Some(false) => return None,
                        Some(true) => true,
                        None => false,
                    },
                    None if !mentions(&view.query, &table.name) => return None,
                    // The same name in another schema may be meant.
                    None => reads(&view.query, &table.name) && name.schema == table.schema,
                };
                let presence = if sure {
                    view.presence
                } else {
                    Presence::Uncertain
                };
                Some((name.clone(), presence))
            })
            .collect();
        for (view, presence) in using {
            if cascade {
                if let Some(view) = self.model.views.get_mut(&view) {
                    view.presence = Presence::Uncertain;
                }
                continue;
            }
            let what = subject.object();
            let sentence = format!("{what} is used by view {}", view.name);
            self.dependents(subject.clone(), sentence, presence == Presence::Certain)?;
        }
        Ok(())
    }

    pub(super) fn rename_table(&mut self, name: &TableName, to: &str) -> Flow {
        let target = TableName {
            schema: name.schema.clone(),
            name: to.to_owned(),
        };
        let Some(key) = self.table(name)? else {
            return Ok(());
        };
        let target_key = TableName {
            schema: key.schema.clone(),
            name: to.to_owned(),
        };
        let there = if self.dialect() == Dialect::Postgres {
            self.model.relation(&target_key)
        } else {
            let found = self.model.tables.get(&self.model.key(&target));
            // MariaDB alone takes a table's own name for a new one.
            let own = self.dialect() == Dialect::MySql && target_key == key;
            found.filter(|_| !own).map(|table| table.presence)
        };
        if let Some(presence) = there {
            let sentence = format!("table {target} already exists");
            self.exists(Subject::Table(target), sentence, presence)?;
        }
        if self.dialect() == Dialect::Sqlite {
            self.broken_views(&Subject::Table(name.clone()), None)?;
        }
        if target_key == key {
            return Ok(());
        }
        for (other, at) in self.model.referring(&key) {
            if let Some(table) = self.model.table_mut(&other) {
                table.foreign_keys[at].referent = target_key.clone();
            }
        }
        if self.dialect() != Dialect::MySql {
            for view in self.model.views.values_mut() {
                if mentions(&view.query, &key.name) {
                    view.query = renamed(&view.query, &key.name, to);
                }
            }
        }
        let certain = self.act.certain;
        for view in self.model.views.values_mut() {
            view.renamed(certain, |(table, column)| {
                let table = if table == key {
                    target_key.clone()
                } else {
                    table
                };
                (table, column)
            });
        }
        let Some(table) = self.model.tables.get(&key).cloned() else {
            return Ok(());
        };
        let mut renamed = table.clone();
        Arc::make_mut(&mut renamed).presence = if certain {
            table.presence
        } else {
            Presence::Uncertain
        };
        if certain {
            self.model.tables.remove(&key);
        } else if let Some(old) = self.model.table_mut(&key) {
            old.presence = Presence::Uncertain;
        }
        self.model.tables.insert(target_key, renamed);
        Ok(())
    }

    /// SQLite reads every view again when a table or a column is renamed or a column is dropped, and
    /// fails over one whose table is not there; in the middle of a batch `gone` is not.
    pub(super) fn broken_views(&mut self, subject: &Subject, gone: Option<&TableName>) -> Flow {
        let mut broken = Vec::new();
        for (name, view) in &self.model.views {
            let recursive = mentions(&view.query, "with");
            for source in sources(&view.query) {
                let key = self.model.key(&TableName::plain(source));
                if gone == Some(&key) {
                    broken.push((name.clone(), view.presence));
                    continue;
                }
                let table = self.model.tables.get(&key).map(|table| table.presence);
                let there = table.or_else(|| self.model.views.get(&key).map(|view| view.presence));
                let known = !self.model.beyond(&key) && !source.eq_ignore_ascii_case("main");
                if there == Some(Presence::Certain) || there.is_none() && !known {
                    continue;
                }
                // It may be one that the query itself makes.
                let sure = there.is_none() && !recursive;
                let presence = if sure {
                    view.presence
                } else {
                    Presence::Uncertain
                };
                broken.push((name.clone(), presence));
            }
        }
        for (view, presence) in broken {
            let sentence = format!(
                "{} cannot be changed, because view {} would read a table that is not there",
                subject.object(),
                view.name
            );
            self.dependents(subject.clone(), sentence, presence == Presence::Certain)?;
        }
        Ok(())
    }
}

pub(super) fn foreign_key_called(name: Option<&str>) -> String {
    name.map_or_else(
        || "a foreign key".to_owned(),
        |name| format!("foreign key {name}"),
    )
}
