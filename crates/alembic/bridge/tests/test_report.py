"""What is told of connections, contexts and scripts, and the limit for locks: observe.py, report.py, lock_timeout.py."""

import json
import os
import ssl
import types

import pytest


def object_of(module, **attributes):
    """A driver is known by the module of its connection."""
    return type("Connection", (), dict(attributes, __module__=module))()


def dialect(name="postgresql", driver="psycopg2"):
    return types.SimpleNamespace(name=name, driver=driver)


def opened(raw, name="postgresql"):
    """SQLAlchemy's connection over one of the driver's."""
    return types.SimpleNamespace(
        closed=False, invalidated=False, dialect=dialect(name), connection=types.SimpleNamespace(driver_connection=raw)
    )


# --- connections -----------------------------------------------------------------------------------------------------


def test_only_what_json_has_is_told_of_parameters(bridge):
    items = {
        "host": "h",
        "port": 5432,
        "ssl": {"ca": "/ca", "deep": {"er": b"x"}},
        "ssl_context": ssl.create_default_context(),
        "creator": print,
        "nothing": None,
    }
    assert bridge.scalars(items.items()) == {
        "host": "h",
        "port": 5432,
        "ssl_ca": "/ca",
        "ssl_deep_er": b"x",
        "ssl_context": True,
    }


def test_a_connection_is_told_with_its_driver_and_what_the_driver_says(bridge):
    told = bridge.connection_report(dialect(), ["dsn", 5], {"user": "o", "hook": print}, {"port": 5433, "x": None})
    assert told == {
        "dialect": "postgresql",
        "driver": "psycopg2",
        "arguments": ["dsn"],
        "parameters": {"user": "o"},
        "info": {"port": 5433},
    }


@pytest.mark.parametrize(
    "name, parameters, file",
    [
        ("", {}, ":memory:"),
        (":memory:", {}, ":memory:"),
        ("app.db", {}, "/srv/app.db"),
        ("/a/../app.db", {}, "/app.db"),
        ("file:/a%20b.db?mode=ro", {"uri": True}, "/a b.db"),
        ("file:x?mode=memory&cache=shared", {"uri": True}, ":memory:"),
        ("file:x.db", {}, "/srv/file:x.db"),
    ],
)
def test_a_file_of_sqlite_is_told_by_its_whole_path(bridge, monkeypatch, name, parameters, file):
    monkeypatch.setattr(os, "getcwd", lambda: "/srv")
    assert bridge.sqlite_file(name, parameters) == file
    assert bridge.connection_report(dialect("sqlite", "pysqlite"), [name], parameters)["arguments"] == [file]


def test_psycopg2_tells_what_came_from_variables_and_no_other_parameter(bridge):
    parameters = {"sslmode": "require", "options": "-cx=1", "hostaddr": "::1", "channel_binding": "prefer"}
    info = types.SimpleNamespace(host="h", port=5433, dbname="app", user="o", password="p", dsn_parameters=parameters)
    told = bridge.connection_info(opened(object_of("psycopg2.extensions", info=info)))
    assert told == {
        "host": "h",
        "port": 5433,
        "dbname": "app",
        "user": "o",
        "password": "p",
        "sslmode": "require",
        "options": "-cx=1",
        "hostaddr": "::1",
    }


@pytest.mark.parametrize(
    "address, host, port", [("/run/pg/.s.PGSQL.5433", "/run/pg", 5433), (("h", 5432), "h", 5432)]
)
def test_asyncpg_tells_the_address(bridge, address, host, port):
    raw = object_of("asyncpg.connection", _addr=address, _params=types.SimpleNamespace(user="o", password="p", database="app"))
    told = bridge.connection_info(opened(raw))
    assert (told["host"], told["port"], told["database"]) == (host, port, "app")


def test_pymysql_tells_bytes_as_text(bridge):
    raw = object_of("pymysql.connections", user=b"o", password=b"p\xff", host="h", port=3306, db="app")
    told = bridge.connection_info(opened(raw, "mysql"))
    assert (told["user"], told["password"], told["unix_socket"], told["db"]) == ("o", "p\ufffd", None, "app")


