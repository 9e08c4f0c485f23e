//! The account of a run when it is over.

use colored::Color;

use super::json::Format;
use super::steps::{is_sequence, rows, shown};
use super::{Ui, count, insist, seconds};
use crate::error::{Exit, Failure};
use error_diagnosis::{self, Diagnosis, DiagnosisContext};
use rollback_core::blocker::Blocker;
use rollback_core::outcome::{Cause, Outcome, Position, RunOutcome, Stop};
use rollback_core::plan::Plan;
use rollback_core::secret::{Secret, mask};

/// What an account needs besides the report.
#[derive(Debug, Clone, Copy)]
pub struct RunSummary<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// The command line of each step.
    pub commands: &'a [Vec<String>],
    /// How it went.
    pub report: &'a RunOutcome,
    /// Where it is written down.
    pub record: &'a str,
    /// What to do next.
    pub advice: &'a [String],
    /// The exit code of the whole.
    pub exit: Exit,
    /// How many steps of the run were done before it was resumed, and stay so.
    pub before: usize,
    /// How many come before the first of the plan in the whole run.
    pub offset: usize,
    /// What is known of each step besides its output.
    pub known: &'a [DiagnosisContext],
    /// The passwords to hide in what the engine printed.
    pub secrets: &'a [Secret],
}

impl Ui {
    /// Says on what the steps will run and what they cost, right before the question.
    pub fn announce(&self, plan: &Plan, place: &str, losses: Option<&str>) {
        let steps = count(plan.steps.len(), "step");
        insist(&format!("\n{steps} will run on {}.", self.err.bold(place)));
        if let Some(losses) = losses {
            insist(&self.err.with(&format!("This {losses}."), Color::Red));
        }
    }

