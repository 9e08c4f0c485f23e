"""Several planned revisions in one process, judged by the parent process before anything of them is kept.

REQUEST["range"] has the steps, newest first, and REQUEST["keep"] says what becomes of them. With REQUEST["observe"] the
parent first hears what `observe.py` sees, and then says both; until then no transaction is open and nothing was done:

- `each`: one transaction for each revision. The parent is asked before the commit where the server has transactional
  DDL, and hears of each revision after it, while no transaction is open;
- `end`: one transaction for all, which the parent allows or not;
- `never`: the same, and it is rolled back in any case;
- `own`: one step, in whatever transaction `env.py` makes for it and by the command line that names it. The parent is
  asked before the commit where the server has transactional DDL.

The parent may ask for what SQL finds inside the transaction before it says whether to go on. None of these hooks is
silent: whatever is not as planned, and whatever the parent does not allow, takes the transaction back. Without the hooks
Alembic looks for a revision of the name that the parent put where a target belongs, and there is none.
"""


class Sequence:
    """What is planned, and how far the one run of migrations of this process is."""

    keep = "end"
    steps = []  # newest first
    context = None
    pooled = None  # SQLAlchemy's holder of the driver's connection
    transaction = None  # the server's number of the transaction that must not change, where there is such a number
    fingerprint = None  # of the session at the start of the first step
    applied = 0  # how many revisions Alembic has rolled back
    waiting = None  # version rows after a step that is not committed yet
    allowed = False  # whether it has allowed the commit of all
    observes = False  # whether the parent has yet to say what is planned
    left = None  # why steps do not share this process
    given = None  # a descriptor of the parent's that stays open as long as we are there


run = Sequence()


def raw_connection():
    return getattr(run.pooled, "dbapi_connection", None) or run.pooled.connection


def cursor_of():
    """Past SQLAlchemy, whose listeners and counters are none of ours."""
    return raw_connection().cursor()


def first_row(statement):
    cursor = cursor_of()
    try:
        cursor.execute(statement)
        return cursor.fetchone()
    finally:
        cursor.close()


def is_postgresql():
    return run.context.dialect.name == "postgresql"


def number_of_transaction():
    return first_row("SELECT txid_current()")[0] if is_postgresql() else None


def same_transaction():
    if number_of_transaction() != run.transaction:
        raise NotAsPlanned("a migration ended the transaction that all steps were to happen in")


def hook_sqlalchemy_of_sequence(module):
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def committing(connection):
        # Before it happens, so that it does not.
        if run.transaction and not run.allowed and connection.connection is run.pooled:
            raise NotAsPlanned("a migration commits by itself, so that what follows cannot be taken back with it")

    if run.keep in ("end", "never"):
        event.listen(Engine, "commit", committing)
    hook_step(module)


def hook_migration_of_sequence(module):
    from functools import wraps

    cls = module.MigrationContext
    create = cls.__init__
    run_migrations = cls.run_migrations

    @wraps(create)
    def created(self, *args, **kwargs):
        create(self, *args, **kwargs)
        if run.keep == "each" and not self.as_sql:  # what it was is noted by then
            self._transaction_per_migration = True

    @wraps(run_migrations)
    def running(self, *args, **kwargs):
        if self.as_sql or run.context is not None:
            raise NotAsPlanned("env.py runs migrations more than once")
        run.context = self
        run.pooled = self.connection.connection
        self.on_version_apply_callbacks = tuple(self.on_version_apply_callbacks) + (follow,)
        if run.keep == "each":
            one_by_one(run_migrations, args, kwargs)
        elif run.keep == "own":
            as_env_has_it(run_migrations, args, kwargs)
        else:
            as_a_whole(run_migrations, args, kwargs)

    def autocommit_block(self):
        raise NotAsPlanned("a migration uses autocommit_block, which no transaction takes back")

    cls.__init__ = created
    cls.run_migrations = running
    if run.keep in ("end", "never"):
        cls.autocommit_block = autocommit_block


