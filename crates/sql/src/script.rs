//! A text of SQL into its statements, as the server would take them.
//!
//! A statement goes to the server as somebody wrote it, comments in it included, so it is a slice of the text and
//! not what a parser makes of it. The tokenizer of `sqlparser` does not do for that: it knows no `DELIMITER`, no
//! `/*!` of MySQL and no commands of psql, says of what never ends only where the text ends, and takes `--5` on
//! MySQL for a comment. Beside the pieces it takes to know where a body ends, which no tokenizer tells.
//!
//! What is assumed of the server are its defaults: `standard_conforming_strings` on PostgreSQL, neither
//! `ANSI_QUOTES` nor `NO_BACKSLASH_ESCAPES` on MariaDB and MySQL.

mod nesting;
#[cfg(test)]
mod tests;
mod transaction;

use std::ops::Range;

use self::nesting::Nesting;
pub use self::nesting::begins;
use super::tokens::{Kind, Token, Tokens};
use rollback_core::dialect::Dialect;

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As it is sent, without the `;` that ends it.
    pub text: String,
    /// The line of the script, from 1, that it begins in.
    pub line: usize,
}

/// Why a script has no statements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// The line of the script, from 1.
    pub line: usize,
    /// What is wrong there, a clause without a full stop.
    pub reason: String,
}

impl ScriptError {
    /// `line` counts from 1.
    pub fn new(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }
}

/// The statements of a script, in order. What is a comment alone gives none.
pub fn statements(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, ScriptError> {
    let spans = spans(sql, dialect)?;
    let statement = |span: &Span| Statement {
        text: sql.get(span.text.clone()).unwrap_or_default().to_owned(),
        line: span.line,
    };
    Ok(spans.iter().map(statement).collect())
}

/// The statements between a `BEGIN` and a `COMMIT` that stand around all of them; all, where none do. Only the
/// plain forms count: one that asks for an isolation level asks for something that would be lost.
pub fn unwrapped(statements: &[Statement]) -> &[Statement] {
    match statements {
        [first, inside @ .., last] if first.opens_plainly() && last.closes_plainly() => inside,
        all => all,
    }
}

/// The script without a `BEGIN` and a `COMMIT` that stand around all of it. What is left stays in its lines.
pub fn without_wrapper(sql: &str, dialect: Dialect) -> Result<String, ScriptError> {
    let spans = spans(sql, dialect)?;
    let all: Vec<Statement> = statements(sql, dialect)?;
    if unwrapped(&all).len() == all.len() {
        return Ok(sql.to_owned());
    }
    let mut left = String::with_capacity(sql.len());
    let mut from = 0;
    for span in [spans.first(), spans.last()].into_iter().flatten() {
        let taken = span.text.start..span.end;
        left.push_str(sql.get(from..taken.start).unwrap_or_default());
        let lines = sql.get(taken.clone()).unwrap_or_default();
        left.extend(lines.chars().filter(|it| matches!(it, '\n' | '\r')));
        from = taken.end;
    }
    left.push_str(sql.get(from..).unwrap_or_default());
    Ok(left)
}

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The bytes of its text, without the `;`.
    pub text: Range<usize>,
    /// Behind what ends it.
    end: usize,
    line: usize,
}

/// A statement that has begun.
struct Open {
    start: usize,
    end: usize,
    line: usize,
    nesting: Nesting,
    /// The lines of the parentheses that are open.
    parentheses: Vec<usize>,
    copies: bool,
}

