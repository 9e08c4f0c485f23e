//! What a migration does, in the words of Alembic's directives, whoever read it and from what.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;

/// A place in a version file or in a module that it calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as the engine names it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The file without its folder, and the line: `c3.py:40`.
    pub fn in_short(&self) -> String {
        let file = self.file.rsplit('/').next().unwrap_or_default();
        format!("{file}:{}", self.line)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// A table, view, type or sequence. Without a schema it is looked for where the connection looks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema, if one is named.
    pub schema: Option<String>,
    /// The name without quotes.
    pub name: String,
}

impl TableName {
    /// A name without a schema.
    pub fn plain(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(formatter, "{schema}.{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// The name of a constraint or an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// As written, or computed from what is known.
    Known(String),
    /// `None`: the server or a naming convention chooses.
    Unnamed,
    /// Computed from what cannot be followed.
    Unknown,
}

impl Name {
    /// The name, where it is known.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Known(name) => Some(name),
            Self::Unnamed | Self::Unknown => None,
        }
    }
}

/// What values a column takes, as far as that matters for whether they fit another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// True or false.
    Boolean,
    /// 16 bits.
    SmallInteger,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInteger,
    /// Exact, with precision and scale.
    Numeric,
    /// Inexact.
    Float,
    /// Text up to a length, if there is one: `String`, `Unicode`, `VARCHAR`, `CHAR`.
    String,
    /// Text of any length.
    Text,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time.
    DateTime,
    /// A span of time.
    Interval,
    /// `json`.
    Json,
    /// PostgreSQL's `jsonb`.
    Jsonb,
    /// A UUID.
    Uuid,
    /// One of a list of words.
    Enum,
    /// PostgreSQL's arrays.
    Array,
    /// Anything else.
    Other,
}

/// The type of a column. What is not said or not known is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// The family.
    pub family: Family,
    /// Characters or bytes.
    pub length: Option<u64>,
    /// Digits.
    pub precision: Option<u32>,
    /// Digits after the point.
    pub scale: Option<u32>,
    /// Whether it knows time zones.
    pub timezone: bool,
    /// The name of an enum type, where the server has one.
    pub enum_name: Option<TableName>,
    /// The words of an enum.
    pub values: Vec<String>,
    /// As people read it: `VARCHAR(100)`, or as it was written.
    pub written: String,
}

/// A column to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type; `None` where that cannot be followed.
    pub kind: Option<ColumnType>,
    /// Whether it takes NULL. SQLAlchemy's default is yes, for a primary key no.
    pub nullable: bool,
    /// Whether the server fills it by itself: a default (not SQLAlchemy's client-side one), an
    /// identity, a computation, a serial primary key.
    pub server_default: Option<String>,
    /// Part of the primary key.
    pub primary_key: bool,
    /// `unique=True`.
    pub unique: bool,
    /// `index=True`.
    pub index: bool,
    /// `ForeignKey(...)` in the column itself.
    pub foreign_keys: Vec<Reference>,
}

/// What a foreign key points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The constraint's name.
    pub name: Name,
    /// The table.
    pub table: TableName,
    /// Its columns.
    pub columns: Vec<String>,
    /// `CASCADE`, `SET NULL` and so on, if said.
    pub on_delete: Option<String>,
    /// Whether it is written as part of its column.
    pub inline: bool,
}

/// Which rows a unique key compares, and how. By itself all, by the values of their columns, and NULLs are
/// never alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UniqueScope {
    /// The rows of a partial index.
    pub among: IndexRows,
    /// PostgreSQL's `NULLS NOT DISTINCT`.
    pub nulls: bool,
    /// It compares something else than whole values: on MariaDB their first letters.
    pub in_part: bool,
}

/// The rows that an index is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum IndexRows {
    /// All.
    #[default]
    All,
    /// Those that a condition in SQL holds for.
    Where(String),
    /// Those of a condition that is not known.
    Unknown,
}

/// A constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// Primary key.
    PrimaryKey {
        /// Its name.
        name: Name,
        /// Its columns.
        columns: Vec<String>,
    },
    /// Unique key.
    Unique {
        /// Its name.
        name: Name,
        /// Its columns.
        columns: Vec<String>,
        /// Which rows it compares.
        alike: UniqueScope,
    },
    /// Foreign key.
    ForeignKey {
        /// The columns here.
        columns: Vec<String>,
        /// What they point at, with the constraint's name.
        references: Reference,
        /// PostgreSQL's `NOT VALID`.
        not_valid: bool,
    },
    /// Check; the condition where it is known.
    Check {
        /// Its name.
        name: Name,
        /// SQL.
        condition: Option<String>,
        /// PostgreSQL's `NOT VALID`, or `NOT ENFORCED`: the rows that there are do not matter.
        not_valid: bool,
    },
}

impl Constraint {
    /// Whether the rows that there are do not matter.
    pub fn is_not_valid(&self) -> bool {
        matches!(
            self,
            Self::ForeignKey {
                not_valid: true,
                ..
            } | Self::Check {
                not_valid: true,
                ..
            }
        )
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        match self {
            Self::PrimaryKey { name, .. }
            | Self::Unique { name, .. }
            | Self::Check { name, .. } => name,
            Self::ForeignKey { references, .. } => &references.name,
        }
    }
}

