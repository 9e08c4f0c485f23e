//! The plan to a target as typed, and whether the database still stands where it begins.

use std::path::Path;

use super::{Project, StartRows};
use crate::app::CommandContext;
use crate::error::Failure;
use rollback_core::names::in_short;
use rollback_core::plan::{Plan, PlanError};
use rollback_core::revision::RevisionId;
use rollback_core::runner::Verifier as _;
use rollback_core::target::Target;

/// How many commands are worth showing one by one.
const MOST_COMMANDS: usize = 10;

impl Project {
    /// Plans the way to a target as typed.
    pub(crate) fn plan(&self, target: &str) -> Result<Plan, Failure> {
        self.has_a_history()?;
        let parsed = match self.migration(target) {
            Some(id) => Ok(Target::Exactly(id)),
            None => target.parse().map_err(PlanError::Target),
        };
        parsed
            .and_then(|target| Plan::new(&self.graph, self.rows.ids(), &target))
            .map_err(|error| self.plan_failure(&error))
    }

    /// Plans the removal of exactly one migration of SQL files.
    pub(crate) fn plan_only(
        &self,
        typed: &str,
        context: &CommandContext<'_>,
    ) -> Result<Plan, Failure> {
        let Some(project) = self.sql() else {
            return Err(
                Failure::user("--only is for SQL files, and this is a project of Alembic")
                    .because("there a revision goes after all that were applied on top of it")
                    .hint(format!(
                        "see what has to go before it: {}",
                        context.command(&["check"]).value(typed)
                    ))
                    .hint(format!(
                        "then name a target: {}",
                        context.command(&["downgrade-safe"]).placeholder("target")
                    )),
            );
        };
        let plan = self.plan_removing(typed)?;
        let Some((only, before)) = plan.steps.split_last() else {
            return Ok(plan);
        };
        if before.is_empty() {
            return Ok(plan);
        }
        let needed = if before.len() == 1 {
            "another migration depends on it".to_owned()
        } else {
            format!("{} other migrations depend on it", before.len())
        };
        let mut failure = Failure::refused(format!(
            "{} cannot be rolled back alone, since {needed}: nothing was changed",
            only.removes
        ));
        for step in before {
            failure = failure.because(format!(
                "{} {}",
                step.removes,
                project.why(&step.removes, &plan)
            ));
        }
        failure = failure.hint(if before.len() == 1 {
            "roll that one back first".to_owned()
        } else {
            "roll them back first, in this order".to_owned()
        });
        for step in before.iter().take(MOST_COMMANDS) {
            let id = step.removes.as_str();
            failure = failure.hint(context.command(&["downgrade-safe"]).option("--only", id));
        }
        if let Some(more) = before.len().checked_sub(MOST_COMMANDS + 1) {
            failure = failure.hint(format!("and {} more", more + 1));
        }
        Err(failure)
    }

    /// Refuses to plan where there are no rows to plan by.
    pub(super) fn has_a_history(&self) -> Result<(), Failure> {
        self.has_sound_rows()?;
        let see = || format!("see which database it is: {}", self.command(&["current"]));
        match (&self.rows, self.sql()) {
            (StartRows::NoTable(table), None) if self.has_unrecorded() => {
                self.is_recorded(&format!("the database has no version table {table}"))
            }
            (StartRows::NoTable(table), None) => Err(Failure::user(format!(
                "the database has no version table {table}"
            ))
            .because("no migration was ever run here, or this is another database than you think")
            .hint(see())),
            (StartRows::NoTable(table), Some(_)) => {
                Err(Failure::user(format!("the database has no table {table} of this version"))
                    .because("it was not prepared yet, an older rollback prepared it, or this is another database than you think")
                    .hint(see())
                    .hint(format!("to make or update the tables: {}", self.command(&["sql", "install"]))))
            }
            (_, Some(project)) if project.history.records.is_empty() => Err(Failure::user(
                "no migration is registered in this database",
            )
            .because("nobody has written down yet what is applied, or this is another database than you think")
            .hint(see())
            .hint(format!("to write down what is applied: {}", self.command(&["sql", "sync"])))),
            _ => Ok(()),
        }
    }

    /// The migration of SQL files that is meant by its name, with or without `.sql`, or by the beginning of it.
    /// A name may look like a number of steps or like a branch.
    pub(super) fn migration(&self, typed: &str) -> Option<RevisionId> {
        self.sql()?;
        let typed = typed.trim();
        let name = typed.strip_suffix(".sql").unwrap_or(typed);
        let exact = RevisionId::new(name);
        if self.graph.get(&exact).is_some() {
            return Some(exact);
        }
        // What is so short may be a slip of the finger: `2` for `-2`.
        let is_short = name.len() < 4
            && !name.starts_with('0')
            && name.bytes().all(|byte| byte.is_ascii_digit());
        if is_short || name == "base" {
            return None;
        }
        let mut begun = self
            .graph
            .revisions()
            .iter()
            .filter(|revision| revision.id.starts_with(name));
        match (begun.next(), begun.next()) {
            (Some(one), None) => Some(RevisionId::new(one.id.clone())),
            _ => None,
        }
    }

    /// Plans the removal of one revision as typed, with all that needs it.
    pub(crate) fn plan_removing(&self, revision: &str) -> Result<Plan, Failure> {
        self.has_a_history()?;
        let named = self.migration(revision);
        let revision = named.as_ref().map_or(revision, RevisionId::as_str);
        Plan::removing(&self.graph, self.rows.ids(), revision)
            .map_err(|error| self.plan_failure(&error))
    }

    fn plan_failure(&self, error: &PlanError) -> Failure {
        let command = |words: &[&str]| self.command(words).to_string();
        if let (Some(project), PlanError::Target(target)) = (self.sql(), error) {
            return project.no_target(target, &command);
        }
        // No number of steps or revision can be below nothing.
        if self.rows.ids().is_empty()
            && let Err(failure) = self.is_recorded("the version table is empty")
        {
            return failure;
        }
        let failure = Failure::user(error.to_string());
        match error {
            PlanError::UnknownRevision(_) => failure
                .because("the code is older than the database, or the file was deleted")
                .hint("check out the code that the database was upgraded with, or bring the file back: git log --diff-filter=D --summary -- '*.py'"),
            PlanError::Target(target) => {
                let failure = match (target.is_a_lookup(), self.version_folders()) {
                    (true, Some(folders)) => failure.hint(format!("the version files were looked for in {folders}")),
                    _ => failure,
                };
                failure.hint(target.hint(&command))
            }
        }
    }

    /// The folders that the version files are in.
    fn version_folders(&self) -> Option<String> {
        let mut folders: Vec<String> = self
            .graph
            .revisions()
            .iter()
            .filter_map(|revision| Path::new(revision.path.as_ref()?).parent())
            .map(|folder| folder.display().to_string())
            .collect();
        folders.sort();
        folders.dedup();
        (!folders.is_empty()).then(|| folders.join(", "))
    }

    /// Looks again right before the first step: a person may have read the plan for long.
    pub(crate) fn still_at(&mut self, plan: &Plan) -> Result<(), Failure> {
        let now = self.watched.heads().map_err(Failure::user)?;
        if now == plan.current {
            return Ok(());
        }
        let now: Vec<RevisionId> = now.into_iter().collect();
        Err(Failure::refused(format!(
            "the database moved to {} while the plan was being read",
            in_short(&now)
        ))
        .because("somebody else is migrating it")
        .hint(format!(
            "see where it stands, then plan again: {}",
            self.command(&["current"])
        )))
    }
}
