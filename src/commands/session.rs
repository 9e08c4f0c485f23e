//! What every command does first: find the engine, observe, and find the database it migrates.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::lock::Lock;
use crate::config::{self, Layer};
use crate::database::{self, Database, DatabaseError};
use crate::domain::blocker::Blocker;
use crate::domain::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use crate::domain::graph::Graph;
use crate::domain::plan::{Plan, PlanError, Step};
use crate::domain::report::{Difference, Schema};
use crate::domain::revision::{Heads, RevisionId};
use crate::domain::secret::{self, Secret};
use crate::engine::alembic::{AlembicEngine, Discovery, Settings};
use crate::engine::{Current, Engine, EngineError, Observation, Reach};
use crate::error::{Exit, Failure};
use crate::runner::Witness;
use crate::ui::Redact;

/// The version rows and who said so.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// Read over our own connection.
    Read(Vec<RevisionId>),
    /// Told by the engine's `current`.
    Told(Vec<RevisionId>),
    /// There is no such table.
    NoTable(VersionTable),
}

impl Rows {
    pub(super) fn ids(&self) -> &[RevisionId] {
        match self {
            Self::Read(ids) | Self::Told(ids) => ids,
            Self::NoTable(_) => &[],
        }
    }
}

/// A project and its database, observed.
pub(super) struct Session {
    pub(super) graph: Graph,
    pub(super) rows: Rows,
    /// `None` where only the engine can reach the database and did not say which it is.
    pub(super) identity: Option<Identity>,
    engine: AlembicEngine,
    engine_version: Option<String>,
    transaction_per_migration: Option<bool>,
    eyes: Eyes,
    secrets: Vec<Secret>,
    /// `rollback current` for this project, to be suggested.
    current_command: String,
    /// The project's directory.
    dir: PathBuf,
}

/// What makes a whole of the steps.
pub(super) enum Whole {
    /// One transaction of the server.
    Transaction,
    /// A copy of this file, to be put back.
    File(PathBuf),
}

/// The refusal of `--atomic`.
pub(super) fn not_as_a_whole(reason: &str) -> Failure {
    Failure::refused("--atomic cannot be kept here: nothing was changed")
        .because(reason)
        .hint("run the steps one by one, each verified: leave --atomic away")
}

/// Who looks at the database between the steps.
enum Eyes {
    Own {
        database: Box<dyn Database>,
        table: VersionTable,
        /// The database was locked, and has to stay so.
        locked: bool,
    },
    /// The engine's `current`, one more process each time.
    Engine(AlembicEngine),
}

impl Session {
    /// Observes. Nothing is changed, here or by a command that fails afterwards. With a `lock` no other
    /// run comes between what is read here and the end of this value.
    pub(super) fn open(context: &Context<'_>, lock: Option<&Lock>) -> Result<Self, Failure> {
        let engine = AlembicEngine::discover(discovery(context))?;
        let given = given_connection(context.settings, context.dir)?;
        let observation = engine
            .observe()
            .map_err(|error| interrupted_or(error, context))?;
        let secrets: Vec<Secret> = [&given, &observation.connection]
            .into_iter()
            .flatten()
            .filter_map(|facts| facts.password.clone())
            .collect();
        let table = version_table(context.settings, &observation);
        let eyes = open_eyes(context, &engine, given, &observation, table)?;
        let (eyes, identity) = match eyes {
            Some((mut database, identity, table)) => {
                if let Some(lock) = lock {
                    lock.take(database.as_mut(), context)?;
                }
                let eyes = Eyes::Own {
                    database,
                    table,
                    locked: lock.is_some(),
                };
                (eyes, Some(identity))
            }
            None => (Eyes::Engine(engine.clone()), told_identity(&observation)),
        };
        let mut session = Self {
            rows: Rows::Told(Vec::new()),
            graph: observation.graph,
            identity,
            engine,
            engine_version: observation.engine_version,
            transaction_per_migration: observation.transaction_per_migration,
            eyes,
            secrets,
            current_command: context.command(&["current"]),
            dir: context.dir.to_owned(),
        };
        session.rows = match session.read_rows(&observation.current) {
            // Another run may have ended between the engine's answer and our lock.
            Err(_) if lock.is_some() => {
                let current = session
                    .engine
                    .current()
                    .map_err(|error| interrupted_or(error, context))?;
                session.read_rows(&current)?
            }
            rows => rows?,
        };
        Ok(session)
    }

