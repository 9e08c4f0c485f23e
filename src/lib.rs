//! Rolls a database back one migration at a time: Alembic's revisions, or SQL files.
//!
//! `docs/architecture.md` says what is where and what may import what.

pub(crate) mod app;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod error;
pub mod store;
pub mod ui;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

use app::CommandContext;
use cli::{Cli, CliCommand};
use config::{PartialSettings, Settings};
use error::{Exit, Failure};
use rollback_core::interrupt::Interrupt;
use rollback_core::lock::Operator;
use rollback_core::untrusted::{is_hidden, visible};
use rollback_system::process::Environment;
use ui::{Format, Terminal, Ui};

/// What the program finds around it. It looks at nothing else.
#[derive(Debug)]
pub struct Env {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment.
    pub environment: Environment,
    /// The working directory.
    pub cwd: PathBuf,
    /// The clock.
    pub now: fn() -> std::time::SystemTime,
    /// Whose process this is.
    pub operator: Operator,
    /// The operator's signals.
    pub interrupt: Interrupt,
    /// Stdin, stdout and stderr.
    pub surroundings: Terminal,
}

/// Runs one command and tells how it ended. Everything there is to say has been said then.
pub fn run(world: &Env) -> Exit {
    let parsed = Cli::command()
        .try_get_matches_from(&world.args)
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let is_wrong = error.use_stderr();
            // Help and version are answers; where they cannot be written nobody is there to be told.
            let _ = harmless(error, &world.args).print();
            return if is_wrong { Exit::Usage } else { Exit::Done };
        }
    };
    let dir = match &cli.global.directory {
        Some(directory) => world.cwd.join(directory),
        None => world.cwd.clone(),
    };
    let flags = PartialSettings::of_flags(&matches);
    // Until the settings are read, the flags alone decide how an error about them looks.
    let plain = ui(world, &cli, &flags.clone().or_defaults());
    let told = |failure: Failure, ui: &Ui| {
        let tells_events = matches!(
            cli.command,
            CliCommand::DowngradeSafe(_)
                | CliCommand::Resume(_)
                | CliCommand::Abandon(_)
                | CliCommand::Guard(_)
        );
        if ui.format == Format::Json && tells_events {
            let _ = ui.json_line(&Ui::refused_event(&failure));
        }
        ui.failure(&failure);
        failure.exit
    };
    if !dir.is_dir() {
        let failure = Failure::user(format!("{} is not a directory", dir.display()))
            .hint("name the project's directory: rollback -C <dir> current");
        return told(failure, &plain);
    }
    let mut settings = match config::resolve(
        flags.clone(),
        &world.environment,
        &dir,
        cli.global.config.as_deref(),
    ) {
        Ok(settings) => settings,
        // A log is explained without the project that it may lie in.
        Err(_) if matches!(cli.command, CliCommand::Explain(_)) => flags.or_defaults(),
        Err(failure) => return told(failure, &plain),
    };
    // Some time ago is meant from now on, not from when another run has made way.
    settings.deployed_at = settings.deployed_at.map(|at| at.settled((world.now)()));
    let ui = ui(world, &cli, &settings);
    let context = CommandContext {
        settings: &settings,
        dir: &dir,
        environment: &world.environment,
        now: world.now,
        operator: &world.operator,
        interrupt: &world.interrupt,
        which_project: cli.global.project_args(),
        ui: &ui,
    };
    let done = |()| Exit::Done;
    let result = match &cli.command {
        CliCommand::Current(_) => commands::current::run(&context).map(done),
        CliCommand::Plan(args) => commands::plan::run(args, &context),
        CliCommand::List(args) => commands::list::run(args, &context).map(done),
        CliCommand::Check(args) => commands::check::run(args, &context).map(done),
        CliCommand::DowngradeSafe(args) => commands::downgrade_safe::run(args, &context),
        CliCommand::Resume(args) => commands::resume::run(args, &context),
        CliCommand::Abandon(args) => commands::abandon::run(args, &context),
        CliCommand::Backup(_) => commands::backup::run(&context).map(done),
        CliCommand::Backups(_) => commands::backups::run(&context).map(done),
        CliCommand::Restore(args) => commands::restore::run(args, &context),
        CliCommand::History(args) => commands::history::run(args, &context).map(done),
        CliCommand::Show(args) => commands::show::run(args, &context).map(done),
        CliCommand::Explain(args) => commands::explain::run(args, &context),
        CliCommand::Guard(args) => commands::guard::run(args, &context),
        CliCommand::Sql(args) => commands::sql::run(args, &context).map(done),
        CliCommand::Completions(args) => commands::completions::run(args, &ui).map(done),
        CliCommand::Man(args) => commands::man::run(args, &ui).map(done),
    };
    result.unwrap_or_else(|failure| told(failure, &ui))
}

/// The same error about the same words without what a terminal would obey: it quotes them.
fn harmless(error: clap::Error, args: &[OsString]) -> clap::Error {
    let is_harmless = |word: &OsString| !word.to_string_lossy().contains(is_hidden);
    if args.iter().all(is_harmless) {
        return error;
    }
    let shown = args.iter().map(|word| visible(&word.to_string_lossy()));
    match Cli::try_parse_from(shown) {
        Err(harmless) => harmless,
        // Without its quotes, then.
        Ok(_) => Cli::command().error(error.kind(), "a word of the command line is not understood"),
    }
}

fn ui(world: &Env, cli: &Cli, settings: &Settings) -> Ui {
    Ui::new(
        settings.format,
        cli.global.verbosity(),
        settings.color,
        world.surroundings,
    )
}

/// Whether `NO_COLOR` asks for no colour (<https://no-color.org>).
pub fn no_color(environment: &Environment) -> bool {
    environment
        .get(OsStr::new("NO_COLOR"))
        .is_some_and(|value| !value.is_empty())
}
