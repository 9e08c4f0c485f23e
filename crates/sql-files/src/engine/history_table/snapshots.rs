//! Schemas as they were once.

use super::layout::SNAPSHOTS;
use super::{Tables, run};
use crate::history::HistorySnapshot;
use crate::literal::optional;
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError};
use rollback_core::schema::SchemaLines;

impl Tables {
    /// The statement that keeps a schema. `id` is a UUID.
    pub fn keep(
        &self,
        id: &str,
        migration: Option<&str>,
        note: Option<&str>,
        by: &str,
        schema: &SchemaLines,
    ) -> String {
        let lines: Vec<&str> = schema.iter().map(String::as_str).collect();
        let optional = |text| optional(self.dialect, text);
        format!(
            "INSERT INTO {} (id, migration_name, note, taken_by, schema_lines) VALUES ({}, {}, {}, {}, {})",
            self.table(SNAPSHOTS),
            self.text(id),
            optional(migration),
            optional(note),
            self.text(by),
            self.text(&lines.join("\n")),
        )
    }

    /// All of them, the newest first; with `lines`, each with its schema.
    pub fn snapshots(
        &self,
        execution: &mut dyn Execution,
        lines: bool,
    ) -> Result<Vec<HistorySnapshot>, RunError> {
        let lines = if lines { "schema_lines" } else { "NULL" };
        // Two of one second.
        let last = match self.dialect {
            Dialect::Sqlite => "rowid DESC",
            Dialect::Postgres | Dialect::MySql => "id",
        };
        let rows = run(
            execution,
            &format!(
                "SELECT id, migration_name, note, {}, taken_by, {lines} FROM {} ORDER BY taken_at DESC, {last}",
                self.moment("taken_at"),
                self.table(SNAPSHOTS)
            ),
        )?;
        Ok(rows.into_iter().filter_map(snapshot).collect())
    }
}

fn snapshot(row: Vec<Option<String>>) -> Option<HistorySnapshot> {
    let [id, migration, note, at, by, lines] = <[Option<String>; 6]>::try_from(row).ok()?;
    let lines = lines.unwrap_or_default();
    Some(HistorySnapshot {
        id: id?,
        migration,
        note,
        at,
        by,
        schema: lines.lines().map(str::to_owned).collect(),
    })
}
