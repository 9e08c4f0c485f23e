//! Rows that go as a whole or in part, with what foreign keys then do to the rows of other tables.

use rollback_core::dialect::Dialect;
use rollback_core::operation::{Operation, RowChange, TableName};
use rollback_schema::SchemaModel;

/// Rows that an operation takes out of a table.
pub(crate) struct RemovedRows {
    /// The table, as the schema model names it.
    pub(crate) table: TableName,
    /// Whether all of them go.
    pub(crate) all: bool,
}

/// The rows that an operation takes away while foreign keys are enforced.
///
/// SQLite deletes the rows of a table before it drops the table, and so does a batch that copies it.
pub(crate) fn removed_rows(operation: &Operation, model: &SchemaModel) -> Option<RemovedRows> {
    let is_sqlite = model.dialect == Dialect::Sqlite;
    if !model.foreign_keys.unwrap_or(!is_sqlite) {
        return None;
    }
    let (table, all) = match operation {
        Operation::ChangeRows {
            change: RowChange::Delete,
            table: Some(table),
            conditional,
            ..
        } => (table, !conditional),
        Operation::ChangeRows {
            change: RowChange::Some,
            table: Some(table),
            ..
        } => (table, false),
        Operation::DropTable { table, .. } if is_sqlite => (table, true),
        Operation::Batch { table, .. } if is_sqlite && operation.copies_table(model.dialect) => {
            (table, true)
        }
        _ => return None,
    };
    Some(RemovedRows {
        table: model.key(table),
        all,
    })
}
