//! A word goes from an enum.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema,
};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ColumnType, Family, Operation, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::EnumValueRemoved;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::AlterColumn {
            table,
            column,
            change,
        } = scene.operation
        else {
            continue;
        };
        let known = scene.column(table, column).and_then(|c| c.kind.as_ref());
        let (Some(from), Some(to)) = (known.or(change.existing_kind.as_ref()), &change.kind) else {
            continue;
        };
        let Some(words) = removed(&scene, from, to, change.existing_kind.as_ref())
            .filter(|words| !words.is_empty())
        else {
            continue;
        };
        let name = format!("{}.{column}", scene.say(table));
        let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let found = |level, rest: String| {
            let sentence = format!("takes {} from {name}{rest}", list.join(", "));
            scene.found(CODE, name.clone(), level, sentence)
        };
        let advice = format!("give the rows of {name} that hold it another word");
        let columns = [column.clone()];
        let (stock, live_column) = scene.column_stock(table, column);
        let answer = match (stock, live_column) {
            (TableContents::Absent, _) => continue,
            (TableContents::CreatedByPlan, _) => {
                all.push(found(Level::Low, "; it holds nothing then".to_owned()));
                continue;
            }
            (TableContents::Live { table }, Some(column)) => ask.ask(&Question::Holding {
                table,
                column,
                words,
            }),
            _ => None,
        };
        all.push(match answer {
            Some(answer) if answer.count == 0 && answer.exact => {
                found(Level::Low, ", which no row holds".to_owned())
                    .because(evidence(&answer, "row", "rows"))
                    .unless(scene.may_gain(table, &columns))
            }
            Some(answer) => {
                let verb = if answer.count == 1 { "holds" } else { "hold" };
                let rows = counted(answer.count, answer.exact, "row", "rows");
                let outcome = match scene.dialect {
                    // A check may hold the words there; a type does not.
                    Some(Dialect::Sqlite) => FailurePrediction::MayFail,
                    _ if is_converted(change.using.as_deref()) => FailurePrediction::MayFail,
                    _ => scene.outcome(table, &answer, scene.may_lose(table, &columns)),
                };
                found(Level::High, format!(", and {rows} {verb} it"))
                    .fails(outcome)
                    .because(evidence(&answer, "row", "rows"))
                    .advise(advice)
            }
            None => found(Level::Medium, "; its rows were not looked at".to_owned())
                .fails(FailurePrediction::MayFail)
                .advise(advice),
        });
    }
    all
}

/// More than a cast may map the words to others.
fn is_converted(using: Option<&str>) -> bool {
    using.is_some_and(|using| using.contains('(') || using.to_lowercase().contains("case"))
}

/// The words of the first type that the second one lacks; `None` where one of them is no enum. SQLite
/// knows no enums: what the migration says of the present type counts there.
pub(super) fn removed(
    context: &OperationContext<'_>,
    from: &ColumnType,
    to: &ColumnType,
    existing: Option<&ColumnType>,
) -> Option<Vec<String>> {
    let existing = existing.filter(|_| context.dialect == Some(Dialect::Sqlite));
    let from = words(context, from).or_else(|| words(context, existing?))?;
    let to = words(context, to)?;
    Some(from.into_iter().filter(|word| !to.contains(word)).collect())
}

fn words(context: &OperationContext<'_>, kind: &ColumnType) -> Option<Vec<String>> {
    if !kind.values.is_empty() && kind.family == Family::Enum {
        return Some(kind.values.clone());
    }
    // SQL names the type alone.
    let model = context.before?;
    let mut name = kind
        .enum_name
        .clone()
        .unwrap_or_else(|| TableName::plain(kind.written.clone()));
    if name.schema.is_none() {
        name.schema.clone_from(&model.default_schema);
    }
    model.enums.get(&name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventKind;
    use crate::risk::testing::{FakeProbe, edit, found, only, schema, step, table};
    use rollback_core::operation::ColumnChange;
    use rollback_core::testing::kind;

    fn over(dialect: Dialect, from: &str, to: &str, using: Option<&str>) -> StepTrace {
        let mut before = schema(dialect);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().kind = Some(kind(from));
        });
        let name = TableName {
            schema: before.default_schema.clone(),
            name: "status_old".to_owned(),
        };
        before.enums.insert(name, vec!["a".to_owned()]);
        let altering = Operation::AlterColumn {
            table: table("users"),
            column: "email".to_owned(),
            change: ColumnChange {
                kind: Some(kind(to)),
                changes_type: true,
                using: using.map(str::to_owned),
                ..ColumnChange::default()
            },
        };
        step(&before, vec![altering])
    }

    #[test]
    fn rows_that_hold_the_word_make_it_fail() {
        for dialect in [Dialect::Postgres, Dialect::MySql] {
            let seen = over(dialect, "ENUM('a', 'b')", "ENUM('a')", None);
            let finding = only(CODE, &seen, FakeProbe::all(2));
            assert_eq!(
                finding.sentence,
                "takes 'b' from users.email, and 2 rows hold it"
            );
            assert_eq!(finding.outcome, Some(FailurePrediction::WillFail));
            assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
            assert!(found(FindingCode::TypeNarrowed, &seen, FakeProbe::all(2)).is_empty());
        }
    }

    #[test]
    fn a_type_that_is_only_named_is_looked_up() {
        let cast = Some("email::text::status_old");
        let seen = over(Dialect::Postgres, "ENUM('a', 'b')", "status_old", cast);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(2)).outcome,
            Some(FailurePrediction::WillFail)
        );
    }

    #[test]
    fn a_conversion_may_save_them() {
        let using = Some("CASE email WHEN 'b' THEN 'a' END::status_old");
        let seen = over(Dialect::Postgres, "ENUM('a', 'b')", "status_old", using);
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(2)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    /// A column of an enum is a `VARCHAR` there.
    #[test]
    fn sqlite_goes_by_what_the_migration_says_of_the_present_type() {
        let says = |dialect, from| {
            let mut seen = over(dialect, from, "ENUM('a')", None);
            let EventKind::Operation(operation) = &mut seen.downgrade.happened[0].event.kind else {
                panic!("{seen:?}");
            };
            let Operation::AlterColumn { change, .. } = operation.as_mut() else {
                panic!("{operation:?}");
            };
            change.existing_kind = Some(kind("ENUM('a', 'b')"));
            seen
        };
        let seen = says(Dialect::Sqlite, "VARCHAR(1)");
        let finding = only(CODE, &seen, FakeProbe::all(2));
        assert_eq!(
            (finding.level, finding.outcome),
            (Level::High, Some(FailurePrediction::MayFail))
        );
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
        assert!(found(FindingCode::TypeNarrowed, &seen, FakeProbe::all(2)).is_empty());
        // A server with enums knows better.
        let seen = says(Dialect::Postgres, "VARCHAR(1)");
        assert!(found(CODE, &seen, FakeProbe::all(2)).is_empty());
    }

    #[test]
    fn more_words_are_no_loss() {
        let seen = over(Dialect::MySql, "ENUM('a')", "ENUM('a', 'b')", None);
        assert!(found(CODE, &seen, FakeProbe::all(2)).is_empty());
    }
}
