//! Settings: flags win over the environment, the environment over the file.
//!
//! The file is `rollback.toml` in the project's directory, or `[tool.rollback]` in its
//! `pyproject.toml`. The environment has each setting but `x` as `ROLLBACK_` and its name in capitals.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use serde::Deserialize;

use crate::checks::{Check, CheckFile, check};
use crate::domain::risk::{self, verdict::Allowed};
use crate::domain::secret::Secret;
use crate::error::Failure;
use crate::process::Environment;
use crate::ui::{ColorChoice, Format};

/// How long a step may wait for a lock where nothing else is said. All who come after it wait behind it.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The name of the file.
const FILE: &str = "rollback.toml";

/// Who tells which revisions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphSource {
    /// The version files, read and not run.
    Files,
    /// The engine.
    Engine,
}

/// One layer of settings: what one source says, `None` where it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// The words of the engine's command line.
    pub engine_command: Option<Vec<String>>,
    /// Alembic's own configuration file.
    pub alembic_config: Option<PathBuf>,
    /// The section of Alembic's configuration.
    pub name: Option<String>,
    /// `KEY=VALUE` for Alembic's `-x`.
    pub x: Option<Vec<String>>,
    /// The database; secret as a whole, since it may hold a password.
    pub database_url: Option<Secret>,
    /// Who tells the history.
    pub graph: Option<GraphSource>,
    /// The version table's name.
    pub version_table: Option<String>,
    /// The version table's schema.
    pub version_table_schema: Option<String>,
    /// The longest time one step may take.
    pub timeout: Option<Duration>,
    /// How long a step may wait for a lock of the database; zero for as long as it takes.
    pub lock_timeout: Option<Duration>,
    /// How often a step that waited in vain, and that the server took back, is run again.
    pub lock_retries: Option<u32>,
    /// Whether each step is looked up in the database.
    pub validate: Option<bool>,
    /// The folder of the records, relative to the project's directory.
    pub state_dir: Option<PathBuf>,
    /// How long counting rows may take, and as long again looking for faults.
    pub check_budget: Option<Duration>,
    /// Tables whose rows a downgrade may take away.
    pub may_lose_rows: Option<Vec<String>>,
    /// The findings that need no consent of their own.
    pub allow: Option<Allowed>,
    /// Whether the database is asked what a plan puts at risk.
    pub probe: Option<bool>,
    /// How long that may take, all questions together.
    pub probe_timeout: Option<Duration>,
    /// The project's own checks.
    pub checks: Option<Vec<Check>>,
    /// When to colour.
    pub color: Option<ColorChoice>,
    /// For whom data is written.
    pub format: Option<Format>,
}

impl Layer {
    /// This layer where it says something, the other where it does not.
    fn over(self, below: Self) -> Self {
        Self {
            engine_command: self.engine_command.or(below.engine_command),
            alembic_config: self.alembic_config.or(below.alembic_config),
            name: self.name.or(below.name),
            x: self.x.or(below.x),
            database_url: self.database_url.or(below.database_url),
            graph: self.graph.or(below.graph),
            version_table: self.version_table.or(below.version_table),
            version_table_schema: self.version_table_schema.or(below.version_table_schema),
            timeout: self.timeout.or(below.timeout),
            lock_timeout: self.lock_timeout.or(below.lock_timeout),
            lock_retries: self.lock_retries.or(below.lock_retries),
            validate: self.validate.or(below.validate),
            state_dir: self.state_dir.or(below.state_dir),
            check_budget: self.check_budget.or(below.check_budget),
            may_lose_rows: self.may_lose_rows.or(below.may_lose_rows),
            allow: self.allow.or(below.allow),
            probe: self.probe.or(below.probe),
            probe_timeout: self.probe_timeout.or(below.probe_timeout),
            checks: self.checks.or(below.checks),
            color: self.color.or(below.color),
            format: self.format.or(below.format),
        }
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    engine_command: Option<Words>,
    alembic_config: Option<PathBuf>,
    name: Option<String>,
    x: Option<Vec<String>>,
    database_url: Option<String>,
    graph: Option<String>,
    version_table: Option<String>,
    version_table_schema: Option<String>,
    timeout: Option<String>,
    lock_timeout: Option<String>,
    lock_retries: Option<u32>,
    validate: Option<bool>,
    state_dir: Option<PathBuf>,
    check_budget: Option<String>,
    may_lose_rows: Option<Vec<String>>,
    allow: Option<Vec<String>>,
    probe: Option<bool>,
    probe_timeout: Option<String>,
    check: Option<Vec<CheckFile>>,
    color: Option<String>,
    format: Option<String>,
}

/// Every key of [`File`], for the check that names the nearest.
const KEYS: [&str; 21] = [
    "engine_command",
    "alembic_config",
    "name",
    "x",
    "database_url",
    "graph",
    "version_table",
    "version_table_schema",
    "timeout",
    "lock_timeout",
    "lock_retries",
    "validate",
    "state_dir",
    "check_budget",
    "may_lose_rows",
    "allow",
    "probe",
    "probe_timeout",
    "check",
    "color",
    "format",
];

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Line(String),
    List(Vec<String>),
}

