//! A rollback block for a migration that has none: the inverse of each statement, last first.
//!
//! What was there before is looked up in the migrations before it, so that a function that is replaced, a
//! policy that is dropped or a default that is changed comes back as it was.

mod alter;
mod archive;
mod create;
mod schema_knowledge;
mod taken;
#[cfg(test)]
mod tests;

use rollback_core::dialect::Dialect;
pub use rollback_sql::sql_statement::{self, SqlStatement};
use rollback_sql::words::{self, Sql};
use schema_knowledge::SchemaKnowledge;

/// What can be put at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Lines of comments: a block with its markers, or, where no statement has an inverse, the explanations
    /// alone, because an empty block is none.
    pub text: String,
    /// Whether it is a block.
    pub is_block: bool,
    /// How many statements have an inverse in it.
    pub inverted: usize,
    /// How many have none, or one for a part of them, and an explanation.
    pub explained: usize,
}

/// A piece of what takes a statement back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A statement, without the `;`.
    Sql(String),
    /// What has to be known of the statements behind it.
    Note(String),
    /// That something has no inverse, and what can be done; lines of SQL begin with two spaces.
    Lost(String),
}

/// Writes the block for a text that goes up. `before` are the texts of the migrations before it, in order.
pub fn template(up: &str, before: &[&str], dialect: Dialect) -> Template {
    let mut known = SchemaKnowledge::default();
    for text in before {
        for sql in words::statements(text, dialect) {
            known.follow(&sql, &sql_statement::read(&sql));
        }
    }
    let mut inverted = 0;
    let mut explained = 0;
    let mut groups = Vec::new();
    for sql in words::statements(up, dialect) {
        let act = sql_statement::read(&sql);
        let pieces = inverse(&sql, &act, &known);
        known.follow(&sql, &act);
        if pieces.iter().any(|piece| matches!(piece, Piece::Lost(_))) {
            explained += 1;
        } else if !pieces.is_empty() {
            inverted += 1;
        }
        groups.push(pieces);
    }
    groups.reverse();
    groups.retain(|pieces| !pieces.is_empty());
    let mut pieces = groups.iter().flatten();
    let is_block = pieces.any(|piece| matches!(piece, Piece::Sql(_)));
    Template {
        text: written(&groups, is_block),
        is_block,
        inverted,
        explained,
    }
}

/// What takes a statement back; nothing where nothing has to be.
fn inverse(sql: &Sql, act: &SqlStatement<'_>, known: &SchemaKnowledge) -> Vec<Piece> {
    match act {
        SqlStatement::Create(made) => create::inverse(sql, made, known),
        SqlStatement::Alter {
            kind,
            name,
            on,
            arguments,
            actions,
            ..
        } => {
            let target = alter::AlterTarget {
                sql,
                kind: *kind,
                name,
                on: on.as_ref(),
                arguments: *arguments,
            };
            alter::inverse(&target, actions, known)
        }
        SqlStatement::RenameTables(pairs) => pairs
            .iter()
            .rev()
            .map(|(from, to)| {
                Piece::Sql(format!(
                    "RENAME TABLE {} TO {}",
                    to.written(),
                    from.written()
                ))
            })
            .collect(),
        SqlStatement::Drop(it) => taken::dropped(sql, it, known),
        SqlStatement::Comment { target, text, .. } => {
            taken::comment(sql, *target, text.is_some(), known)
        }
        SqlStatement::Rights(rights) => taken::rights(rights),
        SqlStatement::Rows { how, tables } => archive::rows(sql, *how, tables, known),
        SqlStatement::EndsTransaction | SqlStatement::Harmless => Vec::new(),
        SqlStatement::Other => vec![lost(
            sql,
            "what it changes is not known here. Write what takes it back, or let it be where nothing has to be.",
        )],
    }
}

/// That a statement has no inverse.
fn lost(sql: &Sql, why: &str) -> Piece {
    Piece::Lost(format!("{} has no inverse: {why}", head(sql)))
}

/// The beginning of a statement, for people.
fn head(sql: &Sql) -> String {
    const LONGEST: usize = 60;
    let line = if sql.opaque {
        sql.text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        sql.reader().in_line()
    };
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => {
            let end = line[..end].rfind(' ').unwrap_or(end);
            format!("{}...", line[..end].trim_end())
        }
    }
}

const WIDTH: usize = 100;

/// The lines, each a comment.
fn written(groups: &[Vec<Piece>], is_block: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for group in groups {
        for piece in group {
            match piece {
                Piece::Sql(sql) => lines.extend(format!("{sql};").lines().map(str::to_owned)),
                Piece::Note(text) | Piece::Lost(text) => {
                    for line in text.lines() {
                        let comment = if is_block { "-- " } else { "" };
                        if line.starts_with("  ") {
                            lines.push(format!("{comment}{line}"));
                        } else {
                            let wrapped = textwrap::wrap(line, WIDTH);
                            lines.extend(wrapped.iter().map(|line| format!("{comment}{line}")));
                        }
                    }
                }
            }
        }
    }
    let lines = lines.iter().map(|line| match line.as_str() {
        "" => "--".to_owned(),
        line => format!("-- {line}"),
    });
    let mut text: Vec<String> = lines.collect();
    if is_block {
        text.insert(0, "-- ROLLBACK START".to_owned());
        text.push("-- ROLLBACK END".to_owned());
    }
    let mut text = text.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
