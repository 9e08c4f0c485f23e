//! What is not followed is said, in whatever form it comes, and what is followed is not.

use super::show::Recorder;
use super::{body, downgrade, downgrade_on};
use crate::Followed;
use rollback_core::dialect::Dialect;

/// Turns red if one of these is nothing again.
#[test]
fn nothing_that_is_not_followed_is_silent() {
    let call = |name: &str| vec![format!("unknown (may change): the call of {name}")];
    let cases = [
        ("tidy()", call("tidy")),
        (
            "import subprocess\nsubprocess.run(['psql'])",
            call("subprocess.run"),
        ),
        ("from subprocess import run as r\nr(['psql'])", call("r")),
        ("import os\nos.system('psql')", call("os.system")),
        ("import os\nos.remove('app.db')", call("os.remove")),
        (
            "import shutil\nshutil.copy('old.db', 'app.db')",
            call("shutil.copy"),
        ),
        (
            "import sqlite3\nsqlite3.connect('app.db')",
            call("sqlite3.connect"),
        ),
        (
            "import psycopg2\npsycopg2.connect('')",
            call("psycopg2.connect"),
        ),
        (
            "import pathlib\npathlib.Path('app.db').unlink()",
            call("....unlink"),
        ),
        (
            "import threading\nthreading.Thread(target=op.drop_table)",
            call("threading.Thread"),
        ),
        ("import helpers.database as d\nd.clean()", call("d.clean")),
        ("from .helpers import clean\nclean()", call("clean")),
        (
            "from sqlalchemy import event\nevent.listen(1, 'x', 2)",
            call("event.listen"),
        ),
        (
            "{'a': op.drop_table}[unknowable()]('t')",
            call("an expression"),
        ),
        (
            "(print if unknowable() else tidy)('t')",
            call("an expression"),
        ),
        ("class Table(Unseen):\n    pass\nTable()", call("Table")),
        (
            "op.get_bind().connection.cursor()",
            call("....connection.cursor"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(downgrade(&body(text)), expected, "{text}");
    }
    let blocks = [
        ("with tidy:\n    pass", "the block of tidy"),
        (
            "class Names:\n    def __add__(self, other): op.drop_table('t')\nNames() + 1",
            "an operator of Names",
        ),
        (
            "class Names:\n    def __getitem__(self, key): op.drop_table('t')\nNames()['a']",
            "an operator of Names",
        ),
        (
            "op.drop_table = print",
            "what is put in place of alembic.op.drop_table",
        ),
    ];
    for (text, expected) in blocks {
        assert_eq!(
            downgrade(&body(text)),
            [format!("unknown (may change): {expected}")],
            "{text}"
        );
    }
}

/// Turns red if a value that nobody has read decides something.
#[test]
fn what_is_not_read_decides_nothing() {
    let cases: [(&str, &[&str]); 6] = [
        (
            "if op.get_context().version_table_schema:\n    op.drop_table('a')",
            &["maybe drop table a"],
        ),
        (
            "if op.get_bind().name.lower() == 'postgresql':\n    op.drop_table('a')",
            &["drop table a"],
        ),
        (
            "from settings import *\nif NAME == 'a':\n    op.drop_table('a')",
            &["maybe drop table a"],
        ),
        (
            "import settings\nif settings.NAME is None:\n    op.drop_table('a')",
            &["maybe drop table a"],
        ),
        (
            "import settings\nfor table in settings.TABLES:\n    table.clear()",
            &["maybe unknown (may change): the call of table.clear"],
        ),
        (
            "sa.DDL('DROP TABLE a').execute(op.get_bind())",
            &["sql DROP TABLE a"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(downgrade(&body(text)), expected, "{text}");
    }
}

/// Turns red if something of the list is called unknown.
#[test]
fn what_is_harmless_is_silent() {
    let cases = [
        "import json, datetime, re, uuid, os\njson.dumps({'a': str(uuid.uuid4())})\nre.sub('a', 'b', 'c').strip()\nos.path.join('a', 'b')\nos.environ.get('X')\nos.getenv('X')",
        "import logging\nlogging.getLogger('alembic').info('begins %s', unknowable())",
        "from pathlib import Path\nPath(__file__).parent.joinpath('x.sql').read_text()",
        "import json\njson.dumps([], default=lambda value: str(value))",
        "import json\ndef plain(value):\n    if unknowable():\n        return str(value)\n    raise TypeError('x')\njson.dumps([], default=plain)",
        "from elsewhere import logger\nlogger.info('%s', op.get_bind())",
        "print(op.get_bind())",
        "from alembic import context\ncontext.config.get_main_option('x')",
    ];
    for text in cases {
        assert_eq!(downgrade(&body(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn code_that_is_handed_on_is_followed() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "from functools import partial\npartial(op.drop_table, 't')()",
            &["drop table t"],
        ),
        (
            "from functools import partial\npartial(op.drop_column, 't')('c', schema='s')",
            &["drop column s.t.c"],
        ),
        (
            "list(map(op.drop_table, ['a', 'b']))",
            &["drop table a", "drop table b"],
        ),
        (
            "import itertools\nitertools.starmap(op.drop_column, [('t', 'c')])",
            &["maybe unknown (may change): the table of drop_column"],
        ),
        (
            "from alembic.operations import Operations\nOperations(op.get_context()).drop_table('t')",
            &["drop table t"],
        ),
        (
            "from alembic.operations import Operations\nwith Operations.context(op.get_context()) as o:\n    o.drop_table('t')",
            &["drop table t"],
        ),
        (
            "class Old:\n    def __getattr__(self, name): op.drop_table(name)\nOld().pets",
            &["drop table pets"],
        ),
        (
            "n = 'a'\ndef other():\n    nonlocal n\n    n = 'b'\nother()\nop.drop_table(n)",
            &["unknown (may change): the table of drop_table"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(downgrade(&body(text)), expected, "{text}");
    }
}

#[test]
fn decorators_are_followed_or_unknown() {
    let decorated = |decorator: &str, downgrade: &str| {
        format!(
            "import functools\nfrom alembic import op\nfrom elsewhere import strange\n\
             def only_mysql(function):\n    @functools.wraps(function)\n    def wrapper(*args):\n        \
             if op.get_bind().dialect.name == 'mysql':\n            return function(*args)\n    return wrapper\n\
             def drops(table):\n    def decorate(function):\n        return lambda: op.drop_table(table)\n    return decorate\n\
             {decorator}\ndef downgrade():\n    {downgrade}\n"
        )
    };
    let on = |source: &str, dialect| downgrade_on(source, Recorder::on(dialect));
    let mysql_only = decorated("@only_mysql", "op.drop_table('t')");
    assert_eq!(on(&mysql_only, Dialect::Postgres).1, Vec::<String>::new());
    assert_eq!(on(&mysql_only, Dialect::MySql).1, ["drop table t"]);
    let works = decorated("@drops('t')", "pass");
    assert_eq!(
        on(&works, Dialect::Postgres),
        (Followed::Whole, vec!["drop table t".to_owned()])
    );
    for decorator in ["@strange", "@strange('x')", "@strange.strange"] {
        let source = decorated(decorator, "pass");
        assert_eq!(
            on(&source, Dialect::Postgres).1,
            ["unknown (may change): how downgrade is made"],
            "{decorator}"
        );
    }
    let cached = decorated("@functools.lru_cache(maxsize=None)", "op.drop_table('t')");
    assert_eq!(on(&cached, Dialect::Postgres).1, ["drop table t"]);
}

#[test]
fn a_block_of_a_generator_runs_where_that_yields() {
    let unchecked = "from contextlib import contextmanager\n@contextmanager\ndef unchecked(table):\n    \
                     op.execute('SET a')\n    try:\n        yield table\n    finally:\n        op.execute('SET b')\n";
    let cases: [(&str, &[&str]); 4] = [
        (
            "with unchecked('t') as t, op.batch_alter_table(t) as b:\n    b.drop_column('c')",
            &["sql SET a", "batch t [drop column t.c]", "sql SET b"],
        ),
        (
            "with unchecked('t'):\n    raise KeyError('x')\nop.drop_table('t')",
            &["sql SET a", "raises KeyError: x", "sql SET b"],
        ),
        (
            "for t in ('a', 'b'):\n    with unchecked(t):\n        break\nop.drop_table('t')",
            &["sql SET a", "sql SET b", "drop table t"],
        ),
        (
            "from contextlib import suppress\nwith suppress(KeyError):\n    raise KeyError('x')\nop.drop_table('t')",
            &["drop table t"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            downgrade(&body(&format!("{unchecked}{text}"))),
            expected,
            "{text}"
        );
    }
    let manager = "class Quiet:\n    def __enter__(self): return self\n    def __exit__(self, *error):\n        \
                   op.execute('SET b')\n        return True\nwith Quiet():\n    raise KeyError('x')\nop.drop_table('t')";
    assert_eq!(downgrade(&body(manager)), ["sql SET b", "drop table t"]);
}

/// It was done before the step, and not by it.
#[test]
fn what_a_module_does_while_it_is_imported_is_no_finding() {
    let source = "from alembic import op\nimport elsewhere\napp = elsewhere.create_app()\n\
                  def downgrade():\n    op.drop_table('t')\n    app\n";
    assert_eq!(downgrade(source), ["drop table t"]);
    let used = format!("{source}    app.run()\n");
    assert_eq!(
        downgrade(&used),
        ["drop table t", "unknown (may change): the call of app.run"]
    );
}

#[test]
fn there_is_no_terminal_to_read_from() {
    assert_eq!(
        downgrade(&body("if input('sure? ') == 'y':\n    op.drop_table('t')")),
        ["raises EOFError: EOF when reading a line"]
    );
    assert_eq!(
        downgrade(&body(
            "import click\nclick.confirm('sure?', abort=True)\nop.drop_table('t')"
        )),
        ["raises Abort"]
    );
}

/// Turns red if a call that Python refuses is taken for one that works, or the reverse.
#[test]
fn arguments_that_python_refuses_are_a_certain_failure() {
    let refused = [
        (
            "op.drop_column('t', sa.Column('c', sa.Integer()))",
            "takes the name of a column",
        ),
        (
            "op.drop_column('t', 'c', table_name='t')",
            "multiple values for argument 'table_name'",
        ),
        (
            "op.drop_column('t')",
            "missing 1 required positional argument: 'column_name'",
        ),
        (
            "op.drop_constraint('c')",
            "missing 1 required positional argument: 'table_name'",
        ),
        (
            "op.drop_constraint('c', 't', 'uniq')",
            "'type' can be one of",
        ),
        (
            "op.create_foreign_key('f', 'a', 'b', ['x'])",
            "'remote_cols'",
        ),
        (
            "with op.batch_alter_table('t') as b:\n    b.drop_column(sa.Column('c', sa.Integer()))",
            "takes the name of a column",
        ),
        (
            "with op.batch_alter_table('t') as b:\n    b.drop_constraint('u', 't')",
            "'type' can be one of",
        ),
    ];
    for (text, words) in refused {
        let lines = downgrade(&body(text));
        assert!(
            lines.len() == 1
                && lines[0].starts_with("raises TypeError")
                && lines[0].contains(words),
            "{text}: {lines:?}"
        );
    }
    let taken: [(&str, &[&str]); 5] = [
        (
            "op.drop_column(column_name='c', table_name='t')",
            &["drop column t.c"],
        ),
        ("op.drop_column('t', *['c'])", &["drop column t.c"]),
        (
            "with op.batch_alter_table('t') as b:\n    b.drop_constraint('u', 'unique')",
            &["batch t [drop constraint u of t Unique]"],
        ),
        (
            "op.drop_constraint('u', 't', 'unique')",
            &["drop constraint u of t Unique"],
        ),
        ("op.drop_index('i')", &["drop index i"]),
    ];
    for (text, expected) in taken {
        assert_eq!(downgrade(&body(text)), expected, "{text}");
    }
}

#[test]
fn constructs_that_make_and_drop_are_followed() {
    let prelude = "from sqlalchemy.schema import *\nt = sa.Table('t', sa.MetaData(), sa.Column('a', sa.Integer()))\n\
                   i = sa.Index('ix', t.c.a, unique=True)\ns = sa.Sequence('s')\nc = op.get_bind()\n";
    let prelude = prelude.replace(
        "import *",
        "import CreateIndex, CreateTable, DropIndex, DropSchema, DropSequence, DropTable",
    );
    let cases: [(&str, &[&str]); 12] = [
        (
            "op.execute(DropTable(t, if_exists=True))",
            &["drop table t if exists"],
        ),
        ("c.execute(CreateTable(t))", &["create table t (a INTEGER)"]),
        (
            "op.execute(CreateIndex(i))",
            &["create unique index ix on t (a)"],
        ),
        ("op.execute(DropIndex(i))", &["drop index ix on t"]),
        ("i.drop(c)", &["drop index ix on t"]),
        ("i.create(c)", &["create unique index ix on t (a)"]),
        ("op.execute(DropSequence(s))", &["sql DROP SEQUENCE \"s\""]),
        ("s.drop(c)", &["sql DROP SEQUENCE IF EXISTS \"s\""]),
        ("op.execute(DropSchema('x'))", &["sql DROP SCHEMA \"x\""]),
        (
            "m = sa.MetaData()\nm.reflect(c)\nm.tables['old'].drop(c)",
            &["drop table old"],
        ),
        (
            "sa.Table('old', sa.MetaData(), autoload_with=c).drop(c)",
            &["drop table old"],
        ),
        (
            "op.execute(CreateIndex(unknowable()))",
            &["unknown (may change): a statement that is made elsewhere"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            downgrade(&body(&format!("{prelude}{text}"))),
            expected,
            "{text}"
        );
    }
}

/// Red if what no compiler of SQLAlchemy writes for MySQL is planned, or what one may write is called certain to fail.
#[test]
fn a_string_of_mysql_needs_a_length() {
    let refused = ["raises CompileError"];
    let kinds = [
        ("sa.String()", true),
        ("sa.VARCHAR", true),
        ("sa.String(20)", false),
        ("sa.String(length=LENGTH)", false),
        ("sa.String(collation='utf8mb4_bin')", false),
        (
            "sa.String().with_variant(mysql.VARCHAR(20), 'mysql')",
            false,
        ),
        ("sqlmodel.sql.sqltypes.AutoString()", false),
        ("Own()", false),
    ];
    for (kind, fails) in kinds {
        for directive in [
            format!("op.add_column('t', sa.Column('c', {kind}))"),
            format!("op.alter_column('t', 'c', type_={kind}, existing_type=sa.Text())"),
            format!("op.create_table('u', sa.Column('c', {kind}))"),
        ] {
            let source = format!(
                "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import mysql\nimport sqlmodel\n\
                 class Own(sa.types.TypeDecorator):\n    impl = sa.String\ndef downgrade():\n    {directive}\n"
            );
            let (_, lines) = downgrade_on(&source, Recorder::on(Dialect::MySql));
            let is_refused = lines.iter().any(|line| line.starts_with(refused[0]));
            assert_eq!(is_refused, fails, "{directive}: {lines:?}");
            let (_, lines) = downgrade_on(&source, Recorder::on(Dialect::Postgres));
            assert!(
                !lines.iter().any(|line| line.starts_with(refused[0])),
                "{lines:?}"
            );
        }
    }
}

/// Red if SQLite and MySQL are thought to make a table without columns, or unknown ones are taken for none.
#[test]
fn a_table_without_columns_is_made_by_postgresql_alone() {
    for (dialect, text, fails) in [
        (Dialect::Sqlite, "op.create_table('t')", true),
        (Dialect::MySql, "op.create_table('t')", true),
        (Dialect::Postgres, "op.create_table('t')", false),
        (Dialect::Sqlite, "op.create_table('t', *columns())", false),
    ] {
        let source = format!("from alembic import op\ndef downgrade():\n    {text}\n");
        let (_, lines) = downgrade_on(&source, Recorder::on(dialect));
        let is_refused = lines
            .iter()
            .any(|line| line.starts_with("raises OperationalError"));
        assert_eq!(is_refused, fails, "{dialect:?} {text}: {lines:?}");
    }
}
