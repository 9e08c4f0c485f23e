//! A schema model from the lines of a schema.
//!
//! What is not understood is left out: a line more in a later release must not stop anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::parts::{indexed, on_delete, plain_names, split_column, without_options};
use super::text::{bracketed, name, outside, parts, path};
use super::{Check, ForeignKey, Index, Key, Origin, Presence, SchemaModel, Table, View};
use crate::domain::dialect::Dialect;
use crate::domain::operation::{Name, TableName};
use crate::domain::schema::SchemaLines;

/// What a line may begin with. The longer ones come first.
const KINDS: [&str; 10] = [
    "primary key ",
    "foreign key ",
    "column ",
    "domain ",
    "unique ",
    "check ",
    "index ",
    "view ",
    "type ",
    "table ",
];

impl SchemaModel {
    /// Reads the lines of a schema as the server's queries make them. `default_schema` is where names
    /// without a schema are looked for, on a server that has schemas.
    pub fn read(schema: &SchemaLines, dialect: Dialect, default_schema: Option<&str>) -> Self {
        let mut reader = Reader {
            model: Self {
                dialect,
                default_schema: default_schema.map(str::to_owned),
                tables: BTreeMap::new(),
                views: BTreeMap::new(),
                enums: BTreeMap::new(),
                types: BTreeSet::new(),
                doubtful: false,
                is_mysql_itself: false,
                library: None,
            },
            tables: BTreeMap::new(),
        };
        let lines: Vec<(&str, &str)> = schema
            .iter()
            .filter_map(|line| {
                let kind = KINDS.iter().find(|kind| line.starts_with(**kind))?;
                Some((kind.trim_end(), &line[kind.len()..]))
            })
            .collect();
        // A name without quotes is only known by the table that has it, and so on.
        for wanted in [
            &["table", "type", "domain", "view"][..],
            &["column"],
            &KINDS,
        ] {
            for (kind, rest) in &lines {
                if wanted.len() == KINDS.len() || wanted.contains(kind) {
                    let _: Option<()> = match *kind {
                        "table" if wanted.contains(kind) => reader.table(rest),
                        "type" if wanted.contains(kind) => reader.type_line(rest),
                        "domain" if wanted.contains(kind) => reader.domain(rest),
                        "view" if wanted.contains(kind) => reader.view(rest),
                        "column" if wanted.contains(kind) => reader.column(rest),
                        "table" | "type" | "domain" | "view" | "column" => None,
                        other => reader.part(other, rest),
                    };
                }
            }
        }
        reader.finish()
    }
}

struct Reader {
    model: SchemaModel,
    tables: BTreeMap<TableName, Table>,
}

impl Reader {
    fn postgresql(&self) -> bool {
        self.model.dialect == Dialect::Postgres
    }

    /// A name of the server's own, complete or not.
    fn qualified(&self, mut names: Vec<String>) -> Option<TableName> {
        let name = names.pop()?;
        let schema = names.pop();
        Some(TableName {
            schema: if self.postgresql() {
                schema.or_else(|| self.model.default_schema.clone())
            } else {
                schema
            },
            name,
        })
    }

    fn table(&mut self, rest: &str) -> Option<()> {
        let table = if self.postgresql() {
            self.qualified(path(rest)?.0)?
        } else {
            TableName::plain(without_options(rest))
        };
        let origin = Origin::Live {
            name: table.name.clone(),
        };
        self.tables
            .insert(table, Table::empty(origin, Presence::Certain));
        Some(())
    }

    fn view(&mut self, rest: &str) -> Option<()> {
        let (names, query) = if self.postgresql() {
            path(rest)?
        } else {
            let (name, query) = rest.split_once(' ')?;
            (vec![name.to_owned()], query)
        };
        let view = View {
            query: query.trim().to_owned(),
            uses: None,
            presence: Presence::Certain,
        };
        let key = self.qualified(names)?;
        self.model.views.insert(key, view);
        Some(())
    }

    fn domain(&mut self, rest: &str) -> Option<()> {
        let (names, _) = path(rest)?;
        // Its checks have lines of their own: `domain check name.check ...`.
        if names != ["check"] {
            let key = self.qualified(names)?;
            self.model.types.insert(key);
        }
        Some(())
    }

