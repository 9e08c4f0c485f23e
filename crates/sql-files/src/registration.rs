//! What is to be written down: which files of a folder, with which dependencies, in which order.

use std::collections::{BTreeMap, BTreeSet};

use super::dependency::{Candidate, DependencyError, dependencies};
use super::file::MigrationFile;
use super::history::{Dependency, History, HistoryKind, HistoryRecord, MigrationStatus};
use super::supabase::{RemoteStatus, remote_status};
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;

/// What `sync` finds of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// It is applied, and was never registered.
    New,
    /// It was rolled back, and Supabase has applied it again.
    Again,
    /// It is registered.
    Same,
    /// It is registered, and the file was changed since.
    Changed,
    /// It was rolled back.
    RolledBack,
    /// Supabase has not applied it.
    NotApplied,
    /// Supabase has applied its version under another name.
    OtherName,
    /// Supabase has applied its version without a name, and several migrations have that version.
    Ambiguous,
}

impl FileStatus {
    /// What is true of a file, by the rows alone. Where Supabase keeps a table, only what is in it is applied.
    pub fn of(file: &MigrationFile, history: &History, files: &[MigrationFile]) -> Self {
        let theirs = remote_status(history, files, &file.id);
        match (history.get(&file.id), theirs) {
            (None, None | Some(RemoteStatus::Applied(_))) => Self::New,
            (None, Some(RemoteStatus::Absent)) => Self::NotApplied,
            (None, Some(RemoteStatus::OtherName(_))) => Self::OtherName,
            (None, Some(RemoteStatus::Ambiguous(_))) => Self::Ambiguous,
            (Some(record), _) if record.is_applied() => {
                if record.checksum.as_deref() == Some(&file.checksum) {
                    Self::Same
                } else {
                    Self::Changed
                }
            }
            (Some(_), Some(RemoteStatus::Applied(_))) => Self::Again,
            (Some(_), _) => Self::RolledBack,
        }
    }

    /// Whether it is to be written down.
    pub fn is_written(self) -> bool {
        matches!(self, Self::New | Self::Again)
    }
}

/// What `register` does to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    /// There was none.
    New,
    /// It said that the migration was rolled back.
    Again,
    /// It said that the rollback failed.
    Mended,
    /// It had another text, or other dependencies.
    Updated,
}

impl FileChange {
    /// By the row that is there.
    pub fn of(record: Option<&HistoryRecord>) -> Self {
        match record.map(|record| record.status) {
            None => Self::New,
            Some(MigrationStatus::RolledBack) => Self::Again,
            Some(MigrationStatus::Failed) => Self::Mended,
            Some(MigrationStatus::Applied) => Self::Updated,
        }
    }
}

/// Why a file cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationIssue {
    /// It needs something that is rolled back.
    #[error("{of} depends on {on}, which is rolled back")]
    RolledBack {
        /// The one that needs it.
        of: RevisionId,
        /// What it needs.
        on: RevisionId,
    },
    /// It needs something that is in the folder and is not registered.
    #[error("{of} depends on {on}, which is not registered")]
    NotRegistered {
        /// The one that needs it.
        of: RevisionId,
        /// What it needs.
        on: RevisionId,
    },
    /// Of the dependencies among all of them.
    #[error("{0}")]
    Dependency(#[from] DependencyError),
}

impl RegistrationIssue {
    /// The one that cannot be written down, where it is one.
    pub fn of(&self) -> Option<&RevisionId> {
        match self {
            Self::RolledBack { of, .. }
            | Self::NotRegistered { of, .. }
            | Self::Dependency(
                DependencyError::Unknown { of, .. }
                | DependencyError::UnknownIndependent { of, .. },
            ) => Some(of),
            Self::Dependency(DependencyError::Cycle(_)) => None,
        }
    }
}

/// Files that are to be written down, among all that is known.
pub struct Registration<'a> {
    /// All files that could be read.
    pub files: &'a [MigrationFile],
    /// Names of files that could not be.
    pub unread: &'a [RevisionId],
    /// The rows as they are.
    pub history: &'a History,
    /// The server.
    pub dialect: Dialect,
}

