//! Whether the live schema shows that a migration is applied: does what its file creates exist?
//!
//! An object proves something about a file only if no other file can be the reason for it. What several files create is
//! no proof that one of them is applied, and what a later file drops proves nothing at all.

mod created;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::created::Created;
use super::file::MigrationFile;
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
pub use rollback_sql::sql_statement::{self, Object};
use rollback_sql::words;

/// A kind of object that every catalogue query reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LiveKind {
    /// Of a table.
    Column,
    /// Named, of a table. SQLite does not list them.
    Constraint,
    /// Of an enum type, which is its `table`.
    EnumValue,
    /// Of PostgreSQL.
    Extension,
    /// Procedures and aggregates too.
    Function,
    /// On MariaDB and MySQL, an index belongs to its table.
    Index,
    /// Row level security, of a table.
    Policy,
    /// A schema, which is not in a schema.
    Schema,
    /// Of PostgreSQL and MariaDB.
    Sequence,
    /// Foreign tables too.
    Table,
    /// On PostgreSQL, of a table.
    Trigger,
    /// Domains too.
    Type,
    /// Materialized views too.
    View,
}

impl LiveKind {
    const ALL: [Self; 13] = [
        Self::Column,
        Self::Constraint,
        Self::EnumValue,
        Self::Extension,
        Self::Function,
        Self::Index,
        Self::Policy,
        Self::Schema,
        Self::Sequence,
        Self::Table,
        Self::Trigger,
        Self::Type,
        Self::View,
    ];

    /// The word for people, which the catalogue queries use too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::EnumValue => "enum value",
            Self::Extension => "extension",
            Self::Function => "function",
            Self::Index => "index",
            Self::Policy => "policy",
            Self::Schema => "schema",
            Self::Sequence => "sequence",
            Self::Table => "table",
            Self::Trigger => "trigger",
            Self::Type => "type",
            Self::View => "view",
        }
    }

    /// The kind of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn created(kind: Object) -> Option<Self> {
        Some(match kind {
            Object::Aggregate | Object::Function | Object::Procedure => Self::Function,
            Object::Domain | Object::Type => Self::Type,
            Object::Extension => Self::Extension,
            Object::ForeignTable | Object::Table => Self::Table,
            Object::Index => Self::Index,
            Object::MaterializedView | Object::View => Self::View,
            Object::Policy => Self::Policy,
            Object::Schema => Self::Schema,
            Object::Sequence => Self::Sequence,
            Object::Trigger => Self::Trigger,
            _ => return None,
        })
    }

    /// Whether the server, or its provider, may have created it without any migration.
    fn may_be_preinstalled(self) -> bool {
        matches!(self, Self::Extension | Self::Schema)
    }
}

/// An object of the database, or one that a file creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveObject {
    /// What it is.
    pub kind: LiveKind,
    /// The schema. For an object of a file: `None` if the file names none, or the one that everybody has.
    pub schema: Option<String>,
    /// The table that it belongs to, or the type of an enum value.
    pub table: Option<String>,
    /// The name.
    pub name: String,
}

impl LiveObject {
    fn shown(&self) -> String {
        let parts = [&self.schema, &self.table].into_iter().flatten();
        let parts: Vec<&str> = parts
            .map(String::as_str)
            .chain([self.name.as_str()])
            .collect();
        format!("{} {}", self.kind.word(), parts.join("."))
    }
}

/// All objects of a database.
#[derive(Debug, Clone)]
pub struct LiveSchema {
    dialect: Dialect,
    objects: BTreeSet<LiveObject>,
    /// Where a name without a schema is looked for.
    path: Vec<String>,
}

impl LiveSchema {
    /// The objects as the catalogue reports them, each in a schema, and the schemas of the search path.
    pub fn new(dialect: Dialect, objects: Vec<LiveObject>, path: Vec<String>) -> Self {
        let folded = |object: LiveObject| match dialect {
            Dialect::Postgres => object,
            Dialect::MySql | Dialect::Sqlite => LiveObject {
                table: object.table.map(|table| table.to_lowercase()),
                name: object.name.to_lowercase(),
                ..object
            },
        };
        Self {
            dialect,
            objects: objects.into_iter().map(folded).collect(),
            path,
        }
    }

