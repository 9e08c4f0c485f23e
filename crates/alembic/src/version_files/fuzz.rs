//! Real version files, broken at random, and random text that looks like Python: the reader, the
//! follower and the rules come to an end on every one of them.
//!
//! Short here, because it runs with every test. For longer:
//! `PROPTEST_CASES=100000 cargo test --lib version_files::fuzz`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::layout::{Layout, Version};
use migration_forecast::python::Follower;
use migration_forecast::risk::examine;
use migration_forecast::{
    Direction, Event, Followed, Host, Migrations as _, Raised, StepTrace, predict,
};
use python_source::version_file::{VersionFile, VersionFiles};
use rollback_core::dialect::Dialect;
use rollback_core::graph::Graph;
use rollback_core::plan::Plan;
use rollback_core::probe::{Answer, Probe, Question};
use rollback_core::revision::{Revision, RevisionId};
use rollback_schema::SchemaModel;

/// For one file, in both directions and with all rules. Machines differ; a budget that is not kept
/// takes minutes, or all memory.
const PATIENCE: Duration = Duration::from_secs(30);
/// More can come of no file: the follower has fewer steps.
const EVENTS: usize = 200_000;

/// The version files of all fixtures.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut found = BTreeMap::new();
    let mut folders =
        vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "py")
                && path.components().any(|part| part.as_os_str() == "versions")
            {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    assert!(found.len() > 80, "only {} files", found.len());
    found.into_values().collect()
});

/// What code is made of, and some of what goes wrong in it.
const PIECES: &[&str] = &[
    "\n",
    "\n    ",
    "\n        ",
    "\n\t",
    " ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    ".",
    "=",
    "==",
    "+=",
    ":=",
    "->",
    "*",
    "**",
    "//",
    "%",
    "@",
    "-",
    "~",
    "<<",
    "|",
    "\\\n",
    "\"",
    "'",
    "'''",
    "f'{",
    "}'",
    "f'{x!r:>{y}}'",
    "b'\\xff'",
    "r'\\d'",
    "'%s' % ",
    "'{}'.format",
    "0",
    "1",
    "-1",
    "9999999999999999999999",
    "1e999",
    "0x_1",
    "None",
    "True",
    "x",
    "y",
    "ids",
    "self",
    "op",
    "sa",
    "bind",
    "op.get_bind()",
    "op.execute",
    "op.drop_table",
    "op.drop_column",
    "op.add_column",
    "op.create_foreign_key",
    "op.batch_alter_table('ids') as batch",
    "batch.alter_column",
    "sa.Column('x', sa.Integer(), nullable=False)",
    "sa.inspect(bind)",
    "sa.text",
    "sa.Enum('a')",
    "sa.table('ids', sa.column('x'))",
    "'ids'",
    "'DROP TABLE ids; DELETE FROM ids'",
    "'ALTER TABLE ids ADD UNIQUE (x)'",
    "def downgrade():",
    "def x(y, *ids, **op):",
    "class x(y):",
    "if ",
    "elif ",
    "else:",
    "for x in ",
    "while ",
    "try:",
    "except x as y:",
    "finally:",
    "with ",
    "return ",
    "yield ",
    "raise ",
    "lambda x: ",
    "match x:\n  case ",
    "import sqlalchemy as sa",
    "from . import *",
    "global op",
    "pass",
];

