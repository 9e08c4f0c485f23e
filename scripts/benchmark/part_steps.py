"""(b) N steps on each database: rollback, the engine in one command, the naive loop, Sqitch, sqlx, and SQL files."""

import time

from . import history
from .bench import DATABASES, expect_schema
from .measuring import Contender, Failed, Unavailable, compare

NUMBERS = [1, 10, 30, 100]
# The number that the goal is about, and whose time is taken apart.
GOAL = 30


def measure(bench):
    tables = {}
    for kind in DATABASES:
        try:
            server = bench.database(kind)
            stages = Stages(bench, server)
        except (Failed, Unavailable) as error:
            bench.say(f"{kind.label}: {error}")
            tables[kind.label] = {"missing": str(error)}
            continue
        runs = {}
        for number in NUMBERS:
            bench.say(f"{kind.label}, {number} steps")
            runs[str(number)] = compare(stages.contenders(number), bench.runs, bench.budget, bench.say)
        tables[kind.label] = {"runs": runs, "profiles": stages.profiles}
    return tables


class Stages:
    """The same tables at the head, once for each tool, each with that tool's own record of what is applied."""

    def __init__(self, bench, server):
        self.bench, self.server, self.expected, self.profiles = bench, server, {}, []
        bench.need(bench.alembic, "scripts/setup-python alembic-current has not run")
        self.folder = bench.history("linear", history.alembic)
        bench.at_head(server, self.folder, "linear")
        self.shell = bench.shell(self.folder, bench.alembic, BENCH_URL=server.url)
        self.missing = {}
        others = [("sqitch", self.prepare_sqitch), ("sqlx", self.prepare_sqlx)]
        if server.key == "postgresql":
            others.append(("sql", self.prepare_sql))
        for name, prepare in others:
            try:
                prepare()
            except (Failed, Unavailable) as error:
                self.missing[name] = str(error)

    def prepare_sqitch(self):
        bench, server = self.bench, self.server
        bench.need(bench.sqitch, "Sqitch is not installed")
        folder = history.sqitch(bench.work / f"sqitch_{server.key}", server.sqitch_engine, server.key)
        self.sqitch = bench.shell(
            folder,
            SQITCH_PASSWORD=server.password,
            SQITCH_FULLNAME="Bench",
            SQITCH_EMAIL="bench@example.org",
        )
        server.empty()
        self.sqitch.run(bench.sqitch, "deploy", "--target", server.sqitch_url)
        server.ask(history.rows())
        server.save("sqitch")

    def prepare_sqlx(self):
        bench, server = self.bench, self.server
        bench.need(bench.sqlx, "sqlx-cli is not built")
        folder = history.sqlx(bench.work / f"sqlx_{server.key}", server.key)
        self.sqlx = bench.shell(folder, DATABASE_URL=server.sqlx_url)
        server.empty()
        self.sqlx.run(bench.sqlx, "migrate", "run", "--source", folder)
        server.ask(history.rows())
        server.save("sqlx")

    def prepare_sql(self):
        bench, server = self.bench, self.server
        folder = history.sql_files(bench.work / "sql_files")
        self.sql = bench.shell(folder, ROLLBACK_DATABASE_URL=server.url)
        server.empty()
        for index in range(history.STEPS):
            server.ask(history.change(index).sql("postgresql")[0])
        self.sql.run(bench.rollback, "sql", "install")
        self.sql.run(bench.rollback, "sql", "sync")
        server.ask(history.rows())
        server.save("sql")

    def contenders(self, number):
        bench, server = self.bench, self.server
        last = history.STEPS - 1
        target = history.revision(last - number)

        def prepare(stage):
            def restore():
                server.restore(stage)
                bench.forget()

            return restore

        def check():
            expect_schema(server, self.expected, number)

        def check_revision():
            if server.heads() != [target]:
                raise Failed(f"the database stands at {', '.join(server.heads())}")
            check()

        def ours(per_step):
            def run():
                seconds = self.shell.run(*bench.downgrade(f"-{number}", per_step=per_step))
                if not per_step and number == GOAL:
                    self.profiles.append(bench.profile(self.shell.began, seconds))
                if not per_step and bench.per_step and bench.starts() > 2:
                    bench.say(f"{bench.starts()} Python starts: a reason was found to share no process")
                return seconds

            return run

        def raw():
            return self.shell.run(bench.alembic, "downgrade", target)

        alembic = prepare("linear")
        found = [
            Contender("rollback", ours(per_step=False), alembic, check_revision),
            Contender("alembic, one command", raw, alembic, check_revision),
            self.of("sqitch", lambda: self.sqitch_revert(last - number), check),
            self.of("sqlx", lambda: self.sqlx_revert(last - number), check),
        ]
        # Their time grows with the number of starts, which 30 steps show.
        with_starts = number <= GOAL
        if with_starts:
            loop = Contender("naive loop", lambda: naive(self.shell, bench.alembic, number), alembic, check_revision)
            found.append(loop)
        if server.key == "postgresql":
            script = history.transactions(bench.work, number)
            words = [server.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", script, server.sqlx_url]
            sql = bench.downgrade(f"-{number}")
            found += [
                self.of("sql", lambda: self.sql.run(*sql), check),
                Contender("psql", lambda: self.shell.run(*words), alembic, check),
            ]
        if bench.per_step and with_starts:
            found.append(Contender("rollback, --process-per-step", ours(per_step=True), alembic, check_revision))
        return found

    def of(self, name, run, check):
        def restore():
            if name in self.missing:
                raise Unavailable(self.missing[name])
            self.server.restore(name)
            self.bench.forget()

        label = {"sqitch": "sqitch revert", "sqlx": "sqlx migrate revert", "sql": "rollback, SQL files"}[name]
        return Contender(label, run, restore, check)

    def sqitch_revert(self, stays):
        target = self.server.sqitch_url
        return self.sqitch.run(
            self.bench.sqitch, "revert", "-y", "--target", target, "--to", history.sqitch_name(stays)
        )

    def sqlx_revert(self, stays):
        words = ["migrate", "revert", "--source", self.sqlx.folder, "--target-version", stays + 1]
        return self.sqlx.run(self.bench.sqlx, *words)


def naive(shell, alembic, number):
    """The loop that one would write: where is it, one step, where is it, one step."""
    begun = time.perf_counter()
    shell.run(alembic, "current")
    for _ in range(number):
        before = shell.output()
        shell.run(alembic, "downgrade", "-1")
        shell.run(alembic, "current")
        if shell.output() == before:
            raise Failed("a step changed nothing")
    return time.perf_counter() - begun
