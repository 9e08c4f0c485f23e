"""The three databases that things are measured on. The servers are private ones, and gone afterwards.

Each server belongs to a shell that waits at a pipe of ours: however we end, the pipe ends, and the shell ends the server
and removes its folder. The servers run with the settings they come with, so that a commit is on the disk when it
returns; there is one database `run`, that every measurement starts from a copy for.
"""

import os
import pwd
import secrets
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

from .measuring import Failed, Unavailable

USER = "owner"

KEEPER = """
cd "$1" || exit 1
sh -c "exec $2" >log 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -s "$3" "$server" 2>/dev/null
wait "$server" 2>/dev/null
cd / && rm -rf "$1"
"""

# Tables, columns and indexes, without what each tool keeps for itself.
COLUMNS = """
SELECT concat('column ', table_name, '.', column_name) FROM information_schema.columns WHERE table_schema = '{schema}'
UNION {indexes}
"""
OWN = ("alembic_version", "_sqlx_migrations")


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def find(names, places=()):
    for name in names:
        for folder in [*os.environ["PATH"].split(os.pathsep), *places]:
            if os.access(Path(folder) / name, os.X_OK):
                return Path(folder) / name
    raise Unavailable(f"{names[0]} is not installed; scripts/setup-servers installs it")


def quoted(path):
    return "'" + str(path).replace("'", "'\\''") + "'"


