//! The schema of MariaDB and MySQL in one query, and one more where there are sequences.

use super::quoted;

/// The rows of [`super::schema_of`], of the connection's own database, whose name is taken out of the views.
///
/// What only one of the two servers knows stands in comments that only it reads: `/*M!` is MariaDB's,
/// and MariaDB passes over `/*!8....`. A unique constraint is an index here, and told as one.
///
/// What is joined is a table of its own first (`IN`, `GROUP BY`, `DISTINCT`): the server makes a table of
/// `information_schema` again for each row that is looked up in it.
///
/// - The engine, the collation and the options of a table have a line if they are not `InnoDB`, the collation of
///   the database, and none.
/// - Parameters are part of the digest of their routine as a fixed number of bits, because `GROUP_CONCAT` cuts
///   its result off. Without the right to read a definition the digest covers the rest.
/// - Of rights, those on tables, columns and the database that the user may see.
pub(super) const SCHEMA: &str = "
    SELECT CONCAT('table ', table_name), NULL, table_name, NULL, NULL, NULL
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type NOT IN ('VIEW', 'SEQUENCE')
    UNION ALL
    SELECT CONCAT('column ', c.table_name, '.', c.column_name), NULL, c.table_name, c.column_name, c.column_type, CONCAT(
        IF(c.collation_name <> @@collation_database, CONCAT(' collate ', c.collation_name), ''),
        IF(c.is_nullable = 'NO', ' not null', ''),
        COALESCE(CONCAT(' default ', /*M!100200 NULLIF( */ c.column_default /*M!100200 , 'NULL') */), ''),
        ' ', LOWER(c.extra),
        IF(COALESCE(c.generation_expression, '') = '', '', CONCAT(' as ', c.generation_expression)))
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.table_name IN (SELECT t.table_name
        FROM information_schema.tables t WHERE t.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED'))
    UNION ALL
    SELECT line, NULL, NULL, NULL, NULL, NULL FROM (
    SELECT CONCAT('sequence ', table_name) AS line
    FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'
    UNION ALL
    SELECT CONCAT('view ', table_name, ' ',
        REPLACE(view_definition, CONCAT('`', REPLACE(DATABASE(), '`', '``'), '`.'), ''),
        IF(check_option = 'NONE', '', CONCAT(' with ', LOWER(check_option), ' check option')),
        IF(security_type = 'INVOKER', ' sql security invoker', ''))
    FROM information_schema.views WHERE table_schema = DATABASE()
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
        LOWER(event_manipulation), ' ', TRIM(TRAILING ';' FROM action_statement))
    FROM information_schema.triggers WHERE trigger_schema = DATABASE()
    UNION ALL
    SELECT CONCAT_WS(' ', 'options', table_name, IF(engine = 'InnoDB', NULL, CONCAT('engine ', engine)),
        IF(table_collation = @@collation_database, NULL, CONCAT('collate ', table_collation)),
        IF(table_type = 'BASE TABLE', NULL, LOWER(table_type)),
        NULLIF(TRIM(REPLACE(create_options, 'partitioned', '')), ''))
    FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
        AND (engine <> 'InnoDB' OR table_collation <> @@collation_database OR table_type <> 'BASE TABLE'
            OR TRIM(REPLACE(create_options, 'partitioned', '')) <> '')
    UNION ALL
    SELECT CONCAT('partition ', table_name, '.', partition_name, COALESCE(CONCAT('.', subpartition_name), ''),
        ' ', LOWER(partition_method), ' (', COALESCE(partition_expression, ''), ')',
        COALESCE(CONCAT(IF(partition_method LIKE 'RANGE%', ' less than ', ' in '), partition_description), ''),
        COALESCE(CONCAT(' ', LOWER(subpartition_method), ' (', subpartition_expression, ')'), ''))
    FROM information_schema.partitions WHERE table_schema = DATABASE() AND partition_name IS NOT NULL
    UNION ALL
    SELECT CONCAT(LOWER(r.routine_type), ' ', r.routine_name, COALESCE(CONCAT(' returns ', r.dtd_identifier), ''), ' ',
        LEFT(SHA2(CONCAT_WS('|', p.parameters, r.is_deterministic, r.sql_data_access, r.security_type, r.sql_mode,
            TRIM(TRAILING ';' FROM r.routine_definition)), 256), 32))
    FROM information_schema.routines r LEFT JOIN (SELECT specific_name, routine_type,
            BIT_XOR(CAST(CONV(LEFT(SHA2(CONCAT_WS('|', ordinal_position, parameter_mode, parameter_name, dtd_identifier,
                collation_name), 256), 15), 16, 10) AS UNSIGNED)) AS parameters
        FROM information_schema.parameters WHERE specific_schema = DATABASE() GROUP BY specific_name, routine_type) p
        ON p.specific_name = r.specific_name AND p.routine_type = r.routine_type
    WHERE r.routine_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('event ', event_name, ' ', LOWER(status),
        COALESCE(CONCAT(' at ', execute_at), CONCAT(' every ', interval_value, ' ', LOWER(interval_field))),
        COALESCE(CONCAT(' starts ', starts), ''), COALESCE(CONCAT(' ends ', ends), ''), ' ', time_zone,
        IF(on_completion = 'PRESERVE', ' preserve ', ' '),
        LEFT(SHA2(CONCAT_WS('|', sql_mode, TRIM(TRAILING ';' FROM event_definition)), 256), 32))
    FROM information_schema.events WHERE event_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('definer view ', table_name, ' ', definer)
    FROM information_schema.views WHERE table_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('definer trigger ', event_object_table, '.', trigger_name, ' ', definer)
    FROM information_schema.triggers WHERE trigger_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('definer ', LOWER(routine_type), ' ', routine_name, ' ', definer)
    FROM information_schema.routines WHERE routine_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('definer event ', event_name, ' ', definer)
    FROM information_schema.events WHERE event_schema = DATABASE()
    UNION ALL
    SELECT CONCAT('grant ', table_name, ' ', LOWER(GROUP_CONCAT(privilege_type ORDER BY privilege_type SEPARATOR ', ')),
        ' to ', grantee, IF(MAX(is_grantable) = 'YES', ' with grant option', ''))
    FROM information_schema.table_privileges WHERE table_schema = DATABASE() GROUP BY table_name, grantee
    UNION ALL
    SELECT CONCAT('grant ', table_name, '.', column_name, ' ',
        LOWER(GROUP_CONCAT(privilege_type ORDER BY privilege_type SEPARATOR ', ')),
        ' to ', grantee, IF(MAX(is_grantable) = 'YES', ' with grant option', ''))
    FROM information_schema.column_privileges WHERE table_schema = DATABASE() GROUP BY table_name, column_name, grantee
    UNION ALL
    SELECT CONCAT('grant database ', LOWER(GROUP_CONCAT(privilege_type ORDER BY privilege_type SEPARATOR ', ')),
        ' to ', grantee, IF(MAX(is_grantable) = 'YES', ' with grant option', ''))
    FROM information_schema.schema_privileges WHERE table_schema = DATABASE() GROUP BY grantee) other";

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
