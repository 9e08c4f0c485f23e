//! The statements of the table of `[audit]`: the only rows that our own connection writes.
//!
//! Text is sent as the hexadecimal of its bytes. So nothing of it is ever read as SQL, whatever a server's
//! settings say about quotes and backslashes, and no statement has to be prepared, which a pooler may not
//! carry.

use super::quoted;
use rollback_core::audit::{AuditValue, KEY, REPORT, Row, TABLE};
use rollback_core::dialect::Dialect;

/// The table as the server is to call it.
pub(super) fn name(dialect: Dialect, schema: Option<&str>) -> String {
    let quote = quote(dialect);
    match schema {
        Some(schema) => format!("{}.{}", quoted(schema, quote), quoted(TABLE, quote)),
        None => quoted(TABLE, quote),
    }
}

/// Makes the table. Whatever was a moment stays text, RFC 3339 in UTC: it sorts, and means the same on each
/// server.
pub(super) fn create(dialect: Dialect, table: &str) -> String {
    let columns = [
        "run varchar(64) NOT NULL PRIMARY KEY",
        "began varchar(32) NOT NULL",
        "ended varchar(32)",
        "executed_by text",
        "host text",
        "target text",
        "from_revisions text",
        "to_revisions text",
        "reason text",
        "incident text",
        "approved_by text",
        "result varchar(32) NOT NULL",
        "exit_code integer",
        "tool_version varchar(32)",
    ];
    let (report, options) = match dialect {
        // `text` ends after 64 kB there.
        Dialect::MySql => ("report longtext NOT NULL", " CHARACTER SET utf8mb4"),
        Dialect::Postgres | Dialect::Sqlite => ("report text NOT NULL", ""),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {table} ({}, {report}){options}",
        columns.join(", ")
    )
}

/// Puts a row into the table, in the place of the one of the same run.
pub(super) fn put(dialect: Dialect, table: &str, row: &Row) -> String {
    let columns: Vec<&str> = row.columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = row
        .columns
        .iter()
        .map(|(_, value)| literal(dialect, value))
        .collect();
    let (verb, conflict) = match dialect {
        Dialect::MySql | Dialect::Sqlite => ("REPLACE", String::new()),
        Dialect::Postgres => {
            let others = columns.iter().filter(|name| **name != KEY);
            let set: Vec<String> = others
                .map(|name| format!("{name} = excluded.{name}"))
                .collect();
            let set = set.join(", ");
            (
                "INSERT",
                format!(" ON CONFLICT ({KEY}) DO UPDATE SET {set}"),
            )
        }
    };
    format!(
        "{verb} INTO {table} ({}) VALUES ({}){conflict}",
        columns.join(", "),
        values.join(", ")
    )
}

/// Asks for all rows: each run and its report, newest first.
pub(super) fn all(table: &str) -> String {
    format!("SELECT {KEY}, {REPORT} FROM {table} ORDER BY {KEY} DESC")
}

fn quote(dialect: Dialect) -> char {
    match dialect {
        Dialect::MySql => '`',
        Dialect::Postgres | Dialect::Sqlite => '"',
    }
}

fn literal(dialect: Dialect, value: &AuditValue) -> String {
    let text = match value {
        AuditValue::Text(Some(text)) => text,
        AuditValue::Number(Some(number)) => return number.to_string(),
        AuditValue::Text(None) | AuditValue::Number(None) => return "NULL".to_owned(),
    };
    // PostgreSQL has no text with it.
    let text = text.replace('\0', "\u{fffd}");
    let hex = hex::encode(text);
    match dialect {
        Dialect::Postgres => format!("convert_from(decode('{hex}', 'hex'), 'UTF8')"),
        Dialect::MySql => format!("CONVERT(X'{hex}' USING utf8mb4)"),
        Dialect::Sqlite => format!("CAST(X'{hex}' AS TEXT)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            columns: vec![
                (KEY, AuditValue::Text(Some("a'; DROP".to_owned()))),
                ("reason", AuditValue::Text(None)),
                ("exit_code", AuditValue::Number(Some(4))),
            ],
        }
    }

    #[test]
    fn no_text_of_a_row_is_read_as_sql() {
        assert_eq!(
            put(Dialect::Sqlite, "\"rollback_audit\"", &row()),
            "REPLACE INTO \"rollback_audit\" (run, reason, exit_code) \
             VALUES (CAST(X'61273b2044524f50' AS TEXT), NULL, 4)"
        );
        assert_eq!(
            put(Dialect::Postgres, "t", &row()),
            "INSERT INTO t (run, reason, exit_code) \
             VALUES (convert_from(decode('61273b2044524f50', 'hex'), 'UTF8'), NULL, 4) \
             ON CONFLICT (run) DO UPDATE SET reason = excluded.reason, exit_code = excluded.exit_code"
        );
        assert!(
            put(Dialect::MySql, "t", &row()).contains("CONVERT(X'61273b2044524f50' USING utf8mb4)")
        );
    }

    #[test]
    fn it_is_in_the_schema_of_the_version_table() {
        assert_eq!(
            name(Dialect::Postgres, Some("a\"b")),
            "\"a\"\"b\".\"rollback_audit\""
        );
        assert_eq!(name(Dialect::MySql, None), "`rollback_audit`");
    }
}
