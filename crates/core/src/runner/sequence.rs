//! Several steps in one process, each kept by itself: the engine hands over control before each commit and after it.

use std::ops::{Bound, RangeBounds};
use std::slice::SliceIndex;
use std::time::Instant;

use super::{
    AppliedStep, EndedStep, Heard, Hearing, Measured, PostStepSnapshot, RunnerParts, StoppedStep,
    describes, may_be_tried_again,
};
use crate::effect::{Effect, Verdict};
use crate::engine::{Channel, Ended, EngineError, Judge, Keep, Listener, Sequence, StepRun};
use crate::failpoint;
use crate::journal::Statement;
use crate::outcome::{Cause, Position, SchemaLines, StepDone, Stop};
use crate::plan::{Plan, Step};
use crate::proof::{Doubt, RowEvidence};
use crate::query::Queries;
use crate::revision::Heads;
use crate::schema::fingerprint;

impl RunnerParts<'_> {
    /// Whether each step has a process of its own from the beginning.
    pub(super) fn runs_alone(&mut self) -> bool {
        if !self.options.validate {
            return true;
        }
        match self.engine.shares_a_process() {
            Ok(()) => false,
            Err(why) => {
                self.tell_why_alone(Some(why));
                true
            }
        }
    }

    pub(super) fn tell_why_alone(&mut self, why: Option<String>) {
        if let Some(why) = why {
            self.events
                .aside(&format!("each step has a process of its own: {why}"));
        }
    }

    /// Runs the steps that are left in one process, again as long as one only waited for a lock and left nothing
    /// behind. Where it returns well and not all are done, each of the others needs a process of its own, and why.
    pub(super) fn together(
        &mut self,
        plan: &Plan,
        schema: &mut Option<SchemaLines>,
        done: &mut Vec<StepDone>,
    ) -> Result<Option<String>, Box<StoppedStep>> {
        let retries = self.options.lock_retries;
        let mut attempt = 0;
        let mut at = done.len();
        loop {
            match self.sequence(plan, schema, done) {
                Err(stopped) if matches!(stopped.stop.cause, Cause::Unannounced(_)) => {
                    if let Some(stopped) = self.confirmed(stopped) {
                        return Err(stopped);
                    }
                    self.begun = Some(done.len());
                }
                Err(stopped) if may_be_tried_again(&stopped.stop) => {
                    if stopped.stop.index != at {
                        (at, attempt) = (stopped.stop.index, 0);
                    }
                    if attempt == retries {
                        return Err(stopped);
                    }
                    attempt += 1;
                    self.events
                        .lock_retry(at, attempt, retries, &stopped.stop.blockers);
                    self.let_others_through();
                }
                ended => return ended,
            }
        }
    }

    fn sequence(
        &mut self,
        plan: &Plan,
        schema: &mut Option<SchemaLines>,
        done: &mut Vec<StepDone>,
    ) -> Result<Option<String>, Box<StoppedStep>> {
        let first = done.len();
        let evidence = self.begin(first, &plan.steps[first], schema.as_ref(), true)?;
        let ran = self.in_one_process(plan, first.., Keep::Each, evidence, schema);
        let Some((state, run)) = ran else {
            return Ok(Some("this engine runs each step by itself".to_owned()));
        };
        let SequenceState {
            index,
            done: kept,
            heard,
            evidence,
            started,
            has_begun,
            effect,
            stopped,
            objection,
            left,
        } = state;
        done.extend(kept);
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        if left.is_some() {
            return Ok(left);
        }
        let all = plan.steps.len();
        if index == all {
            return self.after_all(plan, run, schema.as_ref());
        }
        let step = &plan.steps[index];
        // Whoever killed it may not want the step.
        let by_itself = |run: &StepRun| matches!(run.ended, Ended::Exited(_));
        if !has_begun && run.as_ref().is_ok_and(by_itself) {
            return Ok(Some(format!(
                "the process had ended when {} was due",
                step.removes
            )));
        }
        let ended = EndedStep {
            index,
            step,
            started,
            evidence,
            heard: heard.complete(),
            effect,
        };
        match self.ended(ended, run, schema) {
            Ok(finished) => {
                done.push(finished);
                Ok((done.len() < all).then(|| "the engine ended after a step".to_owned()))
            }
            Err(stopped) if objection.is_some() => Err(objected(stopped, objection)),
            // The first one had a process of its own.
            Err(stopped) if index > first && is_worth_a_process(&stopped.stop) => {
                Ok(Some(format!(
                    "{} failed and left nothing, which may be due to the steps before it",
                    step.removes
                )))
            }
            Err(stopped) => Err(stopped),
        }
    }

    /// One step by itself, judged before its commit where the server can take it back. `None` where the engine does
    /// not hand over control: then nothing was run.
    pub(super) fn judged_alone(
        &mut self,
        plan: &Plan,
        index: usize,
        schema: &mut Option<SchemaLines>,
    ) -> Option<Result<StepDone, Box<StoppedStep>>> {
        if !self.options.validate || !self.engine.hands_over_control() {
            return None;
        }
        let step = &plan.steps[index];
        let evidence = match self.begin(index, step, schema.as_ref(), true) {
            Ok(evidence) => evidence,
            Err(stopped) => return Some(Err(stopped)),
        };
        let (state, run) = self.in_one_process(plan, index..=index, Keep::Own, evidence, schema)?;
        let ended = EndedStep {
            index,
            step,
            started: state.started,
            evidence: state.evidence,
            heard: state.heard.complete(),
            effect: state.effect,
        };
        let ended = self.ended(ended, run, schema);
        Some(ended.map_err(|stopped| objected(stopped, state.objection)))
    }

    fn in_one_process(
        &mut self,
        plan: &Plan,
        steps: impl RangeBounds<usize> + SliceIndex<[Step], Output = [Step]>,
        keep: Keep,
        evidence: Result<RowEvidence, Doubt>,
        schema: &mut Option<SchemaLines>,
    ) -> Option<(SequenceState, Result<StepRun, EngineError>)> {
        let first = match steps.start_bound() {
            Bound::Included(first) => *first,
            _ => 0,
        };
        let sequence = Sequence {
            before: &plan.steps[first].heads_before,
            steps: &plan.steps[steps],
            keep,
        };
        let engine = self.engine;
        let timeout = self.options.timeout;
        let mut together = Together {
            plan,
            first,
            parts: RunnerParts {
                graph: self.graph,
                before: None,
                engine,
                verifier: &mut *self.verifier,
                recorder: &mut *self.recorder,
                events: &mut *self.events,
                interrupt: self.interrupt,
                options: self.options,
                begun: None,
                warned: self.warned,
            },
            schema,
            state: SequenceState {
                index: first,
                done: Vec::new(),
                heard: Hearing::default(),
                evidence,
                started: Instant::now(),
                has_begun: false,
                effect: None,
                stopped: None,
                objection: None,
                left: None,
            },
        };
        let run = engine.run_sequence(&sequence, timeout, &mut together)?;
        failpoint::point("after_engine");
        Some((together.state, run))
    }

    /// The end of the process after its last step: what it did since then would have been seen by nobody.
    fn after_all(
        &mut self,
        plan: &Plan,
        run: Result<StepRun, EngineError>,
        schema: Option<&SchemaLines>,
    ) -> Result<Option<String>, Box<StoppedStep>> {
        let index = plan.steps.len() - 1;
        let mut looks = super::StepObservation {
            verifier: &mut *self.verifier,
            snapshot: None,
            before: schema,
            evidence: Err(Doubt::NoEvidence),
            session: None,
            left_nothing: false,
        };
        super::judge(
            self.graph,
            &plan.steps[index],
            run,
            &mut looks,
            self.options,
        )
        .map(|_| None)
        .map_err(|stop| {
            Box::new(StoppedStep {
                stop: stop.at(index, Vec::new()),
                finished: None,
            })
        })
    }
}