/// Puts the three layers together for a project in `dir`. `file` is what `--config` names.
pub fn settle(
    flags: Layer,
    environment: &Environment,
    dir: &Path,
    file: Option<&Path>,
) -> Result<Layer, Failure> {
    let from_environment = from_environment(environment)?;
    let named = file
        .map(Path::to_owned)
        .or_else(|| path(environment, "ROLLBACK_CONFIG"));
    let from_file = match named {
        Some(file) => from_named_file(&dir.join(file))?,
        None => from_directory(dir)?,
    };
    Ok(flags.over(from_environment).over(from_file))
}

fn from_named_file(path: &Path) -> Result<Layer, Failure> {
    if path.extension().is_some_and(|extension| extension == "ini") {
        return Err(Failure::user(format!(
            "{} is Alembic's configuration, and --config names ours",
            path.display()
        ))
        .hint(format!(
            "give it to Alembic: --alembic-config {}",
            path.display()
        )));
    }
    let text = read(path)?.ok_or_else(|| {
        Failure::user(format!(
            "the configuration file {} does not exist",
            path.display()
        ))
        .hint("leave --config away to use rollback.toml of the project's directory, if any")
    })?;
    let table = parse(path, &text)?;
    let inner = match path.file_name() {
        Some(name) if name == "pyproject.toml" => tool_rollback(table).unwrap_or_default(),
        _ => table,
    };
    layer(path, inner)
}

fn from_directory(dir: &Path) -> Result<Layer, Failure> {
    let own = dir.join(FILE);
    if let Some(text) = read(&own)? {
        return layer(&own, parse(&own, &text)?);
    }
    let project = dir.join("pyproject.toml");
    // A pyproject.toml that does not parse is somebody else's to complain about, unless it is ours.
    if let Some(text) = read(&project)?
        && text.contains("tool.rollback")
        && let Some(table) = tool_rollback(parse(&project, &text)?)
    {
        return layer(&project, table);
    }
    Ok(Layer::default())
}

fn tool_rollback(mut project: toml::Table) -> Option<toml::Table> {
    match project
        .get_mut("tool")?
        .as_table_mut()?
        .remove("rollback")?
    {
        toml::Value::Table(table) => Some(table),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(
            Failure::user(format!("cannot read {}: {error}", path.display()))
                .hint("check its permissions, or name another file with --config FILE"),
        ),
    }
}

fn parse(path: &Path, text: &str) -> Result<toml::Table, Failure> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Failure::user(format!(
            "{}, line {line}: {}",
            path.display(),
            error.message()
        ))
        .hint("mend the file; README.md lists its keys")
    })
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

