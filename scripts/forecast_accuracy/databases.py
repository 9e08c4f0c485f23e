"""A copy of a database, looked at and stamped over the server's own client; SQLite by Python's own module."""

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import zlib
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

FIELD, RECORD = "\x1f", "\x1e"
TEMPORARY = "_alembic_tmp_"

POSTGRESQL_COLUMNS = """
SELECT n.nspname, relname, coalesce(attname, '')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE relkind IN ('r', 'p') AND NOT relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, attnum
"""

POSTGRESQL_SCHEMA = """
WITH ours AS (
    SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT 'table ' || relname FROM ours WHERE relkind IN ('r', 'p')
UNION ALL SELECT 'view ' || relname || ' ' || pg_get_viewdef(oid) FROM ours WHERE relkind IN ('v', 'm')
UNION ALL SELECT 'sequence ' || relname FROM ours WHERE relkind = 'S'
UNION ALL SELECT 'index ' || pg_get_indexdef(oid) FROM ours WHERE relkind = 'i'
UNION ALL SELECT 'column ' || relname || '.' || attname || ' ' || format_type(atttypid, atttypmod)
        || CASE WHEN attnotnull THEN ' not null' ELSE '' END || coalesce(' default ' || pg_get_expr(adbin, adrelid), '')
    FROM ours JOIN pg_attribute a ON attrelid = oid LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'constraint ' || conname || ' on ' || relname || ' ' || pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN ours ON conrelid = ours.oid
UNION ALL SELECT 'type ' || typname || ' value ' || enumlabel FROM pg_enum JOIN pg_type t ON t.oid = enumtypid
"""

POSTGRESQL_SETTINGS = """
SELECT setting FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) setting
WHERE datname = current_database() AND setrole = 0
"""

MYSQL_COLUMNS = """
SELECT '', t.table_name, c.column_name FROM information_schema.tables t
JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE t.table_schema = database() AND t.table_type = 'BASE TABLE' ORDER BY t.table_name, c.ordinal_position
"""

MYSQL_SCHEMA = """
SELECT concat(if(table_type = 'VIEW', 'view ', 'table '), table_name) FROM information_schema.tables
    WHERE table_schema = database()
UNION ALL SELECT concat_ws(' ', 'column', concat(table_name, '.', column_name), column_type, is_nullable, column_default,
        extra, collation_name)
    FROM information_schema.columns WHERE table_schema = database()
UNION ALL SELECT concat_ws(' ', 'index', table_name, index_name, non_unique, seq_in_index, column_name)
    FROM information_schema.statistics WHERE table_schema = database()
UNION ALL SELECT concat_ws(' ', 'constraint', table_name, constraint_type, constraint_name)
    FROM information_schema.table_constraints WHERE table_schema = database()
"""


class Failed(Exception):
    pass


class Values(NamedTuple):
    """What stands in a column."""

    values: int  # how many are not NULL
    constant: bool  # whether they are all the same
    digest: str  # a sum over all of them, by which they are recognised under another name


class Table(NamedTuple):
    rows: int
    columns: dict  # name to Values


def open_copy(url, folder):
    """A copy of the database that `url` names; relative paths of SQLite belong to `folder`."""
    kind = urlsplit(url).scheme.partition("+")[0]
    classes = {"sqlite": Sqlite, "postgresql": Postgresql, "postgres": Postgresql, "mysql": Mysql, "mariadb": Mysql}
    if kind not in classes:
        raise Failed(f"no copy can be made of a database of the kind '{kind}'")
    return classes[kind](url, folder)


