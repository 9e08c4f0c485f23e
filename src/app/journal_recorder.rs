//! The record of a run.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::CommandContext;
use super::unfinished::ResumedRun;
use crate::error::{Exit, Failure, io_hint};
use crate::store::{Journal, Store, StoreError};
use rollback_core::backup::Manifest;
use rollback_core::effect::Effect;
use rollback_core::engine::Ended;
use rollback_core::failpoint;
use rollback_core::journal::{self, AtomicEnd, Begun, Checked, Entry, Run, RunBackup, Statement};
use rollback_core::lock::Operator;
use rollback_core::outcome::{RunOutcome, StepDone};
use rollback_core::plan::Step;
use rollback_core::proof::RowEvidence;
use rollback_core::runner::Recorder;
use rollback_core::schema::SchemaLines;
use rollback_core::secret::mask;

/// The record of the project.
pub(crate) fn store(context: &CommandContext<'_>) -> Store {
    match &context.settings.state_dir {
        Some(named) => Store::new(context.dir.join(named), context.now).named(),
        None => Store::new(context.dir.join(".rollback"), context.now),
    }
}

pub(crate) fn reopen(store: &Store, run: &Run) -> Result<Journal, Failure> {
    store
        .reopen(&run.begun.run)
        .map_err(|error| store_failure(&error))
}

pub(crate) fn append(journal: &mut Journal, entry: Entry) -> Result<(), Failure> {
    journal.append(entry).map_err(|error| store_failure(&error))
}

pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::user(format!("the record of the run cannot be kept: {error}"));
    match error {
        StoreError::Io { source, .. } => failure.hint(format!(
            "{}, or keep the records elsewhere: --state-dir <dir>",
            io_hint(source.kind())
        )),
        StoreError::Newer { .. } => Failure {
            exit: Exit::Refused,
            message: format!("the record of an earlier run cannot be read: {error}"),
            ..failure
        }
        .because("whether that run is finished, and on which database, is not known")
        .hint("install the newer version, or move the folder of that run elsewhere if it is over"),
        StoreError::Gone { .. } => {
            failure.hint("see where the database stands: rollback current")
        }
        StoreError::Damaged { .. } => failure.hint(
            "was it written by a newer version? Look at the file; to put it aside, rename its folder",
        ),
    }
}

pub(crate) fn digest(schema: &SchemaLines) -> String {
    rollback_core::schema::fingerprint(schema)
}

/// Writes down what the loop does.
pub(crate) struct RunRecorder {
    journal: Journal,
    /// The steps that were done before this part of the run.
    offset: usize,
    /// The rows that the evidence of the steps has counted so far, so that each entry has only what is new.
    counted: BTreeMap<String, u64>,
}

impl RunRecorder {
    /// Of a run that begins now, with the checks that were made before it.
    pub(crate) fn begin(
        store: &Store,
        begun: Begun,
        checks: Vec<Checked>,
    ) -> Result<Self, Failure> {
        let journal = store.begin(begun).map_err(|error| store_failure(&error))?;
        failpoint::point("after_begun");
        let mut record = Self {
            journal,
            offset: 0,
            counted: BTreeMap::new(),
        };
        if !checks.is_empty() {
            record.add(Entry::Checked { step: None, checks })?;
        }
        Ok(record)
    }

    /// Of a run that goes on.
    pub(crate) fn go_on(
        store: &Store,
        mut resumed: ResumedRun,
        checks: Vec<Checked>,
    ) -> Result<Self, Failure> {
        let mut journal = reopen(store, &resumed.run)?;
        for entry in resumed.take_entries() {
            append(&mut journal, entry)?;
            failpoint::point("after_resumed");
        }
        if !checks.is_empty() {
            append(&mut journal, Entry::Checked { step: None, checks })?;
        }
        resumed.discard_the_useless();
        let offset = resumed.run.begun.removes.len() - resumed.plan.steps.len();
        Ok(Self {
            journal,
            offset,
            counted: BTreeMap::new(),
        })
    }

    /// A backup was made for the run.
    pub(crate) fn backed_up(&mut self, backup: &RunBackup) -> Result<(), Failure> {
        append(
            &mut self.journal,
            Entry::BackedUp {
                manifest: Box::new(backup.manifest.clone()),
                before: Some(backup.before),
            },
        )?;
        failpoint::point("after_backed_up");
        Ok(())
    }

    /// The backup was put back, and that is verified. The error is a sentence.
    pub(crate) fn restored(
        &mut self,
        manifest: &Manifest,
        by: &Operator,
        elapsed: Duration,
    ) -> Result<(), String> {
        self.write(Entry::Restored {
            backup: manifest.id.clone(),
            by: by.clone(),
            heads: manifest.heads.clone(),
            seconds: journal::seconds(elapsed),
            other_database: None,
        })
    }

