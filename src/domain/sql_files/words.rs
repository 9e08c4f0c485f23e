//! The words of a statement, and a reader that goes over them.
//!
//! `sqlparser` tells the tokens apart. Its trees are not used here: it knows not every statement that a
//! migration may hold, and the inverse of one has to keep names and expressions as they were written.

use std::ops::Range;

use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::script;
use crate::domain::dialect::Dialect;

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

/// A statement, or the body of a routine, in its tokens without what stands between them.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) lexemes: Vec<Lexeme>,
    pub(super) dialect: Dialect,
    /// Where the text could not be told apart: nothing is known of it.
    pub(super) opaque: bool,
}

/// The statements of a text. What cannot be told apart into statements is one that nothing is known of.
pub(super) fn statements(text: &str, dialect: Dialect) -> Vec<Sql> {
    match script::statements(text, dialect) {
        Ok(found) => found
            .into_iter()
            .map(|one| Sql::new(one.text, dialect))
            .collect(),
        Err(_) => vec![Sql::new(text.to_owned(), dialect)],
    }
}

fn grammar(dialect: Dialect) -> &'static dyn sqlparser::dialect::Dialect {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    }
}

/// Tokens with the bytes that they stand at; they follow each other without a gap.
fn tokenize(text: &str, dialect: Dialect) -> Option<Vec<Lexeme>> {
    let tokens = Tokenizer::new(grammar(dialect), text)
        .with_unescape(false)
        .tokenize_with_location()
        .ok()?;
    let mut position = text.char_indices().peekable();
    let (mut line, mut column) = (1, 1);
    let mut starts = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let start = token.span.start;
        while (line, column) < (start.line, start.column) {
            match position.next()? {
                (_, '\n') => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
        starts.push(position.peek().map_or(text.len(), |(at, _)| *at));
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let lexemes = tokens.into_iter().zip(starts.iter().copied().zip(ends));
    Some(
        lexemes
            .filter(|(token, _)| !is_space(&token.token))
            .map(|(token, (start, end))| Lexeme {
                token: token.token,
                at: start..end,
            })
            .collect(),
    )
}

fn is_space(token: &Token) -> bool {
    match token {
        // Of a comment for this server alone, the server reads the inside.
        Token::Whitespace(Whitespace::MultiLineComment(text)) => !text.starts_with('!'),
        token => matches!(token, Token::Whitespace(_) | Token::EOF),
    }
}

/// A word that is not quoted, or the sign, as it is compared with the words of a grammar.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

impl Sql {
    pub(super) fn new(text: String, dialect: Dialect) -> Self {
        let lexemes = tokenize(&text, dialect);
        Self {
            opaque: lexemes.is_none(),
            lexemes: lexemes.unwrap_or_default(),
            text,
            dialect,
        }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            sql: self,
            at: 0,
            end: self.lexemes.len(),
        }
    }

    pub(super) fn token(&self, at: usize) -> Option<&Token> {
        self.lexemes.get(at).map(|lexeme| &lexeme.token)
    }
}

/// One part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// As it was written, quotes included.
    pub(super) written: String,
    /// As names are compared.
    pub(super) folded: String,
}

/// A name, with what qualifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) parts: Vec<Part>,
}

impl Name {
    /// As it was written.
    pub(super) fn written(&self) -> String {
        let parts: Vec<&str> = self
            .parts
            .iter()
            .map(|part| part.written.as_str())
            .collect();
        parts.join(".")
    }

    /// As it is compared: the schema that everybody has is none.
    pub(super) fn key(&self) -> String {
        key(self.parts.iter().map(|part| part.folded.as_str()))
    }

    /// The last part.
    pub(super) fn last(&self) -> &Part {
        // A name has a part: the reader makes no other.
        &self.parts[self.parts.len() - 1]
    }

    /// What stands before the last part, as it was written.
    pub(super) fn qualifier(&self) -> Option<String> {
        let before = &self.parts[..self.parts.len() - 1];
        (!before.is_empty()).then(|| {
            Self {
                parts: before.to_vec(),
            }
            .written()
        })
    }

    /// The schema, unless it is the one that everybody has.
    pub(super) fn schema(&self) -> Option<String> {
        let key = self.key();
        key.rsplit_once('.').map(|(schema, _)| schema.to_owned())
    }

    /// Another last part in the same schema.
    pub(super) fn beside(&self, last: &str) -> String {
        match self.qualifier() {
            Some(qualifier) => format!("{qualifier}.{last}"),
            None => last.to_owned(),
        }
    }

    /// What has another last part in the same schema, as it is compared.
    pub(super) fn key_beside(&self, last: &str) -> String {
        let before = &self.parts[..self.parts.len() - 1];
        let parts = before.iter().map(|part| part.folded.as_str());
        key(parts.chain([last]))
    }
}

