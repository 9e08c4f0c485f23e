//! The record of a run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Context;
use super::downgrade_safe::DowngradeSafeArgs;
use super::session::Session;
use super::unfinished::TakenUp;
use crate::domain::journal::{self, Begun, Entry, Finished, Run};
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Report, StepDone};
use crate::domain::schema::Schema;
use crate::engine::Ended;
use crate::error::{Exit, Failure};
use crate::fault;
use crate::runner::Recorder;
use crate::store::{Journal, Store, StoreError};

/// The record of the project.
pub(super) fn store(context: &Context<'_>) -> Store {
    let named = context
        .settings
        .state_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(".rollback"));
    Store::new(context.dir.join(named), context.now)
}

pub(super) fn reopen(store: &Store, run: &Run) -> Result<Journal, Failure> {
    store
        .reopen(&run.begun.run)
        .map_err(|error| store_failure(&error))
}

pub(super) fn append(journal: &mut Journal, entry: Entry) -> Result<(), Failure> {
    journal.append(entry).map_err(|error| store_failure(&error))
}

pub(super) fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::user(format!("the record of the run cannot be kept: {error}"));
    match error {
        StoreError::Io { .. } => {
            failure.hint("make room there, or keep it elsewhere: --state-dir DIR")
        }
        StoreError::Damaged { .. } => failure.hint(
            "was it written by a newer version? Look at the file; to put it aside, rename its folder",
        ),
    }
}

pub(super) fn digest(schema: &Schema) -> String {
    crate::domain::schema::fingerprint(schema)
}

/// Writes down what the loop does.
pub(super) struct Record {
    journal: Journal,
    /// The steps that were done before this part of the run.
    offset: usize,
}

impl Record {
    /// Of a run that begins now.
    pub(super) fn begin(
        args: &DowngradeSafeArgs,
        context: &Context<'_>,
        session: &mut Session,
        store: &Store,
        run: &str,
        plan: &Plan,
    ) -> Result<Self, Failure> {
        let typed = args.target.clone().unwrap_or_default();
        let begun = Begun {
            run: run.to_owned(),
            database_key: session.database_key(),
            database: session.place(),
            target: plan.restated_target.clone().unwrap_or(typed),
            removes: plan
                .steps
                .iter()
                .map(|step| step.removes.to_string())
                .collect(),
            arguments: plan
                .steps
                .iter()
                .map(|step| step.argument.clone())
                .collect(),
            by: context.operator.clone(),
            reason: args.reason.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            engine: session.engine_name(),
            heads: plan.current.clone(),
            schema: session.schema().unwrap_or_default(),
            ..Begun::default()
        };
        let journal = store.begin(begun).map_err(|error| store_failure(&error))?;
        fault::point("after_begun");
        Ok(Self { journal, offset: 0 })
    }

    /// Of a run that goes on.
    pub(super) fn go_on(store: &Store, mut taken_up: TakenUp) -> Result<Self, Failure> {
        let mut journal = reopen(store, &taken_up.run)?;
        for entry in taken_up.take_entries() {
            append(&mut journal, entry)?;
            fault::point("after_resumed");
        }
        taken_up.discard_the_useless();
        let offset = taken_up.run.begun.removes.len() - taken_up.plan.steps.len();
        Ok(Self { journal, offset })
    }

    /// From here on all steps are done or none; `copy` is what would be put back.
    pub(super) fn as_a_whole(&mut self, copy: Option<&Path>) -> Result<(), Failure> {
        let copy = copy.map(|copy| copy.display().to_string());
        append(&mut self.journal, Entry::Whole { copy })?;
        fault::point("after_whole");
        Ok(())
    }

    /// A file for the engines of this run to keep open.
    pub(super) fn engine_lock(&self) -> Result<Arc<File>, Failure> {
        self.journal
            .engine_lock()
            .map(Arc::new)
            .map_err(|error| store_failure(&error))
    }

    /// Where it is written.
    pub(super) fn path(&self) -> String {
        self.journal.path().display().to_string()
    }

    /// The last entry of this part of the run.
    pub(super) fn end(&mut self, report: &Report, exit: Exit) -> Result<(), Failure> {
        fault::point("before_ended");
        append(
            &mut self.journal,
            Entry::Ended {
                exit_code: exit.code(),
                cause: report.stop.as_ref().map(|stop| stop.cause.to_string()),
                heads: report.current.clone(),
            },
        )
    }

    fn write(&mut self, entry: Entry) -> Result<(), String> {
        self.journal
            .append(entry)
            .map_err(|error| error.to_string())
    }
}

impl Recorder for Record {
    fn intent(&mut self, index: usize, step: &Step, _: &Schema) -> Result<(), String> {
        self.write(Entry::Intent {
            step: self.offset + index,
            removes: step.removes.to_string(),
        })
    }

    fn engine_ended(&mut self, index: usize, ended: &Ended) -> Result<(), String> {
        self.write(Entry::EngineEnded {
            step: self.offset + index,
            ended: format!("{ended:?}"),
        })
    }

    fn done(&mut self, index: usize, done: &StepDone, after: &Schema) -> Result<(), String> {
        self.write(Entry::Done {
            step: self.offset + index,
            removes: done.removes.to_string(),
            heads: done.heads.clone(),
            // Without validation nothing was read, and nothing can be compared later.
            difference: (!after.is_empty()).then(|| done.difference.clone()),
            schema: digest(after),
            seconds: journal::seconds(done.elapsed),
        })
    }
    fn committing(&mut self, steps: &[(StepDone, Schema)]) -> Result<(), String> {
        let finished = |(index, (done, after)): (usize, &(StepDone, Schema))| Finished {
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
