//! `rollback downgrade-safe`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::Context;
use super::connection::lock_timeout;
use super::foresee::{Foreseen, ProbeArgs};
use super::lock::Lock;
use super::record::{self, Record};
use super::resume;
use super::session::{Session, Whole, not_as_a_whole};
use crate::config;
use crate::database::Snapshot;
use crate::domain::plan::Plan;
use crate::domain::report::{Commands, Outcome, Report};
use crate::domain::revision::RevisionId;
use crate::domain::risk::verdict::Allowed;
use crate::error::{Exit, Failure};
use crate::fault;
use crate::runner::{self, Options, Parts};
use crate::ui::{Account, Ending, PlanView, Progress, Ui, Verbosity};

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
  rollback downgrade-safe -1 --wait 10m      As soon as another run on this database has ended

Exit codes: 0 done, 1 error before anything was changed, 3 refused or not confirmed, 4 a step failed
and the database stands at the last good revision, 5 a person must look, 6 another run holds
the lock of the database, 130 interrupted at a revision.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DowngradeSafeArgs {
    /// -N steps, a revision, the beginning of one, base, LABEL@base, LABEL@REV or REV-N.
    #[arg(allow_negative_numbers = true, required_unless_present_any = ["resume", "abandon"])]
    pub target: Option<String>,

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

    /// Do all steps or none: on PostgreSQL in one transaction, on SQLite with a copy of the file that
    /// is put back. A failure, a failed check or Ctrl-C undoes all of it. Refused where that cannot be
    /// kept. --timeout then counts for all steps together, each with its share.
    #[arg(long, conflicts_with = "no_validate")]
    pub atomic: bool,

    /// Let no step wait longer than this for a lock of the database, since everybody else then waits
    /// behind it; 5s where nothing else is said, off for no limit. PostgreSQL, MariaDB and MySQL.
    #[arg(long, value_name = "DURATION", value_parser = config::lock_timeout)]
    pub lock_timeout: Option<Duration>,

    /// Run a step again, up to so many times, that waited for a lock in vain and was taken back.
    #[arg(long, value_name = "N")]
    pub lock_retries: Option<u32>,

    /// Wait so long for another run on the same database to end, such as 10m, instead of leaving at once.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub wait: Option<Duration>,

    /// Go on with the run on this database that did not reach its target, once it is clear what it
    /// left behind.
    #[arg(long, conflicts_with_all = ["target", "abandon"])]
    pub resume: bool,

    /// With --resume: the database was repaired by hand, and now stands at this revision as it should.
    #[arg(long, value_name = "REV", requires = "resume")]
    pub accept: Option<String>,

    /// Give the run on this database up that did not reach its target. The database is not touched.
    #[arg(long, conflicts_with_all = ["target", "dry_run"])]
    pub abandon: bool,

    /// Consent by name to what the plan puts at risk: codes of findings, separated by commas, or all.
    /// Without it a high or unknown finding has to be confirmed by typing, and is refused with -y.
    #[arg(long, value_name = "CODE", value_parser = config::allowed)]
    pub allow: Option<Allowed>,

    /// Begin a plan although one of its steps is sure to fail.
    #[arg(long)]
    pub allow_failing: bool,

    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,

    /// Why the database is rolled back, for the record.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Run steps that remove several revisions because they depend on each other.
    #[arg(long, action = ArgAction::SetTrue)]
    pub allow_joint_steps: bool,
}

impl DowngradeSafeArgs {
    /// The flags that are settings.
    pub fn layer(&self) -> config::Layer {
        config::Layer {
            timeout: self.timeout,
            lock_timeout: self.lock_timeout,
            lock_retries: self.lock_retries,
            validate: match (self.validate, self.no_validate) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            allow: self.allow.clone(),
            ..self.probes.layer()
        }
    }
}

