//! A script in one transaction with what is written down about it.

use super::step::{SqlStep, StepError};
use super::{RunningScript, SqlFiles};
use rollback_core::failpoint;
use rollback_core::revision::RevisionId;
use rollback_sql::script::Statement;

impl SqlFiles {
    pub(super) fn in_one_transaction(
        &self,
        step: &mut SqlStep<'_, '_>,
        id: &RevisionId,
        script: &RunningScript,
        statements: &[Statement],
    ) -> Result<(), StepError> {
        step.ours("begin a transaction", self.begin())?;
        let done = self.inside(step, id, script, statements).and_then(|()| {
            failpoint::point("before_commit");
            step.ours("commit", "COMMIT").map(drop)
        });
        if done.is_err() {
            step.roll_back();
        }
        failpoint::point("after_commit");
        done
    }

    /// The statements of a script and the rows about it, inside an open transaction.
    pub(super) fn inside(
        &self,
        step: &mut SqlStep<'_, '_>,
        id: &RevisionId,
        script: &RunningScript,
        statements: &[Statement],
    ) -> Result<(), StepError> {
        prepare(step, script)?;
        for at in 0..statements.len() {
            failpoint::point("before_statement");
            step.statement(script, at, statements)?;
            failpoint::point("after_statement");
        }
        self.write_the_end(step, id)
    }

    /// Writes down that a migration is gone.
    pub(super) fn write_the_end(
        &self,
        step: &mut SqlStep<'_, '_>,
        id: &RevisionId,
    ) -> Result<(), StepError> {
        let remote = self.supabase.get(id);
        for sql in self.tables.rolled_back(id, &self.by, remote) {
            step.ours("write down that it is rolled back", &sql)?;
        }
        Ok(())
    }
}

/// Brings the row up to the file, where that is what is run.
pub(super) fn prepare(step: &mut SqlStep<'_, '_>, script: &RunningScript) -> Result<(), StepError> {
    for sql in &script.before {
        step.ours("bring its row up to the file", sql)?;
    }
    Ok(())
}
