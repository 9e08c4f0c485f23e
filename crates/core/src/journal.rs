//! What is written down about a run, and what can be concluded from it later.
//!
//! A journal is read after a crash, by another version of this program, next to a database that may
//! have gone on meanwhile. So every entry stands for itself, nothing is ever changed, and the
//! judgement about an unfinished run is made here, from the entries and a look at the database.

mod atomic_run;
mod backups;
mod crash_state;
mod rest;
mod statement;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backup::Manifest;
use super::cause::Diagnosis;
use super::database_identity::{DatabaseIdentity, DatabaseReference};
use super::effect::{Effect, Surprise};
use super::finding_code::Level;
use super::guard::Guarded;
use super::lock::Operator;
use super::policy::{PolicyDecision, RunContext};
use super::proof::RowEvidence;
use super::revision::{Heads, RevisionId};
use super::schema::{Difference, FORM, SchemaLines};

pub use self::atomic_run::{AtomicEnd, AtomicRun};
pub use self::backups::{BackupMoment, RunBackup, to_go_back};
pub use self::crash_state::CrashState;
pub use self::rest::RestError;
pub use self::statement::{State as StatementState, Statement};

/// The version of the format; a journal of another one is not read.
pub const VERSION: u32 = 1;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`] of the program that wrote it.
    pub version: u32,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// [`FORM`] of the lines of a schema that the entry holds; 1 before it was written down.
    #[serde(default = "first_form")]
    pub form: u32,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

fn first_form() -> u32 {
    1
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A run began; nothing is changed yet.
    Begun(Box<Begun>),
    /// It goes on after an end before its target.
    Resumed {
        /// Who goes on with it.
        by: Operator,
        /// What was said then or before; this and what follows is `None` in records of before they were
        /// written down.
        #[serde(default)]
        circumstances: Option<RunContext>,
        /// What the policy said then.
        #[serde(default)]
        ruling: Option<PolicyDecision>,
    },
    /// A step is about to be run.
    Intent {
        /// Its number in the whole run, from 0.
        step: usize,
        /// The revision that is to go.
        removes: String,
        /// What shows later whether the step left anything; only what is not in an earlier entry of this part of
        /// the run. `None` if nothing could be noted, and in records of before it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<RowEvidence>,
    },
    /// A statement of a step that is run one statement after the other.
    Statement {
        /// The step.
        step: usize,
        /// Which, and whether it is done.
        statement: Statement,
    },
    /// A step that was under way goes on after the statements of it that are done.
    InTheMiddle {
        /// The step.
        step: usize,
        /// How many of its statements are done.
        statements: usize,
        /// The schema as it is after them, whole.
        schema: SchemaLines,
    },
    /// The engine came to its end, whatever the database says.
    EngineEnded {
        /// The step.
        step: usize,
        /// How it ended, in words.
        ended: String,
    },
    /// A step is done and verified, or seen to be done afterwards.
    Done {
        /// The step.
        step: usize,
        /// The revision that went.
        removes: String,
        /// The version rows after it.
        heads: Heads,
        /// What it did to the schema; `None` where it was done before it could be recorded.
        difference: Option<Difference>,
        /// What it did, as measured; `None` where that was not possible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effect: Option<Effect>,
        /// SHA-256 of the schema after it.
        schema: String,
        /// Seconds it took, to the millisecond.
        seconds: f64,
    },
    /// From here on all steps are done, or none of them.
    Whole {
        /// The copy of the file that is to be put back; `None` in a transaction of the server.
        copy: Option<String>,
    },
    /// All steps of a whole are done, and the next thing is that they are kept.
    Committing {
        /// What the entries `done` will say of them.
        steps: Vec<AtomicEnd>,
    },
    /// Everything that was done of a whole was rolled back, and that is proven.
    TakenBack,
    /// The operator accepts the state of the database as it is.
    Accepted {
        /// The version rows.
        heads: Heads,
        /// The schema, whole.
        schema: SchemaLines,
    },
    /// A backup was made and verified.
    BackedUp {
        /// What it is. It has a version and a moment of its own, beside those of the line.
        manifest: Box<Manifest>,
        /// What it was made before; `None` in records of before that was written down, which have it in the
        /// order of their entries.
        #[serde(default)]
        before: Option<BackupMoment>,
    },
    /// Checks were made; those that were left out are not named.
    Checked {
        /// The step after which; `None` before the first and after the last one.
        step: Option<usize>,
        /// Each check.
        checks: Vec<Checked>,
    },
    /// The rows of the tables at the end of the run.
    Counted {
        /// By table.
        rows: BTreeMap<String, RecordedRows>,
    },
    /// The run ends at a step.
    Stopped(Box<Stopped>),
    /// The database was put back to the state of a backup, and that is verified: the run is over.
    Restored {
        /// The backup's id.
        backup: String,
        /// Who did.
        by: Operator,
        /// The version rows after it.
        heads: Heads,
        /// Seconds it took, to the millisecond.
        seconds: f64,
        /// The database that the backup is of, if it may be another and the operator allowed that.
        #[serde(default)]
        other_database: Option<Box<DatabaseReference>>,
    },
    /// The run came to an end, at its target or before it.
    Ended {
        /// The exit code.
        exit_code: u8,
        /// Why it ended before its target; `None` at the target.
        cause: Option<String>,
        /// The version rows; `None` where they could not be read.
        heads: Option<Heads>,
    },
    /// What follows is done for this database, which is not known to be that of the run, because the operator said
    /// so with `--other-database`.
    OtherDatabase(Box<DatabaseReference>),
    /// The operator gave it up.
    Abandoned {
        /// Who did.
        by: Operator,
    },
}

/// The first entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's id, which is also the name of its directory.
    pub run: String,
    /// Which database, so that the same one is known again.
    pub database_key: String,
    /// Which database, for people.
    pub database: String,
    /// The target as typed.
    pub target: String,
    /// The revisions that are to go, in order.
    pub removes: Vec<String>,
    /// The arguments of the engine, in the same order.
    pub arguments: Vec<String>,
    /// Who began it.
    pub by: Operator,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// This program's version.
    pub tool: String,
    /// The engine and its version, for people.
    pub engine: String,
    /// The version rows at the start.
    pub heads: Heads,
    /// The schema at the start, whole; empty where it could not be read.
    pub schema: SchemaLines,
    /// The server and its version; this and what follows is `None` or empty in records of before they
    /// were written down.
    #[serde(default)]
    pub server: Option<String>,
    /// Where, for what incident and with whose consent.
    #[serde(default)]
    pub circumstances: RunContext,
    /// What the policy said.
    #[serde(default)]
    pub ruling: Option<PolicyDecision>,
    /// What was known of each step.
    #[serde(default)]
    pub steps: Vec<Planned>,
    /// What was announced to be lost, in one sentence; `None` where nothing was.
    #[serde(default)]
    pub losses: Option<String>,
    /// The codes of findings that were consented to.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// The rows of the tables at the start.
    #[serde(default)]
    pub rows: BTreeMap<String, RecordedRows>,
    /// The version rows at the target; `None` in records of before it was written down.
    #[serde(default)]
    pub aim: Option<Heads>,
    /// The messages of the revisions at the start and at the target.
    #[serde(default)]
    pub messages: BTreeMap<String, String>,
    /// The options that say which project is meant, for the commands that are suggested later.
    #[serde(default)]
    pub project: Vec<String>,
    /// The command whose failure it answers; `None` where nobody's did.
    #[serde(default)]
    pub guarded: Option<Guarded>,
    /// What the database said about its identity; `None` in records of before it was written down.
    #[serde(default)]
    pub identity: Option<DatabaseIdentity>,
    /// Its place in the order in which runs and backups were begun, from 1, whatever the clock says. The store
    /// sets it; older programs wrote none.
    #[serde(default)]
    pub number: Option<u64>,
}

impl Begun {
    /// The database that it began on.
    pub fn database_reference(&self) -> DatabaseReference {
        DatabaseReference {
            key: self.database_key.clone(),
            name: self.database.clone(),
            identity: self.identity.clone(),
        }
    }
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRows {
    /// The number.
    pub rows: u64,
    /// Whether they were counted. Else it is the server's estimate.
    pub exact: bool,
}

/// What was known of a step before it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The revision that is to go.
    pub removes: String,
    /// Its message.
    pub message: String,
    /// The command line of the engine.
    pub command: Vec<String>,
    /// Its findings.
    pub findings: Vec<RecordedFinding>,
}

/// A finding, as it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFinding {
    /// Its code, as text: another version may have other codes.
    pub code: String,
    /// Its level.
    pub level: Level,
    /// Its sentence.
    pub sentence: String,
}

/// A check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What was looked at: `version table`, `schema`, `rows`, `faults`, or the name of a check of the
    /// project.
    pub name: String,
    /// What is wrong, a sentence; `None` where nothing is.
    pub fault: Option<String>,
}

impl Checked {
    /// A check and what it found.
    pub fn new(name: impl Into<String>, fault: Option<String>) -> Self {
        Self {
            name: name.into(),
            fault,
        }
    }
}

/// Where a run ended before its target, without passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The step, from 0 in the whole run.
    pub step: usize,
    /// Its revision.
    pub revision: String,
    /// Why, in one sentence.
    pub cause: String,
    /// What the database shows, in one sentence.
    pub position: String,
    /// What the step did or would have done beyond its plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unannounced: Vec<Surprise>,
    /// The line of the engine's output that tells why.
    pub reason: Option<String>,
    /// What that means and what to do.
    pub diagnosis: Option<Diagnosis>,
    /// The commands to type next.
    pub next: Vec<String>,
    /// What the engine printed on stdout.
    pub stdout: String,
    /// What the engine printed on stderr.
    pub stderr: String,
}

/// A run as its journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How it began.
    pub begun: Begun,
    /// When.
    pub since: String,
    /// How many of its steps are done.
    pub done: usize,
    /// The step that was begun and of which no end is recorded.
    pub in_flight: Option<usize>,
    /// What is known of the rows that the step in flight left.
    pub remains: Remains,
    /// The rows that the evidence counts, as of the last entry of this part of the run.
    counted: BTreeMap<String, u64>,
    /// The statement that was recorded last of the step under way.
    pub statement: Option<Statement>,
    /// The version rows as last recorded.
    pub heads: Heads,
    /// The schema as last recorded; `None` where a step was recorded without its difference, or in
    /// another form.
    pub schema: Option<SchemaLines>,
    /// Whether the schema is `None` because another version wrote it, in another form.
    pub other_form: bool,
    /// How it ended, if it did.
    pub end: Option<End>,
    /// Whether its steps are all to be done or none, as far as they are left.
    pub as_a_whole: bool,
    /// The whole that was begun last, unless it was rolled back.
    pub whole: Option<AtomicRun>,
    /// The backups that were made for it, in order.
    pub backups: Vec<RunBackup>,
    /// The database that it is about, as last recorded.
    pub database: DatabaseReference,
    /// What was measured of steps beyond their plans, by revision.
    pub unannounced: BTreeMap<String, Vec<Surprise>>,
    /// Whether a step was begun of which it is not proven that nothing is left.
    touched: bool,
}

/// What is known of the rows that a step in flight left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remains {
    /// The run ended at the step, and it was proven then that the step left nothing.
    Nothing,
    /// It is for a look at the database to prove, by what was noted before the step.
    Unproven(Option<RowEvidence>),
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// At its target.
    Target,
    /// Before it, with this exit code.
    Early(u8),
    /// Given up.
    Abandoned,
    /// The database was put back to what it was before the run.
    Restored,
}

impl Entry {
    /// Whether a run whose record has this as its last entry is over for good, whatever stands before.
    pub fn settles(&self) -> bool {
        matches!(
            self,
            Self::Ended { exit_code: 0, .. } | Self::Abandoned { .. }
        )
    }
}

impl Run {
    /// Puts a journal together. `None` where it does not begin with [`Entry::Begun`] of this
    /// [`VERSION`]. A last line cut off by a crash is for the reader of the file to leave out.
    pub fn read(lines: impl IntoIterator<Item = Line>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let Line {
            version: VERSION,
            at: since,
            form,
            entry: Entry::Begun(begun),
        } = lines.next()?
        else {
            return None;
        };
        let mut run = Self {
            since,
            done: 0,
            in_flight: None,
            remains: Remains::Unproven(None),
            counted: BTreeMap::new(),
            statement: None,
            heads: begun.heads.clone(),
            schema: None,
            other_form: false,
            end: None,
            as_a_whole: false,
            whole: None,
            backups: Vec::new(),
            unannounced: BTreeMap::new(),
            touched: false,
            database: begun.database_reference(),
            begun: *begun,
        };
        let schema = run.begun.schema.clone();
        run.stands_with((!schema.is_empty()).then_some(schema), form);
        for line in lines {
            run.take(line.entry, line.form);
        }
        Some(run)
    }

    /// Lines of two forms differ without a difference of the schema.
    fn stands_with(&mut self, schema: Option<SchemaLines>, form: u32) {
        self.other_form = schema.is_some() && form != FORM;
        self.schema = schema.filter(|_| form == FORM);
    }

    fn take(&mut self, entry: Entry, form: u32) {
        match entry {
            Entry::Begun(_)
            | Entry::EngineEnded { .. }
            | Entry::Checked { .. }
            | Entry::Counted { .. } => {}
            Entry::Stopped(stopped) => {
                self.unannounced
                    .insert(stopped.revision, stopped.unannounced);
            }
            Entry::BackedUp { manifest, before } => self.backed_up(*manifest, before),
            Entry::Restored { backup, heads, .. } => self.restored(&backup, heads),
            Entry::OtherDatabase(database) => self.database = *database,
            Entry::Resumed { .. } => {
                self.end = None;
                self.counted.clear();
            }
            Entry::Intent { step, evidence, .. } => {
                // Gone on with, it is the same one.
                if self.in_flight != Some(step) {
                    self.statement = None;
                }
                self.in_flight = Some(step);
                self.touched = true;
                self.remains =
                    Remains::Unproven(evidence.map(|evidence| evidence.with(&mut self.counted)));
            }
            Entry::Statement { statement, .. } => self.statement = Some(statement),
            Entry::InTheMiddle { schema, .. } => self.stands_with(Some(schema), form),
            Entry::Done {
                step,
                heads,
                difference,
                ..
            } => {
                self.done = step + 1;
                self.in_flight = None;
                self.heads = heads;
                match (self.schema.take(), difference) {
                    (Some(schema), Some(difference)) => {
                        self.stands_with(Some(difference.applied_to(schema)), form);
                    }
                    (_, difference) => self.other_form &= difference.is_some(),
                }
            }
            Entry::Whole { copy } => {
                self.as_a_whole = true;
                self.whole = Some(AtomicRun {
                    done: self.done,
                    heads: self.heads.clone(),
                    schema: self.schema.clone(),
                    copy,
                    committing: None,
                });
            }
            Entry::Committing { steps } => {
                if let Some(whole) = &mut self.whole {
                    whole.committing = Some(steps);
                }
            }
            Entry::TakenBack => {
                if let Some(whole) = self.whole.take() {
                    self.done = whole.done;
                    self.touched = whole.done > 0;
                    self.in_flight = None;
                    self.heads = whole.heads;
                    self.schema = whole.schema;
                }
            }
            Entry::Accepted { heads, schema } => {
                self.whole = None;
                self.in_flight = None;
                self.heads = heads;
                self.stands_with(Some(schema), form);
            }
            // What was put back stays so, whatever code the run then ends with.
            Entry::Ended { .. } if self.end == Some(End::Restored) => {}
            // What `guard` does comes to its target and ends with the failure of the command anyway.
            Entry::Ended {
                exit_code, cause, ..
            } if exit_code == 0 || (self.begun.guarded.is_some() && cause.is_none()) => {
                self.end = Some(End::Target);
            }
            Entry::Ended { exit_code, .. } => {
                self.end = Some(End::Early(exit_code));
                if self.ended_cleanly() {
                    self.remains = Remains::Nothing;
                }
            }
            Entry::Abandoned { .. } => self.end = Some(End::Abandoned),
        }
    }

    /// Whether it neither reached its target nor was given up.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.end, Some(End::Target | End::Abandoned | End::Restored))
    }

    /// Whether its end left the database at a revision boundary, verified (exit codes 4 and 130).
    pub fn ended_cleanly(&self) -> bool {
        matches!(self.end, Some(End::Early(4 | 130)))
    }

    /// The revision of the step that was in flight.
    pub fn in_flight_revision(&self) -> Option<&str> {
        self.begun.removes.get(self.in_flight?).map(String::as_str)
    }

    /// The revisions that are still to go, where what is applied is the end of what was planned;
    /// `None` where it is not.
    pub fn remaining(&self, applied: &Heads) -> Option<&[String]> {
        let is_applied = |id: &String| applied.contains(&RevisionId::new(id.clone()));
        let gone = self
            .begun
            .removes
            .iter()
            .take_while(|id| !is_applied(id))
            .count();
        let remaining = &self.begun.removes[gone..];
        remaining.iter().all(is_applied).then_some(remaining)
    }
}

/// Seconds to the millisecond.
pub fn seconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
