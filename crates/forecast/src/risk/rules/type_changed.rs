//! A column gets another type: its values fit, are cut, or stop the step.

use super::enum_value_removed::removed;
use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::operation_context::{
    OperationContext, TableContents, evidence, operations_with_schema, untold_evidence,
};
use rollback_core::dialect::Dialect;
use rollback_core::figures::counted;
use rollback_core::finding::FailurePrediction;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ColumnChange, ColumnType, Family, Operation, TableName};
use rollback_core::probe::{Answer, Kind, Probe, Question};
use rollback_core::type_fit::{TypeFit, fit, is_cast_to_number, is_same};
use rollback_sql::read_type;

const NARROWED: FindingCode = FindingCode::TypeNarrowed;
const CHANGED: FindingCode = FindingCode::TypeChanged;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        if let Operation::AlterColumn {
            table,
            column,
            change,
        } = scene.operation
            && change.changes_type
        {
            all.extend(changed(&scene, ask, (table, column), change));
        }
    }
    all
}

fn changed(
    context: &OperationContext<'_>,
    ask: &mut dyn Probe,
    (table, column): (&TableName, &str),
    change: &ColumnChange,
) -> Option<FindingDraft> {
    let (stock, live_column) = context.column_stock(table, column);
    if stock == TableContents::Absent {
        return None;
    }
    let name = format!("{}.{column}", context.say(table));
    let found = |code, level, words: String| {
        context.found(code, name.clone(), level, format!("changes {name} {words}"))
    };
    let Some(to) = &change.kind else {
        let words = "to a type that cannot be followed".to_owned();
        return Some(found(CHANGED, Level::Unknown, words).fails(FailurePrediction::MayFail));
    };
    let known = context.column(table, column);
    let from = known
        .and_then(|column| column.kind.as_ref())
        .or(change.existing_kind.as_ref());
    let (Some(from), Some(dialect)) = (from, context.dialect) else {
        let words = format!("to {}", to.written);
        return Some(found(CHANGED, Level::Medium, words).fails(FailurePrediction::MayFail));
    };
    // SQLAlchemy's `Text` has no length, that of MySQL has.
    let of_mysql = (dialect == Dialect::MySql && to.family == Family::Text)
        .then(|| read_type(&to.written, dialect));
    let to = of_mysql.as_ref().unwrap_or(to);
    let words = removed(context, from, to, change.existing_kind.as_ref());
    if words.is_some_and(|words| !words.is_empty()) {
        // That is a rule of its own.
        return None;
    }
    let words = format!("from {} to {}", from.written, to.written);
    let is_empty = stock == TableContents::CreatedByPlan;
    let live = match stock {
        TableContents::Live { table } => live_column.map(|column| (table, column)),
        _ => None,
    };
    let columns = [column.to_owned()];
    match fit(from, to, dialect) {
        TypeFit::All if is_same(from, to) => None,
        TypeFit::All => Some(found(
            CHANGED,
            Level::Low,
            format!("{words}, which every value fits"),
        )),
        TypeFit::NeedsConversion if change.using.is_none() => {
            let outcome = if context.is_certain(table) {
                FailurePrediction::WillFail
            } else {
                FailurePrediction::MayFail
            };
            Some(
                found(
                    CHANGED,
                    Level::High,
                    format!("{words}, which PostgreSQL does not do without USING"),
                )
                .fails(outcome)
                .advise("add postgresql_using to the downgrade"),
            )
        }
        TypeFit::Unknown => {
            Some(found(CHANGED, Level::Medium, words).fails(FailurePrediction::MayFail))
        }
        TypeFit::Some | TypeFit::NeedsConversion if is_empty => Some(found(
            NARROWED,
            Level::Low,
            format!("{words}; it holds nothing then"),
        )),
        TypeFit::Some | TypeFit::NeedsConversion => {
            let is_cast = is_cast_to_number(from, to);
            let kinds = (from.clone(), to.clone());
            let (misfits, changes) = asked(ask, dialect, live, kinds);
            let outcome = |answer: &Answer| {
                if change.using.is_some() {
                    // The conversion may make them fit.
                    FailurePrediction::MayFail
                } else {
                    context.outcome(table, answer, context.may_lose(table, &columns))
                }
            };
            let found = |code, level, words| {
                // SQLite takes every value.
                let gains = dialect != Dialect::Sqlite && context.may_gain(table, &columns);
                found(code, level, words).unless(level == Level::Low && gains)
            };
            Some(judged(dialect, (&words, is_cast), misfits, changes, found, outcome).advise(format!(
                "look at the values of {name} that do not fit {}, and settle what becomes of them",
                to.written
            )))
        }
    }
}

