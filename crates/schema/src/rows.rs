//! A schema model from the rows of a server's catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Check, Column, ForeignKey, Index, Key, Origin, Presence, SchemaModel, Table, View};
use rollback_core::audit;
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Constraint, Family, Name, Operation, Reference, TableName};
use rollback_core::query::TextRows;
use rollback_sql::{Effect, read_type, take_apart};

/// The kinds of rows, each after those that it needs.
const KINDS: [&str; 15] = [
    "default schema",
    "search path",
    "server",
    "table",
    "view",
    "view column",
    "enum",
    "type",
    "column",
    "primary key",
    "unique",
    "foreign key",
    "check",
    "index",
    "statement",
];

/// One row: an object, or a column of a key, an index or a view.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// A type, a condition, a query, a word of an enum, a column of a key; `None` stands for an expression of an index.
    detail: Option<&'a str>,
    /// `not null`, `unique`, or what a foreign key does on delete.
    more: Option<&'a str>,
    /// The table that a foreign key points at or a view reads.
    referent: [Option<&'a str>; 2],
    /// The column there; of a column, its default.
    other: Option<&'a str>,
}

fn table_name([schema, name]: [Option<&str>; 2]) -> Option<TableName> {
    Some(TableName {
        schema: schema.map(str::to_owned),
        name: name?.to_owned(),
    })
}

impl SchemaModel {
    /// A schema without objects.
    pub fn empty(dialect: Dialect) -> Self {
        Self {
            dialect,
            default_schema: None,
            search_path: None,
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            enums: BTreeMap::new(),
            types: BTreeSet::new(),
            doubtful: false,
            is_mysql_itself: false,
            library: None,
            foreign_keys: None,
            one_statement: None,
        }
    }

    /// Puts together rows of kind, schema, table or type, name, and the five values of a row; those of one object
    /// in the order of its columns. A kind that is not known is left out.
    pub fn of_rows(rows: &TextRows, dialect: Dialect) -> Self {
        let mut objects: BTreeMap<_, Vec<Row<'_>>> = BTreeMap::new();
        for row in rows {
            let mut values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            values.resize(9, None);
            let [kind, schema, table, name, detail, more, of, referent, other] = values[..9] else {
                continue;
            };
            let row = Row {
                detail,
                more,
                referent: [of, referent],
                other,
            };
            let kind = KINDS.iter().position(|one| Some(*one) == kind);
            if let Some(kind) = kind.filter(|_| table != Some(audit::TABLE)) {
                let object = (kind, [schema, table], name);
                objects.entry(object).or_default().push(row);
            }
        }
        let mut model = Self::empty(dialect);
        for ((kind, owner, name), rows) in &objects {
            let _: Option<()> = model.add(KINDS[*kind], table_name(*owner), *name, rows);
        }
        model
    }

    /// The same of values between bars; one that is missing is null.
    #[cfg(any(test, feature = "testing"))]
    pub fn of_text(dialect: Dialect, rows: &[&str]) -> Self {
        let value = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let rows = rows.iter().map(|row| row.split('|').map(value).collect());
        Self::of_rows(&rows.collect(), dialect)
    }

