//! All revisions of a project and how they hang together.
//!
//! The algorithms agree with `RevisionMap` in `alembic/script/revision.py` and `HeadMaintainer` in
//! `alembic/runtime/migration.py` (Alembic 1.20.1); a property test holds them to it. The parts:
//! this file builds the graph and answers what is applied, `order` puts removals in Alembic's order,
//! `removal` says what one command would remove and what the version table holds afterwards.

mod order;
mod removal;
mod step_argument;

use crate::names::and;
use std::collections::HashMap;

use fixedbitset::FixedBitSet;

use super::revision::{Heads, Revision, RevisionId};

pub(super) use removal::Branch;

/// The position of a revision in [`Graph::revisions`].
pub(super) type Node = usize;

/// Why a set of revisions is not a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two scripts with the same id.
    #[error("two version files declare the revision {id}: {}", and(paths))]
    DuplicateId {
        /// The id.
        id: String,
        /// The files, as far as they are known.
        paths: Vec<String>,
    },
    /// A `down_revision` or `depends_on` that no script has.
    #[error("revision {id} refers to {missing}, which no version file declares")]
    MissingRevision {
        /// The revision that refers to it.
        id: String,
        /// The id or label that is not there.
        missing: String,
    },
    /// Revisions that are their own ancestors.
    #[error("the revisions {} form a cycle", and(ids))]
    Cycle {
        /// Those of the cycle and those that can only be reached through it.
        ids: Vec<String>,
    },
}

/// A revision that the version table names and no script has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database stands at revision {0}, which no version file declares")]
pub struct UnknownRevision(pub RevisionId);

/// The revisions of a project, with their links resolved in both directions.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// In the order in which Alembic loads them, which decides between equals in [`order`].
    revisions: Vec<Revision>,
    by_id: HashMap<String, Node>,
    labels: HashMap<String, Label>,
    /// `down_revision` only.
    down: Vec<Vec<Node>>,
    /// `down_revision` and every `depends_on`.
    requires: Vec<Vec<Node>>,
    /// As `requires`, without the `depends_on` that an ancestor has as well: what Alembic walks, and
    /// what it writes into the version table when a revision goes.
    steps_down: Vec<Vec<Node>>,
    /// The inverse of `down`.
    children: Vec<Vec<Node>>,
    /// The inverse of `requires`.
    dependents: Vec<Vec<Node>>,
    /// Whether a row stands for itself alone, as [`Graph::in_sequence`] says.
    is_sequence: bool,
}

/// Where a branch label stands.
#[derive(Debug, Clone, Copy)]
struct Label {
    node: Node,
    /// False where the engine showed the label on several revisions, inherited along the branch, so
    /// that the declaring one is not known. `node` is then the oldest of them.
    declared_here: bool,
}

impl Graph {
    /// Builds the graph from scripts in Alembic's loading order. Fails on what Alembic could not
    /// work with either, and on duplicate ids, where Alembic only warns and takes the last.
    pub fn new(revisions: impl IntoIterator<Item = Revision>) -> Result<Self, GraphError> {
        let mut graph = Self::default();
        for revision in revisions {
            if let Some(&earlier) = graph.by_id.get(&revision.id) {
                let paths = [&graph.revisions[earlier].path, &revision.path];
                return Err(GraphError::DuplicateId {
                    paths: paths.into_iter().flatten().cloned().collect(),
                    id: revision.id,
                });
            }
            graph
                .by_id
                .insert(revision.id.clone(), graph.revisions.len());
            graph.revisions.push(revision);
        }
        graph.link_down_revisions()?;
        graph.check_for_cycles()?;
        graph.place_labels();
        graph.link_dependencies()?;
        Ok(graph)
    }

    /// Builds the graph of a history that has a row for each applied revision: a row stands for itself and for
    /// nothing below it, so that one in the middle can go alone. `revisions` come in the order in which they are
    /// applied, each after all that it depends on, and without a `down_revision`: each has the one before it.
    ///
    /// What needs a revision is what `depends_on` it, and nothing else.
    pub fn in_sequence(revisions: impl IntoIterator<Item = Revision>) -> Result<Self, GraphError> {
        let mut previous: Option<String> = None;
        let chain = revisions.into_iter().map(|revision| {
            let id = revision.id.clone();
            Revision {
                down_revisions: previous.replace(id).into_iter().collect(),
                ..revision
            }
        });
        let mut graph = Self::new(chain.collect::<Vec<_>>())?;
        graph.is_sequence = true;
        let count = graph.revisions.len();
        graph.requires = vec![Vec::new(); count];
        graph.dependents = vec![Vec::new(); count];
        for node in 0..count {
            let needed = graph.revisions[node].depends_on.clone();
            let needed: Vec<Node> = needed.iter().filter_map(|id| graph.node(id)).collect();
            for needed in needed {
                if needed >= node {
                    return Err(GraphError::Cycle {
                        ids: vec![
                            graph.revisions[node].id.clone(),
                            graph.revisions[needed].id.clone(),
                        ],
                    });
                }
                if !graph.requires[node].contains(&needed) {
                    graph.requires[node].push(needed);
                    graph.dependents[needed].push(node);
                }
            }
        }
        Ok(graph)
    }

