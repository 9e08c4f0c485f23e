//! The whole range or nothing of it where no transaction can do it: a copy is put back.

use super::{Parts, run};
use crate::domain::plan::Plan;
use crate::domain::report::{Difference, Outcome, Position, Report};

/// Runs the plan as [`run`] does; where it does not come to its end, `put_back` brings the database
/// back to what it was, which is then read from it. The error is a sentence.
pub fn run_with_a_way_back(
    plan: &Plan,
    parts: &mut Parts<'_>,
    put_back: impl FnOnce() -> Result<(), String>,
) -> Result<Report, (Report, String)> {
    let before = parts.witness.schema();
    let mut report = run(plan, parts);
    if report.outcome() == Outcome::Done {
        return Ok(report);
    }
    if let Err(reason) = put_back() {
        return Err((report, reason));
    }
    let heads = match parts.witness.heads() {
        Ok(heads) => heads,
        Err(reason) => return Err((report, reason)),
    };
    let after = parts.witness.schema();
    let proven = before.is_some()
        && after.is_some()
        && Difference::between(before.as_ref(), after.as_ref()).is_empty();
    if heads != plan.current || !proven {
        report.current = Some(heads);
        return Err((
            report,
            "what was put back does not read as it did before the first step".to_owned(),
        ));
    }
    report.current = Some(heads);
    report.done = Vec::new();
    report.undone = true;
    if let Some(stop) = &mut report.stop {
        stop.position = Position::Unchanged {
            schema_compared: true,
        };
    }
    Ok(report)
}
