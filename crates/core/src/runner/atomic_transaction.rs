//! The whole range or nothing of it: one process, one transaction, one revision after the other.

use std::time::Instant;

use super::transaction_judge::{RangeObservations, TransactionJudge, for_all};
use super::{
    Following, RunnerParts, SCHEMA, StepObservation, StoppedStep, VERSION_TABLE, judge,
    may_be_tried_again,
};
use crate::engine::{EngineError, Keep, Sequence};
use crate::failpoint;
use crate::journal::Checked;
use crate::outcome::{Cause, Difference, Position, RunOutcome, SchemaLines, StepDone, Stop};
use crate::plan::{Plan, Step};

/// Runs the plan inside one transaction of the engine. Each step is judged in there, and nothing is
/// committed that was not found right; what came of it is read from version table and schema when the
/// engine is gone.
///
/// The time limit counts for each step, so the range has as many times as long.
pub fn run_in_transaction(plan: &Plan, parts: &mut RunnerParts<'_>) -> RunOutcome {
    let started = Instant::now();
    let before = parts.schema_before();
    let retries = parts.options.lock_retries;
    let mut attempt = 0;
    let end = loop {
        match once(plan, parts, before.as_ref()) {
            Err(stop) if attempt < retries && may_be_tried_again(&stop) => {
                attempt += 1;
                parts
                    .events
                    .lock_retry(stop.index, attempt, retries, &stop.blockers);
                parts.let_others_through();
            }
            Err(mut stop) => {
                // Else what was measured is nothing, and the whole is run once more.
                if parts.is_confirmed(&mut stop) {
                    break Err(stop);
                }
            }
            end @ Ok(_) => break end,
        }
    };
    let (done, stop) = match end {
        Ok((done, stop)) => (done, stop),
        Err(stop) => (Vec::new(), Some(*stop)),
    };
    if let Some(stop) = &stop
        && let Some(step) = plan.steps.get(stop.index)
    {
        parts.events.stopped(stop, step);
    }
    let current = match (&stop, done.last()) {
        (None, Some(last)) => Some(last.heads.clone()),
        _ => parts.verifier.heads().ok(),
    };
    let undone = done.is_empty()
        && matches!(
            stop,
            Some(Stop {
                position: Position::Unchanged { .. },
                ..
            })
        );
    if undone {
        // Without the entry, going on with the run finds out by itself.
        let _ = parts.recorder.taken_back();
    }
    RunOutcome {
        planned: plan.steps.len(),
        undone,
        done,
        stop,
        current,
        validated: true,
        verifier: parts.verifier.name(),
        elapsed: started.elapsed(),
    }
}

/// The steps that were done, with the end of the run where a check failed after them.
type TransactionEnd = Result<(Vec<StepDone>, Option<Stop>), Box<Stop>>;

