"""What a step took away, by counting before and after it, and whether its findings said so."""

import json
import re

# Findings that announce the loss of rows or values, unless their level is low.
LOSSES = {
    "table-dropped",
    "column-dropped",
    "type-narrowed",
    "type-changed",
    "enum-value-removed",
    "data-reversed",
    "dependents",
    "object-dropped",
    "measured",
}


def losses(before, after):
    """A list of what is missing: `kind` (rows, values, table or column), `table`, `column` and `count`."""
    gone = {name: table for name, table in before.items() if name not in after}
    new = {name: table for name, table in after.items() if name not in before}
    lost = []
    for name, table in gone.items():
        if table.rows and not any(holds(other, table) for other in new.values()):
            lost.append({"kind": "rows", "table": name, "column": None, "count": table.rows})
        elif not table.rows and not new:
            lost.append({"kind": "table", "table": name, "column": None, "count": 0})
    kept = [bag for table in new.values() for bag in table.columns.values()]
    for name in before.keys() & after.keys():
        lost.extend(lost_of_table(name, before[name], after[name], kept))
    return sorted(lost, key=lambda loss: (loss["table"], loss["column"] or ""))


def holds(other, table):
    """Whether another table has the rows of this one, as after a renaming."""
    bags = set(other.columns.values())
    return other.rows >= table.rows and all(bag in bags for bag in table.columns.values() if bag.values)


def lost_of_table(name, before, after, kept):
    """`kept` has what stands in the columns of new tables."""
    new = [column for column in after.columns if column not in before.columns]
    kept = kept + [after.columns[column] for column in new]
    fewer = max(before.rows - after.rows, 0)
    if fewer:
        yield {"kind": "rows", "table": name, "column": None, "count": fewer}
    for column, bag in before.columns.items():
        now = after.columns.get(column)
        lost = {"kind": None, "table": name, "column": column, "count": bag.values}
        if now is None:
            if bag.values and bag not in kept:
                yield {**lost, "kind": "values", "constant": bag.constant}
            elif not bag.values and not new:
                yield {**lost, "kind": "column"}
        elif now.values < bag.values - fewer:
            yield {**lost, "kind": "values", "count": bag.values - now.values}
        elif before.rows == after.rows and now.values == bag.values and now.digest != bag.digest:
            yield {**lost, "kind": "changed"}


def unknown(findings):
    return any(finding["code"] == "unknown-code" or finding["level"] == "unknown" for finding in findings)


def announced(loss, findings):
    table = loss["table"].rpartition(".")[2]
    about = [finding for finding in findings if names(finding, table)]
    # A column that holds nothing but its default is dropped without a loss: that it is dropped has to be said.
    if loss["kind"] in ("rows", "values") and not loss.get("constant"):
        about = [finding for finding in about if finding["code"] in LOSSES and finding["level"] != "low"]
    if loss["column"] and loss["kind"] != "changed":
        whole = {"table-dropped", "data-reversed", "dependents", "measured"}
        about = [finding for finding in about if names(finding, loss["column"]) or finding["code"] in whole]
    return bool(about)


def names(finding, word):
    said = json.dumps([finding.get("sentence"), finding.get("evidence")], ensure_ascii=False)
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said) is not None
