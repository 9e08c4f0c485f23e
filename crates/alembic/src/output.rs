//! What Alembic prints, read with regular expressions: the road that works for every engine.
//!
//! Only the `--verbose` forms are trusted: there every line of a message is indented by four spaces,
//! while in the short forms a message of several lines spills over into lines that look like others.
//! A project may print chatter of its own around them; it is passed over.

use std::sync::LazyLock;

use regex::Regex;

use rollback_core::revision::{Revision, RevisionId};
use rollback_core::secret::mask;

/// An output that does not say what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected}, but the engine printed {quoted:?}")]
pub struct NotUnderstood {
    expected: &'static str,
    quoted: String,
}

impl NotUnderstood {
    fn new(expected: &'static str, quoted: impl Into<String>) -> Self {
        Self {
            expected,
            quoted: quoted.into(),
        }
    }
}

/// The output of `current --verbose`, one entry per database that `env.py` went through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentReport {
    /// The URL as Alembic shows it, every password masked.
    pub url: String,
    /// What it lists for this database.
    pub revisions: Vec<RevisionId>,
}

fn pattern(text: &str) -> Regex {
    #[expect(
        clippy::expect_used,
        reason = "the patterns are constants, each used by a test"
    )]
    Regex::new(text).expect("a valid pattern")
}

static HEADER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^Rev: (\S.*?)((?: \((?:head|branchpoint|mergepoint|current)\))*)$"));
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(Parent|Merges|Also depends on|Branches into|Branch names|Path): (.*)$")
});
static CURRENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Current revision\(s\) for (.*):$"));
static SHORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^([^\s(]+)(?: \((?P<labels>[^()]+)\))??((?: \((?:effective head|head|branchpoint|mergepoint|current)\))*)$",
    )
});
/// Superset's greeting and lines of a logger that writes to stdout.
static CHATTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:Loaded your LOCAL configuration|\[?\d{4}-\d\d-\d\d[ T]|(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL)\b|logging was configured)",
    )
});
static DOCSTRING_FIELD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(Revision ID|Revises|Create Date):[ \t]*(.*)$"));

/// Reads `history --verbose`, in the order of Alembic's loading as far as it can be told.
///
/// Alembic prints topologically but loads the files of each folder sorted by name (before 1.7 as the
/// file system lists them), and the order of loading decides what a relative target means.
pub fn history(stdout: &str) -> Result<Vec<Revision>, NotUnderstood> {
    let mut revisions = blocks(stdout)?;
    if revisions.is_empty()
        && let Some(line) = unknown_line(stdout)
    {
        return Err(NotUnderstood::new(
            "expected a list of revisions (`Rev: ...`)",
            line,
        ));
    }
    let mut folders: Vec<String> = Vec::new();
    for revision in &revisions {
        let folder = split_path(revision).0.to_owned();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    revisions.sort_by_cached_key(|revision| {
        let (folder, file) = split_path(revision);
        (
            folders.iter().position(|known| known == folder),
            file.to_owned(),
        )
    });
    Ok(revisions)
}

fn split_path(revision: &Revision) -> (&str, &str) {
    let path = revision.path.as_deref().unwrap_or_default();
    path.rsplit_once(['/', '\\']).unwrap_or(("", path))
}

/// Reads `current --verbose`: one report per `Current revision(s) for` line.
pub fn current(stdout: &str) -> Result<Vec<CurrentReport>, NotUnderstood> {
    let mut reports: Vec<CurrentReport> = Vec::new();
    for line in stdout.lines() {
        if let Some(found) = CURRENT.captures(line) {
            reports.push(CurrentReport {
                url: mask(&found[1], None),
                revisions: Vec::new(),
            });
        } else if let Some(found) = HEADER.captures(line) {
            let Some(report) = reports.last_mut() else {
                return Err(NotUnderstood::new(
                    "expected `Current revision(s) for ...` first",
                    line,
                ));
            };
            report.revisions.push(RevisionId::new(&found[1]));
        }
    }
    if reports.is_empty() {
        let quoted = unknown_line(stdout).unwrap_or_default();
        return Err(NotUnderstood::new(
            "expected `Current revision(s) for ...`",
            quoted,
        ));
    }
    Ok(reports)
}

/// Reads the short form of `current` and `heads`: `ID (label) (head) (mergepoint)`.
pub fn short(stdout: &str) -> Result<Vec<RevisionId>, NotUnderstood> {
    stdout
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !CHATTER.is_match(line))
        .map(|line| match SHORT.captures(line) {
            Some(found) => Ok(RevisionId::new(&found[1])),
            None => Err(NotUnderstood::new("expected a revision", line)),
        })
        .collect()
}

/// The message and the creation date in a version file's docstring. What it says about the parents
/// is stale too often to be read.
pub fn docstring(text: &str) -> (String, Option<String>) {
    let fields = |name: &'static str| {
        text.lines()
            .filter_map(|line| DOCSTRING_FIELD.captures(line.trim_end()))
            .filter(move |found| &found[1] == name)
            .map(|found| found[2].trim().to_owned())
            .find(|value| !value.is_empty())
    };
    let message: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .take_while(|line| !DOCSTRING_FIELD.is_match(line))
        .collect();
    (message.join("\n").trim().to_owned(), fields("Create Date"))
}

/// The revision blocks of a verbose listing, in the order of the output.
fn blocks(stdout: &str) -> Result<Vec<Revision>, NotUnderstood> {
    let mut revisions = Vec::new();
    let mut lines = stdout.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(header) = HEADER.captures(line) else {
            continue;
        };
        let mut revision = Revision {
            id: header[1].to_owned(),
            ..Revision::default()
        };
        let mut has_parents = false;
        while let Some(found) = lines.peek().and_then(|next| FIELD.captures(next)) {
            lines.next();
            match &found[1] {
                "Parent" | "Merges" => {
                    has_parents = true;
                    revision.down_revisions = ids(&found[2]);
                }
                "Also depends on" => revision.depends_on = ids(&found[2]),
                "Branch names" => revision.branch_labels = ids(&found[2]),
                "Path" => revision.path = Some(found[2].to_owned()),
                _ => {}
            }
        }
        if !has_parents || revision.path.is_none() {
            let next = lines.peek().copied().unwrap_or("nothing more");
            return Err(NotUnderstood::new(
                "expected `Parent:` or `Merges:` and `Path:` after a `Rev:` line",
                format!("{line}\n{next}"),
            ));
        }
        // A blank line, then the docstring, indented; chatter that follows it is not.
        let mut text = String::new();
        while let Some(next) = lines.next_if(|next| next.is_empty() || next.starts_with("    ")) {
            text.push_str(next.strip_prefix("    ").unwrap_or(next));
            text.push('\n');
        }
        (revision.message, revision.created) = docstring(&text);
        revisions.push(revision);
    }
    Ok(revisions)
}

fn ids(list: &str) -> Vec<String> {
    list.split(", ")
        .map(str::trim)
        .filter(|id| !id.is_empty() && *id != "<base>")
        .map(str::to_owned)
        .collect()
}

/// The first line that is neither empty nor known chatter.
fn unknown_line(stdout: &str) -> Option<&str> {
    stdout
        .lines()
        .find(|line| !line.trim().is_empty() && !CHATTER.is_match(line))
}

#[cfg(test)]
mod tests;
