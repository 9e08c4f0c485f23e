//! The loop: run one step, look at the database, go on or stop.
//!
//! It knows the engine and the database as traits only, so that the order of its effects is tested
//! without either.

use std::time::{Duration, Instant};

use crate::domain::graph::Graph;
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Cause, Difference, Position, Report, Schema, StepDone, Stop};
use crate::domain::revision::Heads;
use crate::engine::{Ended, Engine, StepRun};
use crate::process::Interrupt;

/// What looks at the database between the steps.
pub trait Witness {
    /// Who looks, as it completes `Current revision: ..., `.
    fn name(&self) -> &'static str;

    /// Reads the version table; the error is a sentence.
    fn heads(&mut self) -> Result<Heads, String>;

    /// Reads the schema; `None` where that cannot be had.
    fn schema(&mut self) -> Option<Schema>;

    /// Asked before each step: whether the database is still ours alone. The error is a sentence, and
    /// ends the run before the step.
    fn may_go_on(&mut self) -> Result<(), String>;

    /// Everything else that is checked after a step whose version rows are right. Each fault is a
    /// sentence, and any of them ends the run.
    fn faults(&mut self, step: &Step, difference: &Difference) -> Vec<String>;

    /// What is checked once, after the last step, whether or not each step is. As with `faults`, any
    /// sentence is a failure.
    fn faults_at_the_end(&mut self) -> Vec<String>;
}

/// What keeps the record of a run. An entry is on the disk when its method returns.
pub trait Recorder {
    /// A step is about to be run. The error is a sentence, and ends the run before the step: without
    /// a record nobody could tell later what was going on.
    fn intent(&mut self, index: usize, step: &Step, before: &Schema) -> Result<(), String>;

    /// The engine came to its end, whatever the database says.
    fn engine_ended(&mut self, index: usize, ended: &Ended) -> Result<(), String>;

    /// A step is done and verified. The error ends the run after it.
    fn done(&mut self, index: usize, done: &StepDone, after: &Schema) -> Result<(), String>;
}

/// What hears of the progress. Nothing it does changes the run.
pub trait Events {
    /// The engine is about to be started for a step.
    fn step_started(&mut self, index: usize, step: &Step);

    /// The engine printed a line.
    fn engine_line(&mut self, line: &str);

    /// A step is done and, unless validation is off, verified.
    fn step_finished(&mut self, index: usize, step: &StepDone);

    /// The run ends at a step.
    fn stopped(&mut self, stop: &Stop, step: &Step);
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether to look at the database after each step that the engine calls successful.
    pub validate: bool,
    /// The longest time one step may take.
    pub timeout: Option<Duration>,
}

/// All that a run works with.
pub struct Parts<'a> {
    /// The revisions of the code.
    pub graph: &'a Graph,
    /// What takes a revision back.
    pub engine: &'a dyn Engine,
    /// What looks at the database.
    pub witness: &'a mut dyn Witness,
    /// What keeps the record.
    pub recorder: &'a mut dyn Recorder,
    /// What hears of the progress.
    pub events: &'a mut dyn Events,
    /// The operator's signals.
    pub interrupt: &'a Interrupt,
    /// How to run.
    pub options: Options,
}