class Server:
    """A private server on a free port."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="rollback-bench-", dir="/tmp"))
        self.port, self.password, self.keeper, self.account = free_port(), secrets.token_hex(8), None, {}
        self.saved = {}
        if os.getuid() == 0:
            try:
                account = pwd.getpwnam(self.account_of)
            except KeyError:
                account = pwd.getpwnam("nobody")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def fill(self, *words):
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"},
            **self.account,
        )
        if done.returncode:
            raise Failed(f"{Path(words[0]).name} failed: {(done.stdout + done.stderr).strip()[-300:]}")

    def serve(self, command, stop_signal):
        self.keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", str(self.folder), command, stop_signal],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for us; the end of the pipe is for the keeper.
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"},
            **self.account,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask("SELECT 1", database=self.first)
            except Failed as error:
                if time.monotonic() > deadline or self.keeper.poll() is not None:
                    raise Failed(f"the server does not start: {error}") from error
                time.sleep(0.1)

    def client(self, words, text=None, **environment):
        done = subprocess.run(
            [str(word) for word in words],
            input=text,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **environment},
        )
        if done.returncode:
            raise Failed(f"{Path(words[0]).name}: {done.stderr.strip()[-300:]}")
        return [line for line in done.stdout.splitlines() if line]

    def stop(self):
        if self.keeper:
            self.keeper.stdin.close()
            self.keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSql(Server):
    key, label, first, sqitch_engine, account_of = "postgresql", "PostgreSQL", "postgres", "pg", "postgres"

    def start(self):
        places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
        places += sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"), reverse=True)
        # What is in the search path may be a wrapper or a link; the programs lie together.
        initdb = find(["initdb"], places).resolve()
        self.programs = initdb.parent
        self.psql = find(["psql"], [self.programs])
        (self.folder / "password").write_text(self.password)
        if self.account:
            os.chown(self.folder / "password", self.account["user"], self.account["group"])
        options = ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", f"--pwfile={self.folder}/password"]
        self.fill(initdb, "-D", self.folder / "data", "-U", USER, *options)
        self.serve(
            f"{quoted(initdb.parent / 'postgres')} -D data -p {self.port} "
            f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={quoted(self.folder)}",
            "INT",
        )
        self.url = f"postgresql+psycopg2://{USER}:{self.password}@127.0.0.1:{self.port}/run"
        self.sqlx_url = f"postgres://{USER}:{self.password}@127.0.0.1:{self.port}/run"
        self.sqitch_url = f"db:pg://{USER}@127.0.0.1:{self.port}/run"

    def ask(self, sql, database="run"):
        words = [self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port]
        return self.client([*words, "-U", USER, "-d", database, "-f", "-"], sql, PGPASSWORD=self.password)

    def again(self, template):
        self.ask(f"DROP DATABASE IF EXISTS run WITH (FORCE);\nCREATE DATABASE run TEMPLATE {template};", "postgres")

    def empty(self):
        self.again("template0")

    def save(self, name):
        self.ask(f"DROP DATABASE IF EXISTS {name};\nALTER DATABASE run RENAME TO {name};", "postgres")
        self.saved[name] = name

    def restore(self, name):
        self.again(name)
        # What the copy wrote is on the disk before anybody's time is taken.
        self.ask("CHECKPOINT")

    def schema(self):
        indexes = "SELECT concat('index ', tablename, '.', indexname) FROM pg_indexes WHERE schemaname = 'public'"
        return self.ask(COLUMNS.format(schema="public", indexes=indexes))

    def version(self):
        return self.ask("SHOW server_version", "postgres")[0].split()[0]

    def heads(self):
        return sorted(self.ask("SELECT version_num FROM alembic_version"))

    def logged(self, run):
        """What the server writes down of connections and statements while `run` runs: a list of (application, line)."""
        log = self.folder / "log"
        settings = {
            "log_connections": "on",
            "log_min_duration_statement": "0",
            "log_line_prefix": "'@%a@'",
        }
        begun = log.stat().st_size
        self.settle([f"ALTER SYSTEM SET {name} = {value}" for name, value in settings.items()])
        try:
            run()
        finally:
            self.settle([f"ALTER SYSTEM RESET {name}" for name in settings])
        lines = log.read_bytes()[begun:].decode(errors="replace").splitlines()
        return [tuple(line[1:].split("@", 1)) for line in lines if line.startswith("@") and line.count("@") > 1]

    def settle(self, statements):
        for statement in [*statements, "SELECT pg_reload_conf()"]:
            self.ask(statement, "postgres")
        # The processes hear of it a moment later.
        time.sleep(0.5)


class MariaDb(Server):
    key, label, first, sqitch_engine, account_of = "mariadb", "MariaDB", "mysql", "mysql", "mysql"
    # Sqitch keeps its registry in a database of its own.
    databases = ("run", "sqitch")

    def start(self):
        places = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/opt/homebrew/bin"]
        install = find(["mariadb-install-db", "mysql_install_db"], places)
        server = find(["mariadbd", "mysqld"], places)
        self.mariadb, self.dump = find(["mariadb", "mysql"], places), find(["mariadb-dump", "mysqldump"], places)
        options = ["--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"]
        self.fill(install, "--no-defaults", f"--datadir={self.folder}/data", *options)
        (self.folder / "users.sql").write_text(
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{self.password}';\nGRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        self.serve(
            f"{quoted(server)} --no-defaults --datadir={quoted(self.folder / 'data')} --port={self.port} "
            f"--bind-address=127.0.0.1 --socket={quoted(self.folder / 'socket')} --pid-file={quoted(self.folder / 'pid')} "
            f"--tmpdir={quoted(self.folder)} --init-file={quoted(self.folder / 'users.sql')} --skip-name-resolve",
            "TERM",
        )
        self.url = f"mysql+pymysql://{USER}:{self.password}@127.0.0.1:{self.port}/run"
        self.sqlx_url = f"mysql://{USER}:{self.password}@127.0.0.1:{self.port}/run"
        self.sqitch_url = f"db:mysql://{USER}@127.0.0.1:{self.port}/run"

    def at(self):
        return ["--no-defaults", "-h", "127.0.0.1", "-P", self.port, "-u", USER]

    def ask(self, sql, database="run"):
        return self.client([self.mariadb, *self.at(), "-N", "-B", database], sql, MYSQL_PWD=self.password)

    def empty(self):
        drops = "".join(f"DROP DATABASE IF EXISTS {name};\n" for name in self.databases)
        self.ask(f"{drops}CREATE DATABASE run;", "mysql")

    def save(self, name):
        there = [database for database in self.ask("SHOW DATABASES", "mysql") if database in self.databases]
        words = [self.dump, *self.at(), "--hex-blob", "--databases", *there]
        self.saved[name] = "\n".join(self.client(words, MYSQL_PWD=self.password))

    def restore(self, name):
        drops = "".join(f"DROP DATABASE IF EXISTS {database};\n" for database in self.databases)
        self.ask(drops + self.saved[name], "mysql")

    def schema(self):
        indexes = (
            "SELECT concat('index ', table_name, '.', index_name) FROM information_schema.statistics "
            "WHERE table_schema = 'run'"
        )
        return self.ask(COLUMNS.format(schema="run", indexes=indexes))

    def version(self):
        return self.ask("SELECT version()", "mysql")[0].split("-")[0]

    def heads(self):
        return sorted(self.ask("SELECT version_num FROM alembic_version"))


class Sqlite:
    """A file. Sqitch keeps its registry in a second one beside it."""

    key, label, sqitch_engine = "sqlite", "SQLite", "sqlite"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="rollback-bench-", dir="/tmp"))
        self.file, self.password, self.saved = self.folder / "run.db", "", {}
        self.url = self.sqlx_url = f"sqlite:///{self.file}"
        self.sqitch_url = f"db:sqlite:{self.file}"

    def ask(self, sql):
        connection = sqlite3.connect(self.file)
        try:
            if ";" in sql:
                connection.executescript(f"BEGIN;\n{sql}\nCOMMIT;")
                return []
            return [str(row[0]) for row in connection.execute(sql)]
        finally:
            connection.close()

    def files(self):
        return [path for path in self.folder.iterdir() if path.is_file()]

    def empty(self):
        for path in self.files():
            path.unlink()
        connection = sqlite3.connect(self.file)
        connection.execute("VACUUM")
        connection.close()

    def save(self, name):
        self.saved[name] = self.folder / name
        self.saved[name].mkdir()
        for path in self.files():
            path.rename(self.saved[name] / path.name)

    def restore(self, name):
        for path in self.files():
            path.unlink()
        for path in self.saved[name].iterdir():
            shutil.copyfile(path, self.folder / path.name)

    def schema(self):
        return self.ask(
            "SELECT 'column ' || m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c "
            "WHERE m.type = 'table' UNION ALL SELECT 'index ' || tbl_name || '.' || name FROM sqlite_master "
            "WHERE type = 'index' AND sql IS NOT NULL"
        )

    def heads(self):
        return sorted(self.ask("SELECT version_num FROM alembic_version"))

    def start(self):
        pass

    def stop(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def of_the_project(lines):
    """The schema without the tables that the tools keep for themselves."""
    return sorted(line for line in lines if not line.split(" ", 1)[1].startswith(OWN))
