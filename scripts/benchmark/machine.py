"""What was measured on, and with which versions."""

import os
import platform
import re
from pathlib import Path

from .servers import MariaDb, PostgreSql, Sqlite


def describe(bench):
    return {"machine": machine(bench), "versions": versions(bench)}


def line_of(file, name):
    try:
        for line in Path(file).read_text().splitlines():
            key, _, value = line.partition("=" if "=" in line else ":")
            if key.strip() == name:
                return value.strip().strip('"')
    except OSError:
        pass
    return None


def machine(bench):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = line_of("/etc/os-release", "PRETTY_NAME") or platform.platform()
    model = line_of("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    if "hypervisor" in (line_of("/proc/cpuinfo", "flags") or ""):
        model += ", a virtual machine"
    return {
        "processor": f"{os.cpu_count()} cores, {model}",
        "memory": f"{memory:.0f} GB",
        "system": f"{system}, {platform.system()} {platform.release()}, {platform.machine()}",
    }


def versions(bench):
    found = {"rollback": first_version(bench.ask([bench.rollback, "--version"]))}
    for environment, program, names in [
        ("alembic-current", bench.alembic, {"Alembic": "alembic", "SQLAlchemy": "sqlalchemy"}),
        ("superset", bench.superset, {"Superset": "apache-superset", "Superset's Alembic": "alembic"}),
    ]:
        python = program.parent / "python"
        for label, package in names.items():
            asked = f"import importlib.metadata as m; print(m.version('{package}'))"
            found[label] = first_version(bench.ask([python, "-c", asked]))
    python = bench.alembic.parent / "python"
    found["Python"] = first_version(bench.ask([python, "--version"]))
    for kind in [PostgreSql, MariaDb]:
        server = bench.running.get(kind)
        found[kind.label] = server.version() if hasattr(server, "port") else None
    found["SQLite, Python's"] = first_version(bench.ask([python, "-c", "import sqlite3; print(sqlite3.sqlite_version)"]))
    found["SQLite, rollback's"] = own_sqlite(bench)
    found["Sqitch"] = first_version(bench.ask([bench.sqitch, "--version"])) if bench.sqitch else None
    found["sqlx-cli"] = first_version(bench.ask([bench.sqlx, "--version"])) if bench.sqlx else None
    return {name: version for name, version in found.items() if version}


def own_sqlite(bench):
    """The one that is compiled into the program, which tells it of every file that it opens."""
    folder = bench.work / "linear"
    if Sqlite not in bench.running or not folder.exists():
        return None
    bench.running[Sqlite].empty()
    words = [bench.rollback, "current", "-C", folder, "--format", "json"]
    return first_version(bench.ask(words, ROLLBACK_DATABASE_URL=bench.running[Sqlite].url))


def first_version(text):
    match = re.search(r"\d+(\.\d+)+[\w.]*", text)
    return match[0] if match else None
