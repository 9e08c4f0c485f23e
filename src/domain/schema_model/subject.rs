//! What an operation speaks of, and what stands in its way.

use crate::domain::forecast::Failure;
use crate::domain::operation::{Constraint, Name, Operation, TableName};

/// An object of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A table.
    Table(TableName),
    /// A column of a table.
    Column(TableName, String),
    /// An index, with its table where that is known.
    Index(Option<TableName>, String),
    /// A constraint of a table.
    Constraint(TableName, String),
    /// An enum type.
    Type(TableName),
    /// A view.
    View(TableName),
}

impl Subject {
    /// As the server would name it: the name of the operation, a column and a constraint with their
    /// table before them.
    pub fn object(&self) -> String {
        match self {
            Self::Table(name) | Self::Type(name) | Self::View(name) => name.to_string(),
            Self::Column(table, name) | Self::Constraint(table, name) => format!("{table}.{name}"),
            Self::Index(_, name) => name.clone(),
        }
    }

    /// Whether what happens to `self` happens to `other`: it is the same object or holds it. A schema
    /// that only one of them names does not count.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Table(table),
                Self::Table(one)
                | Self::Column(one, _)
                | Self::Constraint(one, _)
                | Self::Index(Some(one), _),
            )
            | (Self::Type(table), Self::Type(one))
            | (Self::View(table), Self::View(one)) => same(table, one),
            (Self::Column(table, name), Self::Column(one, other))
            | (Self::Constraint(table, name), Self::Constraint(one, other)) => {
                same(table, one) && name.eq_ignore_ascii_case(other)
            }
            (Self::Index(_, name), Self::Index(_, other)) => name == other,
            // A unique key and its index are one thing on MariaDB.
            (Self::Index(Some(table), name), Self::Constraint(one, other))
            | (Self::Constraint(one, other), Self::Index(Some(table), name)) => {
                same(table, one) && name == other
            }
            _ => false,
        }
    }
}

fn same(one: &TableName, other: &TableName) -> bool {
    one.name.eq_ignore_ascii_case(&other.name)
        && (one.schema.is_none() || other.schema.is_none() || one.schema == other.schema)
}

/// Why an operation fails, as far as another revision may be to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyErrorKind {
    /// The object is not there.
    Missing,
    /// It is there already.
    Exists,
    /// Anything else.
    Other,
}

/// A failure with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyError {
    /// The failure, without a culprit.
    pub failure: Failure,
    /// The object.
    pub subject: Subject,
    /// What is wrong with it.
    pub trouble: ApplyErrorKind,
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// It is made.
    Made(Subject),
    /// It goes.
    Gone(Subject),
}

/// What an operation does by its own words, without a look at any schema.
pub fn effects(operation: &Operation) -> Vec<Effect> {
    use Effect::{Gone, Made};
    match operation {
        Operation::CreateTable { table, .. } | Operation::CreateTableAs { table, .. } => {
            vec![Made(Subject::Table(table.clone()))]
        }
        Operation::DropTable { table, .. } => vec![Gone(Subject::Table(table.clone()))],
        Operation::RenameIndex { name, to, .. } => vec![
            Gone(Subject::Index(None, name.name.clone())),
            Made(Subject::Index(None, to.clone())),
        ],
        Operation::RenameTable { table, to } => {
            let to = TableName {
                schema: table.schema.clone(),
                name: to.clone(),
            };
            vec![
                Gone(Subject::Table(table.clone())),
                Made(Subject::Table(to)),
            ]
        }
        Operation::AddColumn { table, column, .. } => {
            vec![Made(Subject::Column(table.clone(), column.name.clone()))]
        }
        Operation::DropColumn { table, column, .. } => {
            vec![Gone(Subject::Column(table.clone(), column.clone()))]
        }
        Operation::AlterColumn {
            table,
            column,
            change,
        } => match &change.new_name {
            Some(to) if to != column => vec![
                Gone(Subject::Column(table.clone(), column.clone())),
                Made(Subject::Column(table.clone(), to.clone())),
            ],
            _ => Vec::new(),
        },
        Operation::CreateIndex { name, table, .. } => named(name)
            .map(|name| Made(Subject::Index(Some(table.clone()), name)))
            .collect(),
        Operation::DropIndex { name, table, .. } => named(name)
            .map(|name| Gone(Subject::Index(table.clone(), name)))
            .collect(),
        Operation::AddConstraint { table, constraint } => named(constraint.name())
            .map(|name| Made(Subject::Constraint(table.clone(), name)))
            .collect(),
        Operation::DropConstraint { table, name, .. } => named(name)
            .map(|name| Gone(Subject::Constraint(table.clone(), name)))
            .collect(),
        Operation::Batch { operations, .. } => operations
            .iter()
            .flat_map(|(_, operation)| effects(operation))
            .collect(),
        Operation::CreateEnum { name, .. } => vec![Made(Subject::Type(name.clone()))],
        Operation::DropType { name, .. } => vec![Gone(Subject::Type(name.clone()))],
        Operation::RenameType { name, to } => {
            let to = TableName {
                schema: name.schema.clone(),
                name: to.clone(),
            };
            vec![Gone(Subject::Type(name.clone())), Made(Subject::Type(to))]
        }
        Operation::CreateView { name, .. } => vec![Made(Subject::View(name.clone()))],
        Operation::DropView { name, .. } => vec![Gone(Subject::View(name.clone()))],
        _ => Vec::new(),
    }
}

fn named(name: &Name) -> impl Iterator<Item = String> {
    name.known().map(str::to_owned).into_iter()
}

impl Constraint {
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
