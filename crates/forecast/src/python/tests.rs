//! Source text in, what happens out.

mod ahead;
mod installed;
mod measure;
mod mutation;
mod project;
mod schema;
mod show;
mod unfollowed;

use std::path::PathBuf;

use self::show::{Recorder, files_of};
use super::Follower;
use crate::{Direction, Followed, Migrations};
use rollback_core::dialect::Dialect;

/// The events of `downgrade()`, one line each.
fn downgrade(source: &str) -> Vec<String> {
    downgrade_on(source, Recorder::on(Dialect::Postgres)).1
}

fn downgrade_on(source: &str, mut recorder: Recorder) -> (Followed, Vec<String>) {
    let files = files_of(&[("/nowhere/a_.py", source)]);
    let follower = Follower::new(&files);
    let followed = follower.follow(&"a_".into(), Direction::Downgrade, &mut recorder);
    (followed, recorder.lines)
}

/// A migration whose downgrade is this body.
fn body(text: &str) -> String {
    let mut source = String::from(
        "import sqlalchemy as sa\nfrom alembic import op\nfrom random import random as unknowable\nfrom sqlalchemy.orm import Session\n\n\ndef downgrade():\n",
    );
    for line in text.lines() {
        source.push_str("    ");
        source.push_str(line);
        source.push('\n');
    }
    source
}

