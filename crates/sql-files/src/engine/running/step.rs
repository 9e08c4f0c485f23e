//! One step over its connection: what is sent, what hears of it, and what ends it.

use std::time::{Duration, Instant};

use super::{RunningScript, not_run};
use crate::script_mode::shortened;
use rollback_core::dialect::Dialect;
use rollback_core::engine::{Ended, EngineError, Listener, StepRun};
use rollback_core::interrupt::Interrupt;
use rollback_core::query::{Execution, RunError, RunErrorKind, TextRows};
use rollback_sql::script::Statement;

/// How often a listener is given the time to look around: about twice a second.
const LOOK_AROUND: Duration = Duration::from_millis(400);

/// How long the server may be at the last statement of a run that was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether it is.
const TICK: Duration = Duration::from_millis(200);

/// Why a step does not go on.
#[derive(Debug)]
pub(super) enum StepError {
    /// A statement of the script: which one, of how many, and where it stands.
    Statement {
        at: usize,
        of: usize,
        place: String,
        text: String,
        error: RunError,
    },
    /// A text of our own; completes "cannot ...".
    Ours(&'static str, RunError),
    /// Something else, in one sentence.
    Said(String),
    /// Whoever judges the step does not allow it, and knows why.
    Objection(String),
}

/// One step, for as long as it has its connection for itself.
pub(super) struct SqlStep<'b, 'a> {
    execution: &'b mut dyn Execution,
    deadline: &'b mut Deadline<'a>,
    pub(super) listener: &'b mut dyn Listener,
    /// How many statements are done that stay so whatever comes, and how many there are.
    pub(super) kept: Option<(usize, usize)>,
}

/// What ends a step before its end.
pub(super) struct Deadline<'a> {
    interrupt: &'a Interrupt,
    ends_at: usize,
    at: Option<Instant>,
    why: Option<Ended>,
    looked: Instant,
}

impl<'a> Deadline<'a> {
    pub(super) fn new(interrupt: &'a Interrupt, timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            interrupt,
            ends_at: interrupt.limit(),
            at: timeout.map(|limit| now + limit),
            why: None,
            looked: now,
        }
    }

    fn goes_on(&mut self, listener: &mut dyn Listener) -> bool {
        if self.looked.elapsed() >= LOOK_AROUND {
            listener.on_tick();
            self.looked = Instant::now();
        }
        self.is_not_over()
    }

    pub(super) fn is_not_over(&mut self) -> bool {
        if self.why.is_none() {
            if self.interrupt.count() >= self.ends_at {
                self.why = Some(Ended::Interrupted);
            } else if self.at.is_some_and(|end| Instant::now() >= end) {
                self.why = Some(Ended::TimedOut);
            }
        }
        self.why.is_none()
    }
}

impl<'b, 'a> SqlStep<'b, 'a> {
    pub(super) fn new(
        execution: &'b mut dyn Execution,
        deadline: &'b mut Deadline<'a>,
        listener: &'b mut dyn Listener,
    ) -> Self {
        Self {
            execution,
            deadline,
            listener,
            kept: None,
        }
    }

    pub(super) fn run(&mut self, sql: &str) -> Result<TextRows, RunError> {
        let (watch, listener) = (&mut *self.deadline, &mut *self.listener);
        self.execution.run(sql, &mut || watch.goes_on(listener))
    }

    /// Rolls back what is open. On a connection that is gone the server does so by itself, unless it had got as far as
    /// the commit: then nobody can say.
    pub(super) fn roll_back(&mut self) {
        if self.run("ROLLBACK").is_ok() {
            self.listener.left_nothing();
        }
    }

    /// Something of our own; `what` completes "cannot ...".
    pub(super) fn ours(&mut self, what: &'static str, sql: &str) -> Result<TextRows, StepError> {
        self.run(sql).map_err(|error| StepError::Ours(what, error))
    }

    /// A statement of the script.
    pub(super) fn statement(
        &mut self,
        script: &RunningScript,
        at: usize,
        statements: &[Statement],
    ) -> Result<(), StepError> {
        let statement = &statements[at];
        let (at, of) = (at + 1, statements.len());
        self.listener.line(&format!(
            "statement {at} of {of}: {}",
            shortened(&statement.text)
        ));
        match self.run(&statement.text) {
            Ok(_) => Ok(()),
            Err(error) => Err(StepError::Statement {
                at,
                of,
                place: place(script, statement),
                text: statement.text.clone(),
                error,
            }),
        }
    }

    pub(super) fn execution(&mut self) -> &mut dyn Execution {
        self.execution
    }

