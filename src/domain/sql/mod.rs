//! SQL as far as it has to be understood: what a statement does, and what a type holds.

mod copies;
mod objects;
mod split;
mod statement;
mod table;
mod types;

pub use types::read_type;

use super::dialect::Dialect;
use super::operation::Operation;

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
    let Some(statements) = split::statements(text, dialect) else {
        return vec![Effect::of(Operation::Sql {
            text: text.to_vec(),
        })];
    };
    statements
        .into_iter()
        .flat_map(|one| statement::effects(one, dialect))
        .collect()
}

#[cfg(test)]
mod tests;
