//! `rollback sql template`.

use std::fs;

use clap::Args;

use super::comment::{file_of, typed};
use crate::app::CommandContext;
use crate::app::sql::project::files;
use crate::error::Failure;
use rollback_core::figures::count;
use rollback_sql_files::engine::writing;
use rollback_sql_files::file::{self, MigrationFile};
use rollback_sql_files::template::{Template, template};

/// Write a rollback block for a migration: the inverse of each of its statements, last first.
///
/// What was there before is looked up in the migrations before it. What has no inverse becomes a comment that
/// says what is lost and how to keep it. Needs no database.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback sql template 20250120_add_tags          Print the block
  rollback sql template 20250120_add_tags --write  Put it at the end of the file")]
pub struct TemplateArgs {
    /// A migration, by the name of its file.
    // `name` would be the global option of that name.
    #[arg(value_name = "NAME")]
    pub migration: String,
    /// Put the block at the end of the file, where it has none yet.
    #[arg(long)]
    pub write: bool,
}

/// Does it.
pub fn run(args: &TemplateArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let (folder, dialect) = files(context)?;
    let one = typed(&args.migration, &folder, context)?;
    let before: Vec<&str> = folder
        .files
        .iter()
        .take_while(|earlier| earlier.id != one.id)
        .map(|earlier| earlier.up.as_str())
        .collect();
    let template = template(&one.up, &before, dialect);
    context.ui.say(&summary(&template));

    if args.write && one.rollback.is_some() {
        context.ui.say(&format!(
            "{} has a rollback block already and stays as it is.",
            one.path
        ));
    } else if args.write && !template.is_block {
        context.ui.say(&format!(
            "There is nothing to put into a block, so that {} stays as it is.",
            one.path
        ));
    } else if args.write {
        let path = file_of(one, &folder);
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::user(format!("cannot read {}: {error}", one.path)))?;
        let text = with_block(&text, &template.text);
        // What could not be read back is not written.
        match file::read(one.id.clone(), &one.path, &text, None, dialect) {
            Ok(MigrationFile {
                rollback: Some(_), ..
            }) => {}
            _ => {
                return Err(Failure::user(format!(
                    "the block does not fit to the end of {}",
                    one.path
                ))
                .hint("print it without --write, and put it where it belongs"));
            }
        }
        writing::replace(&path, &text)
            .map_err(|error| Failure::user(format!("cannot write {}: {error}", one.path)))?;
        context
            .ui
            .say(&format!("The block was put at the end of {}.", one.path));
        let register = context.command(&["sql", "register"]).value(one.id.as_str());
        context.ui.say(&format!(
            "Read it, then, where the migration is applied: {register}"
        ));
        return Ok(());
    }
    context
        .ui
        .document(&format!("{}\n", template.text.trim_end()))
}

fn summary(template: &Template) -> String {
    let statements = |number| count(number, "statement");
    match (template.inverted, template.explained) {
        (0, 0) => "No statement leaves anything that would have to be taken back.".to_owned(),
        (inverted, 0) => format!("{} inverted.", statements(inverted)),
        (0, explained) => format!("{} without an inverse: read why.", statements(explained)),
        (inverted, explained) => format!(
            "{} inverted, {explained} without a whole inverse: read why.",
            statements(inverted)
        ),
    }
}

/// The text of a file with the block at its end.
fn with_block(text: &str, block: &str) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = block.replace('\n', end);
    format!("{}{end}{end}{block}", text.trim_end())
}
