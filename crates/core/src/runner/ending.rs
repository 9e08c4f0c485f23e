//! The end of a step, from the look at the database to the record.

use std::time::Instant;

use super::listening::Heard;
use super::step_outcome::{StepObservation, judge};
use super::{
    Findings, Measured, PostStepSnapshot, RunnerParts, SCHEMA, StoppedStep, VERSION_TABLE,
};
use crate::checks::Removed;
use crate::effect::{Effect, Surprise, Verdict};
use crate::engine::{Ended, EngineError, StepRun};
use crate::failpoint;
use crate::journal::Checked;
use crate::outcome::{Cause, Difference, SchemaLines, StepDone};
use crate::plan::Step;
use crate::proof::{Doubt, RowEvidence, StepSession};
use crate::revision::Heads;

impl RunnerParts<'_> {
    /// A step whose process is over, from the look at the database to the record.
    pub(super) fn ended(
        &mut self,
        ran: EndedStep<'_>,
        run: Result<StepRun, EngineError>,
        schema: &mut Option<SchemaLines>,
    ) -> Result<StepDone, Box<StoppedStep>> {
        let EndedStep {
            index,
            step,
            started,
            evidence,
            heard,
            effect,
        } = ran;
        let recorded = match &run {
            Ok(run) => self.recorder.engine_ended(index, &run.ended),
            Err(_) => Ok(()),
        };
        let succeeded = run.as_ref().is_ok_and(|run| run.ended == Ended::Exited(0));
        // After a failure each piece is looked at by itself, since one may be out of reach.
        let snapshot = if succeeded && self.options.validate {
            self.verifier.snapshot()
        } else {
            None
        };
        let heads = judge(
            self.graph,
            step,
            run,
            &mut StepObservation {
                verifier: &mut *self.verifier,
                snapshot: snapshot.as_ref(),
                before: schema.as_ref(),
                evidence,
                session: heard.session.clone(),
                left_nothing: heard.left_nothing,
            },
            self.options,
        )
        .map_err(|stop| {
            Box::new(StoppedStep {
                stop: stop.at(index, heard.blockers),
                finished: None,
            })
        })?;
        failpoint::point("after_look");
        let seen = AppliedStep {
            heads,
            snapshot,
            session: heard.session,
            started,
            effect,
        };
        self.finish(index, step, seen, schema, recorded)
    }

    /// What is looked at and written down after a step that the version table shows as done.
    pub(super) fn finish(
        &mut self,
        index: usize,
        step: &Step,
        found: AppliedStep,
        schema: &mut Option<SchemaLines>,
        recorded: Result<(), String>,
    ) -> Result<StepDone, Box<StoppedStep>> {
        let AppliedStep {
            heads,
            snapshot,
            session,
            started,
            effect,
        } = found;
        let (after, health) = match snapshot {
            Some(snapshot) => (snapshot.schema, snapshot.health),
            None if self.options.validate => (self.verifier.schema(), None),
            None => (None, None),
        };
        let difference = Difference::between(schema.as_ref(), after.as_ref());
        let removed = Removed {
            session: session.as_ref(),
            judged: effect.as_ref(),
            ..Removed::default()
        };
        let found = if self.options.validate {
            self.verifier.faults(step, &difference, health, removed)
        } else {
            Findings::default()
        };
        for warning in &found.warnings {
            self.events.warning(warning);
        }
        let (effect, verdict) = self.measured(index, effect, schema.as_ref(), after.as_ref());
        let surprises = self.told(verdict);
        let mut looks = Vec::new();
        if self.options.validate {
            looks.push(Checked::new(VERSION_TABLE, None));
        }
        looks.extend(after.as_ref().map(|_| Checked::new(SCHEMA, None)));
        let finished = StepDone {
            removes: step.removes.clone(),
            heads,
            difference,
            effect,
            elapsed: started.elapsed(),
        };
        let looks = self.looks(looks);
        let none = SchemaLines::new();
        let after_it = after.as_ref().unwrap_or(&none);
        let recorded =
            recorded.and_then(|()| self.recorder.done(index, &finished, after_it, looks));
        failpoint::point("after_done");
        *schema = after;
        self.events.step_finished(index, &finished);
        let cause = match recorded {
            Err(reason) => Cause::NotRecorded(reason),
            Ok(()) if !found.faults.is_empty() => Cause::CheckFailed(found.faults),
            Ok(()) if !surprises.is_empty() => Cause::Unannounced(surprises),
            Ok(()) => return Ok(finished),
        };
        // Rows that were counted after the commit may have been removed by others.
        let counted = matches!(&cause, Cause::Unannounced(surprises) if surprises.iter().any(Surprise::is_of_rows));
        let mut stopped = StoppedStep::between(index, cause, Some(finished));
        stopped.stop.may_be_others = found.may_be_others || counted;
        Err(stopped)
    }

    /// What a step that is done did, and whether it should have been.
    fn measured(
        &mut self,
        index: usize,
        effect: Option<Effect>,
        before: Option<&SchemaLines>,
        after: Option<&SchemaLines>,
    ) -> (Option<Effect>, Verdict) {
        let schema = Difference::between(before, after);
        if let Some(effect) = effect {
            let effect = Effect { schema, ..effect };
            let verdict = match self.verifier.judge(index, &effect) {
                // Nothing of another connection is seen inside the transaction.
                keep @ Verdict::Keep { .. } if self.verifier.may_act_elsewhere(index) => {
                    let measured =
                        self.verifier
                            .measure_afterwards(index, before, after, &effect.schema);
                    let elsewhere = match measured.map(|measured| measured.verdict) {
                        Some(Verdict::Undo(surprises)) => effect.elsewhere(surprises),
                        _ => Vec::new(),
                    };
                    if elsewhere.is_empty() {
                        keep
                    } else {
                        Verdict::Undo(elsewhere)
                    }
                }
                verdict => verdict,
            };
            return (Some(effect), verdict);
        }
        let nothing = Verdict::Keep { notes: Vec::new() };
        if !self.options.validate {
            return (None, nothing);
        }
        match self
            .verifier
            .measure_afterwards(index, before, after, &schema)
        {
            Some(Measured { effect, verdict }) => (Some(effect), verdict),
            None => (None, nothing),
        }
    }

    /// Tells what was kept although the plan did not name it. Gives what may not be.
    fn told(&mut self, verdict: Verdict) -> Vec<Surprise> {
        match verdict {
            Verdict::Keep { notes } => {
                for note in notes {
                    self.events.unannounced(&note);
                }
                Vec::new()
            }
            Verdict::Undo(surprises) => surprises,
        }
    }
}

/// A step that the engine is done with.
pub(super) struct EndedStep<'a> {
    pub(super) index: usize,
    pub(super) step: &'a Step,
    pub(super) started: Instant,
    pub(super) evidence: Result<RowEvidence, Doubt>,
    pub(super) heard: Heard,
    /// As it was measured inside the transaction.
    pub(super) effect: Option<Effect>,
}

/// A step that the version table shows as done.
pub(super) struct AppliedStep {
    pub(super) heads: Heads,
    pub(super) snapshot: Option<PostStepSnapshot>,
    pub(super) session: Option<StepSession>,
    pub(super) started: Instant,
    pub(super) effect: Option<Effect>,
}
