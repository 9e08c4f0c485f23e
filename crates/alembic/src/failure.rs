//! Why a start of the engine came to nothing, and what to do about it.

use super::bridge::{self, BridgeReport};
use super::complaint::{self, StartKind};
use super::{AlembicEngine, output};
use rollback_core::engine::{Ended, EngineError};
use rollback_core::names::and;
use rollback_system::process::{Finished, SpawnError};

impl AlembicEngine {
    pub(super) fn not_started(&self, verb: &[&str], error: &SpawnError) -> EngineError {
        let hint = match error {
            SpawnError::NotFound(_) | SpawnError::NotExecutable { .. } => {
                "reinstall it, or name another with --engine-command"
            }
            SpawnError::WorkingDirectory(_) => "name the project's directory with `-C DIR`",
            SpawnError::Other { .. } => "try the command by hand",
        };
        EngineError {
            summary: format!("`{}` cannot be started: {error}", self.typed(verb)),
            stdout: String::new(),
            stderr: String::new(),
            hints: vec![hint.to_owned()],
        }
    }

    /// The error of a run that did not end well.
    pub(super) fn failed(
        &self,
        verb: &[&str],
        finished: &Finished,
        report: Option<&BridgeReport>,
    ) -> EngineError {
        let command = self.typed(verb);
        let complaint = complaint::read(&finished.stdout, &finished.stderr);
        let ending = match &finished.ended {
            Ended::Exited(_) if !complaint.line.is_empty() => complaint.line.clone(),
            Ended::Exited(status) => format!("exit status {status}, and not a word about why"),
            Ended::Signalled(signal) => format!("ended by signal {signal}"),
            Ended::TimedOut => "stopped by the time limit".to_owned(),
            Ended::Interrupted => "stopped, as you asked".to_owned(),
        };
        let mut hints = match finished.ended {
            Ended::Exited(_) => complaint.kind.hints(&command),
            _ => Vec::new(),
        };
        let about_connection = matches!(
            complaint.kind,
            StartKind::Login | StartKind::Unreachable | StartKind::NoDatabase
        );
        if about_connection && let Some(facts) = report.and_then(BridgeReport::last_attempt) {
            let user = facts
                .user
                .as_ref()
                .map(|user| format!(" as {user}"))
                .unwrap_or_default();
            hints.insert(
                0,
                format!("the engine tried {}{user}", bridge::describe(&facts)),
            );
        }
        if matches!(complaint.kind, StartKind::CannotLocate(_))
            && let Some(places) = report
                .map(BridgeReport::locations)
                .filter(|places| !places.is_empty())
        {
            hints.push(format!(
                "Alembic looks for version files in {}",
                and(places)
            ));
        }
        EngineError {
            summary: format!("`{command}` failed: {ending}"),
            stdout: finished.stdout.clone(),
            stderr: finished.stderr.clone(),
            hints,
        }
    }

    pub(super) fn not_understood(
        &self,
        verb: &[&str],
        finished: &Finished,
        cause: &output::NotUnderstood,
    ) -> EngineError {
        EngineError {
            summary: format!("`{}` was not understood: {cause}", self.typed(verb)),
            stdout: finished.stdout.clone(),
            stderr: finished.stderr.clone(),
            hints: vec![
                "the command must end where Alembic's verbs begin: `alembic`, `flask db` or \
                 `superset db`; see `engine_command` in the configuration and --engine-command"
                    .to_owned(),
            ],
        }
    }
}
