//! Reads which objects a database has, in one query.

use crate::live::{LiveKind, LiveObject, LiveSchema};
use rollback_core::dialect::Dialect;
use rollback_core::query::{Execution, RunError, TextRows, always};

/// Kind, schema, table and name. The words are those of [`LiveKind::word`].
const POSTGRES: &str = "
    WITH own AS (
        SELECT oid, nspname FROM pg_catalog.pg_namespace
        WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    )
    SELECT CASE WHEN c.relkind IN ('r', 'p', 'f') THEN 'table' WHEN c.relkind IN ('v', 'm') THEN 'view'
        WHEN c.relkind = 'S' THEN 'sequence' ELSE 'index' END, n.nspname, NULL, c.relname
    FROM pg_catalog.pg_class c JOIN own n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'i', 'I')
    UNION ALL SELECT 'column', n.nspname, c.relname, a.attname
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN own n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'constraint', n.nspname, c.relname, k.conname
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN own n ON n.oid = c.relnamespace
    UNION ALL SELECT 'function', n.nspname, NULL, p.proname
    FROM pg_catalog.pg_proc p JOIN own n ON n.oid = p.pronamespace
    UNION ALL SELECT 'trigger', n.nspname, c.relname, t.tgname
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    JOIN own n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal
    UNION ALL SELECT 'policy', n.nspname, c.relname, p.polname
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
    JOIN own n ON n.oid = c.relnamespace
    UNION ALL SELECT 'type', n.nspname, NULL, t.typname
    FROM pg_catalog.pg_type t JOIN own n ON n.oid = t.typnamespace WHERE t.typelem = 0
    UNION ALL SELECT 'enum value', n.nspname, t.typname, e.enumlabel
    FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid
    JOIN own n ON n.oid = t.typnamespace
    UNION ALL SELECT 'extension', NULL, NULL, extname FROM pg_catalog.pg_extension
    UNION ALL SELECT 'schema', NULL, NULL, nspname FROM own";

const MYSQL: &str = "
    SELECT CASE WHEN table_type LIKE '%VIEW' THEN 'view' WHEN table_type = 'SEQUENCE' THEN 'sequence'
        ELSE 'table' END, table_schema, NULL, table_name
    FROM information_schema.tables WHERE table_schema = database()
    UNION ALL SELECT 'column', table_schema, table_name, column_name
    FROM information_schema.columns WHERE table_schema = database()
    UNION ALL SELECT 'index', table_schema, table_name, index_name
    FROM information_schema.statistics WHERE table_schema = database()
    UNION ALL SELECT 'constraint', table_schema, table_name, constraint_name
    FROM information_schema.table_constraints WHERE table_schema = database()
    UNION ALL SELECT 'function', routine_schema, NULL, routine_name
    FROM information_schema.routines WHERE routine_schema = database()
    UNION ALL SELECT 'trigger', trigger_schema, NULL, trigger_name
    FROM information_schema.triggers WHERE trigger_schema = database()";

const SQLITE: &str = "
    SELECT type, 'main', NULL, name FROM sqlite_master
    UNION ALL SELECT 'column', 'main', m.name, c.name
    FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table'";

/// The objects of the database.
pub fn read(execution: &mut dyn Execution, dialect: Dialect) -> Result<LiveSchema, RunError> {
    let (objects, path) = match dialect {
        Dialect::Postgres => (
            POSTGRES,
            "SELECT unnest(pg_catalog.current_schemas(false))::text",
        ),
        Dialect::MySql => (MYSQL, "SELECT database()"),
        Dialect::Sqlite => (SQLITE, "SELECT 'main'"),
    };
    let mut rows = |sql: &str| -> Result<TextRows, RunError> { execution.run(sql, &mut always) };
    let found = rows(objects)?.into_iter().filter_map(object).collect();
    let path = rows(path)?.into_iter().flatten().flatten().collect();
    Ok(LiveSchema::new(dialect, found, path))
}

fn object(row: Vec<Option<String>>) -> Option<LiveObject> {
    let [kind, schema, table, name] = <[Option<String>; 4]>::try_from(row).ok()?;
    Some(LiveObject {
        kind: LiveKind::of(&kind?)?,
        schema,
        table,
        name: name?,
    })
}
