//! Which registered migrations a list shows.

use super::history::{HistoryRecord, MigrationStatus};

/// The kinds of migrations to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Those that are applied.
    #[default]
    Applied,
    /// All that were ever registered.
    All,
    /// Those whose rollback failed.
    Failed,
    /// Applied ones without rollback SQL.
    WithoutSql,
    /// Those that were rolled back and not applied again.
    RolledBack,
}

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The kind.
    pub which: Which,
    /// Only what was recorded since then, RFC 3339 in UTC to the second.
    pub since: Option<String>,
}

impl Selection {
    /// Whether a migration is shown. Without a moment in its row, nothing is known to be recent.
    pub fn shows(&self, record: &HistoryRecord) -> bool {
        let is_of_the_kind = match self.which {
            Which::Applied => record.is_applied(),
            Which::All => true,
            Which::Failed => record.status == MigrationStatus::Failed,
            Which::WithoutSql => record.is_applied() && !record.has_rollback(),
            Which::RolledBack => record.status == MigrationStatus::RolledBack,
        };
        let moment = match record.status {
            MigrationStatus::RolledBack => &record.rollback_at,
            MigrationStatus::Applied | MigrationStatus::Failed => &record.applied_at,
        };
        is_of_the_kind
            && self
                .since
                .as_ref()
                .is_none_or(|since| moment.as_ref().is_some_and(|moment| moment >= since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Metadata;

    fn record(name: &str, status: MigrationStatus, sql: Option<&str>, day: u32) -> HistoryRecord {
        let moment = Some(format!("2025-01-{day:02}T10:00:00Z"));
        HistoryRecord {
            id: name.into(),
            status,
            applied_at: if status == MigrationStatus::RolledBack {
                Some("2024-01-01T00:00:00Z".to_owned())
            } else {
                moment.clone()
            },
            applied_by: None,
            rollback_sql: sql.map(str::to_owned),
            checksum: None,
            rollback_at: moment.filter(|_| status == MigrationStatus::RolledBack),
            rollback_by: None,
            notes: None,
            metadata: Metadata::default(),
        }
    }

    #[test]
    fn each_kind_is_shown_by_its_own_option_and_moment() {
        let records = [
            record("applied", MigrationStatus::Applied, Some("DROP TABLE a"), 1),
            record("bare", MigrationStatus::Applied, None, 5),
            record("failed", MigrationStatus::Failed, Some("DROP TABLE b"), 6),
            record("gone", MigrationStatus::RolledBack, None, 7),
        ];
        let shown = |which: Which, since: Option<&str>| -> Vec<&str> {
            let selection = Selection {
                which,
                since: since.map(str::to_owned),
            };
            let shown = records.iter().filter(|record| selection.shows(record));
            shown.map(|record| record.id.as_str()).collect()
        };
        assert_eq!(shown(Which::Applied, None), ["applied", "bare", "failed"]);
        assert_eq!(
            shown(Which::All, None),
            ["applied", "bare", "failed", "gone"]
        );
        assert_eq!(shown(Which::Failed, None), ["failed"]);
        assert_eq!(shown(Which::WithoutSql, None), ["bare"]);
        assert_eq!(shown(Which::RolledBack, None), ["gone"]);
        let since = Some("2025-01-06T10:00:00Z");
        assert_eq!(shown(Which::All, since), ["failed", "gone"]);
        assert_eq!(
            shown(Which::RolledBack, Some("2025-01-08T00:00:00Z")),
            [""; 0]
        );
    }
}
