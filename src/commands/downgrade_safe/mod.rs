//! `rollback downgrade-safe`: observe, plan, judge, ask, run, report.

mod arguments;
mod backup_policy;
mod begun;
mod consent;
mod ended;
mod execution_mode;
mod file_checks;
mod guard_rollback;
mod next;
mod options;
pub(super) mod planned;
mod recheck;
mod steps;

pub use self::arguments::{DowngradeSafeArgs, HowArgs};
pub(super) use self::backup_policy::BackupDecision;
use self::backup_policy::RestoreOutcome;
use self::execution_mode::ExecutionMode;
pub(super) use self::file_checks::{FileChecks, PlanScope, refuse_choice};
pub(super) use self::guard_rollback::GuardRollback;
pub(super) use self::next::undoing;
pub(super) use self::options::repeating;
use self::planned::Planned;
use super::journal_recorder::{self, RunRecorder};
use super::lock::Lock;
use super::project::Project;
use super::unfinished::{self, ResumedRun};
use super::{CommandContext, audit_table, report_writer};
use crate::error::{Exit, Failure};
use crate::store::Store;
use crate::ui::RunSummary;
use rollback_core::journal::{BackupMoment, Run, RunBackup};
use rollback_core::outcome::{Outcome, RunOutcome};
use rollback_core::plan::Plan;
use rollback_database::Snapshot;
use rollback_sql_files::rollback_blocker::Chosen;

/// Plans, asks, runs and tells, and leaves a report of every run that was begun, gone on with or given up.
pub fn run(args: &DowngradeSafeArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let lock = (!args.dry_run).then(|| Lock::new(context, args.how.wait));
    let mut session = observe(args, context, lock.as_ref())?;
    let store = journal_recorder::store(context);
    let mut recorded = None;
    let result = recording(
        args,
        context,
        lock.as_ref(),
        &mut session,
        &store,
        &mut recorded,
    );
    if let Some(run) = recorded {
        let elsewhere = args.how.report.as_deref();
        report_writer::write(context, &store, &mut session, &run, elsewhere);
    }
    result
}

/// The same without the report; `recorded` becomes the run whose record was written to.
fn recording(
    args: &DowngradeSafeArgs,
    context: &CommandContext<'_>,
    lock: Option<&Lock>,
    project: &mut Project,
    store: &Store,
    recorded: &mut Option<String>,
) -> Result<Exit, Failure> {
    let unfinished = unfinished::find(context, store, project, args.purpose())?;
    if args.abandon {
        unfinished::abandon(context, project, store, unfinished.as_ref())?;
        *recorded = unfinished.map(|run| run.begun.run);
        return Ok(Exit::Done);
    }
    if lock.is_some() {
        project.has_sound_rows()?;
        project.keeps_its_steps()?;
    }
    let mut resumed = resume(args, context, project, store, unfinished)?;
    refuse_choice(&args.how, project)?;
    let begun = resumed.as_ref().map(|resumed| &resumed.run.begun);
    project.settle(args.how.chosen.unwrap_or(Chosen::Stored), begun);
    warn_of_leftovers(context, project);

    let mut planned = match resumed.as_ref().and_then(ResumedRun::copy_to_put_back) {
        // What is planned, predicted and agreed to is what will be there when the steps run.
        Some(copy) => project.looking_at(context, &copy, |session| {
            Planned::new(args, context, session, resumed.as_ref())
        })?,
        None => Planned::new(args, context, project, resumed.as_ref()),
    }?;
    planned.show(args, context, project)?;
    if args.dry_run || planned.plan.steps.is_empty() {
        if args.dry_run {
            planned.registered.refuse_not_newest(context)?;
        }
        if let (Some(resumed), false) = (&resumed, args.dry_run) {
            *recorded = Some(resumed.run.begun.run.clone());
        }
        if args.taking_back.is_some() {
            return guard_rollback::nothing_to_take_back(
                args, context, project, store, lock, &planned, recorded,
            );
        }
        return end_without_a_step(args, context, store, &planned.plan, resumed);
    }

    consent::judge(args, context, &planned)
        .and_then(|_| planned.safety.refuse())
        .map_err(|failure| planned.with_way(failure, args, context, project))?;
    let whole = execution_mode::whole(args, context, project, &planned.plan, resumed.as_ref())?;
    if let (false, Some(lock)) = (args.how.yes, lock) {
        recheck::ask_and_lock(
            args,
            context,
            project,
            store,
            lock,
            &mut planned,
            resumed.as_ref(),
        )?;
    }

    if let Some(resumed) = &mut resumed {
        resumed.put_back(context, project, store)?;
    }
    let run = match &resumed {
        Some(resumed) => &resumed.run.begun.run,
        None => lock.map_or("", Lock::run),
    };
    let moment = match &resumed {
        Some(resumed) => resumed.run.backup_moment(),
        None => BackupMoment::Run,
    };
    let made = planned.safety.make(context, project, run, moment)?;
    let backup = planned.own.sound().cloned().or_else(|| made.clone());
    planned.restore = backup
        .as_ref()
        .map(|backup| backup_policy::restoring(context, backup));
    if made.is_some() {
        project.still_at(&planned.plan)?;
    }
    let validate = whole.is_some() || context.settings.validate;
    let seen = project.check_before(validate, context)?;
    let way = ExecutionMode::prepare(whole)?;
    // A copy of the database takes its time, and what was seen before it is old.
    let before = seen
        .filter(|_| way.copy().is_none())
        .or_else(|| project.schema());
    let record = if let Some(mut resumed) = resumed {
        resumed.consented(&planned.ruled);
        *recorded = Some(resumed.run.begun.run.clone());
        RunRecorder::go_on(store, resumed, project.take_checks())
    } else {
        let run = lock.map_or("", Lock::run);
        let begun = begun::begun(args, context, project, run, &planned, before.as_ref());
        // The row first: where it cannot be written, no run begins.
        audit_table::announce(context, project, &begun).and_then(|()| {
            *recorded = Some(run.to_owned());
            RunRecorder::begin(store, begun, project.take_checks())
        })
    };
    let mut record = record
        .and_then(|mut record| {
            let of_the_command = args.taking_back.iter().flat_map(GuardRollback::backups);
            for backup in of_the_command.chain(&made) {
                record.backed_up(backup)?;
            }
            if way.is_atomic() {
                record.as_a_whole(way.copy().map(Snapshot::path))?;
            }
            Ok(record)
        })
        .map_err(|failure| way.not_gone(failure))?;
    project.set_engine_lock(record.engine_lock()?);
    let mut report = steps::run(
        context,
        project,
        &planned,
        &way,
        &mut record,
        steps::Start {
            validate,
            schema: before,
        },
    );
    let rescue = backup_policy::restore_on_failure(
        context,
        project,
        backup.as_ref(),
        &mut record,
        &mut report,
    );
    let after = After {
        report: &report,
        rescue,
        backup: backup.as_ref(),
    };
    Ok(tell(args, context, project, &planned, &mut record, &after))
}

