//! The schema of a database as objects: its lines, and what only a question of its own can tell.

use std::time::Duration;

use super::DatabaseReader;
use super::mysql::IS_MARIADB;
use crate::domain::dialect::Dialect;
use crate::domain::operation::TableName;
use crate::domain::schema::SchemaLines;
use crate::domain::schema_model::{Release, SchemaModel};

/// How long the small questions about the catalogue may take.
const CATALOGUE_LIMIT: Duration = Duration::from_secs(2);

/// PostgreSQL: where a table without a schema is, or would be made. The server's own schema may stand before it.
const DEFAULT_SCHEMA: &str = "SELECT schema::text FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) schema \
     WHERE schema <> 'pg_catalog' LIMIT 1";

/// PostgreSQL: each view with a column that it uses, for which the server keeps the column from going.
const USED_BY_VIEWS: &str = "
    SELECT of.nspname, v.relname, n.nspname, t.relname, a.attname
    FROM pg_depend d
    JOIN pg_rewrite r ON r.oid = d.objid
    JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
    JOIN pg_namespace of ON of.oid = v.relnamespace
    JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjsubid > 0 AND of.nspname NOT IN ('pg_catalog', 'information_schema')";

/// Reads what the lines of a schema leave open. Without an answer it stays open.
pub fn schema_model(
    database: &mut dyn DatabaseReader,
    schema: &SchemaLines,
    dialect: Dialect,
) -> SchemaModel {
    let library = database.library().and_then(Release::of);
    let mut try_ask = |sql: &str| database.query(sql, CATALOGUE_LIMIT).ok().flatten();
    let uses = match dialect {
        Dialect::Postgres => try_ask(USED_BY_VIEWS),
        _ => None,
    };
    let mut ask = |sql: &str| try_ask(sql).unwrap_or_default();
    let default_schema = match dialect {
        Dialect::Postgres => ask(DEFAULT_SCHEMA).into_iter().flatten().next(),
        _ => None,
    };
    let mut model = SchemaModel::read(schema, dialect, default_schema.flatten().as_deref());
    model.library = library;
    if dialect == Dialect::MySql {
        let rows = ask(&format!("SELECT CAST({IS_MARIADB} AS CHAR)"));
        let is_mariadb = rows.into_iter().flatten().next().flatten();
        model.is_mysql_itself = is_mariadb.as_deref() == Some("0");
    }
    if dialect == Dialect::Sqlite {
        let tables = ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'");
        let tables = tables.iter().filter_map(|row| match row.as_slice() {
            [Some(name), Some(sql)] => Some((name.as_str(), sql.as_str())),
            _ => None,
        });
        model.name_constraints(tables);
    }
    if let Some(uses) = uses {
        let name = |schema: &String, name: &String| TableName {
            schema: Some(schema.clone()),
            name: name.clone(),
        };
        model.settle_views(uses.iter().filter_map(|row| match row.as_slice() {
            [
                Some(of),
                Some(view),
                Some(schema),
                Some(table),
                Some(column),
            ] => Some((name(of, view), name(schema, table), column.clone())),
            _ => None,
        }));
    }
    model
}
