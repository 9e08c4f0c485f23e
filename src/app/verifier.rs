//! Who looks at the database between the steps, and what is checked there.

use std::time::Duration;

use super::CommandContext;
use super::health_checks::{HealthChecks, Own, health};
use super::measure::Measure;
use super::route::Route;
use crate::checks::When;
use crate::error::Failure;
use rollback_alembic::AlembicEngine;
use rollback_core::blocker::Blocker;
use rollback_core::checks::{Health, Removed};
use rollback_core::connection::{ConnectionFacts, VersionRows, VersionTable};
use rollback_core::effect::{Effect, Surprise, Verdict};
use rollback_core::engine::{Current, Engine};
use rollback_core::journal::Checked;
use rollback_core::outcome::{Cause, Difference, SchemaLines};
use rollback_core::plan::Step;
use rollback_core::proof::{Doubt, Proof, RowEvidence, StepSession};
use rollback_core::query::Queries;
use rollback_core::revision::{Heads, RevisionId};
use rollback_core::runner::{Findings, Measured, PostStepSnapshot, Verifier};
use rollback_database::{Database, DatabaseReader};

/// Verifies the steps of a run: how the database is read, and what is checked.
pub(crate) struct StepVerifier {
    pub(crate) access: DatabaseAccess,
    pub(crate) checks: HealthChecks,
    pub(crate) measure: Measure,
}

/// Who looks at the database between the steps.
pub(crate) enum DatabaseAccess {
    Direct {
        database: Box<dyn Database>,
        table: VersionTable,
        /// What it was opened with.
        facts: ConnectionFacts,
        /// Where the steps connect to.
        route: Box<Route>,
        /// The database was locked, and has to stay so.
        locked: bool,
    },
    /// The engine's `current`, one more process each time.
    ViaEngine(AlembicEngine),
}

impl StepVerifier {
    /// The state that the steps are compared with, as [`Watch::compare_with`] has it. Gives the schema where it
    /// was seen with it.
    pub(crate) fn check_before(
        &mut self,
        validate: bool,
        context: &CommandContext<'_>,
    ) -> Result<Option<SchemaLines>, Failure> {
        let (watch, own) = self.parts();
        watch.before(own)?;
        if !validate {
            return Ok(None);
        }
        let (schema, health) = match self.snapshot() {
            Some(snapshot) => (snapshot.schema, snapshot.health),
            None => (None, None),
        };
        let (watch, own) = self.parts();
        watch.compare_with(own, health, context)?;
        Ok(schema)
    }

    pub(crate) fn parts(&mut self) -> (&mut HealthChecks, Own<'_>) {
        let own: Own<'_> = match &mut self.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => Some((&mut **database, table)),
            DatabaseAccess::ViaEngine(_) => None,
        };
        (&mut self.checks, own)
    }
}

