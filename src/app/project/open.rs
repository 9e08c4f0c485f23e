//! How a session is opened: by the engine's word, or without it where the files and a URL say enough.

use super::{MigrationSource, Project, StartRows, StepRuns, Unrecorded, interrupted_or};
use crate::app::CommandContext;
use crate::app::connection::{
    by_url_alone, discovery, given_connection, open_eyes, told_identity, version_table,
};
use crate::app::health_checks::HealthChecks;
use crate::app::lock::Lock;
use crate::app::measure::Measure;
use crate::app::revisions::RevisionHistory;
use crate::app::route::Route;
use crate::app::sql::project::is_sql_project;
use crate::app::verifier::{DatabaseAccess, StepVerifier};
use crate::error::Failure;
use rollback_alembic::AlembicEngine;
use rollback_core::connection::ConnectionFacts;
use rollback_core::engine::{Current, Engine as _, Observation};
use rollback_core::secret::Secret;

/// What stood in the way of a session.
pub(crate) enum Unopened {
    /// The project: its files, its engine, or version rows that do not fit them.
    Project(Failure),
    /// The database, its address or its lock.
    Database(Failure),
}

impl Project {
    /// Observes. Nothing is changed, here or by a command that fails afterwards. With a `lock` no other
    /// run comes between what is read here and the end of this value.
    pub(crate) fn open(context: &CommandContext<'_>, lock: Option<&Lock>) -> Result<Self, Failure> {
        Self::opened(context, lock, false)
    }

    /// The same where steps follow, each kept by itself: they are run by the process that is asked, if it may.
    pub(crate) fn open_for_steps(
        context: &CommandContext<'_>,
        lock: &Lock,
    ) -> Result<Self, Failure> {
        Self::opened(context, Some(lock), true)
    }

    /// As [`open`](Self::open), and says what stood in the way: a restore needs neither the engine nor version rows
    /// that make sense.
    pub(crate) fn open_for_restore(
        context: &CommandContext<'_>,
        lock: &Lock,
    ) -> Result<Self, Unopened> {
        let engine = Unopened::Project;
        if is_sql_project(context) {
            return Self::of_sql_files(context, Some(lock)).map_err(engine);
        }
        let mut found =
            AlembicEngine::discover(discovery(context)).map_err(|error| engine(error.into()))?;
        let given = given_connection(context.settings, context.dir).map_err(Unopened::Database)?;
        let history = RevisionHistory::read(&mut found, context.settings.graph).map_err(engine)?;
        let observation = found
            .observe()
            .map_err(|error| engine(interrupted_or(error, context)))?;
        let (session, current) =
            Self::connected(context, Some(lock), found, given, history, observation)
                .map_err(Unopened::Database)?;
        session
            .with_rows(&current, context, Some(lock))
            .map_err(engine)
    }

    fn opened(
        context: &CommandContext<'_>,
        lock: Option<&Lock>,
        steps_follow: bool,
    ) -> Result<Self, Failure> {
        if is_sql_project(context) {
            return Self::of_sql_files(context, lock);
        }
        let mut engine = AlembicEngine::discover(discovery(context))?;
        let given = given_connection(context.settings, context.dir)?;
        if steps_follow {
            engine.start_ahead();
        }
        let history = RevisionHistory::read(&mut engine, context.settings.graph)?;
        Self::observe(context, lock, engine, given, history)
    }

