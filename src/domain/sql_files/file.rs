//! One migration file: what goes up, the block that takes it down, and what its comments say.

use crate::domain::foresight::Dialect;
use crate::domain::revision::RevisionId;

/// How the SQL that takes a migration down is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Between the markers as it is: whoever runs the whole file runs it at once.
    Plain,
    /// Between the markers, each line a comment.
    Commented,
    /// In a file of its own, `NAME.down.sql`.
    Companion,
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

/// The migration that an operator or a comment names, with or without `.sql`.
pub fn named(text: &str) -> Result<RevisionId, NameError> {
    let name = text.trim();
    let name = name.strip_suffix(".sql").unwrap_or(name);
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
pub fn read(
    id: RevisionId,
    path: &str,
    text: &str,
    companion: Option<(&str, &str)>,
    dialect: Dialect,
) -> Result<MigrationFile, Malformed> {
    let _ = (companion, dialect, text);
    Err(Malformed {
        file: path.to_owned(),
        line: 1,
        reason: format!("{id} cannot be read yet"),
    })
}

/// The text of a file with its block made a comment, line by line. A block that is one already stays.
pub fn commented(path: &str, text: &str, dialect: Dialect) -> Result<String, Malformed> {
    let _ = (path, dialect);
    Ok(text.to_owned())
}
