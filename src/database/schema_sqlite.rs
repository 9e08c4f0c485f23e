//! The schema of SQLite in one query, and what only the text of a statement tells.
//!
//! SQLite keeps statements as they were typed. A batch migration types the whole table again, so
//! words are compared and not characters: their case, quotes that are not needed, white space and
//! comments do not count.

use crate::domain::report::Schema;

/// Kind, table, name, and what is said of it. Virtual tables are named only: their columns need a
/// module that we may not have.
pub(super) const SCHEMA: &str = r#"
    WITH own AS (
        SELECT type, name, tbl_name, sql FROM sqlite_master
        WHERE type <> 'table' OR name NOT LIKE 'sqlite\_%' ESCAPE '\'
    ), real AS (
        SELECT name FROM own WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
    )
    SELECT type, tbl_name, name, sql, NULL FROM own WHERE sql IS NOT NULL
    UNION ALL
    SELECT 'column', real.name, c.name, c.type || CASE WHEN c."notnull" THEN ' not null' ELSE '' END
        || CASE WHEN c.hidden IN (2, 3) THEN ' generated' ELSE '' END, c.dflt_value
    FROM real, pragma_table_xinfo(real.name) c
    UNION ALL
    SELECT 'primary key', name, NULL, group_concat(part, ', '), NULL FROM (
        SELECT real.name AS name, c.name AS part FROM real, pragma_table_xinfo(real.name) c
        WHERE c.pk > 0 ORDER BY real.name, c.pk) GROUP BY name
    UNION ALL
    SELECT 'unique', owner, NULL, group_concat(part, ', '), NULL FROM (
        SELECT real.name AS owner, l.name AS name, i.name AS part
        FROM real, pragma_index_list(real.name) l, pragma_index_info(l.name) i
        WHERE l.origin = 'u' ORDER BY real.name, l.name, i.seqno) GROUP BY owner, name
    UNION ALL
    SELECT 'foreign key', owner, NULL, '(' || group_concat(part, ', ') || ') to ' || parent
        || coalesce(' (' || group_concat(key, ', ') || ')', '')
        || CASE on_delete WHEN 'NO ACTION' THEN '' ELSE ' on delete ' || lower(on_delete) END
        || CASE on_update WHEN 'NO ACTION' THEN '' ELSE ' on update ' || lower(on_update) END, NULL
    FROM (SELECT real.name AS owner, k.id AS id, k."table" AS parent, k."from" AS part, k."to" AS key,
            k.on_delete, k.on_update
        FROM real, pragma_foreign_key_list(real.name) k ORDER BY real.name, k.id, k.seq)
    GROUP BY owner, id"#;

/// The lines of one row of [`SCHEMA`].
pub(super) fn lines(
    kind: &str,
    table: &str,
    name: &str,
    detail: &str,
    default: Option<&str>,
) -> Schema {
    let line = match kind {
        "table" => {
            let words = words(detail);
            let mut lines: Schema = checks(&words)
                .map(|check| format!("check {table} {check}"))
                .collect();
            lines.insert(format!("table {table}"));
            return lines;
        }
        "column" => {
            let default = default.map(|text| format!(" default {}", without_parentheses(text)));
            let detail = detail.to_lowercase();
            format!(
                "column {table}.{name} {detail}{}",
                default.unwrap_or_default()
            )
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
            let words = words(detail);
            let start = words
                .iter()
                .position(|word| word == "as")
                .map_or(0, |at| at + 1);
            format!("view {name} {}", words[start..].join(" "))
        }
        "trigger" => format!("trigger {table}.{name} {}", words(detail).join(" ")),
        "primary key" | "unique" => format!("{kind} {table} ({detail})"),
        _ => format!("{kind} {table} {detail}"),
    };
    [line].into()
}

/// `(CHECK (...))` anywhere in a statement that makes a table, each with its name if it has one.
fn checks(words: &[String]) -> impl Iterator<Item = String> {
    words.iter().enumerate().filter_map(|(at, word)| {
        if word != "check" || words.get(at + 1)? != "(" {
            return None;
        }
        let mut depth = 0;
        let end = words[at + 1..].iter().position(|word| {
            depth += i32::from(word == "(") - i32::from(word == ")");
            depth == 0
        })?;
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
    let mut depth = 0;
    let closed = words.iter().position(|word| {
        depth += i32::from(word == "(") - i32::from(word == ")");
        depth == 0
    });
    closed == Some(words.len() - 1)
}

/// The words of a statement: names and keywords in lower case, names without needless quotes, texts
/// as they are, each other character alone. Comments are none.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if first.is_whitespace() => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            '-' if rest.starts_with("--") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.split_once("*/").map_or("", |(_, after)| after);
                continue;
            }
            '\'' | '"' | '`' => quoted_length(rest, first),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        let inner = word
            .get(1..word.len().saturating_sub(1))
            .unwrap_or_default();
        let bare = !inner.is_empty() && inner.chars().all(is_word);
        words.push(match first {
            '"' | '`' | '[' if bare => inner.to_lowercase(),
            '\'' | '"' | '`' | '[' => word.to_owned(),
            _ => word.to_lowercase(),
        });
    }
    words
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// Up to the quote that closes; a doubled one does not.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
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
    fn a_default_is_the_same_with_parentheses_and_without() {
        assert_eq!(without_parentheses("(('x'))"), "'x'");
        assert_eq!(without_parentheses("(1) + (2)"), "( 1 ) + ( 2 )");
    }
}
