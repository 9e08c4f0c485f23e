//! A project of SQL files and its database, opened.

use super::{MigrationSource, Project, StartRows, StepRuns};
use crate::app::CommandContext;
use crate::app::health_checks::HealthChecks;
use crate::app::lock::Lock;
use crate::app::measure::Measure;
use crate::app::project::as_migrations::{self, SqlMigrations};
use crate::app::route::Route;
use crate::app::sql::project::OpenSqlProject;
use crate::app::verifier::{DatabaseAccess, StepVerifier};
use crate::error::Failure;
use crate::ui::RegisteredMigration;
use python_source::version_file::VersionFiles;
use rollback_core::connection::ConnectionFacts;
use rollback_core::dialect::Dialect;
use rollback_core::graph::GraphError;
use rollback_core::journal::Begun;
use rollback_core::names::and;
use rollback_core::plan::Plan;
use rollback_core::rendering::{self, Rendering};
use rollback_core::revision::RevisionId;
use rollback_core::secret::{Secret, mask};
use rollback_core::target::TargetError;
use rollback_sql::script;
use rollback_sql_files::engine::folder::Folder;
use rollback_sql_files::engine::history_table::{By, Tables, writable};
use rollback_sql_files::engine::running::{Connect, RunningScript, SqlFiles};
use rollback_sql_files::file::MigrationFile;
use rollback_sql_files::history::{
    Dependency, GONE, History, HistoryKind, HistoryRecord, Removability, UNKNOWN,
};
use rollback_sql_files::inconsistency::{inconsistencies, note_on_form};
use rollback_sql_files::rollback_blocker::{self, Chosen, PlanFiles};
use rollback_sql_files::script_mode::{ScriptMode, way};
use rollback_sql_files::supabase;
use std::collections::BTreeMap;

/// What is known of a project of SQL files beside the order of its migrations.
#[derive(Debug, Clone)]
pub(crate) struct SqlProject {
    pub(crate) folder: Folder,
    pub(crate) history: History,
    pub(crate) tables: Tables,
}

/// The text of the migrations, to be followed without running them.
pub(crate) enum Text {
    VersionFiles(VersionFiles),
    SqlFiles(SqlMigrations),
}

impl SqlProject {
    /// The file of a migration, where it is there and could be read.
    pub(crate) fn file(&self, id: &RevisionId) -> Option<&MigrationFile> {
        self.folder.files.iter().find(|file| file.id == *id)
    }

    /// The applied ones, in the order of the rows.
    pub(crate) fn applied(&self) -> impl Iterator<Item = &HistoryRecord> {
        let records = self.history.records.iter();
        records.filter(|record| record.is_applied())
    }

    /// Whether the file is another than the one that was registered.
    pub(crate) fn is_changed(&self, record: &HistoryRecord) -> bool {
        self.file(&record.id)
            .is_some_and(|file| rollback_blocker::is_changed(record, file))
    }

    /// Why a migration has to go before others: `depends on a (declared) and on b (inferred: table b)`.
    pub(super) fn why(&self, of: &RevisionId, plan: &Plan) -> String {
        let is_other = |on: &RevisionId| plan.steps.iter().any(|step| step.removes == *on);
        format!("depends on {}", self.reasons(of, &is_other))
    }

    /// What a migration needs of `others`, and who says so.
    fn reasons(&self, of: &RevisionId, others: &dyn Fn(&RevisionId) -> bool) -> String {
        let dependencies = self.history.dependencies.iter();
        let needed = dependencies.filter(|one| one.of == *of && others(&one.on));
        let reasons: Vec<String> = needed
            .filter_map(|one| Some(format!("{} ({})", one.on, source(one)?)))
            .collect();
        reasons.join(" and on ")
    }

    /// What is said where a target is none.
    pub(super) fn no_target(
        &self,
        error: &TargetError,
        command: &dyn Fn(&[&str]) -> String,
    ) -> Failure {
        let failure = match error {
            TargetError::Unknown { symbol, .. } => {
                let table = self.tables.version_table();
                let failure = Failure::user(format!("no migration is called {symbol}"));
                if self.folder.path.as_os_str().is_empty() {
                    failure.because(format!(
                        "{table} has none, and no folder of files was found"
                    ))
                } else {
                    failure.because(format!(
                        "neither {table} nor {} has one",
                        self.folder.path.display()
                    ))
                }
            }
            TargetError::NotApplied { revision } => {
                let failure = Failure::user(format!("{revision} is not applied"));
                match self.history.get(revision) {
                    Some(_) => failure.because(GONE),
                    None => failure.because(UNKNOWN),
                }
            }
            TargetError::TooManySteps { asked, applied } => Failure::user(format!(
                "{asked} steps were asked for, and only {applied} {} applied",
                if *applied == 1 {
                    "migration is"
                } else {
                    "migrations are"
                }
            )),
            TargetError::Ambiguous { prefix, candidates } => Failure::user(format!(
                "{prefix} is the beginning of {} migrations",
                candidates.len()
            )),
            error => Failure::user(error.to_string()),
        };
        let list = command(&["list"]);
        match error {
            TargetError::Unknown { nearest: None, .. } | TargetError::NotApplied { .. } => {
                failure.hint(format!("see which are applied: {list}"))
            }
            TargetError::BareNumber { .. }
            | TargetError::Unknown { .. }
            | TargetError::Ambiguous { .. }
            | TargetError::TooManySteps { .. } => failure.hint(error.hint(command)),
            _ => failure.hint(format!(
                "give a number of steps such as -1, the name of a migration, or base: {list}"
            )),
        }
    }

