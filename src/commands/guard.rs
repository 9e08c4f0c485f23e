//! `rollback guard`: a command whose failure rolls back what it did to the migrations.
//!
//! All that can be known before is refused before: nobody may be there when the command has failed.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::sql::sync;
use crate::app::downgrade::{
    self, BackupDecision, Goal, GuardRollback, HowArgs, Request, refuse_choice, repeating,
};
use crate::app::lock::Lock;
use crate::app::policy_check::refuse_beforehand;
use crate::app::project::{Project, StartRows};
use crate::app::whose_run::Purpose;
use crate::app::{CommandContext, journal_recorder, unfinished};
use crate::config::{DeployedAt, Settings};
use crate::error::{Exit, Failure};
use crate::ui::{Format, GuardedCommand};
use rollback_core::command::Command;
use rollback_core::connection::RowsAre;
use rollback_core::engine::Ended;
use rollback_core::guard::{Before, Guarded};
use rollback_core::journal::{self, RunBackup};
use rollback_core::policy::ConsentSource;
use rollback_core::secret::mask_command;
use rollback_core::time::{self, Precision};
use rollback_system::process::{self, Invocation};

/// Run a command, and roll back what it did to the migrations where it fails.
///
/// Remembers where the database is, and runs the command (a migration, a deploy, a smoke test) with the stdin,
/// stdout and stderr of its own. Where it succeeds, nothing else is done. Where it ends with another exit status
/// than 0 or by a signal, the database is looked at again, and what is applied now and was not before is rolled
/// back, one revision at a time, with the checks, the lock, the backup, the policy and the report of
/// downgrade-safe. What was there before stays.
///
/// Nobody may be there to be asked by then, so consent is given before: -y, and --allow for what may be lost
/// then. What can be known before the command is refused before it, and the command is not run then.
///
/// With --backup or --on-failure restore, a backup is made before the command, and that one is restored if the
/// rollback fails, or if the command left something that no revision accounts for.
///
/// The lock of the database is free while the command runs, so that it can migrate. What somebody else applies
/// meanwhile is rolled back as well: run one deploy at a time.
///
/// Ctrl-C belongs to the command: it is waited for, and its end is judged. The command is run in the project's
/// directory, which -C names. With --format json its stdout goes to stderr, and stdout has events only. What
/// looks like a password in its command line is hidden in all that is written; give secrets by the environment.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback guard -y -- alembic upgrade head
  rollback guard -y -- sh -c 'alembic upgrade head && ./deploy && curl -fsS https://app.example/up'
  rollback guard -y --allow all --reason 'release 4.2' --report guard.md -- make deploy
  rollback guard -y -- sh -c 'supabase db push && ./smoke-test'

Exit codes: 0 the command succeeded, 8 it failed and the database is verified to be where it was
before it; 1 error before the command, which was not run, 3 the command or the rollback after it
was refused, 4 a step of the rollback failed and the database stands at the last good revision, 5 a person must look, 6 another run holds the lock of the database, 130 interrupted. The
exit status of the command itself is printed, and in the report of the run.")]
pub struct GuardArgs {
    /// How a rollback would be run.
    #[command(flatten)]
    pub how: HowArgs,

    /// The command and its arguments, after --.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<String>,
}

/// What happened to the command is told apart from what was done about it.
pub fn run(args: &GuardArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let settings = Settings {
        // Unless it is said, what is rolled back is the release that begins now.
        deployed_at: context
            .settings
            .deployed_at
            .or_else(|| Some(DeployedAt::Ago(Duration::ZERO).settled((context.now)()))),
        ..context.settings.clone()
    };
    let context = CommandContext {
        settings: &settings,
        which_project: context.which_project.clone(),
        ..*context
    };
    let remembered = look(args, &context).map_err(|failure| Failure {
        message: format!("{}; the command was not run", failure.message),
        ..failure
    })?;
    let guarded = watch(args, &context, &remembered.shown)?;
    if guarded.exit_status == Some(0) {
        context.ui.guard_passed(&guarded);
        return Ok(Exit::Done);
    }
    context.ui.guard_failed(&guarded);
    take_back(args, &context, remembered, &guarded)
}

