//! What the plan of a step announced, from its trace and its findings.

use super::taken_along::removed_rows;
use super::{EventKind, Followed, SideEffect, StepTrace};
use rollback_core::effect::{Announced, Unfollowed};
use rollback_core::finding::Finding;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, RowChange};
use rollback_schema::{FollowingRows, SchemaModel};

/// What the trace of a downgrade and its findings announce. Each operation counts, whether it is certain or behind a
/// condition.
pub fn announced(trace: &StepTrace, findings: &[Finding]) -> Announced {
    let happened = &trace.downgrade.happened;
    let model = happened.iter().find_map(|happened| happened.before.clone());
    let default_schema = model.and_then(|model| model.default_schema.clone());
    let mut announced = Announced::new(default_schema, trace.dialect);
    if matches!(trace.downgrade.followed, Followed::Unreadable(_)) {
        announced.may_do(Unfollowed::Anything);
    }
    // Such as rows that change under a trigger of the same step.
    let is_unknown = |finding: &Finding| {
        finding.code == FindingCode::UnknownCode && finding.level == Level::Unknown
    };
    if findings.iter().any(is_unknown) {
        announced.may_do(Unfollowed::Rows);
    }
    announced.set_shows_lost_tables(findings.iter().any(|finding| {
        finding.code == FindingCode::TableDropped && finding.level >= Level::Medium
    }));
    for one in happened {
        match &one.event.kind {
            EventKind::Operation(operation) => {
                announced.add(operation, trace.dialect);
                let model = one.before.as_deref();
                for other in model
                    .into_iter()
                    .flat_map(|model| following(operation, model))
                {
                    announced.add(&other, trace.dialect);
                }
            }
            EventKind::Unknown { may_change, .. } => announced.may_do(match may_change {
                SideEffect::Rows => Unfollowed::Rows,
                SideEffect::Schema => Unfollowed::Anything,
            }),
            EventKind::EndsTransaction | EventKind::Raises { .. } => {}
        }
    }
    announced
}

/// The changes of other tables that foreign keys bring about.
fn following(operation: &Operation, model: &SchemaModel) -> Vec<Operation> {
    let removed = removed_rows(operation, model);
    let following = removed.map(|removed| model.deleted_with(&removed.table));
    let change = |rows: FollowingRows| Operation::ChangeRows {
        change: if rows.deleted {
            RowChange::Delete
        } else {
            RowChange::Update
        },
        table: Some(rows.table),
        columns: rows.columns,
        nulls: Vec::new(),
        conditional: true,
        sql: None,
    };
    following.into_iter().flatten().map(change).collect()
}
