"""Rolls the copy back, step by step with the plain engine, and tells what each step really did."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .databases import Failed
from .losses import losses

# A step may wait for ever: for a lock that it holds itself, over another connection.
SECONDS_PER_STEP = 120


class Engine:
    """The engine's own program, in one process of Python that has loaded it; each command is a fork of that."""

    def __init__(self, words, project, environment, log):
        self.interpreter, self.kind, self.target, self.first = take_apart(words, project)
        self.start = (project, environment, log)
        self.open()

    def open(self):
        project, environment, log = self.start
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [self.interpreter, str(Path(__file__).with_name("engine.py"))],
            cwd=project,
            env={**environment, "FORECAST_ACCURACY_ANSWERS": str(writer)},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            text=True,
        )
        os.close(writer)
        self.answers = os.fdopen(reader)

    def run(self, words, file):
        request = {"kind": self.kind, "target": self.target, "args": words[self.first :], "file": file}
        return self.ask({**request, "seconds": SECONDS_PER_STEP})

    def load(self, modules, application, redirections):
        """Has the process load what each command would have to, unless that starts threads or opens connections."""
        connections = redirections.read_text()
        answer = self.ask({"load": modules, "application": application})
        if answer["threads"] > 1 or (redirections.read_text() != connections and not application):
            self.close()
            self.open()

    def ask(self, request):
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        answer = self.answers.readline()
        if not answer:
            raise Failed("the engine's interpreter does not start")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.answers.close()
        self.process.wait()


def take_apart(words, project):
    """The interpreter of a command line, what it runs, and how many words come before the arguments of that."""
    program = shutil.which(words[0], path=os.environ.get("PATH")) or shutil.which(str(project / words[0]))
    if program is None:
        raise Failed(f"there is no program {words[0]}")
    if Path(program).name.startswith("python"):
        if words[1] == "-m":
            return program, "module", words[2], 3
        return program, "script", str((project / words[1]).resolve()), 2
    head = Path(program).read_bytes()[:1000].decode(errors="replace").splitlines()
    # The second form is for interpreters with long paths.
    lines = [line.partition("#!")[2] or line.partition("'''exec'")[2] for line in head[:2]]
    for interpreter in (line.split()[0].strip('"') for line in reversed(lines) if line.split()):
        if Path(interpreter).name.startswith("python"):
            return interpreter, "script", program, 1
    raise Failed(f"{program} is not a program in Python")


def begin(engine, database, step, redirections, application):
    """Asks the engine where it stands: this shows that it is led to the copy, its version table, and what it loads."""
    words = step["command"]
    asked = engine.run([*words[: len(words) - 1 - words[::-1].index("downgrade")], "current"], step["path"])
    if asked["failure"]:
        raise Failed(f"the engine's `current` fails: {asked['failure']['message']}")
    if not redirections.exists():
        raise Failed(
            "the engine does not connect by SQLAlchemy, or its interpreter ignores PYTHONPATH: not led to the copy"
        )
    if not asked["contexts"]:
        raise Failed("the engine's `current` configures no migrations")
    database.find_version_table(*asked["contexts"][0])
    engine.load(asked["modules"], application, redirections)


def walk(engine, database, steps, progress):
    schema, rows = database.schema(), database.snapshot()
    for index, step in enumerate(steps):
        standing = database.leftovers()
        ended = engine.run(step["command"], step["path"])
        failure = ended["failure"]
        if not failure and step["removes"] in database.heads():
            failure = {
                "error": "Unmoved",
                "message": "the revision is still there",
                "line": None,
                "trace": [],
                "statement": None,
            }
        schema_after, rows_after = database.schema(), database.snapshot()
        told = {
            "index": index,
            "removes": step["removes"],
            "result": "failed" if failure else "ok",
            "migration": os.path.basename(step["path"] or ""),
            "changed": schema_after != schema,
            "losses": losses(rows, rows_after),
            "swallowed": ended["swallowed"],
        }
        if failure:
            leftovers = sorted(database.leftovers() - standing)
            database.drop_leftovers(leftovers)
            database.stamp(step["heads_after"])
            schema_after, rows_after = database.schema(), database.snapshot()
            told.update(failure, leftovers=leftovers)
            told["losses"] = losses(rows, rows_after)
            progress(f"{told['removes']} {told['migration']}:{told['line']}: {told['message']}")
        told.update(gone=sorted(schema - schema_after), new=sorted(schema_after - schema))
        schema, rows = schema_after, rows_after
        yield told