fn once(plan: &Plan, parts: &mut RunnerParts<'_>, before: Option<&SchemaLines>) -> TransactionEnd {
    let between = |cause| Box::new(StoppedStep::between(0, cause, None).stop);
    let (Some(first), Some(last)) = (plan.steps.first(), plan.steps.last()) else {
        return Ok((Vec::new(), None));
    };
    if parts.interrupt.count() > 0 {
        return Err(between(Cause::Interrupted));
    }
    let none = SchemaLines::new();
    parts.verifier.may_go_on(true).map_err(between)?;
    let evidence = parts.verifier.evidence();
    parts
        .recorder
        .intent(0, first, before.unwrap_or(&none), evidence.as_ref().ok())
        .map_err(|reason| between(Cause::NotRecorded(reason)))?;
    parts.warn_of_open_transactions();

    failpoint::point("after_intent");
    let mut options = parts.options;
    options.validate = true;
    options.timeout = for_all(options.timeout, plan.steps.len());
    parts.events.step_started(0, first);
    let sequence = Sequence {
        before: &plan.current,
        steps: &plan.steps,
        keep: Keep::End,
    };
    let mut inside = TransactionJudge::new(
        plan,
        parts.graph,
        &mut *parts.recorder,
        parts.interrupt,
        Following::new(parts.engine, &mut *parts.events, &mut *parts.verifier),
    );
    let run = parts
        .engine
        .run_sequence(&sequence, options.timeout, &mut inside)
        .unwrap_or_else(|| Err(no_way()));
    let mut seen = inside.seen();
    failpoint::point("after_engine");
    let recorded = match &run {
        Ok(run) => parts.recorder.engine_ended(0, &run.ended),
        Err(_) => Ok(()),
    };
    // To the version table the range is one step.
    let whole = Step {
        heads_before: plan.current.clone(),
        heads_after: plan.final_heads().clone(),
        ..last.clone()
    };
    let index = seen.at(plan.steps.len());
    let blockers = std::mem::take(&mut seen.blockers);
    let mut looks = StepObservation {
        verifier: &mut *parts.verifier,
        snapshot: None,
        before,
        evidence,
        session: seen.session.take(),
        left_nothing: seen.left_nothing,
    };
    let heads = judge(parts.graph, &whole, run, &mut looks, options)
        .map_err(|stop| Box::new(objected(stop.at(index, blockers), &seen)))?;

    let after = parts.verifier.schema();
    let mut faults = not_as_inside(seen.last_schema(), after.as_ref());
    let looks = vec![
        Checked::new(VERSION_TABLE, None),
        Checked::new(SCHEMA, (!faults.is_empty()).then(|| faults.join("; "))),
    ];
    if let Some((_, Cause::CheckFailed(found))) = seen.objection {
        // An engine that commits what it was told to roll back.
        faults.extend(found);
    }
    let mut recorded = recorded;
    let mut done = Vec::new();
    for (index, (mut step, schema)) in seen.applied.into_iter().enumerate() {
        if index == plan.steps.len() - 1 {
            step.heads.clone_from(&heads);
        }
        let recorder = &mut *parts.recorder;
        recorded = recorded.and_then(|()| {
            if index > 0 {
                // The first one's intent is in the record since it began.
                recorder.intent(index, &plan.steps[index], &schema, None)?;
            }
            recorder.done(index, &step, &schema, Vec::new())
        });
        failpoint::point("after_done");
        done.push(step);
    }
    let recorded = recorded.and_then(|()| parts.recorder.checked(None, looks));
    parts.events.committed(&done);
    let cause = match recorded {
        Err(reason) => Cause::NotRecorded(reason),
        Ok(()) if !faults.is_empty() => Cause::CheckFailed(faults),
        Ok(()) => return Ok((done, None)),
    };
    let mut stop = StoppedStep::between(plan.steps.len() - 1, cause, None).stop;
    stop.position = Position::StepHappened;
    Ok((done, Some(stop)))
}

/// The engine fails because it was told to: the reason is ours.
fn objected(stop: Stop, seen: &RangeObservations) -> Stop {
    match (&seen.objection, &stop.cause) {
        (Some((_, cause)), Cause::EngineFailed(_)) => Stop {
            cause: cause.clone(),
            reason: None,
            ..stop
        },
        _ => stop,
    }
}

/// What was committed has to be what was judged.
fn not_as_inside(inside: Option<&SchemaLines>, after: Option<&SchemaLines>) -> Vec<String> {
    let (Some(inside), Some(after)) = (inside, after) else {
        return vec!["the schema cannot be read after the commit".to_owned()];
    };
    let difference = Difference::between(Some(inside), Some(after));
    let gone = difference.gone.iter().map(|line| format!("gone: {line}"));
    let new = difference.new.iter().map(|line| format!("new: {line}"));
    gone.chain(new)
        .map(|line| {
            format!("after the commit the schema is not as it was inside the transaction, {line}")
        })
        .collect()
}

fn no_way() -> EngineError {
    EngineError {
        summary: "this engine cannot run several steps in one transaction".to_owned(),
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}
