"""(c) Superset on PostgreSQL: 16 steps from its head over its first merge."""

import json
import time

from .bench import expect_schema
from .measuring import Contender, Failed, Unavailable, compare, peak_memory
from .superset import FIRST_MERGE, STEPS, Superset

# The commands take seconds each, so each of them gets more time in all.
MORE = 3


def measure(bench):
    superset = Superset.at_head(bench)
    shell, server = superset.shell, superset.server
    bench.forget()
    shell.run(bench.rollback, "-q", "plan", f"-{STEPS}", "--format", "json", ROLLBACK_DATABASE_URL=server.url)
    plan = json.loads(shell.output().splitlines()[-1])
    steps = plan["steps"]
    if steps[-1]["removes"] != FIRST_MERGE:
        raise Failed(f"{STEPS} steps from the head end at {steps[-1]['removes']}, and not at {FIRST_MERGE}")
    expected, starts, profiles = {}, {}, []

    def prepare():
        server.restore("superset")
        bench.forget()

    def check(name):
        def look():
            if server.heads() != sorted(steps[-1]["heads_after"]):
                raise Failed(f"the database stands at {', '.join(server.heads())}")
            expect_schema(server, expected, "schema")
            starts[name] = bench.starts()

        return look

    def ours(per_step):
        def run():
            seconds = shell.run(*bench.downgrade(f"-{STEPS}", per_step=per_step))
            if not per_step:
                profiles.append(bench.profile(shell.began, seconds))
            return seconds

        return run

    # Either parent of the merge point: one command takes everything down to it.
    target = steps[-1]["argument"].rpartition("@")[2]

    def raw():
        return shell.run(bench.superset, "db", "downgrade", target)

    def loop():
        begun = time.perf_counter()
        shell.run(bench.superset, "db", "current")
        for step in steps:
            # `downgrade -1` is refused at a merge point; there the loop is given the argument that works.
            words = [step["argument"]] if step["is_merge"] else ["--", "-1"]
            shell.run(bench.superset, "db", "downgrade", *words)
            shell.run(bench.superset, "db", "current")
        return time.perf_counter() - begun

    found = [
        Contender("rollback", ours(per_step=False), prepare, check("rollback")),
        Contender("superset, one command", raw, prepare, check("superset, one command")),
        Contender("naive loop", loop, prepare, check("naive loop")),
    ]
    if bench.per_step:
        name = "rollback, --process-per-step"
        found.append(Contender(name, ours(per_step=True), prepare, check(name)))
    result = compare(found, bench.runs, MORE * bench.budget, bench.say)
    prepare()
    try:
        peak = peak_memory(shell, bench.downgrade(f"-{STEPS}"))
    except Unavailable:
        peak = None
    return {"runs": result, "starts": starts, "peak": peak, "profiles": profiles}
