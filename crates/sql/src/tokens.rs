//! The pieces that a text of SQL is made of, as far as it takes to know what is code and what is none.

use super::script::ScriptError;
use rollback_core::dialect::Dialect;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Space,
    /// `-- ` or `#` to the end of the line, without that end.
    LineComment,
    /// `/* ... */`.
    BlockComment,
    /// `/*!50003` and the `*/` that belongs to it: MySQL and MariaDB run what stands between.
    Conditional,
    /// A keyword or a name without quotes.
    Word,
    /// A number.
    Number,
    /// A string, of whatever kind.
    Text,
    /// A name in quotes.
    Name,
    /// A command of a client, such as `\d`.
    Client,
    /// What follows `COPY ... FROM STDIN`, to its last line.
    Data,
    /// Anything else, a character each, and the `::` of PostgreSQL.
    Symbol,
}

/// A piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Its kind.
    pub kind: Kind,
    /// As it is written.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub at: usize,
    /// The line that it begins in, from 1.
    pub line: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this word or this symbol, which no quotes enclose.
    pub(crate) fn says(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && self.text.eq_ignore_ascii_case(word)
    }

    /// A text or a name between its quotes, with what is doubled or escaped in it as it was written.
    pub fn inside(&self) -> &'a str {
        let text = self.text.trim_start_matches(['e', 'E']);
        let quote = match self.kind {
            Kind::Text | Kind::Name => dollar_tag(text).map_or(1, str::len),
            _ => return self.text,
        };
        text.get(quote..text.len() - quote).unwrap_or_default()
    }

    /// Whether it is this symbol.
    pub fn is(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// Whether it is this word, in whatever case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether a server reads it.
    pub fn is_code(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Space | Kind::LineComment | Kind::BlockComment
        )
    }
}

/// Takes a text apart. Together the pieces are the text.
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    dialect: Dialect,
    /// A word ends before it.
    stop: Option<&'a str>,
    conditional: bool,
    copy: Copying,
    /// `--` is a comment where a line begins with it, also where the server wants a space after it.
    bare_dashes: bool,
}

/// What a server reads of a text and stands in no parentheses, up to what never ends. The outer ones are among it.
pub fn outside(text: &str, dialect: Dialect) -> impl Iterator<Item = Token<'_>> {
    let mut depth = 0_usize;
    let code = Tokens::new(text, dialect).map_while(Result::ok);
    code.filter(Token::is_code).filter(move |token| {
        depth = depth.saturating_sub(usize::from(token.is(")")));
        let is_outside = depth == 0;
        depth += usize::from(token.is("("));
        is_outside
    })
}

/// How much of `COPY ... FROM STDIN;` has gone by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copying {
    Begin,
    Copy,
    From,
    Stdin,
    Other,
    Data,
}

