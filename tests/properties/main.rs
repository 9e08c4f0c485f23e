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
use rollback::domain::graph::Graph;
use rollback::domain::plan::{Plan, PlanError};
use rollback::domain::revision::RevisionId;
use rollback::domain::target::{Target, TargetError};

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
