//! What the database is asked beside its version rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::Project;
use crate::app::CommandContext;
use crate::app::connection::database_failure;
use crate::app::lock::Lock;
use crate::app::verifier::DatabaseAccess;
use crate::error::Failure;
use rollback_core::audit::Row;
use rollback_core::checks::Leftover;
use rollback_core::connection::{ConnectionFacts, Identity, VersionTable};
use rollback_core::dialect::Dialect;
use rollback_core::graph::Graph;
use rollback_core::journal::{Checked, RecordedRows, Run};
use rollback_core::outcome::SchemaLines;
use rollback_core::proof::{Doubt, Proof};
use rollback_core::revision::Heads;
use rollback_core::runner::Verifier as _;
use rollback_database::{self, Database};
use rollback_schema::SchemaModel;

/// Without one nobody can write or read the table of `[audit]`.
const NOT_OURS: &str = "there is no connection of our own to this database";

impl Project {
    /// The server, where it is one of those that are known well enough.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        Dialect::named(&self.identity.as_ref()?.dialect)
    }

    /// The schema as objects; `None` where it cannot be read.
    pub(crate) fn schema_model(&mut self) -> Option<SchemaModel> {
        let dialect = self.dialect()?;
        let DatabaseAccess::Direct {
            database, facts, ..
        } = &mut self.watched.access
        else {
            return None;
        };
        rollback_database::schema_model(database.as_mut(), dialect, &facts.session)
    }

    /// What looking ahead needs.
    pub(crate) fn graph_and_database(&mut self) -> (&Graph, Option<&mut (dyn Database + 'static)>) {
        let database = match &mut self.watched.access {
            DatabaseAccess::Direct { database, .. } => Some(database.as_mut()),
            DatabaseAccess::ViaEngine(_) => None,
        };
        (&self.graph, database)
    }

    /// Puts every question of `ask` to this SQLite file in place of the database, which stays locked.
    pub(crate) fn looking_at<T>(
        &mut self,
        context: &CommandContext<'_>,
        file: &Path,
        ask: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Failure> {
        let DatabaseAccess::Direct {
            database, facts, ..
        } = &mut self.watched.access
        else {
            return Ok(ask(self));
        };
        let facts = ConnectionFacts {
            database: Some(file.display().to_string()),
            ..facts.clone()
        };
        let other = rollback_database::open(&facts, context.environment)
            .map_err(|error| database_failure(&error))?;
        let own = std::mem::replace(database, other);
        let answer = ask(self);
        if let DatabaseAccess::Direct { database, .. } = &mut self.watched.access {
            *database = own;
        }
        Ok(answer)
    }

    /// The schema as it is now; `None` where it cannot be read.
    pub(crate) fn schema(&mut self) -> Option<SchemaLines> {
        self.watched.schema()
    }

    /// The version rows as they are now.
    pub(crate) fn heads(&mut self) -> Result<Heads, String> {
        self.watched.heads()
    }

    /// What is not proven about the step of an unfinished run that was in flight. `schema_compared` is whether the
    /// schema could be read.
    pub(crate) fn doubts(&mut self, run: &Run, schema_compared: bool) -> Vec<Doubt> {
        if !run.needs_proof() {
            return Vec::new();
        }
        let proof = match (run.evidence(), self.has_own_connection()) {
            (_, false) => Proof::none(Doubt::NoConnection),
            (None, _) => Proof::none(Doubt::NoEvidence),
            (Some(evidence), _) => self.watched.proof(evidence, None),
        };
        proof.doubts_with(schema_compared && run.schema.is_some())
    }

    /// What looks like the rest of a step that broke off; nothing where it cannot be looked for.
    pub(crate) fn leftovers(&mut self) -> Vec<Leftover> {
        match &mut self.watched.access {
            DatabaseAccess::Direct { database, .. } => database.leftovers().unwrap_or_default(),
            DatabaseAccess::ViaEngine(_) => Vec::new(),
        }
    }

    /// What is left over, apart from `own_copy` of the file, and what is at fault, a sentence each; `None` where it could
    /// not all be looked for.
    pub(crate) fn faults(
        &mut self,
        budget: Duration,
        own_copy: Option<&Path>,
    ) -> Option<Vec<String>> {
        let DatabaseAccess::Direct { database, .. } = &mut self.watched.access else {
            return None;
        };
        let left_over = database.leftovers().ok()?;
        let (faults, unchecked) = database.faults(budget).ok()??;
        let found = faults.into_iter().filter(|(_, number)| *number > 0);
        // A table that a step left is told both ways.
        let is_own = |left: &&Leftover| matches!(left, Leftover::Snapshot(copy) if Some(copy.as_path()) == own_copy);
        let all: BTreeSet<String> = left_over
            .iter()
            .filter(|left| !is_own(left))
            .map(ToString::to_string)
            .chain(found.map(|(fault, _)| fault))
            .collect();
        unchecked.is_empty().then(|| all.into_iter().collect())
    }

    /// Makes the checks that come before a run, and takes the state that its steps are compared with. Gives the
    /// schema where it was seen with that.
    pub(crate) fn check_before(
        &mut self,
        validate: bool,
        context: &CommandContext<'_>,
    ) -> Result<Option<SchemaLines>, Failure> {
        self.watched.check_before(validate, context)
    }

    /// What the server says it is now; `None` without a connection of our own.
    pub(crate) fn identity_now(&mut self) -> Result<Option<Identity>, Failure> {
        match &mut self.watched.access {
            DatabaseAccess::Direct { database, .. } => database
                .identity()
                .map(Some)
                .map_err(|error| database_failure(&error)),
            DatabaseAccess::ViaEngine(_) => Ok(None),
        }
    }

    /// Lets others have the database for as long as somebody thinks.
    pub(crate) fn release_lock(&mut self) -> Result<(), Failure> {
        match &mut self.watched.access {
            DatabaseAccess::Direct {
                database, locked, ..
            } => {
                *locked = false;
                database
                    .release_lock()
                    .map_err(|error| database_failure(&error))
            }
            DatabaseAccess::ViaEngine(_) => Ok(()),
        }
    }

    /// Takes the lock, or waits for it as long as is allowed.
    pub(crate) fn take_lock(
        &mut self,
        lock: &Lock,
        context: &CommandContext<'_>,
    ) -> Result<(), Failure> {
        match &mut self.watched.access {
            DatabaseAccess::Direct {
                database, locked, ..
            } => {
                lock.take(database.as_mut(), context)?;
                *locked = true;
                Ok(())
            }
            DatabaseAccess::ViaEngine(_) => Ok(()),
        }
    }

    /// What our own connection was opened with, and where the version rows are; `None` without one.
    pub(crate) fn connection(&self) -> Option<(&ConnectionFacts, &VersionTable)> {
        match &self.watched.access {
            DatabaseAccess::Direct { facts, table, .. } => Some((facts, table)),
            DatabaseAccess::ViaEngine(_) => None,
        }
    }

    pub(crate) fn has_own_connection(&self) -> bool {
        matches!(self.watched.access, DatabaseAccess::Direct { .. })
    }

    /// The checks that were made since this was asked last.
    pub(crate) fn take_checks(&mut self) -> Vec<Checked> {
        self.watched.checks.take_made()
    }

    /// The rows before the first step; empty where they were not counted.
    pub(crate) fn rows_at_the_start(&self) -> BTreeMap<String, RecordedRows> {
        self.watched.checks.rows_at_the_start()
    }

    /// The rows at the end; empty where they were not counted at the start either. `as_last_seen` is whether
    /// nothing can have changed them since they were counted last.
    pub(crate) fn rows_at_the_end(&mut self, as_last_seen: bool) -> BTreeMap<String, RecordedRows> {
        let (watch, own) = self.watched.parts();
        watch.rows_at_the_end(as_last_seen, own)
    }

    /// Puts a row into the table of `[audit]`. The error is a sentence.
    pub(crate) fn write_audit(&mut self, row: &Row) -> Result<(), String> {
        match &mut self.watched.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => database
                .write_audit(table, row)
                .map_err(|error| error.to_string()),
            DatabaseAccess::ViaEngine(_) => Err(NOT_OURS.to_owned()),
        }
    }

    /// Each run of the table of `[audit]` and its report, newest first. The error is a sentence.
    pub(crate) fn audit(&mut self) -> Result<Vec<(String, String)>, String> {
        match &mut self.watched.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => database.audit(table).map_err(|error| error.to_string()),
            DatabaseAccess::ViaEngine(_) => Err(NOT_OURS.to_owned()),
        }
    }
}