    fn type_line(&mut self, rest: &str) -> Option<()> {
        let (names, rest) = path(rest)?;
        let rest = rest.trim_start();
        let Some(words) = rest.strip_prefix("enum (") else {
            // Not its rights, which stand in a line of the same kind.
            if ["composite (", "range (", "base"]
                .iter()
                .any(|kind| rest.starts_with(kind))
            {
                let key = self.qualified(names)?;
                self.model.types.insert(key);
            }
            return Some(());
        };
        let (words, _) = bracketed(rest.get(rest.len() - words.len() - 1..)?)?;
        let words = parts(words)
            .into_iter()
            .map(|word| word.trim_matches('\'').replace("''", "'"))
            .collect();
        let key = self.qualified(names)?;
        self.model.enums.insert(key, words);
        Some(())
    }

    fn column(&mut self, rest: &str) -> Option<()> {
        let (table, column, text) = if self.postgresql() {
            let (mut names, rest) = path(rest)?;
            let column = names.pop()?;
            (self.qualified(names)?, column, rest)
        } else {
            let (table, rest) = self.owner(rest, '.')?;
            let (column, text) = split_column(rest, self.model.dialect);
            (table, column, text)
        };
        let column = self.model.read_column(&column, text);
        self.tables
            .get_mut(&table)?
            .columns
            .insert(column.name.clone(), column);
        Some(())
    }

