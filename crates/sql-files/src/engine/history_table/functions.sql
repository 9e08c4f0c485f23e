-- The caller's own rights, no search path of the caller's: nobody gains anything by these, and nobody else's
-- function is called in the place of the server's.

CREATE OR REPLACE FUNCTION {schema}.migration_dependents(migration text)
RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rollback$
DECLARE
    waiting text[];
    ordered text[] := '{}';
    free text;
BEGIN
    WITH RECURSIVE above(id) AS (
        SELECT d.migration_name::text
        FROM {schema}.migration_dependencies d
        JOIN {schema}.migration_history h ON h.migration_name = d.migration_name
        WHERE d.depends_on = migration AND d.kind IS DISTINCT FROM 'independent' AND h.status <> 'rolled_back'
        UNION
        SELECT d.migration_name::text
        FROM above
        JOIN {schema}.migration_dependencies d ON d.depends_on = above.id
        JOIN {schema}.migration_history h ON h.migration_name = d.migration_name
        WHERE d.kind IS DISTINCT FROM 'independent' AND h.status <> 'rolled_back'
    )
    SELECT coalesce(array_agg(above.id), '{}') INTO waiting FROM above WHERE above.id <> migration;
    LOOP
        SELECT one.id INTO free FROM unnest(waiting) AS one(id)
        WHERE NOT EXISTS (
            SELECT FROM {schema}.migration_dependencies d
            WHERE d.depends_on = one.id AND d.migration_name = ANY (waiting)
                AND d.kind IS DISTINCT FROM 'independent'
        )
        ORDER BY one.id COLLATE "C" DESC LIMIT 1;
        EXIT WHEN free IS NULL;
        ordered := ordered || free;
        waiting := array_remove(waiting, free);
    END LOOP;
    RETURN ordered || ARRAY(SELECT one.id FROM unnest(waiting) AS one(id) ORDER BY one.id COLLATE "C" DESC);
END
$rollback$;

CREATE OR REPLACE FUNCTION {schema}.can_rollback_migration(migration text)
RETURNS TABLE (can_rollback boolean, reason text, dependent_migrations text[])
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rollback$
DECLARE
    found_status text;
    found_sql text;
BEGIN
    can_rollback := false;
    dependent_migrations := '{}';
    SELECT h.status, h.rollback_sql INTO found_status, found_sql
    FROM {schema}.migration_history h WHERE h.migration_name = migration;
    IF found_status IS NULL THEN
        reason := {unknown};
    ELSIF found_status = 'rolled_back' THEN
        reason := {gone};
    ELSE
        dependent_migrations := {schema}.migration_dependents(migration);
        IF found_status = 'failed' THEN
            reason := {failed};
        ELSIF dependent_migrations <> '{}' THEN
            reason := {needed};
        ELSIF btrim(coalesce(found_sql, ''), E' \t\n\r\x0b\f') = '' THEN
            reason := {no_sql};
        ELSE
            can_rollback := true;
            reason := {can};
        END IF;
    END IF;
    RETURN NEXT;
END
$rollback$;

CREATE OR REPLACE FUNCTION {schema}.list_rollbackable_migrations()
RETURNS TABLE (
    migration_name text, can_rollback boolean, applied_at timestamptz, has_rollback boolean,
    blocking_reason text, dependent_migrations text[]
)
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rollback$
    SELECT h.migration_name::text, v.can_rollback, h.applied_at,
        btrim(coalesce(h.rollback_sql, ''), E' \t\n\r\x0b\f') <> '',
        CASE WHEN NOT v.can_rollback THEN v.reason END, v.dependent_migrations
    FROM {schema}.migration_history h CROSS JOIN LATERAL {schema}.can_rollback_migration(h.migration_name) v
    WHERE h.status <> 'rolled_back'
    ORDER BY h.migration_name COLLATE "C" DESC
$rollback$;

