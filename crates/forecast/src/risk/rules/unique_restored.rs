//! Rows that may be alike now have to differ again: a unique key, a primary key, a unique index.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::names;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema,
};
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Constraint, IndexRows, Operation, TableName, UniqueScope};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::UniqueRestored;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let (table, columns, alike) = match scene.operation {
            Operation::AddConstraint {
                table,
                constraint: Constraint::Unique { columns, alike, .. },
            } => (
                table,
                columns.iter().cloned().map(Some).collect(),
                alike.clone(),
            ),
            Operation::AddConstraint {
                table,
                constraint: Constraint::PrimaryKey { columns, .. },
            } => (
                table,
                columns.iter().cloned().map(Some).collect(),
                UniqueScope::default(),
            ),
            Operation::CreateIndex {
                table,
                columns,
                unique: true,
                alike,
                ..
            } => (table, columns.clone(), alike.clone()),
            _ => continue,
        };
        let known: Option<Vec<String>> = columns.iter().cloned().collect();
        let words: Vec<&str> = columns
            .iter()
            .map(|column| column.as_deref().unwrap_or("an expression"))
            .collect();
        let name = format!("{} ({})", scene.say(table), words.join(", "));
        let found = |level, rest: String| {
            scene.found(
                CODE,
                name.clone(),
                level,
                format!("makes {name} unique{rest}"),
            )
        };
        let advice = format!(
            "look for rows that share {} and settle which one stays",
            words.join(", ")
        );
        let live = match scene.stock(table) {
            TableContents::Live { table } => table,
            TableContents::Absent | TableContents::CreatedByPlan => continue,
            TableContents::Unknown => {
                all.push(
                    found(Level::Medium, String::new())
                        .fails(FailurePrediction::MayFail)
                        .advise(advice),
                );
                continue;
            }
        };
        let is_made = known
            .as_ref()
            .is_some_and(|columns| columns.iter().any(|column| scene.is_new(table, column)));
        if is_made && !alike.nulls {
            // NULLs are never alike, and that is all that such a column holds.
            continue;
        }
        let condition = match &alike.among {
            IndexRows::All => Some(None),
            // It speaks of columns by the names that they have then.
            IndexRows::Where(condition) if scene.has_present_names(table) => {
                Some(Some(condition.clone()))
            }
            IndexRows::Where(_) | IndexRows::Unknown => None,
        };
        let compared = compared_columns(&scene, table, &columns, &alike);
        let answer = known
            .filter(|_| !alike.in_part)
            .and_then(|columns| scene.live_columns(table, &columns))
            .zip(condition)
            .and_then(|(columns, condition)| {
                ask.ask(&Question::Duplicates {
                    table: live,
                    columns,
                    condition,
                    nulls: alike.nulls,
                })
            });
        all.push(match answer {
            Some(answer) if answer.count == 0 && answer.exact => {
                found(Level::Low, ", and no two rows are alike".to_owned())
                    .because(evidence(&answer, "group of rows", "groups of rows"))
                    .unless(scene.may_gain(table, &compared))
            }
            Some(answer) => {
                let verb = if answer.count == 1 { "is" } else { "are" };
                let groups = counted(answer.count, answer.exact, "group", "groups");
                found(
                    Level::High,
                    format!(", and there {verb} {groups} of rows that are alike"),
                )
                .fails(scene.outcome(table, &answer, scene.may_lose(table, &compared)))
                .because(evidence(&answer, "group of rows", "groups of rows"))
                .advise(advice)
            }
            None => found(Level::Medium, "; its rows were not compared".to_owned())
                .fails(FailurePrediction::MayFail)
                .advise(advice),
        });
    }
    all
}