    /// Reads the rows, and holds them against what the engine says of the same database.
    fn read_rows(&mut self, told: &Current) -> Result<Rows, Failure> {
        let Eyes::Own {
            database, table, ..
        } = &mut self.eyes
        else {
            return Ok(Rows::Told(match told {
                Current::Rows(ids) => self.graph.newest(ids),
                Current::UnknownRevision(id) => vec![RevisionId::new(id.clone())],
            }));
        };
        let rows = match database
            .version_rows(table)
            .map_err(|error| database_failure(&error))?
        {
            VersionRows::NoTable => Rows::NoTable(table.clone()),
            VersionRows::Rows(ids) => Rows::Read(ids),
        };
        let read: Heads = rows.ids().iter().cloned().collect();
        let agrees = match told {
            // What it shows may be more than the rows: it lists a revision that another depends on.
            Current::Rows(ids) => match (self.graph.applied(ids), self.graph.applied(&read)) {
                (Ok(told), Ok(read)) => told == read,
                _ => ids.iter().cloned().collect::<Heads>() == read,
            },
            Current::UnknownRevision(id) => read.contains(&RevisionId::new(id.clone())),
        };
        if agrees {
            return Ok(rows);
        }
        let told = match told {
            Current::Rows(ids) => listed(ids),
            Current::UnknownRevision(id) => id.clone(),
        };
        let seen = match &rows {
            Rows::NoTable(table) => format!("there is no version table {table}"),
            Rows::Read(ids) | Rows::Told(ids) => {
                format!("the version table {table} says {}", listed(ids))
            }
        };
        Err(Failure::user(format!(
            "the engine says that the database stands at {told}, and {seen}"
        ))
        .because("another process is migrating, or the version table has another name or schema")
        .hint(
            "set version_table and version_table_schema to what env.py names, or leave both away",
        ))
    }

    /// Plans the way to a target as typed.
    pub(super) fn plan(&self, target: &str) -> Result<Plan, Failure> {
        if let Rows::NoTable(table) = &self.rows {
            return Err(Failure::user(format!("the database has no version table {table}"))
                .because("no migration was ever run here, or this is another database than you think")
                .hint(format!("see which database it is: {}", self.current_command)));
        }
        target
            .parse()
            .map_err(PlanError::Target)
            .and_then(|target| Plan::new(&self.graph, self.rows.ids(), &target))
            .map_err(|error| self.plan_failure(&error))
    }

    fn plan_failure(&self, error: &PlanError) -> Failure {
        let failure = Failure::user(error.to_string());
        match error {
            PlanError::UnknownRevision(_) => failure
                .because("the code is older than the database, or the file was deleted")
                .hint("check out the code that the database was upgraded with, or bring the file back: git log --diff-filter=D --summary -- '*.py'"),
            PlanError::Target(target) => {
                let failure = match (target.is_a_lookup(), self.version_folders()) {
                    (true, Some(folders)) => failure.hint(format!("the version files were looked for in {folders}")),
                    _ => failure,
                };
                failure.hint(target.hint())
            }
        }
    }

    /// The folders that the version files are in.
    fn version_folders(&self) -> Option<String> {
        let mut folders: Vec<String> = self
            .graph
            .revisions()
            .iter()
            .filter_map(|revision| Path::new(revision.path.as_ref()?).parent())
            .map(|folder| folder.display().to_string())
            .collect();
        folders.sort();
        folders.dedup();
        (!folders.is_empty()).then(|| folders.join(", "))
    }

    /// Looks again right before the first step: a person may have read the plan for long.
    pub(super) fn still_at(&mut self, plan: &Plan) -> Result<(), Failure> {
        let now = self.eyes.heads().map_err(Failure::user)?;
        if now == plan.current {
            return Ok(());
        }
        let now: Vec<RevisionId> = now.into_iter().collect();
        Err(Failure::refused(format!(
            "the database moved to {} while the plan was being read",
            listed(&now)
        ))
        .because("somebody else is migrating it")
        .hint(format!(
            "see where it stands, then plan again: {}",
            self.current_command
        )))
    }

