//! What a step did, by counting before and after it: SQLite, MySQL and MariaDB.
//!
//! No transaction is open between two calls, because on MySQL and MariaDB it would keep the step's DDL waiting.

use std::time::Duration;

use super::{DatabaseError, DatabaseReader};
use crate::domain::checks::Counts;
use crate::domain::connection::VersionTable;
use crate::domain::dialect::Dialect;
use crate::domain::effect::CountedInventory;
use crate::domain::schema::SchemaLines;
use crate::domain::schema_model::SchemaModel;

/// Notes the tables of a schema and counts their rows, the smallest table first. Those that `budget` does not suffice
/// for are not counted, and [`CountedInventory::not_counted`] says which.
pub fn inventory(
    database: &mut dyn DatabaseReader,
    schema: &SchemaLines,
    dialect: Dialect,
    version: &VersionTable,
    budget: Duration,
) -> Result<CountedInventory, DatabaseError> {
    let counts = database.row_counts(budget)?.unwrap_or_default();
    Ok(of_counts(schema, dialect, version, &counts))
}

/// The same from rows that were counted already.
pub fn of_counts(
    schema: &SchemaLines,
    dialect: Dialect,
    version: &VersionTable,
    counts: &Counts,
) -> CountedInventory {
    let model = SchemaModel::read(schema, dialect, None);
    CountedInventory::new(&model, counts, version)
}