impl<'a> Tokens<'a> {
    /// Reads `text` from its start.
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            dialect,
            stop: None,
            conditional: false,
            copy: Copying::Begin,
            bare_dashes: false,
        }
    }

    /// For the whole of a file, whose marks may be written `--ROLLBACK START` for every server.
    pub fn of_file(text: &'a str, dialect: Dialect) -> Self {
        Self {
            bare_dashes: true,
            ..Self::new(text, dialect)
        }
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Lets words end before `stop`.
    pub(crate) fn stop_at(&mut self, stop: Option<&'a str>) {
        self.stop = stop;
    }

    /// Gives the next `length` bytes as a piece.
    pub(crate) fn cut(&mut self, length: usize, kind: Kind) -> Token<'a> {
        let rest = self.rest();
        let length = length.min(rest.len());
        let text = rest.get(..length).unwrap_or(rest);
        let token = Token {
            kind,
            text,
            at: self.at,
            line: self.line,
        };
        self.at += text.len();
        self.line += text.bytes().filter(|byte| *byte == b'\n').count();
        token
    }

    /// Gives what is left of the line, without its end.
    pub(crate) fn rest_of_line(&mut self) -> &'a str {
        let length = until(self.rest(), b"\r\n");
        self.cut(length, Kind::Client).text
    }

    fn unended(&self, what: &str) -> ScriptError {
        ScriptError {
            line: self.line,
            reason: format!("{what} begins here and never ends"),
        }
    }

    fn at_line_start(&self) -> bool {
        let before = self.text.get(..self.at).unwrap_or_default();
        before
            .trim_end_matches([' ', '\t', '\u{feff}'])
            .chars()
            .next_back()
            .is_none_or(|last| matches!(last, '\n' | '\r'))
    }

    /// How long the next piece is, and what it is.
    fn measure(&mut self) -> Result<Option<(usize, Kind)>, ScriptError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        if self.copy == Copying::Data {
            self.copy = Copying::Begin;
            return Ok(Some((data(rest), Kind::Data)));
        }
        if self.at == 0 && first == '\u{feff}' {
            return Ok(Some((first.len_utf8(), Kind::Space)));
        }
        let postgresql = self.dialect == Dialect::Postgres;
        let mysql = self.dialect == Dialect::MySql;
        Ok(Some(match first {
            _ if is_space(first) => (
                rest.find(|it| !is_space(it)).unwrap_or(rest.len()),
                Kind::Space,
            ),
            '-' if rest.starts_with("--") && self.dashes_begin_a_comment(rest) => {
                (self.line_comment(rest), Kind::LineComment)
            }
            '#' if mysql => (self.line_comment(rest), Kind::LineComment),
            '/' if mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) => {
                self.conditional = true;
                let mark = if rest.starts_with("/*!") { 3 } else { 4 };
                let digits = rest[mark..].bytes().take_while(u8::is_ascii_digit).count();
                (mark + digits, Kind::Conditional)
            }
            '*' if self.conditional && rest.starts_with("*/") => {
                self.conditional = false;
                (2, Kind::Conditional)
            }
            '/' if rest.starts_with("/*") => {
                let length = block_comment(rest, postgresql);
                let length = length.ok_or_else(|| self.unended("a comment"))?;
                (length, Kind::BlockComment)
            }
            '\'' => (self.string(rest, mysql)?, Kind::Text),
            '"' if mysql => (self.string(rest, true)?, Kind::Text),
            '"' => (self.name(rest, '"')?, Kind::Name),
            '`' if !postgresql => (self.name(rest, '`')?, Kind::Name),
            '[' if self.dialect == Dialect::Sqlite => {
                let end = rest.find(']');
                (end.ok_or_else(|| self.unended("a name"))? + 1, Kind::Name)
            }
            '$' if postgresql && dollar_tag(rest).is_some() => {
                let tag = dollar_tag(rest).unwrap_or_default();
                let inside = &rest[tag.len()..];
                let end = inside.find(tag);
                let end = end.ok_or_else(|| self.unended("a text in dollar quotes"))?;
                (end + 2 * tag.len(), Kind::Text)
            }
            '\\' => (until(rest, b"\r\n"), Kind::Client),
            ':' if postgresql && rest.starts_with("::") => (2, Kind::Symbol),
            _ if first.is_ascii_digit() => (
                rest.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_' || it == '.'))
                    .unwrap_or(rest.len()),
                Kind::Number,
            ),
            _ if begins_a_word(first) => {
                let length = rest.find(|it| !continues_a_word(it)).unwrap_or(rest.len());
                let length = match self.stop.and_then(|stop| rest[..length].find(stop)) {
                    Some(stop) if stop > 0 => stop,
                    _ => length,
                };
                if postgresql && matches!(&rest[..length], "e" | "E") && rest[1..].starts_with('\'')
                {
                    (self.escape_string(rest)?, Kind::Text)
                } else {
                    (length, Kind::Word)
                }
            }
            _ => (first.len_utf8(), Kind::Symbol),
        }))
    }

    fn dashes_begin_a_comment(&self, rest: &str) -> bool {
        self.dialect != Dialect::MySql
            || rest[2..]
                .chars()
                .next()
                .is_none_or(|next| next.is_ascii_whitespace() || next.is_control())
            || self.bare_dashes && self.at_line_start()
    }

    /// On PostgreSQL a carriage return ends it as well.
    fn line_comment(&self, rest: &str) -> usize {
        if self.dialect == Dialect::Postgres {
            until(rest, b"\r\n")
        } else {
            let length = until(rest, b"\n");
            // That of a file's line end is none of the comment.
            length - usize::from(rest[..length].ends_with('\r') && length < rest.len())
        }
    }

    fn string(&self, rest: &str, escapes: bool) -> Result<usize, ScriptError> {
        string(rest, escapes).ok_or_else(|| self.unended("a string"))
    }

    fn name(&self, rest: &str, quote: char) -> Result<usize, ScriptError> {
        debug_assert!(rest.starts_with(quote));
        string(rest, false).ok_or_else(|| self.unended("a name in quotes"))
    }

    /// `E'...'`. Where only white space with a line end follows, the next string is a part of it and has
    /// its escapes.
    fn escape_string(&self, rest: &str) -> Result<usize, ScriptError> {
        let mut length = 1 + self.string(&rest[1..], true)?;
        loop {
            let after = &rest[length..];
            let space = after.find(|it| !is_space(it)).unwrap_or(after.len());
            if !after[..space].contains(['\n', '\r']) || !after[space..].starts_with('\'') {
                return Ok(length);
            }
            length += space + self.string(&after[space..], true)?;
        }
    }

    fn watch_copy(&mut self, token: &Token<'_>) {
        if self.dialect != Dialect::Postgres || !token.is_code() {
            return;
        }
        self.copy = match self.copy {
            Copying::Stdin if token.is(";") => Copying::Data,
            _ if token.is(";") => Copying::Begin,
            Copying::Begin if token.is_word("COPY") => Copying::Copy,
            Copying::Copy | Copying::From if token.is_word("FROM") => Copying::From,
            Copying::From if token.is_word("STDIN") => Copying::Stdin,
            Copying::From => Copying::Copy,
            Copying::Begin => Copying::Other,
            other => other,
        };
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, ScriptError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.measure() {
            Ok(None) => None,
            Ok(Some((length, kind))) => {
                let token = self.cut(length, kind);
                self.watch_copy(&token);
                Some(Ok(token))
            }
            Err(error) => {
                self.at = self.text.len();
                Some(Err(error))
            }
        }
    }
}

