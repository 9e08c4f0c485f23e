//! Rows have to point at others again.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, operations_with_schema, untold_evidence,
};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Constraint, Operation, Reference};
use rollback_core::probe::{Answer, Probe, Question};

const CODE: FindingCode = FindingCode::ForeignKeyRestored;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    operations_with_schema(seen)
        .iter()
        .filter_map(|context| restored(context, ask))
        .collect()
}

fn restored(context: &OperationContext<'_>, ask: &mut dyn Probe) -> Option<FindingDraft> {
    let Operation::AddConstraint {
        table,
        constraint:
            Constraint::ForeignKey {
                columns,
                references,
                not_valid,
            },
    } = context.operation
    else {
        return None;
    };
    let name = format!("{} ({})", context.say(table), columns.join(", "));
    let referent = context.say(&references.table);
    let lock = match context.dialect {
        Some(Dialect::Postgres) => ", under a SHARE ROW EXCLUSIVE lock on both",
        _ => "",
    };
    let found = |level, rest: String| {
        let sentence = format!("makes {name} point at {referent}{rest}");
        context.found(CODE, format!("{name} {referent}"), level, sentence)
    };
    let advice = format!("give the rows of {name} that point at nothing another value, or NULL");
    let live = match context.stock(table) {
        TableContents::Live { table } => table,
        TableContents::Absent | TableContents::CreatedByPlan => return None,
        TableContents::Unknown => {
            return Some(
                found(Level::Medium, lock.to_owned())
                    .fails(FailurePrediction::MayFail)
                    .advise(advice),
            );
        }
    };
    let is_unchecked = context.dialect == Some(Dialect::MySql)
        && context
            .before
            .is_some_and(|model| model.foreign_keys == Some(false));
    if *not_valid || is_unchecked {
        return Some(found(Level::Low, " without a look at the rows".to_owned()));
    }
    let is_made = columns.iter().any(|column| context.is_new(table, column));
    if is_made {
        return Some(found(Level::Low, format!(", with nothing in it{lock}")));
    }
    let referent_columns = referent_columns(context, references);
    let gains_orphans =
        context.may_gain(table, columns) || context.may_lose(&references.table, &referent_columns);
    let loses_orphans =
        context.may_lose(table, columns) || context.may_gain(&references.table, &referent_columns);
    let answer = orphans(context, ask, live);
    Some(match answer {
        Some(answer) if answer.count == 0 && answer.exact => {
            let lock = if gains_orphans { "" } else { lock };
            found(Level::Low, format!(", and every row does{lock}"))
                .because(untold_evidence(&answer, "orphan", "orphans"))
                .unless(gains_orphans && context.dialect != Some(Dialect::Sqlite))
        }
        Some(answer) => {
            let verb = if answer.count == 1 { "points" } else { "point" };
            let rows = counted(answer.count, answer.exact, "row", "rows");
            let words = format!(", but {rows} {verb} at nothing");
            let (level, outcome) = match context.dialect {
                // It takes the key and looks at new rows only, if at those.
                Some(Dialect::Sqlite) => (Level::Medium, None),
                _ => (
                    Level::High,
                    Some(context.outcome(table, &answer, loses_orphans)),
                ),
            };
            found(level, words)
                .fails(outcome)
                .because(untold_evidence(&answer, "orphan", "orphans"))
                .advise(advice)
        }
        None if context.dialect == Some(Dialect::Sqlite) => found(
            Level::Low,
            ", which SQLite does not check of the rows there are".to_owned(),
        ),
        None => found(
            Level::Medium,
            format!("; its rows were not looked at{lock}"),
        )
        .fails(FailurePrediction::MayFail)
        .advise(advice),
    })
}

/// Without columns the primary key is meant.
fn referent_columns(context: &OperationContext<'_>, references: &Reference) -> Vec<String> {
    let referent = context.table(&references.table);
    let primary = referent.and_then(|(_, table)| table.primary_key.as_ref());
    match primary {
        Some(primary) if references.columns.is_empty() => primary.columns.clone(),
        _ => references.columns.clone(),
    }
}

fn orphans(
    context: &OperationContext<'_>,
    ask: &mut dyn Probe,
    live: rollback_core::operation::TableName,
) -> Option<Answer> {
    let Operation::AddConstraint {
        table,
        constraint:
            Constraint::ForeignKey {
                columns,
                references,
                ..
            },
    } = context.operation
    else {
        return None;
    };
    let columns = context.live_columns(table, columns)?;
    match context.stock(&references.table) {
        TableContents::Live { table: referent } => {
            let named = referent_columns(context, references);
            ask.ask(&Question::Orphans {
                table: live,
                columns,
                referent_columns: context.live_columns(&references.table, &named)?,
                referent,
            })
        }
        // There is nothing to point at, so every value is an orphan.
        TableContents::CreatedByPlan => match columns.as_slice() {
            [column] => ask.ask(&Question::Values {
                table: live,
                column: column.clone(),
                default: None,
            }),
            _ => None,
        },
        TableContents::Absent | TableContents::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, made, only, schema, step, table};
    use rollback_core::operation::Name;

    fn key(not_valid: bool) -> Operation {
        Operation::AddConstraint {
            table: table("orders"),
            constraint: Constraint::ForeignKey {
                columns: vec!["user_id".to_owned()],
                references: Reference {
                    name: Name::Unnamed,
                    table: table("users"),
                    columns: vec!["id".to_owned()],
                    on_delete: None,
                    inline: false,
                },
                not_valid,
            },
        }
    }

    #[test]
    fn orphans_make_it_fail_where_the_server_looks() {
        for (dialect, outcome) in [
            (Dialect::Postgres, Some(FailurePrediction::WillFail)),
            (Dialect::MySql, Some(FailurePrediction::WillFail)),
            (Dialect::Sqlite, None),
        ] {
            let seen = step(&schema(dialect), vec![key(false)]);
            let finding = only(CODE, &seen, FakeProbe::all(2));
            assert_eq!(finding.outcome, outcome);
            assert_eq!(
                finding.sentence,
                "makes orders (user_id) point at users, but 2 rows point at nothing"
            );
            let none = only(CODE, &seen, FakeProbe::all(0));
            assert_eq!((none.level, none.outcome), (Level::Low, None));
        }
    }

    #[test]
    fn rows_that_change_in_either_table_make_it_uncertain() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.inserted = true);
        let seen = step(&before, vec![key(false)]);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(2)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    #[test]
    fn a_new_table_is_pointed_at_by_nobody_rightly() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.origin = made());
        let seen = step(&before, vec![key(false)]);
        let values =
            FakeProbe::by(|question| matches!(question, Question::Values { .. }).then_some(9));
        assert_eq!(
            only(CODE, &seen, values).outcome,
            Some(FailurePrediction::WillFail)
        );
    }

    #[test]
    fn not_valid_does_not_look() {
        let seen = step(&schema(Dialect::Postgres), vec![key(true)]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(2)).level, Level::Low);
    }
}
