//! What every command does first: find the engine, observe, and find the database it migrates.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::connection::{
    by_url_alone, database_failure, discovery, given_connection, open_eyes, told_identity,
    version_table,
};
use super::eyes::{Eyes, Watched};
use super::history::History;
use super::lock::Lock;
use super::watch::Watch;
use crate::database::Database;
use crate::domain::catalogue::Catalogue;
use crate::domain::connection::{ConnectionFacts, Identity, VersionRows, VersionTable};
use crate::domain::foresight::Dialect;
use crate::domain::graph::Graph;
use crate::domain::operation::TableName;
use crate::domain::plan::{Plan, PlanError};
use crate::domain::rendering::{Obstacle, Rendering};
use crate::domain::report::Schema;
use crate::domain::revision::{Heads, RevisionId};
use crate::domain::secret::{self, Secret};
use crate::engine::alembic::AlembicEngine;
use crate::engine::alembic::version_files::VersionFiles;
use crate::engine::{Current, Engine, EngineError, Reach};
use crate::error::{Exit, Failure};
use crate::runner::Witness;
use crate::ui::Redact;

/// How long the small questions about the catalogue may take.
const CATALOGUE_LIMIT: Duration = Duration::from_secs(2);

/// PostgreSQL: each view with a column that it uses, for which the server keeps the column from going.
const USED_BY_VIEWS: &str = "
    SELECT of.nspname, v.relname, n.nspname, t.relname, a.attname
    FROM pg_depend d
    JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
    JOIN pg_namespace of ON of.oid = v.relnamespace
    JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjsubid > 0 AND of.nspname NOT IN ('pg_catalog', 'information_schema')";

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
    /// The text of the version files, as far as it can be read.
    pub(super) files: VersionFiles,
    pub(super) rows: Rows,
    /// `None` where only the engine can reach the database and did not say which it is.
    pub(super) identity: Option<Identity>,
    engine: AlembicEngine,
    engine_version: Option<String>,
    transaction_per_migration: Option<bool>,
    watched: Watched,
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

impl Session {
    /// Observes. Nothing is changed, here or by a command that fails afterwards. With a `lock` no other
    /// run comes between what is read here and the end of this value.
    pub(super) fn open(context: &Context<'_>, lock: Option<&Lock>) -> Result<Self, Failure> {
        let mut engine = AlembicEngine::discover(discovery(context))?;
        let given = given_connection(context.settings, context.dir)?;
        let history = History::read(&mut engine, context.settings.graph)?;
        Self::observe(context, lock, engine, given, history)
    }

    /// Observes for an answer that changes nothing: without the engine, where a URL leads to the
    /// database, the version files tell the history, and the version table fits that history.
    pub(super) fn look(context: &Context<'_>) -> Result<Self, Failure> {
        let mut engine = AlembicEngine::discover(discovery(context))?;
        let given = given_connection(context.settings, context.dir)?;
        let history = History::read(&mut engine, context.settings.graph)?;
        if let (Some(given), History::Files(read)) = (&given, &history)
            && let Some(((database, identity, table), rows)) = by_url_alone(context, given, read)?
        {
            let graph = read.graph.clone();
            let engine_version = Some(read.layout.version.text.clone());
            let secrets: Vec<Secret> = given.password.clone().into_iter().collect();
            context.ui.detail(&history.account(&graph));
            return Ok(Self {
                rows: Rows::Read(rows),
                files: history.files(&graph),
                graph,
                identity: Some(identity),
                engine,
                engine_version: engine_version.filter(|version| !version.is_empty()),
                transaction_per_migration: None,
                watched: Watched {
                    eyes: Eyes::Own {
                        database,
                        table,
                        locked: false,
                    },
                    watch: Watch::new(context, secrets.clone()),
                },
                secrets,
                current_command: context.command(&["current"]),
                dir: context.dir.to_owned(),
            });
        }
        Self::observe(context, None, engine, given, history)
    }

