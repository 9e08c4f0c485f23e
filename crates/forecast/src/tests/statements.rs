//! Steps written in SQL, over counts of a database.

use super::*;
use crate::risk::examine;
use rollback_core::finding::FailurePrediction::{MayFail, WillFail};
use rollback_core::probe::{Answer, Probe, Question};

/// The same number to everything.
pub(super) struct Counted(pub(super) u64);

impl Probe for Counted {
    fn ask(&mut self, _: &Question) -> Option<Answer> {
        Some(Answer {
            count: self.0,
            exact: true,
            query: String::new(),
        })
    }
}

/// Tables `owners (id, code)` and `pets (id, owner, name)`, whose `owner` refers to `owners` if `on_delete` is given.
pub(super) fn pets(dialect: Dialect, on_delete: Option<&str>) -> SchemaModel {
    let schema = if dialect == Dialect::Postgres {
        "public"
    } else {
        ""
    };
    let mut rows = vec!["default schema||||public".to_owned()];
    if schema.is_empty() {
        rows.clear();
    }
    for (table, columns) in [
        ("owners", ["id|integer|not null", "code|integer"].as_slice()),
        (
            "pets",
            &["id|integer|not null", "owner|integer", "name|varchar(20)"],
        ),
    ] {
        rows.push(format!("table|{schema}|{table}"));
        rows.extend(
            columns
                .iter()
                .map(|one| format!("column|{schema}|{table}|{one}")),
        );
        rows.push(format!("primary key|{schema}|{table}|{table}_pkey|id"));
    }
    rows.extend(on_delete.map(|action| {
        format!("foreign key|{schema}|pets|pets_owner_fkey|owner|{action}|{schema}|owners|id")
    }));
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    SchemaModel::of_text(dialect, &rows)
}

/// The findings of each step; a step is its statements.
pub(super) fn steps(model: SchemaModel, count: u64, steps: &[&[&str]]) -> Vec<Vec<Finding>> {
    let ids = ["e", "d", "c", "b", "a"];
    let dialect = model.dialect;
    let mut fake = Fake::default();
    for (id, statements) in ids.iter().zip(steps) {
        let sql = |text: &&str| Operation::Sql {
            text: vec![Some((*text).to_owned())],
        };
        let events = (1..)
            .zip(*statements)
            .map(|(line, text)| does(line, sql(text)));
        fake.downgrades.insert(id, events.collect());
    }
    let graph = drawn("a; b:a; c:b; d:c; e:d");
    let rows: Vec<RevisionId> = graph.heads().into_iter().collect();
    let plan = Plan::new(&graph, &rows, &format!("-{}", steps.len()).parse().unwrap()).unwrap();
    let mut examine = |seen: &StepTrace| examine(seen, &mut Counted(count));
    let forecast = predict(
        &plan,
        &graph,
        &fake,
        Some(dialect),
        Some(model),
        &mut examine,
    );
    forecast.into_iter().map(|step| step.findings).collect()
}

/// The worst outcome of the findings of a code in the last step, and whether one of them is low.
fn outcome(findings: &[Vec<Finding>], code: FindingCode) -> (Option<FailurePrediction>, Level) {
    let last = findings.last().expect("a step of the test").iter();
    let of_code: Vec<&Finding> = last.filter(|finding| finding.code == code).collect();
    let outcome = of_code.iter().filter_map(|finding| finding.outcome).max();
    let level = of_code.iter().map(|finding| finding.level).max();
    (outcome, level.expect("a finding of the test"))
}

const NOT_NULL: &str = "ALTER TABLE pets ALTER COLUMN owner SET NOT NULL";
const UNIQUE: &str = "ALTER TABLE pets ADD CONSTRAINT u UNIQUE (name)";
const REFERS: &str = "ALTER TABLE pets ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES owners (id)";
const CHECK: &str = "ALTER TABLE pets ADD CONSTRAINT c CHECK (owner > 0)";
const SHORTER: &str = "ALTER TABLE pets ALTER COLUMN name TYPE varchar(10)";

