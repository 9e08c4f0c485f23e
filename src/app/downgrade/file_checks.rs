//! What is refused of a plan of SQL files before anything runs: what was registered is what runs, so that has to
//! be clear, and whole.

use super::HowArgs;
use crate::app::CommandContext;
use crate::app::project::Project;
use crate::error::Failure;
use rollback_core::command::Command;
use rollback_core::names::in_short;
use rollback_core::plan::Plan;
use rollback_core::revision::RevisionId;
use rollback_sql_files::rollback_blocker::{
    Chosen, RollbackBlocker, is_changed, is_same, obstacles,
};
use rollback_sql_files::supabase::{UnknownRemote, newer_rows};

/// What stands in the way of a plan, nothing for a project of Alembic.
pub(crate) struct FileChecks {
    obstacles: Vec<(RevisionId, RollbackBlocker)>,
    /// What is odd and stops nothing, a sentence each.
    warnings: Vec<String>,
    /// What Supabase has applied after the oldest migration of the plan, and what is not known to be applied here.
    newer: Vec<UnknownRemote>,
    /// The only migration of the plan.
    single: Option<RevisionId>,
    /// The command for the same plan.
    again: Command,
}

/// Which migrations a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanScope {
    /// The newest ones, down to a target.
    Newest,
    /// One that was named.
    Only,
    /// The rest of a recorded run.
    Rest,
}

/// Refuses a choice between two texts where there is one.
pub(crate) fn refuse_choice(how: &HowArgs, project: &Project) -> Result<(), Failure> {
    if how.chosen.is_none() || project.sql().is_some() {
        return Ok(());
    }
    Err(
        Failure::user("--use is for SQL files, and this is a project of Alembic")
            .hint("leave --use away: a revision is what its version file says"),
    )
}

impl FileChecks {
    /// Looks the migrations of a plan through.
    pub(crate) fn of(
        project: &Project,
        plan: &Plan,
        chosen: Option<Chosen>,
        extent: PlanScope,
        again: Command,
    ) -> Self {
        let Some(project) = project.sql() else {
            return Self {
                obstacles: Vec::new(),
                warnings: Vec::new(),
                newer: Vec::new(),
                single: None,
                again,
            };
        };
        let files = project.files();
        let ids = || plan.steps.iter().map(|step| &step.removes);
        let mut warnings = Vec::new();
        for id in ids() {
            if let (Some(malformed), false) = (files.malformed(id), chosen == Some(Chosen::File)) {
                warnings.push(format!("{malformed}; what was registered of {id} runs"));
            }
            let file = files.get(id);
            let record = project.history.get(id);
            if let (Some(file), Some(record)) = (file, record)
                && is_changed(record, file)
            {
                if is_same(record, file) {
                    warnings.push(format!(
                        "{} is not what was registered; what it says of taking {id} down is the same",
                        file.path
                    ));
                } else if let Some(chosen) = chosen {
                    let what = match chosen {
                        Chosen::Stored => "what was registered of it runs (--use stored)",
                        Chosen::File => "what it says now runs (--use file)",
                    };
                    warnings.push(format!("{} is not what was registered; {what}", file.path));
                }
            }
        }
        let newer = match extent {
            PlanScope::Newest | PlanScope::Only => newer_rows(&project.history, files.read, ids()),
            PlanScope::Rest => Vec::new(),
        };
        let newer = if extent == PlanScope::Only {
            warnings.extend(newer.iter().map(|one| {
                format!(
                    "{} is newer in Supabase's table and not registered here: whether it needs this migration is unknown",
                    one.row.file_name()
                )
            }));
            Vec::new()
        } else {
            newer
        };
        let goes_on = extent == PlanScope::Rest;
        Self {
            obstacles: obstacles(&project.history, files, ids(), chosen, goes_on),
            warnings,
            newer,
            single: match &plan.steps[..] {
                [step] => Some(step.removes.clone()),
                _ => None,
            },
            again,
        }
    }