#[test]
fn directives_are_told_in_order_with_their_names() {
    let cases: &[(&str, &[&str])] = &[
        ("op.drop_table('a')", &["drop table a"]),
        (
            "op.drop_table('a', schema='s', if_exists=True)",
            &["drop table s.a if exists"],
        ),
        ("op.drop_column('a', 'b')", &["drop column a.b"]),
        (
            "op.drop_index(op.f('ix'), table_name='a')",
            &["drop index ix on a"],
        ),
        (
            "op.drop_constraint('c', 'a', type_='foreignkey')",
            &["drop constraint c of a ForeignKey"],
        ),
        (
            "op.add_column('a', sa.Column('b', sa.String(10), nullable=False))",
            &["add column a: b VARCHAR(10) not null"],
        ),
        ("op.rename_table('a', 'b')", &["rename table a to b"]),
        (
            "op.alter_column('a', 'b', type_=sa.Text(), existing_type=sa.String(5))",
            &["alter column a.b: type TEXT from VARCHAR(5)"],
        ),
        (
            "op.alter_column('a', 'b', nullable=False, server_default=None)",
            &["alter column a.b: not null, default dropped"],
        ),
        (
            "op.create_unique_constraint('u', 'a', ['b', 'c'])",
            &["add unique u of a (b, c)"],
        ),
        (
            "op.create_foreign_key('f', 'a', 'b', ['x'], ['y'], ondelete='CASCADE')",
            &["add foreign key f of a (x) to b (y)"],
        ),
        (
            "op.create_index('ix', 'a', ['b', sa.text('lower(c)')], unique=True)",
            &["create unique index ix on a (b, ?)"],
        ),
        ("op.execute('DELETE FROM a')", &["sql DELETE FROM a"]),
        (
            "op.get_bind().execute(sa.text('SELECT 1'))",
            &["sql SELECT 1"],
        ),
        (
            "sa.Enum(name='e').drop(op.get_bind(), checkfirst=True)",
            &["drop type e if exists"],
        ),
        (
            "with op.batch_alter_table('a') as b:\n    b.drop_column('x')\n    b.drop_constraint('u', type_='unique')",
            &["batch a [drop column a.x; drop constraint u of a Unique]"],
        ),
        (
            "with op.get_context().autocommit_block():\n    op.drop_index('i', postgresql_concurrently=True)",
            &["autocommit: drop index i concurrently"],
        ),
        (
            "op.create_index('i', 't', ['a'], unique=True, postgresql_where=sa.text('b > 1'), sqlite_where='c')",
            &["create unique index i on t (a) among b > 1"],
        ),
        (
            "op.create_index('i', 't', ['a'], unique=True, postgresql_where=unknowable(), mysql_length=5)",
            &["create unique index i on t (a) among some"],
        ),
        (
            "op.create_unique_constraint('u', 't', ['a'], postgresql_nulls_not_distinct=True)",
            &["add unique u of t (a) nulls alike"],
        ),
        (
            "op.create_table('t', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('n', sa.String()))",
            &["create table t (id INTEGER not null, n VARCHAR)"],
        ),
        (
            "op.bulk_insert(sa.table('t', sa.column('a')), [{'a': 1}])",
            &["Insert rows of t (a)"],
        ),
        (
            "op.get_bind().execute(sa.table('t', sa.column('a')).update().values(a=1))",
            &["Update rows of t (a)"],
        ),
        (
            "Session(bind=op.get_bind()).commit()",
            &["ends transaction"],
        ),
        (
            "op.invoke(1)",
            &["unknown (may change): the directive invoke"],
        ),
        (
            "getattr(op, name)('a')",
            &["unknown (may change): the call of an expression"],
        ),
        (
            "exec('x')",
            &["unknown (may change): exec(), which makes code while it runs"],
        ),
        (
            "raise NotImplementedError('no way back')",
            &["raises NotImplementedError: no way back"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(downgrade(&body(text)), *expected, "{text}");
    }
}

#[test]
fn python_is_followed() {
    let cases: &[(&str, &[&str])] = &[
        (
            "for t in ('a', 'b'):\n    op.drop_table(t)",
            &["drop table a", "drop table b"],
        ),
        (
            "for t, c in {'a': 'b'}.items():\n    op.drop_column(t, c)",
            &["drop column a.b"],
        ),
        (
            "[op.drop_table(f'x_{n}') for n in range(2)]",
            &["drop table x_0", "drop table x_1"],
        ),
        (
            "t = 'a'\nop.execute(f'UPDATE {t} SET x = {unknowable()}')",
            &["sql UPDATE a SET x = ?"],
        ),
        (
            "op.execute('UPDATE %s SET x' % ('a',))",
            &["sql UPDATE a SET x"],
        ),
        (
            "op.execute('UPDATE {} SET {x}'.format('a', x=1))",
            &["sql UPDATE a SET 1"],
        ),
        (
            "if op.get_bind().dialect.name == 'postgresql':\n    op.drop_table('a')\nelse:\n    op.drop_table('b')",
            &["drop table a"],
        ),
        (
            "if unknowable():\n    op.drop_table('a')\nop.drop_table('b')",
            &["maybe drop table a", "drop table b"],
        ),
        (
            "if unknowable():\n    return\nop.drop_table('b')",
            &["maybe drop table b"],
        ),
        (
            "if unknowable():\n    print('x')\nop.drop_table('b')",
            &["drop table b"],
        ),
        (
            "for x in unknowable():\n    op.drop_table('a')\nop.drop_table('b')",
            &["maybe drop table a", "drop table b"],
        ),
        (
            "if unknowable():\n    raise Exception('x')\nop.drop_table('b')",
            &["maybe raises Exception: x", "maybe drop table b"],
        ),
        (
            "try:\n    raise Exception('x')\nexcept Exception:\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "try:\n    op.drop_table('a')\nfinally:\n    op.drop_table('b')",
            &["drop table a", "drop table b"],
        ),
        (
            "n = 0\nwhile n < 2:\n    op.drop_table(f't{n}')\n    n += 1",
            &["drop table t0", "drop table t1"],
        ),
        (
            "cols = []\nfor c in ('a', 'b'):\n    if unknowable():\n        cols.append(c)\nfor c in cols:\n    op.drop_column('t', c)",
            &["maybe drop column t.a", "maybe drop column t.b"],
        ),
        (
            "def inner(table, *cols, **kw):\n    for c in cols:\n        op.drop_column(table, c, schema=kw['schema'])\ninner('t', *['a', 'b'], schema='s')",
            &["drop column s.t.a", "drop column s.t.b"],
        ),
        (
            "def names():\n    yield 'a'\n    yield 'b'\nfor n in names():\n    op.drop_table(n)",
            &["drop table a", "drop table b"],
        ),
        (
            "with op.batch_alter_table('a') as b:\n    b.drop_column('x')\n    if unknowable():\n        b.drop_column('y')",
            &[
                "batch a [drop column a.x]",
                "maybe batch a [drop column a.y]",
            ],
        ),
        (
            "if (x := 'a') in {'a'} and not None:\n    op.drop_table(x)",
            &["drop table a"],
        ),
        (
            "x = 'a' if unknowable() else 'b'\nop.drop_table(x)",
            &["unknown (may change): the table of drop_table"],
        ),
        (
            "elsewhere(op.get_bind())",
            &["unknown (may change): the call of elsewhere"],
        ),
        (
            "elsewhere()",
            &["unknown (may change): the call of elsewhere"],
        ),
        (
            "def get():\n    if unknowable():\n        raise KeyError('x')\n    return 1\ndef use(value):\n    raise Exception('y')\nuse(get())",
            &["maybe raises KeyError: x", "maybe raises Exception: y"],
        ),
        (
            "def get():\n    try:\n        if unknowable():\n            raise KeyError('x')\n        return 1\n    except KeyError:\n        raise Exception('y')\nget()\nop.drop_table('a')",
            &["maybe raises Exception: y", "maybe drop table a"],
        ),
        (
            "try:\n    raise ValueError('x')\nexcept unknowable():\n    op.drop_table('a')\nexcept ValueError:\n    op.drop_table('b')",
            &["maybe drop table a", "maybe drop table b"],
        ),
        (
            "op.add_column('a', sa.Column('b', sa.Integer(display_width=1)))\nop.drop_table('a')",
            &["raises TypeError: Integer() takes no arguments"],
        ),
        (
            "try:\n    sa.DateTime(zone=True)\nexcept TypeError:\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "from sqlalchemy.dialects import mysql\nop.add_column('a', sa.Column('b', mysql.INTEGER(display_width=1)))",
            &["add column a: b INTEGER"],
        ),
        (
            "import sys\nsys.exit(1)\nop.drop_table('a')",
            &["raises SystemExit"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(downgrade(&body(text)), *expected, "{text}");
    }
}

#[test]
fn models_are_read_with_all_their_columns() {
    let source = "
import sqlalchemy as sa
from alembic import op
from sqlalchemy.ext.declarative import declarative_base
from sqlalchemy.orm import Session
Base = declarative_base()
class Thing(Base):
    __tablename__ = 'things'
    id = sa.Column(sa.Integer, primary_key=True)
    words = sa.Column('text', sa.Text)
    others = relationship('Other')
def downgrade():
    session = Session(bind=op.get_bind())
    unused = session.query(Thing)
    for thing in session.query(Thing).filter(Thing.id > 1):
        thing.words = 'x'
    session.query(Thing.words).all()
    for thing in session.scalars(sa.select(Thing).where(Thing.id == 2)):
        thing.words = None
    session.query(Thing).filter_by(id=1).update({'words': None})
    session.query(Thing).delete()
    session.add(Thing(id=1))
    session.commit()
";
    assert_eq!(
        downgrade(source),
        [
            "read things (id, text)",
            "maybe Update rows of things (text) where",
            "read things (text)",
            "read things (id, text)",
            "maybe Update rows of things (text) where",
            "Update rows of things (text) where",
            "Delete rows of things ()",
            "Insert rows of things ()",
            "ends transaction",
        ]
    );
}

#[test]
fn columns_of_a_model_stand_in_the_order_in_which_they_were_made() {
    let source = "
import sqlalchemy as sa
from alembic import op
from sqlalchemy.ext.declarative import declarative_base, declared_attr
from sqlalchemy.orm import Session
Base = declarative_base()
class Mixin:
    first = sa.Column(sa.Integer)
    own = sa.Column('hidden', sa.Integer)
    @declared_attr
    def last(self):
        return sa.Column(sa.Integer)
class Thing(Base, Mixin):
    __tablename__ = 'things'
    own = sa.Column(sa.Integer)
    id = sa.Column(sa.Integer, primary_key=True)
def downgrade():
    Session(bind=op.get_bind()).query(Thing).all()
";
    assert_eq!(downgrade(source), ["read things (first, own, id, last)"]);
}

#[test]
fn an_error_of_the_database_is_caught_as_python_would() {
    let failing = |text: &str, dialect| {
        let mut recorder = Recorder::on(dialect);
        recorder.fails = Some("drop table a".to_owned());
        let (_, mut lines) = downgrade_on(&body(text), recorder.clone());
        if lines.last().is_some_and(|line| line == "escaped") {
            lines.pop();
            lines.push("escaped".to_owned());
        }
        lines
    };
    let attempt = |kind: &str| {
        format!(
            "try:\n    op.drop_table('a')\nexcept{kind}:\n    op.drop_table('b')\nop.drop_table('c')"
        )
    };
    let postgres = Dialect::Postgres;
    assert_eq!(
        failing(&attempt(""), postgres),
        ["drop table a", "drop table b", "drop table c"]
    );
    assert_eq!(
        failing(&attempt(" KeyError"), postgres),
        ["drop table a", "escaped"]
    );
    assert_eq!(
        failing(&attempt(" sa.exc.OperationalError"), postgres),
        [
            "drop table a",
            "maybe drop table b",
            "maybe drop table c",
            "maybe escaped"
        ]
    );
    assert_eq!(
        failing(&attempt(" sa.exc.OperationalError"), Dialect::Sqlite),
        ["drop table a", "drop table b", "drop table c"]
    );
    assert_eq!(
        failing("op.drop_table('a')\nop.drop_table('c')", postgres),
        ["drop table a", "escaped"]
    );
}

#[test]
fn what_there_is_to_follow_is_told() {
    let on = || Recorder::on(Dialect::Postgres);
    assert_eq!(downgrade_on("x = 1\n", on()).0, Followed::Missing);
    assert_eq!(
        downgrade_on("def downgrade():\n    '''No.'''\n    pass\n", on()).0,
        Followed::Empty
    );
    assert_eq!(
        downgrade_on(&body("op.drop_table('a')"), on()).0,
        Followed::Whole
    );
    assert!(matches!(
        downgrade_on("def downgrade(:\n", on()).0,
        Followed::Unreadable(_)
    ));
    let (followed, lines) = downgrade_on(
        "from alembic import op\ndef upgrade():\n    op.drop_table('a')\ndowngrade = upgrade\n",
        on(),
    );
    assert_eq!(
        (followed, lines),
        (Followed::Whole, vec!["drop table a".to_owned()])
    );
}

#[test]
fn hostile_files_end_in_a_sentence() {
    let sources = [
        "(".repeat(100_000),
        format!("x = {}1{}\n", "(".repeat(5_000), ")".repeat(5_000)),
        format!("x = {}1\n", "-".repeat(1_000_000)),
        format!("x = {}1\n", "not ".repeat(100_000)),
        format!("x = 1{}\n", "+1".repeat(1_000_000)),
        format!("x = a{}\n", ".b".repeat(500_000)),
        format!("x = {}1\n", "lambda: ".repeat(100_000)),
        format!("x = {}\n", "f'{".repeat(3_000)),
        format!("x = '{}'\n", "a".repeat(10 << 20)),
        (0..2_000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect(),
        format!("{}x = 1\n", "if x: pass\nel".repeat(50_000)),
        "def downgrade():\n    while True:\n        pass\n".to_owned(),
        "def downgrade():\n    downgrade()\n".to_owned(),
        "def downgrade():\n    x = 'a'\n    while True:\n        x = x + x\n".to_owned(),
        "def downgrade():\n    x = [1]\n    for y in x:\n        x.append(y)\n    for a in x:\n        x = [x, x]\n".to_owned(),
        "def f(x):\n    if x: f(x); f(x); f(x)\ndef downgrade():\n    f(unknown)\n".to_owned(),
        "from downgrade import *\nfrom . import *\nfrom ... import x\ndef downgrade():\n    y\n".to_owned(),
        "class A(A): pass\nclass B(A): pass\ndef downgrade():\n    B().x\n    B.x()\n".to_owned(),
        "\u{feff}def downgrade():\n    '\u{0}'\n".to_owned(),
    ];
    for source in sources {
        let _ = downgrade_on(&source, Recorder::on(Dialect::Postgres));
    }
}

#[test]
fn a_project_may_be_anywhere() {
    let files = files_of(&[(
        "/nowhere/a_.py",
        "import a.b\nfrom a import c\ndef downgrade():\n    c()\n",
    )]);
    assert_eq!(files.files[0].path, PathBuf::from("/nowhere/a_.py"));
    let mut recorder = Recorder::on(Dialect::Sqlite);
    Follower::new(&files).follow(&"a_".into(), Direction::Downgrade, &mut recorder);
    assert_eq!(recorder.lines, ["unknown (may change): the call of c"]);
}

#[test]
fn what_is_nested_as_deep_as_it_may_be_fits_the_stack() {
    let mut source = String::new();
    for number in 0..100 {
        let next = number + 1;
        source.push_str(&format!(
            "def f{number}():\n    if True:\n        for x in (1,):\n            try:\n                with y:\n                    return [[[[[[f{next}(a=(lambda: [f{next}()])())]]]]]]\n            finally:\n                pass\n"
        ));
    }
    source.push_str("def downgrade():\n    f0()\n");
    let (_, lines) = downgrade_on(&source, Recorder::on(Dialect::Postgres));
    assert!(
        lines.iter().any(|line| line.contains("unknown")),
        "{lines:?}"
    );

    let nested = format!(
        "def downgrade():\n    x = {}1{}\n",
        "[".repeat(95),
        "]".repeat(95)
    );
    downgrade_on(&nested, Recorder::on(Dialect::Postgres));
    let unary = format!("def downgrade():\n    x = {}1\n", "-".repeat(580));
    downgrade_on(&unary, Recorder::on(Dialect::Postgres));
    let dots = format!("def downgrade():\n    x = a{}\n", ".b".repeat(580));
    downgrade_on(&dots, Recorder::on(Dialect::Postgres));
    let ifs: String = (0..110)
        .map(|depth| format!("{}if x:\n", "    ".repeat(depth + 1)))
        .collect();
    let ifs = format!("def downgrade():\n{ifs}{}pass\n", "    ".repeat(112));
    downgrade_on(&ifs, Recorder::on(Dialect::Postgres));
}
