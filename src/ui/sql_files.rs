//! What is told of SQL files alone.

use std::fmt::Write as _;

use colored::Color;
use serde_json::{Value, json};

use super::findings::finding_tag;
use super::json::{Format, VERSION};
use super::list::revision_json;
use super::{Ui, Verbosity, count, insist};
use crate::error::Failure;
use migration_forecast::risk::plan_forecast::PlanForecast;
use migration_forecast::risk::verdict::most_telling;
use rollback_core::connection::Identity;
use rollback_core::finding::Finding;
use rollback_core::finding_code::Level;
use rollback_core::names::in_short;
use rollback_core::plan::{Plan, Step};
use rollback_core::revision::RevisionId;
use rollback_sql_files::file::{Form, MigrationFile};
use rollback_sql_files::history::{HistoryRecord, MigrationStatus, NEEDED, Removability};

/// The widest column of names: what is longer pushes its own line alone.
const WIDEST_NAME: usize = 44;

/// So much room has to be left for the reasons to stand in a column; else they stand under their line.
const ROOM_FOR_REASONS: usize = 30;

/// An applied migration, as `rollback list` and `rollback check` know it.
#[derive(Debug, Clone)]
pub struct RegisteredMigration<'a> {
    /// Its row.
    pub record: &'a HistoryRecord,
    /// Who pushed it, as Supabase's table says.
    pub pushed_by: Option<String>,
    /// Whether it can be taken down now.
    pub verdict: Removability,
    /// Its file, where it is there and could be read.
    pub file: Option<&'a MigrationFile>,
    /// Whether the file is another than the one that was registered.
    pub changed: bool,
    /// Of each dependent why it needs this, in their order: `declared`, `inferred: table projects`.
    pub reasons: Vec<String>,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

/// All applied migrations.
#[derive(Debug, Clone, Copy)]
pub struct Migrations<'a> {
    /// The database.
    pub database: Option<&'a Identity>,
    /// All of them, newest first: as they would go.
    pub plan: &'a Plan,
    /// What is known of each, in the same order.
    pub registered: &'a [RegisteredMigration<'a>],
    /// How many others have to go before each.
    pub needed_by: &'a [usize],
    /// What is predicted of each, if all before it have gone.
    pub forecast: &'a PlanForecast,
    /// How many were rolled back, and not applied since.
    pub rolled_back: usize,
    /// Those of them that are shown.
    pub gone: &'a [&'a HistoryRecord],
    /// How many applied ones are not shown.
    pub hidden: usize,
    /// What is odd: a stable code and a sentence.
    pub problems: &'a [(&'static str, String)],
}

impl RegisteredMigration<'_> {
    /// Why it cannot be taken down; `None` where it can.
    fn obstacle(&self) -> Option<String> {
        let Removability {
            can_rollback,
            reason,
            dependents,
        } = &self.verdict;
        if *can_rollback {
            return None;
        }
        Some(if reason == NEEDED {
            format!("{reason}: {}", in_short(dependents.iter().rev()))
        } else {
            reason.clone()
        })
    }

    /// Adds what is registered to the JSON of a revision.
    pub(super) fn json(&self, value: &mut Value) {
        let form = self.file.and_then(|file| file.rollback.as_ref());
        let form = form.map(|rollback| match rollback.form {
            Form::Plain => "plain",
            Form::Commented => "commented",
            Form::Companion => "companion",
            Form::Section => "section",
        });
        let dependents = self.verdict.dependents.iter().zip(&self.reasons);
        let dependents: Vec<Value> = dependents
            .map(|(id, why)| json!({ "revision": id, "why": why }))
            .collect();
        value["status"] = json!(self.record.status);
        value["can_rollback"] = self.verdict.can_rollback.into();
        value["blocking_reason"] =
            json!((!self.verdict.can_rollback).then_some(&self.verdict.reason));
        value["dependents"] = dependents.into();
        value["has_rollback"] = self.record.has_rollback().into();
        let (at, by) = (&self.record.applied_at, &self.record.applied_by);
        let (applied, registered) = if self.record.is_registration() {
            ((None, None), (at.as_ref(), by.as_ref()))
        } else {
            ((at.as_ref(), by.as_ref()), (None, None))
        };
        value["applied_at"] = json!(applied.0);
        value["applied_by"] = json!(applied.1.or(self.pushed_by.as_ref()));
        value["registered_at"] = json!(registered.0);
        value["registered_by"] = json!(registered.1);
        value["file_changed"] = self.changed.into();
        value["block"] = json!(form);
        value["notes"] = json!(self.notes);
    }
}

