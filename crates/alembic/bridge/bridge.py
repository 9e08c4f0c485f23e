"""Runs the engine's own console script and tells the parent process what it saw.

Started as `python -c <loader> script /path/to/alembic ARGS...` or `python -c <loader> module alembic ARGS...`, with
this text on stdin and a channel to the parent as descriptor 3. The script must not notice: argv, `__main__`, `sys.path[0]`, stdin and
the traceback of a failure are what they are without us. REQUEST, a name that the loader defines, says what is wanted:

- nothing: watch, and write one JSON object into the channel at the end;
- `lock_timeout`, in milliseconds: no connection of the engine waits longer than that for a lock, and each way in
  which that was arranged is told in the channel by a line of its own;
- `session`: what the engine's session with the database did is told in the channel, by session.py, which then
  stands in front of this text;
- `range`: the revisions that `downgrade` takes, by sequence.py, which then stands in front of this text;
- `observe`: to tell what it sees and then wait for `range`, by sequence.py as well;
- `render`: the SQL of each step of a plan, by render.py, which then stands there.

The first three are allowed to fail silently: nothing of them may change what the engine does otherwise. Runs on whatever
Python the engine has, so it keeps to 3.6.
"""

import os
import sys
import types

VERSION = 1
CHANNEL = 3

# Values are kept by reference and read at the end: later listeners of the project may still complete them.
attempts = []  # one (dialect, cargs, cparams) per connection that SQLAlchemy opened or tried to open
contexts = []  # one dictionary per MigrationContext
scripts = []  # one (ScriptDirectory, [Script in the order of loading]) each


