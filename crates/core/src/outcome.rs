//! What a run did and where it stopped.

use super::names::and;
use std::fmt;
use std::time::Duration;

use super::blocker::Blocker;
use super::effect::{Effect, Surprise};
use super::proof::Doubt;
use super::revision::{Heads, RevisionId};
pub use super::schema::{Difference, SchemaLines};

/// One step that was run and, unless validation is off, seen in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDone {
    /// The revision that went.
    pub removes: RevisionId,
    /// The version rows after it: as read, or as predicted where nothing was read.
    pub heads: Heads,
    /// What it did to the schema.
    pub difference: Difference,
    /// What it did, as measured; `None` where that was not possible.
    pub effect: Option<Effect>,
    /// Wall time of the engine and the reading together.
    pub elapsed: Duration,
}

/// Where the database stands compared with before a step that did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The step left nothing: version table and rows are as before, and so is the schema.
    Unchanged {
        /// Whether the schema was read and compared. If not, nothing was run, or the server shows that nothing was
        /// kept.
        schema_compared: bool,
    },
    /// The version table and the schema, as far as it could be read, are as before, and it is not proven that the step
    /// left nothing: each doubt says why.
    MayHaveChanged(Vec<Doubt>),
    /// The version table is as before, but the schema is not: half of the step happened.
    HalfDone(Difference),
    /// The version table is as before, and the first statements of the step are done and stay so.
    InTheMiddle {
        /// How many.
        done: usize,
        /// How many there are.
        of: usize,
        /// What they did to the schema.
        difference: Difference,
    },
    /// The version table is as it should be after the step.
    StepHappened,
    /// The version table says something else.
    Elsewhere {
        /// Its rows.
        heads: Heads,
    },
    /// It could not be read.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// Why a run ended before its last step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The engine exited with this status.
    EngineFailed(i32),
    /// The engine's statement at this place failed, of so many, counted from 1.
    StatementFailed {
        /// Its place.
        at: usize,
        /// How many there are.
        of: usize,
    },
    /// The engine exited because a lock of the database was not available in time.
    LockTimeout,
    /// The engine was ended by this signal, which was not ours.
    EngineKilled(i32),
    /// The engine took longer than the time limit and was ended.
    TimedOut(Duration),
    /// The engine could not be started.
    EngineNotStarted(String),
    /// The engine reported success, and the database does not show it.
    NotVerified,
    /// Somebody else may be at the database; the sentence says why.
    NotAlone(String),
    /// The address of the database leads to another server now, or that cannot be told; the sentence says which.
    OtherServer(String),
    /// The record cannot be kept; the sentence says why.
    NotRecorded(String),
    /// The step is done, and a check after it failed; each sentence is one fault.
    CheckFailed(Vec<String>),
    /// The step did, or would have done, what nobody announced or agreed to.
    Unannounced(Vec<Surprise>),
    /// What the step did could not be measured; the sentence says why.
    NotMeasured(String),
    /// The operator asked to stop between two steps.
    Interrupted,
    /// The operator insisted, and the engine was ended.
    InterruptedTwice,
}

/// A step at which a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The position in the plan, from 0.
    pub index: usize,
    /// Why.
    pub cause: Cause,
    /// What the database shows.
    pub position: Position,
    /// The line of the engine's output that tells why.
    pub reason: Option<String>,
    /// What the engine printed on stdout.
    pub stdout: String,
    /// What the engine printed on stderr.
    pub stderr: String,
    /// The sessions that stood in the way when it failed by a lock timeout.
    pub blockers: Vec<Blocker>,
    /// The schema right before the step, if the step was begun and the schema was read.
    pub schema_before: Option<SchemaLines>,
    /// Whether what a check found may be somebody else's doing. Then nothing is restored without being asked for.
    pub may_be_others: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were done.
    Done,
    /// A step failed and left nothing behind.
    FailedUnchanged,
    /// A step failed or did not verify, and the database is not as it was before it.
    FailedChanged,
    /// The operator stopped it at a revision boundary.
    Interrupted,
}

/// The account of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// How many steps were planned.
    pub planned: usize,
    /// Those that were done, and still are.
    pub done: Vec<StepDone>,
    /// Whether everything that was done was rolled back, as promised for this run.
    pub undone: bool,
    /// Where it ended early.
    pub stop: Option<Stop>,
    /// The version rows at the end, read from the database; `None` where it could not be read.
    pub current: Option<Heads>,
    /// Whether each step was looked up in the database.
    pub validated: bool,
    /// Who looked: `read from the database`, or whose word it is.
    pub verifier: &'static str,
    /// Wall time of the whole run.
    pub elapsed: Duration,
}

