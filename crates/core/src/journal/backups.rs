//! The backups of a run: which of them brings back what, and where the run stands after a restore.

use serde::{Deserialize, Serialize};

use super::{AtomicRun, End, Run, Statement};
use crate::backup::Manifest;
use crate::revision::Heads;
use crate::schema::SchemaLines;

/// What a backup was made before, and so what a restore of it brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupMoment {
    /// The command under `rollback guard`.
    Command,
    /// The first step of the run.
    Run,
    /// A resume: some steps of the run were begun before it.
    Resume,
}

impl BackupMoment {
    /// As it completes "the backup was made ".
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Command => "before the command",
            Self::Run => "before the run",
            Self::Resume => "before the resume",
        }
    }

    /// The state that a restore brings back, as it completes "the database is ".
    pub fn state(self) -> &'static str {
        match self {
            Self::Command => "as it was before the command",
            Self::Run => "as it was before the run",
            Self::Resume => "as it was when the run was resumed",
        }
    }

    /// Since when a restore discards what was written, as it completes "what was written since ".
    pub fn since(self) -> &'static str {
        match self {
            Self::Command => "the command began",
            Self::Run => "the run began",
            Self::Resume => "the run was resumed",
        }
    }
}

/// A backup that was made for a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunBackup {
    /// What it is.
    pub manifest: Manifest,
    /// What it was made before.
    pub before: BackupMoment,
    /// Where the run stood.
    pub(super) progress: BackupProgress,
}

/// Where a run stands, as its journal has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct BackupProgress {
    done: usize,
    in_flight: Option<usize>,
    statement: Option<Statement>,
    heads: Heads,
    schema: Option<SchemaLines>,
    other_form: bool,
    whole: Option<AtomicRun>,
}

impl RunBackup {
    /// One that is no part of a journal yet.
    pub fn new(manifest: Manifest, before: BackupMoment) -> Self {
        Self {
            manifest,
            before,
            progress: BackupProgress::default(),
        }
    }
}

/// The backup to which a run goes back: the one from before the command or the first step, however often the
/// run was resumed since; and without one, the one from before its first resume that made one.
pub fn to_go_back(backups: &[RunBackup]) -> Option<&RunBackup> {
    [
        BackupMoment::Command,
        BackupMoment::Run,
        BackupMoment::Resume,
    ]
    .into_iter()
    .find_map(|moment| backups.iter().find(|backup| backup.before == moment))
}

impl Run {
    /// What a backup is made before that is made now: nothing of a run is done as long as no step of it was begun,
    /// or all that was done is proven to be rolled back.
    pub fn backup_moment(&self) -> BackupMoment {
        if self.touched {
            BackupMoment::Resume
        } else {
            BackupMoment::Run
        }
    }

    /// How many of its steps were done when a backup was made.
    pub fn done_before(&self, backup: &str) -> Option<usize> {
        let made = self.backup_called(backup)?;
        Some(match made.before {
            BackupMoment::Resume => made.progress.done,
            BackupMoment::Command | BackupMoment::Run => 0,
        })
    }

    /// Whether a restore of this backup leaves the run where a resume began, instead of ending it.
    pub fn is_resumed_from(&self, backup: &str) -> bool {
        self.backup_called(backup)
            .is_some_and(|made| made.before == BackupMoment::Resume)
    }

    fn backup_called(&self, id: &str) -> Option<&RunBackup> {
        self.backups.iter().find(|made| made.manifest.id == id)
    }

    pub(super) fn backed_up(&mut self, manifest: Manifest, before: Option<BackupMoment>) {
        let before = before.unwrap_or_else(|| self.backup_moment());
        let progress = BackupProgress {
            done: self.done,
            in_flight: self.in_flight,
            statement: self.statement.clone(),
            heads: self.heads.clone(),
            schema: self.schema.clone(),
            other_form: self.other_form,
            whole: self.whole.clone(),
        };
        self.backups.push(RunBackup {
            manifest,
            before,
            progress,
        });
    }

    pub(super) fn restored(&mut self, backup: &str, heads: Heads) {
        let resumed_from = self
            .backup_called(backup)
            .filter(|made| made.before == BackupMoment::Resume)
            .map(|made| made.progress.clone());
        let Some(progress) = resumed_from else {
            self.heads = heads;
            self.end = Some(End::Restored);
            return;
        };
        self.done = progress.done;
        self.in_flight = progress.in_flight;
        self.statement = progress.statement;
        self.heads = progress.heads;
        self.schema = progress.schema;
        self.other_form = progress.other_form;
        self.whole = progress.whole;
        self.end = None;
    }
}
