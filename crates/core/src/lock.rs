//! Who is at a database: the claim that a run leaves at its lock, for the next one to read.

use crate::time::{self, Precision};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// PostgreSQL cuts an `application_name` off after 63 bytes; it is the narrowest of the places.
pub const CLAIM_BYTES: usize = 63;

/// `roll` and `back` in ASCII, the two integers of the advisory lock on PostgreSQL: the same for everybody, for
/// ever. Another program that asks for just these would keep us out, and we would name its session.
pub const POSTGRES_KEY: (i32, i32) = (0x726f_6c6c, 0x6261_636b);

/// How a claim begins, so that no other text is taken for one.
const MARK: &str = "rollback";

/// One of a claim's names.
type Part = fn(&mut LockOwner) -> &mut String;

/// The person and the process of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The name of the login.
    pub user: String,
    /// The machine's own name.
    pub host: String,
    /// The process.
    pub pid: u32,
}

/// What a run says of itself to whoever finds the database locked.
///
/// Its text holds at most [`CLAIM_BYTES`] bytes of printable ASCII:
/// `rollback RUN [SECONDS-PID ]USER@HOST`, the part in brackets only where the run's id does not begin
/// with the same moment and process, as that of a run which another process goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOwner {
    /// The id of the run, without blanks.
    pub run: String,
    /// Whose process.
    pub operator: Operator,
    /// When the process claimed the database, to the second.
    pub since: SystemTime,
}

/// A new id for a run: the moment to the second in UTC, and the process, `20261121T040000Z-4711`.
pub fn new_run_id(now: SystemTime, pid: u32) -> String {
    let moment = time::rfc3339(now, Precision::Seconds);
    format!("{}-{pid}", moment.replace(['-', ':'], ""))
}

impl LockOwner {
    /// A claim as it can be written: names lose what is not printable ASCII, and their ends where the
    /// text would be too long.
    pub fn new(run: &str, operator: &Operator, since: SystemTime) -> Self {
        let mut claim = Self {
            run: plain(run),
            operator: Operator {
                user: plain(&operator.user),
                host: plain(&operator.host),
                pid: operator.pid,
            },
            since: to_the_second(since),
        };
        // The end of a host's name is the domain, which tells least.
        let parts: [(Part, usize); 3] = [
            (|claim| &mut claim.operator.host, 8),
            (|claim| &mut claim.operator.user, 4),
            (|claim| &mut claim.run, 0),
        ];
        for (part, least) in parts {
            while claim.to_string().len() > CLAIM_BYTES && part(&mut claim).len() > least {
                part(&mut claim).pop();
            }
        }
        claim
    }

    /// Reads the text of a claim; anything else is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix(MARK)?.strip_prefix(' ')?.split(' ');
        let run = words.next()?.to_owned();
        let mut last = words.next()?;
        let (since, pid) = match words.next() {
            Some(names) => {
                let (seconds, pid) = std::mem::replace(&mut last, names).split_once('-')?;
                let since = Duration::from_secs(seconds.parse().ok()?);
                (UNIX_EPOCH.checked_add(since)?, pid.parse().ok()?)
            }
            None => moment_and_process(&run)?,
        };
        let (user, host) = last.split_once('@')?;
        (words.next().is_none() && !user.is_empty()).then(|| Self {
            run,
            operator: Operator {
                user: user.to_owned(),
                host: host.to_owned(),
                pid,
            },
            since,
        })
    }
}

impl fmt::Display for LockOwner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            operator: Operator { user, host, pid },
            since,
        } = self;
        write!(formatter, "{MARK} {run} ")?;
        if moment_and_process(run) != Some((*since, *pid)) {
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
            write!(formatter, "{}-{pid} ", since.as_secs())?;
        }
        write!(formatter, "{user}@{host}")
    }
}

/// What an id of [`new_run_id`] begins with.
fn moment_and_process(run: &str) -> Option<(SystemTime, u32)> {
    let mut parts = run.split('-');
    let (moment, pid) = (parts.next()?, parts.next()?);
    let digits = moment.strip_suffix('Z')?.split_once('T')?;
    let (date, time) = digits;
    if date.len() != 8 || time.len() != 6 || !date.is_ascii() || !time.is_ascii() {
        return None;
    }
    let moment = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    Some((time::moment(&moment)?, pid.parse().ok()?))
}

fn to_the_second(moment: SystemTime) -> SystemTime {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(seconds.as_secs())
}

/// Without what would end a word or be rewritten by a server.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| match character {
            '@' => '_',
            character if character.is_ascii_graphic() => character,
            _ => '_',
        })
        .collect();
    if plain.is_empty() {
        "?".to_owned()
    } else {
        plain
    }
}

/// What an attempt to lock a database came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locked {
    /// It is ours.
    Taken,
    /// It is somebody else's.
    HeldBy(Holder),
}

