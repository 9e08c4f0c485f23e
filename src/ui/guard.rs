//! What is said around a command under guard.

use colored::Color;
use serde_json::json;

use super::json::{Format, VERSION};
use super::{Ui, insist};
use crate::error::Failure;
use rollback_core::figures::recorded_seconds;
use rollback_core::guard::Guarded;
use rollback_core::names::in_short;
use rollback_core::revision::RevisionId;

/// A command that is about to be run.
#[derive(Debug, Clone, Copy)]
pub struct GuardedCommand<'a> {
    /// Its command line, without passwords.
    pub command: &'a str,
    /// The database, for people.
    pub database: &'a str,
    /// The version rows.
    pub rows: &'a [RevisionId],
}

impl Ui {
    /// Before the command: where the database is. Fails where the event cannot be written.
    pub fn guard_began(&self, watched: GuardedCommand<'_>) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json_line(&json!({
                "version": VERSION,
                "event": "guard_began",
                "command": watched.command,
                "database": watched.database,
                "current": watched.rows,
            }));
        }
        let stands = in_short(watched.rows);
        self.say(&format!(
            "{} {} at {stands}",
            self.err.with("on guard:", Color::Cyan),
            watched.database
        ));
        self.say(&format!(
            "  {}",
            self.err.dimmed(&format!("$ {}", watched.command))
        ));
        Ok(())
    }

    /// After a command that succeeded.
    pub fn guard_passed(&self, guarded: &Guarded) {
        self.guard_command_ended(guarded);
        self.say(&format!(
            "{} the command succeeded; nothing else was done",
            self.err.with("✓", Color::Green)
        ));
    }

    /// After a command that failed, before anything is done about it.
    pub fn guard_failed(&self, guarded: &Guarded) {
        self.guard_command_ended(guarded);
        insist(&format!(
            "{} the command ended {} after {}; looking at what it applied",
            self.err.with("failed:", Color::Red),
            guarded.how(),
            recorded_seconds(guarded.seconds),
        ));
    }

    /// The last word where the database is where it was.
    pub fn guard_ended(&self, guarded: &Guarded, rows: &[RevisionId]) {
        insist(&format!(
            "The command ended {}; the database is where it was before it: {}",
            guarded.how(),
            in_short(rows),
        ));
    }

    /// Where stdout is closed, the exit code still says how it ended.
    fn guard_command_ended(&self, guarded: &Guarded) {
        if self.format == Format::Json {
            let _ = self.json_line(&json!({
                "version": VERSION,
                "event": "guard_command_ended",
                "exit_status": guarded.exit_status,
                "signal": guarded.signal,
                "seconds": guarded.seconds,
            }));
        }
    }
}
