//! What keeps a migration from being taken down although nothing else needs it.

use similar::TextDiff;

use super::file::{Malformed, MigrationFile};
use super::history::{History, Kind, Record, Status};
use crate::domain::revision::RevisionId;

/// Which SQL takes a migration down whose file is not what was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// What was registered in the database.
    Stored,
    /// What the file says now, which is registered with it.
    File,
}

/// What stands in the way of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Taking it down failed before, with these words.
    Failed(Option<String>),
    /// Nothing is known that takes it down.
    NoSql {
        /// Whether the file has something by now.
        file_has: bool,
    },
    /// The file takes it down in another way than what was registered, and nobody chose: the difference.
    Changed(String),
    /// The file cannot be read, and it is what was chosen.
    Malformed(Malformed),
    /// It needs a migration that is not there.
    Needs(RevisionId),
}

/// What the files of a project are.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Those that could be read.
    pub read: &'a [MigrationFile],
    /// Why the others could not be.
    pub malformed: &'a [Malformed],
}

impl<'a> Files<'a> {
    /// The file of a migration, where it could be read.
    pub fn get(&self, id: &RevisionId) -> Option<&'a MigrationFile> {
        self.read.iter().find(|file| file.id == *id)
    }

    /// Why the file of a migration could not be read.
    pub fn malformed(&self, id: &RevisionId) -> Option<&'a Malformed> {
        self.malformed.iter().find(|malformed| {
            let name = malformed.file.rsplit('/').next().unwrap_or_default();
            let name = name.strip_suffix(".sql").unwrap_or(name);
            name.strip_suffix(".down").unwrap_or(name) == id.as_str() || name == id.as_str()
        })
    }
}

/// Whether the file is another than the one that was registered, or the row was changed by hand. One that was
/// written by somebody else may have no checksum.
pub fn is_changed(record: &Record, file: &MigrationFile) -> bool {
    let checksum = record.checksum.as_ref();
    checksum.is_some_and(|checksum| *checksum != file.checksum) || !is_same(record, file)
}

/// Whether both take the migration down in the same way.
pub fn is_same(record: &Record, file: &MigrationFile) -> bool {
    stored(record) == of_file(file)
}

fn stored(record: &Record) -> &str {
    record.rollback_sql.as_deref().unwrap_or_default().trim()
}

fn of_file(file: &MigrationFile) -> &str {
    let rollback = file.rollback.as_ref();
    rollback.map_or("", |rollback| rollback.sql.trim())
}

/// What was registered against what the file says, line by line.
pub fn difference(record: &Record, file: &MigrationFile) -> String {
    let (stored, now) = (stored(record), of_file(file));
    let [stored, now] = [stored, now].map(|text| match text {
        "" => String::new(),
        text => format!("{text}\n"),
    });
    let written = file.rollback.as_ref();
    let path = written.map_or(&file.path, |rollback| &rollback.file);
    TextDiff::from_lines(&stored, &now)
        .unified_diff()
        .header("registered", path)
        .to_string()
}

/// What stands in the way of these migrations, in their order. `goes_on` is whether an unfinished run takes up
/// where one of them failed.
pub fn obstacles<'ids>(
    history: &History,
    files: Files<'_>,
    ids: impl IntoIterator<Item = &'ids RevisionId>,
    chosen: Option<Chosen>,
    goes_on: bool,
) -> Vec<(RevisionId, Obstacle)> {
    let mut found = Vec::new();
    for record in ids.into_iter().filter_map(|id| history.get(id)) {
        let file = files.get(&record.id);
        let of_one = of_one(history, record, file, files, chosen, goes_on);
        found.extend(of_one.into_iter().map(|one| (record.id.clone(), one)));
    }
    found
}

fn of_one(
    history: &History,
    record: &Record,
    file: Option<&MigrationFile>,
    files: Files<'_>,
    chosen: Option<Chosen>,
    goes_on: bool,
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if record.status == Status::Failed && !goes_on {
        found.push(Obstacle::Failed(record.metadata.error.clone()));
    }
    let changed = file.filter(|file| is_changed(record, file));
    let runs = match (chosen, changed) {
        (Some(Chosen::File), Some(file)) => of_file(file),
        _ => stored(record),
    };
    match (chosen, files.malformed(&record.id), changed) {
        (Some(Chosen::File), Some(malformed), _) => {
            found.push(Obstacle::Malformed(malformed.clone()));
        }
        _ if runs.is_empty() => found.push(Obstacle::NoSql {
            file_has: file.is_some_and(|file| !of_file(file).is_empty()),
        }),
        (None, _, Some(file)) if !is_same(record, file) => {
            found.push(Obstacle::Changed(difference(record, file)));
        }
        _ => {}
    }
    let needed = history
        .dependencies
        .iter()
        .filter(|dependency| dependency.of == record.id && dependency.kind != Kind::Independent);
    let gone = needed.filter(|dependency| {
        history
            .get(&dependency.on)
            .is_none_or(|other| other.status == Status::RolledBack)
    });
    found.extend(gone.map(|dependency| Obstacle::Needs(dependency.on.clone())));
    found
}