impl<'a> Registration<'a> {
    /// The dependencies of `these`, and `these` in an order in which each comes after what it depends on.
    pub fn of(
        &self,
        these: &BTreeSet<&'a RevisionId>,
    ) -> Result<(Vec<Dependency>, Vec<&'a MigrationFile>), RegistrationIssue> {
        let files: BTreeMap<&RevisionId, &MigrationFile> =
            self.files.iter().map(|file| (&file.id, file)).collect();
        for of in these {
            for on in files.get(of).into_iter().flat_map(|file| &file.depends_on) {
                if let Some(obstacle) = self.unmet(of, on, these) {
                    return Err(obstacle);
                }
            }
        }
        let all = self.all(these, &files);
        let candidates: Vec<Candidate<'_>> = all
            .iter()
            .map(|one| Candidate {
                id: one.id,
                up: one.up,
                depends_on: &one.depends_on,
                independent_of: &one.independent_of,
            })
            .collect();
        let mut found = dependencies(&candidates, self.dialect)?;
        found.retain(|one| these.contains(&one.of));
        let mut order = Vec::new();
        let mut open: BTreeSet<&RevisionId> = these.clone();
        while let Some(&first) = open.first() {
            let waits = |id: &RevisionId| {
                found.iter().any(|one| {
                    one.of == *id && one.kind != HistoryKind::Independent && open.contains(&one.on)
                })
            };
            // What is inferred beside what is declared may be a circle; then the name decides.
            let next = open.iter().copied().find(|id| !waits(id)).unwrap_or(first);
            open.remove(next);
            order.extend(files.get(next).copied());
        }
        Ok((found, order))
    }

    fn unmet(
        &self,
        of: &RevisionId,
        on: &RevisionId,
        these: &BTreeSet<&RevisionId>,
    ) -> Option<RegistrationIssue> {
        if these.contains(on) {
            return None;
        }
        let (of, on) = (of.clone(), on.clone());
        match self.history.get(&on) {
            Some(record) if record.is_applied() => None,
            Some(_) => Some(RegistrationIssue::RolledBack { of, on }),
            None => {
                let is_there =
                    self.files.iter().any(|file| file.id == on) || self.unread.contains(&on);
                is_there.then_some(RegistrationIssue::NotRegistered { of, on })
            }
        }
    }

    /// All that is applied or will be, by name: as the file has it, else as it was registered.
    fn all<'b>(
        &'b self,
        these: &BTreeSet<&'b RevisionId>,
        files: &BTreeMap<&'b RevisionId, &'b MigrationFile>,
    ) -> Vec<Applied<'b>> {
        let records = self.history.records.iter();
        let applied = records.filter(|record| record.is_applied());
        let ids: BTreeSet<&RevisionId> = applied
            .map(|record| &record.id)
            .chain(these.iter().copied())
            .collect();
        let is_known = |id: &RevisionId| {
            self.history.get(id).is_some() || files.contains_key(id) || self.unread.contains(id)
        };
        let of = |id: &&'b RevisionId| {
            let file = files.get(id).copied();
            let stored = self.history.get(id);
            let is_new = these.contains(id);
            let depends_on: Vec<RevisionId> = match file {
                Some(file) => file.depends_on.clone(),
                None => self
                    .history
                    .dependencies
                    .iter()
                    .filter(|one| one.of == **id && one.kind == HistoryKind::Declared)
                    .map(|one| one.on.clone())
                    .collect(),
            };
            let independent_of = file.map_or(&[][..], |file| &file.independent_of);
            Applied {
                id,
                up: match (file, stored) {
                    (Some(file), _) => &file.up,
                    (None, Some(record)) => record.metadata.up_sql.as_deref().unwrap_or_default(),
                    (None, None) => "",
                },
                depends_on: depends_on
                    .into_iter()
                    .filter(|on| is_new || ids.contains(on))
                    .collect(),
                // What is not applied is not needed, whatever is declared. A name that is none is told.
                independent_of: independent_of
                    .iter()
                    .filter(|on| ids.contains(on) || (is_new && !is_known(on)))
                    .cloned()
                    .collect(),
            }
        };
        ids.iter().map(of).collect()
    }
}

struct Applied<'a> {
    id: &'a RevisionId,
    up: &'a str,
    depends_on: Vec<RevisionId>,
    independent_of: Vec<RevisionId>,
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
