"""Runs the engine's own console script and tells the parent process what it saw.

Started as `python -c <loader> script /path/to/alembic ARGS...` or `python -c <loader> module alembic ARGS...`, with
this text on stdin and a channel to the parent as descriptor 3. The script must not notice: argv, `__main__`, `sys.path[0]`, stdin and
the traceback of a failure are what they are without us. REQUEST, a name that the loader defines, says what is wanted:

- nothing: watch (observe.py), and write one JSON object into the channel at the end (report.py);
- `lock_timeout`, in milliseconds: no connection of the engine waits longer than that for a lock, and each way in
  which that was arranged is told in the channel by a line of its own (lock_timeout.py);
- `session`: what the engine's session with the database did is told in the channel (session.py);
- `range`: the revisions that `downgrade` takes (sequence.py), which the parent allows or not (verdict.py);
- `observe`: to tell what it sees and then wait for `range` (sequence.py as well);
- `render`: the SQL of each step of a plan (render.py).

The files are one text: base.py, then session.py, and sequence.py with verdict.py or render.py, if the request asks for
them, then the others, and this one last. So they share one namespace, and only base.py may be used while they load.

The first three are allowed to fail silently: nothing of them may change what the engine does otherwise. Runs on whatever
Python the engine has, so it keeps to 3.6.
"""

import os
import sys
import types


@silently
def hook_step(module):
    if "lock_timeout" in REQUEST:
        hook_lock_timeout(module)
    if "session" in REQUEST:
        hook_session(module)


class Watcher:
    """Applies a hook right after its module was imported, so that nothing is imported earlier than the engine does."""

    def __init__(self, hooks):
        self.hooks = hooks

    def find_spec(self, name, path=None, target=None):
        hook = self.hooks.pop(name, None)
        if hook is None:
            return None
        if not self.hooks and self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self.attach(spec.loader, hook)
                return spec
        return None

    @silently
    def attach(self, loader, hook):
        execute = loader.exec_module

        def exec_module(module):
            loader.__dict__.pop("exec_module", None)
            execute(module)
            hook(module)

        loader.exec_module = exec_module


@silently
def install():
    if "range" in REQUEST or "observe" in REQUEST:
        hooks = hooks_of_sequence()
    elif "render" in REQUEST:
        hooks = {
            "sqlalchemy": hook_sqlalchemy_of_render,
            "alembic.runtime.migration": hook_migration_of_render,
            "alembic.script.base": hook_script_of_render,
        }
    elif REQUEST:
        hooks = {"sqlalchemy": hook_step}
    else:
        hooks = OBSERVING
    for name in list(hooks):
        if name in sys.modules:
            hooks.pop(name)(sys.modules[name])
    if hooks:
        sys.meta_path.insert(0, Watcher(hooks))


def run_script(path):
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__builtins__ = __builtins__
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


def run_module(name):
    import runpy

    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = os.getcwd()
    runpy._run_module_as_main(name)


def run_engine(kind, name):
    """Runs the console script or module to its end, and tells of it. The exit status, or as SystemExit has it."""
    install()
    succeeded = False
    code = 0
    try:
        if kind == "script":
            run_script(name)
        else:
            run_module(name)
        succeeded = True
    except SystemExit as exit:
        succeeded = not exit.code
        code = exit.code
    except Exception as error:
        # Our own two frames are none of the reader's business.
        error = error.with_traceback(error.__traceback__.tb_next.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        report_at_end(succeeded)
        try:
            os.close(CHANNEL)
        except OSError:
            pass
    return code


def main():
    # Whatever the engine starts must not hold the channel, nor write into it.
    os.set_inheritable(CHANNEL, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    kind, name = sys.argv[1:3]
    sys.argv[:3] = [name if kind == "script" else "-m"]
    collect_rarely()
    code = run_engine(kind, name)
    collect_no_more()
    sys.exit(code)


def collect_rarely():
    """While modules are loaded, objects become many and hardly any of them garbage: to look for it costs a tenth of a start."""
    import gc

    if gc.isenabled():
        getattr(gc, "set_threshold", max)(100000, 50, 50)  # PyPy collects in another way


def collect_no_more():
    """At its end the interpreter looks through all objects several times, which is a fifth of a short run."""
    import gc

    gc.disable()
    getattr(gc, "freeze", int)()  # before 3.7 there is none


if __name__ == "rollback_bridge":  # the tests load these files under another name
    main_module = sys.modules["__main__"]  # its names would vanish with the last reference
    main()
