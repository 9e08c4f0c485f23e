//! The steps of one rollback.

use super::graph::{Graph, UnknownRevision};
use super::revision::{Heads, Revision, RevisionId};
use super::target::{self, Destination, Target, TargetError};

/// The removal of one revision. Only [`Graph`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The revision that goes.
    pub removes: RevisionId,
    /// What else goes with it, because no argument exists that removes it alone. Nearly always
    /// empty: it takes revisions that depend on each other in a circle.
    pub takes_along: Vec<RevisionId>,
    /// What the engine's `downgrade` is called with.
    pub argument: String,
    /// Whether it has several `down_revision`s.
    pub is_merge: bool,
    /// The version rows before it.
    pub heads_before: Heads,
    /// The version rows after it, as Alembic writes them.
    pub heads_after: Heads,
    /// The script.
    pub revision: Revision,
}

/// What is between where a database stands and where it should stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The version rows at the start.
    pub current: Heads,
    /// The target in words that keep their meaning while the steps are taken, where those typed do
    /// not; a number of steps has to be counted down instead.
    pub restated_target: Option<String>,
    /// The steps, newest first; none where the database already is at the target.
    pub steps: Vec<Step>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The position is not in the code.
    #[error(transparent)]
    UnknownRevision(#[from] UnknownRevision),
    /// The target is not one.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Step {
    /// Whether it is one of a history that has a row for each applied revision. There the argument is the bare
    /// name, where Alembic's has a branch.
    pub fn is_of_a_sequence(&self) -> bool {
        self.argument == self.removes.as_str()
    }
}

impl Plan {
    /// Plans the way from `rows` down to `target`.
    pub fn new(graph: &Graph, rows: &[RevisionId], target: &Target) -> Result<Self, PlanError> {
        let nodes = graph.nodes(rows)?;
        let applied = graph.applied_nodes(&nodes);
        let destination = target.resolve(graph, &nodes, &applied)?;
        let (removals, limit) = match destination {
            Destination::Steps(count) => (applied, Some(count)),
            Destination::Below { branch, target } => {
                (graph.removed_by(&applied, branch, target), None)
            }
        };
        Ok(Self {
            current: rows.iter().cloned().collect(),
            restated_target: target.restated(graph, destination),
            steps: graph.steps(&nodes, &removals, limit),
        })
    }

    /// Plans the removal of one applied revision, named by its id or the beginning of it, and before it
    /// of everything that needs it.
    pub fn removing(graph: &Graph, rows: &[RevisionId], revision: &str) -> Result<Self, PlanError> {
        let nodes = graph.nodes(rows)?;
        let applied = graph.applied_nodes(&nodes);
        let node = target::find_applied(graph, &applied, revision)?;
        Ok(Self {
            current: rows.iter().cloned().collect(),
            restated_target: None,
            steps: graph.steps(&nodes, &graph.needing(&applied, [node]), None),
        })
    }

