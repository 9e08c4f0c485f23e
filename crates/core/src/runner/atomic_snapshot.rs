//! The whole range or nothing of it where no transaction can do it: a copy is put back.

use super::{Recorder, RunnerParts, run};
use crate::engine::Ended;
use crate::failpoint;
use crate::journal::Checked;
use crate::outcome::{Difference, Outcome, Position, RunOutcome, SchemaLines, StepDone};
use crate::plan::{Plan, Step};
use crate::proof::RowEvidence;

/// Records that steps are done only when all are: until then they may be rolled back.
struct Deferred<'a> {
    recorder: &'a mut dyn Recorder,
    done: Vec<(usize, StepDone, SchemaLines)>,
}

impl Recorder for Deferred<'_> {
    fn intent(
        &mut self,
        index: usize,
        step: &Step,
        before: &SchemaLines,
        evidence: Option<&RowEvidence>,
    ) -> Result<(), String> {
        if index == 0 {
            self.recorder.intent(index, step, before, evidence)
        } else {
            Ok(())
        }
    }

    fn engine_ended(&mut self, _: usize, _: &Ended) -> Result<(), String> {
        Ok(())
    }

    fn done(
        &mut self,
        index: usize,
        done: &StepDone,
        after: &SchemaLines,
        checks: Vec<Checked>,
    ) -> Result<(), String> {
        self.done.push((index, done.clone(), after.clone()));
        if checks.is_empty() {
            return Ok(());
        }
        self.recorder.checked(Some(index), checks)
    }

    fn checked(&mut self, index: Option<usize>, checks: Vec<Checked>) -> Result<(), String> {
        self.recorder.checked(index, checks)
    }
}

/// Runs the plan as [`run`] does; where it does not come to its end, `put_back` brings the database
/// back to what it was, which is then read from it. The error is a sentence.
pub fn run_with_snapshot(
    plan: &Plan,
    parts: &mut RunnerParts<'_>,
    put_back: impl FnOnce() -> Result<(), String>,
) -> (RunOutcome, Result<(), String>) {
    let before = parts.schema_before();
    let mut deferred = Deferred {
        recorder: &mut *parts.recorder,
        done: Vec::new(),
    };
    let mut report = run(
        plan,
        &mut RunnerParts {
            graph: parts.graph,
            before: before.clone(),
            engine: parts.engine,
            verifier: &mut *parts.verifier,
            recorder: &mut deferred,
            events: &mut *parts.events,
            interrupt: parts.interrupt,
            options: parts.options,
            begun: None,
            warned: None,
        },
    );
    if report.outcome() == Outcome::Done {
        let done = deferred.done;
        failpoint::point("before_committing");
        let recorded = record(plan, parts.recorder, &done);
        return (
            report,
            recorded.map_err(|reason| {
                format!("everything was done, and the record cannot be kept: {reason}")
            }),
        );
    }
    failpoint::point("before_put_back");
    if let Err(reason) = put_back() {
        return (report, Err(reason));
    }
    failpoint::point("after_put_back");
    let heads = match parts.verifier.heads() {
        Ok(heads) => heads,
        Err(reason) => return (report, Err(reason)),
    };
    let after = parts.verifier.schema();
    let proven = before.is_some()
        && after.is_some()
        && Difference::between(before.as_ref(), after.as_ref()).is_empty();
    if heads != plan.current || !proven {
        report.current = Some(heads);
        let reason = "what was put back does not read as it did before the first step";
        return (report, Err(reason.to_owned()));
    }
    report.current = Some(heads);
    report.done = Vec::new();
    report.undone = true;
    if let Some(stop) = &mut report.stop {
        stop.position = Position::Unchanged {
            schema_compared: true,
        };
    }
    // Without the entry, going on with the run finds out by itself.
    let _ = parts.recorder.taken_back();
    (report, Ok(()))
}

fn record(
    plan: &Plan,
    recorder: &mut dyn Recorder,
    done: &[(usize, StepDone, SchemaLines)],
) -> Result<(), String> {
    let steps: Vec<(StepDone, SchemaLines)> = done
        .iter()
        .map(|(_, step, after)| (step.clone(), after.clone()))
        .collect();
    recorder.committing(&steps)?;
    failpoint::point("after_committing");
    let mut before: Option<&SchemaLines> = None;
    for (index, step, after) in done {
        // The first one's intent is in the record since it began.
        if let (Some(before), Some(planned)) = (before, plan.steps.get(*index)) {
            recorder.intent(*index, planned, before, None)?;
        }
        recorder.engine_ended(*index, &Ended::Exited(0))?;
        recorder.done(*index, step, after, Vec::new())?;
        failpoint::point("after_recorded");
        before = Some(after);
    }
    Ok(())
}
