//! The words of a statement, and a reader that goes over them.

use std::ops::Range;

use super::script;
use super::tokens::{Kind, Token, Tokens};
use rollback_core::dialect::Dialect;
use rollback_core::operation::TableName;

/// A token, without the text that it is a slice of.
#[derive(Debug, Clone)]
struct Lexeme {
    kind: Kind,
    at: Range<usize>,
    line: usize,
}

/// A statement, or the body of a routine, in its tokens without what stands between them.
#[derive(Debug, Clone)]
pub struct Sql {
    /// As it was written, without what stands between the tokens.
    pub text: String,
    lexemes: Vec<Lexeme>,
    /// The server that reads it.
    pub dialect: Dialect,
    /// Where the text could not be told apart: nothing is known of it.
    pub opaque: bool,
}

/// The statements of a text. What cannot be told apart into statements is one that nothing is known of.
pub fn statements(text: &str, dialect: Dialect) -> Vec<Sql> {
    match script::statements(text, dialect) {
        Ok(found) => found
            .iter()
            .map(|one| Sql::new(&one.text, dialect))
            .collect(),
        Err(_) => vec![Sql::new(text, dialect)],
    }
}

impl Sql {
    /// Reads one statement; `opaque` if it cannot be read to its end.
    pub fn new(text: &str, dialect: Dialect) -> Self {
        let mut sql = Self {
            text: String::with_capacity(text.len()),
            lexemes: Vec::new(),
            dialect,
            opaque: false,
        };
        for token in Tokens::new(text, dialect) {
            let Ok(token) = token else {
                return Self {
                    text: text.to_owned(),
                    lexemes: Vec::new(),
                    opaque: true,
                    ..sql
                };
            };
            // The server reads what stands between the two marks.
            if token.kind == Kind::Conditional {
                continue;
            }
            let start = sql.text.len();
            sql.text.push_str(token.text);
            if token.is_code() {
                sql.lexemes.push(Lexeme {
                    kind: token.kind,
                    at: start..sql.text.len(),
                    line: token.line,
                });
            }
        }
        sql
    }

    /// A reader at the first token.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            sql: self,
            at: 0,
            end: self.lexemes.len(),
        }
    }

    /// The token at an index from 0; `None` behind the last.
    pub fn token(&self, at: usize) -> Option<Token<'_>> {
        let lexeme = self.lexemes.get(at)?;
        Some(Token {
            kind: lexeme.kind,
            text: &self.text[lexeme.at.clone()],
            at: lexeme.at.start,
            line: lexeme.line,
        })
    }

    /// Whether this word or symbol stands right before a token.
    pub fn follows(&self, at: usize, word: &str) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.token(before));
        before.is_some_and(|token| token.says(word))
    }
}

/// One part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As it was written, quotes included.
    pub written: String,
    /// As the server has it.
    pub(crate) plain: String,
    /// As names are compared. MariaDB and SQLite do not tell capitals from small letters in most names; where they
    /// do, two names are taken for one, which asks for an order too much and for none too few.
    pub folded: String,
}

/// A name, with what qualifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The outermost first.
    pub parts: Vec<Part>,
}

impl Name {
    /// As it was written.
    pub fn written(&self) -> String {
        let parts: Vec<&str> = self
            .parts
            .iter()
            .map(|part| part.written.as_str())
            .collect();
        parts.join(".")
    }

    /// As it is compared: the schema that everybody has is none.
    pub fn key(&self) -> String {
        key(self.parts.iter().map(|part| part.folded.as_str()))
    }

    /// Without what comes before the schema.
    pub(crate) fn table(&self) -> TableName {
        let mut parts = self.parts.iter().rev().map(|part| part.plain.clone());
        TableName {
            name: parts.next().unwrap_or_default(),
            schema: parts.next(),
        }
    }

    /// The last part.
    pub fn last(&self) -> &Part {
        // A name has a part: the reader makes no other.
        &self.parts[self.parts.len() - 1]
    }

    /// What stands before the last part, as it was written.
    pub fn qualifier(&self) -> Option<String> {
        let before = &self.parts[..self.parts.len() - 1];
        (!before.is_empty()).then(|| {
            Self {
                parts: before.to_vec(),
            }
            .written()
        })
    }

    /// The schema, unless it is the one that everybody has.
    pub fn schema(&self) -> Option<String> {
        let key = self.key();
        key.rsplit_once('.').map(|(schema, _)| schema.to_owned())
    }

    /// Another last part in the same schema.
    pub fn beside(&self, last: &str) -> String {
        match self.qualifier() {
            Some(qualifier) => format!("{qualifier}.{last}"),
            None => last.to_owned(),
        }
    }

    /// What has another last part in the same schema, as it is compared.
    pub fn key_beside(&self, last: &str) -> String {
        let before = &self.parts[..self.parts.len() - 1];
        let parts = before.iter().map(|part| part.folded.as_str());
        key(parts.chain([last]))
    }
}

/// Parts of a name as one key.
pub fn key<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut parts: Vec<&str> = parts.collect();
    if parts.len() > 1 && matches!(parts[0], "public" | "main") {
        parts.remove(0);
    }
    parts.join(".")
}

/// Goes over the tokens of a statement, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The statement.
    pub sql: &'a Sql,
    /// The index of the next token.
    pub at: usize,
    /// The index behind the last token.
    pub end: usize,
}

