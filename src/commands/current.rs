//! `rollback current`.

use clap::Args;

use super::Context;
use super::session::{Rows, Session, is_defect};
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
            .map(|applied| graph.revisions().len() - applied.len())
            .filter(|_| !session.has_unrecorded());
        let problems = problems(&session, &current, &code_heads);
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
        is_recorded: !session.has_unrecorded(),
        newest: session.newest(),
        files: session.sql().is_some(),
        titles: &titles,
    })
}

fn problems(session: &Session, current: &Heads, code_heads: &Heads) -> Vec<(&'static str, String)> {
    let graph = &session.graph;
    let mut problems = Vec::new();
    match &session.rows {
        Rows::NoTable(table) if session.has_unrecorded() => problems.push((
            "no_version_table",
            session.without_rows(&format!("there is no version table {table}")),
        )),
        Rows::NoTable(table) => problems.push((
            "no_version_table",
            format!("there is no version table {table}: no migration was run here, or it is kept elsewhere"),
        )),
        Rows::Read(ids) if ids.is_empty() => problems.push((
            "empty_version_table",
            session.without_rows("the version table is empty"),
        )),
        Rows::Read(_) | Rows::Told(_) => {}
    }
    for (defect, sentence, correction) in session.defects() {
        problems.push((
            defect.code(),
            format!("{sentence}; correct it: {correction}"),
        ));
    }
    if session.leaves_transaction_open() {
        problems.push((
            "transaction_left_open",
            "env.py begins a transaction before the migrations and does not commit it: nothing of a migration would be kept".to_owned(),
        ));
    }
    let unknown = |id: &&RevisionId| graph.get(id).is_none() && !is_defect(id);
    for id in current.iter().filter(unknown) {
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
