//! Events as short lines, and a host that writes them down.

use std::path::PathBuf;

use crate::{Event, EventKind, Host, Raised};
use python_source::version_file::{VersionFile, VersionFiles};
use rollback_core::dialect::Dialect;
use rollback_core::operation::{
    ColumnDefinition, Constraint, IndexRows, Name, Operation, UniqueScope,
};
use rollback_core::revision::Revision;
use rollback_schema::SchemaModel;

/// Version files; the id is the file's name up to its ending.
pub(super) fn files_of(files: &[(&str, &str)]) -> VersionFiles {
    VersionFiles {
        files: files
            .iter()
            .map(|(path, source)| VersionFile {
                revision: Revision {
                    id: PathBuf::from(path)
                        .file_stem()
                        .map(|stem| stem.to_string_lossy().into_owned())
                        .unwrap_or_default(),
                    ..Revision::default()
                },
                path: PathBuf::from(path),
                source: (*source).into(),
            })
            .collect(),
        unread: std::collections::HashMap::new(),
        roots: Vec::new(),
        may_autocommit: false,
    }
}

/// Writes down what happens.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    pub(super) dialect: Option<Dialect>,
    pub(super) model: Option<SchemaModel>,
    /// The line at which the database fails.
    pub(super) fails: Option<String>,
    pub(super) lines: Vec<String>,
    pub(super) events: Vec<Event>,
}