    /// Says what is odd, and how changed files differ.
    pub(super) fn show(&self, context: &CommandContext<'_>) {
        for warning in &self.warnings {
            context.ui.warn(warning);
        }
        for (id, obstacle) in &self.obstacles {
            if let RollbackBlocker::Changed(difference) = obstacle {
                context.ui.difference(id, difference);
            }
        }
    }

    /// The same where nothing is to run, with what would refuse it.
    pub(crate) fn foretell(&self, context: &CommandContext<'_>) {
        self.show(context);
        // That one ends the command, and says so itself.
        if let Some(failure) = self.obstacle(context).filter(|_| self.newer.is_empty()) {
            context.ui.warn(&format!(
                "this will not be run as it is: {}",
                failure.message
            ));
            for cause in &failure.causes {
                context.ui.say(&format!("  {cause}"));
            }
            for hint in &failure.hints {
                context.ui.say(&format!("  → {hint}"));
            }
        }
    }

    /// Refuses what cannot or must not run.
    pub(super) fn refuse(&self, context: &CommandContext<'_>) -> Result<(), Failure> {
        let Some(mut failure) = self.obstacle(context) else {
            return Ok(());
        };
        failure.message.push_str(": nothing was changed");
        Err(failure)
    }

    /// The first reason why the plan cannot or must not run.
    fn obstacle(&self, context: &CommandContext<'_>) -> Option<Failure> {
        let failures = [
            self.not_the_newest(context),
            self.needing(context),
            self.failed(context),
            self.malformed(),
            self.without_sql(context),
            self.changed(),
        ];
        failures.into_iter().flatten().next()
    }

    /// Refuses a plan that only seems to begin with the newest migration, also if nothing is to run.
    pub(crate) fn refuse_not_newest(&self, context: &CommandContext<'_>) -> Result<(), Failure> {
        self.not_the_newest(context).map_or(Ok(()), Err)
    }

    fn not_the_newest(&self, context: &CommandContext<'_>) -> Option<Failure> {
        let names: Vec<String> = self.newer.iter().map(|one| one.row.file_name()).collect();
        if names.is_empty() {
            return None;
        }
        let mut failure = Failure::refused(format!(
            "Supabase has applied a newer migration than those of the plan: {}",
            in_short(&names)
        ));
        let (with_file, without): (Vec<_>, Vec<_>) =
            self.newer.iter().partition(|one| one.has_file);
        for one in &without {
            failure = failure.because(format!(
                "{} is in supabase_migrations.schema_migrations and has no file here, so what it changed is unknown",
                one.row.file_name()
            ));
        }
        for one in &with_file {
            failure = failure.because(format!(
                "{} is in supabase_migrations.schema_migrations and not registered as applied here",
                one.row.file_name()
            ));
        }
        let sync = context.command(&["sql", "sync"]);
        failure = if let Some(one) = without.first() {
            failure
                .hint(format!(
                    "get its file, then register it: supabase migration fetch && {sync}"
                ))
                .hint(format!(
                    "or, if it is not applied, correct Supabase's table: supabase migration repair --status reverted {}",
                    one.row.version
                ))
        } else {
            failure.hint(format!("register it: {sync}"))
        };
        if let Some(id) = &self.single {
            let only = context.command(&["downgrade-safe"]);
            failure = failure.hint(format!(
                "or roll back exactly {id}, if nothing newer needs it: {}",
                only.option("--only", id.as_str())
            ));
        }
        Some(failure)
    }

    fn needing(&self, context: &CommandContext<'_>) -> Option<Failure> {
        let missing = self
            .obstacles
            .iter()
            .filter_map(|(id, obstacle)| match obstacle {
                RollbackBlocker::Needs(on) => Some((id, on)),
                _ => None,
            });
        let mut missing = missing.peekable();
        missing.peek()?;
        let mut failure = Failure::user("a migration of the plan depends on what is not applied");
        let mut hints = Vec::new();
        for (id, on) in missing {
            failure = failure.because(format!("{id} depends on {on}, which is not applied"));
            let register = |id: &RevisionId| context.command(&["sql", "register", id.as_str()]);
            hints.push(format!(
                "if {on} is applied after all, write that down: {}",
                register(on)
            ));
            hints.push(format!(
                "if {id} does not need it, say so in its file, -- Independent of: {on}, and write that down: {}",
                register(id)
            ));
        }
        failure.hints = hints;
        Some(failure)
    }

