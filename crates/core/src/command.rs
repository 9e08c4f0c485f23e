//! A command of this program that an operator may type next, and how a shell has to read it.

use std::fmt;

/// The options that say which project and database a command is about, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectOptions(Vec<(String, String)>);

impl ProjectOptions {
    /// Adds an option and its value.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The words of a command line, not quoted.
    pub fn words(&self) -> Vec<String> {
        let options = self.0.iter();
        options
            .flat_map(|(name, value)| option_words(name, value))
            .collect()
    }
}

/// A command, built from values. Its text is one line for a POSIX shell, unless a value has a line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<CommandPart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum CommandPart {
    Word(String),
    Option(String, String),
    /// An argument without a name, which may look like an option.
    Value(String),
    /// What the operator has to put in, `<so>`: no text that could be run.
    Placeholder(String),
}

impl Command {
    /// A subcommand on a project, with flags that need no quoting.
    pub fn new(project: &ProjectOptions, words: &[&str]) -> Self {
        let options = project.0.iter().cloned();
        let options = options.map(|(name, value)| CommandPart::Option(name, value));
        let words = words
            .iter()
            .map(|word| CommandPart::Word((*word).to_owned()));
        Self(options.chain(words).collect())
    }

    /// The same on a project whose options are known as words only, as a journal keeps them.
    pub fn of_words(project: &[String], words: &[&str]) -> Self {
        let project = project.iter().cloned();
        let words = words.iter().map(|word| (*word).to_owned());
        Self(project.chain(words).map(CommandPart::Word).collect())
    }

    /// With a flag.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.0.push(CommandPart::Word(name.to_owned()));
        self
    }

    /// With an option, which replaces one of the same name.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0
            .retain(|part| !matches!(part, CommandPart::Option(other, _) if other == name));
        self.0
            .push(CommandPart::Option(name.to_owned(), value.into()));
        self
    }

    /// With an argument that has no name.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.0.push(CommandPart::Value(value.into()));
        self
    }

    /// With a target: a number of steps such as `-3` is one for the commands that take a target.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        let target = target.into();
        let steps = target.strip_prefix('-');
        let is_steps = steps.is_some_and(|steps| {
            !steps.is_empty() && steps.bytes().all(|digit| digit.is_ascii_digit())
        });
        self.0.push(if is_steps {
            CommandPart::Word(target)
        } else {
            CommandPart::Value(target)
        });
        self
    }

    /// With an argument that the operator has to put in, as `<name>`.
    #[must_use]
    pub fn placeholder(mut self, name: &str) -> Self {
        self.0.push(CommandPart::Placeholder(format!("<{name}>")));
        self
    }

    /// The words as the program gets them, its own name first.
    pub fn words(&self) -> Vec<String> {
        let looks_like_an_option = |part: &CommandPart| matches!(part, CommandPart::Value(value) if value.starts_with('-'));
        let mut words = vec!["rollback".to_owned()];
        let mut last = Vec::new();
        let apart = self.0.iter().any(looks_like_an_option);
        for part in &self.0 {
            match part {
                CommandPart::Word(word) => words.push(word.clone()),
                CommandPart::Option(name, value) => words.extend(option_words(name, value)),
                CommandPart::Value(value) if apart => last.push(value.clone()),
                CommandPart::Value(value) | CommandPart::Placeholder(value) => {
                    words.push(value.clone());
                }
            }
        }
        if apart {
            words.push("--".to_owned());
        }
        words.extend(last);
        words
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_placeholder = |word: &String| {
            self.0
                .iter()
                .any(|part| matches!(part, CommandPart::Placeholder(name) if name == word))
        };
        let quoted = self.words().into_iter().map(|word| {
            if is_placeholder(&word) {
                word
            } else {
                quoted(&word)
            }
        });
        formatter.write_str(&quoted.collect::<Vec<_>>().join(" "))
    }
}

impl From<Command> for String {
    fn from(command: Command) -> Self {
        command.to_string()
    }
}

/// An option and its value. A value that begins with a dash would be taken for an option of its own.
fn option_words(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        vec![format!("{name}={value}")]
    } else {
        vec![name.to_owned(), value.to_owned()]
    }
}

/// A word in quotes where a shell would read it otherwise. No command line can hold a zero byte, so that a name
/// with one is no name that could be typed.
fn quoted(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => quoted(&word.replace('\0', "\u{fffd}")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use proptest::prelude::*;

    use super::*;

    fn project(options: &[(&str, &str)]) -> ProjectOptions {
        let mut project = ProjectOptions::default();
        for (name, value) in options {
            project.push(name, *value);
        }
        project
    }

    /// What `sh` makes of the text of a command: its words, the first being the program's name.
    fn read_by_a_shell(text: &str) -> Vec<String> {
        let script = format!("rollback() {{ printf '%s\\0' rollback \"$@\"; }}\n{text}");
        let output = Process::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{text}");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut words: Vec<String> = text.split('\0').map(str::to_owned).collect();
        words.pop();
        words
    }

    /// Red if the command line is edited as text again: `-C base` was taken for the target.
    #[test]
    fn a_command_is_made_of_values_and_not_of_a_text() {
        let project = project(&[("-C", "base"), ("-x", "tenant=a b")]);
        let resume = Command::new(&project, &["resume"]);
        assert_eq!(
            resume.to_string(),
            "rollback -C base -x 'tenant=a b' resume"
        );
        assert_eq!(
            Command::of_words(&project.words(), &["resume"]).to_string(),
            resume.to_string()
        );
    }

    #[test]
    fn what_looks_like_an_option_is_told_from_one() {
        let of = |words: &[&str]| Command::new(&project(&[("-C", "-dir")]), words);
        for (command, text) in [
            (
                of(&["downgrade-safe"]).target("-3").option("--use", "file"),
                "rollback '-C=-dir' downgrade-safe -3 --use file",
            ),
            (
                of(&["downgrade-safe"]).target("-3a").flag("--dry-run"),
                "rollback '-C=-dir' downgrade-safe --dry-run -- -3a",
            ),
            (
                of(&["sql", "register"]).value("a").value("-b"),
                "rollback '-C=-dir' sql register -- a -b",
            ),
            (
                of(&["downgrade-safe"]).option("--only", "-b"),
                "rollback '-C=-dir' downgrade-safe '--only=-b'",
            ),
            (
                of(&["resume"]).option("-C", "other"),
                "rollback resume -C other",
            ),
            (
                of(&["downgrade-safe"]).placeholder("target"),
                "rollback '-C=-dir' downgrade-safe <target>",
            ),
        ] {
            assert_eq!(command.to_string(), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Red if a value is written without quotes, or in quotes that a POSIX shell reads otherwise.
        #[test]
        fn a_shell_reads_what_was_meant(
            values in prop::collection::vec("[-a-z'\" \n\t$`\\\\!*~#&;|<>(){}\\[\\]=%é]{0,8}", 1..4),
        ) {
            let command = values.iter().fold(
                Command::new(&project(&[("-C", &values[0])]), &["sql", "register"]),
                |command, value| command.value(value.clone()).option("--only", value.clone()),
            );
            prop_assert_eq!(read_by_a_shell(&command.to_string()), command.words());
        }
    }
}
