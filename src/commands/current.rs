//! `rollback current`.

use clap::Args;

use crate::app::journal_recorder::store;
use crate::app::project::{Project, SqlProject, StartRows, is_defect};
use crate::app::{CommandContext, unfinished};
use crate::error::Failure;
use crate::ui::{CurrentView, RecordedState, RemoteHistory, UnfinishedRun};
use rollback_core::backup::Manifest;
use rollback_core::journal::Run;
use rollback_core::revision::{Heads, RevisionId};
use rollback_sql_files::supabase::{RemoteMigration, row_of};

/// Show the database, its revisions and how far it is behind the code.
///
/// Also shows an unfinished run on it and its newest backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollback current
  rollback current --format json
  rollback -C services/api current
  rollback current --engine-command 'docker compose exec -T api alembic'")]
pub struct CurrentArgs {}

/// Shows where the database stands. A position that is odd is reported, not refused.
pub fn run(context: &CommandContext<'_>) -> Result<(), Failure> {
    let project = Project::look(context)?;
    let graph = &project.graph;
    let current: Heads = project.rows.ids().iter().cloned().collect();
    let (code_heads, behind, problems) = if let Some(sql) = project.sql() {
        let files = || sql.folder.files.iter().map(|file| &file.id);
        let last = files().max().cloned();
        let behind = files().filter(|id| !current.contains(id)).count();
        let problems = project.inconsistencies();
        (last.into_iter().collect(), Some(behind), problems)
    } else {
        let code_heads = graph.heads();
        let behind = graph
            .applied(&current)
            .ok()
            .map(|applied| graph.revisions().len() - applied.len())
            .filter(|_| !project.has_unrecorded());
        let problems = problems(&project, &current, &code_heads);
        (code_heads, behind, problems)
    };
    let records = Records::read(context, &project);
    let problems: Vec<_> = problems
        .into_iter()
        .chain(records.problem.clone())
        .collect();
    let titles = |id: &str| {
        graph
            .get(&RevisionId::new(id))
            .map_or_else(String::new, |found| found.title().to_owned())
    };
    context.ui.current(&CurrentView {
        database: project.identity.as_ref(),
        engine: &project.engine_name(),
        current: &current,
        heads: &code_heads,
        behind,
        problems: &problems,
        is_recorded: !project.has_unrecorded(),
        newest: project.newest(),
        files: project.sql().is_some(),
        supabase: project.sql().and_then(remote),
        titles: &titles,
        recorded: RecordedState {
            unfinished: records.unfinished(),
            backup: records.backup.as_ref(),
            now: (context.now)(),
        },
    })
}

/// What Supabase's own table says, newest last by version.
fn remote(project: &SqlProject) -> Option<RemoteHistory> {
    let rows = project.history.supabase.as_ref()?;
    let files = &project.folder.files;
    let is_missing = |name: &String| {
        let row = rows.iter().find(|row| row.file_name() == *name);
        row.is_some_and(|row| {
            let mut of_files = files.iter();
            !of_files.any(|file| row_of(&project.history, files, &file.id) == Some(row))
        })
    };
    let mut sorted: Vec<&RemoteMigration> = rows.iter().collect();
    sorted.sort_by_key(|row| row.order());
    let names: Vec<String> = sorted.iter().map(|row| row.file_name()).collect();
    Some(RemoteHistory {
        applied: names.len(),
        newest: names.last().cloned(),
        without_file: names.into_iter().filter(is_missing).collect(),
    })
}

/// What the folder of records holds about the database.
struct Records {
    run: Option<Run>,
    at_work: bool,
    next: Vec<(&'static str, String)>,
    backup: Option<Manifest>,
    /// Why it could not be read whole: a stable code and a sentence.
    problem: Option<(&'static str, String)>,
}

impl Records {
    /// Reads them. The database has its position whether they can be read or not.
    fn read(context: &CommandContext<'_>, project: &Project) -> Self {
        let store = store(context);
        let here = project.database_reference();
        let run = store
            .unfinished_on(&|recorded| here.relation_to(recorded).is_usable())
            .map(|runs| runs.into_iter().next())
            .map(|run| run.filter(|run| !unfinished::is_over(project, run)));
        let backups = store.backups().list();
        let problem = [run.as_ref().err(), backups.as_ref().err()]
            .into_iter()
            .flatten()
            .next();
        let problem = problem.map(|error| {
            let sentence = format!("the records of runs and backups cannot be read: {error}");
            ("records_unreadable", sentence)
        });
        let run = run.ok().flatten();
        // If the lock cannot be looked at, the record alone counts.
        let at_work = run
            .as_ref()
            .is_some_and(|run| store.engine_at_work(&run.begun.run).unwrap_or(false));
        let next = if at_work {
            Vec::new()
        } else {
            let command = |word| context.command(&[word]).to_string();
            vec![
                ("to resume it", command("resume")),
                ("to give it up", command("abandon")),
            ]
        };
        let mut manifests = backups.map_or_else(|_| Vec::new(), |listed| listed.manifests);
        manifests.retain(|manifest| here.relation_to(&manifest.database_reference()).is_usable());
        Self {
            run,
            at_work,
            next,
            backup: manifests.into_iter().next(),
            problem,
        }
    }

    fn unfinished(&self) -> Option<UnfinishedRun<'_>> {
        Some(UnfinishedRun {
            run: self.run.as_ref()?,
            at_work: self.at_work,
            next: &self.next,
        })
    }
}

fn problems(project: &Project, current: &Heads, code_heads: &Heads) -> Vec<(&'static str, String)> {
    let graph = &project.graph;
    let mut problems = Vec::new();
    match &project.rows {
        StartRows::NoTable(table) if project.has_unrecorded() => problems.push((
            "no_version_table",
            project.without_rows(&format!("there is no version table {table}")),
        )),
        StartRows::NoTable(table) => problems.push((
            "no_version_table",
            format!("there is no version table {table}: no migration was run here, or it is kept elsewhere"),
        )),
        StartRows::Read(ids) if ids.is_empty() => problems.push((
            "empty_version_table",
            project.without_rows("the version table is empty"),
        )),
        StartRows::Read(_) | StartRows::Told(_) => {}
    }
    for (defect, sentence, correction) in project.defects() {
        problems.push((
            defect.code(),
            format!("{sentence}; correct it: {correction}"),
        ));
    }
    if project.leaves_transaction_open() {
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
