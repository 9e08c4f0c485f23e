//! All revisions and the walks among them.

use super::revision::{Revision, RevisionId};

/// Why a set of revisions is not a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two scripts with the same id.
    #[error("two revisions have the id {0}")]
    DuplicateId(String),
}

/// All revisions of a project.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    revisions: Vec<Revision>,
}

impl Graph {
    /// Builds the graph.
    pub fn new(revisions: impl IntoIterator<Item = Revision>) -> Result<Self, GraphError> {
        Ok(Self {
            revisions: revisions.into_iter().collect(),
        })
    }

    /// The revisions in the order in which they were given.
    pub fn revisions(&self) -> &[Revision] {
        &self.revisions
    }

    /// The revision with exactly this id.
    pub fn get(&self, id: &RevisionId) -> Option<&Revision> {
        self.revisions
            .iter()
            .find(|revision| revision.id == id.as_str())
    }
}
