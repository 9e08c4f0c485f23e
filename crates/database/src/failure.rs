//! What a driver's error means for us.
//!
//! The servers' codes, never their sentences: those are translated and change between versions.

use std::io;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::DatabaseError;
use rollback_core::secret::{Secret, mask};

/// The kinds of failure that lead to different next steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Nobody listens there, or the server is starting up or full: later it may work.
    NotReady,
    /// The connection is gone. A new one may work.
    Broken,
    /// The encrypted channel could not be built.
    Tls,
    /// User, password or the right to connect.
    Login,
    /// No such database.
    NoDatabase,
    /// The table, or the schema it would be in, does not exist.
    NoTable,
    /// Anything else that the server says about a query.
    Other,
}

impl FailureKind {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Self::NotReady,
                // rustls reports a failed handshake this way.
                io::ErrorKind::InvalidData => Self::Tls,
                _ => Self::Broken,
            },
            sqlx::Error::Tls(_) => Self::Tls,
            sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::Broken,
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                    Self::of_mysql(error.number())
                } else if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    Self::of_sqlstate(error.code())
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }

    /// The same for an attempt to connect, when the server has not been asked anything yet.
    pub(super) fn of_connecting(error: &sqlx::Error) -> Self {
        match (Self::of(error), error.as_database_error()) {
            // No right to connect, a role without login, a refused setting of the session.
            (Self::Other, Some(_)) => Self::Login,
            (Self::Other, _) => Self::Broken,
            (failure, _) => failure,
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub(super) fn of_sqlstate(code: &str) -> Self {
        match code {
            "57P03" | "53300" => Self::NotReady,
            "57P01" | "57P02" | "57P05" => Self::Broken,
            "28000" | "28P01" => Self::Login,
            "3D000" => Self::NoDatabase,
            "42P01" | "3F000" => Self::NoTable,
            _ if code.starts_with("08") => Self::Broken,
            _ => Self::Other,
        }
    }

    /// <https://mariadb.com/kb/en/mariadb-error-code-reference/>
    fn of_mysql(number: u16) -> Self {
        match number {
            // Too many connections, for all or for this user.
            1040 | 1203 | 1226 => Self::NotReady,
            // Server shutdown, aborted, killed, idle for too long.
            1053 | 1152 | 1184 | 1927 | 4031 => Self::Broken,
            // To have no right on a database (1044) is one of connecting only while connecting.
            1045 | 1130 | 1698 | 1820 | 1862 | 3118 => Self::Login,
            1049 => Self::NoDatabase,
            1146 => Self::NoTable,
            _ => Self::Other,
        }
    }

    /// The error to show. `place` says where, `reason` is what the driver says.
    pub(super) fn report(self, place: String, reason: String) -> DatabaseError {
        match self {
            Self::NotReady | Self::Broken | Self::Tls => {
                DatabaseError::Unreachable { place, reason }
            }
            Self::Login => DatabaseError::LoginRefused { place, reason },
            Self::NoDatabase => DatabaseError::NoSuchDatabase { place, reason },
            Self::NoTable | Self::Other => DatabaseError::Query { place, reason },
        }
    }
}

/// What the driver says, without the password and its own preamble, which only says again that a database answered.
pub(super) fn reason(error: &sqlx::Error, password: Option<&Secret>) -> String {
    let reason = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    mask(&reason, password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_codes_are_told_apart() {
        for (code, failure) in [
            ("42P01", FailureKind::NoTable),
            ("3F000", FailureKind::NoTable),
            ("42501", FailureKind::Other),
            ("28P01", FailureKind::Login),
            ("3D000", FailureKind::NoDatabase),
            ("57P03", FailureKind::NotReady),
            ("57P01", FailureKind::Broken),
            ("08006", FailureKind::Broken),
        ] {
            assert_eq!(FailureKind::of_sqlstate(code), failure, "{code}");
        }
        for (number, failure) in [
            (1146, FailureKind::NoTable),
            (1142, FailureKind::Other),
            (1044, FailureKind::Other),
            (1045, FailureKind::Login),
            (1049, FailureKind::NoDatabase),
            (1040, FailureKind::NotReady),
            (1053, FailureKind::Broken),
        ] {
            assert_eq!(FailureKind::of_mysql(number), failure, "{number}");
        }
    }

    #[test]
    fn the_drivers_words_lose_the_password() {
        let error = sqlx::Error::Protocol("cannot send s3cret".to_owned());
        let reason = reason(&error, Some(&Secret::new("s3cret")));
        let report = FailureKind::of(&error).report("the database".to_owned(), reason);
        let shown = format!("{report} {report:?}");
        assert!(
            shown.contains("cannot send ***") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
