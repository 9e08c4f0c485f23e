//! What a backup is: its manifest, and what it takes to believe in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::connection::{RowsAre, VersionTable};
use super::database_identity::{DatabaseIdentity, DatabaseReference};
use super::dialect::Dialect;
use super::lock::Operator;
use super::names::heads;
use super::revision::Heads;
use super::schema::{SchemaLines, is_comparable};
use crate::figures::count;

/// The version of the format of a manifest; one of another version is not read.
pub const VERSION: u32 = 1;

/// What a part of a database is that a backup does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OmittedPart {
    /// One view.
    View,
    /// One table, or its rows.
    Table,
    /// All functions, procedures and packages.
    Routines,
    /// All triggers.
    Triggers,
    /// All events.
    Events,
    /// The program that wrote the backup says in its own words what is missing.
    Unknown,
}

/// What a backup does not hold, because it could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What it is.
    pub part: OmittedPart,
    /// Its name; empty if all of that kind are left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why, in the words of the server or the client.
    pub reason: String,
    /// The statement that creates it, if the server told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

impl LeftOut {
    /// All of a kind.
    pub fn all(part: OmittedPart, reason: String) -> Self {
        Self::named(part, String::new(), reason)
    }

    /// One object.
    pub fn named(part: OmittedPart, name: String, reason: String) -> Self {
        Self {
            part,
            name,
            reason,
            definition: None,
        }
    }
}

/// How far a backup is proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// The file was read back whole, and has its SHA-256.
    #[default]
    Read,
    /// It was restored beside the database, and schema, rows and version table were as in the database.
    Restored,
}

/// What is written down beside a backup. Holds no password.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`] of the program that wrote it.
    pub version: u32,
    /// Its name, like that of a run: `20261121T040000Z-4711`.
    pub id: String,
    /// When it was begun, RFC 3339 in UTC.
    pub at: String,
    /// The run that it was made for; `None` where somebody asked for it by itself.
    pub run: Option<String>,
    /// Who made it.
    pub by: Operator,
    /// Which database, so that the same one is known again.
    pub database_key: String,
    /// Which database, for people.
    pub database: String,
    /// SQLAlchemy's name of the dialect: `postgresql`, `mysql`, `sqlite`.
    pub dialect: String,
    /// The server and its version: `PostgreSQL 15.18`.
    pub server: Option<String>,
    /// The program that wrote it and its version; `None` where we did ourselves.
    pub client: Option<String>,
    /// The name of the file, in the folder of the manifest.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// Seconds it took to write and to verify, to the millisecond.
    pub seconds: f64,
    /// The version rows in it.
    pub heads: Heads,
    /// The [`fingerprint`] of the schema in it.
    pub schema: String,
    /// The rows of each table in it.
    pub rows: BTreeMap<String, u64>,
    /// How far it is proven.
    pub verified: Verified,
    /// What the database said about its identity; `None` in manifests of before it was written down.
    #[serde(default)]
    pub identity: Option<DatabaseIdentity>,
    /// Its place in the order in which backups and runs were begun, from 1, whatever the clock says. Older programs wrote none.
    #[serde(default)]
    pub number: Option<u64>,
    /// What it does not hold.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Where the version rows were.
    #[serde(default)]
    pub version_table: Option<StoredTable>,
}

impl Manifest {
    /// The database that it was made of.
    pub fn database_reference(&self) -> DatabaseReference {
        DatabaseReference {
            key: self.database_key.clone(),
            name: self.database.clone(),
            identity: self.identity.clone(),
        }
    }
}

/// Where the version rows are, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTable {
    /// The name of the table.
    pub name: String,
    /// Its schema, if it is not the usual one.
    pub schema: Option<String>,
    /// Whether it is the history of SQL-file migrations.
    pub history: bool,
}

impl From<&VersionTable> for StoredTable {
    fn from(table: &VersionTable) -> Self {
        Self {
            name: table.name.clone(),
            schema: table.schema.clone(),
            history: table.rows == RowsAre::History,
        }
    }
}

impl From<&StoredTable> for VersionTable {
    fn from(table: &StoredTable) -> Self {
        Self {
            name: table.name.clone(),
            schema: table.schema.clone(),
            rows: if table.history {
                RowsAre::History
            } else {
                RowsAre::Heads
            },
        }
    }
}

