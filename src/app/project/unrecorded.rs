//! A version table whose rows say nothing that can be true: rows that are wrong, or none beside tables that the
//! migrations make.

use super::{MigrationSource, Project, StepRuns};
use crate::error::Failure;
use migration_forecast::{EventKind, Migrations as _};
use rollback_core::connection::VersionTable;
use rollback_core::dialect::Dialect;
use rollback_core::names::{TOLD, some};
use rollback_core::operation::Operation;
use rollback_core::revision::RevisionId;
use rollback_core::version_rows::{Defect, defects};

/// The tables of a database that no version row accounts for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unrecorded {
    /// Those that an upgrade makes, each with the first revision that does.
    made: Vec<(String, RevisionId)>,
    /// How many others there are.
    others: usize,
}

impl Project {
    /// Looks for them, if there are no version rows.
    pub(super) fn find_unrecorded(&mut self) -> Unrecorded {
        if !self.rows.ids().is_empty() || self.sql().is_some() {
            return Unrecorded::default();
        }
        let Some((_, table)) = self.connection() else {
            return Unrecorded::default();
        };
        let version_table = table.name.clone();
        let schema = self.schema().unwrap_or_default();
        let tables: Vec<String> = schema
            .tables
            .into_keys()
            .map(|table| table.name)
            .filter(|name| *name != version_table)
            .collect();
        let mut found = Unrecorded::default();
        if tables.is_empty() {
            return found;
        }
        let made = self.made_by_upgrades();
        for table in tables {
            match made.iter().find(|(name, _)| *name == table) {
                Some((_, revision)) => found.made.push((table, revision.clone())),
                None => found.others += 1,
            }
        }
        found
    }

    /// The tables that upgrades make, as far as that can be read, in the order of the history.
    fn made_by_upgrades(&self) -> Vec<(String, RevisionId)> {
        let MigrationSource::VersionFiles(files) = &self.source else {
            return Vec::new();
        };
        let dialect = self.dialect();
        let mut made = Vec::new();
        for revision in self.graph.revisions() {
            let id = RevisionId::new(revision.id.clone());
            for happened in &files.upgrade(&id, dialect).happened {
                let EventKind::Operation(operation) = &happened.event.kind else {
                    continue;
                };
                match &**operation {
                    Operation::CreateTable { table, .. } => {
                        made.push((table.name.clone(), id.clone()));
                    }
                    Operation::RenameTable { to, .. } => made.push((to.clone(), id.clone())),
                    _ => {}
                }
            }
        }
        made
    }

    /// What it means that there are no version rows, in one sentence that begins with `what`.
    pub(crate) fn without_rows(&self, what: &str) -> String {
        let Unrecorded { made, others } = &self.unrecorded;
        if !made.is_empty() {
            return format!(
                "{what}, and {}: the rows may have been deleted",
                self.unaccounted()
            );
        }
        match others {
            0 if self.has_own_connection() => {
                format!("{what}, and no table is in the database: nothing is applied")
            }
            0 => format!("{what}: nothing is applied"),
            1 => format!("{what}. 1 table is in the database that no migration is seen to make"),
            others => format!(
                "{what}. {others} tables are in the database that no migration is seen to make"
            ),
        }
    }

    /// Whether tables of the migrations are in a database that records no revision.
    pub(crate) fn has_unrecorded(&self) -> bool {
        !self.unrecorded.made.is_empty()
    }

    /// `table notes is in the database, which aaaa1111 makes`.
    fn unaccounted(&self) -> String {
        let made = &self.unrecorded.made;
        let tables = made
            .iter()
            .map(|(table, revision)| format!("{table} (made by {revision})"));
        let (noun, verb) = if made.len() == 1 {
            ("a table", "is")
        } else {
            ("tables", "are")
        };
        format!(
            "{noun} of the migrations {verb} in the database: {}",
            some(tables, TOLD)
        )
    }

    /// Refuses to plan for a database whose tables no version row accounts for.
    pub(super) fn is_recorded(&self, what: &str) -> Result<(), Failure> {
        if !self.has_unrecorded() {
            return Ok(());
        }
        let failure = Failure::refused(format!("{what}: it is not known which revisions are applied"))
            .because(format!("{}, and no revision is recorded for them", self.unaccounted()))
            .because("the rows may have been deleted, or this is another version table than the migrations used")
            .hint(format!(
                "find out which revision the schema is at: from the last deploy, a backup, or {}",
                self.command(&["history"])
            ));
        Err(match &self.engine {
            StepRuns::Alembic(engine) => failure.hint(format!(
                "then record it, which changes no table: {}",
                engine.own_command(&["stamp", "REVISION"])
            )),
            StepRuns::SqlFiles(_) => failure,
        })
    }

    /// The defects of the version rows, with the statement that corrects each. None for SQL files, whose table has
    /// a key.
    pub(crate) fn defects(&self) -> Vec<(Defect, String, String)> {
        if self.sql().is_some() {
            return Vec::new();
        }
        let usual = VersionTable::default();
        let table = self.connection().map_or(&usual, |(_, table)| table);
        let dialect = self
            .identity
            .as_ref()
            .and_then(|identity| Dialect::named(&identity.dialect));
        defects(self.rows.ids())
            .into_iter()
            .map(|defect| {
                let sentence = defect.sentence(table);
                let correction = defect.correction(table, dialect);
                (defect, sentence, correction)
            })
            .collect()
    }

    /// Refuses rows at which Alembic would fail after it did the statements of a step.
    pub(crate) fn has_sound_rows(&self) -> Result<(), Failure> {
        let defects = self.defects();
        let Some(((_, first, _), others)) = defects.split_first() else {
            return Ok(());
        };
        let mut failure = Failure::refused(format!("{first}: nothing was changed"));
        for (_, sentence, _) in others {
            failure = failure.because(sentence);
        }
        failure = failure.because(
            "Alembic does the statements of a step and then fails at such a row, which leaves the step half done on servers without transactions for DDL",
        );
        for (_, _, correction) in &defects {
            failure = failure.hint(format!("correct it: {correction}"));
        }
        Err(failure.hint(format!(
            "then see what is applied: {}",
            self.command(&["current"])
        )))
    }

    /// Refuses to run steps of which nothing would be kept.
    pub(crate) fn keeps_its_steps(&self) -> Result<(), Failure> {
        if !self.leaves_transaction_open {
            return Ok(());
        }
        Err(Failure::refused(
            "env.py leaves a transaction open, so that no migration would be kept: nothing was changed",
        )
        .because("a transaction was open when env.py called context.configure(): Alembic then leaves the commit to env.py, which does not commit")
        .hint("in env.py, call connection.commit() before context.configure(), or ask the database over another connection")
        .hint("alembic itself exits with 0 there and changes nothing, or on MariaDB, MySQL and SQLite half of it"))
    }

    /// Whether nothing of a step would be kept.
    pub(crate) fn leaves_transaction_open(&self) -> bool {
        self.leaves_transaction_open
    }
}

/// The rows that are told as defects need not be told as unknown revisions as well.
pub(crate) fn is_defect(id: &RevisionId) -> bool {
    id.as_str().trim().len() < id.as_str().len() || id.as_str().is_empty()
}