/// Turns red if an answer of today is trusted although the plan changes it, or is not trusted although the plan does
/// not.
#[test]
fn an_answer_holds_until_the_plan_changes_the_rows() {
    use FindingCode::{
        CheckRestored, ForeignKeyRestored, NotNullRestored, TypeNarrowed, UniqueRestored,
    };
    let set = "UPDATE pets SET owner = 3 WHERE id = 1";
    let name = "UPDATE pets SET name = 'x' WHERE id = 1";
    let insert = "INSERT INTO pets (id, owner, name) VALUES (9, 9, 'x')";
    let delete = "DELETE FROM pets WHERE id = 1";
    let owner = "INSERT INTO owners (id) VALUES (9)";
    let no_owner = "DELETE FROM owners WHERE id = 1";
    let other_id = "UPDATE owners SET id = 7 WHERE id = 1";
    let code = "UPDATE owners SET code = 1";
    // Whether the change may break what holds, and whether it may repair what does not.
    for (change, restored, rule, breaks, repairs) in [
        (set, NOT_NULL, NotNullRestored, true, true),
        (name, NOT_NULL, NotNullRestored, false, false),
        (insert, NOT_NULL, NotNullRestored, true, false),
        (delete, NOT_NULL, NotNullRestored, false, true),
        (no_owner, NOT_NULL, NotNullRestored, false, false),
        (name, UNIQUE, UniqueRestored, true, true),
        (set, UNIQUE, UniqueRestored, false, false),
        (insert, UNIQUE, UniqueRestored, true, false),
        (delete, UNIQUE, UniqueRestored, false, true),
        (set, REFERS, ForeignKeyRestored, true, true),
        (name, REFERS, ForeignKeyRestored, false, false),
        (insert, REFERS, ForeignKeyRestored, true, false),
        (delete, REFERS, ForeignKeyRestored, false, true),
        (owner, REFERS, ForeignKeyRestored, false, true),
        (no_owner, REFERS, ForeignKeyRestored, true, false),
        (other_id, REFERS, ForeignKeyRestored, true, true),
        (code, REFERS, ForeignKeyRestored, false, false),
        (set, CHECK, CheckRestored, true, true),
        (name, CHECK, CheckRestored, false, false),
        (insert, CHECK, CheckRestored, true, false),
        (delete, CHECK, CheckRestored, false, true),
        (name, SHORTER, TypeNarrowed, true, true),
        (set, SHORTER, TypeNarrowed, false, false),
        (insert, SHORTER, TypeNarrowed, true, false),
        (delete, SHORTER, TypeNarrowed, false, true),
    ] {
        let together: &[&[&str]] = &[&[change, restored]];
        let apart: &[&[&str]] = &[&[change], &[restored]];
        for plan in [together, apart] {
            let predicted = |count| {
                let findings = steps(pets(Dialect::Postgres, None), count, plan);
                outcome(&findings, rule)
            };
            let favourable = if breaks {
                (Some(MayFail), Level::Medium)
            } else {
                (None, Level::Low)
            };
            assert_eq!(predicted(0), favourable, "{plan:?}");
            let bad = if repairs { MayFail } else { WillFail };
            assert_eq!(predicted(4), (Some(bad), Level::High), "{plan:?}");
        }
    }
}

/// Turns red if rows that go or change along with others are forgotten.
#[test]
fn rows_that_a_foreign_key_takes_along_change_too() {
    let delete = "DELETE FROM owners WHERE id = 1";
    for (action, breaks) in [("SET NULL", true), ("CASCADE", false), ("", false)] {
        let model = pets(Dialect::Postgres, Some(action));
        let findings = steps(model, 0, &[&[delete, NOT_NULL]]);
        let (predicted, _) = outcome(&findings, FindingCode::NotNullRestored);
        assert_eq!(predicted, breaks.then_some(MayFail), "{action}");
    }
    for (action, repairs) in [("CASCADE", true), ("", false)] {
        let model = pets(Dialect::Postgres, Some(action));
        let findings = steps(model, 2, &[&[delete, UNIQUE]]);
        let (predicted, _) = outcome(&findings, FindingCode::UniqueRestored);
        let expected = if repairs { MayFail } else { WillFail };
        assert_eq!(predicted, Some(expected), "{action}");
    }
}
