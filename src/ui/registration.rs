//! The answers of `rollback sql register` and `rollback sql sync`.

use std::fmt::Write as _;

use colored::Color;
use serde_json::{Value, json};

use super::json::{Format, VERSION};
use super::{Ui, count};
use crate::error::Failure;
use rollback_core::connection::Identity;
use rollback_core::names::{TOLD, some};
use rollback_sql_files::history::{Dependency, HistoryKind};
use rollback_sql_files::registration::FileChange;

/// What was written down, and what was not.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationResult<'a> {
    /// The database.
    pub database: &'a Identity,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// By name.
    pub entries: &'a [RegistrationEntry],
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationEntry {
    /// Its name.
    pub id: String,
    /// What was done.
    pub state: RegistrationState,
    /// Whether its file has rollback SQL.
    pub has_rollback: bool,
    /// What it depends on, as it was written.
    pub dependencies: Vec<Dependency>,
}

/// What was done with a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    /// It was written down.
    Written(FileChange),
    /// It was registered before.
    Same,
    /// It was registered before, and its file was changed since.
    Changed,
    /// It is rolled back.
    RolledBack,
    /// It is not applied.
    NotApplied(NotRegistered),
    /// It is not known whether it is applied.
    Unknown(NotRegistered),
    /// It cannot be written down: a sentence.
    Refused(String),
}

/// Why a migration that could be registered was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRegistered {
    /// Supabase's table has no row of its version.
    NotInSupabase,
    /// Supabase's table has its version under another name.
    OtherName,
    /// Supabase's table has its version without a name, and several migrations have that version.
    Ambiguous,
    /// What it creates does not exist: the missing objects.
    Missing(Vec<String>),
    /// Only a part of what it creates exists: what does, and what does not.
    Partly(Vec<String>, Vec<String>),
    /// It creates nothing that could be looked for.
    NothingToLookFor,
}

impl NotRegistered {
    fn sentence(&self) -> String {
        match self {
            Self::NotInSupabase => "not in supabase_migrations.schema_migrations".to_owned(),
            Self::OtherName => {
                "supabase_migrations.schema_migrations has its version under another name"
                    .to_owned()
            }
            Self::Ambiguous => {
                "supabase_migrations.schema_migrations has its version without a name, and several \
                                migrations have that version"
                    .to_owned()
            }
            Self::Missing(missing) => format!("missing: {}", some(missing, TOLD)),
            Self::Partly(present, missing) => format!(
                "exists: {}; missing: {}",
                some(present, TOLD),
                some(missing, TOLD)
            ),
            Self::NothingToLookFor => "the schema does not show whether it is applied".to_owned(),
        }
    }
}

impl RegistrationState {
    /// Its name in JSON.
    fn code(&self) -> &'static str {
        match self {
            Self::Written(FileChange::New) => "registered",
            Self::Written(FileChange::Again) => "applied_again",
            Self::Written(FileChange::Mended) => "mended",
            Self::Written(FileChange::Updated) => "updated",
            Self::Same => "unchanged",
            Self::Changed => "changed",
            Self::RolledBack => "rolled_back",
            Self::NotApplied(_) => "not_applied",
            Self::Unknown(_) => "unknown",
            Self::Refused(_) => "refused",
        }
    }

    fn color(&self) -> Color {
        match self {
            Self::Written(_) => Color::Green,
            Self::Refused(_) => Color::Red,
            Self::Changed | Self::Unknown(_) => Color::Yellow,
            Self::Same | Self::RolledBack | Self::NotApplied(_) => Color::White,
        }
    }
}

impl Ui {
    /// Tells what was written down.
    pub fn written_down(&self, told: &RegistrationResult<'_>) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.json_line(&registration_json(told)),
            Format::Human => self.data(&self.registration_text(told)),
        }
    }

    fn registration_text(&self, told: &RegistrationResult<'_>) -> String {
        let mut text = self.labelled("Database", &told.database.to_string());
        // What was there before is many, and says nothing new.
        let shown: Vec<&RegistrationEntry> = told
            .entries
            .iter()
            .filter(|entry| entry.state != RegistrationState::Same)
            .collect();
        let widest =
            |of: fn(&RegistrationEntry) -> usize| shown.iter().map(|entry| of(entry)).max();
        let id = widest(|entry| entry.id.chars().count()).unwrap_or_default();
        let state = widest(|entry| entry.state.code().len()).unwrap_or_default();
        let state = state.max(if told.dry_run {
            "to be written".len()
        } else {
            0
        });
        if !shown.is_empty() {
            text.push('\n');
        }
        for entry in &shown {
            let word = match &entry.state {
                RegistrationState::Written(_) if told.dry_run => "to be written".to_owned(),
                state => state.code().replace('_', " "),
            };
            let row = format!(
                "{}  {:<id$}  {}",
                self.out
                    .with(&format!("{word:<state$}"), entry.state.color()),
                entry.id,
                remark(entry)
            );
            let _ = writeln!(text, "{}", row.trim_end());
        }
        let _ = writeln!(text, "\n{}", totals(told));
        text
    }
}

