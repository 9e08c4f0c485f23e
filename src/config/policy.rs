//! `[policy]` for every environment, and `[policy.NAME]` over it for one of them.
//!
//! Only a file says it. What is said here could otherwise be unsaid by a variable that nobody looks at.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::file;
use super::parse::{duration, one_of};
use super::settings::PartialSettings;
use super::toml::table;
use crate::error::Failure;
use rollback_core::backup::Verified;
use rollback_core::finding_code::{Level, NoSuchFinding};
use rollback_core::policy::Policy;
use rollback_core::policy::environment::{is_production, misspelt_production, normal};
use rollback_core::policy::window::{Windows, fixed_zone};

table! {
    /// One table as it is written; unknown keys are found before.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
    #[serde(default)]
    Table {
        require_reason: Option<bool>,
        require_incident: Option<bool>,
        require_approver: Option<bool>,
        require_backup: Option<String>,
        require_clean_schema: Option<bool>,
        require_validation: Option<bool>,
        windows: Option<Vec<String>>,
        timezone: Option<String>,
        max_steps: Option<usize>,
        max_age: Option<String>,
        deny_level: Option<String>,
        deny_codes: Option<Vec<String>>,
        allow_yes: Option<bool>,
        typed_confirmation: Option<bool>,
    }
}

/// The policies of a file: for every environment, and for each that has rules of its own, with those for every one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    every: Table,
    own: BTreeMap<String, Table>,
}

/// The tables of `[policy]` with their names as people write them, the one for every environment first.
pub(super) fn tables(policy: &toml::Table) -> Vec<(String, toml::Table)> {
    let is_own = |(name, value): &(&String, &toml::Value)| {
        value.is_table() && !Table::KEYS.contains(&name.as_str())
    };
    let every = policy.iter().filter(|entry| !is_own(entry));
    let every = every
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let own = policy
        .iter()
        .filter(is_own)
        .filter_map(|(name, value)| Some((format!("policy.{name}"), value.as_table()?.clone())));
    std::iter::once(("policy".to_owned(), every))
        .chain(own)
        .collect()
}

/// Reads `[policy]` with all that is below it. Every table is tried on its own, so that a mistake in one is told
/// wherever the file is read, and not first in the environment that it is for.
pub(super) fn read(policy: &toml::Table) -> Result<Policies, String> {
    let mut policies = Policies::default();
    let mut every = toml::Table::new();
    for (place, table) in tables(policy) {
        let mut merged = every.clone();
        merged.extend(table);
        let rules: Table = merged
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| format!("[{place}]: {}", error.message()))?;
        rules
            .rules()
            .map_err(|reason| format!("[{place}] {reason}"))?;
        match place.strip_prefix("policy.").map(normal) {
            None => (every, policies.every) = (merged, rules),
            Some(name) if policies.own.contains_key(&name) => {
                return Err(format!("{name} has two sections"));
            }
            Some(name) => {
                policies.own.insert(name, rules);
            }
        }
    }
    Ok(policies)
}

impl Policies {
    /// The rules of an environment, or of a place that nobody named. Where some environments have rules of
    /// their own, a name that has none is refused: it is nearly always a slip, and would switch the rules off.
    pub(crate) fn of(&self, environment: Option<&str>) -> Result<Policy, Failure> {
        let environment = environment.map(normal).filter(|name| !name.is_empty());
        if let Some(name) = &environment {
            self.is_known(name)?;
        }
        let own = environment.as_ref().and_then(|name| self.own.get(name));
        let table = own.unwrap_or(&self.every);
        let mut policy = table.rules().map_err(Failure::user)?;
        let production = environment.as_deref().is_some_and(is_production);
        policy.forbid_yes = !table.allow_yes.unwrap_or(!production);
        policy.typed_confirmation = table.typed_confirmation.unwrap_or(production);
        policy.undecided = match &environment {
            None => self.own.keys().cloned().collect(),
            Some(_) => Vec::new(),
        };
        policy.environment = environment;
        Ok(policy)
    }

    fn is_known(&self, name: &str) -> Result<(), Failure> {
        if self.own.contains_key(name) {
            return Ok(());
        }
        let nearest = self
            .own
            .keys()
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        if let Some(nearest) = nearest {
            let known: Vec<&str> = self.own.keys().map(String::as_str).collect();
            return Err(Failure::user(format!(
                "there is no environment {name}: the settings have rules for {}",
                known.join(", ")
            ))
            .hint(format!("did you mean {nearest}?"))
            .hint(format!(
                "an environment with the rules of [policy] alone is written as an empty table: [policy.{name}]"
            )));
        }
        match misspelt_production(name) {
            Some(meant) => Err(Failure::user(format!(
                "the environment {name} is nearly {meant}, and would have other rules"
            ))
            .hint(format!("did you mean {meant}?"))
            .hint(format!(
                "an environment that is really called so has a table of its own: [policy.{name}]"
            ))),
            None => Ok(()),
        }
    }
}

