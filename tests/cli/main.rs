//! The program as its user meets it: command lines, what they answer, and how they exit.
//!
//! Every test works on a copy of a fixture and with a real engine. Snapshots are compared and never written in a normal
//! run; after a change that is meant, `cargo insta test --review` shows and takes the new ones.

#![expect(unreachable_pub, reason = "nobody calls a test binary")]
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod support;

/// What a project's plans may put at risk unless a test says otherwise: nothing.
const CONSENT: &str = "";

/// The folders of the clients of servers; there is only SQLite here.
fn folders() -> [std::path::PathBuf; 0] {
    []
}

mod accuracy;
mod backup;
mod bad_input;
mod current;
mod database_url;
mod documents;
mod downgrade_safe;
mod explain;
mod failure;
mod flask;
mod foresee;
mod graph;
mod guard;
mod help;
mod hostile;
mod interruption;
mod plan;
mod plan_sql;
mod planted;
mod policy;
#[cfg(target_os = "linux")]
mod preloaded;
mod processes;
mod records;
mod roads;
mod safety;
mod sentences;
mod settings;
mod sql_commands;
mod sql_comment;
mod sql_history;
mod sql_template;
mod starts;
mod suggestions;
mod targets;
mod terminal;
mod untrusted;
mod version_rows;
