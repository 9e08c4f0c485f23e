//! `rollback restore`.

mod by_hand;
mod chosen;
mod target;

use std::time::Instant;

use clap::Args;

use self::by_hand::by_hand;
use self::chosen::ChosenBackup;
use self::target::RestoreTarget;
use crate::app::backup_service::{BackupService, RestoreSource};
use crate::app::journal_recorder::{append, store, store_failure};
use crate::app::lock::Lock;
use crate::app::whose_run::may_be_restored;
use crate::app::{CommandContext, report_writer};
use crate::error::{Exit, Failure};
use crate::store::Store;
use crate::ui::{Replacement, Restoration};
use rollback_core::backup::{DatabaseDigest, Manifest, VERSION};
use rollback_core::database_identity::DatabaseReference;
use rollback_core::journal::{Entry, seconds};

/// Make the database what it was when a backup was made.
///
/// Everything in it is replaced, and what was written since is lost. rollback shows what that is, asks for the
/// database's name, makes a backup of the present state, restores, and then reads the database: version rows,
/// schema and the rows of each table have to be those of the backup. On MariaDB and MySQL it first loads the
/// backup into a scratch database beside the real one.
///
/// A restore does not need the project: if it cannot be opened, --database-url or `ROLLBACK_DATABASE_URL` names
/// the database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback restore latest                          The newest backup, after a question
  rollback restore 20261121T040000Z-4711           One of those that `rollback backups` shows
  rollback restore /mnt/app.dump                   A file that was made on another machine
  rollback restore latest -y --database app.db     For scripts, which have to name the database

Exit codes: 0 restored and verified, 1 error before anything was changed, 3 refused or not confirmed,
4 the restore failed and the database is as before, 5 it failed and manual intervention is needed, 6 another
run holds the lock of the database.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RestoreArgs {
    /// The id of a backup, the beginning of one, latest, or the name of a file.
    #[arg(value_name = "ID|FILE")]
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

    /// On MariaDB and MySQL, do not load the backup into a scratch database first; for servers without room for it.
    #[arg(long)]
    pub no_trial: bool,
}

