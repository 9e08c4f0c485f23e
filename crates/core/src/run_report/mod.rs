//! The account of one run, read off its journal: what report.json, report.md, `history` and `show` say.
//!
//! The journal is the only truth. Whatever is told of a run is a function of its lines, so that a run which
//! crashed has an account as well, and an old one can be told again.

mod builder;
pub mod markdown;
pub mod sections;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::backup::Verified;
use super::guard::Guarded;
use super::journal::{BackupMoment, RecordedFinding, RecordedRows, RunBackup, Stopped};
use super::lock::Operator;
use super::names::TOLD;
use super::policy::PolicyDecision;
use super::policy::checklist::ChecklistItem;
use super::revision::RevisionId;
use super::schema::Difference;
use crate::engine::SQL_FILES;

/// The version of the format of report.json; it goes up when a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// One run, from its beginning to the last line of its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// What became of it.
    pub status: RunStatus,
    /// The same in one sentence.
    pub result: String,
    /// The exit code of the last part of it; `None` where it has no end.
    pub exit_code: Option<u8>,
    /// When it began, RFC 3339 in UTC, as all times here.
    pub began: String,
    /// When it ended; `None` where it did not.
    pub ended: Option<String>,
    /// Seconds from its beginning to its end, pauses included.
    pub seconds: Option<f64>,
    /// Who began it.
    pub executed_by: Operator,
    /// This program's version.
    pub tool: String,
    /// The engine and its version.
    pub engine: String,
    /// Which database, for people.
    pub database: String,
    /// The server and its version.
    pub server: Option<String>,
    /// The target as typed.
    pub target: String,
    /// The command under guard whose failure it answers; `None` where there was none.
    #[serde(default)]
    pub guarded: Option<Guarded>,
    /// The version rows at the beginning.
    pub from: Vec<Named>,
    /// The version rows at the target; `None` where no record has them.
    pub to: Option<Vec<Named>>,
    /// The version rows as last recorded.
    pub stands_at: Vec<Named>,
    /// Why it was rolled back.
    pub reason: Option<String>,
    /// The record of the incident.
    pub incident: Option<String>,
    /// Who else agreed.
    pub approved_by: Option<String>,
    /// Where this was: `production`.
    pub environment: Option<String>,
    /// When the release went out.
    pub deployed_at: Option<String>,
    /// What was announced to be lost; `None` where nothing was.
    pub losses: Option<String>,
    /// The codes of findings that were consented to.
    pub allowed: Vec<String>,
    /// What the policy said; `None` where there was none.
    pub ruling: Option<PolicyDecision>,
    /// The backup to go back to: the one from before the command under guard or before the first step; without
    /// one, the one from before a resume.
    pub backup: Option<Backup>,
    /// Whether its steps were to be all done or none.
    pub atomic: bool,
    /// The steps, in order.
    pub steps: Vec<ReportStep>,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// The tables and their rows.
    pub data: Data,
    /// Each end before the target.
    pub stops: Vec<ReportStop>,
    /// What happened to it besides its steps.
    pub events: Vec<Event>,
    /// What is to be done around a rollback, and what of it was.
    pub checklist: Vec<ChecklistItem>,
    /// What to do next.
    pub next: Vec<String>,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It reached its target.
    Done,
    /// A step failed or did not verify.
    Failed,
    /// The operator ended it at a revision.
    Interrupted,
    /// Its journal has no end: it is under way, or it crashed.
    Unfinished,
    /// The operator gave it up.
    Abandoned,
    /// The database was put back from a backup.
    Restored,
}

/// A revision and its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The id.
    pub revision: RevisionId,
    /// The message, where it is known.
    pub message: Option<String>,
}

/// A backup, as a report tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// When it was begun.
    pub at: String,
    /// The name of the file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// The program that wrote it.
    pub client: Option<String>,
    /// Seconds it took to write and to verify.
    pub seconds: f64,
    /// How far it is proven.
    pub verified: Verified,
    /// The command that brings it back.
    pub restore: String,
    /// What it was made before; the run in reports of before that was written down.
    #[serde(default = "before_the_run")]
    pub before: BackupMoment,
}

