//! Statements that the server does not understand, or does not have.

use super::DiagnosisContext;
use super::entry::{Entry, NEXT, Wording};
use super::failed::{Failed, cut};
use super::names::table;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "several-statements",
        when: "Several statements stand in one, and the driver sends one at a time.",
        means: "None of them was run.",
        remedy: "Give each statement an op.execute of its own.",
        states: &["42601"],
        english: &["^cannot insert multiple commands into a prepared statement"],
        sqlite: &["^[Yy]ou can (?:only execute|execute only) one statement at a time"],
        python: &[
            "^(?:sqlite3\\.)?(?:Warning|ProgrammingError): [Yy]ou can (?:only execute|execute only) one statement at a time",
        ],
        and: |failed| failed.state.is_none() || failed.message.contains("multiple commands"),
        in_a_step: true,
        words: several_statements,
        ..NEXT
    },
    Entry {
        code: "types-differ",
        when: "An expression joins or compares values whose types PostgreSQL does not bring together.",
        means: "The statement was not done.",
        remedy: "Cast one of the two in the SQL of the migration.",
        states: &["42883"],
        english: &["^operator does not exist: "],
        and: |failed| failed.message.starts_with("operator does not exist"),
        in_a_step: true,
        words: types_differ,
        ..NEXT
    },
    Entry {
        code: "sqlite-alter",
        when: "SQLite has no ALTER for this, and the migration does not work around it.",
        means: "The migration was written for another server, or lacks a batch operation.",
        remedy: "Write it as `with op.batch_alter_table(...)`, which copies the table.",
        sqlite: &[r#"^near "(?:ALTER|CONSTRAINT|MODIFY|DROP|SET|TYPE|CHANGE)": syntax error"#],
        python: &["^NotImplementedError: No support for ALTER of constraints in SQLite"],
        in_a_step: true,
        words: sqlite_alter,
        ..NEXT
    },
    Entry {
        code: "not-null-without-default",
        when: "SQLite is to add a NOT NULL column without a default.",
        means: "The column was not added: the rows that are there would have no value in it.",
        remedy: "Give the column a `server_default` in the downgrade.",
        sqlite: &["^Cannot add a NOT NULL column with default value NULL"],
        english: &["^Cannot add a NOT NULL column with default value NULL"],
        in_a_step: true,
        words: no_default,
        ..NEXT
    },
    Entry {
        code: "sql-syntax",
        when: "The server does not understand the SQL of the migration.",
        means: "The statement was not run. It may be written for another kind or version of server.",
        remedy: "Correct the SQL in the downgrade.",
        states: &["42601"],
        numbers: &[1064],
        sqlite: &["syntax error$", "^incomplete input"],
        english: &["^syntax error at or near"],
        in_a_step: true,
        words: syntax,
        ..NEXT
    },
];

fn several_statements(_: &Failed, known: &DiagnosisContext) -> Wording {
    Wording::new("several statements stand in one, and the driver sends one at a time").then(
        format!(
            "give each statement an op.execute of its own{}",
            known
                .revision
                .as_deref()
                .map_or(String::new(), |revision| format!(
                    " in the downgrade of {revision}"
                ))
        ),
    )
}

fn types_differ(failed: &Failed, _: &DiagnosisContext) -> Wording {
    let what = failed.message.split_once(": ").map(|(_, what)| cut(what));
    Wording::new(format!(
        "PostgreSQL has no operator for these types: {}",
        what.as_deref().unwrap_or("(not named)")
    ))
    .then("cast one of the two in the SQL of the migration, such as value::text")
}

fn sqlite_alter(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let table = table(failed);
    let table = table.as_deref().unwrap_or("TABLE");
    Wording::new("SQLite has no ALTER for what the step does").then(format!(
        "write the downgrade{} with `with op.batch_alter_table(\"{table}\") as batch:`, which copies the table",
        known.revision.as_deref().map_or(String::new(), |revision| format!(" of {revision}"))
    ))
}

fn no_default(failed: &Failed, _: &DiagnosisContext) -> Wording {
    Wording::new(format!(
        "a column of table {} is to be NOT NULL without a default, and there are rows",
        table(failed).as_deref().unwrap_or("(not named)")
    ))
    .then("give the column a `server_default` in the downgrade")
}

fn syntax(failed: &Failed, known: &DiagnosisContext) -> Wording {
    let cause = if known.state.is_some() {
        "the server does not understand the SQL of the step".to_owned()
    } else {
        format!(
            "the server does not understand the SQL: {}",
            failed.sentence()
        )
    };
    Wording::new(cause).then(match known.revision.as_deref() {
        Some(revision) => format!("correct the SQL in the downgrade of {revision}"),
        None => "correct the SQL in the migration".to_owned(),
    })
}
