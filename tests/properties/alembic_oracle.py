"""Answers what Alembic itself would do, one JSON line for each JSON line.

Uses Alembic's own RevisionMap and its own rules for rewriting the version table; only the writing of
the rows is replaced, so that no database is needed and one process answers thousands of questions.
"""

import json
import sys
import warnings

from alembic.runtime.migration import HeadMaintainer, MigrationStep
from alembic.script.revision import Revision, RevisionMap

warnings.simplefilter("ignore")


class Script(Revision):
    """A revision without a file."""

    class module:
        @staticmethod
        def upgrade():
            """Never called."""

        @staticmethod
        def downgrade():
            """Never called."""


class Rows(HeadMaintainer):
    """The version table, kept in memory, with Alembic's own assertions."""

    def __init__(self, rows):
        self.heads = set(rows)

    def _insert_version(self, version):
        assert version not in self.heads
        self.heads.add(version)

    def _delete_version(self, version):
        self.heads.remove(version)

    def _update_version(self, from_, to_):
        assert to_ not in self.heads
        self.heads.remove(from_)
        self.heads.add(to_)


def revision_map(revisions):
    def generate():
        for each in revisions:
            yield Script(
                each["id"],
                tuple(each["down_revisions"]) or None,
                dependencies=tuple(each["depends_on"]) or None,
                branch_labels=tuple(each["branch_labels"]) or None,
            )

    built = RevisionMap(generate)
    by_name = dict(built._revision_map)
    for each in revisions:
        # Alembic keeps these in a set, so that any order of them is one it may take. The declared
        # order is the one to compare with.
        revision = by_name[each["id"]]
        declared = [by_name[name].revision for name in each["depends_on"]]
        revision._normalized_resolved_dependencies = tuple(
            name
            for name in dict.fromkeys(declared)
            if name in revision._normalized_resolved_dependencies
        )
    return built


def upgrade(built, rows, targets):
    table = Rows(rows)
    for target in targets:
        steps = list(
            built.iterate_revisions(
                target, tuple(sorted(table.heads)), implicit_base=True
            )
        )
        for script in reversed(steps):
            # Some upgrades fail in Alembic itself, which then stands at the step before.
            try:
                table.update_to_step(MigrationStep.upgrade_from_script(built, script))
            except (AssertionError, KeyError):
                return sorted(table.heads)
    return sorted(table.heads)


def downgrade(built, rows, target):
    scripts = list(
        built.iterate_revisions(tuple(rows), target, select_for_downgrade=True)
    )
    table = Rows(rows)
    for script in scripts:
        table.update_to_step(MigrationStep.downgrade_from_script(built, script))
    return {
        "removed": [script.revision for script in scripts],
        "rows": sorted(table.heads),
    }


def answer(question):
    built = revision_map(question["revisions"])
    if "upgrade" in question:
        return {"rows": upgrade(built, [], question["upgrade"])}
    answers = []
    for rows, target in question["downgrades"]:
        try:
            answers.append(downgrade(built, rows, target))
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    return {"downgrades": answers}


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
