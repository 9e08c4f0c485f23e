//! What is judged inside the engine's transaction, before anything of it is committed.

use std::time::{Duration, Instant};

use super::{Following, Measured, Recorder, SCHEMA, VERSION_TABLE, describes};
use crate::blocker::Blocker;
use crate::checks::Removed;
use crate::effect::{Effect, Verdict};
use crate::engine::{Channel, Judge, Listener};
use crate::failpoint;
use crate::graph::Graph;
use crate::interrupt::Interrupt;
use crate::journal::Checked;
use crate::outcome::{Cause, Difference, SchemaLines, StepDone};
use crate::plan::Plan;
use crate::proof::StepSession;
use crate::query::Queries;
use crate::revision::Heads;

/// Judges each step of a range as a step of its own is judged, through the engine's transaction.
pub(super) struct TransactionJudge<'a> {
    plan: &'a Plan,
    graph: &'a Graph,
    recorder: &'a mut dyn Recorder,
    interrupt: &'a Interrupt,
    following: Following<'a>,
    /// The schema as last seen.
    schema: Option<SchemaLines>,
    /// Those that are done, each with the schema after it.
    applied: Vec<(StepDone, SchemaLines)>,
    /// Why everything is rolled back, and at which step.
    objection: Option<(usize, Cause)>,
    since: Instant,
}

/// What came of a range, as seen inside.
pub(super) struct RangeObservations {
    pub(super) applied: Vec<(StepDone, SchemaLines)>,
    pub(super) objection: Option<(usize, Cause)>,
    pub(super) blockers: Vec<Blocker>,
    /// What is known of the transactions of the engine.
    pub(super) session: Option<StepSession>,
    /// Whether it is known that nothing is left.
    pub(super) left_nothing: bool,
}

impl<'a> TransactionJudge<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        graph: &'a Graph,
        recorder: &'a mut dyn Recorder,
        interrupt: &'a Interrupt,
        following: Following<'a>,
    ) -> Self {
        following.verifier.forget_inside();
        Self {
            plan,
            graph,
            recorder,
            interrupt,
            following,
            schema: None,
            applied: Vec::new(),
            objection: None,
            since: Instant::now(),
        }
    }

    pub(super) fn seen(self) -> RangeObservations {
        let heard = self.following.heard();
        RangeObservations {
            applied: self.applied,
            objection: self.objection,
            blockers: heard.blockers,
            session: heard.session,
            left_nothing: heard.left_nothing,
        }
    }

    /// The sentence goes to the engine, whose traceback ends with it.
    fn object(&mut self, index: usize, cause: Cause) -> Result<(), String> {
        let sentence = match &cause {
            Cause::CheckFailed(faults) => faults.join("; "),
            cause => cause.to_string(),
        };
        self.objection = Some((index, cause));
        Err(sentence)
    }

    fn begins(&mut self, index: usize, transaction: &mut dyn Queries) -> Result<(), String> {
        match self.following.verifier.begins(index, transaction) {
            Ok(()) => Ok(()),
            Err(reason) => self.object(index, Cause::NotMeasured(reason)),
        }
    }

    /// Measures a step that was looked at; the error is why it must not be kept.
    fn measure(&mut self, index: usize, transaction: &mut dyn Queries) -> Result<(), Cause> {
        let verifier = &mut *self.following.verifier;
        let measured = verifier
            .measure(index, transaction)
            .map_err(Cause::NotMeasured)?;
        let (Some(Measured { effect, verdict }), Some((done, _))) =
            (measured, self.applied.last_mut())
        else {
            return Ok(());
        };
        if let Verdict::Undo(surprises) = verdict {
            return Err(Cause::Unannounced(surprises));
        }
        let schema = done.difference.clone();
        let effect = Effect { schema, ..effect };
        match verifier.judge(index, &effect) {
            Verdict::Undo(surprises) => return Err(Cause::Unannounced(surprises)),
            Verdict::Keep { notes } => {
                for note in notes {
                    self.following.events.unannounced(&note);
                }
            }
        }
        done.effect = Some(effect);
        Ok(())
    }

    /// Looks at a step that the engine calls done.
    fn step(
        &mut self,
        index: usize,
        transaction: &mut dyn Queries,
    ) -> Result<Vec<String>, Vec<String>> {
        let unseen =
            |reason: &str| vec![format!("the transaction cannot be looked into: {reason}")];
        let step = self
            .plan
            .steps
            .get(index)
            .filter(|_| index == self.applied.len())
            .ok_or_else(|| unseen("the engine is somewhere else"))?;
        let mut verifier = self
            .following
            .verifier
            .inside(transaction)
            .ok_or_else(|| unseen("there is no connection of our own"))?;
        let heads = verifier.heads().map_err(|reason| unseen(&reason))?;
        if !describes(self.graph, &heads, &step.heads_after) {
            return Err(unseen("the version table does not hold what it should"));
        }
        let schema = verifier.schema().ok_or_else(|| unseen("no schema"))?;
        let difference = Difference::between(self.schema.as_ref(), Some(&schema));
        let found = verifier.faults(step, &difference, None, Removed::default());
        let looks = [VERSION_TABLE, SCHEMA].map(|name| Checked::new(name, None));
        let looks = looks.into_iter().chain(verifier.checked()).collect();
        drop(verifier);
        // Where it cannot be written, neither can what has to be before the commit.
        let _ = self.recorder.checked(Some(index), looks);
        let now = Instant::now();
        let done = StepDone {
            removes: step.removes.clone(),
            heads,
            difference,
            effect: None,
            elapsed: now - std::mem::replace(&mut self.since, now),
        };
        for warning in &found.warnings {
            self.following.events.warning(warning);
        }
        self.following.events.step_applied(index, &done);
        self.schema = Some(schema.clone());
        self.applied.push((done, schema));
        Ok(found.faults)
    }
}

