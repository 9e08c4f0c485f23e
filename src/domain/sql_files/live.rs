//! Whether the live schema shows that a migration is applied: does what its file creates exist?
//!
//! An object proves something about a file only if no other file can be the reason for it. What several files create is
//! no proof that one of them is applied, and what a later file drops proves nothing at all.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::tokenizer::Token;

use super::acts::{self, Act, Action, Create, Object, Sort};
use super::file::MigrationFile;
use super::words::{self, Name, Reader};
use crate::domain::foresight::Dialect;
use crate::domain::revision::RevisionId;

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
            Dialect::Postgresql => object,
            Dialect::Mysql | Dialect::Sqlite => LiveObject {
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
            None if self.dialect == Dialect::Postgresql => {
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
            Dialect::Postgresql => true,
            Dialect::Mysql => !matches!(kind, LiveKind::Schema),
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
    let mut created = Created {
        dialect: live.dialect,
        entries: BTreeMap::new(),
        dropped: BTreeSet::new(),
    };
    for (position, file) in order.iter().enumerate() {
        for sql in words::statements(&file.up, live.dialect) {
            created.follow(position, &acts::read(&sql));
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

/// Who created an object that should exist if all files are applied.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// The positions of the files.
    creators: Vec<usize>,
    /// The file that gave it this name.
    renamed_by: Option<usize>,
}

struct Created {
    dialect: Dialect,
    entries: BTreeMap<LiveObject, Entry>,
    /// What a file dropped that another one had created.
    dropped: BTreeSet<LiveObject>,
}

impl Created {
    fn follow(&mut self, by: usize, act: &Act<'_>) {
        match act {
            Act::Create(create) if !create.temporary => self.create(by, create),
            Act::Alter {
                kind,
                name,
                on,
                actions,
                ..
            } => {
                for action in actions {
                    self.alter(by, *kind, name, on.as_ref(), action);
                }
            }
            Act::RenameTables(pairs) => {
                for (from, to) in pairs {
                    let from = self.object(LiveKind::Table, from, None);
                    let to = self.object(LiveKind::Table, to, None);
                    self.rename(by, &from, to);
                }
            }
            Act::Drop {
                kind, names, on, ..
            } => {
                let Some(kind) = LiveKind::created(*kind) else {
                    return;
                };
                for (name, _) in names {
                    let object = self.object(kind, name, on.as_ref());
                    self.drop(by, &object);
                }
            }
            _ => {}
        }
    }

    /// A name as the server stores it.
    fn stored(&self, name: &str) -> String {
        // NAMEDATALEN - 1.
        const LONGEST: usize = 63;
        match self.dialect {
            Dialect::Postgresql if name.len() > LONGEST => {
                let mut end = LONGEST;
                while !name.is_char_boundary(end) {
                    end -= 1;
                }
                name[..end].to_owned()
            }
            _ => name.to_owned(),
        }
    }

    fn object(&self, kind: LiveKind, name: &Name, on: Option<&Name>) -> LiveObject {
        let of_table = match kind {
            LiveKind::Policy => true,
            LiveKind::Trigger => self.dialect == Dialect::Postgresql,
            LiveKind::Index => self.dialect == Dialect::Mysql,
            _ => false,
        };
        let last = self.stored(&name.last().folded);
        match on {
            Some(on) => LiveObject {
                kind,
                schema: on.schema(),
                table: of_table.then(|| self.stored(&on.last().folded)),
                name: last,
            },
            None => LiveObject {
                kind,
                schema: name.schema(),
                table: None,
                name: last,
            },
        }
    }

    fn within(&self, kind: LiveKind, table: &Name, name: &str) -> LiveObject {
        LiveObject {
            kind,
            schema: table.schema(),
            table: Some(self.stored(&table.last().folded)),
            name: self.stored(name),
        }
    }

    fn made(&mut self, by: usize, object: LiveObject) {
        let entry = self.entries.entry(object).or_default();
        if !entry.creators.contains(&by) {
            entry.creators.push(by);
        }
    }

    fn create(&mut self, by: usize, create: &Create<'_>) {
        let (Some(kind), Some(name)) = (LiveKind::created(create.kind), &create.name) else {
            return;
        };
        let object = self.object(kind, name, create.on.as_ref());
        self.made(by, object);
        if create.kind == Object::Table {
            for column in create.group.map(columns).unwrap_or_default() {
                let column = self.within(LiveKind::Column, name, &column);
                self.made(by, column);
            }
        }
    }

    fn alter(
        &mut self,
        by: usize,
        kind: Object,
        name: &Name,
        on: Option<&Name>,
        action: &Action<'_>,
    ) {
        let column = |part: &str| self.within(LiveKind::Column, name, part);
        match action {
            Action::AddColumn { name: part, .. } => {
                let column = column(&part.folded);
                self.made(by, column);
            }
            Action::DropColumn { name: part } | Action::ChangeColumn { from: part } => {
                let column = column(&part.folded);
                self.drop(by, &column);
            }
            Action::RenameColumn { from, to } => {
                let (from, to) = (column(&from.folded), column(&to.folded));
                self.rename(by, &from, to);
            }
            Action::AddConstraint {
                name: Some(part),
                sort,
                ..
            } => {
                // MySQL calls every primary key PRIMARY.
                if self.dialect == Dialect::Mysql && *sort == Sort::PrimaryKey {
                    return;
                }
                let kind = if *sort == Sort::Index {
                    LiveKind::Index
                } else {
                    LiveKind::Constraint
                };
                let constraint = self.within(kind, name, &part.folded);
                self.made(by, constraint);
            }
            Action::DropConstraint { name: part } => {
                for kind in [LiveKind::Constraint, LiveKind::Index] {
                    let object = self.within(kind, name, &part.folded);
                    self.drop(by, &object);
                }
            }
            Action::RenameConstraint { from, to } | Action::RenameIndex { from, to } => {
                let kind = match action {
                    Action::RenameIndex { .. } => LiveKind::Index,
                    _ => LiveKind::Constraint,
                };
                let object = |part: &str| self.within(kind, name, part);
                let (from, to) = (object(&from.folded), object(&to.folded));
                self.rename(by, &from, to);
            }
            Action::Rename { to } => {
                let Some(kind) = LiveKind::created(kind) else {
                    return;
                };
                let from = self.object(kind, name, on);
                let to = LiveObject {
                    name: self.stored(&to.last().folded),
                    ..from.clone()
                };
                self.rename(by, &from, to);
            }
            Action::SetSchema { to } => {
                let Some(kind) = LiveKind::created(kind) else {
                    return;
                };
                let from = self.object(kind, name, on);
                let schema = Some(to.folded.clone()).filter(|schema| schema != "public");
                let to = LiveObject {
                    schema,
                    ..from.clone()
                };
                self.rename(by, &from, to);
            }
            Action::AddValue { value } => {
                let value = self.within(LiveKind::EnumValue, name, &unquoted(value));
                self.made(by, value);
            }
            Action::RenameValue { from, to } => {
                let value = |value: &str| self.within(LiveKind::EnumValue, name, &unquoted(value));
                let (from, to) = (value(from), value(to));
                self.rename(by, &from, to);
            }
            _ => {}
        }
    }

    /// What goes with an object, itself not included.
    fn belongings(&self, object: &LiveObject) -> Vec<LiveObject> {
        let belongs = |one: &&LiveObject| match object.kind {
            LiveKind::Table | LiveKind::View | LiveKind::Type => {
                one.schema == object.schema && one.table.as_ref() == Some(&object.name)
            }
            LiveKind::Schema => one.schema.as_ref() == Some(&object.name),
            _ => false,
        };
        self.entries.keys().filter(belongs).cloned().collect()
    }

    fn drop(&mut self, by: usize, object: &LiveObject) {
        for one in self.belongings(object).into_iter().chain([object.clone()]) {
            let Some(entry) = self.entries.remove(&one) else {
                continue;
            };
            if entry.creators != [by] {
                self.dropped.insert(one);
            }
        }
    }

    fn rename(&mut self, by: usize, from: &LiveObject, to: LiveObject) {
        let moved = self.belongings(from).into_iter().map(|one| {
            let to = LiveObject {
                schema: to.schema.clone(),
                table: Some(to.name.clone()),
                ..one.clone()
            };
            (one, to)
        });
        let moved: Vec<(LiveObject, LiveObject)> =
            moved.chain([(from.clone(), to.clone())]).collect();
        for (from, to) in moved {
            let entry = self.entries.remove(&from).unwrap_or_default();
            if !entry.creators.is_empty() && entry.creators != [by] {
                self.dropped.insert(from);
            }
            let creators = if entry.creators.is_empty() {
                vec![by]
            } else {
                entry.creators
            };
            let entry = Entry {
                renamed_by: Some(by).filter(|by| creators != [*by]),
                creators,
            };
            self.entries.insert(to, entry);
        }
    }
}

/// The text of a literal as it was written.
fn unquoted(literal: &str) -> String {
    let bare = literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    bare.map_or_else(|| literal.to_owned(), |bare| bare.replace("''", "'"))
}

/// Words that begin an item of `CREATE TABLE (...)` that is not a column.
const NO_COLUMN: [&str; 13] = [
    "CHECK",
    "CONSTRAINT",
    "EXCLUDE",
    "FOREIGN",
    "FULLTEXT",
    "INDEX",
    "KEY",
    "LIKE",
    "PERIOD",
    "PRIMARY",
    "SELECT",
    "SPATIAL",
    "UNIQUE",
];

/// The columns between the brackets of `CREATE TABLE`.
fn columns(group: Reader<'_>) -> Vec<String> {
    let column = |mut item: Reader<'_>| {
        if NO_COLUMN.iter().any(|word| item.says(word)) {
            return None;
        }
        let part = item.part()?;
        // `tokenize = 'porter'`: an option of a virtual table.
        (item.token() != Some(&Token::Eq)).then_some(part.folded)
    };
    group.list().into_iter().filter_map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, up: &str) -> MigrationFile {
        MigrationFile {
            id: name.into(),
            path: format!("{name}.sql"),
            description: None,
            up: up.to_owned(),
            rollback: None,
            depends_on: Vec::new(),
            independent_of: Vec::new(),
            checksum: String::new(),
        }
    }

    /// `table public.a`, `column public.a.x`, `extension pgcrypto`.
    fn live(dialect: Dialect, lines: &[&str]) -> LiveSchema {
        let object = |line: &&str| {
            let (kind, name) = line.rsplit_once(' ').unwrap();
            let mut parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            let name = parts.pop().unwrap();
            LiveObject {
                kind: LiveKind::of(kind).unwrap(),
                table: (parts.len() == 2).then(|| parts.pop().unwrap()),
                schema: parts.pop(),
                name,
            }
        };
        let path = match dialect {
            Dialect::Postgresql => "public",
            Dialect::Mysql => "shop",
            Dialect::Sqlite => "main",
        };
        LiveSchema::new(
            dialect,
            lines.iter().map(object).collect(),
            vec![path.to_owned()],
        )
    }

    fn words(found: &SchemaEvidence) -> String {
        match found {
            SchemaEvidence::Applied => "applied".to_owned(),
            SchemaEvidence::NotApplied(missing) => format!("not: {}", missing.join(", ")),
            SchemaEvidence::Partly { present, missing } => {
                format!(
                    "partly: {}; not: {}",
                    present.join(", "),
                    missing.join(", ")
                )
            }
            SchemaEvidence::Nothing => "nothing".to_owned(),
        }
    }

    fn judged(files: &[(&str, &str)], lines: &[&str]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(name, up)| file(name, up)).collect();
        let found = evidence(&files, &live(Dialect::Postgresql, lines));
        found.values().map(words).collect()
    }

    /// Fails if a file counts as applied although its objects are missing, or the other way round.
    #[test]
    fn a_file_is_applied_if_what_it_creates_exists() {
        let files = [
            (
                "1",
                "CREATE TABLE IF NOT EXISTS public.a (id int, \"X\" text, PRIMARY KEY (id));",
            ),
            (
                "2",
                "ALTER TABLE a ADD COLUMN y int; CREATE INDEX a_y ON public.a (y);",
            ),
            (
                "3",
                "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            ),
            (
                "4",
                "UPDATE a SET y = 1; DO $$ BEGIN CREATE TABLE z (i int); END $$;",
            ),
        ];
        assert_eq!(
            judged(&files, &[]),
            [
                "not: table a, column a.X, column a.id",
                "not: column a.y, index a_y",
                "not: function app.f",
                "nothing"
            ]
        );
        let table = ["table public.a", "column public.a.id", "column public.a.X"];
        assert_eq!(judged(&files, &table)[0], "applied");
        let all = [
            &table[..],
            &["column public.a.y", "index public.a_y", "function app.f"],
        ]
        .concat();
        assert_eq!(
            judged(&files, &all),
            ["applied", "applied", "applied", "nothing"]
        );
        let part = [&table[..], &["column public.a.y", "function public.f"]].concat();
        assert_eq!(
            judged(&files, &part)[1..3],
            [
                "partly: column a.y; not: index a_y".to_owned(),
                "not: function app.f".to_owned()
            ]
        );
    }

    /// Fails if an object that several files create, or that was there before any of them, counts as proof.
    #[test]
    fn what_has_several_reasons_to_exist_proves_nothing() {
        let files = [
            (
                "1",
                "CREATE EXTENSION IF NOT EXISTS pgcrypto; CREATE SCHEMA IF NOT EXISTS app;",
            ),
            (
                "2",
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            ),
            (
                "3",
                "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
            ),
        ];
        let lines = ["extension pgcrypto", "schema app", "function public.f"];
        assert_eq!(judged(&files, &lines), ["nothing", "nothing", "nothing"]);
        assert_eq!(
            judged(&files, &["schema app"]),
            [
                "not: extension pgcrypto",
                "not: function f",
                "not: function f"
            ]
        );
    }

    /// Fails if a file counts as not applied because a later file dropped or renamed what it had created.
    #[test]
    fn later_drops_and_renames_are_followed() {
        let files = [
            ("1", "CREATE TABLE a (id int); CREATE TABLE kept (i int);"),
            ("2", "CREATE TABLE b (id int);"),
            ("3", "DROP TABLE a; ALTER TABLE kept DROP COLUMN i;"),
            (
                "4",
                "ALTER TABLE b RENAME TO c; ALTER TABLE c RENAME COLUMN id TO number;",
            ),
            ("5", "DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1;"),
        ];
        let lines = [
            "table public.kept",
            "table public.c",
            "column public.c.number",
            "view public.v",
        ];
        assert_eq!(
            judged(&files, &lines),
            ["applied", "applied", "nothing", "applied", "applied"]
        );
        assert_eq!(
            judged(&files, &["table public.b", "column public.b.id"])[1..4],
            [
                "nothing".to_owned(),
                "nothing".to_owned(),
                "not: table c, column c.number".to_owned()
            ]
        );
    }

    #[test]
    fn names_are_compared_as_the_server_stores_them() {
        let long = "i".repeat(70);
        let files = [file("1", &format!("CREATE INDEX {long} ON a (x);"))];
        let stored = format!("index public.{}", "i".repeat(63));
        let found = evidence(&files, &live(Dialect::Postgresql, &[&stored]));
        assert_eq!(found.values().map(words).collect::<Vec<_>>(), ["applied"]);
        for (dialect, lines) in [
            (
                Dialect::Mysql,
                ["table shop.Orders", "column shop.Orders.ID"],
            ),
            (
                Dialect::Sqlite,
                ["table main.Orders", "column main.Orders.ID"],
            ),
        ] {
            let files = [file("1", "CREATE TABLE orders (Id int);")];
            let found = evidence(&files, &live(dialect, &lines));
            assert_eq!(found.values().map(words).collect::<Vec<_>>(), ["applied"]);
        }
    }
}
