//! The object that an operation, a failure or a finding is about.

use super::operation::TableName;

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
