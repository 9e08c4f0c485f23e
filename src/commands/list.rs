//! `rollback list`.

use clap::Args;

use super::Context;
use super::foresee::{Foreseen, ProbeArgs};
use super::session::Session;
use crate::error::Failure;
use crate::ui::{Listing, Migrations};

/// Show every applied revision, newest first, and whether it can be taken back.
///
/// `after` is the number of revisions that need it and have to go first. What is foreseen of each holds
/// for the moment at which all before it have gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback list
  rollback list --no-probe         Without asking the database what the tables hold
  rollback list --format json")]
pub struct ListArgs {
    /// How the database is asked.
    #[command(flatten)]
    pub probes: ProbeArgs,
}

/// Shows the list.
pub fn run(context: &Context<'_>) -> Result<(), Failure> {
    let mut session = Session::look(context)?;
    let plan = session.plan("base")?;
    let foreseen = Foreseen::of(&mut session, &plan, context);
    if let Some(project) = session.sql() {
        let ids = plan.steps.iter().map(|step| &step.removes);
        let registered: Vec<_> = ids.filter_map(|id| session.registered(id)).collect();
        let gone = project.history.records.iter();
        return context.ui.migrations(Migrations {
            database: session.identity.as_ref(),
            plan: &plan,
            registered: &registered,
            needed_by: &session.graph.needed_by(&plan),
            outlook: &foreseen.outlook,
            rolled_back: gone.filter(|record| !record.is_applied()).count(),
            problems: &session.oddities(),
        });
    }
    context.ui.list(Listing {
        database: session.identity.as_ref(),
        plan: &plan,
        needed_by: &session.graph.needed_by(&plan),
        outlook: &foreseen.outlook,
    })
}