/// Who holds a lock, as far as it can be seen. A holder that has just let go leaves both empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// In its own words.
    pub claim: Option<LockOwner>,
    /// In the server's words, such as `session 4711 of the database user app from 10.0.0.5`.
    pub session: Option<String>,
}

impl Holder {
    /// For how long it has had the lock, by its own clock and ours; `None` where it does not say since when.
    pub fn held_for(&self, now: SystemTime) -> Option<Duration> {
        now.duration_since(self.claim.as_ref()?.since).ok()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(claim) = &self.claim else {
            return formatter.write_str(
                self.session
                    .as_deref()
                    .unwrap_or("a holder that does not say who it is"),
            );
        };
        let since = time::rfc3339(claim.since, Precision::Seconds);
        let since = since.trim_end_matches('Z').replace('T', " ");
        let Operator { user, host, pid } = &claim.operator;
        write!(
            formatter,
            "run {} of {user} on {host}, process {pid}, since {since} UTC",
            claim.run
        )?;
        match &self.session {
            Some(session) => write!(formatter, " ({session})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(user: &str, host: &str) -> Operator {
        Operator {
            user: user.to_owned(),
            host: host.to_owned(),
            pid: 4711,
        }
    }

    fn moment() -> SystemTime {
        time::moment("2026-11-21T04:00:00.7Z").unwrap()
    }

    #[test]
    fn an_id_is_the_moment_and_the_process() {
        assert_eq!(new_run_id(moment(), 4711), "20261121T040000Z-4711");
    }

    #[test]
    fn a_claim_is_read_back_as_it_was_written() {
        let claim = LockOwner::new(
            &new_run_id(moment(), 4711),
            &operator("anna", "build-7"),
            moment(),
        );
        assert_eq!(
            claim.to_string(),
            "rollback 20261121T040000Z-4711 anna@build-7"
        );
        assert_eq!(LockOwner::parse(&claim.to_string()), Some(claim));
    }

    #[test]
    fn a_run_that_another_process_goes_on_with_names_both() {
        let later = moment() + Duration::from_hours(1);
        for run in ["20261121T040000Z-99", "nightly", "20261121T040000Z-x"] {
            let claim = LockOwner::new(run, &operator("anna", "b7"), later);
            assert_eq!(
                claim.to_string(),
                format!("rollback {run} 1795237200-4711 anna@b7")
            );
            assert_eq!(LockOwner::parse(&claim.to_string()), Some(claim));
        }
    }

    #[test]
    fn long_and_odd_names_fit() {
        let long = "x".repeat(200);
        for (user, host, run) in [
            (long.as_str(), long.as_str(), long.as_str()),
            ("anna", long.as_str(), "20261121T040000Z-4711"),
            ("Åsa Öberg", "höst.example\n", "a run"),
            ("a@b", "", ""),
            (long.as_str(), "", "20261121T040000Z-1"),
        ] {
            for pid in [1, u32::MAX] {
                let operator = Operator {
                    pid,
                    ..operator(user, host)
                };
                let claim = LockOwner::new(run, &operator, moment());
                let text = claim.to_string();
                assert!(text.len() <= CLAIM_BYTES, "{text}");
                assert!(text.bytes().all(|byte| matches!(byte, 32..=126)), "{text}");
                assert_eq!(claim.operator.pid, pid);
                assert_eq!(LockOwner::parse(&text), Some(claim), "{text}");
            }
        }
        let claim = LockOwner::new("20261121T040000Z-4711", &operator("anna", &long), moment());
        assert_eq!(claim.operator.user, "anna");
    }

    #[test]
    fn another_text_is_no_claim() {
        for text in [
            "",
            "rollback",
            "psql",
            "rollback x",
            "rollback x anna@b",
            "rollback 20261121T040000Z-4711",
            "rollback 20261121T040000Z-4711 anna",
            "rollback 20261321T040000Z-4711 anna@b",
            "rollback x 1-2 anna@b more",
            "rollback x 99999999999999999999-2 anna@b",
            "rollback x 18446744073709551615-2 anna@b",
            "rollback ÄÄÄÄTÄÄÄZ-1 anna@b",
        ] {
            assert_eq!(LockOwner::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_holder_is_told_as_far_as_it_is_known() {
        let claim = LockOwner::new("20261121T040000Z-4711", &operator("anna", "b7"), moment());
        let mut holder = Holder {
            claim: Some(claim),
            session: Some("session 9 of the database user app".to_owned()),
        };
        assert_eq!(
            holder.to_string(),
            "run 20261121T040000Z-4711 of anna on b7, process 4711, since 2026-11-21 04:00:00 UTC \
             (session 9 of the database user app)"
        );
        holder.claim = None;
        assert_eq!(holder.to_string(), "session 9 of the database user app");
        assert_eq!(
            Holder::default().to_string(),
            "a holder that does not say who it is"
        );
    }
}