impl Listener for TransactionJudge<'_> {
    fn line(&mut self, line: &str) {
        self.following.line(line);
    }

    fn on_message(&mut self, line: &str, channel: &mut dyn Channel) {
        self.following.on_message(line, channel);
    }

    fn left_nothing(&mut self) {
        self.following.left_nothing();
    }

    fn on_tick(&mut self) {
        self.following.on_tick();
    }
}

impl Judge for TransactionJudge<'_> {
    fn begun(&mut self, transaction: &mut dyn Queries) -> Result<(), String> {
        let verifier = self.following.verifier.inside(transaction);
        self.schema = verifier.and_then(|mut verifier| verifier.schema());
        if self.schema.is_none() {
            let reason = "the schema cannot be read inside the transaction";
            return self.object(0, Cause::CheckFailed(vec![reason.to_owned()]));
        }
        self.begins(0, transaction)
    }

    fn applied(
        &mut self,
        index: usize,
        _: &Heads,
        transaction: &mut dyn Queries,
    ) -> Result<(), String> {
        let faults = self
            .step(index, transaction)
            .unwrap_or_else(|faults| faults);
        failpoint::point("inside_step");
        if !faults.is_empty() {
            return self.object(index, Cause::CheckFailed(faults));
        }
        if let Err(cause) = self.measure(index, transaction) {
            return self.object(index, cause);
        }
        let Some(next) = self.plan.steps.get(index + 1) else {
            return Ok(());
        };
        if self.interrupt.count() > 0 {
            return self.object(index + 1, Cause::Interrupted);
        }
        self.following.events.step_started(index + 1, next);
        self.begins(index + 1, transaction)
    }

    fn finished(&mut self, transaction: &mut dyn Queries) -> Result<(), String> {
        let last = self.plan.steps.len().saturating_sub(1);
        let (faults, looks) = match self.following.verifier.inside(transaction) {
            Some(mut verifier) => (verifier.faults_at_the_end(), verifier.checked()),
            None => (
                vec!["the transaction cannot be looked into".to_owned()],
                Vec::new(),
            ),
        };
        if !looks.is_empty() {
            let _ = self.recorder.checked(None, looks);
        }
        if !faults.is_empty() {
            return self.object(last, Cause::CheckFailed(faults));
        }
        failpoint::point("before_committing");
        if let Err(reason) = self.recorder.committing(&self.applied) {
            return self.object(last, Cause::NotRecorded(reason));
        }
        failpoint::point("after_committing");
        Ok(())
    }
}

impl RangeObservations {
    /// What the last step left.
    pub(super) fn last_schema(&self) -> Option<&SchemaLines> {
        self.applied.last().map(|(_, schema)| schema)
    }

    /// The step that was under way at the end.
    pub(super) fn at(&self, steps: usize) -> usize {
        match &self.objection {
            Some((index, _)) => *index,
            None => self.applied.len().min(steps.saturating_sub(1)),
        }
    }
}

/// The time limit of a range: that of a step, for each.
pub(super) fn for_all(limit: Option<Duration>, steps: usize) -> Option<Duration> {
    limit.map(|limit| limit * u32::try_from(steps).unwrap_or(u32::MAX))
}
