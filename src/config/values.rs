//! How single values are written, on the command line, in the environment and in the file alike. An error is a
//! sentence that does not say where the value stands.

use std::time::Duration;

use crate::domain::risk::{self, verdict::Allowed};

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

/// Reads a yes or a no of the environment.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("{text} is neither true nor false")),
    }
}

/// Reads the name of one of several things.
pub(super) fn one_of<T: clap::ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false)
}
