"""An interpreter that has loaded what every engine of the tests loads, and forks for each that starts: see sitecustomize.py.

    python preloaded.py SOCKET      until the end of its stdin

It knows its forks by pidfd, so that it needs no signals, and has no thread of its own.
"""

import gc
import importlib
import marshal
import os
import random
import runpy
import select
import signal
import socket
import sys
import time
import types

import sitecustomize

LOADED = [
    "alembic.config",
    "alembic.command",
    "alembic.autogenerate",
    "alembic.operations.batch",
    "sqlalchemy.orm",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.pool",
    "mako.template",
    "psycopg2",
    "pymysql",
    "flask.cli",
    "flask_migrate",
    "flask_sqlalchemy",
    # Of the standard library.
    "ast",
    "asyncio",
    "configparser",
    "csv",
    "hashlib",
    "inspect",
    "json",
    "logging.config",
    "sqlite3",
    "tempfile",
    "uuid",
]


class Forked(Exception):
    """Carries a fork out of the server's loop."""


def serve(path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(path)
    listening.listen(1000)
    print("ready", flush=True)
    poll = select.poll()
    poll.register(0)
    poll.register(listening, select.POLLIN)
    waiting = {}  # by the descriptor of the socket and that of the process
    while True:
        for number, _ in poll.poll():
            if number == 0:
                return end(path, {pid for _, _, pid in waiting.values()})
            if number == listening.fileno():
                started = start(listening.accept()[0])
                if started is not None:
                    for one in started[:2]:
                        waiting[one if type(one) is int else one.fileno()] = started
                        poll.register(one, select.POLLIN)
            elif number in waiting:
                asking, process, pid = waiting[number]
                if number != process:
                    # Whoever asked was killed.
                    kill(pid)
                _, status = os.waitpid(pid, 0)
                try:
                    asking.send(b"%d" % status)
                except OSError:
                    pass
                for one in (asking.fileno(), process):
                    poll.unregister(one)
                    del waiting[one]
                asking.close()
                os.close(process)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end(path, pids):
    for pid in pids:
        kill(pid)
    os.remove(path)
    try:
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass  # another of them is still to end


def start(asking):
    """The socket, the pidfd and the number of a fork; None if there is none."""
    try:
        letter, *files = socket.recv_fds(asking, 1, 250)[1]
    except (OSError, ValueError):
        asking.close()
        return None
    request = marshal.loads(os.pread(letter, os.fstat(letter).st_size, 0))
    pid = process = None
    if request["facts"] == FACTS:
        asking.send(b"y")
        pid = os.fork()
        if pid == 0:
            raise Forked(request, files)
        process = os.pidfd_open(pid)
    else:
        asking.send(b"n")
    for one in (letter, *files):
        os.close(one)
    if pid is None:
        asking.close()
        return None
    return asking, process, pid


def take(files, received):
    """Has the descriptors that the starting process had, and no other."""
    above = 1000
    kept = [os.dup2(one, above + place, False) for place, one in enumerate(received)]
    os.closerange(0, above)
    for (number, inheritable), one in zip(files, kept):
        os.dup2(one, number, inheritable)
    os.closerange(above, above + len(kept))


def open_again(stream, number, encoding, errors, line_buffering, write_through):
    """The object stays: Alembic has the stdout of its import as the default of an argument."""
    mode = "rb" if number == 0 else "wb"
    buffering = 0 if write_through and number else -1
    binary = open(number, mode, buffering, closefd=False)
    stream.__init__(binary, encoding, errors, None, line_buffering, write_through)


def become(request, received):
    os.setpgid(0, request["group"])
    take(request["files"], received)
    os.umask(request["umask"])
    os.environb.clear()
    os.environb.update(request["variables"])
    time.tzset()
    os.chdir(request["folder"])
    for one in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if one in request["ignored"]:
            signal.signal(one, signal.SIG_IGN)
        elif signal.getsignal(one) == signal.SIG_IGN:
            signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    present = {number for number, _ in request["files"]}
    for number, name in enumerate(["stdin", "stdout", "stderr"]):
        if number in present:
            open_again(getattr(sys, name), number, *request["streams"][number])
        else:
            setattr(sys, name, None)
    sys.orig_argv, sys.path[:], sys.executable = request["words"], request["path"], request["executable"]
    sys.modules.pop("preloaded", None)
    sys.modules["sitecustomize"] = sitecustomize
    sys.path_importer_cache.clear()
    random.seed()


def obey(how, what, words):
    """What the interpreter itself does with its command line."""
    sys.argv = words
    main = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__, __annotations__={})
    sys.modules["__main__"] = main
    if how == "-m":
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(what)
    elif how == "-c":
        sys.path.insert(0, "")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        sys.path.insert(0, os.path.dirname(os.path.realpath(what)))
        main.__file__ = what
        with open(what, "rb") as script:
            code = compile(script.read(), what, "exec")
        exec(code, main.__dict__)


def load():
    for name in LOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # an environment without it
    gc.collect()
    gc.freeze()


FACTS = sitecustomize.facts()
if __name__ == "__main__":
    main_module = sys.modules["__main__"]  # its names would vanish with the last reference
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # its stdin ends with whoever it is for
    load()
    try:
        serve(sys.argv[1])
        os._exit(0)
    except Forked as forked:
        request, received = forked.args
    become(request, received)
    # gc stays as any interpreter has it but for the thresholds.
    gc.set_threshold(100000, 50, 50)
    try:
        obey(*request["order"])
    except SystemExit:
        raise
    except BaseException as error:
        # The frame of `obey` and this one are none of the reader's business.
        beyond = error.__traceback__.tb_next.tb_next
        sys.excepthook(type(error), error.with_traceback(beyond), beyond)
        if isinstance(error, KeyboardInterrupt):
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        sys.exit(1)
