//! What the commands of SQL-file projects share.

pub(crate) mod history_writer;
pub(crate) mod project;
