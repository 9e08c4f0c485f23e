//! Which database it is: the engine's word, the operator's, and a connection of our own that is known
//! to lead to the same.

use std::path::Path;

use super::CommandContext;
use super::revisions::FromFiles;
use crate::config::Settings;
use crate::error::Failure;
use rollback_alembic::layout::Layout;
use rollback_alembic::{AlembicEngine, AlembicOptions, Discovery};
use rollback_core::connection::{
    ConnectionFacts, EngineSession, Identity, RowsAre, VersionRows, VersionTable,
};
use rollback_core::engine::{Engine, Observation};
use rollback_core::revision::RevisionId;
use rollback_database::{self, Database, DatabaseError};

pub(crate) fn discovery(context: &CommandContext<'_>) -> Discovery {
    let settings = context.settings;
    Discovery {
        settings: AlembicOptions {
            engine_command: settings.engine_command.clone(),
            alembic_config: settings.alembic_config.clone(),
            name: settings.name.clone(),
            x: settings.x.clone(),
            lock_timeout: settings.lock_limit(),
            process_per_step: settings.process_per_step,
        },
        dir: context.dir.to_owned(),
        env: context.environment.clone(),
        interrupt: context.interrupt.clone(),
    }
}

pub(crate) fn given_connection(
    settings: &Settings,
    dir: &Path,
) -> Result<Option<ConnectionFacts>, Failure> {
    let Some(url) = &settings.database_url else {
        return Ok(None);
    };
    let facts = rollback_database::url::parse(url.reveal(), dir).map_err(|error| {
        Failure::user(format!("the database URL cannot be used: {error}"))
            .hint("write it as SQLAlchemy does: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    })?;
    Ok(Some(facts))
}

pub(crate) fn version_table(settings: &Settings, observation: &Observation) -> VersionTable {
    let seen = observation.version_table.clone().unwrap_or_default();
    VersionTable {
        name: settings.version_table.clone().unwrap_or(seen.name),
        schema: settings.version_table_schema.clone().or(seen.schema),
        rows: RowsAre::Heads,
    }
}

/// The last are the parameters that it was opened with, for the clients that make backups.
pub(crate) type Opened = (Box<dyn Database>, Identity, VersionTable, ConnectionFacts);

/// Opens our own connection: to the database of the URL if one is given, once it is known to be the
/// engine's; else to the one that the engine was seen to use. `None` where there is no such way. The second is the
/// address that the steps connect to, as far as we can connect to it as well.
pub(crate) fn open_eyes(
    context: &CommandContext<'_>,
    engine: &AlembicEngine,
    given: Option<ConnectionFacts>,
    observation: &Observation,
    table: VersionTable,
) -> Result<Option<(Opened, ConnectionFacts)>, Failure> {
    let seen = observation.connection.as_ref();
    if let Some(mut given) = given {
        if let Some(seen) = seen {
            // Our own connection stays what it is without the engine's word.
            given.session = EngineSession {
                library: None,
                ..seen.session.clone()
            };
        }
        let mut database = rollback_database::open(&given, context.environment)
            .map_err(|error| database_failure(&error))?;
        let identity = database
            .identity()
            .map_err(|error| database_failure(&error))?;
        let steps_at = same_database(context, &given, &identity, seen, observation, engine)?;
        return Ok(Some(((database, identity, table, given), steps_at)));
    }
    let Some(seen) = seen.filter(|seen| seen.known_dialect().is_some()) else {
        return Ok(None);
    };
    let opened = rollback_database::open(seen, context.environment)
        .and_then(|mut database| database.identity().map(|identity| (database, identity)));
    match opened {
        Ok((database, identity)) => {
            let opened = (database, identity, table, seen.clone());
            Ok(Some((opened, seen.clone())))
        }
        // The engine just got through with the same parameters, so this is a limit of our driver.
        Err(error) => {
            context.ui.warn(&format!(
                "the engine reaches the database, and we do not: {error}"
            ));
            Ok(None)
        }
    }
}

/// The database of the URL and its version rows, without a word of the engine's. Only where the files
/// of the history show that the rows are theirs: `env.py` may keep them in another table.
pub(crate) fn by_url_alone(
    context: &CommandContext<'_>,
    given: &ConnectionFacts,
    read: &FromFiles,
) -> Result<Option<(Opened, Vec<RevisionId>)>, Failure> {
    let settings = context.settings;
    if settings.version_table.is_none() && !keeps_the_usual_table(&read.layout) {
        return Ok(None);
    }
    let mut database = rollback_database::open(given, context.environment)
        .map_err(|error| database_failure(&error))?;
    let identity = database
        .identity()
        .map_err(|error| database_failure(&error))?;
    let table = VersionTable {
        name: settings
            .version_table
            .clone()
            .unwrap_or(VersionTable::default().name),
        schema: settings.version_table_schema.clone(),
        rows: RowsAre::Heads,
    };
    let rows = database
        .version_rows(&table)
        .map_err(|error| database_failure(&error))?;
    Ok(match rows {
        VersionRows::Rows(rows)
            if !rows.is_empty() && rows.iter().all(|id| read.graph.get(id).is_some()) =>
        {
            Some(((database, identity, table, given.clone()), rows))
        }
        VersionRows::Rows(_) | VersionRows::NoTable => None,
    })
}

/// Whether nothing in `env.py` looks like another version table, another way to it, or a session that enforces foreign
/// keys on SQLite.
fn keeps_the_usual_table(layout: &Layout) -> bool {
    let Ok(text) = std::fs::read_to_string(layout.directory.join("env.py")) else {
        return false;
    };
    ![
        "version_table",
        "search_path",
        "schema_translate_map",
        "foreign_keys",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// Refuses a URL that names another database than the one that the engine uses. Gives the engine's own address if we
/// reach it, else the URL's.
fn same_database(
    context: &CommandContext<'_>,
    given: &ConnectionFacts,
    identity: &Identity,
    seen: Option<&ConnectionFacts>,
    observation: &Observation,
    engine: &AlembicEngine,
) -> Result<ConnectionFacts, Failure> {
    let ours = || Ok(given.clone());
    let theirs = match seen {
        // Word for word the address that we connected to: to do so once more would say nothing else.
        Some(seen) if rollback_database::url::same_address(seen, given) => return ours(),
        Some(seen) => {
            let reached = rollback_database::open(seen, context.environment)
                .and_then(|mut database| database.identity());
            match reached {
                Ok(theirs) if theirs.fingerprint.is_some() => {
                    if theirs.fingerprint == identity.fingerprint {
                        return Ok(seen.clone());
                    }
                    theirs.to_string()
                }
                _ if rollback_database::url::same_place(seen, given) => return ours(),
                _ => rollback_database::url::masked(seen),
            }
        }
        None => match &observation.reported_url {
            Some(url) => match rollback_database::url::parse_masked(url, context.dir) {
                Ok(reported) if rollback_database::url::same_place(&reported, given) => {
                    return ours();
                }
                Ok(reported) => rollback_database::url::masked(&reported),
                Err(_) => "a database that it does not name".to_owned(),
            },
            None => return ours(),
        },
    };
    Err(Failure::user(format!(
        "{} does not migrate the database of the URL",
        engine.name()
    ))
    .because(format!(
        "the URL leads to {}",
        rollback_database::url::masked(given)
    ))
    .because(format!("the engine connects to {theirs}"))
    .hint("leave the URL away, and the engine is asked where it connects to"))
}

/// The database as far as the engine's `current --verbose` names it.
pub(crate) fn told_identity(observation: &Observation) -> Option<Identity> {
    let facts = match &observation.connection {
        Some(facts) => facts.clone(),
        None => {
            rollback_database::url::parse_masked(observation.reported_url.as_ref()?, Path::new(""))
                .ok()?
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
        lasting: None,
    })
}

pub(crate) fn database_failure(error: &DatabaseError) -> Failure {
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
            "look at that file and the rights on its directory: SQLite itself needs to write there, too"
        }
        DatabaseError::Settings(_) => {
            "write it as SQLAlchemy does: postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        }
    };
    Failure::user(error.to_string()).hint(hint)
}
