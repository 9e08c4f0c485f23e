//! `rollback sql sync`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;

use super::register::{advise, entry, name, plain, unread};
use crate::app::CommandContext;
use crate::app::sql::history_writer::{HistoryWriter, WaitArgs, told};
use crate::error::{Exit, Failure};
use crate::ui::{NotRegistered, RegistrationEntry, RegistrationResult, RegistrationState};
use rollback_core::revision::RevisionId;
use rollback_sql_files::engine::history_table::writable;
use rollback_sql_files::engine::live_schema;
use rollback_sql_files::file::MigrationFile;
use rollback_sql_files::inconsistency::duplicate;
use rollback_sql_files::live::{SchemaEvidence, evidence};
use rollback_sql_files::registration::{FileChange, FileStatus, Registration, RegistrationIssue};
use rollback_sql_files::supabase::duplicate_versions;

/// Register the applied migrations that are not registered yet.
///
/// If the database has Supabase's own table, that table says which migrations are applied. Otherwise each file is
/// checked against the live schema: if all that it creates exists, it is registered; if not, or if the schema does not
/// show it, it is listed, and --assume-applied registers it. Registered migrations stay as they are. Exit 1 if a file
/// cannot be read; the other files are registered.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql sync
  rollback sql sync --dry-run        Show what would be written
  rollback sql sync --assume-applied   Register every file, whatever the schema shows
  rollback sql sync --format json")]
pub struct SyncArgs {
    /// Show what would be written and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Register every file, also those that the live schema does not show as applied.
    ///
    /// With Supabase's table it is refused: that table says what is applied.
    #[arg(long)]
    pub assume_applied: bool,

    /// How another run is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Does it.
pub fn run(args: &SyncArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    sync(args, context, true)
}

/// The same for a command that has something else to say: only what cannot be written down is told, by the failure.
pub(crate) fn silently(
    context: &CommandContext<'_>,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    let args = SyncArgs {
        dry_run: false,
        assume_applied: false,
        wait: WaitArgs { wait },
    };
    sync(&args, context, false)
}

