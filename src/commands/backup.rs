//! `rollback backup`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::backup_service::{BackupService, VerifyArgs};
use crate::app::project::Project;
use crate::error::Failure;

/// Make a backup of the database that the engine migrates, and prove it.
///
/// It is written by the server's own means (`pg_dump`, mysqldump or mariadb-dump, SQLite's online backup) while
/// everybody goes on working, is of one moment, and is read back whole. It is in .rollback/backups of
/// the project, readable by you alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback backup
  rollback backup --verify-backup restore    Restore it beside the database, and compare
  rollback backup --state-dir /mnt/backups   Keep it elsewhere")]
pub struct BackupArgs {
    /// How it is proven.
    #[command(flatten)]
    pub verify: VerifyArgs,
}

/// Makes it and says where it is.
pub fn run(context: &CommandContext<'_>) -> Result<(), Failure> {
    let project = Project::look(context)?;
    let service = BackupService::of(context, &project)?;
    let manifest = service.make(None, context.settings.verify_backup)?;
    let path = service.backups().file(&manifest);
    let restore = context.command(&["restore", &manifest.id]).to_string();
    context.ui.backup(&manifest, &path, &restore)
}
