//! Scenarios that have to hold on SQLite, PostgreSQL and MariaDB alike, against the real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does: by a panic"
)]

mod atomic;
mod checks;
mod connection;
mod crash;
mod failures;
mod fingerprint;
mod foresight;
mod harness;
mod lock;
mod lock_timeout;
#[path = "../cli/support/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the tests of the command line use more of it"
)]
mod project;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
mod walk;
