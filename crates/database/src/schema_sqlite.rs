//! The schema of SQLite in one query, and what only the text of a statement tells.
//!
//! SQLite keeps statements as they were typed. A batch migration types the whole table again, so
//! words are compared and not characters: their case, quotes that are not needed, white space and
//! comments do not count.

use std::collections::BTreeMap;

use super::{schema_of, sqlite_connection};
use rollback_core::dialect::Dialect;
use rollback_core::query::TextRows;
use rollback_core::schema::SchemaLines;
pub(crate) use rollback_sql::tokens::{Kind, Token, Tokens};
use rusqlite::{Connection, Error};

/// Kind, table, name, what is said of it, and a default. The columns of a virtual table need a module
/// that we may not have, so that one is told by its statement.
const SCHEMA: &str = r#"
    WITH own AS (
        SELECT type, name, tbl_name, sql FROM sqlite_master
        WHERE type <> 'table' OR name NOT LIKE 'sqlite\_%' ESCAPE '\'
    ), real AS (
        SELECT name FROM own WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
    ), ordered AS (
        SELECT real.name AS owner, l.origin AS origin, l.name AS name, i.name AS part, i.seqno AS position,
            CASE upper(i.coll) WHEN 'BINARY' THEN '' ELSE ' collate ' || lower(i.coll) END
            || CASE WHEN i.desc THEN ' desc' ELSE '' END AS how
        FROM real, pragma_index_list(real.name) l, pragma_index_xinfo(l.name) i
        WHERE l.origin IN ('u', 'pk') AND i.key
    )
    SELECT type, tbl_name, name, sql, NULL FROM own WHERE sql IS NOT NULL
    UNION ALL
    SELECT 'column', real.name, c.name, c.type || CASE WHEN c."notnull" THEN ' not null' ELSE '' END,
        c.dflt_value
    FROM real, pragma_table_xinfo(real.name) c
    UNION ALL
    SELECT 'primary key', name, NULL, group_concat(part, ', '), NULL FROM (
        SELECT real.name AS name, c.name || coalesce((SELECT how FROM ordered
                WHERE owner = real.name AND origin = 'pk' AND part = c.name), '') AS part
        FROM real, pragma_table_xinfo(real.name) c
        WHERE c.pk > 0 ORDER BY real.name, c.pk) GROUP BY name
    UNION ALL
    SELECT 'unique', owner, NULL, group_concat(part || how, ', '), NULL FROM (
        SELECT * FROM ordered WHERE origin = 'u' ORDER BY owner, name, position) GROUP BY owner, name
    UNION ALL
    SELECT 'foreign key', owner, NULL, '(' || group_concat(part, ', ') || ') to ' || parent
        || coalesce(' (' || group_concat(key, ', ') || ')', '')
        || CASE on_delete WHEN 'NO ACTION' THEN '' ELSE ' on delete ' || lower(on_delete) END
        || CASE on_update WHEN 'NO ACTION' THEN '' ELSE ' on update ' || lower(on_update) END, NULL
    FROM (SELECT real.name AS owner, k.id AS id, k."table" AS parent, k."from" AS part, k."to" AS key,
            k.on_delete, k.on_update
        FROM real, pragma_foreign_key_list(real.name) k ORDER BY real.name, k.id, k.seq)
    GROUP BY owner, id
    UNION ALL
    SELECT 'pragma', 'user_version', NULL, CAST(user_version AS TEXT), NULL
    FROM pragma_user_version WHERE user_version <> 0
    UNION ALL
    SELECT 'pragma', 'application_id', NULL, CAST(application_id AS TEXT), NULL
    FROM pragma_application_id WHERE application_id <> 0"#;

/// One row of [`SCHEMA`].
struct CatalogRow {
    kind: String,
    table: String,
    name: String,
    detail: String,
    default: Option<String>,
}

/// Reads [`SCHEMA`].
pub(super) fn schema(connection: &Connection) -> Result<SchemaLines, Error> {
    let row = |row: Vec<Option<String>>| {
        let mut columns = row.into_iter();
        let mut next = || columns.next().flatten();
        CatalogRow {
            kind: next().unwrap_or_default(),
            table: next().unwrap_or_default(),
            name: next().unwrap_or_default(),
            detail: next().unwrap_or_default(),
            default: next(),
        }
    };
    let rows = sqlite_connection::rows(connection, SCHEMA)?;
    let rows: Vec<CatalogRow> = rows.into_iter().map(row).collect();
    Ok(schema_of(lines(&rows)))
}

/// The rows of [`schema_of`] from all rows of [`SCHEMA`].
fn lines(rows: &[CatalogRow]) -> TextRows {
    let statements: BTreeMap<&str, CatalogTable> = rows
        .iter()
        .filter(|row| row.kind == "table")
        .map(|row| (row.table.as_str(), CatalogTable::read(words(&row.detail))))
        .collect();
    let line = |row: &CatalogRow| line(row, &statements);
    let checks = statements.iter().flat_map(|(name, table)| {
        checks(&table.words).map(move |check| vec![Some(format!("check {name} {check}"))])
    });
    rows.iter().map(line).chain(checks).collect()
}

