//! A dump and its way back, on real files.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rusqlite::types::Value;

use super::*;
use crate::backup::open;
use rollback_core::interrupt::Interrupt;
use rollback_system::process::Environment;

/// All kinds of tables and values that SQLite knows.
const EVERYTHING: &str = r#"
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
    INSERT INTO alembic_version VALUES ('b1'), ('b2');
    CREATE TABLE typed (id INTEGER PRIMARY KEY AUTOINCREMENT, flag BOOLEAN, day DATE, at DATETIME,
        amount NUMERIC(12, 2), ratio REAL, document JSON, bytes BLOB, words TEXT COLLATE NOCASE DEFAULT 'x',
        CHECK (ratio >= 0));
    INSERT INTO typed VALUES (7, 1, '2026-11-21', '2026-11-21 04:00:00.000001', 12345678.9, 1e308,
        '{"a": [1, null]}', x'00ff0080', 'Grüße'), (9223372036854775807, NULL, NULL, NULL, NULL, NULL, NULL, x'', '');
    CREATE TABLE "größe ""x""" ("ключ 🗝" TEXT PRIMARY KEY, parent INTEGER REFERENCES typed (id) ON DELETE CASCADE)
        WITHOUT ROWID;
    INSERT INTO "größe ""x""" VALUES ('ä', 7), ('𝄞', NULL);
    CREATE TABLE derived (a INTEGER, twice INTEGER GENERATED ALWAYS AS (a * 2) STORED,
        half REAL GENERATED ALWAYS AS (a / 2.0) VIRTUAL);
    INSERT INTO derived (a) VALUES (1), (2), (3);
    CREATE TABLE strict_one (a ANY, b INT) STRICT;
    INSERT INTO strict_one VALUES (x'01', 1), ('1', 2), (1, 3);
    CREATE TABLE long (id INTEGER PRIMARY KEY, bytes BLOB);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        INSERT INTO long SELECT i, randomblob(9000) FROM n;
    CREATE UNIQUE INDEX by_words ON typed (words DESC) WHERE flag;
    CREATE INDEX by_expression ON typed (lower(words));
    CREATE VIEW seen AS SELECT words, amount FROM typed;
    CREATE TRIGGER kept AFTER DELETE ON derived BEGIN INSERT INTO strict_one VALUES ('gone', old.a); END;
    CREATE VIRTUAL TABLE found USING fts5 (words);
    INSERT INTO found VALUES ('the quick brown fox'), ('der schnelle Fuchs');
    PRAGMA user_version = 42;
    PRAGMA application_id = 7;
"#;

/// Nothing of it is as it was.
const CHANGES: &str = r#"
    DROP VIEW seen; DROP TABLE found; DROP TRIGGER kept; DROP TABLE strict_one; DROP INDEX by_words;
    DELETE FROM derived; UPDATE typed SET words = 'other', bytes = NULL; DROP TABLE "größe ""x""";
    ALTER TABLE typed ADD COLUMN more TEXT; CREATE TABLE new (a); INSERT INTO new VALUES (1);
    UPDATE long SET bytes = zeroblob(10); DELETE FROM alembic_version; PRAGMA user_version = 1;