/// `2025-01-20 14:30` of an RFC 3339 moment.
fn minute(at: Option<&str>) -> String {
    let at = at.unwrap_or("-");
    match (at.get(..10), at.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => at.to_owned(),
    }
}

impl Ui {
    /// How a file differs from what was registered of it, on stderr, whatever the verbosity: a refusal rests on it.
    pub fn difference(&self, id: &RevisionId, difference: &str) {
        insist(&format!(
            "\n{}",
            self.err
                .bold(&format!("{id} was changed since it was registered:"))
        ));
        for line in difference.lines() {
            let line = match line.as_bytes().first() {
                Some(b'+') => self.err.with(line, Color::Green),
                Some(b'-') => self.err.with(line, Color::Red),
                _ => line.to_owned(),
            };
            insist(&format!("  {line}"));
        }
        if self.verbosity > Verbosity::Quiet {
            insist("");
        }
    }

    /// The answer of `rollback list` for SQL files.
    pub fn migrations(&self, migrations: Migrations<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&migrations_json(migrations)),
            Format::Human => self.data(&self.migrations_text(migrations)),
        }
    }

    fn migrations_text(&self, migrations: Migrations<'_>) -> String {
        let mut text = String::new();
        if let Some(database) = migrations.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        let names = migrations.registered.iter().map(|one| one.record);
        let names = names.chain(migrations.gone.iter().copied());
        let name = names.map(|record| record.id.as_str().chars().count());
        let name = name
            .max()
            .unwrap_or_default()
            .clamp("migration".len(), WIDEST_NAME);
        // What is known of most of them. The two words need the same room.
        let registrations = migrations.registered.iter();
        let registrations = registrations.filter(|one| one.record.is_registration());
        let moment = if registrations.count() * 2 >= migrations.registered.len() {
            "registered (UTC)"
        } else {
            "applied at (UTC)"
        };
        let taken = name + "  can  applied at (UTC)  sql  ".len();
        let beside = self
            .surroundings
            .width
            .is_none_or(|width| width >= taken + ROOM_FOR_REASONS);
        if migrations.registered.is_empty() && migrations.gone.is_empty() {
            let nothing = match migrations.hidden {
                0 => "nothing".to_owned(),
                _ => "nothing of what was asked for".to_owned(),
            };
            text.push_str(&self.labelled("Applied", &nothing));
        } else {
            let why = if beside { "  why" } else { "" };
            let head = format!("{:<name$}  can  {moment}  sql{why}", "migration");
            let _ = writeln!(text, "\n{}", self.out.bold(&head));
        }
        for (index, one) in migrations.registered.iter().enumerate() {
            let findings = findings(migrations.forecast, index);
            let (can, color) = if one.verdict.can_rollback {
                ("yes", Color::Green)
            } else {
                ("no ", Color::Red)
            };
            let sql = if one.record.has_rollback() {
                "yes"
            } else {
                "no "
            };
            let _ = write!(
                text,
                "{}  {}  {:<16}  {sql}",
                self.out
                    .with(&format!("{:<name$}", one.record.id.as_str()), Color::Cyan),
                self.out.with(can, color),
                minute(one.record.applied_at.as_deref()),
            );
            match (why(one, findings), beside) {
                (Some(why), true) => {
                    let why = self.wrapped(&why, taken, &" ".repeat(taken));
                    let _ = writeln!(text, "  {why}");
                }
                (Some(why), false) => {
                    let _ = writeln!(text, "\n    {}", self.wrapped(&why, 4, "    "));
                }
                (None, _) => text.push('\n'),
            }
        }
        for record in migrations.gone {
            let sql = if record.has_rollback() { "yes" } else { "no " };
            let _ = write!(
                text,
                "{}  {}  {:<16}  {sql}",
                self.out
                    .with(&format!("{:<name$}", record.id.as_str()), Color::Cyan),
                self.out.with("no ", Color::Red),
                minute(record.applied_at.as_deref()),
            );
            let known = record.metadata.rolled_back.as_ref();
            let reason = known.and_then(|known| known.reason.as_ref());
            let reason = reason.map(|reason| format!(": {reason}"));
            let why = format!("{}{}", rolled_back_text(record), reason.unwrap_or_default());
            let under = if beside { taken } else { 4 };
            let why = self.wrapped(&why, under, &" ".repeat(under));
            let before = if beside { "  " } else { "\n    " };
            let _ = writeln!(text, "{before}{why}");
        }
        let can = migrations
            .registered
            .iter()
            .filter(|one| one.verdict.can_rollback)
            .count();
        let _ = write!(
            text,
            "\n{} applied, {can} of them can be rolled back now",
            count(migrations.registered.len(), "migration"),
        );
        if migrations.rolled_back > 0 {
            let _ = write!(text, "; {} rolled back before", migrations.rolled_back);
        }
        if migrations.hidden > 0 {
            let _ = write!(text, "; {} not shown", migrations.hidden);
        }
        text.push('\n');
        for (_, sentence) in migrations.problems {
            text.push_str(&self.odd(sentence));
        }
        text
    }

    /// What `rollback check` says of a migration beside what is predicted of it.
    pub(super) fn registered_text(&self, text: &mut String, one: &RegisteredMigration<'_>) {
        let under = " ".repeat(11);
        let RegisteredMigration {
            record, verdict, ..
        } = one;
        let at = record.applied_at.as_deref();
        let moment = at.map(|at| {
            let by = record.applied_by.as_ref().map(|by| format!(" by {by}"));
            format!("{} UTC{}", minute(Some(at)), by.unwrap_or_default())
        });
        let pushed = one.pushed_by.as_ref().map(|by| format!("pushed by {by}"));
        let known = match (record.is_registration(), moment) {
            (false, moment) => moment.or(pushed),
            (true, moment) => {
                let registered = moment.map(|moment| format!("registered {moment}"));
                let parts = [pushed, registered].into_iter().flatten();
                Some(parts.collect::<Vec<_>>().join("; "))
            }
        };
        if let Some(known) = known {
            text.push_str(&self.labelled("Applied", &self.wrapped(&known, 11, &under)));
        }
        let file = match (one.file, record.status) {
            (Some(file), _) => {
                let block = match file.rollback.as_ref().map(|rollback| rollback.form) {
                    Some(Form::Plain) => ", with a block that is no comment",
                    Some(Form::Commented) => ", with a block in comments",
                    Some(Form::Companion) => ", with a file beside it",
                    Some(Form::Section) => ", with a section that takes it down",
                    None => ", without a rollback block",
                };
                let changed = if one.changed {
                    ", changed since it was registered"
                } else {
                    ""
                };
                format!("{}{block}{changed}", file.path)
            }
            (None, _) => "none here".to_owned(),
        };
        text.push_str(&self.labelled("File", &self.wrapped(&file, 11, &under)));
        let (can, color) = if verdict.can_rollback {
            ("yes", Color::Green)
        } else {
            ("no", Color::Red)
        };
        text.push_str(&self.labelled(
            "Can go",
            &format!("{}: {}", self.out.with(can, color), verdict.reason),
        ));
        if record.status == MigrationStatus::Failed
            && let Some(error) = &record.metadata.error
        {
            text.push_str(&self.labelled("Error", &self.wrapped(error, 11, &under)));
        }
        let mut label = "Before it";
        for (id, why) in verdict.dependents.iter().zip(&one.reasons) {
            let line = format!("{id} depends on {why}");
            text.push_str(&self.labelled(label, &self.wrapped(&line, 11, &under)));
            label = "";
        }
        for note in &one.notes {
            text.push_str(&self.odd(note));
        }
    }

    /// The answer of `rollback check` for a migration that is not applied.
    pub fn not_applied(
        &self,
        database: Option<&Identity>,
        id: &RevisionId,
        record: Option<&HistoryRecord>,
        verdict: &Removability,
    ) -> Result<(), Failure> {
        let rolled_back = record.filter(|record| record.status == MigrationStatus::RolledBack);
        match self.format {
            Format::Json => {
                let mut revision = json!({
                    "revision": id,
                    "can_rollback": false,
                    "blocking_reason": verdict.reason,
                });
                if let Some(record) = rolled_back {
                    rolled_back_json(record, &mut revision);
                }
                self.json_line(&json!({
                    "version": VERSION,
                    "database": database,
                    "revision": revision,
                }))
            }
            Format::Human => {
                let mut text = String::new();
                let under = " ".repeat(11);
                if let Some(database) = database {
                    text.push_str(&self.labelled("Database", &database.to_string()));
                }
                text.push_str(&self.labelled("Migration", id.as_str()));
                let no = self.out.with("no", Color::Red);
                text.push_str(&self.labelled("Can go", &format!("{no}: {}", verdict.reason)));
                if let Some(record) = rolled_back {
                    text.push_str(&self.labelled("Status", &rolled_back_text(record)));
                    let known = record.metadata.rolled_back.as_ref();
                    let reason = known.and_then(|known| known.reason.as_deref());
                    let reason = reason.unwrap_or("no reason was given");
                    text.push_str(&self.labelled("Reason", &self.wrapped(reason, 11, &under)));
                }
                self.data(&text)
            }
        }
    }
}

