//! The course of a run: a bar at the bottom of a terminal, plain lines in a pipe, events for programs.

use std::collections::BTreeSet;
use std::time::Duration;

use colored::Color;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::json::Format;
use super::run_summary::hidden;
use super::steps::rows;
use super::{Ui, Verbosity, insist, seconds, terminal};
use error_diagnosis::{self, DiagnosisContext};
use rollback_core::blocker::Blocker;
use rollback_core::effect::Surprise;
use rollback_core::engine::LockLimit;
use rollback_core::outcome::{StepDone, Stop};
use rollback_core::plan::Step;
use rollback_core::runner::Events;
use rollback_core::secret::{Secret, mask};

/// Tells what the runner reports as it happens.
#[derive(Debug)]
pub struct Progress<'a> {
    ui: &'a Ui,
    /// The steps of the whole run, and how many of them were done before it was resumed.
    of: usize,
    before: usize,
    bar: ProgressBar,
    /// The passwords to hide in what the engine prints.
    secrets: &'a [Secret],
    /// What is known of each step besides its output.
    known: &'a [DiagnosisContext],
    /// The sessions that were warned of.
    warned: BTreeSet<u64>,
    /// What was said of the lock timeout.
    limits: Vec<LockLimit>,
    /// Whether the steps are of a history that has a row for each migration.
    is_sequence: bool,
}

impl<'a> Progress<'a> {
    /// Shows the bar where stderr is a terminal.
    pub fn new(ui: &'a Ui, of: usize, secrets: &'a [Secret]) -> Self {
        let bar = if ui.surroundings.stderr_is_terminal && ui.verbosity > Verbosity::Quiet {
            ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        let template = if ui.err.0 {
            "{bar:30.green/dim} {pos}/{len} steps, {elapsed} {wide_msg:.dim}"
        } else {
            "{bar:30} {pos}/{len} steps, {elapsed} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            ui,
            of,
            before: 0,
            bar,
            secrets,
            known: &[],
            warned: BTreeSet::new(),
            limits: Vec::new(),
            is_sequence: false,
        }
    }

    /// The same with what is known of each step.
    #[must_use]
    pub fn knowing(self, known: &'a [DiagnosisContext]) -> Self {
        Self { known, ..self }
    }

    /// The same for the rest of a run of which so many steps are done.
    #[must_use]
    pub fn after(self, before: usize) -> Self {
        let of = self.of + before;
        self.bar.set_length(of as u64);
        self.bar.set_position(before as u64);
        Self { of, before, ..self }
    }

    /// The number of a step in the whole run, from 1.
    fn number(&self, index: usize) -> usize {
        self.before + index + 1
    }

    /// Answers the operator's signals while a step is running; `course` is what follows the first.
    pub fn on_signal(&self, course: &'static str) -> Box<dyn Fn(usize) + Send> {
        let bar = self.bar.clone();
        let paint = self.ui.err;
        Box::new(move |count| {
            let text = if count == 1 {
                format!("stopping: {course}; once more ends the engine")
            } else {
                "ending the engine".to_owned()
            };
            bar.suspend(|| insist(&format!("      {}", paint.with(&text, Color::Yellow))));
        })
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn hidden(&self, sessions: &[Blocker]) -> Vec<Blocker> {
        sessions
            .iter()
            .map(|session| Blocker {
                query: session
                    .query
                    .as_deref()
                    .map(|query| mask(query, self.secrets)),
                ..session.clone()
            })
            .collect()
    }

    /// What a step did to the schema, where somebody wants to see it.
    fn difference(&self, step: &StepDone) {
        if self.ui.verbosity == Verbosity::Verbose {
            let gone = step.difference.gone.iter().map(|line| format!("- {line}"));
            let new = step.difference.new.iter().map(|line| format!("+ {line}"));
            for line in gone.chain(new) {
                self.line(&self.ui.err.dimmed(&format!("      {line}")));
            }
        }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| self.ui.say(text));
    }

    /// A failed write to stdout does not stop a run that was confirmed: its exit code tells the end.
    fn event(&self, value: &serde_json::Value) {
        if self.ui.format == Format::Json {
            self.bar.suspend(|| drop(self.ui.json_line(value)));
        }
    }
}

impl Events for Progress<'_> {
    fn step_started(&mut self, index: usize, step: &Step) {
        let paint = self.ui.err;
        let merge = if step.is_merge { " [MERGE]" } else { "" };
        self.is_sequence = step.is_of_a_sequence();
        terminal::set_message(&self.bar, step.removes.as_str());
        self.line(&format!(
            "{} Rolling back {}{} ... {}",
            paint.bold(&format!("[{}/{}]", self.number(index), self.of)),
            paint.with(step.removes.as_str(), Color::Cyan),
            paint.with(merge, Color::Magenta),
            step.revision.title(),
        ));
        self.event(&Ui::step_started_event(self.number(index), self.of, step));
    }

