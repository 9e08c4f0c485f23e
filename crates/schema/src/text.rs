//! Names in conditions and queries.

/// Whether a name stands in a text of SQL as a word of its own and not in a literal. Servers differ in
/// which case they keep, so that case does not count.
pub(super) fn mentions(text: &str, wanted: &str) -> bool {
    words(text).any(|(_, word)| word.eq_ignore_ascii_case(wanted))
}

/// Whether a query reads a table for certain: its name stands right behind FROM or JOIN.
pub(super) fn reads(query: &str, table: &str) -> bool {
    sources(query)
        .iter()
        .any(|source| source.eq_ignore_ascii_case(table))
}

/// The names right behind FROM or JOIN.
pub(super) fn sources(query: &str) -> Vec<&str> {
    let all: Vec<&str> = words(query).map(|(_, word)| word).collect();
    let starts = |word: &str| {
        ["from", "join"]
            .iter()
            .any(|one| one.eq_ignore_ascii_case(word))
    };
    all.windows(2)
        .filter(|pair| starts(pair[0]) && !pair[1].eq_ignore_ascii_case("select"))
        .map(|pair| pair[1])
        .collect()
}

/// The text with a name replaced wherever [`mentions`] would find it.
pub(super) fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut result = String::new();
    let mut done = 0;
    for (at, word) in words(text) {
        if word.eq_ignore_ascii_case(from) {
            result += &text[done..at];
            result += to;
            done = at + word.len();
        }
    }
    result + &text[done..]
}

/// Words and quoted names, without their quotes, each with its position. Literals are none.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let left = text.get(rest..)?;
            let first = left.chars().next()?;
            if matches!(first, '\'' | '"' | '`') {
                let start = rest + 1;
                let length = text.get(start..)?.find(first).unwrap_or(left.len() - 1);
                rest = start + length + 1;
                if first == '\'' {
                    continue;
                }
                return text.get(start..start + length).map(|word| (start, word));
            }
            if is_word(first) {
                let length = left.find(|c| !is_word(c)).unwrap_or(left.len());
                let start = rest;
                rest += length;
                return Some((start, &left[..length]));
            }
            rest += first.len_utf8();
        }
    })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_literal_or_in_another_name_is_no_mention() {
        assert!(mentions("SELECT a.id FROM \"users\" u", "users"));
        assert!(!mentions("SELECT 'users' FROM users_old", "users"));
        assert!(reads("select * from `users`", "users"));
        assert!(!reads("select users from t", "users"));
        assert_eq!(
            renamed("(a > 'a' AND ab < a)", "a", "z"),
            "(z > 'a' AND ab < z)"
        );
    }
}
