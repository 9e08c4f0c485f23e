//! What asks a database and what has a connection to it meet here, and know nothing else of each other.

/// The rows of an answer, each value as the server writes it; `None` is null.
pub type TextRows = Vec<Vec<Option<String>>>;

/// Somebody else's open transaction that questions can be put to.
pub trait Queries {
    /// Runs the statements one after the other and gives the rows of the last one. All of them are
    /// taken back before this returns, so that a failing one spoils nothing.
    fn rows(&mut self, statements: &[&str]) -> Result<TextRows, QueryError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct QueryError {
    /// The server's code, where it was the server that spoke.
    pub code: Option<String>,
    /// The driver's words.
    pub reason: String,
}
