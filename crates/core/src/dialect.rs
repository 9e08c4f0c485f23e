//! The kinds of database server.

use serde::Serialize;

/// A server whose SQL, catalogue and locks are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL.
    #[serde(rename = "postgresql")]
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// From SQLAlchemy's name, without the driver; `None` for a server that is not known.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "postgresql" | "postgres" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// SQLAlchemy's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }
}
