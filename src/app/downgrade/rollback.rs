//! The phases of a rollback, in their order.

use super::backup_policy;
use super::execution_mode::{self, ExecutionMode};
use super::restore_on_failure::{RestoreOutcome, restore_on_failure};
use super::{
    Goal, GuardRollback, Planned, Request, begun, consent, guard_rollback, next, recheck,
    record_end, refuse_choice, steps,
};
use crate::app::journal_recorder::{self, RunRecorder};
use crate::app::lock::Lock;
use crate::app::project::{AtomicMethod, Project};
use crate::app::unfinished::{self, ResumedRun};
use crate::app::{CommandContext, audit_table, report_writer};
use crate::error::{Exit, Failure};
use crate::store::Store;
use crate::ui::RunSummary;
use rollback_core::journal::{BackupMoment, Run, RunBackup};
use rollback_core::outcome::{Outcome, RunOutcome, SchemaLines};
use rollback_core::plan::Plan;
use rollback_database::Snapshot;
use rollback_sql_files::rollback_blocker::Chosen;

/// Rolls back as requested, and writes the report of every run that was begun, resumed or abandoned.
pub(crate) fn run(request: &Request, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let lock = (!request.dry_run).then(|| Lock::new(context, request.how.wait));
    let mut rollback = Rollback {
        project: observe(request, context, lock.as_ref())?,
        request,
        context,
        lock: lock.as_ref(),
        store: journal_recorder::store(context),
        recorded: None,
    };
    let result = rollback.run();
    rollback.write_report();
    result
}

/// Finds engine and database, and locks the database. Whether a plan can be run in one transaction is for the engine to say.
fn observe(
    request: &Request,
    context: &CommandContext<'_>,
    lock: Option<&Lock>,
) -> Result<Project, Failure> {
    match lock {
        Some(lock) if !request.how.atomic => Project::open_for_steps(context, lock),
        Some(lock) => Project::open(context, Some(lock)),
        None if request.how.atomic => Project::open(context, None),
        None => Project::look(context),
    }
}

struct Rollback<'a> {
    request: &'a Request,
    context: &'a CommandContext<'a>,
    /// None in a dry run.
    lock: Option<&'a Lock>,
    project: Project,
    store: Store,
    /// The run whose record was written to.
    recorded: Option<String>,
}

/// What there is to go back to, and how the steps are run.
struct Protection {
    /// The backup to restore if the run fails.
    backup: Option<RunBackup>,
    /// The same, if it was made just now.
    made: Option<RunBackup>,
    mode: ExecutionMode,
    /// Whether the database is looked at after each step.
    validate: bool,
    schema: Option<SchemaLines>,
}

