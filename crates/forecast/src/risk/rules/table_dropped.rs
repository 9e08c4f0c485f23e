//! A table goes with its rows.

use crate::StepTrace;
use crate::risk::finding_draft::FindingDraft;
use crate::risk::objects::{archived_columns, copy_of};
use crate::risk::operation_context::{
    TableContents, evidence, is_same, operations, operations_with_schema,
};
use rollback_core::figures::counted;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::{Probe, Question};

const CODE: FindingCode = FindingCode::TableDropped;

pub(super) fn look(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<FindingDraft> {
    let mut all = Vec::new();
    for scene in operations_with_schema(seen) {
        let Operation::DropTable { table, .. } = scene.operation else {
            continue;
        };
        let name = scene.say(table);
        let found = |level, rest: String| {
            scene.found(
                CODE,
                name.clone(),
                level,
                format!("drops table {name}{rest}"),
            )
        };
        let archive = archived_columns(seen, &scene, table);
        let advice = format!("dump table {name} before, if its rows are still wanted");
        let stock = scene.stock(table);
        if stock != TableContents::CreatedByPlan
            && let Some(copy) = copy_of(seen, &scene, table)
        {
            let rest = format!(" after copying every row to {}", scene.say(copy));
            all.push(found(Level::Low, rest));
            continue;
        }
        all.push(match stock {
            TableContents::Absent => continue,
            TableContents::CreatedByPlan => {
                found(Level::Low, ", which the plan itself makes".to_owned())
            }
            TableContents::Live { table: live, .. } => {
                let answer = ask.ask(&Question::Rows { table: live });
                let by_then = scene.by_then(table, &[]);
                match answer {
                    Some(answer) if answer.count == 0 && answer.exact => {
                        let gains = scene.may_gain(table, &[]);
                        let level = if gains { Level::Medium } else { Level::Low };
                        let rest = if gains {
                            " today, before the plan inserts rows"
                        } else {
                            ""
                        };
                        found(level, format!(", which is empty{rest}"))
                            .because(evidence(&answer, "row", "rows"))
                    }
                    Some(answer) if archive.is_some() => {
                        let rows = counted(answer.count, answer.exact, "row", "rows");
                        let of = archive.map(|table| scene.say(table)).unwrap_or_default();
                        let rest = format!(" with {rows} after restoring {of} from it");
                        found(Level::Medium, rest).because(evidence(&answer, "row", "rows"))
                    }
                    Some(answer) => {
                        let rows = counted(answer.count, answer.exact, "row", "rows");
                        let level = if answer.count == 0 {
                            Level::Medium
                        } else {
                            Level::High
                        };
                        found(level, format!(" with {rows}{by_then}"))
                            .because(evidence(&answer, "row", "rows"))
                            .advise(advice)
                    }
                    None => found(
                        prior(seen, table),
                        ", whose rows were not counted".to_owned(),
                    )
                    .advise(advice),
                }
            }
            TableContents::Unknown => {
                found(prior(seen, table), ", whose rows are not known".to_owned()).advise(advice)
            }
        });
    }
    all
}

/// What the upgrade made has been filled since, if at all. What was there before it is somebody's data.
fn prior(seen: &StepTrace, dropped: &TableName) -> Level {
    let is_made = operations(&seen.upgrade).any(|operation| {
        matches!(operation, Operation::CreateTable { table, .. } if is_same(table, dropped))
    });
    if is_made { Level::Medium } else { Level::High }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{
        FakeProbe, add, edit, event, found, live, made, only, schema, step, table, undoing,
    };
    use rollback_core::dialect::Dialect;
    use rollback_core::operation::{ObjectKind, RowChange, SchemaObject};

    fn dropping(name: &str) -> Operation {
        Operation::DropTable {
            table: table(name),
            if_exists: false,
            cascade: false,
        }
    }

    #[test]
    fn the_level_is_that_of_the_rows() {
        let seen = step(&schema(Dialect::Postgres), vec![dropping("users")]);
        let full = only(CODE, &seen, FakeProbe::all(1_204_331));
        assert_eq!(full.sentence, "drops table users with 1,204,331 rows");
        assert_eq!(full.level, Level::High);
        let evidence = full.evidence.unwrap();
        assert_eq!((evidence.count, evidence.exact), (Some(1_204_331), true));
        assert!(evidence.query.is_some());
        assert_eq!(only(CODE, &seen, FakeProbe::all(0)).level, Level::Low);
    }

    fn copied(columns: Option<&[&str]>) -> Operation {
        let owned = |columns: &[&str]| columns.iter().map(|one| (*one).to_owned()).collect();
        Operation::CopyRows {
            from: table("users"),
            to: table("copy"),
            columns: columns.map(owned),
        }
    }

    /// The schema with a copy of `users` that the plan makes.
    fn with_a_copy(email: &str) -> rollback_schema::SchemaModel {
        let mut before = schema(Dialect::Postgres);
        let columns = [("id", "INTEGER"), ("email", email), ("age", "BIGINT")];
        add(&mut before, "copy", &columns);
        edit(&mut before, "copy", |table| table.origin = made());
        before
    }

    /// Turns red if a copy that may lack something counts as one.
    #[test]
    fn rows_that_were_copied_whole_are_not_lost() {
        let level = |before, operations: Vec<Operation>| {
            let seen = step(&before, operations);
            let all = found(CODE, &seen, FakeProbe::all(5));
            all[0].level
        };
        let whole = || with_a_copy("VARCHAR(255)");
        let seen = step(&whole(), vec![copied(None), dropping("users")]);
        let finding = only(CODE, &seen, FakeProbe::all(5));
        assert_eq!(
            finding.sentence,
            "drops table users after copying every row to copy"
        );
        assert_eq!(finding.level, Level::Low);
        let all = Some(&["age", "email", "id"][..]);
        assert_eq!(
            level(whole(), vec![copied(all), dropping("users")]),
            Level::Low
        );
        let some = Some(&["email", "id"][..]);
        let changes = |name: &str| Operation::ChangeRows {
            change: RowChange::Delete,
            table: Some(table(name)),
            columns: Vec::new(),
            conditional: true,
            nulls: Vec::new(),
            sql: None,
        };
        let trigger = Operation::CreateObject {
            object: SchemaObject {
                kind: ObjectKind::Trigger,
                name: table("skip"),
                table: Some(table("copy")),
                arguments: None,
            },
            may_exist: false,
        };
        let unknown = Operation::Sql {
            text: vec![Some("DO $$ $$".to_owned())],
        };
        let narrow = with_a_copy("VARCHAR(10)");
        let mut older = whole();
        edit(&mut older, "copy", |table| {
            table.origin = live("copy");
        });
        for (before, operations) in [
            (whole(), vec![copied(some), dropping("users")]),
            (narrow, vec![copied(None), dropping("users")]),
            (older, vec![copied(None), dropping("users")]),
            (whole(), vec![dropping("users"), copied(None)]),
            (
                whole(),
                vec![copied(None), dropping("users"), dropping("copy")],
            ),
            (
                whole(),
                vec![copied(None), changes("copy"), dropping("users")],
            ),
            (
                whole(),
                vec![copied(None), changes("users"), dropping("users")],
            ),
            (whole(), vec![trigger, copied(None), dropping("users")]),
            (whole(), vec![copied(None), unknown, dropping("users")]),
        ] {
            assert_eq!(
                level(before, operations.clone()),
                Level::High,
                "{operations:?}"
            );
        }
        let mut perhaps = step(&whole(), vec![copied(None), dropping("users")]);
        perhaps.downgrade.happened[0].event.certain = false;
        assert_eq!(only(CODE, &perhaps, FakeProbe::all(5)).level, Level::High);
    }

    /// An archive that goes after its values were put back is neither nothing nor a loss of its rows.
    #[test]
    fn an_archive_goes_after_it_was_read() {
        let restore = |sql: &str| Operation::ChangeRows {
            change: RowChange::Update,
            table: Some(table("users")),
            columns: vec!["email".to_owned()],
            conditional: true,
            nulls: Vec::new(),
            sql: Some(sql.to_owned()),
        };
        let mut before = schema(Dialect::Postgres);
        add(
            &mut before,
            "archive",
            &[("id", "INTEGER"), ("email", "TEXT")],
        );
        let archived = Operation::CopyRows {
            from: table("users"),
            to: table("archive"),
            columns: Some(vec!["id".to_owned(), "email".to_owned()]),
        };
        let dropped = |operations| {
            let seen = undoing(step(&before, operations), vec![archived.clone()]);
            only(CODE, &seen, FakeProbe::all(2))
        };
        let reads = "UPDATE users u SET email = a.email FROM archive a WHERE a.id = u.id";
        let finding = dropped(vec![restore(reads), dropping("archive")]);
        assert_eq!(finding.level, Level::Medium);
        assert_eq!(
            finding.sentence,
            "drops table archive with 2 rows after restoring users from it"
        );
        assert_eq!(finding.advice, "");
        for operations in [
            vec![dropping("archive"), restore(reads)],
            vec![restore("UPDATE users SET email = ''"), dropping("archive")],
            vec![
                restore("UPDATE users SET email = archived"),
                dropping("archive"),
            ],
        ] {
            assert_eq!(dropped(operations).level, Level::High);
        }
    }

    #[test]
    fn an_estimate_is_marked() {
        let seen = step(&schema(Dialect::Postgres), vec![dropping("users")]);
        let mut told = FakeProbe::all(5000);
        told.exact = false;
        let about = only(CODE, &seen, told);
        assert_eq!(about.sentence, "drops table users with about 5,000 rows");
        let mut told = FakeProbe::all(0);
        told.exact = false;
        assert_eq!(only(CODE, &seen, told).level, Level::Medium);
    }

    #[test]
    fn what_cannot_be_asked_is_judged_by_who_made_it() {
        let seen = step(&schema(Dialect::Sqlite), vec![dropping("users")]);
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::High);
        let create = Operation::CreateTable {
            table: table("users"),
            columns: Vec::new(),
            constraints: Vec::new(),
            if_not_exists: false,
        };
        let seen = undoing(seen, vec![create]);
        assert_eq!(only(CODE, &seen, FakeProbe::nothing()).level, Level::Medium);
    }

    #[test]
    fn what_the_plan_makes_holds_nothing_and_is_not_asked() {
        let mut before = schema(Dialect::Postgres);
        edit(&mut before, "users", |table| table.origin = made());
        let seen = step(&before, vec![dropping("users")]);
        let mut told = FakeProbe::all(9);
        let findings = crate::risk::examine(&seen, &mut told);
        assert_eq!(findings[0].level, Level::Low);
        assert!(
            !told
                .asked
                .iter()
                .any(|q| matches!(q, Question::Rows { .. }))
        );
    }

    /// Turns red if the database is asked for a name that it does not have yet.
    #[test]
    fn a_renamed_table_is_asked_under_its_present_name() {
        let mut before = schema(Dialect::MySql);
        edit(&mut before, "users", |table| table.origin = live("people"));
        let seen = step(&before, vec![dropping("users")]);
        let told = FakeProbe::by(|question| match question {
            Question::Rows { table } if table.name == "people" => Some(3),
            _ => None,
        });
        assert_eq!(
            only(CODE, &seen, told).sentence,
            "drops table users with 3 rows"
        );
    }

    /// Turns red if nothing is said of a table that the server finds in a later schema of the search path.
    #[test]
    fn a_table_of_another_schema_may_be_meant() {
        let mut before = schema(Dialect::Postgres);
        add(&mut before, "logs", &[("id", "INTEGER")]);
        before.default_schema = Some("rollback".to_owned());
        let finding = only(
            CODE,
            &step(&before, vec![dropping("logs")]),
            FakeProbe::all(3),
        );
        assert_eq!(
            finding.sentence,
            "drops table logs, whose rows are not known"
        );
        assert_eq!(finding.level, Level::High);
    }

    #[test]
    fn a_table_that_is_not_there_is_no_loss() {
        let seen = step(&schema(Dialect::Postgres), vec![dropping("none")]);
        assert!(found(CODE, &seen, FakeProbe::all(3)).is_empty());
    }

    #[test]
    fn behind_a_condition_it_is_a_possibility_and_said_once() {
        let mut seen = step(
            &schema(Dialect::Postgres),
            vec![dropping("users"), dropping("users")],
        );
        for happened in &mut seen.downgrade.happened {
            let mut perhaps = event(7, happened.event.kind.clone());
            perhaps.certain = false;
            happened.event = perhaps;
        }
        assert_eq!(
            only(CODE, &seen, FakeProbe::all(3)).sentence,
            "perhaps drops table users with 3 rows"
        );
    }
}
