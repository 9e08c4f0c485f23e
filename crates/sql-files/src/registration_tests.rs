use super::*;
use crate::history::Metadata;
use crate::supabase::RemoteMigration;

fn id(name: &str) -> RevisionId {
    RevisionId::new(name)
}

fn file(name: &str, up: &str, depends_on: &[&str], independent_of: &[&str]) -> MigrationFile {
    let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect();
    MigrationFile {
        id: id(name),
        path: format!("migrations/{name}.sql"),
        description: None,
        up: up.to_owned(),
        rollback: None,
        depends_on: ids(depends_on),
        independent_of: ids(independent_of),
        checksum: name.to_owned(),
    }
}

fn record(name: &str, status: MigrationStatus, up: &str) -> HistoryRecord {
    HistoryRecord {
        id: id(name),
        status,
        applied_at: None,
        applied_by: None,
        rollback_sql: None,
        checksum: Some(name.to_owned()),
        rollback_at: None,
        rollback_by: None,
        notes: None,
        metadata: Metadata {
            up_sql: Some(up.to_owned()),
            ..Metadata::default()
        },
    }
}

fn registered(
    files: &[MigrationFile],
    history: &History,
    names: &[&str],
) -> Result<(Vec<String>, Vec<String>), RegistrationIssue> {
    let registration = Registration {
        files,
        unread: &[id("0_unread")],
        history,
        dialect: Dialect::Postgres,
    };
    let ids: Vec<RevisionId> = names.iter().map(|name| id(name)).collect();
    let (found, order) = registration.of(&ids.iter().collect())?;
    let found = found
        .iter()
        .map(|one| format!("{} {:?} {}", one.of, one.kind, one.on));
    let order = order.iter().map(|file| file.id.to_string());
    Ok((found.collect(), order.collect()))
}

#[test]
fn what_is_applied_by_the_rows_of_supabase_is_new() {
    let mut history = History {
        records: vec![
            record("1_a", MigrationStatus::Applied, ""),
            record("2_b", MigrationStatus::RolledBack, ""),
            record("3_c", MigrationStatus::Failed, ""),
        ],
        ..History::default()
    };
    let found = |history: &History| -> Vec<FileStatus> {
        let files = ["1_a", "2_b", "3_c", "4_d", "5_e"].map(|name| file(name, "", &[], &[]));
        files
            .iter()
            .map(|file| FileStatus::of(file, history, &files))
            .collect()
    };
    assert_eq!(
        found(&history),
        [
            FileStatus::Same,
            FileStatus::RolledBack,
            FileStatus::Same,
            FileStatus::New,
            FileStatus::New
        ]
    );
    let rows = [("1", None), ("2", None), ("5", Some("e"))];
    history.supabase = Some(
        rows.map(|(version, name)| RemoteMigration::new(version, name))
            .into(),
    );
    assert_eq!(
        found(&history),
        [
            FileStatus::Same,
            FileStatus::Again,
            FileStatus::Same,
            FileStatus::NotApplied,
            FileStatus::New
        ]
    );
    history.records[0].checksum = None;
    assert_eq!(found(&history)[0], FileStatus::Changed);
}

/// Fails if a file is registered because another one of its version was pushed.
#[test]
fn of_files_with_one_version_only_the_pushed_one_is_new() {
    let files = ["1_a", "1_b", "2_a", "2_b"].map(|name| file(name, "", &[], &[]));
    let history = History {
        supabase: Some(vec![
            RemoteMigration::new("1", Some("b")),
            RemoteMigration::new("2", None),
        ]),
        ..History::default()
    };
    let found = files
        .iter()
        .map(|file| FileStatus::of(file, &history, &files));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            FileStatus::OtherName,
            FileStatus::New,
            FileStatus::Ambiguous,
            FileStatus::Ambiguous
        ]
    );
}

#[test]
fn dependencies_are_found_among_files_and_rows() {
    let files = [
        file("3_c", "ALTER TABLE a ADD COLUMN x int;", &[], &[]),
        file("2_b", "CREATE TABLE b (id int);", &["3_c"], &[]),
    ];
    let history = History {
        // Its file is gone, and the row knows what it made.
        records: vec![record(
            "1_a",
            MigrationStatus::Applied,
            "CREATE TABLE a (id int);",
        )],
        ..History::default()
    };
    assert_eq!(
        registered(&files, &history, &["2_b", "3_c"]).unwrap(),
        (
            vec!["2_b Declared 3_c".to_owned(), "3_c Inferred 1_a".to_owned()],
            vec!["3_c".to_owned(), "2_b".to_owned()]
        )
    );
}

#[test]
fn what_is_needed_has_to_be_there() {
    let history = History {
        records: vec![record("1_a", MigrationStatus::RolledBack, "")],
        ..History::default()
    };
    let files = [
        file("2_b", "", &["1_a"], &[]),
        file("3_c", "", &["2_b"], &[]),
        file("4_d", "", &["9_x"], &[]),
        file("5_e", "", &["0_unread"], &[]),
        file("6_f", "", &[], &["1_a", "0_unread", "2_b"]),
        file("7_g", "", &[], &["9_x"]),
    ];
    let told =
        |name: &str| registered(&files, &history, &[name]).map_err(|error| error.to_string());
    assert_eq!(
        told("2_b").unwrap_err(),
        "2_b depends on 1_a, which is rolled back"
    );
    assert_eq!(
        told("3_c").unwrap_err(),
        "3_c depends on 2_b, which is not registered"
    );
    assert!(told("4_d").unwrap_err().contains("no migration here"));
    assert!(told("5_e").unwrap_err().contains("not registered"));
    assert_eq!(told("6_f").unwrap().0, Vec::<String>::new());
    assert!(told("7_g").unwrap_err().contains("no migration here"));
}

#[test]
fn a_row_changes_by_what_it_said() {
    for (status, change) in [
        (None, FileChange::New),
        (Some(MigrationStatus::Applied), FileChange::Updated),
        (Some(MigrationStatus::Failed), FileChange::Mended),
        (Some(MigrationStatus::RolledBack), FileChange::Again),
    ] {
        let record = status.map(|status| record("a", status, ""));
        assert_eq!(FileChange::of(record.as_ref()), change);
    }
}
