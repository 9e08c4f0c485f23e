//! What is said of an unfinished run, and what to do about it.

use super::kept_copy;
use crate::app::CommandContext;
use crate::app::downgrade::undoing as undoing_by;
use crate::app::journal_recorder::{store, store_failure};
use crate::app::project::Project;
use crate::error::{Exit, Failure};
use crate::store::Store;
use rollback_core::figures::count;
use rollback_core::journal::{CrashState, Run, RunBackup, to_go_back};
use rollback_core::revision::RevisionId;

/// How many lines of a difference are worth showing before the advice.
const SHOWN_LINES: usize = 20;

/// The run, for people.
pub(super) fn told(run: &Run) -> String {
    let begun = &run.begun;
    format!(
        "run {} of {}@{} to {}, begun {}, {} of {} done",
        begun.run,
        begun.by.user,
        begun.by.host,
        begun.target,
        run.since,
        run.done,
        count(begun.removes.len(), "step")
    )
}

/// How the run is undone, where there is a backup to go back to.
pub(super) fn undoing(context: &CommandContext<'_>, run: &Run) -> Option<String> {
    let kept = store(context).backups();
    let there = |backup: &&RunBackup| kept.file(&backup.manifest).exists();
    let there: Vec<RunBackup> = run.backups.iter().filter(there).cloned().collect();
    let backup = to_go_back(&there)?;
    Some(format!(
        "{}: {}",
        undoing_by(backup),
        context.command(&["restore", &backup.manifest.id])
    ))
}

/// What was found, as it completes "Found: ".
pub(super) fn finding(run: &Run, found: &CrashState) -> String {
    let whole = run.open_whole().filter(|_| run.in_flight.is_some());
    let step = match (run.in_flight, run.in_flight_revision()) {
        _ if whole.is_some() => "the steps were under way as a whole".to_owned(),
        (Some(step), Some(revision)) => format!("step {}, {revision}, was under way", step + 1),
        _ => "no step was under way".to_owned(),
    };
    match found {
        CrashState::AtTheBoundary => format!("{step}; the database stands where the record ends"),
        CrashState::NothingHappened => format!("{step}, and nothing of it happened"),
        CrashState::MayHaveChanged(doubts) => {
            let doubts: Vec<String> = doubts.iter().map(ToString::to_string).collect();
            format!(
                "{step}; version table and schema are as before it, and it is not proven that it left nothing: {}",
                doubts.join("; ")
            )
        }
        CrashState::StepHappened => format!("{step}, and it happened without being recorded"),
        CrashState::HalfDone(_) if run.in_flight.is_some() => {
            format!(
                "{step}, and half of it happened: the version table is as before it, the schema is not"
            )
        }
        CrashState::HalfDone(_) => {
            format!("{step}, and the schema is not as the record has it: somebody changed it since")
        }
        CrashState::InTheMiddle { done, of } => {
            format!("{step}, and {done} of its {of} statements are done")
        }
        CrashState::Unclear(why, _) => format!("{step}, {why}"),
        CrashState::OtherForm => {
            format!(
                "{step}; the version table is as before it, and whether the schema is cannot be told: \
                 the record is of a version of rollback that writes schemas in another form"
            )
        }
        CrashState::Elsewhere => {
            format!("{step}; the version table holds what belongs neither before nor after it")
        }
        CrashState::WholeHappened => {
            format!("{step}, and all of it happened without being recorded")
        }
        CrashState::NotAsSeen(_) => format!(
            "{step}, and all of it is gone from the version table, but the schema is not what was seen before it was kept"
        ),
        CrashState::PartOfAWhole => match whole.and_then(|whole| whole.copy.as_deref()) {
            Some(copy) if kept_copy(run).is_some() => format!(
                "{step}, and some of it may have happened; the file as it was before it, {copy}, is to be put back, and what was written since goes with it"
            ),
            Some(copy) => format!(
                "{step}, and some of it may have happened; the file as it was before it, {copy}, is missing"
            ),
            None => format!("{step}, and some of it may have happened"),
        },
    }
}

