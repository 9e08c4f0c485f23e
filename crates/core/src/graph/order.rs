//! The order in which Alembic takes revisions back.

use fixedbitset::FixedBitSet;

use super::{Graph, Node};

impl Graph {
    /// Orders `removals` newest first, as `RevisionMap._topological_sort` does: it follows one line
    /// down as far as it can and turns to another head where that one needs the next revision.
    ///
    /// Where revisions depend on each other in a circle Alembic's own loop does not end; here the
    /// one at hand goes first, and the step that removes it takes the others along.
    pub(crate) fn removal_order(&self, removals: &FixedBitSet, rows: &[Node]) -> Vec<Node> {
        if self.is_sequence {
            let mut order: Vec<Node> = removals.ones().collect();
            order.reverse();
            return order;
        }
        let mut todo = removals.clone();
        let mut heads: Vec<Node> = rows
            .iter()
            .copied()
            .filter(|&row| removals.contains(row))
            .collect();
        heads.sort_unstable();
        heads.dedup();
        let mut ancestors: Vec<FixedBitSet> = heads
            .iter()
            .map(|&head| self.reach(&[head], &self.steps_down))
            .collect();
        let mut order = Vec::with_capacity(removals.count_ones(..));
        let mut at = 0;
        let mut turns = 0;
        while !heads.is_empty() {
            let candidate = heads[at];
            let needed_by =
                (0..heads.len()).find(|&other| other != at && ancestors[other].contains(candidate));
            if let Some(other) = needed_by
                && turns <= heads.len()
            {
                at = other;
                turns += 1;
                continue;
            }
            turns = 0;
            if todo.contains(candidate) {
                todo.set(candidate, false);
                order.push(candidate);
            }
            let below: Vec<Node> = self.steps_down[candidate]
                .iter()
                .copied()
                .filter(|&next| todo.contains(next) && !heads.contains(&next))
                .collect();
            let Some((&first, others)) = below.split_first() else {
                heads.remove(at);
                ancestors.remove(at);
                at = at.saturating_sub(1);
                continue;
            };
            heads[at] = first;
            if self.steps_down[candidate].len() == 1 {
                // On a plain line the ancestors of the next are ours without ourselves.
                ancestors[at].set(candidate, false);
            } else {
                ancestors[at] = self.reach(&[first], &self.steps_down);
            }
            for &head in others {
                heads.push(head);
                ancestors.push(self.reach(&[head], &self.steps_down));
            }
        }
        order
    }
}