impl Rollback<'_> {
    fn run(&mut self) -> Result<Exit, Failure> {
        let (request, context) = (self.request, self.context);
        let unfinished = unfinished::find(context, &self.store, &self.project, request.purpose())?;
        if let Goal::Abandon { .. } = request.goal {
            return self.abandon(unfinished);
        }
        if self.lock.is_some() {
            self.project.has_sound_rows()?;
            self.project.keeps_its_steps()?;
        }
        let mut resumed = self.resume(unfinished)?;
        let mut planned = self.plan(resumed.as_ref())?;
        planned.show(request, context, &self.project)?;
        if request.dry_run || planned.plan.steps.is_empty() {
            return self.end_without_a_step(&planned, resumed);
        }
        let atomic = self.agree(&mut planned, resumed.as_ref())?;
        let protection = self.protect(&mut planned, resumed.as_mut(), atomic)?;
        let mut record = self
            .begin_record(&planned, resumed, &protection)
            .map_err(|failure| protection.mode.not_gone(failure))?;
        self.project.set_engine_lock(record.engine_lock()?);
        Ok(self.run_steps(&planned, &mut record, protection))
    }

    fn abandon(&mut self, unfinished: Option<Run>) -> Result<Exit, Failure> {
        let unfinished_run = unfinished.as_ref();
        unfinished::abandon(self.context, &self.project, &self.store, unfinished_run)?;
        self.recorded = unfinished.map(|run| run.begun.run);
        Ok(Exit::Done)
    }

    /// The run to resume. A new one is refused while another is unfinished, unless it only shows its plan.
    fn resume(&mut self, unfinished: Option<Run>) -> Result<Option<ResumedRun>, Failure> {
        let (request, context) = (self.request, self.context);
        let (project, store) = (&mut self.project, &self.store);
        if let Goal::Resume { .. } = request.goal {
            return unfinished::resume(request, context, project, store, unfinished).map(Some);
        }
        if let Some(run) = unfinished.filter(|_| !request.dry_run) {
            unfinished::make_way(context, project, store, &run)?;
            report_writer::write(context, store, project, &run.begun.run, None);
        }
        Ok(None)
    }

    fn plan(&mut self, resumed: Option<&ResumedRun>) -> Result<Planned, Failure> {
        let (request, context, project) = (self.request, self.context, &mut self.project);
        refuse_choice(&request.how, project)?;
        let begun = resumed.map(|resumed| &resumed.run.begun);
        project.settle(request.how.chosen.unwrap_or(Chosen::Stored), begun);
        for leftover in project.leftovers() {
            context.ui.warn(&format!(
                "{leftover}: a step or a run may have broken off here before"
            ));
        }
        match resumed.and_then(ResumedRun::copy_to_put_back) {
            // What is planned, predicted and agreed to is what will be there when the steps run.
            Some(copy) => project.looking_at(context, &copy, |project| {
                Planned::new(request, context, project, resumed)
            })?,
            None => Planned::new(request, context, project, resumed),
        }
    }

    /// Of a dry run, and if no step is left.
    fn end_without_a_step(
        &mut self,
        planned: &Planned,
        resumed: Option<ResumedRun>,
    ) -> Result<Exit, Failure> {
        let (request, context) = (self.request, self.context);
        if request.dry_run {
            planned.registered.refuse_not_newest(context)?;
        }
        if let (Some(resumed), false) = (&resumed, request.dry_run) {
            self.recorded = Some(resumed.run.begun.run.clone());
        }
        if request.guarded().is_some() {
            return guard_rollback::nothing_to_take_back(
                request,
                context,
                &mut self.project,
                &self.store,
                self.lock,
                planned,
                &mut self.recorded,
            );
        }
        end_without_a_step(request, context, &self.store, &planned.plan, resumed)
    }

    /// Asks for what the plan puts at risk. `planned` becomes what is seen under the lock.
    fn agree(
        &mut self,
        planned: &mut Planned,
        resumed: Option<&ResumedRun>,
    ) -> Result<Option<AtomicMethod>, Failure> {
        let (request, context, project) = (self.request, self.context, &mut self.project);
        consent::judge(request, context, planned)
            .and_then(|_| planned.safety.refuse())
            .map_err(|failure| planned.with_way(failure, request, context, project))?;
        let atomic = execution_mode::whole(request, context, project, &planned.plan, resumed)?;
        if let (false, Some(lock)) = (request.how.yes, self.lock) {
            let store = &self.store;
            recheck::ask_and_lock(request, context, project, store, lock, planned, resumed)?;
        }
        Ok(atomic)
    }

    /// Makes the backup and the copy of the file, and checks the database before the first step.
    fn protect(
        &mut self,
        planned: &mut Planned,
        mut resumed: Option<&mut ResumedRun>,
        atomic: Option<AtomicMethod>,
    ) -> Result<Protection, Failure> {
        let (context, project) = (self.context, &mut self.project);
        if let Some(resumed) = &mut resumed {
            resumed.put_back(context, project, &self.store)?;
        }
        let (run, moment) = match &resumed {
            Some(resumed) => (resumed.run.begun.run.as_str(), resumed.run.backup_moment()),
            None => (self.lock.map_or("", Lock::run), BackupMoment::Run),
        };
        let made = planned.safety.make(context, project, run, moment)?;
        let backup = planned.own.sound().cloned().or_else(|| made.clone());
        planned.restore = backup
            .as_ref()
            .map(|backup| backup_policy::restoring(context, backup));
        if made.is_some() {
            project.still_at(&planned.plan)?;
        }
        let validate = atomic.is_some() || context.settings.validate;
        let seen = project.check_before(validate, context)?;
        let mode = ExecutionMode::prepare(atomic)?;
        // A copy of the database takes its time, and what was seen before it is old.
        let schema = seen
            .filter(|_| mode.copy().is_none())
            .or_else(|| project.schema());
        Ok(Protection {
            backup,
            made,
            mode,
            validate,
            schema,
        })
    }

    fn begin_record(
        &mut self,
        planned: &Planned,
        resumed: Option<ResumedRun>,
        protection: &Protection,
    ) -> Result<RunRecorder, Failure> {
        let (request, context, project) = (self.request, self.context, &mut self.project);
        let mut record = if let Some(mut resumed) = resumed {
            resumed.consented(&planned.ruled);
            self.recorded = Some(resumed.run.begun.run.clone());
            RunRecorder::go_on(&self.store, resumed, project.take_checks())
        } else {
            let run = self.lock.map_or("", Lock::run);
            let schema = protection.schema.as_ref();
            let begun = begun::begun(request, context, project, run, planned, schema);
            // The row first: if it cannot be written, no run begins.
            audit_table::announce(context, project, &begun)?;
            self.recorded = Some(run.to_owned());
            RunRecorder::begin(&self.store, begun, project.take_checks())
        }?;
        let of_the_command = request
            .guarded()
            .into_iter()
            .flat_map(GuardRollback::backups);
        for backup in of_the_command.chain(&protection.made) {
            record.backed_up(backup)?;
        }
        let mode = &protection.mode;
        if mode.is_atomic() {
            record.as_a_whole(mode.copy().map(Snapshot::path))?;
        }
        Ok(record)
    }

    fn run_steps(
        &mut self,
        planned: &Planned,
        record: &mut RunRecorder,
        protection: Protection,
    ) -> Exit {
        let (context, project) = (self.context, &mut self.project);
        let start = steps::Start {
            validate: protection.validate,
            schema: protection.schema,
        };
        let mut outcome = steps::run(context, project, planned, &protection.mode, record, start);
        let backup = protection.backup.as_ref();
        let restored = restore_on_failure(context, project, backup, record, &mut outcome);
        let after = After {
            report: &outcome,
            restored,
            backup,
        };
        tell(self.request, context, project, planned, record, &after)
    }

    fn write_report(&mut self) {
        if let Some(run) = &self.recorded {
            let elsewhere = self.request.how.report.as_deref();
            report_writer::write(self.context, &self.store, &mut self.project, run, elsewhere);
        }
    }
}

