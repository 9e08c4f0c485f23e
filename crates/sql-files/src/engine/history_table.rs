//! The tables that a database keeps of its migrations, in the SQL of each server.
//!
//! `layout` has the tables, `install` makes them, `reading` reads and `writing` writes them. A statement for each
//! change is given out and not run, so that it stands in the transaction of what it is about.

mod functions;
mod install;
mod layout;
mod reading;
mod snapshots;
mod writing;

pub use self::install::Installation;
pub use self::layout::VERSION;
pub use self::writing::{Unwritable, writable};

use crate::literal::{identifier, literal};
use rollback_core::connection::VersionTable;
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError, RunErrorKind, TextRows, always};

/// The schema of the tables on PostgreSQL where no other is named.
pub const SCHEMA: &str = "rollback";

/// Where the tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The server.
    pub dialect: Dialect,
    /// The schema, on PostgreSQL alone.
    pub schema: Option<String>,
}

/// Who changes a row, and in which run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// `USER@HOST`.
    pub who: String,
    /// The run; `None` outside one.
    pub run: Option<String>,
    /// What `--reason` says.
    pub reason: Option<String>,
}

impl By {
    /// What is noted about a rollback, for people who read the tables.
    fn note(&self) -> String {
        let run = self.run.as_ref().map(|run| format!(" in run {run}"));
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}"));
        format!(
            "rolled back by {}{}{}",
            self.who,
            run.unwrap_or_default(),
            reason.unwrap_or_default()
        )
        .replace('\0', "\u{fffd}")
    }
}

impl Tables {
    /// The tables of a database. `schema` is the one that is configured.
    pub fn new(dialect: Dialect, schema: Option<&str>) -> Self {
        let schema = schema.unwrap_or(SCHEMA).to_owned();
        Self {
            dialect,
            schema: (dialect == Dialect::Postgres).then_some(schema),
        }
    }

    /// The table whose rows say what is applied.
    pub fn version_table(&self) -> VersionTable {
        VersionTable::of_history(self.schema.as_deref())
    }

    /// Runs statements in one transaction; on a failure none of them is done. MariaDB and MySQL commit at each
    /// statement that changes the schema, so there it holds for rows alone.
    pub fn transact(
        &self,
        execution: &mut dyn Execution,
        statements: &[String],
    ) -> Result<(), RunError> {
        // SQLite would find out about another writer only at its first write, and then not wait.
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres | Dialect::MySql => "BEGIN",
        };
        run(execution, begin)?;
        for statement in statements {
            if let Err(error) = run(execution, statement) {
                // Where this fails the connection is gone, and the transaction with it.
                let _ = run(execution, "ROLLBACK");
                return Err(error);
            }
        }
        run(execution, "COMMIT").map(drop)
    }

    /// One of the tables, as the server is to call it.
    fn table(&self, name: &str) -> String {
        let quoted = |name: &str| identifier(self.dialect, name);
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        }
    }

    fn text(&self, text: &str) -> String {
        literal(self.dialect, text)
    }

    /// Which of the tables named are there, and their columns.
    fn columns(
        &self,
        execution: &mut dyn Execution,
        names: &[&str],
    ) -> Result<Vec<(String, String)>, RunError> {
        let names: Vec<String> = names.iter().map(|name| self.text(name)).collect();
        let names = names.join(", ");
        // The catalogs, because to ask for a table that is not there would end a transaction.
        let query = match self.dialect {
            Dialect::Postgres => format!(
                "SELECT c.relname, a.attname FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
                 WHERE n.nspname = {} AND c.relname IN ({names}) AND a.attnum > 0 AND NOT a.attisdropped",
                self.text(self.schema.as_deref().unwrap_or(SCHEMA)),
            ),
            Dialect::MySql => format!(
                "SELECT table_name, column_name FROM information_schema.columns \
                 WHERE table_schema = database() AND table_name IN ({names})"
            ),
            Dialect::Sqlite => format!(
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name IN ({names})"
            ),
        };
        let rows = run(execution, &query)?;
        let pair = |row: Vec<Option<String>>| match <[Option<String>; 2]>::try_from(row) {
            Ok([Some(table), Some(column)]) => Some((table, column)),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(pair).collect())
    }
}

fn run(execution: &mut dyn Execution, sql: &str) -> Result<TextRows, RunError> {
    execution.run(sql, &mut always)
}

/// A refusal of our own, in the form of one of the server's.
fn refused(reason: String) -> RunError {
    RunError {
        kind: RunErrorKind::Refused,
        code: None,
        reason,
    }
}

#[cfg(test)]
mod tests;
