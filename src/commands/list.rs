//! `rollback list`.

use std::time::{Duration, SystemTime};

use clap::Args;

use crate::app::CommandContext;
use crate::app::forecast::{ProbeArgs, ShownForecast};
use crate::app::project::Project;
use crate::config;
use crate::error::Failure;
use crate::ui::{Listing, Migrations};
use migration_forecast::risk::plan_forecast::PlanForecast;
use rollback_core::plan::Plan;
use rollback_core::time::{self, Precision};
use rollback_sql_files::history::HistoryRecord;
use rollback_sql_files::selection::{Selection, Which};

/// Show every applied revision, newest first, and whether it can be rolled back.
///
/// `after` is the number of revisions that need it and have to go first. What is foreseen of each holds
/// for the moment at which all before it have gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback list
  rollback list --no-probe         Without asking the database what the tables hold
  rollback list --rolled-back --since 7d   SQL files: who rolled back what this week, and why
  rollback list --format json")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ListArgs {
    /// Show all registered migrations of SQL files, also those that were rolled back.
    #[arg(long, group = "which")]
    pub all: bool,

    /// Show the migrations of SQL files whose rollback failed.
    #[arg(long, group = "which")]
    pub failed: bool,

    /// Show the applied migrations of SQL files that have no rollback SQL.
    #[arg(long, group = "which")]
    pub without_sql: bool,

    /// Show the migrations of SQL files that were rolled back: who did it, when and why.
    #[arg(long, group = "which")]
    pub rolled_back: bool,

    /// Show only migrations of SQL files that were recorded in this time, such as 7d.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    pub since: Option<Duration>,

    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

impl ListArgs {
    fn selection(&self, now: SystemTime) -> Selection {
        let which = [
            (self.all, Which::All),
            (self.failed, Which::Failed),
            (self.without_sql, Which::WithoutSql),
            (self.rolled_back, Which::RolledBack),
        ];
        let which = which.into_iter().find(|(is_asked, _)| *is_asked);
        let since = self.since.and_then(|since| now.checked_sub(since));
        Selection {
            which: which.map_or(Which::Applied, |(_, which)| which),
            since: since.map(|since| time::rfc3339(since, Precision::Seconds)),
        }
    }
}

/// Shows the list.
pub fn run(args: &ListArgs, context: &CommandContext<'_>) -> Result<(), Failure> {
    let mut project = Project::look(context)?;
    let selection = args.selection((context.now)());
    if selection != Selection::default() && project.sql().is_none() {
        return Err(Failure::user(
            "--all, --failed, --without-sql, --rolled-back and --since are for SQL files",
        )
        .because("the version table of Alembic has the applied revisions and nothing else")
        .hint(format!("list them: {}", context.command(&["list"])))
        .hint(format!(
            "for the runs and their reasons: {}",
            context.command(&["history"])
        )));
    }
    let plan = project.plan("base")?;
    let forecast = ShownForecast::of(&mut project, &plan, context);
    if let Some(sql) = project.sql() {
        let ids = plan.steps.iter().map(|step| &step.removes);
        let registered: Vec<_> = ids.filter_map(|id| project.registered(id)).collect();
        let needed_by = project.graph.needed_by(&plan);
        let is_shown: Vec<bool> = registered
            .iter()
            .map(|one| selection.shows(one.record))
            .collect();
        let gone: Vec<&HistoryRecord> = sql
            .history
            .records
            .iter()
            .filter(|record| !record.is_applied())
            .collect();
        let shown_plan = Plan {
            steps: shown(&plan.steps, &is_shown),
            ..plan.clone()
        };
        let forecast = PlanForecast {
            steps: shown(&forecast.forecast.steps, &is_shown),
            ..forecast.forecast.clone()
        };
        let shown_gone: Vec<&HistoryRecord> = gone
            .iter()
            .copied()
            .filter(|record| selection.shows(record))
            .collect();
        return context.ui.migrations(Migrations {
            database: project.identity.as_ref(),
            plan: &shown_plan,
            registered: &shown(&registered, &is_shown),
            needed_by: &shown(&needed_by, &is_shown),
            forecast: &forecast,
            rolled_back: gone.len(),
            gone: &shown_gone,
            hidden: is_shown.iter().filter(|is_shown| !**is_shown).count(),
            problems: &project.inconsistencies(),
        });
    }
    context.ui.list(Listing {
        database: project.identity.as_ref(),
        plan: &plan,
        needed_by: &project.graph.needed_by(&plan),
        forecast: &forecast.forecast,
    })
}

/// Those of a list that are shown.
fn shown<T: Clone>(all: &[T], is_shown: &[bool]) -> Vec<T> {
    let pairs = all.iter().zip(is_shown);
    pairs
        .filter(|(_, is_shown)| **is_shown)
        .map(|(one, _)| one.clone())
        .collect()
}
