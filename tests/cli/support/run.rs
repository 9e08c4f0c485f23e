//! One call of the program and what came of it.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Project, bin, filter, road};

/// A call that waits for nobody longer than this: a test that hangs has to say where.
const PATIENCE: Duration = Duration::from_mins(2);

/// A call of the program, not yet made.
pub struct Call<'a> {
    project: &'a Project,
    words: Vec<String>,
    variables: Vec<(String, String)>,
}

impl<'a> Call<'a> {
    pub(super) fn new(project: &'a Project, words: Vec<String>) -> Self {
        Self {
            project,
            words,
            variables: Vec::new(),
        }
    }

    /// Sets a variable for this call.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The call as a command, for tests that need hold of the process.
    pub fn command(&self) -> Command {
        if self.runs_steps() {
            road::note(self.project.test.as_deref());
        }
        let mut command = Command::new(bin());
        command
            .args(&self.words)
            .current_dir(&self.project.root)
            .env_clear()
            .envs(&self.project.environment)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Whether steps of the engine may come of it.
    fn runs_steps(&self) -> bool {
        let said = |word: &str| self.words.iter().any(|one| one == word);
        ["downgrade-safe", "resume", "guard"].into_iter().any(said)
            && !["--help", "--dry-run", "--abandon"].into_iter().any(said)
            && self.project.has_an_engine()
            && !self.project.takes_both_roads
    }

    /// The same with nothing on stdin and both outputs piped.
    pub fn piped(&self) -> Command {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Makes the call and waits for its end.
    pub fn run(&self) -> Run {
        let output = assert_cmd::Command::from_std(self.piped())
            .timeout(PATIENCE)
            .output()
            .expect("the program");
        self.project.told(&output)
    }
}

impl Project {
    /// What came of a call, without what differs from machine to machine.
    pub fn told(&self, output: &std::process::Output) -> Run {
        let filter = |bytes: &[u8]| filter::stable(self, &String::from_utf8_lossy(bytes));
        Run {
            code: output.status.code(),
            stdout: filter(&output.stdout),
            stderr: filter(&output.stderr),
        }
    }
}

impl Project {
    /// What a terminal got to show, without what differs from machine to machine.
    pub fn on_screen(&self, text: &str) -> String {
        filter::stable(self, &text.replace('\r', ""))
    }
}

/// What came of a call. Its text is what snapshots hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Stdout, filtered.
    pub stdout: String,
    /// Stderr, filtered.
    pub stderr: String,
}

impl Run {
    /// The same, if it ended so.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    /// Stdout as one JSON object.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// Stdout as JSON objects, one per line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{self}"))
            })
            .collect()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(formatter, "exit {code}")?,
            None => writeln!(formatter, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(formatter, "--- {name}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}
