"""Asks the parent process what becomes of a step, answers its questions and does what it says.

A question is SQL, and the answer is what it finds inside the open transaction. The end of the channel is a No.
"""

heard = []  # what was read of a line that is not whole yet


def hear():
    import json

    while True:
        line, end, rest = b"".join(heard).partition(b"\n")
        if end:
            heard[:] = [rest]
            return json.loads(line.decode())
        data = os.read(CHANNEL, 65536)
        if not data:
            raise NotAsPlanned("rollback is gone, and nobody is left to allow the commit")
        heard.append(data)


def hear_and_take():
    """The next line, and the descriptor that came with it; nothing where nobody is left to say one."""
    import _socket
    import json

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, CHANNEL)
    channel.settimeout(None)  # whatever the project has for sockets of its own
    size = _socket.CMSG_SPACE(4)
    taken = None
    data = b""
    while not data.endswith(b"\n"):
        more, ancillary, _, _ = channel.recvmsg(65536, size)
        if not more:
            return None, None
        data += more
        for level, kind, content in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                taken = int.from_bytes(content[:4], sys.byteorder)
                os.set_inheritable(taken, True)
    channel.detach()
    return json.loads(data.decode()), taken


def consult(news):
    """Tells the parent and answers its questions. Why it does not want to go on; nothing where it does."""
    tell(news)
    while True:
        message = hear()
        if "ask" in message:
            tell(answer(message["ask"]))
        elif message["go_on"]:
            return None
        else:
            return message["reason"]


def demand(news):
    reason = consult(news)
    if reason is not None:
        raise NotAsPlanned(reason)


def refuse(reason):
    """Takes the running step back where there is a reason to. Past env.py, which might commit or begin again."""
    if reason is not None:
        sys.stderr.write("%s\n" % reason)
        take_back(1)


def take_back(status):
    run.context.dialect.do_rollback(run.pooled)
    tell("taken_back")
    vanish(status)


def vanish(status):
    flush_output()
    os._exit(status)


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def answer(statements):
    """What the last statement finds. Nothing of it stays, and an error in it spoils nothing."""
    cursor = cursor_of()
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
            raise NotAsPlanned("the transaction that the steps were to happen in is lost: %s" % (found,))
    finally:
        cursor.close()
    same_transaction()
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


