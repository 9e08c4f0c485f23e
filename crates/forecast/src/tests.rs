//! Small plans over small schemas, with migrations that are lists of events.

mod statements;

use crate::SideEffect;
use std::collections::BTreeMap;

use super::*;
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::{ColumnDefinition, Name, Recreate, TableName, UniqueScope};
use rollback_core::plan::Plan;
use rollback_core::testing::drawn;

fn place(line: u32) -> Place {
    Place {
        file: "m.py".into(),
        line,
        column: 1,
    }
}

fn event(line: u32, kind: EventKind) -> Event {
    Event {
        place: place(line),
        called_from: None,
        certain: true,
        autocommit: false,
        kind,
    }
}

fn does(line: u32, operation: Operation) -> Event {
    event(line, EventKind::Operation(Box::new(operation)))
}

fn maybe(mut event: Event) -> Event {
    event.certain = false;
    event
}

fn drop_table(name: &str) -> Operation {
    Operation::DropTable {
        table: TableName::plain(name),
        if_exists: false,
        cascade: false,
    }
}

fn create_table(name: &str) -> Operation {
    Operation::CreateTable {
        table: TableName::plain(name),
        columns: Vec::new(),
        constraints: Vec::new(),
        if_not_exists: false,
    }
}

fn drop_column(table: &str, column: &str) -> Operation {
    Operation::DropColumn {
        table: TableName::plain(table),
        column: column.to_owned(),
        if_exists: false,
        cascade: false,
    }
}

fn add_column(table: &str, column: &str) -> Operation {
    Operation::AddColumn {
        table: TableName::plain(table),
        column: ColumnDefinition {
            name: column.to_owned(),
            kind: None,
            nullable: true,
            server_default: None,
            primary_key: false,
            unique: false,
            index: false,
            foreign_keys: Vec::new(),
        },
        if_not_exists: false,
    }
}

/// For each revision its upgrade and its downgrade. A downgrade in `catching` catches all.
#[derive(Default)]
struct Fake {
    upgrades: BTreeMap<&'static str, Vec<Event>>,
    downgrades: BTreeMap<&'static str, Vec<Event>>,
    catching: Vec<&'static str>,
    missing: Vec<&'static str>,
    may_autocommit: bool,
}

impl Migrations for Fake {
    fn may_autocommit(&self) -> bool {
        self.may_autocommit
    }

    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        let functions = match direction {
            Direction::Upgrade => &self.upgrades,
            Direction::Downgrade if self.missing.contains(&revision.as_str()) => {
                return Followed::Missing;
            }
            Direction::Downgrade => &self.downgrades,
        };
        for event in functions.get(revision.as_str()).into_iter().flatten() {
            let caught = self.catching.contains(&revision.as_str());
            if let Err(raised) = host.happens(event.clone())
                && !caught
            {
                host.escaped(&raised, true);
                break;
            }
        }
        Followed::Whole
    }
}

/// A schema with one table `t (a, b)`.
fn catalogue(dialect: Dialect) -> SchemaModel {
    let rows = match dialect {
        Dialect::Postgres => [
            "default schema||||public",
            "table|public|t",
            "column|public|t|a|integer",
            "column|public|t|b|integer",
        ]
        .as_slice(),
        _ => &["table||t", "column||t|a|integer", "column||t|b|integer"],
    };
    SchemaModel::of_text(dialect, rows)
}

/// Each step as `code object certain <- culprit`, with "fine" for nothing.
fn follow(dialect: Dialect, drawing: &str, fake: &Fake) -> Vec<String> {
    let graph = drawn(drawing);
    let rows: Vec<RevisionId> = graph.heads().into_iter().collect();
    let plan = Plan::new(&graph, &rows, &"base".parse().unwrap()).unwrap();
    let forecast = predict(
        &plan,
        &graph,
        fake,
        Some(dialect),
        Some(catalogue(dialect)),
        &mut |_| Vec::new(),
    );
    forecast.iter().map(told).collect()
}