fn remark(entry: &RegistrationEntry) -> String {
    match &entry.state {
        RegistrationState::Written(_) => {
            let mut parts = Vec::new();
            if !entry.has_rollback {
                parts.push("no rollback SQL".to_owned());
            }
            let needed: Vec<String> = entry
                .dependencies
                .iter()
                .filter(|one| one.kind != HistoryKind::Independent)
                .map(|one| match (&one.kind, &one.object) {
                    (HistoryKind::Inferred, Some(object)) => format!("{} ({object})", one.on),
                    _ => one.on.to_string(),
                })
                .collect();
            if !needed.is_empty() {
                parts.push(format!("depends on {}", needed.join(", ")));
            }
            parts.join("; ")
        }
        RegistrationState::Refused(reason) => reason.clone(),
        RegistrationState::Changed => "its file is not what was registered".to_owned(),
        RegistrationState::NotApplied(reason) | RegistrationState::Unknown(reason) => {
            reason.sentence()
        }
        RegistrationState::Same | RegistrationState::RolledBack => String::new(),
    }
}

fn number(told: &RegistrationResult<'_>, is: fn(&RegistrationState) -> bool) -> usize {
    told.entries.iter().filter(|entry| is(&entry.state)).count()
}

fn written(told: &RegistrationResult<'_>) -> usize {
    number(told, |state| matches!(state, RegistrationState::Written(_)))
}

fn refused(told: &RegistrationResult<'_>) -> usize {
    number(told, |state| matches!(state, RegistrationState::Refused(_)))
}

fn totals(told: &RegistrationResult<'_>) -> String {
    let done = if told.dry_run {
        "would be registered"
    } else {
        "registered"
    };
    let written = written(told);
    let refused = refused(told);
    let mut parts = vec![format!("{} {done}", count(written, "migration"))];
    let without = told
        .entries
        .iter()
        .filter(|entry| matches!(entry.state, RegistrationState::Written(_)) && !entry.has_rollback)
        .count();
    if without > 0 {
        parts.push(format!("{without} of them without rollback SQL"));
    }
    let same = number(told, |state| {
        matches!(state, RegistrationState::Same | RegistrationState::Changed)
    });
    if same > 0 {
        parts.push(format!("{same} there before"));
    }
    let out = number(told, |state| {
        matches!(
            state,
            RegistrationState::RolledBack | RegistrationState::NotApplied(_)
        )
    });
    if out > 0 {
        parts.push(format!("{out} not applied"));
    }
    let unknown = number(told, |state| matches!(state, RegistrationState::Unknown(_)));
    if unknown > 0 {
        parts.push(format!("{unknown} unknown"));
    }
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    parts.join(", ")
}

fn registration_json(told: &RegistrationResult<'_>) -> Value {
    let entries: Vec<Value> = told
        .entries
        .iter()
        .map(|entry| {
            let depends_on: Vec<Value> = entry
                .dependencies
                .iter()
                .map(|one| json!({ "on": one.on, "kind": one.kind, "object": one.object }))
                .collect();
            let reason = match &entry.state {
                RegistrationState::Refused(reason) => Some(reason.clone()),
                RegistrationState::NotApplied(reason) | RegistrationState::Unknown(reason) => {
                    Some(reason.sentence())
                }
                _ => None,
            };
            json!({
                "name": entry.id,
                "state": entry.state.code(),
                "has_rollback": entry.has_rollback,
                "depends_on": depends_on,
                "reason": reason,
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "database": told.database,
        "dry_run": told.dry_run,
        "migrations": entries,
        "registered": written(told),
        "refused": refused(told),
    })
}
