//! Rows have to hold to a condition again.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::names;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema,
};
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Constraint, Operation, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::CheckRestored;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::AddConstraint {
            table,
            constraint:
                Constraint::Check {
                    name,
                    condition,
                    not_valid,
                },
        } = scene.operation
        else {
            continue;
        };
        let live = match scene.stock(table) {
            TableContents::Live { table } => Some(table),
            TableContents::Unknown => None,
            TableContents::Absent | TableContents::CreatedByPlan => continue,
        };
        let said = scene.say(table);
        let what = match (name.known(), condition) {
            (Some(name), _) => name.to_owned(),
            (None, Some(condition)) => format!("({condition})"),
            (None, None) => "that is not known".to_owned(),
        };
        let found = |level, rest: String| {
            let sentence = format!("checks the rows of {said} by {what}{rest}");
            scene.found(CODE, format!("{said} {what}"), level, sentence)
        };
        if *not_valid {
            all.push(found(Level::Low, " without a look at the rows".to_owned()));
            continue;
        }
        let advice = format!("mend the rows of {said} that do not hold to the condition");
        let question = match (live, condition) {
            (Some(live), Some(condition)) if scene.has_present_names(table) => {
                Some(Question::Violations {
                    table: live,
                    condition: condition.clone(),
                })
            }
            _ => None,
        };
        let columns = checked_columns(&scene, table, condition.as_deref());
        all.push(match question.and_then(|question| ask.ask(&question)) {
            Some(answer) if answer.count == 0 && answer.exact => {
                found(Level::Low, ", and every row holds to it".to_owned())
                    .because(evidence(&answer, "row", "rows"))
                    .unless(scene.may_gain(table, &columns))
            }
            Some(answer) => {
                let verb = if answer.count == 1 { "does" } else { "do" };
                let rows = counted(answer.count, answer.exact, "row", "rows");
                found(Level::High, format!(", and {rows} {verb} not hold to it"))
                    .fails(scene.outcome(table, &answer, scene.may_lose(table, &columns)))
                    .because(evidence(&answer, "row", "rows"))
                    .advise(advice)
            }
            None => found(Level::Medium, "; they were not looked at".to_owned())
                .fails(FailurePrediction::MayFail)
                .advise(advice),
        });
    }
    all
}

/// The columns that a condition speaks of.
fn checked_columns(
    context: &OperationContext<'_>,
    table: &TableName,
    condition: Option<&str>,
) -> Vec<String> {
    let columns = context.table(table).map(|(_, table)| table.columns.keys());
    let is_named = |name: &&String| condition.is_none_or(|condition| names(condition, name));
    columns
        .into_iter()
        .flatten()
        .filter(is_named)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, live, only, schema, step, table};
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::Name;

    fn check() -> Operation {
        Operation::AddConstraint {
            table: table("users"),
            constraint: Constraint::Check {
                name: Name::Known("ck_age".to_owned()),
                condition: Some("age >= 0".to_owned()),
                not_valid: false,
            },
        }
    }

    #[test]
    fn rows_that_break_it_make_it_fail() {
        let seen = step(&schema(Dialect::Postgres), vec![check()]);
        let finding = only(CODE, &seen, FakeProbe::all(1));
        assert_eq!(
            finding.sentence,
            "checks the rows of users by ck_age, and 1 row does not hold to it"
        );
        assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
    }

    #[test]
    fn a_condition_over_renamed_columns_is_not_asked() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("age").unwrap().origin = live("years");
        });
        let seen = step(&before, vec![check()]);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(0)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }
}
