//! What one `downgrade` command would remove, and what the version table holds afterwards.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;

use super::{Graph, Node};
use crate::plan::{Plan, Step};
use crate::revision::{Heads, RevisionId};

/// The part before the `@` of a target: a walk is then confined to the line of this revision.
pub(crate) type Branch = Option<Node>;

impl Graph {
    /// What `downgrade [BRANCH@]TARGET` removes of `applied`; a `target` of `None` is `base`.
    ///
    /// After `RevisionMap._collect_downgrade_revisions`: the children of the target are the roots,
    /// a branch confines them to its own ancestors where there are several, and they go with
    /// everything applied that descends from or depends on them.
    pub(crate) fn removed_by(
        &self,
        applied: &FixedBitSet,
        branch: Branch,
        target: Option<Node>,
    ) -> FixedBitSet {
        let mut roots: Vec<Node> = match target {
            _ if self.is_sequence => {
                let above = target.map_or(0, |target| target + 1);
                return self.needing(applied, above..self.revisions.len());
            }
            Some(target) => self.children[target].clone(),
            None => (0..self.down.len())
                .filter(|&node| self.down[node].is_empty())
                .collect(),
        };
        if let Some(branch) = branch
            && roots.len() > 1
        {
            // Only what is applied can matter, and the walk is the costly part of a long plan.
            roots.retain(|&root| applied.contains(root));
            if roots.iter().any(|&root| root != branch) {
                let line = self.reach(&[branch], &self.down);
                roots.retain(|&root| line.contains(root));
            }
        }
        self.needing(applied, roots)
    }

    /// What of `applied` goes with `roots`: they and everything that descends from or depends on them.
    pub(crate) fn needing(
        &self,
        applied: &FixedBitSet,
        roots: impl IntoIterator<Item = Node>,
    ) -> FixedBitSet {
        let mut found = FixedBitSet::with_capacity(applied.len());
        let mut open: Vec<Node> = roots
            .into_iter()
            .filter(|&root| applied.contains(root))
            .collect();
        while let Some(node) = open.pop() {
            if !found.put(node) {
                let applied_dependents = self.dependents[node]
                    .iter()
                    .copied()
                    .filter(|&next| applied.contains(next));
                open.extend(applied_dependents);
            }
        }
        found
    }

    /// What goes with an applied revision, itself included, from these version rows.
    pub(crate) fn needing_it(&self, rows: &Heads, revision: &RevisionId) -> Heads {
        let (Ok(rows), Some(node)) = (self.nodes(rows), self.node(revision.as_str())) else {
            return Heads::new();
        };
        self.ids(self.needing(&self.applied_nodes(&rows), [node]).ones())
    }

    /// For each step of a plan how many of the applied revisions have to go before it.
    pub fn needed_by(&self, plan: &Plan) -> Vec<usize> {
        let mut applied = FixedBitSet::with_capacity(self.revisions.len());
        let nodes = plan
            .steps
            .iter()
            .map(|step| self.node(step.removes.as_str()));
        let nodes: Vec<Option<Node>> = nodes.collect();
        applied.extend(nodes.iter().copied().flatten());
        let needing = |node: &Option<Node>| {
            node.map_or(0, |node| self.needing(&applied, [node]).count_ones(..) - 1)
        };
        nodes.iter().map(needing).collect()
    }

    /// The steps that take `removals` back from `rows`, at most `limit` of them, newest first.
    ///
    /// `removals` has to be closed upwards: nothing applied outside it may need anything in it.
    pub(crate) fn steps(
        &self,
        rows: &[Node],
        removals: &FixedBitSet,
        limit: Option<usize>,
    ) -> Vec<Step> {
        let mut applied = self.applied_nodes(rows);
        let order = self.removal_order(removals, rows);
        let mut rows: BTreeSet<Node> = rows.iter().copied().collect();
        let mut steps = Vec::new();
        for node in order {
            if limit.is_some_and(|limit| steps.len() >= limit) {
                break;
            }
            if !applied.contains(node) {
                // It went along with an earlier, joint step.
                continue;
            }
            steps.push(self.step(&mut applied, &mut rows, node));
        }
        steps
    }

    /// The steps that remove these applied revisions in this order, each as far as it is still applied. What
    /// else a step would remove is in its `takes_along`.
    pub(crate) fn steps_in_order(&self, rows: &[Node], order: &[Node]) -> Vec<Step> {
        let mut applied = self.applied_nodes(rows);
        let mut rows: BTreeSet<Node> = rows.iter().copied().collect();
        let mut steps = Vec::new();
        for &node in order {
            if applied.contains(node) {
                steps.push(self.step(&mut applied, &mut rows, node));
            }
        }
        steps
    }

    /// The step that removes `node`; `applied` and `rows` are those after it when this returns.
    fn step(&self, applied: &mut FixedBitSet, rows: &mut BTreeSet<Node>, node: Node) -> Step {
        let spelling = self.narrowest_spelling(applied, node);
        let heads_before = self.ids(rows.iter().copied());
        applied.difference_with(&spelling.removes);
        if spelling.removes.count_ones(..) == 1 {
            rows.remove(&node);
            if !self.is_sequence {
                let below = self.rows_in_its_place(rows, node);
                rows.extend(below);
            }
        } else {
            self.take_rows_back(rows, &spelling.removes, applied);
        }
        Step {
            removes: self.id(node),
            takes_along: self
                .ids(spelling.removes.ones().filter(|&other| other != node))
                .into_iter()
                .collect(),
            argument: spelling.argument,
            is_merge: self.down[node].len() > 1,
            heads_before,
            heads_after: self.ids(rows.iter().copied()),
            revision: self.revisions[node].clone(),
        }
    }

    /// The version rows after a joint step: those that stay and what the step lays bare. In which
    /// order Alembic takes such revisions cannot be predicted, but what is applied afterwards can.
    fn take_rows_back(
        &self,
        rows: &mut BTreeSet<Node>,
        removes: &FixedBitSet,
        applied: &FixedBitSet,
    ) {
        rows.retain(|&row| !removes.contains(row));
        let below = removes
            .ones()
            .flat_map(|node| self.steps_down[node].iter().copied());
        rows.extend(below.filter(|&node| {
            applied.contains(node)
                && !self.dependents[node]
                    .iter()
                    .any(|&next| applied.contains(next))
        }));
    }

    /// `RevisionStep._unmerge_to_revisions`: those directly below `node` that `others`, the remaining
    /// rows, do not stand for already.
    fn rows_in_its_place(&self, others: &BTreeSet<Node>, node: Node) -> Vec<Node> {
        let below = &self.steps_down[node];
        if !others.is_empty() {
            return below
                .iter()
                .copied()
                .filter(|&next| !self.is_needed_by_a_row(next, node, others))
                .collect();
        }
        if below.len() < 2 {
            return below.clone();
        }
        let mut covered = FixedBitSet::with_capacity(self.revisions.len());
        for &next in below {
            let mut ancestors = self.reach(&[next], &self.steps_down);
            ancestors.set(next, false);
            covered.union_with(&ancestors);
        }
        below
            .iter()
            .copied()
            .filter(|&next| !covered.contains(next))
            .collect()
    }

    /// Whether a row other than `leaving` is `node` or descends from it.
    fn is_needed_by_a_row(&self, node: Node, leaving: Node, rows: &BTreeSet<Node>) -> bool {
        let mut seen = FixedBitSet::with_capacity(self.revisions.len());
        seen.insert(leaving);
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if rows.contains(&node) {
                return true;
            }
            if !seen.put(node) {
                open.extend(self.dependents[node].iter().copied());
            }
        }
        false
    }
}
