//! `rollback restore`.

use std::time::Instant;

use clap::Args;

use super::keeper::Keeper;
use super::lock::Lock;
use super::record::{append, store, store_failure};
use super::reports;
use super::session::Session;
use super::whose_run::{Purpose, may_be_restored};
use super::{Context, unfinished};
use crate::domain::backup::{Contents, Manifest, VERSION};
use crate::domain::database_identity::DatabaseReference;
use crate::domain::journal::{Entry, seconds};
use crate::error::{Exit, Failure};
use crate::store::{NotFound, Store};
use crate::ui::{Replacement, Restoration};

/// Make the database what it was when a backup was made.
///
/// Everything in it is replaced, and what was written since is lost. Shows what that is, asks for the
/// database's name, makes a backup of the present state, and reads the database afterwards: version rows,
/// schema and the rows of each table have to be those of the backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback restore latest                          The newest backup, after a question
  rollback restore 20261121T040000Z-4711           One of those that `rollback backups` shows
  rollback restore latest -y --database app.db     For scripts, which have to name the database

Exit codes: 0 restored and verified, 1 error before anything was changed, 3 refused or not confirmed,
4 the restore failed and the database is as before, 5 it failed and a person must look, 6 another run
holds the lock of the database.")]
pub struct RestoreArgs {
    /// The id of a backup, the beginning of one, or latest.
    #[arg(value_name = "ID")]
    pub id: String,

    /// Do not ask; for scripts. Needs --database.
    #[arg(short, long)]
    pub yes: bool,

    /// The name of the database that is to be replaced, as it would be typed: of SQLite the name of the file.
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,

    /// Make no backup of the present state first.
    #[arg(long)]
    pub no_backup: bool,

    /// Restore the backup of another database into this one, or of one that was moved here.
    #[arg(long)]
    pub other_database: bool,
}

/// Shows, asks, restores and tells.
pub fn run(args: &RestoreArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let ui = context.ui;
    let store = store(context);
    let manifest = found(args, context)?;
    let lock = Lock::new(context, None);
    let mut session = Session::open(context, Some(&lock))?;
    let run = unfinished::find(context, &store, &session, Purpose::Look)?;
    let keeper = Keeper::of(context, &session)?;
    let origin = may_be_restored_here(args, context, &keeper, &manifest)?;
    keeper.check(&manifest)?;
    let before = keeper.contents()?;
    let name = session.name_to_type();
    // A backup from before a resume leaves the run to be resumed.
    let ended = run
        .as_ref()
        .filter(|run| !run.is_resumed_from(&manifest.id));
    let replacement = Replacement {
        database: &session.place(),
        manifest: &manifest,
        now: &before,
        run: ended.map(|run| run.begun.run.as_str()),
        moment: (context.now)(),
    };
    ui.replacement(replacement)?;
    let asks = !(args.yes && args.database.is_some());
    if asks {
        session.release_lock()?;
    }
    agreed(args, context, &name)?;
    if asks {
        session.take_lock(&lock, context)?;
        still(&keeper, &before, context)?;
    }

    let saved = if args.no_backup {
        None
    } else {
        let verify = context.settings.verify_backup.unwrap_or_default();
        let saved = keeper.make(None, verify.into()).map_err(|failure| {
            failure.hint("to restore without a backup of the present state: --no-backup")
        })?;
        ui.say(&format!(
            "Saved:     the present state, as backup {}.",
            saved.id
        ));
        Some(saved)
    };
    let started = Instant::now();
    keeper.put_back(&manifest).map_err(|not| {
        if not.failure.exit == Exit::Refused {
            return not.failure;
        }
        told(
            not.failure,
            not.unchanged && is_unchanged(&keeper, &before),
            saved.as_ref(),
            context,
        )
    })?;
    let elapsed = started.elapsed();
    let unfinished = run.as_ref().map(|run| run.begun.run.as_str());
    // The run that the backup was made for may have come to its end: it is undone with this, unless it was a run of
    // another database.
    let undone = manifest.run.as_deref().filter(|run| store.has(run));
    let undone = undone.filter(|_| origin.is_none());
    let over: Vec<&str> = unfinished
        .into_iter()
        .chain(undone.filter(|run| Some(*run) != unfinished))
        .collect();
    for run in &over {
        close(context, &store, run, &manifest, origin.as_ref(), elapsed)?;
    }
    ui.restored(Restoration {
        replacement,
        saved: saved.as_ref().map(|saved| saved.id.as_str()),
        elapsed,
    })?;
    for run in over {
        reports::write(context, &store, &mut session, run, None);
    }
    Ok(Exit::Done)
}

