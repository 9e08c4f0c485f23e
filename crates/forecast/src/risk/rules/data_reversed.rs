//! The downgrade itself changes rows.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema,
};
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, RowChange, TableName};
use rollback_core::probe::{Answer, Probe, Question};

const CODE: FindingCode = FindingCode::DataReversed;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::ChangeRows {
            change,
            table,
            columns,
            nulls,
            conditional,
            ..
        } = scene.operation
        else {
            continue;
        };
        let verb = match change {
            RowChange::Insert => "inserts rows into",
            RowChange::Update => "updates",
            RowChange::Delete => "deletes rows of",
            RowChange::Some => "changes rows of",
        };
        // What is new takes nothing away.
        let worst = match change {
            RowChange::Insert => Level::Medium,
            RowChange::Update | RowChange::Delete | RowChange::Some => Level::High,
        };
        let Some(table) = table else {
            let sentence = format!("{verb} a table that cannot be followed");
            let object = format!("{verb} {}", scene.place);
            let level = if worst == Level::High {
                Level::Unknown
            } else {
                worst
            };
            all.push(scene.found(CODE, object, level, sentence).advise(ADVICE));
            continue;
        };
        let name = scene.say(table);
        let set = match (change, columns.as_slice()) {
            (RowChange::Update, [_, ..]) => format!(" ({})", columns.join(", ")),
            _ => String::new(),
        };
        let nulls = nulls_refused(&scene, table, nulls);
        let is_refused = |rows: Option<&Answer>| {
            let fails = match rows {
                Some(rows) if !conditional => {
                    scene.outcome(table, rows, scene.may_lose(table, &[]))
                }
                _ => FailurePrediction::MayFail,
            };
            nulls.is_some().then_some(fails)
        };
        let set = nulls.as_deref().unwrap_or(&set);
        let found = |level, rest: String| {
            scene.found(
                CODE,
                format!("{verb} {name}"),
                level,
                format!("{verb} {name}{set}{rest}"),
            )
        };
        let fills_new_columns = *change == RowChange::Update
            && !columns.is_empty()
            && columns.iter().all(|column| scene.is_new(table, column));
        if fills_new_columns && scene.table(table).is_some() {
            let rest = ", in what the plan itself adds".to_owned();
            all.push(found(Level::Low, rest));
            continue;
        }
        let answer = match scene.stock(table) {
            TableContents::Absent => continue,
            TableContents::CreatedByPlan => {
                all.push(found(
                    Level::Low,
                    ", which the plan itself makes".to_owned(),
                ));
                continue;
            }
            _ if *change == RowChange::Insert => None,
            TableContents::Live { table, .. } => ask.ask(&Question::Rows { table }),
            TableContents::Unknown => None,
        };
        let some = if *conditional { "some" } else { "all" };
        all.push(match answer {
            Some(answer) if answer.count == 0 && answer.exact && !scene.may_gain(table, &[]) => {
                found(Level::Low, ", which is empty".to_owned())
                    .because(evidence(&answer, "row", "rows"))
            }
            Some(answer) => {
                let rows = counted(answer.count, answer.exact, "row", "rows");
                let by_then = scene.by_then(table, &[]);
                found(worst, format!(": {some} of {rows}{by_then}"))
                    .fails(is_refused(Some(&answer)))
                    .because(evidence(&answer, "row", "rows"))
                    .advise(ADVICE)
            }
            None => found(worst, String::new())
                .fails(is_refused(None))
                .advise(ADVICE),
        });
    }
    all
}

/// The columns among these that take no NULL, as a part of the sentence.
fn nulls_refused(
    context: &OperationContext<'_>,
    table: &TableName,
    nulls: &[String],
) -> Option<String> {
    let refuses = |name: &&String| {
        context
            .column(table, name)
            .is_some_and(|known| !known.nullable)
    };
    let refused: Vec<&str> = nulls.iter().filter(refuses).map(String::as_str).collect();
    let columns = refused.join(", ");
    (!refused.is_empty()).then(|| format!(", setting {columns} to NULL, which is NOT NULL"))
}

const ADVICE: &str = "read the statement and keep a copy of the rows that it changes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, made, only, schema, step, table};
    use rollback_core::dialect::Dialect;

    fn changing(change: RowChange, conditional: bool) -> Operation {
        Operation::ChangeRows {
            change,
            table: Some(table("users")),
            columns: vec!["email".to_owned()],
            conditional,
            nulls: Vec::new(),
            sql: None,
        }
    }

    /// Nothing is overwritten in a column that was not there.
    #[test]
    fn to_fill_what_the_plan_adds_takes_nothing_away() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().origin = made();
        });
        let seen = step(&before, vec![changing(RowChange::Update, true)]);
        let finding = only(CODE, &seen, FakeProbe::all(88));
        assert_eq!(finding.level, Level::Low);
        assert_eq!(
            finding.sentence,
            "updates users (email), in what the plan itself adds"
        );
        let Operation::ChangeRows { mut columns, .. } = changing(RowChange::Update, true) else {
            unreachable!()
        };
        columns.push("age".to_owned());
        let both = Operation::ChangeRows {
            change: RowChange::Update,
            table: Some(table("users")),
            columns,
            conditional: true,
            nulls: Vec::new(),
            sql: None,
        };
        assert_eq!(
            only(CODE, &step(&before, vec![both]), FakeProbe::all(88)).level,
            Level::High
        );
    }

    #[test]
    fn what_changes_rows_is_a_high_risk_unless_there_are_none() {
        for (change, words, level) in [
            (
                RowChange::Update,
                "updates users (email): some of 88 rows",
                Level::High,
            ),
            (
                RowChange::Delete,
                "deletes rows of users: some of 88 rows",
                Level::High,
            ),
            (RowChange::Insert, "inserts rows into users", Level::Medium),
        ] {
            let seen = step(&schema(Dialect::Postgres), vec![changing(change, true)]);
            let finding = only(CODE, &seen, FakeProbe::all(88));
            assert_eq!((finding.sentence.as_str(), finding.level), (words, level));
            assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, level);
        }
        let empty = step(
            &schema(Dialect::Postgres),
            vec![changing(RowChange::Delete, false)],
        );
        assert_eq!(only(CODE, &empty, FakeProbe::all(0)).level, Level::Low);
    }

    #[test]
    fn a_table_that_the_plan_made_has_nothing_to_lose() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.origin = made());
        let seen = step(&before, vec![changing(RowChange::Update, false)]);
        assert_eq!(only(CODE, &seen, FakeProbe::all(5)).level, Level::Low);
    }
}
