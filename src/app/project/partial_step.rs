//! A step of SQL files that was cut off between two of its statements.

use super::{Project, StepRuns};
use rollback_core::journal::Run;
use rollback_core::revision::RevisionId;
use rollback_core::schema::{SchemaLines, fingerprint};
use rollback_sql_files::engine::running::InterruptedStep;

/// What the database knows of it.
pub(crate) struct PartialStep {
    /// How many of its statements are done, or why that cannot be told.
    pub(crate) done: Result<usize, String>,
    /// How many it has.
    pub(crate) of: usize,
}

impl Project {
    /// What is known of the step that was under way, where the database has a note of it; the engine is told what
    /// the record knows.
    pub(crate) fn middle(
        &mut self,
        run: &Run,
        schema: Option<&SchemaLines>,
        vouched: bool,
    ) -> Option<PartialStep> {
        let id = RevisionId::new(run.in_flight_revision()?);
        let progress = self.sql()?.history.get(&id)?.metadata.progress.clone()?;
        let server = self.identity.as_ref().and_then(|it| it.server.clone());
        let StepRuns::SqlFiles(engine) = &mut self.engine else {
            return None;
        };
        engine.cut_off = Some(InterruptedStep {
            migration: id.clone(),
            in_flight: run
                .statement_in_flight()
                .map(|(at, text)| (at, text.to_owned())),
            vouched,
            done: 0,
        });
        let schema = schema.map(fingerprint);
        let server = server.unwrap_or_default();
        let (done, of) = engine.cut_off_at(&id, &progress, schema.as_deref(), &server);
        if let (Some(cut_off), Ok(done)) = (&mut engine.cut_off, &done) {
            cut_off.done = *done;
        }
        Some(PartialStep { done, of })
    }
}
