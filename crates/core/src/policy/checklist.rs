//! The checklist of a rollback, filled in from what its journal shows was really done.
//!
//! What no entry proves stays open, so that a person reads what is left to do. A word of the operator, such
//! as who approved, is told as a word.

use serde::{Deserialize, Serialize};

use crate::backup::Verified;
use crate::figures::{bytes, count};
use crate::finding_code::Level;
use crate::journal::{
    BackupMoment, Begun, Checked, End, Entry, Line, Run, RunBackup, Stopped, to_go_back,
};
use crate::names::in_short;
use crate::revision::Heads;

/// When something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the first step.
    Before,
    /// While the steps run.
    During,
    /// When the run is over.
    After,
}

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecklistState {
    /// An entry shows that it was.
    Done,
    /// An entry shows that it went wrong.
    Failed,
    /// Nothing shows that it was: it is left for a person.
    Open,
}

/// One thing of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// When.
    pub phase: Phase,
    /// What is to be done, as an order: `Back the database up`.
    pub sentence: String,
    /// Whether it was.
    pub state: ChecklistState,
    /// What shows it, or why it is open; without a full stop.
    pub evidence: String,
}

/// The names of the program's own checks; every other one is the project's.
const OWN_CHECKS: [&str; 4] = ["version table", "schema", "rows", "faults"];

/// The checklist of the run that a journal tells of, in the order in which things are to be done. Empty
/// where the lines are no journal.
pub fn checklist(lines: &[Line]) -> Vec<ChecklistItem> {
    let Some(run) = Run::read(lines.iter().cloned()) else {
        return Vec::new();
    };
    let seen = ChecklistFacts::of(lines);
    [before(&run, &seen), during(&run, &seen), after(&run, &seen)].concat()
}

/// What the entries say that a [`Run`] does not keep.
#[derive(Default)]
struct ChecklistFacts<'a> {
    /// The checks before the first step, after each, and at the end.
    before: Vec<&'a Checked>,
    steps: Vec<(usize, &'a Checked)>,
    after: Vec<&'a Checked>,
    /// How many tables were counted at the end.
    counted: Option<usize>,
    stopped: Option<&'a Stopped>,
    ended: Option<(u8, Option<&'a str>, Option<&'a Heads>)>,
    restored: Option<(&'a str, &'a Heads)>,
    accepted: bool,
    /// Steps that were recorded without a look at the schema.
    unseen: usize,
}

impl<'a> ChecklistFacts<'a> {
    fn of(lines: &'a [Line]) -> Self {
        let mut seen = Self::default();
        let mut under_way = false;
        for line in lines {
            match &line.entry {
                Entry::Intent { .. } => under_way = true,
                Entry::Checked {
                    step: Some(step),
                    checks,
                } => seen.steps.extend(checks.iter().map(|check| (*step, check))),
                Entry::Checked { step: None, checks } if under_way => seen.after.extend(checks),
                Entry::Checked { step: None, checks } => seen.before.extend(checks),
                Entry::Counted { rows } => seen.counted = Some(rows.len()),
                Entry::Done { difference, .. } => seen.unseen += usize::from(difference.is_none()),
                Entry::Stopped(stopped) => seen.stopped = Some(stopped),
                Entry::Ended {
                    exit_code,
                    cause,
                    heads,
                } => seen.ended = Some((*exit_code, cause.as_deref(), heads.as_ref())),
                Entry::Restored { backup, heads, .. } => seen.restored = Some((backup, heads)),
                Entry::Accepted { .. } => seen.accepted = true,
                // What ended a part of the run is over when it goes on, and the rows are other ones then.
                Entry::Resumed { .. } => {
                    seen.stopped = None;
                    seen.ended = None;
                    seen.counted = None;
                    seen.after.clear();
                    under_way = false;
                }
                _ => {}
            }
        }
        seen
    }
}

