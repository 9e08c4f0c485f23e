//! The command line.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Args, Parser, Subcommand, ValueEnum as _};

use crate::commands::{
    abandon, backup, backups, check, completions, current, downgrade_safe, explain, guard, history,
    list, man, plan, restore, resume, show, sql,
};
use crate::config::{self, Fallback, GraphSource, SETTINGS};
use crate::ui::{ColorChoice, Format, Verbosity};
use rollback_core::command::ProjectOptions;
use rollback_core::secret::{Secret, mask};
use rollback_database::url;

const EXAMPLES: &str = "\
Examples:
  rollback current                          Where does the database stand?
  rollback plan -3                          What would three steps back do, and destroy?
  rollback list                             Which revisions can be taken back at all?
  rollback check 363a9b1e8992               All that is known of one of them
  rollback downgrade-safe -3 --dry-run      The same, as a rehearsal of the next line
  rollback downgrade-safe -3                Take three revisions back, one at a time
  rollback downgrade-safe 363a9b1e8992 -y   Down to a revision, without a question
  rollback resume                           Resume the run that did not reach its target
  rollback abandon                          Give that run up; the database is not touched
  rollback backup                           Make a backup, and prove it
  rollback restore latest                   Make the database what it was at the last backup
  rollback history                          Which runs were there?
  rollback show latest                      The report of the newest one
  rollback explain deploy.log               What does the failure in that log mean?

Exit codes:
  0  done, or nothing to do
  1  user, configuration or environment error; nothing was changed
  2  wrong usage
  3  refused or not confirmed; nothing was changed
  4  a step failed; the database stands at the last good revision
  5  a step failed or did not verify, and a person must look
  6  another run holds the lock of the database; nothing was changed
  7  explain knows nothing of what the log holds
  8  the command of guard failed, and what it did to the migrations was taken back
  70 a fault of rollback itself
  130 interrupted; the database stands at a revision, and the step that ran was finished first
      or left nothing behind";

/// Walk a database back one migration at a time: Alembic's revisions, or SQL files with a rollback block each.
///
/// Each step is planned, run as one process of the engine (alembic, flask db or superset db) or, of SQL
/// files, by rollback itself, looked up in the database, and only then followed by the next. The first failure ends the run and
/// tells where the database stands and what to do.
#[derive(Debug, Parser)]
#[command(name = "rollback", version, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(mut_args(with_default), mut_subcommands(|command| command.mut_args(with_default)))]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a comment here would replace the help text of the arguments"
)]
pub enum CliCommand {
    Current(current::CurrentArgs),
    Plan(plan::PlanArgs),
    List(list::ListArgs),
    Check(check::CheckArgs),
    DowngradeSafe(Box<downgrade_safe::DowngradeSafeArgs>),
    Resume(Box<resume::ResumeArgs>),
    Abandon(abandon::AbandonArgs),
    Backup(backup::BackupArgs),
    Backups(backups::BackupsArgs),
    Restore(restore::RestoreArgs),
    History(history::HistoryArgs),
    Show(show::ShowArgs),
    Explain(explain::ExplainArgs),
    Guard(Box<guard::GuardArgs>),
    Sql(sql::SqlArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Work in this directory, where the project is.
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,

    /// Read the settings from this file instead of rollback.toml or pyproject.toml of the project.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// The engine's command line up to its verb, such as 'docker compose exec -T api alembic'.
    #[arg(long, value_name = "COMMAND", global = true, value_parser = EngineCommand::parse)]
    pub engine_command: Option<EngineCommand>,

    /// Alembic's own configuration file, passed on to it as -c.
    #[arg(long, value_name = "FILE", global = true)]
    pub alembic_config: Option<PathBuf>,

    /// The database as a SQLAlchemy URL, where the engine cannot be asked; better given as
    /// `ROLLBACK_DATABASE_URL`, since others can see a command line.
    #[arg(long, value_name = "URL", global = true, value_parser = |url: &str| Ok::<_, String>(Secret::new(url)))]
    pub database_url: Option<Secret>,

    /// Take the history from the version files, or from the engine; without it from the files where
    /// every one of them can be read.
    #[arg(long, value_name = "SOURCE", global = true)]
    pub graph: Option<GraphSource>,

    /// An argument for the project's env.py, passed on to Alembic; may be repeated.
    #[arg(short, value_name = "KEY=VALUE", global = true)]
    pub x: Vec<String>,

    /// The section of Alembic's configuration, passed on to it.
    #[arg(short, long, value_name = "SECTION", global = true)]
    pub name: Option<String>,

    /// Keep the records of runs in this folder instead of .rollback of the project.
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,

    /// Where this is, such as production; it chooses the rules of the policy.
    #[arg(long, value_name = "NAME", global = true)]
    pub environment: Option<String>,

    /// Write data for people or, as JSON, for programs.
    #[arg(long, value_name = "FORMAT", global = true)]
    pub format: Option<Format>,

    /// When to colour.
    #[arg(long, value_name = "WHEN", global = true)]
    pub color: Option<ColorChoice>,

    /// Show commands, file paths and every line of the engine.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub verbose: bool,

    /// Say nothing but refusals and failures.
    #[arg(short, long, global = true, action = ArgAction::SetTrue, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The words of a command line.
#[derive(Debug, Clone)]
pub struct EngineCommand(Vec<String>);

impl EngineCommand {
    fn parse(line: &str) -> Result<Self, String> {
        config::words(line).map(Self)
    }
}

impl Global {
    /// How much to say.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }

    /// The options that say which project and database is meant, as they would be typed again.
    pub fn project_args(&self) -> ProjectOptions {
        let text = |path: &PathBuf| path.display().to_string();
        let of_graph =
            |source: GraphSource| Some(source.to_possible_value()?.get_name().to_owned());
        let options = [
            ("-C", self.directory.as_ref().map(text)),
            ("--config", self.config.as_ref().map(text)),
            (
                "--engine-command",
                self.engine_command
                    .as_ref()
                    .and_then(|words| shlex::try_join(words.0.iter().map(String::as_str)).ok()),
            ),
            ("--alembic-config", self.alembic_config.as_ref().map(text)),
            ("--database-url", self.database_url.as_ref().and_then(shown)),
            ("--graph", self.graph.and_then(of_graph)),
            ("-n", self.name.clone()),
            ("--state-dir", self.state_dir.as_ref().map(text)),
            ("--environment", self.environment.clone()),
        ];
        let given = options
            .into_iter()
            .filter_map(|(option, value)| Some((option, value?)));
        let repeated = self.x.iter().map(|pair| ("-x", pair.clone()));
        let mut project = ProjectOptions::default();
        for (option, value) in given.chain(repeated) {
            project.push(option, value);
        }
        project
    }
}

/// An argument with the default of its setting in the help.
fn with_default(arg: Arg) -> Arg {
    let setting = SETTINGS.iter().find(|setting| arg.get_id() == setting.name);
    match setting.map(|setting| &setting.fallback) {
        Some(Fallback::Value(default)) if arg.get_action().takes_values() => {
            let help = arg.get_help().cloned().unwrap_or_default();
            arg.help(format!("{help} [default: {default}]"))
        }
        _ => arg,
    }
}

/// A URL as it may be shown. Without its password it does not lead to the database by itself, and to no other one:
/// a command without it might.
fn shown(url: &Secret) -> Option<String> {
    let facts = url::parse(url.reveal(), Path::new("")).ok()?;
    Some(mask(url.reveal(), &facts.password))
}
