//! Revisions as Alembic names them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::untrusted::on_one_line;

/// The id of one revision, complete; prefixes are resolved in [`target`](super::target) only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionId(String);

impl RevisionId {
    /// Wraps a complete id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For people, on one line. Programs and servers get [`as_str`](RevisionId::as_str).
impl fmt::Display for RevisionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&on_one_line(&self.0))
    }
}

impl AsRef<str> for RevisionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RevisionId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// The rows of the version table, as a set: Alembic gives their order no meaning.
///
/// A revision that another applied one depends on may or may not be a row, so two sets of heads are
/// compared through [`Graph::applied`](super::graph::Graph::applied), never directly.
pub type Heads = BTreeSet<RevisionId>;

/// One migration script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    /// The `revision` identifier.
    pub id: String,
    /// The `down_revision` identifiers in the order in which the script names them: none for a
    /// base, several for a merge point.
    pub down_revisions: Vec<String>,
    /// The `depends_on` entries as written: ids or branch labels.
    pub depends_on: Vec<String>,
    /// The branch labels that the script itself declares, where known; otherwise those that Alembic
    /// shows for it, which include labels inherited along the branch.
    pub branch_labels: Vec<String>,
    /// The message, all lines of it.
    pub message: String,
    /// The version file as the engine names it.
    pub path: Option<String>,
    /// `Create Date` as the script's docstring has it.
    pub created: Option<String>,
    /// When a migration of SQL files was registered, if it is not known when it was applied: RFC 3339 in UTC.
    pub registered: Option<String>,
}

impl Revision {
    /// The first non-empty line of the message, or a word for its absence.
    pub fn title(&self) -> &str {
        self.message
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("(no message)")
    }
}