fn before(run: &Run, seen: &ChecklistFacts<'_>) -> Vec<ChecklistItem> {
    let begun = &run.begun;
    let said = &begun.circumstances;
    let item = |sentence, (state, evidence)| item(Phase::Before, sentence, state, evidence);
    let reason = begun.reason.as_ref().or(said.reason.as_ref());
    vec![
        item("Back the database up", backed_up(to_go_back(&run.backups))),
        item(
            "Check the current revision",
            (
                ChecklistState::Done,
                format!("the version table said {}", in_short(&begun.heads)),
            ),
        ),
        item(
            "Review the migration files",
            open(
                "what the program read in them is told here; that a person read them is not known",
            ),
        ),
        item("Assess what is lost", assessed(begun)),
        item(
            "Say why, and for which incident",
            match (reason, &said.incident) {
                (Some(reason), Some(incident)) => (
                    ChecklistState::Done,
                    format!("incident {incident}: {reason}"),
                ),
                (Some(reason), None) => (
                    ChecklistState::Open,
                    format!("no incident is named; the reason is: {reason}"),
                ),
                (None, Some(incident)) => (
                    ChecklistState::Open,
                    format!("no reason is given; the incident is {incident}"),
                ),
                (None, None) => open("neither was given"),
            },
        ),
        item("Notify the team", open("nobody can tell from here")),
        item(
            "Get approval",
            match &said.approved_by {
                Some(name) if super::is_same_person(name, &begun.by.user) => (
                    ChecklistState::Failed,
                    format!("{name} approved what the same person ran"),
                ),
                Some(name) => (
                    ChecklistState::Done,
                    format!("{} says that {name} approved", begun.by.user),
                ),
                None => open("nobody was named"),
            },
        ),
        item(
            "Keep to the policy",
            match &begun.ruling {
                None => open("no policy was asked"),
                Some(ruling) if ruling.points.is_empty() => open("no policy requires anything"),
                Some(ruling) => {
                    let missing: Vec<&str> = ruling
                        .missing()
                        .map(|point| point.sentence.as_str())
                        .collect();
                    let number = ruling.points.len();
                    if missing.is_empty() {
                        let points = count(number, "point");
                        (ChecklistState::Done, format!("{points} required, all met"))
                    } else {
                        (ChecklistState::Failed, missing.join("; "))
                    }
                }
            },
        ),
        item(
            "Make the project's checks before the first step",
            judged(&seen.before, "none was made"),
        ),
    ]
}

fn during(run: &Run, seen: &ChecklistFacts<'_>) -> Vec<ChecklistItem> {
    let item = |sentence, (state, evidence)| item(Phase::During, sentence, state, evidence);
    let all = run.begun.removes.len();
    let steps = format!("{} of {} done", run.done, count(all, "step"));
    let cause = seen
        .stopped
        .map(|stopped| stopped.cause.as_str())
        .or_else(|| seen.ended.and_then(|(_, cause, _)| cause));
    let ran = match (&run.end, cause) {
        (Some(End::Target), _) => (ChecklistState::Done, steps),
        (Some(End::Restored), _) => (
            ChecklistState::Failed,
            "the run was undone by a restore".to_owned(),
        ),
        (Some(End::Abandoned), _) => (
            ChecklistState::Failed,
            format!("{steps}, then it was given up"),
        ),
        (Some(End::Early(_)), Some(cause)) => (ChecklistState::Failed, format!("{steps}: {cause}")),
        (Some(End::Early(code)), None) => {
            (ChecklistState::Failed, format!("{steps}, exit code {code}"))
        }
        (None, _) => (
            ChecklistState::Open,
            format!("{steps}, and no end is recorded: the run goes on, or was killed"),
        ),
    };
    let errors = match (seen.stopped, &run.end) {
        (Some(stopped), _) => {
            let reason = stopped.reason.as_ref();
            let reason = reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            (
                ChecklistState::Failed,
                format!("step {}, {}{reason}", stopped.step + 1, stopped.revision),
            )
        }
        (None, Some(End::Target)) => (
            ChecklistState::Done,
            "each step was watched to its end, and none failed".to_owned(),
        ),
        (None, _) => match cause {
            Some(cause) => (ChecklistState::Failed, cause.to_owned()),
            None => open("no end of the run is recorded"),
        },
    };
    let faults = || {
        seen.steps
            .iter()
            .filter_map(|(step, check)| Some((step, check.fault.as_ref()?)))
    };
    let looked = if let Some((step, fault)) = faults().next() {
        (
            ChecklistState::Failed,
            format!("after step {}: {fault}", step + 1),
        )
    } else if run.done == 0 {
        open("no step is done")
    } else if seen.unseen > 0 {
        open("some steps were run with --no-validate")
    } else {
        (
            ChecklistState::Done,
            "version table and schema were read after each step".to_owned(),
        )
    };
    vec![
        item("Run the rollback, one revision at a time", ran),
        item("Watch for errors", errors),
        item("Look at the database after each step", looked),
    ]
}