"#;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(statements: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        fs::write(place.file(), "").unwrap();
        place.execute(statements);
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ä b%20#?.db")
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("a copy.sqlite")
    }

    fn open(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    fn execute(&self, statements: &str) {
        self.open().execute_batch(statements).unwrap();
    }

    fn backups(&self) -> Box<dyn BackupDriver> {
        let facts = ConnectionFacts {
            dialect: "sqlite".to_owned(),
            database: Some(self.file().display().to_string()),
            ..ConnectionFacts::default()
        };
        let surroundings = BackupContext {
            environment: Environment::new(),
            interrupt: Interrupt::never(),
            folder: self.folder.path().to_owned(),
            version_table: VersionTable::default(),
        };
        open(&facts, surroundings).unwrap()
    }

    fn dumped(&self) -> DatabaseDigest {
        self.backups().dump(&self.copy(), &mut |_| {}).unwrap()
    }

    /// All statements and all rows of all tables, value by value and with their types.
    fn everything(&self) -> BTreeMap<String, Vec<Vec<Value>>> {
        let file = self.open();
        let rows = |query: &str| -> Vec<Vec<Value>> {
            let mut statement = file.prepare(query).unwrap();
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            });
            rows.unwrap().map(Result::unwrap).collect()
        };
        let tables =
            first_column(&file, "SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
        let mut all: BTreeMap<String, Vec<Vec<Value>>> = tables
            .iter()
            .map(|table| {
                let query = format!("SELECT * FROM {}", quoted(table, '"'));
                (table.clone(), rows(&query))
            })
            .collect();
        all.insert(
            "the statements".to_owned(),
            rows("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"),
        );
        for pragma in ["user_version", "application_id", "encoding"] {
            all.insert(pragma.to_owned(), rows(&format!("PRAGMA {pragma}")));
        }
        all
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn there_and_back(before: &str) {
    let place = Place::new(&format!("{before}{EVERYTHING}"));
    let was = place.everything();
    let dumped = place.dumped();
    assert_eq!(dumped.heads.len(), 2);
    assert_eq!(dumped.rows["long"], 400);
    assert_eq!(dumped.rows["größe \"x\""], 2);
    assert_eq!(dumped, place.backups().contents().unwrap());
    let mode = fs::metadata(place.copy()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    place.execute(CHANGES);
    assert_ne!(place.everything(), was);
    assert_ne!(place.backups().contents().unwrap(), dumped);
    place
        .backups()
        .read_back(&place.copy(), &mut |_| {})
        .unwrap();
    let rehearsed = place.backups().rehearse(&place.copy(), &mut |_| {});
    assert_eq!(rehearsed.unwrap(), dumped);

    let mut told = Vec::new();
    let restored = place
        .backups()
        .restore(&place.copy(), &[], &mut |bytes| told.push(bytes));
    restored.unwrap();
    assert_eq!(place.everything(), was);
    assert_eq!(place.backups().contents().unwrap(), dumped);
    assert!(told.len() > 2, "{told:?}");
    assert_eq!(told.last(), Some(&size(&place.copy())));
    assert_eq!(
        first_column(&place.open(), "PRAGMA integrity_check").unwrap(),
        ["ok"]
    );
    assert_eq!(place.names(), ["a copy.sqlite", "ä b%20#?.db"]);
}

#[test]
fn all_that_was_changed_is_what_it_was() {
    there_and_back("");
}

#[test]
fn so_it_is_in_wal_mode() {
    there_and_back("PRAGMA journal_mode = WAL;");
}

#[test]
fn so_it_is_with_pages_of_another_size_and_encoding() {
    there_and_back("PRAGMA page_size = 512; PRAGMA encoding = 'UTF-16';");
}

/// A reader holds the log open, so that closing does not empty it: the backup has to read the log, too.
#[test]
fn what_stands_in_the_log_alone_is_in_the_copy() {
    let place = Place::new("PRAGMA journal_mode = WAL; CREATE TABLE t (a);");
    let other = place.open();
    other
        .execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (1), (2)")
        .unwrap();
    assert!(size(&beside(&place.file(), "-wal")) > 0);
    assert_eq!(place.dumped().rows["t"], 2);
    other.execute_batch("DELETE FROM t").unwrap();
    // Who only has it open is in nobody's way, and sees what was restored.
    place
        .backups()
        .restore(&place.copy(), &[], &mut |_| {})
        .unwrap();
    let rows: i64 = other
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}

/// A backup that was taken in one mode is put back into a file of another mode and page size.
#[test]
fn modes_and_page_sizes_may_differ() {
    for (first, then) in [
        ("PRAGMA journal_mode = WAL;", "PRAGMA journal_mode = DELETE"),
        ("", "PRAGMA journal_mode = WAL"),
        (
            "",
            "PRAGMA page_size = 512; VACUUM; PRAGMA journal_mode = WAL",
        ),
    ] {
        let place = Place::new(&format!("{first}{EVERYTHING}"));
        let was = place.everything();
        place.dumped();
        place.execute(CHANGES);
        place.execute(then);
        place
            .backups()
            .restore(&place.copy(), &[], &mut |_| {})
            .unwrap();
        assert_eq!(place.everything(), was, "{first} {then}");
    }
}

#[test]
fn whoever_holds_the_file_keeps_a_restore_out_and_nothing_is_changed() {
    for mode in ["DELETE", "WAL"] {
        let place = Place::new(&format!("PRAGMA journal_mode = {mode};{EVERYTHING}"));
        place.dumped();
        place.execute(CHANGES);
        let was = place.everything();
        let other = place.open();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = place
            .backups()
            .restore(&place.copy(), &[], &mut |_| {})
            .unwrap_err();
        assert!(
            matches!(error.error, BackupError::InUse { .. }) && !error.began,
            "{mode}: {error}"
        );
        drop(other);
        assert_eq!(place.everything(), was, "{mode}");
    }
}

/// In the old mode writers of a file have the copy begin again. At last they have to wait, and it is of one
/// moment: both tables have as many rows.
#[test]
fn a_copy_is_of_one_moment_whoever_writes_meanwhile() {
    for mode in ["DELETE", "WAL"] {
        let place = Place::new(&format!(
            "PRAGMA journal_mode = {mode};{EVERYTHING} CREATE TABLE one (a); CREATE TABLE two (a);"
        ));
        let writer = place.open();
        writer.busy_timeout(Duration::ZERO).unwrap();
        let dumped = place.backups().dump(&place.copy(), &mut |_| {
            let pair = "BEGIN; INSERT INTO one VALUES (1); INSERT INTO two VALUES (1); COMMIT";
            if writer.execute_batch(pair).is_err() {
                let _ = writer.execute_batch("ROLLBACK");
            }
        });
        let dumped = dumped.unwrap();
        assert_eq!(dumped.rows["one"], dumped.rows["two"], "{mode}");
        let written: i64 = writer
            .query_row("SELECT count(*) FROM one", [], |row| row.get(0))
            .unwrap();
        assert!(written > 0, "{mode}: nobody wrote");
    }
}

#[test]
fn a_file_cut_off_or_another_one_is_no_whole_backup_and_changes_nothing() {
    let place = Place::new(EVERYTHING);
    place.dumped();
    place.execute(CHANGES);
    let was = place.everything();
    let whole = fs::read(place.copy()).unwrap();
    let mut torn = whole.clone();
    // The kind of a page in the middle.
    torn[4096 * 40..4096 * 40 + 64].fill(0xff);
    for (what, bytes) in [
        ("cut off", &whole[..whole.len() / 2]),
        ("the header alone", &whole[..50]),
        (
            "a text",
            b"-- a text, and no database of SQLite\n"
                .repeat(9)
                .as_slice(),
        ),
        ("a torn page", &torn),
    ] {
        fs::write(place.copy(), bytes).unwrap();
        let error = place
            .backups()
            .read_back(&place.copy(), &mut |_| {})
            .unwrap_err();
        assert!(
            matches!(error, BackupError::Damaged { .. }),
            "{what}: {error}"
        );
    }
    fs::write(place.copy(), "").unwrap();
    let error = place
        .backups()
        .restore(&place.copy(), &[], &mut |_| {})
        .unwrap_err();
    assert!(
        matches!(error.error, BackupError::Damaged { .. }),
        "{error}"
    );
    assert_eq!(place.everything(), was);
}

#[test]
fn a_signal_ends_a_backup_and_the_second_a_restore() {
    let place = Place::new(EVERYTHING);
    let facts = ConnectionFacts {
        dialect: "sqlite".to_owned(),
        database: Some(place.file().display().to_string()),
        ..ConnectionFacts::default()
    };
    let interrupt = Interrupt::never();
    let surroundings = BackupContext {
        environment: Environment::new(),
        interrupt: interrupt.clone(),
        folder: place.folder.path().to_owned(),
        version_table: VersionTable::default(),
    };
    let mut backups = open(&facts, surroundings).unwrap();
    backups.dump(&place.copy(), &mut |_| {}).unwrap();
    place.execute(CHANGES);
    let was = place.everything();
    interrupt.raise();
    let other = place.folder.path().join("other");
    let error = backups.dump(&other, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BackupError::Interrupted), "{error}");
    let error = backups.restore(&place.copy(), &[], &mut |_| interrupt.raise());
    let error = error.unwrap_err().error;
    assert!(matches!(error, BackupError::Interrupted), "{error:?}");
    assert_eq!(place.everything(), was);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let place = Place::new("");
    fs::remove_file(place.file()).unwrap();
    let facts = ConnectionFacts {
        dialect: "sqlite".to_owned(),
        database: Some(place.file().display().to_string()),
        ..ConnectionFacts::default()
    };
    let surroundings = BackupContext {
        environment: Environment::new(),
        interrupt: Interrupt::never(),
        folder: place.folder.path().to_owned(),
        version_table: VersionTable::default(),
    };
    let error = open(&facts, surroundings).err().unwrap().to_string();
    assert!(error.contains("ä b%20#?.db"), "{error}");
}
