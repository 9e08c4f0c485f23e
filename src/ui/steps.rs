//! A plan, for people.

use std::fmt::Write as _;

use colored::Color;

use super::json::{Format, PlanView};
use super::{Ui, Verbosity, count};
use crate::error::Failure;
use rollback_core::names::{and, in_short, latest};
use rollback_core::plan::{Plan, Step};
use rollback_core::revision::Heads;
use rollback_core::run_report::sections::moment;

impl Ui {
    /// The answer of `rollback plan`.
    pub fn plan(&self, view: PlanView<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&Self::plan_json(view)),
            Format::Human => self.data(&self.plan_text(view)),
        }
    }

    /// The plan of a run, before anything else is printed. A dry run has nothing else to say, so it
    /// is not kept quiet there.
    pub fn plan_of_run(&self, view: PlanView<'_>, dry_run: bool) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&Self::plan_event(view)),
            Format::Human if self.verbosity == Verbosity::Quiet && !dry_run => Ok(()),
            Format::Human => self.data(&self.plan_text(view)),
        }
    }

    pub(super) fn plan_text(&self, view: PlanView<'_>) -> String {
        let plan = view.plan;
        let mut text = String::new();
        if let Some(database) = view.database {
            text.push_str(&self.labelled("Database", &database.to_string()));
        }
        text.push_str(&self.labelled("Current", &rows(&plan.current, is_sequence(plan))));
        text.push_str(&self.labelled("Target", view.target));
        if plan.steps.is_empty() {
            text.push_str("\nNothing to roll back: the database already stands there.\n");
            return text;
        }
        let merges = match (plan.steps.len(), plan.merges()) {
            (_, 0) => String::new(),
            (1, _) => ", a merge".to_owned(),
            (_, 1) => ", 1 of them a merge".to_owned(),
            (_, merges) => format!(", {merges} of them merges"),
        };
        let title = format!("Rollback plan: {}{merges}", count(plan.steps.len(), "step"));
        let _ = writeln!(text, "\n{}\n", self.out.bold(&title));
        let width = plan.steps.len().to_string().len();
        for (index, (step, command)) in plan.steps.iter().zip(view.commands).enumerate() {
            self.step_text(&mut text, index + 1, width, step, command);
            for way in view.ways.get(index).into_iter().flatten() {
                let indent = " ".repeat(width + 4);
                let way = self.wrapped(way, indent.len(), &indent);
                let _ = writeln!(text, "{indent}{}", self.out.with(&way, Color::Yellow));
            }
            if let Some(findings) = view.forecast.steps.get(index)
                && view.forecast.unread.is_none()
            {
                self.findings_text(&mut text, width + 4, findings);
            }
        }
        if let Some(ruling) = view.ruling {
            self.ruling_text(&mut text, ruling);
        }
        self.ending_text(&mut text, view.forecast, view.ending);
        text
    }

    fn step_text(
        &self,
        text: &mut String,
        number: usize,
        width: usize,
        step: &Step,
        command: &[String],
    ) {
        let paint = self.out;
        let merge = if step.is_merge { " [MERGE]" } else { "" };
        let _ = writeln!(
            text,
            "  {number:>width$}. {}{}  {}",
            paint.with(step.removes.as_str(), Color::Cyan),
            paint.with(merge, Color::Magenta),
            step.revision.title(),
        );
        let indent = " ".repeat(width + 4);
        let mut facts = Vec::new();
        if let Some(registered) = &step.revision.registered {
            facts.push(format!("registered {}", moment(registered)));
        }
        if let Some(created) = &step.revision.created {
            facts.push(if step.is_of_a_sequence() {
                format!("applied {}", moment(created))
            } else {
                format!("created {}", without_fraction(created))
            });
        }
        facts.push(format!(
            "leaves {}",
            rows(&step.heads_after, step.is_of_a_sequence())
        ));
        let _ = writeln!(text, "{indent}{}", paint.dimmed(&facts.join(", ")));
        if !step.takes_along.is_empty() {
            let warning = format!(
                "takes along {}: they depend on each other",
                and(&step.takes_along)
            );
            let _ = writeln!(text, "{indent}{}", paint.with(&warning, Color::Yellow));
        }
        if self.verbosity == Verbosity::Verbose {
            let _ = writeln!(
                text,
                "{indent}{}",
                paint.dimmed(&format!("runs {}", shown(command)))
            );
            if let Some(path) = &step.revision.path {
                let _ = writeln!(text, "{indent}{}", paint.dimmed(&format!("file {path}")));
            }
        }
    }
}

/// The rows in short. Those of a history that has one for each migration are told by the newest.
pub(super) fn rows(heads: &Heads, is_sequence: bool) -> String {
    if is_sequence {
        latest(heads, 1)
    } else {
        in_short(heads)
    }
}

/// Whether the steps of a plan are of such a history.
pub(super) fn is_sequence(plan: &Plan) -> bool {
    plan.steps.iter().any(Step::is_of_a_sequence)
}

/// A command line that can be pasted into a shell.
pub(super) fn shown(command: &[String]) -> String {
    shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "))
}

/// A `Create Date` to the second; Alembic writes six digits more.
pub(super) fn without_fraction(created: &str) -> &str {
    match created.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit.is_ascii_digit()) => whole,
        _ => created,
    }
}
