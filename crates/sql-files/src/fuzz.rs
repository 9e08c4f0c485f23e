//! Real migration files, broken at random, and random text that looks like SQL: the reader and the splitter come to
//! an end on every one of them, and lose nothing.
//!
//! Short here, because it runs with every test. For longer: `PROPTEST_CASES=100000 cargo test --lib sql_files::fuzz`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::file::{Form, commented, read};
use super::lint::lint_statement;
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_sql::script::{self, statements};
use rollback_sql::sql_statement;
use rollback_sql::tokens::Tokens;
use rollback_sql::words::Sql;

const DIALECTS: [Dialect; 3] = [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite];

/// The SQL files of all fixtures.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut folders = vec![
        root.join("fixtures/sql"),
        root.join("crates/sql-files/src/lint"),
    ];
    let mut found = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "sql") {
                found.insert(path.clone(), fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(found.len() > 30, "only {} files", found.len());
    found.into_values().collect()
});

/// What SQL is made of, and some of what goes wrong in it.
const PIECES: &[&str] = &[
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "\u{b}",
    "\u{feff}",
    "\u{a0}",
    "ä",
    "\0",
    ";",
    ";;",
    ",",
    ".",
    "(",
    ")",
    "[",
    "]",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\'",
    "\\\\",
    "$",
    "$$",
    "$a$",
    "$1",
    "E'",
    "e'\\'",
    "U&'",
    "N'",
    "b'",
    "#",
    "-",
    "--",
    "-- ",
    "/",
    "/*",
    "*/",
    "/*!",
    "/*!50003 ",
    "/*M!",
    "*",
    "@",
    ":",
    "=",
    ":=",
    "1",
    "1e5",
    "a",
    "a$b",
    "_",
    "\n-- ROLLBACK START\n",
    "\n-- ROLLBACK END\n",
    "\n--rollback  start\r\n",
    "\n-- -- ROLLBACK END\n",
    "\nROLLBACK END\n",
    "-- Depends on: a, b.sql\n",
    "-- Depends on: ../a\n",
    "-- Description: x\n",
    "\n-- Independent of: c\n",
    "BEGIN",
    "BEGIN;",
    "COMMIT;",
    "COMMIT",
    "END",
    " END ",
    "END;",
    "END IF",
    "CASE ",
    " CASE WHEN 1 THEN 2 END ",
    "BEGIN ATOMIC ",
    "BEGIN NOT ATOMIC ",
    "IF ",
    "IF EXISTS ",
    "IF NOT EXISTS ",
    "THEN ",
    "ELSE ",
    "LOOP ",
    "WHILE ",
    "REPEAT ",
    "FOR ",
    "DO ",
    "AS ",
    "CREATE ",
    "OR REPLACE ",
    "FUNCTION f() ",
    "PROCEDURE p() ",
    "TRIGGER t ",
    "TEMP ",
    "EVENT e ",
    "RULE r ",
    "FOR EACH ROW ",
    "DROP TABLE a;",
    "DROP TABLE a\n",
    "DROP ",
    "TABLE ",
    "ALTER TABLE a ",
    "ADD ",
    "\n-- DROP TABLE a;\n",
    "SELECT 1;",
    "UPDATE a SET b = 1;",
    "DELETE FROM a;",
    "INSERT INTO a VALUES ('b');",
    "COPY a FROM STDIN;\n",
    "\n\\.\n",
    "\\i a.sql\n",
    "\n.read a\n",
    "DELIMITER //\n",
    "\nDELIMITER ;\n",
    "DELIMITER $$\n",
    "//",
    "VACUUM;",
    "SET autocommit = 0;",
];