    /// Plans the removal of these and nothing else, newest first. They have to be closed upwards: nothing
    /// applied outside them may need one of them.
    pub fn exactly<'ids>(
        graph: &Graph,
        rows: &[RevisionId],
        removes: impl IntoIterator<Item = &'ids RevisionId>,
    ) -> Result<Self, UnknownRevision> {
        let nodes = graph.nodes(rows)?;
        let mut removals = graph.applied_nodes(&nodes);
        let wanted = graph.nodes(removes)?;
        removals.intersect_with(&wanted.into_iter().collect());
        Ok(Self {
            current: rows.iter().cloned().collect(),
            restated_target: None,
            steps: graph.steps(&nodes, &removals, None),
        })
    }

    /// Plans the removal of these applied revisions in this order, one step each.
    pub fn in_order<'ids>(
        graph: &Graph,
        rows: &[RevisionId],
        removes: impl IntoIterator<Item = &'ids RevisionId>,
    ) -> Result<Self, UnknownRevision> {
        let nodes = graph.nodes(rows)?;
        let order = graph.nodes(removes)?;
        Ok(Self {
            current: rows.iter().cloned().collect(),
            restated_target: None,
            steps: graph.steps_in_order(&nodes, &order),
        })
    }

    /// What to type for exactly these steps; `None` where no target means them and nothing else. A
    /// revision is better than a number: it means the same after the first step.
    pub fn spelled(&self, graph: &Graph) -> Option<String> {
        let rows: Vec<RevisionId> = self.current.iter().cloned().collect();
        let last = self.steps.last()?;
        let mut spellings = Vec::new();
        if let [parent] = last.revision.down_revisions.as_slice() {
            spellings.push(parent.clone());
        }
        spellings.push(last.argument.clone());
        spellings.push(format!("-{}", self.steps.len()));
        spellings.into_iter().find(|spelling| {
            let plan = spelling
                .parse()
                .map_err(PlanError::Target)
                .and_then(|target| Self::new(graph, &rows, &target));
            plan.is_ok_and(|plan| {
                let ids = |plan: &Self| -> Vec<RevisionId> {
                    plan.steps.iter().map(|step| step.removes.clone()).collect()
                };
                ids(&plan) == ids(self)
            })
        })
    }

    /// The plan of a database that already is at its target.
    pub fn nothing(rows: &[RevisionId]) -> Self {
        Self {
            current: rows.iter().cloned().collect(),
            restated_target: None,
            steps: Vec::new(),
        }
    }

    /// The version rows after the last step.
    pub fn final_heads(&self) -> &Heads {
        self.steps
            .last()
            .map_or(&self.current, |step| &step.heads_after)
    }

    /// The steps that remove more than one revision.
    pub fn joint_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| !step.takes_along.is_empty())
    }

    /// How many merge points go.
    pub fn merges(&self) -> usize {
        self.steps.iter().filter(|step| step.is_merge).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::drawn;

    /// Plans and writes each step as `argument => heads after`.
    fn plan(drawing: &str, rows: &[&str], target: &str) -> Vec<String> {
        let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
        Plan::new(&drawn(drawing), &rows, &target.parse().unwrap())
            .unwrap()
            .steps
            .iter()
            .map(|step| {
                let heads: Vec<&str> = step.heads_after.iter().map(RevisionId::as_str).collect();
                let along: String = step
                    .takes_along
                    .iter()
                    .map(|id| format!(" and {id}"))
                    .collect();
                format!("{}{along} => {}", step.argument, heads.join(","))
            })
            .collect()
    }

    fn error(drawing: &str, rows: &[&str], target: &str) -> String {
        let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
        target
            .parse::<Target>()
            .map_err(PlanError::from)
            .and_then(|target| Plan::new(&drawn(drawing), &rows, &target))
            .unwrap_err()
            .to_string()
    }

    const DIAMOND: &str = "base0; a1:base0; b1:base0; m:a1,b1; top:m";

    #[test]
    fn a_line_goes_one_by_one() {
        assert_eq!(
            plan("a; b:a; c:b", &["c"], "base"),
            ["c@b => b", "b@a => a", "a@base => "]
        );
    }

    #[test]
    fn steps_cross_a_merge_where_alembic_calls_them_ambiguous() {
        assert_eq!(
            plan(DIAMOND, &["top"], "-2"),
            ["top@m => m", "m@a1 => a1,b1"]
        );
    }

    #[test]
    fn heads_over_one_parent_go_one_at_a_time() {
        assert_eq!(
            plan("c; a1:c; b1:c", &["a1", "b1"], "c"),
            ["a1@c => b1", "b1@c => c"]
        );
        assert_eq!(plan("c; a1:c; b1:c", &["a1", "b1"], "b1@c"), ["b1@c => a1"]);
    }

    #[test]
    fn what_depends_on_a_revision_goes_before_it() {
        assert_eq!(
            plan("x1; x2:x1; y1; y2:y1+x2", &["y2"], "x1"),
            ["y2@y1 => x2,y1", "x2@x1 => x1,y1"]
        );
    }

    #[test]
    fn a_merge_is_left_by_the_parent_that_takes_nothing_along() {
        let drawing = "a; c:a; m:a,c";
        assert_eq!(plan(drawing, &["m"], "-1"), ["m@c => c"]);
        // Named, it means what Alembic means by it.
        assert_eq!(plan(drawing, &["m"], "m@a"), ["m@c => c", "c@a => a"]);
    }

    #[test]
    fn revisions_that_depend_on_each_other_go_together_and_are_shown() {
        assert_eq!(
            plan("a1; b1; a2:a1+b2; b2:b1+a2", &["a2", "b2"], "base")[0],
            "b2@b1 and a2 => a1,b1"
        );
    }

    #[test]
    fn a_target_that_is_reached_already_needs_no_step() {
        assert!(plan(DIAMOND, &["top"], "top").is_empty());
        assert!(plan(DIAMOND, &[], "base").is_empty());
    }

    #[test]
    fn branches_are_named_by_label_or_revision() {
        let drawing = "x1 #ext; x2:x1; y1 #main; y2:y1";
        assert_eq!(
            plan(drawing, &["x2", "y2"], "ext@base"),
            ["x2@x1 => x1,y2", "x1@base => y2"]
        );
        assert_eq!(plan(drawing, &["x2", "y2"], "main@-1"), ["y2@y1 => x2,y1"]);
        assert_eq!(plan(drawing, &["x2", "y2"], "x2@-1"), ["x2@x1 => x1,y2"]);
        assert_eq!(plan(drawing, &["x2", "y2"], "y2-1"), ["y2@y1 => x2,y1"]);
    }

    #[test]
    fn a_count_on_a_branch_is_restated_by_where_it_leads() {
        let graph = drawn("x1 #ext; x2:x1; x3:x2");
        let restated = |target: &str| {
            let target = target.parse().unwrap();
            Plan::new(&graph, &["x3".into()], &target)
                .unwrap()
                .restated_target
        };
        assert_eq!(restated("ext@-2"), Some("ext@x1".to_owned()));
        assert_eq!(restated("ext@-3"), Some("ext@base".to_owned()));
        assert_eq!(restated("x3-2"), None);
        assert_eq!(restated("-2"), None);
    }

    #[test]
    fn a_unique_beginning_of_an_id_is_enough() {
        assert_eq!(
            plan("cafe01; beef02:cafe01", &["beef02"], "ca"),
            ["beef02@cafe01 => cafe01"]
        );
    }

    #[test]
    fn what_is_no_target_is_refused_in_words() {
        let twins = "abcd1; abcd2:abcd1; wxyz:abcd2";
        let rows = &["wxyz"];
        for (target, words) in [
            ("abcd", "abcd is the beginning of 2 revisions"),
            ("wxyy", "no revision or branch label is called wxyy"),
            ("head", "head points upwards, and a rollback only goes down"),
            (
                "abcd1+1",
                "abcd1+1 points upwards, and a rollback only goes down",
            ),
            (
                "3",
                "3 is no revision, and a number of steps is written with a minus",
            ),
            (
                "-4",
                "4 steps were asked for, and only 3 revisions are applied",
            ),
            ("-0", "-0 names no step to take back"),
            ("", "the target is empty"),
            (
                "wxyz-4",
                "wxyz-4 lies below the base: wxyz has only 2 revisions below it",
            ),
        ] {
            assert_eq!(error(twins, rows, target), words);
        }
        assert_eq!(
            error(DIAMOND, &["m"], "m-1"),
            "the way down from m is ambiguous: m merges a1 and b1"
        );
        assert_eq!(
            error(DIAMOND, &["m"], "top"),
            "top is not below the current position: it is not applied"
        );
        assert_eq!(error(DIAMOND, &["m"], "a1@b1"), "b1 is not on branch a1");
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let rows = [RevisionId::from("cafe01")];
        let error = Plan::new(&drawn("cafe01"), &rows, &"caef01".parse().unwrap()).unwrap_err();
        let PlanError::Target(error) = error else {
            panic!("{error}")
        };
        assert_eq!(
            error.hint(&|words| format!("rollback {}", words.join(" "))),
            "did you mean cafe01?"
        );
    }

    #[test]
    fn a_revision_goes_after_what_needs_it_and_nothing_else() {
        let removing = |drawing: &str, rows: &[&str], revision: &str| {
            let rows: Vec<RevisionId> = rows.iter().copied().map(RevisionId::from).collect();
            let graph = drawn(drawing);
            Plan::removing(&graph, &rows, revision).map(|plan| {
                let removes = plan.steps.iter().map(|step| step.removes.to_string());
                (
                    removes.collect::<Vec<_>>().join(" "),
                    plan.spelled(&graph).unwrap_or_default(),
                )
            })
        };
        let is = |removes: &str, spelled: &str| Ok((removes.to_owned(), spelled.to_owned()));
        assert_eq!(
            removing("x1; x2:x1; y1; y2:y1+x2", &["y2"], "x2"),
            is("y2 x2", "x1")
        );
        assert_eq!(removing(DIAMOND, &["top"], "a"), is("top m a1", "a1@base0"));
        assert_eq!(removing(DIAMOND, &["a1", "b1"], "b1"), is("b1", "b1@base0"));
        assert_eq!(removing("a; c:a; m:a,c", &["m"], "m"), is("m", "m@c"));
        assert_eq!(
            removing(DIAMOND, &["a1"], "b1").unwrap_err().to_string(),
            "b1 is not below the current position: it is not applied"
        );
        assert_eq!(
            removing(DIAMOND, &["a1"], "").unwrap_err().to_string(),
            "the target is empty"
        );
    }

    #[test]
    fn ten_thousand_revisions_with_branches_are_planned_whole() {
        let mut drawing = "r0".to_owned();
        for number in 1..10_000 {
            let parents = match number % 10 {
                0 => format!("r{},r{}", number - 1, number - 2),
                9 => format!("r{}", number - 2),
                _ => format!("r{}", number - 1),
            };
            drawing.push_str(&format!("; r{number}:{parents}"));
        }
        assert_eq!(plan(&drawing, &["r9999", "r9998"], "base").len(), 10_000);
    }
}
