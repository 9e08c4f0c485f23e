//! Text that must not be shown.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use regex::Regex;

/// A password. `Debug` and `Display` print `***`, so that no format string can leak it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password as it is sent to the server, without any escaping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself, for the driver only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Replaces every occurrence of the secrets in somebody else's text by `***`.
///
/// An occurrence may be verbatim, percent-encoded as in a URL, or escaped as in a Python or JSON
/// string, and it has to stand by itself: the password `test` is no reason to turn `test_table` into
/// `***_table`, and an operator needs to read that name.
pub fn redact(text: &str, secrets: &[&Secret]) -> String {
    // The longest first: one password may contain another.
    let mut secrets: Vec<_> = secrets
        .iter()
        .filter(|secret| !secret.0.is_empty())
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
    let mut text = text.to_owned();
    for secret in secrets {
        let Ok(pattern) = Regex::new(&secret.0.chars().map(spellings).collect::<String>()) else {
            // Too long for the expression engine: then at least the plain text goes.
            text = text.replace(&secret.0, "***");
            continue;
        };
        let mut shown = String::with_capacity(text.len());
        let mut copied = 0;
        let mut from = 0;
        while let Some(found) = pattern.find_at(&text, from) {
            if stands_alone(&text, found.start(), found.end(), &secret.0) {
                shown.push_str(&text[copied..found.start()]);
                shown.push_str("***");
                copied = found.end();
                from = found.end();
            } else {
                // One character on, not behind the match: the next one may overlap it.
                from = found.start() + found.as_str().chars().next().map_or(1, char::len_utf8);
            }
        }
        shown.push_str(&text[copied..]);
        text = shown;
    }
    text
}

/// Replaces what looks like a secret in a command line by `***`: the value behind a name such as `PGPASSWORD=`,
/// `--api-key` or `Authorization: Bearer`, and the password of `-u USER:PASSWORD`.
pub fn redact_command(line: &str) -> String {
    static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
        // A value in quotes may hold blanks.
        let value = r#"(?:"[^"]*"|'[^']*'|[^\s"']+)+"#;
        let name = r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|access|auth)[-_]?key)";
        [
            format!(r"(?i)\b([\w-]*{name}[\w-]*\s*[=:]\s*){value}"),
            format!(r"(?i)(\s--?[\w-]*{name}[\w-]*\s+){value}"),
            format!(r"((?i:\b(?:bearer|basic)\s+)|\s-u\s*'?[^\s:'/]+:){value}"),
        ]
        .map(|pattern| Regex::new(&pattern).expect("the patterns are constants"))
    });
    PATTERNS.iter().fold(line.to_owned(), |line, pattern| {
        pattern.replace_all(&line, "${1}***").into_owned()
    })
}

/// An expression for the ways in which one character of a password is written.
fn spellings(character: char) -> String {
    let code = u32::from(character);
    let mut bytes = [0; 4];
    let mut percent = String::new();
    for byte in character.encode_utf8(&mut bytes).bytes() {
        // Writing to a String cannot fail.
        let _ = write!(percent, "%{byte:02X}");
    }
    let verbatim = regex::escape(&character.to_string());
    let mut ways = vec![
        format!("(?i:{percent})"),
        format!("(?i:\\\\u{code:04x}|\\\\U{code:08x})"),
    ];
    if code < 0x100 {
        ways.push(format!("(?i:\\\\x{code:02x})"));
    }
    match character {
        ' ' => ways.push(r"\+".to_owned()),
        // The percent sign is doubled in an ini file.
        '%' => ways.push("%%".to_owned()),
        '\n' => ways.push(r"\\n".to_owned()),
        '\t' => ways.push(r"\\t".to_owned()),
        '\\' => ways.push(r"\\\\".to_owned()),
        '\'' | '"' | '/' => ways.push(format!(r"\\{verbatim}")),
        _ => {}
    }
    ways.push(verbatim);
    format!("(?:{})", ways.join("|"))
}