/// Who rolled a migration back, when, and in which run.
fn rolled_back_text(record: &HistoryRecord) -> String {
    let at = record.rollback_at.as_deref();
    let at = at.map(|at| format!(" {} UTC", minute(Some(at))));
    let by = record.rollback_by.as_ref().map(|by| format!(" by {by}"));
    let run = record.metadata.rolled_back.as_ref();
    let run = run
        .and_then(|known| known.run.as_ref())
        .map(|run| format!(" in run {run}"));
    format!(
        "rolled back{}{}{}",
        at.unwrap_or_default(),
        by.unwrap_or_default(),
        run.unwrap_or_default()
    )
}

fn rolled_back_json(record: &HistoryRecord, value: &mut Value) {
    let known = record.metadata.rolled_back.as_ref();
    value["status"] = json!(record.status);
    value["rollback_at"] = json!(record.rollback_at);
    value["rollback_by"] = json!(record.rollback_by);
    value["run"] = json!(known.and_then(|known| known.run.as_ref()));
    value["reason"] = json!(known.and_then(|known| known.reason.as_ref()));
    value["notes"] = json!(record.notes);
}

fn findings(forecast: &PlanForecast, index: usize) -> &[Finding] {
    forecast.steps.get(index).map_or(&[][..], Vec::as_slice)
}

