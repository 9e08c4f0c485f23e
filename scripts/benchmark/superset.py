"""Superset 6.1.0 at its head on PostgreSQL, as several parts need it."""

from .bench import ROOT
from .servers import PostgreSql

# The merge point nearest to the head. With it gone, 16 steps are taken.
FIRST_MERGE = "eb1c288c71c4"
STEPS = 16


class Superset:
    def __init__(self, bench):
        bench.need(bench.superset, "scripts/setup-python superset has not run")
        self.bench, self.server = bench, bench.database(PostgreSql)
        self.shell = bench.shell(
            bench.work / "superset",
            bench.superset,
            FLASK_APP="superset",
            SUPERSET_HOME=bench.work / "superset",
            SUPERSET_DATABASE_URI=self.server.url,
            SUPERSET_CONFIG_PATH=ROOT / "fixtures" / "superset" / "superset_config.py",
        )

    @classmethod
    def at_head(cls, bench):
        superset = cls(bench)
        if "superset" not in superset.server.saved:
            superset.server.empty()
            superset.shell.run(bench.superset, "db", "upgrade")
            superset.server.save("superset")
        superset.server.restore("superset")
        return superset
