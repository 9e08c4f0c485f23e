"""Generated histories: the same tables as Alembic revisions, as a Sqitch plan and as files for sqlx.

The steps are what most steps of real projects are: a table, an index, a table that refers to another, a column. Each way
back is the exact inverse.
"""

import hashlib

STEPS = 120
GROUP = 6
ROWS = 200

ENVIRONMENT = """import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, pool

fileConfig(context.config.config_file_name)
engine = create_engine(os.environ["BENCH_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

CONFIGURATION = """[alembic]
script_location = %(here)s/migrations

[loggers]
keys = root,alembic

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARNING
handlers = console

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain

[formatter_plain]
format = %(levelname)-5.5s [%(name)s] %(message)s
"""

REVISION = '''"""{message}

Revision ID: {revision}
Revises: {revises}
Create Date: {created}

"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down_revision}
branch_labels = None
depends_on = None


def upgrade():
    {up}


def downgrade():
    {down}
'''

# A type as SQLAlchemy spells it, and as each dialect does where that differs from the first of them.
TYPES = {
    "name": ("sa.String(80)", "VARCHAR(80)"),
    "email": ("sa.String(120)", "VARCHAR(120)"),
    "status": ("sa.String(20)", "VARCHAR(20)"),
    "customer_id": ("sa.Integer()", "INTEGER"),
    "total": ("sa.Numeric(10, 2)", "NUMERIC(10, 2)"),
    "created_at": ("sa.DateTime()", {"postgresql": "TIMESTAMP", "mariadb": "DATETIME", "sqlite": "DATETIME"}),
    "placed_at": ("sa.DateTime()", {"postgresql": "TIMESTAMP", "mariadb": "DATETIME", "sqlite": "DATETIME"}),
    "note": ("sa.Text()", "TEXT"),
}
KEY = {"postgresql": "SERIAL PRIMARY KEY", "mariadb": "INTEGER AUTO_INCREMENT PRIMARY KEY", "sqlite": "INTEGER PRIMARY KEY"}


def of_type(column, dialect):
    sql = TYPES[column][1]
    return sql[dialect] if isinstance(sql, dict) else sql


class Table:
    def __init__(self, name, columns, refers=None):
        self.name, self.columns, self.refers = name, columns, refers
        self.message = f"Add {name}"

    def python(self):
        parts = ['sa.Column("id", sa.Integer(), primary_key=True)']
        for column in self.columns:
            foreign = f', sa.ForeignKey("{self.refers}.id")' if column == "customer_id" else ""
            parts.append(f'sa.Column("{column}", {TYPES[column][0]}{foreign}, nullable=False)')
        inner = "".join(f"\n        {part}," for part in parts)
        return f'op.create_table(\n        "{self.name}",{inner}\n    )', f'op.drop_table("{self.name}")'

    def sql(self, dialect):
        parts = [f"id {KEY[dialect]}"] + [f"{column} {of_type(column, dialect)} NOT NULL" for column in self.columns]
        if self.refers:
            parts.append(f"FOREIGN KEY (customer_id) REFERENCES {self.refers} (id)")
        return f"CREATE TABLE {self.name} ({', '.join(parts)});", f"DROP TABLE {self.name};"


class Index:
    def __init__(self, table, columns):
        self.table, self.columns = table, columns
        self.name = f"ix_{table}_{columns[0]}"
        self.message = f"Index {table} by {' and '.join(columns)}"

    def python(self):
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return (
            f'op.create_index("{self.name}", "{self.table}", [{columns}])',
            f'op.drop_index("{self.name}", table_name="{self.table}")',
        )

    def sql(self, dialect):
        on = f" ON {self.table}" if dialect == "mariadb" else ""
        return f"CREATE INDEX {self.name} ON {self.table} ({', '.join(self.columns)});", f"DROP INDEX {self.name}{on};"


class Column:
    def __init__(self, table, column):
        self.table, self.column = table, column
        self.message = f"Add {table}.{column}"

    def python(self):
        return (
            f'op.add_column("{self.table}", sa.Column("{self.column}", {TYPES[self.column][0]}))',
            f'op.drop_column("{self.table}", "{self.column}")',
        )

    def sql(self, dialect):
        return (
            f"ALTER TABLE {self.table} ADD COLUMN {self.column} {of_type(self.column, dialect)};",
            f"ALTER TABLE {self.table} DROP COLUMN {self.column};",
        )


class Nothing:
    """A revision of a long history that does nothing, so that the history grows and the schema does not."""

    message = "Nothing"

    def python(self):
        return "pass", "pass"


def change(index):
    group, kind = divmod(index, GROUP)
    customers, orders = f"customers_{group:02}", f"orders_{group:02}"
    return [
        lambda: Table(customers, ["name", "email", "created_at"]),
        lambda: Index(customers, ["email"]),
        lambda: Table(orders, ["customer_id", "total", "placed_at"], refers=customers),
        lambda: Column(orders, "status"),
        lambda: Index(orders, ["placed_at", "status"]),
        lambda: Column(customers, "note"),
    ][kind]()


def revision(index):
    return hashlib.sha256(f"revision {index}".encode()).hexdigest()[:12]


def created(index):
    return f"20{20 + index // 3650:02}-{1 + index // 300 % 12:02}-{1 + index // 12 % 25:02} {8 + index % 12:02}:30:00"


def slug(message):
    return "".join(letter if letter.isalnum() else "_" for letter in message.lower())


def project(folder):
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text(CONFIGURATION)
    (folder / "migrations" / "env.py").write_text(ENVIRONMENT)
    return folder


def write(folder, index, step, parents):
    up, down = step.python()
    own = revision(index)
    names = [revision(parent) for parent in parents]
    down_revision = repr(names[0]) if len(names) == 1 else repr(tuple(names)) if names else None
    text = REVISION.format(
        message=step.message,
        revision=own,
        revises=", ".join(names),
        created=created(index),
        down_revision=str(down_revision).replace("'", '"'),
        up=up,
        down=down,
    )
    (folder / "migrations" / "versions" / f"{own}_{slug(step.message)[:40]}.py").write_text(text)


def alembic(folder, empty=0, steps=STEPS):
    """A linear history of `empty` revisions that do nothing and `steps` that do something."""
    project(folder)
    for index in range(empty + steps):
        step = Nothing() if index < empty else change(index - empty)
        write(folder, index, step, [index - 1] if index else [])
    return folder


def diamonds(folder, count):
    """`count` diamonds, one on the other: four revisions each, of which the last is a merge point."""
    project(folder)
    for index in range(count * 4):
        kind = index % 4
        parents = [[index - 1], [index - 1], [index - 2], [index - 2, index - 1]][kind] if index else []
        customers = f"customers_{index // 4:02}"
        step = [
            Table(customers, ["name", "email", "created_at"]),
            Index(customers, ["email"]),
            Column(customers, "note"),
            Nothing(),
        ][kind]
        write(folder, index, step, parents)
    return folder


def sqitch(folder, engine, dialect):
    for name in ["deploy", "revert"]:
        (folder / name).mkdir(parents=True)
    (folder / "sqitch.conf").write_text(f"[core]\n\tengine = {engine}\n")
    plan = ["%syntax-version=1.0.0", "%project=bench", ""]
    for index in range(STEPS):
        step = change(index)
        deploy, revert = step.sql(dialect)
        name = sqitch_name(index)
        # The form of Sqitch's own template: a transaction of its own where the server has one.
        opening, closing = ("BEGIN;\n", "\nCOMMIT;\n") if dialect != "mariadb" else ("", "\n")
        (folder / "deploy" / f"{name}.sql").write_text(opening + deploy + closing)
        (folder / "revert" / f"{name}.sql").write_text(opening + revert + closing)
        plan.append(f"{name} {created(index).replace(' ', 'T')}Z Bench <bench@example.org> # {step.message}")
    (folder / "sqitch.plan").write_text("\n".join(plan) + "\n")
    return folder


def sqitch_name(index):
    return f"change{index:03}"


def sqlx(folder, dialect):
    folder.mkdir(parents=True)
    for index in range(STEPS):
        up, down = change(index).sql(dialect)
        (folder / f"{index + 1:04}_step.up.sql").write_text(up + "\n")
        (folder / f"{index + 1:04}_step.down.sql").write_text(down + "\n")
    return folder


def sql_files(folder):
    """The same for PostgreSQL as files of rollback's own engine."""
    (folder / "migrations").mkdir(parents=True)
    (folder / "rollback.toml").write_text('engine = "sql"\nmigrations = "migrations"\n')
    for index in range(STEPS):
        up, down = change(index).sql("postgresql")
        (folder / "migrations" / f"{index + 1:04}_step.sql").write_text(up + "\n")
        (folder / "migrations" / f"{index + 1:04}_step.down.sql").write_text(down + "\n")
    return folder


def transactions(folder, number):
    """A script for psql that takes the last steps back, each in a transaction."""
    downs = [change(index).sql("postgresql")[1] for index in reversed(range(STEPS - number, STEPS))]
    script = folder / f"back_{number}.sql"
    script.write_text("".join(f"BEGIN;\n{down}\nCOMMIT;\n" for down in downs))
    return script


def rows():
    """Statements that put rows into every table, the same for all."""
    statements = []
    for group in range(STEPS // GROUP):
        customers = ", ".join(
            f"({row}, 'Customer {row}', 'c{row}@example.org', '2024-01-01 08:00:00')" for row in range(1, ROWS + 1)
        )
        orders = ", ".join(f"({row}, {row}, {row}.50, '2024-01-02 08:00:00', 'paid')" for row in range(1, ROWS + 1))
        statements.append(f"INSERT INTO customers_{group:02} (id, name, email, created_at) VALUES {customers};")
        statements.append(
            f"INSERT INTO orders_{group:02} (id, customer_id, total, placed_at, status) VALUES {orders};"
        )
    return "\n".join(statements)


def tables(count):
    """Statements for `count` tables beside those of the history: ten columns, two indexes, a key to the one before."""
    statements = []
    for number in range(count):
        columns = ", ".join(f"field_{column} VARCHAR(80) NOT NULL DEFAULT ''" for column in range(8))
        refers = f"before INTEGER REFERENCES other_{number - 1:04} (id)" if number else "before INTEGER"
        statements.append(f"CREATE TABLE other_{number:04} (id SERIAL PRIMARY KEY, {refers}, {columns});")
        statements.append(f"CREATE INDEX ix_other_{number:04} ON other_{number:04} (field_0);")
    return "\n".join(statements)
