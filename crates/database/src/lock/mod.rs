//! The lock that keeps a second run away from a database. None of them is a transaction, which would
//! block the engine, and each is let go of by the server or the kernel when its process ends, however
//! it ends.
//!
//! On the servers it lives on a connection of its own: one that answers nothing else, is never
//! opened again behind our back, and so cannot seem to be held after it was lost.

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod sqlite;

use super::DatabaseError;
use super::connection::SessionError;

/// The refusal of a lock behind a pooler, which would hand it to somebody else.
fn pooled(place: &str) -> DatabaseError {
    DatabaseError::Pooled(place.to_owned())
}

/// Whether a failed question means that the connection is gone, and the lock with it.
fn lost(error: SessionError) -> Result<bool, DatabaseError> {
    match error.failure {
        super::failure::FailureKind::Broken | super::failure::FailureKind::NotReady => Ok(false),
        _ => Err(error.into()),
    }
}
