//! The only place that prints or asks.
//!
//! Data goes to stdout, words to stderr. Nothing needs colour to be understood.

mod backup;
mod explain;
mod findings;
mod guard;
mod json;
mod list;
mod position;
mod run_history;
mod run_summary;

mod policy;
mod progress;
mod prompt;
mod registration;
mod snapshots;
mod sql;
mod sql_files;
mod standing;
mod steps;
mod terminal;

use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use colored::Color;
use serde_json::Value;

use crate::error::{Exit, Failure};
use rollback_core::figures::{count, seconds};
use rollback_core::lock::Holder;
use rollback_core::untrusted;

pub use backup::{BackupList, Replacement, Restoration, Transfer};
pub use findings::PlanFooter;
pub use guard::GuardedCommand;
pub use json::{CurrentView, Format, PlanView, RemoteHistory};
pub use list::{CheckView, Listing};
pub use progress::Progress;
pub use registration::{NotRegistered, RegistrationEntry, RegistrationResult, RegistrationState};
pub use run_history::HistoryRow;
pub use run_summary::RunSummary;
pub(crate) use run_summary::hidden;
pub use snapshots::SnapshotDiffView;
pub use sql_files::{Migrations, RegisteredMigration};
pub use standing::{RecordedState, UnfinishedRun};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Where the stream is a terminal and `NO_COLOR` is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Refusals, failures and data.
    Quiet,
    /// The course of the run.
    Normal,
    /// The engine's own lines, file paths and commands as well.
    Verbose,
}

/// What of the surroundings decides how things look.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that do not depend on each other"
)]
pub struct Terminal {
    /// Stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Stdin is a terminal, so that somebody can answer.
    pub stdin_is_terminal: bool,
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// How many characters a line of stdout has; `None` where it is no terminal.
    pub width: Option<usize>,
}

impl Terminal {
    /// Looks at the three streams.
    #[expect(
        clippy::disallowed_methods,
        reason = "what they are is asked, and nothing is written"
    )]
    pub fn observe(no_color: bool) -> Self {
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            stdin_is_terminal: io::stdin().is_terminal(),
            no_color,
            width: console::Term::stdout()
                .size_checked()
                .map(|(_, columns)| columns.into()),
        }
    }
}

/// Colour, or not, for one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    fn with(self, text: &str, color: Color) -> String {
        if self.0 && !text.is_empty() {
            terminal::styled(&color.to_fg_str(), text)
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        if self.0 {
            terminal::styled("1", text)
        } else {
            text.to_owned()
        }
    }

    fn dimmed(self, text: &str) -> String {
        if self.0 {
            terminal::styled("2", text)
        } else {
            text.to_owned()
        }
    }
}

/// Both streams and the way to write to them.
#[derive(Debug)]
pub struct Ui {
    /// How data is written.
    pub format: Format,
    /// How much is said.
    pub verbosity: Verbosity,
    surroundings: Terminal,
    out: Paint,
    err: Paint,
}

impl Ui {
    /// Settles colour for both streams.
    pub fn new(
        format: Format,
        verbosity: Verbosity,
        color: ColorChoice,
        surroundings: Terminal,
    ) -> Self {
        let paint = |is_terminal: bool| {
            Paint(match color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && !surroundings.no_color,
            })
        };
        Self {
            format,
            verbosity,
            surroundings,
            out: paint(surroundings.stdout_is_terminal),
            err: paint(surroundings.stderr_is_terminal),
        }
    }

    /// Whether a person can be asked.
    pub fn can_ask(&self) -> bool {
        self.surroundings.stdin_is_terminal && self.surroundings.stderr_is_terminal
    }

    /// Writes data to stdout. Nothing may be changed by a command whose plan could not be written,
    /// so this fails where stdout is closed or full.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        terminal::to_stdout(text).map_err(|error| not_written(&error))
    }

    /// Writes what is to be run or kept: SQL, a script. A pipe or a file has it as it is; a terminal has
    /// what it would obey written out.
    pub fn document(&self, text: &str) -> Result<(), Failure> {
        let written = if self.surroundings.stdout_is_terminal {
            terminal::to_stdout(text)
        } else {
            terminal::verbatim_to_stdout(text)
        };
        written.map_err(|error| not_written(&error))
    }

    /// Writes one JSON object on one line.
    pub fn json_line(&self, value: &Value) -> Result<(), Failure> {
        let json = untrusted::json(value)
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        self.data(&format!("{json}\n"))
    }

    /// Says something on stderr, unless asked to be quiet.
    pub fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            insist(text);
        }
    }

    /// What only who wants to know more reads, on stderr.
    pub fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.say(&self.err.dimmed(text));
        }
    }

    /// A caution on stderr.
    pub fn warn(&self, text: &str) {
        self.say(&format!(
            "{} {}",
            self.err.with("warning:", Color::Yellow),
            continued(text)
        ));
    }

    /// Tells whoever waits for another run what for, and for how long yet.
    pub(crate) fn waiting(
        &self,
        holder: &Holder,
        now: SystemTime,
        waited: Duration,
        at_most: Duration,
    ) {
        let held = holder.held_for(now);
        if self.format == Format::Json {
            // Whoever does not read is not waited for.
            let _ = self.json_line(&Self::waiting_event(holder, held, waited, at_most));
        }
        let held = held.map(|held| format!(", which has held the lock for {}", seconds(held)));
        self.say(&format!(
            "{} {} of {} for {holder}{}",
            self.err.with("waiting", Color::Yellow),
            seconds(waited),
            seconds(at_most),
            held.unwrap_or_default(),
        ));
    }

    /// Tells a failure: the sentence, its causes, what the engine printed, what to do.
    pub fn failure(&self, failure: &Failure) {
        let word = match failure.exit {
            Exit::Refused => self.err.with("refused:", Color::Yellow),
            Exit::Locked => self.err.with("locked:", Color::Yellow),
            Exit::Interrupted => self.err.with("interrupted:", Color::Yellow),
            _ => self.err.with("error:", Color::Red),
        };
        insist(&format!("{word} {}", continued(&failure.message)));
        for cause in &failure.causes {
            let because = self.err.dimmed("because");
            insist(&format!("  {because} {}", continued(cause)));
        }
        let output = failure.output.trim_end();
        if !output.is_empty() && self.verbosity == Verbosity::Verbose {
            for line in output.lines() {
                insist(&self.err.dimmed(&format!("  | {line}")));
            }
        }
        for hint in &failure.hints {
            let arrow = self.err.with("→", Color::Cyan);
            insist(&format!("  {arrow} {}", continued(hint)));
        }
        if !output.is_empty() && self.verbosity < Verbosity::Verbose {
            insist(&format!(
                "  {} the engine's whole output: the same command with -v",
                self.err.with("→", Color::Cyan)
            ));
        }
    }
}

/// A text whose further lines cannot be taken for lines of their own.
fn continued(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// Says something on stderr in any case. Where nobody listens any more (a closed terminal) the run
/// goes on as confirmed.
fn insist(text: &str) {
    terminal::to_stderr(&format!("{text}\n"));
}

fn not_written(error: &io::Error) -> Failure {
    Failure::user(format!("cannot write to stdout: {error}"))
        .hint("nothing was changed; check where the output goes and run it again")
}
