//! From the engine's words, printed or told by the bridge, to what the program works with.

use std::collections::{BTreeMap, BTreeSet};

use super::bridge::BridgeReport;
use super::command_line::{CURRENT, HISTORY};
use super::discovery::Style;
use super::{AlembicEngine, output};
use error_diagnosis::start::{self as complaint, StartKind};
use rollback_core::engine::{Current, Ended, Engine as _, EngineError, Observation};
use rollback_core::graph::Graph;
use rollback_core::interrupt::Interrupt;
use rollback_core::names::and;
use rollback_core::revision::{Revision, RevisionId};
use rollback_system::process::Finished;

impl AlembicEngine {
    fn graph(&self, revisions: Vec<Revision>) -> Result<Graph, EngineError> {
        let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for revision in &revisions {
            files
                .entry(&revision.id)
                .or_default()
                .push(revision.path.as_deref().unwrap_or("?"));
        }
        // Alembic only warns and takes the file that it read last.
        if let Some((id, files)) = files.iter().find(|(_, files)| files.len() > 1) {
            return Err(plain_error(
                format!(
                    "two version files have the revision id {id}: {}",
                    and(files)
                ),
                format!(
                    "give one of them another id; then try `{}`",
                    self.typed(HISTORY)
                ),
            ));
        }
        Graph::new(revisions).map_err(|error| {
            plain_error(
                format!("the version files are no history: {error}"),
                format!("correct them until `{}` works", self.typed(HISTORY)),
            )
        })
    }

    /// `history --verbose`, printed and parsed.
    fn read_history(&self, interrupt: &Interrupt) -> Result<Vec<Revision>, EngineError> {
        let finished = self.ask(HISTORY, interrupt)?;
        if let Some(id) = complaint::duplicate(&finished.stderr) {
            return Err(plain_error(
                format!("two version files have the revision id {id}"),
                format!(
                    "give one of them another id; then try `{}`",
                    self.typed(HISTORY)
                ),
            ));
        }
        if finished.ended != Ended::Exited(0) {
            return Err(self.failed(HISTORY, &finished, None));
        }
        let mut revisions = output::history(&finished.stdout)
            .map_err(|cause| self.not_understood(HISTORY, &finished, &cause))?;
        self.resolve_labels(&mut revisions, interrupt)?;
        Ok(revisions)
    }

    /// Alembic lists a label at each revision that inherits it, so a dependency on a label does not
    /// say on which revision: the engine is asked, once per label.
    fn resolve_labels(
        &self,
        revisions: &mut [Revision],
        interrupt: &Interrupt,
    ) -> Result<(), EngineError> {
        let known: BTreeSet<String> = revisions.iter().map(|one| one.id.clone()).collect();
        let mut resolved: BTreeMap<String, String> = BTreeMap::new();
        for name in revisions
            .iter_mut()
            .flat_map(|revision| &mut revision.depends_on)
        {
            if known.contains(name.as_str()) {
                continue;
            }
            if !resolved.contains_key(name) {
                let verb: &[&str] = &["show", name];
                let finished = self.ask(verb, interrupt)?;
                if finished.ended != Ended::Exited(0) {
                    return Err(self.failed(verb, &finished, None));
                }
                let shown = output::history(&finished.stdout)
                    .map_err(|cause| self.not_understood(verb, &finished, &cause))?;
                let Some(revision) = shown.into_iter().next() else {
                    continue;
                };
                resolved.insert(name.clone(), revision.id);
            }
            if let Some(id) = resolved.get(name) {
                name.clone_from(id);
            }
        }
        Ok(())
    }

