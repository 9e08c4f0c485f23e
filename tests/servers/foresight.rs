//! What is foretold of a step is what happens: random schemas, random operations, most of them broken.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use migration_forecast::{Direction, Event, EventKind, Followed, Host, Migrations, predict};
use rollback_core::connection::EngineSession;
use rollback_core::dialect::Dialect;
use rollback_core::finding_code::FindingCode;
use rollback_core::graph::Graph;
use rollback_core::operation::{
    ColumnChange, ColumnDefinition, Constraint, ConstraintKind, Name, Operation, Place, Recreate,
    Reference, RowChange, TableName, UniqueScope,
};
use rollback_core::plan::Plan;
use rollback_core::revision::{Revision, RevisionId};
use rollback_database::schema_model;
use rollback_schema::Failure;
use rollback_sql::read_type;
use serde_json::{Value, json};

use crate::support::{Kind, TestDatabase};

/// The same on every run, so that a failure can be looked at again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one<'list>(&mut self, list: &[&'list str]) -> &'list str {
        let sides = u64::try_from(list.len()).unwrap();
        list[usize::try_from(self.roll(sides)).unwrap()]
    }

    fn table(&mut self) -> &'static str {
        self.one(&["t0", "t1", "t2", "t0", "t1", "t2", "t3", "gone"])
    }

    fn column(&mut self) -> &'static str {
        self.one(&["id", "a", "b", "c", "d", "a", "b", "c", "none"])
    }
}

/// `CREATE` statements of three tables that point at each other.
fn schema(dice: &mut Dice) -> Vec<String> {
    let mut statements = Vec::new();
    for number in 0..3 {
        let mut parts = vec![
            "id integer not null primary key".to_owned(),
            "a integer".to_owned(),
            "b integer".to_owned(),
            "c integer".to_owned(),
            "d integer".to_owned(),
        ];
        match dice.roll(4) {
            0 => parts.push(format!("constraint uq_t{number} unique (a, b)")),
            1 => parts.push(format!("constraint uq_t{number} unique (a)")),
            _ => {}
        }
        if number > 0 && dice.roll(3) > 0 {
            let referent = dice.roll(number);
            parts.push(format!(
                "constraint fk_t{number} foreign key (c) references t{referent} (id)"
            ));
        }
        if dice.roll(4) == 0 {
            parts.push(format!("constraint ck_t{number} check (b > 0)"));
        }
        statements.push(format!("CREATE TABLE t{number} ({})", parts.join(", ")));
        if dice.roll(2) == 0 {
            let column = dice.one(&["b", "c"]);
            statements.push(format!("CREATE INDEX ix_t{number} ON t{number} ({column})"));
        }
    }
    if dice.roll(5) == 0 {
        statements.push("CREATE VIEW v AS SELECT a FROM t0".to_owned());
    }
    statements
}

