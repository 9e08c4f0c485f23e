//! The schema of a database as objects, in one query.

use std::time::Duration;

use super::DatabaseReader;
use rollback_core::connection::EngineSession;
use rollback_core::dialect::Dialect;
use rollback_schema::{Presence, Release, SchemaModel};

/// A server reads the catalog of some thousand tables in seconds.
const LIMIT: Duration = Duration::from_mins(1);

/// Reads the schema as objects; `None` if it cannot be read. What the model has no object for is left out.
///
/// The rows are those of [`SchemaModel::of_rows`], and last the position by which they are sorted.
pub fn schema_model(
    database: &mut dyn DatabaseReader,
    dialect: Dialect,
    session: &EngineSession,
) -> Option<SchemaModel> {
    let query = match dialect {
        Dialect::Postgres => include_str!("schema_model/postgres.sql"),
        Dialect::MySql => include_str!("schema_model/mysql.sql"),
        Dialect::Sqlite => include_str!("schema_model/sqlite.sql"),
    };
    let rows = database.query(query, LIMIT).ok()??;
    let mut model = SchemaModel::of_rows(&rows, dialect);
    model.library = session.library.as_deref().and_then(Release::of);
    model.foreign_keys = session.foreign_keys;
    model.one_statement = match session.driver.as_deref() {
        _ if dialect == Dialect::Sqlite => Some(Presence::Certain),
        Some("asyncpg") => Some(Presence::Certain),
        // Unless it is opened with `CLIENT.MULTI_STATEMENTS`.
        Some("pymysql") => Some(Presence::Uncertain),
        _ => None,
    };
    if session.translates_schemas {
        model.search_path = None;
    }
    Some(model)
}
