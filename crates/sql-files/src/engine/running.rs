//! Taking migrations down: the engine of SQL files.
//!
//! Where the server can take a script back, it runs in one transaction with what is written down about it. Where it
//! cannot, each statement is written down before and after, so that a script that was cut off goes on at the right
//! one.

mod by_statement;
mod each;
mod range;
mod step;
mod transaction;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::step::{Deadline, SqlStep, StatementOutcome};
use super::history_table::{By, Tables};
use crate::script_mode::{ScriptMode, way};
use crate::supabase::RemoteMigration;
use rollback_core::dialect::Dialect;
use rollback_core::engine::{
    Current, Engine, EngineError, Judge, Keep, Listener, Observation, SQL_FILES, Sequence, StepRun,
};
use rollback_core::interrupt::Interrupt;
use rollback_core::query::Execution;
use rollback_core::revision::RevisionId;
use rollback_sql::script::{self, Statement};

/// What takes one migration down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningScript {
    /// The SQL.
    pub sql: String,
    /// Where it stands, as it is shown: the file, or the history table.
    pub source: String,
    /// The line of the source that its first line is.
    pub line: usize,
    /// Statements for the same transaction, before it: where the file is run and not what is stored, they bring
    /// the row up to the file.
    pub before: Vec<String>,
}

/// Opens a connection over which a step is run. The error is a sentence without a password.
pub type Connect = Box<dyn Fn() -> Result<Box<dyn Execution>, String>>;

/// The engine of SQL files.
pub struct SqlFiles {
    /// Opens a connection for a step, or for several if its session can be reset between them: what a script sets does
    /// not outlast its step, and of SQLite nothing is held open between two.
    pub connect: Connect,
    /// Where they are written down.
    pub tables: Tables,
    /// What is run, by migration.
    pub scripts: BTreeMap<RevisionId, RunningScript>,
    /// Who runs them.
    pub by: By,
    /// The rows of Supabase's table that go with each migration.
    pub supabase: BTreeMap<RevisionId, RemoteMigration>,
    /// The operator's signals; a second one ends a step.
    pub interrupt: Interrupt,
    /// What the record of an unfinished run tells of the step that was under way.
    pub cut_off: Option<InterruptedStep>,
}

/// What a record tells of a step that was under way and is run statement by statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptedStep {
    /// The migration.
    pub migration: RevisionId,
    /// The statement that was sent, and of which it is not known whether it was done: its place and SHA-256.
    pub in_flight: Option<(usize, String)>,
    /// The operator accepts the schema as it is.
    pub vouched: bool,
    /// How many of its statements are done, as was seen before the plan.
    pub done: usize,
}

impl SqlFiles {
    /// What takes a migration down, and its statements.
    fn script(&self, id: &RevisionId) -> Result<(&RunningScript, Vec<Statement>), EngineError> {
        let Some(script) = self.scripts.get(id) else {
            return Err(not_run(format!("{id} has no rollback SQL")));
        };
        let refused = |line: usize, reason: &str| {
            let line = script.line + line.saturating_sub(1);
            not_run(format!("{}:{line}: {reason}", script.source))
        };
        let statements = script::statements(&script.sql, self.tables.dialect)
            .map_err(|error| refused(error.line, &error.reason))?;
        let statements = script::unwrapped(&statements);
        let control = statements.iter().find(|one| one.controls_a_transaction());
        if let Some(control) = control {
            // It would end the transaction that it is run in, and keep half of it.
            let reason = "the script begins or ends a transaction by itself";
            return Err(refused(control.line, reason));
        }
        Ok((script, statements.to_vec()))
    }

    /// What is left of a script, in its lines: all of it, but where it was cut off.
    pub fn left_of(&self, id: &RevisionId) -> Option<String> {
        let whole = self.scripts.get(id)?;
        let cut_off = self.cut_off.as_ref();
        let cut_off = cut_off.filter(|it| it.migration == *id && it.done > 0);
        let (Some(cut_off), Ok((_, statements))) = (cut_off, self.script(id)) else {
            return Some(whole.sql.clone());
        };
        let mut text = String::new();
        let mut line = 1;
        for statement in statements.iter().skip(cut_off.done) {
            text.push_str(&"\n".repeat(statement.line.saturating_sub(line)));
            text.push_str(&statement.text);
            text.push(';');
            line = statement.line.max(line) + statement.text.matches('\n').count();
        }
        Some(text)
    }

