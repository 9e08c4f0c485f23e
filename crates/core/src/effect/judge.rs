//! Whether a step may be kept.

use super::{Announced, Effect, Surprise, TableIdentity, Unfollowed, Unmeasured, objects};

/// What the operator agreed to beyond the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// `--allow unannounced`: any surprise.
    pub unannounced: bool,
    /// Surprises that were measured before, shown and agreed to.
    pub measured: Vec<Surprise>,
    /// An object that holds no data may not go unannounced either.
    pub strict: bool,
}

/// What becomes of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Keep {
        /// What the plan did not name and is kept anyway: it costs no data, the operator agreed, or the plan said that
        /// part of the step was not understood.
        notes: Vec<Surprise>,
    },
    /// It is to be rolled back, for these reasons.
    Undo(Vec<Surprise>),
}

/// Compares what a step did with what was announced and agreed to.
pub fn judge(effect: &Effect, announced: &Announced, consent: &Consent) -> Verdict {
    let mut notes = Vec::new();
    let mut surprises = Vec::new();
    for surprise in unannounced(effect, announced) {
        let tolerated = surprise.is_schema_only() && !consent.strict;
        // Who agreed to code that nobody could read did not agree to a loss that is known by now.
        let unfollowed = match announced.unfollowed() {
            _ if surprise.is_loss() => announced.deletes_anywhere() && surprise.is_of_rows(),
            Unfollowed::Nothing => false,
            Unfollowed::Rows => surprise.is_of_rows(),
            Unfollowed::Anything => true,
        };
        let agreed = consent.measured.iter().any(|one| one.covers(&surprise));
        if tolerated || unfollowed || agreed || consent.unannounced {
            notes.push(surprise);
        } else {
            surprises.push(surprise);
        }
    }
    if surprises.is_empty() {
        Verdict::Keep { notes }
    } else {
        Verdict::Undo(surprises)
    }
}

/// All that the plan did not name.
fn unannounced(effect: &Effect, announced: &Announced) -> Vec<Surprise> {
    let mut found = Vec::new();
    tables(effect, announced, &mut found);
    columns(effect, announced, &mut found);
    rows(effect, announced, &mut found);
    found.extend(effect.unmeasured.iter().filter_map(|why| {
        let named = |table: &String| {
            let table = TableIdentity {
                name: table.clone(),
                unqualified: true,
                ..TableIdentity::default()
            };
            announced.may(&table, |expected| expected.deletes)
        };
        let all_named =
            matches!(why, Unmeasured::NotCounted { tables } if tables.iter().all(named));
        (!all_named).then(|| Surprise::NotMeasured { why: why.clone() })
    }));
    found.extend(objects::unannounced(effect, announced));
    found
}

fn tables(effect: &Effect, announced: &Announced, found: &mut Vec<Surprise>) {
    for dropped in &effect.dropped_tables {
        let named = announced.may(&dropped.table, |expected| {
            expected.dropped || dropped.replaced && expected.recreated
        });
        let shown = named && (dropped.replaced || announced.shows_lost_tables());
        if !shown && dropped.held_data {
            found.push(Surprise::TableDropped {
                table: dropped.table.clone(),
                rows: dropped.rows,
            });
        } else if !named {
            found.push(Surprise::ObjectDropped {
                object: "table".to_owned(),
                name: dropped.table.to_string(),
            });
        }
    }
    for renamed in &effect.renamed_tables {
        if !announced.may(renamed, |expected| expected.renamed) {
            found.push(Surprise::TableRenamed {
                table: renamed.clone(),
            });
        }
    }
    for detached in &effect.detached_partitions {
        if !announced.names(&detached.partition) && !announced.names(&detached.parent) {
            found.push(Surprise::PartitionDetached {
                partition: detached.partition.clone(),
                parent: detached.parent.clone(),
            });
        }
    }
}

fn columns(effect: &Effect, announced: &Announced, found: &mut Vec<Surprise>) {
    for dropped in &effect.dropped_columns {
        // A column that is known by its name only may have got another one.
        let by_name = dropped.table.now.is_none();
        let announced = announced.may(&dropped.table, |expected| {
            expected.dropped
                || announced.is_in(&expected.dropped_columns, &dropped.column)
                || by_name && announced.is_in(&expected.changed_columns, &dropped.column)
        });
        if !announced {
            found.push(Surprise::ColumnDropped {
                table: dropped.table.clone(),
                column: dropped.column.clone(),
                values: None,
            });
        }
    }
    // Without a new copy the values are what they were.
    for retyped in effect.retyped_columns.iter().filter(|one| one.rewritten) {
        let announced = announced.may(&retyped.table, |expected| {
            expected.dropped
                || announced.is_in(&expected.changed_columns, &retyped.column)
                || announced.is_in(&expected.dropped_columns, &retyped.column)
        });
        if !announced {
            found.push(Surprise::ColumnRetyped {
                table: retyped.table.clone(),
                column: retyped.column.clone(),
                from: retyped.from.clone(),
                to: retyped.to.clone(),
            });
        }
    }
}

fn rows(effect: &Effect, announced: &Announced, found: &mut Vec<Surprise>) {
    for changed in &effect.changed_rows {
        let deletes = announced.may(&changed.table, |expected| {
            expected.deletes || expected.dropped
        });
        if changed.deleted > 0 && !deletes {
            found.push(Surprise::RowsDeleted {
                table: changed.table.clone(),
                rows: changed.deleted,
                inserted: changed.inserted,
                exact: changed.exact,
            });
        }
        // A trigger may set something in a table that the plan names for another reason.
        if changed.updated > 0 && !announced.names(&changed.table) {
            found.push(Surprise::RowsUpdated {
                table: changed.table.clone(),
                rows: changed.updated,
            });
        }
    }
    let emptied = effect.rewritten_tables.iter();
    for rewritten in emptied.filter(|one| one.emptied != Some(false)) {
        let deletes = announced.may(&rewritten.table, |expected| {
            expected.deletes || expected.dropped
        });
        if !deletes {
            found.push(Surprise::TableEmptied {
                table: rewritten.table.clone(),
                rows: None,
                inserted: rewritten.inserted,
                certain: rewritten.emptied == Some(true),
            });
        }
    }
}
