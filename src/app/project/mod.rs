//! What every command does first: find the engine, observe, and find the database it migrates.
//!
//! A [`Session`] is what was found. What can be done with it is in the files here, by subject.

mod as_migrations;
mod atomic_method;
mod database;
mod engine;
mod names;
mod open;
mod partial_step;
mod plan;
mod rows;
mod sql;
mod unrecorded;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use self::atomic_method::{AtomicMethod, not_as_a_whole};
use self::engine::StepRuns;
pub(crate) use self::names::{name_to_type, reference};
pub(crate) use self::open::Unopened;
pub(crate) use self::rows::StartRows;
pub(crate) use self::sql::{SqlProject, Text};
use self::unrecorded::Unrecorded;
pub(crate) use self::unrecorded::is_defect;
use super::CommandContext;
use super::measure::Measure;
use super::verifier::StepVerifier;
use crate::error::{Exit, Failure};
use python_source::version_file::VersionFiles;
use rollback_core::command::{Command, ProjectOptions};
use rollback_core::connection::Identity;
use rollback_core::engine::{Engine, EngineError};
use rollback_core::graph::Graph;
use rollback_core::runner::Verifier;
use rollback_core::secret::Secret;

/// A project and its database, observed.
pub(crate) struct Project {
    pub(crate) graph: Graph,
    /// The text of the migrations, as far as it can be read.
    pub(crate) source: MigrationSource,
    pub(crate) rows: StartRows,
    /// `None` where only the engine can reach the database and did not say which it is.
    pub(crate) identity: Option<Identity>,
    engine: StepRuns,
    engine_version: Option<String>,
    transaction_per_migration: Option<bool>,
    /// Whether nothing of a step would be kept, because `env.py` leaves its transaction open.
    leaves_transaction_open: bool,
    /// The tables of a database without version rows.
    unrecorded: Unrecorded,
    watched: StepVerifier,
    secrets: Vec<Secret>,
    /// The options that say which project and database is meant, for commands that are suggested.
    options: ProjectOptions,
    /// The project's directory.
    dir: PathBuf,
    /// Where a process of our own runs the steps: locked for as long as it may be at one.
    held: Option<Arc<File>>,
}

/// The text of the migrations.
pub(crate) enum MigrationSource {
    /// Alembic's.
    VersionFiles(VersionFiles),
    /// SQL, of files and of the history that the database keeps.
    SqlFiles(Box<SqlProject>),
}

impl Project {
    /// A command of this program on the same project and database.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        Command::new(&self.options, words)
    }

    /// The passwords that may turn up in what the engine prints.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Has each step judged by what was announced of it and agreed to.
    pub(crate) fn judge_by(&mut self, measure: Measure) {
        self.watched.checks.expect(measure.expected_faults());
        self.watched.measure = measure;
    }

    /// What the runner needs.
    pub(crate) fn runner_parts(&mut self) -> (&dyn Engine, &Graph, &mut dyn Verifier) {
        (self.engine.as_engine(), &self.graph, &mut self.watched)
    }
}

/// Ctrl-C ends the engine while it is only asked, and that is no error of the engine.
fn interrupted_or(error: EngineError, context: &CommandContext<'_>) -> Failure {
    if context.interrupt.count() > 0 {
        return Failure::new(Exit::Interrupted, "nothing was changed");
    }
    error.into()
}
