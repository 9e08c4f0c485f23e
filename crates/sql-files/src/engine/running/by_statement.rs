//! A script that no transaction can roll back, one statement after the other.
//!
//! A statement that can be rolled back shares a transaction with the note that it is done. Another one is followed by
//! that note; if the program dies between the two, the schema tells which of them was the last.

use super::step::{SqlStep, StepError};
use super::transaction::prepare;
use super::{RunningScript, SqlFiles};
use crate::history::HistoryProgress;
use crate::script_mode::{ResumeFacts, digest, is_a_setting, next, script_digest, why_alone};
use rollback_core::dialect::Dialect;
use rollback_core::journal::StatementState;
use rollback_core::query::RunErrorKind;
use rollback_core::revision::RevisionId;
use rollback_core::{failpoint, journal};
use rollback_sql::script::Statement;

/// A script under way.
struct UnderWay<'a> {
    engine: &'a SqlFiles,
    id: &'a RevisionId,
    script: &'a RunningScript,
    statements: &'a [Statement],
    progress: HistoryProgress,
}

impl SqlFiles {
    pub(super) fn statement_by_statement(
        &self,
        step: &mut SqlStep<'_, '_>,
        id: &RevisionId,
        script: &RunningScript,
        statements: &[Statement],
    ) -> Result<(), StepError> {
        let before = self.progress(step, id)?;
        let schema = step.listener.schema();
        let done = match &before {
            Some(progress) => {
                let known = self.known(id, &self.server(step)?);
                let schema = schema.as_deref();
                next(progress, statements, schema, self.tables.dialect, known)
                    .map_err(|why| StepError::Said(format!("{id} was cut off before: {why}")))?
            }
            None => 0,
        };
        let mut under_way = UnderWay {
            engine: self,
            id,
            script,
            statements,
            progress: HistoryProgress {
                run: self.by.run.clone().unwrap_or_default(),
                done,
                schema: schema.unwrap_or_default(),
                script: script_digest(&statements[..done]),
            },
        };
        step.kept = kept(statements, done, self.tables.dialect);
        under_way.begin(step)?;
        for at in done..statements.len() {
            under_way.one(step, at)?;
        }
        under_way.end(step)
    }

    /// How far the script came before.
    fn progress(
        &self,
        step: &mut SqlStep<'_, '_>,
        id: &RevisionId,
    ) -> Result<Option<HistoryProgress>, StepError> {
        let history = self
            .tables
            .read(step.execution())
            .map_err(|error| StepError::Ours("read the history", error))?;
        let record = history.as_ref().and_then(|history| history.get(id));
        Ok(record.and_then(|record| record.metadata.progress.clone()))
    }

    /// How many statements of a script that was cut off are done, or why that cannot be told, and how many it has.
    pub fn cut_off_at(
        &self,
        id: &RevisionId,
        progress: &HistoryProgress,
        schema: Option<&str>,
        server: &str,
    ) -> (Result<usize, String>, usize) {
        match self.script(id) {
            Err(error) => (Err(error.summary), 0),
            Ok((_, statements)) => {
                let known = self.known(id, server);
                let dialect = self.tables.dialect;
                let done = next(progress, &statements, schema, dialect, known);
                (done, statements.len())
            }
        }
    }

    /// The server and its release, where that matters.
    fn server(&self, step: &mut SqlStep<'_, '_>) -> Result<String, StepError> {
        if self.tables.dialect != Dialect::MySql {
            return Ok(String::new());
        }
        let rows = step.ours("ask for the release of the server", "SELECT VERSION()")?;
        let version = rows.into_iter().flatten().flatten().next();
        Ok(version.unwrap_or_default())
    }

    fn known(&self, id: &RevisionId, server: &str) -> ResumeFacts<'_> {
        let cut_off = self.cut_off.as_ref().filter(|it| it.migration == *id);
        ResumeFacts {
            in_flight: cut_off
                .and_then(|it| it.in_flight.as_ref())
                .map(|(at, text)| (*at, text.as_str())),
            vouched: cut_off.is_some_and(|it| it.vouched),
            whole_statements: self.tables.dialect == Dialect::MySql
                && does_statements_whole(server),
        }
    }
}

/// What is done and stays so. A setting ends with its session.
fn kept(statements: &[Statement], done: usize, dialect: Dialect) -> Option<(usize, usize)> {
    let mut done_ones = statements.iter().take(done);
    let stays = done_ones.any(|statement| !is_a_setting(&statement.text, dialect));
    stays.then_some((done, statements.len()))
}