class Database:
    """What the kinds share. A table is named `schema.table`, or `table` in the usual schema."""

    version_table = None  # its name as in `tables`, once the engine has told

    def tables(self):
        found = {}
        for schema, table, column in self.ask(self.COLUMNS):
            name = table if schema in ("", self.usual_schema) else f"{schema}.{table}"
            found.setdefault(name, []).extend([column] if column else [])
        return found

    def snapshot(self):
        """Rows of each table, and values of each column."""
        tables = {name: columns for name, columns in self.tables().items() if name != self.version_table}
        if not tables:
            return {}
        queries = []
        for name, columns in tables.items():
            digests = [self.digest(column) for column in columns]
            counts = [
                f"count({digest}), coalesce(min({digest}) = max({digest}), 1 = 1), sum({digest})" for digest in digests
            ]
            queries.append(f"SELECT {', '.join(['count(*)', *counts])} FROM {self.quoted_table(name)}")
        taken = {}
        for (name, columns), row in zip(tables.items(), self.ask_each(queries)):
            counted = zip(row[1::3], row[2::3], row[3::3])
            values = [Values(int(count), same in (1, "1", "t"), str(total)) for count, same, total in counted]
            taken[name] = Table(int(row[0]), dict(zip(columns, values)))
        return taken

    def schema(self):
        """The schema as a set of lines that differ where it differs."""
        return {row[0] for row in self.ask(self.SCHEMA)}

    def heads(self):
        return sorted(row[0] for row in self.ask(f"SELECT version_num FROM {self.quoted_table(self.version_table)}"))

    def stamp(self, heads):
        table = self.quoted_table(self.version_table)
        rows = [f"INSERT INTO {table} (version_num) VALUES ('{head}')" for head in heads]
        self.ask(";\n".join([f"DELETE FROM {table}", *rows]))

    def leftovers(self):
        """Tables that a failed batch operation left behind; with one of them no other can be made on its table."""
        return {name for name in self.tables() if name.rpartition(".")[2].startswith(TEMPORARY)}

    def drop_leftovers(self, names):
        for name in names:
            if name.replace(TEMPORARY, "") not in self.tables():
                # The batch operation had dropped the table already: this is all that is left of it.
                self.ask(f"ALTER TABLE {self.quoted_table(name)} RENAME TO {self.quoted(name[len(TEMPORARY) :])}")
            else:
                self.ask(f"DROP TABLE {self.quoted_table(name)}")

    def find_version_table(self, schema, table):
        names = [name for name in self.tables() if name in (f"{schema}.{table}", table) or name.endswith(f".{table}")]
        exact = [
            name for name in names if name == (table if schema in (None, self.usual_schema) else f"{schema}.{table}")
        ]
        if not names:
            raise Failed(f"the copy has no version table {table}")
        self.version_table = (exact or names)[0]

    def quoted(self, name):
        return '"' + name.replace('"', '""') + '"'

    def quoted_table(self, name):
        schema, _, table = name.rpartition(".")
        return ".".join(self.quoted(part) for part in (schema, table) if part)


class Sqlite(Database):
    usual_schema = "main"
    dialects = ("sqlite",)

    def __init__(self, url, folder):
        parts = urlsplit(url)
        # sqlite:///relative and sqlite:////absolute
        path = unquote(parts.path[1:])
        self.original = os.path.realpath(folder / path)
        if not path or not os.path.isfile(self.original):
            raise Failed(f"{self.original} is not the file of a database")
        self.folder = tempfile.mkdtemp(prefix="forecast-accuracy-")
        self.name = os.path.join(os.path.realpath(self.folder), os.path.basename(self.original))
        with sqlite3.connect(f"file:{self.original}?mode=ro", uri=True) as source, sqlite3.connect(self.name) as copy:
            source.backup(copy)
        source.close()
        copy.close()
        self.url = f"{parts.scheme}:///{self.name}" + (f"?{parts.query}" if parts.query else "")

    def remove(self):
        shutil.rmtree(self.folder)

    def server(self):
        return "SQLite " + sqlite3.sqlite_version

    def ask(self, script):
        return self.ask_each(script.split(";\n"))

    def ask_each(self, queries):
        connection = sqlite3.connect(self.name, isolation_level=None)
        try:
            connection.create_function(
                "digest", 1, lambda value: None if value is None else zlib.crc32(str(value).encode())
            )
            return [row for query in queries for row in connection.execute(query).fetchall()]
        finally:
            connection.close()

    def digest(self, column):
        return f"digest({self.quoted(column)})"

    def tables(self):
        names = [
            row[0]
            for row in self.ask(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
            )
        ]
        return {name: [row[1] for row in self.ask(f"PRAGMA table_info({self.quoted(name)})")] for name in names}

    def schema(self):
        rows = self.ask("SELECT type, name, coalesce(sql, tbl_name) FROM sqlite_master")
        return {line for kind, name, sql in rows for line in lines_of(kind, name, sql)}


def lines_of(kind, name, sql):
    """A table of SQLite as one line for each column and constraint, without what differs only in writing."""
    sql = re.sub(r"\s+", " ", sql.replace('"', ""))
    if kind != "table":
        return [f"{kind} {name} {sql}"]
    parts, depth, start = [], 0, sql.find("(") + 1
    for at in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[at], 0)
        if depth < 0 or (depth == 0 and sql[at] == ","):
            parts.append(sql[start:at].strip())
            start = at + 1
    return [f"table {name}"] + [f"in table {name}: {part}" for part in parts]


