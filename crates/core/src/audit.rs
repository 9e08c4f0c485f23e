//! The table that runs are written to in the database itself.
//!
//! It is ours and no part of what is rolled back, so it is taken out of whatever is compared: a run with the
//! table shows no other difference than one without.

use super::checks::{Counts, object};
use super::names::heads;
use super::run_report::{Named, RunReport};
use super::schema::SchemaLines;
use super::schema_names::path;

/// Its name.
pub const TABLE: &str = "rollback_audit";

/// The column of the run's id, by which a row is found again.
pub const KEY: &str = "run";

/// The column of the account as JSON.
pub const REPORT: &str = "report";

/// One run, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Each column with what it holds, the key first.
    pub columns: Vec<(&'static str, AuditValue)>,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditValue {
    /// Text, or nothing.
    Text(Option<String>),
    /// A small number, or nothing.
    Number(Option<u8>),
}

impl Row {
    /// The row of a run; `report` is its account as JSON.
    pub fn of(document: &RunReport, report: String) -> Self {
        let text = |text: &str| AuditValue::Text(Some(text.to_owned()));
        let optional = |text: &Option<String>| AuditValue::Text(text.clone());
        Self {
            columns: vec![
                (KEY, text(&document.run)),
                ("began", text(&document.began)),
                ("ended", optional(&document.ended)),
                ("executed_by", text(&document.executed_by.user)),
                ("host", text(&document.executed_by.host)),
                ("target", text(&document.target)),
                ("from_revisions", text(&ids(&document.from))),
                (
                    "to_revisions",
                    AuditValue::Text(document.to.as_deref().map(ids)),
                ),
                ("reason", optional(&document.reason)),
                ("incident", optional(&document.incident)),
                ("approved_by", optional(&document.approved_by)),
                ("result", text(document.status.word())),
                ("exit_code", AuditValue::Number(document.exit_code)),
                ("tool_version", text(&document.tool)),
                (REPORT, AuditValue::Text(Some(report))),
            ],
        }
    }
}

fn ids(revisions: &[Named]) -> String {
    heads(revisions.iter().map(|named| &named.revision))
}

/// A schema without the table. `qualified` is whether its lines name tables with their schema.
pub fn without(mut schema: SchemaLines, qualified: bool) -> SchemaLines {
    schema.retain(|line| !object(line).is_some_and(|name| is_of_the_table(name, qualified)));
    schema.tables.retain(|table, _| table.name != TABLE);
    schema
}

/// Counts without those of the table.
pub fn not_counted(mut counts: Counts, qualified: bool) -> Counts {
    counts.retain(|name, _| !is_of_the_table(name, qualified));
    counts
}

fn is_of_the_table(name: &str, qualified: bool) -> bool {
    let (names, _) = path(name);
    names
        .get(usize::from(qualified))
        .is_some_and(|name| name == TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(lines: &[&str], qualified: bool) -> Vec<String> {
        let schema = lines.iter().map(ToString::to_string).collect();
        without(schema, qualified).into_iter().collect()
    }

    #[test]
    fn the_table_goes_and_nothing_that_only_sounds_like_it() {
        assert_eq!(
            left(
                &[
                    "table rollback_audit",
                    "column rollback_audit.run varchar(64) not null",
                    "primary key rollback_audit (run)",
                    "table rollback_auditors",
                    "column orders.rollback_audit text",
                    "column rollback_audits.x text",
                ],
                false
            ),
            [
                "column orders.rollback_audit text",
                "column rollback_audits.x text",
                "table rollback_auditors"
            ]
        );
        assert_eq!(
            left(
                &[
                    "table public.rollback_audit",
                    "column \"a \"\"b\".rollback_audit.run text not null",
                    "primary key public.rollback_audit.rollback_audit_pkey PRIMARY KEY (run)",
                    "column public.orders.rollback_audit text",
                    "table rollback_audit.orders",
                    "sequence public.rollback_audit bigint",
                ],
                true
            ),
            [
                "column public.orders.rollback_audit text",
                "sequence public.rollback_audit bigint",
                "table rollback_audit.orders"
            ]
        );
    }

    #[test]
    fn its_rows_are_not_counted() {
        use crate::checks::Count;
        let count = Count {
            rows: 1,
            exact: true,
        };
        let counts: Counts = ["public.rollback_audit", "public.orders"]
            .map(|name| (name.to_owned(), count))
            .into();
        let left = not_counted(counts, true);
        assert_eq!(left.keys().collect::<Vec<_>>(), ["public.orders"]);
    }
}
