//! The table in which the Supabase CLI records the migrations that it has applied, and which of its rows is which
//! migration.
//!
//! A row has a version and a name. `supabase migration repair` may leave the name NULL, and several files can have
//! the same version, so the version alone identifies nothing.

use std::collections::BTreeSet;

use super::file::{MigrationFile, version};
use super::history::History;
use rollback_core::revision::RevisionId;

/// A row of `supabase_migrations.schema_migrations`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemoteMigration {
    /// `version`: the digits at the beginning of the file name.
    pub version: String,
    /// `name`: the rest of the file name. `None` after a repair, and in tables of old CLI versions.
    pub name: Option<String>,
    /// `created_by`: who pushed it, if the table has that column.
    pub pushed_by: Option<String>,
}

/// What Supabase's table says about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteStatus<'a> {
    /// This row is the migration.
    Applied(&'a RemoteMigration),
    /// The row of its version has another name.
    OtherName(&'a RemoteMigration),
    /// The row of its version has no name, and several migrations have that version.
    Ambiguous(&'a RemoteMigration),
    /// No row has its version.
    Absent,
}

/// A row that belongs to no registered migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRemote {
    /// The row.
    pub row: RemoteMigration,
    /// The files that have its version, by name. With one of them, `sql sync` can register it, unless the name of the
    /// row is another.
    pub files: Vec<RevisionId>,
    /// Whether one of the files is this migration.
    pub has_file: bool,
}

impl RemoteMigration {
    /// The row of a version and a name.
    pub fn new(version: impl Into<String>, name: Option<&str>) -> Self {
        Self {
            version: version.into(),
            name: name.map(str::to_owned),
            pushed_by: None,
        }
    }

    /// The name; an empty one is none.
    fn known_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    /// The name that its file has: `20240301120000_todos`; without a name, the version.
    pub fn file_name(&self) -> String {
        match self.known_name() {
            Some(name) => format!("{}_{name}", self.version),
            None => self.version.clone(),
        }
    }

    /// What rows are sorted by: the version as a number, then the name.
    pub fn order(&self) -> (usize, String, String) {
        order(&self.version, &self.file_name())
    }

    fn is_named(&self, id: &RevisionId) -> bool {
        self.known_name().is_some() && self.file_name() == id.as_str()
    }
}

/// All migrations that may be meant by a row: the registered ones and the files.
fn candidates<'a>(history: &'a History, files: &'a [MigrationFile]) -> BTreeSet<&'a RevisionId> {
    let records = history.records.iter().map(|record| &record.id);
    records.chain(files.iter().map(|file| &file.id)).collect()
}

/// What the table says about a migration; `None` if the database has no such table.
pub fn remote_status<'a>(
    history: &'a History,
    files: &[MigrationFile],
    id: &RevisionId,
) -> Option<RemoteStatus<'a>> {
    let rows = history.supabase.as_ref()?;
    let of_version: Vec<&RemoteMigration> = rows
        .iter()
        .filter(|row| row.version == version(id))
        .collect();
    if let Some(row) = of_version.iter().find(|row| row.is_named(id)) {
        return Some(RemoteStatus::Applied(row));
    }
    let unnamed = of_version.iter().find(|row| row.known_name().is_none());
    let Some(row) = unnamed else {
        return Some(match of_version.first() {
            Some(row) => RemoteStatus::OtherName(row),
            None => RemoteStatus::Absent,
        });
    };
    let others = candidates(history, files);
    let others = others
        .into_iter()
        .filter(|other| *other != id && version(other) == row.version);
    Some(if others.count() == 0 {
        RemoteStatus::Applied(row)
    } else {
        RemoteStatus::Ambiguous(row)
    })
}

/// The row that goes when a migration is rolled back.
pub fn row_of<'a>(
    history: &'a History,
    files: &[MigrationFile],
    id: &RevisionId,
) -> Option<&'a RemoteMigration> {
    match remote_status(history, files, id)? {
        RemoteStatus::Applied(row) => Some(row),
        RemoteStatus::OtherName(_) | RemoteStatus::Ambiguous(_) | RemoteStatus::Absent => None,
    }
}

