//! What the engine is asked beside the history, and what its steps are given.

use std::fs::File;
use std::sync::Arc;

use super::{Session, interrupted_or};
use crate::commands::Context;
use crate::domain::plan::Plan;
use crate::domain::rendering::{Obstacle, Rendering};
use crate::engine::{Engine as _, Reach};
use crate::error::Failure;
use crate::ui::Redact as _;

impl Session {
    /// The command line of each step.
    pub(in super::super) fn command_lines(&self, plan: &Plan) -> Vec<Vec<String>> {
        plan.steps
            .iter()
            .map(|step| self.engine.command_line(&step.argument))
            .collect()
    }

    /// The statements of each step, without the passwords that are known.
    pub(in super::super) fn render(
        &self,
        plan: &Plan,
        context: &Context<'_>,
    ) -> Result<Vec<Rendering>, Failure> {
        let secrets = self.secrets();
        let redact = |text: String| secrets.redact(&text);
        let renderings = self
            .engine
            .render(plan)
            .map_err(|error| interrupted_or(error, context))?;
        Ok(renderings
            .into_iter()
            .map(|rendering| {
                rendering.map(redact).map_err(|obstacle| Obstacle {
                    sentence: redact(obstacle.sentence),
                    ..obstacle
                })
            })
            .collect())
    }

    /// How far the lock timeout reaches where that is less than all, and whether it is nowhere.
    pub(in super::super) fn unlimited_waiting(&self) -> Option<(&'static str, bool)> {
        let dialect = self
            .identity
            .as_ref()
            .map(|identity| identity.dialect.as_str());
        match (self.engine.reach()?, dialect) {
            (Reach::Libpq, Some("mysql" | "mariadb")) => Some((
                "the lock timeout does not reach this engine's connection: the server's own limit holds",
                true,
            )),
            (Reach::Refused, Some("postgresql") | None) => Some((
                "the lock timeout does not reach this engine's connection, since a pooler there takes no \
                 PGOPTIONS: the server's own limit holds",
                true,
            )),
            (Reach::Libpq, Some("postgresql") | None) => Some((
                "the lock timeout reaches this engine through PGOPTIONS, which libpq alone reads",
                false,
            )),
            _ => None,
        }
    }

    /// Has the processes of steps keep a file open.
    pub(in super::super) fn hold(&mut self, file: Arc<File>) {
        self.engine.hold(file);
    }
}
