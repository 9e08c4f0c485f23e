//! Sessions of the server that others wait for.

use std::fmt;
use std::time::Duration;

/// How much of a query is shown: literals may hold secrets, and its beginning says what it is.
const SHOWN: usize = 80;

/// A session that holds locks which another waits for, or that has been in a transaction for long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocker {
    /// The server's number of it; 0 for a prepared transaction, which has no process.
    pub pid: u64,
    /// Whose it is.
    pub user: Option<String>,
    /// What the client calls itself, or where it is.
    pub application: Option<String>,
    /// What it does: `active`, `idle in transaction`.
    pub state: Option<String>,
    /// Since when its transaction is open.
    pub transaction_age: Option<Duration>,
    /// Since when its last query runs, or how long ago it began.
    pub query_age: Option<Duration>,
    /// The beginning of that query, on one line.
    pub query: Option<String>,
    /// Whether somebody waits for it now.
    pub blocks: bool,
}

/// The beginning of a query, at most 80 characters on one line.
pub fn shortened(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    line.chars().take(SHOWN - 1).chain(['…']).collect()
}

impl fmt::Display for Blocker {
    /// `pid 42, user app, application worker, idle in transaction, in a transaction for 12 s, last query 3 s ago: SELECT 1`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            formatter.write_str("a prepared transaction")?;
        } else {
            write!(formatter, "pid {}", self.pid)?;
        }
        for (name, value) in [
            ("user ", &self.user),
            ("application ", &self.application),
            ("", &self.state),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                write!(formatter, ", {name}{value}")?;
            }
        }
        if let Some(age) = self.transaction_age {
            write!(formatter, ", in a transaction for {} s", age.as_secs())?;
        }
        if let Some(age) = self.query_age {
            write!(formatter, ", last query {} s ago", age.as_secs())?;
        }
        match self.query.as_deref().filter(|query| !query.is_empty()) {
            Some(query) => write!(formatter, ": {query}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_query_is_cut_and_put_on_one_line() {
        assert_eq!(shortened("SELECT 1\n   FROM t"), "SELECT 1 FROM t");
        let cut = shortened(&"ä".repeat(81));
        assert_eq!(cut.chars().count(), 80);
        assert!(cut.ends_with('…'));
        assert_eq!(shortened(&"ä".repeat(80)), "ä".repeat(80));
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let blocker = Blocker {
            pid: 42,
            user: Some("app".to_owned()),
            transaction_age: Some(Duration::from_millis(12_300)),
            ..Blocker::default()
        };
        assert_eq!(
            blocker.to_string(),
            "pid 42, user app, in a transaction for 12 s"
        );
    }
}
