//! What a database knows of its migrations, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::file::{MigrationFile, version};
use super::supabase::{RemoteMigration, UnknownRemote, row_of, unknown_rows};
use rollback_core::graph::{Graph, GraphError};
use rollback_core::revision::{Revision, RevisionId};
use rollback_core::schema::SchemaLines;

/// What became of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationStatus {
    /// It is in the database.
    Applied,
    /// It was, and was taken down.
    RolledBack,
    /// It is, and taking it down failed.
    Failed,
}

/// A row of `migration_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRecord {
    /// `migration_name`.
    pub id: RevisionId,
    /// `status`.
    pub status: MigrationStatus,
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
    /// What of `rollback_sql` cannot run in a transaction, so that the functions of the database leave it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// Why taking it down failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How far a rollback came that runs statement by statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<HistoryProgress>,
    /// Why and in which run it was rolled back, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<RolledBack>,
    /// What somebody else has put there.
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

/// What is recorded of a rollback beside its moment and operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The run.
    pub run: Option<String>,
    /// What `--reason` said.
    pub reason: Option<String>,
}

/// How far a rollback came that runs statement by statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProgress {
    /// The run that it belongs to.
    pub run: String,
    /// How many of its statements are done.
    pub done: usize,
    /// SHA-256 of the schema as it was after them.
    pub schema: String,
    /// SHA-256 of those that are done, so that another script is not resumed.
    pub script: String,
}

/// Where a dependency comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
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
    pub kind: HistoryKind,
    /// The object, for an inferred one: `table projects`.
    pub object: Option<String>,
}

/// All that a database knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// By name.
    pub records: Vec<HistoryRecord>,
    /// By name.
    pub dependencies: Vec<Dependency>,
    /// The rows of `supabase_migrations.schema_migrations`; `None` if there is no such table.
    pub supabase: Option<Vec<RemoteMigration>>,
}

/// Whether a migration can be taken down, by the rows alone. The functions of the database give the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removability {
    /// Whether it can.
    pub can_rollback: bool,
    /// One sentence.
    pub reason: String,
    /// What is applied and needs it, in the order in which they have to go.
    pub dependents: Vec<RevisionId>,
}

/// [`Removability::reason`] of one that can be taken down.
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

/// A schema as it was once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySnapshot {
    /// Its id, a UUID.
    pub id: String,
    /// The migration that it was taken for.
    pub migration: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// When, RFC 3339 in UTC to the second.
    pub at: Option<String>,
    /// By whom.
    pub by: Option<String>,
    /// The lines; none where only the list was asked for.
    pub schema: SchemaLines,
}

/// Where our table and that of Supabase do not say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disagreement {
    /// Applied by our table, and not in theirs.
    pub not_in_supabase: Vec<RevisionId>,
    /// In theirs, and registered here as rolled back.
    pub rolled_back_here: Vec<RevisionId>,
    /// Rows of theirs that belong to no migration registered here.
    pub not_registered: Vec<UnknownRemote>,
}

impl Disagreement {
    /// Whether both say the same.
    pub fn is_empty(&self) -> bool {
        self.not_in_supabase.is_empty()
            && self.rolled_back_here.is_empty()
            && self.not_registered.is_empty()
    }
}

impl MigrationStatus {
    /// As the column `status` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
        }
    }

    /// From the column; `None` for a word that is none of our own.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Applied, Self::RolledBack, Self::Failed]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

impl HistoryRecord {
    /// Whether `applied_at` and `applied_by` are those of the registration: rollback registers what something else
    /// has applied, and does not learn when. A row that a team wrote itself has its own.
    pub fn is_registration(&self) -> bool {
        self.metadata.up_sql.is_some()
    }

    /// Whether it is in the database.
    pub fn is_applied(&self) -> bool {
        self.status != MigrationStatus::RolledBack
    }

    /// Whether there is something that takes it down. Blanks alone are nothing, as for the functions of the
    /// database, which know no others than these.
    pub fn has_rollback(&self) -> bool {
        let blank = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];
        self.rollback_sql
            .as_deref()
            .is_some_and(|sql| !sql.trim_matches(blank).is_empty())
    }
}

/// What needs what among those that are applied, each name once.
struct Needs<'a> {
    /// By name.
    applied: BTreeSet<&'a RevisionId>,
    /// Of each what needs it.
    dependents: BTreeMap<&'a RevisionId, BTreeSet<&'a RevisionId>>,
}

impl<'a> Needs<'a> {
    fn of(history: &'a History) -> Self {
        let applied: BTreeSet<_> = history
            .records
            .iter()
            .filter(|record| record.is_applied())
            .map(|record| &record.id)
            .collect();
        let mut dependents: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for one in history.needed() {
            if applied.contains(&one.of) && applied.contains(&one.on) {
                dependents.entry(&one.on).or_default().insert(&one.of);
            }
        }
        Self {
            applied,
            dependents,
        }
    }

    /// All that needs `id`, directly or over others, without itself.
    fn above(&self, id: &RevisionId) -> BTreeSet<&'a RevisionId> {
        let mut found = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            for &dependent in self.dependents.get(next).into_iter().flatten() {
                if dependent != id && found.insert(dependent) {
                    open.push(dependent);
                }
            }
        }
        found
    }

    /// The order in which `these` have to go: always the last by name that no other of them needs. Of a set
    /// that has all dependents of its members this is a part of the order of all. The second is what is left
    /// where some need each other in a circle, the last by name first.
    fn removal(
        &self,
        mut these: BTreeSet<&'a RevisionId>,
    ) -> (Vec<&'a RevisionId>, Vec<&'a RevisionId>) {
        let mut order = Vec::with_capacity(these.len());
        loop {
            let free = these.iter().rev().copied().find(|id| {
                let mut dependents = self.dependents.get(id).into_iter().flatten();
                !dependents.any(|dependent| these.contains(dependent))
            });
            let Some(free) = free else {
                return (order, these.into_iter().rev().collect());
            };
            these.remove(free);
            order.push(free);
        }
    }
}

