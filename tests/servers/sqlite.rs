//! SQLite files: read in every state that an application leaves them in, and left as they were.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rollback_core::connection::{ConnectionFacts, VersionRows, VersionTable};
use rollback_database::{self, DatabaseError};
use rusqlite::Connection;

use crate::support::{Kind, TestDatabase, database_environment};

const FILLED: &str = "CREATE TABLE alembic_version (version_num VARCHAR(32)); \
     INSERT INTO alembic_version VALUES ('x')";

fn facts(path: &Path) -> ConnectionFacts {
    ConnectionFacts {
        dialect: "sqlite".to_owned(),
        database: Some(path.display().to_string()),
        ..ConnectionFacts::default()
    }
}

fn refused(path: &Path) -> DatabaseError {
    rollback_database::open(&facts(path), &database_environment())
        .err()
        .expect("an error")
}

fn assert_reads_x(path: &Path) {
    let mut ours = rollback_database::open(&facts(path), &database_environment()).unwrap();
    let VersionRows::Rows(rows) = ours.version_rows(&VersionTable::default()).unwrap() else {
        panic!("the table is there");
    };
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].as_str(), "x");
    ours.identity().unwrap();
    ours.schema().unwrap();
}

/// Names and content of everything beside the database. The index of a log (`-shm`) is memory that
/// happens to have a name, and readers write their marks there.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = if name.ends_with("-shm") {
                vec![]
            } else {
                fs::read(path).unwrap()
            };
            (name, bytes)
        })
        .collect()
}

/// A connection of the application, which stays open.
fn hold(path: &Path, sql: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

#[test]
fn what_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.db");
    assert!(matches!(refused(&missing), DatabaseError::NoSuchFile(_)));
    assert!(!missing.exists(), "nothing was created");

    let error = refused(directory.path());
    assert!(error.to_string().contains("not a file"), "{error}");

    let text = directory.path().join("notes.txt");
    fs::write(
        &text,
        "no database, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    let error = refused(&text);
    assert!(error.to_string().contains("not a database"), "{error}");
    assert!(error.to_string().contains("notes.txt"), "{error}");
}

#[test]
fn reading_leaves_no_trace() {
    let database = TestDatabase::create(Kind::Sqlite);
    database.execute(FILLED);
    let directory = database.path().parent().unwrap().to_owned();
    let before = content(&directory);
    assert_reads_x(&database.path());
    assert_eq!(content(&directory), before);
}

#[test]
fn a_wal_database_at_rest_stays_as_it_is() {
    let database = TestDatabase::create(Kind::Sqlite);
    database.execute(&format!("PRAGMA journal_mode = WAL; {FILLED}"));
    let directory = database.path().parent().unwrap().to_owned();
    let before = content(&directory);
    assert_eq!(before.len(), 1, "closed in an orderly way");
    assert_reads_x(&database.path());
    assert_eq!(content(&directory), before);
    assert_eq!(database.query_one("PRAGMA journal_mode"), "wal");
}

#[test]
fn a_wal_database_in_use_is_read_with_its_log() {
    let database = TestDatabase::create(Kind::Sqlite);
    let application = hold(
        &database.path(),
        &format!("PRAGMA journal_mode = WAL; {FILLED}"),
    );
    let directory = database.path().parent().unwrap().to_owned();
    let before = content(&directory);
    assert!(
        before.keys().any(|name| name.ends_with("-wal")),
        "the application is at work"
    );
    assert_reads_x(&database.path());
    assert_eq!(content(&directory), before);
    drop(application);
}

/// Turns red if our closing copies the log into the file, which is for the application to do.
#[test]
fn a_wal_database_after_a_crash_keeps_its_log() {
    let database = TestDatabase::create(Kind::Sqlite);
    let application = hold(
        &database.path(),
        &format!("PRAGMA journal_mode = WAL; {FILLED}"),
    );
    // What a crash leaves: the files as they are while the application runs.
    let directory = tempfile::tempdir().unwrap();
    for name in ["app.db", "app.db-wal"] {
        fs::copy(
            database.path().with_file_name(name),
            directory.path().join(name),
        )
        .unwrap();
    }
    drop(application);
    let before = content(directory.path());
    assert_reads_x(&directory.path().join("app.db"));
    let after = content(directory.path());
    for name in ["app.db", "app.db-wal"] {
        assert_eq!(after[name], before[name], "{name}");
    }
}

/// Turns red if a lock is passed over instead of reported.
#[test]
fn a_locked_database_is_an_error() {
    let database = TestDatabase::create(Kind::Sqlite);
    database.execute(FILLED);
    let application = hold(&database.path(), "BEGIN EXCLUSIVE");
    let error = refused(&database.path());
    assert!(error.to_string().contains("locked"), "{error}");
    drop(application);
}

/// A deployment may mount the database read-only; in WAL mode SQLite then needs a hint.
#[test]
fn a_directory_that_cannot_be_written_is_no_obstacle() {
    const MARK: &str = "ROLLBACK_TEST_READ_ONLY";
    const NAME: &str = "sqlite::a_directory_that_cannot_be_written_is_no_obstacle";
    if let Some(directory) = std::env::var_os(MARK) {
        for name in ["plain.db", "wal.db"] {
            assert_reads_x(&Path::new(&directory).join(name));
        }
        let error = refused(&Path::new(&directory).join("secret.db"));
        assert!(
            matches!(error, DatabaseError::Unreachable { .. }),
            "{error:?}"
        );
        return;
    }
    let directory = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    for (name, mode) in [
        ("plain.db", "DELETE"),
        ("wal.db", "WAL"),
        ("secret.db", "DELETE"),
    ] {
        let database = TestDatabase::create(Kind::Sqlite);
        database.execute(&format!("PRAGMA journal_mode = {mode}; {FILLED}"));
        let copy = directory.path().join(name);
        fs::copy(database.path(), &copy).unwrap();
        let mode = if name == "secret.db" { 0o000 } else { 0o444 };
        fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
    }
    // No right is missing to root, so root looks through the eyes of somebody else.
    let program = directory.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).unwrap();
    let mut again = Command::new(program);
    again
        .args(["--exact", NAME])
        .env(MARK, directory.path())
        .current_dir("/");
    if fs::metadata(directory.path()).unwrap().uid() == 0 {
        again.uid(65534).gid(65534);
    }
    let output = again.output().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
