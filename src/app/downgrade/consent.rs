//! Whether a plan may be run: what refuses it, and what has to be consented to.

use super::{Planned, Request};
use crate::app::CommandContext;
use crate::error::Failure;
use rollback_core::finding_code::FindingCode;
use rollback_core::names::and;
use rollback_core::plan::Plan;

/// Refuses what no question can allow. What is left are the findings that have to be consented to.
pub(super) fn judge(
    request: &Request,
    context: &CommandContext<'_>,
    planned: &Planned,
) -> Result<Vec<FindingCode>, Failure> {
    let Planned { plan, forecast, .. } = planned;
    planned.registered.refuse(context)?;
    refuse_joint_steps(request, plan)?;
    if !request.how.allow_failing {
        forecast.refuse_failure(plan, context)?;
    }
    let lacking = forecast.lacking_consent(context);
    let at_stake = (request.how.yes && !lacking.is_empty()).then(|| forecast.refusal(&lacking));
    match (planned.ruled.refusal(), at_stake) {
        // Told together, so that nobody fixes the one to learn of the other.
        (Some(refusal), Some(at_stake)) => Err(Failure {
            causes: [refusal.causes, at_stake.causes].concat(),
            hints: [refusal.hints, at_stake.hints].concat(),
            ..refusal
        }),
        (Some(refusal), None) | (None, Some(refusal)) => Err(refusal),
        (None, None) => Ok(lacking),
    }
}

fn refuse_joint_steps(request: &Request, plan: &Plan) -> Result<(), Failure> {
    let Some(step) = plan.joint_steps().next() else {
        return Ok(());
    };
    if request.how.allow_joint_steps {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{} cannot be removed alone: {} would go with it in one step",
        step.removes,
        and(&step.takes_along)
    ))
    .because("they depend on each other, and Alembic has no argument that takes one of them")
    .hint("to run such steps as one: --allow-joint-steps"))
}
