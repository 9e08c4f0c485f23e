"""What the engine's session with PostgreSQL did, told to the parent process.

The parent has to know two things that no other session can see: which transactions the step had, so that it can ask
the server whether all of them were rolled back, and how many rows of which table they deleted. Both count only if nothing is missing, so every transaction of the session is noted by the
number that the server gives it locally: these follow each other without a gap. Without SQLAlchemy's events nothing is
told, and the parent then knows nothing.
"""

NOTED = "rollback_transactions"

TRANSACTION = (
    "SELECT txid_current()::text || ' ' || virtualtransaction FROM pg_catalog.pg_locks"
    " WHERE locktype = 'virtualxid' AND pid = pg_backend_pid()"
)

LAST = (
    "SELECT virtualtransaction FROM pg_catalog.pg_locks WHERE locktype = 'virtualxid' AND pid = pg_backend_pid()"
)

# TRUNCATE counts nothing, but locks the table.
REMOVED = (
    "SELECT json_build_object("
    "'deleted', (SELECT coalesce(json_object_agg(quote_ident(schemaname) || '.' || quote_ident(relname), n_tup_del), '{}')"
    " FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_del > 0),"
    "'locked', (SELECT coalesce(json_agg(quote_ident(n.nspname) || '.' || quote_ident(c.relname)), '[]')"
    " FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND c.relkind = 'r'))::text"
)


def hook_session(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool

    opened = []

    @silently
    def connected(connection, connection_record):
        opened.append(connection_record)
        tell({"session": "opened"})

    @silently
    def beginning(connection):
        if connection.dialect.name != "postgresql":
            return
        noted = connection.info.setdefault(NOTED, [])
        try:
            number, local = execute(connection.connection, TRANSACTION).split(" ")
        except Exception:
            # Nothing was done in the transaction yet, and it goes on as if nobody had asked.
            silently(connection.connection.rollback)()
            noted.append(None)
        else:
            noted.append((int(number), local))

    @silently
    def committing(connection):
        if connection.dialect.name != "postgresql":
            return
        import json

        raw = connection.connection
        execute(raw, "SAVEPOINT rollback_session")
        try:
            removed = json.loads(execute(raw, REMOVED))
            execute(raw, "RELEASE SAVEPOINT rollback_session")
        except Exception:
            connection.info[NOTED] = [None]
            execute(raw, "ROLLBACK TO SAVEPOINT rollback_session")
        else:
            tell({"session": "committing", "deleted": removed["deleted"], "locked": removed["locked"]})

    @silently
    def returned(connection, connection_record):
        noted = connection_record.info.get(NOTED)
        if connection is None or not noted:
            return
        last = silently(execute)(connection, LAST)
        silently(connection.rollback)()
        transactions = None
        if len(opened) == 1 and follow_each_other(noted, last):
            transactions = [number for number, _ in noted]
        tell({"session": "ended", "transactions": transactions})

    event.listen(Pool, "connect", connected)
    event.listen(Engine, "begin", beginning)
    event.listen(Engine, "commit", committing)
    event.listen(Pool, "checkin", returned)


def forget_transactions(connection):
    """Between two steps of a sequence: what is told at the end is then of the last one alone."""
    connection.info.pop(NOTED, None)


def follow_each_other(noted, last):
    """Whether the session had these transactions and, up to the last one, no other."""
    if last is None or None in noted:
        return False
    backends, numbers = zip(*(local.split("/") for local in [local for _, local in noted] + [last]))
    first = int(numbers[0])
    return len(set(backends)) == 1 and [int(number) for number in numbers] == list(range(first, first + len(numbers)))
