//! What the rules foretell of data, and then the statement itself on the same data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rollback::database::evidence::DatabaseProbe;
use rollback::domain::dialect::Dialect;
use rollback::domain::forecast::{Event, EventKind, Followed, Function, Happened, StepTrace};
use rollback::domain::operation::{
    ColumnChange, ColumnDefinition, ColumnType, Constraint, Family, Name, Operation, Place,
    Reference, TableName, UniqueScope,
};
use rollback::domain::revision::RevisionId;
use rollback::domain::risk::{FailurePrediction, Finding, examine};
use rollback::domain::schema_model::{Column, Key, Origin, Presence, SchemaModel, Table};

use crate::support::{Kind, TestDatabase};

const TABLES: [(&str, &[&str]); 2] = [
    ("owners", &["id"]),
    ("pets", &["id", "owner", "name", "age"]),
];

const DATA: &str = "
    CREATE TABLE owners (id INTEGER PRIMARY KEY);
    CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER, name VARCHAR(9), age INTEGER);
    INSERT INTO owners VALUES (1), (2);";

fn integer() -> ColumnType {
    ColumnType {
        family: Family::Integer,
        length: None,
        precision: None,
        scale: None,
        timezone: false,
        enum_name: None,
        values: Vec::new(),
        written: "INTEGER".to_owned(),
    }
}

fn live(name: &str) -> Origin {
    Origin::Live {
        name: name.to_owned(),
    }
}

fn catalogue(dialect: Dialect) -> SchemaModel {
    let tables = TABLES.map(|(name, columns)| {
        let columns: BTreeMap<String, Column> = columns
            .iter()
            .map(|&column| {
                let made = Column {
                    name: column.to_owned(),
                    kind: Some(integer()),
                    nullable: column != "id",
                    default: None,
                    origin: live(column),
                    presence: Presence::Certain,
                };
                (column.to_owned(), made)
            })
            .collect();
        let table = Table {
            columns,
            primary_key: Some(Key {
                name: Name::Unnamed,
                columns: vec!["id".to_owned()],
                presence: Presence::Certain,
            }),
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            origin: live(name),
            presence: Presence::Certain,
            rows_changed: false,
        };
        (named(dialect, name), Arc::new(table))
    });
    SchemaModel {
        dialect,
        default_schema: named(dialect, "").schema,
        tables: tables.into(),
        views: BTreeMap::new(),
        enums: BTreeMap::new(),
        types: std::collections::BTreeSet::new(),
        doubtful: false,
        is_mysql_itself: dialect == Dialect::MySql && Kind::MariaDb.is_mysql(),
        library: None,
    }
}

fn named(dialect: Dialect, name: &str) -> TableName {
    TableName {
        schema: (dialect == Dialect::Postgres).then(|| "public".to_owned()),
        name: name.to_owned(),
    }
}

fn findings(database: &TestDatabase<'_>, dialect: Dialect, operation: Operation) -> Vec<Finding> {
    let happened = Happened {
        event: Event {
            place: Place {
                file: "a.py".into(),
                line: 1,
                column: 1,
            },
            called_from: None,
            certain: true,
            autocommit: false,
            kind: EventKind::Operation(Box::new(operation)),
        },
        before: Some(Arc::new(catalogue(dialect))),
    };
    let function = |happened| Function {
        followed: Followed::Whole,
        happened,
        failures: Vec::new(),
    };
    let seen = StepTrace {
        revision: RevisionId::new("a1"),
        is_merge: false,
        is_sql_file: false,
        dialect: Some(dialect),
        downgrade: function(vec![happened]),
        upgrade: function(Vec::new()).into(),
    };
    let mut ours = database.open();
    let second = Duration::from_secs(5);
    examine(
        &seen,
        &mut DatabaseProbe::new(ours.as_mut(), dialect, second, second),
    )
}