/// Runs the plan, newest step first, to its end or to the first thing that is not as predicted.
pub fn run(plan: &Plan, parts: &mut Parts<'_>) -> Report {
    let started = Instant::now();
    let mut done = Vec::new();
    let mut stop = None;
    let mut schema = parts.schema();
    for (index, step) in plan.steps.iter().enumerate() {
        match parts.step(index, step, &mut schema) {
            Ok(finished) => done.push(finished),
            Err(stopped) => {
                let Stopped { stop: at, finished } = *stopped;
                done.extend(finished);
                parts.events.stopped(&at, step);
                stop = Some(at);
                break;
            }
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
        _ => parts.witness.heads().ok(),
    };
    if stop.is_none() {
        stop = not_at_the_end(plan, parts.graph, current.as_ref());
    }
    if let (None, Some(last)) = (&stop, plan.steps.last()) {
        let faults = parts.witness.faults_at_the_end();
        if !faults.is_empty() {
            let at = Stopped::between(plan.steps.len() - 1, Cause::CheckFailed(faults), None).stop;
            parts.events.stopped(&at, last);
            stop = Some(at);
        }
    }
    Report {
        planned: plan.steps.len(),
        done,
        stop,
        current,
        validated: parts.options.validate,
        witness: parts.witness.name(),
        elapsed: started.elapsed(),
    }
}

/// The end of a run at a step, which may itself be finished.
struct Stopped {
    stop: Stop,
    finished: Option<StepDone>,
}

impl Stopped {
    /// Ends the run before or after a step, at a revision boundary.
    fn between(index: usize, cause: Cause, finished: Option<StepDone>) -> Box<Self> {
        let position = Position::Unchanged {
            schema_compared: false,
        };
        let stop = Stop {
            index,
            cause,
            position,
            reason: None,
            stdout: String::new(),
            stderr: String::new(),
        };
        Box::new(Self { stop, finished })
    }
}

impl Parts<'_> {
    fn schema(&mut self) -> Option<Schema> {
        self.options
            .validate
            .then(|| self.witness.schema())
            .flatten()
    }

    /// One step from the look before it to the record after it. `schema` is that of before, and of
    /// after when it returns well.
    fn step(
        &mut self,
        index: usize,
        step: &Step,
        schema: &mut Option<Schema>,
    ) -> Result<StepDone, Box<Stopped>> {
        if self.interrupt.count() > 0 {
            return Err(Stopped::between(index, Cause::Interrupted, None));
        }
        let none = Schema::new();
        let ready = self
            .witness
            .may_go_on()
            .map_err(Cause::NotAlone)
            .and_then(|()| {
                let before = schema.as_ref().unwrap_or(&none);
                self.recorder
                    .intent(index, step, before)
                    .map_err(Cause::NotRecorded)
            });
        ready.map_err(|cause| Stopped::between(index, cause, None))?;

        let started = Instant::now();
        self.events.step_started(index, step);
        let events = &mut *self.events;
        let run = self
            .engine
            .downgrade(&step.argument, self.options.timeout, &mut |line| {
                events.engine_line(line);
            });
        let recorded = match &run {
            Ok(run) => self.recorder.engine_ended(index, &run.ended),
            Err(_) => Ok(()),
        };
        let heads = judge(
            self.graph,
            step,
            run,
            self.witness,
            schema.as_ref(),
            self.options,
        )
        .map_err(|stop| {
            Box::new(Stopped {
                stop: Stop { index, ..*stop },
                finished: None,
            })
        })?;
        let after = self.schema();
        let difference = Difference::between(schema.as_ref(), after.as_ref());
        let faults = if self.options.validate {
            self.witness.faults(step, &difference)
        } else {
            Vec::new()
        };
        let finished = StepDone {
            removes: step.removes.clone(),
            heads,
            difference,
            elapsed: started.elapsed(),
        };
        let recorded = recorded.and_then(|()| {
            self.recorder
                .done(index, &finished, after.as_ref().unwrap_or(&none))
        });
        *schema = after;
        self.events.step_finished(index, &finished);
        let cause = match recorded {
            Err(reason) => Cause::NotRecorded(reason),
            Ok(()) if !faults.is_empty() => Cause::CheckFailed(faults),
            Ok(()) => return Ok(finished),
        };
        Err(Stopped::between(index, cause, Some(finished)))
    }
}