    fn has(&self, expected: &LiveObject) -> bool {
        let without_schema = matches!(expected.kind, LiveKind::Extension | LiveKind::Schema);
        if without_schema {
            let bare = LiveObject {
                schema: None,
                ..expected.clone()
            };
            return self.objects.contains(&bare);
        }
        let schemas: Vec<&str> = match &expected.schema {
            Some(schema) => vec![schema],
            None if self.dialect == Dialect::Postgres => {
                let path = self.path.iter().map(String::as_str);
                path.chain(["public"]).collect()
            }
            None => self.path.iter().map(String::as_str).collect(),
        };
        schemas.into_iter().any(|schema| {
            self.objects.contains(&LiveObject {
                schema: Some(schema.to_owned()),
                ..expected.clone()
            })
        })
    }

    /// Whether the catalogue lists objects of this kind.
    fn lists(&self, kind: LiveKind) -> bool {
        match self.dialect {
            Dialect::Postgres => true,
            Dialect::MySql => !matches!(kind, LiveKind::Schema),
            Dialect::Sqlite => !matches!(kind, LiveKind::Constraint | LiveKind::Schema),
        }
    }
}

/// What the live schema says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaEvidence {
    /// All that it creates exists.
    Applied,
    /// Nothing that it creates exists: the missing objects, for people.
    NotApplied(Vec<String>),
    /// Some of it exists, and some of it does not: both, for people.
    Partly {
        /// What exists.
        present: Vec<String>,
        /// What does not.
        missing: Vec<String>,
    },
    /// It creates nothing that could be looked for.
    Nothing,
}

/// What the live schema says about each file. `files` are all files of the project, in any order.
pub fn evidence<'a>(
    files: &'a [MigrationFile],
    live: &LiveSchema,
) -> BTreeMap<&'a RevisionId, SchemaEvidence> {
    let mut order: Vec<&MigrationFile> = files.iter().collect();
    order.sort_by(|one, other| one.id.cmp(&other.id));
    let mut created = Created::new(live.dialect);
    for (position, file) in order.iter().enumerate() {
        for sql in words::statements(&file.up, live.dialect) {
            created.follow(position, &sql_statement::read(&sql));
        }
    }
    let mut found: Vec<(Vec<String>, Vec<String>)> = vec![Default::default(); order.len()];
    for (object, entry) in &created.entries {
        if !live.lists(object.kind) {
            continue;
        }
        let shown = object.shown();
        if live.has(object) {
            let proves = entry.creators.len() == 1
                && !created.dropped.contains(object)
                && !object.kind.may_be_preinstalled();
            if proves {
                for position in entry.creators.iter().chain(&entry.renamed_by) {
                    found[*position].0.push(shown.clone());
                }
            }
        } else {
            // Before the rename, it may still exist under its old name.
            let of: &[usize] = match &entry.renamed_by {
                Some(position) => std::slice::from_ref(position),
                None => &entry.creators,
            };
            for position in of {
                found[*position].1.push(shown.clone());
            }
        }
    }
    // The tables first: a missing one explains its missing columns.
    let tables_first = |mut shown: Vec<String>| {
        shown.sort_by_key(|one| !one.starts_with("table "));
        shown
    };
    let judged = found
        .into_iter()
        .map(|(present, missing)| (tables_first(present), tables_first(missing)))
        .map(|(present, missing)| match (&present[..], &missing[..]) {
            ([], []) => SchemaEvidence::Nothing,
            (_, []) => SchemaEvidence::Applied,
            ([], _) => SchemaEvidence::NotApplied(missing),
            _ => SchemaEvidence::Partly { present, missing },
        });
    order.into_iter().map(|file| &file.id).zip(judged).collect()
}
