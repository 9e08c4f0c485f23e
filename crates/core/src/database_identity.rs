//! Which database a record is about: what stays the same while its address, its server's process and its content
//! change.
//!
//! An address may lead to another server from one day to the next (a tunnel, a proxy, a restored staging system), and
//! one server has several addresses. So records hold what the server itself says about its identity.

use crate::time::{self, Precision};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// PostgreSQL: written once when the cluster is created; its upper half is that moment in seconds since 1970.
pub const SYSTEM_IDENTIFIER: &str = "system_identifier";
/// PostgreSQL: the database within the cluster; another one after `dropdb` and `createdb`.
pub const DATABASE_OID: &str = "database_oid";
/// MySQL: written once into `auto.cnf`.
pub const SERVER_UUID: &str = "server_uuid";
/// MariaDB, newer releases: a digest of hardware address and port.
pub const SERVER_UID: &str = "server_uid";
/// MariaDB, older releases: the hardware address, as in the values of `UUID()`.
pub const HARDWARE_ADDRESS: &str = "hardware_address";
/// MariaDB: the port that the server itself listens on.
pub const PORT: &str = "port";
/// MariaDB: the name of the server's machine or container.
pub const HOST_NAME: &str = "host_name";
/// MariaDB: where the server keeps its files.
pub const DATA_DIRECTORY: &str = "data_directory";
/// MySQL and MariaDB: the database within the server.
pub const DATABASE_NAME: &str = "database_name";
/// SQLite: the number of the file in its file system.
pub const INODE: &str = "inode";
/// SQLite: when the file was created, in nanoseconds since 1970. Inode numbers are reused; this moment is not.
pub const CREATED: &str = "created";

/// What a mark says if two records have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Equal: the same server or file. Different: another one.
    Decides,
    /// Different: another database. Equal: nothing.
    Excludes,
    /// Different: perhaps another server. Equal: nothing.
    RaisesDoubt,
}

fn weight(mark: &str) -> Weight {
    match mark {
        SYSTEM_IDENTIFIER | SERVER_UUID | SERVER_UID | HARDWARE_ADDRESS | INODE => Weight::Decides,
        DATABASE_OID | DATABASE_NAME | PORT | CREATED => Weight::Excludes,
        // A container gets a new host name when it is created again; a mark that this version does not know may
        // mean anything.
        _ => Weight::RaisesDoubt,
    }
}

/// What a database says about itself. It survives restarts and is the same over every address.
///
/// A copy of all files of a server (a storage snapshot, a physical standby) says the same as the original. Only the
/// address, and as long as both run [`DatabaseIdentity::instance`], tell them apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIdentity {
    /// Product and version, for people: `PostgreSQL 15.18`.
    #[serde(default)]
    pub server: Option<String>,
    /// By the names above. A mark that may not be read is missing.
    #[serde(default)]
    pub marks: BTreeMap<String, String>,
    /// Equal only for connections to the same running server, or to the same file on the same device. It need not
    /// survive a restart.
    #[serde(default)]
    pub instance: Option<String>,
}

/// Two identities, compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Same,
    Different,
    /// The deciding marks agree, and another one does not.
    Doubtful,
    /// They have no deciding mark in common.
    Unknown,
}

impl DatabaseIdentity {
    /// An identity of these marks; those without a value are left out.
    pub fn new<'a>(
        server: Option<String>,
        marks: impl IntoIterator<Item = (&'a str, Option<String>)>,
        instance: Option<String>,
    ) -> Self {
        let known = marks.into_iter().filter_map(|(name, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((name.to_owned(), value))
        });
        Self {
            server,
            marks: known.collect(),
            instance,
        }
    }

    fn compare(&self, other: &Self) -> Comparison {
        let mut result = Comparison::Unknown;
        let mut doubtful = false;
        for (name, value) in &self.marks {
            let Some(theirs) = other.marks.get(name) else {
                continue;
            };
            match (weight(name), value == theirs) {
                (Weight::Decides | Weight::Excludes, false) => return Comparison::Different,
                (Weight::Decides, true) => result = Comparison::Same,
                (Weight::RaisesDoubt, false) => doubtful = true,
                (Weight::Excludes | Weight::RaisesDoubt, true) => {}
            }
        }
        if result == Comparison::Same && doubtful {
            Comparison::Doubtful
        } else {
            result
        }
    }

    /// Whether both come from connections to the same running server, if both say so.
    fn is_instance_of(&self, other: &Self) -> bool {
        self.instance.is_some() && self.instance == other.instance
    }

    /// Whether a new connection is known to lead elsewhere than the one this was read over. Meant for one run, in
    /// which the server does not restart.
    pub fn differs_now(&self, now: &Self) -> bool {
        let instances = (&self.instance, &now.instance);
        matches!(instances, (Some(before), Some(now)) if before != now)
            || matches!(
                self.compare(now),
                Comparison::Different | Comparison::Doubtful
            )
    }
}