    pub(crate) fn files(&self) -> PlanFiles<'_> {
        PlanFiles {
            read: &self.folder.files,
            malformed: &self.folder.malformed,
        }
    }

    /// What takes each applied migration down.
    fn scripts(&self, chosen: Chosen, by: &By) -> BTreeMap<RevisionId, RunningScript> {
        let of = |record: &HistoryRecord| {
            let file = self.file(&record.id).filter(|_| self.is_changed(record));
            let script = match (chosen, file) {
                (Chosen::File, Some(file)) => self.of_file(file, by)?,
                _ => self.stored(record)?,
            };
            Some((record.id.clone(), script))
        };
        self.applied().filter_map(of).collect()
    }

    /// What went up, as it was registered, else as the file has it.
    fn up(&self) -> BTreeMap<RevisionId, as_migrations::MigrationSql> {
        let of = |record: &HistoryRecord| {
            let file = self.file(&record.id);
            let stored = record.metadata.up_sql.clone();
            let sql = stored.or_else(|| file.map(|file| file.up.clone()))?;
            let source = file.map(|file| file.path.clone());
            let source = source.or_else(|| record.metadata.path.clone());
            let text = as_migrations::MigrationSql {
                sql,
                source: source.unwrap_or_else(|| self.tables.version_table().to_string()),
                line: 1,
            };
            Some((record.id.clone(), text))
        };
        self.applied().filter_map(of).collect()
    }

    fn stored(&self, record: &HistoryRecord) -> Option<RunningScript> {
        let sql = record.rollback_sql.clone();
        let sql = sql.filter(|sql| !sql.trim().is_empty())?;
        let registered = record.metadata.path.clone().zip(record.metadata.line);
        let (source, line) = match registered {
            // The line of a file that has changed since is another one.
            Some(place) if !self.is_changed(record) => place,
            _ => (self.tables.version_table().to_string(), 1),
        };
        Some(RunningScript {
            sql,
            source,
            line,
            before: Vec::new(),
        })
    }

    fn of_file(&self, file: &MigrationFile, by: &By) -> Option<RunningScript> {
        let rollback = file.rollback.as_ref()?;
        // What cannot be written down no server would run either.
        writable(file).ok()?;
        let dependencies: Vec<_> = self
            .history
            .dependencies
            .iter()
            .filter(|dependency| dependency.of == file.id)
            .cloned()
            .collect();
        Some(RunningScript {
            sql: rollback.sql.clone(),
            source: rollback.file.clone(),
            line: rollback.line,
            before: self.tables.register(file, &dependencies, by),
        })
    }

    /// The SQL of each step.
    pub(super) fn render(&self, plan: &Plan, engine: &SqlFiles) -> Vec<Rendering> {
        let of = |id: &RevisionId| match engine.scripts.get(id) {
            Some(script) => Ok(format!("{}\n", script.sql.trim_end())),
            None => Err(rendering::RenderError {
                sentence: "has no rollback SQL".to_owned(),
                file: self.file(id).map(|file| file.path.clone()),
                line: None,
            }),
        };
        plan.steps.iter().map(|step| of(&step.removes)).collect()
    }
}

