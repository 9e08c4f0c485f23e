-- Takes everything out of the database that is the user's: what belongs to an extension of the backup stays, with
-- the schemas that extensions live in, and the schema public. `rollback.extensions` names the backup's extensions, one a line.
DO $rollback$
DECLARE
    statement text;
    statements text[];
BEGIN
    -- They would fire at all that follows. Only a superuser's can be made again, so only ours go.
    FOR statement IN
        SELECT format('DROP EVENT TRIGGER %I', evtname) FROM pg_event_trigger WHERE pg_has_role(evtowner, 'USAGE')
    LOOP
        EXECUTE statement;
    END LOOP;

    SELECT array_agg(format('DROP EXTENSION IF EXISTS %I CASCADE', extname)) INTO statements
    FROM pg_extension
    WHERE oid >= 16384 AND pg_has_role(extowner, 'USAGE')
        AND extname <> ALL (string_to_array(current_setting('rollback.extensions'), E'\n'));
    FOREACH statement IN ARRAY coalesce(statements, '{}') LOOP
        EXECUTE statement;
    END LOOP;

    -- All names are taken before the first object goes: what went along with another one is passed over.
    WITH member AS (
        SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    ), place AS (
        SELECT n.oid, n.nspname = 'public' OR n.oid IN (SELECT extnamespace FROM pg_extension)
            OR (('pg_namespace'::regclass)::oid, n.oid) IN (SELECT classid, objid FROM member) AS stays
        FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ), object (rank, classid, objid) AS (
        SELECT 1, 'pg_publication'::regclass, oid FROM pg_publication
        UNION ALL SELECT 2, 'pg_namespace'::regclass, oid FROM place WHERE NOT stays
        UNION ALL SELECT CASE relkind WHEN 'S' THEN 4 ELSE 3 END, 'pg_class'::regclass, c.oid
            FROM pg_class c JOIN place p ON p.oid = c.relnamespace
            WHERE p.stays AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL SELECT 5, 'pg_proc'::regclass, o.oid FROM pg_proc o JOIN place p ON p.oid = o.pronamespace WHERE p.stays
        -- Not the types that come and go with another one: of tables, of arrays, of multiranges.
        UNION ALL SELECT 6, 'pg_type'::regclass, o.oid FROM pg_type o JOIN place p ON p.oid = o.typnamespace
            WHERE p.stays AND o.typtype <> 'm' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = o.oid)
                AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = o.typrelid AND c.relkind <> 'c')
        UNION ALL SELECT 7, 'pg_operator'::regclass, o.oid FROM pg_operator o JOIN place p ON p.oid = o.oprnamespace WHERE p.stays
        UNION ALL SELECT 8, 'pg_opclass'::regclass, o.oid FROM pg_opclass o JOIN place p ON p.oid = o.opcnamespace WHERE p.stays
        UNION ALL SELECT 9, 'pg_opfamily'::regclass, o.oid FROM pg_opfamily o JOIN place p ON p.oid = o.opfnamespace WHERE p.stays
        UNION ALL SELECT 10, 'pg_collation'::regclass, o.oid FROM pg_collation o JOIN place p ON p.oid = o.collnamespace WHERE p.stays
        UNION ALL SELECT 10, 'pg_conversion'::regclass, o.oid FROM pg_conversion o JOIN place p ON p.oid = o.connamespace WHERE p.stays
        UNION ALL SELECT 11, 'pg_ts_config'::regclass, o.oid FROM pg_ts_config o JOIN place p ON p.oid = o.cfgnamespace WHERE p.stays
        UNION ALL SELECT 12, 'pg_ts_dict'::regclass, o.oid FROM pg_ts_dict o JOIN place p ON p.oid = o.dictnamespace WHERE p.stays
        UNION ALL SELECT 13, 'pg_ts_parser'::regclass, o.oid FROM pg_ts_parser o JOIN place p ON p.oid = o.prsnamespace WHERE p.stays
        UNION ALL SELECT 13, 'pg_ts_template'::regclass, o.oid FROM pg_ts_template o JOIN place p ON p.oid = o.tmplnamespace WHERE p.stays
        -- What is in no schema; below this number are the server's own.
        UNION ALL SELECT 14, 'pg_cast'::regclass, oid FROM pg_cast WHERE oid >= 16384
        UNION ALL SELECT 15, 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
        UNION ALL SELECT 16, 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
        UNION ALL SELECT 17, 'pg_language'::regclass, oid FROM pg_language WHERE oid >= 16384
    )
    SELECT array_agg(format('DROP %s IF EXISTS %s CASCADE',
        -- A word for functions, procedures and aggregates, and the only one that takes an aggregate of `*`.
        CASE WHEN o.classid = 'pg_proc'::regclass AND current_setting('server_version_num')::int >= 110000
            THEN 'ROUTINE' ELSE replace(named.type, '-', ' ') END, named.identity) ORDER BY o.rank)
    INTO statements
    FROM object o CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, 0) named
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = o.classid AND m.objid = o.objid)
        -- Parts of another object, such as the functions of a range, go with it and only so.
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = 0 AND d.deptype = 'i');
    FOREACH statement IN ARRAY coalesce(statements, '{}') LOOP
        EXECUTE statement;
    END LOOP;

    PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;

    -- Default privileges would be added to those of the tables that come. A row that says what holds anyway goes.
    WITH entry AS (
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s', pg_get_userbyid(d.defaclrole),
                coalesce((SELECT format('IN SCHEMA %I ', nspname) FROM pg_namespace WHERE oid = d.defaclnamespace), '')) AS head,
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS kind,
            quote_ident(pg_get_userbyid(d.defaclrole)) AS owner, d.defaclnamespace = 0 AS everywhere, d.defaclacl
        FROM pg_default_acl d WHERE pg_has_role(d.defaclrole, 'MEMBER')
    ), change (rank, statement) AS (
        SELECT DISTINCT 1, format('%s REVOKE ALL ON %s FROM %s', head, kind,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM entry CROSS JOIN LATERAL aclexplode(defaclacl) a
        UNION ALL SELECT 2, format('%s GRANT ALL ON %s TO %s', head, kind, owner) FROM entry WHERE everywhere
        UNION ALL SELECT 2, format('%s GRANT %s ON %s TO PUBLIC', head, CASE kind WHEN 'TYPES' THEN 'USAGE' ELSE 'EXECUTE' END, kind)
        FROM entry WHERE everywhere AND kind IN ('TYPES', 'FUNCTIONS')
    )
    SELECT array_agg(c.statement ORDER BY c.rank) INTO statements FROM change c;
    FOREACH statement IN ARRAY coalesce(statements, '{}') LOOP
        EXECUTE statement;
    END LOOP;
END
$rollback$;