impl Table {
    /// What its keys mean, apart from those that depend on the environment.
    fn rules(&self) -> Result<Policy, String> {
        let zone = self.timezone.as_deref().unwrap_or("UTC");
        let require_backup = match self.require_backup.as_deref() {
            None | Some("none") => None,
            Some("read") => Some(Verified::Read),
            Some("restored" | "restore") => Some(Verified::Restored),
            Some(other) => {
                return Err(format!(
                    "require_backup is read, restored or none, not {other}"
                ));
            }
        };
        let windows = match self.windows.as_deref() {
            None | Some([]) => {
                time_zone(zone)?;
                None
            }
            Some(texts) => Some(
                Windows::parse(texts, time_zone(zone)?, zone)
                    .map_err(|error| format!("windows: {error}"))?,
            ),
        };
        let max_age = match self.max_age.as_deref() {
            None | Some("off") => None,
            Some(text) => Some(duration(text).map_err(|reason| format!("max_age: {reason}"))?),
        };
        let deny_level: Option<Level> = match self.deny_level.as_deref() {
            None | Some("none") => None,
            Some(text) => Some(one_of(text).map_err(|_| {
                format!("deny_level is low, medium, high, unknown or none, not {text}")
            })?),
        };
        let deny_codes = self
            .deny_codes
            .iter()
            .flatten()
            .map(|code| code.parse())
            .collect::<Result<_, NoSuchFinding>>()
            .map_err(|reason| format!("deny_codes: {reason}"))?;
        Ok(Policy {
            require_reason: self.require_reason.unwrap_or(false),
            require_incident: self.require_incident.unwrap_or(false),
            require_approver: self.require_approver.unwrap_or(false),
            require_backup,
            windows,
            require_clean_schema: self.require_clean_schema.unwrap_or(false),
            require_validation: self.require_validation.unwrap_or(false),
            max_steps: self.max_steps,
            max_age,
            deny_level,
            deny_codes,
            ..Policy::default()
        })
    }
}

/// Refuses to be somewhere else than the file says: a variable that was left in a shell must not choose other
/// rules.
pub(super) fn is_not_elsewhere(
    above: &PartialSettings,
    file: &PartialSettings,
) -> Result<(), Failure> {
    let (Some(said), Some(written)) = (&above.environment, &file.environment) else {
        return Ok(());
    };
    if normal(said) == normal(written) {
        return Ok(());
    }
    Err(Failure::user(format!(
        "the file of settings says that this is {written}, and --environment or ROLLBACK_ENVIRONMENT says {said}"
    ))
    .hint("leave it away: unset ROLLBACK_ENVIRONMENT")
    .hint("for another place name its own file: --config FILE"))
}

/// Refuses a file that was named where the project's own file has rules and it has none: they would be off
/// without a word.
pub(super) fn is_not_set_aside(
    named: &Path,
    settings: &PartialSettings,
    dir: &Path,
) -> Result<(), Failure> {
    // Of a file that cannot be read nothing is known, and another one was asked for.
    let own = file::read_of_directory(dir).unwrap_or_default();
    let lacking = if own.policies.is_some() && settings.policies.is_none() {
        "[policy]"
    } else if own.environment.is_some() && settings.environment.is_none() {
        "environment"
    } else {
        return Ok(());
    };
    Err(Failure::user(format!(
        "the project's settings have {lacking}, and {} has not: its rules would be off",
        named.display()
    ))
    .hint(format!(
        "write {lacking} into {} too; an empty [policy] requires nothing",
        named.display()
    )))
}

/// `UTC`, `+01:00`, or a name that the machine's table of zones knows.
fn time_zone(text: &str) -> Result<TimeZone, String> {
    fixed_zone(text)
        .or_else(|| TimeZone::get(text).ok())
        .ok_or_else(|| {
            format!(
                "timezone: this machine knows no zone {text}; write UTC, an offset such as +01:00, or a name such as Europe/Berlin, and install tzdata if it is missing"
            )
        })
}

#[cfg(test)]
mod tests;
