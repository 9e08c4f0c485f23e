//! What the inspector answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::show::Recorder;
use super::{body, downgrade, downgrade_on};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{Name, TableName};
use rollback_schema::{Column, ForeignKey, Index, Key, Origin, Presence, SchemaModel, Table};

fn named(name: &str) -> TableName {
    TableName {
        schema: Some("public".to_owned()),
        name: name.to_owned(),
    }
}

/// Table `a` with columns `id` and `maybe`, which is not certain, and a key of each kind; table
/// `b`, which is not certain itself.
fn catalogue() -> SchemaModel {
    let column = |name: &str, presence| {
        let column = Column {
            name: name.to_owned(),
            kind: None,
            nullable: true,
            default: None,
            origin: Origin::Live {
                name: name.to_owned(),
            },
            presence,
            written: false,
        };
        (name.to_owned(), column)
    };
    let known = |name: &str| Name::Known(name.to_owned());
    let table = Table {
        columns: BTreeMap::from([
            column("id", Presence::Certain),
            column("maybe", Presence::Uncertain),
        ]),
        primary_key: None,
        uniques: vec![Key {
            name: known("uq_a"),
            columns: vec!["id".to_owned()],
            presence: Presence::Certain,
        }],
        foreign_keys: vec![ForeignKey {
            name: known("fk_a"),
            columns: vec!["id".to_owned()],
            referent: named("b"),
            referent_columns: vec!["x".to_owned()],
            on_delete: None,
            inline: false,
            presence: Presence::Certain,
        }],
        checks: Vec::new(),
        indexes: vec![Index {
            name: known("ix_a"),
            columns: vec![Some("id".to_owned())],
            unique: false,
            presence: Presence::Certain,
        }],
        origin: Origin::Live {
            name: "a".to_owned(),
        },
        presence: Presence::Certain,
        inserted: false,
        deleted: false,
    };
    let uncertain = Table {
        presence: Presence::Uncertain,
        ..table.clone()
    };
    SchemaModel {
        dialect: Dialect::Postgres,
        default_schema: Some("public".to_owned()),
        tables: BTreeMap::from([
            (named("a"), Arc::new(table)),
            (named("b"), Arc::new(uncertain)),
        ]),
        views: BTreeMap::new(),
        enums: BTreeMap::new(),
        types: std::collections::BTreeSet::new(),
        doubtful: false,
        is_mysql_itself: false,
        library: None,
        foreign_keys: None,
        one_statement: None,
        search_path: None,
    }
}

fn with_schema(text: &str) -> Vec<String> {
    let mut recorder = Recorder::on(Dialect::Postgres);
    recorder.model = Some(catalogue());
    downgrade_on(
        &body(&format!("i = sa.inspect(op.get_bind())\n{text}")),
        recorder,
    )
    .1
}

