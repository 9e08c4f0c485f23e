//! Walks an Alembic-versioned database back one revision at a time.

pub mod database;
pub mod domain;
pub mod engine;
pub mod process;
