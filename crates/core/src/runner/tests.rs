use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::checks::{Health, Removed};
use crate::engine::{
    Current, Ended, EngineError, Judge, Keep, Listener, Observation, Sequence, StepRun,
};
use crate::outcome::{Difference, Outcome};
use crate::proof::{Proof, SqliteEvidence, StepSession};
use crate::query::{Queries, QueryError, TextRows};
use crate::revision::RevisionId;
use crate::testing::drawn;

/// A database and everything that happened around it, in order.
#[derive(Clone, Default)]
struct FakeDatabase {
    rows: Rc<RefCell<Heads>>,
    schema: Rc<RefCell<SchemaLines>>,
    faults: Rc<RefCell<Vec<String>>>,
    intruder: Rc<RefCell<Option<String>>>,
    log: Rc<RefCell<Vec<String>>>,
    checks: Rc<RefCell<Vec<Checked>>>,
    /// What is not proven of a step that failed.
    doubts: Rc<RefCell<Vec<Doubt>>>,
    /// Whether it can look at all at once.
    glances: Rc<RefCell<bool>>,
}

impl FakeDatabase {
    fn at(rows: &[&str]) -> Self {
        let world = Self::default();
        *world.rows.borrow_mut() = heads(rows);
        world
    }

    fn note(&self, what: impl Into<String>) {
        self.log.borrow_mut().push(what.into());
    }
}

impl Verifier for FakeDatabase {
    fn name(&self) -> &'static str {
        "read from a test"
    }

    fn snapshot(&mut self) -> Option<PostStepSnapshot> {
        if !*self.glances.borrow() {
            return None;
        }
        self.note("snapshot");
        Some(PostStepSnapshot {
            heads: Ok(self.rows.borrow().clone()),
            schema: Some(self.schema.borrow().clone()),
            health: Some(Health::default()),
        })
    }

    fn heads(&mut self) -> Result<Heads, String> {
        self.note("look");
        Ok(self.rows.borrow().clone())
    }

    fn schema(&mut self) -> Option<SchemaLines> {
        Some(self.schema.borrow().clone())
    }

    fn evidence(&mut self) -> Result<RowEvidence, Doubt> {
        Ok(RowEvidence::Sqlite(SqliteEvidence::default()))
    }

    fn proof(&mut self, _: &RowEvidence, _: Option<&StepSession>) -> Proof {
        Proof {
            doubts: self.doubts.borrow().clone(),
            with_schema: false,
        }
    }

    fn may_go_on(&mut self, _: bool) -> Result<(), Cause> {
        let intruder = self.intruder.borrow().clone();
        intruder.map_or(Ok(()), |intruder| Err(Cause::NotAlone(intruder)))
    }

    fn faults(
        &mut self,
        _: &Step,
        _: &Difference,
        seen: Option<Health>,
        _: Removed<'_>,
    ) -> Findings {
        if seen.is_some() {
            self.note("judge what was seen");
        }
        Findings::of_step(self.faults.borrow().clone())
    }

    fn faults_at_the_end(&mut self) -> Vec<String> {
        self.note("check the end");
        Vec::new()
    }

    fn inside<'a>(&'a mut self, _: &'a mut dyn Queries) -> Option<Box<dyn Verifier + 'a>> {
        Some(Box::new(self.clone()))
    }
}

impl Recorder for FakeDatabase {
    fn intent(
        &mut self,
        index: usize,
        _: &Step,
        _: &SchemaLines,
        _: Option<&RowEvidence>,
    ) -> Result<(), String> {
        self.note(format!("intent {index}"));
        Ok(())
    }

    fn engine_ended(&mut self, index: usize, _: &Ended) -> Result<(), String> {
        self.note(format!("ended {index}"));
        Ok(())
    }

    fn done(
        &mut self,
        index: usize,
        _: &StepDone,
        _: &SchemaLines,
        checks: Vec<Checked>,
    ) -> Result<(), String> {
        self.note(format!("done {index}"));
        self.checks.borrow_mut().extend(checks);
        Ok(())
    }

    fn committing(&mut self, steps: &[(StepDone, SchemaLines)]) -> Result<(), String> {
        self.note(format!("committing {}", steps.len()));
        Ok(())
    }

    fn taken_back(&mut self) -> Result<(), String> {
        self.note("taken back");
        Ok(())
    }
}

