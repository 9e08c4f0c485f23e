//! Alembic finds its way through the revisions not, or not only one.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording, group, pattern};
use super::failed::Failed;
use super::names::written;
use super::start::StartKind;
use rollback_core::dialect::Dialect;
use rollback_core::version_rows;

pattern!(DESTINATION = r"Destination (\S+) is not a valid downgrade target");
pattern!(OVERLAPS = r"[Rr]equested revision (\S+) overlaps with other requested revisions (.+)");
pattern!(CYCLE_IN = r"in revisions \(([^)]*)\)");
pattern!(
    ONE_ROW = r"expected to match one row when (?:updating|deleting) '([^']*)'(?: to '[^']*')? in '([^']+)'; (\d+) found"
);
pattern!(
    VERSION_STATEMENT =
        r"(?i)^(?:UPDATE|INSERT INTO) (\S+) (?:SET version_num\s*=|\(version_num\))"
);
pattern!(VERSION_VALUE = r"(?i)(?:SET version_num\s*=\s*|VALUES \()'([^']+)'");
pattern!(LENGTH = r"(?:varying|varchar|character)\((\d+)\)");
pattern!(REPAIR = r"(?m)^\s*(supabase migration repair .*\S)\s*$");
pattern!(HEADS = r"heads? (?:are|is) present(?: for given argument '([^']*)')?");

const NOT_BEGUN: &str = "Alembic stopped before it ran a migration: nothing was changed.";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "revision-missing",
        when: "The database, a version file or the command names a revision that no version file has.",
        means: NOT_BEGUN,
        remedy: "Check out the code that belongs to the database, or restore the version file.",
        kind: |kind| {
            matches!(
                kind,
                StartKind::CannotLocate(_) | StartKind::MissingParent(_)
            )
        },
        words: missing,
        ..NEXT
    },
    Entry {
        code: "ambiguous-walk",
        when: "A relative target such as -1 leads more than one way, as it does at every merge.",
        means: NOT_BEGUN,
        remedy: "Let rollback do it, or name the parent: MERGE@PARENT.",
        python: &["Ambiguous walk"],
        words: ambiguous,
        ..NEXT
    },
    Entry {
        code: "several-heads",
        when: "There are several heads, and the command means one.",
        means: NOT_BEGUN,
        remedy: "Name the revision or branch that is meant.",
        python: &[
            "Multiple head revisions are present",
            "The script directory has multiple heads",
            "MultipleHeads",
            "Only a single head is supported",
        ],
        words: several,
        ..NEXT
    },
    Entry {
        code: "revision-cycle",
        when: "Revisions descend from themselves.",
        means: NOT_BEGUN,
        remedy: "Correct the down_revision or depends_on of one of them.",
        kind: |kind| matches!(kind, StartKind::Cycle),
        words: cycle,
        ..NEXT
    },
    Entry {
        code: "target-not-below",
        when: "The target of a downgrade is not below where the database stands, or not so many steps are there.",
        means: NOT_BEGUN,
        remedy: "Look where the database stands, and name a revision below it.",
        python: &[
            "is not a valid downgrade target from current head",
            "Relative revision \\S+ didn't produce \\d+ migrations",
            "Walked too far",
        ],
        words: not_below,
        ..NEXT
    },
    Entry {
        code: "version-row-not-one",
        when: "Alembic changes a row of the version table, and that row is there several times, or not at all, or was put there by another process.",
        means: "The statements of the step were done, and its row in the version table was not changed.",
        remedy: "Leave one row for each revision; see that nobody else migrates at the same time.",
        states: &["23505"],
        numbers: &[1062],
        sqlite: &["^UNIQUE constraint failed: "],
        python: &["expected to match one row when "],
        and: |failed| !failed.from_server || inserts_version_row(failed),
        in_a_step: true,
        words: not_one_row,
        ..NEXT
    },
    Entry {
        code: "revision-id-too-long",
        when: "A revision id is longer than the column of the version table.",
        means: "The row of the version table was not written.",
        remedy: "Give the revision a shorter id, or make the column wider.",
        states: &["22001"],
        numbers: &[1406],
        english: &["^value too long for type"],
        and: |failed| VERSION_STATEMENT.is_match(&failed.sql),
        in_a_step: true,
        words: id_too_long,
        ..NEXT
    },
    Entry {
        code: "not-up-to-date",
        when: "Alembic writes a new revision, or compares, only if the database is at the head of the code, and it is not.",
        means: NOT_BEGUN,
        remedy: "Upgrade the database, or stamp it if its schema is already that of the head.",
        python: &["Target database is not up to date"],
        words: not_up_to_date,
        ..NEXT
    },
    Entry {
        code: "history-differs",
        when: "The Supabase command line finds migrations in the database that are not in the folder.",
        means: "Nothing was run.",
        remedy: "Get the missing files, or correct the table of the history.",
        python: &["^Remote migration versions not found in"],
        words: history_differs,
        ..NEXT
    },
    Entry {
        code: "overlapping-rows",
        when: "The version table holds a revision together with one that descends from it.",
        means: NOT_BEGUN,
        remedy: "Find out which row is right, and remove the other one.",
        python: &["overlaps with other requested revisions"],
        words: overlaps,
        ..NEXT
    },
];

