//! Whether a recorded run or backup is of the database that is there now, and what is said if it is not.

use super::CommandContext;
use super::journal_recorder::store_failure;
use super::project::Project;
use crate::error::Failure;
use crate::store::Store;
use rollback_core::backup::Manifest;
use rollback_core::database_identity::{DatabaseReference, Relation};
use rollback_core::journal::{Entry, Run};

/// Why unfinished runs are looked for, which decides about one that may be of another database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new run is to begin: one at the same address is in its way, whichever server it was.
    Begin,
    /// It is to be resumed or abandoned. Only `--other-database` allows that of another database.
    TakeUp {
        /// Whether the operator said so.
        other_database: bool,
    },
    /// Nothing is done with it.
    Look,
}

/// The newest unfinished run of this database, or the one that the operator says is its.
pub(crate) fn unfinished(
    context: &CommandContext<'_>,
    store: &Store,
    here: &DatabaseReference,
    purpose: Purpose,
) -> Result<Option<Run>, Failure> {
    let of = |is_meant: &dyn Fn(Relation) -> bool| {
        store
            .unfinished_on(&|recorded| is_meant(here.relation_to(recorded)))
            .map_err(|error| store_failure(&error))
    };
    if let Some(mut runs) = not_empty(of(&Relation::is_usable)?) {
        let run = runs.remove(0);
        if here.relation_to(&run.database) == Relation::SameAddress && purpose != Purpose::Look {
            context.ui.warn(&by_address_alone(
                &format!("run {}", run.begun.run),
                here,
                &run.database,
            ));
        }
        return Ok(Some(run));
    }
    let doubtful = of(&|relation| matches!(relation, Relation::Replaced | Relation::Unclear))?;
    if let Purpose::TakeUp { other_database } = purpose {
        let runs = match not_empty(doubtful) {
            Some(runs) => runs,
            None => of(&|relation| relation == Relation::Other)?,
        };
        return of_another(context, here, runs, other_database);
    }
    let Some(run) = doubtful.into_iter().next() else {
        return Ok(None);
    };
    if purpose == Purpose::Begin && run.database.key == here.key {
        return Err(not_of_this(context, here, &run));
    }
    context.ui.warn(&format!(
        "run {} is unfinished, and may be of this database: it began on {}, and this is {}",
        run.begun.run,
        run.database.described(),
        here.described()
    ));
    Ok(None)
}

fn not_empty(runs: Vec<Run>) -> Option<Vec<Run>> {
    (!runs.is_empty()).then_some(runs)
}

/// A run that is to be resumed or abandoned, and that is not known to be of this database.
fn of_another(
    context: &CommandContext<'_>,
    here: &DatabaseReference,
    mut runs: Vec<Run>,
    allowed: bool,
) -> Result<Option<Run>, Failure> {
    let Some(newest) = runs.first() else {
        return Ok(None);
    };
    let is_elsewhere = here.relation_to(&newest.database) == Relation::Other;
    match (allowed, is_elsewhere) {
        (false, false) => Err(not_of_this(context, here, newest)),
        (false, true) => {
            context.ui.warn(&format!(
                "run {} is unfinished on another database, {}; if that was moved here, add --other-database",
                newest.begun.run,
                newest.database.described()
            ));
            Ok(None)
        }
        (true, true) if runs.len() > 1 => {
            let runs = runs
                .iter()
                .map(|run| format!("run {} of {}", run.begun.run, run.database.described()));
            let failure = Failure::refused(
                "several runs of other databases are unfinished, and --other-database does not tell which: nothing was changed",
            );
            Err(runs
                .fold(failure, Failure::because)
                .hint("finish or abandon the others where they began"))
        }
        (true, _) => {
            let run = runs.remove(0);
            context.ui.warn(&format!(
                "run {} began on {}, and is taken for a run of this database, {}",
                run.begun.run,
                run.database.described(),
                here.described()
            ));
            Ok(Some(run))
        }
    }
}

/// The refusal of a run that began on another server at this address, or perhaps did.
fn not_of_this(context: &CommandContext<'_>, here: &DatabaseReference, run: &Run) -> Failure {
    let id = &run.begun.run;
    let message = if here.relation_to(&run.database) == Relation::Replaced {
        format!("run {id} is unfinished on another database that had this address")
    } else {
        format!("cannot tell whether the unfinished run {id} is of this database")
    };
    let command = |words: &[&str]| context.command(words);
    Failure::refused(format!("{message}: nothing was changed"))
        .because(format!("the run began on {}", run.database.described()))
        .because(format!("this is {}", here.described()))
        .hint(format!(
            "if this is the wrong server, correct the address, then: {}",
            command(&["resume"])
        ))
        .hint(format!(
            "if the database was moved here: {}",
            command(&["resume", "--other-database"])
        ))
        .hint(format!(
            "to close the run, which changes no database: {}",
            command(&["abandon", "--other-database"])
        ))
}

/// What is recorded of a run that goes on or ends on another database than it began on.
pub(crate) fn moved(project: &Project, run: &Run) -> Option<Entry> {
    let here = project.database_reference();
    let is_usable = here.relation_to(&run.database).is_usable();
    (!is_usable).then(|| Entry::OtherDatabase(Box::new(here)))
}

/// Refuses a backup that is not known to be of this database, unless the operator says that it may be of another.
/// Then gives that other one.
pub(crate) fn may_be_restored(
    context: &CommandContext<'_>,
    here: &DatabaseReference,
    manifest: &Manifest,
    other_database: bool,
) -> Result<Option<DatabaseReference>, Failure> {
    let origin = manifest.database_reference();
    let id = &manifest.id;
    let message = match here.relation_to(&origin) {
        Relation::Same => return Ok(None),
        Relation::SameAddress => {
            context
                .ui
                .warn(&by_address_alone(&format!("backup {id}"), here, &origin));
            return Ok(None);
        }
        _ if other_database => return Ok(Some(origin)),
        Relation::Replaced => {
            format!("the backup {id} is one of another database that had this address")
        }
        Relation::Unclear => format!("cannot tell whether the backup {id} is one of this database"),
        Relation::Other => format!("the backup {id} is one of another database"),
    };
    Err(Failure::refused(format!("{message}: nothing was changed"))
        .because(format!("it was made of {}", origin.described()))
        .because(format!("this is {}", here.described()))
        .hint("to replace this database by it anyway: --other-database"))
}

/// That only addresses could be compared.
fn by_address_alone(what: &str, here: &DatabaseReference, recorded: &DatabaseReference) -> String {
    let reason = match (&here.identity, &recorded.identity) {
        (_, None) => "its record does not say which server it was",
        (None, Some(_)) => "there is no connection of rollback's own to ask this server",
        (Some(_), Some(_)) => "the server does not tell its identity, or does not allow reading it",
    };
    format!(
        "{what} is known by the address alone, {}: {reason}",
        here.key
    )
}