    fn add(
        &mut self,
        kind: &str,
        owner: Option<TableName>,
        name: Option<&str>,
        rows: &[Row<'_>],
    ) -> Option<()> {
        let first = rows.first()?;
        let detail = first.detail.map(str::to_owned);
        match kind {
            "default schema" => self.default_schema = detail,
            "search path" => self.search_path = Some(details(rows).flatten().collect()),
            "server" => self.is_mysql_itself = first.detail == Some("MySQL"),
            "table" => {
                let owner = owner?;
                let origin = Origin::Live {
                    name: owner.name.clone(),
                };
                let table = Table::empty(origin, Presence::Certain);
                self.tables.insert(owner, Arc::new(table));
            }
            "view" => {
                let view = View {
                    query: self.query(detail?),
                    uses: (self.dialect == Dialect::Postgres).then(BTreeSet::new),
                    presence: Presence::Certain,
                };
                self.views.insert(owner?, view);
            }
            "view column" => {
                let of = |row: &Row<'_>| Some((table_name(row.referent)?, row.other?.to_owned()));
                self.views.get_mut(&owner?)?.uses = Some(rows.iter().filter_map(of).collect());
            }
            "enum" => {
                self.enums.insert(owner?, details(rows).flatten().collect());
            }
            "type" => {
                self.types.insert(owner?);
            }
            "column" => {
                let column = self.column(name?, *first);
                let table = self.table_mut(&owner?)?;
                table.columns.insert(column.name.clone(), column);
            }
            "statement" => name_constraints(self.table_mut(&owner?)?, first.detail?),
            _ => {
                let name = match (self.dialect, kind) {
                    // Its catalog does not tell it: see `name_constraints`.
                    (Dialect::Sqlite, "primary key" | "unique" | "foreign key") => Name::Unknown,
                    _ => Name::Known(name?.to_owned()),
                };
                self.table_mut(&owner?)?.add(kind, name, rows)?;
            }
        }
        Some(())
    }

    /// SQLite has the statement that makes a view, and no query.
    fn query(&self, text: String) -> String {
        if self.dialect != Dialect::Sqlite {
            return text.trim().to_owned();
        }
        match only_operation(&text, self.dialect) {
            Some(Operation::CreateView {
                query: Some(query), ..
            }) => query,
            _ => text,
        }
    }

    fn column(&self, name: &str, row: Row<'_>) -> Column {
        let written = row.detail.filter(|written| !written.is_empty());
        let mut kind = written.map(|written| read_type(written, self.dialect));
        if let Some(kind) = &mut kind
            && let Some(name) = &kind.enum_name
        {
            let key = self.key(name);
            if let Some(words) = self.enums.get(&key) {
                if kind.family == Family::Other {
                    kind.family = Family::Enum;
                }
                kind.values.clone_from(words);
                kind.enum_name = Some(key);
            } else {
                kind.enum_name = None;
            }
        }
        Column {
            name: name.to_owned(),
            kind,
            nullable: row.more.is_none(),
            default: row.other.map(str::to_owned),
            origin: Origin::Live {
                name: name.to_owned(),
            },
            presence: Presence::Certain,
            written: false,
        }
    }
}

fn details<'a>(rows: &'a [Row<'_>]) -> impl Iterator<Item = Option<String>> + 'a {
    rows.iter().map(|row| row.detail.map(str::to_owned))
}

impl Table {
    /// A key, a check or an index.
    fn add(&mut self, kind: &str, name: Name, rows: &[Row<'_>]) -> Option<()> {
        let first = rows.first()?;
        let more = first.more.map(str::to_owned);
        let presence = Presence::Certain;
        let columns: Vec<String> = details(rows).flatten().collect();
        match kind {
            "primary key" => {
                self.primary_key = Some(Key {
                    name,
                    columns,
                    presence,
                });
            }
            "unique" => self.uniques.push(Key {
                name,
                columns,
                presence,
            }),
            "foreign key" => self.foreign_keys.push(ForeignKey {
                name,
                columns,
                referent: table_name(first.referent)?,
                referent_columns: rows
                    .iter()
                    .filter_map(|row| row.other.map(str::to_owned))
                    .collect(),
                on_delete: more,
                inline: false,
                presence,
            }),
            "check" => self.checks.push(Check {
                name,
                condition: first.detail.map(str::to_owned),
                presence,
            }),
            _ => self.indexes.push(Index {
                name,
                columns: details(rows).collect(),
                unique: more.is_some(),
                presence,
            }),
        }
        Some(())
    }

    /// Gives a name to the first foreign key of these columns that has none yet.
    fn name_foreign_key(&mut self, columns: &[String], reference: Reference) {
        let key = self.foreign_keys.iter_mut().find(|key| {
            key.name == Name::Unknown
                && is_same(&key.columns, columns)
                && key
                    .referent
                    .name
                    .eq_ignore_ascii_case(&reference.table.name)
        });
        if let Some(key) = key {
            (key.name, key.inline) = (reference.name, reference.inline);
        }
    }
}

fn only_operation(statement: &str, dialect: Dialect) -> Option<Operation> {
    let mut effects = take_apart(&[Some(statement.to_owned())], dialect).into_iter();
    match effects.next()? {
        Effect::Operation(operation) => Some(*operation),
        Effect::EndsTransaction => None,
    }
}

/// Takes the names of SQLite's keys, and its checks, from the statement of a table. What has no name there is unnamed
/// from now on; of a statement that is not understood the names stay unknown.
fn name_constraints(table: &mut Table, statement: &str) {
    let Some(Operation::CreateTable {
        columns,
        constraints,
        ..
    }) = only_operation(statement, Dialect::Sqlite)
    else {
        return;
    };
    for constraint in constraints {
        match constraint {
            Constraint::PrimaryKey { name, .. } => {
                if let Some(key) = &mut table.primary_key {
                    key.name = name;
                }
            }
            Constraint::Unique { name, columns, .. } => {
                let mut keys = table.uniques.iter_mut();
                let key =
                    keys.find(|key| key.name == Name::Unknown && is_same(&key.columns, &columns));
                if let Some(key) = key {
                    key.name = name;
                }
            }
            Constraint::ForeignKey {
                columns,
                references,
                ..
            } => table.name_foreign_key(&columns, references),
            Constraint::Check {
                name, condition, ..
            } => table.checks.push(Check {
                name,
                condition,
                presence: Presence::Certain,
            }),
        }
    }
    for column in columns {
        for reference in column.foreign_keys {
            let own = std::slice::from_ref(&column.name);
            table.name_foreign_key(own, reference);
        }
    }
    let keys = table.primary_key.iter_mut().chain(&mut table.uniques);
    let foreign = table.foreign_keys.iter_mut().map(|key| &mut key.name);
    for name in keys.map(|key| &mut key.name).chain(foreign) {
        if *name == Name::Unknown {
            *name = Name::Unnamed;
        }
    }
}

fn is_same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.eq_ignore_ascii_case(other))
}
