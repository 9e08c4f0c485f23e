SELECT 'server', NULL, NULL, NULL, IF(VERSION() LIKE '%MariaDB%', 'MariaDB', 'MySQL'), NULL, NULL, NULL, NULL, 0
UNION ALL
SELECT 'table', NULL, table_name, NULL, NULL, NULL, NULL, NULL, NULL, 0
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE')
UNION ALL
SELECT 'view', NULL, table_name, NULL,
    REPLACE(view_definition, CONCAT('`', REPLACE(DATABASE(), '`', '``'), '`.'), ''), NULL, NULL, NULL, NULL, 0
FROM information_schema.views WHERE table_schema = DATABASE()
UNION ALL
SELECT 'column', NULL, table_name, column_name, column_type, IF(is_nullable = 'NO', 'not null', NULL), NULL, NULL,
    CASE WHEN COALESCE(generation_expression, '') <> '' THEN CONCAT('generated as ', generation_expression)
        ELSE COALESCE(/*M!100200 NULLIF( */ column_default /*M!100200 , 'NULL') */,
            IF(LOWER(extra) = 'auto_increment', 'auto_increment', NULL)) END, 0
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name IN (SELECT t.table_name FROM information_schema.tables t
    WHERE t.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED'))
UNION ALL
SELECT IF(index_name = 'PRIMARY', 'primary key', 'index'), NULL, table_name, index_name, column_name,
    IF(non_unique = 0, 'unique', NULL), NULL, NULL, NULL, seq_in_index
FROM information_schema.statistics WHERE table_schema = DATABASE()
UNION ALL
SELECT 'foreign key', NULL, k.table_name, k.constraint_name, k.column_name, NULLIF(NULLIF(r.delete_rule, 'RESTRICT'), 'NO ACTION'),
    NULLIF(k.referenced_table_schema, DATABASE()), k.referenced_table_name, k.referenced_column_name, k.ordinal_position
FROM (SELECT * FROM information_schema.key_column_usage WHERE table_schema = DATABASE()
        AND constraint_schema = DATABASE() AND referenced_table_name IS NOT NULL) k
    JOIN (SELECT DISTINCT table_name, constraint_name, delete_rule
        FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()) r
        ON r.table_name = k.table_name AND r.constraint_name = k.constraint_name
/*M!100200 UNION ALL
SELECT 'check', NULL, table_name, constraint_name, check_clause, NULL, NULL, NULL, NULL, 0
FROM information_schema.check_constraints WHERE constraint_schema = DATABASE() */
/*!80016 UNION ALL
SELECT 'check', NULL, t.table_name, c.constraint_name, c.check_clause, NULL, NULL, NULL, NULL, 0
FROM information_schema.check_constraints c
    JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema
        AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'
WHERE c.constraint_schema = DATABASE() */
ORDER BY 10