    /// Waits until nobody else is at a step of this database: the server goes on with the statement of a program
    /// that was killed. What is locked is free again when the connection of the step is closed.
    pub(super) fn alone(&mut self, dialect: Dialect) -> Result<(), StepError> {
        // `roll` and `step` in ASCII.
        let ask = match dialect {
            Dialect::Postgres => "SELECT pg_try_advisory_lock(1919904876, 1937007984)::int::text",
            Dialect::MySql => {
                "SELECT CAST(GET_LOCK(CONCAT('rollback-step-', LEFT(SHA2(DATABASE(), 256), 32)), 0) AS CHAR)"
            }
            Dialect::Sqlite => return Ok(()),
        };
        let since = Instant::now();
        loop {
            let rows = self.ours("lock the steps of this database", ask)?;
            let value = rows.into_iter().flatten().flatten().next();
            if value.as_deref() == Some("1") {
                return Ok(());
            }
            if since.elapsed() >= PATIENCE {
                return Err(StepError::Said(
                    "the server is still at a statement of another run on this database: wait for its end"
                        .to_owned(),
                ));
            }
            std::thread::sleep(TICK);
        }
    }

    /// What became of the step.
    pub(super) fn ended(self, ended: Result<(), StepError>, started: Instant) -> StatementOutcome {
        let mut run = StepRun {
            ended: Ended::Exited(0),
            stdout: String::new(),
            stderr: String::new(),
            reason: None,
            lock_timeout: false,
            statement: None,
            kept: self.kept.filter(|(done, _)| *done > 0),
            elapsed: started.elapsed(),
        };
        let Err(trouble) = ended else {
            return StatementOutcome::Ran(run);
        };
        // Of a text of our own that failed it is the next statement that is not available.
        run.statement = run.kept.map(|(done, of)| (of.min(done + 1), of));
        run.ended = Ended::Exited(1);
        let error = match trouble {
            StepError::Statement {
                at,
                of,
                place,
                text,
                error,
            } => {
                run.statement = Some((at, of));
                run.stderr = format!("statement {at} of {of}, {place}:\n");
                run.stderr.push_str(&indented(&text));
                run.reason = Some(format!("{place}: {}", first_line(&error.reason)));
                error
            }
            StepError::Ours(what, error) => {
                run.stderr = format!("cannot {what}:\n");
                run.reason = Some(format!("cannot {what}: {}", first_line(&error.reason)));
                error
            }
            StepError::Said(sentence) if run.kept.is_some() => {
                run.stderr = format!("{sentence}\n");
                run.reason = Some(sentence);
                return StatementOutcome::Ran(run);
            }
            StepError::Said(sentence) => {
                return StatementOutcome::Said(sentence);
            }
            StepError::Objection(sentence) => {
                run.stderr = format!("{sentence}\n");
                run.reason = Some(sentence);
                return StatementOutcome::Ran(run);
            }
        };
        run.stderr.push_str(&said(&error));
        run.lock_timeout = error.kind == RunErrorKind::LockTimeout;
        match (error.kind, self.deadline.why.clone()) {
            (RunErrorKind::GivenUp, Some(why)) => {
                run.ended = why;
                run.statement = None;
                StatementOutcome::Ran(run)
            }
            (RunErrorKind::LockTimeout, _) => StatementOutcome::Ran(run),
            // What may be committed must not be denied, so nothing is written down about it.
            (RunErrorKind::Lost, _) => StatementOutcome::Broke(run),
            _ => StatementOutcome::Failed(run),
        }
    }
}

/// What became of a step.
pub(super) enum StatementOutcome {
    /// It came to its end, was ended, or timed out waiting for a lock.
    Ran(StepRun),
    /// The connection is gone.
    Broke(StepRun),
    /// The server refused something, and is told so.
    Failed(StepRun),
    /// It was not resumed, and why.
    Said(String),
}

impl StatementOutcome {
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Ran(run) if run.ended == Ended::Exited(0))
    }

    /// For the runner. Of a text of our own that failed, the reason is the whole account.
    pub(super) fn told(self) -> Result<StepRun, EngineError> {
        match self {
            Self::Said(sentence) => Err(not_run(sentence)),
            Self::Ran(run) => Ok(run),
            Self::Broke(run) | Self::Failed(run) if run.statement.is_some() => Ok(run),
            Self::Broke(run) | Self::Failed(run) => Err(EngineError {
                stderr: run.stderr,
                ..not_run(run.reason.unwrap_or_default())
            }),
        }
    }

    /// Why it failed, where that is worth a note in the database.
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(run) => run.reason.as_deref(),
            Self::Ran(_) | Self::Broke(_) | Self::Said(_) => None,
        }
    }
}

/// Where a statement stands.
fn place(script: &RunningScript, statement: &Statement) -> String {
    let line = script.line + statement.line.saturating_sub(1);
    format!("{}:{line}", script.source)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// An error as the clients of the servers write it, which is what a diagnosis knows.
fn said(error: &RunError) -> String {
    let mut lines = error.reason.lines();
    let first = lines.next().unwrap_or_default();
    let rest: String = lines.map(|line| format!("{line}\n")).collect();
    match error.code.as_deref() {
        Some(code) if code.len() == 5 => format!("SQL:  {code}: {first}\n{rest}"),
        Some(code) if code.len() == 4 => format!("ERROR {code}: {first}\n{rest}"),
        Some(_) => format!("Error: in prepare, {first}\n{rest}"),
        None => format!("{first}\n{rest}"),
    }
}