fn layer(path: &Path, table: toml::Table) -> Result<Layer, Failure> {
    known(path, &table, &KEYS, "")?;
    for check in table
        .get("check")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
    {
        if let Some(check) = check.as_table() {
            known(path, check, &CheckFile::KEYS, " in a check")?;
        }
    }
    let bad = |key: &str, reason: String| {
        Failure::user(format!("{}, {key}: {reason}", path.display()))
            .hint("mend the file; README.md lists its keys")
    };
    let file: File = table.try_into().map_err(|error: toml::de::Error| {
        Failure::user(format!("{}: {}", path.display(), error.message()))
            .hint("mend the file; README.md lists its keys")
    })?;
    // Relative paths in a file are meant from where the file is.
    let base = path.parent().unwrap_or(Path::new(""));
    Ok(Layer {
        engine_command: match file.engine_command {
            Some(Words::Line(line)) => {
                Some(words(&line).map_err(|reason| bad("engine_command", reason))?)
            }
            Some(Words::List(words)) => Some(words),
            None => None,
        },
        alembic_config: file.alembic_config.map(|config| base.join(config)),
        name: file.name,
        x: file.x,
        database_url: file.database_url.map(Secret::new),
        graph: file
            .graph
            .map(|text| GraphSource::from_str(&text, false))
            .transpose()
            .map_err(|reason| bad("graph", reason))?,
        version_table: file.version_table,
        version_table_schema: file.version_table_schema,
        timeout: file
            .timeout
            .map(|text| duration(&text))
            .transpose()
            .map_err(|reason| bad("timeout", reason))?,
        lock_timeout: file
            .lock_timeout
            .map(|text| lock_timeout(&text))
            .transpose()
            .map_err(|reason| bad("lock_timeout", reason))?,
        lock_retries: file.lock_retries,
        validate: file.validate,
        state_dir: file.state_dir.map(|dir| base.join(dir)),
        check_budget: file
            .check_budget
            .map(|text| duration(&text))
            .transpose()
            .map_err(|reason| bad("check_budget", reason))?,
        may_lose_rows: file.may_lose_rows,
        allow: file
            .allow
            .map(|codes| allowed(&codes.join(",")))
            .transpose()
            .map_err(|reason| bad("allow", reason))?,
        probe: file.probe,
        probe_timeout: file
            .probe_timeout
            .map(|text| duration(&text))
            .transpose()
            .map_err(|reason| bad("probe_timeout", reason))?,
        checks: file
            .check
            .map(|checks| {
                let checks = checks.into_iter().map(|file| check(file, words, duration));
                checks.collect::<Result<_, _>>()
            })
            .transpose()
            .map_err(|reason| bad("check", reason))?,
        color: file
            .color
            .map(|text| ColorChoice::from_str(&text, false))
            .transpose()
            .map_err(|reason| bad("color", reason))?,
        format: file
            .format
            .map(|text| Format::from_str(&text, false))
            .transpose()
            .map_err(|reason| bad("format", reason))?,
    })
}

