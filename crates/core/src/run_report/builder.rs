//! Reads the account off the lines of a journal.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::{
    Backup, Check, Data, Event, Messages, Moment, Named, ReportStep, ReportStop, ReportTable,
    RunReport, RunStatus, StepState, VERSION, change,
};
use crate::checks::touches;
use crate::command::Command;
use crate::figures::count;
use crate::journal::{Begun, End, Entry, Line, RecordedRows, Run, Stopped, to_go_back};
use crate::lock::Operator;
use crate::outcome::Cause;
use crate::policy::checklist::checklist;
use crate::policy::{PolicyDecision, RunContext};
use crate::revision::{Heads, RevisionId};
use crate::schema::Difference;
use crate::{names, time};

impl RunReport {
    /// The account of the run that a journal tells of; `None` where the lines are no journal.
    pub fn of(lines: &[Line]) -> Option<Self> {
        let run = Run::read(lines.iter().cloned())?;
        let mut telling = ReportBuilder::new(&run);
        for line in lines {
            telling.take(line);
        }
        Some(telling.document(lines))
    }
}

/// An account while it is put together.
struct ReportBuilder<'a> {
    run: &'a Run,
    steps: Vec<ReportStep>,
    checks: Vec<Check>,
    counted: Option<Vec<(String, RecordedRows)>>,
    stops: Vec<ReportStop>,
    events: Vec<Event>,
    exit_code: Option<u8>,
    ended: Option<String>,
    cause: Option<String>,
    /// Whether a step was begun in this part of the run.
    under_way: bool,
    /// What the policy said last.
    ruling: Option<PolicyDecision>,
}

