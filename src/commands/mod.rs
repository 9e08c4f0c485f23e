//! One file for each command, or a folder: its arguments and its function. What several commands share is in `app`.

pub mod abandon;
pub mod backup;
pub mod backups;
pub mod check;
pub mod completions;
pub mod current;
pub mod downgrade_safe;
pub mod explain;
pub mod guard;
pub mod history;
pub mod list;
pub mod man;
pub mod plan;
pub mod restore;
pub mod resume;
pub mod show;
pub mod sql;
