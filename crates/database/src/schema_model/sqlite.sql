WITH own AS (
    SELECT type, name, sql FROM sqlite_master
    WHERE type = 'view' OR type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
), real AS (
    SELECT name FROM own WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
)
SELECT type, NULL, name, NULL, sql, NULL, NULL, NULL, NULL, 0 FROM own
UNION ALL
SELECT 'statement', NULL, name, NULL, sql, NULL, NULL, NULL, NULL, 0 FROM own WHERE type = 'table'
UNION ALL
SELECT 'column', NULL, real.name, c.name, lower(c.type), CASE WHEN c."notnull" THEN 'not null' END, NULL, NULL,
    coalesce(c.dflt_value, CASE WHEN c.hidden > 1 THEN 'generated' END), 0
FROM real, pragma_table_xinfo(real.name) c
UNION ALL
SELECT 'primary key', NULL, real.name, NULL, c.name, NULL, NULL, NULL, NULL, c.pk
FROM real, pragma_table_xinfo(real.name) c WHERE c.pk > 0
UNION ALL
SELECT CASE l.origin WHEN 'u' THEN 'unique' ELSE 'index' END, NULL, real.name, l.name, i.name,
    CASE WHEN l."unique" THEN 'unique' END, NULL, NULL, NULL, i.seqno
FROM real, pragma_index_list(real.name) l, pragma_index_xinfo(l.name) i WHERE l.origin IN ('u', 'c') AND i.key
UNION ALL
SELECT 'foreign key', NULL, real.name, CAST(k.id AS TEXT), k."from", nullif(k.on_delete, 'NO ACTION'),
    NULL, k."table", k."to", k.seq
FROM real, pragma_foreign_key_list(real.name) k
ORDER BY 10