/// The kinds of constraints, as `type_` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `primary`.
    PrimaryKey,
    /// `unique`.
    Unique,
    /// `foreignkey`.
    ForeignKey,
    /// `check`.
    Check,
}

/// What changes of a column; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChange {
    /// `type_`.
    pub kind: Option<ColumnType>,
    /// Whether there is a `type_`, followed or not.
    pub changes_type: bool,
    /// `nullable`.
    pub nullable: Option<bool>,
    /// `server_default`: `Some(None)` drops it.
    pub server_default: Option<Option<String>>,
    /// `new_column_name`.
    pub new_name: Option<String>,
    /// `existing_type`.
    pub existing_kind: Option<ColumnType>,
    /// `existing_nullable`; `None` if it is not given or was not followed.
    pub existing_nullable: Option<bool>,
    /// `postgresql_using`, or `USING` in SQL.
    pub using: Option<String>,
}

/// How Alembic's batch mode goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// A new table on SQLite where an operation needs one, plain `ALTER` elsewhere.
    Auto,
    /// A new table everywhere.
    Always,
    /// Plain `ALTER` everywhere.
    Never,
}

/// How rows change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// New rows.
    Insert,
    /// Changed values.
    Update,
    /// Rows that go.
    Delete,
    /// Something of that, not known what.
    Some,
}

/// The kinds of objects besides tables, indexes, views and enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A function.
    Function,
    /// A procedure.
    Procedure,
    /// An aggregate.
    Aggregate,
    /// A trigger of a table.
    Trigger,
    /// A trigger of the whole database.
    EventTrigger,
    /// A rule of a table.
    Rule,
    /// A policy of a table that lets see or change rows. One that forbids is only a [`Operation::ChangeRights`].
    Policy,
    /// A domain.
    Domain,
    /// A composite type, a range type or a base type.
    Type,
    /// An extension.
    Extension,
    /// A publication.
    Publication,
    /// A table in a publication.
    PublishedTable,
}

impl ObjectKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Aggregate => "aggregate",
            Self::Trigger => "trigger",
            Self::EventTrigger => "event trigger",
            Self::Rule => "rule",
            Self::Policy => "policy",
            Self::Domain => "domain",
            Self::Type => "type",
            Self::Extension => "extension",
            Self::Publication | Self::PublishedTable => "publication",
        }
    }
}

/// An object besides tables, indexes, views and enums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaObject {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: TableName,
    /// The table that it is of, or that is published.
    pub table: Option<TableName>,
    /// The arguments of a routine, each in its words; `None` where they are not said. Of a routine that is made they
    /// may begin with a name.
    pub arguments: Option<Vec<Vec<String>>>,
}

