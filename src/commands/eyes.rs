//! Who looks at the database between the steps, and what is checked there.

use std::time::Duration;

use super::Context;
use super::route::Route;
use super::watch::{Own, Watch, health};
use crate::checks::When;
use crate::database::{Database, Look};
use crate::domain::blocker::Blocker;
use crate::domain::checks::Health;
use crate::domain::connection::{ConnectionFacts, VersionRows, VersionTable};
use crate::domain::journal::Checked;
use crate::domain::plan::Step;
use crate::domain::query::Queries;
use crate::domain::report::{Cause, Difference, Schema};
use crate::domain::revision::{Heads, RevisionId};
use crate::engine::alembic::AlembicEngine;
use crate::engine::{Current, Engine};
use crate::error::Failure;
use crate::runner::{Glance, Witness};

/// The witness of a run: the eyes, and what is checked with them.
pub(super) struct Watched {
    pub(super) eyes: Eyes,
    pub(super) watch: Watch,
}

/// Who looks at the database between the steps.
pub(super) enum Eyes {
    Own {
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
    Engine(AlembicEngine),
}

impl Watched {
    /// The state that the steps are compared with, as [`Watch::compare_with`] has it. Gives the schema where it
    /// was seen with it.
    pub(super) fn check_before(
        &mut self,
        validate: bool,
        context: &Context<'_>,
    ) -> Result<Option<Schema>, Failure> {
        let (watch, own) = self.parts();
        watch.before(own)?;
        if !validate {
            return Ok(None);
        }
        let (schema, health) = match self.glance() {
            Some(glance) => (glance.schema, glance.health),
            None => (None, None),
        };
        let (watch, own) = self.parts();
        watch.compare_with(own, health, context)?;
        Ok(schema)
    }

    pub(super) fn parts(&mut self) -> (&mut Watch, Own<'_>) {
        let own: Own<'_> = match &mut self.eyes {
            Eyes::Own {
                database, table, ..
            } => Some((&mut **database, table)),
            Eyes::Engine(_) => None,
        };
        (&mut self.watch, own)
    }
}

impl Witness for Watched {
    fn name(&self) -> &'static str {
        match &self.eyes {
            Eyes::Own { .. } => "read from the database",
            Eyes::Engine(_) => "by the word of the engine's `current`",
        }
    }

    fn glance(&mut self) -> Option<Glance> {
        let Eyes::Own {
            database, table, ..
        } = &mut self.eyes
        else {
            return None;
        };
        if self.watch.each_by_itself {
            return None;
        }
        let glimpse = database.at_once(table, self.watch.budget());
        self.watch.each_by_itself = glimpse.is_none();
        glimpse.map(|glimpse| Glance {
            heads: told(glimpse.rows, table),
            schema: Some(glimpse.schema),
            health: Some(health(glimpse.counts, glimpse.faults, table)),
        })
    }

    fn heads(&mut self) -> Result<Heads, String> {
        match &mut self.eyes {
            Eyes::Own {
                database, table, ..
            } => heads(&mut **database, table),
            Eyes::Engine(engine) => match engine.current() {
                Ok(Current::Rows(ids)) => Ok(ids.into_iter().collect()),
                Ok(Current::UnknownRevision(id)) => Ok([RevisionId::new(id)].into()),
                Err(error) => Err(error.summary),
            },
        }
    }

    fn schema(&mut self) -> Option<Schema> {
        match &mut self.eyes {
            Eyes::Own { database, .. } => database.schema().ok(),
            Eyes::Engine(_) => None,
        }
    }

    fn blockers(&mut self, open_for: Duration) -> Vec<Blocker> {
        match &mut self.eyes {
            // A user may not be allowed to see the others; the run does not depend on it.
            Eyes::Own { database, .. } => database.blockers(open_for).unwrap_or_default(),
            Eyes::Engine(_) => Vec::new(),
        }
    }

    fn may_go_on(&mut self) -> Result<(), Cause> {
        match &mut self.eyes {
            Eyes::Own {
                database,
                route,
                locked: true,
                ..
            } => match database.holds_lock() {
                Ok(true) => route.check(),
                Ok(false) => Err(Cause::NotAlone(
                    "the lock of this run is gone, and another run may have begun: the connection that held it was closed, or its file was removed"
                        .to_owned(),
                )),
                Err(error) => Err(Cause::NotAlone(format!(
                    "cannot tell whether the lock of this run still holds: {error}"
                ))),
            },
            Eyes::Own { .. } | Eyes::Engine(_) => Ok(()),
        }
    }

    fn inside<'a>(&'a mut self, transaction: &'a mut dyn Queries) -> Option<Box<dyn Witness + 'a>> {
        let Eyes::Own {
            database, table, ..
        } = &mut self.eyes
        else {
            return None;
        };
        Some(Box::new(Within {
            look: database.inside(transaction)?,
            table,
            watch: &mut self.watch,
        }))
    }

    fn forget_inside(&mut self) {
        self.watch.begin_again();
    }

    fn faults(&mut self, _: &Step, difference: &Difference, seen: Option<Health>) -> Vec<String> {
        let (watch, own) = self.parts();
        watch.after_step(own, seen, difference)
    }

    fn faults_at_the_end(&mut self) -> Vec<String> {
        let (watch, own) = self.parts();
        watch.run(When::After, own)
    }

    fn checked(&mut self) -> Vec<Checked> {
        self.watch.take_made()
    }
}

fn heads(look: &mut dyn Look, table: &VersionTable) -> Result<Heads, String> {
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

/// The same witness, looking into a transaction of the engine.
struct Within<'a> {
    look: Box<dyn Look + 'a>,
    table: &'a VersionTable,
    watch: &'a mut Watch,
}

impl Witness for Within<'_> {
    fn name(&self) -> &'static str {
        "read inside the transaction"
    }

    fn heads(&mut self) -> Result<Heads, String> {
        heads(&mut *self.look, self.table)
    }

    fn schema(&mut self) -> Option<Schema> {
        self.look.schema().ok()
    }

    fn may_go_on(&mut self) -> Result<(), Cause> {
        Ok(())
    }

    fn faults(&mut self, _: &Step, difference: &Difference, seen: Option<Health>) -> Vec<String> {
        self.watch
            .after_step(Some((&mut *self.look, self.table)), seen, difference)
    }

    fn faults_at_the_end(&mut self) -> Vec<String> {
        self.watch
            .run(When::After, Some((&mut *self.look, self.table)))
    }

    fn checked(&mut self) -> Vec<Checked> {
        self.watch.take_made()
    }
}
