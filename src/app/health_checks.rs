//! What is checked around the steps beside the version rows: rows, faults and the project's checks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::CommandContext;
use crate::checks::{CheckDirectory, ProjectCheck, What, When};
use crate::error::Failure;
use rollback_core::checks::{Counts, Faults, Health, Removed, is_bookkeeping};
use rollback_core::connection::VersionTable;
use rollback_core::journal::{Checked, RecordedRows};
use rollback_core::outcome::Difference;
use rollback_core::runner::Findings;
use rollback_core::secret::{Secret, mask};
use rollback_database::DatabaseReader;

/// What is looked through, with the version table, where there is such a way.
pub(crate) type Own<'a> = Option<(&'a mut (dyn DatabaseReader + 'a), &'a VersionTable)>;

/// The checks of a run and what they saw last.
pub(crate) struct HealthChecks {
    checks: Vec<ProjectCheck>,
    place: CheckDirectory,
    budget: Duration,
    may_lose_rows: Vec<String>,
    /// Faults that the plan announced.
    expected: BTreeSet<String>,
    secrets: Vec<Secret>,
    health: Option<Health>,
    /// As it was looked at before that.
    previous: Option<Health>,
    /// As it was before the first step.
    start: Option<Health>,
    /// The checks that were made and are not written down yet.
    made: Vec<Checked>,
    /// Looking at all at once failed, and is not tried again: both ways would be gone for each step.
    pub(crate) each_by_itself: bool,
}

impl HealthChecks {
    pub(crate) fn new(context: &CommandContext<'_>, secrets: Vec<Secret>) -> Self {
        let settings = context.settings;
        Self {
            checks: settings.checks.clone(),
            place: CheckDirectory {
                dir: context.dir.to_owned(),
                environment: context.environment.clone(),
                interrupt: context.interrupt.clone(),
            },
            budget: settings.check_budget,
            may_lose_rows: settings.may_lose_rows.clone(),
            expected: BTreeSet::new(),
            secrets,
            health: None,
            previous: None,
            start: None,
            made: Vec::new(),
            each_by_itself: false,
        }
    }

    /// These faults are what the plan is to do.
    pub(super) fn expect(&mut self, faults: BTreeSet<String>) {
        self.expected = faults;
    }

    /// The time for counting rows, and again for looking for faults.
    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// The checks that come before. Nothing was changed yet, so a failure is a refusal.
    pub(crate) fn before(&mut self, mut own: Own<'_>) -> Result<(), Failure> {
        let asks = |check: &&ProjectCheck| matches!(check.what, What::Sql { .. });
        if own.is_none()
            && let Some(check) = self.checks.iter().find(asks)
        {
            return Err(Failure::refused(format!(
                "the check \"{}\" cannot be made: there is no connection of our own to this database",
                check.name
            ))
            .hint("write it as a command, or give the database URL"));
        }
        let mut faults = self.run(When::Before, borrowed(&mut own));
        if !faults.is_empty() {
            let mut failure = Failure::refused(faults.remove(0));
            for fault in faults {
                failure = failure.because(fault);
            }
            return Err(failure.hint("mend what the check found, or take it out of the settings"));
        }
        Ok(())
    }

    /// The data as it was looked at last.
    pub(crate) fn health(&self) -> Option<&Health> {
        self.health.as_ref()
    }

    /// The data before and after the step that was looked at last.
    pub(crate) fn around_the_step(&self) -> Option<(&Health, &Health)> {
        Some((self.previous.as_ref()?, self.health.as_ref()?))
    }

    /// The state that each step is compared with; `seen` where it was looked at already.
    pub(crate) fn compare_with(
        &mut self,
        own: Own<'_>,
        seen: Option<Health>,
        context: &CommandContext<'_>,
    ) -> Result<(), Failure> {
        if let Some((database, table)) = own {
            let health = seen.map_or_else(|| look(database, table, self.budget), Ok);
            let health = health.map_err(|reason| {
                Failure::refused(format!("the checks cannot be made: {reason}"))
                    .hint("to run without looking after each step: --no-validate")
            })?;
            let estimated = health.estimated();
            if !estimated.is_empty() {
                context.ui.warn(&format!(
                    "not counted within {} s, so that lost rows would not be seen: {} (check_budget in rollback.toml)",
                    self.budget.as_secs_f64(),
                    estimated.join(", ")
                ));
            }
            self.start = Some(health.clone());
            self.health = Some(health);
        }
        Ok(())
    }

    /// Everything was rolled back: the next step is compared with the start again.
    pub(crate) fn begin_again(&mut self) {
        self.health.clone_from(&self.start);
    }

    /// A check after a step that does not ask the database over our own connection, and so cannot see what
    /// was not committed.
    pub(crate) fn check_without_a_query(&self) -> Option<&ProjectCheck> {
        self.checks
            .iter()
            .find(|check| check.when != When::Before && !matches!(check.what, What::Sql { .. }))
    }