/// A path from the environment, of any bytes; an empty variable is none.
fn path(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment
        .get(OsStr::new(name))
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn from_environment(environment: &Environment) -> Result<Layer, Failure> {
    let get = |name: &str| {
        environment
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
            .map(|value| {
                value.to_str().map(str::to_owned).ok_or_else(|| {
                    Failure::user(format!("the environment variable {name} is not UTF-8"))
                        .hint(format!("set it anew or remove it: unset {name}"))
                })
            })
    };
    let bad = |name: &str| {
        let name = name.to_owned();
        move |reason: String| {
            Failure::user(format!("the environment variable {name}: {reason}"))
                .hint(format!("set it anew or remove it: unset {name}"))
        }
    };
    let text = |name: &str| get(name).transpose();
    let yes_or_no = |text: String| match text.as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("{text} is neither true nor false")),
    };
    Ok(Layer {
        engine_command: text("ROLLBACK_ENGINE_COMMAND")?
            .map(|line| words(&line))
            .transpose()
            .map_err(bad("ROLLBACK_ENGINE_COMMAND"))?,
        alembic_config: path(environment, "ROLLBACK_ALEMBIC_CONFIG"),
        name: text("ROLLBACK_NAME")?,
        x: None,
        database_url: text("ROLLBACK_DATABASE_URL")?.map(Secret::new),
        graph: text("ROLLBACK_GRAPH")?
            .map(|text| GraphSource::from_str(&text, false))
            .transpose()
            .map_err(bad("ROLLBACK_GRAPH"))?,
        version_table: text("ROLLBACK_VERSION_TABLE")?,
        version_table_schema: text("ROLLBACK_VERSION_TABLE_SCHEMA")?,
        timeout: text("ROLLBACK_TIMEOUT")?
            .map(|text| duration(&text))
            .transpose()
            .map_err(bad("ROLLBACK_TIMEOUT"))?,
        lock_timeout: text("ROLLBACK_LOCK_TIMEOUT")?
            .map(|text| lock_timeout(&text))
            .transpose()
            .map_err(bad("ROLLBACK_LOCK_TIMEOUT"))?,
        lock_retries: text("ROLLBACK_LOCK_RETRIES")?
            .map(|text| {
                text.parse()
                    .map_err(|_| format!("{text} is no number of retries"))
            })
            .transpose()
            .map_err(bad("ROLLBACK_LOCK_RETRIES"))?,
        validate: text("ROLLBACK_VALIDATE")?
            .map(yes_or_no)
            .transpose()
            .map_err(bad("ROLLBACK_VALIDATE"))?,
        state_dir: path(environment, "ROLLBACK_STATE_DIR"),
        check_budget: text("ROLLBACK_CHECK_BUDGET")?
            .map(|text| duration(&text))
            .transpose()
            .map_err(bad("ROLLBACK_CHECK_BUDGET"))?,
        may_lose_rows: None,
        allow: text("ROLLBACK_ALLOW")?
            .map(|text| allowed(&text))
            .transpose()
            .map_err(bad("ROLLBACK_ALLOW"))?,
        probe: text("ROLLBACK_PROBE")?
            .map(yes_or_no)
            .transpose()
            .map_err(bad("ROLLBACK_PROBE"))?,
        probe_timeout: text("ROLLBACK_PROBE_TIMEOUT")?
            .map(|text| duration(&text))
            .transpose()
            .map_err(bad("ROLLBACK_PROBE_TIMEOUT"))?,
        checks: None,
        color: text("ROLLBACK_COLOR")?
            .map(|text| ColorChoice::from_str(&text, false))
            .transpose()
            .map_err(bad("ROLLBACK_COLOR"))?,
        format: text("ROLLBACK_FORMAT")?
            .map(|text| Format::from_str(&text, false))
            .transpose()
            .map_err(bad("ROLLBACK_FORMAT"))?,
    })
}

/// Splits a command line as a shell would.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(line).ok_or_else(|| format!("{line} has an open quote"))?;
    if words.is_empty() {
        return Err("the command line is empty".to_owned());
    }
    Ok(words)
}

/// Reads `table-dropped,column-dropped` or `all`.
pub fn allowed(text: &str) -> Result<Allowed, String> {
    Allowed::parse(text).map_err(|error| {
        format!(
            "{error}; the findings are {}",
            risk::codes().into_iter().collect::<Vec<_>>().join(", ")
        )
    })
}

/// Reads `90s`, `5m`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => {
            Err("a time limit of nothing lets no step run".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!(
            "{text} is no duration such as 90s, 5m or 1h 30m: {error}"
        )),
    }
}

/// As [`duration`]; `off` and zero are no limit.
pub fn lock_timeout(text: &str) -> Result<Duration, String> {
    if ["off", "0"].contains(&text) {
        return Ok(Duration::ZERO);
    }
    match humantime::parse_duration(text) {
        Ok(limit) if limit.is_zero() => Ok(limit),
        _ => duration(text),
    }
}

#[cfg(test)]
mod tests;
