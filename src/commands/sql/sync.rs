//! `rollback sql sync`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;

use super::keeping::{Keeping, WaitArgs};
use super::register::{advise, entry, name, plain, unread};
use crate::commands::Context;
use crate::domain::revision::RevisionId;
use crate::domain::sql_files::file::MigrationFile;
use crate::domain::sql_files::registration::{Change, Found, Obstacle, Registration};
use crate::engine::sql_files::history_table::writable;
use crate::error::{Exit, Failure};
use crate::ui::{Entry, State, WrittenDown};

/// Write all migrations down that are applied and not registered yet.
///
/// Each file of the folder counts as applied, unless Supabase keeps its own table in the database: then what is
/// in that one is. What is registered already stays as it is. Exit 1 where a file cannot be read; the others are
/// written down.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql sync
  rollback sql sync --dry-run        Show what would be written
  rollback sql sync --format json")]
pub struct SyncArgs {
    /// Show what would be written and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// How another run is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Does it.
pub fn run(args: &SyncArgs, context: &Context<'_>) -> Result<(), Failure> {
    sync(args, context, true)
}

/// The same for a command that has something else to say: only what cannot be written down is told, by the failure.
pub(in super::super) fn silently(
    context: &Context<'_>,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    let args = SyncArgs {
        dry_run: false,
        wait: WaitArgs { wait },
    };
    sync(&args, context, false)
}

fn sync(args: &SyncArgs, context: &Context<'_>, aloud: bool) -> Result<(), Failure> {
    let mut keeping = Keeping::open(context, &args.wait, !args.dry_run)?;
    let history = keeping.history(context)?;
    let folder = keeping.project.folder.clone();
    let found: BTreeMap<&RevisionId, Found> = folder
        .files
        .iter()
        .map(|file| (&file.id, Found::of(file, &history)))
        .collect();
    let mut these: BTreeSet<&RevisionId> = found
        .iter()
        .filter(|(_, found)| found.is_written())
        .map(|(id, _)| *id)
        .collect();
    let mut waiting: BTreeMap<RevisionId, String> = BTreeMap::new();
    for file in folder.files.iter().filter(|file| these.contains(&file.id)) {
        if let Err(error) = writable(file) {
            waiting.insert(file.id.clone(), error.to_string());
        }
    }
    these.retain(|id| !waiting.contains_key(id));
    let unread = unread(&folder);
    let registration = Registration {
        files: &folder.files,
        unread: &unread,
        history: &history,
        dialect: keeping.project.dialect,
    };
    // One that cannot be written down takes those along that depend on it, and no others.
    let (dependencies, order) = loop {
        match registration.of(&these) {
            Ok(found) => break found,
            Err(obstacle) => {
                let Some(of) = obstacle.of().filter(|of| these.contains(of)).cloned() else {
                    return Err(circle(&obstacle));
                };
                these.remove(&of);
                waiting.insert(of, obstacle.to_string());
            }
        }
    };
    let mut statements = Vec::new();
    for file in order {
        let tables = &keeping.project.tables;
        statements.extend(tables.register(file, &dependencies, &keeping.by));
    }
    let mut entries: Vec<Entry> = folder
        .files
        .iter()
        .map(|file| {
            let state = match (waiting.remove(&file.id), found.get(&file.id)) {
                (Some(reason), _) => State::Refused(reason),
                (None, Some(Found::New | Found::Again)) => {
                    State::Written(Change::of(history.get(&file.id)))
                }
                (None, Some(Found::Changed)) => State::Changed,
                (None, Some(Found::RolledBack)) => State::RolledBack,
                (None, Some(Found::NotApplied)) => State::NotApplied,
                (None, Some(Found::Same) | None) => State::Same,
            };
            // What is not written stays as it is stored.
            let depends_on = match state {
                State::Written(_) => &dependencies,
                _ => &history.dependencies,
            };
            entry(file, state, depends_on)
        })
        .collect();
    entries.extend(folder.malformed.iter().map(|malformed| Entry {
        id: name(malformed).map_or_else(|| malformed.file.clone(), |id| id.to_string()),
        state: State::Refused(malformed.to_string()),
        has_rollback: false,
        dependencies: Vec::new(),
    }));
    entries.sort_by(|one, other| one.id.cmp(&other.id));
    if !args.dry_run && !statements.is_empty() {
        keeping.transact("nothing was registered", &statements)?;
    }
    if aloud {
        context.ui.written_down(&WrittenDown {
            database: &keeping.project.identity,
            dry_run: args.dry_run,
            entries: &entries,
        })?;
        advise(&entries, &folder.files, &history, context);
    }
    for entry in entries.iter().filter(|_| aloud) {
        match entry.state {
            State::Changed => context.ui.warn(&format!(
                "{} was changed since it was registered; to write it down anew: {}",
                entry.id,
                context.command(&["sql", "register"]).value(&entry.id)
            )),
            State::Same => {
                let is_it = |file: &&MigrationFile| file.id.as_str() == entry.id;
                if let Some(file) = folder.files.iter().find(is_it) {
                    plain(file, context);
                }
            }
            _ => {}
        }
    }
    let refused: Vec<&str> = entries
        .iter()
        .filter_map(|entry| match &entry.state {
            State::Refused(reason) => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(
        Exit::User,
        if refused.len() == 1 {
            "1 file was not registered".to_owned()
        } else {
            format!("{} files were not registered", refused.len())
        },
    );
    // Aloud the list has said why.
    if !aloud {
        failure.causes = refused.into_iter().map(str::to_owned).collect();
    }
    Err(failure.hint(format!(
        "mend them and type again: {}",
        context.command(&["sql", "sync"])
    )))
}

fn circle(obstacle: &Obstacle) -> Failure {
    let failure = Failure::user(format!("nothing was registered: {obstacle}"));
    match obstacle {
        Obstacle::Dependency(error) => failure.hint(error.hint()),
        _ => failure,
    }
}
