//! What is odd about a database and the files of its migrations: told, and stopping nothing by itself.

use super::file::{Form, MigrationFile};
use super::history::{Disagreement, History, MigrationStatus};
use super::rollback_blocker::{PlanFiles, is_changed, is_same};
use super::supabase::{UnknownRemote, duplicate_versions};
use rollback_core::names::some;
use rollback_core::revision::RevisionId;

/// Something odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inconsistency {
    /// Stable.
    pub code: &'static str,
    /// A clause, ending in the command to type where there is one.
    pub sentence: String,
}

/// How many names are told in one sentence.
const NAMED: usize = 5;

/// All that is odd. `command` writes a command of our own on the same project.
pub fn inconsistencies(
    history: &History,
    files: PlanFiles<'_>,
    command: &dyn Fn(&[&str]) -> String,
) -> Vec<Inconsistency> {
    let mut found = Vec::new();
    let mut odd =
        |code: &'static str, sentence: String| found.push(Inconsistency { code, sentence });
    for record in history
        .records
        .iter()
        .filter(|record| record.status == MigrationStatus::Failed)
    {
        let why = record.metadata.error.as_deref();
        let why = why
            .and_then(|why| why.lines().next())
            .unwrap_or("nobody wrote down why");
        odd(
            "failed_rollback",
            format!("the rollback of {} failed: {why}", record.id),
        );
    }
    for (of, on) in history.broken() {
        odd(
            "broken_dependency",
            format!("{of} depends on {on}, which is not applied"),
        );
    }
    let theirs = history.disagreement(files.read);
    if !theirs.not_in_supabase.is_empty() {
        odd(
            "not_in_supabase",
            format!(
                "applied here, and not in Supabase's table: {}",
                some(&theirs.not_in_supabase, NAMED)
            ),
        );
    }
    if !theirs.rolled_back_here.is_empty() {
        odd(
            "rolled_back_here",
            format!(
                "in Supabase's table, and rolled back here: {}; where they were applied again: {}",
                some(&theirs.rolled_back_here, NAMED),
                command(&["sql", "sync"])
            ),
        );
    }
    supabase_oddities(history, files.read, &theirs, command, &mut odd);
    let unregistered: Vec<RevisionId> = files
        .read
        .iter()
        .filter(|file| history.get(&file.id).is_none())
        .map(|file| file.id.clone())
        .collect();
    if !unregistered.is_empty() {
        odd(
            "unregistered_files",
            format!(
                "not registered: {}; where they are applied: {}",
                some(&unregistered, NAMED),
                command(&["sql", "sync"])
            ),
        );
    }
    let without_file: Vec<RevisionId> = history
        .records
        .iter()
        .filter(|record| record.is_applied())
        .filter(|record| files.get(&record.id).is_none() && files.malformed(&record.id).is_none())
        .map(|record| record.id.clone())
        .collect();
    if !without_file.is_empty() {
        odd(
            "without_file",
            format!(
                "applied, and without a file here: {}; what was registered of them runs",
                some(&without_file, NAMED)
            ),
        );
    }
    for malformed in files.malformed {
        odd("malformed_file", malformed.to_string());
    }
    for file in files.read {
        if let Some(note) = note_on_form(files, &file.id, command) {
            odd("plain_block", note);
        }
        if let Some(record) = history.get(&file.id).filter(|record| record.is_applied())
            && is_changed(record, file)
        {
            let how = if is_same(record, file) {
                "its rollback SQL is the same"
            } else {
                "its rollback SQL is another"
            };
            odd(
                "changed_file",
                format!("{} is not what was registered, {how}", file.path),
            );
        }
    }
    found
}

/// Rows of Supabase's table that no registered migration has, and files that cannot all be in it.
fn supabase_oddities(
    history: &History,
    files: &[MigrationFile],
    theirs: &Disagreement,
    command: &dyn Fn(&[&str]) -> String,
    odd: &mut dyn FnMut(&'static str, String),
) {
    let (with_file, rest): (Vec<&UnknownRemote>, Vec<&UnknownRemote>) =
        theirs.not_registered.iter().partition(|one| one.has_file);
    let file_names = |rows: &[&UnknownRemote]| {
        rows.iter()
            .map(|one| one.row.file_name())
            .collect::<Vec<_>>()
    };
    if !with_file.is_empty() {
        let rows = file_names(&with_file);
        odd(
            "only_in_supabase",
            format!(
                "in Supabase's table, and not registered here: {}; register them: {}",
                some(rows, NAMED),
                command(&["sql", "sync"])
            ),
        );
    }
    let (of_others, without_file): (Vec<&UnknownRemote>, Vec<&UnknownRemote>) =
        rest.into_iter().partition(|one| !one.files.is_empty());
    if !without_file.is_empty() {
        let rows = file_names(&without_file);
        odd(
            "remote_without_file",
            format!(
                "in Supabase's table, and without a file here: {}; get the files: supabase migration fetch",
                some(rows, NAMED),
            ),
        );
    }
    for one in of_others {
        let row = match &one.row.name {
            Some(name) if !name.is_empty() => format!("as {name}"),
            _ => "without a name".to_owned(),
        };
        odd(
            "version_of_another",
            format!(
                "Supabase's table has version {} {row}, and the files of that version here are {}",
                one.row.version,
                some(&one.files, NAMED)
            ),
        );
    }
    for (version, ids) in duplicate_versions(history, files) {
        odd("duplicate_version", duplicate(version, &ids));
    }
}

/// What is wrong with files of the same version beside Supabase's table.
pub fn duplicate(version: &str, ids: &[&RevisionId]) -> String {
    format!(
        "{} files have the version {version}: {}; Supabase's table can hold only one of them, so give each file a \
         version of its own",
        ids.len(),
        some(ids, NAMED)
    )
}

/// What is said of a block that is run with the rest of its file by whoever runs the whole file.
pub fn note_on_form(
    files: PlanFiles<'_>,
    id: &RevisionId,
    command: &dyn Fn(&[&str]) -> String,
) -> Option<String> {
    let file = files.get(id)?;
    let rollback = file.rollback.as_ref()?;
    (rollback.form == Form::Plain).then(|| {
        format!(
            "the rollback block of {} is no comment, so that whoever runs the whole file takes it down at once; \
             to make it one: {}",
            file.path,
            command(&["sql", "comment", id.as_str()])
        )
    })
}
