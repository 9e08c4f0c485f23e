//! One kind of failure: by what it is known, and what is said about it.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::failed::Failed;
use super::start::StartKind;
use super::{DiagnosisContext, catalogue};

/// One entry of the catalogue.
#[derive(Debug)]
pub(super) struct Entry {
    /// Stable, for programs.
    pub(super) code: &'static str,
    /// When it is told, for the document.
    pub(super) when: &'static str,
    /// What it means for the database.
    pub(super) means: &'static str,
    /// What to do, for the document.
    pub(super) remedy: &'static str,
    /// `SQLSTATE`s of PostgreSQL.
    pub(super) states: &'static [&'static str],
    /// Error numbers of MariaDB and MySQL.
    pub(super) numbers: &'static [u32],
    /// Sentences of SQLite, which are not translated.
    pub(super) sqlite: &'static [&'static str],
    /// English sentences of a server, for where no code came along.
    pub(super) english: &'static [&'static str],
    /// Sentences of Alembic and of Python, with the class before them: `ValueError: No such index`.
    pub(super) python: &'static [&'static str],
    /// What is known of a start that failed.
    pub(super) kind: fn(&StartKind) -> bool,
    /// What has to hold besides the code.
    pub(super) and: fn(&Failed) -> bool,
    /// Whether it comes from a statement of a step, which may have had others before it.
    pub(super) in_a_step: bool,
    /// What is said.
    pub(super) words: fn(&Failed, &DiagnosisContext) -> Wording,
}

/// What is said about one failure.
#[derive(Debug, Default)]
pub(super) struct Wording {
    /// What went wrong, with names.
    pub(super) cause: String,
    /// Where the entry's own would not be right.
    pub(super) meaning: Option<String>,
    /// What to do.
    pub(super) what_to_do: Vec<String>,
}

impl Wording {
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            ..Self::default()
        }
    }

    /// Adds something to do.
    pub(super) fn then(mut self, advice: impl Into<String>) -> Self {
        self.what_to_do.push(advice.into());
        self
    }

    /// The same, where there is something.
    pub(super) fn and_then(mut self, advice: Option<String>) -> Self {
        self.what_to_do.extend(advice);
        self
    }
}

/// What entries have in common.
pub(super) const NEXT: Entry = Entry {
    code: "",
    when: "",
    means: "",
    remedy: "",
    states: &[],
    numbers: &[],
    sqlite: &[],
    english: &[],
    python: &[],
    kind: |_| false,
    and: |_| true,
    in_a_step: false,
    words: |_, _| Wording {
        cause: String::new(),
        meaning: None,
        what_to_do: Vec::new(),
    },
};

/// The patterns of an entry.
struct Marks {
    sqlite: RegexSet,
    english: RegexSet,
    python: RegexSet,
}

static MARKS: LazyLock<HashMap<&'static str, Marks>> = LazyLock::new(|| {
    let set = |patterns: &[&str]| {
        #[expect(
            clippy::expect_used,
            reason = "the patterns are constants, and a test compiles them all"
        )]
        RegexSet::new(patterns).expect("valid patterns")
    };
    catalogue()
        .map(|entry| {
            let marks = Marks {
                sqlite: set(entry.sqlite),
                english: set(entry.english),
                python: set(entry.python),
            };
            (entry.code, marks)
        })
        .collect()
});

impl Entry {
    /// Whether this is it. A code decides alone: words are read only where no code came along.
    pub(super) fn fits(&self, failed: &Failed) -> bool {
        let Some(marks) = MARKS.get(self.code) else {
            return false;
        };
        let by_code = match (failed.state.as_deref(), failed.number) {
            (Some(state), _) => Some(self.states.contains(&state)),
            (None, Some(number)) => Some(self.numbers.contains(&number)),
            (None, None) => None,
        };
        let known = match by_code {
            Some(known) => known,
            None if failed.from_server && failed.is_sqlite() => {
                marks.sqlite.is_match(&failed.message)
            }
            None if failed.from_server => {
                marks.english.is_match(&failed.message) || marks.sqlite.is_match(&failed.message)
            }
            None => {
                marks.python.is_match(&failed.line()) || failed.kind.as_ref().is_some_and(self.kind)
            }
        };
        known && (self.and)(failed)
    }
}

/// A pattern of a family, compiled once.
macro_rules! pattern {
    ($name:ident = $text:expr) => {
        static $name: std::sync::LazyLock<regex::Regex> =
            std::sync::LazyLock::new(|| $crate::start::pattern($text));
    };
}
pub(super) use pattern;

/// The first group of a pattern that took part.
pub(super) fn group(pattern: &Regex, text: &str) -> Option<String> {
    pattern
        .captures(text)?
        .iter()
        .skip(1)
        .flatten()
        .next()
        .map(|found| found.as_str().to_owned())
}
