//! What the answer to the question was based on, looked at again after it.
//!
//! A person may read a plan for an hour. Meanwhile the lock of the database is free for others, so that after the
//! answer nothing is as it was shown until that is seen again, this time under the lock.

use std::collections::BTreeSet;

use super::{Planned, Request, confirmation, consent};
use crate::app::CommandContext;
use crate::app::lock::Lock;
use crate::app::project::Project;
use crate::app::unfinished::{self, ResumedRun};
use crate::error::Failure;
use crate::store::Store;
use rollback_core::connection::Identity;
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::journal::Run;
use rollback_core::outcome::SchemaLines;

/// What a plan was made of, beside the version rows that it begins with.
struct Basis {
    identity: Option<Identity>,
    /// `None` where it cannot be read.
    schema: Option<SchemaLines>,
    unfinished: Option<Run>,
}

/// A finding as far as an answer depends on it: not the number of rows, which changes all the time.
type Stake = (usize, FindingCode, Level);

impl Basis {
    fn read(
        request: &Request,
        context: &CommandContext<'_>,
        project: &mut Project,
        store: &Store,
    ) -> Result<Self, Failure> {
        Ok(Self {
            identity: project.identity_now()?,
            schema: project.schema(),
            unfinished: unfinished::find(context, store, project, request.purpose())?,
        })
    }

    /// What is not the same any more, in a sentence.
    fn changed_to(&self, now: &Self) -> Option<&'static str> {
        if !same_database(self.identity.as_ref(), now.identity.as_ref()) {
            Some("the connection leads to another database or server now")
        } else if self.unfinished != now.unfinished {
            Some("another run began or went on meanwhile")
        } else if self.schema != now.schema {
            Some("its schema is not the one that the plan was made for")
        } else {
            None
        }
    }
}

/// Whether both are the same database of the same server, as far as it says.
fn same_database(shown: Option<&Identity>, now: Option<&Identity>) -> bool {
    match (shown, now) {
        (Some(shown), Some(now)) => {
            let moved = match (&shown.lasting, &now.lasting) {
                (Some(shown), Some(now)) => shown.differs_now(now),
                _ => false,
            };
            shown.fingerprint == now.fingerprint && !moved
        }
        (None, None) => true,
        _ => false,
    }
}

/// Asks while the lock is free, takes the lock, and refuses where the plan is not the one that was agreed to.
/// `planned` becomes what is seen under the lock.
pub(super) fn ask_and_lock(
    request: &Request,
    context: &CommandContext<'_>,
    project: &mut Project,
    store: &Store,
    lock: &Lock,
    planned: &mut Planned,
    resumed: Option<&ResumedRun>,
) -> Result<(), Failure> {
    let lacking = consent::judge(request, context, planned)?;
    confirmation::can_be_asked(context, planned)?;
    let shown = Basis::read(request, context, project, store)?;
    project.release_lock()?;
    confirmation::ask(context, project, planned, &lacking)?;
    planned.ruled.still_met(context)?;
    project.take_lock(lock, context)?;
    project.still_at(&planned.plan)?;
    let now = Basis::read(request, context, project, store)?;
    if let Some(reason) = shown.changed_to(&now) {
        return Err(changed(context, reason.to_owned()));
    }
    let agreed = stakes(planned);
    *planned = Planned::new(request, context, project, resumed)?;
    let still_lacking = consent::judge(request, context, planned)?;
    planned.safety.refuse()?;
    let worse = stakes(planned)
        .into_iter()
        .find(|stake| !covers(&agreed, *stake));
    if let Some((step, code, level)) = worse {
        return Err(changed(
            context,
            format!("step {} has {code} now, {}", step + 1, level.name()),
        ));
    }
    match still_lacking.iter().find(|code| !lacking.contains(code)) {
        Some(code) => Err(changed(context, format!("the plan has {code} now"))),
        None => Ok(()),
    }
}

fn changed(context: &CommandContext<'_>, reason: String) -> Failure {
    Failure::refused(
        "the database changed while you were reading the plan: nothing was changed by this run",
    )
    .because(reason)
    .hint(format!(
        "see where it stands, then plan again: {}",
        context.command(&["current"])
    ))
}

fn stakes(planned: &Planned) -> BTreeSet<Stake> {
    let steps = planned.forecast.forecast.steps.iter().enumerate();
    steps
        .flat_map(|(step, findings)| {
            let stake = move |finding: &rollback_core::finding::Finding| {
                (step, finding.code, finding.level)
            };
            findings.iter().map(stake)
        })
        .collect()
}

/// Whether somebody who agreed to these agreed to this one: the same code in the same step, of no higher level.
fn covers(agreed: &BTreeSet<Stake>, (step, code, level): Stake) -> bool {
    agreed
        .iter()
        .any(|(at, of, up_to)| (*at, *of) == (step, code) && *up_to >= level)
        || level <= Level::Low
}
