//! Settings: flags win over the environment, the environment over the file.
//!
//! The file is `rollback.toml` in the project's directory, or `[tool.rollback]` in its
//! `pyproject.toml`. The environment has each setting but `x` as `ROLLBACK_` and its name in capitals.
//!
//! A setting is a field of [`Layer`], a key in `keys.rs` and a variable in `environment.rs`. A table of the file that
//! has keys of its own, such as `[[check]]`, has a file of its own here.

mod backup;
mod check;
mod environment;
mod file;
mod keys;
mod layer;
mod policy;
mod values;

use std::path::Path;
use std::time::Duration;

pub use self::backup::{BackupWhen, OnFailure, VerifyBackup};
pub use self::layer::{EngineKind, GraphSource, Layer, Warm};
pub use self::policy::Policies;
pub use self::values::{
    DeployedAt, deployed_at, duration, duration_text, lock_timeout, lock_timeout_text, words,
};
use crate::domain::policy::Policy;
use crate::error::Failure;
use crate::process::Environment;

/// How long a step may wait for a lock where nothing else is said. All who come after it wait behind it.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Puts the three layers together for a project in `dir`. `file` is what `--config` names.
pub fn settle(
    flags: Layer,
    environment: &Environment,
    dir: &Path,
    file: Option<&Path>,
) -> Result<Layer, Failure> {
    let from_environment = environment::read(environment)?;
    let named = file
        .map(Path::to_owned)
        .or_else(|| environment::path(environment, "ROLLBACK_CONFIG"));
    let from_file = match named {
        Some(file) => {
            let file = dir.join(file);
            let layer = file::read_named(&file)?;
            policy::is_not_set_aside(&file, &layer, dir)?;
            layer
        }
        None => file::read_of_directory(dir)?,
    };
    let above = flags.over(from_environment);
    policy::is_not_elsewhere(&above, &from_file)?;
    let mut settled = above.over(from_file);
    let policies = settled.policies.clone().unwrap_or_default();
    let policy = policies.of(settled.environment.as_deref())?;
    settled.policy = (policy != Policy::default()).then_some(policy);
    Ok(settled)
}

#[cfg(test)]
mod tests;