fn sync(args: &SyncArgs, context: &CommandContext<'_>, aloud: bool) -> Result<(), Failure> {
    let mut keeping = HistoryWriter::open(context, &args.wait, !args.dry_run)?;
    let history = keeping.history(context)?;
    let folder = keeping.project.folder.clone();
    if args.assume_applied && history.supabase.is_some() {
        return Err(Failure::user(
            "--assume-applied is not for a database with Supabase's table: that table says what is applied",
        )
        .hint(format!(
            "register one migration anyway: {}",
            context.command(&["sql", "register"]).placeholder("NAME")
        )));
    }
    let found: BTreeMap<&RevisionId, FileStatus> = folder
        .files
        .iter()
        .map(|file| (&file.id, FileStatus::of(file, &history, &folder.files)))
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
    let mut not_shown = if history.supabase.is_some() || args.assume_applied {
        BTreeMap::new()
    } else {
        not_shown(&mut keeping, &folder.files, &these)?
    };
    these.retain(|id| !not_shown.contains_key(id));
    let left_out = not_shown.len();
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
    let mut entries: Vec<RegistrationEntry> = folder
        .files
        .iter()
        .map(|file| {
            let left_out = waiting.remove(&file.id).map(RegistrationState::Refused);
            let left_out = left_out.or_else(|| not_shown.remove(&file.id));
            let state = match (left_out, found.get(&file.id)) {
                (Some(state), _) => state,
                (None, Some(FileStatus::New | FileStatus::Again)) => {
                    RegistrationState::Written(FileChange::of(history.get(&file.id)))
                }
                (None, Some(FileStatus::Changed)) => RegistrationState::Changed,
                (None, Some(FileStatus::RolledBack)) => RegistrationState::RolledBack,
                (None, Some(FileStatus::NotApplied)) => {
                    RegistrationState::NotApplied(NotRegistered::NotInSupabase)
                }
                (None, Some(FileStatus::OtherName)) => {
                    RegistrationState::NotApplied(NotRegistered::OtherName)
                }
                (None, Some(FileStatus::Ambiguous)) => {
                    RegistrationState::Unknown(NotRegistered::Ambiguous)
                }
                (None, Some(FileStatus::Same) | None) => RegistrationState::Same,
            };
            // What is not written stays as it is stored.
            let depends_on = match state {
                RegistrationState::Written(_) => &dependencies,
                _ => &history.dependencies,
            };
            entry(file, state, depends_on)
        })
        .collect();
    entries.extend(folder.malformed.iter().map(|malformed| RegistrationEntry {
        id: name(malformed).map_or_else(|| malformed.file.clone(), |id| id.to_string()),
        state: RegistrationState::Refused(malformed.to_string()),
        has_rollback: false,
        dependencies: Vec::new(),
    }));
    entries.sort_by(|one, other| one.id.cmp(&other.id));
    if !args.dry_run && !statements.is_empty() {
        keeping.transact("nothing was registered", &statements)?;
    }
    if aloud {
        context.ui.written_down(&RegistrationResult {
            database: &keeping.project.identity,
            dry_run: args.dry_run,
            entries: &entries,
        })?;
        advise(&entries, &folder.files, &history, context);
        if left_out > 0 {
            context.ui.warn(&format!(
                "{} not shown as applied by the schema and not registered; to register one that is applied: {}; to \
                 register all of them: {}",
                if left_out == 1 {
                    "1 file is".to_owned()
                } else {
                    format!("{left_out} files are")
                },
                context.command(&["sql", "register"]).placeholder("NAME"),
                context.command(&["sql", "sync", "--assume-applied"])
            ));
        }
        for (version, ids) in duplicate_versions(&history, &folder.files) {
            context.ui.warn(&duplicate(version, &ids));
        }
    }
    for entry in entries.iter().filter(|_| aloud) {
        match entry.state {
            RegistrationState::Changed => context.ui.warn(&format!(
                "{} was changed since it was registered; to write it down anew: {}",
                entry.id,
                context.command(&["sql", "register"]).value(&entry.id)
            )),
            RegistrationState::Same => {
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
            RegistrationState::Refused(reason) => Some(reason.as_str()),
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
    let again = context.command(&["sql", "sync"]);
    let again = if args.assume_applied {
        again.flag("--assume-applied")
    } else {
        again
    };
    Err(failure.hint(format!("correct them and type again: {again}")))
}

/// The files that the live schema does not show as applied, each with what is known about it.
fn not_shown<'a>(
    keeping: &mut HistoryWriter,
    files: &'a [MigrationFile],
    these: &BTreeSet<&RevisionId>,
) -> Result<BTreeMap<&'a RevisionId, RegistrationState>, Failure> {
    if these.is_empty() {
        return Ok(BTreeMap::new());
    }
    let live = live_schema::read(keeping.execution.as_mut(), keeping.project.dialect)
        .map_err(|error| told("the schema cannot be read", error))?;
    let states = evidence(files, &live)
        .into_iter()
        .filter_map(|(id, found)| {
            let state = match found {
                SchemaEvidence::Applied => return None,
                SchemaEvidence::NotApplied(missing) => {
                    RegistrationState::NotApplied(NotRegistered::Missing(missing))
                }
                SchemaEvidence::Partly { present, missing } => {
                    RegistrationState::Unknown(NotRegistered::Partly(present, missing))
                }
                SchemaEvidence::Nothing => {
                    RegistrationState::Unknown(NotRegistered::NothingToLookFor)
                }
            };
            these.contains(id).then_some((id, state))
        });
    Ok(states.collect())
}

fn circle(obstacle: &RegistrationIssue) -> Failure {
    let failure = Failure::user(format!("nothing was registered: {obstacle}"));
    match obstacle {
        RegistrationIssue::Dependency(error) => failure.hint(error.hint()),
        _ => failure,
    }
}
