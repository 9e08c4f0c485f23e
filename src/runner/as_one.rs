//! The whole range or nothing of it: one process, one transaction, one revision after the other.

use std::time::{Duration, Instant};

use super::{Cause, Following, Parts, Stopped, judge, may_be_tried_again};
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Difference, Position, Report, Schema, StepDone, Stop};
use crate::domain::revision::Heads;
use crate::engine::{EngineError, Range};

/// Runs the plan inside one transaction of the engine. What the engine tells on its way is shown; what
/// came of it is read from version table and schema when the engine is gone.
///
/// The time limit counts for each step, so the range has as many times as long.
pub fn run_as_one(plan: &Plan, parts: &mut Parts<'_>) -> Report {
    let started = Instant::now();
    let before = parts.witness.schema();
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
            end => break end,
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
        _ => parts.witness.heads().ok(),
    };
    Report {
        planned: plan.steps.len(),
        undone: done.is_empty()
            && matches!(
                stop,
                Some(Stop {
                    position: Position::Unchanged { .. },
                    ..
                })
            ),
        done,
        stop,
        current,
        validated: true,
        witness: parts.witness.name(),
        elapsed: started.elapsed(),
    }
}

/// The steps that were done, with the end of the run where a check failed after them.
type Ended = Result<(Vec<StepDone>, Option<Stop>), Box<Stop>>;

fn once(plan: &Plan, parts: &mut Parts<'_>, before: Option<&Schema>) -> Ended {
    let between = |cause| Box::new(Stopped::between(0, cause, None).stop);
    let (Some(first), Some(last)) = (plan.steps.first(), plan.steps.last()) else {
        return Ok((Vec::new(), None));
    };
    if parts.interrupt.count() > 0 {
        return Err(between(Cause::Interrupted));
    }
    let none = Schema::new();
    parts
        .witness
        .may_go_on()
        .map_err(|reason| between(Cause::NotAlone(reason)))?;
    parts
        .recorder
        .intent(0, first, before.unwrap_or(&none))
        .map_err(|reason| between(Cause::NotRecorded(reason)))?;
    parts.warn_of_open_transactions();

    let mut options = parts.options;
    options.validate = true;
    options.timeout = options
        .timeout
        .map(|limit| limit * u32::try_from(plan.steps.len()).unwrap_or(u32::MAX));
    parts.events.step_started(0, first);
    let mut following = Following::new(parts.engine, &mut *parts.events, &mut *parts.witness);
    following.steps = &plan.steps;
    let range = Range {
        before: &plan.current,
        steps: &plan.steps,
    };
    let run = parts
        .engine
        .downgrade_range(&range, options.timeout, &mut following)
        .unwrap_or_else(|| Err(no_way()));
    let applied = std::mem::take(&mut following.applied);
    let blockers = following.blockers();
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
    let index = applied.len().min(plan.steps.len() - 1);
    let heads = judge(parts.graph, &whole, run, parts.witness, before, options)
        .map_err(|stop| Box::new(stop.at(index, blockers)))?;

    let after = parts.witness.schema();
    let difference = Difference::between(before, after.as_ref());
    let faults = parts.witness.faults(&whole, &difference);
    let done = done(plan, &applied, &heads, &difference);
    let mut recorded = recorded;
    let schema = after.as_ref().unwrap_or(&none);
    for (index, step) in done.iter().enumerate() {
        let recorder = &mut *parts.recorder;
        recorded = recorded.and_then(|()| {
            if index > 0 {
                // The first one's intent is in the record since it began.
                recorder.intent(index, &plan.steps[index], schema)?;
            }
            recorder.done(index, step, schema)
        });
    }
    parts.events.committed(&done);
    let cause = match recorded {
        Err(reason) => Cause::NotRecorded(reason),
        Ok(()) if !faults.is_empty() => Cause::CheckFailed(faults),
        Ok(()) => return Ok((done, None)),
    };
    let stop = Stopped::between(plan.steps.len() - 1, cause, None).stop;
    Ok((done, Some(stop)))
}

/// What each step did to the schema is not seen inside the transaction: the last one stands for all.
fn done(
    plan: &Plan,
    applied: &[(Heads, Duration)],
    heads: &Heads,
    difference: &Difference,
) -> Vec<StepDone> {
    let last = plan.steps.len() - 1;
    let step = |(index, step): (usize, &Step)| {
        let told = applied.get(index);
        StepDone {
            removes: step.removes.clone(),
            heads: match told {
                _ if index == last => heads.clone(),
                Some((heads, _)) => heads.clone(),
                None => step.heads_after.clone(),
            },
            difference: if index == last {
                difference.clone()
            } else {
                Difference::default()
            },
            elapsed: told.map_or(Duration::ZERO, |(_, elapsed)| *elapsed),
        }
    };
    plan.steps.iter().enumerate().map(step).collect()
}

fn no_way() -> EngineError {
    EngineError {
        summary: "this engine cannot run several steps in one transaction".to_owned(),
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}
