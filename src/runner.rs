//! The loop: run one step, look at the database, go on or stop.
//!
//! It knows the engine and the database as traits only, so that the order of its effects is tested
//! without either.

use std::time::{Duration, Instant};

use crate::domain::graph::Graph;
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Cause, Position, Report, Schema, StepDone, Stop};
use crate::domain::revision::Heads;
use crate::engine::{Ended, Engine, StepRun};
use crate::process::Interrupt;

/// What looks at the database between the steps.
pub trait Witness {
    /// Who looks, as it completes `Current revision: ..., `.
    fn name(&self) -> &'static str;

    /// Reads the version table; the error is a sentence.
    fn heads(&mut self) -> Result<Heads, String>;

    /// Reads the outline of the schema; `None` where that cannot be had.
    fn schema(&mut self) -> Option<Schema>;
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

/// Runs the plan, newest step first, to its end or to the first thing that is not as predicted.
pub fn run(
    plan: &Plan,
    graph: &Graph,
    engine: &dyn Engine,
    witness: &mut dyn Witness,
    events: &mut dyn Events,
    interrupt: &Interrupt,
    options: Options,
) -> Report {
    let started = Instant::now();
    let mut done = Vec::new();
    let mut stop = None;
    let mut schema = witness.schema();
    for (index, step) in plan.steps.iter().enumerate() {
        if interrupt.count() > 0 {
            stop = Some(Stop {
                index,
                cause: Cause::Interrupted,
                position: Position::Unchanged {
                    schema_compared: false,
                },
                reason: None,
                stdout: String::new(),
                stderr: String::new(),
            });
        } else {
            let step_started = Instant::now();
            events.step_started(index, step);
            let run = engine.downgrade(&step.argument, options.timeout, &mut |line| {
                events.engine_line(line);
            });
            match judge(graph, step, run, witness, schema.as_ref(), options) {
                Ok(heads) => {
                    let finished = StepDone {
                        removes: step.removes.clone(),
                        heads,
                        elapsed: step_started.elapsed(),
                    };
                    events.step_finished(index, &finished);
                    done.push(finished);
                    schema = witness.schema();
                }
                Err(failed) => stop = Some(Stop { index, ..*failed }),
            }
        }
        if let Some(stop) = &stop {
            events.stopped(stop, step);
            break;
        }
    }
    let ended_between_steps = stop
        .as_ref()
        .is_none_or(|stop: &Stop| stop.cause == Cause::Interrupted);
    let current = match done.last() {
        // Just read; on the plain road reading again would start the engine once more.
        Some(last) if ended_between_steps && options.validate => Some(last.heads.clone()),
        _ if matches!(
            &stop,
            Some(Stop {
                position: Position::Unknown { .. },
                ..
            })
        ) =>
        {
            None
        }
        _ => witness.heads().ok(),
    };
    if stop.is_none() {
        stop = not_at_the_end(plan, graph, current.as_ref());
    }
    Report {
        planned: plan.steps.len(),
        done,
        stop,
        current,
        validated: options.validate,
        witness: witness.name(),
        elapsed: started.elapsed(),
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
    let (Some(before), Some(after)) = (before, after) else {
        return Position::Unchanged {
            schema_compared: false,
        };
    };
    let gone: Vec<String> = before.difference(after).cloned().collect();
    let new: Vec<String> = after.difference(before).cloned().collect();
    if gone.is_empty() && new.is_empty() {
        Position::Unchanged {
            schema_compared: true,
        }
    } else {
        Position::HalfDone { gone, new }
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
            &graph,
            &engine,
            &mut world.clone(),
            &mut world.clone(),
            interrupt,
            Options {
                validate,
                timeout: None,
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
    fn each_step_is_looked_up_before_the_next_is_run() {
        let world = World::at(&["c"]);
        let report = run_line(&world, &Interrupt::never(), true, obeys(&world));
        assert_eq!(report.outcome(), Outcome::Done);
        assert_eq!(
            *world.log.borrow(),
            [
                "start 0",
                "run c@b",
                "look",
                "finish 0",
                "start 1",
                "run b@a",
                "look",
                "finish 1",
                "start 2",
                "run a@base",
                "look",
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
            ["start 0", "run c@b", "look", "stop 0", "look"]
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
            Position::HalfDone {
                gone: vec!["table e1b".into()],
                new: Vec::new()
            }
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
            ["start 0", "run c@b", "look", "finish 0", "stop 1"]
        );
    }
}