def hook_script_of_sequence(module):
    def planned(self, destination, current_rev):
        if run.context is None:
            raise NotAsPlanned("this Alembic is not known well enough")
        if run.observes and run.left is None:
            tell_and_wait(self)
        if not stand_for_the_same(sorted(texts(current_rev)), REQUEST["before"]):
            raise NotAsPlanned("the version table holds %s, which was not planned for" % sorted(texts(current_rev)))
        return with_pauses(self) if run.keep == "each" else [step_of(self, planned) for planned in run.steps]

    if run.keep != "own":
        module.ScriptDirectory._downgrade_revs = planned
    if run.observes:
        ask_before_env(module.ScriptDirectory)


def ask_before_env(cls):
    """Nobody may have read the env.py that comes next, and it would be run under another command than `current`."""
    from functools import wraps

    run_env = cls.run_env

    @wraps(run_env)
    def running(self):
        if run.observes and consult({"directory": os.path.abspath(str(self.dir))}) is not None:
            vanish(0)
        return run_env(self)

    cls.run_env = running


def step_of(directory, planned):
    from alembic.runtime.migration import MigrationStep

    return MigrationStep.downgrade_from_script(directory.revision_map, directory.get_revision(planned["removes"]))


def hooks_of_sequence():
    hooks = {
        "sqlalchemy": hook_sqlalchemy_of_sequence,
        "alembic.runtime.migration": hook_migration_of_sequence,
        "alembic.script.base": hook_script_of_sequence,
    }
    run.observes = "observe" in REQUEST
    if not run.observes:
        run.keep = REQUEST["keep"]
        run.steps = list(REQUEST["range"])
        return hooks
    run.keep = "each"
    return dict((name, one_after_the_other(OBSERVING[name], hook)) for name, hook in hooks.items())


def one_after_the_other(first, second):
    def hook(module):
        first(module)
        second(module)

    return hook


def follow(ctx, step, heads, run_args, **others):
    heads = sorted(heads)
    if run.keep == "own":
        run.waiting = heads
        return
    planned = run.steps[run.applied]
    if step.is_upgrade or planned["removes"] not in texts(step.up_revision_id):
        raise NotAsPlanned("%s was run where %s was planned" % (step.up_revision_id, planned["removes"]))
    if not stand_for_the_same(heads, planned["after"]):
        raise NotAsPlanned("after %s the version table holds %s" % (planned["removes"], heads))
    run.applied += 1
    if run.keep == "each":
        run.waiting = heads
        return
    if run.applied == len(run.steps):
        run_deferred_triggers()
    same_transaction()
    demand({"applied": [run.applied - 1, heads]})


def stand_for_the_same(heads, planned):
    """Alembic may keep a row that another one implies."""
    if heads == planned:
        return True
    below = [everything_below(run.context.script.revision_map, rows) for rows in (heads, planned)]
    return below[0] == below[1]


# --- one transaction for all -----------------------------------------------------------------------------------------


def as_a_whole(run_migrations, args, kwargs):
    context = run.context
    if not context.impl.transactional_ddl or context._transaction_per_migration:
        raise NotAsPlanned("env.py does not ask for one transaction around all revisions")
    run.transaction = number_of_transaction()
    if number_of_transaction() != run.transaction:
        raise NotAsPlanned("env.py migrates over a connection in autocommit mode")
    demand("begun")
    run_migrations(context, *args, **kwargs)
    if run.applied != len(run.steps):
        raise NotAsPlanned("%d of %d steps were run" % (run.applied, len(run.steps)))
    same_transaction()
    demand("finished")
    if run.keep == "never":
        take_back(0)
    run.allowed = True


# --- one step as env.py runs it --------------------------------------------------------------------------------------