/// Whether a statement that changes the schema is done whole or not at all: MariaDB from 10.6 on, MySQL from 8.
fn does_statements_whole(version: &str) -> bool {
    let mut numbers = version
        .split(|sign: char| !sign.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .map_while(|number| number.parse::<u32>().ok());
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version.contains("MariaDB") {
        release >= (10, 6)
    } else {
        release >= (8, 0)
    }
}

impl UnderWay<'_> {
    /// Writes down where it begins. What earlier statements set for their session, it is told again.
    fn begin(&self, step: &mut SqlStep<'_, '_>) -> Result<(), StepError> {
        let engine = self.engine;
        step.ours("begin a transaction", engine.begin())?;
        prepare(step, self.script)?;
        self.note(step)?;
        step.ours("commit", "COMMIT")?;
        failpoint::point("after_progress_begun");
        for (at, statement) in self.statements[..self.progress.done].iter().enumerate() {
            if is_a_setting(&statement.text, engine.tables.dialect) {
                step.statement(self.script, at, self.statements)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, step: &mut SqlStep<'_, '_>, at: usize) -> Result<(), StepError> {
        self.tell(step, at, StatementState::Begun, None)?;
        failpoint::point("before_statement");
        let alone = why_alone(&self.statements[at], self.engine.tables.dialect).is_some();
        let done = if alone {
            self.alone(step, at)
        } else {
            self.with_its_note(step, at)
        };
        if let Err(StepError::Statement { error, .. }) = &done
            && matches!(
                error.kind,
                RunErrorKind::Refused | RunErrorKind::LockTimeout
            )
        {
            self.tell(step, at, StatementState::Refused, None)?;
        }
        done?;
        step.kept = kept(self.statements, at + 1, self.engine.tables.dialect);
        failpoint::point("after_progress");
        let schema = Some(self.progress.schema.clone()).filter(|schema| !schema.is_empty());
        self.tell(step, at, StatementState::Ended, schema)?;
        failpoint::point("after_statement_ended");
        Ok(())
    }

    /// A statement that commits by itself, and the note after it.
    fn alone(&mut self, step: &mut SqlStep<'_, '_>, at: usize) -> Result<(), StepError> {
        step.statement(self.script, at, self.statements)?;
        failpoint::point("after_statement");
        self.is_done(at);
        self.progress.schema = step.listener.schema().unwrap_or_default();
        step.ours("begin a transaction", self.engine.begin())?;
        self.note(step)?;
        step.ours("commit", "COMMIT").map(drop)
    }

    /// A statement and the note that it is done, in one transaction.
    fn with_its_note(&mut self, step: &mut SqlStep<'_, '_>, at: usize) -> Result<(), StepError> {
        step.ours("begin a transaction", self.engine.begin())?;
        let done = step.statement(self.script, at, self.statements);
        if done.is_err() {
            let _ = step.run("ROLLBACK");
            return done;
        }
        failpoint::point("after_statement");
        self.is_done(at);
        if self.engine.tables.dialect == Dialect::MySql {
            // Rows alone changed. Elsewhere the schema may have, and is read when all can see it.
            self.note(step)?;
            return step.ours("commit", "COMMIT").map(drop);
        }
        let before = std::mem::take(&mut self.progress.schema);
        self.note(step)?;
        step.ours("commit", "COMMIT")?;
        self.progress.schema = step.listener.schema().unwrap_or(before);
        step.ours("begin a transaction", self.engine.begin())?;
        self.note(step)?;
        step.ours("commit", "COMMIT").map(drop)
    }

    /// Writes down that the migration is gone, and with that that nothing is under way.
    fn end(&self, step: &mut SqlStep<'_, '_>) -> Result<(), StepError> {
        step.ours("begin a transaction", self.engine.begin())?;
        self.engine.write_the_end(step, self.id)?;
        failpoint::point("before_commit");
        step.ours("commit", "COMMIT")?;
        failpoint::point("after_commit");
        Ok(())
    }

    fn is_done(&mut self, at: usize) {
        self.progress.done = at + 1;
        self.progress.script = script_digest(&self.statements[..=at]);
    }

    fn note(&self, step: &mut SqlStep<'_, '_>) -> Result<(), StepError> {
        for sql in self.engine.tables.progressed(self.id, Some(&self.progress)) {
            step.ours("write down how far it came", &sql)?;
        }
        Ok(())
    }

    /// Has the record know.
    fn tell(
        &self,
        step: &mut SqlStep<'_, '_>,
        at: usize,
        state: StatementState,
        schema: Option<String>,
    ) -> Result<(), StepError> {
        let statement = journal::Statement {
            at,
            of: self.statements.len(),
            state,
            text: digest(&self.statements[at].text),
            schema,
        };
        step.listener
            .statement(&statement)
            .map_err(|reason| StepError::Said(format!("the record cannot be kept: {reason}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_says_whether_statements_are_done_whole() {
        for (version, expected) in [
            ("10.11.14-MariaDB-0+deb12u1", true),
            ("10.6.0-MariaDB", true),
            ("10.5.29-MariaDB", false),
            ("11.4.2-MariaDB", true),
            ("MariaDB 10.5.29", false),
            ("MySQL 8.0.35", true),
            ("8.0.35-27", true),
            ("5.7.44-log", false),
            ("", false),
        ] {
            assert_eq!(does_statements_whole(version), expected, "{version}");
        }
    }
}
