//! The keys of the file.

use std::path::Path;

use serde::Deserialize;

use super::check::CheckFile;
use super::policy;
use super::settings::{PartialSettings, SETTINGS};
use super::source::SettingSource;
use crate::error::Failure;

/// A table of the file, with the list of its keys.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $name:ident { $($key:ident: $type:ty,)+ }
    ) => {
        $(#[$meta])*
        pub(super) struct $name {
            $(pub(super) $key: $type,)+
        }

        impl $name {
            pub(super) const KEYS: &[&str] = &[$(stringify!($key)),+];
        }
    };
}

pub(super) use table;

table! {
    /// `[audit]`.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    Audit {
        table: bool,
    }
}

/// The settings of a file.
pub(super) fn read(path: &Path, table: &toml::Table) -> Result<PartialSettings, Failure> {
    all_known(path, table)?;
    PartialSettings::read(&SettingSource::File(path, table))
}

/// A file with a mistake.
pub(super) fn unusable(message: String) -> Failure {
    Failure::user(message).hint("mend the file; README.md lists its keys")
}

/// Refuses unknown keys, here and in the tables below.
fn all_known(path: &Path, table: &toml::Table) -> Result<(), Failure> {
    let keys: Vec<&str> = SETTINGS.iter().filter_map(|setting| setting.key).collect();
    known(path, table, &keys, "")?;
    for check in table
        .get("check")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
    {
        known(path, check, CheckFile::KEYS, " in a check")?;
    }
    let policies = table.get("policy").and_then(toml::Value::as_table);
    for (place, table) in policies.map(policy::tables).unwrap_or_default() {
        known(path, &table, policy::Table::KEYS, &format!(" in [{place}]"))?;
    }
    if let Some(audit) = table.get("audit").and_then(toml::Value::as_table) {
        known(path, audit, Audit::KEYS, " in [audit]")?;
    }
    Ok(())
}

/// Refuses an unknown key, and names the nearest.
fn known(path: &Path, table: &toml::Table, keys: &[&str], place: &str) -> Result<(), Failure> {
    let Some(unknown) = table.keys().find(|key| !keys.contains(&key.as_str())) else {
        return Ok(());
    };
    let nearest = keys
        .iter()
        .min_by_key(|key| strsim::damerau_levenshtein(key, unknown))
        .copied()
        .unwrap_or_default();
    Err(Failure::user(format!(
        "{} has an unknown key {unknown}{place}",
        path.display()
    ))
    .hint(format!("did you mean {nearest}?")))
}
