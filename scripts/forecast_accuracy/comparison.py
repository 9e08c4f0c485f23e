"""Compares the findings of a plan with what the steps really did.

A failing step is named by a finding with the outcome `will_fail` or `may_fail`; with the right object if the object
that the message names stands in the sentence or the evidence of such a finding, as a whole word. A miss is a failing
step that is neither named nor unknown, a `will_fail` on a step that went well, or a loss that is neither announced nor
in an unknown step.
"""

import re

from .losses import announced, names, unknown

# What the messages of the servers, of SQLAlchemy and of Alembic call an object; the first match counts.
OBJECTS = (
    r'^(?:relation|table|view|column|index|constraint|sequence|type) "([^"]+)"',
    r"^column (?:\w+\.)?(\w+) does not exist",
    r"no such (?:table|column|index): \"?(?:\w+\.)*(\w+)",
    r"No such constraint: '([^']+)'",
    r"^duplicate column name: (\w+)",
    r'^(?:table|index) "?(\w+)"? already exists',
)


def cause(step):
    """The error that counts: after a swallowed one PostgreSQL refuses whatever comes next without naming anything."""
    aborted = step["message"].startswith("current transaction is aborted")
    return step["swallowed"][0] if aborted and step["swallowed"] else step


def object_of(step):
    error = cause(step)
    if error["error"] == "sqlalchemy.exc.NoSuchTableError":
        return error["message"]
    found = (re.search(pattern, error["message"]) for pattern in OBJECTS)
    return next((match.group(1) for match in found if match), None)


def alarms(step):
    return [finding for finding in step["findings"] if finding["outcome"] in ("will_fail", "may_fail")]


def outcome(step):
    outcomes = [finding["outcome"] for finding in alarms(step)]
    return next(
        (kind for kind in ("will_fail", "may_fail") if kind in outcomes),
        "unknown" if unknown(step["findings"]) else "no",
    )


def compare(plan, truth):
    """Every step with its forecast (`said`), the right object or not (`object`), and the losses nobody announced."""
    planned = {step["removes"]: step for step in plan["steps"]}
    if list(planned) != [step["removes"] for step in truth["steps"]]:
        raise SystemExit("accuracy: the plan has other steps than the truth")
    compared = []
    for step in truth["steps"]:
        forecast = planned[step["removes"]]
        findings = forecast["findings"]
        word = object_of(step) if step["result"] == "failed" else None
        unsaid = [] if unknown(findings) else [loss for loss in step["losses"] if not announced(loss, findings)]
        compared.append(
            {
                **step,
                "said": outcome(forecast),
                "word": word,
                "object": word and any(names(finding, word) for finding in alarms(forecast)),
                "unknown": unknown(findings),
                "unannounced": unsaid,
                "findings": findings,
            }
        )
    return compared


def figures(compared):
    failed = [step for step in compared if step["result"] == "failed"]
    well = [step for step in compared if step["result"] == "ok"]
    said = {kind: sum(step["said"] == kind for step in failed) for kind in ("will_fail", "may_fail", "unknown", "no")}
    return {
        "steps": len(compared),
        "failing": len(failed),
        **{f"failing, {kind}": count for kind, count in said.items()},
        "with an object": sum(step["word"] is not None for step in failed),
        "with the right object": sum(bool(step["object"]) for step in failed),
        "false will_fail": sum(step["said"] == "will_fail" for step in well),
        "may_fail, and went well": sum(step["said"] == "may_fail" for step in well),
        "lossy": sum(bool(step["losses"]) for step in compared),
        "unannounced": sum(bool(step["unannounced"]) for step in compared),
        "unknown": sum(step["unknown"] for step in compared),
    }


def misses(compared):
    """One line for each."""
    for step in compared:
        place = f"{step['removes']} {step['migration']}" + (f":{step['line']}" if step.get("line") else "")
        if step["result"] == "failed" and step["said"] == "no":
            yield f"{place}: not named: {cause(step)['error'].rpartition('.')[2]}: {cause(step)['message']}"
        if step["result"] == "ok" and step["said"] == "will_fail":
            for finding in alarms(step):
                yield f"{place}: false will_fail: {finding['code']}: {finding['sentence']}"
        for loss in step["unannounced"]:
            yield f"{place}: not announced: {described(loss)}"


def described(loss):
    column = f"{loss['table']}.{loss['column']}"
    many = "" if loss["count"] == 1 else "s"
    return {
        "rows": f"{loss['count']} row{many} of {loss['table']} lost",
        "values": f"{loss['count']} value{many} of {column} lost",
        "changed": f"values of {column} changed",
        "table": f"table {loss['table']} dropped (empty)",
        "column": f"column {column} dropped (no values)",
    }[loss["kind"]]


def table(header, rows):
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def share(part, whole):
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


def show(plan, truth):
    """Prints the comparison; the value is the number of misses."""
    compared = compare(plan, truth)
    count = figures(compared)
    print(f"\n{truth['project']} on {truth['server']}")
    failed = [step for step in compared if step["result"] == "failed"]
    if failed:
        print(f"{share(len(failed), len(compared))} steps fail:")
        rows = [
            [
                step["removes"],
                step["said"],
                {None: "-", True: "yes", False: "no"}[step["object"]],
                "half done" if step["gone"] or step["new"] else "leftovers" if step["leftovers"] else "",
                f"{step['migration']}:{step['line']}",
                f"{cause(step)['error'].rpartition('.')[2]}: {cause(step)['message']}"[:110],
            ]
            for step in failed
        ]
        table(["removes", "forecast", "object", "state", "line", "message"], rows)
    named = count["failing, will_fail"] + count["failing, may_fail"]
    well = len(compared) - len(failed)
    print("\n  failing steps:          ", share(len(failed), len(compared)))
    print("    named:                ", share(named, len(failed)), f"- {count['failing, will_fail']} as will_fail")
    print("    unknown:              ", share(count["failing, unknown"], len(failed)))
    print("    not named:            ", share(count["failing, no"], len(failed)))
    print(
        "    with the right object:",
        share(count["with the right object"], count["with an object"]),
        "whose message names one",
    )
    print("  false will_fail:        ", share(count["false will_fail"], well))
    print("  may_fail, and went well:", share(count["may_fail, and went well"], well))
    print("  steps that lose or change something:", share(count["lossy"], len(compared)))
    print("    not announced:        ", share(count["unannounced"], count["lossy"]))
    print("  unknown steps:          ", share(count["unknown"], len(compared)))
    found = list(misses(compared))
    print(f"\n{len(found)} miss" + ("es" if len(found) != 1 else "") + (":" if found else ""))
    for line in found:
        print("  " + line)
    return len(found)
