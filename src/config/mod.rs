//! Settings: flags win over the environment, the environment over the file.
//!
//! The file is `rollback.toml` in the project's directory, or `[tool.rollback]` in its
//! `pyproject.toml`. `settings.rs` declares each setting once. A table of the file that has keys of its own, such as
//! `[[check]]`, has a file of its own here.

mod check;
mod choices;
mod file;
mod parse;
mod partial;
mod policy;
mod settings;
mod source;
mod toml;

use std::path::{Path, PathBuf};

pub use self::choices::{BackupWhen, EngineKind, GraphSource, OnFailure, VerifyBackup, Warm};
pub use self::parse::{
    DeployedAt, deployed_at, duration, duration_text, lock_timeout, lock_timeout_text, words,
};
pub use self::partial::{Fallback, Setting};
pub use self::policy::Policies;
pub use self::settings::{PartialSettings, SETTINGS, Settings};
use self::source::SettingSource;
use crate::error::Failure;
use rollback_system::process::Environment;

/// Puts the three sources together for a project in `dir`. `file` is what `--config` names.
pub fn resolve(
    flags: PartialSettings,
    environment: &Environment,
    dir: &Path,
    file: Option<&Path>,
) -> Result<Settings, Failure> {
    let from_environment = PartialSettings::read(&SettingSource::Environment(environment))?;
    let named = file
        .map(Path::to_owned)
        .or_else(|| source::variable(environment, "ROLLBACK_CONFIG").map(PathBuf::from));
    let from_file = match named {
        Some(file) => {
            let file = dir.join(file);
            let settings = file::read_named(&file)?;
            policy::is_not_set_aside(&file, &settings, dir)?;
            settings
        }
        None => file::read_of_directory(dir)?,
    };
    let above = flags.over(from_environment);
    policy::is_not_elsewhere(&above, &from_file)?;
    let mut merged = above.over(from_file);
    let warm = merged.warm.map(|warm| warm == Warm::Never);
    merged.process_per_step = merged.process_per_step.or(warm);
    let mut settings = merged.or_defaults();
    settings.policy = settings.policies.of(settings.environment.as_deref())?;
    Ok(settings)
}

#[cfg(test)]
mod tests;