fn told(forecast: &StepForecast) -> String {
    let failures = forecast.seen.downgrade.failures.iter().map(|failure| {
        let sure = if failure.certain { "will" } else { "may" };
        let culprit = failure.culprit.as_ref();
        let culprit =
            culprit.map_or_else(String::new, |culprit| format!(" <- {}", culprit.revision));
        format!("{sure} {} {}{culprit}", failure.code, failure.object)
    });
    let all: Vec<String> = failures.collect();
    if all.is_empty() {
        "fine".to_owned()
    } else {
        all.join("; ")
    }
}

const ALL: [Dialect; 3] = [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite];

#[test]
fn what_a_newer_upgrade_took_away_is_missing_and_it_is_named() {
    let fake = Fake {
        upgrades: [
            ("c", vec![does(1, drop_table("gone"))]),
            ("b", vec![does(1, drop_table("back"))]),
        ]
        .into(),
        downgrades: [
            ("b", vec![does(1, create_table("back"))]),
            (
                "a",
                vec![
                    does(7, drop_table("back")),
                    does(8, drop_column("gone", "x")),
                ],
            ),
        ]
        .into(),
        ..Fake::default()
    };
    for dialect in ALL {
        assert_eq!(
            follow(dialect, "a; b:a; c:b", &fake),
            ["fine", "fine", "will object-missing gone <- c"],
            "{dialect:?}"
        );
    }
}

#[test]
fn what_the_plan_itself_takes_away_or_makes_is_known() {
    let fake = Fake {
        downgrades: [
            (
                "c",
                vec![does(1, drop_column("t", "a")), does(2, create_table("u"))],
            ),
            ("b", vec![does(1, drop_column("t", "a"))]),
            ("a", vec![does(1, create_table("u"))]),
        ]
        .into(),
        ..Fake::default()
    };
    for dialect in ALL {
        assert_eq!(
            follow(dialect, "a; b:a; c:b", &fake),
            [
                "fine",
                "will object-missing t.a <- c",
                "will object-exists u <- c"
            ]
        );
    }
}

#[test]
fn what_is_not_certain_may_fail_and_leaves_doubt() {
    let fake = Fake {
        downgrades: [
            ("d", vec![maybe(does(1, drop_column("t", "a")))]),
            ("c", vec![does(1, drop_column("t", "a"))]),
            (
                "b",
                vec![event(
                    1,
                    EventKind::Unknown {
                        what: "x".to_owned(),
                        may_change: SideEffect::Schema,
                    },
                )],
            ),
            ("a", vec![does(1, drop_column("t", "zz"))]),
        ]
        .into(),
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Postgres, "a; b:a; c:b; d:c", &fake),
        [
            "fine",
            "may object-missing t.a <- d",
            "fine",
            "may object-missing t.zz"
        ]
    );
}

/// On PostgreSQL the failed step leaves nothing, on MariaDB what came before, and on SQLite what came
/// before the first change of rows.
#[test]
fn a_step_that_fails_leaves_what_its_server_leaves() {
    let rows = Operation::ChangeRows {
        change: rollback_core::operation::RowChange::Delete,
        table: Some(TableName::plain("t")),
        columns: Vec::new(),
        conditional: false,
        nulls: Vec::new(),
        sql: None,
    };
    let fake = Fake {
        downgrades: [
            (
                "b",
                vec![
                    does(1, create_table("first")),
                    does(2, rows),
                    does(3, create_table("second")),
                    does(4, drop_table("nowhere")),
                ],
            ),
            (
                "a",
                vec![
                    maybe(does(1, drop_table("first"))),
                    maybe(does(2, drop_table("second"))),
                ],
            ),
        ]
        .into(),
        ..Fake::default()
    };
    let last = |dialect| follow(dialect, "a; b:a", &fake)[1].clone();
    assert_eq!(
        last(Dialect::Postgres),
        "may object-missing first; may object-missing second"
    );
    assert_eq!(last(Dialect::MySql), "fine");
    assert_eq!(last(Dialect::Sqlite), "may object-missing second");
}

