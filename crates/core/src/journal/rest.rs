//! The rest of a run: what is left of the plan that was recorded, in its order, held against the graph.
//!
//! It is not planned again. From a state in the middle of a branched history, the way to the same target may take
//! the same revisions in another order.

use super::Run;
use crate::graph::{Graph, UnknownRevision};
use crate::names::and;
use crate::plan::{Plan, Step};
use crate::revision::{Heads, RevisionId};

/// Why the rest of a recorded plan cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The position is not in the code.
    #[error(transparent)]
    UnknownRevision(#[from] UnknownRevision),
    /// A later step of the plan is done and an earlier one is not.
    #[error(
        "{gone} is not applied, and {applied} is, which the plan removes before it: somebody changed the database since"
    )]
    OutOfOrder {
        /// What is still applied.
        applied: String,
        /// What the plan removes later.
        gone: String,
    },
    /// A step would remove more than the plan says.
    #[error(
        "{revision} cannot be removed alone now: {} would go with it",
        and(along)
    )]
    TakesAlong {
        /// What the step removes.
        revision: RevisionId,
        /// What would go with it.
        along: Vec<RevisionId>,
    },
    /// What needs the revision is not in the plan.
    #[error("{} depends on {revision} now", and(needing))]
    Needed {
        /// What the step removes.
        revision: RevisionId,
        /// What needs it.
        needing: Vec<RevisionId>,
    },
}

impl Run {
    /// The rest of the recorded plan from these version rows, in the recorded order. Each step has to remove what
    /// the plan says and nothing else.
    pub fn rest(&self, graph: &Graph, rows: &[RevisionId]) -> Result<Plan, RestError> {
        let applied = graph.applied(rows)?;
        let Some(remaining) = self.remaining(&applied) else {
            return Err(self.out_of_order(&applied));
        };
        let remaining: Vec<RevisionId> = remaining.iter().map(RevisionId::new).collect();
        let plan = Plan::in_order(graph, rows, &remaining)?;
        let together = self.may_go_along(graph);
        for step in &plan.steps {
            let along = step.takes_along.iter().filter(|id| !together.contains(id));
            let along: Vec<RevisionId> = along.cloned().collect();
            if !along.is_empty() {
                return Err(RestError::TakesAlong {
                    revision: step.removes.clone(),
                    along,
                });
            }
            if graph.is_sequence() {
                needed(graph, step)?;
            }
        }
        Ok(plan)
    }

    /// What was applied at the start, is not at the target, and has no step of its own: the plan has it go along
    /// with a step, because they depend on each other in a circle.
    fn may_go_along(&self, graph: &Graph) -> Heads {
        let start = graph.applied(&self.begun.heads).unwrap_or_default();
        let end = self.begun.aim.as_ref().map(|aim| graph.applied(aim));
        let end = end.and_then(Result::ok).unwrap_or_default();
        let has_a_step = |id: &RevisionId| self.begun.removes.iter().any(|it| it == id.as_str());
        start
            .into_iter()
            .filter(|id| !end.contains(id) && !has_a_step(id))
            .collect()
    }

    fn out_of_order(&self, applied: &Heads) -> RestError {
        let is_applied = |id: &&String| applied.contains(&RevisionId::new((*id).clone()));
        let mut steps = self.begun.removes.iter().skip_while(|id| !is_applied(id));
        let first = steps.next().cloned().unwrap_or_default();
        RestError::OutOfOrder {
            applied: first,
            gone: steps
                .find(|id| !is_applied(id))
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Where each applied migration has a row, its argument names it alone, whatever needs it.
fn needed(graph: &Graph, step: &Step) -> Result<(), RestError> {
    let needing: Vec<RevisionId> = graph
        .needing_it(&step.heads_before, &step.removes)
        .into_iter()
        .filter(|id| *id != step.removes)
        .collect();
    if needing.is_empty() {
        return Ok(());
    }
    Err(RestError::Needed {
        revision: step.removes.clone(),
        needing,
    })
}