fn line(row: &CatalogRow, tables: &BTreeMap<&str, CatalogTable>) -> Vec<Option<String>> {
    let CatalogRow {
        kind,
        table,
        name,
        detail,
        default,
    } = row;
    let line = match kind.as_str() {
        "table" => {
            let options = tables.get(table.as_str()).map(CatalogTable::options);
            let line = format!("table {table}{}", options.unwrap_or_default());
            return vec![Some(line), None, Some(table.clone())];
        }
        "column" => {
            let default = default
                .as_deref()
                .map(|text| format!(" default {}", without_parentheses(text)));
            let detail = detail.to_lowercase();
            let (kind, null) = match detail.strip_suffix(" not null") {
                Some(kind) => (kind, " not null"),
                None => (detail.as_str(), ""),
            };
            let clauses = tables.get(table.as_str()).map(|of| of.clauses(name));
            let rest = default.unwrap_or_default() + &clauses.unwrap_or_default();
            let values = [name, kind, &format!("{null}{rest}")].map(|value| Some(value.to_owned()));
            let line = format!("column {table}.{name}");
            return [vec![Some(line), None, Some(table.clone())], values.into()].concat();
        }
        "index" => {
            let words = words(detail);
            let unique = words.get(1).is_some_and(|word| word == "unique");
            // `CREATE INDEX name ON table (...)`: the name may be any word, the parenthesis is ours.
            let start = words.iter().position(|word| word == "(").unwrap_or(0);
            let unique = if unique { "unique " } else { "" };
            format!("index {table}.{name} {unique}{}", words[start..].join(" "))
        }
        "view" => {
            // `CREATE VIEW name (columns) AS ...`: SQLite keeps nothing else before the name.
            let words = words(detail);
            let rest = words.get(3..).unwrap_or_default();
            let rest = rest.strip_prefix(&["as".to_owned()]).unwrap_or(rest);
            format!("view {name} {}", rest.join(" "))
        }
        "trigger" => format!("trigger {table}.{name} {}", words(detail).join(" ")),
        "primary key" | "unique" => format!("{kind} {table} ({detail})"),
        _ => format!("{kind} {table} {detail}"),
    };
    vec![Some(line)]
}

/// What no pragma tells of a table, from the words of its statement.
struct CatalogTable {
    words: Vec<String>,
    /// The words of each column by its name in lower case.
    columns: BTreeMap<String, Vec<String>>,
}

impl CatalogTable {
    fn read(words: Vec<String>) -> Self {
        let mut columns = BTreeMap::new();
        let start = words.iter().position(|word| word == "(");
        let inside = start.and_then(|at| Some((at + 1, at + closing(&words[at..])?)));
        if let Some((start, end)) = inside {
            for part in parts(&words[start..end]) {
                // Columns come before constraints, one of which may begin with a word that is a column's name.
                if let Some((name, rest)) = part.split_first() {
                    columns
                        .entry(unquoted(name).to_lowercase())
                        .or_insert_with(|| rest.to_vec());
                }
            }
        }
        Self { words, columns }
    }

    /// What stands after the parenthesis, and whether the table counts its keys up for ever.
    fn options(&self) -> String {
        if let Some(at) = self.words.iter().position(|word| word == "using")
            && self.words.get(1).is_some_and(|word| word == "virtual")
        {
            return format!(" {}", self.words[at..].join(" "));
        }
        let start = self.words.iter().position(|word| word == "(");
        let end = start.and_then(|at| Some(at + closing(&self.words[at..])?));
        let after = end.map_or(&[][..], |end| &self.words[end + 1..]);
        let mut options: Vec<String> = after
            .split(|word| word == ",")
            .map(|o| o.join(" "))
            .collect();
        // After PRIMARY KEY of a column, or inside that of the table.
        let counts = self
            .words
            .windows(2)
            .any(|pair| pair[1] == "autoincrement" && !["(", ","].contains(&pair[0].as_str()));
        options.extend(counts.then(|| "autoincrement".to_owned()));
        options.retain(|option| !option.is_empty());
        options.sort();
        options.iter().map(|option| format!(" {option}")).collect()
    }

    /// The collation of a column, unless it is the usual one, and what it is generated as.
    fn clauses(&self, column: &str) -> String {
        let Some(words) = self.columns.get(&column.to_lowercase()) else {
            return String::new();
        };
        let mut clauses = String::new();
        let mut depth = 0;
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).map(String::as_str);
            match (word.as_str(), next) {
                ("collate", Some(name)) if depth == 0 => {
                    let name = unquoted(name).to_lowercase();
                    if name != "binary" {
                        clauses += &format!(" collate {name}");
                    }
                }
                ("as", Some("(")) if depth == 0 => {
                    let end = closing(&words[at + 1..]).map_or(words.len(), |end| at + 2 + end);
                    clauses += &format!(" generated as {}", words[at + 1..end].join(" "));
                    if words.get(end).is_some_and(|word| word == "stored") {
                        clauses += " stored";
                    }
                }
                _ => {}
            }
            depth += i32::from(word == "(") - i32::from(word == ")");
        }
        clauses
    }
}