impl History {
    /// The row of a migration.
    pub fn get(&self, id: &RevisionId) -> Option<&HistoryRecord> {
        self.records.iter().find(|record| record.id == *id)
    }

    /// The dependencies that count: what was declared not to be one does not.
    fn needed(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(|one| one.kind != HistoryKind::Independent)
    }

    /// The graph of all that the database and the files know, in the order in which it is applied: by name, and
    /// after all that it depends on. What is not applied comes last.
    ///
    /// A dependency on what is not applied is left out, and told by [`broken`](Self::broken).
    pub fn graph(&self, files: &[MigrationFile]) -> Result<Graph, GraphError> {
        let needs = Needs::of(self);
        let (mut order, circle) = needs.removal(needs.applied.clone());
        if !circle.is_empty() {
            let ids = circle.iter().rev().map(ToString::to_string).collect();
            return Err(GraphError::Cycle { ids });
        }
        order.reverse();
        let mut depends_on: BTreeMap<&RevisionId, BTreeSet<&RevisionId>> = BTreeMap::new();
        for (on, dependents) in &needs.dependents {
            for of in dependents {
                depends_on.entry(of).or_default().insert(on);
            }
        }
        let records: BTreeMap<&RevisionId, &HistoryRecord> = self
            .records
            .iter()
            .map(|record| (&record.id, record))
            .collect();
        let files: BTreeMap<&RevisionId, &MigrationFile> =
            files.iter().map(|file| (&file.id, file)).collect();
        let others: BTreeSet<&RevisionId> = records
            .keys()
            .chain(files.keys())
            .copied()
            .filter(|id| !needs.applied.contains(id))
            .collect();
        let revisions = order.into_iter().chain(others).map(|id| {
            let needed = depends_on.get(id).into_iter().flatten();
            revision(
                id,
                records.get(id).copied(),
                files.get(id).copied(),
                needed.map(|on| on.as_str().to_owned()).collect(),
            )
        });
        Graph::in_sequence(revisions.collect::<Vec<_>>())
    }

    /// The dependencies of what is applied on what is not, the dependent first: nobody should have been able to
    /// take the other one down, or to apply this one.
    pub fn broken(&self) -> Vec<(&RevisionId, &RevisionId)> {
        let needs = Needs::of(self);
        let mut broken: Vec<_> = self
            .needed()
            .filter(|one| needs.applied.contains(&one.of) && !needs.applied.contains(&one.on))
            .map(|one| (&one.of, &one.on))
            .collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    /// Whether a migration can be taken down.
    pub fn verdict(&self, id: &RevisionId) -> Removability {
        let not = |reason: &str, dependents| Removability {
            can_rollback: false,
            reason: reason.to_owned(),
            dependents,
        };
        let Some(record) = self.get(id) else {
            return not(UNKNOWN, Vec::new());
        };
        if !record.is_applied() {
            return not(GONE, Vec::new());
        }
        let needs = Needs::of(self);
        let (mut order, circle) = needs.removal(needs.above(id));
        order.extend(circle);
        let dependents: Vec<RevisionId> = order.into_iter().cloned().collect();
        if record.status == MigrationStatus::Failed {
            return not(FAILED, dependents);
        }
        if !dependents.is_empty() {
            return not(NEEDED, dependents);
        }
        if !record.has_rollback() {
            return not(NO_SQL, dependents);
        }
        Removability {
            can_rollback: true,
            reason: CAN.to_owned(),
            dependents,
        }
    }

    /// Where our table and that of Supabase do not say the same; nothing if Supabase has none.
    pub fn disagreement(&self, files: &[MigrationFile]) -> Disagreement {
        if self.supabase.is_none() {
            return Disagreement::default();
        }
        let of = |is_applied: bool, is_theirs: bool| {
            let found = self.records.iter().filter(|record| {
                record.is_applied() == is_applied
                    && row_of(self, files, &record.id).is_some() == is_theirs
            });
            found.map(|record| record.id.clone()).collect()
        };
        Disagreement {
            not_in_supabase: of(true, false),
            rolled_back_here: of(false, true),
            not_registered: unknown_rows(self, files),
        }
    }
}

fn revision(
    id: &RevisionId,
    record: Option<&HistoryRecord>,
    file: Option<&MigrationFile>,
    depends_on: Vec<String>,
) -> Revision {
    let stored = record.map(|record| &record.metadata);
    let description = stored
        .and_then(|stored| stored.description.clone())
        .or_else(|| file.and_then(|file| file.description.clone()));
    let path = file
        .map(|file| file.path.clone())
        .or_else(|| stored.and_then(|stored| stored.path.clone()));
    let applied = record.filter(|record| record.is_applied());
    let moment = |is_registration: bool| {
        applied
            .filter(|record| record.is_registration() == is_registration)
            .and_then(|record| record.applied_at.clone())
    };
    Revision {
        id: id.as_str().to_owned(),
        depends_on,
        message: description.unwrap_or_else(|| words(id)),
        path,
        created: moment(false),
        registered: moment(true),
        ..Revision::default()
    }
}

/// The words of a name: `20250120_add_tags` is `add tags`.
fn words(id: &RevisionId) -> String {
    let name = id.as_str();
    let rest = match name.strip_prefix(version(id)) {
        Some(rest) if !rest.is_empty() => rest,
        _ => name,
    };
    let words = rest.replace(['_', '-'], " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        name.to_owned()
    } else {
        words
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