    /// Whether a row stands for itself alone, as [`in_sequence`](Self::in_sequence) says.
    pub fn is_sequence(&self) -> bool {
        self.is_sequence
    }

    fn link_down_revisions(&mut self) -> Result<(), GraphError> {
        let count = self.revisions.len();
        self.down = vec![Vec::new(); count];
        self.children = vec![Vec::new(); count];
        for node in 0..count {
            for parent in &self.revisions[node].down_revisions {
                let parent =
                    *self
                        .by_id
                        .get(parent)
                        .ok_or_else(|| GraphError::MissingRevision {
                            id: self.revisions[node].id.clone(),
                            missing: parent.clone(),
                        })?;
                if !self.down[node].contains(&parent) {
                    self.down[node].push(parent);
                    self.children[parent].push(node);
                }
            }
        }
        Ok(())
    }

    /// Kahn's algorithm over `down_revision`. Cycles of `depends_on` are let through, as Alembic lets
    /// them through: they exist in the field, and the revisions on them can only go together.
    fn check_for_cycles(&self) -> Result<(), GraphError> {
        let mut open: Vec<usize> = self.down.iter().map(Vec::len).collect();
        let mut ready: Vec<Node> = (0..open.len()).filter(|&node| open[node] == 0).collect();
        while let Some(node) = ready.pop() {
            for &child in &self.children[node] {
                open[child] -= 1;
                if open[child] == 0 {
                    ready.push(child);
                }
            }
        }
        let ids: Vec<String> = (0..open.len())
            .filter(|&node| open[node] > 0)
            .map(|node| self.revisions[node].id.clone())
            .collect();
        if ids.is_empty() {
            Ok(())
        } else {
            Err(GraphError::Cycle { ids })
        }
    }

    fn place_labels(&mut self) {
        let mut carriers: HashMap<&str, Vec<Node>> = HashMap::new();
        for (node, revision) in self.revisions.iter().enumerate() {
            for label in &revision.branch_labels {
                carriers.entry(label).or_default().push(node);
            }
        }
        let mut labels = HashMap::new();
        for (label, nodes) in carriers {
            let oldest = nodes
                .iter()
                .copied()
                .find(|&node| !self.down[node].iter().any(|parent| nodes.contains(parent)));
            if let Some(node) = oldest {
                let declared_here = nodes.len() == 1;
                labels.insert(
                    label.to_owned(),
                    Label {
                        node,
                        declared_here,
                    },
                );
            }
        }
        self.labels = labels;
    }

    fn link_dependencies(&mut self) -> Result<(), GraphError> {
        let count = self.revisions.len();
        let mut depends_on = vec![Vec::new(); count];
        for (node, revision) in self.revisions.iter().enumerate() {
            for name in &revision.depends_on {
                let found = self
                    .by_id
                    .get(name)
                    .copied()
                    .or_else(|| self.labels.get(name).map(|label| label.node))
                    .ok_or_else(|| GraphError::MissingRevision {
                        id: revision.id.clone(),
                        missing: name.clone(),
                    })?;
                depends_on[node].push(found);
            }
        }
        self.requires = self.down.clone();
        self.steps_down = self.down.clone();
        self.dependents = self.children.clone();
        for node in 0..count {
            if depends_on[node].is_empty() {
                continue;
            }
            let mut inherited = FixedBitSet::with_capacity(count);
            let mut ancestors = self.reach(&[node], &self.down);
            ancestors.set(node, false);
            for ancestor in ancestors.ones() {
                inherited.extend(depends_on[ancestor].iter().copied());
            }
            for &needed in &depends_on[node] {
                if !self.requires[node].contains(&needed) {
                    self.requires[node].push(needed);
                    self.dependents[needed].push(node);
                }
                if !inherited.contains(needed) && !self.steps_down[node].contains(&needed) {
                    self.steps_down[node].push(needed);
                }
            }
        }
        Ok(())
    }

    /// The revisions in the order in which they were given.
    pub fn revisions(&self) -> &[Revision] {
        &self.revisions
    }

    /// The revision with exactly this id.
    pub fn get(&self, id: &RevisionId) -> Option<&Revision> {
        self.by_id
            .get(id.as_str())
            .map(|&node| &self.revisions[node])
    }

