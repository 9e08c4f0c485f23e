//! A column that took NULL takes it no more, or a new column does not.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema,
};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ColumnDefinition, Operation, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::NotNullRestored;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let found = match scene.operation {
            Operation::AlterColumn {
                table,
                column,
                change,
            } if change.nullable == Some(false) => altered(&scene, ask, table, column),
            Operation::AddColumn { table, column, .. }
                if !column.nullable && !column.primary_key && column.server_default.is_none() =>
            {
                added(&scene, ask, table, column)
            }
            _ => None,
        };
        all.extend(found);
    }
    all
}

fn altered(
    context: &OperationContext<'_>,
    ask: &mut dyn Probe,
    table: &TableName,
    column: &str,
) -> Option<FindingDraft> {
    let known = context.column(table, column);
    if known.is_some_and(|known| !known.nullable) {
        return None;
    }
    let name = format!("{}.{column}", context.say(table));
    let found = |level, rest: String| {
        context.found(
            CODE,
            name.clone(),
            level,
            format!("makes {name} NOT NULL{rest}"),
        )
    };
    let advice = format!("give {name} a value where it is NULL, before this step");
    let has_default = known.is_some_and(|known| known.default.is_some());
    let question = match context.column_stock(table, column) {
        (TableContents::Absent, _) => return None,
        (TableContents::Live { table }, Some(column)) => Question::Nulls { table, column },
        // The plan made the column, so it is NULL in every row that there was.
        (TableContents::CreatedByPlan, _) if !has_default => match context.stock(table) {
            TableContents::Live { table } => Question::Rows { table },
            _ => {
                return Some(found(
                    Level::Low,
                    " in a table that the plan makes".to_owned(),
                ));
            }
        },
        (TableContents::CreatedByPlan, _) => {
            return Some(found(Level::Low, ", which has a default".to_owned()));
        }
        _ => return Some(unknown(found(Level::Medium, String::new())).advise(advice)),
    };
    let columns = [column.to_owned()];
    Some(match ask.ask(&question) {
        Some(answer) if answer.count == 0 && answer.exact => {
            found(Level::Low, ", and no row has NULL there".to_owned())
                .because(evidence(&answer, "row", "rows"))
                .unless(context.may_gain(table, &columns))
        }
        Some(answer) => {
            let rows = counted(answer.count, answer.exact, "row", "rows");
            let level = if answer.count == 0 {
                Level::Medium
            } else {
                Level::High
            };
            let verb = if answer.count == 1 { "has" } else { "have" };
            found(level, format!(", and {rows} {verb} NULL there"))
                .fails(context.outcome(table, &answer, context.may_lose(table, &columns)))
                .because(evidence(&answer, "row", "rows"))
                .advise(advice)
        }
        None => unknown(found(Level::Medium, String::new())).advise(advice),
    })
}

fn added(
    context: &OperationContext<'_>,
    ask: &mut dyn Probe,
    table: &TableName,
    column: &ColumnDefinition,
) -> Option<FindingDraft> {
    let name = format!("{}.{}", context.say(table), column.name);
    let sentence = format!("adds column {name} as NOT NULL without a default");
    let found =
        |level, rest: String| context.found(CODE, name.clone(), level, format!("{sentence}{rest}"));
    let advice =
        format!("give the column a server default in the downgrade, or add {name} by hand");
    let live = match context.stock(table) {
        TableContents::Live { table } => table,
        TableContents::Absent | TableContents::CreatedByPlan => return None,
        TableContents::Unknown => {
            return Some(unknown(found(Level::Medium, String::new())).advise(advice));
        }
    };
    Some(match ask.ask(&Question::Rows { table: live }) {
        Some(answer) if answer.count == 0 && answer.exact => {
            found(Level::Low, " to an empty table".to_owned())
                .because(evidence(&answer, "row", "rows"))
                .unless(context.may_gain(table, &[]))
        }
        Some(answer) => {
            let rows = counted(answer.count, answer.exact, "row", "rows");
            let words = format!(" to a table with {rows}");
            let evidence = evidence(&answer, "row", "rows");
            match context.dialect {
                // The server makes a value up: 0, the empty text. Not of days, in strict mode.
                Some(Dialect::MySql) => {
                    let words = format!("{words}, each of which gets an empty value of its type");
                    found(Level::Medium, words).because(evidence).advise(advice)
                }
                _ => found(Level::High, words)
                    .fails(context.outcome(table, &answer, context.may_lose(table, &[])))
                    .because(evidence)
                    .advise(advice),
            }
        }
        None => unknown(found(Level::Medium, String::new())).advise(advice),
    })
}

fn unknown(found: FindingDraft) -> FindingDraft {
    found.fails(FailurePrediction::MayFail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, column, edit, found, made, only, schema, step, table};
    use rollback_core::operation::ColumnChange;

    fn altering() -> Operation {
        Operation::AlterColumn {
            table: table("users"),
            column: "email".to_owned(),
            change: ColumnChange {
                nullable: Some(false),
                ..ColumnChange::default()
            },
        }
    }

    fn adding() -> Operation {
        let mut column = column("note", "TEXT");
        column.nullable = false;
        Operation::AddColumn {
            table: table("users"),
            column,
            if_not_exists: false,
        }
    }

    #[test]
    fn nulls_make_it_fail_everywhere() {
        for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
            let seen = step(&schema(dialect), vec![altering()]);
            let finding = only(CODE, &seen, FakeProbe::all(12));
            assert_eq!(
                finding.sentence,
                "makes users.email NOT NULL, and 12 rows have NULL there"
            );
            assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
            let none = only(CODE, &seen, FakeProbe::all(0));
            assert_eq!((none.level, none.outcome), (Level::Low, None));
            let unasked = only(CODE, &seen, FakeProbe::nothing());
            assert_eq!(
                (unasked.level, unasked.outcome),
                (Level::Medium, Some(FailurePrediction::MayFail))
            );
        }
    }

    /// Turns red if a failure is called certain that the plan itself may prevent.
    #[test]
    fn where_the_plan_changes_rows_before_it_may_fail() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.deleted = true);
        let seen = step(&before, vec![altering()]);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(12)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    #[test]
    fn a_column_that_the_plan_made_is_null_in_every_row() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().origin = made();
        });
        let seen = step(&before, vec![altering()]);
        let rows = FakeProbe::by(|question| matches!(question, Question::Rows { .. }).then_some(5));
        assert_eq!(
            only(CODE, &seen, rows).outcome,
            Some(FailurePrediction::WillFail)
        );
    }

    #[test]
    fn what_is_not_null_already_stays() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().nullable = false;
        });
        let seen = step(&before, vec![altering()]);
        assert!(found(CODE, &seen, FakeProbe::all(12)).is_empty());
    }

    #[test]
    fn a_new_column_without_default_fails_where_there_are_rows() {
        for (dialect, outcome) in [
            (Dialect::Postgres, Some(FailurePrediction::WillFail)),
            (Dialect::Sqlite, Some(FailurePrediction::WillFail)),
            (Dialect::MySql, None),
        ] {
            let seen = step(&schema(dialect), vec![adding()]);
            assert_eq!(only(CODE, &seen, FakeProbe::all(2)).outcome, outcome);
            assert_eq!(only(CODE, &seen, FakeProbe::all(0)).outcome, None);
        }
    }
}
