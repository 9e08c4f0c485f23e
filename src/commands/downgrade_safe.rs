//! `rollback downgrade-safe`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::Context;
use super::session::Session;
use crate::config;
use crate::domain::plan::{Plan, Step};
use crate::domain::report::{Commands, Outcome, Report, Schema, StepDone};
use crate::domain::revision::RevisionId;
use crate::engine::Ended;
use crate::error::{Exit, Failure};
use crate::runner::{self, Options, Parts, Recorder};
use crate::ui::{Account, PlanView, Progress};

/// Take the database down to a target, one revision at a time.
///
/// Shows the plan and the database, asks, and then runs one process of the engine for each revision.
/// After each the version table is read and has to say what was predicted; the first thing that is
/// not as predicted ends the run. Ctrl-C lets the running step finish and stops before the next; a
/// second Ctrl-C ends the engine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback downgrade-safe -3 --dry-run       Show the plan and stop
  rollback downgrade-safe -3                 Three steps, after a question
  rollback downgrade-safe 363a9b1e8992 -y    Down to a revision, for scripts
  rollback downgrade-safe base --timeout 5m  Everything, no step longer than five minutes

Exit codes: 0 done, 1 error before anything was changed, 3 refused or not confirmed, 4 a step failed
and the database stands at the last good revision, 5 a person must look, 130 interrupted.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DowngradeSafeArgs {
    /// -N steps, a revision, the beginning of one, base, LABEL@base, LABEL@REV or REV-N.
    #[arg(allow_negative_numbers = true)]
    pub target: String,

    /// Show the plan and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask; for scripts.
    #[arg(short, long)]
    pub yes: bool,

    /// Look at the database after each step; this is the default.
    #[arg(long, overrides_with = "no_validate")]
    pub validate: bool,

    /// Take the engine's exit status for each step's success and look at the end only.
    #[arg(long)]
    pub no_validate: bool,

    /// End a step that takes longer, such as 90s or 5m, and tell where it left the database.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub timeout: Option<Duration>,

    /// Run steps that remove several revisions because they depend on each other.
    #[arg(long, action = ArgAction::SetTrue)]
    pub allow_joint_steps: bool,
}

