"""What all parts of the bridge share.

It comes first in the text that the engine's interpreter reads, because `silently` decorates functions of other parts.
bridge.py comes last and says what the parts are for.
"""

import os
import sys

VERSION = 1
CHANNEL = 3

# Values are kept by reference and read at the end: later listeners of the project may still complete them.
attempts = []  # one (dialect, cargs, cparams) per connection that SQLAlchemy opened or tried to open
contexts = []  # one dictionary per MigrationContext
scripts = []  # one (ScriptDirectory, [Script in the order of loading]) each


def silently(function):
    def guarded(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception:
            return None

    return guarded


class NotAsPlanned(Exception):
    """What the operator reads at the end of the traceback."""


def execute(connection, statement):
    """The first value of the answer."""
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]
    finally:
        cursor.close()


def texts(value):
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def everything_below(revision_map, rows):
    found = set()
    waiting = list(rows)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(revision_map.get_revision(name)._all_down_revisions)
    return found


def clean(value):
    """Text that JSON can carry: a path that is no UTF-8 loses its odd bytes, and nothing else is lost with it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        except UnicodeError:
            return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def tell(value, end=b"\n"):
    import json

    data = json.dumps(clean(value)).encode("ascii") + end
    while data:
        data = data[os.write(CHANNEL, data) :]