/// An operation, its statement on each server (PostgreSQL, MariaDB, SQLite), and rows that break it.
struct Case {
    operation: Operation,
    statement: [Option<&'static str>; 3],
    breaking: &'static str,
}

fn cases() -> Vec<Case> {
    let pets = || TableName::plain("pets");
    let constraint = |constraint| Operation::AddConstraint {
        table: pets(),
        constraint,
    };
    vec![
        Case {
            operation: Operation::AlterColumn {
                table: pets(),
                column: "age".to_owned(),
                change: ColumnChange {
                    nullable: Some(false),
                    ..ColumnChange::default()
                },
            },
            statement: [
                Some("ALTER TABLE pets ALTER COLUMN age SET NOT NULL"),
                Some("ALTER TABLE pets MODIFY age INTEGER NOT NULL"),
                None,
            ],
            breaking: "INSERT INTO pets VALUES (8, 1, 'h', NULL)",
        },
        Case {
            operation: Operation::AddColumn {
                table: pets(),
                column: ColumnDefinition {
                    name: "legs".to_owned(),
                    kind: Some(integer()),
                    nullable: false,
                    server_default: None,
                    primary_key: false,
                    unique: false,
                    index: false,
                    foreign_keys: Vec::new(),
                },
                if_not_exists: false,
            },
            statement: [Some("ALTER TABLE pets ADD COLUMN legs INTEGER NOT NULL"); 3],
            breaking: "INSERT INTO pets VALUES (8, 1, 'h', 3)",
        },
        Case {
            operation: Operation::CreateIndex {
                name: Name::Known("u".to_owned()),
                table: pets(),
                columns: ["owner", "name"].map(|name| Some(name.to_owned())).into(),
                unique: true,
                alike: UniqueScope::default(),
                concurrently: false,
                if_not_exists: false,
            },
            statement: [Some("CREATE UNIQUE INDEX u ON pets (owner, name)"); 3],
            breaking: "INSERT INTO pets VALUES (8, 1, 'a', 3), (9, 1, 'a', 4)",
        },
        Case {
            operation: constraint(Constraint::ForeignKey {
                columns: vec!["owner".to_owned()],
                references: Reference {
                    name: Name::Known("f".to_owned()),
                    table: TableName::plain("owners"),
                    columns: vec!["id".to_owned()],
                    on_delete: None,
                },
                not_valid: false,
            }),
            statement: [
                Some(
                    "ALTER TABLE pets ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES owners (id)",
                ),
                Some(
                    "ALTER TABLE pets ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES owners (id)",
                ),
                None,
            ],
            breaking: "INSERT INTO pets VALUES (8, 77, 'h', 3)",
        },
        Case {
            operation: constraint(Constraint::Check {
                name: Name::Known("c".to_owned()),
                condition: Some("age < 100".to_owned()),
            }),
            statement: [
                Some("ALTER TABLE pets ADD CONSTRAINT c CHECK (age < 100)"),
                Some("ALTER TABLE pets ADD CONSTRAINT c CHECK (age < 100)"),
                None,
            ],
            breaking: "INSERT INTO pets VALUES (8, 1, 'h', 300)",
        },
    ]
}

/// Turns red if a certain failure is announced that does not come, or one comes that was not announced.
/// The rows that are harmless hold NULLs where those break nothing.
#[test]
fn what_is_said_to_fail_fails_and_nothing_else() {
    let servers = [
        (Kind::PostgreSql, Dialect::Postgres),
        (Kind::MariaDb, Dialect::MySql),
        (Kind::Sqlite, Dialect::Sqlite),
    ];
    for (at, (kind, dialect)) in servers.into_iter().enumerate() {
        for case in cases() {
            let Some(statement) = case.statement[at] else {
                continue;
            };
            let adds = matches!(case.operation, Operation::AddColumn { .. });
            let harmless = if adds {
                ""
            } else {
                "INSERT INTO pets VALUES (1, 1, NULL, 1), (2, 1, NULL, 2), (3, NULL, 'c', 3)"
            };
            for rows in [harmless, case.breaking] {
                let database = TestDatabase::create(kind);
                database.execute(&format!("{DATA}{rows}"));
                let findings = findings(&database, dialect, case.operation.clone());
                let outcome = findings.iter().filter_map(|finding| finding.outcome).max();
                let done = database.try_execute(statement);
                let expected = done.is_err().then_some(FailurePrediction::WillFail);
                assert_eq!(
                    outcome, expected,
                    "{kind:?}: {statement} over {rows}\n{done:?}\n{findings:#?}"
                );
                // MariaDB fills in what PostgreSQL and SQLite refuse, and nothing else may go well.
                let is_filled = adds && kind == Kind::MariaDb;
                assert_eq!(
                    done.is_err(),
                    rows == case.breaking && !is_filled,
                    "{statement}"
                );
            }
        }
    }
}

/// Turns red if what is announced as lost is not what the statement takes away.
#[test]
fn as_many_values_go_as_were_announced() {
    for (kind, dialect) in [
        (Kind::PostgreSql, Dialect::Postgres),
        (Kind::MariaDb, Dialect::MySql),
        (Kind::Sqlite, Dialect::Sqlite),
    ] {
        let database = TestDatabase::create(kind);
        database.execute(&format!(
            "{DATA}INSERT INTO pets VALUES (1, 1, 'a', NULL), (2, NULL, 'b', 2), (3, 2, 'c', 3)"
        ));
        let told = |operation| {
            let findings = findings(&database, dialect, operation);
            let found = findings.first().unwrap();
            (
                found.sentence.clone(),
                found.evidence.as_ref().unwrap().count,
            )
        };
        let values = database.query_one("SELECT count(age) FROM pets");
        let column = Operation::DropColumn {
            table: TableName::plain("pets"),
            column: "age".to_owned(),
            if_exists: false,
            cascade: false,
        };
        assert_eq!(
            told(column),
            (
                format!("drops column pets.age with {values} values"),
                values.parse().ok()
            )
        );
        let table = Operation::DropTable {
            table: TableName::plain("pets"),
            if_exists: false,
            cascade: false,
        };
        assert_eq!(
            told(table),
            ("drops table pets with 3 rows".to_owned(), Some(3))
        );
    }
}
