//! The bits of text that lines of a schema, conditions and queries are made of.

/// Reads one name from the front: quoted, with each doubled quote once, or a bare word. Gives the
/// name and what follows.
pub(super) fn name(text: &str) -> Option<(String, &str)> {
    let quote = match text.chars().next()? {
        '[' => ']',
        quote @ ('"' | '`') => quote,
        _ => {
            let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
            return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
        }
    };
    let mut content = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != quote {
            content.push(letter);
        } else if letters.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return Some((content, &text[at + quote.len_utf8()..]));
        }
    }
    None
}

/// Names with points between them, and what follows.
pub(super) fn path(text: &str) -> Option<(Vec<String>, &str)> {
    let (first, mut rest) = name(text)?;
    let mut names = vec![first];
    while let Some(after) = rest.strip_prefix('.') {
        let (next, after) = name(after)?;
        names.push(next);
        rest = after;
    }
    Some((names, rest))
}

/// The byte position of the first of several texts that stands outside of quotes and brackets.
pub(super) fn outside(text: &str, wanted: &[&str]) -> Option<usize> {
    let mut depth = 0_i32;
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) => {
                if letter == open {
                    quote = None;
                }
                continue;
            }
            None if depth == 0 && wanted.iter().any(|one| text[at..].starts_with(one)) => {
                return Some(at);
            }
            None => {}
        }
        match letter {
            '\'' | '"' | '`' => quote = Some(letter),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What stands between a bracket at the front and the one that closes it, and what follows.
pub(super) fn bracketed(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let end = outside(inner, &[")"])?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// The parts between commas that stand in no bracket.
pub(super) fn parts(mut text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some(end) = outside(text, &[","]) {
        parts.push(text[..end].trim());
        text = &text[end + 1..];
    }
    if !text.trim().is_empty() || !parts.is_empty() {
        parts.push(text.trim());
    }
    parts
}

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

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_their_quotes_off() {
        assert_eq!(
            path("public.\"a.\"\"b\".c rest"),
            Some((
                ["public", "a.\"b", "c"].map(str::to_owned).to_vec(),
                " rest"
            ))
        );
        assert_eq!(path("\"open"), None);
        assert_eq!(name(""), None);
    }

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

    #[test]
    fn brackets_and_commas_are_counted() {
        assert_eq!(bracketed("(a, f(b, ')')) x"), Some(("a, f(b, ')')", " x")));
        assert_eq!(parts("a, f(b, c), 'x,y'"), ["a", "f(b, c)", "'x,y'"]);
        assert!(parts("").is_empty());
        assert_eq!(bracketed("(never"), None);
    }
}
