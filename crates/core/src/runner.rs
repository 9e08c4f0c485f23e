//! The loop: run one step, look at the database, go on or stop.
//!
//! It knows the engine and the database as traits only, so that the order of its effects is tested
//! without either.

mod atomic_snapshot;
mod atomic_transaction;
mod ending;
mod listening;
mod sequence;
mod step_outcome;
mod traits;
mod transaction_judge;

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::failpoint;
use crate::graph::Graph;
use crate::interrupt::Interrupt;
use crate::journal::Checked;
use crate::outcome::{Cause, Position, RunOutcome, SchemaLines, StepDone, Stop};
use crate::plan::{Plan, Step};
use crate::proof::{Doubt, RowEvidence};
use crate::revision::Heads;

pub use self::atomic_snapshot::run_with_snapshot;
pub use self::atomic_transaction::run_in_transaction;
use self::ending::{AppliedStep, EndedStep};
use self::listening::{Following, Heard, Hearing};
use self::step_outcome::{StepObservation, judge};
pub use self::traits::{Events, Findings, Measured, PostStepSnapshot, Recorder, Verifier};

/// Between two attempts of a step that timed out waiting for a lock.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether to look at the database after each step that the engine calls successful.
    pub validate: bool,
    /// The longest time one step may take.
    pub timeout: Option<Duration>,
    /// How often a step is run again that timed out waiting for a lock and left nothing behind.
    pub lock_retries: u32,
    /// From what age on an open transaction is worth a warning.
    pub old_transaction: Duration,
}

/// All that a run works with.
pub struct RunnerParts<'a> {
    /// The revisions of the code.
    pub graph: &'a Graph,
    /// The schema before the first step, where it was read just now.
    pub before: Option<SchemaLines>,
    /// What takes a revision back.
    pub engine: &'a dyn Engine,
    /// What looks at the database.
    pub verifier: &'a mut dyn Verifier,
    /// What keeps the record.
    pub recorder: &'a mut dyn Recorder,
    /// What hears of the progress.
    pub events: &'a mut dyn Events,
    /// The operator's signals.
    pub interrupt: &'a Interrupt,
    /// How to run.
    pub options: Options,
    /// A step that was told to begin already and is tried in another way.
    pub begun: Option<usize>,
    /// When old transactions were last looked for.
    pub warned: Option<Instant>,
}

/// Runs the plan, newest step first, to its end or to the first thing that is not as predicted.
pub fn run(plan: &Plan, parts: &mut RunnerParts<'_>) -> RunOutcome {
    let started = Instant::now();
    let mut done = Vec::new();
    let mut stop = None;
    let mut schema = if parts.options.validate {
        parts.schema_before()
    } else {
        None
    };
    let mut alone = parts.runs_alone();
    while let Some(step) = plan.steps.get(done.len()) {
        let ran = if alone {
            parts
                .step(plan, done.len(), step, &mut schema)
                .map(|finished| done.push(finished))
        } else {
            parts.together(plan, &mut schema, &mut done).map(|why| {
                alone = true;
                parts.begun = Some(done.len());
                parts.tell_why_alone(why);
            })
        };
        if let Err(stopped) = ran {
            let StoppedStep { stop: at, finished } = *stopped;
            done.extend(finished);
            parts.events.stopped(&at, &plan.steps[at.index]);
            stop = Some(at);
            break;
        }
    }
    let current = match (&stop, done.last()) {
        (
            Some(Stop {
                position: Position::Unknown { .. },
                ..
            }),
            _,
        ) => None,
        // Just read; on the plain road reading again would start the engine once more.
        (
            None
            | Some(Stop {
                cause: Cause::Interrupted,
                ..
            }),
            Some(last),
        ) if parts.options.validate => Some(last.heads.clone()),
        _ => parts.verifier.heads().ok(),
    };
    let came_to_its_end = stop.is_none();
    if came_to_its_end {
        stop = not_at_the_end(plan, parts.graph, current.as_ref());
    }
    let stands = Checked::new(
        VERSION_TABLE,
        stop.as_ref().map(|stop| stop.cause.to_string()),
    );
    if let (None, Some(last)) = (&stop, plan.steps.last()) {
        let faults = parts.verifier.faults_at_the_end();
        if !faults.is_empty() {
            // The last step is done, and so are all others.
            let last_done = done.last().cloned();
            let at =
                StoppedStep::between(plan.steps.len() - 1, Cause::CheckFailed(faults), last_done);
            let at = at.stop;
            parts.events.stopped(&at, last);
            stop = Some(at);
        }
    }
    if came_to_its_end && !plan.steps.is_empty() {
        // The last entry of the record follows, and says so where it cannot be written.
        let looks = parts.looks(vec![stands]);
        let _ = parts.recorder.checked(None, looks);
    }
    RunOutcome {
        planned: plan.steps.len(),
        undone: false,
        done,
        stop,
        current,
        validated: parts.options.validate,
        verifier: parts.verifier.name(),
        elapsed: started.elapsed(),
    }
}

