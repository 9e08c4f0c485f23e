//! The core of rollback: revisions, the graph, plans, journals, policies, the judgement of a step and the run loop.
//!
//! Nothing here opens a file or a connection or starts a program, so every judgement can be tested by value.

pub mod audit;
pub mod backup;
pub mod blocker;
pub mod cause;
pub mod checks;
pub mod command;
pub mod connection;
pub mod database_identity;
pub mod dialect;
pub mod effect;
pub mod engine;
pub mod failpoint;
pub mod figures;
pub mod finding;
pub mod finding_code;
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
pub mod run_report;
pub mod runner;
pub mod schema;
pub mod schema_names;
pub mod secret;
pub mod subject;
pub mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod type_fit;
pub mod untrusted;
pub mod version_rows;
