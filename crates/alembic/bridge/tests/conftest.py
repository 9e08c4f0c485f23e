"""Loads the bridge, inside the test or in front of a real engine, and plays its parent process."""

import json
import os
import shutil
import socket
import sqlite3
import struct
import sys
import sysconfig
import time
import types
from pathlib import Path

import alembic.config  # what most engines of the tests would load again
import alembic.op
import pytest
import sqlalchemy.dialects.sqlite

FOLDER = Path(__file__).resolve().parent.parent
PROJECT = Path(__file__).resolve().parent / "project"
LOADER = (
    "import sys;s,_,r=sys.stdin.buffer.read().partition(b'\\0');"
    "exec(compile(s,'<bridge>','exec'),{'__name__':'rollback_bridge','REQUEST':eval(r.decode(),{'__builtins__':{}})})"
)
CREATED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
STREAMS = [("source", os.O_RDONLY, 0), ("stdout", CREATED, 0o600), ("stderr", CREATED, 0o600)]
SECONDS = 60  # nothing here takes as long, unless somebody waits for nothing


def parts(request):
    """The files that a request is sent with, in their order; all of them without one."""
    names = ["base"]
    if request is None or "session" in request:
        names += ["session"]
    if request is None or "range" in request or "observe" in request:
        names += ["sequence", "verdict"]
    if request is None or "render" in request:
        names += ["render"]
    names += ["lock_timeout", "observe", "report", "bridge"]
    return [FOLDER / (name + ".py") for name in names]


class Parent:
    """The other end of the channel. What it says may be said before it is asked."""

    def __init__(self):
        self.socket, self.channel = socket.socketpair()
        self.socket.settimeout(SECONDS)
        # The bridge itself waits for as long as it takes.
        self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SECONDS, 0))
        self.lines = self.socket.makefile("rb")

    def hear(self):
        """The next thing that is told; None at the end."""
        line = self.lines.readline()
        return json.loads(line) if line else None

    def hear_all(self):
        """What is told up to the end."""
        return list(iter(self.hear, None))

    def say(self, *values):
        for value in values:
            self.socket.sendall(json.dumps(value).encode() + b"\n")

    def go_on(self):
        self.say({"go_on": True})

    def hand(self, value, descriptor):
        """Says it, and passes a descriptor with it."""
        socket.send_fds(self.socket, [json.dumps(value).encode() + b"\n"], [descriptor])

    def leave(self):
        self.lines.close()
        self.socket.close()


class Vanished(BaseException):
    """The process would have ended here, past every handler."""


COMPILED = [compile(path.read_bytes(), str(path), "exec") for path in parts(None)]


@pytest.fixture
def bridge():
    """The namespace of all parts, without the start of an engine. It has no channel."""
    module = types.ModuleType("bridge_of_a_test")
    module.REQUEST = {}
    for code in COMPILED:
        exec(code, module.__dict__)

    def vanish(status):
        raise Vanished(status)

    module.vanish = vanish
    module.CHANNEL = -1
    return module


@pytest.fixture
def parent(bridge):
    parent = Parent()
    bridge.CHANNEL = parent.channel.fileno()
    yield parent
    parent.leave()
    parent.channel.close()


class Engine(Parent):
    """A process of a real engine with the bridge in front.

    Most are forked from this process, where Alembic is loaded; `fresh` starts an interpreter, as the program does.
    """

    def __init__(self, request, *words, fresh=False):
        Parent.__init__(self)
        text = b"".join(path.read_bytes() for path in parts(request)) + b"\0" + json.dumps(request).encode()
        Path("source").write_bytes(text)
        self.pid = self.spawn(words) if fresh else self.fork(words)
        self.channel.close()

    def spawn(self, words):
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", LOADER, *words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, number, *how) for number, how in enumerate(STREAMS)]
            + [(os.POSIX_SPAWN_DUP2, self.channel.fileno(), 3)],
        )

    def fork(self, words):
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            for number, source in enumerate([os.open(*how) for how in STREAMS] + [self.channel.fileno()]):
                os.dup2(source, number)
            os.closerange(4, 1000)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
            sys.excepthook = sys.__excepthook__
            sys.argv = ["-c", *words]
            exec(LOADER, {"__name__": "__main__"})
        except SystemExit as exit:
            code = exit.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def end(self):
        """Waits for it. The exit status."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        raise TimeoutError("the engine does not end")

    def kill(self):
        self.leave()
        if self.pid is not None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)

    out = property(lambda self: Path("stdout").read_text())
    err = property(lambda self: Path("stderr").read_text())


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts an engine in an empty folder: the request, and its words."""
    monkeypatch.chdir(tmp_path)
    started = []

    def start(request, *words, **how):
        started.append(Engine(request, *words, **how))
        return started[-1]

    yield start
    for engine in started:
        engine.kill()


class Project:
    """A copy of `project`, at its newest revision: to take `c3` back deletes row 3, and so on."""

    def __init__(self, start):
        self.start = start
        shutil.copytree(PROJECT, ".", dirs_exist_ok=True)
        with sqlite3.connect("app.db") as database:
            database.executescript(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
                "INSERT INTO alembic_version VALUES ('c3');"
                "CREATE TABLE item (id INTEGER PRIMARY KEY);"
                "INSERT INTO item VALUES (1), (2), (3);"
            )
        database.close()

    def alembic(self, request, *words, **how):
        script = os.path.join(sysconfig.get_path("scripts"), "alembic")
        return self.start(request, "script", script, *words, **how)

    def state(self):
        """The version rows, and the items."""
        database = sqlite3.connect("app.db")
        try:
            rows = ["SELECT version_num FROM alembic_version", "SELECT id FROM item ORDER BY id"]
            return tuple([value for (value,) in database.execute(statement)] for statement in rows)
        finally:
            database.close()


@pytest.fixture
def project(start):
    return Project(start)
