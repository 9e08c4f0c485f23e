WITH own AS (
    SELECT c.oid, c.relkind, c.relpages, n.nspname, c.relname, c.relfilenode,
        (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND i.inhseqno = 1) AS parent,
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
        pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND c.oid NOT IN (SELECT d.objid FROM pg_catalog.pg_depend d
            WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
                AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e')
), part AS (
    {PARTS}
), parts AS (
    SELECT owner, coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
        attnum, attname, atttypid::pg_catalog.int8, atttypmod)) FILTER (WHERE attnum IS NOT NULL), '[]') AS list
    FROM part GROUP BY owner
)
SELECT pg_catalog.json_build_object(
    'track_counts', pg_catalog.current_setting('track_counts') = 'on',
    'search_path', pg_catalog.current_schemas(false),
    'types', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
            t.atttypid::pg_catalog.int8, t.atttypmod, pg_catalog.format_type(t.atttypid, t.atttypmod)))
        FROM (SELECT DISTINCT atttypid, atttypmod FROM part WHERE attnum IS NOT NULL) t),
    'tables', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
            own.oid::pg_catalog.int8, own.nspname, own.relname, own.relfilenode::pg_catalog.int8, {HOLDS_DATA},
            own.parent::pg_catalog.int8, own.inserted, own.updated, own.deleted, parts.list))
        FROM own LEFT JOIN parts ON parts.owner = own.oid))::pg_catalog.text