/// The refusal to go on without a person.
pub(super) fn cannot_go_on(
    context: &CommandContext<'_>,
    project: &Project,
    run: &Run,
    found: &CrashState,
) -> Failure {
    let resume = || context.command(&["resume"]);
    let mut failure = Failure::new(
        Exit::StepChanged,
        format!(
            "run {} cannot go on by itself: {}",
            run.begun.run,
            finding(run, found)
        ),
    );
    if let CrashState::HalfDone(difference)
    | CrashState::NotAsSeen(difference)
    | CrashState::Unclear(_, difference) = found
    {
        let lines = difference
            .gone
            .iter()
            .map(|line| format!("gone: {line}"))
            .chain(difference.new.iter().map(|line| format!("new:  {line}")));
        let count = difference.gone.len() + difference.new.len();
        failure.causes = lines.take(SHOWN_LINES).collect();
        if count > SHOWN_LINES {
            failure
                .causes
                .push(format!("and {} lines more", count - SHOWN_LINES));
        }
    }
    let missing = matches!(found, CrashState::PartOfAWhole);
    let undo = if failure.causes.is_empty() || matches!(found, CrashState::Unclear(..)) {
        "restore the database from a backup"
    } else {
        "restore the database from a backup, or undo these differences"
    };
    let first = if *found == CrashState::OtherForm {
        format!(
            "have it examined by the version that wrote it, rollback {}",
            run.begun.tool
        )
    } else {
        format!("{undo}, then")
    };
    failure = failure.hint(format!("{first}: {}", resume()));
    // Only a revision at which it stands can be accepted, and of a whole only the start or the end.
    let at = project
        .newest()
        .or_else(|| project.rows.ids().first())
        .map_or("base", RevisionId::as_str);
    if !missing && !matches!(found, CrashState::Elsewhere) && project.is_at(at) {
        let repair = match found {
            CrashState::Unclear(..) => {
                "or look which statements are done, do the next one by hand if it is half done, and have it go on there"
            }
            _ => "or repair it by hand and vouch for it",
        };
        failure = failure.hint(format!("{repair}: {}", resume().option("--accept", at)));
    }
    if let Some(undo) = undoing(context, run) {
        failure = failure.hint(format!("or {undo}"));
    }
    failure.hint(format!(
        "or give the run up: {}",
        context.command(&["abandon"])
    ))
}

pub(super) fn nothing_unfinished(context: &CommandContext<'_>, store: &Store) -> Failure {
    Failure::user(format!(
        "no unfinished run on this database is recorded in {}",
        store.root().display()
    ))
    .because("it reached its target, was given up, or was recorded elsewhere (--state-dir)")
    .hint(format!(
        "see where the database stands: {}",
        context.command(&["current"])
    ))
}

/// Where the record is gone, the database is all that is left to ask.
pub(super) fn nothing_to_resume(
    context: &CommandContext<'_>,
    project: &mut Project,
    store: &Store,
) -> Failure {
    let here = project.database_reference();
    match store.runs_on(&|recorded| here.relation_to(recorded).is_usable()) {
        Ok(runs) if runs.is_empty() => {}
        Ok(_) => return nothing_unfinished(context, store),
        Err(error) => return store_failure(&error),
    }
    let mut failure = Failure::user(format!(
        "there is no record of a run on this database in {}",
        store.root().display()
    ))
    .because("none was begun, its directory was lost, or it is kept elsewhere (--state-dir)");
    let known = project.graph.applied(project.rows.ids()).is_ok();
    failure = failure.because(format!(
        "the database stands at {}, {}",
        project.current_rows(),
        if known {
            "which the code knows"
        } else {
            "which the code does not know"
        }
    ));
    if project.has_own_connection() {
        failure = failure.because("no other run holds its lock");
        let leftovers = project.leftovers();
        if leftovers.is_empty() {
            failure = failure.because(
                "nothing in it looks like the rest of a step; half of one may still be there, which only a record shows",
            );
        }
        for leftover in leftovers {
            failure = failure.because(leftover.to_string());
        }
    }
    failure
        .hint(format!(
            "see where the database stands: {}",
            context.command(&["current"])
        ))
        .hint(format!(
            "clear away what is left over, then begin anew with the target that the run had: {}",
            context.command(&["downgrade-safe"]).placeholder("target")
        ))
}
