//! PostgreSQL: an advisory lock of the session, which is per database.

use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::super::DatabaseError;
use super::super::connection::{Connection, SessionError, text};
use super::{lost, pooled};
use rollback_core::lock::{Holder, LockOwner, Locked, POSTGRES_KEY as KEY};

/// A step may take longer than a session is allowed to be idle; and a machine that is gone without a
/// word is noticed after two minutes, not two hours. `set_config` of what a server does not know would
/// fail, so only of what it lists.
const KEEP: &str = "SELECT set_config(name, CASE name \
         WHEN 'tcp_keepalives_idle' THEN '60' WHEN 'tcp_keepalives_interval' THEN '10' \
         WHEN 'tcp_keepalives_count' THEN '6' ELSE '0' END, false) \
     FROM pg_settings WHERE name IN ('idle_session_timeout', 'tcp_keepalives_idle', \
         'tcp_keepalives_interval', 'tcp_keepalives_count')";

/// The session of a lock that is held or waited for.
pub(in super::super) struct PostgresLock {
    session: Connection<PgConnection>,
    place: String,
}

impl PostgresLock {
    /// Opens the session, under the claim as its name. `reader` is another connection of our own, and
    /// tells whether there is a server behind each.
    pub(in super::super) fn open(
        options: Vec<PgConnectOptions>,
        place: String,
        password: Option<rollback_core::secret::Secret>,
        claim: &LockOwner,
        reader: &mut Connection<PgConnection>,
    ) -> Result<Self, DatabaseError> {
        let name = claim.to_string();
        let options = options
            .into_iter()
            .map(|options| options.application_name(&name))
            .collect();
        let mut lock = Self {
            session: Connection::open(options, place.clone(), password)?,
            place,
        };
        // Before the lock is taken: a pooler would leave it on a connection that it gives to others.
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for _ in 0..LOOKS {
            ours.push(process(lock.session.rows_here(PROCESS)?.first()));
            others.push(process(reader.rows(PROCESS)?.first()));
        }
        if shared(&ours, &others) {
            return Err(pooled(&lock.place));
        }
        lock.session.rows_here(KEEP)?;
        Ok(lock)
    }

    pub(in super::super) fn take(&mut self) -> Result<Locked, DatabaseError> {
        let (high, low) = KEY;
        let sql = format!("SELECT pg_try_advisory_lock({high}, {low})::int");
        let taken = self.session.rows_here(&sql)?;
        if taken.first().and_then(|row| text(row, 0)).as_deref() != Some("1") {
            return Ok(Locked::HeldBy(self.holder()?));
        }
        if self.holds()? {
            return Ok(Locked::Taken);
        }
        // Wherever it is now, it does not stay there if this gets to the same place.
        let _ = self
            .session
            .rows_here(&format!("SELECT pg_advisory_unlock({high}, {low})"));
        Err(pooled(&self.place))
    }

    /// The connection stays for the next time: the end of one is noticed later than an unlock.
    pub(in super::super) fn release(&mut self) -> Result<(), DatabaseError> {
        let (high, low) = KEY;
        let sql = format!("SELECT pg_advisory_unlock({high}, {low})::int");
        self.session.rows_here(&sql)?;
        Ok(())
    }

    pub(in super::super) fn holds(&mut self) -> Result<bool, DatabaseError> {
        let sql = format!(
            "SELECT 1 FROM pg_locks l WHERE {} AND l.pid = pg_backend_pid()",
            ours()
        );
        match self.session.rows_here(&sql) {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(error) => lost(error),
        }
    }

    /// Everybody may read the name of a session; where it comes from, only its own user.
    fn holder(&mut self) -> Result<Holder, SessionError> {
        let sql = format!(
            "SELECT l.pid, a.usename, a.application_name, coalesce(host(a.client_addr), '') \
             FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE {}",
            ours()
        );
        let rows = self.session.rows_here(&sql)?;
        let Some(row) = rows.first() else {
            return Ok(Holder::default());
        };
        let column = |index| text(row, index).filter(|text| !text.is_empty());
        let name = column(2);
        let claim = name.as_deref().and_then(LockOwner::parse);
        let mut session = format!("session {}", column(0).unwrap_or_default());
        if let Some(user) = column(1) {
            session += &format!(" of the database user {user}");
        }
        if let Some(address) = column(3) {
            session += &format!(" from {address}");
        }
        if let (None, Some(name)) = (&claim, name) {
            session += &format!(", application {name}");
        }
        Ok(Holder {
            claim,
            session: Some(session),
        })
    }
}

impl Drop for PostgresLock {
    /// The end of the connection does all this, unless a pooler in session mode keeps the session for
    /// the next client and was told not to reset it.
    fn drop(&mut self) {
        let _ = self
            .session
            .glance("SELECT pg_advisory_unlock_all(); RESET ALL");
    }
}

/// How often each of two connections is asked: a busy pooler may well give one the same twice.
const LOOKS: usize = 3;

const PROCESS: &str = "SELECT pg_backend_pid()";

fn process(row: Option<&sqlx::postgres::PgRow>) -> Option<String> {
    text(row?, 0)
}

/// The condition on `pg_locks l` for our lock, whoever holds it.
fn ours() -> String {
    let (high, low) = KEY;
    // `objsubid` is 2 for a key of two integers.
    format!(
        "l.locktype = 'advisory' AND l.classid = {high} AND l.objid = {low} AND l.objsubid = 2 \
         AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
}

/// Whether two open connections of our own, asked in turn for their server processes, share one or change
/// it. An idle pooler gives both the one that was used last; a busy one gives the same connection
/// another one each time.
fn shared(ours: &[Option<String>], others: &[Option<String>]) -> bool {
    let changes = |seen: &[Option<String>]| seen.windows(2).any(|pair| pair[0] != pair[1]);
    changes(ours)
        || changes(others)
        || ours
            .iter()
            .flatten()
            .any(|process| others.iter().flatten().any(|other| other == process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_spells_the_name() {
        let bytes = [KEY.0.to_be_bytes(), KEY.1.to_be_bytes()].concat();
        assert_eq!(bytes, b"rollback");
    }

    #[test]
    fn a_pooler_is_known_by_the_servers_behind_it() {
        let seen = |processes: &[&str]| -> Vec<_> {
            let some = |process: &&str| Some((*process).to_owned());
            processes.iter().map(some).collect()
        };
        for (ours, others, expected, why) in [
            (["1", "1"], ["2", "2"], false, "a server each"),
            (["1", "1"], ["1", "1"], true, "idle: both get the last one"),
            (["1", "2"], ["3", "3"], true, "busy: ours moves"),
            (["1", "1"], ["2", "3"], true, "busy: the other one moves"),
            (["1", "2"], ["2", "1"], true, "in turn"),
        ] {
            assert_eq!(shared(&seen(&ours), &seen(&others)), expected, "{why}");
        }
        assert!(
            !shared(&[None, None], &[None, None]),
            "a server without such numbers"
        );
    }
}
