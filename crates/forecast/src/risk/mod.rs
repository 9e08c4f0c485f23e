//! What each step of a plan puts at risk: one rule, one file.

mod finding_draft;
mod instant;
mod objects;
mod operation_context;
pub mod plan_forecast;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
pub mod verdict;

use crate::StepTrace;
use rollback_core::effect::Surprise;
use rollback_core::finding::Finding;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::probe::Probe;

/// All findings of one step, in the order in which things happen; one for each object and code.
///
/// What is lost is asked for first, in case the time of `ask` does not suffice for all.
pub fn examine(seen: &StepTrace, ask: &mut dyn Probe) -> Vec<Finding> {
    let mut all = Vec::new();
    for rule in &rules::RULES {
        all.extend(rule(seen, ask));
    }
    finding_draft::merged(all)
}

/// A finding for each effect that an earlier run measured and did not keep. Such evidence counts more than reading.
pub fn measured(effects: &[Surprise]) -> Vec<Finding> {
    let finding = |effect: &Surprise| Finding {
        code: FindingCode::Measured,
        level: Level::High,
        outcome: None,
        sentence: format!("would {effect}, as an earlier run measured"),
        evidence: None,
        advice: String::new(),
        place: None,
        culprit: None,
    };
    effects.iter().map(finding).collect()
}
