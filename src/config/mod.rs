//! Settings: flags win over the environment, the environment over the file.
//!
//! The file is `rollback.toml` in the project's directory, or `[tool.rollback]` in its
//! `pyproject.toml`. The environment has each setting but `x` as `ROLLBACK_` and its name in capitals.
//!
//! A setting is a field of [`Layer`], a key in `keys.rs` and a variable in `environment.rs`. A table of the file that
//! has keys of its own, such as `[[check]]`, has a file of its own here.

mod check;
mod environment;
mod file;
mod keys;
mod layer;
mod values;

use std::path::Path;
use std::time::Duration;

pub use self::layer::{GraphSource, Layer};
pub use self::values::{allowed, duration, lock_timeout, words};
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
        Some(file) => file::read_named(&dir.join(file))?,
        None => file::read_of_directory(dir)?,
    };
    Ok(flags.over(from_environment).over(from_file))
}

#[cfg(test)]
mod tests;
