"""No connection of the engine waits longer for a lock than the request allows: `lock_timeout`, in milliseconds."""


@silently
def hook_lock_timeout(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool

    names = {}

    @silently
    def opening(dialect, connection_record, cargs, cparams):
        names[id(connection_record)] = dialect.name

    @silently
    def opened(connection, connection_record):
        way = attempted(limit_session, connection, names.pop(id(connection_record), None))
        connection_record.info[IN_TRANSACTIONS] = way == "transaction"

    @silently
    def beginning(connection):
        if connection.info.get(IN_TRANSACTIONS):
            attempted(limit_transaction, connection.connection)

    event.listen(Engine, "do_connect", opening)
    event.listen(Pool, "connect", opened)
    event.listen(Engine, "begin", beginning)


IN_TRANSACTIONS = "rollback_lock_timeout_in_transactions"
ways = set()  # how the limit was arranged so far, as it was told

POSTGRESQL_LIMIT = (
    "SELECT set_config('lock_timeout', '%(limit)d', %(local)s) FROM pg_catalog.pg_settings"
    " WHERE name = 'lock_timeout' AND setting::bigint NOT BETWEEN 1 AND %(limit)d"
)


def attempted(limit, connection, *args):
    """Tells each way once. What failed is rolled back, so that the engine has its connection as it would be."""
    why = None
    try:
        way = limit(connection, *args)
    except Exception as error:
        way = "none"
        why = ("%s: %s" % (type(error).__name__, error)).split("\n")[0]
        silently(connection.rollback)()
    if way not in ways:
        ways.add(way)
        silently(tell)({"lock_timeout": way, "why": why})
    return way


def limit_session(connection, dialect):
    """Lowers the limits of this session, and raises none: a project may have set shorter ones.

    A session behind a pooler is handed on with its settings, so there it is left to each transaction.
    """
    milliseconds = REQUEST["lock_timeout"]
    if dialect is None:
        # An engine with a `creator` opens its connections past the other listener.
        module = type(connection).__module__.lower()
        if "psycopg" in module or "asyncpg" in module or "pg8000" in module:
            dialect = "postgresql"
        elif "mysql" in module:
            dialect = "mysql"
    if dialect == "postgresql":
        if not is_direct(connection):
            return "transaction"
        statement = POSTGRESQL_LIMIT % {"limit": milliseconds, "local": "false"}
    elif dialect in ("mysql", "mariadb"):
        seconds = max(1, (milliseconds + 999) // 1000)
        statement = "SET SESSION " + ", ".join(
            # MySQL refuses what LEAST returns as it is: "incorrect argument type" (1232).
            "%s = CAST(LEAST(@@SESSION.%s, %d) AS UNSIGNED)" % (name, name, seconds)
            for name in ("lock_wait_timeout", "innodb_lock_wait_timeout")
        )
    else:
        return "unknown"
    execute(connection, statement)
    # Most drivers begin a transaction by themselves, and what is set inside goes with it.
    connection.commit()
    return "session"


def limit_transaction(connection):
    execute(connection, POSTGRESQL_LIMIT % {"limit": REQUEST["lock_timeout"], "local": "true"})
    return "transaction"


def is_direct(connection):
    """Whether the process that greeted the client is the one that answers it. A pooler greets by itself."""
    raw = getattr(connection, "driver_connection", None) or getattr(connection, "_connection", None) or connection
    greeting = greeted_by(raw)
    if greeting is None:
        return False
    answering = execute(connection, "SELECT pg_backend_pid()")
    connection.rollback()
    return greeting == answering


@silently
def greeted_by(raw):
    if hasattr(raw, "get_backend_pid"):  # psycopg2
        return raw.get_backend_pid()
    if hasattr(raw, "get_server_pid"):  # asyncpg
        return raw.get_server_pid()
    if hasattr(raw, "_backend_key_data"):  # pg8000
        return int.from_bytes(raw._backend_key_data[:4], "big")
    return raw.info.backend_pid  # psycopg