/// The fingerprint of what a backup of the schema carries.
///
/// Left out is what a dump does not carry or what depends on who restores it: owners and definers, and on PostgreSQL
/// the state of the triggers of foreign keys and subscriptions. On MySQL and MariaDB also rights, which belong to
/// the server and stay as they are, and events, which the copy for a rehearsal must not run.
pub fn fingerprint(schema: &SchemaLines, dialect: Dialect) -> String {
    let left_out: &[&str] = match dialect {
        Dialect::Postgres => &["owner ", "constraint trigger ", "subscription "],
        Dialect::MySql => &["definer ", "grant ", "event "],
        Dialect::Sqlite => &[],
    };
    let is_carried = |line: &&String| !left_out.iter().any(|kind| line.starts_with(kind));
    super::schema::fingerprint(&schema.iter().filter(is_carried).cloned().collect())
}

/// What a database or a scratch copy of it holds, for comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseDigest {
    /// The version rows.
    pub heads: Heads,
    /// The [`fingerprint`] of the schema.
    pub schema: String,
    /// The rows of each table, all counted.
    pub rows: BTreeMap<String, u64>,
    /// What could not be read, so that no backup holds it.
    pub left_out: Vec<LeftOut>,
}

impl DatabaseDigest {
    /// Whether the schema is that of the backup; `None` if the manifest has a fingerprint of another form.
    pub fn has_schema_of(&self, manifest: &Manifest) -> Option<bool> {
        is_comparable(&self.schema, &manifest.schema).then(|| self.schema == manifest.schema)
    }

    /// What is other than in the manifest, a sentence each; nothing where all is the same.
    pub fn differences(&self, manifest: &Manifest) -> Vec<String> {
        let mut differences = Vec::new();
        if self.heads != manifest.heads {
            differences.push(format!(
                "the version table says {} and not {}",
                heads(&self.heads),
                heads(&manifest.heads)
            ));
        }
        let schema = self.has_schema_of(manifest);
        if schema == Some(false) {
            differences.push("the schema has another fingerprint".to_owned());
        }
        let tables: std::collections::BTreeSet<&String> =
            self.rows.keys().chain(manifest.rows.keys()).collect();
        for table in tables {
            let told = |rows: Option<&u64>| {
                rows.map_or("is missing".to_owned(), |rows| {
                    format!("has {}", count(*rows, "row"))
                })
            };
            let (is, was) = (self.rows.get(table), manifest.rows.get(table));
            // An older program did not count every kind of table.
            if is != was && (schema.is_some() || was.is_some()) {
                differences.push(format!(
                    "table {table} {}, in the backup it {}",
                    told(is),
                    told(was)
                ));
            }
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(schema: &str) -> DatabaseDigest {
        DatabaseDigest {
            schema: schema.to_owned(),
            ..DatabaseDigest::default()
        }
    }

    fn manifest(schema: &str) -> Manifest {
        serde_json::from_value(serde_json::json!({
            "version": VERSION, "id": "a", "at": "b", "run": null,
            "by": { "user": "u", "host": "h", "pid": 1 }, "database_key": "k", "database": "d",
            "dialect": "postgresql", "server": null, "client": null, "file": "f", "bytes": 1, "sha256": "0",
            "seconds": 0.1, "heads": [], "schema": schema, "rows": {}, "verified": "read",
        }))
        .unwrap()
    }

    /// Turns red if a backup of an older version cannot be restored because its fingerprint has another form, or
    /// if its schema is called the same.
    #[test]
    fn a_fingerprint_of_another_form_is_not_compared() {
        let now = contents("v3:aa");
        for (schema, same, differences) in [
            ("v3:aa", Some(true), 0),
            ("v3:bb", Some(false), 1),
            ("v2:aa", None, 0),
        ] {
            assert_eq!(now.has_schema_of(&manifest(schema)), same, "{schema}");
            assert_eq!(now.differences(&manifest(schema)).len(), differences);
        }
    }

    /// Turns red if what a dump leaves out counts, or if rights of PostgreSQL, which a dump carries, do not.
    #[test]
    fn lines_that_no_dump_carries_do_not_count() {
        let of = |lines: &[&str], dialect| {
            fingerprint(
                &lines.iter().map(|line| (*line).to_owned()).collect(),
                dialect,
            )
        };
        let plain = of(&["table t"], Dialect::Postgres);
        for line in [
            "owner t x",
            "constraint trigger t.k f disabled",
            "subscription s of p",
        ] {
            assert_eq!(of(&["table t", line], Dialect::Postgres), plain, "{line}");
        }
        let right = ["table t", "grant t SELECT to PUBLIC"];
        assert_ne!(of(&right, Dialect::Postgres), plain);
        assert_eq!(of(&right, Dialect::MySql), plain);
        for line in ["definer view v x@%", "event e enabled every 1 day 01"] {
            assert_eq!(of(&["table t", line], Dialect::MySql), plain, "{line}");
        }
        let trigger = ["table t", "event trigger e on ddl_command_end execute f()"];
        assert_ne!(of(&trigger, Dialect::Postgres), plain);
    }
}
