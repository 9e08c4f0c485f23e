//! Scenarios that have to hold on SQLite, PostgreSQL and MariaDB alike, against the real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does: by a panic"
)]

/// Makes a test for each kind of database, or for each entry on each of them, from a function that takes these: the tests
/// of one function run beside each other.
macro_rules! on_each {
    ($test:ident: $($kind:ident),+) => {
        mod $test {
            $(#[test]
            fn $kind() {
                super::$test(on_each!(@ $kind));
            })+
        }
    };
    ($test:ident: $($kind:ident),+; $entries:tt) => {
        mod $test {
            $(mod $kind {
                on_each!(@ $test $kind $entries);
            })+
        }
    };
    (@ $test:ident $kind:ident [$($entry:ident),+]) => {
        $(#[test]
        fn $entry() {
            super::super::$test(on_each!(@ $kind), stringify!($entry));
        })+
    };
    (@ sqlite) => { crate::support::Kind::Sqlite };
    (@ postgresql) => { crate::support::Kind::PostgreSql };
    (@ mariadb) => { crate::support::Kind::MariaDb };
}

mod atomic;
mod atomic_checks;
mod atomic_crash;
mod audit;
mod backup;
mod backup_mysql;
mod causes;
mod checks;
mod connection;
mod crash;
mod diagnosis;
mod drivers;
mod dump;
mod effects;
mod effort;
mod evidence;
mod failures;
mod fingerprint;
mod fingerprint_kinds;
mod fits;
mod foresight;
mod guard;
mod harness;
mod identity;
mod lock;
mod lock_timeout;
mod losses;
mod measured;
mod mysql;
mod pooler;
#[path = "../cli/support/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "the tests of the command line use more of it"
)]
mod project;
mod relay;
mod rendered;
mod restore;
mod restore_mysql;
mod restore_without_project;
mod rules;
mod sequence;
mod session;
mod sql_crash;
mod sql_execution;
mod sql_history;
mod sql_shop;
mod sql_statements;
mod sql_steps;
mod sql_supabase;
mod sql_template;
mod sql_walk;
mod sql_workflows;
mod sqlite;
mod suggestions;
#[path = "../support/mod.rs"]
mod support;
mod unchanged;
mod unfollowed;
mod walk;

/// What a project's plans may put at risk unless a test says otherwise: the scenarios lose rows on purpose.
const CONSENT: &str = "all";

use support::folders;
