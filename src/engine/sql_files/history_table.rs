//! The tables that a database keeps of its migrations, in the SQL of each server.

use crate::domain::connection::VersionTable;
use crate::domain::foresight::Dialect;
use crate::domain::query::{Execution, RunError};
use crate::domain::revision::RevisionId;
use crate::domain::sql_files::file::MigrationFile;
use crate::domain::sql_files::history::{Dependency, History, Progress};

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
}

impl Tables {
    /// The tables of a database. `schema` is the one that is configured.
    pub fn new(dialect: Dialect, schema: Option<&str>) -> Self {
        let schema = schema.unwrap_or(SCHEMA).to_owned();
        Self {
            dialect,
            schema: (dialect == Dialect::Postgresql).then_some(schema),
        }
    }

    /// The table whose rows say what is applied.
    pub fn version_table(&self) -> VersionTable {
        VersionTable::of_history(self.schema.as_deref())
    }

    /// Makes the tables and functions, or brings those of an older version up to now: statements for one
    /// transaction, none where nothing is to be done.
    pub fn install(&self, execution: &mut dyn Execution) -> Result<Vec<String>, RunError> {
        let _ = execution;
        Ok(Vec::new())
    }

    /// All rows; `None` where the tables are not there.
    pub fn read(&self, execution: &mut dyn Execution) -> Result<Option<History>, RunError> {
        let _ = execution;
        Ok(None)
    }

    /// Statements that write a migration down as applied, with its dependencies; where it is written down
    /// already, they bring the row up to the file.
    pub fn register(
        &self,
        file: &MigrationFile,
        dependencies: &[Dependency],
        by: &By,
    ) -> Vec<String> {
        let _ = (file, dependencies, by);
        Vec::new()
    }

    /// Statements that write down that a migration was taken down, to be run in its own transaction. They fail
    /// where the row says something else than `applied` or `failed`. `supabase` is whether the row of
    /// `supabase_migrations.schema_migrations` goes as well.
    pub fn rolled_back(&self, id: &RevisionId, by: &By, supabase: bool) -> Vec<String> {
        let _ = (id, by, supabase);
        Vec::new()
    }

    /// Statements that write down that taking a migration down failed.
    pub fn failed(&self, id: &RevisionId, by: &By, error: &str) -> Vec<String> {
        let _ = (id, by, error);
        Vec::new()
    }

    /// Statements that write down how far a rollback came; `None` where it is over.
    pub fn progressed(&self, id: &RevisionId, progress: Option<&Progress>) -> Vec<String> {
        let _ = (id, progress);
        Vec::new()
    }
}
