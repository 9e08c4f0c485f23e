//! The pure core: revisions, where a database stands among them, what a target means and which
//! steps lead there.
//!
//! Nothing here touches a file, a process, the environment, the clock or the network, so that every
//! judgement can be tested by value.

pub mod audit;
pub mod backup;
pub mod blocker;
pub mod cause;
pub mod checks;
pub mod command;
pub mod connection;
pub mod database_identity;
pub mod diagnosis;
pub mod dialect;
pub mod effect;
pub mod figures;
pub mod finding;
pub mod finding_code;
pub mod forecast;
pub mod graph;
pub mod guard;
pub mod interrupt;
pub mod journal;
pub mod lock;
pub mod names;
pub mod operation;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod proof;
pub mod query;
pub mod rendering;
pub mod revision;
pub mod risk;
pub mod run_report;
pub mod schema;
pub mod schema_model;
pub mod schema_names;
pub mod secret;
pub mod sql;
pub mod sql_files;
pub mod subject;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod type_fit;
pub mod untrusted;
pub mod version_rows;
