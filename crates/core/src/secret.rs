//! Passwords, and how they are hidden in text that somebody else wrote.

use std::fmt::{self, Write as _};
use std::ops::Range;
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

/// The rest of a word of a shell, whose blanks are quoted or escaped. A quote that nothing closes ends it.
const VALUE: &str = r#"(?:"(?:\\.|[^"\\])*"|"[^"]*"|'[^']*'|\\ |[^\s"'])+"#;

static TEXT_RULES: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        r#"//[^\s:/@'"]*:(?<secret>[^\s'"]*)@"#.to_owned(),
        r#"(?i)[?&;][\w-]*(?:pass(?:word|wd|phrase)?|pwd|token|secret)=(?<secret>[^&;\s'"]*)"#
            .to_owned(),
        format!(r"\b(?:PGPASSWORD|MYSQL_PWD)=(?<secret>{VALUE})"),
    ]
    .map(|rule| Regex::new(&rule).expect("the rules are constants"))
});

static COMMAND_RULES: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let name =
        r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|access|auth)[-_]?key)";
    [
        format!(r"(?i)\b[\w-]*{name}[\w-]*\s*[=:]\s*(?<secret>{VALUE})"),
        format!(r"(?i)\s--?[\w-]*{name}[\w-]*\s+(?<secret>{VALUE})"),
        format!(r"(?:(?i:\b(?:bearer|basic)\s+)|\s-u\s*'?[^\s:'/]+:)(?<secret>{VALUE})"),
    ]
    .map(|rule| Regex::new(&rule).expect("the rules are constants"))
});

/// Replaces the passwords in a text by `***`:
///
/// - each of `secrets`, verbatim or as a URL, a shell, Python, JSON or an ini file writes it. It has to stand by
///   itself: the password `test` is no reason to turn `test_table` into `***_table`, and an operator needs to read
///   that name.
/// - the passwords of any URL, even of a malformed one: before the host, and in parameters such as `password=`.
/// - the values of `PGPASSWORD=` and `MYSQL_PWD=`.
///
/// A password that is hidden by one rule never keeps another rule from hiding the next.
pub fn mask<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    hide(text, secrets, TEXT_RULES.iter())
}

/// Does what [`mask`] does, and hides the values of a command line whose names tell that they are secret: `API_KEY=`,
/// `--api-key`, `Authorization: Bearer` and `-u USER:PASSWORD`. Other texts have SQL and prose of the same form.
pub fn mask_command<'a>(line: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    hide(line, secrets, TEXT_RULES.iter().chain(&*COMMAND_RULES))
}

fn hide<'a, 'r>(
    text: &str,
    secrets: impl IntoIterator<Item = &'a Secret>,
    rules: impl Iterator<Item = &'r Regex>,
) -> String {
    let secrets = secrets.into_iter();
    let mut spans: Vec<_> = secrets
        .flat_map(|secret| occurrences(text, secret))
        .collect();
    for rule in rules {
        // A known password may be a part of an unknown one, and the other way round.
        let covered = cover(text, &mut spans, |length| "*".repeat(length));
        for view in [text, &covered] {
            let found = rule.captures_iter(view);
            spans.extend(found.filter_map(|found| Some(found.name("secret")?.range())));
        }
    }
    cover(text, &mut spans, |_| "***".to_owned())
}

