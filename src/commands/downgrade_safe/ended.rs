//! The last entries of a record: where a run ended, and what there is then.

use crate::commands::record::Record;
use crate::commands::session::Session;
use crate::domain::journal::{Entry, Stopped};
use crate::domain::plan::Plan;
use crate::domain::report::Report;
use crate::error::{Exit, Failure};
use crate::ui::Redact as _;

/// Writes them. `next` are the commands that the operator is told to type.
pub(super) fn write(
    session: &mut Session,
    plan: &Plan,
    record: &mut Record,
    report: &Report,
    next: &[String],
    exit: Exit,
) -> Result<(), Failure> {
    if let Some(mut stopped) = stopped(session, plan, report, next) {
        stopped.step += record.offset();
        record.add(Entry::Stopped(Box::new(stopped)))?;
    }
    let rows = session.rows_at_the_end(report.stop.is_none());
    if !rows.is_empty() {
        record.add(Entry::Counted { rows })?;
    }
    record.end(report, exit)
}

fn stopped(session: &Session, plan: &Plan, report: &Report, next: &[String]) -> Option<Stopped> {
    let stop = report.stop.as_ref()?;
    let secrets = session.secrets();
    let redacted = |text: &str| secrets.redact(text);
    Some(Stopped {
        step: stop.index,
        revision: plan.steps.get(stop.index)?.removes.to_string(),
        cause: redacted(&stop.cause.to_string()),
        position: redacted(&stop.position.to_string()),
        reason: stop.reason.as_deref().map(redacted),
        diagnosis: None,
        next: next.iter().map(|text| redacted(text)).collect(),
        stdout: redacted(&stop.stdout),
        stderr: redacted(&stop.stderr),
    })
}
