//! What things are called: for people, and for the records.

use std::path::Path;

use super::Project;
use rollback_core::connection::Identity;
use rollback_core::database_identity::{DatabaseIdentity, DatabaseReference};
use rollback_core::names::in_short;

/// Names a database the same way each time. The loopback has several names.
fn key(identity: &Identity) -> String {
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

/// The name of a database as it is typed: of SQLite that of the file.
pub(crate) fn name_to_type(identity: &Identity) -> String {
    let name = Path::new(&identity.database).file_name();
    name.map_or_else(
        || identity.database.clone(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A database that was reached by its address alone, as records name it.
pub(crate) fn reference(identity: &Identity) -> DatabaseReference {
    DatabaseReference {
        key: key(identity),
        name: identity.to_string(),
        identity: identity.lasting.clone(),
    }
}

impl Project {
    /// The address of the database, spelled the same way each time. The loopback has several names.
    pub(crate) fn database_key(&self) -> String {
        let Some(identity) = &self.identity else {
            return format!("{} in {}", self.engine.name(), self.dir.display());
        };
        key(identity)
    }

    /// What the database says about its identity; `None` without a connection of our own.
    pub(crate) fn lasting_identity(&self) -> Option<DatabaseIdentity> {
        self.identity.as_ref()?.lasting.clone()
    }

    /// The database as records name it.
    pub(crate) fn database_reference(&self) -> DatabaseReference {
        DatabaseReference {
            key: self.database_key(),
            name: self.place(),
            identity: self.lasting_identity(),
        }
    }

    /// The database, for people.
    pub(crate) fn place(&self) -> String {
        match &self.identity {
            Some(identity) => identity.to_string(),
            None => format!("the database of {}", self.engine_name()),
        }
    }

    /// What an operator types to show that this is the database that is meant.
    pub(crate) fn confirmation_word(&self) -> String {
        let name = self.identity.as_ref().map(name_to_type);
        name.unwrap_or_else(|| "roll back".to_owned())
    }

    /// The version rows, for people.
    pub(crate) fn current_rows(&self) -> String {
        in_short(self.rows.ids())
    }

    /// The engine, for people.
    pub(crate) fn engine_name(&self) -> String {
        match &self.engine_version {
            Some(version) => format!("{} (Alembic {version})", self.engine.name()),
            None => self.engine.name(),
        }
    }

    /// The server and its version, where it tells.
    pub(crate) fn server(&self) -> Option<String> {
        self.identity.as_ref()?.server.clone()
    }
}