/// The position of the parenthesis that closes the first word.
fn closing(words: &[String]) -> Option<usize> {
    let mut depth = 0;
    words.iter().position(|word| {
        depth += i32::from(word == "(") - i32::from(word == ")");
        depth == 0
    })
}

/// Split at the commas that are in no parenthesis.
fn parts(words: &[String]) -> impl Iterator<Item = &[String]> {
    let mut depth = 0;
    words.split(move |word| {
        depth += i32::from(word == "(") - i32::from(word == ")");
        depth == 0 && word == ","
    })
}

fn unquoted(word: &str) -> String {
    let inner = || {
        word.get(1..word.len().saturating_sub(1))
            .unwrap_or_default()
    };
    match word.chars().next() {
        Some(quote @ ('"' | '`' | '\'')) => {
            inner().replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        Some('[') => inner().to_owned(),
        _ => word.to_owned(),
    }
}

/// `(CHECK (...))` anywhere in a statement that makes a table, each with its name if it has one.
fn checks(words: &[String]) -> impl Iterator<Item = String> {
    words.iter().enumerate().filter_map(|(at, word)| {
        if word != "check" || words.get(at + 1)? != "(" {
            return None;
        }
        let end = closing(&words[at + 1..])?;
        let named = at >= 2 && words[at - 2] == "constraint";
        let name = if named {
            format!("{} ", words[at - 1])
        } else {
            String::new()
        };
        Some(format!("{name}{}", words[at + 1..=at + 1 + end].join(" ")))
    })
}

/// A default may be written with parentheses around it or without.
fn without_parentheses(text: &str) -> String {
    let all = words(text);
    let mut inner = all.as_slice();
    while let [first, rest @ .., last] = inner
        && first == "("
        && last == ")"
        && encloses(inner)
    {
        inner = rest;
    }
    inner.join(" ")
}

/// Whether the first parenthesis is closed by the last word and not before.
fn encloses(words: &[String]) -> bool {
    closing(words) == Some(words.len() - 1)
}

/// The words of a statement: names and keywords in lower case, names without needless quotes, texts
/// as they are, each other character alone. Comments are none.
fn words(sql: &str) -> Vec<String> {
    let code = Tokens::new(sql, Dialect::Sqlite)
        .map_while(Result::ok)
        .filter(Token::is_code);
    let word = |token: Token<'_>| match token.kind {
        Kind::Name if !token.inside().is_empty() && token.inside().chars().all(is_word) => {
            token.inside().to_lowercase()
        }
        Kind::Name | Kind::Text => token.text.to_owned(),
        // Schemas that are kept from before have a point as a word of its own.
        Kind::Number => token.text.replace('.', " . ").trim().to_lowercase(),
        _ => token.text.to_lowercase(),
    };
    code.map(word).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_do_not_depend_on_how_they_are_typed() {
        let one = words("CHECK (\"Status\" IN ('A''b', 'c')) -- why\n");
        assert_eq!(one, words("check([status] in/**/('A''b','c'))"));
        assert_ne!(one, words("check(status in ('a''b','c'))"));
    }

    #[test]
    fn checks_are_found_with_their_names_and_texts_are_none() {
        let sql =
            "CREATE TABLE t (a TEXT DEFAULT 'check (x)' CHECK (a > (1)), CONSTRAINT ck CHECK(a<9))";
        let found: Vec<String> = checks(&words(sql)).collect();
        assert_eq!(found, ["( a > ( 1 ) )", "ck ( a < 9 )"]);
    }

    #[test]
    fn what_no_pragma_tells_is_read_from_the_statement() {
        let read = |sql: &str| CatalogTable::read(words(sql));
        let table = read(
            "CREATE TABLE \"t\" ([My Id] INTEGER NOT NULL, b TEXT DEFAULT ('a, collate b') COLLATE \"NoCase\", \
             \"check\" TEXT COLLATE binary, c INT GENERATED ALWAYS AS (\"My Id\" * (2)) STORED, \
             CHECK (b COLLATE rtrim <> ','), PRIMARY KEY (\"My Id\" AUTOINCREMENT)) STRICT, WITHOUT ROWID",
        );
        assert_eq!(table.options(), " autoincrement strict without rowid");
        assert_eq!(table.clauses("my id"), "");
        assert_eq!(table.clauses("B"), " collate nocase");
        assert_eq!(table.clauses("check"), "");
        assert_eq!(
            table.clauses("c"),
            " generated as ( \"My Id\" * ( 2 ) ) stored"
        );
        // A column may have the name of the word.
        assert_eq!(read("CREATE TABLE t (autoincrement INT, b)").options(), "");
        assert_eq!(
            read("CREATE VIRTUAL TABLE t USING fts5(a)").options(),
            " using fts5 ( a )"
        );
    }

    #[test]
    fn a_default_is_the_same_with_parentheses_and_without() {
        assert_eq!(without_parentheses("(('x'))"), "'x'");
        assert_eq!(without_parentheses("(1) + (2)"), "( 1 ) + ( 2 )");
    }
}
