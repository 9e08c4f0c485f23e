//! The version rows: who said what they are, and whether the engine and the table agree.

use super::Project;
use crate::app::connection::database_failure;
use crate::app::verifier::DatabaseAccess;
use crate::error::Failure;
use rollback_core::connection::{VersionRows, VersionTable};
use rollback_core::engine::Current;
use rollback_core::names::in_short;
use rollback_core::revision::{Heads, RevisionId};
use rollback_core::version_rows::defects;

/// The version rows and who said so.
#[derive(Debug, Clone)]
pub(crate) enum StartRows {
    /// Read over our own connection.
    Read(Vec<RevisionId>),
    /// Told by the engine's `current`.
    Told(Vec<RevisionId>),
    /// There is no such table.
    NoTable(VersionTable),
}

impl StartRows {
    pub(crate) fn ids(&self) -> &[RevisionId] {
        match self {
            Self::Read(ids) | Self::Told(ids) => ids,
            Self::NoTable(_) => &[],
        }
    }
}

impl Project {
    /// Whether the database is at a revision, as typed; at `base` where nothing is applied.
    pub(crate) fn is_at(&self, typed: &str) -> bool {
        let ids = self.rows.ids();
        if ids.is_empty() {
            return typed == "base";
        }
        if let Some(newest) = self.newest() {
            let name = typed.strip_suffix(".sql").unwrap_or(typed);
            !name.is_empty() && newest.as_str().starts_with(name)
        } else {
            let named = ids.iter().filter(|id| id.as_str().starts_with(typed));
            named.count() == 1
        }
    }

    /// The migration of SQL files that was applied last; `None` for Alembic, whose rows are heads.
    pub(crate) fn newest(&self) -> Option<&RevisionId> {
        if !self.graph.is_sequence() {
            return None;
        }
        let rows = self.rows.ids();
        let mut newest_first = self.graph.revisions().iter().rev();
        newest_first.find_map(|revision| rows.iter().find(|row| row.as_str() == revision.id))
    }

    /// Reads the rows, and holds them against what the engine says of the same database.
    pub(super) fn read_rows(&mut self, told: &Current) -> Result<StartRows, Failure> {
        let DatabaseAccess::Direct {
            database, table, ..
        } = &mut self.watched.access
        else {
            return Ok(StartRows::Told(match told {
                Current::Rows(ids) => self.graph.newest(ids),
                Current::UnknownRevision(id) => vec![RevisionId::new(id.clone())],
            }));
        };
        let rows = match database
            .version_rows(table)
            .map_err(|error| database_failure(&error))?
        {
            VersionRows::NoTable => StartRows::NoTable(table.clone()),
            VersionRows::Rows(ids) => StartRows::Read(ids),
        };
        // Of such rows the engine tells nothing that could be compared.
        if !defects(rows.ids()).is_empty() {
            return Ok(rows);
        }
        let read: Heads = rows.ids().iter().cloned().collect();
        let agrees = match told {
            // What it shows may be more than the rows: it lists a revision that another depends on.
            Current::Rows(ids) => {
                self.graph.describe_the_same(ids, &read)
                    || ids.iter().cloned().collect::<Heads>() == read
            }
            Current::UnknownRevision(id) => read.contains(&RevisionId::new(id.clone())),
        };
        if agrees {
            return Ok(rows);
        }
        let told = match told {
            Current::Rows(ids) => in_short(ids),
            Current::UnknownRevision(id) => id.clone(),
        };
        let seen = match &rows {
            StartRows::NoTable(table) => format!("there is no version table {table}"),
            StartRows::Read(ids) | StartRows::Told(ids) => {
                format!("the version table {table} says {}", in_short(ids))
            }
        };
        Err(Failure::user(format!(
            "the engine says that the database stands at {told}, and {seen}"
        ))
        .because("another process is migrating, or the version table has another name or schema")
        .hint(
            "set version_table and version_table_schema to what env.py names, or leave both away",
        ))
    }
}