/// The backup that was asked for.
fn found(args: &RestoreArgs, context: &Context<'_>) -> Result<Manifest, Failure> {
    let backups = store(context).backups();
    let listed = backups.list().map_err(|error| store_failure(&error))?;
    let all = context.command(&["backups"]);
    match listed.find(&args.id) {
        Ok(manifest) => Ok(manifest.clone()),
        Err(NotFound::None) => {
            let failure = Failure::user(format!(
                "there is no backup {} in {}",
                args.id,
                backups.folder().display()
            ));
            let failure = listed.damaged.into_iter().fold(failure, Failure::because);
            Err(failure.hint(format!("see which there are: {all}")))
        }
        Err(NotFound::Several(ids)) => Err(Failure::user(format!(
            "{} is the beginning of several backups: {}",
            args.id,
            ids.join(", ")
        ))
        .hint(format!("see which they are: {all}"))),
    }
}

/// Gives the database that the backup is of, if that is not known to be this one and may be another.
fn may_be_restored_here(
    args: &RestoreArgs,
    context: &Context<'_>,
    keeper: &Keeper<'_>,
    manifest: &Manifest,
) -> Result<Option<DatabaseReference>, Failure> {
    let family = |dialect: &str| match dialect {
        "mariadb" => "mysql".to_owned(),
        "postgres" => "postgresql".to_owned(),
        dialect => dialect.to_owned(),
    };
    if manifest.version != VERSION || family(&manifest.dialect) != family(keeper.dialect()) {
        return Err(Failure::refused(format!(
            "the backup {} is one of {}, and this database is {}",
            manifest.id,
            manifest.dialect,
            keeper.dialect()
        ))
        .hint(format!(
            "choose one of this kind of server: {}",
            context.command(&["backups"])
        )));
    }
    may_be_restored(context, keeper.database(), manifest, args.other_database)
}

/// Asks for the name of the database. Scripts have to know it.
fn agreed(args: &RestoreArgs, context: &Context<'_>, name: &str) -> Result<(), Failure> {
    let ui = context.ui;
    if let Some(named) = &args.database
        && named != name
    {
        return Err(Failure::refused(format!(
            "this database is {name}, and --database names {named}: nothing was changed"
        ))
        .hint(format!(
            "see which database it is: {}",
            context.command(&["current"])
        )));
    }
    if args.yes && args.database.is_some() {
        return Ok(());
    }
    if args.yes {
        return Err(
            Failure::refused("-y alone does not replace a database: nothing was changed")
                .hint(format!("name the one that is meant: --database {name}")),
        );
    }
    if !ui.can_ask() {
        return Err(
            Failure::refused("not confirmed: there is no terminal to ask on").hint(format!(
                "to restore without a question: -y --database {name}"
            )),
        );
    }
    let question = format!("All of it is replaced. To proceed, type {name}");
    match ui.confirm_by_typing(&question, name, context.interrupt) {
        Some(true) if context.interrupt.count() == 0 => Ok(()),
        Some(false) if context.interrupt.count() == 0 => {
            Err(Failure::refused("not confirmed: nothing was changed"))
        }
        _ => Err(Failure::new(Exit::Interrupted, "nothing was changed")),
    }
}

/// Refuses where the state that would be lost is not the one that was shown.
fn still(keeper: &Keeper<'_>, before: &Contents, context: &Context<'_>) -> Result<(), Failure> {
    if keeper.contents()? == *before {
        return Ok(());
    }
    Err(Failure::refused(
        "the database changed while you were reading: nothing was changed by this run",
    )
    .because("what would be lost now is not what was shown")
    .hint(format!(
        "see where it stands, then restore again: {}",
        context.command(&["current"])
    )))
}

fn is_unchanged(keeper: &Keeper<'_>, before: &Contents) -> bool {
    keeper.contents().is_ok_and(|now| now == *before)
}

/// The failure of a restore, by what it left.
fn told(
    mut failure: Failure,
    unchanged: bool,
    saved: Option<&Manifest>,
    context: &Context<'_>,
) -> Failure {
    failure.causes.insert(0, failure.message.clone());
    if unchanged {
        if failure.exit != Exit::Interrupted {
            failure.exit = Exit::StepFailed;
        }
        "the backup was not restored: the database is as before".clone_into(&mut failure.message);
        return failure;
    }
    failure.exit = Exit::StepChanged;
    "the backup was not restored whole: a person must look".clone_into(&mut failure.message);
    match saved {
        Some(saved) => failure.hint(format!(
            "to put the state of before back: {}",
            context.command(&["restore", &saved.id])
        )),
        None => failure,
    }
}

/// A run is over: the database is what it was at another time.
fn close(
    context: &Context<'_>,
    store: &Store,
    run: &str,
    manifest: &Manifest,
    origin: Option<&DatabaseReference>,
    elapsed: std::time::Duration,
) -> Result<(), Failure> {
    append(
        &mut store.reopen(run).map_err(|error| store_failure(&error))?,
        Entry::Restored {
            backup: manifest.id.clone(),
            by: context.operator.clone(),
            heads: manifest.heads.clone(),
            seconds: seconds(elapsed),
            other_database: origin.cloned().map(Box::new),
        },
    )
}
