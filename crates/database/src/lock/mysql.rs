//! MySQL and MariaDB: `GET_LOCK`, which holds for the server, under a name of the database.
//!
//! Nothing that another session may read shows a text of our own: its user variables are private, its
//! processlist entry shows a running statement only. But everybody may ask who holds a named lock, and a
//! session may hold many (MySQL 5.7.5, MariaDB 10.0.2). So the claim is spelled in locks, one for each bit
//! that is set, under names that hold the connection's id.

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};

use super::super::DatabaseError;
use super::super::connection::{Connection, SessionError, text};
use super::{lost, pooled};
use rollback_core::lock::{CLAIM_BYTES, Holder, LockOwner, Locked};
use rollback_core::secret::Secret;

/// The name of the lock as the server computes it, so that all agree: 48 characters of the 64 that one may
/// have. Names of locks do not tell upper from lower case; the digest does, where the server does.
const NAME: &str = "CONCAT('rollback', LEFT(SHA2(IF(@@lower_case_table_names = 0, DATABASE(), \
     LOWER(DATABASE())), 256), 40))";

/// A step may take longer than a connection is allowed to be idle. A day, not for ever: this is also how
/// long a machine that is gone without a word keeps its locks at most.
const KEEP: &str = "SET SESSION wait_timeout = 86400";

/// The text is ASCII.
const BITS: usize = 7;

/// The connection of a lock that is held or waited for.
pub(in super::super) struct MySqlLock {
    session: Connection<MySqlConnection>,
    place: String,
}

impl MySqlLock {
    /// Opens the connection and spells the claim, which so is readable before the lock is held.
    pub(in super::super) fn open(
        options: Vec<MySqlConnectOptions>,
        place: String,
        password: Option<Secret>,
        claim: &LockOwner,
    ) -> Result<Self, DatabaseError> {
        let mut lock = Self {
            session: Connection::open(options, place.clone(), password)?,
            place,
        };
        lock.session.rows_here(KEEP)?;
        let id = lock.value("SELECT CONNECTION_ID()")?.unwrap_or_default();
        let locks: Vec<String> = set_bits(&claim.to_string())
            .map(|bit| format!("GET_LOCK('{}', 0)", bit_name(&id, bit)))
            .collect();
        // A claim that cannot be spelled leaves the connection to be named, no more.
        let _ = lock.value(&format!("SELECT {}", locks.join(" + ")));
        Ok(lock)
    }

    pub(in super::super) fn take(&mut self) -> Result<Locked, DatabaseError> {
        match self
            .value(&format!("SELECT GET_LOCK({NAME}, 0)"))?
            .as_deref()
        {
            Some("1") if self.holds()? => Ok(Locked::Taken),
            Some("1") => Err(pooled(&self.place)),
            Some("0") => Ok(Locked::HeldBy(self.holder()?)),
            _ => Err(DatabaseError::Query {
                place: self.place.clone(),
                reason: "GET_LOCK failed, and it does not say why".to_owned(),
            }),
        }
    }

    /// The connection stays for the next time, with its claim.
    pub(in super::super) fn release(&mut self) -> Result<(), DatabaseError> {
        self.value(&format!("SELECT RELEASE_LOCK({NAME})"))?;
        Ok(())
    }

    pub(in super::super) fn holds(&mut self) -> Result<bool, DatabaseError> {
        let sql = format!("SELECT COALESCE(IS_USED_LOCK({NAME}) = CONNECTION_ID(), 0)");
        match self.value(&sql) {
            Ok(value) => Ok(value.as_deref() == Some("1")),
            Err(error) => lost(error),
        }
    }

    fn holder(&mut self) -> Result<Holder, SessionError> {
        let Some(id) = self.value(&format!("SELECT IS_USED_LOCK({NAME})"))? else {
            return Ok(Holder::default());
        };
        let probes: Vec<String> = (0..CLAIM_BYTES * BITS)
            .map(|bit| {
                let name = bit_name(&id, bit);
                format!("IF(COALESCE(IS_USED_LOCK('{name}') = {id}, 0), '1', '0')")
            })
            .collect();
        let bits = self.value(&format!("SELECT CONCAT({})", probes.join(", ")))?;
        let claim = bits.and_then(|bits| LockOwner::parse(&spelled(&bits)));
        // One's own user's connections are listed for everybody; others need the right PROCESS.
        let rows = self.session.rows_here(&format!(
            "SELECT user, host FROM information_schema.processlist WHERE id = {id}"
        ))?;
        let mut session = format!("connection {id}");
        if let Some(row) = rows.first() {
            let column = |index| text(row, index).unwrap_or_default();
            session += &format!(" of the database user {} from {}", column(0), column(1));
        }
        Ok(Holder {
            claim,
            session: Some(session),
        })
    }

    fn value(&mut self, sql: &str) -> Result<Option<String>, SessionError> {
        Ok(self
            .session
            .rows_here(sql)?
            .first()
            .and_then(|row| text(row, 0)))
    }
}

fn bit_name(connection: &str, bit: usize) -> String {
    format!("rollback:{connection}:{bit}")
}

/// The positions of the bits that are set, the first letter's lowest first.
fn set_bits(claim: &str) -> impl Iterator<Item = usize> {
    claim.bytes().enumerate().flat_map(|(index, byte)| {
        (0..BITS)
            .filter(move |bit| byte >> bit & 1 == 1)
            .map(move |bit| index * BITS + bit)
    })
}

/// The text whose bits these are, written as `1` and `0`, up to the first letter without any.
fn spelled(bits: &str) -> String {
    bits.as_bytes()
        .chunks(BITS)
        .map(|letter| {
            letter
                .iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(*bit == b'1'))
        })
        .take_while(|byte| *byte != 0)
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_spelled_and_read_back() {
        for text in [
            "rollback 20261121T040000Z-4711 anna@build-7",
            "x",
            "",
            &"~".repeat(CLAIM_BYTES),
        ] {
            let set: Vec<usize> = set_bits(text).collect();
            let bits: String = (0..CLAIM_BYTES * BITS)
                .map(|bit| if set.contains(&bit) { '1' } else { '0' })
                .collect();
            assert_eq!(spelled(&bits), text);
        }
        assert_eq!(spelled("0000000"), "");
    }

    #[test]
    fn a_name_is_no_longer_than_a_server_allows() {
        let longest = bit_name(&u64::MAX.to_string(), CLAIM_BYTES * BITS);
        assert!(longest.len() <= 64, "{longest}");
    }
}