/// The heads after a step that went well, or the account of one that did not.
fn judge(
    graph: &Graph,
    step: &Step,
    run: Result<StepRun, crate::engine::EngineError>,
    witness: &mut dyn Witness,
    schema: Option<&Schema>,
    options: Options,
) -> Result<Heads, Box<Stop>> {
    let (cause, reason, stdout, stderr) = match run {
        Ok(run) => {
            let cause = match run.ended {
                Ended::Exited(0) if !options.validate => return Ok(step.heads_after.clone()),
                Ended::Exited(0) => Cause::NotVerified,
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
    let position = match witness.heads() {
        Err(reason) => Position::Unknown { reason },
        Ok(heads) if describes(graph, &heads, &step.heads_after) => {
            if cause == Cause::NotVerified {
                return Ok(heads);
            }
            Position::StepHappened
        }
        Ok(heads) if describes(graph, &heads, &step.heads_before) => {
            compared(schema, witness.schema().as_ref())
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
    }))
}

/// Whether two sets of version rows stand for the same applied revisions.
fn describes(graph: &Graph, rows: &Heads, predicted: &Heads) -> bool {
    match (graph.applied(rows), graph.applied(predicted)) {
        (Ok(applied), Ok(predicted)) => applied == predicted,
        _ => false,
    }
}

fn compared(before: Option<&Schema>, after: Option<&Schema>) -> Position {
    let difference = Difference::between(before, after);
    if !difference.is_empty() {
        return Position::HalfDone(difference);
    }
    Position::Unchanged {
        schema_compared: before.is_some() && after.is_some(),
    }
}

/// A run without validation trusts exit statuses; its end is looked at all the same.
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
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::domain::graph::drawn;
    use crate::domain::report::Outcome;
    use crate::domain::revision::RevisionId;
    use crate::engine::{Current, EngineError, Observation};

    /// A database and everything that happened around it, in order.
    #[derive(Clone, Default)]
    struct World {
        rows: Rc<RefCell<Heads>>,
        schema: Rc<RefCell<Schema>>,
        faults: Rc<RefCell<Vec<String>>>,
        log: Rc<RefCell<Vec<String>>>,
    }

    impl World {
        fn at(rows: &[&str]) -> Self {
            let world = Self::default();
            *world.rows.borrow_mut() = heads(rows);
            world
        }

        fn note(&self, what: impl Into<String>) {
            self.log.borrow_mut().push(what.into());
        }
    }

    impl Witness for World {
        fn name(&self) -> &'static str {
            "read from a test"
        }

        fn heads(&mut self) -> Result<Heads, String> {
            self.note("look");
            Ok(self.rows.borrow().clone())
        }

        fn schema(&mut self) -> Option<Schema> {
            Some(self.schema.borrow().clone())
        }

        fn may_go_on(&mut self) -> Result<(), String> {
            Ok(())
        }

        fn faults(&mut self, _: &Step, _: &Difference) -> Vec<String> {
            self.faults.borrow().clone()
        }

        fn faults_at_the_end(&mut self) -> Vec<String> {
            Vec::new()
        }
    }

    impl Recorder for World {
        fn intent(&mut self, index: usize, _: &Step, _: &Schema) -> Result<(), String> {
            self.note(format!("intent {index}"));
            Ok(())
        }

        fn engine_ended(&mut self, index: usize, _: &Ended) -> Result<(), String> {
            self.note(format!("ended {index}"));
            Ok(())
        }

        fn done(&mut self, index: usize, _: &StepDone, _: &Schema) -> Result<(), String> {
            self.note(format!("done {index}"));
            Ok(())
        }
    }

    impl Events for World {
        fn step_started(&mut self, index: usize, _: &Step) {
            self.note(format!("start {index}"));
        }

        fn engine_line(&mut self, _: &str) {}

        fn step_finished(&mut self, index: usize, _: &StepDone) {
            self.note(format!("finish {index}"));
        }

        fn stopped(&mut self, stop: &Stop, _: &Step) {
            self.note(format!("stop {}", stop.index));
        }
    }

    type Behaviour = Box<dyn Fn(&str) -> Ended>;

    struct Scripted {
        world: World,
        behaviour: Behaviour,
    }

    impl Engine for Scripted {
        fn name(&self) -> String {
            "scripted".into()
        }

        fn observe(&self) -> Result<Observation, EngineError> {
            unreachable!("the runner does not observe")
        }

        fn current(&self) -> Result<Current, EngineError> {
            unreachable!("the runner asks its witness")
        }

        fn command_line(&self, argument: &str) -> Vec<String> {
            vec![argument.into()]
        }

        fn downgrade(
            &self,
            argument: &str,
            _: Option<Duration>,
            _: &mut dyn FnMut(&str),
        ) -> Result<StepRun, EngineError> {
            self.world.note(format!("run {argument}"));
            let ended = (self.behaviour)(argument);
            Ok(StepRun {
                ended,
                stdout: String::new(),
                stderr: String::new(),
                reason: None,
                elapsed: Duration::ZERO,
            })
        }
    }

    fn heads(ids: &[&str]) -> Heads {
        ids.iter().copied().map(RevisionId::from).collect()
    }

    /// Runs `c; b; a` down to base; the engine does as told.
    fn run_line(
        world: &World,
        interrupt: &Interrupt,
        validate: bool,
        behaviour: impl Fn(&str) -> Ended + 'static,
    ) -> Report {
        let graph = drawn("a; b:a; c:b");
        let plan = Plan::new(&graph, &["c".into()], &"base".parse().unwrap()).unwrap();
        let engine = Scripted {
            world: world.clone(),
            behaviour: Box::new(behaviour),
        };
        run(
            &plan,
            &mut Parts {
                graph: &graph,
                engine: &engine,
                witness: &mut world.clone(),
                recorder: &mut world.clone(),
                events: &mut world.clone(),
                interrupt,
                options: Options {
                    validate,
                    timeout: None,
                },
            },
        )
    }

    /// Does what Alembic does with `REV@PARENT` on a line.
    fn obeys(world: &World) -> impl Fn(&str) -> Ended + 'static {
        let rows = Rc::clone(&world.rows);
        move |argument| {
            let parent = argument.split_once('@').unwrap().1;
            *rows.borrow_mut() = if parent == "base" {
                Heads::new()
            } else {
                heads(&[parent])
            };
            Ended::Exited(0)
        }
    }

    #[test]
    fn each_step_is_recorded_run_looked_up_and_recorded_before_the_next() {
        let world = World::at(&["c"]);
        let report = run_line(&world, &Interrupt::never(), true, obeys(&world));
        assert_eq!(report.outcome(), Outcome::Done);
        assert_eq!(
            *world.log.borrow(),
            [
                "intent 0",
                "start 0",
                "run c@b",
                "ended 0",
                "look",
                "done 0",
                "finish 0",
                "intent 1",
                "start 1",
                "run b@a",
                "ended 1",
                "look",
                "done 1",
                "finish 1",
                "intent 2",
                "start 2",
                "run a@base",
                "ended 2",
                "look",
                "done 2",
                "finish 2"
            ]
        );
    }

    #[test]
    fn without_validation_only_the_end_is_looked_up() {
        let world = World::at(&["c"]);
        let report = run_line(&world, &Interrupt::never(), false, obeys(&world));
        assert_eq!(report.outcome(), Outcome::Done);
        assert_eq!(
            world
                .log
                .borrow()
                .iter()
                .filter(|entry| *entry == "look")
                .count(),
            1
        );
    }

    #[test]
    fn without_validation_a_lie_is_found_at_the_end() {
        let world = World::at(&["c"]);
        let report = run_line(&world, &Interrupt::never(), false, |_| Ended::Exited(0));
        assert_eq!(report.outcome(), Outcome::FailedChanged);
    }

    #[test]
    fn a_success_that_the_database_does_not_show_ends_the_run() {
        let world = World::at(&["c"]);
        let report = run_line(&world, &Interrupt::never(), true, |_| Ended::Exited(0));
        assert_eq!(report.outcome(), Outcome::FailedChanged);
        assert_eq!(report.stop.unwrap().cause, Cause::NotVerified);
        assert_eq!(
            *world.log.borrow(),
            [
                "intent 0", "start 0", "run c@b", "ended 0", "look", "stop 0", "look"
            ]
        );
    }

    #[test]
    fn a_failure_that_leaves_everything_as_it_was_is_told_from_one_that_does_not() {
        let world = World::at(&["c"]);
        world.schema.borrow_mut().insert("table e1b".into());
        let report = run_line(&world, &Interrupt::never(), true, |_| Ended::Exited(1));
        assert_eq!(report.outcome(), Outcome::FailedUnchanged);

        let schema = Rc::clone(&world.schema);
        let report = run_line(&world, &Interrupt::never(), true, move |_| {
            schema.borrow_mut().clear();
            Ended::Exited(1)
        });
        assert_eq!(report.outcome(), Outcome::FailedChanged);
        assert_eq!(
            report.stop.unwrap().position,
            Position::HalfDone(Difference {
                gone: vec!["table e1b".into()],
                new: Vec::new(),
            })
        );
    }

    #[test]
    fn an_engine_that_fails_after_its_work_is_not_called_unchanged() {
        let world = World::at(&["c"]);
        let obey = obeys(&world);
        let report = run_line(&world, &Interrupt::never(), true, move |argument| {
            obey(argument);
            Ended::Exited(1)
        });
        assert_eq!(report.outcome(), Outcome::FailedChanged);
        assert_eq!(report.stop.unwrap().position, Position::StepHappened);
    }

    #[test]
    fn a_signal_lets_the_step_finish_and_stops_before_the_next() {
        let world = World::at(&["c"]);
        let interrupt = Interrupt::never();
        let obey = obeys(&world);
        let signal = interrupt.clone();
        let report = run_line(&world, &interrupt, true, move |argument| {
            signal.raise();
            obey(argument)
        });
        assert_eq!(report.outcome(), Outcome::Interrupted);
        assert_eq!(report.done.len(), 1);
        assert_eq!(report.current, Some(heads(&["b"])));
        assert_eq!(
            *world.log.borrow(),
            [
                "intent 0", "start 0", "run c@b", "ended 0", "look", "done 0", "finish 0", "stop 1"
            ]
        );
    }
}
