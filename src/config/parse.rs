//! How single values are written, on the command line, in the environment and in the file alike. An error is a
//! sentence that does not say where the value stands.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::choices::VerifyBackup;
use migration_forecast::risk::verdict::Allowed;
use rollback_core::backup::Verified;
use rollback_core::finding_code::NoSuchFinding;
use rollback_core::time::{self, Precision};

/// Splits a command line as a shell would.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(line).ok_or_else(|| format!("{line} has an open quote"))?;
    if words.is_empty() {
        return Err("the command line is empty".to_owned());
    }
    Ok(words)
}

/// Reads `table-dropped,column-dropped` or `all`.
pub(super) fn allowed(text: &str) -> Result<Allowed, String> {
    text.parse()
        .map_err(|error: NoSuchFinding| error.to_string())
}

impl fmt::Display for DeployedAt {
    /// As [`deployed_at`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(moment) => moment.fmt(formatter),
            Self::Ago(ago) => formatter.write_str(&duration_text(*ago)),
        }
    }
}

/// When a release went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeployedAt {
    /// At this moment.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl DeployedAt {
    /// The same as a moment, which does not move with the clock any more.
    #[must_use]
    pub fn settled(self, now: SystemTime) -> Self {
        self.moment(now).parse().map_or(self, Self::At)
    }

    /// The moment, RFC 3339 in UTC to the second.
    pub fn moment(self, now: SystemTime) -> String {
        match self {
            Self::At(moment) => moment.to_string(),
            Self::Ago(ago) => {
                let moment = now.checked_sub(ago).unwrap_or(UNIX_EPOCH);
                time::rfc3339(moment, Precision::Seconds)
            }
        }
    }
}

/// Reads `2026-11-21T04:00:00Z`, with any offset, or `4m` for four minutes ago.
pub fn deployed_at(text: &str) -> Result<DeployedAt, String> {
    if let Ok(moment) = text.parse() {
        return Ok(DeployedAt::At(moment));
    }
    time::duration(text).map(DeployedAt::Ago).ok_or_else(|| {
        format!("{text} is neither a moment such as 2026-11-21T04:00:00Z nor a time ago such as 4m")
    })
}

/// Reads `90s`, `5m`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match time::duration(text) {
        Some(duration) if duration.is_zero() => {
            Err("a time limit of nothing lets no step run".to_owned())
        }
        Some(duration) => Ok(duration),
        None => Err(format!(
            "{text} is not a duration such as 90s, 5m or 1h 30m"
        )),
    }
}

/// A duration as [`duration`] reads it, in its largest whole unit.
pub fn duration_text(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let units = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let whole = units
        .iter()
        .find(|(unit, _)| nanoseconds.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", nanoseconds / unit),
        None => format!("{nanoseconds}ns"),
    }
}

/// A limit as [`lock_timeout`] reads it.
pub fn lock_timeout_text(limit: Duration) -> String {
    if limit.is_zero() {
        "off".to_owned()
    } else {
        duration_text(limit)
    }
}

/// As [`duration`]; `off` and zero are no limit.
pub fn lock_timeout(text: &str) -> Result<Duration, String> {
    if ["off", "0"].contains(&text) {
        return Ok(Duration::ZERO);
    }
    match time::duration(text) {
        Some(limit) if limit.is_zero() => Ok(limit),
        _ => duration(text),
    }
}

/// Reads a yes or a no of the environment or the command line.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(format!("{text} is neither true nor false")),
    }
}

/// Reads a number of retries.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text} is no number of retries"))
}

/// Reads the name of one of several things.
pub(super) fn one_of<T: clap::ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false)
}

/// Reads how far a backup is proven.
pub(super) fn verified(text: &str) -> Result<Verified, String> {
    one_of::<VerifyBackup>(text).map(Verified::from)
}