/// Plans, asks, runs and tells.
pub fn run(args: &DowngradeSafeArgs, context: &Context<'_>) -> Result<Exit, Failure> {
    let ui = context.ui;
    let lock = (!args.dry_run).then(|| Lock::new(context, args.wait));
    // Whether a plan can be run as a whole is for the engine to say.
    let mut session = if args.dry_run && !args.atomic {
        Session::look(context)?
    } else {
        Session::open(context, lock.as_ref())?
    };
    let store = record::store(context);
    let unfinished = record::unfinished(&store, &session)?;
    if args.abandon {
        return record::abandon(context, &store, unfinished.as_ref()).map(|()| Exit::Done);
    }
    let mut taken_up = if args.resume {
        Some(resume::take_up(
            args,
            context,
            &mut session,
            &store,
            unfinished,
        )?)
    } else {
        if let Some(run) = unfinished.filter(|_| !args.dry_run) {
            record::make_way(context, &session, &store, &run)?;
        }
        None
    };
    for leftover in session.leftovers() {
        ui.warn(&format!(
            "{leftover}: a step or a run may have broken off here before"
        ));
    }
    let target = args
        .target
        .clone()
        .unwrap_or_else(|| "what was left".to_owned());
    let plan = match &taken_up {
        Some(taken_up) => taken_up.plan.clone(),
        None => session.plan(&target)?,
    };
    let commands = session.command_lines(&plan);
    let foreseen = Foreseen::of(&mut session, &plan, context);
    let next = foreseen.next_command(&target, context);
    let view = PlanView {
        database: session.identity.as_ref(),
        target: &target,
        plan: &plan,
        commands: &commands,
        outlook: &foreseen.outlook,
        ending: Ending {
            verdict: &foreseen.verdict,
            next: &next,
        },
    };
    ui.plan_of_run(view, args.dry_run)?;
    if args.dry_run {
        ui.say("\nDry run: nothing was changed.");
    }
    if args.dry_run || plan.steps.is_empty() {
        let report = Report::nothing_to_do(plan.current.clone());
        if let Some(taken_up) = taken_up.filter(|_| !args.dry_run) {
            Record::go_on(&store, taken_up)?.end(&report, Exit::Done)?;
        }
        ui.nothing_was_run(&report)?;
        return Ok(Exit::Done);
    }
    refuse_joint_steps(args, &plan)?;
    if !args.allow_failing {
        foreseen.refuse_failure(&plan, context)?;
    }
    let lacking = foreseen.lacking_consent(context);
    if args.yes && !lacking.is_empty() {
        return Err(foreseen.refusal(&lacking));
    }
    // What was begun as a whole goes on as one.
    let begun_so = taken_up.as_ref().is_some_and(|taken| taken.run.as_a_whole);
    let atomic = args.atomic || begun_so;
    let whole = atomic
        .then(|| session.as_a_whole(&plan))
        .transpose()
        .map_err(|failure| {
            if begun_so {
                failure.hint(format!(
                    "the run was begun with --atomic; to go another way, give it up and begin anew: {}",
                    context.command(&["downgrade-safe", "--abandon"])
                ))
            } else {
                failure
            }
        })?;
    if !args.yes {
        confirm(context, &session, &plan, &foreseen, &lacking)?;
    }
    if let Some(taken_up) = &mut taken_up {
        taken_up.put_back(context, &mut session, &store)?;
    }
    if !args.yes {
        session.still_at(&plan)?;
    }
    let validate = atomic || context.settings.validate.unwrap_or(true);
    session.check_before(validate, context)?;
    let snapshot = match &whole {
        Some(Whole::File(file)) => {
            let taken = Snapshot::take(file).map_err(|reason| not_as_a_whole(&reason))?;
            fault::point("after_copy");
            Some(taken)
        }
        _ => None,
    };

    let record = if let Some(taken_up) = taken_up {
        Record::go_on(&store, taken_up)
    } else {
        let run = lock.as_ref().map_or("", Lock::run);
        Record::begin(args, context, &mut session, &store, run, &plan)
    };
    let record = record.and_then(|mut record| {
        if whole.is_some() {
            record.as_a_whole(snapshot.as_ref().map(Snapshot::path))?;
        }
        Ok(record)
    });
    let mut record = match (record, snapshot.as_ref()) {
        (Err(failure), Some(snapshot)) => {
            // Nothing was run: the copy has nothing to bring back.
            return Err(match snapshot.discard() {
                Ok(()) => failure,
                Err(reason) => failure.because(reason),
            });
        }
        (record, _) => record?,
    };
    session.hold(record.engine_lock()?);
    if !session.has_own_connection() {
        let asked = if validate {
            ", and after each step the engine's own `current` is asked"
        } else {
            ""
        };
        ui.warn(&format!(
            "there is no connection of our own to this database: no lock keeps another run out{asked}"
        ));
    }
    let options = Options {
        validate,
        timeout: context.settings.timeout,
        lock_retries: context.settings.lock_retries.unwrap_or(0),
        old_transaction: lock_timeout(context.settings).unwrap_or(config::LOCK_TIMEOUT),
    };
    match session.unlimited_waiting() {
        Some((reason, true)) => ui.warn(reason),
        Some((reason, false)) if ui.verbosity == Verbosity::Verbose => ui.say(reason),
        _ => {}
    }
    let secrets = session.secrets();
    let progress = Progress::new(ui, plan.steps.len(), &secrets);
    context.interrupt.tell(Some(progress.on_signal(match whole {
        Some(_) => "after the running step everything is taken back, unless it is the last",
        None => "the running step is finished first",
    })));
    let mut events = progress;
    let (engine, graph, witness) = session.parts();
    let mut parts = Parts {
        graph,
        engine,
        witness,
        recorder: &mut record,
        events: &mut events,
        interrupt: context.interrupt,
        options,
    };
    let report = match (whole, snapshot) {
        (Some(Whole::Transaction), _) => runner::run_as_one(&plan, &mut parts),
        (_, Some(snapshot)) => run_with_snapshot(&plan, &mut parts, &snapshot, ui),
        (_, None) => runner::run(&plan, &mut parts),
    };
    context.interrupt.tell(None);
    events.finish();
    let exit = match report.outcome() {
        Outcome::Done => Exit::Done,
        Outcome::FailedUnchanged => Exit::StepFailed,
        Outcome::FailedChanged => Exit::StepChanged,
        Outcome::Interrupted => Exit::Interrupted,
    };
    let ended = record.end(&report, exit);
    let advice = report.advice(&next_commands(args, context));
    ui.account(Account {
        plan: &plan,
        commands: &commands,
        report: &report,
        record: &record.path(),
        advice: &advice,
        exit,
        redact: &secrets,
    });
    // The database is where it is; that the last line of its record is missing is for a person.
    if let Err(failure) = ended {
        ui.failure(&failure);
    }
    Ok(exit)
}

