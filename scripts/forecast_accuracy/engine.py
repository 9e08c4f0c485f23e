"""Runs commands of the engine, each in a process forked from this one, and tells how each ended.

Started by the interpreter of the engine, in the folder of the project. A line of stdin is a command as JSON, a line of
descriptor FORECAST_ACCURACY_ANSWERS its end. An engine starts in a second, and a large application in ten; a fork of a
process that has loaded them does not. No connection is open when a process is forked: a step sees nothing of another
but the database. What the command says goes to stderr. Runs on whatever Python the engine has, so it keeps to 3.6.
"""

import importlib
import json
import os
import runpy
import select
import signal
import sys
import threading
import traceback

errors = []  # one (exception, what is known of it) for each error of the database, also of those that the step catches
contexts = []  # the version table of each migration context


def watch():
    from alembic.runtime import migration
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    original = migration.MigrationContext.__init__

    def noted(self, *args, **kwargs):
        original(self, *args, **kwargs)
        contexts.append([self.version_table_schema, self.version_table])

    def remember(context):
        errors.append((context.original_exception, traceback.extract_stack()))

    migration.MigrationContext.__init__ = noted
    event.listen(Engine, "handle_error", remember)


def load(modules, application):
    """Loads what a command has loaded in its own process; what cannot be loaded here is left to each command."""
    if application:
        # First, and alone: an application may mind the order in which its modules are loaded.
        modules = []
        load_application()
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException:
            pass
    # A fork has one thread only.
    return json.dumps({"threads": threading.active_count()})


def load_application():
    from flask.cli import ScriptInfo

    app = ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app()
    with app.app_context():
        db = app.extensions["migrate"].db
        db.session.remove()
        db.engine.dispose()
    ScriptInfo.load_app = lambda self: app


def run(request):
    final = None
    sys.argv = [request["target"]] + request["args"]
    try:
        if request["kind"] == "module":
            sys.path[0] = os.getcwd()
            runpy.run_module(request["target"], run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = os.path.dirname(request["target"])
            runpy.run_path(request["target"], run_name="__main__")
    except SystemExit as ended:
        # The engine turns some exceptions into an exit code.
        final = (ended.__context__ or ended) if ended.code not in (None, 0) else None
    except BaseException as error:
        traceback.print_exc()
        final = error
    # SQLAlchemy wraps what the driver raised.
    last = getattr(final, "orig", None) or final
    failure = final and told_of(last, traceback.extract_tb(final.__traceback__), request["file"])
    if failure:
        failure["statement"] = " ".join(str(getattr(final, "statement", None) or "").split())[:300] or None
    swallowed = [told_of(error, frames, request["file"]) for error, frames in errors if error is not last]
    return {"failure": failure, "swallowed": swallowed, "contexts": contexts, "modules": list(sys.modules)}


def told_of(error, frames, migration):
    migration = os.path.realpath(migration or os.sep)
    folder = os.path.dirname(os.path.dirname(migration)) + os.sep
    ours = [frame for frame in frames if os.path.realpath(frame.filename).startswith(folder)]
    ours = [frame for frame in ours if os.path.basename(frame.filename) != "env.py"]
    of_migration = [frame for frame in ours if os.path.realpath(frame.filename) == migration]
    kind = type(error)
    return {
        "error": kind.__name__ if kind.__module__ == "builtins" else kind.__module__ + "." + kind.__name__,
        "message": next(iter(str(error).strip().splitlines()), ""),
        "line": of_migration[-1].lineno if of_migration else None,
        "trace": ["%s:%s" % (os.path.relpath(frame.filename, folder), frame.lineno) for frame in ours],
    }


def in_a_process_of_its_own(request):
    """The answer as JSON; a process that does not end in time is ended with all that it started."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            answer = json.dumps(run(request)).encode()
            sys.stdout.flush()
            sys.stderr.flush()
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        if select.select([pipe], [], [], request["seconds"])[0]:
            answer = pipe.read()
        else:
            os.killpg(child, signal.SIGKILL)
            answer = without_a_word("Hung", "no end after %s s" % request["seconds"])
    os.waitpid(child, 0)
    return answer.decode() if answer else without_a_word("Died", "the process ended without a word").decode()


def without_a_word(error, message):
    failure = {"error": error, "message": message, "line": None, "trace": [], "statement": None}
    return json.dumps({"failure": failure, "swallowed": [], "contexts": [], "modules": []}).encode()


def main():
    answers = os.fdopen(int(os.environ.pop("FORECAST_ACCURACY_ANSWERS")), "w")
    # Not the folder of this file, whose modules have common names.
    sys.path[0] = os.getcwd()
    watch()
    for line in sys.stdin:
        request = json.loads(line)
        answer = (
            load(request["load"], request["application"]) if "load" in request else in_a_process_of_its_own(request)
        )
        answers.write(answer + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