    /// The revisions that no other names as `down_revision`.
    pub fn heads(&self) -> Heads {
        (0..self.revisions.len())
            .filter(|&node| self.children[node].is_empty())
            .map(|node| self.id(node))
            .collect()
    }

    /// The applied set that version rows describe: they and all that they need, over
    /// `down_revision` and `depends_on`.
    pub fn applied<'rows>(
        &self,
        rows: impl IntoIterator<Item = &'rows RevisionId>,
    ) -> Result<Heads, UnknownRevision> {
        let nodes = self.nodes(rows)?;
        Ok(self.ids(self.applied_nodes(&nodes).ones()))
    }

    /// Whether two sets of version rows describe the same applied set. Rows of which one is not known describe
    /// none.
    pub fn describe_the_same<'rows>(
        &self,
        one: impl IntoIterator<Item = &'rows RevisionId>,
        other: impl IntoIterator<Item = &'rows RevisionId>,
    ) -> bool {
        let (Ok(mut one), Ok(mut other)) = (self.nodes(one), self.nodes(other)) else {
            return false;
        };
        one.sort_unstable();
        other.sort_unstable();
        // Nearly always so, and then the length of the history does not matter.
        one == other || self.applied_nodes(&one) == self.applied_nodes(&other)
    }

    /// Those of the rows that no other of them stands for: an engine's `current` shows revisions as
    /// well that are only there because another depends on them. Unknown ids stay.
    pub fn newest(&self, rows: &[RevisionId]) -> Vec<RevisionId> {
        let covered = |row: &RevisionId| {
            rows.iter().filter(|other| *other != row).any(|other| {
                self.applied([other])
                    .is_ok_and(|applied| applied.contains(row))
            })
        };
        rows.iter().filter(|row| !covered(row)).cloned().collect()
    }

    pub(super) fn nodes<'rows>(
        &self,
        rows: impl IntoIterator<Item = &'rows RevisionId>,
    ) -> Result<Vec<Node>, UnknownRevision> {
        rows.into_iter()
            .map(|id| {
                self.by_id
                    .get(id.as_str())
                    .copied()
                    .ok_or_else(|| UnknownRevision(id.clone()))
            })
            .collect()
    }

    pub(super) fn applied_nodes(&self, rows: &[Node]) -> FixedBitSet {
        if self.is_sequence {
            let mut applied = FixedBitSet::with_capacity(self.revisions.len());
            applied.extend(rows.iter().copied());
            return applied;
        }
        self.reach(rows, &self.requires)
    }

    pub(super) fn id(&self, node: Node) -> RevisionId {
        RevisionId::new(self.revisions[node].id.clone())
    }

    pub(super) fn ids(&self, nodes: impl IntoIterator<Item = Node>) -> Heads {
        nodes.into_iter().map(|node| self.id(node)).collect()
    }

    pub(super) fn node(&self, id: &str) -> Option<Node> {
        self.by_id.get(id).copied()
    }

    /// The revision that declares a label, `Err` with the oldest carrier where that is not known.
    pub(super) fn label(&self, name: &str) -> Option<Result<Node, Node>> {
        let label = self.labels.get(name)?;
        Some(if label.declared_here {
            Ok(label.node)
        } else {
            Err(label.node)
        })
    }

    pub(super) fn down(&self, node: Node) -> &[Node] {
        &self.down[node]
    }

    pub(super) fn has_applied_child(&self, node: Node, applied: &FixedBitSet) -> bool {
        self.children[node]
            .iter()
            .any(|&child| applied.contains(child))
    }

    /// Whether two revisions lie on one line of `down_revision`.
    pub(super) fn share_lineage(&self, one: Node, other: Node) -> bool {
        self.reach(&[one], &self.down).contains(other)
            || self.reach(&[one], &self.children).contains(other)
    }

    /// All that can be reached from `starts` over `links`, `starts` included.
    pub(super) fn reach(&self, starts: &[Node], links: &[Vec<Node>]) -> FixedBitSet {
        let mut seen = FixedBitSet::with_capacity(self.revisions.len());
        let mut open = starts.to_vec();
        while let Some(node) = open.pop() {
            if !seen.put(node) {
                open.extend(
                    links[node]
                        .iter()
                        .copied()
                        .filter(|&next| !seen.contains(next)),
                );
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Step};
    use crate::testing::{drawn, try_drawn};

    fn set(ids: &[&str]) -> Heads {
        ids.iter().copied().map(RevisionId::from).collect()
    }

    #[test]
    fn the_applied_set_follows_depends_on_into_other_branches() {
        let graph = drawn("x1; y1; y2:y1+x1");
        assert_eq!(
            graph.applied(&set(&["y2"])).unwrap(),
            set(&["x1", "y1", "y2"])
        );
        assert_eq!(graph.applied(&set(&["y1"])).unwrap(), set(&["y1"]));
    }

    /// Red where rows are compared one by one, or unknown ones stand for something.
    #[test]
    fn other_rows_may_describe_the_same() {
        let graph = drawn("x1; y1; y2:y1+x1");
        let same = |one: &[&str], other: &[&str]| graph.describe_the_same(&set(one), &set(other));
        assert!(same(&["y2"], &["y2"]) && same(&["y2"], &["x1", "y2"]));
        assert!(!same(&["y2"], &["x1", "y1"]) && !same(&[], &["x1"]));
        assert!(!same(&["gone"], &["gone"]) && !same(&["gone"], &["x1"]));
    }

    #[test]
    fn depends_on_may_name_a_label() {
        let graph = drawn("x1 #ext; x2:x1; y1:+ext");
        assert_eq!(graph.applied(&set(&["y1"])).unwrap(), set(&["x1", "y1"]));
    }

    #[test]
    fn rows_that_another_stands_for_are_left_out() {
        let graph = drawn("x1; y1; y2:y1+x1");
        let rows = ["x1", "y2", "gone"].map(RevisionId::from);
        assert_eq!(graph.newest(&rows), ["y2", "gone"].map(RevisionId::from));
    }

    #[test]
    fn an_unknown_row_is_named() {
        assert_eq!(
            drawn("a").applied(&set(&["gone"])),
            Err(UnknownRevision("gone".into()))
        );
    }

    #[test]
    fn a_dependency_does_not_make_a_revision_less_of_a_head() {
        assert_eq!(drawn("x1; y1:+x1").heads(), set(&["x1", "y1"]));
    }

    #[test]
    fn cycles_of_down_revision_are_refused_and_those_of_depends_on_are_not() {
        let cycle = try_drawn("a; b:a,c; c:b");
        assert_eq!(
            cycle.unwrap_err(),
            GraphError::Cycle {
                ids: vec!["b".into(), "c".into()]
            }
        );
        assert!(try_drawn("a:+b; b:+a").is_ok());
    }

    #[test]
    fn a_missing_parent_is_named() {
        assert_eq!(
            try_drawn("b:a").unwrap_err().to_string(),
            "revision b refers to a, which no version file declares"
        );
    }

    #[test]
    fn in_a_sequence_a_row_stands_for_itself_alone() {
        let one = |id: &str, needs: &[&str]| Revision {
            id: id.to_owned(),
            depends_on: needs.iter().map(ToString::to_string).collect(),
            ..Revision::default()
        };
        let graph = Graph::in_sequence([one("a", &[]), one("b", &["a"]), one("c", &[])]).unwrap();
        let rows = ["a", "b", "c"].map(RevisionId::from);
        let steps = |plan: Plan| -> Vec<String> {
            let steps = plan.steps.iter();
            let text = |step: &Step| {
                let left: Vec<&str> = step.heads_after.iter().map(RevisionId::as_str).collect();
                format!("{} => {}", step.argument, left.join(","))
            };
            steps.map(text).collect()
        };
        let to = |target: &str| Plan::new(&graph, &rows, &target.parse().unwrap()).map(steps);
        assert_eq!(to("-2").unwrap(), ["c => a,b", "b => a"]);
        assert_eq!(to("a").unwrap(), ["c => a,b", "b => a"]);
        assert_eq!(to("base").unwrap(), ["c => a,b", "b => a", "a => "]);
        assert_eq!(
            steps(Plan::removing(&graph, &rows, "a").unwrap()),
            ["b => a,c", "a => c"]
        );
        let only = ["b".into()];
        assert_eq!(
            steps(Plan::exactly(&graph, &rows, &only).unwrap()),
            ["b => a,c"]
        );
        assert_eq!(graph.applied(&set(&["b"])).unwrap(), set(&["b"]));
        assert_eq!(graph.heads(), set(&["c"]));
        let late = Graph::in_sequence([one("a", &["b"]), one("b", &[])]);
        assert!(matches!(late, Err(GraphError::Cycle { .. })), "{late:?}");
    }

    #[test]
    fn one_id_twice_names_both_files() {
        let twice = ["versions/1.py", "versions/2.py"].map(|path| Revision {
            id: "a".into(),
            path: Some(path.into()),
            ..Revision::default()
        });
        assert_eq!(
            Graph::new(twice).unwrap_err().to_string(),
            "two version files declare the revision a: versions/1.py and versions/2.py"
        );
    }
}