/// The places of the statements of a script, in order.
pub fn spans(sql: &str, dialect: Dialect) -> Result<Vec<Span>, ScriptError> {
    let mut found = Vec::new();
    let mut open: Option<Open> = None;
    let mut delimiter: Option<&str> = None;
    let mut tokens = Tokens::new(sql, dialect);
    loop {
        if let Some(mark) = delimiter
            && tokens.rest().starts_with(mark)
        {
            let token = tokens.cut(mark.len(), Kind::Symbol);
            if let Some(open) = open.take() {
                found.push(open.close(token.at + mark.len())?);
            }
            continue;
        }
        let Some(token) = tokens.next() else { break };
        let token = token?;
        if !token.is_code() {
            continue;
        }
        refuse_commands(&token, open.is_none(), sql, dialect)?;
        let Some(current) = &mut open else {
            if dialect == Dialect::MySql && token.is_word("DELIMITER") {
                delimiter = new_delimiter(tokens.rest_of_line(), token.line)?;
                tokens.stop_at(delimiter);
            } else if !token.is(";") {
                let mut begun = Open::new(&token, dialect);
                begun.take(&token)?;
                open = Some(begun);
            }
            continue;
        };
        let held = current.nesting.holds()
            || delimiter.is_some() && current.nesting.is_compound()
            || !current.parentheses.is_empty() && current.is_rule();
        if token.is(";") && !held {
            if let Some(open) = open.take() {
                found.push(open.close(token.at + 1)?);
            }
        } else {
            current.take(&token)?;
        }
    }
    if let Some(open) = open {
        if open.nesting.holds() {
            return Err(ScriptError::new(
                open.line,
                "the statement that begins here has a body without its END",
            ));
        }
        found.push(open.close(sql.len())?);
    }
    Ok(found)
}

/// What a client does and no server knows.
fn refuse_commands(
    token: &Token<'_>,
    begins: bool,
    sql: &str,
    dialect: Dialect,
) -> Result<(), ScriptError> {
    let client = match dialect {
        Dialect::Postgres => "psql",
        Dialect::MySql => "the mysql client",
        Dialect::Sqlite => "the sqlite3 shell",
    };
    let command = match token.kind {
        Kind::Client => token.text,
        Kind::Symbol if begins && dialect == Dialect::Sqlite && token.text == "." => {
            let rest = sql.get(token.at..).unwrap_or_default();
            rest.lines().next().unwrap_or_default()
        }
        _ => return Ok(()),
    };
    let command = command.split_whitespace().next().unwrap_or_default();
    Err(ScriptError::new(
        token.line,
        format!("{command} is a command of {client}, and no SQL"),
    ))
}

/// What `DELIMITER` names; the usual one is `None`.
fn new_delimiter(rest: &str, line: usize) -> Result<Option<&str>, ScriptError> {
    let mark = rest.split_whitespace().next().unwrap_or_default();
    if mark.is_empty() || mark.contains('\\') {
        return Err(ScriptError::new(line, "DELIMITER names no delimiter"));
    }
    Ok((mark != ";").then_some(mark))
}

impl Open {
    fn new(first: &Token<'_>, dialect: Dialect) -> Self {
        Self {
            start: first.at,
            end: first.at,
            line: first.line,
            nesting: Nesting::new(dialect),
            parentheses: Vec::new(),
            copies: false,
        }
    }

    fn take(&mut self, token: &Token<'_>) -> Result<(), ScriptError> {
        // The `;` before a delimiter of its own ends what the delimiter ends.
        if !token.is(";") || self.nesting.holds() {
            self.end = token.at + token.text.len();
        }
        if token.is("(") {
            self.parentheses.push(token.line);
        } else if token.is(")") && self.parentheses.pop().is_none() {
            return Err(ScriptError::new(
                token.line,
                "a parenthesis is closed that was never opened",
            ));
        }
        self.copies |= (token.is_word("STDIN") || token.is_word("STDOUT"))
            && self.nesting.begins(&["COPY"])
            && self.parentheses.is_empty();
        if token.kind != Kind::Conditional {
            self.nesting.take(token);
        }
        Ok(())
    }

    fn is_rule(&self) -> bool {
        self.nesting.begins(&["CREATE", "OR?", "REPLACE?", "RULE"])
    }

    fn close(self, end: usize) -> Result<Span, ScriptError> {
        if let Some(line) = self.parentheses.first() {
            return Err(ScriptError::new(
                *line,
                "a parenthesis is opened here and never closed",
            ));
        }
        if self.copies {
            return Err(ScriptError::new(
                self.line,
                "COPY reads from or writes to a client, which a rollback has none of",
            ));
        }
        Ok(Span {
            text: self.start..self.end,
            end,
            line: self.line,
        })
    }
}
