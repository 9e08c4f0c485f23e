"""The JSON object with what observe.py noted: the history, the databases and their version rows."""


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
        "foreign_keys": known.get("foreign_keys"),
        "translates_schemas": bool(context.connection.get_execution_options().get("schema_translate_map")),
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
        observed_at_end(succeeded)