impl Stop {
    /// The same at a position of the plan, with those who stood in the way if that was the cause.
    #[must_use]
    pub fn at(self, index: usize, blockers: Vec<Blocker>) -> Self {
        Self {
            index,
            blockers: match self.cause {
                Cause::LockTimeout => blockers,
                _ => Vec::new(),
            },
            ..self
        }
    }
}

impl RunOutcome {
    /// The account of a run that had nothing to do, or was not to do anything.
    pub fn nothing_to_do(current: Heads) -> Self {
        Self {
            planned: 0,
            done: Vec::new(),
            undone: false,
            stop: None,
            current: Some(current),
            validated: true,
            verifier: "",
            elapsed: Duration::ZERO,
        }
    }

    /// What the run came to.
    pub fn outcome(&self) -> Outcome {
        let Some(stop) = &self.stop else {
            return Outcome::Done;
        };
        match (&stop.cause, &stop.position) {
            (Cause::NotVerified | Cause::CheckFailed(_), Position::Unchanged { .. })
                if self.undone =>
            {
                Outcome::FailedUnchanged
            }
            (
                Cause::Interrupted | Cause::InterruptedTwice,
                Position::Unchanged { .. } | Position::StepHappened,
            ) => Outcome::Interrupted,
            (Cause::NotVerified | Cause::CheckFailed(_), _)
            | (Cause::Unannounced(_), Position::StepHappened) => Outcome::FailedChanged,
            // The step may be done, and the database stands where it was verified to stand.
            (Cause::NotRecorded(_), _) | (_, Position::Unchanged { .. }) => {
                Outcome::FailedUnchanged
            }
            _ => Outcome::FailedChanged,
        }
    }
}

/// The commands that an operator may have to type next, ready to paste.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Go on with this run.
    pub resume: String,
    /// The same, and let a step do what the plan does not announce.
    pub resume_unannounced: String,
    /// Give it up.
    pub abandon: String,
    /// Where does the database stand?
    pub current: String,
}

impl RunOutcome {
    /// The command that accepts the database as it is. Only a revision that it is at can be accepted, and if there
    /// are several, `--resume` names them.
    fn accepting(&self, commands: &Commands) -> Option<String> {
        let current = self.current.as_ref()?;
        let at = match current.first() {
            None => "base",
            Some(head) if current.len() == 1 => head.as_str(),
            Some(_) => return Some(commands.resume.clone()),
        };
        Some(format!("{} --accept {at}", commands.resume))
    }