/// Where a password starts with a letter, the character before it must be no letter, and so at its
/// end. The last letter of an escape (`%3A`, `\n`, a colour) is not a letter of the text.
fn stands_alone(text: &str, start: usize, end: usize, secret: &str) -> bool {
    static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:%[0-9A-Fa-f]{2}|\\[abfnrtv]|\x1b\[[0-9;]*[A-Za-z])\z")
            .expect("the pattern is a constant")
    });
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let line_start = text[..start].rfind('\n').map_or(0, |index| index + 1);
    let before = &text[line_start..start];
    let free_before =
        !secret.starts_with(is_word) || !before.ends_with(is_word) || ESCAPE.is_match(before);
    let free_after = !secret.ends_with(is_word) || !text[end..].starts_with(is_word);
    free_before && free_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<_> = secrets.iter().copied().map(Secret::new).collect();
        redact(text, &secrets.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_keeps_its_words_and_loses_its_secrets() {
        for (line, shown) in [
            (
                "sh -c 'alembic upgrade head && ./deploy --env production'",
                None,
            ),
            ("PGPASSWORD=hunter2 psql", Some("PGPASSWORD=*** psql")),
            (
                "sh -c 'export PGPASSWORD=hunter2; alembic upgrade head'",
                Some("sh -c 'export PGPASSWORD=*** alembic upgrade head'"),
            ),
            (
                "deploy --password hunter2 --to blue",
                Some("deploy --password *** --to blue"),
            ),
            (
                "deploy --db-password='two words' -v",
                Some("deploy --db-password=*** -v"),
            ),
            ("deploy --api-key=abc", Some("deploy --api-key=***")),
            (
                r#"curl -H "Authorization: Bearer ey.J.x" https://app"#,
                Some(r#"curl -H "Authorization: Bearer ***" https://app"#),
            ),
            (
                "curl -u ada:hunter2 https://app",
                Some("curl -u ada:*** https://app"),
            ),
            (
                "supabase db push --token-file t",
                Some("supabase db push --token-file ***"),
            ),
        ] {
            assert_eq!(redact_command(line), shown.unwrap_or(line));
        }
    }

    #[test]
    fn neither_format_shows_it() {
        let secret = Secret::new("s3cret");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn every_occurrence_goes() {
        assert_eq!(
            redacted("pw=s3cret, again 's3cret'", &["s3cret"]),
            "pw=***, again '***'"
        );
        assert_eq!(redacted("s3cret", &["s3cret"]), "***");
        assert_eq!(redacted("s3cret s3cret", &["s3cret"]), "*** ***");
    }

    #[test]
    fn a_part_of_a_word_stays() {
        for text in [
            "drop table test_table",
            "mytest",
            "tests",
            "test1",
            "la_test",
        ] {
            assert_eq!(redacted(text, &["test"]), text);
        }
        assert_eq!(redacted("test_test test", &["test"]), "test_test ***");
        assert_eq!(redacted("u:test@h/test_db", &["test"]), "u:***@h/test_db");
    }

    #[test]
    fn an_overlapping_occurrence_is_not_missed() {
        assert_eq!(redacted("xa-a-a", &["a-a"]), "xa-***");
    }

    #[test]
    fn an_empty_password_changes_nothing() {
        assert_eq!(redacted("as it was", &[""]), "as it was");
        assert_eq!(redacted("", &["x"]), "");
    }

    #[test]
    fn escaped_forms_go_too() {
        let password = "p@s s/'\"\\ü%";
        for written in [
            password.to_owned(),
            "p%40s%20s%2F%27%22%5C%C3%BC%25".to_owned(),
            "p%40s+s/%27%22%5c%c3%bc%25".to_owned(),
            r#"p@s s/\'"\\ü%"#.to_owned(),
            r#"p@s s/'\"\\\u00fc%"#.to_owned(),
            r#"p@s s\/'\"\\\xfc%"#.to_owned(),
            "p%%40s+s/%%27%%22%%5c%%c3%%bc%%25".replace("%%", "%"),
        ] {
            assert_eq!(
                redacted(&format!("({written})"), &[password]),
                "(***)",
                "{written}"
            );
        }
        assert_eq!(redacted("a%%b", &["a%b"]), "***");
    }

    #[test]
    fn the_end_of_an_escape_before_it_is_no_letter_of_the_text() {
        assert_eq!(redacted("PWD%3Ds3cret%3B", &["s3cret"]), "PWD%3D***%3B");
        assert_eq!(redacted(r"'\ns3cret\n'", &["s3cret"]), r"'\n***\n'");
        assert_eq!(
            redacted("\u{1b}[31ms3cret\u{1b}[0m", &["s3cret"]),
            "\u{1b}[31m***\u{1b}[0m"
        );
    }

    #[test]
    fn a_password_between_its_own_punctuation_needs_no_other() {
        assert_eq!(redacted("x!pw!y", &["!pw!"]), "x***y");
    }

    #[test]
    fn the_longer_of_two_is_replaced_first() {
        assert_eq!(redacted("a-b a", &["a", "a-b"]), "*** ***");
    }
}