    /// Observes for an answer that changes nothing: without the engine, where a URL leads to the
    /// database, the version files tell the history, and the version table fits that history.
    pub(crate) fn look(context: &CommandContext<'_>) -> Result<Self, Failure> {
        if is_sql_project(context) {
            return Self::of_sql_files(context, None);
        }
        let mut engine = AlembicEngine::discover(discovery(context))?;
        let given = given_connection(context.settings, context.dir)?;
        let history = RevisionHistory::read(&mut engine, context.settings.graph)?;
        if let (Some(given), RevisionHistory::Files(read)) = (&given, &history)
            && let Some(((database, identity, table, facts), rows)) =
                by_url_alone(context, given, read)?
        {
            let route = Box::new(Route::new(context, facts.clone(), &identity));
            let graph = read.graph.clone();
            let engine_version = Some(read.layout.version.text.clone());
            let secrets: Vec<Secret> = given.password.clone().into_iter().collect();
            context.ui.detail(&history.account(&graph));
            return Ok(Self {
                rows: StartRows::Read(rows),
                source: MigrationSource::VersionFiles(history.files(&graph, &engine)),
                graph,
                identity: Some(identity),
                engine: StepRuns::Alembic(Box::new(engine)),
                engine_version: engine_version.filter(|version| !version.is_empty()),
                transaction_per_migration: None,
                leaves_transaction_open: false,
                unrecorded: Unrecorded::default(),
                watched: StepVerifier {
                    access: DatabaseAccess::Direct {
                        database,
                        table,
                        facts,
                        route,
                        locked: false,
                    },
                    checks: HealthChecks::new(context, secrets.clone()),
                    measure: Measure::default(),
                },
                secrets,
                options: context.which_project.clone(),
                dir: context.dir.to_owned(),
                held: None,
            });
        }
        Self::observe(context, None, engine, given, history)
    }

    fn observe(
        context: &CommandContext<'_>,
        lock: Option<&Lock>,
        engine: AlembicEngine,
        given: Option<ConnectionFacts>,
        history: RevisionHistory,
    ) -> Result<Self, Failure> {
        let observation = engine
            .observe()
            .map_err(|error| interrupted_or(error, context))?;
        let (session, current) =
            Self::connected(context, lock, engine, given, history, observation)?;
        session.with_rows(&current, context, lock)
    }

    /// Finds the database of an engine that was observed; the second is what the engine says is applied.
    fn connected(
        context: &CommandContext<'_>,
        lock: Option<&Lock>,
        engine: AlembicEngine,
        given: Option<ConnectionFacts>,
        history: RevisionHistory,
        observation: Observation,
    ) -> Result<(Self, Current), Failure> {
        let secrets: Vec<Secret> = [&given, &observation.connection]
            .into_iter()
            .flatten()
            .filter_map(|facts| facts.password.clone())
            .collect();
        let table = version_table(context.settings, &observation);
        let access = open_eyes(context, &engine, given, &observation, table)?;
        let (access, identity) = match access {
            Some(((mut database, identity, table, facts), steps_at)) => {
                if let Some(lock) = lock {
                    lock.take(database.as_mut(), context)?;
                }
                let access = DatabaseAccess::Direct {
                    database,
                    table,
                    facts,
                    route: Box::new(Route::new(context, steps_at, &identity)),
                    locked: lock.is_some(),
                };
                (access, Some(identity))
            }
            None => (
                DatabaseAccess::ViaEngine(engine.clone()),
                told_identity(&observation),
            ),
        };
        context.ui.detail(&history.account(&observation.graph));
        let current = observation.current;
        let session = Self {
            rows: StartRows::Told(Vec::new()),
            source: MigrationSource::VersionFiles(history.files(&observation.graph, &engine)),
            graph: observation.graph,
            identity,
            engine: StepRuns::Alembic(Box::new(engine)),
            engine_version: observation.engine_version,
            transaction_per_migration: observation.transaction_per_migration,
            leaves_transaction_open: observation.leaves_transaction_open,
            unrecorded: Unrecorded::default(),
            watched: StepVerifier {
                access,
                checks: HealthChecks::new(context, secrets.clone()),
                measure: Measure::default(),
            },
            secrets,
            options: context.which_project.clone(),
            dir: context.dir.to_owned(),
            held: None,
        };
        Ok((session, current))
    }

    fn with_rows(
        mut self,
        current: &Current,
        context: &CommandContext<'_>,
        lock: Option<&Lock>,
    ) -> Result<Self, Failure> {
        self.rows = match self.read_rows(current) {
            // Another run may have ended between the engine's answer and our lock.
            Err(_) if lock.is_some() => {
                let current = self
                    .engine
                    .as_engine()
                    .current()
                    .map_err(|error| interrupted_or(error, context))?;
                self.read_rows(&current)?
            }
            rows => rows?,
        };
        self.unrecorded = self.find_unrecorded();
        Ok(self)
    }
}