/// Shows, asks, restores and tells.
pub fn run(args: &RestoreArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let ui = context.ui;
    let store = store(context);
    let mut chosen = ChosenBackup::find(&args.id, context)?;
    let lock = Lock::new(context, None);
    let mut target = RestoreTarget::open(context, &lock)?;
    let run = target.unfinished(context, &store)?;
    let service = target.backup_service(context, &chosen.manifest)?;
    let origin = may_be_restored_here(args, context, &service, &chosen)?;
    service.check_file(&chosen.manifest, &chosen.file)?;
    chosen.inspect(&service)?;
    let before = service.contents();
    if let Err(failure) = &before {
        let reasons = failure.causes.join(": ");
        ui.warn(&format!("the present state cannot be read: {reasons}"));
    }
    let before = before.ok();
    let name = target.name_to_type();
    let unproven = chosen.unproven();
    let manifest = &chosen.manifest;
    // A backup from before a resume leaves the run to be resumed.
    let ended = run
        .as_ref()
        .filter(|run| !run.is_resumed_from(&manifest.id));
    let replacement = Replacement {
        database: &target.place(),
        manifest,
        now: before.as_ref(),
        is_known: chosen.is_known,
        unproven: &unproven,
        run: ended.map(|run| run.begun.run.as_str()),
        moment: (context.now)(),
    };
    ui.replacement(replacement)?;
    let asks = !(args.yes && args.database.is_some());
    if asks {
        target.release_lock()?;
    }
    agreed(args, context, &name)?;
    if asks {
        target.take_lock(&lock, context)?;
        still(&service, before.as_ref(), context)?;
    }

    let saved = saved(args, context, &service)?;
    let started = Instant::now();
    let source = RestoreSource {
        manifest,
        file: &chosen.file,
        is_known: chosen.is_known,
        // A file without a manifest was loaded into one just now.
        try_out: !(args.no_trial || chosen.is_bare && chosen.is_known),
    };
    service.replace(&source).map_err(|not| {
        if not.refused {
            return not.failure;
        }
        let unchanged = not.unchanged && is_unchanged(&service, before.as_ref());
        let failure = told(not.failure, unchanged, saved.as_ref(), context);
        match by_hand(service.facts(), &chosen.file) {
            Some(command) => failure.hint(format!("to restore it without rollback: {command}")),
            None => failure,
        }
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
        close(context, &store, run, manifest, origin.as_ref(), elapsed)?;
    }
    ui.restored(Restoration {
        replacement,
        saved: saved.as_ref().map(|saved| saved.id.as_str()),
        elapsed,
    })?;
    // Without the project there is no table of its audit; `show` writes the report again.
    if let Some(session) = target.session() {
        for run in over {
            report_writer::write(context, &store, session, run, None);
        }
    }
    Ok(Exit::Done)
}

/// Makes a backup of the present state. What cannot be read never keeps it from being replaced: only if nothing
/// can be saved, that has to be agreed to.
fn saved(
    args: &RestoreArgs,
    context: &CommandContext<'_>,
    service: &BackupService<'_>,
) -> Result<Option<Manifest>, Failure> {
    if args.no_backup {
        return Ok(None);
    }
    let ui = context.ui;
    let whole = match service.make(None, context.settings.verify_backup) {
        Ok(saved) => {
            ui.saved(&saved);
            return Ok(Some(saved));
        }
        Err(failure) => failure,
    };
    if whole.exit == Exit::Interrupted {
        return Err(whole);
    }
    ui.warn(&format!(
        "the present state cannot be saved whole: {}",
        whole.causes.join(": ")
    ));
    let part = service.salvage().map_err(|failure| {
        let failure = failure.because("so that nothing of the present state can be saved");
        failure.hint("to restore without a backup of the present state: --no-backup")
    })?;
    ui.saved(&part);
    Ok(Some(part))
}

/// Gives the database that the backup is of, if that is not known to be this one and may be another.
fn may_be_restored_here(
    args: &RestoreArgs,
    context: &CommandContext<'_>,
    service: &BackupService<'_>,
    chosen: &ChosenBackup,
) -> Result<Option<DatabaseReference>, Failure> {
    let manifest = &chosen.manifest;
    let family = |dialect: &str| match dialect {
        "mariadb" => "mysql".to_owned(),
        "postgres" => "postgresql".to_owned(),
        dialect => dialect.to_owned(),
    };
    if manifest.version != VERSION || family(&manifest.dialect) != family(service.dialect()) {
        return Err(Failure::refused(format!(
            "the backup {} is one of {}, and this database is {}",
            manifest.id,
            manifest.dialect,
            service.dialect()
        ))
        .hint(format!(
            "choose one of this kind of server: {}",
            context.command(&["backups"])
        )));
    }
    if chosen.is_bare {
        return Ok(None);
    }
    may_be_restored(context, service.database(), manifest, args.other_database)
}

/// Asks for the name of the database. Scripts have to know it.
fn agreed(args: &RestoreArgs, context: &CommandContext<'_>, name: &str) -> Result<(), Failure> {
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
fn still(
    service: &BackupService<'_>,
    before: Option<&DatabaseDigest>,
    context: &CommandContext<'_>,
) -> Result<(), Failure> {
    // What could not be read before was not shown either.
    let Some(before) = before else {
        return Ok(());
    };
    if service.contents()? == *before {
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

/// Without a reading of before nothing is proven.
fn is_unchanged(service: &BackupService<'_>, before: Option<&DatabaseDigest>) -> bool {
    before.is_some_and(|before| service.contents().is_ok_and(|now| now == *before))
}

/// The failure of a restore, by what it left.
fn told(
    mut failure: Failure,
    unchanged: bool,
    saved: Option<&Manifest>,
    context: &CommandContext<'_>,
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
    "the restore failed half-way: manual intervention needed".clone_into(&mut failure.message);
    match saved {
        Some(saved) => failure.hint(format!(
            "to bring back the state from before the restore: {}",
            context.command(&["restore", &saved.id, "--no-backup"])
        )),
        None => failure,
    }
}

/// A run is over: the database is what it was at another time.
fn close(
    context: &CommandContext<'_>,
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
