"""What is said in the channel, and what silence means: base.py and verdict.py."""

import json
import os
import socket
import sqlite3
import threading
import types

import pytest

from conftest import Vanished


class Dialect:
    """Of a database whose transactions can be rolled back."""

    def __init__(self, name="sqlite"):
        self.name = name
        self.done = []

    def do_rollback(self, pooled):
        self.done.append("rollback")

    def do_commit(self, pooled):
        self.done.append("commit")


@pytest.fixture
def database(bridge):
    """The connection of a step whose transaction is open."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE item (id INTEGER, size REAL, name)")
    connection.execute("INSERT INTO item VALUES (1, 2.0, NULL), (2, 0.5, x'00ff')")
    connection.execute("BEGIN")
    bridge.run.context = types.SimpleNamespace(dialect=Dialect())
    bridge.run.pooled = types.SimpleNamespace(dbapi_connection=connection)
    yield connection
    connection.close()


def test_a_line_is_ascii_and_one_value(bridge, parent):
    bridge.tell({"name": "Größe\n\u2028", 1: (b"\xff", ["\udcff"])})
    line = parent.lines.readline()
    assert line.isascii()
    assert json.loads(line) == {"name": "Größe\n\u2028", "1": ["\ufffd", ["\ufffd"]]}


def test_a_line_that_the_channel_takes_in_pieces_is_whole(bridge, parent):
    long = "x" * 3_000_000
    telling = threading.Thread(target=bridge.tell, args=[long])
    telling.start()
    assert parent.hear() == long
    telling.join()


@pytest.mark.parametrize(
    "value, expected",
    [
        ("é", "é"),
        (b"caf\xc3\xa9 \xe9", "café \ufffd"),
        ("file\udce9", "file\ufffd"),
        ("\ud800", "?"),
        ({"a\udce9": (1, None)}, {"a\ufffd": [1, None]}),
    ],
)
def test_odd_bytes_are_lost_and_nothing_else(bridge, value, expected):
    assert bridge.clean(value) == expected
    json.dumps(bridge.clean(value)).encode()


def test_two_lines_at_once_are_heard_one_after_the_other(bridge, parent):
    parent.say({"go_on": True}, {"go_on": False, "reason": "why"})
    assert [bridge.hear(), bridge.hear()] == [{"go_on": True}, {"go_on": False, "reason": "why"}]


def test_a_line_in_pieces_is_heard_whole(bridge, parent):
    parent.socket.sendall(b'{"go_on": tr')
    threading.Timer(0.05, parent.socket.sendall, [b"ue}\n"]).start()
    assert bridge.hear() == {"go_on": True}


@pytest.mark.parametrize("before", [b"", b'{"go_on": true}'])
def test_the_end_of_the_channel_is_a_no(bridge, parent, before):
    parent.socket.sendall(before)  # a yes whose line is not whole does not count
    parent.socket.shutdown(socket.SHUT_WR)
    for ask in (bridge.consult, bridge.demand):
        with pytest.raises(bridge.NotAsPlanned, match="nobody is left to allow the commit"):
            ask("finished")


def test_the_parent_is_told_and_its_verdict_is_heard(bridge, parent):
    parent.say({"go_on": True}, {"go_on": False, "reason": "3 rows would go"})
    assert bridge.consult({"kept": 0}) is None
    assert bridge.consult({"kept": 1}) == "3 rows would go"
    assert [parent.hear(), parent.hear()] == [{"kept": 0}, {"kept": 1}]


def test_a_demand_raises_the_reason_of_a_no(bridge, parent):
    parent.go_on()
    bridge.demand("begun")
    parent.say({"go_on": False, "reason": "3 rows would go"})
    with pytest.raises(bridge.NotAsPlanned, match="^3 rows would go$"):
        bridge.demand("finished")


def test_questions_are_answered_before_the_verdict(bridge, parent, database):
    parent.say({"ask": ["DELETE FROM item WHERE id = 1", "SELECT id, size, name FROM item"]}, {"ask": ["nonsense"]})
    parent.go_on()
    assert bridge.consult("finished") is None
    assert parent.hear() == "finished"
    assert parent.hear() == {"rows": [["2", "0.5", "\\x00ff"]]}
    assert parent.hear() == {"error": {"code": None, "reason": 'near "nonsense": syntax error'}}
    # Nothing of a question stays, and the transaction is still the same.
    assert database.execute("SELECT count(*) FROM item").fetchone() == (2,)
    assert database.in_transaction


def test_a_question_without_rows_has_none(bridge, database):
    assert bridge.answer(["DELETE FROM item"]) == {"rows": []}
    assert database.execute("SELECT count(*) FROM item").fetchone() == (2,)


def test_a_question_that_ends_the_transaction_is_noticed(bridge, database):
    with pytest.raises(bridge.NotAsPlanned, match="the transaction that the steps were to happen in is lost"):
        bridge.answer(["COMMIT", "SELECT 1"])


@pytest.mark.parametrize(
    "value, text",
    [(None, None), ("a", "a"), (True, "t"), (False, "f"), (2.0, "2"), (2.5, "2.5"), (7, "7"), (memoryview(b"\x01"), "\\x01")],
)
def test_a_value_is_written_as_the_server_writes_it(bridge, value, text):
    assert bridge.text_of(value) == text


def test_each_driver_has_the_code_of_an_error_in_its_own_place(bridge):
    def error(*args, **attributes):
        found = Exception(*args)
        found.__dict__.update(attributes)
        return found

    assert bridge.code_of(error(sqlstate="42P01")) == "42P01"  # psycopg, asyncpg
    assert bridge.code_of(error(pgcode="42P01", sqlstate=None)) == "42P01"  # psycopg2
    assert bridge.code_of(error({"C": "42P01"})) == "42P01"  # pg8000
    assert bridge.code_of(error("text")) is None
    assert bridge.code_of(error()) is None


def test_a_descriptor_comes_with_its_line(bridge, parent):
    held, given = os.pipe()
    parent.hand({"run": {"range": []}}, given)
    os.close(given)
    said, taken = bridge.hear_and_take()
    assert said == {"run": {"range": []}}
    assert os.get_inheritable(taken)
    os.write(taken, b"y")
    assert os.read(held, 1) == b"y"
    parent.go_on()
    assert bridge.hear() == {"go_on": True}  # the channel is still open
    os.close(taken)
    os.close(held)


def test_nothing_comes_from_a_channel_that_ends(bridge, parent):
    bridge.CHANNEL = os.dup(bridge.CHANNEL)  # it is closed
    parent.socket.sendall(b'{"run"')
    parent.socket.shutdown(socket.SHUT_WR)
    assert bridge.hear_and_take() == (None, None)


def test_a_no_rolls_back_before_the_process_ends(bridge, parent, database, capsys):
    bridge.refuse(None)
    with pytest.raises(Vanished, match="1"):
        bridge.refuse("3 rows would go")
    assert bridge.run.context.dialect.done == ["rollback"]
    assert parent.hear() == "taken_back"
    assert capsys.readouterr().err == "3 rows would go\n"


@pytest.mark.parametrize("ends", [False, True])
def test_a_pause_ends_with_a_no_and_the_process_with_the_channel(bridge, parent, ends):
    connection = types.SimpleNamespace(info={"rollback_transactions": [(1, "1/1")]}, in_transaction=lambda: False)
    bridge.run.context = types.SimpleNamespace(connection=connection)
    bridge.run.pooled = types.SimpleNamespace(dbapi_connection=object())
    parent.say({"go_on": True}, {"go_on": False, "reason": "enough"})
    assert [bridge.pause(0), bridge.pause(1)] == [True, False]
    assert connection.info == {}
    if ends:
        parent.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(Vanished, match="1"):
            bridge.pause(2)


def test_nothing_is_told_of_a_step_whose_transaction_is_open(bridge, parent):
    bridge.run.context = types.SimpleNamespace(connection=types.SimpleNamespace(in_transaction=lambda: True))
    assert not bridge.pause(0)
    parent.channel.close()
    assert parent.hear_all() == []
