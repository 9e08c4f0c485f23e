//! What is compared around a step apart from the schema: rows and faults of the data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::audit;
use super::connection::{RowsAre, VersionTable};
use super::effect::Effect;
use super::proof::StepSession;
use super::schema::Difference;
use crate::figures::{count, thousands};

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub rows: u64,
    /// Whether they were counted. Else it is the server's estimate, which moves by itself.
    pub exact: bool,
}

/// The rows of each table, under the name that the schema gives it.
pub type Counts = BTreeMap<String, Count>;

/// Each kind of fault found, as a sentence, and how often.
pub type Faults = BTreeMap<String, u64>;

/// The fault of a constraint of PostgreSQL, named as `c of public.t`.
pub fn not_validated(constraint: &str) -> String {
    format!("the constraint {constraint} is not validated")
}

/// What a step or run that broke off left in or beside the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// A table that Alembic makes and renames in a batch migration.
    Table(String),
    /// An index that is not valid.
    Index(String),
    /// A copy of a SQLite file.
    Snapshot(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => write!(
                formatter,
                "the table {name} of a batch migration is left over"
            ),
            Self::Index(name) => write!(formatter, "the index {name} is invalid"),
            Self::Snapshot(path) => write!(
                formatter,
                "a run with --atomic left a copy of the file as it was before: {}",
                path.display()
            ),
        }
    }
}

/// The data at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Rows.
    pub counts: Counts,
    /// Faults; `None` where there was no time to look.
    pub faults: Option<Faults>,
    /// What was too much for the budget and so is not among the faults, found or not.
    pub unchecked: BTreeSet<String>,
    /// On PostgreSQL a snapshot of before the rows were counted, as the server writes it.
    pub snapshot: Option<String>,
}

/// What a step did to the rows of tables that it had no business with, a sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostRows {
    /// The step removed them.
    pub by_step: Vec<String>,
    /// The step did not: somebody else removed them while it ran.
    pub by_others: Vec<String>,
    /// Nobody can tell who removed them.
    pub unknown: Vec<String>,
}

/// What is known of the rows that a step removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removed<'a> {
    /// By its own session, if all of that is known.
    pub session: Option<&'a StepSession>,
    /// As it was measured inside its transaction, judged and kept.
    pub judged: Option<&'a Effect>,
    /// Whether the operator agreed to whatever is measured there.
    pub all_agreed: bool,
}

impl Health {
    /// The tables that lost rows while a step ran which had no business with them.
    ///
    /// Rows may go from a table that the step changed, from the version table, from those that
    /// `may_lose_rows` names, and by a step that changes no schema at all: its data is what it is
    /// about, and real histories are full of such steps.
    pub fn rows_lost(
        &self,
        before: &Self,
        difference: &Difference,
        version_table: &VersionTable,
        may_lose_rows: &[String],
        removed: Removed<'_>,
    ) -> LostRows {
        let mut lost = LostRows::default();
        for (table, now) in &self.counts {
            let Some(was) = before.counts.get(table) else {
                continue;
            };
            let excused = difference.is_empty()
                || touches(difference, table)
                || is_version_table(table, version_table)
                || may_lose_rows.iter().any(|name| is_named(table, name));
            if excused || !was.exact || !now.exact || now.rows >= was.rows {
                continue;
            }
            let counted = format!(
                "table {table} had {} and has {}",
                count(was.rows, "row"),
                thousands(now.rows)
            );
            let gone = was.rows - now.rows;
            let judged = removed
                .judged
                .and_then(|effect| effect.may_have_removed(table, gone));
            if judged == Some(true) && removed.all_agreed {
                continue;
            }
            let session = removed.session;
            let session = session.and_then(|session| session.may_have_removed(table, gone));
            // What the session told is by partition; what was measured is summed at their root.
            match session.or(judged) {
                Some(false) => lost.by_others.push(format!(
                    "{counted}: the step's own session did not remove them"
                )),
                Some(true) => lost.by_step.push(format!(
                    "{counted}, though the step did not change its schema"
                )),
                None => lost.unknown.push(format!(
                    "{counted}, though the step did not change its schema"
                )),
            }
        }
        lost
    }

    /// The number of rows of each table that was counted to the end.
    pub fn exact_rows(&self) -> BTreeMap<String, u64> {
        let exact = self.counts.iter().filter(|(_, count)| count.exact);
        exact
            .map(|(table, count)| (table.clone(), count.rows))
            .collect()
    }