CREATE OR REPLACE FUNCTION {schema}.execute_migration_rollback(migration text, dry_run boolean DEFAULT true)
RETURNS TABLE (success boolean, message text, sql_executed text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rollback$
DECLARE
    verdict record;
    stored record;
    path text;
    failure text;
BEGIN
    success := false;
    IF NOT coalesce(dry_run, true) AND NOT pg_try_advisory_xact_lock({high}, {low}) THEN
        message := 'another run of rollback holds the lock of this database; nothing was changed';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO verdict FROM {schema}.can_rollback_migration(migration);
    IF NOT verdict.can_rollback THEN
        message := verdict.reason;
        IF verdict.dependent_migrations <> '{}' THEN
            message := message || '; first have to go: ' || array_to_string(verdict.dependent_migrations, ', ');
        END IF;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT h.rollback_sql, h.migration_version, h.metadata ->> 'alone' AS alone INTO stored
    FROM {schema}.migration_history h WHERE h.migration_name = migration;
    IF stored.alone IS NOT NULL THEN
        message := 'it cannot run in a transaction: ' || stored.alone || '; use: rollback downgrade-safe --only NAME';
        RETURN NEXT;
        RETURN;
    END IF;
    IF coalesce(dry_run, true) THEN
        success := true;
        message := 'nothing was run; this is what would be';
        sql_executed := stored.rollback_sql;
        RETURN NEXT;
        RETURN;
    END IF;
    -- What a new connection of this user would have, as the program itself: neither the path of this function
    -- nor one that was set in the session, and temporary tables of the session last.
    SELECT s.reset_val || ', pg_temp' INTO path FROM pg_settings s WHERE s.name = 'search_path';
    BEGIN
        PERFORM set_config('search_path', path, true);
        EXECUTE stored.rollback_sql;
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        UPDATE {schema}.migration_history h
        SET status = 'rolled_back', rollback_at = now(), rollback_by = current_user,
            notes = concat_ws(E'\n', nullif(h.notes, ''),
                'rolled back by ' || current_user || ' with execute_migration_rollback'),
            metadata = coalesce(h.metadata, '{}') - 'error'::text - 'progress'::text - 'rolled_back'::text
        WHERE h.migration_name = migration AND h.status = 'applied';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'its row was changed meanwhile';
        END IF;
        INSERT INTO {schema}.migration_audit (migration_name, action, done_by, detail)
        VALUES (migration, 'rolled_back', current_user, 'execute_migration_rollback');
        IF EXISTS (
            SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'supabase_migrations' AND c.relname = 'schema_migrations'
        ) THEN
            -- By version and name: the row of the same version may be another migration's. A repaired row has no name.
            EXECUTE 'DELETE FROM supabase_migrations.schema_migrations AS remote
                WHERE remote.version = $1 AND CASE coalesce(to_jsonb(remote) ->> ''name'', '''')
                    WHEN '''' THEN $3 ELSE remote.version || ''_'' || (to_jsonb(remote) ->> ''name'') = $2 END'
            USING stored.migration_version, migration, (
                SELECT count(*) = 1 FROM {schema}.migration_history h
                WHERE h.migration_version = stored.migration_version
            );
        END IF;
    EXCEPTION WHEN OTHERS THEN
        failure := coalesce(nullif(SQLERRM, ''), SQLSTATE);
    END;
    IF failure IS NULL THEN
        success := true;
        message := 'it was rolled back';
        sql_executed := stored.rollback_sql;
        RETURN NEXT;
        RETURN;
    END IF;
    UPDATE {schema}.migration_history h
    SET status = 'failed', metadata = coalesce(h.metadata, '{}') || jsonb_build_object('error', failure)
    WHERE h.migration_name = migration AND h.status = 'applied';
    INSERT INTO {schema}.migration_audit (migration_name, action, done_by, detail)
    VALUES (migration, 'failed', current_user, failure);
    message := 'it failed, and nothing was changed: ' || failure;
    RETURN NEXT;
END
$rollback$;

CREATE OR REPLACE FUNCTION {schema}.create_migration_snapshot(migration text, note text DEFAULT NULL)
RETURNS uuid
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $rollback$
    -- {form}
    INSERT INTO {schema}.migration_snapshots (migration_name, note, taken_by, schema_lines)
    SELECT migration, note, current_user, coalesce(string_agg(one.line, E'\n' ORDER BY one.line COLLATE "C"), '')
    FROM (
        SELECT DISTINCT btrim(regexp_replace(CASE WHEN outline.attribute IS NULL THEN outline.line
            ELSE outline.line || ' ' || outline.kind || outline.rest END, '\s+', ' ', 'g')) AS line
        FROM ({outline}) AS outline(line, nspname, relation, attribute, kind, rest)
    ) AS one
    RETURNING id
$rollback$;
