//! The outline of a schema, one line for each object, asked with one query on each server.
//!
//! It tells whether a step that failed left the schema as it was. It does not see the data, nor
//! functions, triggers and rights.

/// PostgreSQL: all schemas but the server's own.
pub(super) const POSTGRESQL: &str = "\
WITH mine AS ( \
  SELECT c.oid, c.relkind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name \
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
  WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%') \
SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' \
  WHEN 'S' THEN 'sequence ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || name \
FROM mine WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
UNION ALL \
SELECT 'column ' || name || '.' || quote_ident(a.attname) || ' ' \
  || pg_catalog.format_type(a.atttypid, a.atttypmod) \
  || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END \
  || coalesce(' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') \
FROM mine JOIN pg_catalog.pg_attribute a ON a.attrelid = mine.oid \
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
UNION ALL \
SELECT 'index ' || pg_catalog.pg_get_indexdef(i.indexrelid) \
  || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END \
FROM mine JOIN pg_catalog.pg_index i ON i.indrelid = mine.oid \
UNION ALL \
SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || name || ' ' \
  || pg_catalog.pg_get_constraintdef(c.oid) \
FROM mine JOIN pg_catalog.pg_constraint c ON c.conrelid = mine.oid \
UNION ALL \
SELECT 'enum ' || pg_catalog.format_type(t.oid, NULL) || ' ' \
  || string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) \
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid GROUP BY t.oid";

/// MySQL and MariaDB: the database of the connection.
pub(super) const MYSQL: &str = "\
SELECT CONCAT(IF(table_type = 'VIEW', 'view ', 'table '), table_name) \
FROM information_schema.tables WHERE table_schema = DATABASE() \
UNION ALL \
SELECT CONCAT('column ', table_name, '.', column_name, ' ', column_type, \
  IF(is_nullable = 'NO', ' not null', ''), IFNULL(CONCAT(' default ', column_default), ''), \
  IF(extra = '', '', CONCAT(' ', extra))) \
FROM information_schema.columns WHERE table_schema = DATABASE() \
UNION ALL \
SELECT CONCAT(IF(non_unique, 'index ', 'unique index '), index_name, ' on ', table_name, ' (', \
  GROUP_CONCAT(column_name ORDER BY seq_in_index SEPARATOR ', '), ')') \
FROM information_schema.statistics WHERE table_schema = DATABASE() \
GROUP BY table_name, index_name, non_unique \
UNION ALL \
SELECT CONCAT('foreign key ', constraint_name, ' on ', table_name, '.', column_name, \
  ' to ', referenced_table_name, '.', referenced_column_name) \
FROM information_schema.key_column_usage \
WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL";

/// SQLite: indexes and the rest by their SQL, tables by their columns as well.
pub(super) const SQLITE: &str = "\
SELECT type || ' ' || name || CASE WHEN type = 'table' OR sql IS NULL THEN '' ELSE ': ' || sql END \
FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
UNION ALL \
SELECT 'column ' || m.name || '.' || c.name || ' ' || c.type \
  || CASE WHEN c.\"notnull\" THEN ' not null' ELSE '' END \
  || coalesce(' default ' || c.dflt_value, '') \
  || CASE WHEN c.pk THEN ' primary key' ELSE '' END \
FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type IN ('table', 'view') \
UNION ALL \
SELECT 'foreign key ' || m.name || '.' || f.\"from\" || ' to ' || f.\"table\" || '.' \
  || coalesce(f.\"to\", '') \
FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";
