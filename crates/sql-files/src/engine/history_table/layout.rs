//! The tables: their columns, in the words of each server.

use super::functions::FUNCTIONS;
use super::{SCHEMA, Tables};
use crate::literal::identifier;
use rollback_core::checks::object;
use rollback_core::dialect::Dialect;

/// The version of the tables and of the functions. It goes up with every change of either.
pub const VERSION: u32 = 2;

pub(super) const HISTORY: &str = "migration_history";
pub(super) const DEPENDENCIES: &str = "migration_dependencies";
pub(super) const SNAPSHOTS: &str = "migration_snapshots";
pub(super) const AUDIT: &str = "migration_audit";
/// One row, which has the [`VERSION`] that the others are of.
pub(super) const FORMAT: &str = "migration_history_version";

/// Each with its table and its column.
pub(super) const INDEXES: [(&str, &str, &str); 5] = [
    (
        "idx_migration_history_version",
        HISTORY,
        "migration_version",
    ),
    ("idx_migration_history_status", HISTORY, "status"),
    ("idx_migration_history_applied_at", HISTORY, "applied_at"),
    (
        "idx_migration_deps_migration",
        DEPENDENCIES,
        "migration_name",
    ),
    ("idx_migration_deps_depends_on", DEPENDENCIES, "depends_on"),
];

/// A table.
pub(super) struct TableLayout {
    pub(super) name: &'static str,
    pub(super) columns: Vec<ColumnLayout>,
    /// What stands behind the columns.
    pub(super) constraints: Vec<String>,
}

/// A column: its name, and what follows it where the table is made and where the column is added.
pub(super) struct ColumnLayout {
    pub(super) name: &'static str,
    pub(super) made: String,
    pub(super) added: String,
}

fn column(name: &'static str, definition: impl Into<String>) -> ColumnLayout {
    let made = definition.into();
    let added = made.clone();
    ColumnLayout { name, made, added }
}

/// The types and defaults of a server.
struct ColumnTypes {
    id: &'static str,
    name: &'static str,
    text: &'static str,
    word: &'static str,
    moment: &'static str,
    now: &'static str,
    user: &'static str,
    current_user: &'static str,
    json: &'static str,
}

fn words(dialect: Dialect) -> ColumnTypes {
    match dialect {
        Dialect::Postgres => ColumnTypes {
            id: "uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY",
            name: "text",
            text: "text",
            word: "text",
            moment: "timestamptz",
            now: " DEFAULT now()",
            user: "text",
            current_user: " DEFAULT current_user",
            json: "jsonb DEFAULT '{}'",
        },
        // Names in a binary collation, because two files may differ by case alone. Moments without the time zone
        // of a session, in UTC.
        Dialect::MySql => ColumnTypes {
            id: "char(36) CHARACTER SET ascii NOT NULL DEFAULT (uuid()) PRIMARY KEY",
            name: "varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            text: "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            word: "varchar(64) CHARACTER SET ascii COLLATE ascii_bin",
            moment: "datetime(6)",
            now: " DEFAULT (utc_timestamp(6))",
            user: "varchar(255) CHARACTER SET utf8mb4",
            current_user: " DEFAULT (current_user())",
            json: "json DEFAULT ('{}')",
        },
        Dialect::Sqlite => ColumnTypes {
            id: "text NOT NULL DEFAULT (lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' \
                 || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' \
                 || hex(randomblob(6)))) PRIMARY KEY",
            name: "text",
            text: "text",
            word: "text",
            moment: "text",
            now: " DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            user: "text",
            current_user: "",
            json: "text DEFAULT '{}'",
        },
    }
}

/// All of them, in the same order.
pub(super) const ALL: [&str; 5] = [HISTORY, DEPENDENCIES, SNAPSHOTS, AUDIT, FORMAT];

