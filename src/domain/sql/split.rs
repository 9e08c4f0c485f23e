//! A text into its statements, by the tokens of the dialect.

use sqlparser::dialect::{MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::domain::dialect::Dialect;

/// Stands for a hole while a text is read. It can be a part of a name, a value and a literal.
const HOLE: &str = "zq9hole9qz";

/// One statement.
#[derive(Debug)]
pub(super) struct Single {
    /// Its tokens without what stands between them.
    pub(super) tokens: Vec<Token>,
    /// Its text with holes.
    pub(super) text: Vec<Option<String>>,
}

/// The grammar that the server speaks.
pub(super) fn grammar(dialect: Dialect) -> &'static dyn sqlparser::dialect::Dialect {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::MySql => &MySqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    }
}

/// Whether something was computed from what cannot be followed.
pub(super) fn has_hole(text: &str) -> bool {
    text.contains(HOLE)
}

/// For people.
pub(super) fn shown(text: &str) -> String {
    text.replace(HOLE, "{...}")
}

/// The statements of a text; `None` where its tokens cannot be told apart.
pub(super) fn statements(text: &[Option<String>], dialect: Dialect) -> Option<Vec<Single>> {
    let whole: String = text
        .iter()
        .map(|piece| piece.as_deref().unwrap_or(HOLE))
        .collect();
    let tokens = Tokenizer::new(grammar(dialect), &whole).tokenize().ok()?;
    let mut found = Vec::new();
    let mut open: Vec<Token> = Vec::new();
    for token in tokens {
        if token == Token::SemiColon && !has_body(&open) {
            found.extend(single(std::mem::take(&mut open)));
        } else {
            open.push(token);
        }
    }
    found.extend(single(open));
    Some(found)
}

/// Whether a routine has begun: the statements in its body are not run now, and where it ends takes
/// more than a look at the words.
fn has_body(tokens: &[Token]) -> bool {
    let mut words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.value.to_uppercase()),
        _ => None,
    });
    let first = words.next().unwrap_or_default();
    if !["CREATE", "ALTER", "DECLARE", "IF", "LOOP", "WHILE"].contains(&first.as_str()) {
        return false;
    }
    let mut routine = first != "CREATE" && first != "ALTER";
    for word in words {
        match word.as_str() {
            "TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT" => routine = true,
            "BEGIN" | "THEN" | "DO" if routine => return true,
            "TABLE" | "INDEX" | "VIEW" if !routine => return false,
            _ => {}
        }
    }
    false
}

fn single(tokens: Vec<Token>) -> Option<Single> {
    let text: String = tokens.iter().map(ToString::to_string).collect();
    let text = text.trim();
    let pieces = text.split(HOLE).map(|piece| Some(piece.to_owned()));
    let mut holes: Vec<Option<String>> = Vec::new();
    for piece in pieces {
        if !holes.is_empty() {
            holes.push(None);
        }
        holes.push(piece);
    }
    holes.retain(|piece| piece.as_deref() != Some(""));
    let tokens: Vec<Token> = tokens
        .into_iter()
        .filter(|token| !is_space(token))
        .collect();
    (!tokens.is_empty()).then_some(Single {
        tokens,
        text: holes,
    })
}

fn is_space(token: &Token) -> bool {
    match token {
        // Of a comment for this server alone, the server reads the inside.
        Token::Whitespace(Whitespace::MultiLineComment(text)) => !text.starts_with('!'),
        token => matches!(token, Token::Whitespace(_)),
    }
}

/// How deep the tree of a statement may be at most.
pub(super) fn depth(tokens: &[Token]) -> usize {
    let mut open = vec![0_usize];
    let mut total = 0;
    let mut deepest = 0;
    for token in tokens {
        let innermost = open.len() - 1;
        match token {
            Token::LParen | Token::LBracket => {
                open[innermost] += 1;
                total += 1;
                open.push(0);
            }
            Token::RParen | Token::RBracket if innermost > 0 => {
                total -= open.pop().unwrap_or_default();
            }
            Token::Comma => total -= std::mem::take(&mut open[innermost]),
            _ => {
                open[innermost] += 1;
                total += 1;
            }
        }
        deepest = deepest.max(total + open.len());
    }
    deepest
}
