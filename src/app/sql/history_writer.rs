//! What the commands share that read and write the history.

use std::time::Duration;

use clap::Args;

use super::project::OpenSqlProject;
use crate::app::CommandContext;
use crate::app::lock::Lock;
use crate::config;
use crate::error::Failure;
use rollback_core::query::{Execution, RunError};
use rollback_sql_files::engine::history_table::By;
use rollback_sql_files::history::History;

/// How another run is waited for.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Wait so long for another run on the same database to end, such as 10m, instead of leaving at once.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub wait: Option<Duration>,
}

/// A project whose tables can be written.
pub(crate) struct HistoryWriter {
    pub(crate) project: OpenSqlProject,
    pub(crate) execution: Box<dyn Execution>,
    pub(crate) by: By,
}

impl HistoryWriter {
    /// Opens it, and takes the lock unless nothing is going to be written.
    pub(crate) fn open(
        context: &CommandContext<'_>,
        wait: &WaitArgs,
        writes: bool,
    ) -> Result<Self, Failure> {
        let mut project = OpenSqlProject::open(context)?;
        if writes {
            Lock::new(context, wait.wait).take(project.database.as_mut(), context)?;
        }
        let execution = project.execution(context)?;
        let operator = context.operator;
        Ok(Self {
            project,
            execution,
            by: By {
                who: format!("{}@{}", operator.user, operator.host),
                run: None,
                reason: None,
            },
        })
    }

    /// The rows; without the tables there is a command to type first.
    pub(crate) fn history(&mut self, context: &CommandContext<'_>) -> Result<History, Failure> {
        let read = self.project.tables.read(self.execution.as_mut());
        let table = self.project.tables.version_table();
        match read.map_err(|error| told(&format!("{table} cannot be read"), error))? {
            Some(history) => Ok(history),
            None => Err(Failure::user(format!(
                "the tables of the migration history are not there, or are of an older version: {table}"
            ))
            .hint(format!(
                "make them: {}",
                context.command(&["sql", "install"])
            ))),
        }
    }

    /// Runs statements in one transaction.
    pub(crate) fn transact(&mut self, what: &str, statements: &[String]) -> Result<(), Failure> {
        self.project
            .tables
            .transact(self.execution.as_mut(), statements)
            .map_err(|error| told(what, error))
    }
}

/// A failure of the server, told by what came to nothing.
pub(crate) fn told(what: &str, error: RunError) -> Failure {
    Failure::user(what)
        .because(error.reason)
        .hint("check the rights of the user on the tables of the migration history")
}