impl fmt::Display for DatabaseIdentity {
    /// `PostgreSQL 15.18, system identifier 7391…, database oid 16384, cluster created 2026-11-29 20:00:01 UTC`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.server.iter().cloned().collect();
        for (name, value) in &self.marks {
            let moment = value.parse().ok().filter(|_| name == CREATED);
            parts.push(match moment.map(Duration::from_nanos) {
                Some(moment) => format!("created {}", shown(moment, Precision::Micros)),
                None => format!("{} {value}", name.replace('_', " ")),
            });
        }
        let system = self.marks.get(SYSTEM_IDENTIFIER);
        if let Some(system) = system.and_then(|value| value.parse::<u64>().ok()) {
            let created = shown(Duration::from_secs(system >> 32), Precision::Seconds);
            parts.push(format!("cluster created {created}"));
        }
        if self.marks.is_empty() {
            parts.push("identity unknown".to_owned());
        }
        formatter.write_str(&parts.join(", "))
    }
}

fn shown(since_1970: Duration, precision: Precision) -> String {
    let Some(moment) = UNIX_EPOCH.checked_add(since_1970) else {
        return "at an unknown time".to_owned();
    };
    let moment = time::rfc3339(moment, precision);
    format!("{} UTC", moment.trim_end_matches('Z').replace('T', " "))
}

/// Which database a record is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseReference {
    /// Its address, spelled the same way each time.
    pub key: String,
    /// The database, for people.
    pub name: String,
    /// What it says about itself; `None` in records of before it was written down, and if only the engine reaches it.
    #[serde(default)]
    pub identity: Option<DatabaseIdentity>,
}

/// How the database of a record relates to the one that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is the same, whatever its address.
    Same,
    /// It has the same address; one of both does not tell its identity.
    SameAddress,
    /// It has the same address and is known to be another one.
    Replaced,
    /// It says that it is the same, and something else contradicts that.
    Unclear,
    /// It has nothing to do with it, as far as is known.
    Other,
}

impl Relation {
    /// Whether the record may be used without a further word.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Same | Self::SameAddress)
    }
}

impl DatabaseReference {
    /// How `recorded` relates to this database, which is the one that is there now.
    pub fn relation_to(&self, recorded: &Self) -> Relation {
        let comparison = match (&self.identity, &recorded.identity) {
            (Some(now), Some(then)) => now.compare(then),
            _ => Comparison::Unknown,
        };
        let same_instance = || match (&self.identity, &recorded.identity) {
            (Some(now), Some(then)) => now.is_instance_of(then),
            _ => false,
        };
        match (self.key == recorded.key, comparison) {
            (true, Comparison::Same) => Relation::Same,
            (true, Comparison::Unknown) => Relation::SameAddress,
            (true, Comparison::Different) => Relation::Replaced,
            // At another address it may be a copy of the server's files, unless it is the same running server.
            (false, Comparison::Same) if same_instance() => Relation::Same,
            (true, Comparison::Doubtful) | (false, Comparison::Same) => Relation::Unclear,
            (false, Comparison::Different | Comparison::Doubtful | Comparison::Unknown) => {
                Relation::Other
            }
        }
    }

