//! The checks that a project writes itself: queries, commands and addresses.

mod http;

use std::path::Path;
use std::time::Duration;

pub use self::http::is_address;
use rollback_core::engine::Ended;
use rollback_core::figures::count;
use rollback_core::interrupt::Interrupt;
use rollback_system::process::{self, Environment, Invocation};

/// One `[[check]]` of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectCheck {
    /// What it is called when it fails.
    pub name: String,
    /// What it looks at.
    pub what: What,
    /// When.
    pub when: When,
    /// How long it may take.
    pub timeout: Duration,
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A query and its only value; no rows where none is given.
    Sql {
        /// The query.
        sql: String,
        /// The value, as text.
        expect: Option<String>,
    },
    /// A program that has to exit with 0.
    Command(Vec<String>),
    /// An address that has to answer with this status.
    Url {
        /// `http://...` or `https://...`.
        url: String,
        /// The status.
        status: u16,
    },
}

/// When a check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before anything is run; a failure refuses the run.
    Before,
    /// After each step.
    AfterStep,
    /// After the last step.
    After,
}

/// What checks are run with.
#[derive(Debug, Clone)]
pub struct CheckDirectory {
    /// The project's directory.
    pub dir: std::path::PathBuf,
    /// The environment of commands.
    pub environment: Environment,
    /// The operator's signals.
    pub interrupt: Interrupt,
}

/// Answers a query within a time; the error is a sentence.
pub type Ask<'a> = &'a mut dyn FnMut(&str, Duration) -> Result<Vec<Vec<Option<String>>>, String>;

impl ProjectCheck {
    /// Makes the check. The error is a sentence that names it.
    pub fn run(&self, place: &CheckDirectory, ask: Ask<'_>) -> Result<(), String> {
        let result = match &self.what {
            What::Sql { sql, expect } => {
                ask(sql, self.timeout).and_then(|rows| compare(&rows, expect.as_deref()))
            }
            What::Command(words) => self.command(words, place),
            What::Url { url, status } => match http::status(url, self.timeout) {
                Ok(found) if found == *status => Ok(()),
                Ok(found) => Err(format!("{url} answered {found}, not {status}")),
                Err(reason) => Err(format!("{url}: {reason}")),
            },
        };
        result.map_err(|reason| format!("the check \"{}\" failed: {reason}", self.name))
    }

    fn command(&self, words: &[String], place: &CheckDirectory) -> Result<(), String> {
        let Some((name, args)) = words.split_first() else {
            return Err("the command is empty".to_owned());
        };
        let path = place.environment.get(std::ffi::OsStr::new("PATH"));
        let program = process::find_program(name.as_ref(), &place.dir, path.map(AsRef::as_ref))
            .ok_or_else(|| format!("there is no program {name}"))?;
        let invocation = Invocation {
            program,
            args: args.iter().map(Into::into).collect(),
            cwd: Path::new(&place.dir).to_owned(),
            env: place.environment.clone(),
            stdin: None,
            side_channel: false,
            held: None,
        };
        let finished = process::run(
            &invocation,
            Some(self.timeout),
            &place.interrupt,
            &mut |_| {},
        )
        .map_err(|error| error.to_string())?;
        let ended = match finished.ended {
            Ended::Exited(0) => return Ok(()),
            Ended::Exited(status) => format!("{name} exited with status {status}"),
            Ended::Signalled(signal) => format!("{name} was ended by signal {signal}"),
            Ended::TimedOut => format!("{name} took longer than {} s", self.timeout.as_secs_f64()),
            Ended::Interrupted => format!("{name} was ended, as asked"),
        };
        let last = |text: &str| {
            text.lines()
                .rfind(|line| !line.trim().is_empty())
                .map(str::to_owned)
        };
        let said = last(&finished.stderr).or_else(|| last(&finished.stdout));
        Err(match said {
            Some(line) => format!("{ended}: {line}"),
            None => ended,
        })
    }
}

fn compare(rows: &[Vec<Option<String>>], expect: Option<&str>) -> Result<(), String> {
    let shown = |row: &[Option<String>]| {
        let values = row.iter().map(|value| value.as_deref().unwrap_or("null"));
        values.collect::<Vec<_>>().join(", ")
    };
    match (rows, expect) {
        ([], None) => Ok(()),
        ([first, ..], None) => Err(format!(
            "no rows were expected, and there are {}, such as ({})",
            rows.len(),
            shown(first)
        )),
        ([row], Some(expect)) if row.len() == 1 && row[0].as_deref() == Some(expect) => Ok(()),
        ([row], Some(expect)) => Err(format!("expected {expect}, found {}", shown(row))),
        (_, Some(expect)) => Err(format!(
            "expected {expect}, found {}",
            count(rows.len(), "row")
        )),
    }
}
