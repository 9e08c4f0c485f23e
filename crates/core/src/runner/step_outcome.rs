//! What became of a step, by the end of its process and what the database shows.

use super::{Options, PostStepSnapshot, Verifier, describes};
use crate::engine::{Ended, EngineError, StepRun};
use crate::graph::Graph;
use crate::outcome::{Cause, Difference, Position, SchemaLines, Stop};
use crate::plan::Step;
use crate::proof::{Doubt, Proof, RowEvidence, StepSession};
use crate::revision::Heads;

/// What a step is judged by: the snapshot taken after it, or else what is read now.
pub(super) struct StepObservation<'a> {
    pub(super) verifier: &'a mut dyn Verifier,
    pub(super) snapshot: Option<&'a PostStepSnapshot>,
    /// The schema before the step.
    pub(super) before: Option<&'a SchemaLines>,
    /// What was noted before it.
    pub(super) evidence: Result<RowEvidence, Doubt>,
    pub(super) session: Option<StepSession>,
    pub(super) left_nothing: bool,
}

impl StepObservation<'_> {
    pub(super) fn heads(&mut self) -> Result<Heads, String> {
        match self.snapshot {
            Some(snapshot) => snapshot.heads.clone(),
            None => self.verifier.heads(),
        }
    }

    pub(super) fn schema(&mut self) -> Option<SchemaLines> {
        match self.snapshot {
            Some(snapshot) => snapshot.schema.clone(),
            None => self.verifier.schema(),
        }
    }

    /// Where the database is after a step that left the version table as it was.
    pub(super) fn compared(&mut self) -> Position {
        let after = self.schema();
        let difference = Difference::between(self.before, after.as_ref());
        if !difference.is_empty() {
            return Position::HalfDone(difference);
        }
        let schema_compared = self.before.is_some() && after.is_some();
        let doubts = if self.left_nothing {
            Vec::new()
        } else {
            let proof = match &self.evidence {
                Ok(evidence) => self.verifier.proof(evidence, self.session.as_ref()),
                Err(doubt) => Proof::none(doubt.clone()),
            };
            proof.doubts_with(schema_compared)
        };
        if doubts.is_empty() {
            Position::Unchanged { schema_compared }
        } else {
            Position::MayHaveChanged(doubts)
        }
    }
}

/// The heads after a step that went well, or the account of one that did not.
pub(super) fn judge(
    graph: &Graph,
    step: &Step,
    run: Result<StepRun, EngineError>,
    looks: &mut StepObservation<'_>,
    options: Options,
) -> Result<Heads, Box<Stop>> {
    let kept = run.as_ref().ok().and_then(|run| run.kept);
    let (cause, reason, stdout, stderr) = match run {
        Ok(run) => {
            let cause = match run.ended {
                Ended::Exited(0) if !options.validate => return Ok(step.heads_after.clone()),
                Ended::Exited(0) => Cause::NotVerified,
                Ended::Exited(_) if run.lock_timeout => Cause::LockTimeout,
                Ended::Exited(_) if let Some((at, of)) = run.statement => {
                    Cause::StatementFailed { at, of }
                }
                Ended::Exited(status) => Cause::EngineFailed(status),
                Ended::Signalled(signal) => Cause::EngineKilled(signal),
                Ended::TimedOut => Cause::TimedOut(options.timeout.unwrap_or_default()),
                Ended::Interrupted => Cause::InterruptedTwice,
            };
            (cause, run.reason, run.stdout, run.stderr)
        }
        Err(error) => (
            Cause::EngineNotStarted(error.summary),
            None,
            error.stdout,
            error.stderr,
        ),
    };
    let position = match looks.heads() {
        Err(reason) => Position::Unknown { reason },
        Ok(heads) if describes(graph, &heads, &step.heads_after) => {
            if cause == Cause::NotVerified {
                return Ok(heads);
            }
            Position::StepHappened
        }
        Ok(heads) if describes(graph, &heads, &step.heads_before) => {
            match kept {
                // What they did to rows is in no schema.
                Some((done, of)) => Position::InTheMiddle {
                    done,
                    of,
                    difference: Difference::between(looks.before, looks.schema().as_ref()),
                },
                None => looks.compared(),
            }
        }
        Ok(heads) => Position::Elsewhere { heads },
    };
    Err(Box::new(Stop {
        index: 0,
        cause,
        position,
        reason,
        stdout,
        stderr,
        blockers: Vec::new(),
        schema_before: looks.before.cloned(),
        may_be_others: false,
    }))
}