    fn failed(&self, context: &CommandContext<'_>) -> Option<Failure> {
        let failed = self
            .obstacles
            .iter()
            .filter_map(|(id, obstacle)| match obstacle {
                RollbackBlocker::Failed(error) => Some((id, error)),
                _ => None,
            });
        let mut failed = failed.peekable();
        let (first, _) = *failed.peek()?;
        let mut failure = Failure::refused(format!("the rollback of {first} failed before"));
        let mut hints = Vec::new();
        for (id, error) in failed {
            let error = error.as_deref().unwrap_or("it is not known why");
            failure = failure.because(format!("{id}: {error}"));
            hints.push(format!(
                "mend its file, then register it: {}",
                context.command(&["sql", "register", id.as_str()])
            ));
        }
        hints.push(format!(
            "or go on with the run that it failed in, where there is one: {}",
            context.command(&["resume"])
        ));
        failure.hints = hints;
        Some(failure)
    }

    /// The same plan with `--use`.
    fn using(&self, chosen: Chosen) -> Command {
        self.again.clone().option("--use", chosen.name())
    }

    fn malformed(&self) -> Option<Failure> {
        let malformed = self
            .obstacles
            .iter()
            .filter_map(|(_, obstacle)| match obstacle {
                RollbackBlocker::Malformed(malformed) => Some(malformed),
                _ => None,
            });
        let mut malformed = malformed.peekable();
        malformed.peek()?;
        let mut failure =
            Failure::refused("a file of the plan cannot be read, and --use file wants it");
        for one in malformed {
            failure = failure.because(one.to_string());
        }
        Some(failure.hint(format!(
            "mend it, or run what was registered: {}",
            self.using(Chosen::Stored)
        )))
    }

    fn without_sql(&self, context: &CommandContext<'_>) -> Option<Failure> {
        let lacking = self
            .obstacles
            .iter()
            .filter_map(|(id, obstacle)| match obstacle {
                RollbackBlocker::NoSql { file_has } => Some((id, *file_has)),
                _ => None,
            });
        let lacking: Vec<_> = lacking.collect();
        let mut failure = match &lacking[..] {
            [] => return None,
            [(id, _)] => Failure::refused(format!("{id} has no rollback SQL")),
            many => Failure::refused(format!(
                "{} migrations of the plan have no rollback SQL",
                many.len()
            )),
        };
        for (id, file_has) in lacking {
            if file_has {
                failure = failure
                    .because(format!(
                        "{id}: it was registered without, and its file has some now"
                    ))
                    .hint(format!(
                        "register what the file says: {}",
                        context.command(&["sql", "register", id.as_str()])
                    ));
            } else {
                failure = failure
                    .because(format!("{id}: it was registered without"))
                    .hint(format!(
                        "have one written, look at it, and register it: {}",
                        context.command(&["sql", "template", id.as_str()])
                    ));
            }
        }
        Some(failure)
    }

    fn changed(&self) -> Option<Failure> {
        let changed = self
            .obstacles
            .iter()
            .filter(|(_, obstacle)| matches!(obstacle, RollbackBlocker::Changed(_)));
        let changed: Vec<&str> = changed.map(|(id, _)| id.as_str()).collect();
        let message = match &changed[..] {
            [] => return None,
            [id] => format!("the file of {id} says another rollback than what was registered"),
            many => format!(
                "{} files of the plan say another rollback than what was registered",
                many.len()
            ),
        };
        let mut failure = Failure::refused(message);
        if let [_, _, ..] = changed[..] {
            failure = failure.because(changed.join(", "));
        }
        Some(
            failure
                .hint(format!(
                    "to run what was registered: {}",
                    self.using(Chosen::Stored)
                ))
                .hint(format!(
                    "to run what the file says, and register that: {}",
                    self.using(Chosen::File)
                )),
        )
    }
}
