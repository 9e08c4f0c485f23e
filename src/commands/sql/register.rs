//! `rollback sql register`.

use std::collections::BTreeSet;

use clap::Args;

use crate::app::CommandContext;
use crate::app::sql::history_writer::{HistoryWriter, WaitArgs};
use crate::error::Failure;
use crate::ui::{RegistrationEntry, RegistrationResult, RegistrationState};
use rollback_core::revision::RevisionId;
use rollback_sql_files::engine::folder::Folder;
use rollback_sql_files::engine::history_table::writable;
use rollback_sql_files::file::{Form, Malformed, MigrationFile, named};
use rollback_sql_files::history::{Dependency, History};
use rollback_sql_files::registration::{FileChange, Registration, RegistrationIssue};

/// Write migrations down as applied, with their rollback SQL; once more for one whose file was changed.
///
/// What was registered is what a rollback runs. One that was rolled back is applied again with this, and one whose
/// rollback failed counts as looked after.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql register 20250120_add_tags
  rollback sql register 20250120_add_tags 20250121_add_colours
  rollback sql register 20250120_add_tags --format json")]
pub struct RegisterArgs {
    /// Migrations, by the names of their files.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    /// Show what would be written and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// How another run is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Does it.
pub fn run(args: &RegisterArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let mut keeping = HistoryWriter::open(context, &args.wait, !args.dry_run)?;
    let history = keeping.history(context)?;
    let folder = keeping.project.folder.clone();
    let mut ids = BTreeSet::new();
    for name in &args.names {
        let id = named(name).map_err(|error| {
            Failure::user(error.to_string()).hint("give the name of its file, without the folder")
        })?;
        ids.insert(id);
    }
    for id in &ids {
        present(id, &folder, context)?;
    }
    let unread = unread(&folder);
    let (dependencies, order) = Registration {
        files: &folder.files,
        unread: &unread,
        history: &history,
        dialect: keeping.project.dialect,
    }
    .of(&ids.iter().collect())
    .map_err(|obstacle| refused(&obstacle, &ids, context))?;
    let mut statements = Vec::new();
    let mut entries = Vec::new();
    for file in order {
        writable(file).map_err(|error| {
            Failure::user(error.to_string()).hint("take the character out of the file")
        })?;
        statements.extend(
            keeping
                .project
                .tables
                .register(file, &dependencies, &keeping.by),
        );
        let change = FileChange::of(history.get(&file.id));
        entries.push(entry(
            file,
            RegistrationState::Written(change),
            &dependencies,
        ));
    }
    if !args.dry_run {
        keeping.transact("nothing was registered", &statements)?;
    }
    context.ui.written_down(&RegistrationResult {
        database: &keeping.project.identity,
        dry_run: args.dry_run,
        entries: &entries,
    })?;
    advise(&entries, &folder.files, &history, context);
    Ok(())
}

/// A line of the answer.
pub(super) fn entry(
    file: &MigrationFile,
    state: RegistrationState,
    dependencies: &[Dependency],
) -> RegistrationEntry {
    RegistrationEntry {
        id: file.id.to_string(),
        state,
        has_rollback: file.rollback.is_some(),
        dependencies: dependencies
            .iter()
            .filter(|one| one.of == file.id)
            .cloned()
            .collect(),
    }
}

/// What is to be done about what was written.
pub(super) fn advise(
    entries: &[RegistrationEntry],
    files: &[MigrationFile],
    history: &History,
    context: &CommandContext<'_>,
) {
    let written = |file: &&MigrationFile| {
        entries.iter().any(|entry| {
            entry.id == file.id.as_str() && matches!(entry.state, RegistrationState::Written(_))
        })
    };
    for file in files.iter().filter(written) {
        if file.rollback.is_none() {
            context.ui.warn(&format!(
                "{} has no rollback SQL; to begin with: {}",
                file.id,
                context
                    .command(&["sql", "template"])
                    .value(file.id.as_str())
            ));
        }
        plain(file, context);
        if let Some(error) = history
            .get(&file.id)
            .and_then(|record| record.metadata.error.as_deref())
        {
            context.ui.say(&format!(
                "  its rollback had failed, and counts as looked after now: {error}"
            ));
            context.ui.say(&format!(
                "  where a run stopped at it, go on with that: {}",
                context.command(&["resume"])
            ));
        }
    }
}

/// A block that is no comment is run by whoever runs the file.
pub(super) fn plain(file: &MigrationFile, context: &CommandContext<'_>) {
    if file
        .rollback
        .as_ref()
        .is_some_and(|rollback| rollback.form == Form::Plain)
    {
        context.ui.warn(&format!(
            "the rollback block of {} is no comment: a tool that runs the whole file, such as supabase db push, \
             takes the migration back at once; to make it one: {}",
            file.id,
            context.command(&["sql", "comment"]).value(file.id.as_str())
        ));
    }
}

/// The names of the files that could not be read.
pub(super) fn unread(folder: &Folder) -> Vec<RevisionId> {
    folder.malformed.iter().filter_map(name).collect()
}

/// The migration that a file belongs to, or its companion.
pub(super) fn name(malformed: &Malformed) -> Option<RevisionId> {
    let file = malformed.file.rsplit('/').next()?;
    let name = file.strip_suffix(".sql")?;
    let name = name.strip_suffix(".down").unwrap_or(name);
    Some(RevisionId::new(name))
}

fn present(id: &RevisionId, folder: &Folder, context: &CommandContext<'_>) -> Result<(), Failure> {
    let malformed = folder
        .malformed
        .iter()
        .find(|malformed| name(malformed).as_ref() == Some(id));
    if let Some(malformed) = malformed {
        return Err(Failure::user(malformed.to_string()).hint(format!(
            "mend the file and type again: {}",
            context.command(&["sql", "register"]).value(id.as_str())
        )));
    }
    if folder.files.iter().any(|file| file.id == *id) {
        return Ok(());
    }
    let failure = Failure::user(format!(
        "there is no file {id}.sql in {}",
        folder
            .path
            .strip_prefix(context.dir)
            .unwrap_or(&folder.path)
            .display()
    ));
    let distance =
        |file: &&MigrationFile| strsim::damerau_levenshtein(file.id.as_str(), id.as_str());
    let nearest = folder.files.iter().min_by_key(distance);
    Err(
        match nearest.filter(|file| distance(file) * 2 <= id.as_str().len()) {
            Some(file) => failure.hint(format!("did you mean {}?", file.id)),
            None => failure
                .hint(format!(
                    "see which there are: {}",
                    context.command(&["sql", "sync", "--dry-run"])
                ))
                .hint("another folder is named in rollback.toml: migrations = \"FOLDER\""),
        },
    )
}

fn refused(
    obstacle: &RegistrationIssue,
    ids: &BTreeSet<RevisionId>,
    context: &CommandContext<'_>,
) -> Failure {
    let failure = Failure::user(format!("nothing was registered: {obstacle}"));
    match obstacle {
        RegistrationIssue::RolledBack { on, .. } => failure.hint(format!(
            "apply {on} again, and then write that down: {}",
            context.command(&["sql", "register"]).value(on.as_str())
        )),
        RegistrationIssue::NotRegistered { on, .. } => {
            let ids = [on].into_iter().chain(ids);
            let register = context.command(&["sql", "register"]);
            let register = ids.fold(register, |command, id| command.value(id.as_str()));
            failure.hint(format!("register both: {register}"))
        }
        RegistrationIssue::Dependency(error) => failure.hint(error.hint()),
    }
}
