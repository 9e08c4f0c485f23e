//! The cause of a database or Alembic error, and what to do about it, from the text of the error.
//!
//! A table of entries for each family of errors. Servers translate their messages, so codes and the names of exception
//! classes come before English words. A text that no entry fits is [`OTHER`].

mod connection;
mod data;
mod entry;
mod failed;
mod history;
mod keys;
mod locks;
mod names;
mod presence;
mod project;
mod schema;
mod server;
pub mod start;
mod statements;
mod text;
mod trace;

use rollback_core::blocker::Blocker;
use rollback_core::dialect::Dialect;
use rollback_core::finding::Culprit;
use rollback_core::outcome::{Cause, Position, SchemaLines, Stop};

use self::entry::{Entry, Wording};
use self::failed::Failed;

pub use rollback_core::cause::{Diagnosis, OTHER};

/// Where the database stands after the failure, as far as somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseState {
    /// As before the step.
    Unchanged,
    /// Half of the step happened.
    HalfDone,
    /// The step happened anyway.
    Happened,
    /// Nobody can tell.
    Unknown,
}

impl From<&Position> for DatabaseState {
    fn from(position: &Position) -> Self {
        match position {
            Position::Unchanged { .. } => Self::Unchanged,
            Position::HalfDone(_) | Position::InTheMiddle { .. } => Self::HalfDone,
            Position::StepHappened => Self::Happened,
            Position::MayHaveChanged(_) | Position::Elsewhere { .. } | Position::Unknown { .. } => {
                Self::Unknown
            }
        }
    }
}

/// What is known besides the text. Of a log that somebody found it is nothing.
#[derive(Debug, Clone, Default)]
pub struct DiagnosisContext {
    /// The kind of server.
    pub dialect: Option<Dialect>,
    /// The revision of the step.
    pub revision: Option<String>,
    /// Where the database stands; who calls says so in words of their own.
    pub state: Option<DatabaseState>,
    /// Who removed what the step may miss, as far as the plan could see.
    pub dropped_by: Vec<Culprit>,
    /// Who made what the step may make once more, as far as the plan could see.
    pub made_by: Vec<Culprit>,
    /// The schema right before the step, if it was read.
    pub before: Option<SchemaLines>,
    /// The command that puts the database back to a backup of before the run.
    pub restore: Option<String>,
    /// The command that tells where the database stands, with the options of this run.
    pub look: Option<String>,
    /// The sessions that stood in the way.
    pub blockers: Vec<Blocker>,
}

impl DiagnosisContext {
    /// The command that tells where the database stands.
    fn current(&self) -> &str {
        self.look.as_deref().unwrap_or("rollback current")
    }
}

/// Every entry, in the order in which they are tried.
fn catalogue() -> impl Iterator<Item = &'static Entry> {
    [
        project::ENTRIES,
        history::ENTRIES,
        locks::ENTRIES,
        connection::ENTRIES,
        server::ENTRIES,
        keys::ENTRIES,
        data::ENTRIES,
        schema::ENTRIES,
        statements::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

/// A row of the catalogue, for its document and its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The code.
    pub code: &'static str,
    /// When it is told.
    pub when: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The whole catalogue, without [`OTHER`].
pub fn rows() -> Vec<CatalogEntry> {
    catalogue()
        .map(|entry| CatalogEntry {
            code: entry.code,
            when: entry.when,
            means: entry.means,
            remedy: entry.remedy,
        })
        .collect()
}

/// What a text of any program says about the failure that ended it. `text` is what was printed, oldest
/// first; of two streams the one with the errors comes last.
pub fn diagnose(text: &str, known: &DiagnosisContext) -> Diagnosis {
    let lines = text::clean(text);
    let Some(telling) = trace::telling(&lines) else {
        return other(None, known);
    };
    let chain: Vec<Failed> = telling.into_iter().map(Failed::read).collect();
    chain
        .iter()
        .find_map(|failed| {
            catalogue()
                .find(|entry| entry.fits(failed))
                .map(|entry| told(entry, failed, known))
        })
        .unwrap_or_else(|| other(chain.first(), known))
}

/// What a run that stopped at a step says. `None` where no engine failed.
pub fn of_stop(stop: &Stop, known: &DiagnosisContext) -> Option<Diagnosis> {
    if !matches!(
        stop.cause,
        Cause::EngineFailed(_) | Cause::StatementFailed { .. } | Cause::LockTimeout
    ) {
        return None;
    }
    let known = DiagnosisContext {
        state: Some(DatabaseState::from(&stop.position)),
        blockers: stop.blockers.clone(),
        before: stop.schema_before.clone(),
        ..known.clone()
    };
    Some(diagnose(
        &format!("{}\n{}", stop.stdout, stop.stderr),
        &known,
    ))
}

fn told(entry: &Entry, failed: &Failed, known: &DiagnosisContext) -> Diagnosis {
    let Wording {
        cause,
        meaning,
        mut what_to_do,
    } = (entry.words)(failed, known);
    let mut meaning = meaning.unwrap_or_else(|| entry.means.to_owned());
    if known.state.is_none() && entry.in_a_step {
        meaning = format!(
            "{meaning} {}",
            left_behind(failed.dialect.or(known.dialect))
        );
    }
    if known.state.is_none() && entry.in_a_step {
        what_to_do.push(format!(
            "see where the database stands: {}",
            known.current()
        ));
    }
    Diagnosis {
        code: entry.code.to_owned(),
        cause,
        meaning,
        what_to_do,
    }
}

/// What a failed statement leaves, where nobody has looked.
fn left_behind(dialect: Option<Dialect>) -> &'static str {
    match dialect {
        Some(Dialect::Postgres) => {
            "PostgreSQL takes a step that fails back, unless it committed something before."
        }
        Some(Dialect::MySql) => {
            "MariaDB and MySQL keep what the step did before this statement: it may be half done."
        }
        Some(Dialect::Sqlite) => {
            "With Python's usual settings SQLite keeps what the step did before this statement: it may be half done."
        }
        None => "Whether the step left something behind depends on the server.",
    }
}

/// The answer where nothing fits: it says so, and what can be done about any failure.
fn other(failed: Option<&Failed>, known: &DiagnosisContext) -> Diagnosis {
    let cause = match failed {
        Some(failed) => format!("not in the catalogue: {}", failed.line()),
        None => "nothing in the text is an error that is known".to_owned(),
    };
    let what_to_do = if known.state.is_some() {
        vec!["read the engine's own words above; the last lines say most".to_owned()]
    } else {
        vec![
            "read the last lines of the text, and the migration that they name".to_owned(),
            format!("see where the database stands: {}", known.current()),
        ]
    };
    Diagnosis {
        code: OTHER.to_owned(),
        cause,
        meaning: "What it left behind cannot be told from the text.".to_owned(),
        what_to_do,
    }
}

#[cfg(test)]
mod tests;
