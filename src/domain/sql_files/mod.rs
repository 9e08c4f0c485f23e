//! Migrations as SQL files with a rollback block each, and the history that a database keeps of them.
//!
//! A migration is a [`RevisionId`](super::revision::RevisionId): the name of its file without `.sql`. Applied
//! ones stand in a table, a row each, so that their graph is one of
//! [`Graph::in_sequence`](super::graph::Graph::in_sequence).

pub mod dependency;
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
