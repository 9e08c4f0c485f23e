//! Migrations as SQL files with a rollback block each, and the history table that a database keeps of them.
//!
//! A migration is a [`RevisionId`](rollback_core::revision::RevisionId): the name of its file without `.sql`.

pub mod dependency;
pub mod engine;
pub mod file;
#[cfg(test)]
mod fuzz;
pub mod history;
pub mod inconsistency;
mod lint;
pub mod literal;
pub mod live;
pub mod registration;
pub mod rollback_blocker;
pub mod script_mode;
pub mod selection;
pub mod supabase;
pub mod template;
