"""Runs steps of Alembic operations on a real database and says which of them failed.

Reads one JSON object from stdin, `{"url", "steps"}`, each step a list of operations in one transaction, as
Alembic has them. Answers with a list that has null for each step that came to its end, and else the error.
"""

import json
import sys
import warnings

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

warnings.simplefilter("ignore")
TYPES = {"integer": sa.Integer, "text": sa.Text, "boolean": sa.Boolean}


def column(op):
    keys = [sa.ForeignKey(op["to"] + ".id", name=op.get("fk"))] if op.get("to") else []
    return sa.Column(op["column"], sa.Integer, *keys, unique=op.get("unique"), index=op.get("index"))


def change(op):
    new = {"existing_type": sa.Integer()}
    if op.get("type"):
        new["type_"] = TYPES[op["type"]]()
    if op.get("nullable") is not None:
        new["nullable"] = op["nullable"]
    if op.get("rename"):
        new["new_column_name"] = op["rename"]
    return new


def in_batch(batch, op):
    kind = op["op"]
    if kind == "add_column":
        batch.add_column(column(op))
    elif kind == "drop_column":
        batch.drop_column(op["column"])
    elif kind == "alter_column":
        batch.alter_column(op["column"], **change(op))
    elif kind == "create_index":
        batch.create_index(op["name"], [op["column"]])
    elif kind == "drop_index":
        batch.drop_index(op["name"])
    elif kind == "unique":
        batch.create_unique_constraint(op["name"], [op["column"]])
    elif kind == "foreign":
        batch.create_foreign_key(op["name"], op["to"], [op["column"]], [op["key"]])
    elif kind == "drop_constraint":
        batch.drop_constraint(op["name"], type_=op.get("kind"))
    else:
        raise AssertionError(kind)


def alone(do, op):
    kind, table = op["op"], op["table"]
    if kind == "batch":
        with do.batch_alter_table(table) as batch:
            for one in op["operations"]:
                in_batch(batch, one)
    elif kind == "create_table":
        keys = [sa.ForeignKey(op["to"] + ".id")] if op.get("to") else []
        do.create_table(table, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer, *keys))
    elif kind == "drop_table":
        do.drop_table(table)
    elif kind == "rename_table":
        do.rename_table(table, op["to"])
    elif kind == "add_column":
        do.add_column(table, column(op))
    elif kind == "drop_column":
        do.drop_column(table, op["column"])
    elif kind == "alter_column":
        do.alter_column(table, op["column"], **change(op))
    elif kind == "create_index":
        do.create_index(op["name"], table, [op["column"]])
    elif kind == "drop_index":
        do.drop_index(op["name"], table_name=table)
    elif kind == "unique":
        do.create_unique_constraint(op["name"], table, [op["column"]])
    elif kind == "foreign":
        do.create_foreign_key(op["name"], table, op["to"], [op["column"]], [op["key"]])
    elif kind == "drop_constraint":
        do.drop_constraint(op["name"], table, type_=op.get("kind"))
    elif kind == "delete":
        do.execute(sa.text(f"DELETE FROM {table}"))
    else:
        raise AssertionError(kind)


def main():
    question = json.load(sys.stdin)
    engine = sa.create_engine(question["url"])
    answers = []
    for step in question["steps"]:
        with engine.connect() as connection:
            do = Operations(MigrationContext.configure(connection))
            try:
                with connection.begin():
                    for op in step:
                        alone(do, op)
                answers.append(None)
            except AssertionError as error:
                if engine.dialect.name != "mysql":
                    raise
                answers.append(f"AssertionError: {error}")
            except Exception as error:
                answers.append(f"{type(error).__name__}: {error}".split("\n[SQL")[0])
        if engine.dialect.name == "sqlite":
            with engine.begin() as connection:
                for name in sa.inspect(connection).get_table_names():
                    if name.startswith("_alembic_tmp_"):
                        connection.exec_driver_sql(f'DROP TABLE "{name}"')
    print(json.dumps(answers))


main()
