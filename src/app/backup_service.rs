//! Making a backup that can be believed in, and putting one back.

use std::path::Path;
use std::time::Instant;

use clap::Args;

use super::project::{Project, reference};
use super::route::Route;
use super::{CommandContext, journal_recorder};
use crate::config::VerifyBackup;
use crate::error::{Exit, Failure, io_hint};
use crate::store::{self, StoreError};
use rollback_core::backup::{DatabaseDigest, LeftOut, Manifest, OmittedPart, VERSION, Verified};
use rollback_core::connection::{ConnectionFacts, Identity, VersionTable};
use rollback_core::database_identity::DatabaseReference;
use rollback_core::dialect::Dialect;
use rollback_core::failpoint;
use rollback_core::figures::bytes;
use rollback_core::journal::seconds;
use rollback_core::lock::new_run_id;
use rollback_core::secret::{Secret, mask};
use rollback_core::time::{self, Precision};
use rollback_database::backup::{self, BackupContext, BackupDriver, BackupError};

/// How a backup is proven.
#[derive(Debug, Clone, Default, Args)]
pub struct VerifyArgs {
    /// Read the backup back whole, or restore it into a scratch database beside the
    /// real one and compare schema, rows and version table.
    #[arg(long, value_name = "HOW")]
    pub verify_backup: Option<VerifyBackup>,
}

/// Who keeps the backups of one database.
pub(crate) struct BackupService<'a> {
    context: &'a CommandContext<'a>,
    backups: store::BackupStore,
    facts: ConnectionFacts,
    table: VersionTable,
    secrets: Vec<Secret>,
    /// Each client connects again, and has to reach the same server.
    route: Option<Route>,
    database: DatabaseReference,
    place: String,
    server: Option<String>,
}

impl<'a> BackupService<'a> {
    /// Of the database that a session found. Nothing is connected or written yet.
    pub(crate) fn of(context: &'a CommandContext<'a>, project: &Project) -> Result<Self, Failure> {
        let Some((facts, table)) = project.connection() else {
            return Err(Failure::refused("no backup of this database can be made")
                .because("rollback has no direct connection to it")
                .hint("name it as SQLAlchemy does, in ROLLBACK_DATABASE_URL"));
        };
        Ok(Self {
            context,
            backups: journal_recorder::store(context).backups(),
            facts: facts.clone(),
            table: table.clone(),
            secrets: project.secrets().to_vec(),
            route: project
                .identity
                .as_ref()
                .map(|identity| Route::new(context, facts.clone(), identity)),
            database: project.database_reference(),
            place: project.place(),
            server: project
                .identity
                .as_ref()
                .and_then(|identity| identity.server.clone()),
        })
    }

    /// Of a database that was reached by its address alone.
    pub(crate) fn at(
        context: &'a CommandContext<'a>,
        facts: &ConnectionFacts,
        table: VersionTable,
        identity: &Identity,
    ) -> Self {
        Self {
            context,
            backups: journal_recorder::store(context).backups(),
            facts: facts.clone(),
            table,
            secrets: facts.password.clone().into_iter().collect(),
            // A file is reached by its path each time, and may be damaged.
            route: (facts.known_dialect() != Some(Dialect::Sqlite))
                .then(|| Route::new(context, facts.clone(), identity)),
            database: reference(identity),
            place: identity.to_string(),
            server: identity.server.clone(),
        }
    }

    /// Reads the version rows where a backup says that they were.
    pub(crate) fn with_table_of(mut self, manifest: &Manifest) -> Self {
        if let Some(table) = &manifest.version_table {
            self.table = table.into();
        }
        self
    }

    pub(crate) fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    pub(crate) fn backups(&self) -> &store::BackupStore {
        &self.backups
    }

    /// The database, as the manifests name it.
    pub(crate) fn database(&self) -> &DatabaseReference {
        &self.database
    }

    pub(crate) fn dialect(&self) -> &str {
        &self.facts.dialect
    }

    /// Whether a backup can be made: its program is there, and there is room. Nothing is written.
    pub(crate) fn ready(&self, verify: Verified) -> Result<(), Failure> {
        let mut way = self.way(self.backups.folder())?;
        way.client().map_err(|error| self.failure(&error))?;
        self.has_room(way.as_mut(), verify)
    }

    /// Makes a backup and proves it. Where it fails, nothing is left that could be taken for one.
    pub(crate) fn make(&self, run: Option<&str>, verify: Verified) -> Result<Manifest, Failure> {
        self.written(run, verify, false)
    }

