//! A column goes with its values.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, is_same, operations, operations_with_schema,
};
use rollback_core::figures::counted;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::ColumnDropped;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::DropColumn { table, column, .. } = scene.operation else {
            continue;
        };
        let name = format!("{}.{column}", scene.say(table));
        let found = |level, rest: String| {
            scene.found(
                CODE,
                name.clone(),
                level,
                format!("drops column {name}{rest}"),
            )
        };
        let advice =
            format!("keep a copy of {name} with the key of its table, if it is still wanted");
        all.push(match scene.column_stock(table, column) {
            (TableContents::Absent, _) => continue,
            (TableContents::CreatedByPlan, _) => {
                found(Level::Low, ", which the plan itself makes".to_owned())
            }
            (TableContents::Live { table: live, .. }, Some(live_column)) => {
                asked(&scene, seen, ask, (table, column), (live, live_column))
            }
            (TableContents::Live { .. } | TableContents::Unknown, _) => found(
                prior(seen, table, column),
                ", whose values are not known".to_owned(),
            )
            .advise(advice),
        });
    }
    all
}

fn asked(
    context: &OperationContext<'_>,
    seen: &StepTrace,
    ask: &mut dyn Probe,
    (table, column): (&TableName, &str),
    (live, live_column): (TableName, String),
) -> FindingDraft {
    let name = format!("{}.{column}", context.say(table));
    let found = |level, rest: String| {
        context.found(
            CODE,
            name.clone(),
            level,
            format!("drops column {name}{rest}"),
        )
    };
    let advice = format!("keep a copy of {name} with the key of its table, if it is still wanted");
    let default = context
        .column(table, column)
        .and_then(|column| column.default.clone());
    let values = ask.ask(&Question::Values {
        table: live.clone(),
        column: live_column,
        default,
    });
    if let Some(answer) = values {
        let evidence = evidence(&answer, "value", "values");
        let columns = [column.to_owned()];
        let by_then = context.by_then(table, &columns);
        if answer.count == 0 && answer.exact {
            let gains = context.may_gain(table, &columns);
            let level = if gains { Level::Medium } else { Level::Low };
            let rest = if gains {
                " today, before the plan writes values"
            } else {
                ""
            };
            return found(
                level,
                format!(", which holds nothing but its default{rest}"),
            )
            .because(evidence);
        }
        let level = if answer.count == 0 {
            Level::Medium
        } else {
            Level::High
        };
        let values = counted(answer.count, answer.exact, "value", "values");
        return found(level, format!(" with {values}{by_then}"))
            .because(evidence)
            .advise(advice);
    }
    // Too large to be looked through: at least its rows may be known.
    match ask.ask(&Question::Rows { table: live }) {
        Some(answer) if answer.count == 0 && answer.exact => {
            found(Level::Low, " of an empty table".to_owned())
                .because(evidence(&answer, "row", "rows"))
        }
        Some(answer) => {
            let rows = counted(answer.count, answer.exact, "row", "rows");
            let mut evidence = evidence(&answer, "row", "rows");
            // The figure is not that of the values.
            evidence.count = None;
            found(
                prior(seen, table, column).max(Level::Medium),
                format!(" of a table with {rows}; its values were not counted"),
            )
            .because(evidence)
            .advise(advice)
        }
        None => found(
            prior(seen, table, column),
            ", whose values were not counted".to_owned(),
        )
        .advise(advice),
    }
}

/// What the upgrade added has been filled since, if at all. What was there before it is somebody's data.
fn prior(seen: &StepTrace, dropped_from: &TableName, dropped: &str) -> Level {
    let is_made = operations(&seen.upgrade).any(|operation| match operation {
        Operation::AddColumn { table, column, .. } => {
            is_same(table, dropped_from) && column.name == dropped
        }
        _ => false,
    });
    if is_made { Level::Medium } else { Level::High }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{
        FakeProbe, column, edit, live, made, only, place, schema, step, table, undoing,
    };
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::Recreate;

    fn dropping() -> Operation {
        Operation::DropColumn {
            table: table("users"),
            column: "email".to_owned(),
            if_exists: false,
            cascade: false,
        }
    }

    #[test]
    fn the_level_is_that_of_the_values() {
        let seen = step(&schema(Dialect::Postgres), vec![dropping()]);
        let full = only(CODE, &seen, FakeProbe::all(1_204_331));
        assert_eq!(
            full.sentence,
            "drops column users.email with 1,204,331 values"
        );
        assert_eq!(full.level, Level::High);
        assert_eq!(full.place, Some(place(10)));
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
    }

    #[test]
    fn a_batch_is_looked_into() {
        let batch = Operation::Batch {
            table: table("users"),
            recreate: Recreate::Auto,
            copy_from: false,
            naming_convention: false,
            operations: vec![(place(33), dropping())],
        };
        let seen = step(&schema(Dialect::Sqlite), vec![batch]);
        let finding = only(CODE, &seen, FakeProbe::all(1));
        assert_eq!(finding.sentence, "drops column users.email with 1 value");
        assert_eq!(finding.place, Some(place(33)));
    }

    #[test]
    fn a_renamed_column_is_asked_under_its_present_name_with_its_default() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            let email = table.columns.get_mut("email").unwrap();
            email.origin = live("mail");
            email.default = Some("''".to_owned());
        });
        let seen = step(&before, vec![dropping()]);
        let told = FakeProbe::by(|question| match question {
            Question::Values {
                column,
                default: Some(_),
                ..
            } if column == "mail" => Some(4),
            _ => None,
        });
        assert_eq!(
            only(CODE, &seen, told).sentence,
            "drops column users.email with 4 values"
        );
    }

    #[test]
    fn without_values_the_rows_say_something() {
        let seen = step(&schema(Dialect::Postgres), vec![dropping()]);
        let rows = |count| {
            FakeProbe::by(move |question| {
                matches!(question, Question::Rows { .. }).then_some(count)
            })
        };
        assert_eq!(only(CODE, &seen, rows(0)).level, Level::Low);
        let some = only(CODE, &seen, rows(7));
        assert_eq!(some.level, Level::High);
        assert_eq!(some.evidence.unwrap().count, None);
        let added = Operation::AddColumn {
            table: table("users"),
            column: column("email", "TEXT"),
            if_not_exists: false,
        };
        let seen = undoing(seen, vec![added]);
        assert_eq!(only(CODE, &seen, rows(7)).level, Level::Medium);
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::Medium);
    }

    #[test]
    fn what_the_plan_makes_holds_nothing() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().origin = made();
        });
        let seen = step(&before, vec![dropping()]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(5)).level, Level::Low);
    }
}
