//! Migrations one after the other, each kept by itself and on PostgreSQL judged before its commit.

use std::time::{Duration, Instant};

use super::range::Connected;
use super::step::{StatementOutcome, StepError};
use super::{RunningScript, SqlFiles, not_run};
use crate::script_mode::{ScriptMode, way};
use rollback_core::dialect::Dialect;
use rollback_core::engine::{Engine as _, EngineError, Judge, Keep, Sequence, StepRun};
use rollback_core::failpoint;
use rollback_core::plan::Step as Planned;
use rollback_sql::script::Statement;

/// Deferred constraints and triggers run at the commit otherwise, when nothing is judged any more.
const IMMEDIATE: &str = "SET CONSTRAINTS ALL IMMEDIATE";

impl SqlFiles {
    /// Over one connection where its session can be reset after each, and else over one for each.
    pub(super) fn one_by_one(
        &self,
        range: &Sequence<'_>,
        timeout: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Result<StepRun, EngineError> {
        let started = Instant::now();
        let mut open = None;
        let mut ran = None;
        for (index, planned) in range.steps.iter().enumerate() {
            let (script, statements) = self.script(&planned.removes)?;
            let execution = match open.take() {
                Some(open) => open,
                None => (self.connect)().map_err(not_run)?,
            };
            if range.keep == Keep::Each {
                judge.began(index);
            }
            let mut connected = Connected::new(self, execution, timeout);
            let outcome = connected.one((index, planned), script, &statements, judge, started);
            let mut execution = connected.execution;
            if !outcome.is_success() {
                drop(execution);
                return self.told(Some(&planned.removes), outcome);
            }
            open = execution.renew().then_some(execution);
            ran = Some(outcome.told()?);
            if range.keep != Keep::Each || judge.kept(index).is_err() {
                break;
            }
            if self.stays_connected() && open.is_none() {
                judge.left("the session cannot be reset");
                break;
            }
        }
        ran.ok_or_else(|| not_run("there is nothing to run".to_owned()))
    }
}

impl Connected<'_> {
    fn one(
        &mut self,
        planned: (usize, &Planned),
        script: &RunningScript,
        statements: &[Statement],
        judge: &mut dyn Judge,
        started: Instant,
    ) -> StatementOutcome {
        let engine = self.engine;
        let dialect = engine.tables.dialect;
        let id = &planned.1.removes;
        let mut step = self.step(judge);
        let mut ended = step.alone(dialect);
        if ended.is_ok() {
            ended = match way(statements, dialect) {
                ScriptMode::PerStatement(_) => {
                    engine.statement_by_statement(&mut step, id, script, statements)
                }
                ScriptMode::Transactional if dialect == Dialect::Postgres => {
                    let ended = self.judged(planned, script, statements, judge);
                    step = self.step(judge);
                    if ended.is_err() {
                        step.roll_back();
                    }
                    failpoint::point("after_commit");
                    ended
                }
                ScriptMode::Transactional => {
                    engine.in_one_transaction(&mut step, id, script, statements)
                }
            };
        }
        step.ended(ended, started)
    }

    fn judged(
        &mut self,
        (index, planned): (usize, &Planned),
        script: &RunningScript,
        statements: &[Statement],
        judge: &mut dyn Judge,
    ) -> Result<(), StepError> {
        let engine = self.engine;
        self.step(judge)
            .ours("begin a transaction", engine.begin())?;
        judge
            .starting(index, &mut self.look())
            .map_err(StepError::Objection)?;
        let mut step = self.step(judge);
        engine.inside(&mut step, &planned.removes, script, statements)?;
        step.ours("check what is deferred", IMMEDIATE)?;
        judge
            .applied(index, &planned.heads_after, &mut self.look())
            .map_err(StepError::Objection)?;
        failpoint::point("before_commit");
        self.step(judge).ours("commit", "COMMIT").map(drop)
    }
}
