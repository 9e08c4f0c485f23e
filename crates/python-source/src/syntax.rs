//! Python source to a syntax tree, whatever somebody may have put into a file.
//!
//! A tree is walked and dropped by recursion, so its depth is bounded before it is made, and the
//! work is done on a thread whose stack is large enough for that depth.

use ruff_python_ast::ModModule;
use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, Parsed, lexer, parse_module};

/// The deepest tree. `CPython` gives up on less: at 200 brackets, 100 blocks, about 3,000 operators.
const DEEPEST: usize = 2_000;
/// The deepest brackets, f-strings and blocks among that, which take the most stack.
const DEEPEST_BRACKETS: usize = 200;
const STACK: usize = 64 * 1024 * 1024;

/// Does work on a stack on which every tree that [`parse`] makes can be walked and dropped; `None`
/// where no thread is available.
pub fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| deep().spawn_scoped(scope, work).ok()?.join().ok())
}

/// Does the same work on several such stacks, and joins what they come to, in no order; `None` where one
/// of them broke off or there is none.
pub fn on_deep_stacks<T: Send>(threads: usize, work: impl Fn() -> Vec<T> + Sync) -> Option<Vec<T>> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = (0..threads)
            .map_while(|_| deep().spawn_scoped(scope, &work).ok())
            .collect();
        if begun.is_empty() {
            return None;
        }
        let done: Option<Vec<Vec<T>>> =
            begun.into_iter().map(|thread| thread.join().ok()).collect();
        Some(done?.into_iter().flatten().collect())
    })
}

/// A thread with such a stack.
pub fn deep() -> std::thread::Builder {
    std::thread::Builder::new().stack_size(STACK)
}

/// Parses a module; else why it cannot be. To be called, and its result used, on a deep stack.
pub fn parse(source: &str) -> Result<Parsed<ModModule>, String> {
    if u32::try_from(source.len()).is_err() {
        return Err("it is too long".to_owned());
    }
    bounded(source)?;
    parse_module(source).map_err(|error| {
        let before = source.get(..error.location.start().into());
        let line = before.map_or(0, |text| text.matches('\n').count() + 1);
        format!("line {line}: {}", error.error)
    })
}

/// What the lexer does not get through.
const OPEN: &str = "a bracket or a string is not closed, or a character means nothing in Python";

/// What stands in one open bracket so far.
#[derive(Default)]
struct Open {
    /// The words and operators since the last comma.
    words: usize,
    /// The lambdas, whose parameters have commas too.
    lambdas: usize,
}

/// Refuses what makes too deep a tree. No part of a tree is deeper than the blocks and brackets
/// around it and the words and operators of the same element of a list, statement or bracket.
///
/// What is left open is refused as well: the parser would try to make sense of it in ways that no
/// longer follow from its words.
fn bounded(source: &str) -> Result<(), String> {
    let mut lexer = lexer::lex(source, Mode::Module);
    let mut open = vec![Open::default()];
    let mut total = 0_usize;
    let mut blocks = 0_usize;
    loop {
        let innermost = open.len() - 1;
        match lexer.next_token() {
            TokenKind::EndOfFile if innermost == 0 => return Ok(()),
            TokenKind::EndOfFile | TokenKind::Unknown => return Err(OPEN.to_owned()),
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                open[innermost].words += 1;
                total += 1;
                open.push(Open::default());
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                // One that was never opened is a syntax error, told by the parser.
                if innermost > 0
                    && let Some(closed) = open.pop()
                {
                    total -= closed.words + closed.lambdas;
                }
            }
            TokenKind::Comma => total -= std::mem::take(&mut open[innermost].words),
            TokenKind::Newline | TokenKind::Semi => {
                let done = std::mem::take(&mut open[innermost]);
                total -= done.words + done.lambdas;
            }
            TokenKind::Indent => blocks += 1,
            TokenKind::Dedent => blocks = blocks.saturating_sub(1),
            TokenKind::Comment
            | TokenKind::NonLogicalNewline
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::TStringMiddle
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex => {}
            TokenKind::Lambda => {
                open[innermost].lambdas += 1;
                total += 1;
            }
            _ => {
                open[innermost].words += 1;
                total += 1;
            }
        }
        if open.len() + blocks > DEEPEST_BRACKETS || total > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> Result<usize, String> {
        on_a_deep_stack(|| parse(source).map(|module| module.suite().len())).unwrap()
    }

    #[test]
    fn a_module() {
        assert_eq!(parsed("a = 1\nb = f'{a}'\n").unwrap(), 2);
        assert_eq!(parsed("").unwrap(), 0);
    }

    #[test]
    fn an_error_names_its_line() {
        let said = parsed("a = 1\nb = = 2\n").unwrap_err();
        assert!(said.starts_with("line 2: "), "{said}");
        assert_eq!(parsed("a = (1\n").unwrap_err(), OPEN);
        let said = parsed("a = 'b\n").unwrap_err();
        assert!(said.starts_with("line 1: "), "{said}");
    }

    /// Turns red, by the death of the test, where a shape of nesting is not bounded.
    #[test]
    fn hostile_nesting_is_refused_or_read_but_never_the_end() {
        const MANY: usize = 300_000;
        let of = |before: &str, middle: &str, after: &str, times: usize| {
            [before.repeat(times), middle.to_owned(), after.repeat(times)].concat()
        };
        let hostile = [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("{1:", "1", "}"),
            ("f(", "", ")"),
            ("not ", "1", ""),
            ("- ", "1", ""),
            ("~", "1", ""),
            ("await ", "1", ""),
            ("lambda a, b: ", "1", ""),
            ("lambda a=", "1", ": 1"),
            ("1 if 1 else ", "1", ""),
            ("", "a", ".b"),
            ("", "a", "[0]"),
            ("", "a", "()"),
            ("", "1", " + 1"),
            ("", "1", " ** 1"),
            ("", "1", " and 1"),
            ("", "1", " < 1"),
            ("", "'a'", " 'a'"),
            ("a = ", "1", ""),
            ("(a, ", "1", ")"),
            ("f'{", "1", "}'"),
            ("f\"{1:{", "1", "}}\""),
            ("if 1: ", "pass", ""),
            ("match a:\n case (", "", ")"),
            ("", "def f[", "T, "),
            ("async ", "def f(): pass", ""),
            ("@", "a", "\ndef f(): pass"),
            ("\\\n", "1", ""),
            ("(yield ", "1", ")"),
            ("*", "a", ""),
            ("", "f\"{'", "("),
            ("", "f\"{'", "- "),
            ("", "f\"\"\"{'", "\n("),
            ("", "f'{a:", "{("),
            ("", "f'{a:\n", "(\n"),
            ("", "(a b\n", "(\n"),
        ];
        for (before, middle, after) in hostile {
            for times in [30, 190, 1_500, MANY] {
                let _ = parsed(&of(before, middle, after, times));
            }
        }
        let blocks: String = (0..2_000)
            .map(|depth| format!("{}if 1:\n", " ".repeat(depth)))
            .collect();
        assert_eq!(parsed(&blocks).unwrap_err(), "it is nested too deeply");
        let elifs = format!("if 1: pass\n{}", "elif 1: pass\n".repeat(50_000));
        assert_eq!(parsed(&elifs).unwrap(), 1);
        let table = format!("a = [{}]", "(1, 'b', f'{c}'), ".repeat(100_000));
        assert_eq!(parsed(&table).unwrap(), 1);
    }
}