/// The columns whose values decide: those of the key and of its condition.
fn compared_columns(
    context: &OperationContext<'_>,
    table: &TableName,
    columns: &[Option<String>],
    alike: &UniqueScope,
) -> Vec<String> {
    let all = context.table(table).map(|(_, table)| table.columns.keys());
    let is_compared = |name: &&String| match &alike.among {
        _ if columns.contains(&Some((*name).clone())) => true,
        IndexRows::All => false,
        IndexRows::Where(condition) => names(condition, name),
        IndexRows::Unknown => true,
    };
    all.into_iter()
        .flatten()
        .filter(is_compared)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::examine;
    use crate::risk::testing::{FakeProbe, edit, found, live, made, only, schema, step, table};
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::Name;
    use rollback_schema::SchemaModel;

    fn key() -> Operation {
        Operation::AddConstraint {
            table: table("users"),
            constraint: Constraint::Unique {
                name: Name::Known("uq".to_owned()),
                columns: vec!["email".to_owned()],
                alike: UniqueScope::default(),
            },
        }
    }

    fn index(columns: Vec<Option<String>>, alike: UniqueScope) -> Operation {
        Operation::CreateIndex {
            name: Name::Known("ix".to_owned()),
            table: table("users"),
            columns,
            unique: true,
            alike,
            concurrently: false,
            if_not_exists: false,
        }
    }

    #[test]
    fn duplicates_make_it_fail() {
        let columns = vec![Some("email".to_owned())];
        for operation in [key(), index(columns, UniqueScope::default())] {
            let seen = step(&schema(Dialect::MySql), vec![operation]);
            let finding = only(CODE, &seen, FakeProbe::all(3));
            assert_eq!(
                finding.sentence,
                "makes users (email) unique, and there are 3 groups of rows that are alike"
            );
            assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
            assert_eq!(only(CODE, &seen, FakeProbe::all(0)).outcome, None);
        }
    }

    #[test]
    fn an_expression_cannot_be_asked() {
        let index = index(vec![None], UniqueScope::default());
        let seen = step(&schema(Dialect::Postgres), vec![index]);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(0)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    /// What was asked, and whether the step fails by an answer that there are three groups.
    fn asked(
        before: &SchemaModel,
        alike: UniqueScope,
    ) -> (Vec<Question>, Option<FailurePrediction>) {
        let seen = step(before, vec![index(vec![Some("email".to_owned())], alike)]);
        let mut told = FakeProbe::all(3);
        let findings = examine(&seen, &mut told);
        let finding = findings.into_iter().find(|finding| finding.code == CODE);
        told.asked
            .retain(|question| matches!(question, Question::Duplicates { .. }));
        (told.asked, finding.unwrap().outcome)
    }

    #[test]
    fn only_the_rows_of_a_partial_index_are_compared() {
        let mut before = schema(Dialect::Postgres);
        let among = |among| UniqueScope {
            among,
            ..UniqueScope::default()
        };
        let those = || among(IndexRows::Where("age > 3".to_owned()));
        let question = Question::Duplicates {
            table: TableName {
                schema: Some("public".to_owned()),
                name: "users".to_owned(),
            },
            columns: vec!["email".to_owned()],
            condition: Some("age > 3".to_owned()),
            nulls: false,
        };
        assert_eq!(
            asked(&before, those()),
            (vec![question], Some(FailurePrediction::WillFail))
        );
        let unasked = (Vec::new(), Some(FailurePrediction::MayFail));
        assert_eq!(asked(&before, among(IndexRows::Unknown)), unasked);
        // The condition speaks of a column that has another name now.
        edit(&mut before, "users", |table| {
            table.columns.get_mut("age").unwrap().origin = live("years");
        });
        assert_eq!(asked(&before, those()), unasked);
    }

    #[test]
    fn first_letters_are_not_compared() {
        let alike = UniqueScope {
            in_part: true,
            ..UniqueScope::default()
        };
        assert_eq!(
            asked(&schema(Dialect::MySql), alike),
            (Vec::new(), Some(FailurePrediction::MayFail))
        );
    }

    /// A new column holds nothing but NULL, which is alike there in all rows.
    #[test]
    fn where_nulls_are_alike_a_new_column_may_fail() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().origin = made();
        });
        let alike = UniqueScope {
            nulls: true,
            ..UniqueScope::default()
        };
        assert_eq!(
            asked(&before, alike),
            (Vec::new(), Some(FailurePrediction::MayFail))
        );
    }

    /// The batch that makes the column makes the key as well.
    #[test]
    fn a_column_of_the_same_batch_has_no_duplicates() {
        let mut before = schema(Dialect::Sqlite);
        edit(&mut before, "users", |table| {
            table.columns.remove("email");
        });
        let seen = step(&before, vec![key()]);
        assert!(found(CODE, &seen, FakeProbe::all(3)).is_empty());
    }

    #[test]
    fn a_column_that_the_plan_made_has_no_duplicates() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().origin = made();
        });
        let seen = step(&before, vec![key()]);
        assert!(found(CODE, &seen, FakeProbe::all(3)).is_empty());
    }
}
