"""(a) The plan down to base, against the engine's own history, which is what one would look at without it."""

from . import history
from .measuring import Contender, compare
from .servers import Sqlite
from .superset import Superset


def measure(bench):
    tables = {}
    bench.need(bench.alembic, "scripts/setup-python alembic-current has not run")
    sqlite = bench.database(Sqlite)
    shapes = {
        "linear": (f"{history.STEPS} revisions in a line", history.alembic),
        "diamonds": ("120 revisions, 30 diamonds", lambda folder: history.diamonds(folder, 30)),
    }
    for name, (label, make) in shapes.items():
        folder = bench.history(name, make)
        bench.at_head(sqlite, folder, f"plan_{name}", fill=False)
        sqlite.restore(f"plan_{name}")
        shell = bench.shell(folder, bench.alembic, BENCH_URL=sqlite.url)
        tables[label] = compare(contenders(bench, shell, sqlite.url, [bench.alembic, "history"]), *limits(bench))
    try:
        superset = Superset.at_head(bench)
        words = [bench.superset, "db", "history"]
        tables["Superset, 344 revisions"] = compare(
            contenders(bench, superset.shell, superset.server.url, words), *limits(bench)
        )
    except Exception as error:
        tables["Superset, 344 revisions"] = missing(error)
    return tables


def limits(bench):
    return bench.runs, bench.budget, bench.say


def missing(error):
    from .measuring import Failed, Unavailable

    if not isinstance(error, (Failed, Unavailable)):
        raise error
    return {"history": {"seconds": [], "missing": str(error)}}


def contenders(bench, shell, url, words):
    plan = [bench.rollback, "plan", "base"]
    return [
        Contender("plan", lambda: shell.run(*plan, ROLLBACK_DATABASE_URL=url), bench.forget),
        Contender("history", lambda: shell.run(*words), bench.forget),
        Contender("plan, engine asked", lambda: shell.run(*plan), bench.forget),
    ]