def test_a_closed_connection_tells_nothing(bridge):
    connection = opened(object_of("pymysql.connections"))
    connection.closed = True
    assert bridge.connection_info(connection) is None
    assert bridge.connection_info(None) is None


def test_what_fails_is_left_out_and_the_rest_is_told(bridge):
    bridge.attempts.append((object(), [], {}))
    bridge.attempts.extend((dialect(), [str(number)], {}) for number in range(9))
    bridge.contexts.append({"context": None, "rows": ["c3"], "info": None})
    told = bridge.report(True)
    json.dumps(told)
    assert told["rollback_bridge"] == 1
    assert (told["history"], told["contexts"]) == (None, [])
    assert [attempt["arguments"] for attempt in told["attempts"]] == [[str(number)] for number in range(1, 9)]
    bridge.attempts[-1] = (object(), [], {})
    assert len(bridge.report(True)["attempts"]) == 7


# --- contexts and scripts --------------------------------------------------------------------------------------------


def context(options=None, **others):
    engine = types.SimpleNamespace(dialect=dialect())
    found = types.SimpleNamespace(
        connection=types.SimpleNamespace(engine=engine, get_execution_options=lambda: options or {}),
        environment_context=object(),
        version_table="versions",
        version_table_schema="app",
        impl=types.SimpleNamespace(transactional_ddl=True),
        _transaction_per_migration=True,
        script=object(),
    )
    return dict({"context": found, "rows": ["c3"], "info": None}, **others)


@pytest.mark.parametrize("begun, committed, left", [(True, False, True), (True, True, False), (False, False, False)])
def test_a_transaction_that_was_open_before_is_left_open_unless_it_is_committed(bridge, begun, committed, left):
    told = bridge.context_report(context(begun_before=begun, committed=committed))
    assert told["left_open"] is left


def test_a_context_is_told_as_it_was_configured(bridge):
    # The sequence sets the attribute for its own steps, after it was noted.
    told = bridge.context_report(context(per_migration=False, search_path="app"))
    assert (told["version_table"], told["version_table_schema"], told["search_path"]) == ("versions", "app", "app")
    assert (told["transaction_per_migration"], told["rows"]) == (False, ["c3"])
    assert told["connection"] is None
    assert (told["foreign_keys"], told["translates_schemas"]) == (None, False)


def test_a_context_says_whether_keys_are_enforced_and_schemas_translated(bridge):
    told = bridge.context_report(context(options={"schema_translate_map": {None: "tenant"}}, foreign_keys=True))
    assert (told["foreign_keys"], told["translates_schemas"]) == (True, True)


def test_a_context_has_the_last_connection_of_its_engine(bridge):
    known = context(info={"port": 5433})
    own = known["context"].connection.engine.dialect
    bridge.attempts.extend([(own, [], {"host": "first"}), (own, [], {"host": "last"}), (dialect(), [], {"host": "other"})])
    told = bridge.context_report(known)["connection"]
    assert (told["parameters"], told["info"]) == ({"host": "last"}, {"port": 5433})


def test_the_history_is_that_of_the_directory_that_migrated(bridge):
    def directory(name):
        return types.SimpleNamespace(dir=name, _version_locations=["v"], revision_map=types.SimpleNamespace())

    script = types.SimpleNamespace(
        revision="c3", down_revision=("a1", "b2"), dependencies="x", _orig_branch_labels=None, longdoc=None, path="/p/c3.py"
    )
    bridge.scripts.extend([(directory("one"), [script]), (directory("two"), [])])
    assert bridge.history_report(False)["directory"] == os.path.abspath("two")
    known = context()
    known["context"].script = bridge.scripts[0][0]
    bridge.contexts.append(known)
    told = bridge.history_report(False)
    assert (told["directory"], told["whole"]) == (os.path.abspath("one"), False)
    assert told["revisions"] == [
        {
            "id": "c3",
            "down_revisions": ["a1", "b2"],
            "depends_on": ["x"],
            "branch_labels": [],
            "doc": "",
            "path": "/p/c3.py",
        }
    ]


# --- the limit for locks ---------------------------------------------------------------------------------------------


