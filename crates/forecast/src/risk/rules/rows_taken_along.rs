//! Rows that go from one table, and what foreign keys make of the rows that refer to them: they go as well, lose their
//! value, or keep the others from going.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{OperationContext, TableContents, evidence, is_same};
use crate::taken_along::{RemovedRows, removed_rows};
use crate::{EventKind, Function};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::{Answer, Probe, Question};
use rollback_schema::{Presence, SchemaModel};

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for (order, happened) in seen.downgrade.happened.iter().enumerate() {
        let (EventKind::Operation(operation), Some(model)) =
            (&happened.event.kind, happened.before.as_deref())
        else {
            continue;
        };
        let Some(removed) = removed_rows(operation, model) else {
            continue;
        };
        let place = &happened.event.place;
        let context = OperationContext::of(seen.dialect, order, happened, place, operation);
        if !matches!(
            context.stock(&removed.table),
            TableContents::Live { .. } | TableContents::Unknown
        ) {
            continue;
        }
        all.extend(taken_along(&context, model, &removed, ask));
        if removed.all {
            all.extend(kept(&context, model, &removed.table, seen, ask));
        }
    }
    all
}

/// How many rows hold a value in a column that refers to others.
fn referring_rows(
    context: &OperationContext<'_>,
    table: &TableName,
    columns: &[String],
    ask: &mut dyn Probe,
) -> Option<Answer> {
    let (TableContents::Live { table: live }, Some(column)) =
        (context.stock(table), columns.first())
    else {
        return None;
    };
    let [column] = context
        .live_columns(table, std::slice::from_ref(column))?
        .try_into()
        .ok()?;
    ask.ask(&Question::Values {
        table: live,
        column,
        default: None,
    })
}

fn taken_along(
    context: &OperationContext<'_>,
    model: &SchemaModel,
    removed: &RemovedRows,
    ask: &mut dyn Probe,
) -> Vec<FindingDraft> {
    let from = context.say(&removed.table);
    let mut all = Vec::new();
    for other in model.deleted_with(&removed.table) {
        let name = context.say(&other.table);
        let columns = other.columns.join(", ");
        let (verb, action) = if other.deleted {
            (format!("deletes rows of {name}"), "ON DELETE CASCADE")
        } else {
            (format!("empties {name} ({columns})"), "ON DELETE SET NULL")
        };
        let found = |level, rest: String| {
            let sentence = format!("{verb} that refer to {from}, by {action}{rest}");
            context
                .found(FindingCode::DataReversed, verb.clone(), level, sentence)
                .advise(format!("keep a copy of the rows of {name}"))
        };
        let gains = context.may_gain(&other.table, &other.columns);
        all.push(
            match referring_rows(context, &other.table, &other.columns, ask) {
                Some(answer) if answer.count == 0 && answer.exact && !gains => continue,
                Some(answer) => {
                    let rows = counted(answer.count, answer.exact, "row", "rows");
                    let some = if removed.all { "" } else { "some of " };
                    let then = if gains { " today" } else { "" };
                    found(Level::High, format!(": {some}{rows}{then}"))
                        .because(evidence(&answer, "row", "rows"))
                }
                None => found(Level::High, String::new()),
            },
        );
    }
    all
}

/// The rows that have to stay, because others refer to them.
fn kept(
    context: &OperationContext<'_>,
    model: &SchemaModel,
    table: &TableName,
    seen: &StepTrace,
    ask: &mut dyn Probe,
) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for (other, at) in model.referring(table) {
        let Some(key) = model
            .tables
            .get(&other)
            .map(|table| &table.foreign_keys[at])
        else {
            continue;
        };
        // Each row may refer to one that goes as well, and a deferred key looks at the end.
        let is_settled = other == *table || goes_later(&seen.downgrade, context.order, &other);
        if !key.keeps_rows() || is_settled {
            continue;
        }
        let (from, name) = (context.say(table), context.say(&other));
        let found = |level, rest: String| {
            let sentence = format!("removes all rows of {from} while {rest} refer to them");
            let object = format!("{from} {name}");
            context.found(FindingCode::Dependents, object, level, sentence).advise(
                match context.dialect {
                    Some(Dialect::Sqlite) => {
                        "foreign keys are enforced on the engine's connection: switch them off before its \
                         transaction begins"
                            .to_owned()
                    }
                    _ => format!("delete the rows of {name} first"),
                },
            )
        };
        let gains = context.may_gain(&other, &key.columns);
        all.push(match referring_rows(context, &other, &key.columns, ask) {
            Some(answer) if answer.count == 0 && answer.exact && !gains => continue,
            Some(answer) => {
                let rows = counted(answer.count, answer.exact, "row", "rows");
                let lost = context.may_lose(&other, &key.columns)
                    || answer.count == 0
                    || key.presence == Presence::Uncertain
                    || model.doubtful;
                found(Level::High, format!("{rows} of {name}"))
                    .fails(context.outcome(table, &answer, lost))
                    .because(evidence(&answer, "row", "rows"))
            }
            None => found(Level::Medium, format!("rows of {name} may"))
                .fails(FailurePrediction::MayFail),
        });
    }
    all
}

fn goes_later(downgrade: &Function, order: usize, table: &TableName) -> bool {
    let later = downgrade.happened.iter().skip(order + 1);
    later
        .filter_map(|happened| match &happened.event.kind {
            EventKind::Operation(operation) => Some(operation.as_ref()),
            _ => None,
        })
        .any(|operation| match operation {
            Operation::ChangeRows {
                table: Some(other), ..
            } => is_same(other, table),
            _ => false,
        })
}