#[derive(Debug, Clone)]
enum FileEdit {
    /// Bytes go.
    Cut(Index, usize),
    /// A byte becomes another.
    Byte(Index, u8),
    /// A piece comes in.
    Piece(Index, &'static str),
    /// A piece comes in many times.
    Many(Index, &'static str, usize),
    /// Lines of another file come in.
    Lines(Index, Index, Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<FileEdit>> {
    let at = any::<Index>;
    vec(
        prop_oneof![
            (at(), 1..40_usize).prop_map(|(at, length)| FileEdit::Cut(at, length)),
            (at(), any::<u8>()).prop_map(|(at, byte)| FileEdit::Byte(at, byte)),
            (at(), select(PIECES)).prop_map(|(at, piece)| FileEdit::Piece(at, piece)),
            (at(), select(PIECES), 2..3_000_usize)
                .prop_map(|(at, piece, times)| FileEdit::Many(at, piece, times)),
            (at(), at(), at(), 1..12_usize)
                .prop_map(|(at, file, line, lines)| FileEdit::Lines(at, file, line, lines)),
        ],
        1..8,
    )
}

fn edited(mut bytes: Vec<u8>, edits: &[FileEdit]) -> Vec<u8> {
    for edit in edits {
        let length = bytes.len();
        let place = |at: &Index| at.index(length + 1);
        match edit {
            FileEdit::Cut(at, cut) => {
                let from = place(at);
                bytes.drain(from..(from + cut).min(length));
            }
            FileEdit::Byte(at, byte) => {
                let at = place(at);
                bytes.splice(at..(at + 1).min(length), [*byte]);
            }
            FileEdit::Piece(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.bytes());
            }
            FileEdit::Many(at, piece, times) => {
                let at = place(at);
                bytes.splice(at..at, piece.repeat(*times).into_bytes());
            }
            FileEdit::Lines(at, file, line, count) => {
                let other = file.get(&CORPUS);
                let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
                if lines.is_empty() {
                    continue;
                }
                let from = line.index(lines.len());
                let taken = lines[from..(from + count).min(lines.len())].concat();
                // Between two lines, as somebody who merges would put it.
                let ends = (0..length).filter(|at| bytes[*at] == b'\n');
                let ends: Vec<usize> = ends.map(|end| end + 1).chain([0]).collect();
                let at = *at.get(&ends);
                bytes.splice(at..at, taken);
            }
        }
    }
    bytes
}

/// Counts what happens; every third event fails, for the code that catches that.
struct Counter<'a> {
    dialect: Dialect,
    model: &'a SchemaModel,
    events: usize,
}

impl Host for Counter<'_> {
    fn dialect(&self) -> Option<Dialect> {
        Some(self.dialect)
    }

    fn schema_model(&self) -> Option<&SchemaModel> {
        Some(self.model)
    }

    fn happens(&mut self, _: Event) -> Result<(), Raised> {
        self.events += 1;
        if self.events.is_multiple_of(3) {
            let message = "no such table".to_owned();
            return Err(Raised { message });
        }
        Ok(())
    }
}

/// Answers most questions, and none of them well.
struct Anything(u64);

impl Probe for Anything {
    fn ask(&mut self, _: &Question) -> Option<Answer> {
        self.0 += 1;
        (!self.0.is_multiple_of(5)).then(|| Answer {
            count: self.0 % 4,
            exact: !self.0.is_multiple_of(2),
            query: "SELECT 1".to_owned(),
        })
    }
}

fn catalogue(dialect: Dialect) -> SchemaModel {
    let rows = [
        "table||ids",
        "column||ids|x|integer|not null",
        "column||ids|y|varchar(40)",
        "primary key||ids|PRIMARY|x",
        "table||customers",
        "column||customers|id|integer|not null",
        "index||ids|ix_y|y",
    ];
    SchemaModel::of_text(dialect, &rows)
}

/// Everything that a plan does with a file but ask the database.
fn through_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let begun = Instant::now();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a_.py");
    fs::write(&path, bytes).unwrap();
    let layout = Layout {
        locations: vec![home.path().to_owned()],
        directory: home.path().to_owned(),
        recursive: false,
        sourceless: false,
        roots: Vec::new(),
        may_autocommit: false,
        version: Version::parse("1.20.1").unwrap(),
    };
    if let Err(unreadable) = super::read(&layout) {
        prop_assert!(!unreadable.reason.contains("broke off"), "{unreadable}");
    }
    if let Ok(source) = python_source::source::read(&path) {
        follow(&path, &source)?;
    }
    prop_assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    Ok(())
}

fn follow(path: &Path, source: &str) -> Result<(), TestCaseError> {
    let id = RevisionId::new("a");
    // Whatever the file says that it is: the engine has the last word on that.
    let revision = Revision {
        id: id.to_string(),
        ..Revision::default()
    };
    let graph = Graph::new([revision.clone()]).unwrap();
    let files = VersionFiles {
        files: vec![VersionFile {
            revision,
            path: path.to_owned(),
            source: source.into(),
        }],
        unread: std::collections::HashMap::new(),
        roots: Vec::new(),
        may_autocommit: false,
    };
    let plan = Plan::new(&graph, std::slice::from_ref(&id), &"base".parse().unwrap());
    let plan = plan.unwrap();
    for dialect in [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite] {
        let model = catalogue(dialect);
        let follower = Follower::new(&files);
        for direction in [Direction::Upgrade, Direction::Downgrade] {
            let mut host = Counter {
                dialect,
                model: &model,
                events: 0,
            };
            let followed = follower.follow(&id, direction, &mut host);
            prop_assert!(host.events < EVENTS, "{} events", host.events);
            if let Followed::Unreadable(why) = followed {
                prop_assert!(why.len() < 2_000, "{why}");
            }
        }
        let mut ask = Anything(0);
        let mut look = |seen: &StepTrace| examine(seen, &mut ask);
        let steps = predict(
            &plan,
            &graph,
            &follower,
            Some(dialect),
            Some(model),
            &mut look,
        );
        prop_assert_eq!(steps.len(), 1);
    }
    Ok(())
}

const HEAD: &str = "import sqlalchemy as sa\nfrom alembic import op\nrevision = 'a'\n\
                    down_revision = None\ndef downgrade():\n    bind = op.get_bind()\n";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_version_files_come_to_an_end(file in any::<Index>(), edits in edits()) {
        through_all(&edited(file.get(&CORPUS).clone(), &edits))?;
    }

    #[test]
    fn text_that_looks_like_python_comes_to_an_end(pieces in vec(select(PIECES), 0..120)) {
        through_all(format!("{HEAD}    {}", pieces.concat()).as_bytes())?;
        through_all(format!("{HEAD}    {}", pieces.join(" ")).as_bytes())?;
    }

    /// Each line is Python, and what they come to together is hardly ever sense.
    #[test]
    fn lines_of_many_files_come_to_an_end(
        lines in vec((any::<Index>(), any::<Index>()), 1..40),
    ) {
        let mut text = HEAD.to_owned();
        for (file, line) in &lines {
            let source: &Vec<u8> = file.get(&CORPUS);
            let source = String::from_utf8_lossy(source).into_owned();
            let all: Vec<&str> = source.lines().filter(|line| !line.trim().is_empty()).collect();
            if all.is_empty() {
                continue;
            }
            let line = all[line.index(all.len())].trim();
            // A block needs something in it.
            let rest = if line.ends_with(':') { " pass" } else { "" };
            text.push_str(&format!("    {line}{rest}\n"));
        }
        through_all(text.as_bytes())?;
    }
}
