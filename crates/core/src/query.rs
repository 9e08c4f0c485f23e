//! What asks a database and what has a connection to it meet here, and know nothing else of each other.

/// The rows of an answer, each value as the server writes it; `None` is null.
pub type TextRows = Vec<Vec<Option<String>>>;

/// Somebody else's open transaction that questions can be put to.
pub trait Queries {
    /// Runs the statements one after the other and gives the rows of the last one. All of them are
    /// rolled back before this returns, so that a failing one spoils nothing.
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

/// A connection over which migrations are run. What it did stays done, so it never tries a thing twice, and
/// never connects again.
pub trait Execution {
    /// Runs a text of one or more statements and gives the rows of the last one. `goes_on` is asked some times
    /// a second, and a no ends the statement on the server and the connection.
    fn run(&mut self, sql: &str, goes_on: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError>;

    /// Resets all that was set, locked and left in the session. Whether it is as it was when it was opened; if not, it must
    /// not be used any more.
    fn renew(&mut self) -> bool {
        false
    }
}

/// Why a text did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RunError {
    /// What it means for what was done.
    pub kind: RunErrorKind,
    /// The server's code, where it was the server that spoke.
    pub code: Option<String>,
    /// The server's or the driver's words, without a password: one line, on PostgreSQL also those of `DETAIL:`
    /// and `HINT:`.
    pub reason: String,
}

impl RunError {
    /// `goes_on` said no.
    pub fn given_up() -> Self {
        Self {
            kind: RunErrorKind::GivenUp,
            code: None,
            reason: "it was ended before it was done".to_owned(),
        }
    }
}

/// What a [`RunError`] means for what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunErrorKind {
    /// The server refused a statement; the connection is as good as before.
    Refused,
    /// The same, because a lock was waited for as long as it may be.
    LockTimeout,
    /// `goes_on` said no; the connection is closed. The statement may have come to its end just then.
    GivenUp,
    /// The connection broke; nobody knows whether the statement was done.
    Lost,
}

/// Always, for [`Execution::run`].
pub fn always() -> bool {
    true
}