    /// Address and identity, for a refusal that shows two of them.
    pub fn described(&self) -> String {
        match &self.identity {
            Some(identity) => format!("{} ({identity})", self.key),
            None => format!("{} (its identity was not recorded)", self.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(marks: &[(&str, &str)], instance: &str) -> DatabaseIdentity {
        let marks = marks
            .iter()
            .map(|(name, value)| (*name, Some((*value).to_owned())));
        DatabaseIdentity::new(Some("S 1".to_owned()), marks, Some(instance.to_owned()))
    }

    fn postgres(system: &str, oid: &str, started: &str) -> DatabaseIdentity {
        identity(&[(SYSTEM_IDENTIFIER, system), (DATABASE_OID, oid)], started)
    }

    fn mariadb(uid: &str, host: &str) -> DatabaseIdentity {
        let marks = [(SERVER_UID, uid), (HOST_NAME, host), (DATABASE_NAME, "app")];
        identity(&marks, host)
    }

    fn file(inode: &str, created: &str, device: &str) -> DatabaseIdentity {
        identity(&[(INODE, inode), (CREATED, created)], device)
    }

    fn at(key: &str, identity: Option<DatabaseIdentity>) -> DatabaseReference {
        DatabaseReference {
            key: key.to_owned(),
            name: String::new(),
            identity,
        }
    }

    /// Red if an address alone, a part of an identity or a copy of a server is taken for the database of a record.
    #[test]
    fn a_record_belongs_to_the_database_that_says_it_is_the_same() {
        let here = postgres("1", "16384", "100");
        for (key, then, expected, why) in [
            ("a", Some(here.clone()), Relation::Same, "nothing changed"),
            (
                "a",
                Some(postgres("1", "16384", "200")),
                Relation::Same,
                "restarted",
            ),
            (
                "b",
                Some(here.clone()),
                Relation::Same,
                "another way to the running server",
            ),
            (
                "b",
                Some(postgres("1", "16384", "200")),
                Relation::Unclear,
                "may be a copy",
            ),
            (
                "a",
                Some(postgres("2", "16384", "100")),
                Relation::Replaced,
                "another server",
            ),
            (
                "a",
                Some(postgres("1", "16385", "100")),
                Relation::Replaced,
                "created again",
            ),
            (
                "b",
                Some(postgres("1", "16385", "100")),
                Relation::Other,
                "its neighbour",
            ),
            ("a", None, Relation::SameAddress, "an old record"),
            (
                "b",
                None,
                Relation::Other,
                "an old record of another address",
            ),
            (
                "a",
                Some(identity(&[(DATABASE_OID, "16384")], "100")),
                Relation::SameAddress,
                "no right to read the identifier",
            ),
            (
                "a",
                Some(identity(&[(DATABASE_OID, "5")], "100")),
                Relation::Replaced,
                "no right, and yet another one",
            ),
        ] {
            let now = at("a", Some(here.clone()));
            assert_eq!(now.relation_to(&at(key, then)), expected, "{why}");
        }
        let old = at("a", None);
        assert_eq!(old.relation_to(&at("a", Some(here))), Relation::SameAddress);
    }

    /// Red if two containers with one hardware address pass for one server, or if that is called proven.
    #[test]
    fn a_host_name_that_differs_raises_doubt() {
        let now = at("a", Some(mariadb("u", "one")));
        for (then, expected) in [
            (mariadb("u", "one"), Relation::Same),
            (mariadb("u", "two"), Relation::Unclear),
            (mariadb("v", "one"), Relation::Replaced),
        ] {
            assert_eq!(now.relation_to(&at("a", Some(then))), expected);
        }
    }

    /// Red if a file that took the place and the inode number of another is taken for it.
    #[test]
    fn a_file_is_known_by_its_inode_and_its_creation() {
        let now = at("sqlite:/a.db", Some(file("7", "1000", "d")));
        for (key, then, expected) in [
            ("sqlite:/a.db", file("7", "1000", "d"), Relation::Same),
            (
                "sqlite:/a.db",
                file("7", "1000", "after a reboot"),
                Relation::Same,
            ),
            ("sqlite:/a.db", file("7", "2000", "d"), Relation::Replaced),
            ("sqlite:/a.db", file("8", "1000", "d"), Relation::Replaced),
            ("sqlite:/b.db", file("7", "1000", "d"), Relation::Same),
            ("sqlite:/b.db", file("7", "1000", "e"), Relation::Unclear),
        ] {
            assert_eq!(now.relation_to(&at(key, Some(then))), expected, "{key}");
        }
    }

    /// Red if a server that took the place of another during a run goes unnoticed, even a copy of it.
    #[test]
    fn another_server_within_a_run_is_noticed() {
        let began = postgres("1", "2", "100");
        assert!(!began.differs_now(&began));
        assert!(began.differs_now(&postgres("1", "2", "200")));
        assert!(began.differs_now(&postgres("2", "2", "100")));
        let silent = DatabaseIdentity::default();
        assert!(!silent.differs_now(&began) && !began.differs_now(&silent));
    }

    /// Red if an old record cannot be read, or a refusal shows nothing to tell two databases apart.
    #[test]
    fn it_is_stored_and_shown() {
        let identity = postgres("7391234567890123456", "16384", "1");
        let stored = serde_json::to_string(&identity).unwrap();
        assert_eq!(
            serde_json::from_str::<DatabaseIdentity>(&stored).unwrap(),
            identity
        );
        assert_eq!(
            serde_json::from_str::<DatabaseReference>(r#"{"key": "k", "name": "n"}"#).unwrap(),
            DatabaseReference {
                key: "k".to_owned(),
                name: "n".to_owned(),
                identity: None
            }
        );
        assert_eq!(
            identity.to_string(),
            "S 1, database oid 16384, system identifier 7391234567890123456, \
             cluster created 2024-07-13 21:25:01 UTC"
        );
        let file = file("7", "1795986000000000000", "d");
        assert_eq!(
            file.to_string(),
            "S 1, created 2026-11-29 21:00:00.000000 UTC, inode 7"
        );
        assert!(at("k", None).described().contains("not recorded"));
    }
}
