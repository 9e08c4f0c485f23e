//! What a statement of a migration makes, changes and takes away, by the words that it begins with.

mod alter;
mod read;

use super::words::{Name, Part, Reader};
pub use alter::constraint;
pub use read::{arguments, is_settings, read, tokens};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    Aggregate,
    Collation,
    Column,
    Constraint,
    Domain,
    EnumValue,
    Event,
    EventTrigger,
    Extension,
    ForeignTable,
    Function,
    Index,
    MaterializedView,
    Policy,
    Procedure,
    Publication,
    Role,
    Rule,
    Schema,
    Sequence,
    Server,
    Statistics,
    Table,
    Trigger,
    Type,
    View,
}

impl Object {
    /// In the words of SQL, in small letters.
    pub fn words(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Collation => "collation",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Domain => "domain",
            Self::EnumValue => "enum value",
            Self::Event => "event",
            Self::EventTrigger => "event trigger",
            Self::Extension => "extension",
            Self::ForeignTable => "foreign table",
            Self::Function => "function",
            Self::Index => "index",
            Self::MaterializedView => "materialized view",
            Self::Policy => "policy",
            Self::Procedure => "procedure",
            Self::Publication => "publication",
            Self::Role => "role",
            Self::Rule => "rule",
            Self::Schema => "schema",
            Self::Sequence => "sequence",
            Self::Server => "server",
            Self::Statistics => "statistics",
            Self::Table => "table",
            Self::Trigger => "trigger",
            Self::Type => "type",
            Self::View => "view",
        }
    }

    /// In the words of SQL.
    pub fn keyword(self) -> String {
        self.words().to_uppercase()
    }

    /// Whether it belongs to a table and is named beside it.
    pub fn is_of_a_table(self) -> bool {
        matches!(self, Self::Trigger | Self::Policy | Self::Rule)
    }

    /// Whether it is named with the types of its arguments.
    pub fn has_arguments(self) -> bool {
        matches!(self, Self::Function | Self::Procedure | Self::Aggregate)
    }
}

/// Something that is made.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a clause that stands there or not"
)]
pub struct Create<'a> {
    pub kind: Object,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub concurrently: bool,
    /// Unnamed are some indexes, statistics, and schemas that are named after a role.
    pub name: Option<Name>,
    /// The table of an index, a trigger, a policy, a rule.
    pub on: Option<Name>,
    /// What stands in the first brackets after the head: columns, arguments.
    pub group: Option<Reader<'a>>,
    /// All after the head, these brackets included.
    pub rest: Reader<'a>,
}

/// A change of an object, or of what belongs to it.
#[derive(Debug, Clone)]
pub enum Action<'a> {
    AddColumn {
        name: Part,
        if_not_exists: bool,
        /// All after the name.
        definition: Reader<'a>,
    },
    /// A key, a check, an exclusion; on MariaDB an index as well.
    AddConstraint {
        name: Option<Part>,
        sort: ConstraintKind,
        columns: Vec<Part>,
        definition: Reader<'a>,
    },
    DropColumn {
        name: Part,
    },
    DropConstraint {
        name: Part,
    },
    Default {
        column: Part,
        /// What is set; `None` where it is dropped.
        to: Option<Reader<'a>>,
    },
    NotNull {
        column: Part,
        set: bool,
    },
    ColumnType {
        column: Part,
    },
    RenameColumn {
        from: Part,
        to: Part,
    },
    RenameConstraint {
        from: Part,
        to: Part,
    },
    RenameIndex {
        from: Part,
        to: Part,
    },
    /// On MariaDB with another definition.
    ChangeColumn {
        from: Part,
    },
    Rename {
        /// On MariaDB it may lie in another schema.
        to: Name,
    },
    SetSchema {
        to: Part,
    },
    Owner,
    RowSecurity(Security),
    Attach {
        partition: Name,
    },
    Detach {
        partition: Name,
    },
    Inherit {
        parent: Name,
        added: bool,
    },
    Logged(bool),
    Identity {
        column: Part,
        added: bool,
    },
    /// Is switched on or off: a trigger.
    Switch {
        trigger: Part,
        on: bool,
    },
    /// A table is put into a publication, or taken out of it.
    Publish {
        table: Name,
        added: bool,
    },
    AddValue {
        value: String,
        if_not_exists: bool,
    },
    RenameValue {
        from: String,
        to: String,
    },
    /// Nothing that would have to be taken back.
    Harmless,
    Other,
}

/// A sort of constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    ForeignKey,
    Check,
    Exclude,
    Index,
}

/// What is done to the row level security of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Enable,
    Disable,
    Force,
    NoForce,
}

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    Insert,
    Update,
    Delete,
    Truncate,
    Merge,
    Copy,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum SqlStatement<'a> {
    Create(Create<'a>),
    Alter {
        kind: Object,
        name: Name,
        if_exists: bool,
        /// The table of a trigger, a policy, a rule.
        on: Option<Name>,
        /// The brackets with the types of its arguments.
        arguments: Option<Reader<'a>>,
        actions: Vec<Action<'a>>,
    },
    /// MariaDB: each under its old name.
    RenameTables(Vec<(Name, Name)>),
    Drop(Drop<'a>),
    Comment {
        kind: Option<Object>,
        name: Option<Name>,
        /// `TABLE projects`, as it was written.
        target: Reader<'a>,
        /// As it was written; `None` for `NULL`.
        text: Option<Reader<'a>>,
    },
    Rights(Rights<'a>),
    Rows {
        how: Rows,
        tables: Vec<Name>,
    },
    /// The transaction ends, and what was done before stays or is lost.
    EndsTransaction,
    /// Nothing that would have to be taken back.
    Harmless,
    /// What it does cannot be known: calls, blocks, what is not known at all.
    Other,
}

/// Objects that are dropped.
#[derive(Debug, Clone)]
pub struct Drop<'a> {
    pub kind: Object,
    /// Each with the brackets behind it.
    pub names: Vec<(Name, Option<Reader<'a>>)>,
    pub if_exists: bool,
    pub(crate) concurrently: bool,
    pub on: Option<Name>,
    pub cascade: bool,
}

/// Rights that are given or taken.
#[derive(Debug, Clone)]
pub struct Rights<'a> {
    pub given: bool,
    /// `ALTER DEFAULT PRIVILEGES ...` up to `GRANT` or `REVOKE`.
    pub defaults: Option<Reader<'a>>,
    /// `SELECT ON projects`, `reader`.
    pub what: Reader<'a>,
    /// To or from whom.
    pub whom: Reader<'a>,
    /// `WITH GRANT OPTION` or `GRANT OPTION FOR`, or the same of `ADMIN`.
    pub option: bool,
    /// The kind and the names after `ON`.
    pub on: Option<(Object, Vec<Name>)>,
}

/// The text of a literal as it was written.
pub fn unquoted(literal: &str) -> String {
    let bare = literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    bare.map_or_else(|| literal.to_owned(), |bare| bare.replace("''", "'"))
}
