//! The steps of a run, with all that hears of them.

use std::time::Duration;

use super::execution_mode::ExecutionMode;
use super::planned::Planned;
use crate::app::CommandContext;
use crate::app::journal_recorder::RunRecorder;
use crate::app::measure::Measure;
use crate::app::project::Project;
use crate::ui::{Progress, Verbosity};
use rollback_core::effect::{Announced, Consent};
use rollback_core::failpoint;
use rollback_core::outcome::{RunOutcome, SchemaLines};
use rollback_core::runner::{Options, RunnerParts};

/// From what age on an open transaction is worth a warning if a step may wait for a lock without a limit.
const OLD_TRANSACTION: Duration = Duration::from_secs(5);

/// What the first step finds.
pub(super) struct Start {
    /// Whether the database is looked at after each step.
    pub(super) validate: bool,
    /// The schema, read just now.
    pub(super) schema: Option<SchemaLines>,
}

/// Runs them.
pub(super) fn run(
    context: &CommandContext<'_>,
    project: &mut Project,
    planned: &Planned,
    way: &ExecutionMode,
    record: &mut RunRecorder,
    start: Start,
) -> RunOutcome {
    let ui = context.ui;
    let plan = &planned.plan;
    let validate = start.validate;
    warn_of_limits(context, project, validate);
    let settings = context.settings;
    let options = Options {
        validate,
        timeout: settings.timeout,
        lock_retries: settings.lock_retries,
        old_transaction: settings.lock_limit().unwrap_or(OLD_TRANSACTION),
    };
    let mut announced = planned.forecast.announced.clone();
    if failpoint::is_blind() {
        announced.fill(Announced::default());
    }
    project.judge_by(Measure::new(
        announced,
        Consent {
            unannounced: settings.allow.covers_unannounced(),
            measured: planned.forecast.measured.clone(),
            strict: settings.strict,
        },
        settings.may_lose_rows.clone(),
    ));
    let secrets = project.secrets().to_vec();
    let known = planned.known(context, project);
    let progress = Progress::new(ui, plan.steps.len(), &secrets)
        .after(record.offset())
        .knowing(&known);
    context
        .interrupt
        .on_signal(Some(progress.on_signal(if way.is_atomic() {
            "after the running step everything is taken back, unless it is the last"
        } else {
            "the running step is finished first"
        })));
    let mut events = progress;
    let (engine, graph, verifier) = project.runner_parts();
    let mut parts = RunnerParts {
        graph,
        before: start.schema,
        engine,
        verifier,
        recorder: record,
        events: &mut events,
        interrupt: context.interrupt,
        options,
        begun: None,
        warned: None,
    };
    let report = way.run(plan, &mut parts, context);
    context.interrupt.on_signal(None);
    events.finish();
    report
}

/// Says what protects this run less than another one.
fn warn_of_limits(context: &CommandContext<'_>, project: &Project, validate: bool) {
    let ui = context.ui;
    if context.settings.warm.is_some() {
        ui.warn("`warm` is replaced by `process_per_step` (--process-per-step) and will be refused by the next release");
    }
    if !project.has_own_connection() {
        let asked = if validate {
            ", and after each step the engine's own `current` is asked"
        } else {
            ""
        };
        ui.warn(&format!(
            "there is no connection of our own to this database: no lock keeps another run out{asked}"
        ));
    }
    match project.unlimited_waiting() {
        Some((reason, true)) => ui.warn(reason),
        Some((reason, false)) if ui.verbosity == Verbosity::Verbose => ui.say(reason),
        _ => {}
    }
}