    /// The command line of each step.
    pub(super) fn command_lines(&self, plan: &Plan) -> Vec<Vec<String>> {
        plan.steps
            .iter()
            .map(|step| self.engine.command_line(&step.argument))
            .collect()
    }

    /// Names the database the same way each time, whatever the server's state: what a record is found
    /// by. The loopback has several names.
    pub(super) fn database_key(&self) -> String {
        let Some(identity) = &self.identity else {
            return format!("{} in {}", self.engine.name(), self.dir.display());
        };
        let host = identity.host.as_deref().map(|host| match host {
            "localhost" | "127.0.0.1" | "::1" => "localhost".to_owned(),
            host => host.to_ascii_lowercase(),
        });
        let place = match (host, identity.port) {
            (Some(host), Some(port)) => format!("{host}:{port}/"),
            (Some(host), None) => format!("{host}/"),
            (None, _) => String::new(),
        };
        format!("{}:{place}{}", identity.dialect, identity.database)
    }

    /// The database, for people.
    pub(super) fn place(&self) -> String {
        match &self.identity {
            Some(identity) => identity.to_string(),
            None => format!("the database of {}", self.engine_name()),
        }
    }

    /// The version rows, for people.
    pub(super) fn standing(&self) -> String {
        listed(self.rows.ids())
    }

    /// The schema as it is now; `None` where it cannot be read.
    pub(super) fn schema(&mut self) -> Option<Schema> {
        self.eyes.schema()
    }

    /// The engine, for people.
    pub(super) fn engine_name(&self) -> String {
        match &self.engine_version {
            Some(version) => format!("{} (Alembic {version})", self.engine.name()),
            None => self.engine.name(),
        }
    }

    pub(super) fn has_own_connection(&self) -> bool {
        matches!(self.eyes, Eyes::Own { .. })
    }

    /// How a plan can be run as a whole or not at all.
    pub(super) fn as_a_whole(&self, plan: &Plan) -> Result<Whole, Failure> {
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        let refused = |reason: &str| Err(not_as_a_whole(reason));
        if plan.joint_steps().next().is_some() {
            return refused(
                "a step of the plan removes several revisions that depend on each other",
            );
        }
        match dialect {
            Some("mysql" | "mariadb") => {
                return refused("this server commits at each statement that changes the schema");
            }
            _ if !self.has_own_connection() => {
                return refused("there is no connection of our own to prove it by");
            }
            Some("postgresql") if !self.engine.can_run_a_range() => {
                return refused(
                    "the engine's process cannot be entered, and its command line has no way to say it",
                );
            }
            Some("postgresql" | "sqlite") => {}
            _ => return refused("only PostgreSQL and SQLite have a way"),
        }
        match (dialect, self.transaction_per_migration, &self.identity) {
            (Some("sqlite"), _, Some(identity)) => {
                Ok(Whole::File(PathBuf::from(&identity.database)))
            }
            (_, Some(false), _) => Ok(Whole::Transaction),
            (_, Some(true), _) => {
                refused("env.py asks for one transaction per revision (transaction_per_migration)")
            }
            (_, None, _) => refused("the engine did not tell how env.py uses transactions"),
        }
    }

    /// Why the lock timeout does not reach the engine's connection, where it does not.
    pub(super) fn unlimited_waiting(&self) -> Option<&'static str> {
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        match (self.engine.reach()?, dialect) {
            (Reach::Libpq, Some("mysql" | "mariadb")) => Some(
                "the lock timeout does not reach this engine's connection: the server's own limit holds",
            ),
            (Reach::Libpq, Some("postgresql") | None) => Some(
                "the lock timeout reaches this engine through PGOPTIONS, which libpq alone reads",
            ),
            _ => None,
        }
    }

    pub(super) fn secrets(&self) -> Secrets {
        Secrets(self.secrets.clone())
    }

    /// Has the processes of steps keep a file open.
    pub(super) fn hold(&mut self, file: Arc<File>) {
        self.engine.hold(file);
    }

    /// What the runner needs.
    pub(super) fn parts(&mut self) -> (&dyn Engine, &Graph, &mut dyn Witness) {
        (&self.engine, &self.graph, &mut self.eyes)
    }
}