    /// Makes a backup of what can be read of a database that cannot be backed up whole. The manifest says what is
    /// left out.
    pub(crate) fn salvage(&self) -> Result<Manifest, Failure> {
        self.written(None, Verified::Read, true)
    }

    fn written(
        &self,
        run: Option<&str>,
        verify: Verified,
        is_salvage: bool,
    ) -> Result<Manifest, Failure> {
        self.still_the_same_server()?;
        let started = Instant::now();
        let now = (self.context.now)();
        let operator = self.context.operator;
        let part = self
            .backups
            .begin(&new_run_id(now, operator.pid))
            .map_err(|error| self.store_failure(&error))?;
        let mut way = self.way(part.folder())?;
        let failed = |error: BackupError| self.failure(&error);
        let client = way.client().map_err(failed)?;
        self.has_room(way.as_mut(), verify)?;
        let size = way.size().map_err(failed)?;
        let file = part.file(way.extension());
        let ui = self.context.ui;
        let bar = ui.transfer("writing the backup", size);
        let mut contents = if is_salvage {
            way.salvage(&file, &mut |done| bar.set(done))
        } else {
            way.dump(&file, &mut |done| bar.set(done))
        }
        .map_err(failed)?;
        // Two bars at once would be in each other's way.
        drop(bar);
        failpoint::point("after_dump");
        let length = file_length(&file).map_err(|error| self.store_failure(&error))?;
        let bar = ui.transfer("reading it back", Some(length));
        match way.read_back(&file, &mut |done| bar.set(done)) {
            // Half a database is more than none.
            Err(BackupError::Damaged { reason, .. }) if is_salvage => {
                contents
                    .left_out
                    .push(LeftOut::all(OmittedPart::Unknown, reason));
            }
            read => read.map_err(failed)?,
        }
        let sha256 = store::sha256(&file, &mut |done| bar.set(done))
            .map_err(|error| self.store_failure(&error))?;
        drop(bar);
        let mut manifest = Manifest {
            version: VERSION,
            id: part.id().to_owned(),
            at: time::rfc3339(now, Precision::Millis),
            run: run.map(str::to_owned),
            by: operator.clone(),
            database_key: self.database.key.clone(),
            database: self.place.clone(),
            dialect: self.facts.dialect.clone(),
            server: self.server.clone(),
            client,
            file: format!("{}{}", part.id(), way.extension()),
            bytes: length,
            sha256,
            seconds: 0.0,
            heads: contents.heads,
            schema: contents.schema,
            rows: contents.rows,
            verified: verify,
            identity: self.database.identity.clone(),
            number: Some(part.number()),
            left_out: contents.left_out,
            version_table: Some((&self.table).into()),
        };
        if verify == Verified::Restored {
            let bar = ui.transfer("restoring it beside the database", Some(length));
            let rehearsed = way
                .rehearse(&file, &mut |done| bar.set(done))
                .map_err(failed)?;
            differences(&rehearsed, &manifest).map_err(|differences| {
                let failure = Failure::refused("the backup does not hold what it should");
                differences.into_iter().fold(failure, Failure::because)
            })?;
        }
        if self.context.interrupt.count() > 0 {
            return Err(failed(BackupError::Interrupted));
        }
        manifest.seconds = seconds(started.elapsed());
        part.finish(&file, &manifest)
            .map_err(|error| self.store_failure(&error))?;
        Ok(manifest)
    }

    /// What the database holds now.
    pub(crate) fn contents(&self) -> Result<DatabaseDigest, Failure> {
        let mut way = self.way(self.backups.folder())?;
        way.contents().map_err(|error| self.failure(&error))
    }

