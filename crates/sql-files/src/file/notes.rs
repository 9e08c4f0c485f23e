//! What the comments of a file say.

use super::{Malformed, named};
use rollback_core::revision::RevisionId;
use rollback_sql::tokens::Token;

/// What they say.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) description: Option<String>,
    pub(super) depends_on: Vec<RevisionId>,
    pub(super) independent_of: Vec<RevisionId>,
}

/// Reads the comments that have a line of their own.
pub(super) fn notes(file: &str, comments: &[Token<'_>]) -> Result<Notes, Malformed> {
    let mut notes = Notes::default();
    for comment in comments {
        let text = comment.text.trim_start_matches(['-', '#']);
        if let Some(said) = after("Description", text) {
            if notes.description.is_none() && !said.is_empty() {
                notes.description = Some(said.to_owned());
            }
        } else if let Some(said) = after("Depends on", text) {
            names(
                file,
                comment.line,
                "Depends on",
                said,
                &mut notes.depends_on,
            )?;
        } else if let Some(said) = after("Independent of", text) {
            let independent = &mut notes.independent_of;
            names(file, comment.line, "Independent of", said, independent)?;
        }
    }
    Ok(notes)
}

/// What follows `WORDS:`, in whatever case and with whatever space.
fn after<'a>(words: &str, comment: &'a str) -> Option<&'a str> {
    let (said, rest) = comment.split_once(':')?;
    said.split_whitespace()
        .map(str::to_ascii_lowercase)
        .eq(words.split(' ').map(str::to_ascii_lowercase))
        .then(|| rest.trim())
}

fn names(
    file: &str,
    line: usize,
    words: &str,
    said: &str,
    found: &mut Vec<RevisionId>,
) -> Result<(), Malformed> {
    let malformed = |reason: String| Malformed {
        file: file.to_owned(),
        line,
        reason,
    };
    // A comma at the end is nothing to stumble over.
    let said = said.trim_end_matches(',').trim_end();
    if said.is_empty() {
        return Err(malformed(format!("{words} names no migration")));
    }
    for name in said.split(',') {
        let id = named(name.trim()).map_err(|error| malformed(error.to_string()))?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(())
}
