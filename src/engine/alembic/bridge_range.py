"""A range of revisions in one transaction, judged by the parent process before it is committed.

Stands before `bridge.py` in the same text. The parent hears by a line in the channel that the transaction is open, that a
revision was taken back, and that all were; after each line it may ask for what SQL finds inside the transaction, and
then says whether to go on. Whatever is not as it was planned, and whatever the parent does not allow, is raised, so that
the transaction takes everything back: none of these hooks is silent. Without the last of them Alembic looks for a
revision of the name that the parent put where a target belongs, and there is none.
"""

applied = []  # the context of the range, once for each revision that was taken back
transaction = []  # the server's number of the transaction that everything has to happen in
allowed = []  # filled when the parent has nothing against the commit


def cursor_of(context):
    """Past SQLAlchemy, whose listeners and counters are none of ours."""
    connection = context.connection
    raw = getattr(connection.connection, "dbapi_connection", None) or connection.connection
    return raw.cursor()


def number_of_transaction(context):
    cursor = cursor_of(context)
    try:
        cursor.execute("SELECT txid_current()")
        return cursor.fetchone()[0]
    finally:
        cursor.close()


def same_transaction(context):
    if number_of_transaction(context) != transaction[0]:
        raise NotAsPlanned("a migration ended the transaction that all steps were to happen in")


def hook_sqlalchemy_of_range(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def committing(connection):
        # Before it happens, so that it does not.
        if transaction and not allowed and connection.connection is pooled[0]:
            raise NotAsPlanned("a migration commits by itself, so that what follows cannot be taken back with it")

    event.listen(Engine, "commit", committing)
    hook_step(module)


pooled = []  # the pooled connection of the range


def hook_migration_of_range(module):
    from functools import wraps

    cls = module.MigrationContext
    run_migrations = cls.run_migrations

    @wraps(run_migrations)
    def running(self, *args, **kwargs):
        if self.as_sql or transaction:
            raise NotAsPlanned("env.py runs migrations more than once")
        if not self.impl.transactional_ddl or self._transaction_per_migration:
            raise NotAsPlanned("env.py does not ask for one transaction around all revisions")
        transaction.append(number_of_transaction(self))
        pooled.append(self.connection.connection)
        if number_of_transaction(self) != transaction[0]:
            raise NotAsPlanned("env.py migrates over a connection in autocommit mode")
        consult(self, "begun")
        self.on_version_apply_callbacks = tuple(self.on_version_apply_callbacks) + (follow,)
        run_migrations(self, *args, **kwargs)
        if len(applied) != len(REQUEST["range"]):
            raise NotAsPlanned("%d of %d steps were run" % (len(applied), len(REQUEST["range"])))
        same_transaction(self)
        consult(self, "finished")
        allowed.append(self)

    def autocommit_block(self):
        raise NotAsPlanned("a migration uses autocommit_block, which no transaction takes back")

    cls.run_migrations = running
    cls.autocommit_block = autocommit_block


def follow(ctx, step, heads, run_args, **others):
    planned = REQUEST["range"][len(applied)]
    heads = sorted(heads)
    if step.is_upgrade or planned["removes"] not in texts(step.up_revision_id):
        raise NotAsPlanned("%s was run where %s was planned" % (step.up_revision_id, planned["removes"]))
    if heads != planned["after"]:
        # Alembic may keep a row that another one implies.
        below = [everything_below(ctx.script.revision_map, rows) for rows in (heads, planned["after"])]
        if below[0] != below[1]:
            raise NotAsPlanned("after %s the version table holds %s" % (planned["removes"], heads))
    same_transaction(ctx)
    applied.append(ctx)
    consult(ctx, {"applied": [len(applied) - 1, heads]})


def hook_script_of_range(module):
    def planned(self, destination, current_rev):
        from alembic.runtime.migration import MigrationStep

        rows = sorted(texts(current_rev))
        if rows != REQUEST["before"]:
            raise NotAsPlanned("the version table holds %s, which was not planned for" % rows)
        if not transaction:
            raise NotAsPlanned("this Alembic is not known well enough")
        return [
            MigrationStep.downgrade_from_script(self.revision_map, self.get_revision(step["removes"]))
            for step in REQUEST["range"]
        ]

    module.ScriptDirectory._downgrade_revs = planned


def hooks_of_range():
    return {
        "sqlalchemy": hook_sqlalchemy_of_range,
        "alembic.runtime.migration": hook_migration_of_range,
        "alembic.script.base": hook_script_of_range,
    }


# --- the parent's verdict --------------------------------------------------------------------------------------------

heard = []  # what was read of a line that is not whole yet


def hear():
    import json
    import os

    while True:
        line, end, rest = b"".join(heard).partition(b"\n")
        if end:
            heard[:] = [rest]
            return json.loads(line.decode())
        data = os.read(CHANNEL, 65536)
        if not data:
            raise NotAsPlanned("rollback is gone, and nobody is left to allow the commit")
        heard.append(data)


def consult(context, news):
    """Tells the parent, answers its questions, and raises where it does not want it to go on."""
    tell(news)
    while True:
        message = hear()
        if "ask" in message:
            tell(answer(context, message["ask"]))
        elif message["go_on"]:
            return
        else:
            raise NotAsPlanned(message["reason"])


def answer(context, statements):
    """What the last statement finds. Nothing of it stays, and an error in it spoils nothing."""
    cursor = cursor_of(context)
    try:
        every_value_as_text(cursor)
        cursor.execute("SAVEPOINT rollback_looks")
        try:
            for statement in statements:
                cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            found = {"rows": [[text_of(value) for value in row] for row in rows]}
        except Exception as error:
            found = {"error": {"code": code_of(error), "reason": str(error).strip()}}
        try:
            cursor.execute("ROLLBACK TO SAVEPOINT rollback_looks")
            cursor.execute("RELEASE SAVEPOINT rollback_looks")
        except Exception:
            raise NotAsPlanned("the transaction that all steps were to happen in is lost: %s" % (found,))
    finally:
        cursor.close()
    same_transaction(context)
    return found


def code_of(error):
    for name in ("sqlstate", "pgcode"):
        code = getattr(error, name, None)
        if code:
            return str(code)
    # pg8000 has what the server sent.
    fields = error.args[0] if error.args else None
    return fields.get("C") if isinstance(fields, dict) else None


def every_value_as_text(cursor):
    """psycopg2 hands out what the server wrote, if asked; the others make Python's objects of it."""
    module = sys.modules.get("psycopg2.extensions")
    if module is not None and isinstance(cursor, module.cursor):
        types = tuple(module.string_types)
        module.register_type(module.new_type(types, "TEXT", lambda value, cursor: value), cursor)


def text_of(value):
    """As the server writes it, for the types that a check is likely to name."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float) and value.is_integer():
        return "%d" % value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    return str(value)


