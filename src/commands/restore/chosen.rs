//! The backup that is restored: one of the project's, or a file from anywhere.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::app::CommandContext;
use crate::app::backup_service::BackupService;
use crate::app::journal_recorder::{store, store_failure};
use crate::error::Failure;
use crate::store::{self, NotFound};
use rollback_core::backup::{Manifest, VERSION};
use rollback_core::time::{self, Precision};

/// How each kind of file begins, and SQLAlchemy's name of its server.
const KINDS: [(&[u8], &str); 5] = [
    (b"SQLite format 3\0", "sqlite"),
    (b"PGDMP", "postgresql"),
    (b"-- MariaDB dump", "mysql"),
    (b"-- MySQL dump", "mysql"),
    (b"/*M!999999", "mysql"),
];

/// A backup.
pub(super) struct ChosenBackup {
    pub(super) manifest: Manifest,
    pub(super) file: PathBuf,
    /// Whether somebody wrote down what it holds, or it was read from a scratch copy.
    pub(super) is_known: bool,
    /// Whether it is a file without a manifest.
    pub(super) is_bare: bool,
}

impl ChosenBackup {
    /// The backup of that id, or the file of that name. Relative names begin at the project's directory.
    pub(super) fn find(typed: &str, context: &CommandContext<'_>) -> Result<Self, Failure> {
        let backups = store(context).backups();
        let listed = backups.list().map_err(|error| store_failure(&error))?;
        let all = context.command(&["backups"]);
        let path = context.dir.join(typed);
        match listed.find(typed) {
            Ok(manifest) => Ok(Self {
                file: backups.file(manifest),
                manifest: manifest.clone(),
                is_known: true,
                is_bare: false,
            }),
            Err(_) if path.is_file() => Self::of_file(path),
            Err(NotFound::None) => {
                let failure = Failure::user(format!(
                    "there is no backup {typed} in {}, and no file of that name",
                    backups.folder().display()
                ));
                let failure = listed.damaged.into_iter().fold(failure, Failure::because);
                Err(failure.hint(format!("see which there are: {all}")))
            }
            Err(NotFound::NotSurelyLatest(id)) => {
                let failure = Failure::refused("which backup is the latest is unknown");
                let failure = listed.damaged.into_iter().fold(failure, Failure::because);
                Err(failure
                    .hint(format!("see which there are: {all}"))
                    .hint(format!(
                        "the newest of those that can be read: {}",
                        context.command(&["restore", &id])
                    )))
            }
            Err(NotFound::Several(ids)) => Err(Failure::user(format!(
                "{typed} is the beginning of several backups: {}",
                ids.join(", ")
            ))
            .hint(format!("see which they are: {all}"))),
        }
    }

    fn of_file(file: PathBuf) -> Result<Self, Failure> {
        if let Some(manifest) = store::beside(&file) {
            return Ok(Self {
                manifest,
                file,
                is_known: true,
                is_bare: false,
            });
        }
        let unread = |error: std::io::Error| {
            Failure::user(format!("{} cannot be read", file.display())).because(error.to_string())
        };
        let dialect = kind(&file).map_err(unread)?.ok_or_else(|| {
            Failure::user(format!("{} is not a backup", file.display()))
                .because(
                    "it is neither an archive of pg_dump --format=custom, nor a script of mariadb-dump or \
                     mysqldump, nor a SQLite file",
                )
        })?;
        let metadata = fs::metadata(&file).map_err(unread)?;
        let written = metadata.modified().map_err(unread)?;
        let sha256 = store::sha256(&file, &mut |_| {}).map_err(|error| store_failure(&error))?;
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        Ok(Self {
            manifest: Manifest {
                version: VERSION,
                id: text(file.file_stem()),
                at: time::rfc3339(written, Precision::Seconds),
                dialect: dialect.to_owned(),
                file: text(file.file_name()),
                bytes: metadata.len(),
                sha256,
                ..Manifest::default()
            },
            file,
            is_known: false,
            is_bare: true,
        })
    }

    /// Learns what a file without a manifest holds, from a scratch copy of it.
    pub(super) fn inspect(&mut self, service: &BackupService<'_>) -> Result<(), Failure> {
        if self.is_known {
            return Ok(());
        }
        if let Some(contents) = service.inspect(&self.file)? {
            self.manifest.heads = contents.heads;
            self.manifest.schema = contents.schema;
            self.manifest.rows = contents.rows;
            self.is_known = true;
        }
        Ok(())
    }

    /// What nobody can prove of it, a sentence each.
    pub(super) fn unproven(&self) -> Vec<&'static str> {
        let mut unproven = Vec::new();
        if self.is_bare {
            unproven.push("it has no manifest: nothing shows which database it was made of, when, or that nobody altered it");
        }
        if !self.is_known {
            unproven.push("what it holds is not known: no scratch database can be made to read it in, so the result will not be compared");
        }
        unproven
    }
}

/// The kind of a file by its first bytes.
fn kind(file: &Path) -> std::io::Result<Option<&'static str>> {
    let mut head = Vec::new();
    File::open(file)?.take(64).read_to_end(&mut head)?;
    Ok(KINDS
        .iter()
        .find(|(start, _)| head.starts_with(start))
        .map(|(_, dialect)| *dialect))
}