/// Parts of a name as one key.
pub(super) fn key<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut parts: Vec<&str> = parts.collect();
    if parts.len() > 1 && matches!(parts[0], "public" | "main") {
        parts.remove(0);
    }
    parts.join(".")
}

/// How a name is compared. MariaDB and SQLite do not tell capitals from small letters in most names; where
/// they do, two names are taken for one, which asks for an order too much and for none too few.
pub(super) fn folded(token: &Token, dialect: Dialect) -> Option<String> {
    match token {
        Token::Word(word) => Some(match (dialect, word.quote_style) {
            (Dialect::Postgres, Some(quote)) => word
                .value
                .replace(&format!("{quote}{quote}"), &quote.to_string()),
            _ => word.value.to_lowercase(),
        }),
        _ => None,
    }
}

/// Goes over the tokens of a statement, or of a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) sql: &'a Sql,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn token(self) -> Option<&'a Token> {
        (self.at < self.end)
            .then(|| self.sql.token(self.at))
            .flatten()
    }

    pub(super) fn is_done(self) -> bool {
        self.at >= self.end
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Whether these words come next.
    pub(super) fn says(self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(offset, word)| {
            self.at + offset < self.end
                && self
                    .sql
                    .token(self.at + offset)
                    .is_some_and(|token| is_word(token, word))
        })
    }

    /// Takes these words if they come next.
    pub(super) fn eats(&mut self, words: &str) -> bool {
        let there = self.says(words);
        if there {
            self.at += words.split(' ').count();
        }
        there
    }

    /// Takes one of these, each a few words, if it comes next.
    pub(super) fn eats_any(&mut self, all: &[&str]) -> bool {
        all.iter().any(|words| self.eats(words))
    }

    pub(super) fn eats_token(&mut self, token: &Token) -> bool {
        let there = self.token() == Some(token);
        if there {
            self.at += 1;
        }
        there
    }

    /// A word that is not quoted, in capitals.
    pub(super) fn word(self) -> Option<String> {
        match self.token() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                Some(word.value.to_uppercase())
            }
            _ => None,
        }
    }

    /// One part of a name.
    pub(super) fn part(&mut self) -> Option<Part> {
        let folded = folded(self.token()?, self.sql.dialect)?;
        let written = self.written(self.at..self.at + 1).to_owned();
        self.at += 1;
        Some(Part { written, folded })
    }

    /// A name with what qualifies it.
    pub(super) fn name(&mut self) -> Option<Name> {
        let mut parts = vec![self.part()?];
        loop {
            let mut after = *self;
            if !after.eats_token(&Token::Period) {
                break;
            }
            let Some(part) = after.part() else { break };
            parts.push(part);
            *self = after;
        }
        Some(Name { parts })
    }

    /// What stands in the brackets that open here.
    pub(super) fn group(&mut self) -> Option<Reader<'a>> {
        if self.token() != Some(&Token::LParen) {
            return None;
        }
        let start = self.at + 1;
        let mut open = 0_usize;
        while let Some(token) = self.token() {
            match token {
                Token::LParen => open += 1,
                Token::RParen => open -= 1,
                _ => {}
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

    /// The parts between the commas that stand in no brackets.
    pub(super) fn list(self) -> Vec<Reader<'a>> {
        let mut parts = Vec::new();
        let mut start = self.at;
        let mut open = 0_usize;
        for at in self.at..self.end {
            match self.sql.token(at) {
                Some(Token::LParen | Token::LBracket) => open += 1,
                Some(Token::RParen | Token::RBracket) => open = open.saturating_sub(1),
                Some(Token::Comma) if open == 0 => {
                    parts.push(Reader {
                        at: start,
                        end: at,
                        ..self
                    });
                    start = at + 1;
                }
                _ => {}
            }
        }
        if start < self.end {
            parts.push(Reader { at: start, ..self });
        }
        parts
    }

    /// Where one of these words stands in no brackets, from here.
    pub(super) fn find(self, words: &[&str]) -> Option<usize> {
        let mut open = 0_usize;
        for at in self.at..self.end {
            match self.sql.token(at) {
                Some(Token::LParen | Token::LBracket) => open += 1,
                Some(Token::RParen | Token::RBracket) => open = open.saturating_sub(1),
                _ if open == 0 => {
                    let here = Reader { at, ..self };
                    if words.iter().any(|words| here.says(words)) {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// As it was written, from one token to another.
    pub(super) fn written(self, range: Range<usize>) -> &'a str {
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
    pub(super) fn rest(self) -> &'a str {
        self.written(self.at..self.end)
    }

    /// The rest in one line without its comments, for people.
    pub(super) fn in_line(self) -> String {
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
    pub(super) fn until(self, end: usize) -> Self {
        Self {
            end: end.min(self.end),
            ..self
        }
    }
}