def as_env_has_it(run_migrations, args, kwargs):
    context = run.context
    steps = context._migrations_fn
    begun = []

    def noted(migration_fn):
        from functools import wraps

        @wraps(migration_fn)
        def migrate(**kwargs):
            if not begun:
                begun.append(migration_fn)
                begin_to_measure(0)
            return migration_fn(**kwargs)

        return migrate

    def migrations(rows, context):
        for step in steps(rows, context):
            step.migration_fn = noted(step.migration_fn)
            yield step

    context._migrations_fn = migrations
    judge_commits(context.dialect)
    run_migrations(context, *args, **kwargs)


# --- before it is known what is planned ------------------------------------------------------------------------------


def tell_and_wait(directory):
    directory.revision_map._revision_map  # a history that cannot be loaded is an error at this point, as ever
    leave_transaction()
    flush_output()
    tell({"observed": dict(report(True), waits=True)})
    said, run.given = hear_and_take()
    if said is None:
        # There is nothing to do, and env.py has nothing to come to an end with.
        vanish(1)
    run.observes = False
    REQUEST.update(said["run"])
    run.steps = list(REQUEST["range"])


def leave_transaction():
    """The one that the version rows were read in."""
    current = getattr(run.context.connection, "get_transaction", None)
    transaction = current and current()
    if transaction is not None:
        transaction.rollback()
    run.context.dialect.do_rollback(run.pooled)
    forget_transactions(run.context.connection)


def observed_at_end(succeeded):
    if run.observes:
        tell({"observed": dict(report(succeeded), waits=False, left=run.left)})


# --- one transaction for each ----------------------------------------------------------------------------------------


def one_by_one(run_migrations, args, kwargs):
    context = run.context
    if run.observes:
        # To look does not make a version table where there is none.
        context.opts = dict(context.opts, dont_mutate=True)
    reason = why_not_shared(context)
    if reason is not None:
        # Alembic then finds nothing to do, and env.py comes to its own end.
        run_no_more(reason)
    else:
        judge_commits(context.dialect)
    run_migrations(context, *args, **kwargs)


def why_not_shared(context):
    if getattr(context, "_in_external_transaction", False) or is_in_transaction(context.connection):
        return "env.py has begun a transaction when the migrations begin"
    if not context.impl.transactional_ddl or not is_postgresql():
        return None
    both = [number_of_transaction() for _ in range(2)]
    context.dialect.do_rollback(run.pooled)
    return "env.py migrates over a connection in autocommit mode" if both[0] != both[1] else None


def is_in_transaction(connection):
    """Drivers begin one by themselves, of which SQLAlchemy before 1.4 knows nothing."""
    if connection.in_transaction():
        return True
    raw = raw_connection()
    raw = getattr(raw, "driver_connection", None) or raw
    driver = type(raw).__module__.split(".")[0]
    if driver in ("psycopg2", "psycopg"):
        return int(raw.info.transaction_status) != 0
    if driver in ("pymysql", "aiomysql", "asyncmy"):
        return bool(getattr(raw, "server_status", 0) & 1)
    return bool(getattr(raw, "in_transaction", False)) if driver == "sqlite3" else False


def run_no_more(reason):
    run.steps = []
    run.left = reason
    if not run.observes:
        tell({"left": reason})


def with_pauses(directory):
    """The steps for Alembic's own loop, which asks for the next one when the transaction of the last is committed."""
    for index in range(len(run.steps)):
        step = step_of(directory, run.steps[index])
        step.migration_fn = from_its_start(index, step.migration_fn)
        yield step
        if not pause(index):
            return


def from_its_start(index, migration_fn):
    from functools import wraps

    @wraps(migration_fn)  # Alembic logs its name
    def migrate(**kwargs):
        try:
            rows = sorted(texts(run.context.get_current_heads()))
        except Exception as error:
            run_no_more("the version table cannot be read any more: %s" % type(error).__name__)
            vanish(0)
        tell({"began": index})
        expected = run.steps[index - 1]["after"] if index else REQUEST["before"]
        if not stand_for_the_same(rows, expected):
            refuse("the version table holds %s, which was not planned for" % (rows,))
        seen = fingerprint_of_session()
        if index == 0:
            run.fingerprint = seen
        elif seen != run.fingerprint:
            run.context.dialect.do_rollback(run.pooled)
            run_no_more("step %d left something behind in the session" % index)
            vanish(0)
        begin_to_measure(index)
        return migration_fn(**kwargs)

    return migrate