/// The engine failed because it was told to: the cause is ours.
fn objected(mut stopped: Box<StoppedStep>, objection: Option<Cause>) -> Box<StoppedStep> {
    if let (Some(cause), Cause::EngineFailed(_)) = (objection, &stopped.stop.cause) {
        stopped.stop.cause = cause;
        stopped.stop.reason = None;
    }
    stopped
}

/// Whether a step that failed beside others may do better by itself.
fn is_worth_a_process(stop: &Stop) -> bool {
    matches!(stop.cause, Cause::EngineFailed(_) | Cause::NotVerified)
        && matches!(stop.position, Position::Unchanged { .. })
}

/// What hears of a sequence and looks at the database in its pauses.
struct Together<'a> {
    plan: &'a Plan,
    /// The place in the plan of the first step of the process.
    first: usize,
    parts: RunnerParts<'a>,
    /// The schema as last seen.
    schema: &'a mut Option<SchemaLines>,
    state: SequenceState,
}

/// How far a process is, and what was seen of it.
struct SequenceState {
    /// The place in the plan of the step that runs, or would be next.
    index: usize,
    done: Vec<StepDone>,
    heard: Hearing,
    /// Of the running step.
    evidence: Result<RowEvidence, Doubt>,
    started: Instant,
    /// Whether the step has begun.
    has_begun: bool,
    /// What the running step did, as measured before its commit.
    effect: Option<Effect>,
    /// The end of the run, which was found in a pause.
    stopped: Option<Box<StoppedStep>>,
    /// Why the running step is rolled back.
    objection: Option<Cause>,
    /// Why the engine does not run the next step in this process.
    left: Option<String>,
}

