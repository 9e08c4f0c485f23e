//! Backups, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use colored::Color;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::json::{Format, VERSION, rounded};
use super::{Ui, Verbosity, count, seconds, terminal};
use crate::error::Failure;
use rollback_core::backup::{DatabaseDigest, LeftOut, Manifest, OmittedPart, Verified};
use rollback_core::figures::{self, bytes, recorded_seconds};
use rollback_core::journal::RunBackup;
use rollback_core::names::in_short;
use rollback_core::time;

/// Instead of the age of a backup that is younger than the clock.
const CLOCK_AHEAD: &str = "clock was ahead";

/// The backups of a project.
#[derive(Clone, Copy)]
pub struct BackupList<'a> {
    /// Newest first.
    pub manifests: &'a [Manifest],
    /// What cannot be read, a sentence each.
    pub damaged: &'a [String],
    /// Where the file of one is.
    pub path: &'a dyn Fn(&Manifest) -> PathBuf,
    /// What ages are counted from.
    pub now: SystemTime,
}

/// What a restore replaces, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'a> {
    /// The database, for people.
    pub database: &'a str,
    /// The backup.
    pub manifest: &'a Manifest,
    /// What the database holds before it; `None` if it cannot be read.
    pub now: Option<&'a DatabaseDigest>,
    /// Whether the manifest says what the backup holds.
    pub is_known: bool,
    /// What nobody can prove of the backup, a sentence each.
    pub unproven: &'a [&'static str],
    /// The unfinished run that it ends.
    pub run: Option<&'a str>,
    /// What the backup's age is counted from.
    pub moment: SystemTime,
}

/// A restore that was verified.
#[derive(Debug, Clone, Copy)]
pub struct Restoration<'a> {
    /// What was replaced.
    pub replacement: Replacement<'a>,
    /// The backup of the state before.
    pub saved: Option<&'a str>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Bytes that go from here to there: a bar with their number and rate on a terminal. It goes with this value.
#[derive(Debug)]
pub struct Transfer(ProgressBar);

