//! Schemas, migrations and answers by value.

use std::sync::Arc;

use super::examine;
use crate::{Event, EventKind, Followed, Function, Happened, StepTrace};
use rollback_core::dialect::Dialect;
use rollback_core::finding::Finding;
use rollback_core::finding_code::FindingCode;
use rollback_core::operation::{ColumnDefinition, Operation, Place, TableName};
use rollback_core::probe::{Answer, Probe, Question};
use rollback_core::revision::RevisionId;
use rollback_core::testing::kind;
use rollback_schema::{Column, Origin, Presence, SchemaModel, Table};

pub(crate) fn place(line: u32) -> Place {
    Place {
        file: "versions/a.py".into(),
        line,
        column: 5,
    }
}

pub(crate) fn table(name: &str) -> TableName {
    TableName::plain(name)
}

/// A column to be made: nullable, without a default.
pub(crate) fn column(name: &str, written: &str) -> ColumnDefinition {
    ColumnDefinition {
        name: name.to_owned(),
        kind: Some(kind(written)),
        nullable: true,
        server_default: None,
        primary_key: false,
        unique: false,
        index: false,
        foreign_keys: Vec::new(),
    }
}

pub(crate) fn live(name: &str) -> Origin {
    Origin::Live {
        name: name.to_owned(),
    }
}

pub(crate) fn made() -> Origin {
    Origin::Made { by: "b1".into() }
}

/// A schema with a table `users` (`id`, `email` of 255 characters, `age`) and a table `orders` (`id`, `user_id`).
pub(crate) fn schema(dialect: Dialect) -> SchemaModel {
    let mut model = SchemaModel {
        default_schema: (dialect == Dialect::Postgres).then(|| "public".to_owned()),
        ..SchemaModel::empty(dialect)
    };
    add(
        &mut model,
        "users",
        &[
            ("id", "INTEGER"),
            ("email", "VARCHAR(255)"),
            ("age", "BIGINT"),
        ],
    );
    add(
        &mut model,
        "orders",
        &[("id", "INTEGER"), ("user_id", "INTEGER")],
    );
    model
}

/// Puts a live table into a schema.
pub(crate) fn add(model: &mut SchemaModel, name: &str, columns: &[(&str, &str)]) {
    let columns = columns.iter().map(|(name, written)| {
        let column = Column {
            name: (*name).to_owned(),
            kind: Some(kind(written)),
            nullable: true,
            default: None,
            origin: live(name),
            presence: Presence::Certain,
            written: false,
        };
        ((*name).to_owned(), column)
    });
    let made = Table {
        columns: columns.collect(),
        primary_key: None,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        origin: live(name),
        presence: Presence::Certain,
        inserted: false,
        deleted: false,
    };
    let name = TableName {
        schema: model.default_schema.clone(),
        name: name.to_owned(),
    };
    model.tables.insert(name, Arc::new(made));
}

/// Changes a table of a schema.
pub(crate) fn edit(model: &mut SchemaModel, name: &str, change: impl FnOnce(&mut Table)) {
    let found = model
        .tables
        .iter_mut()
        .find(|(table, _)| table.name == name);
    change(Arc::make_mut(found.expect("a table of the test").1));
}

pub(crate) fn event(line: u32, kind: EventKind) -> Event {
    Event {
        place: place(line),
        called_from: None,
        certain: true,
        autocommit: false,
        kind,
    }
}

fn function(before: Option<&SchemaModel>, operations: Vec<Operation>) -> Function {
    let before = before.map(|before| Arc::new(before.clone()));
    let happened: Vec<Happened> = (10..)
        .zip(operations)
        .map(|(line, operation)| Happened {
            event: event(line, EventKind::Operation(Box::new(operation))),
            before: before.clone(),
        })
        .collect();
    Function {
        followed: if happened.is_empty() {
            Followed::Empty
        } else {
            Followed::Whole
        },
        happened,
        failures: Vec::new(),
    }
}

/// A step whose downgrade does this, each operation over the same schema.
pub(crate) fn step(model: &SchemaModel, downgrade: Vec<Operation>) -> StepTrace {
    StepTrace {
        revision: RevisionId::new("a1"),
        is_merge: false,
        is_sql_file: false,
        dialect: Some(model.dialect),
        downgrade: function(Some(model), downgrade),
        upgrade: Arc::new(function(None, Vec::new())),
    }
}

/// The same with what its upgrade did.
pub(crate) fn undoing(mut seen: StepTrace, upgrade: Vec<Operation>) -> StepTrace {
    seen.upgrade = Arc::new(function(None, upgrade));
    seen
}

type Answering<'test> = Box<dyn Fn(&Question) -> Option<u64> + 'test>;

/// Answers of a test, and what was asked.
pub(crate) struct FakeProbe<'test> {
    answers: Answering<'test>,
    pub(crate) exact: bool,
    pub(crate) asked: Vec<Question>,
}

impl<'test> FakeProbe<'test> {
    pub(crate) fn by(answers: impl Fn(&Question) -> Option<u64> + 'test) -> Self {
        Self {
            answers: Box::new(answers),
            exact: true,
            asked: Vec::new(),
        }
    }

    /// The same number to everything.
    pub(crate) fn all(count: u64) -> Self {
        Self::by(move |_| Some(count))
    }

    /// Nothing can be asked.
    pub(crate) fn nothing() -> Self {
        Self::by(|_| None)
    }
}

impl Probe for FakeProbe<'_> {
    fn ask(&mut self, question: &Question) -> Option<Answer> {
        self.asked.push(question.clone());
        Some(Answer {
            count: (self.answers)(question)?,
            exact: self.exact,
            query: "SELECT ...".to_owned(),
        })
    }
}

/// The findings of one code.
pub(crate) fn found(code: FindingCode, seen: &StepTrace, mut told: FakeProbe<'_>) -> Vec<Finding> {
    let mut findings = examine(seen, &mut told);
    findings.retain(|finding| finding.code == code);
    findings
}

/// The only finding of a code.
#[track_caller]
pub(crate) fn only(code: FindingCode, seen: &StepTrace, told: FakeProbe<'_>) -> Finding {
    let mut findings = found(code, seen, told);
    assert_eq!(findings.len(), 1, "{code}: {findings:#?}");
    findings.remove(0)
}
