"""What a fork of the engine leaves for those after it: libraries that it loaded, and what the version files declare.

Stands behind bridge_warm.py in the same text. A fork that is the first of its kind writes notes at its end; the server
then forks itself, loads what the notes name, and goes on in that fork, which is given up where that was not sound.
Nothing of the project's own is loaded ahead: it may depend on what `env.py` does first.
"""

def watch_directories(directories):
    """Keeps each history that this fork loads."""
    module = sys.modules.get("alembic.script.base")
    if module is None:
        return
    original = module.ScriptDirectory.__init__

    def wrapped(self, *args, **kwargs):
        original(self, *args, **kwargs)
        directories.append(self)

    module.ScriptDirectory.__init__ = wrapped


def write_notes(notes, before, environment, directories):
    import marshal

    told = {
        "modules": libraries_loaded(before, environment, directories),
        "history": None,
        "files": own_files(),
        "folders": [],
    }
    loaded = [directory for directory in directories if "_revision_map" in vars(directory.revision_map)]
    if loaded:
        directory = loaded[-1]
        facts = silently(facts_of)(directory)  # noqa: F821
        if facts is not None and type(directory) is sys.modules["alembic.script.base"].ScriptDirectory:
            files = [os.path.abspath(fact[0]) for fact in facts]
            told["files"] += files
            told["folders"] = sorted(set(os.path.dirname(file) for file in files))
            told["history"] = (place_of(directory), facts)
    write_all(notes, marshal.dumps(told))


def read_notes(notes):
    import marshal

    try:
        return marshal.loads(whole(notes))
    except (EOFError, ValueError, TypeError):
        return None


def place_of(directory):
    return (os.path.abspath(str(directory.dir)), tuple(str(place) for place in directory._version_locations))


DECLARATIONS = ("revision", "down_revision", "branch_labels", "depends_on")


def facts_of(directory):
    """What the version files declare, in the order of Alembic's loading."""
    facts = []
    seen = set()
    for script in directory.revision_map._revision_map.values():
        if script is None or script.revision in seen:
            continue
        seen.add(script.revision)
        module = script.module
        declared = {}
        for name in DECLARATIONS:
            if name in vars(module):
                declared[name] = plain(vars(module)[name])
        declared["__doc__"] = plain(module.__doc__)
        facts.append((str(script.path), script.revision, declared))
    return facts


def plain(value):
    if value is None or type(value) is str:
        return value
    if type(value) in (list, tuple) and all(type(item) is str for item in value):
        return value
    raise ValueError("declared in another way")


# Their import does nothing but define; each is needed for any database at all.
DEFINING_ONLY = (
    "alembic",
    "sqlalchemy",
    "flask_migrate",
    "mako",
    "psycopg2",
    "psycopg",
    "psycopg_binary",
    "psycopg_c",
    "asyncpg",
    "pg8000",
    "pymysql",
    "MySQLdb",
    "mysql",
    "mariadb",
    "aiosqlite",
    "greenlet",
)


def libraries_loaded(before, environment, directories):
    """The modules that the next fork would load again, without those that may depend on what was done before."""
    libraries = library_folders()
    standard = libraries[0]
    unchanged = dict(os.environ) == environment
    own = tuple(os.path.dirname(os.path.abspath(str(directory.dir))) + "/" for directory in directories)
    names = []
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name in before or spec is None or spec.name != name:
            continue
        top = name.partition(".")[0]
        package = getattr(sys.modules.get(top), "__file__", None) or ""
        origin = spec.origin or ""
        is_standard = origin in ("built-in", "frozen") or (
            origin.startswith(standard) and not origin.startswith(libraries[1:])
        )
        from_library = origin.startswith(libraries) and not any(
            folder.startswith(os.path.dirname(package) + "/") for folder in own
        )
        if is_standard or (from_library and (unchanged or top in DEFINING_ONLY)):
            names.append((name, origin))
    return names


def become_warmer(told):
    """Goes on as a fork of ourselves that has loaded more. We take over again where that was not sound."""
    warmer = os.fork()
    if warmer:
        _, status = os.waitpid(warmer, 0)
        if status != NOT_SOUND << 8:
            os._exit(0)
        say("reads", *(told["files"]))
        return
    try:
        without_threads(lambda: load(told["modules"]))
        check_soundness()
        if told["history"] is not None:
            (directory, locations), facts = told["history"]
            silently(history_of)(directory, locations, facts)  # noqa: F821
    except BaseException:
        os._exit(NOT_SOUND)
    freeze()
    say("reads", *(told["files"] + ["%s/" % folder for folder in told["folders"]]))


NOT_SOUND = 3


def load(modules):
    from importlib import import_module

    for name, origin in modules:
        module = import_module(name)
        if (module.__spec__.origin or "") != origin:
            raise Unsound("another module of that name")


class Declared:
    """A version module as far as it was told; it is loaded where more is asked of it."""

    def __init__(self, path, declared):
        vars(self).update(declared)
        self._rollback_path = path

    def __getattr__(self, name):
        if name in DECLARATIONS or name == "_rollback_path" or "_rollback_loaded" in vars(self):
            raise AttributeError("module %r has no attribute %r" % (self.__dict__.get("__name__"), name))
        from alembic import util

        folder, file = os.path.split(self._rollback_path)
        module = util.load_python_file(folder, file)
        self._rollback_loaded = True
        vars(self).update(vars(module))
        return getattr(module, name)


def history_of(directory, locations, facts):
    """Has each history of that place begin with what is known of it, as long as nobody asks for the files' text."""
    from functools import wraps

    from alembic.script import base
    from alembic.script.revision import RevisionMap

    scripts = []
    for path, revision, declared in facts:
        scripts.append(base.Script(Declared(path, declared), revision, path))
    known = RevisionMap(lambda: scripts)
    known._revision_map
    kept = dict((name, value) for name, value in vars(known).items() if name != "_generator")
    history.append(kept)
    original = base.ScriptDirectory.__init__

    @wraps(original)
    def wrapped(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if history and type(self) is base.ScriptDirectory and place_of(self) == (directory, locations):
            vars(self.revision_map).update(history[0])

    base.ScriptDirectory.__init__ = wrapped