    /// What a run of `current --verbose` says: the URL and the rows.
    pub(super) fn printed_current(
        &self,
        finished: &Finished,
        report: Option<&BridgeReport>,
    ) -> Result<(Option<String>, Current), EngineError> {
        if finished.ended != Ended::Exited(0) {
            let complaint = complaint::read(&finished.stdout, &finished.stderr);
            return match (&finished.ended, complaint.kind) {
                (Ended::Exited(_), StartKind::CannotLocate(id)) => {
                    Ok((None, Current::UnknownRevision(id)))
                }
                _ => Err(self.failed(CURRENT, finished, report)),
            };
        }
        let mut reports = output::current(&finished.stdout)
            .map_err(|cause| self.not_understood(CURRENT, finished, &cause))?;
        if reports.len() > 1 {
            let places: Vec<_> = reports.iter().map(|report| report.url.clone()).collect();
            return Err(self.several(&places));
        }
        Ok(match reports.pop() {
            Some(report) => (Some(report.url), Current::Rows(report.revisions)),
            None => (None, Current::Rows(Vec::new())),
        })
    }

    fn several(&self, places: &[String]) -> EngineError {
        let error = plain_error(
            format!(
                "`{}` migrates several databases or version tables, and a run rolls back one of them: {}",
                self.typed(CURRENT),
                places.join("; ")
            ),
            String::new(),
        );
        let hints = match self.found.style {
            Style::Alembic => {
                vec!["choose one with -n SECTION or -x KEY=VALUE, as the project's env.py reads it".to_owned()]
            }
            // There are no sections, and the env.py of its template goes through all databases.
            Style::Flask => vec![
                format!(
                    "`{}` has no option for one of them: its env.py migrates all in each command, so that one step would change every database",
                    self.name()
                ),
                "have env.py read an argument, such as `context.get_x_argument(as_dictionary=True).get(\"db\")`, and migrate only the database of that name; then: rollback -x db=NAME plan -1".to_owned(),
            ],
        };
        EngineError { hints, ..error }
    }

    /// What the engine printed, if it was asked for its `current`, and what the bridge adds or says alone.
    pub(super) fn observation(
        &self,
        printed: Option<&Finished>,
        report: Option<&BridgeReport>,
        interrupt: &Interrupt,
    ) -> Result<Observation, EngineError> {
        let mut places = report.map(BridgeReport::places).unwrap_or_default();
        if places.len() > 1 {
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            return Err(self.several(&places));
        }
        let place = places.pop();
        let rows = place.as_ref().and_then(|place| place.rows.clone());
        let told = report.and_then(BridgeReport::revisions);
        let unknown = unknown_row(told.as_deref(), rows.as_deref());
        let (reported_url, current) = match (unknown, rows) {
            // The engine fails at this row, at times without a word.
            (Some(id), _) => (None, Current::UnknownRevision(id)),
            (None, rows) => {
                let (url, printed) = match printed {
                    Some(finished) => self.printed_current(finished, report)?,
                    None => (None, Current::Rows(Vec::new())),
                };
                match (printed, rows) {
                    (Current::Rows(_), Some(rows)) => (url, Current::Rows(rows)),
                    (printed, _) => (url, printed),
                }
            }
        };
        let graph = match (&self.believed, told) {
            (Some(graph), _) => Graph::clone(graph),
            (None, Some(revisions)) => self.graph(revisions)?,
            (None, None) => self.graph(self.read_history(interrupt)?)?,
        };
        Ok(Observation {
            graph,
            current,
            reported_url,
            engine_version: report
                .and_then(BridgeReport::engine_version)
                .map(str::to_owned),
            version_table: place.as_ref().map(|place| place.version_table.clone()),
            leaves_transaction_open: place.as_ref().is_some_and(|place| place.left_open),
            transaction_per_migration: place.as_ref().map(|place| place.transaction_per_migration),
            connection: place.and_then(|place| place.connection),
        })
    }
}

/// A row of the version table that no version file has.
fn unknown_row(revisions: Option<&[Revision]>, rows: Option<&[RevisionId]>) -> Option<String> {
    let known: BTreeSet<&str> = revisions?
        .iter()
        .map(|revision| revision.id.as_str())
        .collect();
    rows?
        .iter()
        .map(RevisionId::as_str)
        .find(|row| !known.contains(row))
        .map(str::to_owned)
}

fn plain_error(summary: String, hint: String) -> EngineError {
    EngineError {
        summary,
        stdout: String::new(),
        stderr: String::new(),
        hints: vec![hint],
    }
}
