//! Files of other tools: sections for both ways, under the marks of dbmate, goose and sql-migrate. The formats of which
//! only the name is known are refused, because what takes a migration down would otherwise count as part of it.

use super::Malformed;
use super::block::{line_end, line_start, lines};
use rollback_sql::tokens::Token;

/// What one section of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// The two sections of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sections<'a> {
    /// What goes up.
    pub(super) up: &'a str,
    /// What takes it down, and the line that it begins at; `None` if there is nothing.
    pub(super) down: Option<(&'a str, usize)>,
    /// The line of the first mark.
    pub(super) line: usize,
}

/// The words of a comment: `-- migrate:up transaction:false` has two.
fn words(comment: &str) -> Vec<String> {
    comment
        .trim_start_matches(['-', '#'])
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect()
}

fn way(comment: &str) -> Option<Way> {
    let words = words(comment);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["migrate:up", ..] | ["+goose" | "+migrate", "up", ..] => Some(Way::Up),
        ["migrate:down", ..] | ["+goose" | "+migrate", "down", ..] => Some(Way::Down),
        _ => None,
    }
}

/// The tool whose format a comment belongs to, if files of that format cannot be read.
fn unread_format(comment: &str) -> Option<&'static str> {
    let words = words(comment);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["+goose", "envsub", "on"] => {
            Some("goose puts environment variables into this file (ENVSUB)")
        }
        ["up" | "down", "migration"] => Some("these are sections of node-pg-migrate"),
        ["liquibase", "formatted", "sql", ..] => Some("this is SQL in Liquibase's format"),
        _ => None,
    }
}

/// Whether a text has a line that looks like the mark of a section that takes it down. Cheap, and says nothing more.
pub(super) fn has_way_down(text: &str) -> bool {
    lines(text)
        .map(str::trim)
        .any(|line| line.starts_with("--") && way(line) == Some(Way::Down))
}

/// The sections of a text, by its comments that have a line of their own; `None` if there are none.
pub(super) fn sections<'a>(
    file: &str,
    text: &'a str,
    comments: &[Token<'a>],
) -> Result<Option<Sections<'a>>, Malformed> {
    let malformed = |line: usize, reason: String| Malformed {
        file: file.to_owned(),
        line,
        reason,
    };
    if let Some((comment, why)) = comments
        .iter()
        .find_map(|comment| Some((comment, unread_format(comment.text)?)))
    {
        let reason = format!(
            "{why}, which cannot be read: put the rollback between -- ROLLBACK START and -- ROLLBACK END"
        );
        return Err(malformed(comment.line, reason));
    }
    let marks: Vec<(&Token<'a>, Way)> = comments
        .iter()
        .filter_map(|comment| Some((comment, way(comment.text)?)))
        .collect();
    let Some((first, _)) = marks.first() else {
        return Ok(None);
    };
    let (mut up, mut down) = (None, None);
    for (at, (mark, way)) in marks.iter().enumerate() {
        let begins = line_end(text, mark.at);
        let ends = marks
            .get(at + 1)
            .map_or(text.len(), |(next, _)| line_start(text, next.at));
        let section = (text.get(begins..ends).unwrap_or_default(), mark.line + 1);
        let slot = if *way == Way::Up { &mut up } else { &mut down };
        if slot.replace(section).is_some() {
            let word = if *way == Way::Up { "up" } else { "down" };
            return Err(malformed(
                mark.line,
                format!("a second section \"{word}\" begins here"),
            ));
        }
    }
    let Some((up, _)) = up else {
        let reason = "there is no section \"up\" beside this one";
        return Err(malformed(first.line, reason.to_owned()));
    };
    let before = text.get(..line_start(text, first.at)).unwrap_or_default();
    let is_sql = |line: &str| {
        let line = line.trim_start_matches('\u{feff}').trim();
        !line.is_empty() && !line.starts_with("--")
    };
    if let Some(at) = lines(before).position(is_sql) {
        let reason = "this stands before the first section, and belongs to none";
        return Err(malformed(at + 1, reason.to_owned()));
    }
    Ok(Some(Sections {
        up,
        down,
        line: first.line,
    }))
}
