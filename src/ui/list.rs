//! The answers of `rollback list` and `rollback check`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::findings::{PlanFooter, finding_tag, findings_json};
use super::json::{Format, VERSION};
use super::sql_files::RegisteredMigration;
use super::steps::without_fraction;
use super::{Ui, count};
use crate::error::Failure;
use migration_forecast::risk::plan_forecast::PlanForecast;
use migration_forecast::risk::verdict::most_telling;
use rollback_core::connection::Identity;
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::plan::{Plan, Step};
use rollback_core::revision::RevisionId;

/// What `rollback list` found.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    /// The database; `None` where only the engine's word is known and it named none.
    pub database: Option<&'a Identity>,
    /// All applied revisions, in the order in which they would go.
    pub plan: &'a Plan,
    /// How many others have to go before each.
    pub needed_by: &'a [usize],
    /// What is predicted of each, if all before it have gone.
    pub forecast: &'a PlanForecast,
}

/// What `rollback check` found.
#[derive(Debug, Clone, Copy)]
pub struct CheckView<'a> {
    /// The database; `None` where only the engine's word is known and it named none.
    pub database: Option<&'a Identity>,
    /// What has to go, the revision itself last.
    pub plan: &'a Plan,
    /// What the history of the database has of it, for SQL files.
    pub registered: Option<&'a RegisteredMigration<'a>>,
    /// What is predicted of it.
    pub forecast: &'a PlanForecast,
    /// Whether to roll back, restore or fix forward.
    pub advice: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The verdict, and what to type.
    pub ending: PlanFooter<'a>,
}

/// Whether a step comes to its end, as far as is known.
fn comes_to_its_end(findings: &[Finding]) -> Option<bool> {
    match findings.iter().filter_map(|finding| finding.outcome).max() {
        Some(FailurePrediction::WillFail) => Some(false),
        Some(FailurePrediction::MayFail) => None,
        None => Some(true),
    }
}

impl Ui {
    /// The answer of `rollback list`.
    pub fn list(&self, listing: Listing<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&list_json(listing)),
            Format::Human => self.data(&self.list_text(listing)),
        }
    }

    fn list_text(&self, listing: Listing<'_>) -> String {
        let mut text = String::new();
        if let Some(database) = listing.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        if listing.plan.steps.is_empty() {
            text.push_str(&self.labelled("Applied", "nothing"));
            return text;
        }
        if let Some(reason) = &listing.forecast.unread {
            text.push_str(&self.labelled("Unread", reason));
        }
        let ids = listing
            .plan
            .steps
            .iter()
            .map(|step| step.removes.as_str().len());
        let id = ids.max().unwrap_or_default().max("revision".len());
        let head = format!(
            "{:<id$}  {:>5}  {:<9}  why",
            "revision", "after", "foreseen"
        );
        let _ = writeln!(text, "\n{}", self.out.bold(&head));
        for (index, step) in listing.plan.steps.iter().enumerate() {
            let findings = listing
                .forecast
                .steps
                .get(index)
                .map_or(&[][..], Vec::as_slice);
            let after = match listing.needed_by.get(index) {
                None | Some(0) => "-".to_owned(),
                Some(number) => number.to_string(),
            };
            let (word, color, why) = match most_telling(findings) {
                Some(finding) => {
                    let (word, color) = finding_tag(finding);
                    let more = match findings.len() {
                        0 | 1 => String::new(),
                        number => format!(" (and {} more)", number - 1),
                    };
                    (word, color, format!("{}{more}", finding.sentence))
                }
                None => (
                    "low",
                    super::findings::color(rollback_core::finding_code::Level::Low),
                    "nothing found".to_owned(),
                ),
            };
            let under = " ".repeat(id + 20);
            let why = self.wrapped(&why, under.len(), &under);
            let _ = writeln!(
                text,
                "{}  {after:>5}  {}  {why}",
                self.out.with(
                    &format!("{:<id$}", step.removes.as_str()),
                    colored::Color::Cyan
                ),
                self.out.with(&format!("{word:<9}"), color),
            );
        }
        let failing = listing
            .forecast
            .steps
            .iter()
            .filter(|findings| comes_to_its_end(findings) == Some(false))
            .count();
        let doubtful = listing
            .forecast
            .steps
            .iter()
            .filter(|findings| comes_to_its_end(findings).is_none())
            .count();
        let _ = writeln!(
            text,
            "\n{} applied: {failing} will fail, {doubtful} may fail",
            count(listing.plan.steps.len(), "revision"),
        );
        text
    }

    /// The answer of `rollback check`.
    pub fn examination(&self, examination: CheckView<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&examination_json(examination)),
            Format::Human => self.data(&self.examination_text(examination)),
        }
    }

    fn examination_text(&self, examination: CheckView<'_>) -> String {
        let mut text = String::new();
        let Some((step, before)) = examination.plan.steps.split_last() else {
            return text;
        };
        if let Some(database) = examination.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        let under = " ".repeat(11);
        let title = format!("{} {}", step.removes, step.revision.title());
        let label = match examination.registered {
            Some(_) => "Migration",
            None => "Revision",
        };
        text.push_str(&self.labelled(label, &self.wrapped(&title, 11, &under)));
        if let Some(registered) = examination.registered {
            self.registered_text(&mut text, registered);
        } else {
            self.revision_text(&mut text, step, before);
        }
        text.push('\n');
        match examination.forecast.steps.last().map(Vec::as_slice) {
            None | Some([]) => {
                text.push_str("Nothing was found that could go wrong or get lost.\n");
            }
            Some(findings) => {
                for finding in findings {
                    self.finding_text(&mut text, 0, finding, true);
                }
            }
        }
        text.push('\n');
        text.push_str(&self.labelled("Advice", &self.wrapped(examination.advice, 11, &under)));
        text.push_str(&self.labelled("Because", &self.wrapped(examination.reason, 11, &under)));
        self.ending_text(&mut text, examination.forecast, examination.ending);
        text
    }
}

