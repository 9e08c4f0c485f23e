"""Notes connections, migration contexts and script directories while the engine makes and uses them."""


@silently
def hook_sqlalchemy(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def note(dialect, connection_record, cargs, cparams):
        attempts.append((dialect, cargs, cparams))

    def committed(connection):
        for known in contexts:
            if of_same_transaction(known["context"].connection, connection):
                known["committed"] = True

    def executed(connection, cursor, statement, parameters, context, executemany):
        if statement[:8].strip().rstrip(";").upper() == "COMMIT":
            committed(connection)

    event.listen(Engine, "do_connect", note)
    event.listen(Engine, "commit", silently(committed))
    event.listen(Engine, "after_cursor_execute", silently(executed))


def of_same_transaction(one, other):
    """Whether two connections of SQLAlchemy's use the same of the driver's."""
    return one is other or (not one.closed and not other.closed and one.connection is other.connection)


@silently
def begun_before(context):
    """Whether a transaction was open when `env.py` configured the migrations: Alembic then leaves the commit to it."""
    if not getattr(context, "_in_external_transaction", False):
        return False
    by_itself = getattr(context.connection, "_is_autocommit_isolation", None)
    if by_itself is not None and by_itself():
        return False
    pooled = context.connection.connection
    raw = getattr(pooled, "driver_connection", None) or getattr(pooled, "connection", None) or pooled
    # Drivers say it as an attribute (psycopg, pg8000, sqlite3 from 3.12 on), by a method (PyMySQL), or by the level,
    # which to psycopg2 means another thing.
    if getattr(raw, "autocommit", False) is True:
        return False
    if context.dialect.name == "sqlite" and getattr(raw, "isolation_level", "") is None:
        return False
    asked = getattr(raw, "get_autocommit", None)
    return not (asked is not None and asked())


@silently
def hook_migration(module):
    from functools import wraps

    cls = module.MigrationContext

    def after(name, then):
        original = getattr(cls, name)

        @wraps(original)
        def wrapped(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            then(self, result)
            return result

        setattr(cls, name, wrapped)

    @silently
    def created(context, _):
        if not context.as_sql:
            # The connection may be closed at the end, so it is asked now.
            known = {"context": context, "rows": None, "info": connection_info(context.connection)}
            contexts.append(known)
            known["begun_before"] = begun_before(context)
            known["per_migration"] = context._transaction_per_migration

    @silently
    def read(context, rows):
        for known in contexts:
            if known["context"] is context and known["rows"] is None:
                known["rows"] = list(rows)
                known["search_path"] = search_path(context)
                known["foreign_keys"] = enforces_foreign_keys(context)

    after("__init__", created)
    after("get_current_heads", read)


@silently
def search_path(context):
    """Where `env.py` has the server look for names that lack a schema, if it is not where the server would. The
    transaction that the rows were read in is still open."""
    if context.dialect.name != "postgresql":
        return None
    return execute(
        context.connection.connection,
        "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'search_path' AND setting <> reset_val",
    )


@silently
def enforces_foreign_keys(context):
    if context.dialect.name != "sqlite":
        return None
    return bool(execute(context.connection.connection, "PRAGMA foreign_keys"))


@silently
def hook_script(module):
    from functools import wraps

    original = module.ScriptDirectory.__init__

    @silently
    def created(directory):
        revision_map = directory.revision_map
        load = revision_map._generator
        loaded = []

        def generator():
            del loaded[:]
            for script in load():
                loaded.append(script)
                yield script

        revision_map._generator = generator
        scripts.append((directory, loaded))

    @wraps(original)
    def wrapped(self, *args, **kwargs):
        original(self, *args, **kwargs)
        created(self)

    module.ScriptDirectory.__init__ = wrapped
    if REQUEST:
        return
    # `current` compares each applied revision with each other one to leave out those that others imply, which takes
    # a minute for 10,000. What it prints of the rows is not read here.
    module.revision.RevisionMap._get_all_current = rows_alone


def rows_alone(revision_map, rows):
    revision_map._revision_map  # a history that cannot be loaded is an error at this point, as ever
    return set(revision_map.get_revisions(rows))


OBSERVING = {
    "sqlalchemy": hook_sqlalchemy,
    "alembic.runtime.migration": hook_migration,
    "alembic.script.base": hook_script,
}
