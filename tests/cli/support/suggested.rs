//! The commands that an output suggests, and how somebody at a terminal would run them.

use std::sync::LazyLock;
use std::thread::sleep;
use std::time::Duration;

use regex::Regex;
use rexpect::ReadUntil;
use rexpect::process::WaitStatus;
use rexpect::session::spawn_command;

use super::Project;

/// How long a command may take, in milliseconds.
const PATIENCE: u64 = 120_000;

/// What a call suggests, in order and each once: commands, and options to add to the call, with `+ ` before them.
pub fn suggested(output: &str) -> Vec<String> {
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
        // The version of a tool is no command, and options are followed by one value at most.
        Regex::new(
            r"(?:^\s*(?:next +)?|: +|→ |\|\s+)(rollback [^0-9].*|--?[a-z][a-z-]*(?: [^-\s]\S*)?(?: --?[a-z][a-z-]*(?: [^-\s]\S*)?)*)$",
        )
        .expect("a pattern")
    });
    static PLACEHOLDER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<[a-z]+>|:\*\*\*@").expect("a pattern"));
    let mut found: Vec<String> = Vec::new();
    for line in output
        .lines()
        .flat_map(|line| in_json(line).unwrap_or_else(|| vec![line.to_owned()]))
    {
        let Some(command) = COMMAND.captures(&line).map(|parts| parts[1].to_owned()) else {
            continue;
        };
        let command = if command.starts_with('-') {
            format!("+ {command}")
        } else {
            command
        };
        if !PLACEHOLDER.is_match(&command) && !found.contains(&command) {
            found.push(command);
        }
    }
    found
}

/// The sentences below every `next` of an object, where a line is one.
fn in_json(line: &str) -> Option<Vec<String>> {
    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Array(values) => {
                for value in values {
                    collect(value, found);
                }
            }
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let sentences = value.as_array().filter(|_| name == "next");
                    found.extend(
                        sentences
                            .into_iter()
                            .flatten()
                            .filter_map(|one| Some(one.as_str()?.to_owned())),
                    );
                    collect(value, found);
                }
            }
            _ => {}
        }
    }
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let mut found = Vec::new();
    collect(value.as_object().map(|_| &value)?, &mut found);
    Some(found)
}

/// The first line that says what went wrong; empty if nothing did.
pub fn refusal(text: &str) -> String {
    let kinds = ["error:", "refused:", "failed:", "locked:", "interrupted:"];
    let mut lines = text
        .lines()
        .filter(|line| kinds.iter().any(|kind| line.contains(kind)));
    lines.next().unwrap_or_default().trim().to_owned()
}

impl Project {
    /// Runs a line by a shell, on a terminal where somebody says yes to every question, and types the name of the database if that is
    /// asked for. What the terminal shows, and the exit status.
    pub fn on_a_terminal(&self, line: &str, name: &str) -> (String, i32) {
        let mut session = spawn_command(self.shell(line), Some(PATIENCE)).expect("a terminal");
        let mut screen = String::new();
        let code = loop {
            let (before, cue) = session
                .exp_any(vec![
                    ReadUntil::String("[y/N]".to_owned()),
                    ReadUntil::String("To proceed, type ".to_owned()),
                    ReadUntil::EOF,
                ])
                .unwrap_or_else(|error| panic!("{line}: {error}\n{screen}"));
            screen.push_str(&before);
            screen.push_str(&cue);
            if cue == "[y/N]" || cue.starts_with("To proceed") {
                // The terminal is set to single keys right after the question is written.
                sleep(Duration::from_millis(200));
                session
                    .send_line(if cue == "[y/N]" { "y" } else { name })
                    .expect("a terminal");
                continue;
            }
            let WaitStatus::Exited(_, code) = session.process().wait().expect("its end") else {
                panic!("{line}: ended by a signal:\n{screen}");
            };
            break code;
        };
        (self.on_screen(&screen), code)
    }
}