#[test]
fn the_inspector_answers_from_the_schema() {
    let cases: &[(&str, &[&str])] = &[
        (
            "if i.has_table('a'):\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "if not i.has_table('c'):\n    return\nop.drop_table('c')",
            &[],
        ),
        (
            "if i.has_table('b'):\n    op.drop_table('b')",
            &["maybe drop table b"],
        ),
        (
            "if 'a' in i.get_table_names():\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "if 'c' in i.get_table_names():\n    op.drop_table('c')",
            &[],
        ),
        (
            "if 'id' in [c['name'] for c in i.get_columns('a')]:\n    op.drop_column('a', 'id')",
            &["drop column a.id"],
        ),
        (
            "if 'x' in {c['name'] for c in i.get_columns('a')}:\n    op.drop_column('a', 'x')",
            &[],
        ),
        (
            "if 'maybe' in [c['name'] for c in i.get_columns('a')]:\n    op.drop_column('a', 'maybe')",
            &["maybe drop column a.maybe"],
        ),
        (
            "if any(x['name'] == 'ix_a' for x in i.get_indexes('a')):\n    op.drop_index('ix_a')",
            &["drop index ix_a"],
        ),
        (
            "for fk in i.get_foreign_keys('a'):\n    if fk['referred_table'] == 'b' and set(fk['referred_columns']) == {'x'}:\n        op.drop_constraint(fk['name'], 'a', type_='foreignkey')",
            &["drop constraint fk_a of a ForeignKey"],
        ),
        (
            "for u in i.get_unique_constraints('a'):\n    op.drop_constraint(u['name'], 'a')",
            &["drop constraint uq_a of a"],
        ),
        (
            "try:\n    i.get_columns('c')\nexcept sa.exc.NoSuchTableError:\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "i.get_columns('c')\nop.drop_table('a')",
            &["raises NoSuchTableError: c"],
        ),
        (
            "t = sa.Table('a', sa.MetaData(), autoload_with=op.get_bind())\nop.get_bind().execute(sa.select(t.c.id))",
            &["read a (id)"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(with_schema(text), *expected, "{text}");
    }
}

#[test]
fn a_doubtful_schema_answers_nothing() {
    let mut recorder = Recorder::on(Dialect::Postgres);
    recorder.model = Some(SchemaModel {
        doubtful: true,
        ..catalogue()
    });
    let source = body("if sa.inspect(op.get_bind()).has_table('a'):\n    op.drop_table('a')");
    assert_eq!(downgrade_on(&source, recorder).1, ["maybe drop table a"]);
}

const MODELS: &str = "
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import declarative_base

Base = declarative_base()

class Child(Base):
    __tablename__ = 'child'
    id = sa.Column(sa.Integer, primary_key=True)
    parent_id = sa.Column(sa.Integer, sa.ForeignKey('parent.id'))
    colour = sa.Column(sa.Enum('red', name='colour'))

class Mixin:
    pass

class Parent(Mixin, Base):
    __tablename__ = 'parent'
    id = sa.Column(sa.Integer, primary_key=True)

Other = declarative_base()

class Elsewhere(Other):
    __tablename__ = 'elsewhere'

link = sa.Table('link', Base.metadata, sa.Column('id', sa.Integer, sa.ForeignKey('child.id')))
";

#[test]
fn all_tables_of_a_metadata_come_and_go_in_the_order_of_their_foreign_keys() {
    let after = |text: &str| downgrade(&format!("{MODELS}\ndef downgrade():\n    {text}\n"));
    assert_eq!(
        after("Base.metadata.drop_all(op.get_bind())"),
        [
            "drop table link if exists",
            "drop table child if exists",
            "drop table parent if exists",
            "drop type colour if exists",
        ]
    );
    assert_eq!(
        after(
            "Base.metadata.drop_all(bind=op.get_bind(), tables=[Parent.__table__], checkfirst=False)"
        ),
        ["drop table parent"]
    );
    assert_eq!(
        after("Base.metadata.create_all(op.get_bind(), [Child.__table__, Parent.__table__])"),
        [
            "create table parent (id INTEGER not null) if not exists",
            "create table child (id INTEGER not null, parent_id INTEGER, colour colour) if not exists",
        ]
    );
    assert_eq!(
        after("Elsewhere.metadata.drop_all(op.get_bind())"),
        ["drop table elsewhere if exists"]
    );
}

#[test]
fn tables_without_a_schema_have_that_of_their_metadata() {
    let source = "
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    metadata = sa.MetaData(schema='s')

class Model(Base):
    __tablename__ = 'model'

own = sa.Table('own', Base.metadata, schema='t')
none = sa.Table('none', Base.metadata)

def downgrade():
    Base.metadata.drop_all(op.get_bind())
";
    let mut lines = downgrade(source);
    lines.sort();
    assert_eq!(
        lines,
        [
            "drop table s.model if exists",
            "drop table s.none if exists",
            "drop table t.own if exists"
        ]
    );
}

#[test]
fn a_metadata_that_may_hold_other_tables_is_not_known() {
    let after = |text: &str| {
        downgrade(&format!(
            "{MODELS}\nfrom elsewhere import Far\ndef downgrade():\n    {text}\n"
        ))
    };
    let unknown = ["unknown (may change): the tables of drop_all"];
    for text in [
        "Base.metadata.drop_all(op.get_bind(), tables=Base.chosen())",
        "Base.metadata.drop_all(sa.create_engine('sqlite://'))",
        "Base.metadata.reflect(op.get_bind()); Base.metadata.drop_all(op.get_bind())",
        "class Near(Far, Base):\n        pass\n    Base.metadata.drop_all(op.get_bind())",
    ] {
        assert_eq!(after(text), unknown, "{text}");
    }
}
