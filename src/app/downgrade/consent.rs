//! Whether a plan may be run: what refuses it, and the question.

use super::{Planned, Request};
use crate::app::CommandContext;
use crate::app::project::Project;
use crate::error::{Exit, Failure};
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

/// Refuses where there is nobody to be asked.
pub(super) fn ask_whether(context: &CommandContext<'_>, planned: &Planned) -> Result<(), Failure> {
    if !context.ui.can_ask() {
        let failure = Failure::refused("not confirmed: there is no terminal to ask on");
        return Err(if planned.ruled.policy.forbid_yes {
            failure.hint(
                "the policy wants a person at a terminal; to see the plan only, add --dry-run",
            )
        } else {
            failure
                .hint("to run it without a question, add -y; to see the plan only, add --dry-run")
        });
    }
    Ok(())
}

/// Asks. No answer is No.
pub(super) fn ask(
    context: &CommandContext<'_>,
    project: &Project,
    planned: &Planned,
    lacking: &[FindingCode],
) -> Result<(), Failure> {
    let ui = context.ui;
    ui.announce(
        &planned.plan,
        &project.place(),
        planned.forecast.losses.as_deref(),
    );
    let word = project.confirmation_word();
    let place = planned.ruled.circumstances.environment.as_deref();
    let why = match (lacking, place) {
        ([], _) if !planned.ruled.policy.typed_confirmation => None,
        ([], Some(place)) => Some(format!("This is {place}.")),
        ([], None) => Some("The policy asks for it.".to_owned()),
        _ => Some(format!(
            "{} at stake.",
            and(lacking.iter().map(ToString::to_string))
        )),
    };
    let answer = match why {
        None => ui.confirm("Proceed with rollback?", context.interrupt),
        Some(why) => ui.confirm_by_typing(
            &format!("{why} To proceed, type {word}"),
            &word,
            context.interrupt,
        ),
    };
    match answer {
        Some(true) if context.interrupt.count() == 0 => Ok(()),
        Some(false) if context.interrupt.count() == 0 => {
            Err(Failure::refused("not confirmed: nothing was changed"))
        }
        _ => Err(Failure::new(Exit::Interrupted, "nothing was changed")),
    }
}