impl Witness for Eyes {
    fn name(&self) -> &'static str {
        match self {
            Self::Own { .. } => "read from the database",
            Self::Engine(_) => "by the word of the engine's `current`",
        }
    }

    fn heads(&mut self) -> Result<Heads, String> {
        match self {
            Self::Own {
                database, table, ..
            } => match database.version_rows(table) {
                Ok(VersionRows::Rows(ids)) => Ok(ids.into_iter().collect()),
                Ok(VersionRows::NoTable) => Err(format!("the version table {table} is gone")),
                Err(error) => Err(error.to_string()),
            },
            Self::Engine(engine) => match engine.current() {
                Ok(Current::Rows(ids)) => Ok(ids.into_iter().collect()),
                Ok(Current::UnknownRevision(id)) => Ok([RevisionId::new(id)].into()),
                Err(error) => Err(error.summary),
            },
        }
    }

    fn schema(&mut self) -> Option<Schema> {
        match self {
            Self::Own { database, .. } => database.schema().ok(),
            Self::Engine(_) => None,
        }
    }

    fn blockers(&mut self, open_for: Duration) -> Vec<Blocker> {
        match self {
            // A user may not be allowed to see the others; the run does not depend on it.
            Self::Own { database, .. } => database.blockers(open_for).unwrap_or_default(),
            Self::Engine(_) => Vec::new(),
        }
    }

    fn may_go_on(&mut self) -> Result<(), String> {
        match self {
            Self::Own {
                database,
                locked: true,
                ..
            } => match database.holds_lock() {
                Ok(true) => Ok(()),
                Ok(false) => Err(
                    "the lock of this run is gone, and another run may have begun: the connection that held it was closed, or its file was removed"
                        .to_owned(),
                ),
                Err(error) => Err(format!("cannot tell whether the lock of this run still holds: {error}")),
            },
            Self::Own { .. } | Self::Engine(_) => Ok(()),
        }
    }

    fn faults(&mut self, _: &Step, _: &Difference) -> Vec<String> {
        Vec::new()
    }
}

/// The passwords that may turn up in what the engine prints.
#[derive(Debug)]
pub(super) struct Secrets(Vec<Secret>);

impl Redact for Secrets {
    fn redact(&self, text: &str) -> String {
        secret::redact(text, &self.0.iter().collect::<Vec<_>>())
    }
}

/// Ctrl-C ends the engine while it is only asked, and that is no error of the engine.
fn interrupted_or(error: EngineError, context: &Context<'_>) -> Failure {
    if context.interrupt.count() > 0 {
        return Failure::new(Exit::Interrupted, "nothing was changed");
    }
    error.into()
}

fn discovery(context: &Context<'_>) -> Discovery {
    let settings = context.settings;
    Discovery {
        settings: Settings {
            engine_command: settings.engine_command.clone(),
            alembic_config: settings.alembic_config.clone(),
            name: settings.name.clone(),
            x: settings.x.clone().unwrap_or_default(),
            lock_timeout: lock_timeout(settings),
        },
        dir: context.dir.to_owned(),
        env: context.environment.clone(),
        interrupt: context.interrupt.clone(),
    }
}

/// How long a step may wait for a lock of the database; `None` for as long as it takes.
pub(super) fn lock_timeout(settings: &Layer) -> Option<Duration> {
    Some(settings.lock_timeout.unwrap_or(config::LOCK_TIMEOUT)).filter(|limit| !limit.is_zero())
}

