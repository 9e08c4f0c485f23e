//! What a look at the database says about an unfinished run.

use super::{Remains, Run};
use crate::graph::Graph;
use crate::plan::Plan;
use crate::proof::{Doubt, RowEvidence};
use crate::revision::{Heads, RevisionId};
use crate::schema::{Difference, SchemaLines};

/// What a look at the database says about an unfinished run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrashState {
    /// It stands where the record ends, and no step was under way.
    AtTheBoundary,
    /// A step was under way, and nothing of it happened.
    NothingHappened,
    /// A step was under way, version rows and schema are as before it, and it is not proven that it left nothing.
    MayHaveChanged(Vec<Doubt>),
    /// A step was under way, and it happened without being recorded.
    StepHappened,
    /// The version rows are right and the schema is not: half of a step, or somebody else's work.
    HalfDone(Difference),
    /// A step was under way, the version rows are as before it, and another version of this program
    /// wrote the schema down in a form that says nothing about ours.
    OtherForm,
    /// The version rows are those of neither before nor after.
    Elsewhere,
    /// All of a whole happened, as it was seen before it was kept, without being recorded.
    WholeHappened,
    /// All of a whole is gone from the version table, and the schema is not what was seen before it was
    /// kept.
    NotAsSeen(Difference),
    /// A step was under way that is run statement by statement, and goes on after those that are done.
    InTheMiddle {
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
    },
    /// The same, and it cannot be told where to go on: the clause says why.
    Unclear(String, Difference),
    /// Some of a whole happened, and there is a copy to put back.
    PartOfAWhole,
}

impl Run {
    /// Whether it has to be proven that the step in flight left nothing. If the run ended at it, that was proven then,
    /// and what was written since is somebody else's.
    pub fn needs_proof(&self) -> bool {
        self.in_flight.is_some() && self.remains != Remains::Nothing
    }

    /// What was noted before the step in flight.
    pub fn evidence(&self) -> Option<&RowEvidence> {
        match &self.remains {
            Remains::Unproven(evidence) => evidence.as_ref(),
            Remains::Nothing => None,
        }
    }

    /// Compares the record with the database as it is now. `schema` is `None` where it cannot be
    /// read, and is then not compared. `doubts` is what is not proven about the step in flight.
    pub fn examine(
        &self,
        graph: &Graph,
        heads: &Heads,
        schema: Option<&SchemaLines>,
        doubts: &[Doubt],
    ) -> CrashState {
        if let Some(whole) = self.open_whole() {
            return whole.examine(self, graph, heads, schema, doubts);
        }
        let difference = Difference::between(self.schema.as_ref(), schema);
        let applied = graph.applied(heads);
        if applied == graph.applied(&self.heads) {
            return match (difference.is_empty(), self.in_flight) {
                (false, _) => CrashState::HalfDone(difference),
                (true, Some(_)) if self.other_form && schema.is_some() => CrashState::OtherForm,
                (true, Some(_)) if self.needs_proof() && !doubts.is_empty() => {
                    CrashState::MayHaveChanged(doubts.to_vec())
                }
                (true, Some(_)) => CrashState::NothingHappened,
                (true, None) => CrashState::AtTheBoundary,
            };
        }
        let after = self.in_flight_revision().and_then(|gone| {
            let rows: Vec<RevisionId> = self.heads.iter().cloned().collect();
            let step = Plan::in_order(graph, &rows, &[RevisionId::from(gone)]).ok()?;
            (!step.steps.is_empty()).then(|| graph.applied(step.final_heads()).ok())?
        });
        if after.is_some() && applied.ok() == after {
            CrashState::StepHappened
        } else {
            CrashState::Elsewhere
        }
    }
}
