//! `rollback plan`.

use clap::Args;

use crate::app::CommandContext;
use crate::app::downgrade::{BackupDecision, FileChecks, PlanScope};
use crate::app::forecast::{ProbeArgs, ShownForecast};
use crate::app::policy_check::{CircumstanceArgs, RunConditions, rule};
use crate::app::project::Project;
use crate::error::{Exit, Failure};
use crate::ui::{PlanFooter, PlanView};
use rollback_core::finding_code::Level;
use rollback_core::policy::ConsentSource;

/// Show the steps down to a target without taking them, and what they would destroy.
///
/// The version files are read, not run; the database is asked read-only. Each step comes with what it
/// drops and how much that is today, whether it can come to its end, and what cannot be told.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback plan -3                    Three steps, merges included
  rollback plan 363a                  Down to the revision whose id begins with 363a
  rollback plan base --format json    Everything, for a program
  rollback plan -3 --sql > down.sql   The statements of each step
  rollback plan --only 20250120_add_tags   Exactly this one, of SQL files
  rollback plan 363a9b1e8992 -v       With the commands, the queries that were asked, and advice
  rollback plan base --deny high      For CI: exit 3 where data would be lost, or nobody can tell")]
pub struct PlanArgs {
    /// -N steps, a revision, the beginning of one, base, LABEL@base, LABEL@REV or REV-N.
    #[arg(allow_negative_numbers = true, required_unless_present = "only")]
    pub target: Option<String>,

    /// Plan exactly this migration, of SQL files. Refused while others depend on it.
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub only: Option<String>,

    /// Exit with 3 where something of this level or worse is found; unknown is worse than high.
    #[arg(long, value_name = "LEVEL")]
    pub deny: Option<Level>,

    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,

    /// What is said about it, for the policy.
    #[command(flatten)]
    pub circumstances: CircumstanceArgs,

    /// Show the statements of each step, as the engine renders them without a database.
    ///
    /// The text can be saved as a file: all that is no statement is a comment. A migration that looks at
    /// the database cannot be rendered; its line is named, and the other steps are rendered anyway.
    #[arg(long)]
    pub sql: bool,
}

/// Shows the plan. Exit 3 where it holds what is denied.
pub fn run(args: &PlanArgs, context: &CommandContext<'_>) -> Result<Exit, Failure> {
    let mut project = Project::look(context)?;
    let (plan, target, extent, again) = if let Some(only) = &args.only {
        (
            project.plan_only(only, context)?,
            format!("--only {only}"),
            PlanScope::Only,
            context.command(&["downgrade-safe"]).option("--only", only),
        )
    } else {
        let target = args.target.clone().unwrap_or_default();
        let again = context.command(&["downgrade-safe"]).target(&target);
        (project.plan(&target)?, target, PlanScope::Newest, again)
    };
    let forecast = ShownForecast::of(&mut project, &plan, context);
    let safety = BackupDecision::judge(context, &project, &plan, &forecast.forecast);
    let manner = RunConditions {
        consent: ConsentSource::Terminal,
        validate: context.settings.validate,
        backup: safety.intended(context),
        resumed: None,
    };
    let ruled = rule(context, &mut project, &plan, &forecast, manner)?;
    let next = forecast.next_command(again.clone(), context).to_string();
    let backup = safety.sentence();
    let view = PlanView {
        database: project.identity.as_ref(),
        target: &target,
        plan: &plan,
        commands: &project.command_lines(&plan),
        ways: &project.ways(&plan),
        forecast: &forecast.forecast,
        ruling: ruled.ruling.as_ref(),
        ending: PlanFooter {
            verdict: &forecast.verdict,
            next: &next,
            backup: backup.as_deref(),
        },
    };
    if args.sql {
        context
            .ui
            .plan_with_sql(view, &project.render(&plan, context)?)?;
    } else {
        context.ui.plan(view)?;
    }
    let registered = FileChecks::of(&project, &plan, None, extent, again);
    registered.refuse_not_newest(context)?;
    registered.foretell(context);
    forecast.denied(args.deny)
}
