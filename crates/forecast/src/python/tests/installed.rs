//! Functions of installed packages, of namespace packages and of folders without `__init__.py`.

use std::path::Path;

use super::show::{Recorder, files_of};
use crate::python::Follower;
use crate::{Direction, Migrations};
use python_source::version_file::VersionFiles;
use rollback_core::dialect::Dialect;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What the downgrade in this file does; `site` are modules of installed packages.
fn downgrade(folder: &Path, version: &str, source: &str, site: &[(&str, &str)]) -> Vec<String> {
    let path = folder.join(version);
    write(&path, source);
    let packages = folder.join("venv/lib/python3.11/site-packages");
    for (name, text) in site {
        write(&packages.join(name), text);
    }
    let files = VersionFiles {
        roots: vec![packages],
        ..files_of(&[(&path.to_string_lossy(), source)])
    };
    let mut recorder = Recorder::on(Dialect::Postgres);
    Follower::new(&files).follow(&"a".into(), Direction::Downgrade, &mut recorder);
    recorder.lines
}

#[test]
fn calls_of_installed_packages_are_followed_or_unknown_at_their_line() {
    let site = [
        (
            "tools/__init__.py",
            "from .ops import drop_all, guess, loop, refuse, Kind\n",
        ),
        (
            "tools/ops.py",
            "from alembic import op\nimport _tools\nfrom sqlalchemy.types import TypeDecorator, String\n\
             class Kind(TypeDecorator):\n    impl = String\n\
             def drop_all(*tables):\n    for table in tables:\n        op.drop_table(table)\n\
             def guess():\n    _tools.one()\n    _tools.two()\n    op.drop_table('t')\n\
             def loop():\n    while True:\n        pass\n\
             def refuse(found):\n    if not found:\n        raise KeyError('x')\n",
        ),
        ("flat.py", "def down(op):\n    op.drop_table('f')\n"),
    ];
    let source = "import sqlalchemy as sa\nimport tools\nimport tools.ops\nimport flat\nfrom alembic import op\n\
                  from tools import drop_all, Kind\n\
                  def downgrade():\n    drop_all('a', 'b')\n    flat.down(op)\n    tools.guess()\n    tools.ops.loop()\n    \
                  tools.refuse(None)\n    op.add_column('c', sa.Column('d', Kind()))\n    op.drop_table('z')\n";
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        downgrade(folder.path(), "migrations/versions/a.py", source, &site),
        [
            "drop table a",
            "drop table b",
            "drop table f",
            "unknown (may change): the call of tools.guess",
            "drop table t",
            "unknown (may change): the call of tools.ops.loop",
            "unknown (may change): the call of tools.refuse",
            "add column c: d VARCHAR(...)",
            "drop table z",
        ]
    );
}

/// Turns red if the files of a package that one migration reads have no bound.
#[test]
fn installed_packages_are_read_within_bounds() {
    let modules: Vec<(String, String)> = (0..60)
        .map(|number| {
            let next = number + 1;
            let text = format!("from many.m{next} import f as g\ndef f():\n    g()\n");
            (format!("many/m{number}.py"), text)
        })
        .collect();
    let mut site: Vec<(&str, &str)> = modules.iter().map(|(a, b)| (&**a, &**b)).collect();
    let large = format!("def f():\n    pass\n{}", "# filler\n".repeat(40_000));
    site.push(("large.py", &large));
    let source = "import large\nfrom many import m0\ndef downgrade():\n    m0.f()\n    large.f()\n";
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        downgrade(folder.path(), "migrations/versions/a.py", source, &site),
        [
            "unknown (may change): the call of many.m0.f",
            "unknown (may change): the call of large.f"
        ]
    );
}

#[test]
fn a_namespace_package_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write(&here.join("src/company/shop/__init__.py"), "");
    write(
        &here.join("src/company/tools/tables.py"),
        "from alembic import op\ndef drop(name):\n    op.drop_table(name)\n",
    );
    write(
        &here.join("src/company/shop/migrations/helpers.py"),
        "from alembic import op\ndef __getattr__(name):\n    return lambda: op.drop_table(name)\n",
    );
    let source = "import company.tools.tables\nfrom company.tools import tables\nfrom ..  import helpers\n\
                  from company.shop.migrations.helpers import letters\n\
                  def downgrade():\n    company.tools.tables.drop('a')\n    tables.drop('b')\n    helpers.notes()\n    letters()\n";
    let version = "src/company/shop/migrations/versions/a.py";
    assert_eq!(
        downgrade(here, version, source, &[]),
        [
            "drop table a",
            "drop table b",
            "drop table notes",
            "drop table letters"
        ]
    );
}