fn end_without_a_step(
    request: &Request,
    context: &CommandContext<'_>,
    store: &Store,
    plan: &Plan,
    resumed: Option<ResumedRun>,
) -> Result<Exit, Failure> {
    if request.dry_run {
        context.ui.say("\nDry run: nothing was changed.");
    }
    let report = RunOutcome::nothing_to_do(plan.current.clone());
    let before = resumed
        .as_ref()
        .map_or(0, |resumed| resumed.run.begun.removes.len())
        .saturating_sub(plan.steps.len());
    if let Some(resumed) = resumed.filter(|_| !request.dry_run) {
        RunRecorder::go_on(store, resumed, Vec::new())?.end(Vec::new(), &report, Exit::Done)?;
    }
    context.ui.nothing_was_run(&report, Exit::Done, before)?;
    Ok(Exit::Done)
}

/// A run that is over, with what was done about its failure.
struct After<'a> {
    report: &'a RunOutcome,
    restored: RestoreOutcome,
    /// The one to go back to.
    backup: Option<&'a RunBackup>,
}

/// Ends the record and says what was done.
fn tell(
    request: &Request,
    context: &CommandContext<'_>,
    project: &mut Project,
    planned: &Planned,
    record: &mut RunRecorder,
    after: &After<'_>,
) -> Exit {
    let report = after.report;
    let (exit, rest) = match report.outcome() {
        _ if matches!(after.restored, RestoreOutcome::Failed(_)) => (Exit::StepChanged, None),
        Outcome::Done => guard_rollback::done(request, context, project, record),
        Outcome::FailedUnchanged => (Exit::StepFailed, None),
        Outcome::FailedChanged => (Exit::StepChanged, None),
        Outcome::Interrupted => (Exit::Interrupted, None),
    };
    let advice = next::advice(request, context, report, &after.restored, after.backup);
    let known = planned.known(context, project);
    let ended = record_end::write(project, planned, &known, record, report, &advice, exit);
    context.ui.account(RunSummary {
        plan: &planned.plan,
        commands: &planned.commands,
        report,
        record: &record.path(),
        known: &known,
        advice: &advice,
        exit,
        before: match after.restored {
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
