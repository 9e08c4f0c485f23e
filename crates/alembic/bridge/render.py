"""Renders the steps of a plan as SQL, all of them in one start of `downgrade --sql`.

REQUEST["render"] has the steps, each with the revisions that it removes, the argument of `downgrade`, and the version
rows before and after it. Alembic's own offline mode starts from one row of the
version table and cannot cross what the command line cannot name; here each step gets the rows that will be there, and
is walked by the algorithm that the real step will use. Each is told in the pipe by a line of its own, so that the rest
is not lost with a migration that ends the process.

Nothing of it is silent, and nothing of it may reach the database: a connection is refused, and told.
"""

at_work = []  # holds one item while env.py runs
refused = []  # one exception per attempt to use a connection
rendered = []  # the position of each step that was told


class Offline(Exception):
    """What the operator reads of a migration, or an env.py, that connects."""


def hook_sqlalchemy_of_render(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def refuse(*args, **kwargs):
        if at_work:
            import traceback

            error = Offline("the database is connected to, which is not done while SQL is rendered")
            # Should the migration catch it, this is all that tells where it was.
            error.stack = traceback.extract_stack()
            refused.append(error)
            raise error

    event.listen(Engine, "do_connect", refuse)
    # A connection that the application opened before would get past the first.
    event.listen(Engine, "before_cursor_execute", refuse)


def hook_script_of_render(module):
    from functools import wraps

    cls = module.ScriptDirectory
    run_env = cls.run_env

    @wraps(run_env)
    def running(self):
        at_work.append(self)
        try:
            run_env(self)
        finally:
            del at_work[:]

    cls.run_env = running


def hook_migration_of_render(module):
    from functools import wraps

    cls = module.MigrationContext
    run_migrations = cls.run_migrations

    @wraps(run_migrations)
    def running(self, *args, **kwargs):
        if not self.as_sql:
            raise NotAsPlanned("env.py does not run migrations offline")
        if rendered:
            raise NotAsPlanned("env.py runs migrations more than once")
        # Else a value is left as a placeholder of the driver, and a per cent sign is doubled for it: no SQL to be read,
        # or run, by anybody else. What has no literal form is then an error, and said.
        self.impl.literal_binds = True
        preparer = self.dialect.identifier_preparer
        if hasattr(preparer, "_double_percents"):
            preparer._double_percents = False
        # Before 1.20 Alembic drops the version table offline where the last row goes, and never does so online.
        self._version.drop = lambda *args, **kwargs: None
        heads = []
        callbacks = tuple(self.on_version_apply_callbacks)
        self.on_version_apply_callbacks = callbacks + (lambda **told: heads.append(sorted(told["heads"])),)

        def run():
            run_migrations(self, *args, **kwargs)
            return heads[-1]

        rows = None
        for index, planned in enumerate(REQUEST["render"]):
            del heads[:], refused[:]
            told, rows = render(self, planned, rows or planned["before"], run)
            told["rendered"] = index
            tell(told)
            rendered.append(index)

    cls.run_migrations = running


def render(context, planned, rows, run):
    """The statements of a step, and the rows after it as Alembic of this version leaves them: it may keep a row that
    another one implies."""
    import io

    names = [planned["removes"]] + planned["takes_along"]
    buffer = io.StringIO()
    paths = []
    try:
        paths.extend(str(context.script.get_revision(name).path) for name in names)
        steps = list(context.script._downgrade_revs(planned["argument"], tuple(rows)))
        found = sorted(str(step.revision.revision) for step in steps)
        if found != sorted(names):
            raise NotAsPlanned("the engine would remove %s" % (", ".join(found) or "nothing"))
        context.output_buffer = context.impl.output_buffer = buffer
        context.get_current_heads = lambda: tuple(rows)
        context._migrations_fn = lambda heads, context: steps
        # A step is a process of its own, so that it has the transaction that env.py puts around all revisions.
        with context.begin_transaction():
            heads = run()
        if refused:
            raise refused[0]
        left = [everything_below(context.script.revision_map, rows) for rows in (heads, planned["after"])]
        if left[0] != left[1]:
            raise NotAsPlanned("the engine would leave the rows %s" % (", ".join(heads) or "base"))
    except (Exception, SystemExit) as error:
        return obstacle(error, paths), planned["after"]
    return {"sql": buffer.getvalue()}, heads


def obstacle(error, paths):
    """The line of the version file that was at work, and that of the project's code which it called, if any."""
    import alembic
    import sqlalchemy
    import traceback

    libraries = [os.path.dirname(os.path.realpath(module.__file__)) for module in (os, alembic, sqlalchemy)]
    files = [os.path.realpath(path) for path in paths]
    told = {
        "error": "%s: %s" % (type(error).__name__, error) if str(error) else type(error).__name__,
        "file": paths[0] if paths else None,
        "line": None,
        "source": None,
        "within": None,
    }
    for frame in getattr(error, "stack", None) or traceback.extract_tb(error.__traceback__):
        file = os.path.realpath(frame[0])
        if file in files:
            told.update(file=paths[files.index(file)], line=frame[1], source=frame[3], within=None)
        elif told["line"] is not None and not is_below(file, libraries) and not frame[0].startswith("<"):
            told["within"] = "%s:%d" % (frame[0], frame[1])
    return told


def is_below(file, libraries):
    standard, others = libraries[0], libraries[1:]
    if any(file.startswith(folder + os.sep) for folder in others):
        return True
    # What is installed lies below the standard library, and may be the project itself.
    return file.startswith(standard + os.sep) and "-packages" + os.sep not in file
