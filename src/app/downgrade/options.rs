//! How steps are run, as the options of a command that is suggested.

use clap::ValueEnum;

use super::HowArgs;
use crate::app::backup_service::VerifyArgs;
use crate::app::forecast::ProbeArgs;
use crate::app::policy_check::CircumstanceArgs;
use crate::config::{duration_text, lock_timeout_text};
use rollback_core::command::Command;

/// For the rest of a run: consent is given again by a person, and what the record of the run has is not said again.
pub(super) fn resuming(how: &HowArgs, command: Command) -> Command {
    let HowArgs {
        yes: _,
        validate,
        no_validate,
        timeout,
        atomic,
        backup,
        no_backup,
        verify: VerifyArgs { verify_backup },
        on_failure,
        lock_timeout,
        lock_retries,
        wait,
        chosen,
        allow: _,
        strict,
        allow_failing: _,
        probes: ProbeArgs {
            no_probe,
            probe_timeout,
        },
        circumstances: _,
        report: _,
        process_per_step,
        warm,
        allow_joint_steps,
    } = how;
    let flags = [
        ("--validate", validate),
        ("--no-validate", no_validate),
        ("--atomic", atomic),
        ("--backup", backup),
        ("--no-backup", no_backup),
        ("--strict", strict),
        ("--no-probe", no_probe),
        ("--process-per-step", process_per_step),
        ("--allow-joint-steps", allow_joint_steps),
    ];
    let options = [
        ("--timeout", timeout.map(duration_text)),
        ("--verify-backup", verify_backup.as_ref().and_then(name)),
        ("--on-failure", on_failure.as_ref().and_then(name)),
        ("--lock-timeout", lock_timeout.map(lock_timeout_text)),
        (
            "--lock-retries",
            lock_retries.map(|times| times.to_string()),
        ),
        ("--wait", wait.map(duration_text)),
        ("--use", chosen.map(|chosen| chosen.name().to_owned())),
        ("--probe-timeout", probe_timeout.map(duration_text)),
        ("--warm", warm.as_ref().and_then(name)),
    ];
    let command = flags
        .into_iter()
        .filter(|(_, given)| **given)
        .fold(command, |command, (flag, _)| command.flag(flag));
    options
        .into_iter()
        .filter_map(|(option, value)| Some((option, value?)))
        .fold(command, |command, (option, value)| {
            command.option(option, value)
        })
}

/// For the same again, with consent and all that was said about it.
pub(crate) fn repeating(how: &HowArgs, command: Command) -> Command {
    let CircumstanceArgs {
        reason,
        incident,
        approved_by,
        deployed_at,
    } = &how.circumstances;
    let flags = [("-y", how.yes), ("--allow-failing", how.allow_failing)];
    let options = [
        ("--allow", how.allow.as_ref().map(ToString::to_string)),
        ("--reason", reason.clone()),
        ("--incident", incident.clone()),
        ("--approved-by", approved_by.clone()),
        ("--deployed-at", deployed_at.map(|at| at.to_string())),
        (
            "--report",
            how.report.as_ref().map(|file| file.display().to_string()),
        ),
    ];
    let command = flags
        .into_iter()
        .filter(|(_, given)| *given)
        .fold(command, |command, (flag, _)| command.flag(flag));
    let command = options
        .into_iter()
        .filter_map(|(option, value)| Some((option, value?)))
        .fold(command, |command, (option, value)| {
            command.option(option, value)
        });
    resuming(how, command)
}

/// As it is typed.
fn name<T: ValueEnum>(value: &T) -> Option<String> {
    Some(value.to_possible_value()?.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use rollback_core::command::ProjectOptions;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        how: HowArgs,
    }

    fn how(line: &str) -> HowArgs {
        let words = shlex::split(&format!("rollback {line}")).unwrap();
        Typed::try_parse_from(words).unwrap().how
    }

    fn resume(line: &str) -> String {
        let project = ProjectOptions::default();
        resuming(&how(line), Command::new(&project, &["resume"])).to_string()
    }

    /// Red if an option is left out of a command that is to do the same again.
    #[test]
    fn the_same_again_has_all_that_was_said() {
        let line = "-y --allow-failing --allow table-dropped,column-dropped --reason \"it's late\" --incident -7 \
                    --approved-by ada --deployed-at 4m --report out/a.md --timeout 5m --no-backup";
        let line = line.replace("--incident -7", "--incident=-7");
        let project = ProjectOptions::default();
        let again = repeating(&how(&line), Command::new(&project, &[])).to_string();
        let again = how(again.strip_prefix("rollback ").unwrap());
        assert_eq!(format!("{again:?}"), format!("{:?}", how(&line)));
        let all = repeating(&how("--allow all"), Command::new(&project, &[]));
        assert_eq!(all.to_string(), "rollback --allow all");
    }

    /// Red if the typed text is edited again: `-yv` was repeated, and with it the consent.
    #[test]
    fn consent_and_what_the_record_has_is_not_repeated() {
        let line = "-y --allow all --allow-failing --timeout 5m --approved-by=grace --incident INC-7 \
                    --deployed-at 4m --reason x --report a.md";
        assert_eq!(resume(line), "rollback resume --timeout 5m");
    }

    /// Red if an option is left out, or written as the program does not read it.
    #[test]
    fn how_steps_are_run_is_repeated_and_read_as_before() {
        for line in [
            "--no-validate --timeout 1h --no-backup --no-probe --wait 90s",
            "--validate --atomic --backup --verify-backup restore --on-failure restore --timeout 1500ms",
            "--lock-timeout off --lock-retries 3 --use file --probe-timeout 2m --process-per-step --warm never --allow-joint-steps",
            "--lock-timeout 1h1s --use stored --warm auto --on-failure stop --timeout 1us",
        ] {
            let words = resume(line);
            let again = how(words.strip_prefix("rollback resume ").unwrap());
            assert_eq!(format!("{again:?}"), format!("{:?}", how(line)), "{words}");
        }
    }
}
