//! A project of SQL files and its database, found.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::app::CommandContext;
use crate::app::connection::{database_failure, discovery};
use crate::config::EngineKind;
use crate::error::Failure;
use rollback_alembic::AlembicEngine;
use rollback_core::connection::{ConnectionFacts, Identity};
use rollback_core::dialect::Dialect;
use rollback_core::query::Execution;
use rollback_core::secret::Secret;
use rollback_database::{self, Database};
use rollback_sql_files::engine::folder::{Folder, find};
use rollback_sql_files::engine::history_table::Tables;

/// Where the database is, if no setting of our own says so.
const VARIABLES: [&str; 2] = ["SUPABASE_DB_URL", "DATABASE_URL"];

/// A project of SQL files with its database.
pub(crate) struct OpenSqlProject {
    pub(crate) dialect: Dialect,
    pub(crate) facts: ConnectionFacts,
    pub(crate) identity: Identity,
    pub(crate) database: Box<dyn Database>,
    pub(crate) tables: Tables,
    pub(crate) folder: Folder,
}

/// The folder of the migrations, where this is a project of SQL files.
pub(crate) fn folder(context: &CommandContext<'_>) -> Option<PathBuf> {
    let settings = context.settings;
    match (settings.engine, &settings.migrations) {
        (Some(EngineKind::Alembic), _) => None,
        (_, Some(folder)) => Some(context.dir.join(folder)),
        (_, None) => find(context.dir),
    }
}

/// Whether migrations are SQL files here. The setting `engine` decides; then a project of Alembic, as it always
/// did; then a folder that looks like one.
pub(crate) fn is_sql_project(context: &CommandContext<'_>) -> bool {
    let settings = context.settings;
    match (settings.engine, &settings.migrations) {
        (Some(kind), _) => kind == EngineKind::Sql,
        (None, Some(_)) => true,
        (None, None) => {
            !AlembicEngine::is_shown(&discovery(context)) && find(context.dir).is_some()
        }
    }
}

/// What the URL says that leads to the database.
fn connection(context: &CommandContext<'_>) -> Result<ConnectionFacts, Failure> {
    let variable = |name: &&str| {
        let value = context.environment.get(OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then(|| Secret::new(value))
    };
    let url = context.settings.database_url.clone();
    let Some(url) = url.or_else(|| VARIABLES.iter().find_map(variable)) else {
        return Err(Failure::user("it is not known where the database is").hint(
            "set ROLLBACK_DATABASE_URL, such as postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        ));
    };
    rollback_database::url::parse(url.reveal(), context.dir).map_err(|error| {
        Failure::user(format!("the database URL cannot be used: {error}"))
            .hint("write it so: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    })
}

fn dialect(facts: &ConnectionFacts) -> Result<Dialect, Failure> {
    let name = match facts.dialect.as_str() {
        "postgres" => "postgresql",
        name => name,
    };
    Dialect::named(name).ok_or_else(|| {
        Failure::user(format!("SQL files are not run on {}", facts.dialect))
            .hint("PostgreSQL, MariaDB, MySQL and SQLite are known")
    })
}

/// Reads the folder alone. Without a URL the files are read as PostgreSQL's.
pub(crate) fn files(context: &CommandContext<'_>) -> Result<(Folder, Dialect), Failure> {
    let Some(path) = folder(context) else {
        return Err(Failure::user("no folder of SQL migrations was found")
            .hint("name it in rollback.toml: migrations = \"FOLDER\""));
    };
    let dialect = match connection(context) {
        Ok(facts) => dialect(&facts)?,
        Err(_) => Dialect::Postgres,
    };
    Ok((read(&path, context, dialect)?, dialect))
}

fn read(
    path: &std::path::Path,
    context: &CommandContext<'_>,
    dialect: Dialect,
) -> Result<Folder, Failure> {
    Folder::read(path, context.dir, dialect).map_err(|reason| {
        Failure::user(reason).hint("name the folder in rollback.toml: migrations = \"FOLDER\"")
    })
}

impl OpenSqlProject {
    /// Finds the database and reads the folder. A folder that is not there is an empty one: what was registered
    /// can be rolled back without it.
    pub(crate) fn open(context: &CommandContext<'_>) -> Result<Self, Failure> {
        let facts = connection(context)?;
        let dialect = dialect(&facts)?;
        let mut database = rollback_database::open(&facts, context.environment)
            .map_err(|error| database_failure(&error))?;
        let identity = database
            .identity()
            .map_err(|error| database_failure(&error))?;
        let folder = match folder(context) {
            Some(path) if path.is_dir() => read(&path, context, dialect)?,
            _ => Folder::default(),
        };
        Ok(Self {
            dialect,
            tables: Tables::new(dialect, context.settings.history_schema.as_deref()),
            facts,
            identity,
            database,
            folder,
        })
    }

    /// A connection that changes the database.
    pub(crate) fn execution(
        &self,
        context: &CommandContext<'_>,
    ) -> Result<Box<dyn Execution>, Failure> {
        rollback_database::execution(
            &self.facts,
            context.environment,
            context.settings.lock_limit(),
        )
        .map_err(|error| database_failure(&error))
    }
}