/// What is known before the command.
struct Remembered {
    before: Before,
    /// The backup that was made before it.
    backup: Option<RunBackup>,
    /// Whether migrations are SQL files.
    is_sql: bool,
    /// The command line without passwords.
    shown: String,
}

/// Remembers where the database is, and refuses what would refuse a rollback whatever the command does.
fn look(args: &GuardArgs, context: &CommandContext<'_>) -> Result<Remembered, Failure> {
    program(args, context)?;
    if !args.how.yes && !context.ui.can_ask() {
        return Err(Failure::refused(
            "nobody could be asked after the command: there is no terminal",
        )
        .hint("consent beforehand with -y, which runs a rollback without a question"));
    }
    // Whoever holds the lock now may be at what the command needs; it is free again while the command runs.
    let lock = Lock::new(context, args.how.wait);
    let mut project = Project::open(context, Some(&lock))?;
    refuse_choice(&args.how, &project)?;
    project.has_sound_rows()?;
    project.keeps_its_steps()?;
    let is_sql = project.sql().is_some();
    if is_sql {
        project = of_sql_files(args, context, project, &lock)?;
    }
    let store = journal_recorder::store(context);
    if let Some(run) = unfinished::find(context, &store, &project, Purpose::Begin)? {
        unfinished::make_way(context, &project, &store, &run)?;
    }
    let rows = project.rows.ids().to_vec();
    let applied = project.graph.applied(&rows).map_err(|unknown| {
        Failure::user(unknown.to_string())
            .because("the code is older than the database, or the file was deleted")
            .hint(format!(
                "see where it stands: {}",
                context.command(&["current"])
            ))
    })?;
    let backup = BackupDecision::beforehand(context, &project)?;
    let consent = if args.how.yes {
        ConsentSource::Yes
    } else {
        ConsentSource::Terminal
    };
    refuse_beforehand(context, &mut project, consent, backup)?;
    let backup = BackupDecision::before_the_command(context, &project)?;
    let words = args.command.iter().map(String::as_str);
    let line = shlex::try_join(words).unwrap_or_else(|_| args.command.join(" "));
    let shown = mask_command(&line, project.secrets());
    context.ui.guard_began(GuardedCommand {
        command: &shown,
        database: &project.place(),
        rows: &rows,
    })?;
    let before = Before {
        database: project.database_reference(),
        rows,
        applied,
        schema: project.schema(),
        bookkeeping: bookkeeping(&project),
    };
    if context.interrupt.count() > 0 {
        return Err(Failure::new(Exit::Interrupted, "nothing was changed"));
    }
    Ok(Remembered {
        before,
        backup,
        is_sql,
        shown,
    })
}

/// A project of SQL files is only known by its tables: they have to be there, and to say all that Supabase's own
/// table does. What is missing in them would pass for what the command applied.
fn of_sql_files(
    args: &GuardArgs,
    context: &CommandContext<'_>,
    project: Project,
    lock: &Lock,
) -> Result<Project, Failure> {
    if let StartRows::NoTable(table) = &project.rows {
        return Err(Failure::user(format!(
            "the tables of the migration history are not there: {table}"
        ))
        .hint(format!(
            "make them: {}",
            context.command(&["sql", "install"])
        )));
    }
    let session = if has_supabase(&project) {
        // Its lock is needed for that.
        drop(project);
        sync::silently(context, args.how.wait)?;
        Project::open(context, Some(lock))?
    } else {
        project
    };
    let applied = session.rows.ids();
    let files = session.sql().map_or(&[][..], |sql| &sql.folder.files);
    let without: Vec<&str> = files
        .iter()
        .filter(|file| file.rollback.is_none() && !applied.contains(&file.id))
        .map(|file| file.id.as_str())
        .collect();
    if !without.is_empty() {
        context.ui.warn(&format!(
            "not applied yet, and nothing would take it down: {}; write a rollback block first: {}",
            without.join(", "),
            context.command(&["sql", "template"]).value(without[0])
        ));
    }
    Ok(session)
}

fn has_supabase(project: &Project) -> bool {
    project
        .sql()
        .is_some_and(|sql| sql.history.supabase.is_some())
}