def silently(function):
    def guarded(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception:
            return None

    return guarded


# --- hooks -----------------------------------------------------------------------------------------------------------


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


@silently
def hook_step(module):
    if "lock_timeout" in REQUEST:
        hook_lock_timeout(module)
    if "session" in REQUEST:
        hook_session(module)  # noqa: F821


IN_TRANSACTIONS = "rollback_lock_timeout_in_transactions"
ways = set()  # how the limit was arranged so far, as it was told

POSTGRESQL_LIMIT = (
    "SELECT set_config('lock_timeout', '%(limit)d', %(local)s) FROM pg_catalog.pg_settings"
    " WHERE name = 'lock_timeout' AND setting::bigint NOT BETWEEN 1 AND %(limit)d"
)


def attempted(limit, connection, *args):
    """Tells each way once. What failed is taken back, so that the engine has its connection as it would be."""
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


def execute(connection, statement):
    """The first value of the answer."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]
    finally:
        cursor.close()


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


class Watcher:
    """Applies a hook right after its module was imported, so that nothing is imported earlier than the engine does."""

    def __init__(self, hooks):
        self.hooks = hooks

    def find_spec(self, name, path=None, target=None):
        hook = self.hooks.pop(name, None)
        if hook is None:
            return None
        if not self.hooks and self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self.attach(spec.loader, hook)
                return spec
        return None

    @silently
    def attach(self, loader, hook):
        execute = loader.exec_module

        def exec_module(module):
            loader.__dict__.pop("exec_module", None)
            execute(module)
            hook(module)

        loader.exec_module = exec_module


OBSERVING = {
    "sqlalchemy": hook_sqlalchemy,
    "alembic.runtime.migration": hook_migration,
    "alembic.script.base": hook_script,
}


@silently
def install():
    if "range" in REQUEST or "observe" in REQUEST:
        hooks = hooks_of_sequence()  # noqa: F821
    elif "render" in REQUEST:
        hooks = {
            "sqlalchemy": hook_sqlalchemy_of_render,  # noqa: F821
            "alembic.runtime.migration": hook_migration_of_render,  # noqa: F821
            "alembic.script.base": hook_script_of_render,  # noqa: F821
        }
    elif REQUEST:
        hooks = {"sqlalchemy": hook_step}
    else:
        hooks = OBSERVING
    for name in list(hooks):
        if name in sys.modules:
            hooks.pop(name)(sys.modules[name])
    if hooks:
        sys.meta_path.insert(0, Watcher(hooks))


# --- report ----------------------------------------------------------------------------------------------------------


@silently
def connection_info(connection):
    """What the driver says about the open connection: it knows what came from PG* variables or an option file."""
    if connection is None or connection.closed or connection.invalidated:
        return None
    pooled = connection.connection
    for name in ("driver_connection", "dbapi_connection", "connection"):
        raw = getattr(pooled, name, None)
        if raw is not None:
            break
    driver = type(raw).__module__.split(".")[0]
    info = {}
    if driver in ("psycopg2", "psycopg"):
        for name in ("host", "port", "dbname", "user", "password"):
            info[name] = getattr(raw.info, name, None)
        if driver == "psycopg2":
            parameters = raw.info.dsn_parameters
        else:
            parameters = raw.info.get_parameters()
        for name, value in parameters.items():
            if name.startswith("ssl") or name in ("options", "hostaddr"):
                info[name] = value
    elif driver == "asyncpg":
        for name in ("user", "password", "database"):
            info[name] = getattr(raw._params, name, None)
        if isinstance(raw._addr, str):
            # .../.s.PGSQL.5432
            info["host"], _, file = raw._addr.rpartition("/")
            info["port"] = int(file.rpartition(".")[2])
        else:
            info["host"], info["port"] = raw._addr[:2]
    elif driver == "pymysql":
        for name in ("host", "port", "unix_socket", "user", "password", "db"):
            value = getattr(raw, name, None)
            info[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    elif connection.dialect.name == "sqlite":
        # The library that runs the steps may be older than rollback's own.
        info["sqlite_version"] = getattr(connection.dialect.dbapi, "sqlite_version", None)
    return info


class NotAsPlanned(Exception):
    """What the operator reads at the end of the traceback."""


def everything_below(revision_map, rows):
    found = set()
    waiting = list(rows)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(revision_map.get_revision(name)._all_down_revisions)
    return found


def texts(value):
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def scalars(items):
    """The values that JSON has, one level deep: `ssl={"ca": file}` becomes `ssl_ca`."""
    found = {}
    for name, value in items:
        if isinstance(value, (str, int, float, bool, bytes)):
            found[str(name)] = value
        elif isinstance(value, dict):
            found.update(("%s_%s" % (name, key), item) for key, item in scalars(value.items()).items())
        elif type(value).__name__ == "SSLContext":
            found[str(name)] = True
    return found


@silently
def connection_report(dialect, cargs, cparams, info=None):
    arguments = [value for value in cargs if isinstance(value, str)]
    parameters = scalars(cparams.items())
    if dialect.name == "sqlite" and arguments:
        arguments[0] = sqlite_file(arguments[0], parameters)
    return {
        "dialect": dialect.name,
        "driver": dialect.driver,
        "arguments": arguments,
        "parameters": parameters,
        "info": scalars((info or {}).items()),
    }


def sqlite_file(name, parameters):
    """An absolute path, or what stands for a database in memory."""
    if name.startswith("file:") and parameters.get("uri"):
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(name)
        if "mode=memory" in parts.query:
            return ":memory:"
        name = unquote(parts.path)
    if name in ("", ":memory:"):
        return ":memory:"
    return os.path.abspath(name)


@silently
def context_report(known):
    context = known["context"]
    dialect = context.connection.engine.dialect
    same = [attempt for attempt in attempts if attempt[0] is dialect]
    # An engine with a `creator` opens its connections past the listener; the driver may still know.
    _, cargs, cparams = same[-1] if same else (dialect, [], {})
    # A driver of SQLite says nothing of the file.
    known_place = known["info"] and dialect.name != "sqlite"
    return {
        "from_environment": context.environment_context is not None,
        "version_table": context.version_table,
        "version_table_schema": context.version_table_schema,
        "transactional_ddl": bool(context.impl.transactional_ddl),
        "transaction_per_migration": bool(known.get("per_migration", context._transaction_per_migration)),
        "rows": known["rows"],
        "search_path": known.get("search_path"),
        "left_open": bool(known.get("begun_before") and not known.get("committed")),
        "connection": connection_report(dialect, cargs, cparams, known["info"]) if same or known_place else None,
    }


def revision_report(script):
    dependencies = getattr(script, "_resolved_dependencies", None)
    return {
        "id": script.revision,
        "down_revisions": texts(script.down_revision),
        "depends_on": texts(script.dependencies if dependencies is None else dependencies),
        "branch_labels": texts(script._orig_branch_labels),
        "doc": script.longdoc or "",
        "path": str(script.path),
    }


@silently
def used_script():
    """The script directory that the migrations ran with."""
    for known in reversed(contexts):
        for directory, loaded in scripts:
            if known["context"].script is directory:
                return directory, loaded
    return scripts[-1] if scripts else None


@silently
def history_report(succeeded):
    directory, loaded = used_script()
    whole = "_revision_map" in vars(directory.revision_map)
    if not whole and succeeded:
        # With an empty version table `current` never needs the files.
        directory.revision_map._revision_map
        whole = True
    return {
        "directory": os.path.abspath(str(directory.dir)),
        "locations": [os.path.abspath(str(place)) for place in directory._version_locations],
        "whole": whole,
        "revisions": [revision_report(script) for script in loaded],
    }


def clean(value):
    """Text that JSON can carry: a path that is no UTF-8 loses its odd bytes, and nothing else is lost with it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        except UnicodeError:
            return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def tell(value, end=b"\n"):
    import json

    data = json.dumps(clean(value)).encode("ascii") + end
    while data:
        data = data[os.write(CHANNEL, data) :]


def report(succeeded):
    alembic = sys.modules.get("alembic")
    return {
        "rollback_bridge": VERSION,
        "alembic": getattr(alembic, "__version__", None),
        "history": history_report(succeeded),
        "contexts": [item for item in map(context_report, contexts) if item],
        "attempts": [item for item in (connection_report(*attempt) for attempt in attempts[-8:]) if item],
    }


@silently
def report_at_end(succeeded):
    if not REQUEST:
        tell(report(succeeded), end=b"")
    elif "observe" in REQUEST:
        observed_at_end(succeeded)  # noqa: F821


# --- the engine ------------------------------------------------------------------------------------------------------


def run_script(path):
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def run_module(name):
    import runpy

    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = os.getcwd()
    runpy._run_module_as_main(name)


def run_engine(kind, name):
    """Runs the console script or module to its end, and tells of it. The exit status, or as SystemExit has it."""
    install()
    succeeded = False
    code = 0
    try:
        if kind == "script":
            run_script(name)
        else:
            run_module(name)
        succeeded = True
    except SystemExit as exit:
        succeeded = not exit.code
        code = exit.code
    except Exception as error:
        # Our own two frames are none of the reader's business.
        error = error.with_traceback(error.__traceback__.tb_next.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        report_at_end(succeeded)
        try:
            os.close(CHANNEL)
        except OSError:
            pass
    return code


def main():
    # Whatever the engine starts must not hold the channel, nor write into it.
    os.set_inheritable(CHANNEL, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    kind, name = sys.argv[1:3]
    sys.argv[:3] = [name if kind == "script" else "-m"]
    collect_rarely()
    code = run_engine(kind, name)
    collect_no_more()
    sys.exit(code)


def collect_rarely():
    """While modules are loaded, objects become many and hardly any of them garbage: to look for it costs a tenth of a start."""
    import gc

    if gc.isenabled():
        getattr(gc, "set_threshold", max)(100000, 50, 50)  # PyPy collects in another way


def collect_no_more():
    """At its end the interpreter looks through all objects several times, which is a fifth of a short run."""
    import gc

    gc.disable()
    getattr(gc, "freeze", int)()  # before 3.7 there is none


main_module = sys.modules["__main__"]  # its names would vanish with the last reference
main()
