//! Several migrations in one transaction, each judged in there before the next one.

use std::time::{Duration, Instant};

use super::step::{Deadline, SqlStep, StepError};
use super::{SqlFiles, not_run};
use crate::script_mode::{ScriptMode, way};
use rollback_core::engine::{EngineError, Judge, Sequence, StepRun};
use rollback_core::failpoint;
use rollback_core::plan::Step as Planned;
use rollback_core::query::{Execution, Queries, QueryError, RunError, TextRows};
use rollback_core::revision::RevisionId;

/// What a judge asks is rolled back to here.
const HERE: &str = "rollback_look";

/// A script may set something for its session, which is not for the next one.
const RESET: [&str; 2] = ["RESET ROLE", "RESET ALL"];

impl SqlFiles {
    /// Why a migration cannot be one of several in one transaction, a sentence; `None` where it can.
    pub fn not_in_a_transaction(&self, id: &RevisionId) -> Option<String> {
        let (script, statements) = match self.script(id) {
            Ok(found) => found,
            Err(error) => return Some(error.summary),
        };
        let ScriptMode::PerStatement(alone) = way(&statements, self.tables.dialect) else {
            return None;
        };
        let why = alone.first().map(|alone| {
            format!(
                "{}:{}: {}, {}",
                script.source,
                script.line + alone.line.saturating_sub(1),
                alone.text,
                alone.reason
            )
        });
        Some(format!(
            "{id} cannot run in a transaction: {}",
            why.unwrap_or_else(|| "this server has none for it".to_owned())
        ))
    }

    pub(super) fn as_one(
        &self,
        range: &Sequence<'_>,
        timeout: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Result<StepRun, EngineError> {
        let started = Instant::now();
        for planned in range.steps {
            if let Some(why) = self.not_in_a_transaction(&planned.removes) {
                return Err(not_run(why));
            }
        }
        let execution = (self.connect)().map_err(not_run)?;
        let mut whole = Connected::new(self, execution, timeout);
        let mut at = None;
        let done = whole.run(range.steps, judge, &mut at);
        if done.is_err() {
            whole.step(judge).roll_back();
        }
        failpoint::point("after_commit");
        let outcome = whole.step(judge).ended(done, started);
        drop(whole);
        self.told(at.as_ref(), outcome)
    }
}

/// A connection and what ends its steps before their end.
pub(super) struct Connected<'a> {
    pub(super) engine: &'a SqlFiles,
    pub(super) execution: Box<dyn Execution>,
    watch: Deadline<'a>,
}

impl<'a> Connected<'a> {
    pub(super) fn new(
        engine: &'a SqlFiles,
        execution: Box<dyn Execution>,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            engine,
            execution,
            watch: Deadline::new(&engine.interrupt, timeout),
        }
    }

    pub(super) fn step<'b>(&'b mut self, judge: &'b mut dyn Judge) -> SqlStep<'b, 'a> {
        SqlStep::new(self.execution.as_mut(), &mut self.watch, judge)
    }

    pub(super) fn look(&mut self) -> OpenTransaction<'_, 'a> {
        OpenTransaction {
            execution: self.execution.as_mut(),
            watch: &mut self.watch,
        }
    }

    /// Takes all of them down; `at` is the one under way.
    fn run(
        &mut self,
        planned: &[Planned],
        judge: &mut dyn Judge,
        at: &mut Option<RevisionId>,
    ) -> Result<(), StepError> {
        let engine = self.engine;
        let mut step = self.step(judge);
        step.alone(engine.tables.dialect)?;
        let limit = step.ours("ask for the lock timeout", "SHOW lock_timeout")?;
        let limit = limit.into_iter().flatten().flatten().next();
        step.ours("begin a transaction", engine.begin())?;
        judge
            .begun(&mut self.look())
            .map_err(StepError::Objection)?;
        for (index, planned) in planned.iter().enumerate() {
            let id = &planned.removes;
            *at = Some(id.clone());
            let (script, statements) = engine
                .script(id)
                .map_err(|error| StepError::Said(error.summary))?;
            let mut step = self.step(judge);
            engine.inside(&mut step, id, script, &statements)?;
            for sql in RESET {
                step.ours("reset the session", sql)?;
            }
            if let Some(limit) = &limit {
                step.ours(
                    "set the lock timeout",
                    &format!("SET lock_timeout = '{limit}'"),
                )?;
            }
            judge
                .applied(index, &planned.heads_after, &mut self.look())
                .map_err(StepError::Objection)?;
        }
        judge
            .finished(&mut self.look())
            .map_err(StepError::Objection)?;
        failpoint::point("before_commit");
        self.step(judge).ours("commit", "COMMIT").map(drop)
    }
}

/// The open transaction, which questions can be put to.
pub(super) struct OpenTransaction<'b, 'a> {
    execution: &'b mut dyn Execution,
    watch: &'b mut Deadline<'a>,
}

impl OpenTransaction<'_, '_> {
    fn run(&mut self, sql: &str) -> Result<TextRows, QueryError> {
        let watch = &mut *self.watch;
        let answer = self.execution.run(sql, &mut || watch.is_not_over());
        answer.map_err(|RunError { code, reason, .. }| QueryError { code, reason })
    }
}

impl Queries for OpenTransaction<'_, '_> {
    fn rows(&mut self, statements: &[&str]) -> Result<TextRows, QueryError> {
        self.run(&format!("SAVEPOINT {HERE}"))?;
        let mut answer = Ok(TextRows::new());
        for sql in statements {
            answer = self.run(sql);
            if answer.is_err() {
                break;
            }
        }
        self.run(&format!("ROLLBACK TO SAVEPOINT {HERE}"))?;
        self.run(&format!("RELEASE SAVEPOINT {HERE}"))?;
        answer
    }
}