#[test]
fn what_is_caught_is_no_failure_but_in_a_transaction_of_postgresql() {
    let fake = Fake {
        downgrades: [(
            "a",
            vec![
                does(1, drop_table("nowhere")),
                does(2, drop_column("t", "a")),
            ],
        )]
        .into(),
        catching: vec!["a"],
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Postgres, "a", &fake),
        ["will object-missing nowhere"]
    );
    assert_eq!(follow(Dialect::MySql, "a", &fake), ["fine"]);
    let rolled_back = Fake {
        downgrades: [(
            "a",
            vec![
                does(1, drop_table("nowhere")),
                event(2, EventKind::EndsTransaction),
                does(3, drop_column("t", "a")),
            ],
        )]
        .into(),
        catching: vec!["a"],
        ..Fake::default()
    };
    assert_eq!(follow(Dialect::Postgres, "a", &rolled_back), ["fine"]);
}

#[test]
fn raising_and_having_no_downgrade_are_failures() {
    let raises = EventKind::Raises {
        exception: "NotImplementedError".to_owned(),
        message: Some("no way back".to_owned()),
    };
    let fake = Fake {
        downgrades: [("b", vec![event(3, raises)])].into(),
        missing: vec!["a"],
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Sqlite, "a; b:a", &fake),
        [
            "will irreversible NotImplementedError",
            "will no-downgrade downgrade"
        ]
    );
}

#[test]
fn an_index_is_not_built_concurrently_inside_a_transaction() {
    let index = Operation::CreateIndex {
        name: Name::Known("ix".to_owned()),
        table: TableName::plain("t"),
        columns: vec![Some("a".to_owned())],
        unique: false,
        alike: UniqueScope::default(),
        concurrently: true,
        if_not_exists: false,
    };
    let mut outside = does(1, index.clone());
    outside.autocommit = true;
    let fake = Fake {
        downgrades: [("b", vec![outside]), ("a", vec![does(1, index)])].into(),
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Postgres, "a; b:a", &fake),
        ["fine", "will not-in-transaction ix"]
    );
}

/// Turns red if a failure of the transaction's is certain where there may be none.
#[test]
fn without_a_certain_transaction_nothing_is_certain_of_it() {
    let index = Operation::DropIndex {
        name: Name::Known("ix".to_owned()),
        table: None,
        concurrently: true,
        if_exists: true,
    };
    let fake = Fake {
        downgrades: [
            ("c", vec![does(1, index)]),
            // What came before the failure may stay.
            (
                "b",
                vec![
                    does(1, create_table("made")),
                    does(2, drop_table("nowhere")),
                ],
            ),
            ("a", vec![does(1, drop_table("made"))]),
        ]
        .into(),
        may_autocommit: true,
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Postgres, "a; b:a; c:b", &fake),
        [
            "may not-in-transaction ix",
            "will object-missing nowhere",
            "may object-missing made"
        ]
    );
}

/// On MariaDB what comes before a failure stays, unless something that may fail did.
#[test]
fn what_is_left_behind_a_possible_failure_may_be_left() {
    let fake = Fake {
        downgrades: [
            (
                "b",
                vec![
                    maybe(does(1, drop_table("nowhere"))),
                    does(2, drop_column("t", "a")),
                    does(3, create_table("made")),
                    does(4, drop_table("nowhere")),
                ],
            ),
            (
                "a",
                vec![does(1, drop_column("t", "a")), does(2, drop_table("made"))],
            ),
        ]
        .into(),
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::MySql, "a; b:a", &fake),
        [
            "may object-missing nowhere; will object-missing nowhere",
            "may object-missing t.a <- b; may object-missing made"
        ]
    );
}

/// A migration goes on over a caught error where each statement stands by itself.
#[test]
fn a_caught_error_may_be_none_without_a_transaction() {
    let fake = Fake {
        downgrades: [("a", vec![does(1, drop_table("nowhere"))])].into(),
        catching: vec!["a"],
        may_autocommit: true,
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Postgres, "a", &fake),
        ["may object-missing nowhere"]
    );
    assert_eq!(follow(Dialect::MySql, "a", &fake), ["fine"]);
}

