//! Text as a literal of SQL, one function per server, whatever the text holds.
//!
//! The texts are SQL of the project's own and names of files, so that everything occurs in them. Nothing is
//! bound: a pooler may not carry prepared statements, and the simple protocol has none.

use rollback_core::dialect::Dialect;

/// What stands for a NUL, which PostgreSQL and SQLite have no text with. Where the text itself counts it is
/// refused before, by [`has_nul`].
const NO_NUL: &str = "\u{fffd}";

/// Whether a text cannot be kept as it is.
pub fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// A text as a literal.
pub fn literal(dialect: Dialect, text: &str) -> String {
    let text = text.replace('\0', NO_NUL);
    match dialect {
        Dialect::Postgres => postgres(&text),
        Dialect::MySql => mysql(&text),
        Dialect::Sqlite => sqlite(&text),
    }
}

/// The same, and `NULL` for none.
pub fn optional(dialect: Dialect, text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| literal(dialect, text))
}

/// Between quotes only `'` means anything, and a backslash where `standard_conforming_strings` is off. With `E`
/// before it a backslash means something in any case, so that the setting does not matter.
fn postgres(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// In hexadecimal, because what a backslash and a double quote mean there is a matter of the `sql_mode`. With the
/// character set before it, it is text and takes the collation of the column that it is compared with.
fn mysql(text: &str) -> String {
    format!("_utf8mb4 X'{}'", hex::encode(text))
}

/// Only `'` means anything between quotes, under every setting.
fn sqlite(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an identifier, whatever it holds.
pub fn identifier(dialect: Dialect, name: &str) -> String {
    let quote = match dialect {
        Dialect::MySql => "`",
        Dialect::Postgres | Dialect::Sqlite => "\"",
    };
    format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns red if a text could end its literal. That the servers read them so is shown on the servers.
    #[test]
    fn no_text_leaves_its_literal() {
        for (text, postgres, mysql, sqlite) in [
            ("", "''", "_utf8mb4 X''", "''"),
            ("a'b", "'a''b'", "_utf8mb4 X'612762'", "'a''b'"),
            ("\\'", r"E'\\'''", "_utf8mb4 X'5c27'", r"'\'''"),
            ("$$é", "'$$é'", "_utf8mb4 X'2424c3a9'", "'$$é'"),
            ("\0", "'\u{fffd}'", "_utf8mb4 X'efbfbd'", "'\u{fffd}'"),
        ] {
            assert_eq!(literal(Dialect::Postgres, text), postgres);
            assert_eq!(literal(Dialect::MySql, text), mysql);
            assert_eq!(literal(Dialect::Sqlite, text), sqlite);
        }
        assert_eq!(identifier(Dialect::Postgres, "a\"b"), "\"a\"\"b\"");
        assert_eq!(identifier(Dialect::MySql, "a`b"), "`a``b`");
        assert_eq!(optional(Dialect::Sqlite, None), "NULL");
    }
}
