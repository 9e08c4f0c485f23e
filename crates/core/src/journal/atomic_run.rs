//! Steps that are all done or none: what is written down about them, and what is found of them later.

use serde::{Deserialize, Serialize};

use super::{CrashState, Entry, Run};
use crate::graph::Graph;
use crate::proof::Doubt;
use crate::revision::Heads;
use crate::schema::{Difference, SchemaLines};

/// A step of a whole that is done, as [`Entry::Done`] has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtomicEnd {
    /// Its number in the whole run, from 0.
    pub step: usize,
    /// The revision that went.
    pub removes: String,
    /// The version rows after it.
    pub heads: Heads,
    /// What it did to the schema.
    pub difference: Difference,
    /// SHA-256 of the schema after it.
    pub schema: String,
    /// Seconds it took, to the millisecond.
    pub seconds: f64,
}

impl From<AtomicEnd> for Entry {
    fn from(step: AtomicEnd) -> Self {
        Self::Done {
            step: step.step,
            removes: step.removes,
            heads: step.heads,
            difference: Some(step.difference),
            effect: None,
            schema: step.schema,
            seconds: step.seconds,
        }
    }
}

/// A whole as the journal tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AtomicRun {
    /// How many steps of the run were done before it.
    pub done: usize,
    /// The version rows before it.
    pub heads: Heads,
    /// The schema before it.
    pub schema: Option<SchemaLines>,
    /// The copy of the file that is to be put back.
    pub copy: Option<String>,
    /// Its steps, where they were all done and were to be kept.
    pub committing: Option<Vec<AtomicEnd>>,
}

impl Run {
    /// The whole that was begun and is not recorded to its end.
    pub fn open_whole(&self) -> Option<&AtomicRun> {
        self.whole
            .as_ref()
            .filter(|_| self.done < self.begun.removes.len())
    }

    /// The steps of the open whole that were to be kept and are not recorded as done.
    pub fn unrecorded(&self) -> Vec<AtomicEnd> {
        let steps = self.open_whole().and_then(|whole| whole.committing.clone());
        let mut steps = steps.unwrap_or_default();
        steps.retain(|step| step.step >= self.done);
        steps
    }
}

impl AtomicRun {
    /// The schema after it, as it was seen before it was kept.
    fn predicted(&self) -> Option<SchemaLines> {
        let steps = self.committing.as_ref()?;
        let start = self.schema.clone()?;
        Some(
            steps
                .iter()
                .fold(start, |schema, step| step.difference.applied_to(schema)),
        )
    }

    pub(super) fn examine(
        &self,
        run: &Run,
        graph: &Graph,
        heads: &Heads,
        schema: Option<&SchemaLines>,
        doubts: &[Doubt],
    ) -> CrashState {
        let applied = graph.applied(heads);
        let stands_at = |heads: &Heads| applied == graph.applied(heads);
        // Before the first intent nothing of our own can have happened.
        let has_copy = self.copy.is_some() && run.in_flight.is_some();
        if stands_at(&self.heads) {
            let difference = Difference::between(self.schema.as_ref(), schema);
            let unproven = run.needs_proof() && !doubts.is_empty();
            return match (difference.is_empty(), run.in_flight) {
                // A transaction happens whole or not at all. Without one a step that was cut off may have changed
                // rows, which neither version table nor schema shows.
                (true, Some(_)) | (false, _) if has_copy => CrashState::PartOfAWhole,
                (true, Some(_)) if unproven => CrashState::MayHaveChanged(doubts.to_vec()),
                (true, Some(_)) => CrashState::NothingHappened,
                (true, None) => CrashState::AtTheBoundary,
                (false, _) => CrashState::HalfDone(difference),
            };
        }
        let end = self.committing.as_ref().and_then(|steps| steps.last());
        if end.is_some_and(|last| stands_at(&last.heads)) {
            let difference = Difference::between(self.predicted().as_ref(), schema);
            return if difference.is_empty() {
                CrashState::WholeHappened
            } else {
                CrashState::NotAsSeen(difference)
            };
        }
        let on_the_way = applied.is_ok_and(|applied| run.remaining(&applied).is_some());
        if has_copy && on_the_way {
            CrashState::PartOfAWhole
        } else {
            CrashState::Elsewhere
        }
    }
}