impl Events for FakeDatabase {
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
    world: FakeDatabase,
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
        unreachable!("the runner asks its verifier")
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        vec![argument.into()]
    }

    fn downgrade(
        &self,
        argument: &str,
        _: Option<Duration>,
        _: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        self.world.note(format!("run {argument}"));
        let ended = (self.behaviour)(argument);
        Ok(StepRun {
            ended,
            stdout: String::new(),
            stderr: String::new(),
            reason: None,
            statement: None,
            kept: None,
            lock_timeout: false,
            elapsed: Duration::ZERO,
        })
    }

    fn run_sequence(
        &self,
        range: &Sequence<'_>,
        _: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Option<Result<StepRun, EngineError>> {
        if range.keep != Keep::End {
            return None;
        }
        let rows = &self.world.rows;
        let mut verdict = judge.begun(&mut NoQueries);
        for (index, step) in range.steps.iter().enumerate() {
            if verdict.is_ok() {
                self.world.note(format!("apply {index}"));
                rows.borrow_mut().clone_from(&step.heads_after);
                verdict = judge.applied(index, &step.heads_after, &mut NoQueries);
            }
        }
        verdict = verdict.and_then(|()| judge.finished(&mut NoQueries));
        let status = i32::from(verdict.is_err());
        if verdict.is_err() {
            rows.borrow_mut().clone_from(range.before);
        } else {
            self.world.note("commit");
        }
        self.downgrade("range", None, &mut crate::engine::NoListener)
            .map(|run| StepRun {
                ended: Ended::Exited(status),
                ..run
            })
            .into()
    }
}

/// A transaction that nobody asks: the verifier looks at the world itself.
struct NoQueries;

impl Queries for NoQueries {
    fn rows(&mut self, _: &[&str]) -> Result<TextRows, QueryError> {
        Ok(TextRows::new())
    }
}

fn heads(ids: &[&str]) -> Heads {
    ids.iter().copied().map(RevisionId::from).collect()
}

/// Runs `c; b; a` down to base; the engine does as told.
fn run_line(
    world: &FakeDatabase,
    interrupt: &Interrupt,
    validate: bool,
    behaviour: impl Fn(&str) -> Ended + 'static,
) -> RunOutcome {
    run_line_by(run, world, interrupt, validate, behaviour)
}

/// The same by one of the ways to run.
fn run_line_by(
    way: fn(&Plan, &mut RunnerParts<'_>) -> RunOutcome,
    world: &FakeDatabase,
    interrupt: &Interrupt,
    validate: bool,
    behaviour: impl Fn(&str) -> Ended + 'static,
) -> RunOutcome {
    let graph = drawn("a; b:a; c:b");
    let plan = Plan::new(&graph, &["c".into()], &"base".parse().unwrap()).unwrap();
    let engine = Scripted {
        world: world.clone(),
        behaviour: Box::new(behaviour),
    };
    way(
        &plan,
        &mut RunnerParts {
            graph: &graph,
            before: None,
            engine: &engine,
            verifier: &mut world.clone(),
            recorder: &mut world.clone(),
            events: &mut world.clone(),
            interrupt,
            options: Options {
                validate,
                timeout: None,
                lock_retries: 0,
                old_transaction: Duration::MAX,
            },
            begun: None,
            warned: None,
        },
    )
}

/// Does what Alembic does with `REV@PARENT` on a line.
fn obeys(world: &FakeDatabase) -> impl Fn(&str) -> Ended + 'static {
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
    let world = FakeDatabase::at(&["c"]);
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
            "finish 2",
            "check the end"
        ]
    );
}

/// Red where a step is looked at twice, or not all of what was seen is judged.
#[test]
fn what_can_be_seen_at_once_is_looked_at_once() {
    let world = FakeDatabase::at(&["c"]);
    *world.glances.borrow_mut() = true;
    let report = run_line(&world, &Interrupt::never(), true, obeys(&world));
    assert_eq!(report.outcome(), Outcome::Done);
    assert_eq!(
        world.log.borrow()[..7],
        [
            "intent 0",
            "start 0",
            "run c@b",
            "ended 0",
            "snapshot",
            "judge what was seen",
            "done 0"
        ]
    );
    let names: Vec<String> = world.checks.borrow()[..2]
        .iter()
        .map(|check| check.name.clone())
        .collect();
    assert_eq!(names, [VERSION_TABLE, SCHEMA]);
    assert!(!world.log.borrow().contains(&"look".to_owned()));
}

/// Red where a failure is judged by a snapshot that may not be had, or a lie by what was seen before the engine ran.
#[test]
fn a_lie_is_seen_at_a_glance_and_a_failure_is_looked_at_piece_by_piece() {
    let world = FakeDatabase::at(&["c"]);
    *world.glances.borrow_mut() = true;
    let report = run_line(&world, &Interrupt::never(), true, |_| Ended::Exited(0));
    assert_eq!(report.stop.unwrap().cause, Cause::NotVerified);
    let world = FakeDatabase::at(&["c"]);
    *world.glances.borrow_mut() = true;
    let report = run_line(&world, &Interrupt::never(), true, |_| Ended::Exited(1));
    assert_eq!(report.outcome(), Outcome::FailedUnchanged);
    assert!(!world.log.borrow().contains(&"snapshot".to_owned()));
}

