//! The database that a restore replaces: that of the project, or one that is reached by its address alone.

use crate::app::backup_service::BackupService;
use crate::app::connection::{database_failure, given_connection};
use crate::app::lock::Lock;
use crate::app::project::{Project, Unopened, name_to_type, reference};
use crate::app::whose_run::Purpose;
use crate::app::{CommandContext, unfinished};
use crate::error::{Exit, Failure};
use crate::store::Store;
use rollback_core::backup::Manifest;
use rollback_core::connection::{ConnectionFacts, Identity, VersionTable};
use rollback_core::journal::Run;
use rollback_database::{self, Database};

/// The database that is replaced, locked for as long as this value lives.
pub(super) enum RestoreTarget {
    /// The project and its engine say which it is.
    Project(Box<Project>),
    /// The settings alone say which it is, because the project could not be opened.
    Address(Box<Address>),
}

/// A database and how it was reached.
pub(super) struct Address {
    facts: ConnectionFacts,
    table: VersionTable,
    identity: Identity,
    /// Holds the lock.
    database: Box<dyn Database>,
}

impl RestoreTarget {
    /// Opens and locks the database. A project that is gone or broken is a warning if an address is set.
    pub(super) fn open(context: &CommandContext<'_>, lock: &Lock) -> Result<Self, Failure> {
        let failure = match Project::open_for_restore(context, lock) {
            Ok(session) => return Ok(Self::Project(Box::new(session))),
            Err(Unopened::Database(failure)) => return Err(failure),
            Err(Unopened::Project(failure))
                if matches!(failure.exit, Exit::Locked | Exit::Interrupted) =>
            {
                return Err(failure);
            }
            Err(Unopened::Project(failure)) => failure,
        };
        let Some(facts) = given_connection(context.settings, context.dir)? else {
            return Err(failure.hint(
                "to restore without the project, name the database: --database-url URL, or ROLLBACK_DATABASE_URL",
            ));
        };
        context.ui.warn(&format!(
            "the project could not be opened, so the database is the one that the URL names: {}",
            failure.message
        ));
        let mut database = rollback_database::open_to_replace(&facts, context.environment)
            .map_err(|error| database_failure(&error))?;
        let identity = database
            .identity()
            .map_err(|error| database_failure(&error))?;
        lock.take(database.as_mut(), context)?;
        let settings = context.settings;
        let usual = VersionTable::default();
        Ok(Self::Address(Box::new(Address {
            facts,
            table: VersionTable {
                name: settings.version_table.clone().unwrap_or(usual.name),
                schema: settings.version_table_schema.clone(),
                rows: usual.rows,
            },
            identity,
            database,
        })))
    }

    /// Lets others run while a question waits for its answer.
    pub(super) fn release_lock(&mut self) -> Result<(), Failure> {
        match self {
            Self::Project(session) => session.release_lock(),
            Self::Address(address) => address
                .database
                .release_lock()
                .map_err(|error| database_failure(&error)),
        }
    }

    /// Takes the lock again, or waits for it as long as is allowed.
    pub(super) fn take_lock(
        &mut self,
        lock: &Lock,
        context: &CommandContext<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Project(session) => session.take_lock(lock, context),
            Self::Address(address) => lock.take(address.database.as_mut(), context),
        }
    }

    /// What makes backups of it and restores them.
    pub(super) fn backup_service<'a>(
        &self,
        context: &'a CommandContext<'a>,
        manifest: &Manifest,
    ) -> Result<BackupService<'a>, Failure> {
        match self {
            Self::Project(session) => BackupService::of(context, session),
            Self::Address(address) => Ok(BackupService::at(
                context,
                &address.facts,
                address.table.clone(),
                &address.identity,
            )
            .with_table_of(manifest)),
        }
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Project(session) => session.place(),
            Self::Address(address) => address.identity.to_string(),
        }
    }

    /// What an operator types to show that this is the database that is meant.
    pub(super) fn name_to_type(&self) -> String {
        match self {
            Self::Project(session) => session.confirmation_word(),
            Self::Address(address) => name_to_type(&address.identity),
        }
    }

    /// The run that a restore ends.
    pub(super) fn unfinished(
        &self,
        context: &CommandContext<'_>,
        store: &Store,
    ) -> Result<Option<Run>, Failure> {
        let here = match self {
            Self::Project(session) => session.database_reference(),
            Self::Address(address) => reference(&address.identity),
        };
        unfinished::find_of(context, store, &here, Purpose::Look)
    }

    /// The project, if it could be opened.
    pub(super) fn session(&mut self) -> Option<&mut Project> {
        match self {
            Self::Project(session) => Some(session),
            Self::Address(_) => None,
        }
    }
}
