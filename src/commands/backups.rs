//! `rollback backups`.

use clap::Args;

use crate::app::{CommandContext, journal_recorder};
use crate::error::Failure;
use crate::ui::BackupList;

/// Show the backups of the project, newest first.
///
/// The engine is not started, and no database is asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback backups
  rollback backups --format json")]
pub struct BackupsArgs {}

/// Shows the table.
pub fn run(context: &CommandContext<'_>) -> Result<(), Failure> {
    let backups = journal_recorder::store(context).backups();
    let listed = backups
        .list()
        .map_err(|error| journal_recorder::store_failure(&error))?;
    for damaged in &listed.damaged {
        context.ui.warn(&format!("not a backup: {damaged}"));
    }
    context.ui.backups(BackupList {
        manifests: &listed.manifests,
        damaged: &listed.damaged,
        path: &|manifest| backups.file(manifest),
        now: (context.now)(),
    })
}