    /// Refuses a backup whose file is not what was written.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Failure> {
        self.check_file(manifest, &self.backups.file(manifest))
    }

    /// The same of a file that may be elsewhere.
    pub(crate) fn check_file(&self, manifest: &Manifest, file: &Path) -> Result<(), Failure> {
        let bar = self
            .context
            .ui
            .transfer("reading the backup", Some(manifest.bytes));
        let damaged = |reason: String| {
            Failure::user(format!("the backup {} is damaged", manifest.id))
                .because(format!("{}: {reason}", file.display()))
                .hint(format!(
                    "choose another one: {}",
                    self.context.command(&["backups"])
                ))
        };
        match store::fault(file, manifest, &mut |done| bar.set(done)) {
            Ok(None) => {}
            Ok(Some(reason)) => return Err(damaged(reason)),
            Err(error) => return Err(damaged(error.to_string())),
        }
        Ok(())
    }

    /// What a file holds that has no manifest, read from a scratch copy of it; `None` if none can be made.
    pub(crate) fn inspect(&self, file: &Path) -> Result<Option<DatabaseDigest>, Failure> {
        let part = self
            .backups
            .begin("inspecting")
            .map_err(|error| self.store_failure(&error))?;
        let mut way = self.way(part.folder())?;
        let failed = |error: BackupError| self.failure(&error);
        way.client().map_err(failed)?;
        let length = file_length(file).map_err(|error| self.store_failure(&error))?;
        let bar = self.context.ui.transfer("reading the backup", Some(length));
        way.read_back(file, &mut |done| bar.set(done))
            .map_err(failed)?;
        match way.rehearse(file, &mut |done| bar.set(done)) {
            Ok(contents) => Ok(Some(contents)),
            Err(BackupError::NoScratch(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the database what it was, and proves it: an error says in a sentence each what is wrong. The
    /// file is checked by whoever calls.
    pub(crate) fn put_back(&self, manifest: &Manifest) -> Result<DatabaseDigest, NotPutBack> {
        self.replace(&RestoreSource {
            manifest,
            file: &self.backups.file(manifest),
            is_known: true,
            try_out: true,
        })
    }

    /// The same with a file that may be elsewhere.
    pub(crate) fn replace(&self, source: &RestoreSource<'_>) -> Result<DatabaseDigest, NotPutBack> {
        self.still_the_same_server().map_err(NotPutBack::refused)?;
        let RestoreSource { manifest, file, .. } = *source;
        let part = self
            .backups
            .begin(&format!("{}-restoring", manifest.id))
            .map_err(|error| NotPutBack::unchanged(self.store_failure(&error)))?;
        let mut way = self.way(part.folder()).map_err(NotPutBack::unchanged)?;
        way.client()
            .map_err(|error| NotPutBack::unchanged(self.failure(&error)))?;
        self.try_out(way.as_mut(), source)
            .map_err(NotPutBack::unchanged)?;
        let bar = self.context.ui.transfer("restoring", Some(manifest.bytes));
        failpoint::point("before_restoring");
        way.restore(file, &manifest.left_out, &mut |done| bar.set(done))
            .map_err(|not| NotPutBack {
                refused: false,
                unchanged: !not.began,
                failure: self.failure(&not.error),
            })?;
        failpoint::point("after_restoring");
        drop(bar);
        let changed = |failure| NotPutBack {
            refused: false,
            unchanged: false,
            failure,
        };
        let contents = way
            .contents()
            .map_err(|error| changed(self.failure(&error)))?;
        if source.is_known {
            differences(&contents, manifest).map_err(|differences| {
                let failure = Failure::user("what was restored is not what was backed up");
                changed(differences.into_iter().fold(failure, Failure::because))
            })?;
        }
        Ok(contents)
    }

    /// Refuses to read or write another server than the one that the session found.
    fn still_the_same_server(&self) -> Result<(), Failure> {
        let Some(route) = &self.route else {
            return Ok(());
        };
        route.check().map_err(|cause| {
            Failure::refused("no backup was made or restored").because(cause.to_string())
        })
    }

    /// Refuses a backup that this database would not take whole, while nothing of it is changed.
    fn try_out(
        &self,
        way: &mut dyn BackupDriver,
        source: &RestoreSource<'_>,
    ) -> Result<(), Failure> {
        let manifest = source.manifest;
        let bar = self
            .context
            .ui
            .transfer("trying it beside the database", Some(manifest.bytes));
        let ready = way
            .check(source.file, source.try_out, &mut |done| bar.set(done))
            .map_err(|error| self.failure(&error))?;
        drop(bar);
        if let Some(reason) = ready.unproven {
            let reason = mask(&reason, &self.secrets);
            self.context.ui.warn(&format!(
                "the backup could not be loaded into a scratch database first: {reason}"
            ));
        }
        let contents = ready.contents.filter(|_| source.is_known);
        contents.map_or(Ok(()), |contents| {
            differences(&contents, manifest).map_err(|differences| {
                let failure = Failure::user(
                    "a scratch database that the backup was loaded into differs from it",
                );
                differences.into_iter().fold(failure, Failure::because)
            })
        })
    }

    fn way(&self, folder: &Path) -> Result<Box<dyn BackupDriver>, Failure> {
        let surroundings = BackupContext {
            environment: self.context.environment.clone(),
            interrupt: self.context.interrupt.clone(),
            folder: folder.to_owned(),
            version_table: self.table.clone(),
        };
        backup::open(&self.facts, surroundings).map_err(|error| self.failure(&error))
    }

    fn has_room(&self, way: &mut dyn BackupDriver, verify: Verified) -> Result<(), Failure> {
        let Some(size) = way.size().map_err(|error| self.failure(&error))? else {
            return Ok(());
        };
        // A rehearsal on a server takes the server's room.
        let copies = if verify == Verified::Restored && self.facts.dialect == "sqlite" {
            2
        } else {
            1
        };
        let needed = size.saturating_mul(copies);
        let free = self
            .backups
            .free()
            .map_err(|error| self.store_failure(&error))?;
        if needed <= free {
            return Ok(());
        }
        Err(Failure::refused("there is no room for a backup")
            .because(format!(
                "the database takes {}, so that up to {} may be needed, and {} has {} left",
                bytes(size),
                bytes(needed),
                self.backups.folder().display(),
                bytes(free)
            ))
            .hint("make room there, or keep the backups elsewhere: --state-dir <dir>"))
    }

    fn store_failure(&self, error: &StoreError) -> Failure {
        if let StoreError::Io { path, source } = error {
            return self.failure(&BackupError::Io {
                path: path.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            });
        }
        journal_recorder::store_failure(error)
    }

    fn failure(&self, error: &BackupError) -> Failure {
        let told = mask(&error.to_string(), &self.secrets);
        let again = |when: &str| format!("{when}: {}", self.context.command(&["backup"]));
        let failure = match error {
            BackupError::Interrupted => {
                return Failure::new(Exit::Interrupted, "no backup was made or put back");
            }
            BackupError::Damaged { .. } => Failure::refused("the backup cannot be read"),
            BackupError::InUse { .. } => Failure::refused("another process holds the database"),
            BackupError::Unfit(_) => Failure::refused("the backup cannot be restored here"),
            _ => Failure::refused("a backup cannot be made or restored"),
        };
        failure.because(told).hint(match error {
            BackupError::NoClient { package, .. } | BackupError::OldClient { package, .. } => {
                again(&format!("install {package}, then"))
            }
            BackupError::Io { source, .. } => format!(
                "{}, or keep the backups elsewhere: --state-dir <dir>",
                io_hint(source.kind())
            ),
            BackupError::Damaged { .. } => again("make another one"),
            BackupError::InUse { .. } => "try again when it has let go".to_owned(),
            BackupError::UnsupportedDialect(_) => {
                "make one by the means of the server, and run without: --no-backup".to_owned()
            }
            BackupError::Unfit(_) => {
                "fix that on the server, or choose another backup; the database was not changed"
                    .to_owned()
            }
            BackupError::NoScratch(_) => {
                "give the user that right, or run without --verify-backup restore".to_owned()
            }
            _ => again("fix the cause, then try it"),
        })
    }
}

/// What a restore reads.
#[derive(Clone, Copy)]
pub(crate) struct RestoreSource<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) file: &'a Path,
    /// Whether the manifest says what the backup holds. Of a file that came without one nobody may know.
    pub(crate) is_known: bool,
    /// Whether it is loaded into a scratch database first, if the restore itself cannot be undone.
    pub(crate) try_out: bool,
}

/// Why a backup was not put back.
pub(crate) struct NotPutBack {
    /// Whether it was refused before anything was tried.
    pub(crate) refused: bool,
    /// Whether the database is promised to be as before.
    pub(crate) unchanged: bool,
    pub(crate) failure: Failure,
}

impl NotPutBack {
    fn refused(failure: Failure) -> Self {
        Self {
            refused: true,
            ..Self::unchanged(failure)
        }
    }

    fn unchanged(failure: Failure) -> Self {
        Self {
            refused: false,
            unchanged: true,
            failure,
        }
    }
}

fn differences(contents: &DatabaseDigest, manifest: &Manifest) -> Result<(), Vec<String>> {
    let differences = contents.differences(manifest);
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences)
    }
}

fn file_length(file: &Path) -> Result<u64, StoreError> {
    std::fs::metadata(file)
        .map(|metadata| metadata.len())
        .map_err(|source| StoreError::Io {
            path: file.to_owned(),
            source,
        })
}