impl Ui {
    fn revision_text(&self, text: &mut String, step: &Step, before: &[Step]) {
        let under = " ".repeat(11);
        if let Some(created) = &step.revision.created {
            text.push_str(&self.labelled("Created", without_fraction(created)));
        }
        if let Some(path) = &step.revision.path {
            text.push_str(&self.labelled("File", path));
        }
        let first = if before.is_empty() {
            "nothing: it can go first".to_owned()
        } else {
            let ids: Vec<&str> = before.iter().map(|step| step.removes.as_str()).collect();
            let noun = if before.len() == 1 {
                "revision needs"
            } else {
                "revisions need"
            };
            format!("{} {noun} it: {}", before.len(), ids.join(", "))
        };
        text.push_str(&self.labelled("Before it", &self.wrapped(&first, 11, &under)));
    }
}

fn list_json(listing: Listing<'_>) -> Value {
    let revisions = listing.plan.steps.iter().enumerate().map(|(index, step)| {
        let findings = listing
            .forecast
            .steps
            .get(index)
            .map_or(&[][..], Vec::as_slice);
        let mut revision = revision_json(step, findings);
        revision["needed_by"] = listing.needed_by.get(index).copied().into();
        revision
    });
    let revisions: Vec<Value> = revisions.collect();
    json!({
        "version": VERSION,
        "database": listing.database,
        "current": listing.plan.current,
        "unread": listing.forecast.unread,
        "revisions": revisions,
    })
}

fn examination_json(examination: CheckView<'_>) -> Value {
    let Some((step, before)) = examination.plan.steps.split_last() else {
        return Value::Null;
    };
    let findings = examination
        .forecast
        .steps
        .last()
        .map_or(&[][..], Vec::as_slice);
    let mut revision = revision_json(step, findings);
    if let Some(registered) = examination.registered {
        registered.json(&mut revision);
    }
    let before: Vec<&RevisionId> = before.iter().map(|step| &step.removes).collect();
    json!({
        "version": VERSION,
        "database": examination.database,
        "current": examination.plan.current,
        "revision": revision,
        "before": before,
        "advice": examination.advice,
        "reason": examination.reason,
        "verdict": super::findings::outlook_json(examination.forecast, examination.ending),
    })
}

pub(super) fn revision_json(step: &Step, findings: &[Finding]) -> Value {
    let worst = most_telling(findings);
    json!({
        "revision": step.removes,
        "message": step.revision.message,
        "path": step.revision.path,
        "created": step.revision.created,
        "is_merge": step.is_merge,
        "comes_to_its_end": comes_to_its_end(findings),
        "level": findings.iter().map(|finding| finding.level).max(),
        "reason": worst.map(|finding| &finding.sentence),
        "findings": findings_json(findings),
    })
}