impl Verifier for StepVerifier {
    fn name(&self) -> &'static str {
        match &self.access {
            DatabaseAccess::Direct { .. } => "read from the database",
            DatabaseAccess::ViaEngine(_) => "by the word of the engine's `current`",
        }
    }

    fn snapshot(&mut self) -> Option<PostStepSnapshot> {
        let DatabaseAccess::Direct {
            database, table, ..
        } = &mut self.access
        else {
            return None;
        };
        if self.checks.each_by_itself {
            return None;
        }
        let glimpse = database.at_once(table, self.checks.budget());
        self.checks.each_by_itself = glimpse.is_none();
        glimpse.map(|glimpse| PostStepSnapshot {
            heads: told(glimpse.rows, table),
            schema: Some(glimpse.schema),
            health: Some(Health {
                snapshot: glimpse.snapshot,
                ..health(glimpse.counts, glimpse.faults, table)
            }),
        })
    }

    fn heads(&mut self) -> Result<Heads, String> {
        match &mut self.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => heads(&mut **database, table),
            DatabaseAccess::ViaEngine(engine) => match engine.current() {
                Ok(Current::Rows(ids)) => Ok(ids.into_iter().collect()),
                Ok(Current::UnknownRevision(id)) => Ok([RevisionId::new(id)].into()),
                Err(error) => Err(error.summary),
            },
        }
    }

    fn schema(&mut self) -> Option<SchemaLines> {
        match &mut self.access {
            DatabaseAccess::Direct { database, .. } => database.schema().ok(),
            DatabaseAccess::ViaEngine(_) => None,
        }
    }

    fn evidence(&mut self) -> Result<RowEvidence, Doubt> {
        match &mut self.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => database
                .evidence(table, self.checks.health())
                .map_err(|error| Doubt::NotRead(error.to_string())),
            DatabaseAccess::ViaEngine(_) => Err(Doubt::NoConnection),
        }
    }

    fn proof(&mut self, before: &RowEvidence, session: Option<&StepSession>) -> Proof {
        match &mut self.access {
            DatabaseAccess::Direct {
                database, table, ..
            } => match database.trace(before, session, table, self.checks.budget()) {
                Ok(after) => Proof::of(before, &after),
                Err(error) => Proof::none(Doubt::NotRead(error.to_string())),
            },
            DatabaseAccess::ViaEngine(_) => Proof::none(Doubt::NoConnection),
        }
    }

    fn blockers(&mut self, open_for: Duration) -> Vec<Blocker> {
        match &mut self.access {
            // A user may not be allowed to see the others; the run does not depend on it.
            DatabaseAccess::Direct { database, .. } => {
                database.blockers(open_for).unwrap_or_default()
            }
            DatabaseAccess::ViaEngine(_) => Vec::new(),
        }
    }

    fn may_go_on(&mut self, connects: bool) -> Result<(), Cause> {
        let DatabaseAccess::Direct {
            database,
            route,
            locked: true,
            ..
        } = &mut self.access
        else {
            return Ok(());
        };
        match database.holds_lock() {
            Ok(true) if connects => route.check(),
            Ok(true) => route.check_now_and_then(),
            Ok(false) => Err(Cause::NotAlone(
                "the lock of this run is gone, and another run may have begun: the connection that held it was closed, or its file was removed"
                    .to_owned(),
            )),
            Err(error) => Err(Cause::NotAlone(format!(
                "cannot tell whether the lock of this run still holds: {error}"
            ))),
        }
    }

    fn inside<'a>(
        &'a mut self,
        transaction: &'a mut dyn Queries,
    ) -> Option<Box<dyn Verifier + 'a>> {
        let DatabaseAccess::Direct {
            database, table, ..
        } = &mut self.access
        else {
            return None;
        };
        Some(Box::new(InTransactionVerifier {
            look: database.inside(transaction)?,
            table,
            watch: &mut self.checks,
        }))
    }

    fn forget_inside(&mut self) {
        self.checks.begin_again();
    }

    fn faults(
        &mut self,
        _: &Step,
        difference: &Difference,
        seen: Option<Health>,
        removed: Removed<'_>,
    ) -> Findings {
        let removed = Removed {
            all_agreed: self.measure.all_agreed(),
            ..removed
        };
        let (watch, own) = self.parts();
        watch.after_step(own, seen, difference, removed)
    }

    fn begins(&mut self, index: usize, transaction: &mut dyn Queries) -> Result<(), String> {
        match &self.access {
            DatabaseAccess::Direct { table, .. } => self.measure.begins(index, transaction, table),
            DatabaseAccess::ViaEngine(_) => Ok(()),
        }
    }

    fn measure(
        &mut self,
        index: usize,
        transaction: &mut dyn Queries,
    ) -> Result<Option<Measured>, String> {
        match &self.access {
            DatabaseAccess::Direct { table, .. } => self.measure.measure(index, transaction, table),
            DatabaseAccess::ViaEngine(_) => Ok(None),
        }
    }

    fn judge(&self, index: usize, effect: &Effect) -> Verdict {
        self.measure.judge(index, effect)
    }

    fn may_act_elsewhere(&self, index: usize) -> bool {
        self.measure.may_act_elsewhere(index)
    }

    fn confirm(&mut self, surprises: Vec<Surprise>) -> Vec<Surprise> {
        match &mut self.access {
            DatabaseAccess::Direct { database, .. } => {
                self.measure.confirm(surprises, &mut **database)
            }
            DatabaseAccess::ViaEngine(_) => surprises,
        }
    }

    fn measure_afterwards(
        &mut self,
        index: usize,
        before: Option<&SchemaLines>,
        after: Option<&SchemaLines>,
        difference: &Difference,
    ) -> Option<Measured> {
        let DatabaseAccess::Direct { table, .. } = &self.access else {
            return None;
        };
        let healths = self.checks.around_the_step()?;
        let schemas = (before?, after?);
        Some(
            self.measure
                .afterwards(index, schemas, healths, difference, table),
        )
    }

    fn faults_at_the_end(&mut self) -> Vec<String> {
        let (watch, own) = self.parts();
        watch.run(When::After, own)
    }

    fn checked(&mut self) -> Vec<Checked> {
        self.checks.take_made()
    }
}