    fn open_transactions(&mut self, sessions: &[Blocker]) {
        // Each is worth one warning, not one before every step.
        let fresh: Vec<Blocker> = sessions
            .iter()
            .filter(|session| self.warned.insert(session.pid))
            .cloned()
            .collect();
        if fresh.is_empty() {
            return;
        }
        for session in &fresh {
            let session = mask(&session.to_string(), self.secrets);
            self.bar.suspend(|| {
                self.ui.warn(&format!(
                    "a transaction is open that the steps may have to wait for: {session}"
                ));
            });
        }
        self.event(&Ui::open_transactions_event(&self.hidden(&fresh)));
    }

    fn lock_retry(&mut self, index: usize, attempt: u32, of: u32, blockers: &[Blocker]) {
        self.line(&format!(
            "      {} the lock was not to be had, and nothing was changed: retry {attempt} of {of}",
            self.ui.err.with("…", Color::Yellow),
        ));
        for session in blockers {
            let session = mask(&session.to_string(), self.secrets);
            self.line(&format!("        held by {session}"));
        }
        self.event(&Ui::lock_retry_event(
            self.number(index),
            attempt,
            of,
            &self.hidden(blockers),
        ));
    }

    fn warning(&mut self, sentence: &str) {
        let sentence = mask(sentence, self.secrets);
        self.bar.suspend(|| self.ui.warn(&sentence));
    }

    fn unannounced(&mut self, effect: &Surprise) {
        let effect = mask(&effect.to_string(), self.secrets);
        self.line(&format!(
            "      {} it did {effect}: the plan did not say so",
            self.ui.err.with("!", Color::Yellow)
        ));
    }

    fn lock_limit(&mut self, limit: &LockLimit) {
        // The connections of all steps have the same fate as a rule, which is worth one line.
        if self.limits.contains(limit) {
            return;
        }
        self.limits.push(limit.clone());
        match limit {
            LockLimit::Transactions if self.ui.verbosity == Verbosity::Verbose => self.line(
                "      the engine goes through a pooler: the lock timeout is set in each transaction, and \
                 nothing outside of one has it",
            ),
            LockLimit::Session | LockLimit::Transactions => {}
            LockLimit::None(why) => {
                let why = mask(why, self.secrets);
                self.bar.suspend(|| {
                    self.ui.warn(&format!(
                        "the lock timeout was not set on a connection of the engine, so that a step may wait \
                         for a lock as long as the server lets it: {why}"
                    ));
                });
            }
        }
    }

    fn aside(&mut self, text: &str) {
        if self.ui.verbosity == Verbosity::Verbose {
            self.line(&self.ui.err.dimmed(&format!("      {text}")));
        }
    }

    fn engine_line(&mut self, line: &str) {
        if self.ui.verbosity == Verbosity::Verbose {
            let line = mask(line, self.secrets);
            self.line(&self.ui.err.dimmed(&format!("      | {line}")));
        }
    }

    fn step_finished(&mut self, index: usize, step: &StepDone) {
        self.bar.inc(1);
        self.line(&format!(
            "      {} {}, now at {}",
            self.ui.err.with("✓", Color::Green),
            seconds(step.elapsed),
            rows(&step.heads, self.is_sequence),
        ));
        self.difference(step);
        self.event(&Ui::step_finished_event(self.number(index), self.of, step));
    }

    fn step_applied(&mut self, index: usize, step: &StepDone) {
        self.bar.inc(1);
        self.line(&format!(
            "      {} {}, inside the transaction at {}",
            self.ui.err.with("·", Color::Green),
            seconds(step.elapsed),
            rows(&step.heads, self.is_sequence),
        ));
        self.difference(step);
        self.event(&Ui::step_applied_event(self.number(index), self.of, step));
    }

    fn committed(&mut self, steps: &[StepDone]) {
        for (index, step) in steps.iter().enumerate() {
            self.event(&Ui::step_finished_event(self.number(index), self.of, step));
        }
        self.line(&format!(
            "      {} committed",
            self.ui.err.with("✓", Color::Green)
        ));
    }

    fn stopped(&mut self, stop: &Stop, step: &Step) {
        self.finish();
        let hidden = hidden(stop, self.secrets);
        let known = self.known.get(stop.index).cloned().unwrap_or_default();
        let diagnosis = error_diagnosis::of_stop(&hidden, &known);
        if stop.cause != rollback_core::outcome::Cause::Interrupted {
            self.event(&Ui::step_failed_event(
                self.number(stop.index),
                self.of,
                step,
                &hidden,
                diagnosis.as_ref(),
            ));
        }
    }
}
