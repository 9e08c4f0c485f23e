//! Migrations as SQL files, run by us: what was registered in the database is what runs.

pub mod folder;
pub mod history_table;
pub mod live_schema;
pub mod running;
pub mod writing;
