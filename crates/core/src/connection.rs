//! Which database: what is needed to reach it, and what identifies it once reached.

use std::fmt;

use serde::Serialize;

use super::database_identity::DatabaseIdentity;
use super::dialect::Dialect;
use super::secret::Secret;

/// What a client needs to open the same connection as the engine.
///
/// Comes from a URL or from the engine's own process. `None` means "what the client library does by
/// itself", not "empty".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionFacts {
    /// SQLAlchemy's dialect name, lower case, without the driver: `postgresql`, `mysql`, `mssql`...
    pub dialect: String,
    /// Host name or address; for PostgreSQL also a socket directory that starts with `/`.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Unix socket file (MySQL/MariaDB).
    pub socket: Option<String>,
    /// Database name; for SQLite the path of the file, absolute.
    pub database: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Further parameters under the driver's own names (`sslmode`, `sslrootcert`, `ssl_ca`...).
    pub options: Vec<(String, String)>,
    /// How the engine's own session works on statements.
    pub session: EngineSession,
}

/// What the engine tells of its own session. Nothing is known of it if the engine was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineSession {
    /// SQLAlchemy's name of the driver: `psycopg2`, `asyncpg`, `pymysql`.
    pub driver: Option<String>,
    /// SQLite: the version of the library (`3.33.0`), which may be another than ours.
    pub library: Option<String>,
    /// SQLite: whether foreign keys are enforced.
    pub foreign_keys: Option<bool>,
    /// Whether `schema_translate_map` puts other schemas in place of those that are written.
    pub translates_schemas: bool,
}

impl ConnectionFacts {
    /// The server family, where it is one of our own.
    pub fn known_dialect(&self) -> Option<Dialect> {
        Dialect::named(&self.dialect)
    }
}

/// Where the rows are that say what is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionTable {
    /// `alembic_version` unless `env.py` says otherwise.
    pub name: String,
    /// The schema, where `env.py` sets one.
    pub schema: Option<String>,
    /// What a row is.
    #[serde(skip)]
    pub rows: RowsAre,
}

/// What the rows of a version table are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RowsAre {
    /// As Alembic writes them: the heads, in the one column `version_num`.
    #[default]
    Heads,
    /// Every migration that ever was registered, in the column `migration_name`, with a `status`. Applied is one
    /// that is not `rolled_back`: where a rollback failed, it was rolled back whole.
    History,
}

impl VersionTable {
    /// The table of SQL-file migrations.
    pub fn of_history(schema: Option<&str>) -> Self {
        Self {
            name: "migration_history".to_owned(),
            schema: schema.map(str::to_owned),
            rows: RowsAre::History,
        }
    }
}

impl Default for VersionTable {
    fn default() -> Self {
        Self {
            name: "alembic_version".to_owned(),
            schema: None,
            rows: RowsAre::Heads,
        }
    }
}

impl fmt::Display for VersionTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}.")?;
        }
        formatter.write_str(&self.name)
    }
}

/// The content of the version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRows {
    /// The table does not exist: no migration was ever run here, or it is kept elsewhere.
    NoTable,
    /// Its rows in the order in which the server returned them; none where everything was rolled
    /// back.
    Rows(Vec<super::revision::RevisionId>),
}

/// What an operator has to see before confirming. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// SQLAlchemy's dialect name.
    pub dialect: String,
    /// What the server calls itself, for people: `PostgreSQL 15.18`, `MariaDB 10.11.14`,
    /// `SQLite 3.50.4`; `None` where only the engine's word is known.
    pub server: Option<String>,
    /// Host name or address, or the socket; `None` for SQLite.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Database name, or the file of SQLite.
    pub database: String,
    /// The user of the connection.
    pub user: Option<String>,
    /// Equal for two connections exactly if they reach the same database, whatever names they used
    /// to get there; `None` where the server does not tell.
    #[serde(skip)]
    pub fingerprint: Option<String>,
    /// What the database is known by later, over whatever address; `None` if it was not asked.
    #[serde(skip)]
    pub lasting: Option<DatabaseIdentity>,
}

impl Identity {
    /// Whether the address is one of this machine: a file, a socket or the loopback. What a tunnel leads to cannot
    /// be seen from here.
    pub fn is_local(&self) -> bool {
        match self.host.as_deref() {
            None => true,
            Some(host) => {
                host.starts_with(['/', '@'])
                    || host.eq_ignore_ascii_case("localhost")
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Identity {
    /// `PostgreSQL 15.18 at localhost:5432 (this machine), database app`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.server.as_deref().unwrap_or(&self.dialect))?;
        if let Some(host) = &self.host {
            write!(formatter, " at {host}")?;
            if let Some(port) = self.port {
                write!(formatter, ":{port}")?;
            }
            formatter.write_str(if self.is_local() {
                " (this machine)"
            } else {
                " (remote)"
            })?;
        }
        let word = if self.host.is_some() || self.dialect != "sqlite" {
            "database"
        } else {
            "file"
        };
        write!(formatter, ", {word} {}", self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red where an address of another machine is shown as one of this one, or the other way round.
    #[test]
    fn remote_and_local_are_told_apart() {
        let shown = |host: Option<&str>| {
            let identity = Identity {
                dialect: "postgresql".to_owned(),
                server: None,
                host: host.map(str::to_owned),
                port: Some(5432),
                database: "app".to_owned(),
                user: None,
                fingerprint: None,
                lasting: None,
            };
            identity.to_string()
        };
        for host in ["localhost", "127.0.0.1", "::1", "/run/postgresql"] {
            assert_eq!(
                shown(Some(host)),
                format!("postgresql at {host}:5432 (this machine), database app")
            );
        }
        for host in [
            "db.example.com",
            "10.0.0.1",
            "localhost.example.com",
            "127.example.com",
        ] {
            assert_eq!(
                shown(Some(host)),
                format!("postgresql at {host}:5432 (remote), database app")
            );
        }
    }
}