#[test]
fn without_validation_only_the_end_is_looked_up() {
    let world = FakeDatabase::at(&["c"]);
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
    let world = FakeDatabase::at(&["c"]);
    let report = run_line(&world, &Interrupt::never(), false, |_| Ended::Exited(0));
    assert_eq!(report.outcome(), Outcome::FailedChanged);
}

#[test]
fn a_success_that_the_database_does_not_show_ends_the_run() {
    let world = FakeDatabase::at(&["c"]);
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
    let world = FakeDatabase::at(&["c"]);
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

/// Red if a step is called unchanged, or run again, whose rows are not proven to be the same.
#[test]
fn without_proof_a_failed_step_is_neither_unchanged_nor_tried_again() {
    let world = FakeDatabase::at(&["c"]);
    let doubts = vec![Doubt::RowsChanged(vec!["cents".to_owned()])];
    world.doubts.borrow_mut().clone_from(&doubts);
    let report = run_line(&world, &Interrupt::never(), true, |_| Ended::Exited(1));
    assert_eq!(report.outcome(), Outcome::FailedChanged);
    let mut stop = report.stop.unwrap();
    assert_eq!(stop.position, Position::MayHaveChanged(doubts));
    stop.cause = Cause::LockTimeout;
    assert!(!may_be_tried_again(&stop));
    stop.position = Position::Unchanged {
        schema_compared: true,
    };
    assert!(may_be_tried_again(&stop));
}

#[test]
fn an_engine_that_fails_after_its_work_is_not_called_unchanged() {
    let world = FakeDatabase::at(&["c"]);
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
    let world = FakeDatabase::at(&["c"]);
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

#[test]
fn whoever_is_not_alone_any_more_does_not_begin_the_next_step() {
    let world = FakeDatabase::at(&["c"]);
    let during = world.clone();
    let report = run_line(&world, &Interrupt::never(), true, move |_| {
        *during.rows.borrow_mut() = heads(&["b"]);
        *during.intruder.borrow_mut() = Some("somebody came".to_owned());
        Ended::Exited(0)
    });
    assert_eq!(report.outcome(), Outcome::FailedUnchanged);
    assert_eq!(report.done.len(), 1);
    let stop = report.stop.unwrap();
    assert_eq!(stop.cause, Cause::NotAlone("somebody came".to_owned()));
    assert!(
        !world.log.borrow().contains(&"intent 1".to_owned()),
        "{:?}",
        world.log.borrow()
    );
}

/// Runs the line as a whole.
fn run_whole(world: &FakeDatabase, interrupt: &Interrupt) -> RunOutcome {
    run_line_by(run_in_transaction, world, interrupt, true, |_| {
        Ended::Exited(0)
    })
}

#[test]
fn a_whole_is_judged_and_recorded_before_it_is_committed() {
    let world = FakeDatabase::at(&["c"]);
    let report = run_whole(&world, &Interrupt::never());
    assert_eq!(report.outcome(), Outcome::Done);
    assert_eq!(report.done.len(), 3);
    assert_eq!(
        *world.log.borrow(),
        [
            "intent 0",
            "start 0",
            "apply 0",
            "look",
            "start 1",
            "apply 1",
            "look",
            "start 2",
            "apply 2",
            "look",
            "check the end",
            "committing 3",
            "commit",
            "run range",
            "ended 0",
            "look",
            "done 0",
            "intent 1",
            "done 1",
            "intent 2",
            "done 2"
        ]
    );
}

#[test]
fn a_fault_inside_is_a_no_and_nothing_is_left() {
    let world = FakeDatabase::at(&["c"]);
    *world.faults.borrow_mut() = vec!["rows are gone".to_owned()];
    let report = run_whole(&world, &Interrupt::never());
    assert_eq!(report.outcome(), Outcome::FailedUnchanged);
    assert!(report.undone);
    let stop = report.stop.unwrap();
    assert_eq!(
        (stop.index, stop.cause),
        (0, Cause::CheckFailed(vec!["rows are gone".to_owned()]))
    );
    let log = world.log.borrow();
    assert!(!log.contains(&"commit".to_owned()), "{log:?}");
    assert!(log.contains(&"taken back".to_owned()), "{log:?}");
    assert!(!log.contains(&"apply 1".to_owned()), "{log:?}");
}
