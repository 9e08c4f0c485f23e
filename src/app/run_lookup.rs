//! The runs that are on record, for the commands that tell of them.

use clap::Args;

use super::CommandContext;
use super::journal_recorder::{store, store_failure};
use crate::error::Failure;
use crate::store::Store;
use crate::ui::HistoryRow;
use rollback_core::run_report::RunReport;

/// Where runs are looked for.
#[derive(Debug, Args)]
pub struct RunSource {
    /// Read the runs from the table `rollback_audit` of the database (see `[audit]` in README.md), where the
    /// records were lost.
    #[arg(long)]
    pub from_database: bool,
}

/// All runs, newest first, and where they were looked for.
pub(crate) fn all(
    source: &RunSource,
    context: &CommandContext<'_>,
) -> Result<(Vec<HistoryRow>, String), Failure> {
    if source.from_database {
        return super::audit_table::runs(context);
    }
    let store = store(context);
    let place = store.root().display().to_string();
    let recorded = store.recorded().map_err(|error| store_failure(&error))?;
    let told = recorded.into_iter().map(|(run, lines)| {
        let lines = lines.map_err(|error| error.to_string());
        let document = lines.and_then(|lines| {
            RunReport::of(&lines)
                .ok_or_else(|| "its first line is no beginning of a run".to_owned())
        });
        told(run, document, Some(&store), context)
    });
    Ok((told.collect(), place))
}

/// A run as it is told in a list.
pub(crate) fn told(
    run: String,
    document: Result<RunReport, String>,
    store: Option<&Store>,
    context: &CommandContext<'_>,
) -> HistoryRow {
    match document {
        Ok(document) => HistoryRow::Run {
            // Where the lock cannot be looked at, the record alone counts.
            at_work: store.is_some_and(|store| store.engine_at_work(&run).unwrap_or(false)),
            resume: context.command(&["resume"]).to_string(),
            document: Box::new(document),
        },
        Err(reason) => HistoryRow::Damaged { run, reason },
    }
}

/// The run that is meant by its id, the beginning of it, or `latest`.
pub(crate) fn find(
    typed: &str,
    source: &RunSource,
    context: &CommandContext<'_>,
) -> Result<RunReport, Failure> {
    let (runs, place) = all(source, context)?;
    let look = || format!("see which there are: {}", context.command(&["history"]));
    let mut meant: Vec<HistoryRow> = runs
        .into_iter()
        .filter(|told| typed == "latest" || id(told).starts_with(typed))
        .collect();
    if typed == "latest" {
        meant.truncate(1);
    } else if let Some(exact) = meant.iter().position(|told| id(told) == typed) {
        meant = vec![meant.swap_remove(exact)];
    }
    if meant.len() > 1 {
        let ids: Vec<&str> = meant.iter().map(id).collect();
        return Err(Failure::user(format!("several runs begin with {typed}"))
            .because(ids.join(", "))
            .hint("type more of its id"));
    }
    match meant.pop() {
        Some(HistoryRow::Run { document, .. }) => Ok(*document),
        Some(HistoryRow::Damaged { run, reason }) => Err(Failure::user(format!(
            "the record of run {run} cannot be read"
        ))
        .because(reason)
        .hint(look())),
        None if typed == "latest" => Err(Failure::user(format!("no run is recorded in {place}"))
            .hint("is it the right project and folder? See -C and --state-dir")),
        None => Err(Failure::user(format!("no run {typed} is recorded in {place}")).hint(look())),
    }
}

fn id(told: &HistoryRow) -> &str {
    match told {
        HistoryRow::Run { document, .. } => &document.run,
        HistoryRow::Damaged { run, .. } => run,
    }
}