impl Project {
    /// Observes a project of SQL files. Without the tables there is nothing applied, and that is told by
    /// [`Rows::NoTable`].
    pub(super) fn of_sql_files(
        context: &CommandContext<'_>,
        lock: Option<&Lock>,
    ) -> Result<Self, Failure> {
        let mut project = OpenSqlProject::open(context)?;
        if let Some(lock) = lock {
            lock.take(project.database.as_mut(), context)?;
        }
        let mut execution = project.execution(context)?;
        let tables = project.tables;
        let table = tables.version_table();
        let read = tables.read(execution.as_mut()).map_err(|error| {
            Failure::user(format!("{table} cannot be read: {}", error.reason)).hint(format!(
                "check the rights of the user, or bring the tables up to now: {}",
                context.command(&["sql", "install"])
            ))
        })?;
        let has_tables = read.is_some();
        let history = match read {
            Some(history) => history,
            // What Supabase has applied is known without the tables.
            None => History {
                supabase: tables.supabase(execution.as_mut()).ok().flatten(),
                ..History::default()
            },
        };
        drop(execution);
        let graph = history
            .graph(&project.folder.files)
            .map_err(|error| no_order(&error, context))?;
        let secrets: Vec<Secret> = project.facts.password.clone().into_iter().collect();
        let by = By {
            who: format!("{}@{}", context.operator.user, context.operator.host),
            run: lock.map(|lock| lock.run().to_owned()),
            reason: context
                .settings
                .reason
                .as_deref()
                .map(|reason| mask(reason, &secrets)),
        };
        let files = &project.folder.files;
        let supabase = history
            .records
            .iter()
            .filter_map(|record| {
                let row = supabase::row_of(&history, files, &record.id)?;
                Some((record.id.clone(), row.clone()))
            })
            .collect();
        let known = SqlProject {
            folder: project.folder,
            history,
            tables,
        };
        let rows = known.applied().map(|record| record.id.clone()).collect();
        let rows = if has_tables {
            StartRows::Read(rows)
        } else {
            StartRows::NoTable(table.clone())
        };
        context.ui.detail(&format!(
            "History:   {} migrations, read from {table} and {} files",
            graph.revisions().len(),
            known.folder.files.len()
        ));
        let engine = SqlFiles {
            connect: connecting(&project.facts, context),
            tables: known.tables.clone(),
            scripts: known.scripts(Chosen::Stored, &by),
            by,
            supabase,
            interrupt: context.interrupt.clone(),
            cut_off: None,
        };
        Ok(Self {
            graph,
            rows,
            source: MigrationSource::SqlFiles(Box::new(known)),
            engine: StepRuns::SqlFiles(Box::new(engine)),
            engine_version: None,
            transaction_per_migration: None,
            leaves_transaction_open: false,
            unrecorded: super::Unrecorded::default(),
            watched: StepVerifier {
                access: DatabaseAccess::Direct {
                    database: project.database,
                    table,
                    route: Box::new(Route::new(
                        context,
                        project.facts.clone(),
                        &project.identity,
                    )),
                    facts: project.facts,
                    locked: lock.is_some(),
                },
                checks: HealthChecks::new(context, secrets.clone()),
                measure: Measure::default(),
            },
            identity: Some(project.identity),
            secrets,
            options: context.which_project.clone(),
            dir: context.dir.to_owned(),
            held: None,
        })
    }

    /// The text of the migrations, to be followed.
    pub(crate) fn text(&self) -> Text {
        let (project, engine) = match (&self.source, &self.engine) {
            (MigrationSource::VersionFiles(files), _) => return Text::VersionFiles(files.clone()),
            (MigrationSource::SqlFiles(project), StepRuns::SqlFiles(engine)) => (project, engine),
            (MigrationSource::SqlFiles(_), StepRuns::Alembic(_)) => {
                return Text::SqlFiles(SqlMigrations::default());
            }
        };
        let down = engine.scripts.iter().map(|(id, script)| {
            let text = as_migrations::MigrationSql {
                sql: engine.left_of(id).unwrap_or_default(),
                source: script.source.clone(),
                line: script.line,
            };
            (id.clone(), text)
        });
        Text::SqlFiles(SqlMigrations {
            dialect: self.dialect(),
            up: project.up(),
            down: down.collect(),
        })
    }

    /// The project, where migrations are SQL files.
    pub(crate) fn sql(&self) -> Option<&SqlProject> {
        match &self.source {
            MigrationSource::SqlFiles(project) => Some(project),
            MigrationSource::VersionFiles(_) => None,
        }
    }