/// Finds engine and database, and locks it. Whether a plan can be run as a whole is for the engine to say.
fn observe(
    args: &DowngradeSafeArgs,
    context: &CommandContext<'_>,
    lock: Option<&Lock>,
) -> Result<Project, Failure> {
    match lock {
        Some(lock) if !args.how.atomic => Project::open_for_steps(context, lock),
        Some(lock) => Project::open(context, Some(lock)),
        None if args.how.atomic => Project::open(context, None),
        None => Project::look(context),
    }
}

/// The run that is gone on with. A new one needs the way clear, unless it only shows its plan.
fn resume(
    args: &DowngradeSafeArgs,
    context: &CommandContext<'_>,
    project: &mut Project,
    store: &Store,
    unfinished: Option<Run>,
) -> Result<Option<ResumedRun>, Failure> {
    if args.resume {
        return unfinished::resume(args, context, project, store, unfinished).map(Some);
    }
    if let Some(run) = unfinished.filter(|_| !args.dry_run) {
        unfinished::make_way(context, project, store, &run)?;
        report_writer::write(context, store, project, &run.begun.run, None);
    }
    Ok(None)
}

fn warn_of_leftovers(context: &CommandContext<'_>, project: &mut Project) {
    for leftover in project.leftovers() {
        context.ui.warn(&format!(
            "{leftover}: a step or a run may have broken off here before"
        ));
    }
}

/// Of a dry run, and where no step is left.
fn end_without_a_step(
    args: &DowngradeSafeArgs,
    context: &CommandContext<'_>,
    store: &Store,
    plan: &Plan,
    resumed: Option<ResumedRun>,
) -> Result<Exit, Failure> {
    if args.dry_run {
        context.ui.say("\nDry run: nothing was changed.");
    }
    let report = RunOutcome::nothing_to_do(plan.current.clone());
    let before = resumed
        .as_ref()
        .map_or(0, |resumed| resumed.run.begun.removes.len());
    let before = before.saturating_sub(plan.steps.len());
    if let Some(resumed) = resumed.filter(|_| !args.dry_run) {
        RunRecorder::go_on(store, resumed, Vec::new())?.end(Vec::new(), &report, Exit::Done)?;
    }
    context.ui.nothing_was_run(&report, Exit::Done, before)?;
    Ok(Exit::Done)
}

/// A run that is over, with what was done about its failure.
struct After<'a> {
    report: &'a RunOutcome,
    rescue: RestoreOutcome,
    /// The one to go back to.
    backup: Option<&'a RunBackup>,
}

/// Ends the record and says what was done.
fn tell(
    args: &DowngradeSafeArgs,
    context: &CommandContext<'_>,
    project: &mut Project,
    planned: &Planned,
    record: &mut RunRecorder,
    after: &After<'_>,
) -> Exit {
    let report = after.report;
    let (exit, rest) = match report.outcome() {
        _ if matches!(after.rescue, RestoreOutcome::Failed(_)) => (Exit::StepChanged, None),
        Outcome::Done => args.done(context, project, record),
        Outcome::FailedUnchanged => (Exit::StepFailed, None),
        Outcome::FailedChanged => (Exit::StepChanged, None),
        Outcome::Interrupted => (Exit::Interrupted, None),
    };
    let advice = next::advice(args, context, report, &after.rescue, after.backup);
    let known = planned.known(context, project);
    let ended = ended::write(project, planned, &known, record, report, &advice, exit);
    context.ui.account(RunSummary {
        plan: &planned.plan,
        commands: &planned.commands,
        report,
        record: &record.path(),
        known: &known,
        advice: &advice,
        exit,
        before: match after.rescue {
            // Nothing of the run is left.
            RestoreOutcome::Restored(BackupMoment::Command | BackupMoment::Run) => 0,
            _ => record.offset(),
        },
        offset: record.offset(),
        secrets: project.secrets(),
    });
    if let (Some(backup), None) = (after.backup, &report.stop) {
        context.ui.say(&format!(
            "To go back to {}: {}",
            match backup.before {
                BackupMoment::Command => "before the command",
                BackupMoment::Run => "before the run",
                BackupMoment::Resume => "when the run was resumed",
            },
            backup_policy::restoring(context, backup)
        ));
    }
    if let Some(rest) = &rest {
        context.ui.failure(rest);
    }
    // The database is where it is; that the last line of its record is missing is for a person.
    if let Err(failure) = ended {
        context.ui.failure(&failure);
    }
    exit
}
