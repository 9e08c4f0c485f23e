//! The table of `[audit]`: the same account of a run in the database that it was about.

use super::project::Project;
use super::{CommandContext, run_lookup};
use crate::error::Failure;
use crate::ui::HistoryRow;
use rollback_core::audit::{Row, TABLE};
use rollback_core::journal::{self, Begun, Entry, Line};
use rollback_core::run_report::RunReport;
use rollback_core::schema::FORM;
use rollback_core::time::{self, Precision};
use rollback_core::untrusted;

/// Writes the row of a run that is about to begin.
pub(crate) fn announce(
    context: &CommandContext<'_>,
    project: &mut Project,
    begun: &Begun,
) -> Result<(), Failure> {
    let line = Line {
        version: journal::VERSION,
        at: time::rfc3339((context.now)(), Precision::Millis),
        form: FORM,
        entry: Entry::Begun(Box::new(begun.clone())),
    };
    match RunReport::of(&[line]) {
        Some(document) => write(context, project, &document),
        None => Ok(()),
    }
}

/// Writes the row of a run, where the table is wanted.
pub(crate) fn write(
    context: &CommandContext<'_>,
    project: &mut Project,
    document: &RunReport,
) -> Result<(), Failure> {
    if !context.settings.audit_table {
        return Ok(());
    }
    let report = untrusted::json(document).unwrap_or_default();
    let row = Row::of(document, report);
    project.write_audit(&row).map_err(|reason| {
        Failure::refused(format!("the table {TABLE} cannot be written"))
            .because(reason)
            .hint("give the user of the connection the right to create and write it")
            .hint("or do without it: leave [audit] table away")
    })
}

/// All runs that the table has, newest first, and where it is.
pub(crate) fn runs(context: &CommandContext<'_>) -> Result<(Vec<HistoryRow>, String), Failure> {
    let mut project = Project::look(context)?;
    let place = format!("the table {TABLE} of {}", project.place());
    let rows = project.audit().map_err(|reason| {
        Failure::user(format!("{place} cannot be read"))
            .because(reason)
            .hint(format!(
                "the records themselves: {}",
                context.command(&["history"])
            ))
    })?;
    let told = rows.into_iter().map(|(run, report)| {
        let document = serde_json::from_str::<RunReport>(&report)
            .map_err(|error| format!("its report is of another version: {error}"));
        run_lookup::told(run, document, None, context)
    });
    Ok((told.collect(), place))
}
