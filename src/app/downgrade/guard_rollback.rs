//! The run that rolls back what a command under guard applied: its plan is where the database stood, and it ends
//! with an exit code of its own.

use super::restore_on_failure::{self, RestoreOutcome};
use super::{Planned, Request, begun};
use crate::app::journal_recorder::RunRecorder;
use crate::app::lock::Lock;
use crate::app::project::Project;
use crate::app::{CommandContext, audit_table};
use crate::error::{Exit, Failure};
use crate::store::Store;
use rollback_core::command::Command;
use rollback_core::guard::{Before, GuardRefusal, Guarded};
use rollback_core::journal::{Checked, Entry, RunBackup};
use rollback_core::names::in_short;
use rollback_core::outcome::RunOutcome;
use rollback_core::plan::Plan;
use rollback_core::revision::RevisionId;

/// How many lines of a difference are worth showing before the advice.
const SHOWN_LINES: usize = 20;

/// What has to be rolled back, and why.
#[derive(Debug, Clone)]
pub(crate) struct GuardRollback {
    /// Where the database stood.
    pub(crate) before: Before,
    /// The command that failed.
    pub(crate) guarded: Guarded,
    /// The backup that was made before it.
    pub(crate) backup: Option<RunBackup>,
}

impl GuardRollback {
    /// What a run has for a start.
    pub(super) fn backups(&self) -> &[RunBackup] {
        self.backup.as_slice()
    }

    /// The plan back to where it was.
    pub(super) fn plan(
        &self,
        context: &CommandContext<'_>,
        project: &Project,
    ) -> Result<Plan, Failure> {
        let to_look = || format!("see where it stands: {}", context.command(&["current"]));
        let now = project.database_reference();
        if !now.relation_to(&self.before.database).is_usable() {
            return Err(person(format!(
                "the project leads to another database now: it was {}, and is {}",
                self.before.database.described(),
                now.described()
            ))
            .because("the command changed its settings or its address, so nothing was rolled back")
            .hint(to_look()));
        }
        self.before
            .way_back(&project.graph, project.rows.ids())
            .map_err(|hindrance| {
                let failure = person(hindrance.to_string());
                let stood = in_short(&self.before.rows);
                match &hindrance {
                    GuardRefusal::Unknown(_) => failure
                        .because("the command put other migration files in the place of those it ran, or removed them")
                        .because(format!("the database stood at {stood} before it"))
                        .hint(format!(
                            "bring the files back that it ran, then: {}",
                            target(context.command(&["downgrade-safe"]), &self.before.rows)
                        )),
                    GuardRefusal::NotAbove { new, .. } => {
                        let failure = failure.because(format!(
                            "it stood at {stood} before the command, and stands at {} now",
                            project.current_rows()
                        ));
                        let failure = if new.is_empty() {
                            failure
                        } else {
                            failure.because(format!("new since then: {}", in_short(new)))
                        };
                        failure
                            .because("the command itself took something back, or somebody else did; nothing was done about it")
                            .hint(to_look())
                            .hint(format!("where that is not what it should be, have the engine bring it to {stood}"))
                    }
                    GuardRefusal::NotAlone { .. } => failure
                        .because("the command rewrote the history of the migrations")
                        .hint(to_look()),
                }
            })
    }

    /// What is left of the command where nothing should be; written down as a check.
    pub(super) fn look_for_rest(
        &self,
        context: &CommandContext<'_>,
        project: &mut Project,
        record: &mut RunRecorder,
    ) -> Result<Option<Failure>, Failure> {
        let left = self.before.left_over(project.schema().as_ref());
        let gone = left.gone.iter().map(|line| format!("gone: {line}"));
        let new = left.new.iter().map(|line| format!("new:  {line}"));
        let lines: Vec<String> = gone.chain(new).collect();
        let fault = (!lines.is_empty())
            .then(|| format!("not what it was before the command: {}", lines.join("; ")));
        record.add(Entry::Checked {
            step: None,
            checks: vec![Checked {
                name: "schema".to_owned(),
                fault,
            }],
        })?;
        if lines.is_empty() {
            return Ok(None);
        }
        let more = lines.len().saturating_sub(SHOWN_LINES);
        let mut failure = person(
            "the version table is what it was before the command, and the schema is not".to_owned(),
        );
        failure.causes = lines.into_iter().take(SHOWN_LINES).collect();
        if more > 0 {
            failure = failure.because(format!("and {more} lines more"));
        }
        Ok(Some(
            failure
                .because("a migration broke off in the middle, a downgrade is not the inverse of its upgrade, or the command changed more than its migrations do")
                .hint(format!("undo these differences by hand, then: {}", context.command(&["current"]))),
        ))
    }
}

/// A command that failed without having applied anything is written down as well.
pub(super) fn nothing_to_take_back(
    request: &Request,
    context: &CommandContext<'_>,
    project: &mut Project,
    store: &Store,
    lock: Option<&Lock>,
    planned: &Planned,
    recorded: &mut Option<String>,
) -> Result<Exit, Failure> {
    let run = lock.map_or("", Lock::run);
    let schema = project.schema();
    let begun = begun::begun(request, context, project, run, planned, schema.as_ref());
    audit_table::announce(context, project, &begun)?;
    *recorded = Some(run.to_owned());
    let report = RunOutcome::nothing_to_do(planned.plan.current.clone());
    let mut record = RunRecorder::begin(store, begun, Vec::new())?;
    for backup in request
        .guarded()
        .into_iter()
        .flat_map(GuardRollback::backups)
    {
        record.backed_up(backup)?;
    }
    let (exit, rest) = done(request, context, project, &mut record);
    record.end(Vec::new(), &report, exit)?;
    context.ui.nothing_was_run(&report, exit, 0)?;
    if let Some(rest) = &rest {
        context.ui.failure(rest);
    }
    Ok(exit)
}

/// What a run ends with that comes to its target, and what is wrong there.
pub(super) fn done(
    request: &Request,
    context: &CommandContext<'_>,
    project: &mut Project,
    record: &mut RunRecorder,
) -> (Exit, Option<Failure>) {
    let Some(guarded) = request.guarded() else {
        return (Exit::Done, None);
    };
    match guarded.look_for_rest(context, project, record) {
        Ok(None) => (Exit::Guarded, None),
        Ok(Some(failure)) => {
            let restored = guarded.backup.as_ref().is_some_and(|backup| {
                let rescue = restore_on_failure::restore(context, project, backup, record);
                matches!(rescue, RestoreOutcome::Restored(_))
            });
            if restored {
                (Exit::Guarded, None)
            } else {
                (Exit::StepChanged, Some(failure))
            }
        }
        Err(failure) => (Exit::StepChanged, Some(failure)),
    }
}

fn person(message: String) -> Failure {
    Failure::new(Exit::StepChanged, message)
}

/// A command that leads to rows, which only one row names.
fn target(command: Command, rows: &[RevisionId]) -> Command {
    match rows {
        [] => command.target("base"),
        [one] => command.target(one.as_str()),
        _ => command.placeholder("target"),
    }
}
