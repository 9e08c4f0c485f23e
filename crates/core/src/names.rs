//! Names in a sentence, each on one line, whatever it holds.

use super::untrusted::on_one_line;

/// How many names [`in_short`] tells one by one.
pub const TOLD: usize = 3;

/// `a, b, c`, for what follows a colon.
pub fn list(names: impl IntoIterator<Item: AsRef<str>>) -> String {
    texts(names).join(", ")
}

/// `a, b and c`, within a sentence.
pub fn and(names: impl IntoIterator<Item: AsRef<str>>) -> String {
    match &texts(names)[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// `a, b, c`, and of more than `most` the first: `a, b and 3 more`.
pub fn some(names: impl IntoIterator<Item: AsRef<str>>, most: usize) -> String {
    let names = texts(names);
    match names.split_at_checked(most) {
        Some((first, [_, ..])) => {
            format!("{} and {} more", first.join(", "), names.len() - most)
        }
        _ => names.join(", "),
    }
}

/// The rows of the version table: `a, b`, or `base` if there are none, as Alembic calls it.
pub fn heads(rows: impl IntoIterator<Item: AsRef<str>>) -> String {
    latest(rows, usize::MAX)
}

/// The same, and of more than three the last: a history of SQL files has a row for each that is applied.
pub fn in_short(rows: impl IntoIterator<Item: AsRef<str>>) -> String {
    latest(rows, TOLD)
}

/// The same, and of more than `most` the last: `d, and 3 more`. A comma, because a row may have its message with it.
pub fn latest(rows: impl IntoIterator<Item: AsRef<str>>, most: usize) -> String {
    let rows = texts(rows);
    match &rows[..] {
        [] => "base".to_owned(),
        [.., last] if rows.len() > most => format!("{last}, and {} more", rows.len() - 1),
        _ => rows.join(", "),
    }
}

fn texts(names: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
    let names = names.into_iter();
    names
        .map(|name| on_one_line(name.as_ref()).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_as_people_do() {
        for (names, in_list, in_sentence, shown, rows) in [
            (&[][..], "", "", "", "base"),
            (&["a"], "a", "a", "a", "a"),
            (&["a", "b"], "a, b", "a and b", "a, b", "a, b"),
            (
                &["a", "b", "c"],
                "a, b, c",
                "a, b and c",
                "a, b and 1 more",
                "a, b, c",
            ),
            (
                &["a", "b", "c", "d"],
                "a, b, c, d",
                "a, b, c and d",
                "a, b and 2 more",
                "d, and 3 more",
            ),
        ] {
            assert_eq!(list(names), in_list);
            assert_eq!(and(names), in_sentence);
            assert_eq!(some(names, 2), shown);
            assert_eq!(in_short(names), rows);
        }
        assert_eq!(heads(["a", "b", "c", "d"]), "a, b, c, d");
    }
}