/// The copy outlives the run where it could not be put back.
fn run_with_snapshot(plan: &Plan, parts: &mut Parts<'_>, snapshot: &Snapshot, ui: &Ui) -> Report {
    let (report, kept) = runner::run_with_a_way_back(plan, parts, || snapshot.put_back());
    if report.outcome() == Outcome::Done || kept.is_ok() {
        for reason in [kept, snapshot.discard()]
            .into_iter()
            .filter_map(Result::err)
        {
            ui.warn(&reason);
        }
    } else if let Err(reason) = kept {
        ui.warn(&format!(
            "the file was not put back: {reason}; as it was before the first step it is kept as {}, and --resume puts it back",
            snapshot.path().display()
        ));
    }
    report
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

/// Asks. No answer is No.
fn confirm(
    context: &Context<'_>,
    session: &Session,
    plan: &Plan,
    foreseen: &Foreseen,
    lacking: &[&'static str],
) -> Result<(), Failure> {
    let ui = context.ui;
    if !ui.can_ask() {
        return Err(
            Failure::refused("not confirmed: there is no terminal to ask on")
                .hint("to run it without a question, add -y; to see the plan only, add --dry-run"),
        );
    }
    ui.announce(plan, &session.place(), foreseen.losses.as_deref());
    let answer = if lacking.is_empty() {
        ui.confirm("Proceed with rollback?")
    } else {
        let word = session.name_to_type();
        ui.confirm_by_typing(
            &format!("{} at stake. To proceed, type {word}", lacking.join(", ")),
            &word,
        )
    };
    match answer {
        Some(true) if context.interrupt.count() == 0 => Ok(()),
        Some(false) if context.interrupt.count() == 0 => {
            Err(Failure::refused("not confirmed: nothing was changed"))
        }
        _ => Err(Failure::new(Exit::Interrupted, "nothing was changed")),
    }
}

/// The commands that may come next.
fn next_commands(args: &DowngradeSafeArgs, context: &Context<'_>) -> Commands {
    Commands {
        resume: resuming(context.typed, args.target.as_deref()),
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
            "-y" | "--yes" | "--allow-failing" => {}
            "--database-url" | "--reason" | "--accept" | "--allow" => drop(typed.next()),
            word if ["--database-url=", "--reason=", "--accept=", "--allow="]
                .iter()
                .any(|option| word.starts_with(option)) => {}
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
