//! SQL that comes from a schema or a migration and is put into a question of our own.
//!
//! It is let through only where it can do nothing but compute: one statement stays one, and no
//! function is called that is not known to be harmless.

/// A default that is a constant, to be compared with; `None` for NULL, for calls and for what a server
/// tells without quotes.
pub(super) fn constant(default: &str) -> Option<&str> {
    let mut text = default.trim();
    while let Some(inner) = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        text = inner.trim();
    }
    // PostgreSQL: `'x'::character varying`, `'{}'::jsonb`.
    let (value, kind) = match text.rfind("::") {
        Some(at) if !text[at..].contains('\'') => (&text[..at], &text[at + 2..]),
        _ => (text, ""),
    };
    let is_kind = kind
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || " _(),.[]\"".contains(c));
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite)
        && value.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    let is_word = ["true", "false"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value));
    (is_kind && (is_number || is_word || is_quoted(value))).then_some(text)
}

/// One text in single quotes, nothing after it.
fn is_quoted(value: &str) -> bool {
    let inner = value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    // A backslash escapes on one server and not on the other.
    inner.is_some_and(|inner| !inner.replace("''", "").contains(['\'', '\\']))
}

/// What may stand before a parenthesis in a condition.
const HARMLESS: [&str; 22] = [
    "abs",
    "and",
    "any",
    "array",
    "between",
    "case",
    "cast",
    "ceil",
    "char_length",
    "coalesce",
    "floor",
    "in",
    "json_valid",
    "length",
    "like",
    "lower",
    "not",
    "nullif",
    "or",
    "round",
    "trim",
    "upper",
];

/// A condition of a check that can be put into a question as it is.
pub(super) fn condition(text: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let mut word = String::new();
    let mut previous = ' ';
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            // Texts and names in quotes; a doubled quote opens the next one.
            '\'' | '"' | '`' => {
                if word.chars().any(char::is_alphanumeric) && previous != ' ' {
                    // `E'...'`, `x'...'`: other rules inside.
                    return None;
                }
                loop {
                    match rest.next()? {
                        '\\' => return None,
                        inner if inner == character => break,
                        _ => {}
                    }
                }
                word.clear();
                if character != '\'' {
                    // A name in quotes may be that of any function.
                    word.push(character);
                }
            }
            ';' | '#' | '\\' | '$' | '@' | '{' | '?' => return None,
            '-' if previous == '-' => return None,
            '*' if previous == '/' => return None,
            '(' => {
                if !word.is_empty() && !HARMLESS.contains(&word.to_lowercase().as_str()) {
                    return None;
                }
                word.clear();
                depth += 1;
            }
            ')' => {
                depth -= 1;
                word.clear();
            }
            _ if character.is_whitespace() => {}
            _ if character.is_alphanumeric() || character == '_' => {
                if !(previous.is_alphanumeric() || previous == '_') {
                    word.clear();
                }
                word.push(character);
                if ["select", "into", "outfile"].contains(&word.to_lowercase().as_str()) {
                    return None;
                }
            }
            _ => word.clear(),
        }
        if depth < 0 {
            return None;
        }
        previous = if character.is_whitespace() {
            ' '
        } else {
            character
        };
    }
    let text = text.trim();
    (depth == 0 && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_constants_are_compared_with() {
        for text in [
            "0",
            "-1.5",
            "'x'",
            "'it''s'",
            "true",
            "'x'::character varying",
            "'{}'::jsonb",
            "1::numeric(10,2)",
        ] {
            assert_eq!(constant(text), Some(text));
        }
        assert_eq!(constant("((1))"), Some("1"));
        for text in [
            "now()",
            "NULL",
            "NULL::text",
            "nextval('s'::regclass)",
            "'a' || 'b'",
            "'a'; drop table t; --'",
            "abc",
            "'a\\'",
            "inf",
            "",
            "'",
        ] {
            assert_eq!(constant(text), None, "{text}");
        }
    }

    #[test]
    fn a_condition_can_only_compute() {
        for text in [
            "age > 0",
            "status IN ('a', 'it''s; --')",
            "(a >= 1) AND (length(b) < 5 OR \"c d\" IS NULL)",
            "(status)::text = ANY (ARRAY['a'::text])",
        ] {
            assert_eq!(condition(text), Some(text));
        }
        for text in [
            "1) OR (1",
            "a > 0; COMMIT; DROP TABLE t",
            "a > 0 --",
            "a /* */ > 0",
            "pg_sleep(9) IS NULL",
            "pg_sleep (9) IS NULL",
            "\"pg_sleep\"(9) IS NULL",
            "a IN (SELECT 1)",
            "a = 'x\\' OR 1 --'",
            "a = E'x'",
            "a = $$x$$",
            "a = 'x",
            "",
        ] {
            assert_eq!(condition(text), None, "{text}");
        }
    }
}