impl Transfer {
    /// So many are through.
    pub fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Ui {
    /// Shows how a transfer goes on; `total` is what it may come to, where that is known.
    pub fn transfer(&self, what: &str, total: Option<u64>) -> Transfer {
        if !self.surroundings.stderr_is_terminal || self.verbosity == Verbosity::Quiet {
            return Transfer(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let colors = if self.err.0 { ".green/dim" } else { "" };
        let template = match total {
            Some(_) => format!(
                "{{bar:30{colors}}} {{decimal_bytes}} of {{decimal_total_bytes}}, {{decimal_bytes_per_sec}} {{wide_msg}}"
            ),
            None => "{decimal_bytes}, {decimal_bytes_per_sec} {wide_msg}".to_owned(),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        terminal::set_message(&bar, what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Transfer(bar)
    }

    /// The answer of `rollback backup`.
    pub fn backup(&self, manifest: &Manifest, path: &Path, restore: &str) -> Result<(), Failure> {
        if self.format == Format::Json {
            let mut value = backup_json(manifest, path);
            value["version"] = VERSION.into();
            value["restore"] = restore.into();
            return self.json_line(&value);
        }
        let rows: u64 = manifest.rows.values().sum();
        let text = [
            self.labelled("Database", &manifest.database),
            self.labelled("Backup", &path.display().to_string()),
            self.labelled(
                "Holds",
                &format!(
                    "{}, {} with {}, {}",
                    in_short(&manifest.heads),
                    count(manifest.rows.len(), "table"),
                    count(rows, "row"),
                    bytes(manifest.bytes)
                ),
            ),
            self.labelled(
                "Verified",
                &format!(
                    "{}, in {} altogether",
                    verified(manifest.verified),
                    recorded_seconds(manifest.seconds)
                ),
            ),
            self.left_out(manifest),
            // Not wrapped: it is to be copied.
            self.labelled("Restore", restore),
        ];
        self.data(&text.concat())
    }

    /// The answer of `rollback backups`.
    pub fn backups(&self, shelf: BackupList<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => {
                let backups: Vec<Value> = shelf
                    .manifests
                    .iter()
                    .map(|manifest| backup_json(manifest, &(shelf.path)(manifest)))
                    .collect();
                self.json_line(&json!({
                    "version": VERSION,
                    "backups": backups,
                    "damaged": shelf.damaged,
                }))
            }
            Format::Human => self.data(&self.backups_text(shelf)),
        }
    }

    fn backups_text(&self, shelf: BackupList<'_>) -> String {
        if shelf.manifests.is_empty() {
            return "There is no backup yet.\n".to_owned();
        }
        let databases: BTreeSet<&str> = shelf
            .manifests
            .iter()
            .map(|manifest| manifest.database_key.as_str())
            .collect();
        let mut rows =
            vec![["id", "age", "size", "verified", "run", "heads", "database"].map(str::to_owned)];
        rows.extend(shelf.manifests.iter().map(|manifest| {
            [
                manifest.id.clone(),
                age(manifest, shelf.now).unwrap_or_else(|| CLOCK_AHEAD.to_owned()),
                bytes(manifest.bytes),
                match manifest.verified {
                    Verified::Read => "read",
                    Verified::Restored => "restored",
                }
                .to_owned(),
                manifest.run.clone().unwrap_or_else(|| "-".to_owned()),
                in_short(&manifest.heads),
                manifest.database_key.clone(),
            ]
        }));
        // Of one database its name tells nothing.
        let columns = if databases.len() > 1 { 7 } else { 6 };
        let widths: Vec<usize> = (0..columns)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:<width$}"))
                .collect();
            let line = cells.join("  ");
            let line = line.trim_end();
            let line = if number == 0 {
                self.out.bold(line)
            } else {
                line.to_owned()
            };
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// What a restore is about to replace, before the question.
    pub fn replacement(&self, replacement: Replacement<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return Ok(());
        }
        let Replacement { manifest, now, .. } = replacement;
        let mut text = String::new();
        text.push_str(&self.labelled("Database", replacement.database));
        text.push_str(&self.labelled(
            "Backup",
            &format!(
                "{}, {}, {}",
                manifest.id,
                match age(manifest, replacement.moment) {
                    Some(age) => format!("{age} old"),
                    None => CLOCK_AHEAD.to_owned(),
                },
                bytes(manifest.bytes)
            ),
        ));
        if replacement.manifest.database != replacement.database {
            text.push_str(&self.labelled("Made of", &manifest.database));
        }
        for reason in replacement.unproven {
            text.push_str(&self.labelled("Unproven", reason));
        }
        text.push_str(&self.left_out(manifest));
        let unread = "not known: the database cannot be read".to_owned();
        text.push_str(&self.labelled("Now", &now.map_or(unread, |now| in_short(&now.heads))));
        if let (Some(now), true) = (now, replacement.is_known) {
            text.push_str(&self.comparison(now, manifest));
        } else if replacement.is_known {
            text.push_str(&self.labelled("Then", &in_short(&manifest.heads)));
        }
        if let Some(run) = replacement.run {
            text.push_str(&self.labelled("Ends", &format!("the unfinished run {run}")));
        }
        self.data(&text)
    }

    /// How the present state differs from a backup.
    fn comparison(&self, now: &DatabaseDigest, manifest: &Manifest) -> String {
        let mut text = self.labelled("Then", &in_short(&manifest.heads));
        let schema = match now.has_schema_of(manifest) {
            Some(true) => "as in the backup",
            Some(false) => "differs from the backup",
            None => "not compared: another version of rollback made the backup",
        };
        text.push_str(&self.labelled("Schema", schema));
        let tables = tables(now, manifest);
        let same = if tables.is_empty() {
            "every table has as many rows as in the backup; which ones is not compared".to_owned()
        } else {
            format!(
                "{} with another number of rows",
                count(tables.len(), "table")
            )
        };
        text.push_str(&self.labelled("Rows", &same));
        for (table, now, then) in tables {
            let told = |rows: Option<u64>| rows.map_or("none".to_owned(), |rows| rows.to_string());
            let _ = writeln!(
                text,
                "           {}: {} now, {} then",
                self.out.with(table, Color::Cyan),
                told(now).replace("none", "no table"),
                told(then).replace("none", "no table"),
            );
        }
        text
    }

    /// What a backup does not hold, a line each.
    fn left_out(&self, manifest: &Manifest) -> String {
        let line = |left: &LeftOut| self.labelled("Left out", &omission(left));
        manifest.left_out.iter().map(line).collect()
    }

    /// The state that a restore is about to replace is saved.
    pub fn saved(&self, manifest: &Manifest) {
        self.say(&format!(
            "Saved:     the present state, as backup {}.",
            manifest.id
        ));
        self.warn_of_omissions(manifest);
    }

    fn warn_of_omissions(&self, manifest: &Manifest) {
        for left in &manifest.left_out {
            self.warn(&format!(
                "the backup {} leaves out {}",
                manifest.id,
                omission(left)
            ));
        }
    }

    /// The end of `rollback restore`.
    pub fn restored(&self, restoration: Restoration<'_>) -> Result<(), Failure> {
        let Replacement {
            manifest, now, run, ..
        } = restoration.replacement;
        let what = if restoration.replacement.is_known {
            let what = match now.map(|now| now.has_schema_of(manifest)) {
                Some(None) => "version rows and the rows",
                _ => "version rows, schema and the rows",
            };
            format!(
                "{what} of {} are those of the backup, read from the database",
                count(manifest.rows.len(), "table")
            )
        } else {
            "nothing is known to compare the database with".to_owned()
        };
        let title = format!("✓ Restored in {}: {what}", seconds(restoration.elapsed));
        self.say(&self.err.with(&title, Color::Green));
        if let Some(run) = run {
            self.say(&format!("The unfinished run {run} is over."));
        }
        if self.format == Format::Human {
            return Ok(());
        }
        let unread = DatabaseDigest::default();
        let tables: Vec<Value> = tables(now.unwrap_or(&unread), manifest)
            .into_iter()
            .map(|(table, before, after)| json!({ "table": table, "rows_before": before, "rows": after }))
            .collect();
        self.json_line(&json!({
            "version": VERSION,
            "backup": manifest.id,
            "database": restoration.replacement.database,
            "heads_before": now.map(|now| &now.heads),
            "heads": manifest.heads,
            "compared": restoration.replacement.is_known,
            "left_out": manifest.left_out,
            "tables": tables,
            "saved": restoration.saved,
            "closed_run": run,
            "seconds": rounded(restoration.elapsed),
        }))
    }

    /// That a backup is about to be made before a run, and why.
    pub fn backing_up(&self, reason: &str) {
        self.say(&format!("\nA backup is made first: {reason}"));
    }

    /// The backup that was made before a run.
    pub fn backed_up(&self, backup: &RunBackup, path: &Path, reason: &str, restore: &str) {
        let manifest = &backup.manifest;
        self.say(&format!(
            "  {} {}, made {}, {}, {} in {}",
            self.err.with("✓", Color::Green),
            path.display(),
            backup.before.phrase(),
            bytes(manifest.bytes),
            verified(manifest.verified),
            recorded_seconds(manifest.seconds),
        ));
        self.warn_of_omissions(manifest);
        if self.format == Format::Json {
            let mut value = backup_json(manifest, path);
            value["version"] = VERSION.into();
            value["event"] = "backup_finished".into();
            value["reason"] = reason.into();
            value["before"] = json!(backup.before);
            value["restore"] = restore.into();
            let _ = self.json_line(&value);
        }
    }

    /// The backup of a run was restored, and that is verified.
    pub fn put_back(&self, backup: &RunBackup, saved: &Manifest, elapsed: Duration) {
        let manifest = &backup.manifest;
        self.say(&format!(
            "\n{} The backup {} was restored in {}: the database is {}",
            self.err.with("✓", Color::Green),
            manifest.id,
            seconds(elapsed),
            backup.before.state(),
        ));
        if self.format == Format::Json {
            let _ = self.json_line(&json!({
                "version": VERSION,
                "event": "restored",
                "backup": manifest.id,
                "before": backup.before,
                "heads": manifest.heads,
                "saved": saved.id,
                "seconds": rounded(elapsed),
            }));
        }
    }

    /// The state that a restore is about to replace was saved.
    pub fn saved_before_restore(&self, saved: &Manifest) {
        self.say(&format!(
            "\nSaved:      the state after the failure, as backup {}",
            saved.id
        ));
    }

    /// The backup of before a run was not put back.
    pub fn not_put_back(&self, manifest: &Manifest, failure: &Failure) {
        let reasons = [&failure.message].into_iter().chain(&failure.causes);
        let reasons: Vec<&str> = reasons.map(String::as_str).collect();
        super::insist(&format!(
            "\n{} the backup {} was not restored: {}",
            self.err.with("failed:", Color::Red),
            manifest.id,
            reasons.join(": ")
        ));
        if self.format == Format::Json {
            let _ = self.json_line(&json!({
                "version": VERSION,
                "event": "restore_failed",
                "backup": manifest.id,
                "reason": reasons.join(": "),
            }));
        }
    }
}

fn backup_json(manifest: &Manifest, path: &Path) -> Value {
    json!({
        "id": manifest.id,
        "at": manifest.at,
        "run": manifest.run,
        "by": manifest.by,
        "database": manifest.database,
        "database_key": manifest.database_key,
        "dialect": manifest.dialect,
        "server": manifest.server,
        "client": manifest.client,
        "path": path,
        "bytes": manifest.bytes,
        "sha256": manifest.sha256,
        "seconds": manifest.seconds,
        "heads": manifest.heads,
        "tables": manifest.rows.len(),
        "rows": manifest.rows.values().sum::<u64>(),
        "verified": manifest.verified,
        "left_out": manifest.left_out,
    })
}

/// What is left out, and why.
fn omission(left: &LeftOut) -> String {
    let what = match left.part {
        OmittedPart::View => format!("view {}", left.name),
        OmittedPart::Table => format!("table {}", left.name),
        OmittedPart::Routines => "all routines".to_owned(),
        OmittedPart::Triggers => "all triggers".to_owned(),
        OmittedPart::Events => "all events".to_owned(),
        OmittedPart::Unknown => "what the client could not read".to_owned(),
    };
    format!("{what}: {}", left.reason)
}

fn verified(verified: Verified) -> &'static str {
    match verified {
        Verified::Read => "read back whole",
        Verified::Restored => "restored beside the database and compared",
    }
}

/// The tables whose number of rows differs: now, and in the backup.
fn tables<'a>(
    now: &'a DatabaseDigest,
    manifest: &'a Manifest,
) -> Vec<(&'a str, Option<u64>, Option<u64>)> {
    let names: BTreeSet<&String> = now.rows.keys().chain(manifest.rows.keys()).collect();
    names
        .into_iter()
        .map(|table| {
            (
                table.as_str(),
                now.rows.get(table).copied(),
                manifest.rows.get(table).copied(),
            )
        })
        .filter(|(_, now, then)| now != then)
        .collect()
}

/// `None` for a time that has not come yet.
fn age(manifest: &Manifest, now: SystemTime) -> Option<String> {
    let Some(at) = time::moment(&manifest.at) else {
        return Some("?".to_owned());
    };
    Some(figures::age(now.duration_since(at).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(rows: &[(&str, u64)]) -> DatabaseDigest {
        DatabaseDigest {
            rows: rows
                .iter()
                .map(|(name, rows)| ((*name).to_owned(), *rows))
                .collect(),
            ..DatabaseDigest::default()
        }
    }

    #[test]
    fn tables_that_differ_are_told_with_both_numbers() {
        let manifest = Manifest {
            at: "2026-11-21T04:00:00Z".to_owned(),
            rows: contents(&[("gone", 3), ("less", 9), ("same", 1)]).rows,
            ..Manifest::default()
        };
        assert_eq!(
            tables(
                &contents(&[("less", 4), ("new", 2), ("same", 1)]),
                &manifest
            ),
            [
                ("gone", None, Some(3)),
                ("less", Some(4), Some(9)),
                ("new", Some(2), None)
            ]
        );
        let at = time::moment("2026-11-23T05:06:07Z").unwrap();
        assert_eq!(age(&manifest, at).as_deref(), Some("2 days"));
        // Turns red if a clock that was set back makes a backup look new.
        assert_eq!(age(&manifest, SystemTime::UNIX_EPOCH), None);
    }
}
