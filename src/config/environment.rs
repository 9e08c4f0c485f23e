//! The settings of the environment. An empty variable is none.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Layer;
use super::values::{allowed, deployed_at, duration, lock_timeout, one_of, words, yes_or_no};
use crate::domain::secret::Secret;
use crate::error::Failure;
use crate::process::Environment;

/// What the environment says.
pub(super) fn read(environment: &Environment) -> Result<Layer, Failure> {
    let variables = Variables(environment);
    Ok(Layer {
        engine: variables.read("ROLLBACK_ENGINE", one_of)?,
        migrations: path(environment, "ROLLBACK_MIGRATIONS"),
        history_schema: variables.text("ROLLBACK_HISTORY_SCHEMA")?,
        engine_command: variables.read("ROLLBACK_ENGINE_COMMAND", words)?,
        alembic_config: path(environment, "ROLLBACK_ALEMBIC_CONFIG"),
        name: variables.text("ROLLBACK_NAME")?,
        x: None,
        database_url: variables.text("ROLLBACK_DATABASE_URL")?.map(Secret::new),
        graph: variables.read("ROLLBACK_GRAPH", one_of)?,
        version_table: variables.text("ROLLBACK_VERSION_TABLE")?,
        version_table_schema: variables.text("ROLLBACK_VERSION_TABLE_SCHEMA")?,
        process_per_step: variables.read("ROLLBACK_PROCESS_PER_STEP", yes_or_no)?,
        warm: variables.read("ROLLBACK_WARM", one_of)?,
        timeout: variables.read("ROLLBACK_TIMEOUT", duration)?,
        lock_timeout: variables.read("ROLLBACK_LOCK_TIMEOUT", lock_timeout)?,
        lock_retries: variables.read("ROLLBACK_LOCK_RETRIES", |text| {
            text.parse()
                .map_err(|_| format!("{text} is no number of retries"))
        })?,
        validate: variables.read("ROLLBACK_VALIDATE", yes_or_no)?,
        state_dir: path(environment, "ROLLBACK_STATE_DIR"),
        check_budget: variables.read("ROLLBACK_CHECK_BUDGET", duration)?,
        may_lose_rows: None,
        strict: variables.read("ROLLBACK_STRICT", yes_or_no)?,
        allow: variables.read("ROLLBACK_ALLOW", allowed)?,
        probe: variables.read("ROLLBACK_PROBE", yes_or_no)?,
        probe_timeout: variables.read("ROLLBACK_PROBE_TIMEOUT", duration)?,
        environment: variables.text("ROLLBACK_ENVIRONMENT")?,
        policies: None,
        policy: None,
        reason: variables.text("ROLLBACK_REASON")?,
        incident: variables.text("ROLLBACK_INCIDENT")?,
        approved_by: variables.text("ROLLBACK_APPROVED_BY")?,
        deployed_at: variables.read("ROLLBACK_DEPLOYED_AT", deployed_at)?,
        backup: variables.read("ROLLBACK_BACKUP", one_of)?,
        verify_backup: variables.read("ROLLBACK_VERIFY_BACKUP", one_of)?,
        on_failure: variables.read("ROLLBACK_ON_FAILURE", one_of)?,
        checks: None,
        audit_table: variables.read("ROLLBACK_AUDIT_TABLE", yes_or_no)?,
        color: variables.read("ROLLBACK_COLOR", one_of)?,
        format: variables.read("ROLLBACK_FORMAT", one_of)?,
    })
}

/// A path, of any bytes.
pub(super) fn path(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment
        .get(OsStr::new(name))
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The variables that are text.
struct Variables<'a>(&'a Environment);

impl Variables<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        self.0
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())
            .map(|value| {
                value.to_str().map(str::to_owned).ok_or_else(|| {
                    bad(
                        format!("the environment variable {name} is not UTF-8"),
                        name,
                    )
                })
            })
            .transpose()
    }

    /// A variable, read by what knows how its value is written.
    fn read<T>(
        &self,
        name: &str,
        value: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        self.text(name)?
            .map(|text| value(&text))
            .transpose()
            .map_err(|reason| bad(format!("the environment variable {name}: {reason}"), name))
    }
}

fn bad(message: String, name: &str) -> Failure {
    Failure::user(message).hint(format!("set it anew or remove it: unset {name}"))
}