def begin_to_measure(index):
    if run.context.impl.transactional_ddl and is_postgresql():
        run.transaction = number_of_transaction()
        if number_of_transaction() != run.transaction:
            # Each statement commits by itself: what it did is counted afterwards.
            run.transaction = None
            return
        refuse(consult({"starting": index}))


# What one step may leave to the next. Each is one statement, and the answer is compared as it is.
FINGERPRINTS = {
    "postgresql": (
        "SELECT pg_catalog.pg_backend_pid(), current_user, pg_catalog.current_setting('search_path'),"
        " (SELECT pg_catalog.string_agg(name || '=' || setting, ';' ORDER BY name) FROM pg_catalog.pg_settings"
        " WHERE source = 'session'),"
        " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()),"
        " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())"
    ),
    "mysql": (
        "SELECT CONNECTION_ID(), CURRENT_USER(), DATABASE(), @@SESSION.autocommit, @@SESSION.sql_mode,"
        " @@SESSION.foreign_key_checks, @@SESSION.unique_checks, @@SESSION.sql_safe_updates, @@SESSION.time_zone,"
        " @@SESSION.character_set_client, @@SESSION.collation_connection, @@SESSION.lock_wait_timeout,"
        " @@SESSION.innodb_lock_wait_timeout, @@SESSION.default_storage_engine"
    ),
    "sqlite": (
        "SELECT (SELECT foreign_keys FROM pragma_foreign_keys), (SELECT defer_foreign_keys FROM pragma_defer_foreign_keys),"
        " (SELECT legacy_alter_table FROM pragma_legacy_alter_table),"
        " (SELECT ignore_check_constraints FROM pragma_ignore_check_constraints),"
        " (SELECT recursive_triggers FROM pragma_recursive_triggers), (SELECT group_concat(name) FROM pragma_database_list),"
        " (SELECT group_concat(name) FROM sqlite_temp_master)"
    ),
}
FINGERPRINTS["mariadb"] = FINGERPRINTS["mysql"]


def fingerprint_of_session():
    statement = FINGERPRINTS.get(run.context.dialect.name)
    try:
        return statement and [None if value is None else str(value) for value in first_row(statement)]
    except Exception as error:
        return "it cannot be read: %s" % type(error).__name__


def judge_commits(dialect):
    """As late as possible: listeners of the project's own run before the driver commits."""
    do_commit = dialect.do_commit

    def committing(pooled):
        if run.waiting is not None and pooled is run.pooled:
            heads, run.waiting = run.waiting, None
            if run.transaction is not None:
                judge_step(heads)
        do_commit(pooled)

    dialect.do_commit = committing


def run_deferred_triggers():
    """They run at the commit otherwise, after everything was looked at."""
    if not is_postgresql():
        return
    cursor = cursor_of()
    try:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    finally:
        cursor.close()


def judge_step(heads):
    run_deferred_triggers()
    if number_of_transaction() != run.transaction:
        # The step has committed a part by itself: what there is to judge is not in here.
        return
    try:
        reason = consult({"applied": [max(run.applied, 1) - 1, heads]})
    except NotAsPlanned as error:
        reason = str(error)
    refuse(reason)


def pause(index):
    """Whether the next step may begin. Nothing is told of a step whose transaction is still open."""
    flush_output()
    if is_in_transaction(run.context.connection):
        return False
    forget_transactions(run.context.connection)
    try:
        return consult({"kept": index}) is None
    except NotAsPlanned:
        # Nobody is left to take the next step for, and nothing is open.
        vanish(1)
