//! `rollback current`.

use clap::Args;

use super::Context;
use super::session::{Rows, Session};
use crate::domain::graph::Graph;
use crate::domain::revision::{Heads, RevisionId};
use crate::error::Failure;
use crate::ui::Standing;

/// Show the database, its revisions and how far it is behind the code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback current
  rollback current --format json
  rollback -C services/api current
  rollback current --engine-command 'docker compose exec -T api alembic'")]
pub struct CurrentArgs {}

/// Shows where the database stands. A position that is odd is reported, not refused.
pub fn run(context: &Context<'_>) -> Result<(), Failure> {
    let session = Session::look(context)?;
    let graph = &session.graph;
    let current: Heads = session.rows.ids().iter().cloned().collect();
    let (code_heads, behind, problems) = if let Some(project) = session.sql() {
        let files = || project.folder.files.iter().map(|file| &file.id);
        let last = files().max().cloned();
        let behind = files().filter(|id| !current.contains(id)).count();
        let problems = session.oddities();
        (last.into_iter().collect(), Some(behind), problems)
    } else {
        let code_heads = graph.heads();
        let behind = graph
            .applied(&current)
            .ok()
            .map(|applied| graph.revisions().len() - applied.len());
        let problems = problems(graph, &session.rows, &current, &code_heads);
        (code_heads, behind, problems)
    };
    let titles = |id: &str| {
        graph
            .get(&RevisionId::new(id))
            .map_or_else(String::new, |found| found.title().to_owned())
    };
    context.ui.current(&Standing {
        database: session.identity.as_ref(),
        engine: &session.engine_name(),
        current: &current,
        heads: &code_heads,
        behind,
        problems: &problems,
        newest: session.newest(),
        files: session.sql().is_some(),
        titles: &titles,
    })
}

fn problems(
    graph: &Graph,
    rows: &Rows,
    current: &Heads,
    code_heads: &Heads,
) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    match rows {
        Rows::NoTable(table) => problems.push((
            "no_version_table",
            format!("there is no version table {table}: no migration was run here, or it is kept elsewhere"),
        )),
        Rows::Read(ids) if ids.is_empty() => problems.push((
            "empty_version_table",
            "the version table is empty: everything was rolled back".to_owned(),
        )),
        Rows::Read(_) | Rows::Told(_) => {}
    }
    for id in current.iter().filter(|id| graph.get(id).is_none()) {
        problems.push((
            "unknown_revision",
            format!("revision {id} is applied, and no version file declares it: is this the right checkout?"),
        ));
    }
    if current.len() > 1 {
        problems.push((
            "several_heads",
            format!("the database has {} current heads", current.len()),
        ));
    }
    if code_heads.len() > 1 {
        problems.push((
            "several_code_heads",
            format!("the code has {} heads", code_heads.len()),
        ));
    }
    problems
}