fn given_connection(settings: &Layer, dir: &Path) -> Result<Option<ConnectionFacts>, Failure> {
    let Some(url) = &settings.database_url else {
        return Ok(None);
    };
    let facts = database::url::parse(url.reveal(), dir).map_err(|error| {
        Failure::user(format!("the database URL cannot be used: {error}"))
            .hint("write it as SQLAlchemy does: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    })?;
    Ok(Some(facts))
}

fn version_table(settings: &Layer, observation: &Observation) -> VersionTable {
    let seen = observation.version_table.clone().unwrap_or_default();
    VersionTable {
        name: settings.version_table.clone().unwrap_or(seen.name),
        schema: settings.version_table_schema.clone().or(seen.schema),
    }
}

type Opened = (Box<dyn Database>, Identity, VersionTable);

/// Opens our own connection: to the database of the URL if one is given, once it is known to be the
/// engine's; else to the one that the engine was seen to use. `None` where there is no such way.
fn open_eyes(
    context: &Context<'_>,
    engine: &AlembicEngine,
    given: Option<ConnectionFacts>,
    observation: &Observation,
    table: VersionTable,
) -> Result<Option<Opened>, Failure> {
    let seen = observation.connection.as_ref();
    if let Some(given) = given {
        let mut database = database::open(&given, context.environment)
            .map_err(|error| database_failure(&error))?;
        let identity = database
            .identity()
            .map_err(|error| database_failure(&error))?;
        same_database(context, &given, &identity, seen, observation, engine)?;
        return Ok(Some((database, identity, table)));
    }
    let Some(seen) = seen.filter(|seen| seen.known_dialect().is_some()) else {
        return Ok(None);
    };
    let opened = database::open(seen, context.environment)
        .and_then(|mut database| database.identity().map(|identity| (database, identity)));
    match opened {
        Ok((database, identity)) => Ok(Some((database, identity, table))),
        // The engine just got through with the same parameters, so this is a limit of our driver.
        Err(error) => {
            context.ui.warn(&format!(
                "the engine reaches the database, and we do not: {error}"
            ));
            Ok(None)
        }
    }
}

/// Refuses a URL that names another database than the one that the engine uses.
fn same_database(
    context: &Context<'_>,
    given: &ConnectionFacts,
    identity: &Identity,
    seen: Option<&ConnectionFacts>,
    observation: &Observation,
    engine: &AlembicEngine,
) -> Result<(), Failure> {
    let theirs = match seen {
        Some(seen) => {
            let reached = database::open(seen, context.environment)
                .and_then(|mut database| database.identity());
            match reached {
                Ok(theirs) if theirs.fingerprint.is_some() => {
                    if theirs.fingerprint == identity.fingerprint {
                        return Ok(());
                    }
                    theirs.to_string()
                }
                _ if database::url::same_place(seen, given) => return Ok(()),
                _ => database::url::masked(seen),
            }
        }
        None => match &observation.reported_url {
            Some(url) => match database::url::parse_masked(url, context.dir) {
                Ok(reported) if database::url::same_place(&reported, given) => return Ok(()),
                Ok(reported) => database::url::masked(&reported),
                Err(_) => "a database that it does not name".to_owned(),
            },
            None => return Ok(()),
        },
    };
    Err(Failure::user(format!(
        "{} does not migrate the database of the URL",
        engine.name()
    ))
    .because(format!("the URL leads to {}", database::url::masked(given)))
    .because(format!("the engine connects to {theirs}"))
    .hint("leave the URL away, and the engine is asked where it connects to"))
}

/// The database as far as the engine's `current --verbose` names it.
fn told_identity(observation: &Observation) -> Option<Identity> {
    let facts = match &observation.connection {
        Some(facts) => facts.clone(),
        None => {
            database::url::parse_masked(observation.reported_url.as_ref()?, Path::new("")).ok()?
        }
    };
    Some(Identity {
        dialect: facts.dialect,
        server: None,
        host: facts.host.or(facts.socket),
        port: facts.port,
        database: facts.database.unwrap_or_default(),
        user: facts.user,
        fingerprint: None,
    })
}

pub(super) fn database_failure(error: &DatabaseError) -> Failure {
    let hint = match error {
        DatabaseError::UnsupportedDialect(_) => {
            "leave the URL away: the engine's own `current` is asked then"
        }
        DatabaseError::Unreachable { .. } => "check host and port, and that the server is running",
        DatabaseError::LoginRefused { .. } => {
            "check user and password, best in ROLLBACK_DATABASE_URL"
        }
        DatabaseError::NoSuchFile(_) => {
            "check the path; a relative one starts at the project's directory"
        }
        DatabaseError::NoSuchDatabase { .. } => "check the name of the database",
        DatabaseError::Query { .. } => {
            "check the rights of the user: it has to read the version table"
        }
        DatabaseError::Pooled(_) => {
            "give the address of the server itself, in ROLLBACK_DATABASE_URL: postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        }
        DatabaseError::LockFile { .. } => {
            "check the rights on the directory of the file: SQLite itself needs to write there, too"
        }
        DatabaseError::Settings(_) => {
            "write it as SQLAlchemy does: postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        }
    };
    Failure::user(error.to_string()).hint(hint)
}

fn listed(ids: &[RevisionId]) -> String {
    if ids.is_empty() {
        return "base".to_owned();
    }
    ids.iter()
        .map(RevisionId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