/// One directive or statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A table is made.
    CreateTable {
        /// Its name.
        table: TableName,
        /// Its columns.
        columns: Vec<ColumnDefinition>,
        /// Its constraints apart from those in columns.
        constraints: Vec<Constraint>,
        /// No error where there is one.
        if_not_exists: bool,
    },
    /// A table goes with its rows.
    DropTable {
        /// Its name.
        table: TableName,
        /// No error where there is none.
        if_exists: bool,
        /// With what depends on it.
        cascade: bool,
    },
    /// A table gets another name.
    RenameTable {
        /// The old name.
        table: TableName,
        /// The new one, in the same schema.
        to: String,
    },
    /// A column is made.
    AddColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: ColumnDefinition,
        /// No error where there is one.
        if_not_exists: bool,
    },
    /// A column goes with its values.
    DropColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// No error where there is none.
        if_exists: bool,
        /// With what depends on it.
        cascade: bool,
    },
    /// A column changes.
    AlterColumn {
        /// The table.
        table: TableName,
        /// The column's present name.
        column: String,
        /// What changes.
        change: ColumnChange,
    },
    /// An index is built.
    CreateIndex {
        /// Its name.
        name: Name,
        /// The table.
        table: TableName,
        /// Its columns; `None` stands for an expression.
        columns: Vec<Option<String>>,
        /// Whether it is unique.
        unique: bool,
        /// Which rows it compares, where it is.
        alike: UniqueScope,
        /// PostgreSQL's `CONCURRENTLY`.
        concurrently: bool,
        /// No error where there is one.
        if_not_exists: bool,
    },
    /// An index goes.
    DropIndex {
        /// Its name.
        name: Name,
        /// The table, where it is named. MariaDB needs it.
        table: Option<TableName>,
        /// PostgreSQL's `CONCURRENTLY`.
        concurrently: bool,
        /// No error where there is none.
        if_exists: bool,
    },
    /// A constraint is made.
    AddConstraint {
        /// The table.
        table: TableName,
        /// The constraint.
        constraint: Constraint,
    },
    /// A constraint goes.
    DropConstraint {
        /// The table.
        table: TableName,
        /// Its name.
        name: Name,
        /// Its kind, where it is named. MariaDB needs it.
        kind: Option<ConstraintKind>,
        /// No error where there is none.
        if_exists: bool,
        /// With what depends on it.
        cascade: bool,
    },
    /// Alembic's batch mode: what is collected for one table and done at the end of the block.
    Batch {
        /// The table.
        table: TableName,
        /// How.
        recreate: Recreate,
        /// Whether `copy_from` spares the look at the table.
        copy_from: bool,
        /// Whether a naming convention is given, so that unnamed constraints can be called by name.
        naming_convention: bool,
        /// The operations in order, each with its place. They name the same table.
        operations: Vec<(Place, Operation)>,
    },
    /// PostgreSQL: an enum type is made.
    CreateEnum {
        /// Its name.
        name: TableName,
        /// Its words.
        values: Vec<String>,
        /// No error where there is one (`checkfirst`).
        if_not_exists: bool,
    },
    /// PostgreSQL: a type goes.
    DropType {
        /// Its name.
        name: TableName,
        /// No error where there is none (`checkfirst`).
        if_exists: bool,
        /// With what depends on it.
        cascade: bool,
    },
    /// PostgreSQL: `ALTER TYPE ... ADD VALUE`.
    AddEnumValue {
        /// The type.
        name: TableName,
        /// The word.
        value: String,
        /// No error where there is one.
        if_not_exists: bool,
    },
    /// PostgreSQL: a type gets another name.
    RenameType {
        /// The old name.
        name: TableName,
        /// The new one.
        to: String,
    },
    /// A view is made or replaced.
    CreateView {
        /// Its name.
        name: TableName,
        /// `OR REPLACE`.
        or_replace: bool,
        /// The query, where it is known.
        query: Option<String>,
    },
    /// A view goes.
    DropView {
        /// Its name.
        name: TableName,
        /// No error where there is none.
        if_exists: bool,
        /// With what depends on it.
        cascade: bool,
    },
    /// Rows change.
    ChangeRows {
        /// How.
        change: RowChange,
        /// The table, where it is known.
        table: Option<TableName>,
        /// The columns that are set, where they are known.
        columns: Vec<String>,
        /// The columns that an update sets to NULL.
        nulls: Vec<String>,
        /// Whether a condition spares some of the rows.
        conditional: bool,
        /// The statement, where there is one.
        sql: Option<String>,
    },
    /// An object besides tables is made, or replaced.
    CreateObject {
        /// The object.
        object: SchemaObject,
        /// `OR REPLACE` or `IF NOT EXISTS`: there may be one already.
        may_exist: bool,
    },
    /// An object besides tables goes. With `CASCADE` only where nothing depends on objects of that kind.
    DropObject {
        /// The object.
        object: SchemaObject,
    },
    /// A table is made from the rows of a query.
    CreateTableAs {
        /// Its name.
        table: TableName,
        /// The only table that the query reads; `None` for any other query.
        source: Option<TableName>,
        /// The columns of that table and their new names; `None` for all columns as they are.
        columns: Option<Vec<(String, String)>>,
        /// No error if there is one.
        if_not_exists: bool,
    },
    /// Said before or after the operation that does it: every row of one table is read and written to another.
    CopyRows {
        /// The table that is read.
        from: TableName,
        /// The table that is written.
        to: TableName,
        /// The columns that are read; `None` for all of them.
        columns: Option<Vec<String>>,
    },
    /// PostgreSQL: an index gets another name.
    RenameIndex {
        /// The old name.
        name: TableName,
        /// The new one, in the same schema.
        to: String,
        /// No error if there is none.
        if_exists: bool,
    },
    /// Data is read; nothing changes. Fails where the table or one of the columns is not there.
    ReadRows {
        /// The table, where it is known.
        table: Option<TableName>,
        /// The columns that are read for certain, where they are known.
        columns: Vec<String>,
    },
    /// Rights, policies or encryption change.
    ChangeRights {
        /// Whether more may be seen or done afterwards, or by more people.
        loosens: bool,
        /// The only table that it is about, where it is about one.
        table: Option<TableName>,
        /// The statement.
        sql: String,
    },
    /// A statement of SQL as the migration writes it. The foresight takes it apart for the dialect
    /// at hand; what it cannot take apart stays one of these and counts as unknown.
    Sql {
        /// The text; with `None` for each hole that cannot be followed, between two pieces.
        text: Vec<Option<String>>,
    },
}

impl Operation {
    /// Whether a batch copies the table to change it: `requires_recreate_in_batch` of `alembic/ddl/sqlite.py`, without the
    /// expression defaults that need it as well. Both ways lead to the same schema.
    pub fn copies_table(&self, dialect: Dialect) -> bool {
        let Self::Batch {
            recreate,
            operations,
            ..
        } = self
        else {
            return false;
        };
        match recreate {
            Recreate::Never => false,
            Recreate::Always => true,
            Recreate::Auto => {
                dialect == Dialect::Sqlite
                    && operations.iter().any(|(_, operation)| match operation {
                        Self::CreateIndex { .. } | Self::DropIndex { .. } => false,
                        Self::AddColumn { column, .. } => {
                            column.unique && !column.index || !column.foreign_keys.is_empty()
                        }
                        _ => true,
                    })
            }
        }
    }
}
