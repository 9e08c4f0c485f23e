//! The commands to type after a run.

use std::ffi::OsString;

use super::DowngradeSafeArgs;
use crate::commands::Context;
use crate::domain::report::Commands;

/// The commands that may come next.
pub(super) fn next_commands(args: &DowngradeSafeArgs, context: &Context<'_>) -> Commands {
    Commands {
        resume: resuming(context.typed, args.target.as_deref()),
        abandon: context.command(&["downgrade-safe", "--abandon"]),
        current: context.command(&["current"]),
    }
}

/// Options with a value that is meant for this run alone, as one word.
const NOT_REPEATED: [&str; 5] = [
    "--database-url=",
    "--reason=",
    "--accept=",
    "--allow=",
    "--report=",
];

/// The command line as typed, going on instead of beginning, without what must not be repeated blindly
/// (`-y`) or shown (the URL).
fn resuming(typed: &[OsString], target: Option<&str>) -> String {
    let mut words = vec!["rollback".to_owned()];
    let mut typed = typed.iter().skip(1).map(|word| word.to_string_lossy());
    let mut replaced = target.is_none();
    while let Some(word) = typed.next() {
        match word.as_ref() {
            "-y" | "--yes" | "--allow-failing" => {}
            "--database-url" | "--reason" | "--accept" | "--allow" | "--report" => {
                drop(typed.next());
            }
            word if NOT_REPEATED.iter().any(|option| word.starts_with(option)) => {}
            word if !replaced && Some(word) == target => {
                replaced = true;
                words.push("--resume".to_owned());
            }
            word => words.push(word.to_owned()),
        }
    }
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_is_the_typed_one_without_consent_and_secrets() {
        let typed: Vec<OsString> =
            "rollback -C api downgrade-safe -3 -y --database-url postgresql://u:p@h/d --allow all --timeout 5m"
                .split(' ')
                .map(OsString::from)
                .collect();
        assert_eq!(
            resuming(&typed, Some("-3")),
            "rollback -C api downgrade-safe --resume --timeout 5m"
        );
    }
}
