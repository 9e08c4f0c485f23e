"""Keeps the engine's own interpreter ready, and forks it for each command line.

Stands in front of bridge.py, which ends by calling `serve` where REQUEST has `serve`. What is imported here once is
what every start of the engine would import again; each command line is then run by a fork of its own, which does just
what `main` of bridge.py does in a fresh interpreter.

CHANNEL is a socket to the parent here, LIFELINE a pipe that ends with the parent. Spoken on the socket, with fields
between zero bytes and two of them at the end of a message:

- to us: `fork\\n`, with the descriptors that the fork has as 1, 2, CHANNEL and, where there is one more, HELD; `wait\\n`, to
  be told the end of the oldest fork;
- from us: `ready PATH...`: the engine is imported, and these files were read for it; `reads PATH...`: the same of files
  that later forks start from; `forked PID`; `refused REASON`, once and for all or in the place of a fork;
  `ended STATUS`, as waitpid tells it.

A fork does nothing until one line has come through its channel: what it is to run. Without one it ends.
"""

import os
import sys

LIFELINE = 5
HELD = 4
OWN = 7  # from here on descriptors are ours, and a fork closes them

# Libraries that start threads for themselves while they are imported, and what keeps them from it. A thread would not
# come along into a fork. The variables are gone before anything is run.
WITHOUT_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}

files_read = {}  # path -> True, in the order of reading; only files that are opened for reading alone
noting = [False]
application = []  # the one that was built ahead: [(create_app, app_import_path, app)]
history = []  # the history that forks start from: [History]


class Unsound(Exception):
    """Why nothing can be forked here, as a clause for people."""


# --- the server ------------------------------------------------------------------------------------------------------


def say(*fields):
    data = b"\0".join(as_field(field).replace(b"\0", b" ") or b" " for field in fields) + b"\0\0"
    while data:
        data = data[os.write(CHANNEL, data) :]  # noqa: F821


def as_field(field):
    return field if isinstance(field, bytes) else str(field).encode("utf-8", "surrogateescape")


def serve():
    end_with_the_parent()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    null = os.open(os.devnull, os.O_RDWR)
    kind, name = sys.argv[1:3]
    arguments = sys.argv[3:]
    sys.argv[:] = [name if kind == "script" else "-m"] + arguments
    said = Captured(null)
    try:
        note_what_is_read()
        without_threads(lambda: warm_up(kind, name, arguments))
        check_soundness()
    except Unsound as reason:
        say("refused", reason)
        os._exit(0)
    except BaseException as error:
        say("refused", "%s while the engine was imported: %s" % (type(error).__name__, error))
        os._exit(0)
    finally:
        noting[0] = False
    said.stop()
    say("ready", *own_files())
    files_read.clear()
    freeze()
    answer_requests(kind, name, said)


def answer_requests(kind, name, said):
    import _socket

    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, moved(os.dup(CHANNEL)))  # noqa: F821
    remembers = False
    forks = []  # (process, its notes), the oldest first
    while True:
        request, descriptors = receive(control)
        if not request:
            os._exit(0)
        if request == b"wait\n":
            forked, notes = forks.pop(0)
            _, status = os.waitpid(forked, 0)
            say("ended", status)
            if notes is not None:
                told = read_notes(notes)
                os.close(notes)
                if told is not None and not remembers and not forks:
                    remembers = True
                    become_warmer(told)
            continue
        try:
            check_soundness(descriptors)
        except Unsound as reason:
            for descriptor in descriptors:
                os.close(descriptor)
            say("refused", reason)
            continue
        notes = None if remembers else nameless_file()
        forked = os.fork()
        if not forked:
            control.close()
            run_as_the_engine(kind, name, said, descriptors, notes)
        try:
            os.setpgid(forked, forked)
        except OSError:
            pass  # it has done so itself, or is gone
        for descriptor in descriptors:
            os.close(descriptor)
        forks.append((forked, notes))
        say("forked", forked)


def receive(control):
    """One request and its descriptors; nothing where the parent is gone."""
    import _socket

    size = _socket.CMSG_SPACE(8 * 4)
    data, ancillary, _, _ = control.recvmsg(len(b"fork\n"), size)
    while data and not data.endswith(b"\n"):
        more = control.recv(1)
        if not more:
            return None, []
        data += more
    descriptors = []
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            for at in range(0, len(content) - len(content) % 4, 4):
                descriptors.append(int.from_bytes(content[at : at + 4], sys.byteorder))
    # The lowest numbers are those of the fork itself.
    return data, [moved(descriptor) for descriptor in descriptors]


def moved(descriptor):
    import fcntl

    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, OWN)
    os.close(descriptor)
    return higher


