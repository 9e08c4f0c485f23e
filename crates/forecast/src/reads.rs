//! How far a plan gets.

use rollback_core::graph::Graph;
use rollback_core::plan::Plan;
use rollback_core::revision::{Heads, RevisionId};
use rollback_core::target::Target;

/// The last position before a step that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// How many steps lead there.
    pub steps: usize,
    /// What to type to get there and no further; `None` where nothing that can be typed means it.
    pub target: Option<String>,
    /// The version rows there.
    pub heads: Heads,
}

/// The last position that is reached before the first step for which `fails` holds, by its number in
/// the plan. `None` where that is the first one, and where none fails.
pub fn reachable(graph: &Graph, plan: &Plan, fails: impl Fn(usize) -> bool) -> Option<Reachable> {
    let steps = (0..plan.steps.len()).find(|at| fails(*at))?;
    let last = plan.steps.get(steps.checked_sub(1)?)?;
    let rows: Vec<RevisionId> = plan.current.iter().cloned().collect();
    let leads_there = |target: &str| {
        let Ok(target) = target.parse::<Target>() else {
            return false;
        };
        Plan::new(graph, &rows, &target).is_ok_and(|other| {
            let removed = |plan: &Plan, count: usize| -> Vec<RevisionId> {
                let steps = plan.steps.iter().take(count);
                steps.map(|step| step.removes.clone()).collect()
            };
            other.steps.len() == steps && removed(&other, steps) == removed(plan, steps)
        })
    };
    // A revision keeps its meaning when it is typed again, a number does not.
    let mut candidates: Vec<String> = Vec::new();
    if last.heads_after.len() == 1 {
        candidates.extend(last.heads_after.iter().map(ToString::to_string));
    }
    candidates.push(format!("-{steps}"));
    candidates.push(last.argument.clone());
    candidates.extend(last.heads_after.iter().map(ToString::to_string));
    Some(Reachable {
        steps,
        target: candidates.into_iter().find(|target| leads_there(target)),
        heads: last.heads_after.clone(),
    })
}
