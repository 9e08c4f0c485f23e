//! The account as Markdown.
//!
//! Nearly all of its text comes from outside: messages of migrations, names of tables, what an engine
//! printed, reasons that somebody typed. None of it may end a table, open a block or become HTML, so every
//! piece passes through here, and nothing is written around it.

use std::fmt::Write as _;

use super::RunReport;
use super::sections::{Cell, PageBlock, TITLE, page};
use crate::untrusted::visible;

/// The account of a run as one page of GitHub's Markdown.
pub fn markdown(document: &RunReport) -> String {
    let mut text = format!("# {TITLE}\n");
    for section in page(document) {
        let _ = write!(text, "\n## {}\n", section.title);
        for block in section.blocks {
            text.push('\n');
            text.push_str(&written(&block));
        }
    }
    text
}

fn written(block: &PageBlock) -> String {
    let lines = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect();
    match block {
        PageBlock::Facts(facts) => lines(
            facts
                .iter()
                .map(|(name, value)| format!("- **{name}:** {}", cell(value)))
                .collect(),
        ),
        PageBlock::Table(head, rows) => {
            let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            let head_cells = head.iter().map(|name| (*name).to_owned()).collect();
            let ruler = head.iter().map(|_| "---".to_owned()).collect();
            let rows = rows
                .iter()
                .map(|cells| row(cells.iter().map(cell).collect()));
            [row(head_cells), row(ruler)]
                .into_iter()
                .chain(rows)
                .collect()
        }
        PageBlock::Code(text) => fenced(text),
        PageBlock::List(items) => lines(
            items
                .iter()
                .map(|item| format!("- {}", cell(item)))
                .collect(),
        ),
        PageBlock::Tasks(items) => lines(
            items
                .iter()
                .map(|(done, item)| {
                    let mark = if *done { 'x' } else { ' ' };
                    format!("- [{mark}] {}", cell(item))
                })
                .collect(),
        ),
        PageBlock::Heading(text) => format!("### {}\n", cell(text)),
        PageBlock::Paragraph(text) => format!("{}\n", cell(text)),
    }
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Plain(text) => escaped(text),
        Cell::Literal(text) => code_span(text),
    }
}

/// Words that mean nothing but themselves, on one line of the source.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let text = visible(text.trim());
    let mut at_the_start = true;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let ends_a_mark = characters.peek().is_none_or(|next| next.is_whitespace());
        match character {
            '\n' => escaped.push_str("<br>"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // What makes a heading, a list or a rule of a line.
            '+' | '-' if at_the_start && !ends_a_mark && characters.peek() != Some(&character) => {
                escaped.push(character);
            }
            '#' | '-' | '+' | '=' if at_the_start => {
                escaped.push('\\');
                escaped.push(character);
            }
            '.' | ')' if ends_a_mark && at_the_start_of_a_list(&escaped) => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
        at_the_start = at_the_start && character.is_whitespace();
    }
    escaped
}

/// `12`, of which a dot would make a list.
fn at_the_start_of_a_list(written: &str) -> bool {
    !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit())
}

/// Letters as they are. A pipe would end a cell of a table even here.
fn code_span(text: &str) -> String {
    let text = visible(text).replace('\n', " ");
    let text = text.trim();
    // Inside of a table a pipe is written escaped, outside of one the mark would be seen: such a text is no
    // span of code at all.
    if text.is_empty() || text.contains('|') {
        return escaped(text);
    }
    let fence = "`".repeat(longest_run(text) + 1);
    if text.starts_with('`') || text.ends_with('`') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// A block with a fence that is longer than any in it.
fn fenced(text: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|character| character != '`').map(str::len);
    runs.max().unwrap_or_default()
}
