"""What all parts share: the programs, the servers, the environment, and what is measured so far."""

import datetime
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import history
from .measuring import Failed, Shell, Unavailable
from .servers import MariaDb, PostgreSql, Sqlite, of_the_project

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
DATABASES = [Sqlite, PostgreSql, MariaDb]


class Bench:
    def __init__(self, runs, budget):
        self.runs, self.budget = runs, budget
        program = os.environ.get("ROLLBACK_PROGRAM")
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.rollback = Path(program or target / "release" / "rollback").resolve()
        if not os.access(self.rollback, os.X_OK):
            raise SystemExit(f"bench: there is no {self.rollback}: run make build first.")
        self.alembic = CACHE / "python" / "alembic-current" / "bin" / "alembic"
        self.superset = CACHE / "python" / "superset" / "bin" / "superset"
        self.sqlx = next(iter(sorted((CACHE / "bench").glob("sqlx-*/bin/sqlx"), reverse=True)), None)
        self.sqitch = shutil.which("sqitch")
        self.work = Path(tempfile.mkdtemp(prefix="rollback-bench-"))
        self.running = {}
        self.per_step = "--process-per-step" in self.ask([self.rollback, "downgrade-safe", "--help"])

    def say(self, text):
        print(f"  {text}", file=sys.stderr, flush=True)

    def need(self, program, what):
        if not program or not os.access(program, os.X_OK):
            raise Unavailable(what)
        return program

    def database(self, kind):
        """The running server of a kind; started when it is first asked for."""
        if kind not in self.running:
            self.running[kind] = server = kind()
            try:
                server.start()
            except (Failed, Unavailable, OSError) as error:
                server.stop()
                self.running[kind] = Unavailable(f"{kind.label}: {error}")
        if isinstance(self.running[kind], Unavailable):
            raise self.running[kind]
        return self.running[kind]

    def close(self):
        for server in self.running.values():
            if not isinstance(server, Unavailable):
                server.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def shell(self, folder, engine=None, **more):
        """A shell whose environment holds nothing of the caller's but what a program needs."""
        folder.mkdir(parents=True, exist_ok=True)
        places = [str(Path(program).parent) for program in [engine, self.rollback] if program]
        # Debian's psql is a script in front of the real one, which whoever calls it for each step would pay for.
        places += [str(self.running[PostgreSql].programs)] if hasattr(self.running.get(PostgreSql), "programs") else []
        places += [os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin"]
        environment = {
            "PATH": os.pathsep.join(places),
            "HOME": str(self.work),
            "LC_ALL": "C.UTF-8",
            "ROLLBACK_BACKUP": "never",
            "ROLLBACK_STATE_DIR": str(self.work / "state"),
            # Each start of a Python interpreter leaves a line there.
            "PYTHONPATH": str(ROOT / "tests" / "real"),
            "COUNT_STARTS_IN": str(self.work / "starts"),
            **{key: str(value) for key, value in more.items()},
        }
        return Shell(folder, environment, self.work / "said")

    def forget(self):
        """Runs begin without records of runs before, and count from nothing."""
        shutil.rmtree(self.work / "state", ignore_errors=True)
        (self.work / "starts").write_text("")

    def starts(self):
        return len((self.work / "starts").read_text().splitlines())

    def profile(self, began, seconds):
        """Where the time of the last run of rollback went, by its own journal, whose entries tell the millisecond."""
        [journal] = (self.work / "state").rglob("journal.jsonl")
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        entries = [(entry["entry"], moment(entry["at"])) for entry in entries]
        at = {kind: [when for of, when in entries if of == kind] for kind in ("intent", "done")}
        return {
            "steps": len(at["done"]),
            "before": at["intent"][0] - began,
            "all": at["done"][-1] - at["intent"][0],
            "after": began + seconds - at["done"][-1],
        }

    def ask(self, words, **more):
        """What a command prints, or nothing where it fails."""
        shell = self.shell(self.work / "asked", **more)
        try:
            shell.run(*words, may_fail=True)
        except OSError:
            return ""
        return shell.output()

    def downgrade(self, target, *more, per_step=False):
        """The words of a run: everything is allowed, so that nobody has to be asked."""
        words = [self.rollback, "downgrade-safe", target, "-y", "--allow", "all", *more]
        return words + (["--process-per-step"] if per_step else [])

    def history(self, name, make):
        """A folder with a generated history, made once."""
        folder = self.work / name
        if not folder.exists():
            make(folder)
        return folder

    def at_head(self, server, folder, name, fill=True, **environment):
        """Leaves a database at the head of the history in `folder`, with rows, under `name`."""
        if name in server.saved:
            return
        shell = self.shell(folder, self.alembic, BENCH_URL=server.url, **environment)
        server.empty()
        shell.run(self.alembic, "upgrade", "head")
        if fill:
            server.ask(history.rows())
        server.save(name)


def moment(text):
    """A time of the journal in seconds since the epoch."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def expect_schema(server, expected, key):
    """The first to come there says what it should look like; everybody else is held to it."""
    found = of_the_project(server.schema())
    if expected.setdefault(key, found) != found:
        differing = sorted(set(expected[key]) ^ set(found))
        raise Failed(f"the schema afterwards is another one: {', '.join(differing[:3])}")
