//! Random histories, planned by us and by Alembic: both have to agree.
//!
//! Turns red when an argument would remove anything but its own revision, when the order or the rows
//! left differ from Alembic's, or when a target means something else to us than to Alembic.

mod history;
mod oracle;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::Write as _;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rollback_core::graph::Graph;
use rollback_core::journal::{self, Begun, Entry, Line, Run};
use rollback_core::plan::{Plan, PlanError, Step};
use rollback_core::revision::RevisionId;
use rollback_core::schema::FORM;
use rollback_core::target::{Target, TargetError};

use history::{Case, cases};
use oracle::{Downgrade, Oracle};

const CASES: u32 = 3000;

#[test]
fn every_step_removes_one_revision_and_the_whole_equals_alembic() {
    let oracle = RefCell::new(Oracle::start());
    let shapes = RefCell::new(HashSet::new());
    let (steps, plans, refusals) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&cases(), |case| {
        shapes.borrow_mut().insert(case.shape());
        let rows = oracle
            .borrow_mut()
            .upgrade(&case.revisions, &case.upgrade_to);
        let rows = after_taking_back(&case, rows);
        let Some(plan) = agree_on_the_whole(&mut oracle.borrow_mut(), &case, &rows)? else {
            refusals.set(refusals.get() + 1);
            return Ok(());
        };
        plans.set(plans.get() + 1);
        steps.set(steps.get() + plan.steps.len());
        agree_on_each_step(&mut oracle.borrow_mut(), &case, &plan)
    });
    #[expect(clippy::disallowed_methods, reason = "a test tells its runner")]
    let _ = writeln!(
        std::io::stderr(),
        "planned against Alembic: {CASES} cases, {} distinct shapes, {} plans with {} steps, {} refused by both",
        shapes.borrow().len(),
        plans.get(),
        steps.get(),
        refusals.get(),
    );
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// Turns red if the rest of a run is planned again from where it stopped, instead of taken from its record: the
/// order of Alembic's way down depends on the rows that it starts from.
#[test]
fn a_run_that_stops_after_any_step_resumes_to_the_rest_of_its_plan() {
    let oracle = RefCell::new(Oracle::start());
    let planned_otherwise = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&cases(), |case| {
        let rows = oracle
            .borrow_mut()
            .upgrade(&case.revisions, &case.upgrade_to);
        let graph = Graph::new(case.revisions.clone()).expect("generated histories are sound");
        let rows: Vec<RevisionId> = rows.into_iter().map(RevisionId::new).collect();
        let base: Target = "base".parse().expect("base is a target");
        let plan = Plan::new(&graph, &rows, &base).expect("the rows are known");
        let run = recorded(&plan);
        for cut in 1..plan.steps.len() {
            // That these are the rows which Alembic leaves is what the other test shows.
            let rows: Vec<RevisionId> = plan.steps[cut - 1].heads_after.iter().cloned().collect();
            let rest = run.rest(&graph, &rows).map_err(|error| {
                TestCaseError::fail(format!("{case}\nafter step {cut}: {error}"))
            })?;
            let left = &plan.steps[cut..];
            same(&ids(&rest.steps), &ids(left), &case, "the rest")?;
            for (resumed, planned) in rest.steps.iter().zip(left) {
                if resumed.heads_after != planned.heads_after
                    || resumed.takes_along != planned.takes_along
                {
                    return Err(TestCaseError::fail(format!(
                        "{case}\nafter step {cut}: {resumed:?} is not {planned:?}"
                    )));
                }
            }
            let again = Plan::new(&graph, &rows, &base).expect("the rows are known");
            if ids(&again.steps) != ids(left) {
                planned_otherwise.set(planned_otherwise.get() + 1);
            }
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    assert!(planned_otherwise.get() > 0, "no case tells the two apart");
}

/// The record of a run that began with this plan.
fn recorded(plan: &Plan) -> Run {
    let begun = Begun {
        target: "base".to_owned(),
        removes: plan
            .steps
            .iter()
            .map(|step| step.removes.to_string())
            .collect(),
        heads: plan.current.clone(),
        aim: Some(plan.final_heads().clone()),
        ..Begun::default()
    };
    let first = Line {
        version: journal::VERSION,
        at: String::new(),
        form: FORM,
        entry: Entry::Begun(Box::new(begun)),
    };
    Run::read([first]).expect("it is a journal")
}

fn ids(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.removes.as_str()).collect()
}

/// The rows after the steps that the case has already taken back. That they are the rows which
/// Alembic leaves is what the rest of this test shows.
fn after_taking_back(case: &Case, rows: Vec<String>) -> Vec<String> {
    let graph = Graph::new(case.revisions.clone()).expect("generated histories are sound");
    let ids: Vec<RevisionId> = rows
        .iter()
        .map(|row| RevisionId::new(row.clone()))
        .collect();
    let plan = Plan::new(&graph, &ids, &"base".parse().expect("base is a target"));
    match plan
        .expect("the rows are known")
        .steps
        .get(case.taken_back.wrapping_sub(1))
    {
        Some(step) => step.heads_after.iter().map(ToString::to_string).collect(),
        None => rows,
    }
}

/// Plans the target with both and compares order and rows. `None` where both refuse.
fn agree_on_the_whole(
    oracle: &mut Oracle,
    case: &Case,
    rows: &[String],
) -> Result<Option<Plan>, TestCaseError> {
    let graph = Graph::new(case.revisions.clone()).expect("generated histories are sound");
    let ids: Vec<RevisionId> = rows
        .iter()
        .map(|row| RevisionId::new(row.clone()))
        .collect();
    let target = case.target.parse::<Target>();
    let plan = target
        .clone()
        .map_err(PlanError::from)
        .and_then(|target| Plan::new(&graph, &ids, &target));
    // N steps are the beginning of the whole way down, which Alembic's own -N is not.
    let (asked, limit) = match target {
        Ok(Target::Steps(count)) => ("base", count),
        _ => (case.target.as_str(), usize::MAX),
    };
    let theirs = oracle
        .downgrades(&case.revisions, &[(rows.to_vec(), asked.to_owned())])
        .remove(0);
    match (plan, theirs) {
        (
            Ok(plan),
            Downgrade::Done {
                removed,
                rows: left,
            },
        ) => {
            let ours: Vec<&str> = plan
                .steps
                .iter()
                .map(|step| step.removes.as_str())
                .collect();
            let theirs: Vec<&str> = removed.iter().map(String::as_str).take(limit).collect();
            same(&ours, &theirs, case, "order")?;
            if limit >= removed.len() {
                let ours: Vec<&str> = plan.final_heads().iter().map(RevisionId::as_str).collect();
                let theirs: Vec<&str> = left.iter().map(String::as_str).collect();
                same(&ours, &theirs, case, "final heads")?;
            }
            Ok(Some(plan))
        }
        // Alembic calls it an error where nothing is left to do and the target is only there as a
        // dependency.
        (Ok(plan), Downgrade::Refused(_)) if plan.steps.is_empty() => Ok(None),
        // We hold every branch target to its branch, Alembic only the relative ones.
        (
            Err(PlanError::Target(
                TargetError::NotOnBranch { .. } | TargetError::TooManySteps { .. },
            )),
            _,
        )
        | (Err(_), Downgrade::Refused(_)) => Ok(None),
        (ours, theirs) => Err(TestCaseError::fail(format!(
            "{case}\nours: {ours:?}\ntheirs: {theirs:?}"
        ))),
    }
}

/// Has Alembic run the argument of each step from the rows before it.
fn agree_on_each_step(oracle: &mut Oracle, case: &Case, plan: &Plan) -> Result<(), TestCaseError> {
    let questions: Vec<(Vec<String>, String)> = plan
        .steps
        .iter()
        .map(|step| {
            (
                step.heads_before.iter().map(ToString::to_string).collect(),
                step.argument.clone(),
            )
        })
        .collect();
    let answers = oracle.downgrades(&case.revisions, &questions);
    for (step, answer) in plan.steps.iter().zip(answers) {
        let Downgrade::Done { removed, rows } = answer else {
            return Err(TestCaseError::fail(format!(
                "{case}\n{} -> {answer:?}",
                step.argument
            )));
        };
        same(
            &[step.removes.as_str()],
            &as_str(&removed),
            case,
            &step.argument,
        )?;
        let ours: Vec<&str> = step.heads_after.iter().map(RevisionId::as_str).collect();
        same(
            &ours,
            &as_str(&rows),
            case,
            &format!("heads after {}", step.argument),
        )?;
    }
    Ok(())
}

fn as_str(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn same(ours: &[&str], theirs: &[&str], case: &Case, what: &str) -> Result<(), TestCaseError> {
    if ours == theirs {
        return Ok(());
    }
    Err(TestCaseError::fail(format!(
        "{case}\n{what}: ours {ours:?}, Alembic's {theirs:?}"
    )))
}
