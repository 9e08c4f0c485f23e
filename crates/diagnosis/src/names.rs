//! Names in what a server said, and in the statement that it said it of.

use super::entry::{group, pattern};
use super::failed::Failed;
use rollback_core::dialect::Dialect;

pattern!(DOUBLE = r#"["«»„“”]\s?([^"«»„“”]+?)\s?["«»„“”]"#);
// Not the apostrophe of a word such as Can't.
pattern!(SINGLE = r"`([^`]+)`|(?:^|[^\w])'([^']+)'");

const NAME: &str = r#"((?:[`"\[]?[\w$]+[`"\]]?\.)?[`"\[]?[\w$]+[`"\]]?)"#;

macro_rules! statements {
    ($($name:ident = $text:expr;)*) => {
        $(static $name: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
            $crate::start::pattern(&$text.replace("NAME", NAME))
        });)*
    };
}

statements! {
    TABLE = r"(?i)^\s*(?:ALTER TABLE|DROP TABLE|CREATE TABLE|INSERT INTO|DELETE FROM|UPDATE|TRUNCATE(?: TABLE)?)(?: IF (?:NOT )?EXISTS)?(?: ONLY)? NAME";
    INDEXED = r"(?i)^\s*(?:CREATE (?:UNIQUE )?|DROP )INDEX .*? ON (?:ONLY )?NAME";
    COLUMN = r"(?i)\b(?:ALTER COLUMN|MODIFY(?: COLUMN)?|CHANGE(?: COLUMN)?)(?: IF EXISTS)? NAME ";
    DROPPED = r"(?i)\bDROP(?: COLUMN| CONSTRAINT| INDEX| KEY| FOREIGN KEY| TYPE| TABLE| (?:MATERIALIZED )?VIEW| CHECK| SEQUENCE| FUNCTION| PROCEDURE| TRIGGER| SCHEMA| EXTENSION| ROLE| DOMAIN| RULE| POLICY)?(?: CONCURRENTLY)?(?: IF EXISTS)? NAME";
    KEY = r"(?i)(?:\bUNIQUE(?: KEY| INDEX)?(?: NAME)? ?|\bPRIMARY KEY ?|^\s*CREATE UNIQUE INDEX .*? ON NAME(?: USING \w+)? ?)\(([^()]+)\)";
    REFERENCES = r"(?i)FOREIGN KEY ?\(([^()]+)\) REFERENCES NAME ?\(([^()]+)\)";
    CHECK = r"(?i)\bCHECK ?\((.*)\)\s*$";
    LENGTH = r"(?i)\b(?:VARCHAR|CHARACTER VARYING|CHAR|CHARACTER|NVARCHAR)\s?\((\d+)\)";
    TYPE = r"(?i)\bTYPE ([\w ]+?(?:\([\d, ]+\))?)(?: USING .*)?\s*$";
}

/// What is in quotation marks in a sentence, in order, whatever language it is in.
pub(super) fn quoted(failed: &Failed) -> Vec<String> {
    let pattern = match failed.dialect {
        Some(Dialect::MySql) => &*SINGLE,
        _ => &*DOUBLE,
    };
    pattern
        .captures_iter(&failed.message)
        .filter_map(|found| {
            let name = found.iter().skip(1).flatten().next()?;
            Some(name.as_str().trim_matches('\u{a0}').to_owned())
        })
        .collect()
}

/// The name of that number, from 0.
pub(super) fn named(failed: &Failed, index: usize) -> Option<String> {
    quoted(failed).into_iter().nth(index)
}

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTable,
    DropType,
    Delete,
    Other,
}

pattern!(
    VERB = r"(?i)^\s*(DROP INDEX|DROP TABLE|DROP TYPE|DELETE|TRUNCATE)|\b(DROP (?:INDEX|KEY))\b|\b(DROP (?:CONSTRAINT|FOREIGN KEY|CHECK|PRIMARY KEY))\b|\b(DROP )"
);

/// What the statement does that failed.
pub(super) fn verb(failed: &Failed) -> Verb {
    let Some(found) = VERB.captures(&failed.sql) else {
        return Verb::Other;
    };
    let upper = |index| {
        found
            .get(index)
            .map(|text| text.as_str().to_ascii_uppercase())
    };
    if let Some(first) = upper(1) {
        return match first.as_str() {
            "DROP INDEX" => Verb::DropIndex,
            "DROP TABLE" => Verb::DropTable,
            "DROP TYPE" => Verb::DropType,
            _ => Verb::Delete,
        };
    }
    let alters = failed
        .sql
        .trim_start()
        .to_ascii_uppercase()
        .starts_with("ALTER TABLE");
    match (found.get(2), found.get(3)) {
        (Some(_), _) => Verb::DropIndex,
        (_, Some(_)) => Verb::DropConstraint,
        _ if alters => Verb::DropColumn,
        _ => Verb::Other,
    }
}

fn bare(name: &str) -> String {
    name.replace(['`', '"', '[', ']'], "")
}

/// The table of the statement.
pub(super) fn table(failed: &Failed) -> Option<String> {
    group(&INDEXED, &failed.sql)
        .or_else(|| group(&TABLE, &failed.sql))
        .map(|name| bare(&name))
}

/// The column that the statement alters.
pub(super) fn column(failed: &Failed) -> Option<String> {
    group(&COLUMN, &failed.sql).map(|name| bare(&name))
}

/// What the statement drops.
pub(super) fn dropped(failed: &Failed) -> Option<String> {
    group(&DROPPED, &failed.sql).map(|name| bare(&name))
}

/// The columns of the key that the statement makes.
pub(super) fn key(failed: &Failed) -> Option<String> {
    let found = KEY.captures(&failed.sql)?;
    found
        .iter()
        .skip(1)
        .flatten()
        .last()
        .map(|columns| columns.as_str().to_owned())
}

/// The columns, the other table and its columns of the foreign key that the statement makes.
pub(super) fn references(text: &str) -> Option<(String, String, String)> {
    let found = REFERENCES.captures(text)?;
    Some((bare(&found[1]), bare(&found[2]), bare(&found[3])))
}

/// The condition that the statement adds.
pub(super) fn condition(failed: &Failed) -> Option<String> {
    group(&CHECK, &failed.sql)
}

/// The length of the type in a text.
pub(super) fn length(text: &str) -> Option<String> {
    group(&LENGTH, text)
}

/// The type that the statement gives a column.
pub(super) fn new_type(failed: &Failed) -> Option<String> {
    group(&TYPE, &failed.sql)
}

/// A name as it is written in a statement: in quotation marks where it has to be.
pub(super) fn written(name: &str, dialect: Option<Dialect>) -> String {
    let plain = name.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with(|first: char| first.is_ascii_digit())
            && part.chars().all(|letter| {
                letter == '_' || letter.is_ascii_digit() || letter.is_ascii_lowercase()
            })
    });
    match dialect {
        _ if plain => name.to_owned(),
        Some(Dialect::MySql) => format!("`{}`", name.replace('`', "")),
        _ => format!("\"{}\"", name.replace('"', "").replace('.', "\".\"")),
    }
}

/// `column a of table t`, as far as both are known.
pub(super) fn of_table(kind: &str, name: Option<&str>, table: Option<&str>) -> String {
    match (name, table) {
        (Some(name), Some(table)) => format!("{kind} {name} of table {table}"),
        (Some(name), None) => format!("{kind} {name}"),
        (None, Some(table)) => format!("{} of table {table}", some(kind)),
        (None, None) => some(kind),
    }
}

/// `a column`, `an index`.
pub(super) fn some(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
