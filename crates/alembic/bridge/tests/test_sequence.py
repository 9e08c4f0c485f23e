"""Which steps are run, and what ends them: sequence.py and session.py, with doubles of Alembic and of PostgreSQL."""

import types

import pytest

from conftest import Vanished


class Revisions:
    """Alembic's map of `a1 <- b2 <- c3`, and `d4`, which nothing follows."""

    below = {"a1": [], "b2": ["a1"], "c3": ["b2"], "d4": []}

    def get_revision(self, name):
        return types.SimpleNamespace(_all_down_revisions=self.below[name])


class Server:
    """PostgreSQL as the bridge sees it through the driver: the numbers of its transactions, and what was run."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)
        self.run = []

    def cursor(self):
        return self

    def execute(self, statement):
        self.run.append(statement)

    def fetchone(self):
        return (self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0],)

    def close(self):
        pass


@pytest.fixture
def run(bridge):
    """The run of a process whose server is in transaction 7."""
    server = Server(7)
    run = bridge.run
    dialect = types.SimpleNamespace(name="postgresql", do_commit=lambda _: server.run.append("commit"))
    dialect.do_rollback = lambda _: server.run.append("rollback")
    run.context = types.SimpleNamespace(
        dialect=dialect,
        impl=types.SimpleNamespace(transactional_ddl=True),
        script=types.SimpleNamespace(revision_map=Revisions()),
    )
    run.pooled = types.SimpleNamespace(dbapi_connection=server)
    run.steps = [{"removes": "c3", "after": ["b2"]}, {"removes": "b2", "after": ["a1"]}]
    run.transaction = 7
    run.server = server
    return run


def step(name, is_upgrade=False):
    return types.SimpleNamespace(is_upgrade=is_upgrade, up_revision_id=name)


# --- which steps -----------------------------------------------------------------------------------------------------


def test_the_request_has_the_steps_and_what_becomes_of_them(bridge):
    bridge.REQUEST.update(range=[{"removes": "c3"}], keep="own", before=["c3"])
    hooks = bridge.hooks_of_sequence()
    assert sorted(hooks) == sorted(bridge.OBSERVING)
    assert (bridge.run.keep, bridge.run.steps, bridge.run.observes) == ("own", [{"removes": "c3"}], False)


def test_to_observe_is_to_wait_for_steps_of_which_each_is_kept(bridge):
    bridge.REQUEST.update(observe=1)
    called = []
    names = list(bridge.OBSERVING)
    for name in names:
        bridge.OBSERVING[name] = lambda module, name=name: called.append(name)
    hooks = bridge.hooks_of_sequence()
    assert (bridge.run.keep, bridge.run.steps, bridge.run.observes) == ("each", [], True)
    hooks["sqlalchemy"](__import__("sqlalchemy"))
    assert called == ["sqlalchemy"]


@pytest.mark.parametrize("keep", ["end", "never"])
def test_each_step_of_a_whole_is_told_with_the_rows_after_it(bridge, parent, run, keep):
    run.keep = keep
    parent.say({"go_on": True}, {"go_on": True})
    bridge.follow(None, step("c3"), {"b2"}, {})
    bridge.follow(None, step(("b2",)), {"a1"}, {})
    assert [parent.hear(), parent.hear()] == [{"applied": [0, ["b2"]]}, {"applied": [1, ["a1"]]}]
    # Deferred triggers are run before the parent looks for the last time.
    assert run.server.run.count("SET CONSTRAINTS ALL IMMEDIATE") == 1
    assert run.applied == 2


def test_a_step_that_is_kept_by_itself_waits_for_its_commit(bridge, run):
    run.keep = "each"
    bridge.follow(None, step("c3"), {"b2"}, {})
    assert (run.waiting, run.applied) == (["b2"], 1)


@pytest.mark.parametrize(
    "taken, heads, why",
    [
        (step("b2"), ["b2"], "b2 was run where c3 was planned"),
        (step("c3", is_upgrade=True), ["b2"], "c3 was run where c3 was planned"),
        (step("c3"), ["a1"], "after c3 the version table holds ['a1']"),
        (step("c3"), ["b2", "d4"], "after c3 the version table holds ['b2', 'd4']"),
    ],
)
def test_what_was_not_planned_is_an_error(bridge, run, taken, heads, why):
    with pytest.raises(bridge.NotAsPlanned) as raised:
        bridge.follow(None, taken, set(heads), {})
    assert str(raised.value) == why
    assert (run.applied, run.waiting) == (0, None)


def test_a_row_that_another_one_implies_makes_no_difference(bridge, run):
    assert bridge.stand_for_the_same(["a1", "b2"], ["b2"])
    assert not bridge.stand_for_the_same(["b2", "d4"], ["b2"])
    assert bridge.everything_below(Revisions(), ["c3"]) == {"a1", "b2", "c3"}


# --- commits ---------------------------------------------------------------------------------------------------------


def test_the_parent_is_asked_before_the_driver_commits(bridge, parent, run):
    bridge.judge_commits(run.context.dialect)
    run.waiting = ["b2"]
    parent.go_on()
    run.context.dialect.do_commit(run.pooled)
    assert parent.hear() == {"applied": [0, ["b2"]]}
    assert run.server.run[-1] == "commit" and "rollback" not in run.server.run
    # That was the step's commit: others are none of the parent's business.
    run.context.dialect.do_commit(run.pooled)
    assert run.server.run[-2:] == ["commit", "commit"]


def test_another_connection_commits_without_being_asked(bridge, run):
    bridge.judge_commits(run.context.dialect)
    run.waiting = ["b2"]
    run.context.dialect.do_commit(object())
    assert (run.server.run, run.waiting) == (["commit"], ["b2"])


@pytest.mark.parametrize("gone", [False, True])
def test_no_step_is_committed_after_a_no(bridge, parent, run, capsys, gone):
    bridge.judge_commits(run.context.dialect)
    run.waiting = ["b2"]
    if gone:
        parent.socket.shutdown(1)
    else:
        parent.say({"go_on": False, "reason": "3 rows would go"})
    with pytest.raises(Vanished, match="1"):
        run.context.dialect.do_commit(run.pooled)
    assert run.server.run[-1] == "rollback" and "commit" not in run.server.run
    assert ("rollback is gone" if gone else "3 rows would go") in capsys.readouterr().err


def test_a_step_that_has_committed_by_itself_is_not_judged(bridge, parent, run):
    bridge.judge_commits(run.context.dialect)
    run.waiting = ["b2"]
    run.server.numbers = [8]
    run.context.dialect.do_commit(run.pooled)
    parent.channel.close()
    assert parent.hear_all() == []
    assert run.server.run[-1] == "commit"


def test_a_whole_whose_transaction_has_ended_is_noticed(bridge, run):
    bridge.same_transaction()
    run.server.numbers = [8]
    for look in (bridge.same_transaction, lambda: bridge.follow(None, step("c3"), {"b2"}, {})):
        run.applied = 0
        with pytest.raises(bridge.NotAsPlanned, match="a migration ended the transaction"):
            look()


def test_the_commit_of_a_migration_inside_a_whole_does_not_happen(bridge, run, monkeypatch):
    from sqlalchemy import create_engine, event, text

    engine = create_engine("sqlite://")
    listen = event.listen
    # On this engine alone, where the bridge would listen to all of them.
    monkeypatch.setattr(event, "listen", lambda _, name, listener: listen(engine, name, listener))
    bridge.hook_sqlalchemy_of_sequence(None)
    with engine.connect() as connection:
        run.pooled = connection.connection
        transaction = connection.begin()
        connection.execute(text("CREATE TABLE item (id INTEGER)"))
        connection.execute(text("INSERT INTO item VALUES (1)"))
        with pytest.raises(bridge.NotAsPlanned, match="a migration commits by itself"):
            transaction.commit()
        assert run.pooled.in_transaction
    with engine.connect() as connection:
        run.pooled = connection.connection
        run.allowed = True
        connection.begin().commit()


# --- before a step ---------------------------------------------------------------------------------------------------


def test_the_parent_measures_when_the_transaction_is_open(bridge, parent, run):
    run.transaction = None
    parent.go_on()
    bridge.begin_to_measure(1)
    assert run.transaction == 7
    assert parent.hear() == {"starting": 1}


def test_nothing_is_measured_in_autocommit_mode(bridge, parent, run):
    run.server.numbers = [7, 8]
    bridge.begin_to_measure(0)
    assert run.transaction is None
    parent.channel.close()
    assert parent.hear_all() == []


@pytest.mark.parametrize(
    "open_before, numbers, why",
    [
        (False, [7], None),
        (False, [7, 8], "env.py migrates over a connection in autocommit mode"),
        (True, [7], "env.py has begun a transaction when the migrations begin"),
    ],
)
def test_steps_share_a_process_only_if_each_has_its_transaction(bridge, run, open_before, numbers, why):
    run.server.numbers = numbers
    run.context.connection = types.SimpleNamespace(in_transaction=lambda: open_before)
    assert bridge.why_not_shared(run.context) == why


def test_a_driver_may_have_begun_a_transaction_by_itself(bridge, run):
    def connection(module, **attributes):
        return type("Connection", (), dict(attributes, __module__=module))()

    nothing = types.SimpleNamespace(in_transaction=lambda: False)
    for raw, expected in [
        (connection("psycopg2.extensions", info=types.SimpleNamespace(transaction_status=2)), True),
        (connection("psycopg2.extensions", info=types.SimpleNamespace(transaction_status=0)), False),
        (connection("pymysql.connections", server_status=3), True),
        (connection("pymysql.connections", server_status=2), False),
        (connection("sqlite3", in_transaction=True), True),
        (connection("other", in_transaction=True), False),
    ]:
        run.pooled = types.SimpleNamespace(dbapi_connection=raw)
        assert bridge.is_in_transaction(nothing) == expected
    assert bridge.is_in_transaction(types.SimpleNamespace(in_transaction=lambda: True))


def test_a_fingerprint_is_text_or_says_why_there_is_none(bridge, run):
    run.pooled.dbapi_connection.fetchone = lambda: (5, None, "public")
    assert bridge.fingerprint_of_session() == ["5", None, "public"]
    run.pooled.dbapi_connection.fetchone = lambda: None
    assert bridge.fingerprint_of_session() == "it cannot be read: TypeError"
    run.context.dialect.name = "oracle"
    assert bridge.fingerprint_of_session() is None


# --- the session -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "noted, last, expected",
    [
        ([(90, "3/11"), (91, "3/12")], "3/13", True),
        ([(90, "3/11"), (91, "3/13")], "3/14", False),  # one in between is not known
        ([(90, "3/11"), (91, "3/12")], "3/14", False),
        ([(90, "3/11"), (91, "4/12")], "4/13", False),  # another backend
        ([(90, "3/11"), None], "3/13", False),
        ([(90, "3/11")], None, False),
    ],
)
def test_no_transaction_of_the_session_may_be_missing(bridge, noted, last, expected):
    assert bridge.follow_each_other(noted, last) is expected
