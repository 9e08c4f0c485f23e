//! The statements that change rows.

use serde_json::{Value, json};

use super::layout::{AUDIT, DEPENDENCIES, HISTORY};
use super::reading::SUPABASE;
use super::{By, Tables};
use crate::file::{MigrationFile, version};
use crate::history::{Dependency, HistoryKind, HistoryProgress};
use crate::literal::{has_nul, optional};
use crate::supabase::RemoteMigration;
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_sql::script;

/// Why a migration cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} holds a NUL character, which no database keeps in a text")]
pub struct Unwritable(pub String);

/// Whether the texts of a file can be kept as they are.
pub fn writable(file: &MigrationFile) -> Result<(), Unwritable> {
    let texts = [
        Some(file.id.as_str()),
        Some(file.up.as_str()),
        file.rollback.as_ref().map(|rollback| rollback.sql.as_str()),
        file.description.as_deref(),
    ];
    if texts.into_iter().flatten().any(has_nul) {
        return Err(Unwritable(file.path.clone()));
    }
    Ok(())
}

impl Tables {
    /// Statements that write a migration down as applied, with its dependencies; where it is written down
    /// already, they bring the row up to the file, and one that was rolled back or failed is applied again.
    ///
    /// What it depends on has to be registered before it. What is declared to be independent is not written. The
    /// file has to be [`writable`].
    pub fn register(
        &self,
        file: &MigrationFile,
        dependencies: &[Dependency],
        by: &By,
    ) -> Vec<String> {
        let name = self.text(file.id.as_str());
        let history = self.table(HISTORY);
        let again = format!(
            "CASE (SELECT status FROM {history} WHERE migration_name = {name}) \
             WHEN 'rolled_back' THEN 'applied' ELSE 'registered' END"
        );
        let mut statements = vec![
            self.audit(&name, &again, by, &file.checksum),
            self.upsert(file, &name, by),
            format!(
                "DELETE FROM {} WHERE migration_name = {name}",
                self.table(DEPENDENCIES)
            ),
        ];
        let written = dependencies
            .iter()
            .filter(|one| one.of == file.id && one.kind != HistoryKind::Independent);
        for one in written {
            let kind = match one.kind {
                HistoryKind::Inferred => "inferred",
                HistoryKind::Declared | HistoryKind::Independent => "declared",
            };
            statements.push(format!(
                "INSERT INTO {} (migration_name, depends_on, kind, object) VALUES ({name}, {}, '{kind}', {})",
                self.table(DEPENDENCIES),
                self.text(one.on.as_str()),
                optional(self.dialect, one.object.as_deref()),
            ));
        }
        statements
    }

    fn upsert(&self, file: &MigrationFile, name: &str, by: &By) -> String {
        let rollback = file.rollback.as_ref();
        let metadata = json!({
            "up_sql": file.up,
            "description": file.description,
            "path": rollback.map_or(&file.path, |rollback| &rollback.file),
            "line": rollback.map(|rollback| rollback.line),
            "alone": rollback.and_then(|rollback| self.alone(&rollback.sql)),
            "error": null,
            "progress": null,
            "rolled_back": null,
        });
        let history = self.table(HISTORY);
        let values = [
            ("migration_name", name.to_owned()),
            ("migration_version", self.text(version(&file.id))),
            ("applied_at", self.now().to_owned()),
            ("applied_by", self.text(&by.who)),
            (
                "rollback_sql",
                optional(self.dialect, rollback.map(|rollback| rollback.sql.as_str())),
            ),
            ("checksum", self.text(&file.checksum)),
            ("metadata", self.text(&without_nulls(&metadata).to_string())),
            ("status", "'applied'".to_owned()),
        ];
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let texts: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
        // On MariaDB and MySQL the old values are gone once they are set, so the status comes last.
        let (conflict, old, new): (_, _, fn(&str) -> String) = match self.dialect {
            Dialect::Postgres | Dialect::Sqlite => (
                "ON CONFLICT (migration_name) DO UPDATE SET",
                format!("{HISTORY}."),
                |column| format!("excluded.{column}"),
            ),
            Dialect::MySql => ("ON DUPLICATE KEY UPDATE", String::new(), |column| {
                format!("VALUES({column})")
            }),
        };
        let set = [
            ("migration_version", new("migration_version")),
            (
                "applied_at",
                format!(
                    "CASE {old}status WHEN 'rolled_back' THEN {} ELSE {old}applied_at END",
                    new("applied_at")
                ),
            ),
            (
                "applied_by",
                format!(
                    "CASE {old}status WHEN 'rolled_back' THEN {} ELSE {old}applied_by END",
                    new("applied_by")
                ),
            ),
            ("rollback_sql", new("rollback_sql")),
            ("checksum", new("checksum")),
            ("rollback_at", "NULL".to_owned()),
            ("rollback_by", "NULL".to_owned()),
            (
                "metadata",
                self.patched(&format!("{old}metadata"), &metadata),
            ),
            ("status", new("status")),
        ];
        let set: Vec<String> = set
            .iter()
            .map(|(column, value)| format!("{column} = {value}"))
            .collect();
        // The table has to have its bare name for the old values.
        let alias = match self.dialect {
            Dialect::Postgres => format!(" AS {HISTORY}"),
            Dialect::MySql | Dialect::Sqlite => String::new(),
        };
        format!(
            "INSERT INTO {history}{alias} ({}) VALUES ({}) {conflict} {}",
            names.join(", "),
            texts.join(", "),
            set.join(", ")
        )
    }

