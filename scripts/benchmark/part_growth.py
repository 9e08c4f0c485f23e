"""(d) What a step costs, and what memory ours needs, as the history and the schema grow. On PostgreSQL.

The cost of a step is a run of 21 steps less a run of one, divided by 20: what a run costs once falls out. Each pair is run
one after the other.
"""

import re

from . import history
from .measuring import Contender, Failed, Unavailable, compare, peak_memory
from .servers import PostgreSql

HISTORIES = [100, 1_000, 10_000]
SCHEMAS = [10, 100, 1_000]
REAL = 24
LONG, SHORT = 21, 1

# What is measured of each: ours beside the engine, whose cost may grow with its history; and ours alone.
LENGTH = ("validated", "alembic")
SIZE = ("validated",)


def measure(bench):
    bench.need(bench.alembic, "scripts/setup-python alembic-current has not run")
    found = {"histories": {}, "schemas": {}}
    for length in HISTORIES:
        found["histories"][str(length)] = guarded(bench, f"{length} revisions", lambda: one(bench, length, 0, LENGTH))
    for tables in SCHEMAS:
        found["schemas"][str(tables)] = guarded(bench, f"{tables} tables", lambda: one(bench, 100, tables, SIZE))
    return found


def guarded(bench, label, work):
    bench.say(label)
    try:
        return work()
    except (Failed, Unavailable) as error:
        bench.say(f"{label}: {error}")
        return {"missing": str(error)}


def one(bench, length, tables, roads):
    server = bench.database(PostgreSql)
    folder = bench.history(f"history_{length}", lambda path: history.alembic(path, length - REAL, REAL))
    name = f"growth_{length}_{tables}"
    at_head(bench, server, folder, length, tables, name)
    shell = bench.shell(folder, bench.alembic, BENCH_URL=server.url)
    processor = {}

    def prepare():
        server.restore(name)
        bench.forget()

    def ours(steps):
        def run():
            seconds = shell.run(*bench.downgrade(f"-{steps}"))
            processor.setdefault(str(steps), []).append(shell.processor_seconds)
            return seconds

        return run

    def check(steps):
        def look():
            if server.heads() != [history.revision(length - 1 - steps)]:
                raise Failed(f"the database stands at {', '.join(server.heads())}")

        return look

    def raw(steps):
        return lambda: shell.run(bench.alembic, "downgrade", history.revision(length - 1 - steps))

    runs_of = {"validated": ours, "alembic": raw}
    found = [
        Contender(f"{label} {steps}", runs_of[label](steps), prepare, check(steps))
        for label in roads
        for steps in [LONG, SHORT]
    ]
    result = {"runs": compare(found, bench.runs, 2 * bench.budget, bench.say), "processor": processor}
    prepare()
    try:
        result["peak"] = peak_memory(shell, bench.downgrade(f"-{LONG}"))
    except Unavailable:
        result["peak"] = None
    if roads == SIZE:
        result["server"] = [in_server(bench, server, shell, prepare, steps) for steps in [LONG, SHORT]]
    return result


def at_head(bench, server, folder, length, tables, name):
    """Only the last revisions do anything, so the database is put where they begin."""
    shell = bench.shell(folder, bench.alembic, BENCH_URL=server.url)
    server.empty()
    server.ask(history.tables(tables))
    if length > REAL:
        shell.run(bench.alembic, "stamp", history.revision(length - REAL - 1))
    shell.run(bench.alembic, "upgrade", "head")
    server.ask("ANALYZE")
    server.save(name)


def in_server(bench, server, shell, prepare, steps):
    """The seconds that the server spent on all statements of ours in a run, by its own log."""
    prepare()
    lines = server.logged(lambda: shell.run(*bench.downgrade(f"-{steps}")))
    durations = [
        re.search(r"duration: ([0-9.]+) ms", line) for application, line in lines if application.startswith("rollback")
    ]
    return sum(float(duration[1]) for duration in durations if duration) / 1000