    /// What to do next, most urgent first. Empty where everything is done.
    pub fn advice(&self, commands: &Commands) -> Vec<String> {
        let Some(stop) = &self.stop else {
            return Vec::new();
        };
        let resume = |when: &str| format!("{when}: {}", commands.resume);
        let look = |when: &str| format!("{when}: {}", commands.current);
        let mut advice = match (&stop.cause, &stop.position) {
            (Cause::Interrupted, _) | (Cause::InterruptedTwice, Position::StepHappened) => {
                vec![resume("to go on")]
            }
            (Cause::NotAlone(_), _) => vec![
                look("see where the database stands"),
                resume("as soon as nobody else is at it"),
            ],
            (Cause::OtherServer(_), _) => vec![
                look("see which database the address leads to"),
                resume("when it leads to the server of this run again"),
            ],
            (Cause::NotRecorded(_), _) => vec![resume("fix what keeps the record from being written, then")],
            (Cause::CheckFailed(_), _) => {
                vec![resume("mend what the check found, then go on with")]
            }
            (Cause::Unannounced(_), Position::Unchanged { .. }) => vec![format!(
                "if that is wanted, let the step do it: {}",
                commands.resume_unannounced
            )],
            (Cause::Unannounced(_), _) => {
                vec![resume("if that was wanted, go on with the next step")]
            }
            (_, Position::StepHappened) => {
                vec![resume("find out why the engine failed, then go on with")]
            }
            (Cause::NotVerified, Position::Unchanged { .. } | Position::MayHaveChanged(_)) => vec![
                "the engine said that the step succeeded, and the version table does not show it: does env.py begin a transaction before the migrations and not commit it, or does it migrate another database or version table?".to_owned(),
                look("see where this one stands"),
            ],
            (cause, Position::Unchanged { .. }) => {
                let next = match cause {
                    Cause::InterruptedTwice => "to go on",
                    Cause::LockTimeout if stop.blockers.is_empty() => {
                        "find out who holds the lock; when it is free,"
                    }
                    Cause::LockTimeout => "wait for the sessions named above or end them, then",
                    Cause::TimedOut(_) => {
                        "find out what the step waits for, or give it a longer --timeout, then"
                    }
                    _ => "mend the cause, then",
                };
                vec![resume(next)]
            }
            (_, Position::InTheMiddle { done, of, .. }) if done == of => vec![resume(
                "what is done of the step stays done: have its end written down",
            )],
            (_, Position::InTheMiddle { done, .. }) => vec![resume(&format!(
                "what is done of the step stays done: mend the cause, then have it go on at statement {}",
                done + 1
            ))],
            (_, Position::HalfDone(_)) => vec![
                "bring the schema back to what it was before the step, by hand or from a backup: as it is, the step would fail on it again".to_owned(),
                resume("then"),
            ],
            (_, Position::MayHaveChanged(_)) => {
                let mut advice = vec![
                    "find out whether the step left anything; if it did, undo that by hand or from a backup".to_owned(),
                ];
                advice.extend(self.accepting(commands).map(|command| {
                    format!("then accept the database as it is and run the step again: {command}")
                }));
                advice
            }
            (_, Position::Elsewhere { .. }) => vec![
                "is somebody else migrating this database? Nothing more was run".to_owned(),
                look("see where it stands"),
            ],
            (_, Position::Unknown { .. }) => {
                vec![resume("as soon as the database answers, have it examined and go on")]
            }
        };
        advice.push(format!("to leave it here: {}", commands.abandon));
        advice
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unannounced(surprises) => {
                formatter.write_str("the plan did not announce that the step would ")?;
                for (at, surprise) in surprises.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", and " };
                    write!(formatter, "{comma}{surprise}")?;
                }
                Ok(())
            }
            Self::NotMeasured(reason) => {
                write!(formatter, "what the step did cannot be measured: {reason}")
            }
            Self::EngineFailed(status) => {
                write!(formatter, "the engine exited with status {status}")
            }
            Self::StatementFailed { at, of } => {
                write!(formatter, "statement {at} of {of} failed")
            }
            Self::LockTimeout => formatter
                .write_str("a lock of the database was not to be had within the lock timeout"),
            Self::EngineKilled(signal) => {
                write!(formatter, "the engine was ended by signal {signal}")
            }
            Self::TimedOut(limit) => write!(
                formatter,
                "the engine took longer than the time limit of {} s and was ended",
                limit.as_secs_f64()
            ),
            Self::EngineNotStarted(reason) | Self::NotAlone(reason) | Self::OtherServer(reason) => {
                formatter.write_str(reason)
            }
            Self::NotVerified => formatter.write_str(
                "the engine reported success, but the version table does not hold what it should",
            ),
            Self::NotRecorded(reason) => write!(formatter, "the record cannot be kept: {reason}"),
            Self::CheckFailed(faults) => {
                write!(
                    formatter,
                    "the step is done, and a check after it failed: {}",
                    faults.join("; ")
                )
            }
            Self::Interrupted => formatter.write_str("stopped between two steps, as asked"),
            Self::InterruptedTwice => formatter.write_str("the engine was ended, as asked"),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged {
                schema_compared: true,
            } => formatter
                .write_str("unchanged by this step: version table, schema and rows are as before"),
            Self::Unchanged {
                schema_compared: false,
            } => formatter.write_str("unchanged by this step: nothing of it was kept"),
            Self::MayHaveChanged(doubts) => {
                formatter.write_str("may have changed: ")?;
                for (at, doubt) in doubts.iter().enumerate() {
                    if at > 0 {
                        formatter.write_str("; ")?;
                    }
                    doubt.fmt(formatter)?;
                }
                Ok(())
            }
            Self::HalfDone(_) => formatter.write_str(
                "half done: the version table is as before this step, the schema is not",
            ),
            Self::InTheMiddle { done, of, .. } => write!(
                formatter,
                "half done: the version table is as before this step, and {done} of its {of} statements are done"
            ),
            Self::StepHappened => formatter
                .write_str("the step is done: the version table is as it should be after it"),
            Self::Elsewhere { heads } if heads.is_empty() => formatter
                .write_str("changed: the version table is empty, which was not to be expected"),
            Self::Elsewhere { heads } => {
                write!(
                    formatter,
                    "changed: the version table holds {}, which was not to be expected",
                    and(heads)
                )
            }
            Self::Unknown { reason } => write!(formatter, "unknown: {reason}"),
        }
    }
}