def end_with_the_parent():
    """A pipe that hangs up sends a signal, whose default is to end us, whatever we are at."""
    try:
        import fcntl

        # All of our process group: a warmer one that is forked from us is meant as well.
        fcntl.fcntl(LIFELINE, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(LIFELINE, fcntl.F_SETFL, fcntl.fcntl(LIFELINE, fcntl.F_GETFL) | os.O_ASYNC)
    except (AttributeError, ImportError, OSError):
        pass  # the end of the socket is noticed all the same, between two forks
    os.set_inheritable(LIFELINE, False)
    os.set_inheritable(CHANNEL, False)  # noqa: F821
    os.set_blocking(LIFELINE, False)
    try:
        os.read(LIFELINE, 1)
        os._exit(0)  # it was gone before
    except OSError:
        pass


def freeze():
    import gc

    # What is there stays: a fork would copy each page of it to mark what it looked at.
    if hasattr(gc, "freeze"):
        gc.freeze()


class Captured:
    """What the engine prints while it is imported. Each fork prints it first, as each start would."""

    def __init__(self, null):
        self.null = null
        self.files = [nameless_file(), nameless_file()]
        for number, file in enumerate(self.files, 1):
            os.dup2(file, number)

    def stop(self):
        flush()
        self.said = []
        for number, file in enumerate(self.files, 1):
            self.said.append(whole(file))
            os.dup2(self.null, number)
            os.close(file)

    def print(self):
        for number, text in enumerate(self.said, 1):
            write_all(number, text)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def nameless_file():
    if hasattr(os, "memfd_create"):
        return high(os.memfd_create("rollback"))
    folder = os.environ.get("TMPDIR", "/tmp")
    path = os.path.join(folder, "rollback-%d-%s" % (os.getpid(), os.urandom(8).hex()))
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    return high(file)


def high(descriptor):
    return descriptor if descriptor >= OWN else moved(descriptor)


def whole(file):
    size = os.fstat(file).st_size
    data = b""
    while len(data) < size:
        more = os.pread(file, size - len(data), len(data))
        if not more:
            break
        data += more
    return data


# --- whether forking is sound ----------------------------------------------------------------------------------------


def check_soundness(given=()):
    """`given` are the descriptors that are there for a fork."""
    if number_of_threads() != 1:
        raise Unsound("a thread runs beside the engine once it is imported")
    connection = open_connection(given)
    if connection:
        drop_connections()
        connection = open_connection(given)
    if connection:
        raise Unsound("%s is open once the engine is imported" % connection)


def number_of_threads():
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        import threading

        return threading.active_count()


def open_connection(given):
    import stat

    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            numbers = [int(name) for name in os.listdir(folder)]
            break
        except OSError:
            numbers = []
    control = os.fstat(CHANNEL)  # noqa: F821
    for number in numbers:
        try:
            found = os.fstat(number)
        except OSError:
            continue
        if number in given or (found.st_dev, found.st_ino) == (control.st_dev, control.st_ino):
            continue
        if stat.S_ISSOCK(found.st_mode):
            return "a connection"
        if stat.S_ISREG(found.st_mode) and found.st_size:
            try:
                begins = os.pread(number, 16, 0)
            except OSError:
                continue
            if begins.startswith(b"SQLite format 3"):
                return "an SQLite database"
    return None


def drop_connections():
    """Those of pools: whatever asks such a pool later opens a new one."""
    module = sys.modules.get("sqlalchemy.engine.base")
    if module is None:
        return
    import gc

    for thing in gc.get_objects():
        if isinstance(thing, module.Engine):
            try:
                thing.dispose()
            except Exception:
                pass


# --- what is imported ahead ------------------------------------------------------------------------------------------


def without_threads(function):
    added = [name for name in WITHOUT_THREADS if name not in os.environ]
    for name in added:
        os.environ[name] = WITHOUT_THREADS[name]
    try:
        function()
    finally:
        for name in added:
            os.environ.pop(name, None)


def warm_up(kind, name, arguments):
    if kind == "script":
        with open(name, "rb") as file:
            source = file.read()
        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path[0] = os.path.dirname(os.path.realpath(name))
        package = None
    else:
        if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
            sys.path[0] = os.getcwd()
        source, package = source_of_module(name)
    found = list(imported(source, package))
    build_application(found, arguments)


def source_of_module(name):
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = find_spec(name + ".__main__")
    if spec is None or not spec.origin:
        raise Unsound("the module %s has no file" % name)
    with open(spec.origin, "rb") as file:
        return file.read(), spec.parent


def imported(source, package):
    """What the console script imports before it does anything; nothing else of it is run."""
    import ast
    from importlib import import_module

    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield import_module(alias.name)
        elif isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
            module = import_module("." * statement.level + (statement.module or ""), package)
            yield module
            for alias in statement.names:
                try:
                    yield getattr(module, alias.name)
                except AttributeError:
                    yield import_module(module.__name__ + "." + alias.name)


def build_application(found, arguments):
    """Flask's: building it is most of what such a start costs."""
    cli = sys.modules.get("flask.cli")
    if cli is None or "make_context" not in vars(cli.FlaskGroup):
        return
    groups = [thing for thing in found if isinstance(thing, cli.FlaskGroup)]
    if not groups and getattr(cli, "main", None) in found:
        groups = [cli.cli]
    if not groups:
        return
    context = groups[0].make_context(sys.argv[0], list(arguments))
    info = context.ensure_object(cli.ScriptInfo)
    app = info.load_app()
    application.append((info.create_app, info.app_import_path, app))
    original = cli.ScriptInfo.load_app

    def load_app(self):
        for create_app, app_import_path, app in application:
            if self._loaded_app is None and (self.create_app, self.app_import_path) == (create_app, app_import_path):
                self._loaded_app = app
                return app
        return original(self)

    cli.ScriptInfo.load_app = load_app


def note_what_is_read():
    if not hasattr(sys, "addaudithook"):
        return

    def hook(event, arguments):
        if event == "open" and noting[0]:
            path, _, flags = arguments
            if isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                if isinstance(path, (str, bytes)):
                    files_read[path] = True

    noting[0] = True
    sys.addaudithook(hook)


def library_folders():
    folders = [os.path.dirname(os.path.abspath(os.__file__))]
    for folder in sys.path:
        if os.path.basename(folder.rstrip("/")) in ("site-packages", "dist-packages", "lib-dynload"):
            folders.append(os.path.abspath(folder))
    return tuple(folder + "/" for folder in folders)


def own_files():
    """Those that are the project's, whose change would not come into a fork."""
    from importlib.util import source_from_cache

    libraries = library_folders()
    found = {}
    for path in list(files_read):
        path = os.path.abspath(os.fsdecode(path))
        if path.endswith(".pyc"):
            try:
                path = source_from_cache(path)
            except ValueError:
                pass
        if not path.startswith(libraries) and not path.startswith(("/proc/", "/dev/", "/sys/")):
            found[path] = True
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            path = os.path.abspath(path)
            if not path.startswith(libraries):
                found[path] = True
    return list(found)


# --- a fork ----------------------------------------------------------------------------------------------------------


def run_as_the_engine(kind, name, said, descriptors, notes):
    code = 1
    try:
        os.setpgid(0, 0)
        for number, descriptor in zip((1, 2, CHANNEL, HELD), descriptors):  # noqa: F821
            os.dup2(descriptor, number, number != CHANNEL)  # noqa: F821
        os.close(LIFELINE)
        for descriptor in descriptors:
            os.close(descriptor)
        limber_up()
        line = first_line()
        if not line:
            os._exit(0)
        # JSON without its three words is Python.
        go = eval(line.decode("utf-8"), {"__builtins__": {}})
        said.print()
        code = status_of(run_and_tell(kind, name, go, notes))
    except BaseException:
        # What an interpreter prints of it at its end, Ctrl-C among it.
        sys.excepthook(*sys.exc_info())
    finally:
        leave(code)


def status_of(code):
    """What an interpreter makes of the value of SystemExit."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("%s\n" % (code,))
    return 1


def limber_up():
    """While we wait: what a fork touches for the first time costs it as much as what it does there."""
    config = sys.modules.get("alembic.config")
    if config is not None and not application:
        silently(config.CommandLine)()  # noqa: F821


def first_line():
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(CHANNEL, 65536)  # noqa: F821
        if not more:
            return None
        line += more
    return line


def run_and_tell(kind, name, go, notes):
    REQUEST.clear()  # noqa: F821
    REQUEST.update(go["request"])  # noqa: F821
    sys.argv[1:] = go["arguments"]
    if not REQUEST:  # noqa: F821
        # It tells the history as it reads it.
        del history[:]
    before = set(sys.modules)
    environment = dict(os.environ)
    directories = []
    if notes is not None:
        noting[0] = True
        watch_directories(directories)
    code = run_engine(kind, name)
    if notes is not None:
        noting[0] = False
        silently(write_notes)(notes, before, environment, directories)  # noqa: F821
    return code


def leave(code):
    """As an interpreter ends, without taking apart all that it imported: that takes longer than most steps."""
    try:
        import threading

        threading._shutdown()
    except Exception:
        pass
    try:
        import atexit

        atexit._run_exitfuncs()
    except Exception:
        pass
    flush()
    try:
        flush_files()
    except Exception:
        pass
    os._exit(code)


def flush_files():
    """What was written to a file that nobody closed."""
    import gc
    import io

    for thing in gc.get_objects():
        if type(thing) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom) and not thing.closed:
            try:
                thing.flush()
            except Exception:
                pass