    /// The first statement of a script that cannot run in a transaction, and why.
    fn alone(&self, sql: &str) -> Option<String> {
        let statements = script::statements(sql, self.dialect).ok()?;
        statements.iter().find_map(|one| {
            let reason = one.runs_alone(self.dialect)?;
            let text = one.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let text: String = text.chars().take(80).collect();
            Some(format!("{text} ({reason})"))
        })
    }

    /// Statements that write down that a migration was taken down, to be run in its own transaction, one right
    /// after the other. They fail where the row says something else than `applied` or `failed`: the action of the
    /// audit row is null then, which that column cannot be. `remote` is the row of
    /// `supabase_migrations.schema_migrations` that goes as well.
    pub fn rolled_back(
        &self,
        id: &RevisionId,
        by: &By,
        remote: Option<&RemoteMigration>,
    ) -> Vec<String> {
        let name = self.text(id.as_str());
        let note = by.note();
        let update = format!(
            "UPDATE {} SET status = 'rolled_back', rollback_at = {}, rollback_by = {}, notes = {}, metadata = {} \
             WHERE migration_name = {name} AND status IN ('applied', 'failed')",
            self.table(HISTORY),
            self.now(),
            self.text(&by.who),
            self.noted(&note),
            self.patched(
                "metadata",
                &json!({
                    "error": null,
                    "progress": null,
                    "rolled_back": { "run": by.run, "reason": by.reason },
                })
            ),
        );
        let mut statements = match self.dialect {
            Dialect::Postgres => {
                let action = "(SELECT 'rolled_back' FROM gone)";
                let insert = self.audit(&name, action, by, &note);
                vec![format!(
                    "WITH gone AS ({update} RETURNING migration_name) {insert}"
                )]
            }
            Dialect::MySql => {
                let action = "CASE row_count() WHEN 1 THEN 'rolled_back' END";
                vec![update, self.audit(&name, action, by, &note)]
            }
            Dialect::Sqlite => {
                let action = "CASE changes() WHEN 1 THEN 'rolled_back' END";
                vec![update, self.audit(&name, action, by, &note)]
            }
        };
        // By version and name: the row of the same version may be another migration's. The column may be missing.
        if let (Some(remote), Dialect::Postgres) = (remote, self.dialect) {
            statements.push(format!(
                "DELETE FROM {SUPABASE} AS remote WHERE remote.version = {} \
                 AND coalesce(to_jsonb(remote) ->> 'name', '') = {}",
                self.text(&remote.version),
                self.text(remote.name.as_deref().unwrap_or_default()),
            ));
        }
        statements
    }

    /// Statements that write down that taking a migration down failed.
    pub fn failed(&self, id: &RevisionId, by: &By, error: &str) -> Vec<String> {
        let name = self.text(id.as_str());
        let error = error.replace('\0', "\u{fffd}");
        vec![
            format!(
                "UPDATE {} SET status = 'failed', metadata = {} \
                 WHERE migration_name = {name} AND status IN ('applied', 'failed')",
                self.table(HISTORY),
                self.patched("metadata", &json!({ "error": error })),
            ),
            self.audit(&name, "'failed'", by, &error),
        ]
    }

    /// Statements that write down how far a rollback came; `None` where it is over.
    pub fn progressed(&self, id: &RevisionId, progress: Option<&HistoryProgress>) -> Vec<String> {
        vec![format!(
            "UPDATE {} SET metadata = {} WHERE migration_name = {}",
            self.table(HISTORY),
            self.patched("metadata", &json!({ "progress": progress })),
            self.text(id.as_str()),
        )]
    }

    /// `notes` with one more line: those of others stay.
    fn noted(&self, note: &str) -> String {
        let note = self.text(note);
        let joined = match self.dialect {
            Dialect::Postgres => format!("notes || chr(10) || {note}"),
            Dialect::MySql => format!("concat(notes, char(10 USING utf8mb4), {note})"),
            Dialect::Sqlite => format!("notes || char(10) || {note}"),
        };
        format!("CASE WHEN coalesce(notes, '') = '' THEN {note} ELSE {joined} END")
    }

    /// A row of the audit. `action` is an expression, `name` a literal.
    fn audit(&self, name: &str, action: &str, by: &By, detail: &str) -> String {
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        format!(
            "INSERT INTO {} (migration_name, action, done_by, run, detail) VALUES ({name}, {action}, {}, {}, {})",
            self.table(AUDIT),
            self.text(&by.who),
            optional(self.dialect, by.run.as_deref()),
            optional(self.dialect, detail),
        )
    }

    /// `column`, which holds an object, with the members of another one in it; a null takes a member away.
    fn patched(&self, column: &str, patch: &Value) -> String {
        match self.dialect {
            // Both as in RFC 7396. The members of our own are no objects but for one, which is whole or gone.
            Dialect::MySql => format!(
                "json_merge_patch(coalesce({column}, '{{}}'), {})",
                self.text(&patch.to_string())
            ),
            Dialect::Sqlite => format!(
                "json_patch(coalesce({column}, '{{}}'), {})",
                self.text(&patch.to_string())
            ),
            Dialect::Postgres => {
                let nulls = patch.as_object().into_iter().flatten();
                let nulls: Vec<String> = nulls
                    .filter(|(_, value)| value.is_null())
                    .map(|(name, _)| format!(" - {}::text", self.text(name)))
                    .collect();
                format!(
                    "(coalesce({column}, '{{}}') || {}::jsonb){}",
                    self.text(&without_nulls(patch).to_string()),
                    nulls.concat()
                )
            }
        }
    }

    fn now(&self) -> &'static str {
        match self.dialect {
            Dialect::Postgres => "now()",
            Dialect::MySql => "utc_timestamp(6)",
            Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
        }
    }
}

fn without_nulls(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}
