//! The steps of a plan, one after the other.

use std::sync::Arc;

use super::change_log::ChangeLog;
use super::follow::{ResidueAfterFailure, Walk};
use super::{Direction, Followed, Function, Migrations, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::finding_code::FindingCode;
use rollback_core::graph::Graph;
use rollback_core::operation::Place;
use rollback_core::plan::{Plan, Step};
use rollback_core::revision::RevisionId;
use rollback_schema::{Failure, SchemaModel};

/// A step with what there is to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepForecast {
    /// The step.
    pub seen: StepTrace,
    /// What was found when it was examined.
    pub findings: Vec<Finding>,
}

impl StepForecast {
    /// Whether the step fails for certain, by the schema or by what was found in the data.
    pub fn will_fail(&self) -> bool {
        let data = |finding: &Finding| finding.outcome == Some(FailurePrediction::WillFail);
        self.seen
            .downgrade
            .failures
            .iter()
            .any(|failure| failure.certain)
            || self.findings.iter().any(data)
    }
}

/// Follows the steps of a plan, newest first, each over the schema that those before it leave.
/// `examine` sees each step right after it was followed; where it finds that the step fails, the
/// following ones start from what that failure leaves, as if the step had been stamped past.
///
/// What a failed step leaves: on PostgreSQL nothing since the last end of a transaction; on MariaDB all
/// before the statement that failed; on SQLite all before the first change of rows, with which its
/// Python driver opens a transaction. A table `_alembic_tmp_*` that SQLite is left with is taken to be
/// removed. Where the connection may commit each statement by itself, what PostgreSQL keeps is in doubt.
pub fn predict(
    plan: &Plan,
    graph: &Graph,
    migrations: &dyn Migrations,
    dialect: Option<Dialect>,
    model: Option<SchemaModel>,
    examine: &mut dyn FnMut(&StepTrace) -> Vec<Finding>,
) -> Vec<StepForecast> {
    let applied = graph.applied(&plan.current).unwrap_or_default();
    let newest_first = graph.revisions().iter().rev();
    let others = newest_first
        .map(|revision| RevisionId::new(revision.id.clone()))
        .filter(|id| applied.contains(id))
        .collect();
    let mut ledger = ChangeLog::new(others);
    let mut model = model.map(Arc::new);
    let mut forecast = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let (followed, kept_before) =
            downgrade(step, migrations, dialect, model.clone(), &mut ledger);
        let seen = StepTrace {
            revision: step.removes.clone(),
            is_merge: step.is_merge,
            is_sql_file: migrations.are_sql_files(),
            dialect,
            downgrade: followed.function,
            upgrade: migrations.upgrade(&step.removes, dialect),
        };
        let findings = examine(&seen);
        let left = if followed.failed {
            Some(followed.left)
        } else {
            left_by(FailurePrediction::WillFail, &seen, &findings, &kept_before)
                .cloned()
                .or_else(|| {
                    let fails = findings
                        .iter()
                        .any(|one| one.outcome == Some(FailurePrediction::WillFail));
                    fails.then_some(followed.left)
                })
        };
        model = if let Some(left) = left {
            ledger.truncate(left.entries);
            left.model
        } else {
            let left = left_by(FailurePrediction::MayFail, &seen, &findings, &kept_before);
            either(followed.after, left)
        };
        ledger.step(&step.removes, &seen.upgrade, &seen.downgrade);
        forecast.push(StepForecast { seen, findings });
    }
    forecast
}

/// A downgrade that was followed.
struct Downgraded {
    function: Function,
    after: Option<Arc<SchemaModel>>,
    left: ResidueAfterFailure,
    failed: bool,
}

fn downgrade(
    step: &Step,
    migrations: &dyn Migrations,
    dialect: Option<Dialect>,
    model: Option<Arc<SchemaModel>>,
    ledger: &mut ChangeLog,
) -> (Downgraded, Vec<ResidueAfterFailure>) {
    let mut walk = Walk::new(dialect, &step.removes, model, ledger);
    walk.by_driver = !migrations.are_sql_files();
    walk.may_autocommit = dialect == Some(Dialect::Postgres) && migrations.may_autocommit();
    let mut followed = Followed::Whole;
    for (at, revision) in std::iter::once(&step.removes)
        .chain(&step.takes_along)
        .enumerate()
    {
        let ended = migrations.follow(revision, Direction::Downgrade, &mut walk);
        match &ended {
            Followed::Missing => walk.fail(no_downgrade(step, revision, migrations)),
            Followed::Unreadable(_) => walk.doubt(),
            Followed::Empty | Followed::Whole => {}
        }
        if at == 0 {
            followed = ended;
        }
        if walk.failed() {
            break;
        }
    }
    let (failed, left, after) = (walk.failed(), walk.left(), walk.model.take());
    let happened = std::mem::take(&mut walk.happened);
    let kept_before = std::mem::take(&mut walk.kept_before);
    let obstacles = std::mem::take(&mut walk.obstacles);
    let mut failures: Vec<Failure> = Vec::with_capacity(obstacles.len());
    for (obstacle, entries) in obstacles {
        let upgrade_of = |revision: &RevisionId| migrations.upgrade(revision, dialect);
        let culprit = ledger.blame(&obstacle, entries, &step.removes, upgrade_of);
        let failure = Failure {
            culprit,
            ..obstacle.failure
        };
        // A loop says the same many times.
        if !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    let function = Function {
        followed,
        happened,
        failures,
    };
    (
        Downgraded {
            function,
            after,
            left,
            failed,
        },
        kept_before,
    )
}

/// What is there after a step that may fail: what it makes, or what it leaves if it does fail.
fn either(
    after: Option<Arc<SchemaModel>>,
    left: Option<&ResidueAfterFailure>,
) -> Option<Arc<SchemaModel>> {
    match (after, left.and_then(|left| left.model.as_ref())) {
        (Some(after), Some(left)) if after != *left => Some(Arc::new(after.or(left))),
        (after, _) => after,
    }
}

/// What a step leaves that has this outcome at one of its events, the first.
fn left_by<'kept>(
    outcome: FailurePrediction,
    seen: &StepTrace,
    findings: &[Finding],
    kept_before: &'kept [ResidueAfterFailure],
) -> Option<&'kept ResidueAfterFailure> {
    let fails = findings
        .iter()
        .filter(|finding| finding.outcome == Some(outcome));
    fails
        .filter_map(|finding| {
            let place = finding.place.as_ref()?;
            seen.downgrade.happened.iter().position(|happened| {
                let event = &happened.event;
                event.place == *place || event.called_from.as_ref() == Some(place)
            })
        })
        .min()
        .and_then(|at| kept_before.get(at))
}

/// Alembic looks for the function when it makes its list of steps: `module has no attribute
/// 'downgrade'`.
fn no_downgrade(step: &Step, revision: &RevisionId, migrations: &dyn Migrations) -> Failure {
    let path = step
        .revision
        .path
        .clone()
        .unwrap_or_else(|| revision.to_string());
    Failure {
        code: FindingCode::NoDowngrade,
        sentence: migrations.lacks(revision),
        object: "downgrade".to_owned(),
        certain: true,
        place: Place {
            file: path.into(),
            line: 1,
            column: 1,
        },
        culprit: None,
    }
}
