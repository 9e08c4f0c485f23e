"""The bridge in front of real engines: the Alembic of this environment, on SQLite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RANGE = [{"removes": "c3", "after": ["b2"]}, {"removes": "b2", "after": ["a1"]}]
UNTOUCHED = (["c3"], [1, 2, 3])


OPENED = {"session": "opened"}


def planned(keep, steps=RANGE):
    return {"range": steps, "keep": keep, "before": ["c3"], "session": 1}


def is_at_pause(engine, index):
    """It took this step and waits to hear whether there is a next one."""
    return [engine.hear(), engine.hear()] == [{"began": index}, {"kept": index}]


def change(file, old, new):
    text = Path(file).read_text()
    assert text.count(old) == 1
    Path(file).write_text(text.replace(old, new))


def in_one_transaction():
    change("migrations/env.py", "OPTIONS = {}", 'OPTIONS = {"transactional_ddl": True}')


SCRIPT = """
import json, os, subprocess, sys
channel = subprocess.call([sys.executable, "-c", "import os; os.fstat(3)"], close_fds=False, stderr=subprocess.DEVNULL)
stdin = [sys.stdin.read(), os.fstat(0).st_rdev]
print(json.dumps([__name__, __file__, sys.argv, sys.path, stdin, channel, __import__("__main__").__file__]))
raise ZeroDivisionError("at its end")
"""


def test_a_script_does_not_notice(start):
    Path("bin").mkdir()
    Path("bin/script").write_text(SCRIPT)
    words = [os.path.abspath("bin/script"), "-x", "a b"]
    engine = start({"lock_timeout": 1000}, "script", *words, fresh=True)
    assert engine.end() == 1
    plain = subprocess.run([sys.executable] + words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (engine.out, engine.err) == (plain.stdout, plain.stderr)
    assert "script" in engine.out and "ZeroDivisionError" in engine.err
    assert engine.hear_all() == []


@pytest.mark.parametrize("code, status", [("0", 0), ("None", 0), ("3", 3), ("'why'", 1)])
def test_the_exit_status_is_that_of_the_script(start, code, status):
    Path("script").write_text("import sys; sys.exit(%s)" % code)
    engine = start({}, "script", "script")
    assert engine.end() == status
    assert engine.hear()["rollback_bridge"] == 1


def test_current_reports_the_history_and_the_database(project):
    change("migrations/versions/b2.py", '"""item 2"""', '"""item two\n\nmore of it"""')
    engine = project.alembic({}, "current", "--verbose", fresh=True)
    report = engine.hear()
    assert engine.end() == 0
    assert "Rev: c3" in engine.out
    assert report["alembic"] == __import__("alembic").__version__
    history = report["history"]
    assert history["whole"] and history["directory"] == os.path.abspath("migrations")
    revisions = {revision.pop("id"): revision for revision in history["revisions"]}
    assert sorted(revisions) == ["a1", "b2", "c3"]
    assert os.path.abspath(revisions["b2"].pop("path")) == os.path.abspath("migrations/versions/b2.py")
    assert revisions["b2"] == {
        "down_revisions": ["a1"],
        "depends_on": [],
        "branch_labels": [],
        "doc": "item two\n\nmore of it",
    }
    (context,) = report["contexts"]
    assert (context["rows"], context["version_table"], context["left_open"]) == (["c3"], "alembic_version", False)
    assert context["from_environment"] and not context["transaction_per_migration"]
    connection = context["connection"]
    assert (connection["dialect"], connection["arguments"]) == ("sqlite", [os.path.abspath("app.db")])
    assert len(report["attempts"]) == 1


def test_what_cannot_be_loaded_is_no_whole_history(project):
    Path("migrations/versions/c3.py").write_text("revision = ")
    engine = project.alembic({}, "current")
    report = engine.hear()
    assert engine.end() == 1
    assert "SyntaxError" in engine.err
    assert not report["history"]["whole"]


def test_a_transaction_that_env_py_begins_is_left_open_unless_it_commits(project):
    change("migrations/env.py", "        context.configure(conn", "        connection.begin()\n        context.configure(conn")
    engine = project.alembic({}, "current")
    assert engine.hear()["contexts"][0]["left_open"]
    assert engine.end() == 0


def test_no_limit_for_locks_is_known_on_sqlite(project):
    engine = project.alembic({"lock_timeout": 5000}, "downgrade", "b2")
    assert engine.hear_all() == [{"lock_timeout": "unknown", "why": None}]
    assert engine.end() == 0
    assert project.state() == (["b2"], [1, 2])


def test_each_step_has_its_transaction_and_the_parent_hears_of_it(project):
    engine = project.alembic(planned("each"), "downgrade", "planned", fresh=True)
    assert engine.hear() == OPENED
    for index, state in enumerate([(["b2"], [1, 2]), (["a1"], [1])]):
        assert is_at_pause(engine, index)
        assert project.state() == state
        engine.go_on()
    assert (engine.end(), engine.hear()) == (0, None)


@pytest.mark.parametrize("answer, status", [("no", 0), ("gone", 1)])
def test_without_a_yes_no_further_step_begins(project, answer, status):
    engine = project.alembic(planned("each"), "downgrade", "planned")
    assert engine.hear() == OPENED and is_at_pause(engine, 0)
    if answer == "no":
        engine.say({"go_on": False, "reason": "enough"})
        assert engine.hear() is None
    else:
        engine.leave()
    assert engine.end() == status
    assert project.state() == (["b2"], [1, 2])


def test_a_session_that_a_step_changed_takes_no_further_step(project):
    change("migrations/versions/c3.py", "    op.execute(\"DELETE", '    op.execute("CREATE TEMP TABLE left_behind (id)")\n    op.execute("DELETE')
    engine = project.alembic(planned("each"), "downgrade", "planned")
    assert engine.hear() == OPENED and is_at_pause(engine, 0)
    engine.go_on()
    assert engine.hear_all() == [{"began": 1}, {"left": "step 1 left something behind in the session"}]
    assert engine.end() == 0
    assert project.state() == (["b2"], [1, 2])


def test_rows_that_were_not_planned_for_stop_everything(project):
    engine = project.alembic(dict(planned("each"), before=["b2"]), "downgrade", "planned")
    assert engine.hear_all() == [OPENED]
    assert engine.end() == 1
    assert "NotAsPlanned: the version table holds ['c3'], which was not planned for" in engine.err
    assert project.state() == UNTOUCHED


def test_all_steps_in_one_transaction_are_committed_with_the_last_yes(project):
    in_one_transaction()
    engine = project.alembic(planned("end"), "downgrade", "planned")
    assert [engine.hear(), engine.hear()] == [OPENED, "begun"]
    engine.say({"ask": ["SELECT id FROM item WHERE id > 1"]})
    assert engine.hear() == {"rows": [["2"], ["3"]]}
    engine.go_on()
    for told in [{"applied": [0, ["b2"]]}, {"applied": [1, ["a1"]]}, "finished"]:
        assert engine.hear() == told
        assert project.state() == UNTOUCHED
        engine.say({"ask": ["SELECT count(*) FROM item"]})
        assert engine.hear() == {"rows": [["2" if told == {"applied": [0, ["b2"]]} else "1"]]}
        engine.go_on()
    assert (engine.end(), engine.hear()) == (0, None)
    assert project.state() == (["a1"], [1])


@pytest.mark.parametrize("answer", ["no", "gone", "never"])
def test_all_steps_in_one_transaction_go_with_it(project, answer):
    in_one_transaction()
    engine = project.alembic(planned("never" if answer == "never" else "end"), "downgrade", "planned")
    for _ in range(3):
        engine.go_on()
    assert [engine.hear() for _ in range(5)][4] == "finished"
    if answer == "gone":
        engine.leave()
    elif answer == "no":
        engine.say({"go_on": False, "reason": "a surprise"})
        assert engine.hear() is None
    else:
        engine.go_on()
        assert engine.hear_all() == ["taken_back"]
    assert engine.end() == (0 if answer == "never" else 1)
    assert ("NotAsPlanned: a surprise" in engine.err) == (answer == "no")
    assert ("NotAsPlanned: rollback is gone" in engine.err) == (answer == "gone")
    assert project.state() == UNTOUCHED


def test_a_migration_that_would_commit_by_itself_is_not_let(project):
    in_one_transaction()
    change("migrations/versions/b2.py", "    op.execute(\"DELETE", "    with op.get_context().autocommit_block():\n        op.execute(\"DELETE")
    engine = project.alembic(planned("end"), "downgrade", "planned")
    engine.go_on()
    engine.go_on()
    assert engine.hear_all() == [OPENED, "begun", {"applied": [0, ["b2"]]}]
    assert engine.end() == 1
    assert "NotAsPlanned: a migration uses autocommit_block" in engine.err
    assert project.state() == UNTOUCHED


def test_one_step_is_run_as_the_command_line_names_it(project):
    engine = project.alembic(planned("own", RANGE[:1]), "downgrade", "c3@b2")
    assert engine.hear_all() == [OPENED]
    assert engine.end() == 0
    assert project.state() == (["b2"], [1, 2])


def test_it_tells_what_it_sees_and_waits_for_the_steps(project):
    engine = project.alembic({"observe": 1, "session": 1}, "downgrade", "planned")
    assert engine.hear() == {"directory": os.path.abspath("migrations")}
    engine.go_on()
    assert engine.hear() == OPENED
    observed = engine.hear()["observed"]
    assert observed["waits"] and observed["contexts"][0]["rows"] == ["c3"]
    assert project.state() == UNTOUCHED
    held, given = os.pipe()
    engine.hand({"run": planned("each", RANGE[:1])}, given)
    os.close(given)
    assert is_at_pause(engine, 0)
    os.set_blocking(held, False)
    with pytest.raises(BlockingIOError):
        os.read(held, 1)
    engine.go_on()
    assert (engine.end(), engine.hear()) == (0, None)
    assert os.read(held, 1) == b""
    os.close(held)
    assert project.state() == (["b2"], [1, 2])


@pytest.mark.parametrize("answers, status", [(["no"], 0), (["yes", "gone"], 1)])
def test_nothing_is_done_if_no_steps_come(project, answers, status):
    engine = project.alembic({"observe": 1, "session": 1}, "downgrade", "planned")
    assert "directory" in engine.hear()
    if answers == ["no"]:
        engine.say({"go_on": False, "reason": "not read"})
        assert engine.hear() is None
    else:
        engine.go_on()
        assert engine.hear() == OPENED and "observed" in engine.hear()
        engine.leave()
    assert engine.end() == status
    assert project.state() == UNTOUCHED


def rendering():
    steps = [("c3", "b2", ["c3"], ["b2"]), ("b2", "a1", ["b2"], ["a1"])]
    return {
        "render": [
            {"removes": removes, "takes_along": [], "argument": argument, "before": before, "after": after}
            for removes, argument, before, after in steps
        ]
    }


def test_each_step_is_rendered_by_itself_with_its_values(project):
    bound = '__import__("sqlalchemy").text("DELETE FROM item WHERE id = :id").bindparams(id=3)'
    change("migrations/versions/c3.py", '"DELETE FROM item WHERE id = 3"', bound)
    engine = project.alembic(rendering(), "downgrade", "c3:b2", "--sql")
    told = engine.hear_all()
    assert engine.end() == 0
    assert [step["rendered"] for step in told] == [0, 1]
    for step, (number, row) in zip(told, [(3, "b2"), (2, "a1")]):
        statements = [line for line in step["sql"].splitlines() if line.startswith(("DELETE", "UPDATE"))]
        assert len(statements) == 2
        assert statements[0] == "DELETE FROM item WHERE id = %d;" % number
        assert statements[1].startswith("UPDATE alembic_version SET version_num='%s'" % row)
    assert project.state() == UNTOUCHED


def test_a_migration_that_connects_is_an_obstacle_with_its_line(project, monkeypatch):
    change(
        "migrations/versions/c3.py",
        "def downgrade():\n",
        "def downgrade():\n    import helper\n    try:\n        helper.look()\n    except Exception:\n        pass\n",
    )
    Path("helper.py").write_text("import sqlalchemy\n\n\ndef look():\n    sqlalchemy.create_engine('sqlite://').connect()\n")
    monkeypatch.setattr(sys, "path", sys.path + [os.getcwd()])
    engine = project.alembic(rendering(), "downgrade", "c3:b2", "--sql")
    first, second = engine.hear_all()
    assert engine.end() == 0
    assert first["error"].startswith("Offline: the database is connected to")
    assert os.path.abspath(first["file"]) == os.path.abspath("migrations/versions/c3.py")
    assert (first["line"], first["source"]) == (16, "helper.look()")
    assert first["within"] == "%s:5" % os.path.abspath("helper.py")
    assert "DELETE FROM item WHERE id = 2" in second["sql"]


def test_a_module_is_started_as_python_starts_it(project):
    engine = project.start({}, "module", "alembic", "current", fresh=True)
    assert engine.hear()["contexts"][0]["rows"] == ["c3"]
    assert engine.end() == 0
    assert "c3" in engine.out