impl<'a> ReportBuilder<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            run,
            steps: planned(&run.begun),
            checks: Vec::new(),
            counted: None,
            stops: Vec::new(),
            events: Vec::new(),
            exit_code: None,
            ended: None,
            cause: None,
            under_way: false,
            ruling: run.begun.ruling.clone(),
        }
    }

    fn take(&mut self, line: &Line) {
        match &line.entry {
            Entry::Begun(_)
            | Entry::EngineEnded { .. }
            | Entry::Statement { .. }
            | Entry::InTheMiddle { .. }
            | Entry::Whole { .. }
            | Entry::Committing { .. } => {}
            Entry::Resumed {
                by,
                circumstances,
                ruling,
            } => {
                let said = circumstances
                    .as_ref()
                    .filter(|said| **said != self.run.begun.circumstances);
                let sentence = format!(
                    "it was gone on with{}",
                    said.map_or_else(String::new, told_anew)
                );
                self.event(line, "resumed", sentence, Some(by));
                if ruling.is_some() {
                    self.ruling.clone_from(ruling);
                }
                self.exit_code = None;
                self.ended = None;
                self.cause = None;
                self.counted = None;
                self.under_way = false;
            }
            Entry::Intent { step, .. } => {
                self.under_way = true;
                // Of a whole the intents of all but the first are written down when it is over.
                let begun = self.run.whole.is_none() || *step == self.first_of_whole();
                if let Some(told) = self.steps.get_mut(*step) {
                    told.state = StepState::UnderWay;
                    told.attempts += 1;
                    told.started = begun.then(|| line.at.clone());
                }
            }
            Entry::Done {
                step,
                heads,
                difference,
                seconds,
                ..
            } => {
                if let Some(told) = self.steps.get_mut(*step) {
                    told.state = StepState::Done;
                    told.heads = Some(heads.iter().cloned().collect());
                    told.difference.clone_from(difference);
                    // Zero is what is written where the step was seen to be done afterwards.
                    told.seconds = Some(*seconds).filter(|seconds| *seconds > 0.0);
                }
            }
            Entry::TakenBack => {
                self.event(
                    line,
                    "taken_back",
                    "all that was done of it was taken back".to_owned(),
                    None,
                );
                let begun =
                    |step: &&mut ReportStep| step.attempts > 0 && step.state != StepState::Done;
                for step in self.steps.iter_mut().filter(begun) {
                    step.state = StepState::TakenBack;
                }
            }
            Entry::Accepted { heads, .. } => {
                let sentence = format!("the state at {} was vouched for", names::heads(heads));
                self.event(line, "accepted", sentence, None);
                for step in &mut self.steps {
                    if matches!(step.state, StepState::UnderWay | StepState::Failed) {
                        step.state = StepState::Accepted;
                    }
                }
            }
            Entry::BackedUp { manifest, .. } => {
                let mut backups = self.run.backups.iter();
                let made = backups.find(|made| made.manifest.id == manifest.id);
                let before = made.map_or("", |made| made.before.phrase());
                let sentence = format!("the backup {} was made {before}", manifest.id);
                self.event(line, "backed_up", sentence, Some(&manifest.by));
            }
            Entry::Checked { step, checks } => {
                let moment = match step {
                    Some(_) => Moment::AfterStep,
                    None if self.under_way => Moment::After,
                    None => Moment::Before,
                };
                self.checks.extend(checks.iter().map(|check| Check {
                    moment,
                    step: step.map(|step| step + 1),
                    name: check.name.clone(),
                    fault: check.fault.clone(),
                }));
            }
            Entry::Counted { rows } => {
                let rows = rows.iter().map(|(table, rows)| (table.clone(), *rows));
                self.counted = Some(rows.collect());
            }
            Entry::Stopped(stopped) => self.stopped(&line.at, stopped),
            Entry::Restored {
                backup, by, heads, ..
            } => {
                let sentence = format!(
                    "the database was put back to {} from the backup {backup}",
                    names::heads(heads)
                );
                self.event(line, "restored", sentence, Some(by));
                let done = self.run.done_before(backup).unwrap_or_default();
                for step in self.steps.iter_mut().skip(done) {
                    if step.state != StepState::NotRun {
                        step.state = StepState::TakenBack;
                    }
                }
                self.ended = Some(line.at.clone());
                // What was counted before is not what is there now.
                self.counted = None;
            }
            Entry::Ended {
                exit_code, cause, ..
            } => {
                self.exit_code = Some(*exit_code);
                self.ended = Some(line.at.clone());
                self.cause.clone_from(cause);
                // Records of before ends were told of: the step that was under way is where it ended.
                if cause.is_some() {
                    for step in &mut self.steps {
                        if step.state == StepState::UnderWay {
                            step.state = StepState::Failed;
                        }
                    }
                }
            }
            Entry::OtherDatabase(database) => {
                let sentence = format!("--other-database: from here on for {}", database.name);
                self.event(line, "other_database", sentence, None);
            }
            Entry::Abandoned { by } => {
                self.event(line, "abandoned", "it was given up".to_owned(), Some(by));
                self.ended = Some(line.at.clone());
            }
        }
    }

    fn stopped(&mut self, at: &str, stopped: &Stopped) {
        let begun = stopped.cause != Cause::Interrupted.to_string();
        for (index, step) in self.steps.iter_mut().enumerate() {
            match (index.cmp(&stopped.step), step.state) {
                (Ordering::Equal, StepState::UnderWay) => step.state = StepState::Failed,
                // Of a whole only the first step has an intent before all are done.
                (Ordering::Equal, StepState::NotRun | StepState::TakenBack)
                    if begun && self.run.as_a_whole =>
                {
                    step.state = StepState::Failed;
                }
                (Ordering::Less, StepState::NotRun | StepState::UnderWay)
                    if self.run.as_a_whole =>
                {
                    step.state = StepState::TakenBack;
                }
                _ => {}
            }
        }
        self.stops.push(ReportStop {
            at: at.to_owned(),
            stopped: stopped.clone(),
        });
    }

    fn event(&mut self, line: &Line, event: &str, sentence: String, by: Option<&Operator>) {
        self.events.push(Event {
            at: line.at.clone(),
            event: event.to_owned(),
            sentence,
            by: by.cloned(),
        });
    }

    fn first_of_whole(&self) -> usize {
        self.run.whole.as_ref().map_or(0, |whole| whole.done)
    }

    fn status(&self) -> RunStatus {
        match self.run.end {
            None => RunStatus::Unfinished,
            Some(End::Target) => RunStatus::Done,
            Some(End::Early(130)) => RunStatus::Interrupted,
            Some(End::Early(_)) => RunStatus::Failed,
            Some(End::Abandoned) => RunStatus::Abandoned,
            Some(End::Restored) => RunStatus::Restored,
        }
    }

    fn result(&self, status: RunStatus) -> String {
        let of = self.steps.len();
        let is_done = |step: &&ReportStep| step.state == StepState::Done;
        let done = self.steps.iter().filter(is_done).count();
        let revisions = count(of, "revision");
        let before = if let Some(ReportStop { stopped, .. }) = self.stops.last() {
            let Stopped {
                step,
                revision,
                cause,
                ..
            } = stopped;
            format!("step {} of {of}, {revision}: {cause}", step + 1)
        } else {
            let cause = self.cause.as_deref().unwrap_or("before its target");
            let is_failed = |step: &&ReportStep| step.state == StepState::Failed;
            match self.steps.iter().find(is_failed) {
                Some(step) => format!("step {} of {of}, {}: {cause}", step.step, step.removes),
                None => format!("a boundary: {cause}"),
            }
        };
        match status {
            RunStatus::Done => match (&self.run.begun.guarded, of) {
                (Some(guarded), 0) => format!(
                    "the command ended {}, and had applied nothing",
                    guarded.how()
                ),
                (Some(guarded), _) => format!(
                    "the command ended {}, rolled back {revisions}",
                    guarded.how()
                ),
                (None, _) => format!("rolled back {revisions}"),
            },
            RunStatus::Failed => format!("failed at {before}"),
            RunStatus::Interrupted => format!("interrupted at {before}"),
            RunStatus::Unfinished => match (self.run.in_flight, self.run.in_flight_revision()) {
                (Some(step), Some(revision)) => format!(
                    "no end is recorded: step {} of {of}, {revision}, is under way or was broken off",
                    step + 1
                ),
                _ => format!("no end is recorded: {done} of {revisions} rolled back so far"),
            },
            RunStatus::Abandoned => format!("given up after {done} of {revisions}"),
            RunStatus::Restored => "the database was put back from a backup".to_owned(),
        }
    }

    /// The commands of records that do not have them.
    fn next(&self, status: RunStatus) -> Vec<String> {
        let command = |words: &[&str]| command(&self.run.begun, words);
        if matches!(status, RunStatus::Failed | RunStatus::Interrupted)
            && let Some(stop) = self.stops.last()
        {
            return stop.stopped.next.clone();
        }
        match status {
            RunStatus::Unfinished | RunStatus::Failed | RunStatus::Interrupted => vec![
                format!("have it examined and go on: {}", command(&["resume"])),
                format!("or leave it here: {}", command(&["abandon"])),
            ],
            RunStatus::Done | RunStatus::Abandoned | RunStatus::Restored => vec![format!(
                "see where the database stands: {}",
                command(&["current"])
            )],
        }
    }

    fn document(mut self, lines: &[Line]) -> RunReport {
        let begun = &self.run.begun;
        let messages = messages(begun);
        let named = |heads: &Heads| named(heads, &messages);
        let status = self.status();
        let said = &begun.circumstances;
        let result = self.result(status);
        let next = self.next(status);
        let data = self.data();
        let since = &self.run.since;
        let seconds = self.ended.as_deref().and_then(|end| between(since, end));
        let restore = |id: &str| command(begun, &["restore", id]).to_string();
        let backup = to_go_back(&self.run.backups);
        RunReport {
            version: VERSION,
            run: begun.run.clone(),
            status,
            result,
            exit_code: self.exit_code,
            began: since.clone(),
            ended: self.ended.take(),
            seconds,
            executed_by: begun.by.clone(),
            tool: begun.tool.clone(),
            engine: begun.engine.clone(),
            database: begun.database.clone(),
            server: begun.server.clone(),
            target: begun.target.clone(),
            guarded: begun.guarded.clone(),
            from: named(&begun.heads),
            to: begun.aim.as_ref().map(named),
            stands_at: named(&self.run.heads),
            reason: begun.reason.clone().or_else(|| said.reason.clone()),
            incident: said.incident.clone(),
            approved_by: said.approved_by.clone(),
            environment: said.environment.clone(),
            deployed_at: said.deployed_at.clone(),
            losses: begun.losses.clone(),
            allowed: begun.allowed.clone(),
            ruling: self.ruling.clone(),
            backup: backup.map(|backup| Backup::of(backup, restore(&backup.manifest.id))),
            atomic: self.run.as_a_whole,
            steps: self.steps,
            checks: self.checks,
            data,
            stops: self.stops,
            events: self.events,
            checklist: checklist(lines),
            next,
        }
    }

    fn data(&self) -> Data {
        let begun = &self.run.begun;
        let is_table = |line: &&String| line.starts_with("table ");
        let tables = begun.schema.iter().filter(is_table).count();
        let after = self.counted.as_deref().unwrap_or_default();
        let names: BTreeSet<&String> = begun
            .rows
            .keys()
            .chain(after.iter().map(|(table, _)| table))
            .collect();
        let whole = self.difference();
        let rows = names.into_iter().map(|name| {
            let before = begun.rows.get(name).copied();
            let after = after.iter().find(|(table, _)| table == name);
            let after = after.map(|(_, rows)| *rows);
            // A table that could not be counted in time is no table that went.
            let gone = before.is_some() && after.is_none() && lost(&whole, name);
            let known = self.counted.is_some() && (after.is_some() || gone);
            ReportTable {
                table: name.clone(),
                before,
                after,
                change: known.then(|| change(before, after)).flatten(),
                gone,
                touched: touches(&whole, name),
            }
        });
        Data {
            tables: (!begun.schema.is_empty()).then_some(tables),
            counted_after: self.counted.is_some(),
            rows: rows.collect(),
        }
    }

    /// What all steps did to the schema.
    fn difference(&self) -> Difference {
        let schema = Some(&self.run.begun.schema).filter(|schema| !schema.is_empty());
        Difference::between(schema, self.run.schema.as_ref())
    }
}

