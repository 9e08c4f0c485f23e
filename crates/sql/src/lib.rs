//! Reads SQL: splits a text into statements, and says what a statement does and what a type holds.
//!
//! One tokenizer and one reader for PostgreSQL, MySQL, MariaDB and SQLite, used by the forecast and by SQL files.

mod copies;
mod holes;
mod objects;
mod operations;
mod rows;
pub mod script;
#[expect(missing_docs, reason = "the names are those of SQL")]
pub mod sql_statement;
mod table;
pub mod tokens;
mod types;
pub mod words;

pub use types::read_type;

use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, TableName};

/// What one statement of a text does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A directive. What cannot be told apart is an [`Operation::Sql`] of that statement alone.
    Operation(Box<Operation>),
    /// The transaction ends here, and what was done before stays or is lost.
    EndsTransaction,
}

impl Effect {
    fn of(operation: Operation) -> Self {
        Self::Operation(Box::new(operation))
    }
}

/// Takes a text of statements apart, in order; `None` in it is a hole that cannot be followed.
///
/// A hole in the name of something leaves its statement whole. A hole in a value or a condition does
/// not. What changes neither the schema, nor rows, nor rights gives nothing.
pub fn take_apart(text: &[Option<String>], dialect: Dialect) -> Vec<Effect> {
    let Ok(statements) = script::statements(&holes::joined(text), dialect) else {
        return vec![Effect::of(Operation::Sql {
            text: text.to_vec(),
        })];
    };
    statements
        .iter()
        .flat_map(|one| operations::effects(&one.text, dialect))
        .collect()
}

/// How many statements a text has; `None` if it cannot be split.
pub fn count_statements(text: &[Option<String>], dialect: Dialect) -> Option<usize> {
    let statements = script::statements(&holes::joined(text), dialect);
    statements.ok().map(|statements| statements.len())
}

/// Whether foreign keys are enforced, each time a text says so.
pub fn foreign_key_settings(text: &[Option<String>], dialect: Dialect) -> Vec<bool> {
    let setting = match dialect {
        Dialect::MySql => "foreign_key_checks",
        Dialect::Sqlite => "pragma foreign_keys",
        Dialect::Postgres => return Vec::new(),
    };
    let text = holes::joined(text).to_lowercase();
    let values = text.split(setting).skip(1);
    let values = values.map(|rest| rest.trim_start_matches([' ', '=', ':', '(']));
    let is_on = |value: &str| {
        let mut on = ["1", "on", "true", "yes"].iter();
        on.any(|on| value.starts_with(on))
    };
    values.map(is_on).collect()
}

/// Its statement is put in once all of it is read.
fn rights(loosens: bool, table: Option<TableName>) -> Operation {
    Operation::ChangeRights {
        loosens,
        table,
        sql: String::new(),
    }
}

#[cfg(test)]
mod tests;