    /// What is known of an applied migration of SQL files.
    pub(crate) fn registered(&self, id: &RevisionId) -> Option<RegisteredMigration<'_>> {
        let project = self.sql()?;
        let record = project.history.get(id)?;
        let verdict = project.history.verdict(id);
        let above = |dependent: &RevisionId| {
            let others = |on: &RevisionId| on == id || verdict.dependents.contains(on);
            project.reasons(dependent, &others)
        };
        let command = |words: &[&str]| self.command(words).to_string();
        let malformed = project.files().malformed(id).map(ToString::to_string);
        let form = note_on_form(project.files(), id, &command);
        let row = supabase::row_of(&project.history, &project.folder.files, id);
        Some(RegisteredMigration {
            record,
            pushed_by: row.and_then(|row| row.pushed_by.clone()),
            file: project.file(id),
            changed: project.is_changed(record),
            reasons: verdict.dependents.iter().map(above).collect(),
            notes: malformed.into_iter().chain(form).collect(),
            verdict,
        })
    }

    /// The migration of SQL files that is meant, where it is not applied, and why it cannot be taken down.
    pub(crate) fn not_applied(
        &self,
        typed: &str,
    ) -> Result<Option<(RevisionId, Removability)>, Failure> {
        let Some(project) = self.sql() else {
            return Ok(None);
        };
        self.has_a_history()?;
        let found = self.migration(typed);
        let found = found.filter(|id| !self.rows.ids().contains(id));
        Ok(found.map(|id| {
            let verdict = project.history.verdict(&id);
            (id, verdict)
        }))
    }

    /// What is odd about the database and the files: a stable code and a sentence.
    pub(crate) fn inconsistencies(&self) -> Vec<(&'static str, String)> {
        let Some(project) = self.sql() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        match &self.rows {
            StartRows::NoTable(table) => found.push((
                "no_history_table",
                format!(
                    "there is no table {table}, or it is one of an older version, so nothing is registered; to make it: {}",
                    self.command(&["sql", "install"])
                ),
            )),
            _ if project.history.records.is_empty() => found.push((
                "nothing_registered",
                format!(
                    "no migration is registered; to write down what is applied: {}",
                    self.command(&["sql", "sync"])
                ),
            )),
            _ => {
                let command = |words: &[&str]| self.command(words).to_string();
                let odd = inconsistencies(&project.history, project.files(), &command);
                found.extend(odd.into_iter().map(|odd| (odd.code, odd.sentence)));
            }
        }
        found
    }

    /// Settles what takes changed migrations down, and to which run the steps belong.
    pub(crate) fn settle(&mut self, chosen: Chosen, begun: Option<&Begun>) {
        if let (StepRuns::SqlFiles(engine), MigrationSource::SqlFiles(project)) =
            (&mut self.engine, &self.source)
        {
            if let Some(begun) = begun {
                engine.by.run = Some(begun.run.clone());
                if engine.by.reason.is_none() {
                    engine.by.reason.clone_from(&begun.reason);
                }
            }
            engine.scripts = project.scripts(chosen, &engine.by);
        }
    }

    /// What is to be known of how each step runs, beside that it runs in one transaction; nothing for Alembic.
    pub(crate) fn ways(&self, plan: &Plan) -> Vec<Vec<String>> {
        let StepRuns::SqlFiles(engine) = &self.engine else {
            return Vec::new();
        };
        let of = |id: &RevisionId| {
            let script = engine.scripts.get(id);
            script.map_or_else(Vec::new, |script| way_of(script, engine.tables.dialect))
        };
        plan.steps.iter().map(|step| of(&step.removes)).collect()
    }
}

/// Why a script does not run in one transaction: nothing where it does.
fn way_of(script: &RunningScript, dialect: Dialect) -> Vec<String> {
    let Ok(statements) = script::statements(&script.sql, dialect) else {
        return Vec::new();
    };
    let ScriptMode::PerStatement(alone) = way(&statements, dialect) else {
        return Vec::new();
    };
    let mut told = vec!["runs statement by statement, each of which stays done".to_owned()];
    // There it is so of every one that changes the schema.
    if dialect != Dialect::MySql {
        told.extend(alone.iter().map(|one| {
            let line = script.line + one.line.saturating_sub(1);
            format!(
                "{}:{line}: {} cannot run in a transaction: {}",
                script.source, one.text, one.reason
            )
        }));
    }
    told
}

/// Where a dependency comes from, for people; `None` for one that is none.
fn source(dependency: &Dependency) -> Option<String> {
    match (dependency.kind, &dependency.object) {
        (HistoryKind::Declared, _) => Some("declared".to_owned()),
        (HistoryKind::Inferred, Some(object)) => Some(format!("inferred: {object}")),
        (HistoryKind::Inferred, None) => Some("inferred".to_owned()),
        (HistoryKind::Independent, _) => None,
    }
}

/// How a connection is opened for each step.
fn connecting(facts: &ConnectionFacts, context: &CommandContext<'_>) -> Connect {
    let (facts, environment) = (facts.clone(), context.environment.clone());
    let limit = context.settings.lock_limit();
    Box::new(move || {
        rollback_database::execution(&facts, &environment, limit).map_err(|error| error.to_string())
    })
}

/// Dependencies that make no order.
fn no_order(error: &GraphError, context: &CommandContext<'_>) -> Failure {
    let failure = match error {
        GraphError::DuplicateId { id, .. } => {
            Failure::user(format!("there are two migrations {id}"))
        }
        GraphError::MissingRevision { id, missing } => Failure::user(format!(
            "migration {id} depends on {missing}, which is no migration here"
        )),
        GraphError::Cycle { ids } => Failure::user(format!(
            "the migrations {} depend on each other in a circle",
            and(ids)
        )),
    };
    failure
        .hint("correct `-- Depends on:`, or switch an inferred dependency off: -- Independent of: NAME")
        .hint(format!(
            "then write that down: {}",
            context.command(&["sql", "sync"])
        ))
}