/// Whether the line of the table itself is gone and no other has come for it.
fn lost(difference: &Difference, table: &str) -> bool {
    let is_of = |line: &String| {
        line.strip_prefix("table ")
            .and_then(|rest| rest.strip_prefix(table))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    difference.gone.iter().any(is_of) && !difference.new.iter().any(is_of)
}

fn planned(begun: &Begun) -> Vec<ReportStep> {
    let steps = begun.removes.iter().enumerate().map(|(index, removes)| {
        let known = begun.steps.get(index);
        let argument = begun.arguments.get(index);
        ReportStep {
            step: index + 1,
            removes: RevisionId::new(removes.clone()),
            message: known.map(|step| step.message.clone()),
            command: match known {
                Some(step) => joined(&step.command),
                None => argument.cloned().unwrap_or_default(),
            },
            findings: known.map(|step| step.findings.clone()).unwrap_or_default(),
            state: StepState::NotRun,
            attempts: 0,
            started: None,
            seconds: None,
            heads: None,
            difference: None,
        }
    });
    steps.collect()
}

fn messages(begun: &Begun) -> Messages<'_> {
    let steps = begun.steps.iter();
    let steps = steps.map(|step| (step.removes.as_str(), step.message.as_str()));
    let named = begun.messages.iter();
    named
        .map(|(id, message)| (id.as_str(), message.as_str()))
        .chain(steps)
        .collect()
}

fn named(heads: &Heads, messages: &Messages<'_>) -> Vec<Named> {
    let named = |id: &RevisionId| Named {
        revision: id.clone(),
        message: messages.get(id.as_str()).map(|text| (*text).to_owned()),
    };
    heads.iter().map(named).collect()
}

/// A command of this program on the project of the run.
fn command(begun: &Begun, words: &[&str]) -> Command {
    Command::of_words(&begun.project, words)
}

fn joined(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// Seconds between two moments, to the millisecond.
fn between(start: &str, end: &str) -> Option<f64> {
    let start = time::moment(start)?;
    let end = time::moment(end)?;
    Some(crate::journal::seconds(end.duration_since(start).ok()?))
}

/// What was said when a run was resumed, as the end of a sentence.
fn told_anew(said: &RunContext) -> String {
    let parts = [
        ("reason", &said.reason),
        ("incident", &said.incident),
        ("approved by", &said.approved_by),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", value.as_ref()?)))
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        parts => format!("; {}", parts.join("; ")),
    }
}