    fn observe(
        context: &Context<'_>,
        lock: Option<&Lock>,
        engine: AlembicEngine,
        given: Option<ConnectionFacts>,
        history: History,
    ) -> Result<Self, Failure> {
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
        context.ui.detail(&history.account(&observation.graph));
        let mut session = Self {
            rows: Rows::Told(Vec::new()),
            files: history.files(&observation.graph),
            graph: observation.graph,
            identity,
            engine,
            engine_version: observation.engine_version,
            transaction_per_migration: observation.transaction_per_migration,
            watched: Watched {
                eyes,
                watch: Watch::new(context, secrets.clone()),
            },
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
        } = &mut self.watched.eyes
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

    /// Plans the removal of one revision as typed, with all that needs it.
    pub(super) fn plan_removing(&self, revision: &str) -> Result<Plan, Failure> {
        Plan::removing(&self.graph, self.rows.ids(), revision)
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
        let now = self.watched.heads().map_err(Failure::user)?;
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

    /// Makes the checks that come before a run, and takes the state that its steps are compared with.
    pub(super) fn check_before(
        &mut self,
        validate: bool,
        context: &Context<'_>,
    ) -> Result<(), Failure> {
        let (watch, own) = self.watched.parts();
        watch.before(own, validate, context)
    }

    /// The command line of each step.
    pub(super) fn command_lines(&self, plan: &Plan) -> Vec<Vec<String>> {
        plan.steps
            .iter()
            .map(|step| self.engine.command_line(&step.argument))
            .collect()
    }

    /// The statements of each step, without the passwords that are known.
    pub(super) fn render(
        &self,
        plan: &Plan,
        context: &Context<'_>,
    ) -> Result<Vec<Rendering>, Failure> {
        let secrets = self.secrets();
        let redact = |text: String| secrets.redact(&text);
        let renderings = self
            .engine
            .render(plan)
            .map_err(|error| interrupted_or(error, context))?;
        Ok(renderings
            .into_iter()
            .map(|rendering| {
                rendering.map(redact).map_err(|obstacle| Obstacle {
                    sentence: redact(obstacle.sentence),
                    ..obstacle
                })
            })
            .collect())
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

    /// The server, where it is one of those that are known well enough.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        Dialect::of(&self.identity.as_ref()?.dialect)
    }

    /// The schema as objects; `None` where it cannot be read.
    pub(super) fn catalogue(&mut self) -> Option<Catalogue> {
        let dialect = self.dialect()?;
        let schema = self.schema()?;
        let Eyes::Own { database, .. } = &mut self.watched.eyes else {
            return None;
        };
        let mut try_ask = |sql: &str| database.query(sql, CATALOGUE_LIMIT).ok().flatten();
        let uses = match dialect {
            Dialect::Postgresql => try_ask(USED_BY_VIEWS),
            _ => None,
        };
        let mut ask = |sql: &str| try_ask(sql).unwrap_or_default();
        let default_schema = match dialect {
            Dialect::Postgresql => ask("SELECT current_schema()").into_iter().flatten().next(),
            _ => None,
        };
        let mut catalogue = Catalogue::read(&schema, dialect, default_schema.flatten().as_deref());
        if dialect == Dialect::Sqlite {
            let tables = ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'");
            let tables = tables.iter().filter_map(|row| match row.as_slice() {
                [Some(name), Some(sql)] => Some((name.as_str(), sql.as_str())),
                _ => None,
            });
            catalogue.name_constraints(tables);
        }
        if let Some(uses) = uses {
            let name = |schema: &String, name: &String| TableName {
                schema: Some(schema.clone()),
                name: name.clone(),
            };
            catalogue.settle_views(uses.iter().filter_map(|row| match row.as_slice() {
                [
                    Some(of),
                    Some(view),
                    Some(schema),
                    Some(table),
                    Some(column),
                ] => Some((name(of, view), name(schema, table), column.clone())),
                _ => None,
            }));
        }
        Some(catalogue)
    }

    /// What looking ahead needs.
    pub(super) fn looks(&mut self) -> (&Graph, Option<&mut (dyn Database + 'static)>) {
        let database = match &mut self.watched.eyes {
            Eyes::Own { database, .. } => Some(database.as_mut()),
            Eyes::Engine(_) => None,
        };
        (&self.graph, database)
    }

    /// What an operator types to show that this is the database that is meant.
    pub(super) fn name_to_type(&self) -> String {
        let name = self.identity.as_ref().map(|identity| {
            let name = Path::new(&identity.database).file_name();
            name.map_or_else(
                || identity.database.clone(),
                |name| name.to_string_lossy().into_owned(),
            )
        });
        name.unwrap_or_else(|| "roll back".to_owned())
    }

    /// The version rows, for people.
    pub(super) fn standing(&self) -> String {
        listed(self.rows.ids())
    }

    /// The schema as it is now; `None` where it cannot be read.
    pub(super) fn schema(&mut self) -> Option<Schema> {
        self.watched.schema()
    }

    /// What looks like the rest of a step that broke off; nothing where it cannot be looked for.
    pub(super) fn leftovers(&mut self) -> Vec<String> {
        match &mut self.watched.eyes {
            Eyes::Own { database, .. } => database.leftovers().unwrap_or_default(),
            Eyes::Engine(_) => Vec::new(),
        }
    }

    /// The version rows as they are now.
    pub(super) fn heads(&mut self) -> Result<Heads, String> {
        self.watched.heads()
    }

    /// The engine, for people.
    pub(super) fn engine_name(&self) -> String {
        match &self.engine_version {
            Some(version) => format!("{} (Alembic {version})", self.engine.name()),
            None => self.engine.name(),
        }
    }

    pub(super) fn has_own_connection(&self) -> bool {
        matches!(self.watched.eyes, Eyes::Own { .. })
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
            (_, Some(false), _) => match self.watched.watch.check_without_a_query() {
                Some(check) => Err(not_as_a_whole(&format!(
                    "the check \"{}\" is made after a step by a command or an address, which cannot see what is not committed",
                    check.name
                ))
                .hint("or write it as sql, or for when = \"before\"")),
                None => Ok(Whole::Transaction),
            },
            (_, Some(true), _) => {
                refused("env.py asks for one transaction per revision (transaction_per_migration)")
            }
            (_, None, _) => refused("the engine did not tell how env.py uses transactions"),
        }
    }

    /// How far the lock timeout reaches where that is less than all, and whether it is nowhere.
    pub(super) fn unlimited_waiting(&self) -> Option<(&'static str, bool)> {
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        match (self.engine.reach()?, dialect) {
            (Reach::Libpq, Some("mysql" | "mariadb")) => Some((
                "the lock timeout does not reach this engine's connection: the server's own limit holds",
                true,
            )),
            (Reach::Refused, Some("postgresql") | None) => Some((
                "the lock timeout does not reach this engine's connection, since a pooler there takes no \
                 PGOPTIONS: the server's own limit holds",
                true,
            )),
            (Reach::Libpq, Some("postgresql") | None) => Some((
                "the lock timeout reaches this engine through PGOPTIONS, which libpq alone reads",
                false,
            )),
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
        (&self.engine, &self.graph, &mut self.watched)
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

fn listed(ids: &[RevisionId]) -> String {
    if ids.is_empty() {
        return "base".to_owned();
    }
    ids.iter()
        .map(RevisionId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