impl Tables {
    /// Whether a line of a schema is about one of the tables or functions, or about the schema that they have for
    /// themselves.
    pub fn is_ours(&self, line: &str) -> bool {
        let own_schema = self.schema.as_deref() == Some(SCHEMA);
        if own_schema && line.strip_prefix("schema ") == Some(SCHEMA) {
            return true;
        }
        let Some(name) = object(line).or_else(|| line.strip_prefix("function ")) else {
            return false;
        };
        if let Some(rest) = name.strip_prefix("schema ") {
            return own_schema && rest.split(' ').next() == Some(SCHEMA);
        }
        let name = name.strip_prefix("function ").unwrap_or(name);
        let name = match &self.schema {
            Some(schema) => {
                let quoted = identifier(self.dialect, schema);
                // The server quotes what is not plain.
                let rest = name.strip_prefix(&quoted);
                rest.or_else(|| name.strip_prefix(schema.as_str()))
                    .and_then(|rest| rest.strip_prefix('.'))
            }
            None => Some(name),
        };
        name.is_some_and(|name| {
            let tables = ALL.iter().copied();
            let functions = FUNCTIONS.iter().map(|(name, _)| *name);
            tables.chain(functions).any(|own| {
                name.strip_prefix(own)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ', '(']))
            })
        })
    }

    /// All tables, each after those that it refers to.
    pub(super) fn layout(&self) -> Vec<TableLayout> {
        let words = words(self.dialect);
        let ColumnTypes { id, name, text, .. } = &words;
        let ColumnTypes {
            word,
            moment,
            now,
            user,
            current_user,
            json,
            ..
        } = &words;
        let at = |name| ColumnLayout {
            name,
            made: format!("{moment}{now}"),
            added: match self.dialect {
                // It adds no column whose default has to be worked out.
                Dialect::Sqlite => (*moment).to_owned(),
                Dialect::Postgres | Dialect::MySql => format!("{moment}{now}"),
            },
        };
        let by = |name| column(name, format!("{user}{current_user}"));
        let status = "CHECK (status IN ('applied', 'rolled_back', 'failed'))";
        let reference = |column: &str| {
            let history = self.table(HISTORY);
            format!("FOREIGN KEY ({column}) REFERENCES {history} (migration_name)")
        };
        vec![
            TableLayout {
                name: HISTORY,
                columns: vec![
                    column("id", *id),
                    column("migration_name", format!("{name} NOT NULL UNIQUE")),
                    column("migration_version", format!("{name} NOT NULL")),
                    at("applied_at"),
                    by("applied_by"),
                    column("rollback_sql", *text),
                    column("checksum", *word),
                    ColumnLayout {
                        name: "status",
                        made: format!("{word} NOT NULL DEFAULT 'applied' {status}"),
                        added: format!("{word} NOT NULL DEFAULT 'applied'"),
                    },
                    column("rollback_at", *moment),
                    column("rollback_by", *user),
                    column("notes", *text),
                    column("metadata", *json),
                ],
                constraints: Vec::new(),
            },
            TableLayout {
                name: DEPENDENCIES,
                columns: vec![
                    column("id", *id),
                    column("migration_name", format!("{name} NOT NULL")),
                    column("depends_on", format!("{name} NOT NULL")),
                    at("created_at"),
                    column("kind", format!("{word} DEFAULT 'declared'")),
                    column("object", *text),
                ],
                constraints: vec![
                    "UNIQUE (migration_name, depends_on)".to_owned(),
                    reference("migration_name"),
                    reference("depends_on"),
                ],
            },
            TableLayout {
                name: SNAPSHOTS,
                columns: vec![
                    column("id", *id),
                    column("migration_name", *name),
                    column("note", *text),
                    at("taken_at"),
                    by("taken_by"),
                    column("schema_lines", format!("{text} NOT NULL")),
                ],
                constraints: Vec::new(),
            },
            TableLayout {
                name: AUDIT,
                // Without a reference: what was done stays told, whatever becomes of the row.
                columns: vec![
                    column("id", *id),
                    column("migration_name", format!("{name} NOT NULL")),
                    column("action", format!("{word} NOT NULL")),
                    at("done_at"),
                    by("done_by"),
                    column("run", *text),
                    column("detail", *text),
                ],
                constraints: Vec::new(),
            },
            TableLayout {
                name: FORMAT,
                columns: vec![column("version", "integer NOT NULL")],
                constraints: Vec::new(),
            },
        ]
    }

    /// The statement that makes a table.
    pub(super) fn create(&self, table: &TableLayout) -> String {
        let columns = table
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.made));
        let parts: Vec<String> = columns.chain(table.constraints.iter().cloned()).collect();
        let options = match self.dialect {
            Dialect::MySql => " ENGINE = InnoDB",
            Dialect::Postgres | Dialect::Sqlite => "",
        };
        format!(
            "CREATE TABLE {} (\n    {}\n){options}",
            self.table(table.name),
            parts.join(",\n    ")
        )
    }
}
