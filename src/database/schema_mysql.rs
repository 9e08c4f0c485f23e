//! The schema of MariaDB and MySQL in one query, and one more where there are sequences.

use super::quoted;

/// Of the connection's own database, whose name is taken out of the views.
///
/// What only one of the two servers knows stands in comments that only it reads: `/*M!` is MariaDB's,
/// and MariaDB passes over `/*!8....`. A unique constraint is an index here, and told as one.
///
/// What is joined is a table of its own first (`IN`, `GROUP BY`, `DISTINCT`): the server makes a table of
/// `information_schema` anew for each row that is looked up in it.
pub(super) const SCHEMA: &str = "
    SELECT CONCAT(CASE table_type WHEN 'SEQUENCE' THEN 'sequence ' ELSE 'table ' END, table_name)
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'VIEW'
    UNION ALL
    SELECT CONCAT('view ', table_name, ' ',
        REPLACE(view_definition, CONCAT('`', REPLACE(DATABASE(), '`', '``'), '`.'), ''),
        IF(check_option = 'NONE', '', CONCAT(' with ', LOWER(check_option), ' check option')))
    FROM information_schema.views WHERE table_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('column ', c.table_name, '.', c.column_name, ' ', c.column_type,
        IF(c.collation_name <> @@collation_database, CONCAT(' collate ', c.collation_name), ''),
        IF(c.is_nullable = 'NO', ' not null', ''),
        COALESCE(CONCAT(' default ', /*M!100200 NULLIF( */ c.column_default /*M!100200 , 'NULL') */), ''),
        ' ', LOWER(c.extra),
        IF(COALESCE(c.generation_expression, '') = '', '', CONCAT(' as ', c.generation_expression)))
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name IN (SELECT t.table_name
        FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE')
    UNION ALL
    SELECT CONCAT(IF(index_name = 'PRIMARY', CONCAT('primary key ', table_name),
            CONCAT('index ', table_name, '.', index_name)),
        CASE WHEN index_name = 'PRIMARY' THEN '' WHEN MAX(non_unique) = 0 THEN ' unique'
            WHEN MAX(index_type) IN ('BTREE', 'HASH', 'RTREE') THEN '' ELSE CONCAT(' ', LOWER(MAX(index_type))) END,
        ' (', GROUP_CONCAT(CONCAT(COALESCE(column_name, /*!80013 expression, */ '?'),
                COALESCE(CONCAT('(', sub_part, ')'), ''), IF(collation = 'D', ' desc', ''))
            ORDER BY seq_in_index SEPARATOR ', '), ')')
    FROM information_schema.statistics WHERE table_schema = DATABASE()
    GROUP BY table_name, index_name
    UNION ALL
    SELECT CONCAT('foreign key ', k.table_name, '.', k.constraint_name, ' (', k.own, ') to ',
        IF(k.other_schema = DATABASE(), '', CONCAT(k.other_schema, '.')), r.referenced_table_name, ' (', k.other, ')',
        IF(r.delete_rule IN ('RESTRICT', 'NO ACTION'), '', CONCAT(' on delete ', LOWER(r.delete_rule))),
        IF(r.update_rule IN ('RESTRICT', 'NO ACTION'), '', CONCAT(' on update ', LOWER(r.update_rule))))
    FROM (SELECT table_name, constraint_name, MAX(referenced_table_schema) AS other_schema,
            GROUP_CONCAT(column_name ORDER BY ordinal_position SEPARATOR ', ') AS own,
            GROUP_CONCAT(referenced_column_name ORDER BY ordinal_position SEPARATOR ', ') AS other
        FROM information_schema.key_column_usage
        WHERE table_schema = DATABASE() AND constraint_schema = DATABASE() AND referenced_table_name IS NOT NULL
        GROUP BY table_name, constraint_name) k
        JOIN (SELECT DISTINCT table_name, constraint_name, referenced_table_name, delete_rule, update_rule
            FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()) r
            ON r.table_name = k.table_name AND r.constraint_name = k.constraint_name
    /*M!100200 UNION ALL
    SELECT CONCAT('check ', table_name, '.', constraint_name, ' ', check_clause)
    FROM information_schema.check_constraints WHERE constraint_schema = DATABASE() */
    /*!80016 UNION ALL
    SELECT CONCAT('check ', t.table_name, '.', c.constraint_name, ' ', c.check_clause)
    FROM information_schema.check_constraints c
        JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema
            AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'
    WHERE c.constraint_schema = DATABASE() */
    UNION ALL
    SELECT CONCAT('trigger ', event_object_table, '.', trigger_name, ' ', LOWER(action_timing), ' ',
        LOWER(event_manipulation), ' ', action_statement)
    FROM information_schema.triggers WHERE trigger_schema = DATABASE()";

/// How the line of a sequence begins in [`SCHEMA`], which knows its name and no more: MariaDB has no
/// table of sequences.
pub(super) const SEQUENCE: &str = "sequence ";

/// One query for what else is to be said of all these sequences, each of which is a table with one row:
/// the position of the name, and the end of its line. The number that comes next is none of the schema.
pub(super) fn sequences(names: &[&str]) -> String {
    let one = |(position, name): (usize, &&str)| {
        format!(
            "SELECT {position}, CONCAT(' start ', start_value, ' increment ', increment, \
             ' minimum ', minimum_value, ' maximum ', maximum_value, ' cache ', cache_size, \
             IF(cycle_option, ' cycle', '')) FROM {}",
            quoted(name, '`')
        )
    };
    let each: Vec<String> = names.iter().enumerate().map(one).collect();
    each.join(" UNION ALL ")
}
