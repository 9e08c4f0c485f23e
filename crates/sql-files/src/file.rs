//! One migration file: what goes up, the block that takes it down, and what its comments say.
//!
//! A block is one of comments if each of its lines that is not blank begins with `--`; one `--` and one space are
//! taken off each. A comment in such a block is written `-- -- why`.

mod block;
mod notes;
mod sections;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use self::block::{Block, bare, is_commented, made_comment, parts};
use self::notes::{Notes, notes};
use super::lint;
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_sql::script::{self, ScriptError};
use rollback_sql::tokens::{Kind, Token, Tokens};

/// How the SQL that takes a migration down is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Between the markers as it is: whoever runs the whole file runs it at once.
    Plain,
    /// Between the markers, each line a comment.
    Commented,
    /// In a file of its own, `NAME.down.sql`.
    Companion,
    /// In a section of the file that the tool which applies it knows: of dbmate, goose or sql-migrate.
    Section,
}

/// The SQL that takes a migration down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// How it is written.
    pub form: Form,
    /// The SQL as it is run, without the comment signs of [`Form::Commented`].
    pub sql: String,
    /// The file that it stands in, as it is shown.
    pub file: String,
    /// The line of that file, from 1, that the first line of `sql` is.
    pub line: usize,
}

/// A migration file that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    /// The name without `.sql`.
    pub id: RevisionId,
    /// The file as it is shown, from the project's directory.
    pub path: String,
    /// What `-- Description:` says.
    pub description: Option<String>,
    /// The text without the block.
    pub up: String,
    /// What takes it down, where there is something.
    pub rollback: Option<Rollback>,
    /// What `-- Depends on:` names.
    pub depends_on: Vec<RevisionId>,
    /// What `-- Independent of:` names: these are no dependencies, whatever the SQL looks like.
    pub independent_of: Vec<RevisionId>,
    /// SHA-256 of the file's bytes, and of the companion's after them where there is one, in hexadecimal.
    pub checksum: String,
}

/// Why a file cannot be read as a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct Malformed {
    /// The file as it is shown.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, a clause without a full stop.
    pub reason: String,
}

/// Why a name is none of a migration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It would lead out of the folder, or to no file of it.
    #[error("{0:?} is a path, and a migration is named by its file alone")]
    Path(String),
    /// Nothing, or what no file name may hold.
    #[error("{0:?} is no name of a migration")]
    NoName(String),
}

/// The migration that an operator or a comment names, with or without `.sql` or `.up.sql`.
pub fn named(text: &str) -> Result<RevisionId, NameError> {
    let name = text.trim();
    let name = match name.strip_suffix(".sql") {
        Some(name) => name.strip_suffix(".up").unwrap_or(name),
        None => name,
    };
    if name.contains(['/', '\\']) || name == ".." || name == "." {
        return Err(NameError::Path(text.to_owned()));
    }
    if name.is_empty() || name.starts_with('-') || name.contains(char::is_control) {
        return Err(NameError::NoName(text.to_owned()));
    }
    Ok(RevisionId::new(name))
}

/// What stands before the first `_`, where it is a number; else the whole name.
pub fn version(id: &RevisionId) -> &str {
    let name = id.as_str();
    let digits = name.split('_').next().unwrap_or(name);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits
    } else {
        name
    }
}

/// Reads a file. `companion` is the shown path and the text of `NAME.down.sql`.
///
/// What the block holds is refused where a server would take none of it, see `lint.rs`, and where it begins or ends
/// a transaction: the one that it runs in is ours. A `BEGIN` and a `COMMIT` around all of it are left out.
pub fn read(
    id: RevisionId,
    path: &str,
    text: &str,
    companion: Option<(&str, &str)>,
    dialect: Dialect,
) -> Result<MigrationFile, Malformed> {
    let parts = parts(path, text, dialect)?;
    let Notes {
        description,
        depends_on,
        independent_of,
    } = notes(path, &parts.comments)?;
    if let Some(id) = depends_on
        .iter()
        .chain(&independent_of)
        .find(|it| **it == id)
    {
        return Err(Malformed {
            file: path.to_owned(),
            line: line_of(&parts.comments, id),
            reason: format!("{id} names itself"),
        });
    }
    let sections = sections::sections(path, text, &parts.comments)?;
    if let Some(sections) = &sections {
        let other = match (&parts.block, companion) {
            (Some(_), _) => Some("a rollback block".to_owned()),
            (None, Some((other, _))) => Some(format!("the file {other}")),
            (None, None) => None,
        };
        if let Some(other) = other {
            return Err(Malformed {
                file: path.to_owned(),
                line: sections.line,
                reason: format!("there is a section here and {other} as well"),
            });
        }
    }
    if let Some(sections) = sections {
        let rollback = match sections.down {
            Some(down) => of_section(path, down, dialect)?,
            None => None,
        };
        return Ok(MigrationFile {
            id,
            path: path.to_owned(),
            description,
            up: sections.up.to_owned(),
            rollback,
            depends_on,
            independent_of,
            checksum: checksum(text, None),
        });
    }
    let rollback = match (&parts.block, companion) {
        (Some(block), Some((other, _))) => {
            return Err(Malformed {
                file: path.to_owned(),
                line: block.line,
                reason: format!("there is a block here and the file {other} as well"),
            });
        }
        (Some(block), None) => Some(of_block(path, block, dialect)?),
        (None, Some((other, text))) => Some(of_companion(other, text, dialect)?),
        (None, None) => None,
    };
    let mut up = parts.before.trim_start_matches('\u{feff}').to_owned();
    up.push_str(parts.after);
    Ok(MigrationFile {
        id,
        path: path.to_owned(),
        description,
        up,
        rollback,
        depends_on,
        independent_of,
        checksum: checksum(text, companion.map(|(_, text)| text)),
    })
}

