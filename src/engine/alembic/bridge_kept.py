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

    modules = libraries_loaded(before, environment, directories)
    told = {
        "modules": modules,
        "history": None,
        "files": own_files(),
        "folders": [],
    }
    loaded = [directory for directory in directories if "_revision_map" in vars(directory.revision_map)]
    if loaded:
        directory = loaded[-1]
        ahead = before.union(name for name, _ in modules)
        facts = silently(facts_of)(directory, Effects(ahead))  # noqa: F821
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


def facts_of(directory, effects):
    """What the version files declare, in the order of Alembic's loading, and whether they do more than that."""
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
        path = str(script.path)
        facts.append((path, script.revision, declared, effects.of_file(path, None)))
    return facts


class Effects:
    """Whether a file does more than define names of its own when it is run: another one may count on that.

    Alembic runs all version files in each process. One that registers a directive, listens to an event or changes a
    library does so for all, by itself or by a module of the project that it imports. Modules of `ahead` are there in
    every fork.
    """

    # These give back what they decorate, and tell nobody.
    DECORATORS = ("contextmanager", "dataclass", "total_ordering", "lru_cache", "cache", "wraps", "unique")

    def __init__(self, ahead):
        import re

        self.ahead = ahead
        self.files = {}
        self.lines = {}
        # At the left margin, outside of brackets and strings.
        self.defines = re.compile(r"(def |class |\)|\]|\}|#|[ \t\f]|[A-Za-z_]\w*\s*(:[^=]*)?=[^=]|$)")
        self.imports = re.compile(r"(import [\w., \t]+|from [\w.]+ import [\w, \t]+)(#.*)?$")

    def of_file(self, path, package):
        if path not in self.files:
            self.files[path] = False  # of one that imports itself in a circle
            try:
                with open(path, "rb") as file:
                    source = file.read()
                self.files[path] = self.of_source(source, package)
            except (OSError, SyntaxError, ValueError):
                self.files[path] = True
        return self.files[path]

    def of_source(self, source, package):
        import ast

        try:
            text = source.decode("ascii")
        except UnicodeDecodeError:
            return self.of_body(ast.parse(source).body, package)
        # Most begin with one long string and define some names; parsing them would take twenty times as long.
        if text.startswith('"""'):
            text = text[3:].partition('"""')[2]
        for line in text.splitlines():
            if self.imports.match(line):
                if (line, package) not in self.lines:
                    self.lines[line, package] = self.of_body(ast.parse(line).body, package)
                if self.lines[line, package]:
                    return True
            elif not self.defines.match(line) or any(sign in line for sign in ('"""', "'''", ";")):
                return self.of_body(ast.parse(source).body, package)
        return False

    def of_body(self, body, package):
        own = set(names_bound(body))
        return any(self.of_statement(statement, own, package) for statement in body)

    def of_statement(self, statement, own, package):
        import ast

        if isinstance(statement, ast.Import):
            return any(self.of_module(alias.name) for alias in statement.names)
        if isinstance(statement, ast.ImportFrom):
            return self.of_import(statement, package)
        if isinstance(statement, ast.Expr):
            return type(statement.value).__name__ not in ("Constant", "Str")
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return any(last_name(decorator) not in self.DECORATORS for decorator in statement.decorator_list)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return not all(root_of(part) in own for target in targets for part in parts(target))
        if isinstance(statement, ast.If):
            inner = statement.body + statement.orelse
        elif isinstance(statement, ast.Try):
            inner = statement.body + statement.orelse + statement.finalbody
            for handler in statement.handlers:
                inner = inner + handler.body
        else:
            return not isinstance(statement, ast.Pass)
        return any(self.of_statement(one, own, package) for one in inner)

    def of_import(self, statement, package):
        name = statement.module or ""
        if statement.level:
            if not package:
                return True
            base = package.rsplit(".", statement.level - 1)[0] if statement.level > 1 else package
            name = base + "." + name if name else base
        inner = [name + "." + alias.name for alias in statement.names]
        return self.of_module(name) or any(self.of_module(one) for one in inner if one in sys.modules)

    def of_module(self, name):
        steps = name.split(".")
        return any(self.of_one(".".join(steps[: end + 1])) for end in range(len(steps)))

    def of_one(self, name):
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if name in self.ahead or module is None:
            return False
        origin = getattr(spec, "origin", None)
        if origin in ("built-in", "frozen") or (origin in (None, "namespace") and hasattr(module, "__path__")):
            return False
        return not origin or not origin.endswith(".py") or self.of_file(origin, spec.parent)


def names_bound(body):
    """What a file itself makes, and does not get from elsewhere."""
    import ast

    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for part in parts(target):
                    if isinstance(part, ast.Name):
                        yield part.id
        for inner in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(statement, (ast.If, ast.Try, ast.ExceptHandler)):
                for name in names_bound(getattr(statement, inner, [])):
                    yield name


def parts(target):
    import ast

    if isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            for part in parts(element):
                yield part
    else:
        yield target


def root_of(target):
    while hasattr(target, "value"):
        target = target.value
    return getattr(target, "id", None)


def last_name(decorator):
    decorator = getattr(decorator, "func", decorator)
    return getattr(decorator, "attr", None) or getattr(decorator, "id", None)


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
    for path, revision, declared, _ in facts:
        scripts.append(base.Script(Declared(path, declared), revision, path))
    acting = set(number for number, fact in enumerate(facts) if fact[3])

    def generator():
        # At the moment at which Alembic runs all of them, and in its order.
        from alembic import util

        for number, script in enumerate(scripts):
            if number in acting:
                path = script.path
                script = base.Script(util.load_python_file(*os.path.split(path)), script.revision, path)
            yield script

    known = RevisionMap(lambda: scripts)
    known._revision_map
    kept = dict((name, value) for name, value in vars(known).items() if name != "_generator")
    history.append(kept)
    original = base.ScriptDirectory.__init__

    @wraps(original)
    def wrapped(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if history and type(self) is base.ScriptDirectory and place_of(self) == (directory, locations):
            if acting:
                self.revision_map._generator = generator
            else:
                vars(self.revision_map).update(history[0])

    base.ScriptDirectory.__init__ = wrapped
