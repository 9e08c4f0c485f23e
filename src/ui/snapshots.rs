//! The answers of `rollback sql snapshot`.

use std::fmt::Write as _;

use colored::Color;
use serde_json::{Value, json};

use super::json::{Format, VERSION};
use super::{Ui, count};
use crate::error::Failure;
use rollback_core::schema::{Difference, fingerprint};
use rollback_sql_files::history::HistorySnapshot;

/// Two snapshots beside each other.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotDiffView<'a> {
    /// The older one.
    pub one: &'a HistorySnapshot,
    /// The newer one; `None` for the database as it is.
    pub other: Option<&'a HistorySnapshot>,
    /// What is between them.
    pub difference: &'a Difference,
}

impl Ui {
    /// Tells that one was kept.
    pub fn kept(&self, one: &HistorySnapshot) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&snapshot_json(one, true)),
            Format::Human => self.data(&format!(
                "{} kept: {}\n",
                one.id,
                count(one.schema.len(), "line")
            )),
        }
    }

    /// All of them.
    pub fn snapshots(&self, all: &[HistorySnapshot]) -> Result<(), Failure> {
        if self.format == Format::Json {
            let all: Vec<Value> = all.iter().map(|one| snapshot_json(one, false)).collect();
            return self.json_line(&json!({ "version": VERSION, "snapshots": all }));
        }
        if all.is_empty() {
            return self.data("no snapshot was taken yet\n");
        }
        let mut text = String::new();
        for one in all {
            let row = format!(
                "{}  {}  {}  {}",
                self.out.with(&one.id, Color::Cyan),
                one.at.as_deref().unwrap_or("-"),
                one.migration.as_deref().unwrap_or("-"),
                one.note.as_deref().unwrap_or_default(),
            );
            let _ = writeln!(text, "{}", one_line(row.trim_end()));
        }
        self.data(&text)
    }

    /// One with its lines.
    pub fn snapshot(&self, one: &HistorySnapshot) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&snapshot_json(one, true));
        }
        let mut text = self.labelled("Snapshot", &one.id);
        for (label, value) in [
            ("Taken", &one.at),
            ("By", &one.by),
            ("For", &one.migration),
            ("Note", &one.note),
        ] {
            if let Some(value) = value {
                text.push_str(&self.labelled(label, &one_line(value)));
            }
        }
        text.push('\n');
        for line in one.schema.iter() {
            let _ = writeln!(text, "{line}");
        }
        self.data(&text)
    }

    /// What is between two.
    pub fn compared(&self, told: &SnapshotDiffView<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&json!({
                "version": VERSION,
                "from": told.one.id,
                "to": told.other.map(|other| &other.id),
                "gone": told.difference.gone,
                "new": told.difference.new,
            }));
        }
        let mut text = String::new();
        for line in &told.difference.gone {
            let _ = writeln!(text, "{}", self.out.with(&format!("- {line}"), Color::Red));
        }
        for line in &told.difference.new {
            let _ = writeln!(
                text,
                "{}",
                self.out.with(&format!("+ {line}"), Color::Green)
            );
        }
        let to = told.other.map_or("now", |other| &other.id);
        if told.difference.is_empty() {
            let _ = writeln!(text, "the same from {} to {to}", told.one.id);
        }
        self.data(&text)
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn snapshot_json(one: &HistorySnapshot, lines: bool) -> Value {
    let mut value = json!({
        "version": VERSION,
        "id": one.id,
        "migration": one.migration,
        "note": one.note,
        "taken_at": one.at,
        "taken_by": one.by,
    });
    if lines {
        value["fingerprint"] = fingerprint(&one.schema).into();
        value["schema"] = json!(one.schema);
    }
    value
}