impl DowngradeSafeArgs {
    /// What the two flags say together.
    pub fn validation(&self) -> Option<bool> {
        match (self.validate, self.no_validate) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// Plans, asks, runs and tells.
pub fn run(args: &DowngradeSafeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let ui = context.ui;
    let mut session = Session::open(context)?;
    let plan = session.plan(&args.target)?;
    let commands = session.command_lines(&plan);
    let view = PlanView {
        database: session.identity.as_ref(),
        target: &args.target,
        plan: &plan,
        commands: &commands,
    };
    ui.plan_of_run(view, args.dry_run)?;
    if args.dry_run {
        ui.say("\nDry run: nothing was changed.");
    }
    if args.dry_run || plan.steps.is_empty() {
        ui.nothing_was_run(&Report::nothing_to_do(plan.current.clone()))?;
        return Ok(Exit::Done);
    }
    refuse_joint_steps(args, &plan)?;
    if !args.yes {
        confirm(context, &session, &plan)?;
        session.still_at(&plan)?;
    }

    let validate = context.settings.validate.unwrap_or(true);
    if validate && !session.has_own_connection() {
        ui.warn("there is no connection of our own to this database: after each step the engine's own `current` is asked");
    }
    session.check_before(validate, context)?;
    let options = Options {
        validate,
        timeout: context.settings.timeout,
    };
    let secrets = session.secrets();
    let progress = Progress::new(ui, plan.steps.len(), &secrets);
    context.interrupt.tell(Some(progress.on_signal()));
    let mut events = progress;
    let mut recorder = Unrecorded;
    let (engine, graph, witness) = session.parts();
    let report = runner::run(
        &plan,
        &mut Parts {
            graph,
            engine,
            witness,
            recorder: &mut recorder,
            events: &mut events,
            interrupt: context.interrupt,
            options,
        },
    );
    context.interrupt.tell(None);
    events.finish();
    let exit = match report.outcome() {
        Outcome::Done => Exit::Done,
        Outcome::FailedUnchanged => Exit::StepFailed,
        Outcome::FailedChanged => Exit::StepChanged,
        Outcome::Interrupted => Exit::Interrupted,
    };
    let advice = report.advice(&next_commands(args, context.typed, &report));
    ui.account(Account {
        plan: &plan,
        commands: &commands,
        report: &report,
        advice: &advice,
        exit,
        redact: &secrets,
    });
    Ok(exit)
}

fn refuse_joint_steps(args: &DowngradeSafeArgs, plan: &Plan) -> Result<(), Failure> {
    let Some(step) = plan.joint_steps().next() else {
        return Ok(());
    };
    if args.allow_joint_steps {
        return Ok(());
    }
    let along: Vec<&str> = step.takes_along.iter().map(RevisionId::as_str).collect();
    Err(Failure::refused(format!(
        "{} cannot be removed alone: {} would go with it in one step",
        step.removes,
        along.join(", ")
    ))
    .because("they depend on each other, and Alembic has no argument that takes one of them")
    .hint("to run such steps as one: --allow-joint-steps"))
}

/// No record.
struct Unrecorded;

impl Recorder for Unrecorded {
    fn intent(&mut self, _: usize, _: &Step, _: &Schema) -> Result<(), String> {
        Ok(())
    }

    fn engine_ended(&mut self, _: usize, _: &Ended) -> Result<(), String> {
        Ok(())
    }

    fn done(&mut self, _: usize, _: &StepDone, _: &Schema) -> Result<(), String> {
        Ok(())
    }
}

/// Asks. No answer is No.
fn confirm(context: &Context<'_>, session: &Session, plan: &Plan) -> Result<(), Failure> {
    let ui = context.ui;
    if !ui.can_ask() {
        return Err(
            Failure::refused("not confirmed: there is no terminal to ask on")
                .hint("to run it without a question, add -y; to see the plan only, add --dry-run"),
        );
    }
    let place = match &session.identity {
        Some(identity) => identity.to_string(),
        None => format!("the database of {}", session.engine_name()),
    };
    ui.announce(plan, &place);
    match ui.confirm("Proceed with rollback?") {
        Some(true) if context.interrupt.count() == 0 => Ok(()),
        Some(false) if context.interrupt.count() == 0 => {
            Err(Failure::refused("not confirmed: nothing was changed"))
        }
        _ => Err(Failure::new(Exit::Interrupted, "nothing was changed")),
    }
}

/// The commands that may come next: the one that was typed, with the target that is left.
fn next_commands(args: &DowngradeSafeArgs, typed: &[OsString], report: &Report) -> Commands {
    let stopped_at = report
        .stop
        .as_ref()
        .map_or(report.planned, |stop| stop.index);
    let left = report.planned - stopped_at;
    let relative = args.target.starts_with('-');
    let again = |left: usize| {
        let target = if relative {
            format!("-{left}")
        } else {
            args.target.clone()
        };
        retyped(typed, &args.target, &target)
    };
    Commands {
        retry: again(left),
        go_on: (left > 1).then(|| again(left - 1)),
        current: "rollback current".to_owned(),
    }
}

/// The command line as typed, with another target, without what must not be repeated blindly (`-y`)
/// or shown (the URL).
fn retyped(typed: &[OsString], old: &str, new: &str) -> String {
    let mut words = vec!["rollback".to_owned()];
    let mut typed = typed.iter().skip(1).map(|word| word.to_string_lossy());
    let mut replaced = false;
    while let Some(word) = typed.next() {
        if word == "-y" || word == "--yes" || word.starts_with("--database-url=") {
            continue;
        }
        if word == "--database-url" {
            typed.next();
            continue;
        }
        if !replaced && word == old {
            replaced = true;
            words.push(new.to_owned());
        } else {
            words.push(word.into_owned());
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
            "rollback -C api downgrade-safe -3 -y --database-url postgresql://u:p@h/d --timeout 5m"
                .split(' ')
                .map(OsString::from)
                .collect();
        assert_eq!(
            retyped(&typed, "-3", "-2"),
            "rollback -C api downgrade-safe -2 --timeout 5m"
        );
    }
}