fn missing(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let id = match &failed.kind {
        Some(StartKind::CannotLocate(id) | StartKind::MissingParent(id)) => id.clone(),
        _ => "(not named)".to_owned(),
    };
    let quoted =
        shlex::try_quote(&id).map_or_else(|_| "REV".to_owned(), std::borrow::Cow::into_owned);
    Wording::new(format!("no version file has the revision {id}"))
        .then(format!(
            "find the commit that had it: git log --all --oneline -S {quoted}"
        ))
        .then("check out the code that belongs to this database, or restore the file")
        .then(format!(
            "see where the database stands: {}",
            known.current()
        ))
}

fn ambiguous(_: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("the relative target leads more than one way: there is a merge")
        .then("let rollback find the way, one revision at a time: rollback plan -1")
}

fn several(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let of =
        group(&HEADS, &failed.message).map_or(String::new(), |argument| format!(" for {argument}"));
    Wording::new(format!(
        "there are several heads{of}, and the command means one"
    ))
    .then("see them: rollback list")
    .then("name the one that is meant, as REVISION or LABEL@head")
}

fn cycle(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let which = group(&CYCLE_IN, &failed.message);
    Wording::new(format!(
        "revisions descend from themselves{}",
        which.map_or(String::new(), |which| format!(": {which}"))
    ))
    .then("correct the `down_revision` or `depends_on` of one of them")
}

fn not_below(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let target = group(&DESTINATION, &failed.message);
    Wording::new(format!(
        "the target {}is not below where the database stands, or not so many steps are there",
        target.map_or(String::new(), |target| format!(
            "{} ",
            target.trim_matches('\'')
        ))
    ))
    .then(format!(
        "see where the database stands: {}",
        known.current()
    ))
    .then("see what is below it: rollback list")
}

fn overlaps(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let rows = OVERLAPS.captures(&failed.message).map_or_else(
        || "a revision and one that descends from it".to_owned(),
        |found| format!("{} and {}", &found[1], found[2].trim_end_matches('.')),
    );
    Wording::new(format!(
        "the version table holds {rows}, of which one descends from the other"
    ))
    .then("see them: SELECT version_num FROM alembic_version;")
    .then("find out which row is right, and remove the other one")
}

/// Whether the statement inserts the row of a revision. The name of the table is the project's own choice.
fn inserts_version_row(failed: &Failed) -> bool {
    failed.sql.to_ascii_uppercase().starts_with("INSERT INTO")
        && VERSION_STATEMENT.is_match(&failed.sql)
}

fn not_one_row(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let Some(found) = ONE_ROW.captures(&failed.message) else {
        return Wording::new("the version table has the row of this revision already")
            .then("see whether another process migrates the same database")
            .then("see the rows: SELECT version_num FROM alembic_version;");
    };
    let (id, table, count) = (&found[1], &found[2], &found[3]);
    if count == "0" {
        return Wording::new(format!(
            "table {table} had no row {id} when Alembic came to change it"
        ))
        .then("see whether another process migrates the same database, or a row security policy hides the row")
        .then(format!(
            "see the rows: SELECT version_num FROM {};",
            written(table, known.dialect)
        ));
    }
    let count = count.parse().unwrap_or(2);
    Wording::new(format!("table {table} has the row {id} {count} times"))
        .then(format!(
            "leave one of them: {}",
            version_rows::leave_one(&written(table, known.dialect), id, count, known.dialect)
        ))
        .then(format!(
            "keep it so: ALTER TABLE {} ADD PRIMARY KEY (version_num);",
            written(table, known.dialect)
        ))
}

fn id_too_long(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let id = group(&VERSION_VALUE, &failed.sql);
    let table = group(&VERSION_STATEMENT, &failed.sql).unwrap_or_default();
    let limit = group(&LENGTH, &failed.message);
    let cause = format!(
        "the revision id{} is longer than the {} characters of {table}.version_num",
        id.as_deref().map_or(String::new(), |id| format!(" {id}")),
        limit.as_deref().unwrap_or("32")
    );
    let alter = if failed.dialect == Some(Dialect::MySql) {
        "MODIFY version_num VARCHAR(255) NOT NULL"
    } else {
        "ALTER COLUMN version_num TYPE VARCHAR(255)"
    };
    Wording::new(cause)
        .then("give the revision a shorter id, in its file and wherever another file names it")
        .then(format!(
            "or make the column wider: ALTER TABLE {table} {alter};"
        ))
}

fn not_up_to_date(_: &Failed, known: &DiagnosisContext) -> Wording {
    Wording::new("the database is not at the head of the code, which the command needs")
        .then(format!(
            "see where it is: {}",
            known.current()
        ))
        .then("upgrade it: alembic upgrade head")
        .then("or, if its schema is that of the head already and only the row is missing: alembic stamp head")
}

fn history_differs(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new("the database has migrations that are not in the folder of the project")
        .then("get the files: check out the branch that has them, or run: supabase migration fetch")
        .and_then(
            group(&REPAIR, &failed.details).map(|repair| {
                format!("if they were really reverted, correct the history: {repair}")
            }),
        )
        .then("compare both sides: supabase migration list")
}
