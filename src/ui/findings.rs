//! What is predicted of a step, for people and for programs.

use std::fmt::Write as _;

use colored::Color;
use serde_json::{Value, json};

use super::{Paint, Ui, Verbosity, count, seconds};
use migration_forecast::risk::plan_forecast::{PlanForecast, ProbeUsage};
use rollback_core::finding::{FailurePrediction, Finding};
use rollback_core::finding_code::{FindingCode, Level};

/// So wide is the longest tag, `will fail`.
const TAG: usize = 9;

/// What is shown under a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanFooter<'a> {
    /// What it comes to, in one line.
    pub verdict: &'a str,
    /// What to type next.
    pub next: &'a str,
    /// What is said of the backup before the first step; `None` where there is none.
    pub backup: Option<&'a str>,
}

/// The word that a finding is read by first, and its colour.
pub(super) fn finding_tag(finding: &Finding) -> (&'static str, Color) {
    match (finding.outcome, finding.level) {
        (Some(FailurePrediction::WillFail), _) => ("will fail", Color::Red),
        (Some(FailurePrediction::MayFail), _) => ("may fail", Color::Yellow),
        (None, level) => (level.name(), color(level)),
    }
}

pub(super) fn color(level: Level) -> Color {
    match level {
        Level::Low => Color::Green,
        Level::Medium => Color::Yellow,
        Level::High => Color::Red,
        Level::Unknown => Color::Magenta,
    }
}

impl Ui {
    /// The findings of one step, a paragraph each, set in by `indent` characters.
    pub(super) fn findings_text(&self, text: &mut String, indent: usize, findings: &[Finding]) {
        for finding in findings {
            // A merge point is marked as one already.
            if finding.code != FindingCode::Merge {
                self.finding_text(text, indent, finding, self.verbosity == Verbosity::Verbose);
            }
        }
    }

    /// One finding; `whole` with its query and advice.
    pub(super) fn finding_text(
        &self,
        text: &mut String,
        indent: usize,
        finding: &Finding,
        whole: bool,
    ) {
        let paint = self.out;
        let (word, color) = finding_tag(finding);
        let under = " ".repeat(indent + TAG + 2);
        let first = format!(
            "{}{}",
            " ".repeat(indent),
            paint.with(&format!("{word:<TAG$}  "), color)
        );
        let sentence = match &finding.evidence {
            Some(evidence) if evidence.count != Some(0) && !evidence.is_told => {
                format!("{}: {}", finding.sentence, evidence.sentence)
            }
            _ => finding.sentence.clone(),
        };
        let head = self.wrapped(&sentence, indent + TAG + 2, &under);
        let _ = writeln!(text, "{first}{head}");
        let mut about = vec![format!("[{}]", finding.code)];
        if let Some(place) = &finding.place {
            let file = if whole {
                place.file.as_ref()
            } else {
                place.file.rsplit('/').next().unwrap_or_default()
            };
            about.push(format!("{file}:{}", place.line));
        }
        self.under(text, &under, paint, &about.join(" "));
        if whole {
            if let Some(query) = finding
                .evidence
                .as_ref()
                .and_then(|evidence| evidence.query.as_ref())
            {
                self.under(text, &under, paint, &format!("asked: {query}"));
            }
            if !finding.advice.is_empty() {
                self.under(text, &under, paint, &format!("→ {}", finding.advice));
            }
        }
    }

    fn under(&self, text: &mut String, under: &str, paint: Paint, line: &str) {
        for line in self
            .wrapped(line, under.len(), under)
            .lines()
            .enumerate()
            .map(|(number, line)| {
                if number == 0 {
                    format!("{under}{}", paint.dimmed(line))
                } else {
                    paint.dimmed(line)
                }
            })
        {
            let _ = writeln!(text, "{line}");
        }
    }

    /// Breaks a text between words where a terminal is too narrow for it, the following lines set in by
    /// `under`. A pipe gets one line: what is read there breaks lines by itself.
    pub(super) fn wrapped(&self, line: &str, taken: usize, under: &str) -> String {
        let Some(width) = self.surroundings.width else {
            return line.to_owned();
        };
        let room = width.max(40).saturating_sub(taken).max(20);
        let options = textwrap::Options::new(room).break_words(false);
        textwrap::wrap(line, options).join(&format!("\n{under}"))
    }

    /// What stands under a plan: how much was looked at, what it comes to, what to type.
    pub(super) fn ending_text(
        &self,
        text: &mut String,
        forecast: &PlanForecast,
        ending: PlanFooter<'_>,
    ) {
        text.push('\n');
        let mut line = |label: &str, value: &str| {
            let under = " ".repeat(11);
            text.push_str(&self.labelled(label, &self.wrapped(value, 11, &under)));
        };
        if let Some(reason) = &forecast.unread {
            line("Unread", reason);
        }
        line("Asked", &asked(&forecast.asked));
        line("Verdict", ending.verdict);
        if let Some(backup) = ending.backup {
            line("Backup", backup);
        }
        // Not wrapped: it is to be copied.
        text.push_str(&self.labelled("Next", ending.next));
    }
}

fn asked(asked: &ProbeUsage) -> String {
    match asked {
        ProbeUsage::Not(reason) => format!("nothing of the database: {reason}"),
        ProbeUsage::Within {
            answers,
            unanswered: 0,
            took,
            budget,
        } => format!(
            "{} of the database in {}, of {} allowed",
            count(*answers, "question"),
            seconds(*took),
            seconds(*budget)
        ),
        ProbeUsage::Within {
            answers,
            unanswered,
            took,
            budget,
        } => format!(
            "{} of the database in {}, of {} allowed (--probe-timeout); {unanswered} more got no answer",
            count(*answers, "question"),
            seconds(*took),
            seconds(*budget)
        ),
    }
}

/// The findings of a step, as a list of objects.
pub(super) fn findings_json(findings: &[Finding]) -> Vec<Value> {
    findings.iter().map(finding_json).collect()
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code,
        "level": finding.level,
        "outcome": finding.outcome,
        "sentence": finding.sentence,
        "evidence": finding.evidence,
        "advice": finding.advice,
        "file": finding.place.as_ref().map(|place| place.file.as_ref()),
        "line": finding.place.as_ref().map(|place| place.line),
    })
}

/// What is predicted of a whole plan.
pub(super) fn outlook_json(forecast: &PlanForecast, ending: PlanFooter<'_>) -> Value {
    let asked = match &forecast.asked {
        ProbeUsage::Not(reason) => json!({ "reason": reason }),
        ProbeUsage::Within {
            answers,
            unanswered,
            took,
            budget,
        } => json!({
            "answers": answers,
            "unanswered": unanswered,
            "seconds": super::json::rounded(*took),
            "budget_seconds": super::json::rounded(*budget),
        }),
    };
    json!({
        "level": forecast.level(),
        "sentence": ending.verdict,
        "next": ending.next,
        "asked": asked,
        "unread": forecast.unread,
        "first_failing_step": forecast.first_failure().map(|(index, _)| index + 1),
        "reachable": forecast.reachable.as_ref().and_then(|reachable| reachable.target.clone()),
    })
}