class Server(Database):
    def __init__(self, url, folder):
        self.parts = urlsplit(url)
        self.original = unquote(self.parts.path[1:])
        self.name = f"{self.original[:40]}_accuracy_{os.getpid()}"
        self.url = urlunsplit(self.parts._replace(path="/" + self.name))
        self.copy()

    def run(self, words, text=None):
        done = subprocess.run(
            words, input=text, env=self.environment(), text=True, errors="replace", capture_output=True
        )
        if done.returncode:
            raise Failed(f"{words[0]}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def pipe(self, dump, load):
        """Loads what `dump` prints."""
        with tempfile.TemporaryFile() as file:
            for words, streams in ((dump, {"stdout": file}), (load, {"stdin": file, "stdout": subprocess.DEVNULL})):
                file.seek(0)
                done = subprocess.run(words, env=self.environment(), stderr=subprocess.PIPE, text=True, **streams)
                if done.returncode:
                    raise Failed(f"{words[0]}: {done.stderr.strip()[-500:]}")


class Postgresql(Server):
    COLUMNS, SCHEMA = POSTGRESQL_COLUMNS, POSTGRESQL_SCHEMA
    usual_schema = "public"
    dialects = ("postgresql",)

    def environment(self):
        given = {
            "PGHOST": self.parts.hostname,
            "PGPORT": self.parts.port,
            "PGUSER": self.parts.username,
            "PGPASSWORD": self.parts.password,
        }
        query = dict(parse_qsl(self.parts.query))
        given.update(
            PGHOST=query.get("host") or given["PGHOST"],
            PGPORT=query.get("port") or given["PGPORT"],
            PGOPTIONS=query.get("options"),
        )
        return {**os.environ, **{key: unquote(str(value)) for key, value in given.items() if value}}

    def psql(self, script, database=None):
        words = [
            "psql",
            "-X",
            "-q",
            "-A",
            "-t",
            "-F",
            FIELD,
            "-R",
            RECORD,
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            database or self.name,
        ]
        return self.run(words, f"{script};\n")

    def ask(self, script, database=None):
        answer = self.psql(script, database)
        # The last row ends with a line whatever separates the others.
        return [row.split(FIELD) for row in answer[:-1].split(RECORD)] if answer else []

    def ask_each(self, queries):
        return [row.split(FIELD) for row in self.psql(";\n".join(queries)).splitlines()]

    def copy(self):
        name, original = self.quoted(self.name), self.quoted(self.original)
        self.other = "template1" if self.original == "postgres" else "postgres"
        settings = self.ask(POSTGRESQL_SETTINGS, self.original)
        try:
            self.ask(f"CREATE DATABASE {name} TEMPLATE {original}", self.other)
        except Failed:  # somebody is connected to it
            self.ask(f"CREATE DATABASE {name} TEMPLATE template0", self.other)
            self.pipe(["pg_dump", "-d", self.original], ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.name])
        for (setting,) in settings:
            key, _, value = setting.partition("=")
            self.ask(f"ALTER DATABASE {name} SET {key} TO {value}", self.other)

    def remove(self):
        self.ask(f"DROP DATABASE {self.quoted(self.name)} WITH (FORCE)", self.other)

    def server(self):
        return "PostgreSQL " + self.ask("SHOW server_version")[0][0].split()[0]

    def digest(self, column):
        return f"hashtext({self.quoted(column)}::text)::numeric"


class Mysql(Server):
    COLUMNS, SCHEMA = MYSQL_COLUMNS, MYSQL_SCHEMA
    usual_schema = ""
    dialects = ("mysql", "mariadb")

    def environment(self):
        return {**os.environ, "MYSQL_PWD": unquote(self.parts.password or "")}

    def client(self, *names):
        program = next(filter(shutil.which, names), names[0])
        socket = dict(parse_qsl(self.parts.query)).get("unix_socket")
        options = {
            "--host": self.parts.hostname,
            "--port": self.parts.port,
            "--user": self.parts.username,
            "--socket": socket,
        }
        return [program, *(f"{key}={unquote(str(value))}" for key, value in options.items() if value)]

    def ask(self, script, database=None):
        words = [*self.client("mariadb", "mysql"), "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        return [row.split("\t") for row in self.run([*words, database or self.name], script).splitlines()]

    def copy(self):
        ((charset, collation),) = self.ask("SELECT @@character_set_database, @@collation_database", self.original)
        self.ask(f"CREATE DATABASE {self.quoted(self.name)} CHARACTER SET {charset} COLLATE {collation}", self.original)
        dump = [
            *self.client("mariadb-dump", "mysqldump"),
            "--routines",
            "--triggers",
            "--single-transaction",
            self.original,
        ]
        self.pipe(dump, [*self.client("mariadb", "mysql"), self.name])

    def remove(self):
        self.ask(f"DROP DATABASE {self.quoted(self.name)}", "information_schema")

    def server(self):
        version = self.ask("SELECT version()")[0][0]
        return ("MariaDB " if "MariaDB" in version else "MySQL ") + version.partition("-")[0]

    def ask_each(self, queries):
        return self.ask(";\n".join(queries))

    def digest(self, column):
        return f"crc32({self.quoted(column)})"

    def quoted(self, name):
        return "`" + name.replace("`", "``") + "`"
