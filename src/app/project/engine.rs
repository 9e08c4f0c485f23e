//! What the engine is asked beside the history, and what its steps are given.

use std::fs::File;
use std::sync::Arc;

use super::{MigrationSource, Project, interrupted_or};
use crate::app::CommandContext;
use crate::error::Failure;
use rollback_alembic::AlembicEngine;
use rollback_core::engine::{Engine, LockTimeoutScope};
use rollback_core::plan::Plan;
use rollback_core::rendering::{RenderError, Rendering};
use rollback_core::secret::mask;
use rollback_sql_files::engine::running::SqlFiles;

/// What takes migrations back.
pub(crate) enum StepRuns {
    Alembic(Box<AlembicEngine>),
    SqlFiles(Box<SqlFiles>),
}

impl StepRuns {
    pub(super) fn as_engine(&self) -> &dyn Engine {
        match self {
            Self::Alembic(engine) => engine.as_ref(),
            Self::SqlFiles(engine) => engine.as_ref(),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        self.as_engine().name()
    }

    /// Whether a range of steps can be run in one transaction.
    pub(super) fn can_run_a_range(&self) -> bool {
        match self {
            Self::Alembic(engine) => engine.can_run_a_range(),
            Self::SqlFiles(_) => true,
        }
    }

    /// Ends the process that waits for the steps, which may have the database open.
    pub(super) fn dismiss(&self) {
        if let Self::Alembic(engine) = self {
            engine.dismiss();
        }
    }

    /// How far the lock timeout reaches; `None` where there is none, or where it reaches everything.
    fn reach(&self) -> Option<LockTimeoutScope> {
        match self {
            Self::Alembic(engine) => engine.reach(),
            Self::SqlFiles(_) => None,
        }
    }
}

impl Project {
    /// The command line of each step.
    pub(crate) fn command_lines(&self, plan: &Plan) -> Vec<Vec<String>> {
        plan.steps
            .iter()
            .map(|step| self.engine.as_engine().command_line(&step.argument))
            .collect()
    }

    /// The statements of each step, without the passwords that are known.
    pub(crate) fn render(
        &self,
        plan: &Plan,
        context: &CommandContext<'_>,
    ) -> Result<Vec<Rendering>, Failure> {
        let masked = |text: String| mask(&text, &self.secrets);
        let renderings = match (&self.engine, &self.source) {
            (StepRuns::Alembic(engine), _) => engine
                .render(plan)
                .map_err(|error| interrupted_or(error, context))?,
            (StepRuns::SqlFiles(engine), MigrationSource::SqlFiles(project)) => {
                project.render(plan, engine)
            }
            (StepRuns::SqlFiles(_), MigrationSource::VersionFiles(_)) => Vec::new(),
        };
        Ok(renderings
            .into_iter()
            .map(|rendering| {
                rendering.map(masked).map_err(|obstacle| RenderError {
                    sentence: masked(obstacle.sentence),
                    ..obstacle
                })
            })
            .collect())
    }

    /// How far the lock timeout reaches where that is less than all, and whether it is nowhere.
    pub(crate) fn unlimited_waiting(&self) -> Option<(&'static str, bool)> {
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        match (self.engine.reach()?, dialect) {
            (LockTimeoutScope::Libpq, Some("mysql" | "mariadb")) => Some((
                "the lock timeout does not reach this engine's connection: the server's own limit holds",
                true,
            )),
            (LockTimeoutScope::Refused, Some("postgresql") | None) => Some((
                "the lock timeout does not reach this engine's connection, since a pooler there takes no \
                 PGOPTIONS: the server's own limit holds",
                true,
            )),
            (LockTimeoutScope::Libpq, Some("postgresql") | None) => Some((
                "the lock timeout reaches this engine through PGOPTIONS, which libpq alone reads",
                false,
            )),
            _ => None,
        }
    }

    /// Ends the process that waits for the steps, which may have the database open.
    pub(crate) fn dismiss(&self) {
        self.engine.dismiss();
    }

    /// Has the processes of steps keep a file open, or our own where we run them ourselves.
    pub(crate) fn set_engine_lock(&mut self, file: Arc<File>) {
        match &mut self.engine {
            StepRuns::Alembic(engine) => engine.hold(file),
            StepRuns::SqlFiles(_) => self.held = Some(file),
        }
    }
}
