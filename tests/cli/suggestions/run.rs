//! Making a situation, and running what it suggests.

use regex::Regex;

use crate::support::{Project, refusal, suggested};

/// A project and a call whose answer suggests commands.
pub struct Situation {
    /// The project, as the call finds it.
    pub project: fn() -> Project,
    /// The call, without the program's name.
    pub call: &'static str,
    /// What is not so any more when the call has ended, such as a lock of somebody else.
    pub meanwhile: fn(&Project) -> Option<std::fs::File>,
    /// What it exits with; `None` if it is killed by its fault point.
    pub exits: Option<i32>,
    /// All that it suggests, in order.
    pub suggests: &'static [Suggestion],
}

/// A command, what the hint says to do before it, and what it comes to.
pub struct Suggestion {
    /// With `[ID]` for the id of a run or a backup.
    pub command: &'static str,
    pub first: fn(&Project),
    pub exits: i32,
}

/// A suggestion that needs nothing else.
pub const fn then(command: &'static str, exits: i32) -> Suggestion {
    after(|_| (), command, exits)
}

/// A suggestion whose hint says to do something first.
pub const fn after(first: fn(&Project), command: &'static str, exits: i32) -> Suggestion {
    Suggestion {
        command,
        first,
        exits,
    }
}

/// A call in a project, and all that it suggests.
pub const fn situation(
    project: fn() -> Project,
    call: &'static str,
    exits: i32,
    suggests: &'static [Suggestion],
) -> Situation {
    Situation {
        project,
        call,
        meanwhile: |_| None,
        exits: Some(exits),
        suggests,
    }
}

impl Situation {
    /// Makes it, and gives the first line of what is refused, and what is suggested.
    fn make(&self) -> (Project, String, Vec<String>) {
        let project = (self.project)();
        let held = (self.meanwhile)(&project);
        let output = project.rollback(self.call).piped().output().unwrap();
        drop(held);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), self.exits, "{}:\n{text}", self.call);
        let commands = suggested(&text);
        (project, refusal(&text), commands)
    }

    /// Runs each of what it suggests, the situation made again for each.
    pub fn holds(&self) {
        let id = Regex::new(r"\b\d{8}T\d{6}Z-\d+(-\d+)?\b").unwrap();
        // At least once, to see that nothing else is suggested.
        for number in 0..self.suggests.len().max(1) {
            let (project, refused, commands) = self.make();
            let told: Vec<_> = commands
                .iter()
                .map(|command| id.replace_all(command, "[ID]"))
                .collect();
            let meant: Vec<&str> = self.suggests.iter().map(|one| one.command).collect();
            assert_eq!(told, meant, "`{}` suggests something else", self.call);
            let Some(suggestion) = self.suggests.get(number) else {
                break;
            };
            let command = match commands[number].strip_prefix("+ ") {
                Some(options) => format!("rollback {} {options}", self.call),
                None => commands[number].clone(),
            };
            (suggestion.first)(&project);
            let (screen, code) = project.on_a_terminal(&command, "app.db");
            assert_eq!(
                code, suggestion.exits,
                "{command}, suggested by `{}`:\n{screen}",
                self.call
            );
            assert!(![2, 70].contains(&code), "{command}:\n{screen}");
            let again = refusal(&screen);
            assert!(
                again.is_empty() || again != refused,
                "{command} is refused as `{}` was: {refused}",
                self.call
            );
        }
    }
}