/// The tables that tell what is applied: a command may be the first to make them.
fn bookkeeping(project: &Project) -> Vec<String> {
    const OF_SQL_FILES: [&str; 5] = [
        "migration_history",
        "migration_dependencies",
        "migration_snapshots",
        "migration_audit",
        "schema_migrations",
    ];
    let Some((_, table)) = project.connection() else {
        return Vec::new();
    };
    match table.rows {
        RowsAre::Heads => vec![table.name.clone()],
        RowsAre::History => OF_SQL_FILES.map(str::to_owned).into(),
    }
}

/// The file of the command.
fn program(args: &GuardArgs, context: &CommandContext<'_>) -> Result<PathBuf, Failure> {
    let name = args.command.first().map_or("", String::as_str);
    let path = context.environment.get(OsStr::new("PATH"));
    process::find_program(OsStr::new(name), context.dir, path.map(AsRef::as_ref)).ok_or_else(|| {
        let failure = Failure::user(format!("no program is called {name}"));
        if name.contains(char::is_whitespace) {
            let guard = repeating(&args.how, context.command(&["guard"]));
            let guard = ["--", "sh", "-c"].into_iter().fold(guard, Command::flag);
            failure.hint(format!(
                "give a line for the shell to a shell: {}",
                guard.value(name)
            ))
        } else {
            failure.hint("name a program of PATH, or a file by its path")
        }
    })
}

/// Runs the command to its end.
fn watch(args: &GuardArgs, context: &CommandContext<'_>, shown: &str) -> Result<Guarded, Failure> {
    let invocation = Invocation {
        program: program(args, context)?,
        args: args.command.iter().skip(1).map(Into::into).collect(),
        cwd: context.dir.to_owned(),
        env: context.environment.clone(),
        stdin: None,
        side_channel: false,
        held: None,
    };
    let began = time::rfc3339((context.now)(), Precision::Millis);
    let to_stderr = context.ui.format == Format::Json;
    let (ended, elapsed) = process::run_inherited(&invocation, to_stderr, context.interrupt)
        .map_err(|error| {
            Failure::user(error.to_string()).because("the command was not run: nothing was changed")
        })?;
    let (exit_status, signal) = match ended {
        Ended::Exited(status) => (Some(status), None),
        Ended::Signalled(signal) => (None, Some(signal)),
        Ended::TimedOut | Ended::Interrupted => (None, None),
    };
    Ok(Guarded {
        command: shown.to_owned(),
        began,
        seconds: journal::seconds(elapsed),
        exit_status,
        signal,
    })
}

/// Brings the database back to where it was before the command that failed.
fn take_back(
    args: &GuardArgs,
    context: &CommandContext<'_>,
    remembered: Remembered,
    guarded: &Guarded,
) -> Result<Exit, Failure> {
    let before = remembered.before;
    // The signals so far were the command's.
    let interrupt = context.interrupt.anew();
    let context = CommandContext {
        interrupt: &interrupt,
        which_project: context.which_project.clone(),
        ..*context
    };
    let request = Request {
        goal: Goal::BeforeGuarded(Box::new(GuardRollback {
            before: before.clone(),
            guarded: guarded.clone(),
            backup: remembered.backup,
        })),
        dry_run: false,
        how: args.how.clone(),
    };
    let written_down = if remembered.is_sql {
        write_down(args, &context)
    } else {
        Ok(())
    };
    let taken_back = written_down.and_then(|()| downgrade::run(&request, &context));
    let exit = taken_back.map_err(|failure| {
        let ended = guarded.how();
        Failure {
            // It is not verified that nothing was changed: the command ran.
            exit: match failure.exit {
                Exit::User => Exit::StepChanged,
                exit => exit,
            },
            ..failure
        }
        .because(format!(
            "the command ended {ended}, and what it applied was not taken back"
        ))
    })?;
    if exit == Exit::Guarded {
        context.ui.guard_ended(guarded, &before.rows);
    }
    Ok(exit)
}

/// Brings the history of SQL files up to what Supabase has applied.
fn write_down(args: &GuardArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let project = Project::look(context)?;
    let supabase = has_supabase(&project);
    drop(project);
    if supabase {
        sync::silently(context, args.how.wait)?;
    }
    Ok(())
}
