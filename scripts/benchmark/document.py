"""Figures as a table, and docs/benchmarks.md whole."""

import time

from . import history
from .measuring import median, ratios
from .part_growth import HISTORIES, LENGTH, LONG, SCHEMAS, SHORT, SIZE
from .part_steps import GOAL, NUMBERS
from .superset import FIRST_MERGE, STEPS

RAW = {"steps": "alembic, one command", "superset": "superset, one command"}
NEVER = "rollback, --process-per-step"
SQL = "rollback, SQL files"
LABELS = {
    "rollback": "**rollback**",
    "alembic, one command": "`alembic downgrade REV`, one command",
    "superset, one command": "`superset db downgrade REV`, one command",
    "naive loop": "naive loop",
    "sqitch revert": "`sqitch revert --to CHANGE`",
    "sqlx migrate revert": "`sqlx migrate revert --target-version N`",
    NEVER: "rollback `--process-per-step`",
    SQL: "**rollback**, the same as SQL files",
    "psql": "`psql` with the same transactions",
    "plan": "`rollback plan base`, with the URL given",
    "history": "the engine's `history`",
    "plan, engine asked": "`rollback plan base`, without the URL",
}


def whole(results):
    return "\n\n".join([opening(results), tables(results), method(results)]) + "\n"


def readme(text, results):
    """The README with its section of figures, which are those of the document; as it was where one is missing."""
    parts = results["parts"]
    steps = parts.get("steps", {}).get("PostgreSQL", {}).get("runs", {}).get(str(GOAL), {})
    runs = parts.get("superset", {}).get("runs", {})
    figures = [
        median(of.get(name, {}).get("seconds", []))
        for of, name in [
            (steps, "rollback"),
            (steps, RAW["steps"]),
            (runs, "rollback"),
            (runs, RAW["superset"]),
            (runs, "naive loop"),
        ]
    ]
    if None in figures:
        return text
    ours, raw, superset, superset_raw, loop = map(in_seconds, figures)
    section = f"""## How fast

The steps share one process of the engine. Each is measured, committed and validated by itself. Measured by `make bench` on {results["machine"]["machine"]["processor"]}:

- Alembic, {GOAL} steps on PostgreSQL: {ours}. The same in one `alembic downgrade`: {raw}.
- Superset, {STEPS} steps over a merge: {superset}. The same in one `superset db downgrade`: {superset_raw}; in a loop of `current` and
  `downgrade -1`: {loop}.

Other databases and tools, longer histories, larger schemas, and how it was measured: [docs/benchmarks.md](docs/benchmarks.md).

"""
    before, heading, after = text.partition("## How fast\n")
    if heading:
        after = after[after.index("\n## ") + 1 :]
    else:
        before, heading, after = text.partition("## How it differs")
        after = heading + after
    return before + section + after


def tables(results):
    parts = results["parts"]
    sections = ["## Goals\n\n" + goals(parts)]
    for name, write in [
        ("plan", plan),
        ("steps", steps),
        ("superset", superset),
        ("growth", growth),
        ("size", size),
    ]:
        if name in parts:
            text = write(parts[name]) if not missing(parts[name]) else f"Not measured: {missing(parts[name])}."
            sections.append(f"## {TITLES[name]}\n\n{text}")
    return "\n\n".join(sections)


TITLES = {
    "plan": "(a) The plan",
    "steps": "(b) Steps on each database",
    "superset": f"(c) Superset, {STEPS} steps",
    "growth": "(d) Growth",
    "size": "(e) Size, start-up and processes",
}


def missing(part):
    return part.get("missing") if isinstance(part, dict) else None


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


# Figures