/// The line of the comment that names it.
fn line_of(comments: &[Token<'_>], id: &RevisionId) -> usize {
    comments
        .iter()
        .find(|comment| comment.text.contains(':') && comment.text.contains(id.as_str()))
        .map_or(1, |comment| comment.line)
}

fn checksum(text: &str, companion: Option<&str>) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    hash.update(companion.unwrap_or_default().as_bytes());
    hex::encode(hash.finalize())
}

fn of_block(path: &str, block: &Block<'_>, dialect: Dialect) -> Result<Rollback, Malformed> {
    let (form, sql) = if is_commented(block.text) {
        (Form::Commented, bare(block.text))
    } else {
        (Form::Plain, block.text.to_owned())
    };
    let rollback = Rollback {
        form,
        sql,
        file: path.to_owned(),
        line: block.line + 1,
    };
    examined(rollback, block.line, dialect)
}

/// The tools write an empty section for what cannot be rolled back.
fn of_section(
    path: &str,
    (text, line): (&str, usize),
    dialect: Dialect,
) -> Result<Option<Rollback>, Malformed> {
    let rollback = Rollback {
        form: Form::Section,
        sql: text.to_owned(),
        file: path.to_owned(),
        line,
    };
    match script::statements(text, dialect) {
        Ok(all) if all.is_empty() => Ok(None),
        _ => examined(rollback, line, dialect).map(Some),
    }
}

fn of_companion(path: &str, text: &str, dialect: Dialect) -> Result<Rollback, Malformed> {
    if let Some(block) = parts(path, text, dialect)?.block {
        return Err(Malformed {
            file: path.to_owned(),
            line: block.line,
            reason: "a .down.sql file is run as it is, and has no block".to_owned(),
        });
    }
    let rollback = Rollback {
        form: Form::Companion,
        sql: text.trim_start_matches('\u{feff}').to_owned(),
        file: path.to_owned(),
        line: 1,
    };
    examined(rollback, 1, dialect)
}

/// Whether it can be run. `begins` is the line to point at where there is nothing to point at.
fn examined(rollback: Rollback, begins: usize, dialect: Dialect) -> Result<Rollback, Malformed> {
    let malformed = |line: usize, reason: String| Malformed {
        file: rollback.file.clone(),
        line,
        reason,
    };
    let in_file = |error: ScriptError| malformed(rollback.line + error.line - 1, error.reason);
    let all = script::statements(&rollback.sql, dialect).map_err(in_file)?;
    let inside = script::unwrapped(&all);
    if inside.is_empty() {
        let reason = "there is no SQL in it: what cannot be taken back has no block at all";
        return Err(malformed(begins, reason.to_owned()));
    }
    for statement in inside {
        if let Some(fault) = lint::lint_statement(statement, dialect) {
            let mut error = in_file(fault);
            if rollback.form == Form::Commented {
                error.reason +=
                    ": each line of this block is SQL, and a comment in it begins with -- --";
            }
            return Err(error);
        }
        if statement.controls_a_transaction() {
            let word = statement.text.split_whitespace().next().unwrap_or_default();
            let reason = format!(
                "{} in a rollback: it is run in a transaction of its own",
                word.to_uppercase()
            );
            return Err(malformed(rollback.line + statement.line - 1, reason));
        }
    }
    if rollback.form == Form::Plain
        && let Some(line) = taken_out(&rollback.sql, dialect)
    {
        let reason = "this line is SQL in a comment, and others of the block are none: it is not known what is meant";
        return Err(malformed(rollback.line + line - 1, reason.to_owned()));
    }
    let sql = script::without_wrapper(&rollback.sql, dialect).map_err(in_file)?;
    Ok(Rollback { sql, ..rollback })
}

/// The first comment of a script that is a statement.
fn taken_out(sql: &str, dialect: Dialect) -> Option<usize> {
    Tokens::new(sql, dialect)
        .map_while(Result::ok)
        .filter(|token| token.kind == Kind::LineComment)
        .find(|token| lint::is_statement(token.text.trim_start_matches(['-', '#']), dialect))
        .map(|token| token.line)
}

/// The text of a file with its block made a comment, line by line. A block that is one already stays, and so does
/// a file without a block.
pub fn commented(path: &str, text: &str, dialect: Dialect) -> Result<String, Malformed> {
    let parts = parts(path, text, dialect)?;
    let Some(block) = parts.block else {
        return Ok(text.to_owned());
    };
    if is_commented(block.text) || block.text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    let made = made_comment(block.text).map_err(|number| Malformed {
        file: path.to_owned(),
        line: block.line + 1 + number,
        reason: "this line would look like a mark of the block if it were a comment".to_owned(),
    })?;
    let pieces = [parts.before, block.first, &made, block.last, parts.after];
    let whole = pieces.concat();
    // A carriage return alone ends a line for us, and a comment on PostgreSQL, but on no other server.
    let again = self::parts(path, &whole, dialect).ok();
    let same = again.is_some_and(|again| {
        again.before == parts.before
            && again.after == parts.after
            && again.block.is_some_and(|it| bare(it.text) == block.text)
    });
    if same {
        return Ok(whole);
    }
    Err(Malformed {
        file: path.to_owned(),
        line: block.line,
        reason: "as a comment this block would be another one".to_owned(),
    })
}

/// Whether a text has a line that looks like a mark of a block or of a section that takes it down, wherever it stands. Cheap, and says nothing more.
pub fn has_mark(text: &str) -> bool {
    block::lines(text).any(|line| block::is_mark(line.trim())) || sections::has_way_down(text)
}
