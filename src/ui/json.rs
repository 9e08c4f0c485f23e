//! The JSON forms, documented in `docs/json.md`. Their shape is part of the interface.

use std::time::Duration;

use serde_json::{Value, json};

use super::Ui;
use super::explain::diagnosis_json;
use super::findings::{PlanFooter, findings_json, outlook_json};
use super::standing::{RecordedState, backup_json, unfinished_json};
use crate::error::{Exit, Failure};
use error_diagnosis::Diagnosis;
use migration_forecast::risk::plan_forecast::PlanForecast;
use rollback_core::blocker::Blocker;
use rollback_core::connection::Identity;
use rollback_core::lock::Holder;
use rollback_core::outcome::{Position, RunOutcome, StepDone, Stop};
use rollback_core::plan::{Plan, Step};
use rollback_core::policy::PolicyDecision;
use rollback_core::revision::{Heads, RevisionId};

/// The version of every object below; it goes up when a field changes its meaning or goes away.
pub(super) const VERSION: u32 = 1;

/// For whom data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// People.
    Human,
    /// Programs.
    Json,
}

/// What `rollback current` found.
pub struct CurrentView<'a> {
    /// The database; `None` where only the engine's word is known and it named none.
    pub database: Option<&'a Identity>,
    /// The engine, for people.
    pub engine: &'a str,
    /// The version rows.
    pub current: &'a Heads,
    /// The heads of the code.
    pub heads: &'a Heads,
    /// How many revisions of the code are not applied; `None` where that cannot be told.
    pub behind: Option<usize>,
    /// False if tables of the migrations are in a database that records no revision.
    pub is_recorded: bool,
    /// What is odd: a stable code and a sentence.
    pub problems: &'a [(&'static str, String)],
    /// The migration that was applied last, where each applied one is a row; `None` for Alembic.
    pub newest: Option<&'a RevisionId>,
    /// Whether the code is a folder of SQL files.
    pub files: bool,
    /// What Supabase's own table says; `None` if there is none.
    pub supabase: Option<RemoteHistory>,
    /// First lines of the messages, by id.
    pub titles: &'a dyn Fn(&str) -> String,
    /// The run that is not over, and the newest backup.
    pub recorded: RecordedState<'a>,
}

/// What Supabase's own table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHistory {
    /// How many rows it has.
    pub applied: usize,
    /// The newest of them: its version and name.
    pub newest: Option<String>,
    /// The rows that are no file here.
    pub without_file: Vec<String>,
}

/// What a plan is shown with.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The database; `None` where only the engine's word is known and it named none.
    pub database: Option<&'a Identity>,
    /// The target as written.
    pub target: &'a str,
    /// The steps.
    pub plan: &'a Plan,
    /// The command line of each step.
    pub commands: &'a [Vec<String>],
    /// How each step runs where that is not in one transaction; nothing for Alembic.
    pub ways: &'a [Vec<String>],
    /// What is predicted of the steps.
    pub forecast: &'a PlanForecast,
    /// What the policy says of it; `None` where there is none.
    pub ruling: Option<&'a PolicyDecision>,
    /// What that comes to.
    pub ending: PlanFooter<'a>,
}

impl Ui {
    pub(super) fn current_json(standing: &CurrentView<'_>) -> Value {
        let problems: Vec<Value> = standing
            .problems
            .iter()
            .map(|(code, sentence)| json!({ "code": code, "sentence": sentence }))
            .collect();
        let mut value = json!({
            "version": VERSION,
            "database": standing.database,
            "engine": standing.engine,
            "current": standing.current,
            "heads": standing.heads,
            "behind": standing.behind,
            "problems": problems,
            "unfinished": unfinished_json(&standing.recorded),
            "last_backup": backup_json(&standing.recorded),
        });
        if standing.files {
            value["newest"] = json!(standing.newest);
        }
        if let Some(remote) = &standing.supabase {
            value["supabase"] = json!({
                "applied": remote.applied,
                "newest": remote.newest,
                "without_file": remote.without_file,
            });
        }
        value
    }

    pub(super) fn plan_json(view: PlanView<'_>) -> Value {
        let steps: Vec<Value> = view
            .plan
            .steps
            .iter()
            .zip(view.commands)
            .enumerate()
            .map(|(index, (step, command))| {
                let mut step = step_json(step, command);
                let findings = view
                    .forecast
                    .steps
                    .get(index)
                    .map_or(&[][..], Vec::as_slice);
                step["findings"] = findings_json(findings).into();
                if let Some(ways) = view.ways.get(index) {
                    step["not_in_one_transaction"] = json!(ways);
                }
                step
            })
            .collect();
        json!({
            "version": VERSION,
            "database": view.database,
            "current": view.plan.current,
            "target": view.target,
            "steps": steps,
            "verdict": outlook_json(view.forecast, view.ending),
            "ruling": view.ruling,
            "backup": view.ending.backup,
        })
    }

    pub(super) fn plan_event(view: PlanView<'_>) -> Value {
        let mut event = Self::plan_json(view);
        event["event"] = "plan".into();
        event
    }

