//! Who took an object away, and who made it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{EventKind, Function};
use rollback_core::finding::Culprit;
use rollback_core::operation::{Operation, Place};
use rollback_core::revision::RevisionId;
use rollback_core::subject::Subject;
use rollback_schema::{ApplyError, ApplyErrorKind, Effect, effects};

/// What a revision's function does by its own words.
type Effects = Vec<(Effect, Place)>;

/// What has happened to objects, and what would have.
pub(super) struct ChangeLog {
    /// What the steps of the plan did that were followed, in order.
    entries: Vec<(Effect, RevisionId, Place)>,
    /// The functions of the steps so far, newest first.
    steps: Vec<(RevisionId, Effects, Effects)>,
    /// Applied revisions that are no step so far.
    others: Vec<RevisionId>,
    /// Their upgrades, once they were asked for.
    upgrades: HashMap<RevisionId, Effects>,
}

impl ChangeLog {
    pub(super) fn new(others: Vec<RevisionId>) -> Self {
        Self {
            entries: Vec::new(),
            steps: Vec::new(),
            others,
            upgrades: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What came later did not happen after all.
    pub(super) fn truncate(&mut self, length: usize) {
        self.entries.truncate(length);
    }

    pub(super) fn note(&mut self, effect: Effect, by: &RevisionId, place: &Place) {
        self.entries.push((effect, by.clone(), place.clone()));
    }

    /// A step is behind.
    pub(super) fn step(&mut self, revision: &RevisionId, upgrade: &Function, downgrade: &Function) {
        self.others.retain(|other| other != revision);
        self.steps
            .push((revision.clone(), deeds(upgrade), deeds(downgrade)));
    }

    /// The revision to blame for an obstacle in the way of `revision`, met when the ledger had so many
    /// entries.
    pub(super) fn blame(
        &mut self,
        obstacle: &ApplyError,
        entries: usize,
        revision: &RevisionId,
        upgrade_of: impl Fn(&RevisionId) -> Arc<Function>,
    ) -> Option<Culprit> {
        let culprit = |by: &RevisionId, place: &Place| Culprit {
            object: obstacle.subject.clone(),
            revision: by.clone(),
            place: Some(place.clone()),
        };
        let wanted = |effect: &Effect| blames(obstacle, effect);
        if obstacle.trouble == ApplyErrorKind::Other {
            return None;
        }
        let before = self.entries.iter().take(entries);
        let entry = before.rev().find(|(effect, ..)| wanted(effect));
        if let Some((_, by, place)) = entry {
            return Some(culprit(by, place));
        }
        for (by, upgrade, downgrade) in self.steps.iter().rev() {
            if let Some((effect, place)) = upgrade.iter().rev().find(|(effect, _)| wanted(effect))
                && !downgrade.iter().any(|(back, _)| undoes(back, effect))
            {
                return Some(culprit(by, place));
            }
        }
        for other in &self.others {
            if other == revision {
                continue;
            }
            let deeds = self
                .upgrades
                .entry(other.clone())
                .or_insert_with(|| deeds(&upgrade_of(other)));
            if let Some((_, place)) = deeds.iter().rev().find(|(effect, _)| wanted(effect)) {
                return Some(culprit(other, place));
            }
        }
        None
    }
}

fn blames(obstacle: &ApplyError, effect: &Effect) -> bool {
    let subject = &obstacle.subject;
    match (obstacle.trouble, effect) {
        (ApplyErrorKind::Missing, Effect::Gone(gone)) => gone.holds(subject),
        (ApplyErrorKind::Exists, Effect::Made(made)) => same(made, subject),
        _ => false,
    }
}

fn undoes(back: &Effect, effect: &Effect) -> bool {
    match (back, effect) {
        (Effect::Made(made), Effect::Gone(gone)) | (Effect::Gone(gone), Effect::Made(made)) => {
            same(made, gone)
        }
        _ => false,
    }
}

fn same(one: &Subject, other: &Subject) -> bool {
    one.holds(other) && other.holds(one)
}

fn deeds(function: &Function) -> Effects {
    let mut deeds = Vec::new();
    for happened in &function.happened {
        let EventKind::Operation(operation) = &happened.event.kind else {
            continue;
        };
        if let Operation::Batch { operations, .. } = &**operation {
            for (place, operation) in operations {
                let place = |effect| (effect, place.clone());
                deeds.extend(effects(operation).into_iter().map(place));
            }
        } else {
            let place = |effect| (effect, happened.event.place.clone());
            deeds.extend(effects(operation).into_iter().map(place));
        }
    }
    deeds
}