    /// What got worse by a step, and the project's checks after it; `seen` where the data was looked at already.
    pub(crate) fn after_step(
        &mut self,
        mut own: Own<'_>,
        seen: Option<Health>,
        difference: &Difference,
        removed: Removed<'_>,
    ) -> Findings {
        let mut found = Findings::default();
        if let Some((database, table)) = &mut own {
            match seen.map_or_else(|| look(*database, table, self.budget), Ok) {
                Ok(health) => {
                    if let Some(before) = &self.health {
                        let may_lose_rows = &self.may_lose_rows;
                        let lost =
                            health.rows_lost(before, difference, table, may_lose_rows, removed);
                        let mut new = health.new_faults(before);
                        new.retain(|fault| !self.expected.contains(fault));
                        found.may_be_others = !lost.unknown.is_empty();
                        found.warnings = lost.by_others;
                        let lost = [lost.by_step, lost.unknown].concat();
                        if !health.counts.is_empty() {
                            self.made.push(checked("rows", &lost));
                        }
                        if health.faults.is_some() {
                            self.made.push(checked("faults", &new));
                        }
                        found.faults = [lost, new].concat();
                    }
                    self.previous = self.health.replace(health);
                }
                Err(reason) => {
                    found.faults = vec![format!("the checks cannot be made: {reason}")];
                    self.made.push(checked("rows", &found.faults));
                }
            }
        }
        found.faults.extend(self.run(When::AfterStep, own));
        found
    }

    /// The project's checks of one moment; a sentence for each that fails.
    pub(crate) fn run(&mut self, when: When, mut own: Own<'_>) -> Vec<String> {
        let due = self.checks.iter().filter(|check| check.when == when);
        let mut made = Vec::new();
        let failed = due.filter_map(|check| {
            let result = check.run(&self.place, &mut |sql, limit| match &mut own {
                Some((database, _)) => match database.query(sql, limit) {
                    Ok(Some(rows)) => Ok(rows),
                    Ok(None) => Err(format!("no answer within {} s", limit.as_secs_f64())),
                    Err(error) => Err(error.to_string()),
                },
                None => Err("there is no connection of our own".to_owned()),
            });
            let fault = result.err().map(|reason| mask(&reason, &self.secrets));
            made.push(Checked::new(check.name.clone(), fault.clone()));
            fault
        });
        let failed = failed.collect();
        self.made.extend(made);
        failed
    }

    /// The checks that were made since this was asked last.
    pub(crate) fn take_made(&mut self) -> Vec<Checked> {
        std::mem::take(&mut self.made)
    }

    /// The rows before the first step; empty where they were not counted.
    pub(crate) fn rows_at_the_start(&self) -> BTreeMap<String, RecordedRows> {
        self.start.as_ref().map(rows).unwrap_or_default()
    }

    /// The rows at the end. What was counted after the last step holds, unless the run ended otherwise than by
    /// it: then they are counted once more.
    pub(crate) fn rows_at_the_end(
        &mut self,
        as_last_seen: bool,
        own: Own<'_>,
    ) -> BTreeMap<String, RecordedRows> {
        if let (false, Some(_), Some((database, table))) = (as_last_seen, &self.start, own) {
            let counts = counts(database, table, self.budget).ok();
            self.health = counts.map(|counts| Health {
                counts,
                ..Health::default()
            });
        }
        self.health.as_ref().map(rows).unwrap_or_default()
    }
}

fn rows(health: &Health) -> BTreeMap<String, RecordedRows> {
    let rows = health.counts.iter().map(|(table, count)| {
        let rows = RecordedRows {
            rows: count.rows,
            exact: count.exact,
        };
        (table.clone(), rows)
    });
    rows.collect()
}

fn checked(name: &str, faults: &[String]) -> Checked {
    Checked::new(name, (!faults.is_empty()).then(|| faults.join("; ")))
}

fn borrowed<'a>(own: &'a mut Own<'_>) -> Own<'a> {
    match own {
        Some((look, table)) => Some((&mut **look, table)),
        None => None,
    }
}

/// The rows of the project's own tables.
fn counts(
    database: &mut dyn DatabaseReader,
    table: &VersionTable,
    budget: Duration,
) -> Result<Counts, String> {
    let counts = database
        .row_counts(budget)
        .map_err(|error| error.to_string())?;
    Ok(own_tables(counts, table))
}

fn own_tables(counts: Option<Counts>, table: &VersionTable) -> Counts {
    let mut counts = counts.unwrap_or_default();
    counts.retain(|name, _| !is_bookkeeping(name, table));
    counts
}

fn look(
    database: &mut dyn DatabaseReader,
    table: &VersionTable,
    budget: Duration,
) -> Result<Health, String> {
    // Before the count, so that what is committed in between is newer.
    let snapshot = database.snapshot();
    let counts = database
        .row_counts(budget)
        .map_err(|error| error.to_string())?;
    let faults = database.faults(budget).map_err(|error| error.to_string())?;
    Ok(Health {
        snapshot,
        ..health(counts, faults, table)
    })
}

/// The data as it was counted and looked through.
pub(crate) fn health(
    counts: Option<Counts>,
    faults: Option<(Faults, BTreeSet<String>)>,
    table: &VersionTable,
) -> Health {
    let (faults, unchecked) = faults.map_or((None, BTreeSet::new()), |(faults, unchecked)| {
        (Some(faults), unchecked)
    });
    Health {
        counts: own_tables(counts, table),
        faults,
        unchecked,
        snapshot: None,
    }
}
