//! Steps written in SQL, over counts of a database.

use super::*;
use crate::risk::examine;
use rollback_core::finding::FailurePrediction::{MayFail, WillFail};
use rollback_core::probe::{Answer, Probe, Question};
use rollback_schema::Presence;

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

/// Turns red if a figure of today is told as that of the step although the plan changes it, or what may hold something
/// counts as empty.
#[test]
fn a_count_says_of_which_time_it_is() {
    let insert = "INSERT INTO pets (id) VALUES (9)";
    let sentence = |count, statements: &[&str]| {
        let findings = steps(pets(Dialect::Postgres, None), count, &[statements]);
        let last = findings[0].iter().rev();
        let mut dropped = last.filter(|finding| finding.sentence.starts_with("drops"));
        dropped.next().map(|it| (it.sentence.clone(), it.level))
    };
    for (count, before, rest, level) in [
        (3, "SELECT 1", " with 3 rows", Level::High),
        (3, insert, " with 3 rows today, more by then", Level::High),
        (
            3,
            "DELETE FROM pets",
            " with 3 rows today, perhaps fewer by then",
            Level::High,
        ),
        (0, "SELECT 1", ", which is empty", Level::Low),
        (
            0,
            insert,
            ", which is empty today, before the plan inserts rows",
            Level::Medium,
        ),
    ] {
        let expected = Some((format!("drops table pets{rest}"), level));
        assert_eq!(
            sentence(count, &[before, "DROP TABLE pets"]),
            expected,
            "{before}"
        );
    }
    let name = "UPDATE pets SET name = 'x'";
    let owner = "UPDATE pets SET owner = 1";
    let drops = "ALTER TABLE pets DROP COLUMN name";
    for (before, level) in [(name, Level::Medium), (owner, Level::Low)] {
        assert_eq!(sentence(0, &[before, drops]).unwrap().1, level, "{before}");
    }
}

/// Turns red if what a step that may fail would have done counts as done.
#[test]
fn after_a_step_that_may_fail_nothing_is_certain() {
    let missing = "DROP TABLE toys";
    let may_fail: &[&str] = &[
        "UPDATE pets SET owner = NULL",
        NOT_NULL,
        "DROP TABLE owners",
    ];
    let goes: &[&str] = &["DROP TABLE owners"];
    for (first, then, expected) in [
        (may_fail, missing, MayFail),
        (goes, missing, WillFail),
        (may_fail, "CREATE TABLE owners (id integer)", MayFail),
        (goes, "CREATE TABLE pets (id integer)", WillFail),
    ] {
        let findings = steps(pets(Dialect::Postgres, None), 0, &[first, &[then]]);
        let outcome = findings[1]
            .iter()
            .filter_map(|finding| finding.outcome)
            .max();
        assert_eq!(outcome, Some(expected), "{first:?}, {then}");
    }
}

/// The findings of a step about rows of other tables than its own.
fn along(dialect: Dialect, on_delete: &str, enforced: Option<bool>, step: &str) -> Vec<Finding> {
    let mut model = pets(dialect, Some(on_delete));
    model.foreign_keys = enforced;
    let mut findings = steps(model, 3, &[&[step]]).remove(0);
    findings.retain(|finding| finding.sentence.contains("refer to"));
    findings
}

/// Turns red if rows of other tables that go, are emptied or stand in the way are not told, or are told where nothing
/// enforces the key.
#[test]
fn rows_of_other_tables_are_told() {
    use Dialect::{MySql, Postgres, Sqlite};
    let (delete, some) = ("DELETE FROM owners", "DELETE FROM owners WHERE id = 1");
    let drop = "DROP TABLE owners";
    let goes = "deletes rows of pets that refer to owners, by ON DELETE CASCADE";
    let empties = "empties pets (owner) that refer to owners, by ON DELETE SET NULL";
    let stays = "removes all rows of owners while 3 rows of pets refer to them";
    for (dialect, action, enforced, step, expected) in [
        (
            Postgres,
            "CASCADE",
            None,
            delete,
            Some(format!("{goes}: 3 rows")),
        ),
        (
            Postgres,
            "CASCADE",
            None,
            some,
            Some(format!("{goes}: some of 3 rows")),
        ),
        (
            Postgres,
            "SET NULL",
            None,
            delete,
            Some(format!("{empties}: 3 rows")),
        ),
        (
            MySql,
            "CASCADE",
            None,
            delete,
            Some(format!("{goes}: 3 rows")),
        ),
        (Postgres, "", None, delete, Some(stays.to_owned())),
        (Postgres, "", None, some, None),
        (Sqlite, "CASCADE", None, drop, None),
        (Sqlite, "CASCADE", Some(false), drop, None),
        (
            Sqlite,
            "CASCADE",
            Some(true),
            drop,
            Some(format!("{goes}: 3 rows")),
        ),
        (Sqlite, "", Some(true), drop, Some(stays.to_owned())),
        (Sqlite, "", Some(false), delete, None),
    ] {
        let findings = along(dialect, action, enforced, step);
        let sentences: Vec<String> = findings.iter().map(|it| it.sentence.clone()).collect();
        let expected: Vec<String> = expected.into_iter().collect();
        assert_eq!(
            sentences, expected,
            "{dialect:?} {action} {enforced:?} {step}"
        );
        let fails = findings.iter().any(|it| it.outcome == Some(WillFail));
        assert_eq!(
            fails,
            expected.first().is_some_and(|it| it == stays),
            "{step}"
        );
    }
    let all = steps(
        pets(MySql, Some("CASCADE")),
        3,
        &[&["SET FOREIGN_KEY_CHECKS = 0", delete]],
    );
    let told = all[0]
        .iter()
        .any(|finding| finding.sentence.contains("refer to"));
    assert!(!told, "{all:#?}");
}