def number(value):
    """Three digits that mean something, and no more."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def in_seconds(value):
    return f"{number(value)} s" if value >= 0.1 else in_milliseconds(value)


def in_milliseconds(value):
    return f"{value * 1000:.1f} ms" if abs(value) < 0.1 else f"{value * 1000:.0f} ms"


def megabytes(value):
    return f"{value / 1e6:.1f} MB" if value else "-"


def times(values):
    """The median of ratios with the smallest and the largest of them."""
    if len(values) == 1:
        return f"{number(median(values))} times (one run)"
    return f"{number(median(values))} times ({number(min(values))} to {number(max(values))} in {len(values)} runs)"


def fraction(values):
    if len(values) == 1:
        return f"1/{number(1 / median(values))} (one run)"
    return f"1/{number(1 / median(values))} (1/{number(1 / min(values))} to 1/{number(1 / max(values))} in {len(values)} runs)"


# Goals


def goals(parts):
    rows = [row(*goal) for goal in all_goals(parts)]
    return table(["what", "goal", "figure", "reached"], rows)


def row(what, goal, figure, reached):
    return [what, goal, figure or "not measured", {True: "reached", False: "**not reached**", None: "-"}[reached]]


def pairs(runs, ours, theirs):
    if not runs or missing(runs):
        return []
    return ratios(runs.get(ours, {"seconds": []}), runs.get(theirs, {"seconds": []}))


def all_goals(parts):
    for label in ["SQLite", "PostgreSQL", "MariaDB"]:
        of = parts.get("steps", {}).get(label, {}).get("runs", {})
        for count, limit in [(NUMBERS[0], 1.15), (GOAL, 1.5), (NUMBERS[-1], 2.5)]:
            steps = "one step" if count == 1 else f"{count} steps"
            what = f"(b) {steps} on {label} against one `alembic downgrade`"
            yield ratio_goal(what, limit, pairs(of.get(str(count)), "rollback", RAW["steps"]))
        what = f"(b) {GOAL} steps on {label} against `sqitch revert`"
        yield ratio_goal(what, 1, pairs(of.get(str(GOAL)), "rollback", "sqitch revert"))
    of = parts.get("steps", {}).get("PostgreSQL", {}).get("runs", {}).get(str(GOAL))
    yield ratio_goal(f"(b) {GOAL} steps of SQL files against `psql` with the same transactions", 4, pairs(of, SQL, "psql"))
    yield ratio_goal(f"(b) {GOAL} steps of SQL files against `sqitch revert`", 1, pairs(of, SQL, "sqitch revert"))
    runs = parts.get("superset", {}).get("runs")
    yield ratio_goal(f"(c) Superset, {STEPS} steps, against one `superset db downgrade`", 1.1, pairs(runs, "rollback", RAW["superset"]))
    yield ratio_goal(f"(c) Superset, {STEPS} steps, against the naive loop", 1 / 10, pairs(runs, "rollback", "naive loop"))
    runs = parts.get("plan", {}).get("Superset, 344 revisions")
    yield ratio_goal("(a) `rollback plan base` on Superset against `superset db history`", 1 / 100, pairs(runs, "plan", "history"))
    yield from growth_goals(parts.get("growth", {}))
    yield from size_goals(parts)


def ratio_goal(what, limit, values):
    goal = f"at most {limit} times" if limit >= 1 else f"at most 1/{round(1 / limit)}"
    if not values:
        return what, goal, None, None
    return what, goal, times(values) if limit >= 1 else fraction(values), median(values) <= limit


def growth_goals(growth):
    what = "(d) cost per step with 10,000 revisions against 100"
    goal = "does not grow: at most 1.1 times, which is what the measure tells apart"
    costs = [cost(growth.get("histories", {}).get(str(length)), "validated") for length in (HISTORIES[0], HISTORIES[-1])]
    if all(costs):
        small, large = map(median, costs)
        figure = f"{number(large / small)} times ({in_milliseconds(small)}, {in_milliseconds(large)})"
        yield what, goal, figure, large <= 1.1 * small
    else:
        yield what, goal, None, None
    what = f"(d) one step with {HISTORIES[-1]:,} revisions against one `alembic downgrade` there"
    runs = growth.get("histories", {}).get(str(HISTORIES[-1]), {}).get("runs")
    yield ratio_goal(what, 1.2, pairs(runs, f"validated {SHORT}", f"alembic {SHORT}"))
    middle, large = SCHEMAS[-2:]
    grows = f"(d) our statements of a step with {large:,} tables against {middle:,}, in the server"
    linear = f"grows at most linearly: at most {large // middle} times"
    short = f"(d) our statements of a step with {large:,} tables, in the server"
    spent = [in_server(growth.get("schemas", {}).get(str(tables))) for tables in (middle, large)]
    if None in spent:
        yield grows, linear, None, None
        yield short, "under 100 ms", None, None
        return
    ratio = spent[1] / spent[0]
    yield grows, linear, f"{number(ratio)} times ({', '.join(map(in_milliseconds, spent))})", ratio <= large / middle
    yield short, "under 100 ms", in_milliseconds(spent[1]), spent[1] < 0.1


def size_goals(parts):
    size = parts.get("size", {})
    start = median(size.get("start", {}).get("seconds", []))
    yield "(e) start-up: `rollback --version`", "under 10 ms", start and in_milliseconds(start), start and start < 0.01
    peak = parts.get("superset", {}).get("peak")
    what = f"(e) memory of the Rust process, Superset, {STEPS} steps"
    yield what, "under 30 MB", peak and megabytes(peak), peak and peak < 30e6
    largest = [
        (found["peak"], f"{int(size):,} {of}")
        for of, sizes in [("revisions", "histories"), ("tables", "schemas")]
        for size, found in parts.get("growth", {}).get(sizes, {}).items()
        if found.get("peak")
    ]
    what = "(e) the same, at its largest in (d)"
    if largest:
        peak, where = max(largest)
        yield what, "under 30 MB", f"{megabytes(peak)}, {where}", peak < 30e6
    else:
        yield what, "under 30 MB", None, None


# Parts


def cell(runs, name, base, full):
    of = runs.get(name)
    if of is None:
        return "-"
    if of["missing"]:
        return "-"
    said = in_seconds(median(of["seconds"]))
    against = ratios(of, runs[base]) if base in runs and name != base else []
    if against:
        said += f" ({number(median(against))})"
    if len(of["seconds"]) < full:
        said += f", {len(of['seconds'])} run{'s' if len(of['seconds']) > 1 else ''}"
    return said


def names_in(columns):
    found = {}
    for runs in columns:
        found.update(dict.fromkeys(runs))
    # What is ours stands together.
    ours = [name for name in ["rollback", SQL, NEVER, "plan", "plan, engine asked"] if name in found]
    return ours + [name for name in found if name not in ours]


def absent(columns):
    """Why a cell is empty."""
    notes = dict.fromkeys(
        f"{LABELS[name]}: {of['missing']}." for runs in columns for name, of in runs.items() if of["missing"]
    )
    return "".join(f"\n\nNot measured: {note}" for note in notes)


def full(columns):
    return max((len(of["seconds"]) for runs in columns for of in runs.values()), default=0)


def plan(part):
    columns = list(part.values())
    rows = [
        [LABELS[name], *(cell(runs, name, "history", full(columns)) for runs in columns)] for name in names_in(columns)
    ]
    return (
        "In brackets the ratio to the engine's `history`: `alembic history`, `superset db history`. With the URL in "
        "`ROLLBACK_DATABASE_URL` no Python is started. The first two are on SQLite, Superset is on PostgreSQL.\n\n"
        + table(["", *part], rows)
        + absent(columns)
    )


def steps(part):
    sections = []
    for label, found in part.items():
        if missing(found):
            sections.append(f"### {label}\n\nNot measured: {missing(found)}.")
            continue
        columns = [found["runs"][str(count)] for count in NUMBERS]
        rows = [
            [LABELS[name], *(cell(runs, name, RAW["steps"], full(columns)) for runs in columns)]
            for name in names_in(columns)
        ]
        header = [label, *(f"{count} step{'s' if count > 1 else ''}" for count in NUMBERS)]
        sections.append(table(header, rows) + absent(columns))
    return (
        "Total time of a run, in brackets the ratio to `alembic downgrade REV`, which takes the same steps in one "
        "command. `rollback` validates each step, and makes no backup. Sqitch and sqlx run the same statements "
        "as SQL; they start no Python.\n\n" + "\n\n".join(sections) + "\n\n" + anatomy(part)
    )


def anatomy(part):
    """Where the time of a run goes, beside that of the one command."""
    rows = []
    for label, found in part.items():
        if missing(found) or not found["profiles"]:
            continue
        small, large = (found["runs"][str(count)][RAW["steps"]]["seconds"] for count in (NUMBERS[0], GOAL))
        step = median([(a - b) / (GOAL - NUMBERS[0]) for a, b in zip(large, small)])
        start = median(small) - step if small else None
        rows.append([label, *of_profiles(found["profiles"]), *map(or_nothing, [start, step])])
    header = ["", *PROFILE, "the one command: start", "of it a step"]
    return (
        f"Where the time of the {GOAL} steps goes, by the journal of the run: until the first step (start, observation, plan, "
        "questions about what is at stake), for a step with all that is looked at and recorded, and after the last step.\n\n" + table(header, rows)
    )


PROFILE = ["until the first step", "a step", "after the last step"]


def of_profiles(profiles):
    values = [
        [profile["before"] for profile in profiles],
        [profile["all"] / profile["steps"] for profile in profiles],
        [profile["after"] for profile in profiles],
    ]
    return [in_seconds(median(value)) for value in values]


def or_nothing(value):
    return "-" if value is None else in_seconds(value)


def superset(part):
    runs, starts = part["runs"], part["starts"]
    columns = [runs]
    rows = [
        [LABELS[name], cell(runs, name, RAW["superset"], full(columns)), starts.get(name, "-")]
        for name in names_in(columns)
    ]
    memory = f"\n\nPeak memory of the Rust process: {megabytes(part['peak'])}." if part.get("peak") else ""
    return (
        f"Superset on PostgreSQL, from its head until its first merge point `{FIRST_MERGE}` is gone. Time, in brackets the "
        "ratio to the one command, and how many Python interpreters were started.\n\n"
        + table(["", f"{STEPS} steps", "Python starts"], rows)
        + absent(columns)
        + "\n\nWhere the time goes, as in (b):\n\n"
        + table(PROFILE, [of_profiles(part["profiles"])] if part["profiles"] else [])
        + memory
    )


def cost(found, label):
    """The cost of a step, pair by pair."""
    if not found or missing(found) or f"{label} {LONG}" not in found["runs"]:
        return []
    runs = found["runs"]
    many, single = runs[f"{label} {LONG}"]["seconds"], runs[f"{label} {SHORT}"]["seconds"]
    return [(a - b) / (LONG - SHORT) for a, b in zip(many, single)]


def in_server(found):
    """The seconds that the server spends on our own statements in a step; None if that is not known."""
    if not found or "server" not in found:
        return None
    many, single = found["server"]
    return (many - single) / (LONG - SHORT)


def growth(part):
    return "\n\n".join(
        [
            f"On PostgreSQL. The cost of a step is a run of {LONG} steps less a run of one, divided by {LONG - SHORT}: what a run "
            "costs once falls out. *Processor* is the processor time of the Rust process itself for a step. *Peak memory* is that of the Rust "
            f"process itself in the run of {LONG} steps, without the Python that it starts.",
            "### Length of the history",
            "There are few tables, so that only the history grows. *A step of `alembic`* is measured in the same way, all steps in one "
            "command.",
            growth_table(part["histories"], "revisions", LENGTH),
            "### Size of the schema",
            f"The history has {HISTORIES[0]} revisions. Each table has ten columns, an index and a foreign key. *In the server* is how long all our "
            "statements of a step take by the server's log: reading and comparing the schema, counting rows, looking for faults, measuring the step.",
            growth_table(part["schemas"], "tables", SIZE),
        ]
    )


# What a column tells of one size, in seconds.
COLUMNS = {
    "a step": lambda found: median(cost(found, "validated")),
    "a step of `alembic`": lambda found: median(cost(found, "alembic")),
    "in the server": in_server,
    "processor": lambda found: median(processor(found)),
    "one step, the whole run": lambda found: median(found["runs"][f"validated {SHORT}"]["seconds"]),
}
OF = {
    LENGTH: ["a step", "processor", "a step of `alembic`", "one step, the whole run"],
    SIZE: ["a step", "in the server", "processor", "one step, the whole run"],
}


def growth_table(sizes, unit, roads):
    rows, notes = [], []
    for key, found in sizes.items():
        label = f"{int(key):,} {unit}"
        why = missing(found) or "; ".join(of["missing"] for of in found["runs"].values() if of["missing"])
        if why:
            notes.append(f"Not measured: {label}: {why}.")
            continue
        values = [COLUMNS[column](found) for column in OF[roads]]
        cells = map(or_nothing, values)
        rows.append([label, *cells, megabytes(found["peak"])])
    return "\n\n".join([table(["", *OF[roads], "peak memory"], rows), *notes])


def processor(found):
    of = found["processor"]
    pairs = zip(of[str(LONG)], of[str(SHORT)])
    return [(a - b) / (LONG - SHORT) for a, b in pairs if a is not None and b is not None]


def size(part):
    start = part["start"]["seconds"]
    rows = [
        ["binary", megabytes(part["bytes"])],
        [f"`rollback --version`, median of {len(start)}", in_milliseconds(median(start)) if start else "-"],
        ["peak memory of `rollback --version`", megabytes(part["peak of --version"])],
    ]
    runs = part["run"]
    header = ["16 steps on PostgreSQL", "Python starts", "connections of ours", "of the engine", "peak memory of the Rust process"]
    return (
        table(["", ""], rows)
        + "\n\n"
        + table(
            header,
            [
                [LABELS[name], of["starts"], of["ours"], of["theirs"], megabytes(of["peak"])]
                for name, of in ((name, runs[name]) for name in names_in([runs]))
            ],
        )
    )


# Around them


def opening(results):
    machine, versions = results["machine"]["machine"], results["machine"]["versions"]
    day = time.strftime("%Y-%m-%d", time.gmtime(results["began"]))
    return (
        "# Benchmarks\n\n"
        "What `rollback` costs, beside the engine's own one command, the loop that one would write, and other tools. "
        "`make bench` measures all of it and writes this page whole; do not edit it.\n\n"
        f"Measured on {day} in {results['took'] / 60:.0f} minutes, with {results['runs']} rounds, on: {machine['processor']}; {machine['memory']} of memory; {machine['system']}.\n\n"
        + table(list(versions), [list(versions.values())])
    )


def method(results):
    return f"""## How it was measured