/// The rows that belong to no registered migration, oldest first.
pub fn unknown_rows(history: &History, files: &[MigrationFile]) -> Vec<UnknownRemote> {
    let known: BTreeSet<&RemoteMigration> = history
        .records
        .iter()
        .filter_map(|record| row_of(history, files, &record.id))
        .collect();
    let rows = history.supabase.iter().flatten();
    let mut found: Vec<UnknownRemote> = rows
        .filter(|row| !known.contains(row))
        .map(|row| UnknownRemote {
            files: files
                .iter()
                .filter(|file| version(&file.id) == row.version)
                .map(|file| file.id.clone())
                .collect(),
            has_file: files
                .iter()
                .filter(|file| version(&file.id) == row.version)
                .any(|file| row_of(history, files, &file.id) == Some(row)),
            row: row.clone(),
        })
        .collect();
    found.sort_by(|one, other| one.row.cmp(&other.row));
    found
}

/// The rows of Supabase's table that are newer than one of these migrations and belong to no migration that counts as
/// applied here: with them, these are not the newest ones. Oldest first.
pub fn newer_rows<'ids>(
    history: &History,
    files: &[MigrationFile],
    ids: impl IntoIterator<Item = &'ids RevisionId>,
) -> Vec<UnknownRemote> {
    let Some(oldest) = ids
        .into_iter()
        .min_by_key(|id| order(version(id), id.as_str()))
    else {
        return Vec::new();
    };
    let oldest = order(version(oldest), oldest.as_str());
    let gone = history.records.iter().filter(|record| !record.is_applied());
    let again = gone.filter_map(|record| {
        let row = row_of(history, files, &record.id)?;
        Some(UnknownRemote {
            row: row.clone(),
            files: vec![record.id.clone()],
            has_file: true,
        })
    });
    let mut found = unknown_rows(history, files);
    found.extend(again);
    found.retain(|one| one.row.order() > oldest);
    found.sort_by_key(|one| one.row.order());
    found
}

/// Versions in their order as numbers, then names.
fn order(version: &str, name: &str) -> (usize, String, String) {
    let digits = version.trim_start_matches('0');
    (digits.len(), digits.to_owned(), name.to_owned())
}

