//! The plan of this run with all that is shown of it.

use super::DowngradeSafeArgs;
use crate::commands::Context;
use crate::commands::foresee::Foreseen;
use crate::commands::session::Session;
use crate::commands::unfinished::TakenUp;
use crate::domain::connection::Dialect;
use crate::domain::diagnosis::Known;
use crate::domain::plan::Plan;
use crate::error::Failure;
use crate::ui::{Ending, PlanView};

pub(super) struct Planned {
    /// As typed, or in words.
    target: String,
    pub(super) plan: Plan,
    /// The command line of each step.
    pub(super) commands: Vec<Vec<String>>,
    pub(super) foreseen: Foreseen,
}

impl Planned {
    /// Plans the way to the target, or takes the plan of a run that goes on.
    pub(super) fn new(
        args: &DowngradeSafeArgs,
        context: &Context<'_>,
        session: &mut Session,
        taken_up: Option<&TakenUp>,
    ) -> Result<Self, Failure> {
        let target = args
            .target
            .clone()
            .unwrap_or_else(|| "what was left".to_owned());
        let plan = match taken_up {
            Some(taken_up) => taken_up.plan.clone(),
            None => session.plan(&target)?,
        };
        Ok(Self {
            target,
            commands: session.command_lines(&plan),
            foreseen: Foreseen::of(session, &plan, context),
            plan,
        })
    }

    pub(super) fn show(
        &self,
        args: &DowngradeSafeArgs,
        context: &Context<'_>,
        session: &Session,
    ) -> Result<(), Failure> {
        let next = self.foreseen.next_command(&self.target, context);
        let view = PlanView {
            database: session.identity.as_ref(),
            target: &self.target,
            plan: &self.plan,
            commands: &self.commands,
            outlook: &self.foreseen.outlook,
            ending: Ending {
                verdict: &self.foreseen.verdict,
                next: &next,
            },
        };
        context.ui.plan_of_run(view, args.dry_run)
    }

    /// What is known of each step, should it fail.
    pub(super) fn known(&self, context: &Context<'_>, session: &Session) -> Vec<Known> {
        let dialect = session
            .identity
            .as_ref()
            .and_then(|identity| Dialect::named(&identity.dialect));
        let steps = self.plan.steps.iter().enumerate();
        steps
            .map(|(index, step)| Known {
                dialect,
                revision: Some(step.removes.to_string()),
                dropped_by: self.foreseen.culprit(index),
                look: Some(context.command(&["current"])),
                ..Known::default()
            })
            .collect()
    }
}
