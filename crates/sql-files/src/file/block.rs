//! The block between the marks, and the two ways to write it.

use super::Malformed;
use rollback_core::dialect::Dialect;
use rollback_sql::script::ScriptError;
use rollback_sql::tokens::{Kind, Token, Tokens};

/// A file, taken apart at its marks.
#[derive(Debug)]
pub(super) struct BlockParts<'a> {
    /// What stands before the block.
    pub(super) before: &'a str,
    /// The block.
    pub(super) block: Option<Block<'a>>,
    /// What stands behind it.
    pub(super) after: &'a str,
    /// The comments of the file that have a line of their own and are not in the block.
    pub(super) comments: Vec<Token<'a>>,
}

/// What stands between the marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    /// The line of the mark that begins it.
    pub(super) first: &'a str,
    /// Between the marks.
    pub(super) text: &'a str,
    /// The line of the mark that ends it.
    pub(super) last: &'a str,
    /// The number of the first line.
    pub(super) line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Start,
    End,
}

/// Whether a comment is a mark, in whatever case and with whatever space.
fn mark(comment: &str) -> Option<Mark> {
    let mut words = comment.strip_prefix("--")?.split_whitespace();
    if !words.next()?.eq_ignore_ascii_case("ROLLBACK") {
        return None;
    }
    let word = words.next()?;
    if words.next().is_some() {
        return None;
    }
    if word.eq_ignore_ascii_case("START") {
        Some(Mark::Start)
    } else {
        word.eq_ignore_ascii_case("END").then_some(Mark::End)
    }
}

/// Whether a comment is one of the two marks.
pub(super) fn is_mark(comment: &str) -> bool {
    mark(comment).is_some()
}

/// Takes a file apart.
pub(super) fn parts<'a>(
    file: &str,
    text: &'a str,
    dialect: Dialect,
) -> Result<BlockParts<'a>, Malformed> {
    let malformed = |line: usize, reason: &str| Malformed {
        file: file.to_owned(),
        line,
        reason: reason.to_owned(),
    };
    let mut comments = Vec::new();
    // The marks that stand on a line of their own.
    let mut start: Option<Token<'a>> = None;
    let mut end: Option<Token<'a>> = None;
    let mut alone = true;
    for token in Tokens::of_file(text, dialect) {
        let token = match token {
            Ok(token) => token,
            Err(ScriptError { line, reason }) => return Err(malformed(line, &reason)),
        };
        let own_line = alone && token.kind == Kind::LineComment;
        if token.text.contains(['\n', '\r']) {
            // What follows a string of several lines stands behind it.
            alone = matches!(token.kind, Kind::Space | Kind::Data);
        } else if token.kind != Kind::Space {
            alone = false;
        }
        if !own_line {
            continue;
        }
        match (mark(token.text), start, end) {
            (Some(Mark::Start), None, _) => start = Some(token),
            (Some(Mark::Start), Some(_), None) => {
                return Err(malformed(token.line, "a block begins here in another one"));
            }
            (Some(Mark::Start), Some(_), Some(_)) => {
                return Err(malformed(token.line, "a second block begins here"));
            }
            (Some(Mark::End), Some(_), None) => end = Some(token),
            (Some(Mark::End), _, _) => {
                return Err(malformed(
                    token.line,
                    "a block ends here that did not begin",
                ));
            }
            (None, Some(_), None) => {}
            (None, _, _) => comments.push(token),
        }
    }
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => {
            return Err(malformed(
                start.line,
                "the block that begins here has no end",
            ));
        }
        _ => {
            return Ok(BlockParts {
                before: text,
                block: None,
                after: "",
                comments,
            });
        }
    };
    let first = line_start(text, start.at);
    let inside = line_end(text, start.at);
    let until = line_start(text, end.at);
    let behind = line_end(text, end.at);
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok(BlockParts {
        before: slice(0, first),
        block: Some(Block {
            first: slice(first, inside),
            text: slice(inside, until),
            last: slice(until, behind),
            line: start.line,
        }),
        after: slice(behind, text.len()),
        comments,
    })
}

/// Where the line of `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    // The mark at the beginning of a file stays behind with what is before.
    let first = if text.starts_with('\u{feff}') { 3 } else { 0 };
    before
        .rfind(['\n', '\r'])
        .map_or(first.min(at), |line| line + 1)
}

/// Where the line after that of `at` begins.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + lines(rest).next().map_or(0, str::len)
}

/// The lines of a text, each with its end. A carriage return alone is one as well: PostgreSQL ends a comment there.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let length = match rest.find(['\n', '\r']) {
            Some(at) if rest[at..].starts_with("\r\n") => at + 2,
            Some(at) => at + 1,
            None if rest.is_empty() => return None,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(length);
        rest = after;
        Some(line)
    })
}

/// Whether each line is a comment; then it is SQL that somebody has made one.
pub(super) fn is_commented(block: &str) -> bool {
    let mut any = false;
    for line in lines(block).map(str::trim).filter(|line| !line.is_empty()) {
        if !line.starts_with("--") {
            return false;
        }
        any = true;
    }
    any
}

/// Takes the sign of a comment off each line.
pub(super) fn bare(block: &str) -> String {
    let bare_line = |line: &'_ str| {
        let Some(at) = line.find("--").filter(|_| !line.trim().is_empty()) else {
            return line.to_owned();
        };
        let (indent, comment) = line.split_at(at);
        let inside = &comment[2..];
        let inside = inside.strip_prefix(' ').unwrap_or(inside);
        format!("{indent}{inside}")
    };
    lines(block).map(bare_line).collect()
}

/// Makes each line a comment. The error is the number of a line, from 0, that would become a mark.
pub(super) fn made_comment(block: &str) -> Result<String, usize> {
    let mut text = String::with_capacity(block.len() + block.len() / 8);
    for (number, line) in lines(block).enumerate() {
        if line.trim().is_empty() {
            text.push_str(line);
            continue;
        }
        let comment = format!("-- {line}");
        if mark(comment.trim_end()).is_some() {
            return Err(number);
        }
        text.push_str(&comment);
    }
    Ok(text)
}