    /// The faults that came with a step, a sentence each. One that could not be looked for before may be an
    /// old one and is none.
    pub fn new_faults(&self, before: &Self) -> Vec<String> {
        let pair = self.faults.iter().zip(&before.faults);
        let faults =
            pair.flat_map(|(now, was)| now.iter().map(move |(fault, now)| (fault, now, was)));
        let faults = faults.filter_map(|(fault, now, was)| {
            let was = was.get(fault).copied().unwrap_or_default();
            if *now <= was || before.unchecked.contains(fault) {
                return None;
            }
            Some(match (now, was) {
                (1, 0) => fault.clone(),
                _ => format!("{fault}: {now} now, {was} before the step"),
            })
        });
        faults.collect()
    }

    /// The tables whose rows could not be counted in time.
    pub fn estimated(&self) -> Vec<&str> {
        let estimated = self.counts.iter().filter(|(_, count)| !count.exact);
        estimated.map(|(table, _)| table.as_str()).collect()
    }
}

/// Lines that say what a table consists of.
const PARTS: [&str; 12] = [
    "table ",
    "column ",
    "index ",
    "primary key ",
    "unique ",
    "foreign key ",
    "check ",
    "constraint ",
    "trigger ",
    "partition ",
    "partitioned ",
    "inherits ",
];

/// Lines that say something else about a table.
const PROPERTIES: [&str; 12] = [
    "constraint trigger ",
    "definer trigger ",
    "foreign table ",
    "grant ",
    "options ",
    "owner ",
    "policy ",
    "replica identity ",
    "revoke ",
    "row security ",
    "rule ",
    "unlogged ",
];

/// The name of the table and what follows it, of a line about a table, a part or a property of one.
pub fn object(line: &str) -> Option<&str> {
    let kinds = PROPERTIES.iter().chain(&PARTS);
    kinds.copied().find_map(|kind| line.strip_prefix(kind))
}

/// Whether a line of the difference is about the table itself or a part of it. A right or another property
/// does not explain that rows are gone.
pub fn touches(difference: &Difference, table: &str) -> bool {
    difference.gone.iter().chain(&difference.new).any(|line| {
        let is_property = PROPERTIES.iter().any(|kind| line.starts_with(kind));
        let rest = object(line).filter(|_| !is_property);
        rest.and_then(|rest| rest.strip_prefix(table))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
    })
}

fn is_version_table(table: &str, version: &VersionTable) -> bool {
    match &version.schema {
        Some(schema) => is_named(table, &format!("{schema}.{}", version.name)),
        None => is_named(table, &version.name),
    }
}

/// The tables of SQL-file migrations.
const OF_HISTORY: [&str; 5] = [
    "migration_history",
    "migration_dependencies",
    "migration_snapshots",
    "migration_audit",
    "migration_history_version",
];

/// Whether a table is one in which migrations of SQL files are written down, by us or by Supabase: its rows come
/// and go with every step.
pub fn is_bookkeeping(table: &str, version: &VersionTable) -> bool {
    let of = |name: &&str| match &version.schema {
        Some(schema) => is_named(table, &format!("{schema}.{name}")),
        None => is_named(table, name),
    };
    version.rows == RowsAre::History
        && (OF_HISTORY.iter().any(of) || is_named(table, "supabase_migrations.schema_migrations"))
}

/// Whether rollback itself writes the table, or reads it as the version table: its rows prove nothing about a step.
pub fn is_rollbacks_own(table: &str, version: &VersionTable) -> bool {
    is_version_table(table, version)
        || is_bookkeeping(table, version)
        || is_named(table, audit::TABLE)
}