    fn begin(&self) -> &'static str {
        match self.tables.dialect {
            // The lock is taken now, while nothing is done yet, and not in the middle.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        }
    }

    /// For the runner, when the connection is closed: what became of a migration, of which the database is told if it
    /// failed.
    fn told(
        &self,
        id: Option<&RevisionId>,
        outcome: StatementOutcome,
    ) -> Result<StepRun, EngineError> {
        if let (Some(id), Some(reason)) = (id, outcome.failure()) {
            self.write_the_failure(id, reason);
        }
        outcome.told()
    }

    /// Writes down that a step failed, if that can be. What is told of the failure does not depend on it.
    fn write_the_failure(&self, id: &RevisionId, reason: &str) {
        let Ok(mut execution) = (self.connect)() else {
            return;
        };
        let mut texts = vec![self.begin().to_owned()];
        texts.extend(self.tables.failed(id, &self.by, reason));
        texts.push("COMMIT".to_owned());
        let goes_on = &mut rollback_core::query::always;
        for text in texts {
            if execution.run(&text, goes_on).is_err() {
                // Closed with the transaction open, it is rolled back.
                return;
            }
        }
    }
}

impl Engine for SqlFiles {
    fn name(&self) -> String {
        SQL_FILES.to_owned()
    }

    fn observe(&self) -> Result<Observation, EngineError> {
        Err(not_asked())
    }

    fn current(&self) -> Result<Current, EngineError> {
        Err(not_asked())
    }

    fn command_line(&self, argument: &str) -> Vec<String> {
        vec![
            "rollback".to_owned(),
            "downgrade-safe".to_owned(),
            "--only".to_owned(),
            argument.to_owned(),
        ]
    }

    fn downgrade(
        &self,
        argument: &str,
        timeout: Option<Duration>,
        listener: &mut dyn Listener,
    ) -> Result<StepRun, EngineError> {
        let started = Instant::now();
        let id = RevisionId::new(argument);
        let (script, statements) = self.script(&id)?;
        let mut execution = (self.connect)().map_err(not_run)?;
        let mut watch = Deadline::new(&self.interrupt, timeout);
        let mut step = SqlStep::new(execution.as_mut(), &mut watch, listener);
        let dialect = self.tables.dialect;
        let ended = step
            .alone(dialect)
            .and_then(|()| match way(&statements, dialect) {
                ScriptMode::Transactional => {
                    self.in_one_transaction(&mut step, &id, script, &statements)
                }
                ScriptMode::PerStatement(_) => {
                    self.statement_by_statement(&mut step, &id, script, &statements)
                }
            });
        let outcome = step.ended(ended, started);
        drop(execution);
        self.told(Some(&id), outcome)
    }

    fn hands_over_control(&self) -> bool {
        true
    }

    fn shares_a_process(&self) -> Result<(), String> {
        Ok(())
    }

    fn stays_connected(&self) -> bool {
        self.tables.dialect == Dialect::Postgres
    }

    fn run_sequence(
        &self,
        range: &Sequence<'_>,
        timeout: Option<Duration>,
        judge: &mut dyn Judge,
    ) -> Option<Result<StepRun, EngineError>> {
        match range.keep {
            Keep::Each | Keep::Own => Some(self.one_by_one(range, timeout, judge)),
            Keep::End if self.stays_connected() => Some(self.as_one(range, timeout, judge)),
            Keep::End | Keep::Never => None,
        }
    }
}

fn not_run(summary: String) -> EngineError {
    EngineError {
        summary,
        stdout: String::new(),
        stderr: String::new(),
        hints: Vec::new(),
    }
}

/// The database is read over our own connection alone.
fn not_asked() -> EngineError {
    not_run("SQL files have no engine that could be asked".to_owned())
}

#[cfg(test)]
mod tests;
