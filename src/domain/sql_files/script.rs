//! A text of SQL into its statements, as the server would take them.

use crate::domain::foresight::Dialect;

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As it is sent, without the `;` that ends it.
    pub text: String,
    /// The line of the script, from 1, that it begins in.
    pub line: usize,
}

/// Why a script has no statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// The line of the script, from 1.
    pub line: usize,
    /// What is wrong there, a clause without a full stop.
    pub reason: String,
}

/// The statements of a script, in order. What is a comment alone gives none.
pub fn statements(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, ScriptError> {
    let _ = (sql, dialect);
    Ok(Vec::new())
}

impl Statement {
    /// Why it cannot be run inside a transaction, completing "it cannot run in a transaction: ".
    pub fn runs_alone(&self, dialect: Dialect) -> Option<&'static str> {
        let _ = dialect;
        None
    }

    /// Whether the server commits what was done before it, and it with that: on MariaDB and MySQL nearly
    /// every statement that changes the schema.
    pub fn commits(&self, dialect: Dialect) -> bool {
        let _ = dialect;
        false
    }

    /// Whether it begins or ends a transaction by itself.
    pub fn controls_a_transaction(&self) -> bool {
        false
    }
}