#[test]
fn a_batch_on_sqlite_opens_a_transaction() {
    let batch = Operation::Batch {
        table: TableName::plain("t"),
        recreate: Recreate::Auto,
        copy_from: false,
        naming_convention: false,
        operations: vec![(place(1), drop_column("t", "a"))],
    };
    let fake = Fake {
        downgrades: [
            (
                "b",
                vec![does(1, batch.clone()), does(2, drop_table("nowhere"))],
            ),
            ("a", vec![does(1, batch)]),
        ]
        .into(),
        ..Fake::default()
    };
    assert_eq!(
        follow(Dialect::Sqlite, "a; b:a", &fake),
        ["will object-missing nowhere", "fine"]
    );
    assert_eq!(
        follow(Dialect::MySql, "a; b:a", &fake),
        [
            "will object-missing nowhere",
            "will object-missing t.a <- b"
        ]
    );
}

/// A step that fails over its data leaves what came before the statement that fails.
#[test]
fn a_finding_that_says_so_is_a_failure() {
    let graph = drawn("a; b:a");
    let plan = Plan::new(&graph, &["b".into()], &"base".parse().unwrap()).unwrap();
    let fake = Fake {
        downgrades: [
            (
                "b",
                vec![
                    does(1, drop_column("t", "a")),
                    does(2, add_column("t", "c")),
                ],
            ),
            (
                "a",
                vec![
                    does(1, drop_column("t", "a")),
                    does(2, drop_column("t", "c")),
                ],
            ),
        ]
        .into(),
        ..Fake::default()
    };
    let mut examine = |seen: &StepTrace| {
        let finding = Finding {
            code: FindingCode::NotNullRestored,
            level: Level::High,
            outcome: Some(FailurePrediction::WillFail),
            sentence: String::new(),
            evidence: None,
            advice: String::new(),
            place: Some(place(2)),
            culprit: None,
        };
        if seen.revision.as_str() == "b" {
            vec![finding]
        } else {
            Vec::new()
        }
    };
    let mut last = |dialect| {
        let model = Some(catalogue(dialect));
        let forecast = predict(&plan, &graph, &fake, Some(dialect), model, &mut examine);
        assert!(forecast[0].will_fail());
        told(&forecast[1])
    };
    assert_eq!(last(Dialect::Postgres), "will object-missing t.c");
    assert_eq!(last(Dialect::MySql), "will object-missing t.a <- b");
}

#[test]
fn without_a_schema_only_what_the_code_says_is_known() {
    let graph = drawn("a");
    let plan = Plan::new(&graph, &["a".into()], &"base".parse().unwrap()).unwrap();
    let fake = Fake {
        downgrades: [("a", vec![does(1, drop_table("nowhere"))])].into(),
        ..Fake::default()
    };
    let forecast = predict(&plan, &graph, &fake, None, None, &mut |_| Vec::new());
    assert_eq!(told(&forecast[0]), "fine");
    assert_eq!(forecast[0].seen.downgrade.happened.len(), 1);
}

#[test]
fn the_last_reachable_position_is_named_by_what_leads_there() {
    let reach = |drawing: &str, fails: usize| {
        let graph = drawn(drawing);
        let rows: Vec<RevisionId> = graph.heads().into_iter().collect();
        let plan = Plan::new(&graph, &rows, &"base".parse().unwrap()).unwrap();
        reachable(&graph, &plan, |at| at == fails)
            .map(|reachable| (reachable.steps, reachable.target.unwrap_or_default()))
    };
    assert_eq!(reach("a; b:a; c:b", 2), Some((2, "a".to_owned())));
    assert_eq!(reach("a; b:a; c:b", 0), None);
    assert_eq!(reach("a; b:a; c:b", 9), None);
    // Two heads, or one that Alembic takes for the way past the merge only: nothing but a number leads there.
    assert_eq!(reach("a; b:a; c:a; m:b,c", 1), Some((1, "-1".to_owned())));
    assert_eq!(reach("a; b:a; c:a; m:b,c", 2), Some((2, "-2".to_owned())));
}
