//! A run that did not reach its target: finding it, making way for another, giving it up, and going on with it.

mod messages;
mod resume;

use self::messages::{nothing_unfinished, told, undoing};
pub(crate) use self::resume::{ResumedRun, resume};
use super::CommandContext;
use super::journal_recorder::{append, reopen, store_failure};
use super::project::Project;
use super::whose_run::{self, Purpose};
use crate::error::{Exit, Failure};
use crate::store::Store;
use rollback_core::database_identity::DatabaseReference;
use rollback_core::journal::{Entry, Run};
use rollback_database::LeftoverSnapshot;

/// The newest run on this database that did not reach its target and was not given up.
pub(crate) fn find(
    context: &CommandContext<'_>,
    store: &Store,
    project: &Project,
    purpose: Purpose,
) -> Result<Option<Run>, Failure> {
    find_of(context, store, &project.database_reference(), purpose)
}

/// The same of a database that may have been reached without its project.
pub(crate) fn find_of(
    context: &CommandContext<'_>,
    store: &Store,
    here: &DatabaseReference,
    purpose: Purpose,
) -> Result<Option<Run>, Failure> {
    let Some(run) = whose_run::unfinished(context, store, here, purpose)? else {
        return Ok(None);
    };
    if store
        .engine_at_work(&run.begun.run)
        .map_err(|error| store_failure(&error))?
    {
        return Err(Failure::new(
            Exit::Locked,
            format!("the engine of {} is still at work", told(&run)),
        )
        .because("the run itself was killed, and what it had started goes on")
        .hint(format!(
            "wait for its end; then have it examined: {}",
            context.command(&["resume"])
        )));
    }
    Ok(Some(run))
}

/// Refuses a new run while another one is unfinished. One that ended at a revision boundary is over
/// as soon as somebody has moved the database since.
pub(crate) fn make_way(
    context: &CommandContext<'_>,
    project: &Project,
    store: &Store,
    run: &Run,
) -> Result<(), Failure> {
    if is_over(project, run) {
        context.ui.warn(&format!(
            "run {} ended before its target, and the database was moved since: it is over",
            run.begun.run
        ));
        return append(&mut reopen(store, run)?, abandoned(context));
    }
    let mut refusal = Failure::refused(format!(
        "a run on this database is unfinished: {}",
        told(run)
    ))
    .hint(format!(
        "to go on with it: {}",
        context.command(&["resume"])
    ));
    if let Some(undo) = undoing(context, run) {
        refusal = refusal.hint(format!("to {undo}"));
    }
    Err(refusal.hint(format!("to give it up: {}", context.command(&["abandon"]))))
}

/// Whether a run that ended at a revision boundary is over, since somebody has moved the database since.
pub(crate) fn is_over(project: &Project, run: &Run) -> bool {
    run.ended_cleanly()
        && project.graph.applied(&run.heads) != project.graph.applied(project.rows.ids())
}

/// Gives an unfinished run up. The database is not touched.
pub(crate) fn abandon(
    context: &CommandContext<'_>,
    project: &Project,
    store: &Store,
    run: Option<&Run>,
) -> Result<(), Failure> {
    let Some(run) = run else {
        return Err(nothing_unfinished(context, store));
    };
    let mut journal = reopen(store, run)?;
    if let Some(entry) = whose_run::moved(project, run) {
        append(&mut journal, entry)?;
    }
    append(&mut journal, abandoned(context))?;
    context.ui.say(&format!(
        "Given up: {}. The database was not touched.",
        told(run)
    ));
    if let Some(copy) = kept_copy(run) {
        context.ui.warn(&format!(
            "the file as it was before the first step is kept as {}: copy it over the database to go back to that, or remove it",
            copy.path().display()
        ));
    }
    Ok(())
}

/// The copy that a whole left behind, as long as it is there.
fn kept_copy(run: &Run) -> Option<LeftoverSnapshot> {
    LeftoverSnapshot::find(run.whole.as_ref()?.copy.as_deref()?)
}

fn abandoned(context: &CommandContext<'_>) -> Entry {
    Entry::Abandoned {
        by: context.operator.clone(),
    }
}
