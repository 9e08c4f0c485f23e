//! Several steps in one process, each kept by itself: the engine hands over control before each commit and after it.

use std::time::Instant;

use super::{
    Found, Glance, Heard, Hearing, Parts, Ran, Stopped, describes, may_be_tried_again,
};
use crate::domain::plan::{Plan, Step};
use crate::domain::proof::{Doubt, Evidence};
use crate::domain::query::Queries;
use crate::domain::report::{Cause, Position, Schema, StepDone};
use crate::domain::revision::Heads;
use crate::engine::{Ended, EngineError, Judge, Keep, Listener, Sequence};
use crate::fault;
use crate::process::Channel;

impl Parts<'_> {
    /// Whether each step has a process of its own from the beginning.
    pub(super) fn runs_alone(&mut self, plan: &Plan) -> bool {
        if plan.steps.len() < 2 || self.options.process_per_step || !self.options.validate {
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
        schema: &mut Option<Schema>,
        done: &mut Vec<StepDone>,
    ) -> Result<Option<String>, Box<Stopped>> {
        let retries = self.options.lock_retries;
        let mut attempt = 0;
        let mut at = done.len();
        loop {
            match self.sequence(plan, schema, done) {
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
        schema: &mut Option<Schema>,
        done: &mut Vec<StepDone>,
    ) -> Result<Option<String>, Box<Stopped>> {
        let first = done.len();
        let started = Instant::now();
        let evidence = self.begin(first, &plan.steps[first], schema.as_ref())?;
        let sequence = Sequence {
            before: &plan.steps[first].heads_before,
            steps: &plan.steps[first..],
            keep: Keep::Each,
        };
        let mut together = Together {
            plan,
            first,
            parts: Parts {
                graph: self.graph,
                before: None,
                engine: self.engine,
                witness: &mut *self.witness,
                recorder: &mut *self.recorder,
                events: &mut *self.events,
                interrupt: self.interrupt,
                options: self.options,
            },
            schema: &mut *schema,
            done: &mut *done,
            heard: Hearing::default(),
            evidence,
            started,
            stopped: None,
            objection: None,
            left: None,
        };
        let run = self
            .engine
            .run_sequence(&sequence, self.options.timeout, &mut together)
            .unwrap_or_else(|| Err(no_way()));
        let Together {
            heard,
            evidence,
            started,
            stopped,
            objection,
            left,
            ..
        } = together;
        fault::point("after_engine");
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        if left.is_some() {
            return Ok(left);
        }
        let all = plan.steps.len();
        if done.len() == all {
            return self.after_all(plan, run, schema.as_ref());
        }
        let index = done.len();
        let exited = run.as_ref().is_ok_and(|run| run.ended == Ended::Exited(0));
        let ran = Ran {
            index,
            step: &plan.steps[index],
            started,
            evidence,
            heard: heard.complete(),
        };
        match self.ended(ran, run, schema) {
            Ok(finished) => {
                done.push(finished);
                Ok((done.len() < all).then(|| "the engine ended after a step".to_owned()))
            }
            Err(mut stopped) => {
                if let Some(cause) = objection {
                    stopped.stop.cause = cause;
                    stopped.stop.reason = None;
                    return Err(stopped);
                }
                let failed = matches!(stopped.stop.cause, Cause::EngineFailed(_)) || exited;
                if failed && matches!(stopped.stop.position, Position::Unchanged { .. }) {
                    return Ok(Some(format!(
                        "{} failed and left nothing, which may be due to the steps before it",
                        plan.steps[index].removes
                    )));
                }
                Err(stopped)
            }
        }
    }

    /// The end of the process after its last step: what it did since then would have been seen by nobody.
    fn after_all(
        &mut self,
        plan: &Plan,
        run: Result<crate::engine::StepRun, EngineError>,
        schema: Option<&Schema>,
    ) -> Result<Option<String>, Box<Stopped>> {
        let index = plan.steps.len() - 1;
        let mut looks = super::Looks {
            witness: &mut *self.witness,
            glance: None,
            before: schema,
            evidence: Err(Doubt::NoEvidence),
            session: None,
            left_nothing: false,
        };
        super::judge(self.graph, &plan.steps[index], run, &mut looks, self.options)
            .map(|_| None)
            .map_err(|stop| {
                Box::new(Stopped {
                    stop: stop.at(index, Vec::new()),
                    finished: None,
                })
            })
    }
}

/// What hears of a sequence and looks at the database in its pauses.
struct Together<'a> {
    plan: &'a Plan,
    /// The place in the plan of the first step of the process.
    first: usize,
    parts: Parts<'a>,
    /// The schema as last seen.
    schema: &'a mut Option<Schema>,
    done: &'a mut Vec<StepDone>,
    heard: Hearing,
    /// Of the running step.
    evidence: Result<Evidence, Doubt>,
    started: Instant,
    /// The end of the run, which was found in a pause.
    stopped: Option<Box<Stopped>>,
    /// Why the running step is taken back.
    objection: Option<Cause>,
    /// Why the engine does not run the next step in this process.
    left: Option<String>,
}

impl Together<'_> {
    /// The step that runs, or would be next.
    fn index(&self) -> usize {
        self.done.len()
    }

    /// Looks at a step that is committed, and at what has to be before the next one. The error is for nobody.
    fn pause(&mut self, index: usize) -> Result<(), Option<Box<Stopped>>> {
        let step = self
            .plan
            .steps
            .get(index)
            .filter(|_| index == self.index())
            .ok_or(None)?;
        fault::point("after_engine");
        let Heard { session, .. } = self.heard.of_step();
        let glance = self.parts.witness.glance();
        let heads = self.heads(glance.as_ref(), step).ok_or(None)?;
        fault::point("after_look");
        let found = Found {
            heads,
            glance,
            session,
            started: self.started,
        };
        let finished = self.parts.finish(index, step, found, self.schema, Ok(()))?;
        self.done.push(finished);
        self.started = Instant::now();
        if let Some(next) = self.plan.steps.get(index + 1) {
            self.evidence = self.parts.begin(index + 1, next, self.schema.as_ref())?;
        }
        Ok(())
    }

    /// The version rows, if they are those of after the step. Else it is judged when the process is gone.
    fn heads(&mut self, glance: Option<&Glance>, step: &Step) -> Option<Heads> {
        let heads = match glance {
            Some(glance) => glance.heads.clone(),
            None => self.parts.witness.heads(),
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

    fn aside(&mut self, text: &str) {
        self.parts.events.aside(text);
    }

    fn told(&mut self, line: &str, _: &mut dyn Channel) {
        self.heard
            .told(line, self.parts.engine, &mut *self.parts.events);
    }

    fn left_nothing(&mut self) {
        self.heard.left_nothing = true;
    }

    fn look_around(&mut self) {
        self.heard.look_around(&mut *self.parts.witness);
    }
}

impl Judge for Together<'_> {
    fn applied(
        &mut self,
        _: usize,
        _: &Heads,
        _: &mut dyn Queries,
    ) -> Result<(), String> {
        fault::point("inside_step");
        Ok(())
    }

    fn kept(&mut self, index: usize, _: bool) -> Result<(), String> {
        self.pause(self.first + index).map_err(|stopped| {
            self.stopped = stopped;
            "the run ends here".to_owned()
        })
    }

    fn left(&mut self, reason: &str) {
        self.left = Some(reason.to_owned());
    }
}

fn no_way() -> EngineError {
    EngineError {
        summary: "this engine cannot run several steps in one process".to_owned(),
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}