    /// Ends the events of a run that had no step to run; of one that was resumed so many are done.
    pub fn nothing_was_run(
        &self,
        report: &RunOutcome,
        exit: Exit,
        before: usize,
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            self.json_line(&Self::finished_event(report, exit, before, &[], None))?;
        }
        Ok(())
    }

    /// Tells how a run ended, whatever the verbosity where it did not end well.
    pub fn account(&self, account: RunSummary<'_>) {
        let report = account.report;
        let diagnosis = report.stop.as_ref().and_then(|stop| {
            let known = account.known.get(stop.index).cloned().unwrap_or_default();
            error_diagnosis::of_stop(&hidden(stop, account.secrets), &known)
        });
        if self.format == Format::Json {
            // Nobody to tell where stdout is closed; the exit code still says how it ended.
            let _ = self.json_line(&Self::finished_event(
                report,
                account.exit,
                account.before,
                account.advice,
                diagnosis.as_ref(),
            ));
        }
        match &report.stop {
            Some(stop) => self.account_of_stop(
                &account,
                stop,
                diagnosis.filter(Diagnosis::is_known).as_ref(),
            ),
            None => self.account_of_success(&account),
        }
    }

    fn account_of_success(&self, account: &RunSummary<'_>) {
        let report = account.report;
        let done = report.done.len();
        let what = match account.offset {
            0 => count(done, "revision"),
            before => format!(
                "{} of {}, {done} of them since the resume,",
                account.before + done,
                count(before + account.plan.steps.len(), "revision")
            ),
        };
        let title = format!("✓ Rolled back {what} in {}", seconds(report.elapsed));
        self.say(&format!("\n{}", self.err.with(&title, Color::Green)));
        self.times(report);
        if !report.validated {
            self.warn("the steps were not looked up in the database one by one (--no-validate)");
        }
        self.position(report, is_sequence(account.plan));
    }

    fn account_of_stop(
        &self,
        account: &RunSummary<'_>,
        stop: &Stop,
        diagnosis: Option<&Diagnosis>,
    ) {
        let report = account.report;
        let Some(step) = account.plan.steps.get(stop.index) else {
            return;
        };
        let of = account.offset + report.planned;
        let step_name = format!("step {} of {of}", account.offset + stop.index + 1);
        let title = match (report.outcome(), &stop.cause) {
            (Outcome::Interrupted, Cause::Interrupted) => {
                format!(
                    "{} before {step_name}, {}",
                    self.err.with("interrupted", Color::Yellow),
                    step.removes
                )
            }
            (Outcome::Interrupted, cause) => {
                format!(
                    "{} in {step_name}, {}: {cause}",
                    self.err.with("interrupted", Color::Yellow),
                    step.removes
                )
            }
            (_, cause) => {
                format!(
                    "{} {step_name}, {}: {cause}",
                    self.err.with("failed:", Color::Red),
                    step.removes
                )
            }
        };
        // The times come first: the reason and the advice have to be the last on the screen.
        if !report.done.is_empty() {
            self.say("\nRolled back:");
            self.times(report);
        }
        insist(&format!("\n{title}"));
        if stop.cause != Cause::Interrupted {
            if let Some(command) = account.commands.get(stop.index) {
                insist(&self.err.dimmed(&format!("  $ {}", shown(command))));
            }
            self.output("stdout", &mask(&stop.stdout, account.secrets));
            self.output("stderr", &mask(&stop.stderr, account.secrets));
            if let Some(reason) = &stop.reason {
                let reason = mask(reason, account.secrets);
                insist(&format!("  {} {reason}", self.err.bold("Reason:  ")));
            }
            if let Some(diagnosis) = diagnosis {
                let Diagnosis { cause, meaning, .. } = diagnosis;
                insist(&format!("  {} {cause}", self.err.bold("Cause:   ")));
                insist(&format!("  {} {meaning}", self.err.bold("Meaning: ")));
            }
            if let Some(path) = &step.revision.path {
                insist(&format!("  {} {path}", self.err.bold("File:    ")));
            }
            for blocker in &stop.blockers {
                let blocker = mask(&blocker.to_string(), account.secrets);
                insist(&format!("  {} {blocker}", self.err.bold("Blocked by:")));
            }
            insist(&format!(
                "  {} {}",
                self.err.bold("Database:"),
                stop.position
            ));
            if let Position::HalfDone(difference) | Position::InTheMiddle { difference, .. } =
                &stop.position
            {
                for line in &difference.gone {
                    insist(&format!("            gone: {line}"));
                }
                for line in &difference.new {
                    insist(&format!("            new:  {line}"));
                }
            }
        }
        let steps = count(of, "step");
        let number = account.before + report.done.len();
        let is_done = report.done.iter().any(|done| done.removes == step.removes);
        let done = match (report.undone, account.before) {
            (true, 0) => "nothing: all that was done was taken back".to_owned(),
            (true, before) => {
                format!("{before} of {steps}: what was done since the resume was rolled back")
            }
            (false, _) if is_done => format!("{number} of {steps} rolled back, this one included"),
            (false, _) => format!("{number} of {steps} rolled back before it"),
        };
        insist(&format!("  {} {done}", self.err.bold("Done:    ")));
        self.position(report, is_sequence(account.plan));
        insist(&format!(
            "  {} {}",
            self.err.bold("Record:  "),
            account.record
        ));
        let what_to_do = diagnosis.map_or(&[][..], |diagnosis| diagnosis.what_to_do.as_slice());
        for advice in what_to_do.iter().chain(account.advice) {
            insist(&format!("  {} {advice}", self.err.with("→", Color::Cyan)));
        }
    }

    fn output(&self, stream: &str, text: &str) {
        let text = text.trim_end();
        if text.is_empty() {
            insist(
                &self
                    .err
                    .dimmed(&format!("  the engine printed nothing on {stream}")),
            );
            return;
        }
        insist(&self.err.dimmed(&format!("  the engine's {stream}:")));
        for line in text.lines() {
            insist(&format!("  | {line}"));
        }
    }

    fn times(&self, report: &RunOutcome) {
        let width = report
            .done
            .iter()
            .map(|done| done.removes.as_str().len())
            .max()
            .unwrap_or(0);
        for done in &report.done {
            self.say(&format!(
                "  {:width$}  {}",
                done.removes,
                self.err.dimmed(&seconds(done.elapsed))
            ));
        }
    }

    fn position(&self, report: &RunOutcome, is_sequence: bool) {
        let position = match &report.current {
            Some(heads) => format!("{}, {}", rows(heads, is_sequence), report.verifier),
            None => "unknown: it could not be read".to_owned(),
        };
        self.insist_unless_done(
            report,
            &format!("{} {position}", self.err.bold("Current revision:")),
        );
    }

    fn insist_unless_done(&self, report: &RunOutcome, text: &str) {
        if report.stop.is_some() {
            insist(text);
        } else {
            self.say(text);
        }
    }
}

/// The same without passwords: what is concluded from it is shown and kept.
pub(crate) fn hidden(stop: &Stop, secrets: &[Secret]) -> Stop {
    let blocker = |blocker: &Blocker| Blocker {
        query: blocker.query.as_deref().map(|query| mask(query, secrets)),
        ..blocker.clone()
    };
    Stop {
        reason: stop.reason.as_deref().map(|reason| mask(reason, secrets)),
        stdout: mask(&stop.stdout, secrets),
        stderr: mask(&stop.stderr, secrets),
        blockers: stop.blockers.iter().map(blocker).collect(),
        ..stop.clone()
    }
}
