//! The question before a run, and who answers it.

use super::Planned;
use crate::app::CommandContext;
use crate::app::project::Project;
use crate::error::{Exit, Failure};
use rollback_core::finding_code::FindingCode;
use rollback_core::names::and;

/// Refuses where there is nobody to be asked.
pub(super) fn can_be_asked(context: &CommandContext<'_>, planned: &Planned) -> Result<(), Failure> {
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