/// Turns red if a driver is given a text that it refuses, or refuses one that it takes.
#[test]
fn a_driver_that_takes_one_statement_refuses_two() {
    let two = "DELETE FROM pets; DELETE FROM owners;";
    let certain = Some(Presence::Certain);
    for (dialect, one, text, outcome) in [
        (Dialect::Postgres, certain, two, Some(WillFail)),
        (
            Dialect::Postgres,
            certain,
            "DELETE FROM pets; -- done",
            None,
        ),
        (Dialect::Postgres, None, two, None),
        (Dialect::Sqlite, certain, two, Some(WillFail)),
        (
            Dialect::MySql,
            Some(Presence::Uncertain),
            two,
            Some(MayFail),
        ),
    ] {
        let mut model = pets(dialect, None);
        model.one_statement = one;
        let findings = steps(model, 1, &[&[text]]).remove(0);
        let refused = findings
            .iter()
            .find(|finding| finding.code == FindingCode::NotSupported);
        let found = refused.and_then(|finding| finding.outcome);
        assert_eq!(found, outcome, "{dialect:?} {text}");
    }
}

/// Turns red if an update that the column refuses is not told, or one that it takes is.
#[test]
fn null_does_not_go_where_nothing_takes_it() {
    for (statement, outcome) in [
        ("UPDATE pets SET id = NULL", Some(WillFail)),
        ("UPDATE pets SET id = NULL WHERE owner = 1", Some(MayFail)),
        ("UPDATE pets SET owner = NULL", None),
        ("UPDATE pets SET id = 3", None),
    ] {
        let findings = steps(pets(Dialect::Postgres, None), 2, &[&[statement]]).remove(0);
        let found = findings.iter().filter_map(|finding| finding.outcome).max();
        assert_eq!(found, outcome, "{statement}");
    }
}

/// Turns red if PostgreSQL's refusal to cast a default is missed, or a default that is gone stands in the way.
#[test]
fn a_default_has_to_be_cast_as_well() {
    let changes = "ALTER TABLE pets ALTER COLUMN name TYPE integer USING name::integer";
    let drops = "ALTER TABLE pets ALTER COLUMN name DROP DEFAULT";
    let sets = "ALTER TABLE pets ALTER COLUMN name SET DEFAULT 'x'";
    let castable = "ALTER TABLE pets ALTER COLUMN name TYPE text USING name::text";
    for (statements, fails) in [
        ([sets, changes].as_slice(), true),
        (&[sets, drops, changes], false),
        (&[changes], false),
        (&[sets, castable], false),
    ] {
        let findings = steps(pets(Dialect::Postgres, None), 0, &[statements]).remove(0);
        let refused = findings
            .iter()
            .any(|finding| finding.code == FindingCode::NotCastable);
        assert_eq!(refused, fails, "{statements:?}");
    }
}

/// Turns red if a table that no name leads to is taken for the one that is meant, or one that the search path leads to
/// is not found.
#[test]
fn a_name_leads_where_the_search_path_leads() {
    let rows = [
        "default schema||||public",
        "table|other|notes",
        "column|other|notes|x|text",
    ];
    for (path, outcome) in [
        (Some(["public"].as_slice()), Some(WillFail)),
        (Some(&["public", "other"]), None),
        (None, None),
    ] {
        let mut model = SchemaModel::of_text(Dialect::Postgres, &rows);
        model.search_path = path.map(|path| path.iter().map(|one| (*one).to_owned()).collect());
        let statement = "ALTER TABLE notes DROP COLUMN x";
        let findings = steps(model, 0, &[&[statement]]).remove(0);
        let found = findings.iter().filter_map(|finding| finding.outcome).max();
        assert_eq!(found, outcome, "{path:?}");
    }
}

/// Turns red if SQLite is said to keep a column for a key that is part of the column.
#[test]
fn a_key_inside_its_column_goes_with_it() {
    let inline = "CREATE TABLE toys (id integer, pet integer REFERENCES pets (id))";
    let beside =
        "CREATE TABLE toys (id integer, pet integer, FOREIGN KEY (pet) REFERENCES pets (id))";
    for (statement, fails) in [(inline, false), (beside, true)] {
        let rows = [
            "table||toys".to_owned(),
            format!("statement||toys||{statement}"),
            "column||toys|id|integer".to_owned(),
            "column||toys|pet|integer".to_owned(),
            "foreign key||toys|0|pet|||pets|id".to_owned(),
            "table||pets".to_owned(),
            "column||pets|id|integer".to_owned(),
        ];
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let model = SchemaModel::of_text(Dialect::Sqlite, &rows);
        let findings = steps(model, 0, &[&["ALTER TABLE toys DROP COLUMN pet"]]).remove(0);
        let refused = findings
            .iter()
            .any(|finding| finding.outcome == Some(WillFail));
        assert_eq!(refused, fails, "{statement}");
    }
}

/// Turns red if a key that is replaced in one statement is taken for one that cannot go.
#[test]
fn mysql_replaces_a_primary_key_at_once() {
    let statement = "ALTER TABLE pets DROP PRIMARY KEY, ADD PRIMARY KEY (id, owner)";
    let findings = steps(pets(Dialect::MySql, None), 0, &[&[statement]]).remove(0);
    let fails = findings.iter().any(|finding| finding.outcome.is_some());
    assert!(!fails, "{findings:#?}");
}
