//! What a migration does in other ways than by plain directives: the plan follows it or says that it does not,
//! and the step then does what was said.

use serde_json::Value;

use crate::measured;
use crate::support::{Kind, TestDatabase};

/// The version file of the step.
const FILE: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

/// How a step ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The table `kept` is dropped, and the plan says so.
    Drops,
    /// The table `kept` is dropped, and the plan says that it does not know.
    DropsUnseen,
    /// Nothing happens, and the plan does not know that.
    Idles,
    /// It fails as predicted, with these words.
    Fails(&'static str),
}

/// One downgrade.
struct Case {
    /// What stands before the function.
    header: &'static str,
    body: &'static str,
    /// Another file of the project.
    file: (&'static str, &'static str),
    end: End,
}

const CASE: Case = Case {
    header: "",
    body: "pass",
    file: ("notes.txt", ""),
    end: End::Drops,
};

const DROPS: &str = "def drops(table):\n    def decorate(function):\n        \
                     return lambda: op.drop_table(table)\n    return decorate\n\n\n@drops('kept')";

const AROUND: &str = "from contextlib import contextmanager\n\n\n@contextmanager\ndef around(table):\n    \
                      try:\n        yield table\n    finally:\n        op.drop_table(table)\n\n";

const HELPER: &str = "from alembic import op\n\n\ndef drop(name):\n    op.drop_table(name)\n";

const PROGRAM: &str = "import subprocess\n\nversion = subprocess.run(['true'])\nNAME = 'kept'\n";

fn cases() -> [Case; 16] {
    [
        Case {
            body: "import functools\nfunctools.partial(op.drop_table, 'kept')()",
            ..CASE
        },
        Case {
            header: DROPS,
            ..CASE
        },
        Case {
            header: "strange = eval('lambda function: function')\n\n\n@strange",
            end: End::Idles,
            ..CASE
        },
        Case {
            header: AROUND,
            body: "with around('kept') as name:\n    assert name",
            ..CASE
        },
        Case {
            body: "import company.tools.tables\ncompany.tools.tables.drop('kept')",
            file: ("company/tools/tables.py", HELPER),
            ..CASE
        },
        Case {
            body: "from packaged import drop\ndrop('kept')",
            file: ("site-packages/packaged/__init__.py", HELPER),
            ..CASE
        },
        Case {
            body: "import packaged\npackaged.drop('kept')",
            file: (
                "site-packages/packaged.py",
                "import sys\nfrom alembic import op\n\n\ndef drop(name):\n    exec(f'op.drop_table({name!r})')\n",
            ),
            end: End::DropsUnseen,
            ..CASE
        },
        // What the module does while it is imported is no finding.
        Case {
            body: "import names\nop.drop_table(names.NAME)",
            file: ("names.py", PROGRAM),
            ..CASE
        },
        Case {
            body: "from alembic.operations import Operations\nOperations(op.get_context()).drop_table('kept')",
            ..CASE
        },
        Case {
            body: "from sqlalchemy.schema import DropTable\nop.execute(DropTable(sa.Table('kept', sa.MetaData())))",
            ..CASE
        },
        Case {
            body: "metadata = sa.MetaData()\nmetadata.reflect(op.get_bind())\n\
                   metadata.tables['kept'].drop(op.get_bind())",
            ..CASE
        },
        Case {
            body: "op.get_bind().connection.cursor().execute('DROP TABLE kept')",
            end: End::DropsUnseen,
            ..CASE
        },
        Case {
            body: "import subprocess\nsubprocess.run(['true'], check=True)",
            end: End::Idles,
            ..CASE
        },
        Case {
            body: "input('really? ')",
            end: End::Fails("EOF when reading a line"),
            ..CASE
        },
        Case {
            body: "op.drop_column('kept', sa.Column('word', sa.String(20)))",
            end: End::Fails("TypeError"),
            ..CASE
        },
        Case {
            body: "op.drop_column('kept', 'word', table_name='kept')",
            end: End::Fails("multiple values for argument 'table_name'"),
            ..CASE
        },
    ]
}

/// What is wrong with a case, if anything.
fn trouble(case: &Case, database: &TestDatabase<'_>) -> Option<String> {
    let (path, text) = case.file;
    let project = measured::project(database, case.body, "pass").file(path, text);
    let project = match case.header {
        "" => project,
        header => project.edit(FILE, "def downgrade", &format!("{header}\ndef downgrade")),
    };
    let paths = [
        project.root().to_owned(),
        project.root().join("site-packages"),
    ];
    let paths = std::env::join_paths(paths).unwrap();
    let project = project.env("PYTHONPATH", paths);
    let plan = project.run("plan -1 --format json").exits(0).json();
    let findings = plan["steps"][0]["findings"].as_array().unwrap();
    let wrong = |what: String| Some(format!("{what}\n{findings:#?}"));
    let has = |wanted: &dyn Fn(&Value) -> bool| findings.iter().any(wanted);
    let drops =
        has(&|it| it["code"] == "table-dropped" && it["sentence"].to_string().contains("kept"));
    let unknown = has(&|it| it["code"] == "unknown-code" && it["level"] == "unknown");
    let fails = has(&|it| it["outcome"] == "will_fail");
    let expected = match case.end {
        End::Drops => (true, false, false),
        End::DropsUnseen | End::Idles => (false, true, false),
        End::Fails(_) => (false, false, true),
    };
    if (drops, unknown, fails) != expected {
        return wrong(format!(
            "drops, unknown, fails: {:?}",
            (drops, unknown, fails)
        ));
    }
    if has(&|it| it["code"] == "does-nothing") {
        return wrong("it is said to do nothing".to_owned());
    }
    let run = project.run("downgrade-safe -1 -y --allow all,unannounced --allow-failing");
    let is_gone = database.try_execute("SELECT count(*) FROM kept").is_err();
    let ended = match case.end {
        End::Drops | End::DropsUnseen => run.code == Some(0) && is_gone,
        End::Idles => run.code == Some(0) && !is_gone,
        End::Fails(words) => run.code == Some(4) && !is_gone && run.stderr.contains(words),
    };
    (!ended)
        .then(|| wrong(format!("gone: {is_gone}; {run}")))
        .flatten()
}

/// Turns red if a step does anything that its plan neither announces nor calls unknown, or fails unannounced.
fn what_is_followed_is_what_comes(kind: Kind) {
    let mut all = Vec::new();
    for case in cases() {
        let database = TestDatabase::create(kind);
        if let Some(what) = trouble(&case, &database) {
            all.push(format!(
                "{}\n{}\non {kind:?}: {what}",
                case.header, case.body
            ));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}
on_each!(what_is_followed_is_what_comes: sqlite, postgresql, mariadb);