#[derive(Debug, Clone)]
enum TextEdit {
    /// Characters go.
    Cut(Index, usize),
    /// A piece comes in, once or many times.
    Piece(Index, &'static str, usize),
    /// Lines of another file come in.
    Lines(Index, Index, Index, usize),
}

fn edits() -> impl Strategy<Value = Vec<TextEdit>> {
    let at = any::<Index>;
    vec(
        prop_oneof![
            (at(), 1..40_usize).prop_map(|(at, length)| TextEdit::Cut(at, length)),
            (at(), select(PIECES)).prop_map(|(at, piece)| TextEdit::Piece(at, piece, 1)),
            (at(), select(PIECES), 2..300_usize)
                .prop_map(|(at, piece, times)| TextEdit::Piece(at, piece, times)),
            (at(), at(), at(), 1..12_usize)
                .prop_map(|(at, file, line, lines)| TextEdit::Lines(at, file, line, lines)),
        ],
        0..8,
    )
}

fn edited(text: &str, edits: &[TextEdit]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for edit in edits {
        let place = |at: &Index| at.index(text.len() + 1);
        match edit {
            TextEdit::Cut(at, cut) => {
                let from = place(at);
                text.drain(from..(from + cut).min(text.len()));
            }
            TextEdit::Piece(at, piece, times) => {
                let at = place(at);
                text.splice(at..at, piece.repeat(*times).chars().collect::<Vec<char>>());
            }
            TextEdit::Lines(at, file, line, count) => {
                let lines: Vec<&str> = file.get::<String>(&CORPUS).split_inclusive('\n').collect();
                let from = line.index(lines.len().max(1));
                let taken = lines.iter().skip(from).take(*count);
                let taken: Vec<char> = taken.flat_map(|line| line.chars()).collect();
                // Between two lines, as somebody who merges would put it.
                let ends = text.iter().enumerate().filter(|(_, it)| **it == '\n');
                let ends: Vec<usize> = ends.map(|(end, _)| end + 1).chain([0]).collect();
                let at = *at.get(&ends);
                text.splice(at..at, taken);
            }
        }
    }
    text.into_iter().collect()
}

fn through_all(text: &str) -> Result<(), TestCaseError> {
    for dialect in DIALECTS {
        nothing_is_lost(text, dialect)?;
        rewriting_keeps_the_meaning(text, dialect)?;
    }
    Ok(())
}

/// The pieces are the text; the statements are slices of it in order, at the lines that they say; what is between
/// them is no code; and one by one they are statements again.
fn nothing_is_lost(text: &str, dialect: Dialect) -> Result<(), TestCaseError> {
    let mut whole = String::new();
    let mut is_read = true;
    for token in Tokens::new(text, dialect) {
        let Ok(token) = token else {
            is_read = false;
            break;
        };
        prop_assert!(!token.text.is_empty());
        prop_assert_eq!(token.at, whole.len());
        whole.push_str(token.text);
    }
    prop_assert!(text.starts_with(&whole));
    let found = match statements(text, dialect) {
        Ok(found) => found,
        Err(error) => {
            prop_assert!(
                (1..=text.split('\n').count()).contains(&error.line),
                "{error}"
            );
            return Ok(());
        }
    };
    // A quote in the rest of a DELIMITER line opens nothing for the splitter, and a text for the tokenizer alone.
    let delimiters = text.to_ascii_lowercase().contains("delimiter");
    prop_assert!(is_read || delimiters, "{text:?}");
    prop_assert!(!is_read || whole == text, "{text:?}");
    let spans = script::spans(text, dialect).unwrap();
    prop_assert_eq!(spans.len(), found.len());
    let mut end = 0;
    for (one, span) in found.iter().zip(&spans) {
        prop_assert_eq!(&text[span.text.clone()], &one.text);
        prop_assert_eq!(text[..span.text.start].matches('\n').count() + 1, one.line);
        if !delimiters {
            let before = &text[end..span.text.start];
            prop_assert!(no_code(before, dialect), "{before:?} in {text:?}");
        }
        end = span.text.end;
        one.runs_alone(dialect);
        one.commits(dialect);
        one.controls_a_transaction();
        lint_statement(one, dialect);
        sql_statement::read(&Sql::new(&one.text, dialect));
    }
    let rest = &text[end..];
    if !delimiters {
        prop_assert!(no_code(rest, dialect), "{rest:?} in {text:?}");
        let joined: String = found.iter().map(|one| format!("\n{};", one.text)).collect();
        let again = statements(&joined, dialect).unwrap();
        let texts = |all: &[script::Statement]| -> Vec<String> {
            all.iter().map(|one| one.text.clone()).collect()
        };
        prop_assert_eq!(texts(&again), texts(&found));
    }
    Ok(())
}

/// Whether there is nothing but space, comments and `;`.
fn no_code(text: &str, dialect: Dialect) -> bool {
    // Not at the beginning of the text, where a byte order mark is space.
    Tokens::new(text, dialect).all(|token| token.is_ok_and(|it| !it.is_code() || it.is(";")))
}

fn rewriting_keeps_the_meaning(text: &str, dialect: Dialect) -> Result<(), TestCaseError> {
    let read = |text: &str| read(RevisionId::new("a"), "a.sql", text, None, dialect);
    let lines = text.split('\n').count();
    let made = commented("a.sql", text, dialect);
    let file = match read(text) {
        Ok(file) => file,
        Err(malformed) => {
            prop_assert!(
                (1..=lines).contains(&malformed.line),
                "{malformed} of {lines}"
            );
            return Ok(());
        }
    };
    let Some(rollback) = file.rollback else {
        prop_assert_eq!(made, Ok(text.to_owned()));
        return Ok(());
    };
    prop_assert!(!statements(&rollback.sql, dialect).unwrap().is_empty());
    let Ok(made) = made else {
        prop_assert_eq!(rollback.form, Form::Plain);
        return Ok(());
    };
    let again = read(&made).unwrap();
    prop_assert_eq!(&again.up, &file.up);
    prop_assert_eq!(&again.depends_on, &file.depends_on);
    let read_again = again.rollback.unwrap();
    prop_assert_eq!(read_again.form, Form::Commented);
    prop_assert_eq!(read_again.sql, rollback.sql);
    prop_assert_eq!(read_again.line, rollback.line);
    prop_assert_eq!(commented("a.sql", &made, dialect), Ok(made));
    Ok(())
}

/// A text that has a block, so that more than the first check is reached.
fn with_block(up: &str, block: &str) -> String {
    format!("{up}\n-- ROLLBACK START\n{block}\n-- ROLLBACK END\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_migrations_are_read_or_refused(file in any::<Index>(), edits in edits()) {
        through_all(&edited(file.get::<String>(&CORPUS), &edits))?;
    }

    #[test]
    fn text_that_looks_like_sql_is_read_or_refused(pieces in vec(select(PIECES), 0..60)) {
        through_all(&pieces.concat())?;
        through_all(&pieces.join(" "))?;
    }

    #[test]
    fn blocks_that_look_like_sql_are_read_or_refused(
        up in vec(select(PIECES), 0..4),
        block in vec(select(PIECES), 0..12),
    ) {
        through_all(&with_block(&up.concat(), &block.concat()))?;
        through_all(&with_block("", &format!("DROP TABLE a;{}", block.concat())))?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        through_all(&text)?;
        through_all(&with_block("", &text))?;
    }
}