    /// From here on all steps are done or none; `copy` is what would be put back.
    pub(crate) fn as_a_whole(&mut self, copy: Option<&Path>) -> Result<(), Failure> {
        let copy = copy.map(|copy| copy.display().to_string());
        append(&mut self.journal, Entry::Whole { copy })?;
        failpoint::point("after_whole");
        Ok(())
    }

    /// A file for the engines of this run to keep open.
    pub(crate) fn engine_lock(&self) -> Result<Arc<File>, Failure> {
        self.journal
            .engine_lock()
            .map(Arc::new)
            .map_err(|error| store_failure(&error))
    }

    /// Where it is written.
    pub(crate) fn path(&self) -> String {
        self.journal.path().display().to_string()
    }

    /// How many steps were done before this part of the run.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Writes an entry that is none of the loop's.
    pub(crate) fn add(&mut self, entry: Entry) -> Result<(), Failure> {
        append(&mut self.journal, entry)
    }

    /// The last entries of this part of the run: how it ended, after `what_there_is` then.
    pub(crate) fn end(
        &mut self,
        what_there_is: Vec<Entry>,
        report: &RunOutcome,
        exit: Exit,
    ) -> Result<(), Failure> {
        failpoint::point("before_ended");
        let ended = Entry::Ended {
            exit_code: exit.code(),
            cause: report
                .stop
                .as_ref()
                .map(|stop| mask(&stop.cause.to_string(), None)),
            heads: report.current.clone(),
        };
        self.journal
            .append_all(what_there_is.into_iter().chain([ended]))
            .map_err(|error| store_failure(&error))
    }

    /// What the version table shows as well: the disk is waited for with the intent of the next step, or the end.
    fn note(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), String> {
        self.journal
            .write(entries)
            .map_err(|error| error.to_string())
    }

    fn write(&mut self, entry: Entry) -> Result<(), String> {
        self.journal
            .append(entry)
            .map_err(|error| error.to_string())
    }
}

impl Recorder for RunRecorder {
    fn intent(
        &mut self,
        index: usize,
        step: &Step,
        _: &SchemaLines,
        evidence: Option<&RowEvidence>,
    ) -> Result<(), String> {
        let evidence = evidence
            .cloned()
            .map(|evidence| evidence.without(&mut self.counted));
        self.write(Entry::Intent {
            step: self.offset + index,
            removes: step.removes.to_string(),
            evidence,
        })
    }

    fn statement(&mut self, index: usize, statement: &Statement) -> Result<(), String> {
        self.write(Entry::Statement {
            step: self.offset + index,
            statement: statement.clone(),
        })
    }

    fn engine_ended(&mut self, index: usize, ended: &Ended) -> Result<(), String> {
        self.note([Entry::EngineEnded {
            step: self.offset + index,
            ended: format!("{ended:?}"),
        }])
    }

    fn done(
        &mut self,
        index: usize,
        done: &StepDone,
        after: &SchemaLines,
        checks: Vec<Checked>,
    ) -> Result<(), String> {
        let step = self.offset + index;
        let done = Entry::Done {
            step,
            removes: done.removes.to_string(),
            heads: done.heads.clone(),
            // Without validation nothing was read, and nothing can be compared later.
            difference: (!after.is_empty()).then(|| done.difference.clone()),
            effect: done.effect.clone().map(Effect::without_schema),
            schema: digest(after),
            seconds: journal::seconds(done.elapsed),
        };
        let checked = (!checks.is_empty()).then_some(Entry::Checked {
            step: Some(step),
            checks,
        });
        self.note([Some(done), checked].into_iter().flatten())
    }

    fn checked(&mut self, index: Option<usize>, checks: Vec<Checked>) -> Result<(), String> {
        self.write(Entry::Checked {
            step: index.map(|index| self.offset + index),
            checks,
        })
    }

    fn committing(&mut self, steps: &[(StepDone, SchemaLines)]) -> Result<(), String> {
        let finished = |(index, (done, after)): (usize, &(StepDone, SchemaLines))| AtomicEnd {
            step: self.offset + index,
            removes: done.removes.to_string(),
            heads: done.heads.clone(),
            difference: done.difference.clone(),
            schema: digest(after),
            seconds: journal::seconds(done.elapsed),
        };
        let steps = steps.iter().enumerate().map(finished).collect();
        self.write(Entry::Committing { steps })
    }

    fn taken_back(&mut self) -> Result<(), String> {
        self.write(Entry::TakenBack)
    }
}
