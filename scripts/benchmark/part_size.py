"""(e) Size, start-up, memory, and what a run of 16 steps starts and opens."""

from . import history
from .measuring import Contender, Unavailable, compare, peak_memory
from .part_steps import naive
from .servers import PostgreSql

STARTS = 30
STEPS = 16


def measure(bench):
    shell = bench.shell(bench.work / "size")
    version = Contender("rollback --version", lambda: shell.run(bench.rollback, "--version"))
    version.run()
    found = {
        "bytes": bench.rollback.stat().st_size,
        "start": compare([version], STARTS, bench.budget, bench.say)["rollback --version"],
    }
    try:
        found["peak of --version"] = peak_memory(shell, [bench.rollback, "--version"])
    except Unavailable as error:
        found["peak of --version"] = None
        bench.say(str(error))
    found["run"] = run(bench)
    return found


def run(bench):
    bench.need(bench.alembic, "scripts/setup-python alembic-current has not run")
    server = bench.database(PostgreSql)
    folder = bench.history("linear", history.alembic)
    bench.at_head(server, folder, "linear")
    shell = bench.shell(folder, bench.alembic, BENCH_URL=server.url)
    target = history.revision(history.STEPS - 1 - STEPS)
    roads = {
        "rollback": lambda: shell.run(*bench.downgrade(f"-{STEPS}")),
        "alembic, one command": lambda: shell.run(bench.alembic, "downgrade", target),
        "naive loop": lambda: naive(shell, bench.alembic, STEPS),
    }
    if bench.per_step:
        roads["rollback, --process-per-step"] = lambda: shell.run(*bench.downgrade(f"-{STEPS}", per_step=True))
    found = {}
    for name, road in roads.items():
        server.restore("linear")
        bench.forget()
        lines = server.logged(road)
        opened = [line for _, line in lines if "connection authorized" in line and "database=run" in line]
        ours = sum("application_name=rollback" in line for line in opened)
        found[name] = {"starts": bench.starts(), "ours": ours, "theirs": len(opened) - ours, "peak": None}
        bench.say(f"{name}: {found[name]}")
    for name, per_step in [("rollback", False), ("rollback, --process-per-step", True)]:
        if name not in roads:
            continue
        server.restore("linear")
        bench.forget()
        try:
            found[name]["peak"] = peak_memory(shell, bench.downgrade(f"-{STEPS}", per_step=per_step))
        except Unavailable:
            pass
    return found
