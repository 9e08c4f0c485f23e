//! `rollback sql comment`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::app::CommandContext;
use crate::app::sql::project::files;
use crate::error::Failure;
use rollback_core::dialect::Dialect;
use rollback_sql_files::engine::folder::Folder;
use rollback_sql_files::engine::writing;
use rollback_sql_files::file::{self, Form, MigrationFile};

/// Make the rollback block of a file a comment, so that nobody runs it with the file.
///
/// Whoever runs the whole of a migration file, as supabase db push does, runs a plain block at once. Only the lines
/// between the marks are changed. Needs no database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql comment 20250120_add_tags
  rollback sql comment --all")]
pub struct CommentArgs {
    /// A migration, by the name of its file.
    // `name` would be the global option of that name.
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub migration: Option<String>,
    /// Every migration of the folder.
    #[arg(long, conflicts_with = "migration")]
    pub all: bool,
}

/// Does it.
pub fn run(args: &CommentArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let (folder, dialect) = files(context)?;
    let Some(name) = &args.migration else {
        return all(&folder, dialect, context);
    };
    let one = typed(name, &folder, context)?;
    let path = &one.path;
    let why = match one.rollback.as_ref().map(|rollback| rollback.form) {
        Some(Form::Plain) => return make(one, &folder, dialect, context),
        Some(Form::Commented) => format!("The block of {path} is a comment already."),
        Some(Form::Companion) => {
            format!("What takes {path} down has a file of its own, which is not run with it.")
        }
        Some(Form::Section) => {
            format!(
                "What takes {path} down has a section of its own, which the tool that applies it leaves out."
            )
        }
        None => {
            let template = context.command(&["sql", "template"]).value(one.id.as_str());
            format!("There is no rollback block in {path}. One is written by: {template}")
        }
    };
    context.ui.say(&why);
    Ok(())
}

/// All that have a plain block. A file that cannot be read may have one, so then nothing is written.
fn all(folder: &Folder, dialect: Dialect, context: &CommandContext<'_>) -> Result<(), Failure> {
    if !folder.malformed.is_empty() {
        let failure = Failure::user("some files cannot be read, so that none was changed");
        let failure = folder
            .malformed
            .iter()
            .fold(failure, |failure, one| failure.because(one.to_string()));
        return Err(failure.hint("mend them, or name one migration at a time"));
    }
    let plain = |one: &&MigrationFile| {
        one.rollback
            .as_ref()
            .is_some_and(|rollback| rollback.form == Form::Plain)
    };
    let found: Vec<&MigrationFile> = folder.files.iter().filter(plain).collect();
    if found.is_empty() {
        context.ui.say("There is no plain block among the files.");
    }
    found
        .into_iter()
        .try_for_each(|one| make(one, folder, dialect, context))
}

/// The migration that is typed, if its file could be read.
pub(super) fn typed<'a>(
    name: &str,
    folder: &'a Folder,
    context: &CommandContext<'_>,
) -> Result<&'a MigrationFile, Failure> {
    let id = folder.typed(name, context.dir).map_err(|error| {
        Failure::user(error.to_string()).hint("name a file of the folder, without .sql")
    })?;
    if let Some(one) = folder.files.iter().find(|one| one.id == id) {
        return Ok(one);
    }
    let names = [".sql", ".up.sql", ".down.sql"].map(|end| format!("{id}{end}"));
    let malformed = folder.malformed.iter().find(|one| {
        let file = one.file.rsplit('/').next().unwrap_or(&one.file);
        names.iter().any(|name| name == file)
    });
    Err(match malformed {
        Some(why) => Failure::user(why.to_string()).hint("mend the file, then try again"),
        None => Failure::user(format!("there is no migration {id}")).hint(format!(
            "the migrations are looked for in {}",
            folder.path.display()
        )),
    })
}

/// Where the file is.
pub(super) fn file_of(one: &MigrationFile, folder: &Folder) -> PathBuf {
    let name = one.path.rsplit('/').next().unwrap_or(&one.path);
    folder.path.join(name)
}

fn make(
    one: &MigrationFile,
    folder: &Folder,
    dialect: Dialect,
    context: &CommandContext<'_>,
) -> Result<(), Failure> {
    let path = file_of(one, folder);
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::user(format!("cannot read {}: {error}", one.path)))?;
    let made = file::commented(&one.path, &text, dialect)
        .map_err(|why| Failure::user(why.to_string()).hint("mend the file, then try again"))?;
    writing::replace(&path, &made)
        .map_err(|error| Failure::user(format!("cannot write {}: {error}", one.path)))?;
    context.ui.say(&format!(
        "The rollback block of {} is a comment now.",
        one.path
    ));
    let register = context.command(&["sql", "register"]).value(one.id.as_str());
    context.ui.say(&format!(
        "Where it is registered, write the new checksum down: {register}"
    ));
    Ok(())
}
