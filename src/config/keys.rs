//! The keys of the file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Layer;
use super::check::{self, CheckFile};
use super::policy;
use super::values::{allowed, duration, lock_timeout, one_of, words};
use crate::domain::secret::Secret;
use crate::error::Failure;

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    engine: Option<String>,
    migrations: Option<PathBuf>,
    history_schema: Option<String>,
    engine_command: Option<StringOrList>,
    alembic_config: Option<PathBuf>,
    name: Option<String>,
    x: Option<Vec<String>>,
    database_url: Option<String>,
    graph: Option<String>,
    version_table: Option<String>,
    version_table_schema: Option<String>,
    process_per_step: Option<bool>,
    warm: Option<String>,
    timeout: Option<String>,
    lock_timeout: Option<String>,
    lock_retries: Option<u32>,
    validate: Option<bool>,
    state_dir: Option<PathBuf>,
    check_budget: Option<String>,
    may_lose_rows: Option<Vec<String>>,
    strict: Option<bool>,
    allow: Option<Vec<String>>,
    probe: Option<bool>,
    probe_timeout: Option<String>,
    environment: Option<String>,
    policy: Option<toml::Table>,
    backup: Option<String>,
    verify_backup: Option<String>,
    on_failure: Option<String>,
    check: Option<Vec<CheckFile>>,
    audit: Option<Audit>,
    color: Option<String>,
    format: Option<String>,
}

/// Every key of [`File`], for the check that names the nearest.
pub(super) const KEYS: [&str; 33] = [
    "engine",
    "migrations",
    "history_schema",
    "engine_command",
    "alembic_config",
    "name",
    "x",
    "database_url",
    "graph",
    "version_table",
    "version_table_schema",
    "process_per_step",
    "warm",
    "timeout",
    "lock_timeout",
    "lock_retries",
    "validate",
    "state_dir",
    "check_budget",
    "may_lose_rows",
    "strict",
    "allow",
    "probe",
    "probe_timeout",
    "environment",
    "policy",
    "backup",
    "verify_backup",
    "on_failure",
    "check",
    "audit",
    "color",
    "format",
];

/// The table `[audit]`.
#[derive(Debug, Deserialize)]
struct Audit {
    table: Option<bool>,
}

/// Its keys.
const AUDIT_KEYS: [&str; 1] = ["table"];

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum StringOrList {
    Line(String),
    List(Vec<String>),
}

impl StringOrList {
    fn read(self) -> Result<Vec<String>, String> {
        match self {
            Self::Line(line) => words(&line),
            Self::List(words) => Ok(words),
        }
    }
}

/// What the keys of a file say.
pub(super) fn layer(path: &Path, table: toml::Table) -> Result<Layer, Failure> {
    all_known(path, &table)?;
    let file: File = table.try_into().map_err(|error: toml::de::Error| {
        bad(format!("{}: {}", path.display(), error.message()))
    })?;
    let source = Source(path);
    Ok(Layer {
        engine: source.read("engine", file.engine, |text| one_of(&text))?,
        migrations: file.migrations.map(|folder| source.resolve(&folder)),
        history_schema: file.history_schema,
        engine_command: source.read("engine_command", file.engine_command, StringOrList::read)?,
        alembic_config: file.alembic_config.map(|config| source.resolve(&config)),
        name: file.name,
        x: file.x,
        database_url: file.database_url.map(Secret::new),
        graph: source.read("graph", file.graph, |text| one_of(&text))?,
        version_table: file.version_table,
        version_table_schema: file.version_table_schema,
        process_per_step: file.process_per_step,
        warm: source.read("warm", file.warm, |text| one_of(&text))?,
        timeout: source.read("timeout", file.timeout, |text| duration(&text))?,
        lock_timeout: source.read("lock_timeout", file.lock_timeout, |text| {
            lock_timeout(&text)
        })?,
        lock_retries: file.lock_retries,
        validate: file.validate,
        state_dir: file.state_dir.map(|dir| source.resolve(&dir)),
        check_budget: source.read("check_budget", file.check_budget, |text| duration(&text))?,
        may_lose_rows: file.may_lose_rows,
        strict: file.strict,
        allow: source.read("allow", file.allow, |codes| allowed(&codes.join(",")))?,
        probe: file.probe,
        probe_timeout: source.read("probe_timeout", file.probe_timeout, |text| duration(&text))?,
        environment: file.environment,
        policies: source.read("policy", file.policy, |table| policy::read(&table))?,
        policy: None,
        reason: None,
        incident: None,
        approved_by: None,
        deployed_at: None,
        backup: source.read("backup", file.backup, |text| one_of(&text))?,
        verify_backup: source.read("verify_backup", file.verify_backup, |text| one_of(&text))?,
        on_failure: source.read("on_failure", file.on_failure, |text| one_of(&text))?,
        checks: source.read("check", file.check, |checks| {
            checks.into_iter().map(check::read).collect()
        })?,
        audit_table: file.audit.and_then(|audit| audit.table),
        color: source.read("color", file.color, |text| one_of(&text))?,
        format: source.read("format", file.format, |text| one_of(&text))?,
    })
}

/// The file that values stand in, to be named where one of them is wrong.
struct Source<'a>(&'a Path);

impl Source<'_> {
    /// A value, read by what knows how it is written.
    fn read<T, V>(
        &self,
        key: &str,
        written: Option<T>,
        value: impl FnOnce(T) -> Result<V, String>,
    ) -> Result<Option<V>, Failure> {
        written
            .map(value)
            .transpose()
            .map_err(|reason| bad(format!("{}, {key}: {reason}", self.0.display())))
    }

    /// Relative paths in a file are meant from where the file is.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.0.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn bad(message: String) -> Failure {
    Failure::user(message).hint("mend the file; README.md lists its keys")
}

/// Refuses what nobody knows, here and in the tables that have keys of their own.
fn all_known(path: &Path, table: &toml::Table) -> Result<(), Failure> {
    known(path, table, &KEYS, "")?;
    for check in table
        .get("check")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
    {
        known(path, check, &CheckFile::KEYS, " in a check")?;
    }
    let policies = table.get("policy").and_then(toml::Value::as_table);
    for (place, table) in policies.map(policy::tables).unwrap_or_default() {
        known(path, &table, &policy::KEYS, &format!(" in [{place}]"))?;
    }
    if let Some(audit) = table.get("audit").and_then(toml::Value::as_table) {
        known(path, audit, &AUDIT_KEYS, " in [audit]")?;
    }
    Ok(())
}

/// Refuses a key that nobody knows, and names the nearest.
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
