//! What keeps a migration from being taken down although nothing else needs it.

use similar::TextDiff;

use super::file::{Malformed, MigrationFile};
use super::history::{History, HistoryKind, HistoryRecord, MigrationStatus};
use rollback_core::revision::RevisionId;

/// Which SQL takes a migration down whose file is not what was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// What was registered in the database.
    Stored,
    /// What the file says now, which is registered with it.
    File,
}

impl Chosen {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::File => "file",
        }
    }
}

/// What stands in the way of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackBlocker {
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
pub struct PlanFiles<'a> {
    /// Those that could be read.
    pub read: &'a [MigrationFile],
    /// Why the others could not be.
    pub malformed: &'a [Malformed],
}

impl<'a> PlanFiles<'a> {
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
pub fn is_changed(record: &HistoryRecord, file: &MigrationFile) -> bool {
    let checksum = record.checksum.as_ref();
    checksum.is_some_and(|checksum| *checksum != file.checksum) || !is_same(record, file)
}

/// Whether both take the migration down in the same way.
pub fn is_same(record: &HistoryRecord, file: &MigrationFile) -> bool {
    stored(record) == of_file(file)
}

fn stored(record: &HistoryRecord) -> &str {
    record.rollback_sql.as_deref().unwrap_or_default().trim()
}

fn of_file(file: &MigrationFile) -> &str {
    let rollback = file.rollback.as_ref();
    rollback.map_or("", |rollback| rollback.sql.trim())
}

/// What was registered against what the file says, line by line.
pub fn difference(record: &HistoryRecord, file: &MigrationFile) -> String {
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
    files: PlanFiles<'_>,
    ids: impl IntoIterator<Item = &'ids RevisionId>,
    chosen: Option<Chosen>,
    goes_on: bool,
) -> Vec<(RevisionId, RollbackBlocker)> {
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
    record: &HistoryRecord,
    file: Option<&MigrationFile>,
    files: PlanFiles<'_>,
    chosen: Option<Chosen>,
    goes_on: bool,
) -> Vec<RollbackBlocker> {
    let mut found = Vec::new();
    if record.status == MigrationStatus::Failed && !goes_on {
        found.push(RollbackBlocker::Failed(record.metadata.error.clone()));
    }
    let changed = file.filter(|file| is_changed(record, file));
    let runs = match (chosen, changed) {
        (Some(Chosen::File), Some(file)) => of_file(file),
        _ => stored(record),
    };
    match (chosen, files.malformed(&record.id), changed) {
        (Some(Chosen::File), Some(malformed), _) => {
            found.push(RollbackBlocker::Malformed(malformed.clone()));
        }
        _ if runs.is_empty() => found.push(RollbackBlocker::NoSql {
            file_has: file.is_some_and(|file| !of_file(file).is_empty()),
        }),
        (None, _, Some(file)) if !is_same(record, file) => {
            found.push(RollbackBlocker::Changed(difference(record, file)));
        }
        _ => {}
    }
    let needed = history.dependencies.iter().filter(|dependency| {
        dependency.of == record.id && dependency.kind != HistoryKind::Independent
    });
    let gone = needed.filter(|dependency| {
        history
            .get(&dependency.on)
            .is_none_or(|other| other.status == MigrationStatus::RolledBack)
    });
    found.extend(gone.map(|dependency| RollbackBlocker::Needs(dependency.on.clone())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Form, Rollback};
    use crate::history::{Dependency, Metadata};

    fn record(name: &str, sql: Option<&str>) -> HistoryRecord {
        HistoryRecord {
            id: name.into(),
            status: MigrationStatus::Applied,
            applied_at: None,
            applied_by: None,
            rollback_sql: sql.map(str::to_owned),
            checksum: Some("as registered".to_owned()),
            rollback_at: None,
            rollback_by: None,
            notes: None,
            metadata: Metadata::default(),
        }
    }

    fn file(name: &str, sql: &str, checksum: &str) -> MigrationFile {
        MigrationFile {
            id: name.into(),
            path: format!("{name}.sql"),
            description: None,
            up: String::new(),
            rollback: Some(Rollback {
                form: Form::Commented,
                sql: sql.to_owned(),
                file: format!("{name}.sql"),
                line: 1,
            }),
            depends_on: Vec::new(),
            independent_of: Vec::new(),
            checksum: checksum.to_owned(),
        }
    }

    fn found(
        history: &History,
        files: PlanFiles<'_>,
        chosen: Option<Chosen>,
    ) -> Vec<RollbackBlocker> {
        let found = obstacles(history, files, [&"a".into()], chosen, false);
        found.into_iter().map(|(_, obstacle)| obstacle).collect()
    }

    fn history(record: HistoryRecord) -> History {
        History {
            records: vec![record],
            ..History::default()
        }
    }

    #[test]
    fn another_text_has_to_be_chosen_and_another_comment_has_not() {
        let history = history(record("a", Some("DROP TABLE a;\n")));
        let of = |sql: &str, checksum: &str, chosen| {
            let read = [file("a", sql, checksum)];
            let files = PlanFiles {
                read: &read,
                malformed: &[],
            };
            found(&history, files, chosen)
        };
        assert_eq!(of("DROP TABLE a;", "as registered", None), []);
        assert_eq!(of("DROP TABLE a;", "another", None), []);
        // A row that somebody changed by hand has its old checksum.
        for checksum in ["as registered", "another"] {
            let changed = of("DROP TABLE b;", checksum, None);
            let [RollbackBlocker::Changed(difference)] = changed.as_slice() else {
                panic!("{changed:?}")
            };
            assert!(
                difference.contains("-DROP TABLE a;\n+DROP TABLE b;"),
                "{difference}"
            );
        }
        for chosen in [Chosen::Stored, Chosen::File] {
            assert_eq!(of("DROP TABLE b;", "another", Some(chosen)), []);
        }
    }

    #[test]
    fn what_runs_has_to_be_there() {
        let history = history(record("a", None));
        let read = [file("a", "DROP TABLE a;", "another")];
        let files = PlanFiles {
            read: &read,
            malformed: &[],
        };
        let none = [RollbackBlocker::NoSql { file_has: true }];
        assert_eq!(found(&history, files, None), none);
        assert_eq!(found(&history, files, Some(Chosen::Stored)), none);
        assert_eq!(found(&history, files, Some(Chosen::File)), []);
    }

    #[test]
    fn a_malformed_file_matters_to_whoever_wants_it() {
        let history = history(record("a", Some("DROP TABLE a;")));
        let malformed = [Malformed {
            file: "db/a.down.sql".to_owned(),
            line: 2,
            reason: "it has no end".to_owned(),
        }];
        let files = PlanFiles {
            read: &[],
            malformed: &malformed,
        };
        assert_eq!(found(&history, files, None), []);
        assert_eq!(
            found(&history, files, Some(Chosen::File)),
            [RollbackBlocker::Malformed(malformed[0].clone())]
        );
    }

    #[test]
    fn what_failed_and_what_needs_something_that_is_gone_is_found() {
        let mut failed = record("a", Some("DROP TABLE a;"));
        failed.status = MigrationStatus::Failed;
        let mut gone = record("b", None);
        gone.status = MigrationStatus::RolledBack;
        let history = History {
            records: vec![failed, gone],
            dependencies: vec![Dependency {
                of: "a".into(),
                on: "b".into(),
                kind: HistoryKind::Declared,
                object: None,
            }],
            supabase: None,
        };
        let files = PlanFiles {
            read: &[],
            malformed: &[],
        };
        assert_eq!(
            found(&history, files, None),
            [
                RollbackBlocker::Failed(None),
                RollbackBlocker::Needs("b".into())
            ]
        );
        let goes_on = obstacles(&history, files, [&"a".into()], None, true);
        assert_eq!(goes_on, [("a".into(), RollbackBlocker::Needs("b".into()))]);
    }
}