/// The versions that several files have, each with its files, if the database has Supabase's table: that table can
/// hold one of them only.
pub fn duplicate_versions<'a>(
    history: &History,
    files: &'a [MigrationFile],
) -> Vec<(&'a str, Vec<&'a RevisionId>)> {
    if history.supabase.is_none() {
        return Vec::new();
    }
    let mut found: Vec<(&str, Vec<&RevisionId>)> = Vec::new();
    let mut ids: Vec<&RevisionId> = files.iter().map(|file| &file.id).collect();
    ids.sort();
    for id in ids {
        let of = version(id);
        match found.iter_mut().find(|(version, _)| *version == of) {
            Some((_, ids)) => ids.push(id),
            None => found.push((of, vec![id])),
        }
    }
    found.retain(|(_, ids)| ids.len() > 1);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{HistoryRecord, Metadata, MigrationStatus};

    fn file(name: &str) -> MigrationFile {
        MigrationFile {
            id: name.into(),
            path: format!("{name}.sql"),
            description: None,
            up: String::new(),
            rollback: None,
            depends_on: Vec::new(),
            independent_of: Vec::new(),
            checksum: String::new(),
        }
    }

    fn record(name: &str) -> HistoryRecord {
        HistoryRecord {
            id: name.into(),
            status: MigrationStatus::Applied,
            applied_at: None,
            applied_by: None,
            rollback_sql: None,
            checksum: None,
            rollback_at: None,
            rollback_by: None,
            notes: None,
            metadata: Metadata::default(),
        }
    }

    fn history(rows: &[(&str, Option<&str>)], records: &[&str]) -> History {
        let rows = rows.iter();
        History {
            records: records.iter().map(|name| record(name)).collect(),
            dependencies: Vec::new(),
            supabase: Some(
                rows.map(|(version, name)| RemoteMigration::new(*version, *name))
                    .collect(),
            ),
        }
    }

    /// Fails if a row is matched by its version although its name is another migration's.
    #[test]
    fn a_row_is_the_migration_of_its_version_and_name() {
        let files = [file("1_a"), file("1_b"), file("2_c"), file("3_d")];
        let history = history(&[("1", Some("b")), ("2", None), ("3", Some(""))], &[]);
        let of = |name: &str| remote_status(&history, &files, &name.into()).unwrap();
        let rows = history.supabase.as_deref().unwrap();
        assert_eq!(of("1_a"), RemoteStatus::OtherName(&rows[0]));
        assert_eq!(of("1_b"), RemoteStatus::Applied(&rows[0]));
        assert_eq!(of("2_c"), RemoteStatus::Applied(&rows[1]), "repaired");
        assert_eq!(of("3_d"), RemoteStatus::Applied(&rows[2]));
        assert_eq!(of("4_e"), RemoteStatus::Absent);
        assert_eq!(
            remote_status(&History::default(), &files, &"1_a".into()),
            None
        );
    }

    /// Fails if a repaired row is given to one of several migrations; a registered one without a file counts too.
    #[test]
    fn a_row_without_a_name_is_matched_only_if_one_migration_has_its_version() {
        let row = RemoteMigration::new("1", None);
        let two_files = [file("1_a"), file("1_b")];
        let of_files = history(&[("1", None)], &[]);
        let of_record = history(&[("1", None)], &["1_gone"]);
        for (history, files) in [(&of_files, &two_files[..]), (&of_record, &two_files[..1])] {
            assert_eq!(
                remote_status(history, files, &"1_a".into()),
                Some(RemoteStatus::Ambiguous(&row))
            );
            assert_eq!(row_of(history, files, &"1_a".into()), None);
        }
    }

    #[test]
    fn rows_that_no_registered_migration_has_are_unknown() {
        let files = [file("1_a"), file("2_b"), file("3_c")];
        let rows = [
            ("3", Some("other")),
            ("2", Some("b")),
            ("1", Some("a")),
            ("9", None),
        ];
        let found = unknown_rows(&history(&rows, &["1_a"]), &files);
        let found: Vec<(String, bool, usize)> = found
            .into_iter()
            .map(|one| (one.row.file_name(), one.has_file, one.files.len()))
            .collect();
        assert_eq!(
            found,
            [
                ("2_b".to_owned(), true, 1),
                ("3_other".to_owned(), false, 1),
                ("9".to_owned(), false, 0)
            ]
        );
    }

    /// Fails if a newer row is overlooked, or an older one stops a rollback.
    #[test]
    fn rows_newer_than_the_oldest_of_a_plan_are_found() {
        let files = [file("1_a"), file("2_b"), file("10_c")];
        let rows = [
            ("1", Some("gone")),
            ("2", Some("b")),
            ("9", Some("elsewhere")),
            ("10", Some("c")),
        ];
        let newer = |history: &History, ids: &[&str]| -> Vec<(String, bool)> {
            let ids: Vec<RevisionId> = ids.iter().map(|id| RevisionId::new(*id)).collect();
            newer_rows(history, &files, &ids)
                .into_iter()
                .map(|one| (one.row.file_name(), one.has_file))
                .collect()
        };
        let mut history = history(&rows, &["1_a", "2_b"]);
        assert_eq!(
            newer(&history, &["2_b"]),
            [("9_elsewhere".to_owned(), false), ("10_c".to_owned(), true)]
        );
        assert_eq!(newer(&history, &["10_c"]), []);
        assert_eq!(newer(&history, &["10_c", "2_b"]).len(), 2);
        // Rolled back here, and pushed again since.
        history.records[1].status = MigrationStatus::RolledBack;
        assert_eq!(newer(&history, &["1_a"]).len(), 4);
        assert_eq!(newer(&history, &[]), []);
    }

    #[test]
    fn versions_that_several_files_have_are_reported_beside_the_table_alone() {
        let files = [file("2_b"), file("1_b"), file("1_a")];
        let found = history(&[], &[]);
        assert_eq!(
            duplicate_versions(&found, &files),
            [("1", vec![&"1_a".into(), &"1_b".into()])]
        );
        assert_eq!(duplicate_versions(&History::default(), &files), []);
    }
}
