//! What the tables say.

use super::layout::{DEPENDENCIES, FORMAT, HISTORY, VERSION};
use super::{Tables, refused, run};
use crate::history::{Dependency, History, HistoryKind, HistoryRecord, Metadata, MigrationStatus};
use crate::supabase::RemoteMigration;
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError};
use rollback_core::revision::RevisionId;

/// What Supabase keeps of its own.
pub(super) const SUPABASE: &str = "supabase_migrations.schema_migrations";

impl Tables {
    /// All rows; `None` where the tables are not there, or are of an older version: `rollback sql install` is next
    /// then. Tables of a newer version are an error.
    pub fn read(&self, execution: &mut dyn Execution) -> Result<Option<History>, RunError> {
        if self.version(execution)? != Some(VERSION) {
            return Ok(None);
        }
        let (applied, rolled_back) = (self.moment("applied_at"), self.moment("rollback_at"));
        let metadata = match self.dialect {
            Dialect::Postgres => "metadata::text",
            Dialect::MySql | Dialect::Sqlite => "metadata",
        };
        let rows = run(
            execution,
            &format!(
                "SELECT migration_name, status, {applied}, applied_by, rollback_sql, checksum, {rolled_back}, \
                 rollback_by, notes, {metadata} FROM {}",
                self.table(HISTORY)
            ),
        )?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(record(row)?);
        }
        records.sort_by(|one, other| one.id.cmp(&other.id));
        let rows = run(
            execution,
            &format!(
                "SELECT migration_name, depends_on, kind, object FROM {}",
                self.table(DEPENDENCIES)
            ),
        )?;
        let mut dependencies: Vec<Dependency> = rows.into_iter().filter_map(dependency).collect();
        dependencies.sort_by(|one, other| (&one.of, &one.on).cmp(&(&other.of, &other.on)));
        Ok(Some(History {
            records,
            dependencies,
            supabase: self.supabase(execution)?,
        }))
    }

    /// The version that the tables are of; `None` where they were not made by us, 0 where they are the ones of a
    /// team that kept such tables before.
    pub(super) fn version(&self, execution: &mut dyn Execution) -> Result<Option<u32>, RunError> {
        let columns = self.columns(execution, &[HISTORY, FORMAT])?;
        let has = |name: &str| columns.iter().any(|(table, _)| table == name);
        if !has(FORMAT) {
            return Ok(has(HISTORY).then_some(0));
        }
        let rows = run(
            execution,
            &format!("SELECT max(version) FROM {}", self.table(FORMAT)),
        )?;
        let found = rows.first().and_then(|row| row.first()?.as_deref());
        let found: u32 = found.and_then(|found| found.parse().ok()).unwrap_or(0);
        if found > VERSION {
            return Err(refused(format!(
                "the tables of the migration history are of version {found}, and this rollback knows {VERSION}: \
                 a newer rollback made them, and only a newer one may use them"
            )));
        }
        Ok(has(HISTORY).then_some(found))
    }

    /// The rows of Supabase's table; `None` if there is no such table. Old CLI versions made it without names, and
    /// only newer ones have `created_by`.
    pub fn supabase(
        &self,
        execution: &mut dyn Execution,
    ) -> Result<Option<Vec<RemoteMigration>>, RunError> {
        if self.dialect != Dialect::Postgres {
            return Ok(None);
        }
        let columns = "SELECT a.attname FROM pg_catalog.pg_class c \
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
                       WHERE n.nspname = 'supabase_migrations' AND c.relname = 'schema_migrations' \
                       AND a.attnum > 0 AND NOT a.attisdropped";
        let columns: Vec<String> = run(execution, columns)?
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let column = |name: &'static str| {
            let is_there = columns.iter().any(|column| column == name);
            if is_there { name } else { "NULL::text" }
        };
        let rows = run(
            execution,
            &format!(
                "SELECT version, {}, {} FROM {SUPABASE} ORDER BY version COLLATE \"C\"",
                column("name"),
                column("created_by")
            ),
        )?;
        Ok(Some(rows.into_iter().filter_map(remote).collect()))
    }

    /// A moment as RFC 3339 in UTC to the second.
    pub(super) fn moment(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => {
                format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
            }
            Dialect::MySql => format!("date_format({column}, '%Y-%m-%dT%H:%i:%sZ')"),
            Dialect::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%SZ', {column})"),
        }
    }
}

fn remote(row: Vec<Option<String>>) -> Option<RemoteMigration> {
    let [version, name, pushed_by] = <[Option<String>; 3]>::try_from(row).ok()?;
    Some(RemoteMigration {
        version: version?,
        name,
        pushed_by,
    })
}

fn record(row: Vec<Option<String>>) -> Result<HistoryRecord, RunError> {
    let Ok(
        [
            Some(name),
            status,
            applied_at,
            applied_by,
            rollback_sql,
            checksum,
            rollback_at,
            rollback_by,
            notes,
            metadata,
        ],
    ) = <[Option<String>; 10]>::try_from(row)
    else {
        return Err(refused(format!("a row of {HISTORY} has no name")));
    };
    let status = status.unwrap_or_default();
    let Some(status) = MigrationStatus::of(&status) else {
        return Err(refused(format!(
            "the status of {name} in {HISTORY} is {status:?}, and only applied, rolled_back and failed are known"
        )));
    };
    Ok(HistoryRecord {
        id: RevisionId::new(name),
        status,
        applied_at,
        applied_by,
        rollback_sql,
        checksum,
        rollback_at,
        rollback_by,
        notes,
        metadata: metadata.as_deref().map(read_metadata).unwrap_or_default(),
    })
}

/// What others have put there under a name of our own, in a form that is not ours, stays with what is theirs.
fn read_metadata(text: &str) -> Metadata {
    serde_json::from_str(text).unwrap_or_else(|_| Metadata {
        others: serde_json::from_str(text).unwrap_or_default(),
        ..Metadata::default()
    })
}

fn dependency(row: Vec<Option<String>>) -> Option<Dependency> {
    let [of, on, kind, object] = <[Option<String>; 4]>::try_from(row).ok()?;
    Some(Dependency {
        of: RevisionId::new(of?),
        on: RevisionId::new(on?),
        kind: match kind.as_deref() {
            Some("inferred") => HistoryKind::Inferred,
            Some("independent") => HistoryKind::Independent,
            _ => HistoryKind::Declared,
        },
        object,
    })
}
