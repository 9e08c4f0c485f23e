//! Functions of other modules of the project.

use std::path::Path;

use super::show::{Recorder, files_of};
use crate::python::Follower;
use crate::{Direction, Migrations};
use python_source::version_file::{VersionFile, VersionFiles};
use rollback_core::dialect::Dialect;
use rollback_core::revision::Revision;

const SHARED: &str = "
from dataclasses import dataclass
from alembic import op
from . import names

adapter = None

class Registry:
    def __init__(self):
        self.adapter = None
    def get(self):
        if self.adapter:
            return self.adapter
        raise Exception('not yet')

registry = Registry()
value = registry.get()

@dataclass(frozen=True)
class Key:
    table: str
    columns: list
    on: str = 'x'

    @property
    def name(self):
        return f'{names.PREFIX}_{self.table}_{self.columns[0]}_{self.on}'

def drop(key, **options):
    op.drop_constraint(key.name, key.table, **options)
";

const VERSION: &str = "
from importlib import import_module
from pkg.migrations import shared
from pkg.migrations.shared import *
from pkg.missing import gone

def own():
    drop(Key('t', ['a']), type_='foreignkey')

def downgrade():
    shared.drop(shared.Key('t', columns=['a'], on='y'))
    own()
    import_module('pkg.migrations.shared').value
    gone()
";

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What the downgrade in this file does on SQLite.
fn downgrade(path: &Path, source: &str) -> Vec<String> {
    let files = files_of(&[(&path.to_string_lossy(), source)]);
    let mut recorder = Recorder::on(Dialect::Sqlite);
    Follower::new(&files).follow(&"a".into(), Direction::Downgrade, &mut recorder);
    recorder.lines
}

#[test]
fn helpers_are_followed_and_say_who_called_them() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("pkg");
    write(&package.join("__init__.py"), "");
    write(&package.join("migrations/__init__.py"), "");
    write(&package.join("migrations/shared.py"), SHARED);
    write(&package.join("migrations/names.py"), "PREFIX = 'fk'\n");
    let path = package.join("migrations/versions/a.py");
    write(&path, VERSION);
    let files = VersionFiles {
        files: vec![VersionFile {
            revision: Revision {
                id: "a".to_owned(),
                path: Some("a.py".to_owned()),
                ..Revision::default()
            },
            path,
            source: VERSION.into(),
        }],
        unread: std::collections::HashMap::new(),
        roots: Vec::new(),
        may_autocommit: false,
    };
    let mut recorder = Recorder::on(Dialect::Postgres);
    Follower::new(&files).follow(&"a".into(), Direction::Downgrade, &mut recorder);
    assert_eq!(
        recorder.lines,
        [
            "drop constraint fk_t_a_y of t",
            "drop constraint fk_t_a_x of t ForeignKey",
            "unknown (may change): the call of gone",
        ]
    );
    let called: Vec<_> = recorder
        .events
        .iter()
        .map(|event| {
            event
                .called_from
                .as_ref()
                .map(|place| (&*place.file, place.line))
        })
        .collect();
    assert_eq!(called, [Some(("a.py", 11)), Some(("a.py", 12)), None]);
    assert!(recorder.events[0].place.file.ends_with("shared.py"));
}

#[test]
fn files_that_cannot_be_read_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("pkg");
    write(&package.join("__init__.py"), "");
    std::fs::write(package.join("bytes.py"), [0xff, 0xfe, b'x']).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(package.join("loop.py"), package.join("loop.py")).unwrap();
    write(&package.join("deep.py"), &"(".repeat(9_999));
    let path = package.join("versions/a.py");
    let source = "from pkg.bytes import x\nfrom pkg.loop import y\nfrom pkg.deep import z\ndef downgrade():\n    x()\n    y()\n    z()\n";
    write(&path, source);
    let lines = downgrade(&path, source);
    assert_eq!(
        lines,
        [
            "unknown (may change): the call of x",
            "unknown (may change): the call of y",
            "unknown (may change): the call of z",
        ]
    );
}

/// Red if a migration is said to do nothing because following what it imports took all the steps there are.
#[test]
fn an_import_that_takes_all_steps_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("pkg");
    write(&package.join("__init__.py"), "");
    let heavy = "N = range(999)\nclass T:\n    for a in N:\n        for b in N:\n            for c in N:\n                d = [a, b, c]\n";
    write(&package.join("heavy.py"), heavy);
    let path = package.join("versions/a.py");
    let source = "from alembic import op\nfrom pkg.heavy import T\ndef downgrade():\n    found = T()\n    op.drop_table('z')\n";
    write(&path, source);
    let lines = downgrade(&path, source);
    let is_told = |line: &String| line.contains("so many steps");
    assert!(lines.iter().any(is_told), "{lines:?}");
}
