//! The commands to type after a run.

use std::ffi::OsString;

use super::DowngradeSafeArgs;
use super::safety::{Rescue, restoring};
use crate::commands::Context;
use crate::domain::journal::{BackupMoment, RunBackup};
use crate::domain::report::{Commands, Report};

/// What to do next, most urgent first.
pub(super) fn advice(
    args: &DowngradeSafeArgs,
    context: &Context<'_>,
    report: &Report,
    rescue: &Rescue,
    backup: Option<&RunBackup>,
) -> Vec<String> {
    let commands = next_commands(args, context);
    match rescue {
        Rescue::Restored(BackupMoment::Command | BackupMoment::Run) => {
            return vec![format!(
                "nothing of the run is left; see where the database stands, fix the cause, then start again: {}",
                commands.current
            )];
        }
        Rescue::Restored(BackupMoment::Resume) => {
            return vec![
                format!("fix the cause, then resume: {}", commands.resume),
                format!("to leave it here: {}", commands.abandon),
            ];
        }
        Rescue::None | Rescue::Failed(_) => {}
    }
    let mut advice = report.advice(&commands);
    if let (Some(backup), Some(last)) = (backup, advice.len().checked_sub(1)) {
        advice.insert(
            last,
            format!("to {}: {}", undoing(backup), restoring(context, backup)),
        );
    }
    if let Rescue::Failed(failure) = rescue {
        advice.splice(0..0, failure.hints.iter().cloned());
    }
    advice
}

/// What a restore of a backup does to a run, as it completes "to ".
pub(in crate::commands) fn undoing(backup: &RunBackup) -> String {
    let what = match backup.before {
        BackupMoment::Command => "undo the command and all of the run",
        BackupMoment::Run => "undo all of the run",
        BackupMoment::Resume => "undo what was done since the run was resumed",
    };
    format!(
        "{what}, and lose what was written since {}",
        backup.before.since()
    )
}

/// The options that are not repeated, nor what is given to them: secrets, consents, and what the record keeps.
const LEFT_OUT: [&str; 8] = [
    "--database-url",
    "--reason",
    "--incident",
    "--approved-by",
    "--deployed-at",
    "--accept",
    "--allow",
    "--report",
];

/// The commands that may come next.
fn next_commands(args: &DowngradeSafeArgs, context: &Context<'_>) -> Commands {
    Commands {
        resume: match args.taking_back {
            Some(_) => context.command(&["downgrade-safe", "--resume"]),
            None => resuming(
                context.typed,
                args.target.as_deref().or(args.only.as_deref()),
            ),
        },
        abandon: context.command(&["downgrade-safe", "--abandon"]),
        current: context.command(&["current"]),
    }
}

/// The command line as typed, going on instead of beginning, without what must not be repeated blindly
/// (`-y`) or shown (the URL).
fn resuming(typed: &[OsString], target: Option<&str>) -> String {
    let mut words = vec!["rollback".to_owned()];
    let mut typed = typed.iter().skip(1).map(|word| word.to_string_lossy());
    let mut replaced = target.is_none();
    while let Some(word) = typed.next() {
        match word.as_ref() {
            "-y" | "--yes" | "--allow-failing" | "--only" => {}
            word if LEFT_OUT.contains(&word) => drop(typed.next()),
            word if LEFT_OUT.iter().any(|option| {
                word.strip_prefix(option)
                    .is_some_and(|rest| rest.starts_with('='))
            }) => {}
            word if !replaced && Some(word.strip_prefix("--only=").unwrap_or(word)) == target => {
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
            "rollback -C api downgrade-safe -3 -y --database-url postgresql://u:p@h/d --allow all --timeout 5m \
             --approved-by=grace --incident INC-7 --deployed-at 4m --environment production"
                .split(' ')
                .map(OsString::from)
                .collect();
        assert_eq!(
            resuming(&typed, Some("-3")),
            "rollback -C api downgrade-safe --resume --timeout 5m --environment production"
        );
    }
}