fn heads(look: &mut dyn DatabaseReader, table: &VersionTable) -> Result<Heads, String> {
    match look.version_rows(table) {
        Ok(rows) => told(rows, table),
        Err(error) => Err(error.to_string()),
    }
}

fn told(rows: VersionRows, table: &VersionTable) -> Result<Heads, String> {
    match rows {
        VersionRows::Rows(ids) => Ok(ids.into_iter().collect()),
        VersionRows::NoTable => Err(format!("the version table {table} is gone")),
    }
}

/// What a transaction has removed so far, of `PostgreSQL`, asked inside it.
fn removed_so_far(look: &mut dyn DatabaseReader) -> Option<StepSession> {
    const LIMIT: Duration = Duration::from_secs(5);
    let rows = look.query(REMOVED, LIMIT).ok()??;
    let mut session = StepSession::default();
    for row in rows {
        match row.as_slice() {
            [Some(table), Some(deleted)] => {
                session.deleted.insert(table.clone(), deleted.parse().ok()?);
            }
            [Some(table), None] => session.locked.push(table.clone()),
            _ => return None,
        }
    }
    Some(session)
}

/// The rows that were deleted by table, and without a number the tables that are locked for nobody else: `TRUNCATE`
/// counts nothing.
const REMOVED: &str = "SELECT quote_ident(schemaname) || '.' || quote_ident(relname), n_tup_del::text \
     FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_del > 0 \
     UNION ALL SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), NULL FROM pg_catalog.pg_locks l \
     JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND c.relkind = 'r'";

/// Verifies a step inside the transaction of the engine.
struct InTransactionVerifier<'a> {
    look: Box<dyn DatabaseReader + 'a>,
    table: &'a VersionTable,
    watch: &'a mut HealthChecks,
}

impl Verifier for InTransactionVerifier<'_> {
    fn name(&self) -> &'static str {
        "read inside the transaction"
    }

    fn heads(&mut self) -> Result<Heads, String> {
        heads(&mut *self.look, self.table)
    }

    fn schema(&mut self) -> Option<SchemaLines> {
        self.look.schema().ok()
    }

    fn may_go_on(&mut self, _: bool) -> Result<(), Cause> {
        Ok(())
    }

    fn evidence(&mut self) -> Result<RowEvidence, Doubt> {
        Err(Doubt::NoEvidence)
    }

    fn proof(&mut self, _: &RowEvidence, _: Option<&StepSession>) -> Proof {
        Proof::none(Doubt::NoEvidence)
    }

    fn faults(
        &mut self,
        _: &Step,
        difference: &Difference,
        seen: Option<Health>,
        _: Removed<'_>,
    ) -> Findings {
        // The transaction itself tells what it did so far.
        let session = removed_so_far(&mut *self.look);
        self.watch.after_step(
            Some((&mut *self.look, self.table)),
            seen,
            difference,
            Removed {
                session: session.as_ref(),
                ..Removed::default()
            },
        )
    }

    fn faults_at_the_end(&mut self) -> Vec<String> {
        self.watch
            .run(When::After, Some((&mut *self.look, self.table)))
    }

    fn checked(&mut self) -> Vec<Checked> {
        self.watch.take_made()
    }
}