fn before_the_run() -> BackupMoment {
    BackupMoment::Run
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It was not begun.
    NotRun,
    /// It was begun, and no end of it is recorded.
    UnderWay,
    /// It is done and verified.
    Done,
    /// The run ended in it.
    Failed,
    /// It was done or begun, and was rolled back.
    TakenBack,
    /// The operator accepted the database after it had been begun.
    Accepted,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportStep {
    /// Which, from 1.
    pub step: usize,
    /// The revision that was to go.
    pub removes: RevisionId,
    /// Its message, where it is known.
    pub message: Option<String>,
    /// The command line of the engine, or only its argument in old records.
    pub command: String,
    /// What was predicted of it.
    pub findings: Vec<RecordedFinding>,
    /// What became of it.
    pub state: StepState,
    /// How often it was begun.
    pub attempts: usize,
    /// When it was begun last; `None` where that is not recorded.
    pub started: Option<String>,
    /// Seconds it took; `None` where it did not come to its end, or nobody saw how long it took.
    pub seconds: Option<f64>,
    /// The version rows after it.
    pub heads: Option<Vec<RevisionId>>,
    /// What it did to the schema; `None` where that was not looked at.
    pub difference: Option<Difference>,
}

/// When a check was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the first step.
    Before,
    /// After a step.
    AfterStep,
    /// After the last one.
    After,
}

/// A check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// When.
    pub moment: Moment,
    /// After which step, from 1.
    pub step: Option<usize>,
    /// What was looked at.
    pub name: String,
    /// What is wrong; `None` where nothing is.
    pub fault: Option<String>,
}

/// The data before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// How many tables there were, the version table among them; `None` where nobody looked.
    pub tables: Option<usize>,
    /// Whether rows were counted at the end as well.
    pub counted_after: bool,
    /// Each table that was counted.
    pub rows: Vec<ReportTable>,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTable {
    /// Its name.
    pub table: String,
    /// Its rows at the beginning.
    pub before: Option<RecordedRows>,
    /// Its rows at the end.
    pub after: Option<RecordedRows>,
    /// By how much they changed; `None` where one of the two is not known or estimated.
    pub change: Option<i64>,
    /// Whether the table is not there any more.
    pub gone: bool,
    /// Whether a step changed its schema.
    pub touched: bool,
}

/// An end before the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStop {
    /// When.
    pub at: String,
    /// Where and why.
    #[serde(flatten)]
    pub stopped: Stopped,
}

/// What else happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: String,
    /// What: `backed_up`, `resumed`, `accepted`, `taken_back`, `abandoned`, `restored`.
    pub event: String,
    /// The same in one sentence.
    pub sentence: String,
    /// Who did it, where that is recorded.
    pub by: Option<Operator>,
}

impl RunReport {
    /// How many rows are told one by one: where each migration has one, the newest says enough.
    pub fn rows_told(&self) -> usize {
        if self.engine == SQL_FILES { 1 } else { TOLD }
    }

    /// `ada@db1`.
    pub fn who(&self) -> String {
        format!("{}@{}", self.executed_by.user, self.executed_by.host)
    }

    /// How many steps are done.
    pub fn done(&self) -> usize {
        let done = |step: &&ReportStep| step.state == StepState::Done;
        self.steps.iter().filter(done).count()
    }
}

impl RunStatus {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Unfinished => "unfinished",
            Self::Abandoned => "abandoned",
            Self::Restored => "restored",
        }
    }
}

impl Backup {
    fn of(backup: &RunBackup, restore: String) -> Self {
        let manifest = &backup.manifest;
        Self {
            id: manifest.id.clone(),
            at: manifest.at.clone(),
            file: manifest.file.clone(),
            bytes: manifest.bytes,
            sha256: manifest.sha256.clone(),
            client: manifest.client.clone(),
            seconds: manifest.seconds,
            verified: manifest.verified,
            restore,
            before: backup.before,
        }
    }
}

/// By how much the rows of a table changed; nothing where either number is an estimate.
fn change(before: Option<RecordedRows>, after: Option<RecordedRows>) -> Option<i64> {
    let exact = |rows: Option<RecordedRows>| match rows {
        Some(rows) if !rows.exact => None,
        rows => i64::try_from(rows.map_or(0, |rows| rows.rows)).ok(),
    };
    Some(exact(after)? - exact(before)?)
}

/// The messages of revisions, by id.
type Messages<'a> = BTreeMap<&'a str, &'a str>;

#[cfg(test)]
mod tests;