    /// The table whose name stands at the front, followed by `mark`: the longest, for names may hold
    /// points and spaces.
    fn owner<'text>(&self, text: &'text str, mark: char) -> Option<(TableName, &'text str)> {
        let (table, rest) = text
            .rmatch_indices(mark)
            .map(|(at, _)| (TableName::plain(&text[..at]), &text[at + 1..]))
            .find(|(table, _)| self.tables.contains_key(table))?;
        Some((table, rest))
    }

    /// A key, an index or a check.
    fn part(&mut self, kind: &str, rest: &str) -> Option<()> {
        match self.model.dialect {
            Dialect::Postgres => self.part_of_postgresql(kind, rest),
            Dialect::MySql => self.part_of_mysql(kind, rest),
            Dialect::Sqlite => self.part_of_sqlite(kind, rest),
        }
    }

    fn part_of_postgresql(&mut self, kind: &str, rest: &str) -> Option<()> {
        let (mut names, rest) = path(rest)?;
        if kind == "index" {
            let table = self.qualified(names)?;
            let rest = rest.trim_start().strip_prefix("CREATE ")?;
            let unique = rest.starts_with("UNIQUE ");
            let (index, rest) = name(&rest[rest.find("INDEX ")? + "INDEX ".len()..])?;
            let using = outside(rest, &[" USING "])?;
            let rest = &rest[using + " USING ".len()..];
            let (columns, _) = bracketed(&rest[rest.find('(')?..])?;
            let table = self.tables.get_mut(&table)?;
            let columns = parts(columns)
                .into_iter()
                .map(|part| indexed(part, &table.columns));
            table.indexes.push(Index {
                name: Name::Known(index),
                columns: columns.collect(),
                unique,
                presence: Presence::Certain,
            });
            return Some(());
        }
        let constraint = Name::Known(names.pop()?);
        let table = self.qualified(names)?;
        let (list, after) = bracketed(&rest[rest.find('(')?..])?;
        if kind == "check" {
            self.tables.get_mut(&table)?.checks.push(Check {
                name: constraint,
                condition: Some(list.to_owned()),
                presence: Presence::Certain,
            });
            return Some(());
        }
        if kind == "foreign key" {
            let (referent, after) = path(after.trim_start().strip_prefix("REFERENCES ")?)?;
            let (referred, after) = bracketed(after.trim_start())?;
            let key = ForeignKey {
                name: constraint,
                columns: plain_names(list),
                referent: self.qualified(referent)?,
                referent_columns: plain_names(referred),
                on_delete: on_delete(after),
                presence: Presence::Certain,
            };
            self.tables.get_mut(&table)?.foreign_keys.push(key);
            return Some(());
        }
        self.key(&table, kind, constraint, plain_names(list))
    }

    fn part_of_mysql(&mut self, kind: &str, rest: &str) -> Option<()> {
        if kind == "primary key" {
            let (table, rest) = self.owner(rest, ' ')?;
            let columns = self.listed(&table, rest)?;
            let columns = columns.into_iter().flatten().collect();
            return self.key(&table, kind, Name::Known("PRIMARY".to_owned()), columns);
        }
        let (table, rest) = self.owner(rest, '.')?;
        match kind {
            "check" => {
                let (name, condition) = rest.split_once(' ')?;
                self.tables.get_mut(&table)?.checks.push(Check {
                    name: Name::Known(name.to_owned()),
                    condition: Some(condition.to_owned()),
                    presence: Presence::Certain,
                });
            }
            "index" => {
                let start = rest.find(" (").or_else(|| rest.find('('))?;
                let columns = self.listed(&table, rest[start..].trim_start())?;
                let (name, what) = rest[..start]
                    .split_once(' ')
                    .unwrap_or((&rest[..start], ""));
                self.tables.get_mut(&table)?.indexes.push(Index {
                    name: Name::Known(name.to_owned()),
                    columns,
                    unique: what == "unique",
                    presence: Presence::Certain,
                });
            }
            "foreign key" => {
                let start = rest.find(" (")?;
                let name = Name::Known(rest[..start].to_owned());
                self.foreign_key(&table, name, &rest[start + 1..])?;
            }
            _ => return None,
        }
        Some(())
    }

    fn part_of_sqlite(&mut self, kind: &str, rest: &str) -> Option<()> {
        if kind == "index" {
            let (table, rest) = self.owner(rest, '.')?;
            let start = rest.find(" (").or_else(|| rest.find('('))?;
            let columns = self.listed(&table, rest[start..].trim_start())?;
            let name = &rest[..start];
            let (name, unique) = match name.strip_suffix(" unique") {
                Some(name) => (name, true),
                None => (name, false),
            };
            self.tables.get_mut(&table)?.indexes.push(Index {
                name: Name::Known(name.to_owned()),
                columns,
                unique,
                presence: Presence::Certain,
            });
            return Some(());
        }
        let (table, rest) = self
            .owner(
                &rest[..rest.find(" (").map_or(rest.len(), |at| at + 1)],
                ' ',
            )
            .map(|(table, _)| {
                let length = table.name.len() + 1;
                (table, &rest[length..])
            })?;
        match kind {
            "check" => {
                let start = rest.find('(')?;
                let name = rest[..start].trim();
                let (condition, _) = bracketed(&rest[start..])?;
                self.tables.get_mut(&table)?.checks.push(Check {
                    name: if name.is_empty() {
                        Name::Unnamed
                    } else {
                        Name::Known(self::name(name)?.0)
                    },
                    condition: Some(condition.trim().to_owned()),
                    presence: Presence::Certain,
                });
                Some(())
            }
            // The pragmas tell no names: see `name_constraints`.
            "foreign key" => self.foreign_key(&table, Name::Unknown, rest),
            _ => {
                let columns = self.listed(&table, rest)?.into_iter().flatten().collect();
                self.key(&table, kind, Name::Unknown, columns)
            }
        }
    }

    /// `(a, b) to r (x, y) on delete cascade`.
    fn foreign_key(&mut self, table: &TableName, name: Name, text: &str) -> Option<()> {
        let columns = self.listed(table, text)?.into_iter().flatten().collect();
        let (_, rest) = bracketed(text)?;
        let rest = rest.trim_start().strip_prefix("to ")?;
        let start = rest.find(" (");
        let end = start
            .or_else(|| outside(rest, &[" on delete ", " on update "]))
            .unwrap_or(rest.len());
        let (schema, referent) = match rest[..end].split_once('.') {
            Some((schema, name)) if !self.tables.contains_key(&TableName::plain(&rest[..end])) => {
                (Some(schema.to_owned()), name)
            }
            _ => (None, &rest[..end]),
        };
        let referent = TableName {
            schema,
            name: referent.to_owned(),
        };
        let referent_columns = match start {
            Some(start) => plain_names(bracketed(&rest[start + 1..])?.0),
            None => Vec::new(),
        };
        self.tables.get_mut(table)?.foreign_keys.push(ForeignKey {
            name,
            columns,
            referent,
            referent_columns,
            on_delete: on_delete(rest),
            presence: Presence::Certain,
        });
        Some(())
    }

    fn key(
        &mut self,
        table: &TableName,
        kind: &str,
        name: Name,
        columns: Vec<String>,
    ) -> Option<()> {
        let key = Key {
            name,
            columns,
            presence: Presence::Certain,
        };
        let table = self.tables.get_mut(table)?;
        if kind == "primary key" {
            table.primary_key = Some(key);
        } else {
            table.uniques.push(key);
        }
        Some(())
    }

    /// The columns in a bracket at the front, as the table names them.
    fn listed(&self, table: &TableName, text: &str) -> Option<Vec<Option<String>>> {
        let columns = &self.tables.get(table)?.columns;
        let (list, _) = bracketed(text)?;
        Some(
            parts(list)
                .into_iter()
                .map(|part| indexed(part, columns))
                .collect(),
        )
    }

    fn finish(self) -> SchemaModel {
        let mut model = self.model;
        for (name, table) in self.tables {
            model.tables.insert(name, Arc::new(table));
        }
        model
    }
}