/// What keeps a migration from going, else what is worst about its going.
fn why(one: &RegisteredMigration<'_>, findings: &[Finding]) -> Option<String> {
    one.obstacle().or_else(|| {
        let worst = most_telling(findings)?;
        let matters = worst.outcome.is_some() || worst.level > Level::Low;
        matters.then(|| format!("{}: {}", finding_tag(worst).0, worst.sentence))
    })
}

fn migrations_json(migrations: Migrations<'_>) -> Value {
    let one = |(index, (step, registered)): (usize, (&Step, &RegisteredMigration<'_>))| {
        let mut value = revision_json(step, findings(migrations.forecast, index));
        value["needed_by"] = migrations.needed_by.get(index).copied().into();
        registered.json(&mut value);
        value
    };
    let steps = migrations.plan.steps.iter().zip(migrations.registered);
    let revisions: Vec<Value> = steps.enumerate().map(one).collect();
    let can = migrations.registered.iter();
    let can = can.filter(|one| one.verdict.can_rollback).count();
    let gone = migrations.gone.iter().map(|record| {
        let mut value = json!({ "revision": record.id });
        rolled_back_json(record, &mut value);
        value
    });
    let gone: Vec<Value> = gone.collect();
    let problems: Vec<Value> = migrations
        .problems
        .iter()
        .map(|(code, sentence)| json!({ "code": code, "sentence": sentence }))
        .collect();
    json!({
        "version": VERSION,
        "database": migrations.database,
        "current": migrations.plan.current,
        "unread": migrations.forecast.unread,
        "revisions": revisions,
        "total": migrations.registered.len(),
        "can_rollback": can,
        "rolled_back": migrations.rolled_back,
        "no_longer_applied": gone,
        "not_shown": migrations.hidden,
        "problems": problems,
    })
}