impl<'a> Reader<'a> {
    /// The next token, which stays the next one; `None` at the end.
    pub fn token(self) -> Option<Token<'a>> {
        (self.at < self.end)
            .then(|| self.sql.token(self.at))
            .flatten()
    }

    pub(crate) fn is_done(self) -> bool {
        self.at >= self.end
    }

    /// Passes over the next token.
    pub fn skip(&mut self) {
        self.at += 1;
    }

    /// Whether these words or symbols come next.
    pub fn says(self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(offset, word)| {
            self.at + offset < self.end
                && self
                    .sql
                    .token(self.at + offset)
                    .is_some_and(|token| token.says(word))
        })
    }

    /// Takes these words if they come next.
    pub fn eats(&mut self, words: &str) -> bool {
        let there = self.says(words);
        if there {
            self.at += words.split(' ').count();
        }
        there
    }

    /// Takes one of these, each a few words, if it comes next.
    pub fn eats_any(&mut self, all: &[&str]) -> bool {
        all.iter().any(|words| self.eats(words))
    }

    /// A word that is not quoted, in capitals.
    pub fn word(self) -> Option<String> {
        let token = self.token().filter(|token| token.kind == Kind::Word)?;
        Some(token.text.to_uppercase())
    }

    /// One part of a name.
    pub fn part(&mut self) -> Option<Part> {
        let token = self.token()?;
        let postgresql = self.sql.dialect == Dialect::Postgres;
        let plain = match token.kind {
            Kind::Word if postgresql => token.text.to_lowercase(),
            Kind::Word => token.text.to_owned(),
            // With ANSI_QUOTES MariaDB and MySQL take a text in `"` for a name, and no text can stand for one.
            Kind::Name | Kind::Text if token.text.starts_with(['"', '`', '[']) => {
                let quote = &token.text[..1];
                token.inside().replace(&quote.repeat(2), quote)
            }
            _ => return None,
        };
        self.at += 1;
        Some(Part {
            written: token.text.to_owned(),
            folded: if postgresql {
                plain.clone()
            } else {
                plain.to_lowercase()
            },
            plain,
        })
    }

    /// A name with what qualifies it.
    pub fn name(&mut self) -> Option<Name> {
        let mut parts = vec![self.part()?];
        loop {
            let mut after = *self;
            if !after.eats(".") {
                break;
            }
            let Some(part) = after.part() else { break };
            parts.push(part);
            *self = after;
        }
        Some(Name { parts })
    }

    /// What stands in the brackets that open here.
    pub fn group(&mut self) -> Option<Reader<'a>> {
        if !self.says("(") {
            return None;
        }
        let start = self.at + 1;
        let mut open = 0_usize;
        while !self.is_done() {
            if self.says("(") {
                open += 1;
            } else if self.says(")") {
                open -= 1;
            }
            self.at += 1;
            if open == 0 {
                return Some(Reader {
                    sql: self.sql,
                    at: start,
                    end: self.at - 1,
                });
            }
        }
        Some(Reader {
            sql: self.sql,
            at: start,
            end: self.end,
        })
    }

    /// From here on, each token that stands in no brackets.
    fn outside(self) -> impl Iterator<Item = Self> {
        let mut open = 0_usize;
        (self.at..self.end)
            .map(move |at| Self { at, ..self })
            .filter(move |here| {
                let opens = here.says("(") || here.says("[");
                let closes = here.says(")") || here.says("]");
                open = (open + usize::from(opens)).saturating_sub(usize::from(closes));
                open == 0 && !closes
            })
    }

    /// The parts between the commas that stand in no brackets.
    pub fn list(self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut start = self.at;
        for comma in self.outside().filter(|here| here.says(",")) {
            parts.push(Self {
                at: start,
                end: comma.at,
                ..self
            });
            start = comma.at + 1;
        }
        if start < self.end {
            parts.push(Self { at: start, ..self });
        }
        parts
    }

    /// Where one of these words stands in no brackets, from here.
    pub fn find(self, words: &[&str]) -> Option<usize> {
        self.outside()
            .find(|here| words.iter().any(|words| here.says(words)))
            .map(|here| here.at)
    }

    /// As it was written, from one token to another.
    pub(crate) fn written(self, range: Range<usize>) -> &'a str {
        let lexemes = &self.sql.lexemes;
        match (
            lexemes.get(range.start),
            lexemes.get(range.end.wrapping_sub(1)),
        ) {
            (Some(first), Some(last)) if range.start < range.end => {
                self.sql.text[first.at.start..last.at.end].trim()
            }
            _ => "",
        }
    }

    /// As the rest was written.
    pub fn rest(self) -> &'a str {
        self.written(self.at..self.end)
    }

    /// The rest in one line without its comments, for people.
    pub fn in_line(self) -> String {
        let mut line = String::new();
        let mut end = None;
        for lexeme in self.sql.lexemes.get(self.at..self.end).unwrap_or_default() {
            if end.is_some_and(|end| end < lexeme.at.start) {
                line.push(' ');
            }
            line.push_str(&self.sql.text[lexeme.at.clone()]);
            end = Some(lexeme.at.end);
        }
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Up to a token, as a part of its own.
    #[must_use]
    pub fn until(self, end: usize) -> Self {
        Self {
            end: end.min(self.end),
            ..self
        }
    }
}
