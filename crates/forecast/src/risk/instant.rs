//! Whether MariaDB or MySQL adds or drops a column by its description alone (`ALGORITHM=INSTANT`), or writes every row.
//!
//! <https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html#online-ddl-column-operations> and
//! <https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-instant-alter-algorithm/>; tried with
//! `ALGORITHM=INSTANT` on MySQL 9.7 and MariaDB 10.11.
//!
//! A table of MySQL that has been changed in this way 64 times (255 times since 9.1) is written once more; that is not
//! looked at.

use super::operation_context::OperationContext;
use rollback_core::operation::{Operation, TableName};
use rollback_core::probe::{Probe, Question};

/// Why the rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The table is not of `InnoDB`.
    Engine,
    /// The table has `ROW_FORMAT=COMPRESSED`.
    Compressed,
    /// The table has a `FULLTEXT` index.
    FullText,
    /// The server is too old.
    Version,
    /// The column is in the primary key, or in an index of MySQL.
    Index,
}

impl Reason {
    /// After "because".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Engine => "its engine is not InnoDB",
            Self::Compressed => "its ROW_FORMAT is COMPRESSED",
            Self::FullText => "it has a FULLTEXT index",
            Self::Version => "this version of the server has no INSTANT change for it",
            Self::Index => "an index includes the column",
        }
    }
}

/// How the server adds or drops a column.
pub(super) enum Change {
    /// By its description alone.
    Instant,
    /// By writing every row.
    Rows(Reason),
}

/// The answer to [`Question::ColumnChange`], in the order in which its query looks.
mod answers {
    pub(super) const ENGINE: u64 = 1;
    pub(super) const COMPRESSED: u64 = 2;
    pub(super) const FULL_TEXT: u64 = 3;
    /// Older than MySQL 8.0.12 and MariaDB 10.3.2: neither adds nor drops.
    pub(super) const NEITHER: u64 = 4;
    /// Older than MySQL 8.0.29 and MariaDB 10.4: adds a last column, drops none.
    pub(super) const ADDS: u64 = 5;
    pub(super) const BOTH_MYSQL: u64 = 6;
    pub(super) const BOTH_MARIADB: u64 = 7;
}

/// What is known of a column that is added or dropped; `None` if nobody can be asked.
pub(super) fn column_change(
    context: &OperationContext<'_>,
    table: &TableName,
    live: TableName,
    ask: &mut dyn Probe,
) -> Option<Change> {
    let answer = ask.ask(&Question::ColumnChange { table: live })?;
    let dropped = match context.operation {
        Operation::DropColumn { column, .. } => Some(column),
        _ => None,
    };
    let found = context.table(table).zip(dropped);
    let in_index = found.is_some_and(|((_, table), column)| {
        let indexes = table.indexes.iter().flat_map(|index| &index.columns);
        indexes.flatten().any(|name| name == column)
    });
    let in_key = found.is_some_and(|((_, table), column)| {
        let keys = table.primary_key.iter().flat_map(|key| &key.columns);
        keys.into_iter().any(|name| name == column)
    });
    let reason = match answer.count {
        answers::ENGINE => Some(Reason::Engine),
        answers::COMPRESSED => Some(Reason::Compressed),
        answers::FULL_TEXT => Some(Reason::FullText),
        answers::NEITHER => Some(Reason::Version),
        answers::ADDS => dropped.map(|_| Reason::Version),
        // The rows are kept in the order of the primary key.
        answers::BOTH_MYSQL | answers::BOTH_MARIADB if in_key => Some(Reason::Index),
        // MariaDB takes the index away and leaves the rows.
        answers::BOTH_MYSQL => in_index.then_some(Reason::Index),
        answers::BOTH_MARIADB => None,
        _ => return None,
    };
    Some(reason.map_or(Change::Instant, Change::Rows))
}