fn is_space(it: char) -> bool {
    it.is_ascii_whitespace() || it == '\u{b}'
}

fn begins_a_word(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_' || !it.is_ascii()
}

fn continues_a_word(it: char) -> bool {
    begins_a_word(it) || it.is_ascii_digit() || it == '$'
}

fn until(text: &str, ends: &[u8]) -> usize {
    text.bytes()
        .position(|byte| ends.contains(&byte))
        .unwrap_or(text.len())
}

/// How long the text in quotes is that `rest` begins with. A quote in it is written twice.
fn string(rest: &str, escapes: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let quote = *bytes.first()?;
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && escapes {
            at += 2;
        } else if *byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return Some(at + 1);
        }
    }
    None
}

fn block_comment(rest: &str, nested: bool) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 1_usize;
    let mut at = 2;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            b"/*" if nested => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

/// `$tag$` at the beginning of `rest`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('$')?;
    let length = inside.find('$')?;
    let tag = &inside[..length];
    let sound = tag.chars().next().is_none_or(begins_a_word)
        && tag
            .chars()
            .all(|it| begins_a_word(it) || it.is_ascii_digit());
    sound.then(|| &rest[..length + 2])
}

/// What stands behind `COPY ... FROM STDIN;`, to the line `\.`.
fn data(rest: &str) -> usize {
    let mut length = 0;
    for line in rest.split_inclusive('\n') {
        length += line.len();
        if line.trim_end() == "\\." {
            break;
        }
    }
    length
}