fn asked(
    ask: &mut dyn Probe,
    dialect: Dialect,
    live: Option<(TableName, String)>,
    (from, to): (ColumnType, ColumnType),
) -> (Option<Answer>, Option<Answer>) {
    let Some((table, column)) = live else {
        return (None, None);
    };
    let (from, to) = (Kind(from), Kind(to));
    let misfits = ask.ask(&Question::Misfits {
        table: table.clone(),
        column: column.clone(),
        from: from.clone(),
        to: to.clone(),
    });
    // Where the step fails nothing is lost any more; SQLite does not fail.
    let is_over = misfits.as_ref().is_some_and(|answer| answer.count > 0);
    if is_over && dialect != Dialect::Sqlite {
        return (misfits, None);
    }
    let changes = ask.ask(&Question::Changes {
        table,
        column,
        from,
        to,
    });
    (misfits, changes)
}

fn judged(
    dialect: Dialect,
    (words, is_cast): (&str, bool),
    misfits: Option<Answer>,
    changes: Option<Answer>,
    found: impl Fn(FindingCode, Level, String) -> FindingDraft,
    outcome: impl Fn(&Answer) -> FailurePrediction,
) -> FindingDraft {
    // What is lost weighs more than what stays as it is.
    let is_loss = changes.as_ref().is_some_and(|answer| answer.count > 0);
    match (misfits, changes) {
        (Some(answer), _) if answer.count > 0 && !is_loss => {
            let verb = if answer.count == 1 { "does" } else { "do" };
            let values = counted(answer.count, answer.exact, "value", "values");
            let evidence = evidence(&answer, "value", "values");
            match dialect {
                // It keeps a value as it is, whatever the type says.
                Dialect::Sqlite => found(
                    NARROWED,
                    Level::Low,
                    format!("{words}; {values} {verb} not fit and stay as they are"),
                )
                .because(evidence),
                Dialect::MySql => found(
                    NARROWED,
                    Level::High,
                    format!("{words}; {values} {verb} not fit, which strict mode refuses"),
                )
                .fails(outcome(&answer))
                .because(evidence),
                Dialect::Postgres => found(
                    NARROWED,
                    Level::High,
                    format!("{words}; {values} {verb} not fit"),
                )
                .fails(outcome(&answer))
                .because(evidence),
            }
        }
        (_, Some(answer)) if answer.count > 0 => {
            let verb = if answer.count == 1 { "loses" } else { "lose" };
            let values = counted(answer.count, answer.exact, "value", "values");
            found(
                NARROWED,
                Level::High,
                format!("{words}; {values} {verb} what the type has no place for"),
            )
            .because(untold_evidence(&answer, "changed value", "changed values"))
        }
        (Some(answer), _) | (None, Some(answer)) if answer.exact => found(
            NARROWED,
            Level::Low,
            format!("{words}, which every value fits"),
        )
        .because(evidence(&answer, "value", "values")),
        _ if dialect == Dialect::Sqlite && is_cast => found(
            NARROWED,
            Level::Medium,
            format!("{words}, which SQLite casts; its values were not looked at"),
        ),
        _ if dialect == Dialect::Sqlite => found(
            NARROWED,
            Level::Low,
            format!("{words}, which SQLite does not hold the values to"),
        ),
        _ => found(
            NARROWED,
            Level::Medium,
            format!("{words}; its values were not looked at"),
        )
        .fails(FailurePrediction::MayFail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{FakeProbe, edit, found, made, only, schema, step, table};
    use rollback_core::testing::kind;

    fn altering(column: &str, to: &str, using: Option<&str>) -> Operation {
        Operation::AlterColumn {
            table: table("users"),
            column: column.to_owned(),
            change: ColumnChange {
                kind: Some(kind(to)),
                changes_type: true,
                using: using.map(str::to_owned),
                ..ColumnChange::default()
            },
        }
    }

    fn over(dialect: Dialect, operation: Operation) -> StepTrace {
        step(&schema(dialect), vec![operation])
    }

    #[test]
    fn values_that_do_not_fit_stop_it_where_the_server_looks() {
        for (dialect, outcome, level) in [
            (
                Dialect::Postgres,
                Some(FailurePrediction::WillFail),
                Level::High,
            ),
            (
                Dialect::MySql,
                Some(FailurePrediction::WillFail),
                Level::High,
            ),
            (Dialect::Sqlite, None, Level::Low),
        ] {
            let seen = over(dialect, altering("email", "VARCHAR(100)", None));
            let told = FakeProbe::by(|question| match question {
                Question::Misfits { .. } => Some(12),
                // There is no such question of these types.
                _ => None,
            });
            let finding = only(NARROWED, &seen, told);
            assert_eq!((finding.outcome, finding.level), (outcome, level));
            let start =
                "changes users.email from VARCHAR(255) to VARCHAR(100); 12 values do not fit";
            assert!(finding.sentence.starts_with(start), "{}", finding.sentence);
            let none = only(NARROWED, &seen, FakeProbe::all(0));
            assert_eq!((none.outcome, none.level), (None, Level::Low));
        }
    }

    /// Turns red if the one kind of change that destroys values without a word is missed.
    #[test]
    fn sqlite_casts_a_time_to_its_year() {
        let mut before = schema(Dialect::Sqlite);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().kind = Some(kind("DATE"));
        });
        let seen = step(&before, vec![altering("email", "TIMESTAMP", None)]);
        let lost = only(NARROWED, &seen, FakeProbe::all(4));
        assert_eq!((lost.level, lost.outcome), (Level::High, None));
        assert_eq!(
            only(NARROWED, &seen, FakeProbe::nothing()).level,
            Level::Medium
        );
    }

    #[test]
    fn what_is_wider_is_no_risk() {
        let seen = over(Dialect::Postgres, altering("email", "TEXT", None));
        assert_eq!(only(CHANGED, &seen, FakeProbe::all(12)).level, Level::Low);
        assert!(found(NARROWED, &seen, FakeProbe::all(12)).is_empty());
    }

    #[test]
    fn postgresql_refuses_some_pairs_whatever_the_values() {
        let seen = over(Dialect::Postgres, altering("email", "INTEGER", None));
        assert_eq!(
            only(CHANGED, &seen, FakeProbe::all(0)).outcome,
            Some(FailurePrediction::WillFail)
        );
        let using = altering("email", "INTEGER", Some("email::integer"));
        let seen = over(Dialect::Postgres, using);
        assert_eq!(
            only(NARROWED, &seen, FakeProbe::all(3)).outcome,
            Some(FailurePrediction::MayFail)
        );
    }

    #[test]
    fn digits_and_times_that_get_lost_are_a_loss_and_no_failure() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| {
            table.columns.get_mut("email").unwrap().kind = Some(kind("TIMESTAMP"));
        });
        let seen = step(&before, vec![altering("email", "DATE", None)]);
        let told = FakeProbe::by(|question| match question {
            Question::Changes { .. } => Some(4),
            _ => None,
        });
        let finding = only(NARROWED, &seen, told);
        assert_eq!((finding.outcome, finding.level), (None, Level::High));
    }

    #[test]
    fn what_cannot_be_asked_may_fail() {
        let seen = over(Dialect::Postgres, altering("age", "INTEGER", None));
        let finding = only(NARROWED, &seen, FakeProbe::nothing());
        assert_eq!(
            (finding.outcome, finding.level),
            (Some(FailurePrediction::MayFail), Level::Medium)
        );
    }

    #[test]
    fn a_table_that_the_plan_made_holds_nothing() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.origin = made());
        let seen = step(&before, vec![altering("age", "INTEGER", None)]);
        assert_eq!(only(NARROWED, &seen, FakeProbe::all(3)).level, Level::Low);
    }
}
