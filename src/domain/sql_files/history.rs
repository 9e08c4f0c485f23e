//! What a database knows of its migrations, and what follows from it.

use serde::{Deserialize, Serialize};

use super::file::MigrationFile;
use crate::domain::graph::{Graph, GraphError};
use crate::domain::revision::RevisionId;

/// What became of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is in the database.
    Applied,
    /// It was, and was taken down.
    RolledBack,
    /// It is, and taking it down failed.
    Failed,
}

/// A row of `migration_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `migration_name`.
    pub id: RevisionId,
    /// `status`.
    pub status: Status,
    /// `applied_at`, RFC 3339 in UTC to the second.
    pub applied_at: Option<String>,
    /// `applied_by`.
    pub applied_by: Option<String>,
    /// `rollback_sql`: what takes it down.
    pub rollback_sql: Option<String>,
    /// `checksum` of the file as it was registered.
    pub checksum: Option<String>,
    /// `rollback_at`, RFC 3339 in UTC to the second.
    pub rollback_at: Option<String>,
    /// `rollback_by`.
    pub rollback_by: Option<String>,
    /// `notes`.
    pub notes: Option<String>,
    /// `metadata`.
    pub metadata: Metadata,
}

/// What `metadata` holds; keys of others are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The text that went up, as it was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_sql: Option<String>,
    /// What the file says it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The file, as it was shown when it was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line of that file that the first line of `rollback_sql` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Why taking it down failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far a rollback came that runs statement by statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What somebody else has put there.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// How far a rollback came that runs statement by statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run that it belongs to.
    pub run: String,
    /// How many of its statements are done.
    pub done: usize,
    /// SHA-256 of the schema as it was after them.
    pub schema: String,
    /// SHA-256 of the script, so that another one is not gone on with.
    pub script: String,
}

/// Where a dependency comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `-- Depends on:` names it.
    Declared,
    /// The SQL uses what the other one made.
    Inferred,
    /// It looks so, and `-- Independent of:` says that it is not.
    Independent,
}

/// A row of `migration_dependencies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The one that needs the other.
    pub of: RevisionId,
    /// The other.
    pub on: RevisionId,
    /// Where it comes from.
    pub kind: Kind,
    /// The object, for an inferred one: `table projects`.
    pub object: Option<String>,
}

/// All that a database knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// By name.
    pub records: Vec<Record>,
    /// By name.
    pub dependencies: Vec<Dependency>,
    /// The versions that `supabase_migrations.schema_migrations` has; `None` where there is no such table.
    pub supabase: Option<Vec<String>>,
}

/// Whether a migration can be taken down, by the rows alone. The functions of the database give the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it can.
    pub can_rollback: bool,
    /// One sentence.
    pub reason: String,
    /// What is applied and needs it, in the order in which they have to go.
    pub dependents: Vec<RevisionId>,
}

/// [`Verdict::reason`] of one that can be taken down.
pub const CAN: &str = "it can be rolled back";
/// Of one that was never registered.
pub const UNKNOWN: &str = "it is not registered";
/// Of one that is rolled back.
pub const GONE: &str = "it is already rolled back";
/// Of one whose rollback failed.
pub const FAILED: &str = "its rollback failed, and a person has to look first";
/// Of one without rollback SQL.
pub const NO_SQL: &str = "it has no rollback SQL";
/// Of one that others need.
pub const NEEDED: &str = "other migrations depend on it";

impl History {
    /// The row of a migration.
    pub fn get(&self, id: &RevisionId) -> Option<&Record> {
        self.records.iter().find(|record| record.id == *id)
    }

    /// The graph of all that the database and the files know, in the order in which it is applied: by name, and
    /// after all that it depends on. What is not applied comes last.
    pub fn graph(&self, files: &[MigrationFile]) -> Result<Graph, GraphError> {
        let _ = files;
        Graph::in_sequence([])
    }

    /// Whether a migration can be taken down.
    pub fn verdict(&self, id: &RevisionId) -> Verdict {
        let _ = id;
        Verdict {
            can_rollback: false,
            reason: UNKNOWN.to_owned(),
            dependents: Vec::new(),
        }
    }
}
