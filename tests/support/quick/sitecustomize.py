"""How an interpreter of a test starts: nearly all the time of a start goes into loading Alembic and SQLAlchemy.

Where preloaded.py listens, a fork of that process, which has loaded them, does what this interpreter was started for, in its
process group, with its files, folder and variables. This one waits for the end of it and ends in the same way. Whatever
a fork could not have as this process has it leads to an ordinary start.
"""

import atexit
import gc
import os
import sys

# What the fork takes over from us, beside PYTHONPATH, which has become `sys.path`.
HANDED_OVER = ("PYTHONPATH", "PYTHONUNBUFFERED")


def facts():
    """What a fork cannot change."""
    import resource

    limits = [one for one in dir(resource) if one.startswith("RLIMIT_")]
    flags = [one for one in dir(sys.flags) if type(getattr(sys.flags, one)) in (int, bool) and not one.startswith("n_")]
    return [
        os.getsid(0),
        os.getresuid(),
        os.getresgid(),
        [os.readlink("/proc/self/ns/" + one) for one in ("mnt", "net", "pid", "user")],
        [resource.getrlimit(getattr(resource, one)) for one in limits],
        [(one, getattr(sys.flags, one)) for one in flags if one != "unbuffered"],
        sys.warnoptions,
        sorted(sys._xoptions.items()),
        sys.version,
        sys.prefix,
        sys.getfilesystemencoding(),
        sorted(one for one in os.environ.items() if one[0].startswith("PYTHON") and one[0] not in HANDED_OVER),
    ]


def order():
    """What this interpreter was started for, where a fork can do it: how, what, and `sys.argv`."""
    words = sys.orig_argv[1:]
    if words[:1] in (["-c"], ["-m"]):
        return words[0], words[1], [words[0], *words[2:]]
    if words and words[0][:1] != "-" and os.path.isfile(words[0]):
        return "", words[0], words
    return None


def loads_others(how, what, packages):
    """Whether a package would come from the project or from PYTHONPATH, and not from where it is installed."""
    first = os.path.dirname(os.path.realpath(what)) if how == "" else os.getcwd()
    own = [one for one in sys.path if not one.startswith((sys.base_prefix, sys.prefix))]
    places = [os.path.join(folder, one) for folder in [first, *own] for one in packages]
    return any(os.path.isdir(one) or os.path.isfile(one + ".py") for one in places)


def open_files():
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.get_inheritable(int(name))
        except OSError:
            pass  # the listing itself


def hand_over(folder):
    import _socket
    import marshal
    import signal

    packages, path = ["alembic", "sqlalchemy"], os.path.join(folder, os.path.basename(sys.prefix))
    asked = order()
    if asked is None or not os.path.exists(path) or loads_others(*asked[:2], packages):
        return
    files = list(open_files())
    handlers = {one: signal.getsignal(one) for one in signal.valid_signals()}
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "facts": facts(),
        "order": asked,
        "words": sys.orig_argv,
        "path": sys.path,
        "executable": sys.executable,
        "folder": os.getcwd(),
        "variables": dict(os.environb),
        "group": os.getpgrp(),
        "umask": umask,
        "ignored": [int(one) for one in handlers if handlers[one] == signal.SIG_IGN],
        "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "files": files,
        "streams": [
            one and (one.encoding, one.errors, one.line_buffering, one.write_through)
            for one in (sys.stdin, sys.stdout, sys.stderr)
        ],
    }
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    server.connect(path)
    letter = os.memfd_create("request")
    os.write(letter, marshal.dumps(request))
    rights = b"".join(one.to_bytes(4, sys.byteorder) for one in [letter, *(number for number, _ in files)])
    # What is sent to the group is for the fork to answer.
    told = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    for one in told:
        signal.signal(one, signal.SIG_IGN)
    server.sendmsg([b"?"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    os.close(letter)
    if server.recv(1) != b"y":
        for one in told:
            signal.signal(one, handlers[one])
        server.close()
        return
    # The fork has the only ends of the pipes: who reads from them sees its end, and not ours.
    for number, _ in files:
        os.close(number)
    status = server.recv(16)
    code = os.waitstatus_to_exitcode(int(status)) if status else 70
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        os.kill(os.getpid(), -code)
    os._exit(code)


if "TEST_PRELOADED" in os.environ and hasattr(os, "memfd_create"):
    try:
        hand_over(os.environ["TEST_PRELOADED"])
    except OSError:
        pass  # it starts as it would without us

gc.set_threshold(100000, 50, 50)
atexit.register(gc.freeze)
