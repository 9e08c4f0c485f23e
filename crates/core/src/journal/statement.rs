//! The statements of a step that is run one statement after the other, each of which stays done.

use serde::{Deserialize, Serialize};

/// One of them, before or after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Its place in the script, from 0.
    pub at: usize,
    /// How many the script has.
    pub of: usize,
    /// Whether it is about to be sent, or what came of it.
    pub state: State,
    /// SHA-256 of its text.
    pub text: String,
    /// SHA-256 of the schema after it; `None` before it, and where it cannot be read.
    pub schema: Option<String>,
}

/// What is known of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is about to be sent.
    Begun,
    /// It is done, and the database knows.
    Ended,
    /// The server refused it: nothing of it was done.
    Refused,
}

impl super::Run {
    /// The statement of the step under way that was sent, and of which it is not known whether it was done: its
    /// place and SHA-256.
    pub fn statement_in_flight(&self) -> Option<(usize, &str)> {
        let last = self.statement.as_ref().filter(|_| self.in_flight.is_some());
        last.filter(|last| last.state == State::Begun)
            .map(|last| (last.at, last.text.as_str()))
    }
}