impl Recorder {
    pub(super) fn on(dialect: Dialect) -> Self {
        Self {
            dialect: Some(dialect),
            model: None,
            fails: None,
            lines: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Host for Recorder {
    fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    fn schema_model(&self) -> Option<&SchemaModel> {
        self.model.as_ref()
    }

    fn happens(&mut self, event: Event) -> Result<(), Raised> {
        let line = show(&event);
        let fails = self.fails.as_ref() == Some(&line);
        self.lines.push(line.clone());
        self.events.push(event);
        if fails {
            Err(Raised { message: line })
        } else {
            Ok(())
        }
    }

    fn escaped(&mut self, _: &Raised, certain: bool) {
        self.lines
            .push(if certain { "escaped" } else { "maybe escaped" }.to_owned());
    }
}

fn named(name: &Name) -> &str {
    match name {
        Name::Known(name) => name,
        Name::Unnamed => "-",
        Name::Unknown => "?",
    }
}

fn column(column: &ColumnDefinition) -> String {
    let kind = column.kind.as_ref().map_or("?", |kind| &kind.written);
    let null = if column.nullable { "" } else { " not null" };
    format!("{} {kind}{null}", column.name)
}

fn pieces(text: &[Option<String>]) -> String {
    text.iter()
        .map(|piece| piece.as_deref().unwrap_or("?"))
        .collect()
}

/// One event as one line.
pub(super) fn show(event: &Event) -> String {
    let certain = if event.certain { "" } else { "maybe " };
    let autocommit = if event.autocommit { "autocommit: " } else { "" };
    let what = match &event.kind {
        EventKind::Operation(operation) => operation_line(operation),
        EventKind::EndsTransaction => "ends transaction".to_owned(),
        EventKind::Raises { exception, message } => match message {
            Some(message) => format!("raises {exception}: {message}"),
            None => format!("raises {exception}"),
        },
        EventKind::Unknown { what, .. } => {
            format!("unknown (may change): {what}")
        }
    };
    format!("{certain}{autocommit}{what}")
}

fn operation_line(operation: &Operation) -> String {
    let exists = |flag: bool| if flag { " if exists" } else { "" };
    let missing = |flag: bool| if flag { " if not exists" } else { "" };
    match operation {
        Operation::CreateTable {
            table,
            columns,
            if_not_exists,
            ..
        } => {
            let columns: Vec<String> = columns.iter().map(column).collect();
            format!(
                "create table {table} ({}){}",
                columns.join(", "),
                missing(*if_not_exists)
            )
        }
        Operation::DropTable {
            table, if_exists, ..
        } => format!("drop table {table}{}", exists(*if_exists)),
        Operation::RenameTable { table, to } => format!("rename table {table} to {to}"),
        Operation::AddColumn {
            table,
            column: added,
            ..
        } => format!("add column {table}: {}", column(added)),
        Operation::DropColumn {
            table,
            column,
            if_exists,
            ..
        } => {
            format!("drop column {table}.{column}{}", exists(*if_exists))
        }
        Operation::AlterColumn {
            table,
            column,
            change,
        } => {
            let mut parts = Vec::new();
            if change.changes_type {
                let kind = change.kind.as_ref().map_or("?", |kind| &kind.written);
                let from = change
                    .existing_kind
                    .as_ref()
                    .map_or(String::new(), |kind| format!(" from {}", kind.written));
                parts.push(format!("type {kind}{from}"));
            }
            match change.nullable {
                Some(true) => parts.push("null".to_owned()),
                Some(false) => parts.push("not null".to_owned()),
                None => {}
            }
            match &change.server_default {
                Some(Some(default)) => parts.push(format!("default {default}")),
                Some(None) => parts.push("default dropped".to_owned()),
                None => {}
            }
            if let Some(name) = &change.new_name {
                parts.push(format!("name {name}"));
            }
            format!("alter column {table}.{column}: {}", parts.join(", "))
        }
        Operation::CreateIndex {
            name,
            table,
            columns,
            unique,
            alike: rows,
            concurrently,
            ..
        } => {
            let columns: Vec<&str> = columns
                .iter()
                .map(|column| column.as_deref().unwrap_or("?"))
                .collect();
            let unique = if *unique { "unique " } else { "" };
            let how = if *concurrently { " concurrently" } else { "" };
            format!(
                "create {unique}index {} on {table} ({}){how}{}",
                named(name),
                columns.join(", "),
                alike(rows)
            )
        }
        Operation::DropIndex {
            name,
            table,
            concurrently,
            if_exists,
        } => {
            let on = table
                .as_ref()
                .map_or(String::new(), |table| format!(" on {table}"));
            let how = if *concurrently { " concurrently" } else { "" };
            format!("drop index {}{on}{how}{}", named(name), exists(*if_exists))
        }
        Operation::AddConstraint { table, constraint } => match constraint {
            Constraint::PrimaryKey { name, columns } => format!(
                "add primary key {} of {table} ({})",
                named(name),
                columns.join(", ")
            ),
            Constraint::Unique {
                name,
                columns,
                alike: rows,
            } => format!(
                "add unique {} of {table} ({}){}",
                named(name),
                columns.join(", "),
                alike(rows)
            ),
            Constraint::ForeignKey {
                columns,
                references,
                ..
            } => format!(
                "add foreign key {} of {table} ({}) to {} ({})",
                named(&references.name),
                columns.join(", "),
                references.table,
                references.columns.join(", ")
            ),
            Constraint::Check {
                name, condition, ..
            } => {
                format!(
                    "add check {} of {table} ({})",
                    named(name),
                    condition.as_deref().unwrap_or("?")
                )
            }
        },
        Operation::DropConstraint {
            table, name, kind, ..
        } => match kind {
            Some(kind) => format!("drop constraint {} of {table} {kind:?}", named(name)),
            None => format!("drop constraint {} of {table}", named(name)),
        },
        Operation::Batch {
            table, operations, ..
        } => {
            let inner: Vec<String> = operations
                .iter()
                .map(|(_, operation)| operation_line(operation))
                .collect();
            format!("batch {table} [{}]", inner.join("; "))
        }
        Operation::CreateEnum {
            name,
            values,
            if_not_exists,
        } => {
            format!(
                "create enum {name} ({}){}",
                values.join(", "),
                missing(*if_not_exists)
            )
        }
        Operation::DropType {
            name, if_exists, ..
        } => format!("drop type {name}{}", exists(*if_exists)),
        Operation::ChangeRows {
            change,
            table,
            columns,
            conditional,
            ..
        } => {
            let table = table.as_ref().map_or("?".to_owned(), ToString::to_string);
            let condition = if *conditional { " where" } else { "" };
            format!(
                "{change:?} rows of {table} ({}){condition}",
                columns.join(", ")
            )
        }
        Operation::ReadRows { table, columns } => {
            let table = table.as_ref().map_or("?".to_owned(), ToString::to_string);
            format!("read {table} ({})", columns.join(", "))
        }
        Operation::Sql { text } => format!(
            "sql {}",
            pieces(text)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        ),
        other => format!("{other:?}"),
    }
}

/// Which rows a unique key compares.
fn alike(rows: &UniqueScope) -> String {
    let among = match &rows.among {
        IndexRows::All => String::new(),
        IndexRows::Where(condition) => format!(" among {condition}"),
        IndexRows::Unknown => " among some".to_owned(),
    };
    let nulls = if rows.nulls { " nulls alike" } else { "" };
    let in_part = if rows.in_part { " in part" } else { "" };
    format!("{among}{nulls}{in_part}")
}