class Connection:
    """A connection of a driver, answered by another process than greeted it if there is a pooler."""

    def __init__(self, answering=1, fails=False):
        self.answering = answering
        self.fails = fails
        self.done = []
        self.description = True

    def get_backend_pid(self):
        return 1

    def cursor(self):
        return self

    def execute(self, statement):
        if self.fails:
            raise ValueError("no\nand more")
        self.done.append(statement)

    def fetchone(self):
        return (self.answering,)

    def close(self):
        pass

    def commit(self):
        self.done.append("commit")

    def rollback(self):
        self.done.append("rollback")


@pytest.mark.parametrize("milliseconds, seconds", [(1, 1), (3000, 3), (3001, 4)])
def test_mysql_counts_in_seconds_and_never_in_none(bridge, milliseconds, seconds):
    bridge.REQUEST["lock_timeout"] = milliseconds
    connection = Connection()
    assert bridge.limit_session(connection, "mariadb") == "session"
    statement, end = connection.done
    assert statement.count("CAST(LEAST(@@SESSION.") == 2
    assert "lock_wait_timeout, %d) AS UNSIGNED)" % seconds in statement
    assert end == "commit"


def test_postgresql_has_its_limit_for_the_session_or_behind_a_pooler_for_each_transaction(bridge):
    bridge.REQUEST["lock_timeout"] = 1500
    direct, pooled = Connection(answering=1), Connection(answering=2)
    assert bridge.limit_session(direct, "postgresql") == "session"
    assert direct.done[-2:] == [bridge.POSTGRESQL_LIMIT % {"limit": 1500, "local": "false"}, "commit"]
    assert bridge.limit_session(pooled, "postgresql") == "transaction"
    assert "commit" not in pooled.done
    assert bridge.limit_transaction(pooled) == "transaction"
    assert pooled.done[-1] == bridge.POSTGRESQL_LIMIT % {"limit": 1500, "local": "true"}


@pytest.mark.parametrize(
    "module, way", [("psycopg2.extensions", "session"), ("MySQLdb.connections", "session"), ("sqlite3", "unknown")]
)
def test_a_connection_of_a_creator_is_known_by_its_module(bridge, module, way):
    bridge.REQUEST["lock_timeout"] = 1500
    assert bridge.limit_session(type("C", (Connection,), {"__module__": module})(), None) == way


def test_a_limit_that_fails_is_told_once_and_rolled_back(bridge, parent):
    bridge.REQUEST["lock_timeout"] = 1500
    connection = Connection(fails=True)
    for _ in range(2):
        assert bridge.attempted(bridge.limit_session, connection, "mysql") == "none"
    assert connection.done == ["rollback", "rollback"]
    assert bridge.attempted(bridge.limit_session, Connection(), "mysql") == "session"
    assert [parent.hear(), parent.hear()] == [
        {"lock_timeout": "none", "why": "ValueError: no"},
        {"lock_timeout": "session", "why": None},
    ]


def test_each_driver_names_the_process_that_greeted_it(bridge):
    for raw in [
        types.SimpleNamespace(get_backend_pid=lambda: 258),
        types.SimpleNamespace(get_server_pid=lambda: 258),
        types.SimpleNamespace(_backend_key_data=b"\0\0\1\2secret"),
        types.SimpleNamespace(info=types.SimpleNamespace(backend_pid=258)),
    ]:
        assert bridge.greeted_by(raw) == 258
    assert bridge.greeted_by(object()) is None


# --- rendering -------------------------------------------------------------------------------------------------------


def test_the_code_of_a_project_is_told_from_that_of_libraries(bridge):
    libraries = ["/usr/lib/python3", "/env/lib/site-packages/alembic"]
    for file, expected in [
        ("/usr/lib/python3/json/decoder.py", True),
        ("/env/lib/site-packages/alembic/op.py", True),
        ("/usr/lib/python3/site-packages/shop/models.py", False),
        ("/usr/lib/python3x/models.py", False),
        ("/project/models.py", False),
    ]:
        assert bridge.is_below(file, libraries) is expected


# --- how the files are loaded ----------------------------------------------------------------------------------------


def test_only_the_loader_starts_an_engine(bridge):
    assert bridge.__name__ != "rollback_bridge"
    assert not hasattr(bridge, "main_module")
