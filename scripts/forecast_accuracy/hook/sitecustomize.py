"""Leads every connection of SQLAlchemy to the copy of the database instead of the original, and refuses any other.

Python imports this at its start if this folder is on PYTHONPATH. FORECAST_ACCURACY says what leads where, and which
file gets a line for each connection that was redirected. Runs on whatever Python the engine has, so it keeps to 3.6.
"""

import json
import os

PLAN = json.loads(os.environ.get("FORECAST_ACCURACY") or "{}")
DATABASE_KEYS = ("database", "dbname", "db")


def redirect(dialect, connection_record, cargs, cparams):
    holder, key = (cparams, next((key for key in DATABASE_KEYS if key in cparams), None))
    if key is None and dialect.name == "sqlite" and cargs:
        holder, key = cargs, 0
    name = None if key is None else holder[key]
    if dialect.name == "sqlite":
        if name in (":memory:", ""):
            return
        name = name and os.path.realpath(name)
    if dialect.name not in PLAN["dialects"] or name not in (PLAN["from"], PLAN["to"]):
        raise RuntimeError("accuracy: refused a connection to %s database %r" % (dialect.name, name))
    holder[key] = PLAN["to"]
    with open(PLAN["log"], "a") as log:
        log.write("redirected\n")


if PLAN:
    try:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
    except ImportError:  # not an interpreter of the engine
        pass
    else:
        event.listen(Engine, "do_connect", redirect)