/// The text with each span replaced by what `sign` makes of its length in bytes; spans that touch are one.
fn cover(text: &str, spans: &mut [Range<usize>], sign: impl Fn(usize) -> String) -> String {
    spans.sort_by_key(|span| span.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    let mut spans = spans.iter().cloned().peekable();
    while let Some(mut span) = spans.next() {
        while let Some(next) = spans.next_if(|next| next.start <= span.end) {
            span.end = span.end.max(next.end);
        }
        shown.push_str(&text[end..span.start]);
        shown.push_str(&sign(span.len()));
        end = span.end;
    }
    shown.push_str(&text[end..]);
    shown
}

/// Where a password stands in a text, in any of its spellings.
fn occurrences(text: &str, secret: &Secret) -> Vec<Range<usize>> {
    let secret = secret.reveal();
    let mut spans = Vec::new();
    if secret.is_empty() {
        return spans;
    }
    // A shell joins a word of parts in different quotes.
    let pattern = secret
        .chars()
        .map(spellings)
        .collect::<Vec<_>>()
        .join(r#"["']{0,4}"#);
    let Ok(pattern) = Regex::new(&pattern) else {
        // Too long for the expression engine: then at least the plain text goes.
        let found = text.match_indices(secret);
        return found.map(|(at, found)| at..at + found.len()).collect();
    };
    let mut from = 0;
    while let Some(found) = pattern.find_at(text, from) {
        if stands_alone(text, found.start(), found.end(), secret) {
            spans.push(found.range());
        }
        // One character on, not behind the match: the next one may overlap it.
        from = found.start() + found.as_str().chars().next().map_or(1, char::len_utf8);
    }
    spans
}

/// An expression for the ways in which one character of a password is written.
fn spellings(character: char) -> String {
    let code = u32::from(character);
    let mut bytes = [0; 4];
    let mut percent = String::new();
    for byte in character.encode_utf8(&mut bytes).bytes() {
        // The percent sign is doubled in an ini file. Writing to a String cannot fail.
        let _ = write!(percent, "%{{1,2}}{byte:02X}");
    }
    let verbatim = regex::escape(&character.to_string());
    let mut ways = vec![
        format!("(?i:{percent})"),
        format!("(?i:\\\\u{code:04x}|\\\\U{code:08x})"),
    ];
    if code < 0x100 {
        ways.push(format!("(?i:\\\\x{code:02x})"));
    }
    if character == ' ' || character.is_ascii_punctuation() {
        ways.push(format!(r"\\{verbatim}"));
    }
    match character {
        ' ' => ways.push(r"\+".to_owned()),
        '%' => ways.push("%%".to_owned()),
        '\n' => ways.push(r"\\n".to_owned()),
        '\t' => ways.push(r"\\t".to_owned()),
        '\r' => ways.push(r"\\r".to_owned()),
        '\u{8}' => ways.push(r"\\b".to_owned()),
        '\u{c}' => ways.push(r"\\f".to_owned()),
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
    use proptest::prelude::*;

    use super::*;

    fn masked(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<_> = secrets.iter().copied().map(Secret::new).collect();
        mask(text, &secrets)
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
            assert_eq!(mask_command(line, None), shown.unwrap_or(line));
        }
    }

    #[test]
    fn passwords_are_masked_wherever_a_url_can_hold_them() {
        for (url, masked) in [
            ("postgresql://u:p%40ss@h:1/d", "postgresql://u:***@h:1/d"),
            ("postgresql://u:@h/d", "postgresql://u:***@h/d"),
            (
                "mysql://h/d?user=u&password=secret&x=1",
                "mysql://h/d?user=u&password=***&x=1",
            ),
            (
                "postgresql://h/d?sslpassword=s",
                "postgresql://h/d?sslpassword=***",
            ),
            (
                "from string 'pg//u:a:b/c@d@h' x@y",
                "from string 'pg//u:***@h' x@y",
            ),
            ("sqlite:////data/app.db", "sqlite:////data/app.db"),
            ("PGPASSWORD='a b' psql", "PGPASSWORD=*** psql"),
            (
                "SET password='x', pwd=lower(pwd)",
                "SET password='x', pwd=lower(pwd)",
            ),
        ] {
            assert_eq!(mask(url, None), masked);
        }
    }

    #[test]
    fn a_known_password_hides_no_unknown_one() {
        assert_eq!(masked("//u:a@h //u:b@h", &[":"]), "//u***@h //u***@h");
        assert_eq!(masked("//u:x-b c-y@h", &["b c"]), "//u:***@h");
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_known_password_is_shown(before in ".{0,8}", after in ".{0,8}") {
            let password = format!("{before}s3cret{after}");
            let percent = |sign: &str| -> String {
                let one = |byte| match byte {
                    b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
                    _ => format!("{sign}{byte:02x}"),
                };
                password.bytes().map(one).collect()
            };
            let backslash = |character: char| match character {
                character if character.is_ascii_punctuation() => format!("\\{character}"),
                character => character.to_string(),
            };
            let written = [
                password.clone(),
                percent("%"),
                percent("%%"),
                password.chars().map(backslash).collect(),
                format!("'{}'", password.replace('\'', r"'\''")),
                format!("'{}'", password.replace('\'', r#"'"'"'"#)),
                format!("'{}'", password.replace('\'', "''")),
                shlex::try_quote(&password).unwrap_or_default().into_owned(),
                serde_json::to_string(&password).unwrap(),
            ];
            let text: String = written.iter().map(|one| format!("said: {one}\n")).collect();
            let shown = masked(&text, &[&password]);
            prop_assert!(!shown.contains("s3cret"), "{text} {shown}");
        }

        #[test]
        fn no_unknown_password_of_a_url_is_shown(
            before in r#"[^\s'"&;]{0,8}"#,
            after in r#"[^\s'"&;]{0,8}"#,
            known in ".{0,3}",
        ) {
            for url in ["pg://u:{}@h/d", "pg//:{}@h", "my://h/d?password={}&x=1", "PGPASSWORD={} psql"] {
                let url = url.replace("{}", &format!("{before}s3cret{after}"));
                let shown = masked(&url, &[&known]);
                prop_assert!(!shown.contains("s3cret"), "{url:?} {shown:?}");
            }
        }

        #[test]
        fn no_unknown_password_of_a_command_is_shown(before in ".{0,8}", after in ".{0,8}") {
            let password = format!("{before}s3cret{after}");
            let word = shlex::try_quote(&password).unwrap_or_default();
            for line in ["a --password {} b", "X_TOKEN={} b", "a --api-key={}", "curl -u ada:{} b"] {
                let shown = mask_command(&line.replace("{}", &word), None);
                prop_assert!(!shown.contains("s3cret"), "{word:?} {shown:?}");
            }
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
            masked("pw=s3cret, again 's3cret'", &["s3cret"]),
            "pw=***, again '***'"
        );
        assert_eq!(masked("s3cret", &["s3cret"]), "***");
        assert_eq!(masked("s3cret s3cret", &["s3cret"]), "*** ***");
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
            assert_eq!(masked(text, &["test"]), text);
        }
        assert_eq!(masked("test_test test", &["test"]), "test_test ***");
        assert_eq!(masked("u:test@h/test_db", &["test"]), "u:***@h/test_db");
    }

    #[test]
    fn an_overlapping_occurrence_is_not_missed() {
        assert_eq!(masked("xa-a-a", &["a-a"]), "xa-***");
    }

    #[test]
    fn an_empty_password_changes_nothing() {
        assert_eq!(masked("as it was", &[""]), "as it was");
        assert_eq!(masked("", &["x"]), "");
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
            r#"p@s\ s/\'\"\\ü%"#.to_owned(),
            r#"p@s s/'\''"\ü%"#.to_owned(),
            "p%%40s+s/%%27%%22%%5c%%c3%%bc%%25".to_owned(),
        ] {
            assert_eq!(
                masked(&format!("({written})"), &[password]),
                "(***)",
                "{written}"
            );
        }
        assert_eq!(masked("a%%b", &["a%b"]), "***");
    }

    #[test]
    fn the_end_of_an_escape_before_it_is_no_letter_of_the_text() {
        assert_eq!(masked("PWD%3Ds3cret%3B", &["s3cret"]), "PWD%3D***%3B");
        assert_eq!(masked(r"'\ns3cret\n'", &["s3cret"]), r"'\n***\n'");
        assert_eq!(
            masked("\u{1b}[31ms3cret\u{1b}[0m", &["s3cret"]),
            "\u{1b}[31m***\u{1b}[0m"
        );
    }

    #[test]
    fn a_password_between_its_own_punctuation_needs_no_other() {
        assert_eq!(masked("x!pw!y", &["!pw!"]), "x***y");
    }

    #[test]
    fn the_longer_of_two_is_replaced_first() {
        assert_eq!(masked("a-b a", &["a", "a-b"]), "*** ***");
    }
}