/// What the loop itself looks at after each step, as the record calls it.
const VERSION_TABLE: &str = "version table";

/// The same of the schema, which is read and compared with what it was.
const SCHEMA: &str = "schema";

/// Whether the step waited for a lock, and it is proven that nothing of it is left.
fn may_be_tried_again(stop: &Stop) -> bool {
    stop.cause == Cause::LockTimeout && matches!(stop.position, Position::Unchanged { .. })
}

/// The end of a run at a step, which may itself be finished.
struct StoppedStep {
    stop: Stop,
    finished: Option<StepDone>,
}

impl StoppedStep {
    /// Ends the run before or after a step, at a revision boundary.
    fn between(index: usize, cause: Cause, finished: Option<StepDone>) -> Box<Self> {
        let position = match finished {
            Some(_) => Position::StepHappened,
            None => Position::Unchanged {
                schema_compared: false,
            },
        };
        let stop = Stop {
            index,
            cause,
            position,
            reason: None,
            stdout: String::new(),
            stderr: String::new(),
            blockers: Vec::new(),
            schema_before: None,
            may_be_others: false,
        };
        Box::new(Self { stop, finished })
    }
}

impl RunnerParts<'_> {
    /// The schema before the first step.
    fn schema_before(&mut self) -> Option<SchemaLines> {
        let read = self.before.take();
        read.or_else(|| self.verifier.schema())
    }

    /// One step, run again as long as it only waited for a lock and left nothing behind. `schema` is
    /// that of before, and of after when it returns well.
    fn step(
        &mut self,
        plan: &Plan,
        index: usize,
        step: &Step,
        schema: &mut Option<SchemaLines>,
    ) -> Result<StepDone, Box<StoppedStep>> {
        let retries = self.options.lock_retries;
        for attempt in 1..=retries {
            match self.attempt(plan, index, step, schema) {
                Err(stopped) if may_be_tried_again(&stopped.stop) => {
                    self.events
                        .lock_retry(index, attempt, retries, &stopped.stop.blockers);
                    self.let_others_through();
                }
                result => return result,
            }
        }
        self.attempt(plan, index, step, schema)
    }

    /// What was looked at, our own looks first.
    fn looks(&mut self, mut own: Vec<Checked>) -> Vec<Checked> {
        own.extend(self.verifier.checked());
        own
    }

    /// Not again within a second: the look takes longer than a small step.
    fn warn_of_open_transactions(&mut self) {
        if self
            .warned
            .is_some_and(|at| at.elapsed() < Duration::from_secs(1))
        {
            return;
        }
        self.warned = Some(Instant::now());
        let old = self.verifier.blockers(self.options.old_transaction);
        if !old.is_empty() {
            self.events.open_transactions(&old);
        }
    }

    /// Whoever queued behind the step that gave up has its turn now.
    fn let_others_through(&self) {
        let since = Instant::now();
        while since.elapsed() < BETWEEN_ATTEMPTS && self.interrupt.count() == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is looked at and written down before a step, which may be about to connect. Gives what shows later whether
    /// the step left anything.
    fn begin(
        &mut self,
        index: usize,
        step: &Step,
        schema: Option<&SchemaLines>,
        connects: bool,
    ) -> Result<Result<RowEvidence, Doubt>, Box<StoppedStep>> {
        if self.interrupt.count() > 0 {
            return Err(StoppedStep::between(index, Cause::Interrupted, None));
        }
        self.verifier
            .may_go_on(connects)
            .map_err(|cause| StoppedStep::between(index, cause, None))?;
        let evidence = self.verifier.evidence();
        let none = SchemaLines::new();
        self.recorder
            .intent(index, step, schema.unwrap_or(&none), evidence.as_ref().ok())
            .map_err(|reason| StoppedStep::between(index, Cause::NotRecorded(reason), None))?;
        failpoint::point("after_intent");
        self.warn_of_open_transactions();
        if self.begun.take() != Some(index) {
            self.events.step_started(index, step);
        }
        Ok(evidence)
    }

    /// One step from the look before it to the record after it. One that would have been rolled back for nothing is
    /// run once more.
    fn attempt(
        &mut self,
        plan: &Plan,
        index: usize,
        step: &Step,
        schema: &mut Option<SchemaLines>,
    ) -> Result<StepDone, Box<StoppedStep>> {
        loop {
            match self.judged_alone(plan, index, schema) {
                Some(Ok(finished)) => return Ok(finished),
                Some(Err(stopped)) => match self.confirmed(stopped) {
                    Some(stopped) => return Err(stopped),
                    None => self.begun = Some(index),
                },
                None => return self.unjudged(index, step, schema),
            }
        }
    }

    /// A step that the engine runs without handing over control.
    fn unjudged(
        &mut self,
        index: usize,
        step: &Step,
        schema: &mut Option<SchemaLines>,
    ) -> Result<StepDone, Box<StoppedStep>> {
        let started = Instant::now();
        let evidence = self.begin(index, step, schema.as_ref(), true)?;
        let mut following = Following::new(self.engine, &mut *self.events, &mut *self.verifier)
            .recording(index, &mut *self.recorder);
        let run = self
            .engine
            .downgrade(&step.argument, self.options.timeout, &mut following);
        let heard = following.heard();
        failpoint::point("after_engine");
        let ran = EndedStep {
            index,
            step,
            started,
            evidence,
            heard,
            effect: None,
        };
        self.ended(ran, run, schema)
    }

    /// What is left of the end of a run after what a step would have lost was counted; `None` if that is nothing.
    fn confirmed(&mut self, mut stopped: Box<StoppedStep>) -> Option<Box<StoppedStep>> {
        self.is_confirmed(&mut stopped.stop).then_some(stopped)
    }

    fn is_confirmed(&mut self, stop: &mut Stop) -> bool {
        let (Cause::Unannounced(surprises), Position::Unchanged { .. }) =
            (&mut stop.cause, &stop.position)
        else {
            return true;
        };
        let left = self.verifier.confirm(std::mem::take(surprises));
        *surprises = left;
        !surprises.is_empty()
    }
}

/// Whether two sets of version rows stand for the same applied revisions.
fn describes(graph: &Graph, rows: &Heads, predicted: &Heads) -> bool {
    graph.describe_the_same(rows, predicted)
}

/// A run without validation trusts exit statuses; its end is looked at anyway.
fn not_at_the_end(plan: &Plan, graph: &Graph, current: Option<&Heads>) -> Option<Stop> {
    let position = match current {
        Some(heads) if describes(graph, heads, plan.final_heads()) => return None,
        Some(heads) => Position::Elsewhere {
            heads: heads.clone(),
        },
        None => Position::Unknown {
            reason: "the version table cannot be read".to_owned(),
        },
    };
    Some(Stop {
        index: plan.steps.len().saturating_sub(1),
        cause: Cause::NotVerified,
        position,
        reason: None,
        stdout: String::new(),
        stderr: String::new(),
        blockers: Vec::new(),
        schema_before: None,
        may_be_others: false,
    })
}

#[cfg(test)]
mod tests;
