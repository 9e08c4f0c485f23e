//! A log as the program wrote it: without colours, and without what others put before each line.

use std::sync::LazyLock;

use regex::Regex;

use super::start::pattern;

/// A line that is longer says nothing more to a person.
const LONGEST: usize = 4000;

static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]|\u{9b}[0-9;?]*[@-~]",
    )
});

/// What docker compose, kubectl, CI runners and syslog put before a line, and the bar of our own account.
/// Not more than one space goes: what is indented has to stay so.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:",
        // `gh run view --log` has job and step before the time.
        r"(?:[^\t]{1,100}\t[^\t]{1,100}\t\u{feff}?)?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d| [A-Z]{3,4})?[ \t]?",
        // Go's `log`.
        r"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? ",
        // Heroku and Fly.
        r"|(?:app|heroku)\[[\w.-]+\](?:: | [a-z]{3} \[\w+\] ?)",
        r"|\[\d{4}-\d\d-\d\d[^\]]*\] ?",
        r"|\[pod/[^\]]+\] ?",
        r"|[A-Za-z0-9][\w.-]* *\| ?",
        r"| {0,4}\| ",
        r"| {0,4}\|$",
        r"|##\[[a-z]+\]",
        r"|(?:stdout|stderr) [FP] ",
        r"|\d\d[OE][ +]",
        r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w./@-]+(?:\[\d+\])?: ",
        r"|\[\d+\] ",
        r")",
    ))
});

/// The lines of a text, ready to be read.
pub(super) fn clean(text: &str) -> Vec<String> {
    text.lines().map(line).collect()
}

fn line(raw: &str) -> String {
    // A bar of progress draws over itself.
    let raw = raw.trim_start_matches('\u{feff}').trim_end_matches('\r');
    let raw = raw.rsplit('\r').next().unwrap_or_default();
    let plain = if raw.contains(['\u{1b}', '\u{9b}']) {
        ESCAPES.replace_all(raw, "").into_owned()
    } else {
        raw.to_owned()
    };
    let mut rest = plain.as_str();
    for _ in 0..4 {
        match PREFIX.find(rest) {
            Some(found) => rest = &rest[found.end()..],
            None => break,
        }
    }
    rest.chars()
        .filter(|character| !character.is_control() || *character == '\t')
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_put_before_a_line_goes_and_the_indentation_stays() {
        for raw in [
            "  File \"a\", line 1",
            "web-1  |   File \"a\", line 1",
            "2026-11-21T09:09:15.1234567Z   File \"a\", line 1",
            "2026-11-21T09:09:15.123Z 01E   File \"a\", line 1",
            "2026-11-21T09:09:15.123456789Z stderr F   File \"a\", line 1",
            "\u{1b}[36mapi_1 |\u{1b}[0m   File \"a\", line 1\u{1b}[0m",
            "  |   File \"a\", line 1",
            "Nov 21 09:09:15 host app[12]:   File \"a\", line 1\r",
            " 10%\r100%\r  File \"a\", line 1",
            "\u{feff}  File \"a\", line 1",
            "deploy\tRun migrations\t2026-11-21T09:09:15.1234567Z   File \"a\", line 1",
            "2024/05/01 10:00:00   File \"a\", line 1",
            "2026-11-21T09:09:15.123456+00:00 app[release.1]:   File \"a\", line 1",
            "2026-11-21T09:09:15Z app[17819ee] fra [info]   File \"a\", line 1",
            "[pod/api-7d9/api]   File \"a\", line 1",
        ] {
            assert_eq!(line(raw), "  File \"a\", line 1", "{raw:?}");
        }
    }

    #[test]
    fn nothing_comes_through_that_could_move_a_cursor() {
        assert_eq!(line("a\u{1b}]0;title\u{7}b\u{8}\u{0}c\u{1b}[2Jd"), "abcd");
    }
}