fn after(run: &Run, seen: &ChecklistFacts<'_>) -> Vec<ChecklistItem> {
    let item = |sentence, (state, evidence)| item(Phase::After, sentence, state, evidence);
    let stands = match (seen.restored, seen.ended) {
        (Some((backup, heads)), _) => (
            ChecklistState::Done,
            format!(
                "the database was put back from backup {backup}; the version table says {}",
                in_short(heads)
            ),
        ),
        (None, Some((5, cause, heads))) => (
            ChecklistState::Failed,
            format!(
                "a person must look: {}; the version table {}",
                cause.unwrap_or("the run could not prove where it stands"),
                heads.map_or("could not be read".to_owned(), |heads| format!(
                    "says {}",
                    in_short(heads)
                )),
            ),
        ),
        (None, Some((_, _, Some(heads)))) => (
            ChecklistState::Done,
            format!("the version table says {}", in_short(heads)),
        ),
        (None, Some((_, _, None))) => open("the version table could not be read"),
        (None, None) => open("no end of the run is recorded"),
    };
    let own = |check: &&Checked| ["rows", "faults"].contains(&check.name.as_str());
    let integrity: Vec<&Checked> = seen
        .steps
        .iter()
        .map(|(_, check)| *check)
        .chain(seen.after.iter().copied())
        .filter(own)
        .collect();
    let (state, evidence) = judged(&integrity, "rows and faults were not looked at");
    let evidence = match seen.counted {
        Some(tables) if state == ChecklistState::Done => {
            format!(
                "{evidence}; the rows of {} were counted at the end",
                count(tables, "table")
            )
        }
        _ => evidence,
    };
    let tested: Vec<&Checked> = seen
        .after
        .iter()
        .copied()
        .filter(|check| !OWN_CHECKS.contains(&check.name.as_str()))
        .collect();
    let stands = if seen.accepted && run.end == Some(End::Target) {
        (
            stands.0,
            format!("{}; on the way a person vouched for it", stands.1),
        )
    } else {
        stands
    };
    vec![
        item("Verify where the database stands", stands),
        item("Check the integrity of the data", (state, evidence)),
        item(
            "Test the application",
            judged(&tested, "the project has no check that is made after a run"),
        ),
        item(
            "Watch the application's logs",
            open("nobody can tell from here"),
        ),
    ]
}

fn item(phase: Phase, sentence: &str, state: ChecklistState, evidence: String) -> ChecklistItem {
    ChecklistItem {
        phase,
        sentence: sentence.to_owned(),
        state,
        evidence,
    }
}

fn open(evidence: &str) -> (ChecklistState, String) {
    (ChecklistState::Open, evidence.to_owned())
}

fn backed_up(backup: Option<&RunBackup>) -> (ChecklistState, String) {
    let Some(RunBackup {
        manifest, before, ..
    }) = backup
    else {
        return open("this run made none");
    };
    let proof = match manifest.verified {
        Verified::Read => "read back whole",
        Verified::Restored => "restored beside the database and found the same",
    };
    let state = match before {
        BackupMoment::Command | BackupMoment::Run => ChecklistState::Done,
        BackupMoment::Resume => ChecklistState::Open,
    };
    (
        state,
        format!(
            "backup {}, made {}, {}, {proof}",
            manifest.id,
            before.phrase(),
            bytes(manifest.bytes)
        ),
    )
}

fn assessed(begun: &Begun) -> (ChecklistState, String) {
    let findings = || begun.steps.iter().flat_map(|step| &step.findings);
    let number = findings().count();
    // A step of which all is known has a finding. Where no step has one, no file could be read.
    if number == 0 {
        return open("nothing was foretold of the steps");
    }
    let unknown = findings()
        .filter(|finding| finding.level == Level::Unknown)
        .count();
    let losses = begun
        .losses
        .as_deref()
        .unwrap_or("loses nothing that is known");
    let sentence = format!("{}: {losses}", count(number, "finding"));
    if unknown == 0 {
        (ChecklistState::Done, sentence)
    } else {
        (
            ChecklistState::Open,
            format!("{sentence}; {unknown} cannot be judged"),
        )
    }
}

/// What checks came to.
fn judged(checks: &[&Checked], none: &str) -> (ChecklistState, String) {
    let faults: Vec<String> = checks
        .iter()
        .filter_map(|check| Some(format!("{}: {}", check.name, check.fault.as_ref()?)))
        .collect();
    if !faults.is_empty() {
        return (ChecklistState::Failed, faults.join("; "));
    }
    let mut names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return open(none);
    }
    (
        ChecklistState::Done,
        format!("passed: {}", names.join(", ")),
    )
}

#[cfg(test)]
mod tests;
