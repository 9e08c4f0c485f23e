//! Reading a file without being led astray by it: the parser and what comes after it go down into
//! what is nested, so how deep that is has to be known before.

use ruff_python_ast::Suite;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer, parse_module};

/// Longer files are no migrations.
const BYTES: usize = 4 << 20;

/// How deep a file may be nested, in steps of the parser. Python's own limits are 200 brackets and
/// 100 indentations; nothing written by hand comes near.
const DEPTH: u32 = 600;

/// What a bracket and a level of indentation cost, in the same steps.
const BRACKET: u32 = 6;
const INDENTATION: u32 = 4;

/// Whether a file may be parsed and followed, or why not.
pub(super) fn allow(source: &str) -> Result<(), String> {
    if source.len() > BYTES {
        return Err(format!(
            "it has {} bytes, more than the {BYTES} that are read",
            source.len()
        ));
    }
    match too_deep(source) {
        Some(line) => Err(format!("line {line} is nested too deeply")),
        None => Ok(()),
    }
}

/// The statements of a file, or why there are none.
pub(super) fn read(source: &str) -> Result<Suite, String> {
    allow(source)?;
    match parse_module(source) {
        Ok(parsed) => Ok(parsed.into_syntax().body),
        Err(error) => {
            let before = &source.as_bytes()[..error.location.start().to_usize().min(source.len())];
            let line = 1 + before.split(|byte| *byte == b'\n').skip(1).count();
            Err(format!("line {line} is no Python: {}", error.error))
        }
    }
}

/// The first line that is nested too deeply. What stands between two commas can be nested no deeper
/// than it has operators.
fn too_deep(source: &str) -> Option<usize> {
    let mut lexer = lexer::lex(source, Mode::Module);
    let mut brackets: Vec<u32> = Vec::new();
    let mut own = 0_u32;
    let mut indentation = 0_u32;
    let mut lambdas = 0_u32;
    let mut line = 1;
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return None,
            TokenKind::Newline => {
                line += 1;
                brackets.clear();
                own = 0;
                lambdas = 0;
            }
            TokenKind::NonLogicalNewline => line += 1,
            TokenKind::Indent => indentation += INDENTATION,
            TokenKind::Dedent => indentation = indentation.saturating_sub(INDENTATION),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace | TokenKind::FStringStart => {
                brackets.push(own);
                own += BRACKET;
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace | TokenKind::FStringEnd => {
                own = brackets.pop().unwrap_or(0) + 1;
            }
            TokenKind::Comma | TokenKind::Semi => {
                own = brackets.last().map_or(0, |own| own + BRACKET);
            }
            TokenKind::Lambda => lambdas += BRACKET,
            TokenKind::Plus
            | TokenKind::Minus
            | TokenKind::Star
            | TokenKind::DoubleStar
            | TokenKind::Slash
            | TokenKind::DoubleSlash
            | TokenKind::Percent
            | TokenKind::At
            | TokenKind::Vbar
            | TokenKind::Amper
            | TokenKind::CircumFlex
            | TokenKind::LeftShift
            | TokenKind::RightShift
            | TokenKind::Tilde
            | TokenKind::Dot
            | TokenKind::Colon
            | TokenKind::ColonEqual
            | TokenKind::Not
            | TokenKind::And
            | TokenKind::Or
            | TokenKind::If
            | TokenKind::Else
            | TokenKind::Await
            | TokenKind::Yield => own += 1,
            _ => {}
        }
        if own + indentation + lambdas > DEPTH {
            return Some(line);
        }
    }
}