/// Whether a table of the schema is meant by a name with or without its schema; quotes do not count.
/// Whether a table is meant by a name that may lack the schema.
pub fn is_named(table: &str, name: &str) -> bool {
    let bare = |text: &str| text.replace('"', "");
    let (table, name) = (bare(table), bare(name));
    table == name || table.ends_with(&format!(".{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{DroppedTable, TableIdentity};

    /// Red where a step that is written down is taken for one that lost rows.
    #[test]
    fn tables_that_migrations_are_written_down_in_are_known() {
        let own = VersionTable::of_history(Some("rollback"));
        let is = |table| is_bookkeeping(table, &own);
        assert!(is("rollback.migration_history"));
        assert!(is("rollback.migration_audit"));
        assert!(is("supabase_migrations.schema_migrations"));
        assert!(!is("public.migration_history"));
        assert!(!is("rollback.orders"));
        let plain = VersionTable::of_history(None);
        assert!(is_bookkeeping("migration_dependencies", &plain));
        assert!(!is_bookkeeping(
            "migration_history",
            &VersionTable::default()
        ));
    }

    fn health(counts: &[(&str, u64, bool)], faults: &[(&str, u64)]) -> Health {
        let counts = counts.iter().map(|(table, rows, exact)| {
            let count = Count {
                rows: *rows,
                exact: *exact,
            };
            ((*table).to_owned(), count)
        });
        Health {
            counts: counts.collect(),
            faults: Some(faults.iter().map(|(f, n)| ((*f).to_owned(), *n)).collect()),
            ..Health::default()
        }
    }

    fn worse(before: &Health, after: &Health, line: &str) -> Vec<String> {
        let difference = Difference {
            gone: vec![line.to_owned()],
            new: Vec::new(),
        };
        let lost = after.rows_lost(
            before,
            &difference,
            &VersionTable::default(),
            &["r".to_owned()],
            Removed::default(),
        );
        let mut worse = lost.unknown;
        worse.extend(after.new_faults(before));
        worse
    }

    #[test]
    fn rows_may_go_only_where_the_step_was_at_work() {
        let before = health(&[("t", 3, true)], &[]);
        let after = health(&[("t", 2, true)], &[]);
        assert_eq!(worse(&before, &after, "column tt.x int").len(), 1);
        assert_eq!(worse(&before, &after, "grant t select to x").len(), 1);
        assert_eq!(worse(&before, &after, "constraint trigger t.x y").len(), 1);
        for line in [
            "column t.x int",
            "table t",
            "unique t (x)",
            "partition t.p0 hash (x)",
        ] {
            assert_eq!(worse(&before, &after, line), [""; 0], "{line}");
        }
        for table in ["alembic_version", "public.alembic_version", "s.r"] {
            let [before, after] = [3, 2].map(|rows| health(&[(table, rows, true)], &[]));
            assert_eq!(worse(&before, &after, ""), [""; 0], "{table}");
        }
    }

    /// Red if a measured effect outweighs what the session told, or excuses rows without consent.
    #[test]
    fn rows_are_held_against_whoever_removed_them() {
        let before = health(&[("t", 3, true)], &[]);
        let after = health(&[("t", 2, true)], &[]);
        let difference = Difference {
            gone: vec!["table u".to_owned()],
            new: Vec::new(),
        };
        let lost = |removed: Removed<'_>| {
            let lost =
                after.rows_lost(&before, &difference, &VersionTable::default(), &[], removed);
            [lost.by_step.len(), lost.by_others.len(), lost.unknown.len()]
        };
        let mut session = StepSession::default();
        let effect = Effect::default();
        let by_effect = Removed {
            judged: Some(&effect),
            ..Removed::default()
        };
        assert_eq!(lost(Removed::default()), [0, 0, 1]);
        assert_eq!(lost(by_effect), [0, 1, 0]);
        session.deleted.insert("t".to_owned(), 1);
        let both = Removed {
            session: Some(&session),
            ..by_effect
        };
        assert_eq!(lost(both), [1, 0, 0]);
        let emptied = Effect {
            dropped_tables: vec![DroppedTable {
                table: TableIdentity {
                    name: "t".to_owned(),
                    ..TableIdentity::default()
                },
                held_data: true,
                rows: None,
                replaced: true,
            }],
            ..Effect::default()
        };
        let by_emptied = Removed {
            judged: Some(&emptied),
            ..Removed::default()
        };
        assert_eq!(lost(by_emptied), [1, 0, 0]);
        let agreed = Removed {
            all_agreed: true,
            ..by_emptied
        };
        assert_eq!(lost(agreed), [0, 0, 0]);
    }

    #[test]
    fn an_estimate_is_never_a_fault() {
        let exact = |one, other| {
            let before = health(&[("t", 3, one)], &[]);
            worse(&before, &health(&[("t", 1, other)], &[]), "").len()
        };
        assert_eq!(
            [exact(true, false), exact(false, true), exact(true, true)],
            [0, 0, 1]
        );
    }

    #[test]
    fn only_new_faults_count() {
        let old = health(&[], &[("f", 2)]);
        assert_eq!(worse(&old, &old, ""), [""; 0]);
        let more = health(&[], &[("f", 3), ("g", 1)]);
        assert_eq!(worse(&old, &more, ""), ["f: 3 now, 2 before the step", "g"]);
        let mut unknown = old;
        unknown.unchecked.insert("g".to_owned());
        assert_eq!(worse(&unknown, &more, ""), ["f: 3 now, 2 before the step"]);
        unknown.faults = None;
        assert_eq!(worse(&unknown, &more, ""), [""; 0]);
    }
}