    pub(super) fn waiting_event(
        holder: &Holder,
        held: Option<Duration>,
        waited: Duration,
        at_most: Duration,
    ) -> Value {
        let claim = holder.claim.as_ref();
        json!({
            "version": VERSION,
            "event": "waiting",
            "seconds": rounded(waited),
            "at_most_seconds": rounded(at_most),
            "holder": {
                "run": claim.map(|claim| &claim.run),
                "by": claim.map(|claim| &claim.operator),
                "held_seconds": held.map(rounded),
                "session": holder.session,
            },
        })
    }

    pub(super) fn step_started_event(number: usize, of: usize, step: &Step) -> Value {
        json!({
            "version": VERSION,
            "event": "step_started",
            "step": number,
            "of": of,
            "removes": step.removes,
            "argument": step.argument,
        })
    }

    pub(super) fn step_finished_event(number: usize, of: usize, done: &StepDone) -> Value {
        json!({
            "version": VERSION,
            "event": "step_finished",
            "step": number,
            "of": of,
            "removes": done.removes,
            "heads": done.heads,
            "seconds": rounded(done.elapsed),
        })
    }

    pub(super) fn step_failed_event(
        number: usize,
        of: usize,
        step: &Step,
        stop: &Stop,
        diagnosis: Option<&Diagnosis>,
    ) -> Value {
        json!({
            "version": VERSION,
            "event": "step_failed",
            "step": number,
            "of": of,
            "removes": step.removes,
            "cause": stop.cause.to_string(),
            "reason": stop.reason,
            "diagnosis": diagnosis.map(diagnosis_json),
            "database": position(&stop.position),
            "blockers": blockers(&stop.blockers),
            "stdout": stop.stdout,
            "stderr": stop.stderr,
        })
    }

    pub(super) fn step_applied_event(number: usize, of: usize, step: &StepDone) -> Value {
        json!({
            "version": VERSION,
            "event": "step_applied",
            "step": number,
            "of": of,
            "removes": step.removes,
            "heads": step.heads,
        })
    }

    pub(super) fn lock_retry_event(
        number: usize,
        attempt: u32,
        of: u32,
        seen: &[Blocker],
    ) -> Value {
        json!({
            "version": VERSION,
            "event": "lock_retry",
            "step": number,
            "retry": attempt,
            "retries": of,
            "blockers": blockers(seen),
        })
    }

    pub(super) fn open_transactions_event(seen: &[Blocker]) -> Value {
        json!({
            "version": VERSION,
            "event": "open_transactions",
            "sessions": blockers(seen),
        })
    }

    pub(super) fn finished_event(
        report: &RunOutcome,
        exit: Exit,
        before: usize,
        next: &[String],
        diagnosis: Option<&Diagnosis>,
    ) -> Value {
        let removed: Vec<_> = report.done.iter().map(|done| &done.removes).collect();
        json!({
            "version": VERSION,
            "event": "finished",
            "exit_code": exit.code(),
            "current": report.current,
            "removed": removed,
            "steps_done": before + removed.len(),
            "validated": report.validated,
            "seconds": rounded(report.elapsed),
            "diagnosis": diagnosis.map(diagnosis_json),
            "next": next,
        })
    }

    /// The end of a run that never began: nothing was removed.
    pub fn refused_event(failure: &Failure) -> Value {
        json!({
            "version": VERSION,
            "event": "finished",
            "exit_code": failure.exit.code(),
            "current": null,
            "removed": [],
            "error": failure.message,
            "next": failure.hints,
        })
    }
}

fn step_json(step: &Step, command: &[String]) -> Value {
    json!({
        "removes": step.removes,
        "takes_along": step.takes_along,
        "argument": step.argument,
        "command": command,
        "is_merge": step.is_merge,
        "heads_before": step.heads_before,
        "heads_after": step.heads_after,
        "message": step.revision.message,
        "path": step.revision.path,
        "created": step.revision.created,
    })
}

fn position(position: &Position) -> Value {
    match position {
        Position::Unchanged { schema_compared } => {
            json!({ "state": "unchanged", "schema_compared": schema_compared })
        }
        Position::MayHaveChanged(doubts) => {
            let unproven: Vec<Value> = doubts
                .iter()
                .map(|doubt| {
                    json!({
                        "code": doubt.code(),
                        "objects": doubt.objects(),
                        "sentence": doubt.to_string(),
                    })
                })
                .collect();
            json!({ "state": "may_have_changed", "unproven": unproven })
        }
        Position::InTheMiddle {
            done,
            of,
            difference,
        } => json!({
            "state": "half_done", "gone": difference.gone, "new": difference.new,
            "statements_done": done, "statements": of,
        }),
        Position::HalfDone(difference) => {
            json!({ "state": "half_done", "gone": difference.gone, "new": difference.new })
        }
        Position::StepHappened => json!({ "state": "step_happened" }),
        Position::Elsewhere { heads } => json!({ "state": "elsewhere", "heads": heads }),
        Position::Unknown { reason } => json!({ "state": "unknown", "reason": reason }),
    }
}

/// Sessions that others wait for.
pub(super) fn blockers(blockers: &[Blocker]) -> Vec<Value> {
    blockers
        .iter()
        .map(|blocker| {
            json!({
                "pid": blocker.pid,
                "user": blocker.user,
                "application": blocker.application,
                "state": blocker.state,
                "transaction_seconds": blocker.transaction_age.map(rounded),
                "query_seconds": blocker.query_age.map(rounded),
                "query": blocker.query,
            })
        })
        .collect()
}

/// Seconds to the millisecond.
pub(super) fn rounded(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}
