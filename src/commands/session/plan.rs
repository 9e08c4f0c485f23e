//! The plan to a target as typed, and whether the database still stands where it begins.

use std::path::Path;

use super::{Rows, Session, listed};
use crate::domain::plan::{Plan, PlanError};
use crate::domain::revision::RevisionId;
use crate::error::Failure;
use crate::runner::Witness as _;

impl Session {
    /// Plans the way to a target as typed.
    pub(in super::super) fn plan(&self, target: &str) -> Result<Plan, Failure> {
        if let Rows::NoTable(table) = &self.rows {
            return Err(Failure::user(format!("the database has no version table {table}"))
                .because("no migration was ever run here, or this is another database than you think")
                .hint(format!("see which database it is: {}", self.current_command)));
        }
        target
            .parse()
            .map_err(PlanError::Target)
            .and_then(|target| Plan::new(&self.graph, self.rows.ids(), &target))
            .map_err(|error| self.plan_failure(&error))
    }

    /// Plans the removal of one revision as typed, with all that needs it.
    pub(in super::super) fn plan_removing(&self, revision: &str) -> Result<Plan, Failure> {
        Plan::removing(&self.graph, self.rows.ids(), revision)
            .map_err(|error| self.plan_failure(&error))
    }

    fn plan_failure(&self, error: &PlanError) -> Failure {
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
                failure.hint(target.hint())
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
    pub(in super::super) fn still_at(&mut self, plan: &Plan) -> Result<(), Failure> {
        let now = self.watched.heads().map_err(Failure::user)?;
        if now == plan.current {
            return Ok(());
        }
        let now: Vec<RevisionId> = now.into_iter().collect();
        Err(Failure::refused(format!(
            "the database moved to {} while the plan was being read",
            listed(&now)
        ))
        .because("somebody else is migrating it")
        .hint(format!(
            "see where it stands, then plan again: {}",
            self.current_command
        )))
    }
}