- Every figure is a median. What is compared was run in turns, one after the other: a round runs each command once, and the ratio is
  taken within the round. A ratio here is the median of those ratios, not the ratio of two medians.
- There were {results['runs']} rounds. A command that takes long took part in fewer of them, as many as fit into {results['budget']} seconds
  ({3 * results['budget']} of Superset), at least one; then the table says how many.
- The database was put back to its head before each run: a copy of the file, `CREATE DATABASE ... TEMPLATE`, or a dump loaded again.
  That is no part of the time. After each run its version rows, tables, columns and indexes were looked at, and were the same for all.
- PostgreSQL and MariaDB ran on this machine with the settings they come with: a commit is on the disk when it returns. Nothing
  was set for one competitor that was not set for all.
- `rollback` ran as `rollback downgrade-safe -30 -y --allow all`, and so with other numbers, with `ROLLBACK_BACKUP=never`: it plans, asks the database what is at stake,
  validates each step, and keeps its record.
- The history of (a) and (b) has {history.STEPS} revisions: tables, indexes, columns, foreign keys, each way back the inverse; {history.ROWS} rows
  in each table. Sqitch has the same as {history.STEPS} changes, each in a transaction, without verify scripts, and sqlx as
  {history.STEPS} files.
- The naive loop is `current`, then for each step `downgrade -1` and `current`: 2 N + 1 starts. At Superset's merge point `downgrade -1` is
  refused; there it is given the argument that works.
- Memory is the kernel's high-water mark of the Rust process itself (`VmHWM`), looked at every millisecond in a run whose time is not
  counted. Python starts are counted by a `sitecustomize` that each interpreter runs at its start. Connections are counted in the
  server's log, by the name that each gives."""
