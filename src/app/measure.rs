//! What stands between a step and its commit: what it did is measured, and judged by what the plan announced and the
//! operator agreed to.

use std::collections::BTreeSet;
use std::time::Duration;

use rollback_core::checks::{Health, is_named};
use rollback_core::connection::VersionTable;
use rollback_core::effect::{
    self, Announced, Consent, CountRequest, CountedInventory, Effect, Inventory, Surprise,
    Unfollowed, Verdict,
};
use rollback_core::outcome::{Difference, SchemaLines};
use rollback_core::query::Queries;
use rollback_core::runner::Measured;
use rollback_database::{DatabaseReader, effects_postgres};

/// For each count that confirms a surprise. The step is rolled back by then, and the run waits for nothing else.
const LIMIT: Duration = Duration::from_mins(1);

/// What was announced of a plan and agreed to, and what was measured of its steps.
#[derive(Default)]
pub(crate) struct Measure {
    /// By the position of the step.
    announced: Vec<Announced>,
    consent: Consent,
    /// Tables whose rows a step may take away.
    may_lose_rows: Vec<String>,
    /// What there was when the running step began.
    start: Option<Inventory>,
    /// What there was at the end of a step that was kept, by its position.
    last: Option<(usize, Inventory)>,
    /// What was counted inside the transaction of a step that was not kept.
    counted: Vec<(CountRequest, Option<u64>)>,
}

impl Measure {
    pub(crate) fn new(
        announced: Vec<Announced>,
        consent: Consent,
        may_lose_rows: Vec<String>,
    ) -> Self {
        Self {
            announced,
            consent,
            may_lose_rows,
            ..Self::default()
        }
    }

    /// Faults that the plan announces.
    pub(super) fn expected_faults(&self) -> BTreeSet<String> {
        let announced = self.announced.iter();
        announced
            .flat_map(Announced::not_validated)
            .cloned()
            .collect()
    }

    /// Notes what there is when a step begins.
    pub(crate) fn begins(
        &mut self,
        index: usize,
        transaction: &mut dyn Queries,
        table: &VersionTable,
    ) -> Result<(), String> {
        let before = index.checked_sub(1);
        let last = self.last.take().filter(|(at, _)| Some(*at) == before);
        let start = match last {
            Some((_, last)) => effects_postgres::inventory_at_start(transaction, table, &last),
            None => effects_postgres::inventory(transaction, table),
        };
        self.start = Some(start.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Measures a step before its commit; `None` where it was not seen to begin.
    pub(crate) fn measure(
        &mut self,
        index: usize,
        transaction: &mut dyn Queries,
        table: &VersionTable,
    ) -> Result<Option<Measured>, String> {
        let Some(start) = self.start.take() else {
            return Ok(None);
        };
        let end = effects_postgres::inventory_at_end(transaction, table, &start);
        let end = end.map_err(|error| error.to_string())?;
        let mut effect = Effect::between(&start, &end, Difference::default());
        effects_postgres::look_up_emptied(transaction, &mut effect)
            .map_err(|error| error.to_string())?;
        let verdict = self.judge(index, &effect);
        match &verdict {
            Verdict::Keep { .. } => self.last = Some((index, end)),
            Verdict::Undo(surprises) => {
                let requests = surprises.iter().filter_map(Surprise::needs_count);
                for request in requests {
                    let now = effects_postgres::count_now(transaction, &request)
                        .map_err(|error| error.to_string())?;
                    self.counted.push((request, now));
                }
            }
        }
        Ok(Some(Measured { effect, verdict }))
    }

    /// Whether a part of the step was not followed, so that it may use another connection or start a program.
    pub(crate) fn may_act_elsewhere(&self, index: usize) -> bool {
        let announced = self.announced.get(index);
        announced.is_none_or(|announced| announced.unfollowed() != Unfollowed::Nothing)
    }

    /// Whether effects may be kept that the plan did not announce.
    pub(crate) fn all_agreed(&self) -> bool {
        self.consent.unannounced
    }

    pub(crate) fn judge(&self, index: usize, effect: &Effect) -> Verdict {
        let nothing = Announced::default();
        let announced = self.announced.get(index).unwrap_or(&nothing);
        match effect::judge(effect, announced, &self.consent) {
            Verdict::Undo(surprises) => {
                let (excused, left): (Vec<_>, Vec<_>) =
                    surprises.into_iter().partition(|one| self.is_excused(one));
                if left.is_empty() {
                    Verdict::Keep { notes: excused }
                } else {
                    Verdict::Undo(left)
                }
            }
            keep @ Verdict::Keep { .. } => keep,
        }
    }

    /// Whether the settings say that the table may lose rows.
    fn is_excused(&self, surprise: &Surprise) -> bool {
        match surprise {
            Surprise::RowsDeleted { table, .. } | Surprise::TableEmptied { table, .. } => {
                let table = table.before().to_string();
                self.may_lose_rows.iter().any(|name| is_named(&table, name))
            }
            _ => false,
        }
    }

    /// Counts what a step that was rolled back would have lost, and agrees to what is nothing.
    pub(crate) fn confirm(
        &mut self,
        surprises: Vec<Surprise>,
        database: &mut dyn DatabaseReader,
    ) -> Vec<Surprise> {
        let counted = std::mem::take(&mut self.counted);
        surprises
            .into_iter()
            .filter_map(|surprise| {
                let Some(request) = surprise.needs_count() else {
                    return Some(surprise);
                };
                let sql = effects_postgres::count_after_rollback(&request);
                let Some(before) = number(database, &sql) else {
                    return Some(surprise);
                };
                let now = counted.iter().find(|(one, _)| *one == request);
                let confirmed = surprise
                    .clone()
                    .counted(before, now.and_then(|(_, now)| *now));
                if confirmed.is_none() {
                    self.consent.measured.push(surprise);
                }
                confirmed
            })
            .collect()
    }

    /// Measures a step that is kept already by what was read and counted around it. Tables that were not counted are
    /// no surprise: that was said before the run.
    pub(crate) fn afterwards(
        &self,
        index: usize,
        schemas: (&SchemaLines, &SchemaLines),
        healths: (&Health, &Health),
        difference: &Difference,
        table: &VersionTable,
    ) -> Measured {
        let read = |schema: &SchemaLines, health: &Health| {
            CountedInventory::new(schema, &health.counts, table)
        };
        let nothing = Announced::default();
        let announced = self.announced.get(index).unwrap_or(&nothing);
        let effect = Effect::counted(
            &read(schemas.0, healths.0),
            &read(schemas.1, healths.1),
            difference.clone(),
            announced,
        );
        let counted = Effect {
            unmeasured: Vec::new(),
            ..effect.clone()
        };
        Measured {
            verdict: self.judge(index, &counted),
            effect,
        }
    }
}

fn number(database: &mut dyn DatabaseReader, sql: &str) -> Option<u64> {
    let rows = database.query(sql, LIMIT).ok()??;
    rows.first()?.first()?.as_deref()?.parse().ok()
}