/// One operation as the oracle reads it.
fn operation(dice: &mut Dice, batch: bool) -> Value {
    let (table, column) = (dice.table(), dice.column());
    let number = dice.roll(3);
    let of = |start: &str| format!("{start}_t{number}");
    match dice.roll(if batch { 14 } else { 20 }) {
        0..=3 => json!({ "op": "drop_column", "table": table, "column": column }),
        4 => json!({ "op": "add_column", "table": table, "column": dice.one(&["n", "a"]),
            "index": dice.roll(4) == 0, "unique": dice.roll(4) == 0 }),
        5 => {
            json!({ "op": "alter_column", "table": table, "column": column, "rename": dice.one(&["n", "a"]) })
        }
        6 => json!({ "op": "alter_column", "table": table, "column": column, "nullable": true }),
        7 => {
            let kind = dice.one(&["text", "boolean", "integer"]);
            json!({ "op": "alter_column", "table": table, "column": column, "type": kind })
        }
        8 => json!({ "op": "create_index", "table": table, "column": column, "name": of("ix") }),
        9 => json!({ "op": "drop_index", "table": format!("t{number}"), "name": of("ix") }),
        10 => json!({ "op": "unique", "table": table, "column": column, "name": of("uq") }),
        11 => {
            let key = dice.one(&["id", "a"]);
            json!({ "op": "foreign", "table": table, "column": column, "key": key,
                "to": dice.table(), "name": of("fk") })
        }
        12 | 13 => {
            let (start, kind) = [("uq", "unique"), ("fk", "foreignkey"), ("ck", "check")]
                [usize::try_from(dice.roll(3)).unwrap()];
            json!({ "op": "drop_constraint", "table": format!("t{number}"), "name": of(start), "kind": kind })
        }
        14 | 15 => json!({ "op": "drop_table", "table": table }),
        16 => json!({ "op": "create_table", "table": table,
            "to": if dice.roll(2) == 0 { Value::Null } else { json!(dice.table()) } }),
        17 => json!({ "op": "rename_table", "table": table, "to": dice.table() }),
        18 => json!({ "op": "delete", "table": table }),
        _ => {
            let count = dice.roll(3) + 1;
            let operations: Vec<Value> = (0..count)
                .map(|_| {
                    let mut operation = operation(dice, true);
                    operation["table"] = json!(table);
                    operation
                })
                .collect();
            json!({ "op": "batch", "table": table, "operations": operations })
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

/// The same operation as the reader of migrations would tell it.
fn told(value: &Value) -> Operation {
    let table = TableName::plain(text(value, "table"));
    let name = || Name::Known(text(value, "name"));
    let flag = |key: &str| value[key].as_bool().unwrap_or_default();
    let kind = |text: &str| read_type(text, Dialect::Postgres);
    let plain = |name: &str, key: bool, to: Option<&str>| ColumnDefinition {
        name: name.to_owned(),
        kind: Some(kind("integer")),
        nullable: !key,
        server_default: None,
        primary_key: key,
        unique: false,
        index: false,
        foreign_keys: to
            .into_iter()
            .map(|table| Reference {
                name: Name::Unnamed,
                table: TableName::plain(table),
                columns: vec!["id".to_owned()],
                on_delete: None,
                inline: false,
            })
            .collect(),
    };
    match value["op"].as_str().unwrap() {
        "create_table" => Operation::CreateTable {
            table,
            columns: vec![
                plain("id", true, None),
                plain("a", false, value["to"].as_str()),
            ],
            constraints: Vec::new(),
            if_not_exists: false,
        },
        "drop_table" => Operation::DropTable {
            table,
            if_exists: false,
            cascade: false,
        },
        "rename_table" => Operation::RenameTable {
            table,
            to: text(value, "to"),
        },
        "add_column" => Operation::AddColumn {
            table,
            column: ColumnDefinition {
                unique: flag("unique"),
                index: flag("index"),
                ..plain(&text(value, "column"), false, None)
            },
            if_not_exists: false,
        },
        "drop_column" => Operation::DropColumn {
            table,
            column: text(value, "column"),
            if_exists: false,
            cascade: false,
        },
        "alter_column" => Operation::AlterColumn {
            table,
            column: text(value, "column"),
            change: ColumnChange {
                kind: value["type"].as_str().map(kind),
                changes_type: value["type"].is_string(),
                nullable: value["nullable"].as_bool(),
                server_default: None,
                new_name: value["rename"].as_str().map(str::to_owned),
                existing_kind: Some(kind("integer")),
                existing_nullable: None,
                using: None,
            },
        },
        "create_index" => Operation::CreateIndex {
            name: name(),
            table,
            columns: vec![Some(text(value, "column"))],
            unique: false,
            alike: UniqueScope::default(),
            concurrently: false,
            if_not_exists: false,
        },
        "drop_index" => Operation::DropIndex {
            name: name(),
            table: Some(table),
            concurrently: false,
            if_exists: false,
        },
        "unique" => Operation::AddConstraint {
            table,
            constraint: Constraint::Unique {
                name: name(),
                columns: vec![text(value, "column")],
                alike: UniqueScope::default(),
            },
        },
        "foreign" => Operation::AddConstraint {
            table,
            constraint: Constraint::ForeignKey {
                columns: vec![text(value, "column")],
                references: Reference {
                    name: name(),
                    table: TableName::plain(text(value, "to")),
                    columns: vec![text(value, "key")],
                    on_delete: None,
                    inline: false,
                },
                not_valid: false,
            },
        },
        "drop_constraint" => Operation::DropConstraint {
            table,
            name: name(),
            kind: Some(match value["kind"].as_str().unwrap() {
                "unique" => ConstraintKind::Unique,
                "foreignkey" => ConstraintKind::ForeignKey,
                _ => ConstraintKind::Check,
            }),
            if_exists: false,
            cascade: false,
        },
        "delete" => Operation::ChangeRows {
            change: RowChange::Delete,
            table: Some(table),
            columns: Vec::new(),
            conditional: false,
            nulls: Vec::new(),
            sql: None,
        },
        _ => Operation::Batch {
            table,
            recreate: Recreate::Auto,
            copy_from: false,
            naming_convention: false,
            operations: value["operations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| (place(), told(value)))
                .collect(),
        },
    }
}

fn place() -> Place {
    Place {
        file: "m.py".into(),
        line: 1,
        column: 1,
    }
}

/// A downgrade for each step.
struct Steps<'steps>(&'steps [Vec<Value>]);

impl Migrations for Steps<'_> {
    fn may_autocommit(&self) -> bool {
        false
    }

    fn follow(&self, revision: &RevisionId, direction: Direction, host: &mut dyn Host) -> Followed {
        let number: usize = revision.as_str()[1..].parse().unwrap();
        if direction == Direction::Upgrade {
            return Followed::Empty;
        }
        for value in &self.0[self.0.len() - 1 - number] {
            let event = Event {
                place: place(),
                called_from: None,
                certain: true,
                autocommit: false,
                kind: EventKind::Operation(Box::new(told(value))),
            };
            if let Err(raised) = host.happens(event) {
                host.escaped(&raised, true);
                break;
            }
        }
        Followed::Whole
    }
}

/// A random schema and random steps.
fn run(kind: Kind, dice: &mut Dice, figures: &mut [usize; 4]) {
    let statements = schema(dice);
    let steps: Vec<Vec<Value>> = (0..12)
        .map(|_| {
            let count = if dice.roll(3) == 0 { 2 } else { 1 };
            (0..count).map(|_| operation(dice, false)).collect()
        })
        .collect();
    compare(kind, &statements, &steps, figures);
}

/// The errors of the steps on the real server, and what was foretold of each. The steps are told oldest
/// revision last, as they are run.
fn compare(kind: Kind, statements: &[String], steps: &[Vec<Value>], figures: &mut [usize; 4]) {
    let database = TestDatabase::create(kind);
    database.execute(&statements.join(";\n"));
    let dialect = match kind {
        Kind::PostgreSql => Dialect::Postgres,
        Kind::MariaDb | Kind::MySql => Dialect::MySql,
        Kind::Sqlite => Dialect::Sqlite,
    };
    let model = schema_model(database.open().as_mut(), dialect, &EngineSession::default()).unwrap();
    assert_eq!(model.is_mysql_itself, kind.is_mysql());
    let revisions = (0..steps.len()).map(|number| Revision {
        id: format!("r{number}"),
        down_revisions: (number > 0)
            .then(|| format!("r{}", number - 1))
            .into_iter()
            .collect(),
        ..Revision::default()
    });
    let graph = Graph::new(revisions).unwrap();
    let head = RevisionId::new(format!("r{}", steps.len() - 1));
    let plan = Plan::new(&graph, &[head], &"base".parse().unwrap()).unwrap();
    let forecast = predict(
        &plan,
        &graph,
        &Steps(steps),
        Some(dialect),
        Some(model),
        &mut |_| Vec::new(),
    );
    let answers = oracle(&database.url(), steps);
    for ((step, forecast), answer) in steps.iter().zip(&forecast).zip(&answers) {
        let failures = &forecast.seen.downgrade.failures;
        let account = || {
            let step = serde_json::to_string(step).unwrap();
            let steps = serde_json::to_string(&steps).unwrap();
            let statements = statements.join(";\n");
            format!(
                "{kind:?}\n{statements}\n{step}\nforetold: {failures:#?}\nhappened: {answer}\nall: {steps}"
            )
        };
        if forecast.will_fail() {
            assert!(answer.is_string(), "{}", account());
            // MariaDB does not say what a foreign key lacks.
            let is_named = |failure: &Failure| {
                let object = failure.object.rsplit('.').next().unwrap();
                kind == Kind::MariaDb
                    || failure.code != FindingCode::ObjectMissing
                    || answer.to_string().contains(object)
            };
            assert!(failures.iter().any(is_named), "{}", account());
            figures[0] += 1;
        } else if failures.is_empty() {
            assert!(answer.is_null(), "{}", account());
            figures[1] += 1;
        } else if answer.is_string() {
            figures[2] += 1;
            // From here on the two know different schemas.
            return;
        } else {
            figures[3] += 1;
        }
    }
}

fn oracle(url: &str, steps: &[Vec<Value>]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut process = Command::new(root.join(".cache/python/alembic-current/bin/python"))
        .arg(root.join("tests/servers/foresight_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let question = json!({ "url": url, "steps": steps }).to_string();
    let mut questions = process.stdin.take().unwrap();
    questions.write_all(question.as_bytes()).unwrap();
    drop(questions);
    let output = process.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many cases, each of 12 steps. More are worth a run after a change of the rules.
fn cases() -> u64 {
    std::env::var("ROLLBACK_FORESIGHT_CASES").map_or(12, |text| text.parse().unwrap())
}

fn what_is_foretold(kind: Kind) {
    let mut figures = [0; 4];
    for case in 0..cases() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (case + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        run(kind, &mut dice, &mut figures);
    }
    // A test in which everything is uncertain would say nothing.
    let [fails, fine, maybe_fails, maybe_fine] = figures;
    assert!(
        fails + fine > 3 * (maybe_fails + maybe_fine),
        "{kind:?}: {figures:?}"
    );
}
on_each!(what_is_foretold: sqlite, postgresql, mariadb);

/// MariaDB drops an index that it has made for a foreign key once another one serves it, and then holds on to
/// that one. Found by chance above.
#[test]
fn an_index_that_mariadb_made_itself_goes_without_a_word() {
    let statements = [
        "CREATE TABLE t0 (id integer not null primary key)",
        "CREATE TABLE t1 (id integer not null primary key, c integer, \
         constraint fk_t1 foreign key (c) references t0 (id))",
    ];
    let statements = statements.map(str::to_owned);
    let steps = [
        json!({ "op": "create_index", "table": "t1", "column": "c", "name": "ix_t1" }),
        json!({ "op": "drop_index", "table": "t1", "name": "ix_t1" }),
    ];
    let mut figures = [0; 4];
    compare(
        Kind::MariaDb,
        &statements,
        &steps.map(|step| vec![step]),
        &mut figures,
    );
    assert_eq!(figures, [0, 1, 1, 0]);
}

/// PostgreSQL names the table that a foreign key is to point at where its own column is missing as well. Found by
/// chance above.
#[test]
fn of_two_things_that_a_foreign_key_lacks_the_first_is_named() {
    let statements = ["CREATE TABLE t1 (id integer not null primary key, c integer)"];
    let lacking = json!({ "op": "foreign", "table": "t1", "column": "none", "key": "id",
        "to": "t3", "name": "fk" });
    let mut figures = [0; 4];
    compare(
        Kind::PostgreSql,
        &statements.map(str::to_owned),
        &[vec![lacking]],
        &mut figures,
    );
    assert_eq!(figures, [1, 0, 0, 0]);
}
