//! The folder of the migration files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::file::{self, Malformed, MigrationFile, NameError, has_mark};
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_system::files;

/// What a folder holds.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The files that could be read, by name.
    pub files: Vec<MigrationFile>,
    /// Why the others could not be.
    pub malformed: Vec<Malformed>,
}

const COMPANION: &str = ".down";
/// What goes up, where both ways have a file of their own: `NAME.up.sql` and `NAME.down.sql`.
const UP: &str = ".up";

impl Folder {
    /// Reads the files of a folder: `NAME.sql` or `NAME.up.sql` and, beside it, `NAME.down.sql`. Folders in it, hidden files and what
    /// has another ending are left out; a link that leads out of it, and what is not UTF-8, is malformed. `project`
    /// is what shown paths start at. The error is a sentence.
    pub fn read(path: &Path, project: &Path, dialect: Dialect) -> Result<Self, String> {
        let home = fs::canonicalize(path)
            .map_err(|error| format!("{} cannot be read: {error}", shown(path, project)))?;
        let entries = fs::read_dir(path)
            .map_err(|error| format!("{} cannot be read: {error}", shown(path, project)))?;
        let mut folder = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        // By name without `.sql`: how it is shown, and its text.
        let mut texts: BTreeMap<String, (String, String)> = BTreeMap::new();
        for entry in entries {
            let entry = entry
                .map_err(|error| format!("{} cannot be read: {error}", shown(path, project)))?;
            let name = entry.file_name();
            let lossy = name.to_string_lossy();
            let Some(stem) = lossy.strip_suffix(".sql").filter(|it| !it.starts_with('.')) else {
                continue;
            };
            let at = shown(&entry.path(), project);
            match text(&entry.path(), &home) {
                Ok(None) => {}
                Ok(Some(text)) if name.to_str().is_some() => {
                    texts.insert(stem.to_owned(), (at, text));
                }
                Ok(Some(_)) => folder.refuse(at, 1, "its name is not UTF-8"),
                Err((line, reason)) => folder.refuse(at, line, reason),
            }
        }
        folder.take_in(&texts, dialect);
        folder.files.sort_by(|one, other| one.id.cmp(&other.id));
        folder
            .malformed
            .sort_by(|one, other| one.file.cmp(&other.file));
        Ok(folder)
    }

    fn take_in(&mut self, texts: &BTreeMap<String, (String, String)>, dialect: Dialect) {
        for (stem, (at, text)) in texts {
            if let Some(of) = stem.strip_suffix(COMPANION) {
                if !texts.contains_key(of) && !texts.contains_key(&format!("{of}{UP}")) {
                    self.refuse(
                        at.clone(),
                        1,
                        format!("there is no {of}.sql and no {of}.up.sql that it could take down"),
                    );
                }
                continue;
            }
            if let Some(of) = undone_by(stem, texts) {
                let reason = format!(
                    "this is Flyway's way to take {of}.sql down, which is not read: name it {of}.down.sql"
                );
                self.refuse(at.clone(), 1, reason);
                continue;
            }
            let name = stem.strip_suffix(UP).unwrap_or(stem);
            if name != stem && texts.contains_key(name) {
                self.refuse(at.clone(), 1, format!("there is {name}.sql as well"));
                continue;
            }
            let id = match file::named(name) {
                Ok(id) if id.as_str() == name => id,
                Ok(_) => {
                    self.refuse(at.clone(), 1, "there is white space around its name");
                    continue;
                }
                Err(error) => {
                    self.refuse(at.clone(), 1, error.to_string());
                    continue;
                }
            };
            let companion = texts
                .get(&format!("{name}{COMPANION}"))
                .map(|(at, text)| (at.as_str(), text.as_str()));
            match file::read(id, at, text, companion, dialect) {
                Ok(file) => self.files.push(file),
                Err(malformed) => self.malformed.push(malformed),
            }
        }
    }

    fn refuse(&mut self, file: String, line: usize, reason: impl Into<String>) {
        self.malformed.push(Malformed {
            file,
            line,
            reason: reason.into(),
        });
    }

    /// The migration that is typed: its name, or its file by a path that leads into this folder.
    pub fn typed(&self, text: &str, project: &Path) -> Result<RevisionId, NameError> {
        let path = project.join(text);
        let parent = path.parent().and_then(|it| fs::canonicalize(it).ok());
        match path.file_name().and_then(|it| it.to_str()) {
            Some(name) if parent.is_some() && parent == fs::canonicalize(&self.path).ok() => {
                file::named(name)
            }
            _ => file::named(text),
        }
    }
}

/// The migration `V1__name` that `U1__name` takes down, if both are there.
fn undone_by<'a>(stem: &str, texts: &'a BTreeMap<String, (String, String)>) -> Option<&'a str> {
    let (version, _) = stem.strip_prefix('U')?.split_once("__")?;
    let applied = format!("V{version}__");
    let is_number = version.starts_with(|first: char| first.is_ascii_digit());
    let mut names = texts
        .keys()
        .filter(|name| is_number && name.starts_with(&applied));
    names.next().map(String::as_str)
}

/// As it is shown: from the project's directory, where it is in there.
fn shown(path: &Path, project: &Path) -> String {
    path.strip_prefix(project)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The text of a file; `None` where it is none, such as a folder. The error has a line.
fn text(path: &Path, home: &Path) -> Result<Option<String>, (usize, String)> {
    let unread = |error: std::io::Error| (1, format!("it cannot be read: {error}"));
    let place = fs::canonicalize(path).map_err(unread)?;
    // A pipe would be waited for.
    if !fs::metadata(&place).map_err(unread)?.is_file() {
        return Ok(None);
    }
    if !place.starts_with(home) {
        return Err((1, "it is a link that leads out of the folder".to_owned()));
    }
    String::from_utf8(files::read(&place).map_err(unread)?)
        .map(Some)
        .map_err(|error| {
            let sound = error.utf8_error().valid_up_to();
            let before = error.as_bytes().iter().take(sound);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            (line, "what stands here is not UTF-8".to_owned())
        })
}

/// The folder of a project's migration files where nobody named one: `supabase/migrations`, or a folder
/// `migrations` or `db/migrations` with a file that has a rollback block or a companion. One with an `env.py` is
/// Alembic's.
pub fn find(project: &Path) -> Option<PathBuf> {
    let known = project.join("supabase/migrations");
    if known.is_dir() {
        return Some(known);
    }
    ["migrations", "db/migrations"]
        .into_iter()
        .map(|folder| project.join(folder))
        .find(|folder| !folder.join("env.py").exists() && has_a_way_down(folder))
}

fn has_a_way_down(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".sql")) else {
            return false;
        };
        let path = entry.path();
        !stem.starts_with('.')
            && path.is_file()
            && (stem.ends_with(COMPANION)
                || files::read(&path).is_ok_and(|text| has_mark(&String::from_utf8_lossy(&text))))
    })
}

#[cfg(test)]
mod tests;