impl Together<'_> {
    /// Looks at a step that is committed, and at what has to be before the next one. The error is for nobody.
    fn pause(&mut self, index: usize) -> Result<(), Option<Box<StoppedStep>>> {
        let step = self
            .plan
            .steps
            .get(index)
            .filter(|_| index == self.state.index)
            .ok_or(None)?;
        failpoint::point("after_engine");
        let Heard { session, .. } = self.state.heard.of_step();
        let snapshot = self.parts.verifier.snapshot();
        let heads = self.heads(snapshot.as_ref(), step).ok_or(None)?;
        failpoint::point("after_look");
        let found = AppliedStep {
            heads,
            snapshot,
            session,
            started: self.state.started,
            effect: self.state.effect.take(),
        };
        let finished = self.parts.finish(index, step, found, self.schema, Ok(()))?;
        self.state.done.push(finished);
        self.state.index += 1;
        self.state.started = Instant::now();
        self.state.has_begun = false;
        if let Some(next) = self.plan.steps.get(index + 1) {
            let connects = !self.parts.engine.stays_connected();
            self.state.evidence =
                self.parts
                    .begin(index + 1, next, self.schema.as_ref(), connects)?;
        }
        Ok(())
    }

    /// The version rows, if they are those of after the step. Else it is judged when the process is gone.
    fn heads(&mut self, snapshot: Option<&PostStepSnapshot>, step: &Step) -> Option<Heads> {
        let heads = match snapshot {
            Some(snapshot) => snapshot.heads.clone(),
            None => self.parts.verifier.heads(),
        };
        heads
            .ok()
            .filter(|heads| describes(self.parts.graph, heads, &step.heads_after))
    }
}

impl Listener for Together<'_> {
    fn line(&mut self, line: &str) {
        self.parts.events.engine_line(line);
    }

    fn on_debug(&mut self, text: &str) {
        self.parts.events.aside(text);
    }

    fn on_message(&mut self, line: &str, _: &mut dyn Channel) {
        self.state
            .heard
            .told(line, self.parts.engine, &mut *self.parts.events);
    }

    fn left_nothing(&mut self) {
        self.state.heard.left_nothing = true;
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        self.parts.recorder.statement(self.state.index, statement)
    }

    fn schema(&mut self) -> Option<String> {
        self.parts.verifier.schema().as_ref().map(fingerprint)
    }

    fn on_tick(&mut self) {
        self.state.heard.look_around(&mut *self.parts.verifier);
    }
}

impl Together<'_> {
    fn object(&mut self, cause: Cause) -> Result<(), String> {
        let sentence = cause.to_string();
        self.state.objection = Some(cause);
        Err(sentence)
    }
}

impl Judge for Together<'_> {
    fn starting(&mut self, _: usize, transaction: &mut dyn Queries) -> Result<(), String> {
        match self.parts.verifier.begins(self.state.index, transaction) {
            Ok(()) => Ok(()),
            Err(reason) => self.object(Cause::NotMeasured(reason)),
        }
    }

    fn applied(
        &mut self,
        _: usize,
        _: &Heads,
        transaction: &mut dyn Queries,
    ) -> Result<(), String> {
        let measured = self.parts.verifier.measure(self.state.index, transaction);
        failpoint::point("inside_step");
        match measured {
            Err(reason) => self.object(Cause::NotMeasured(reason)),
            Ok(None) => Ok(()),
            Ok(Some(Measured { effect, verdict })) => {
                if let Verdict::Undo(surprises) = verdict {
                    return self.object(Cause::Unannounced(surprises));
                }
                self.state.effect = Some(effect);
                Ok(())
            }
        }
    }

    fn kept(&mut self, index: usize) -> Result<(), String> {
        self.pause(self.first + index).map_err(|stopped| {
            self.state.stopped = stopped;
            "the run ends here".to_owned()
        })
    }

    fn began(&mut self, _: usize) {
        self.state.has_begun = true;
    }

    fn left(&mut self, reason: &str) {
        self.state.left = Some(reason.to_owned());
    }
}
