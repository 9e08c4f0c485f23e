//! A rollback block for a migration that has none: the inverse of each statement, last first.

use crate::domain::foresight::Dialect;

/// A block that can be put at the end of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The block in the commented form, markers included.
    pub block: String,
    /// How many statements have an inverse in it.
    pub inverted: usize,
    /// How many have none, and a comment in it that says what is lost.
    pub explained: usize,
}

/// Writes the block for the text that goes up.
pub fn template(up: &str, dialect: Dialect) -> Template {
    let _ = (up, dialect);
    Template {
        block: String::new(),
        inverted: 0,
        explained: 0,
    }
}
