use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

const MARKED: &str = "SELECT 1;\n-- ROLLBACK START\n-- DROP TABLE a;\n-- ROLLBACK END\n";

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        fs::create_dir(project.path("m")).unwrap();
        for (name, text) in files {
            let path = project.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self) -> Folder {
        Folder::read(&self.path("m"), self.0.path(), Dialect::Sqlite).unwrap()
    }
}

fn names(folder: &Folder) -> Vec<&str> {
    folder.files.iter().map(|file| file.id.as_str()).collect()
}

fn faults(folder: &Folder) -> Vec<String> {
    folder.malformed.iter().map(ToString::to_string).collect()
}

#[test]
fn files_come_by_name_with_their_companions() {
    let project = Project::new(&[
        ("m/2_b.sql", MARKED.as_bytes()),
        ("m/1_a.sql", b"SELECT 1;"),
        ("m/1_a.down.sql", b"DROP TABLE a;"),
        ("m/README.md", b"it's"),
        ("m/.hidden.sql", b"it's"),
        ("m/old.sql/3_c.sql", b"it's"),
    ]);
    let folder = project.read();
    assert_eq!(names(&folder), ["1_a", "2_b"]);
    assert_eq!(faults(&folder), [""; 0]);
    assert_eq!(folder.files[1].path, "m/2_b.sql");
    let rollback = folder.files[0].rollback.as_ref().unwrap();
    assert_eq!(rollback.file, "m/1_a.down.sql");
}

#[test]
fn both_ways_in_files_of_their_own_are_one_migration() {
    let project = Project::new(&[
        ("m/1_a.up.sql", b"CREATE TABLE a (b int);"),
        ("m/1_a.down.sql", b"DROP TABLE a;"),
        ("m/2_b.up.sql", b"SELECT 1;"),
        ("m/3_c.up.sql", b"SELECT 1;"),
        ("m/3_c.sql", b"SELECT 1;"),
    ]);
    let folder = project.read();
    assert_eq!(names(&folder), ["1_a", "2_b", "3_c"]);
    assert_eq!(
        faults(&folder),
        ["m/3_c.up.sql:1: there is 3_c.sql as well"]
    );
    assert_eq!(folder.files[0].path, "m/1_a.up.sql");
    let rollback = folder.files[0].rollback.as_ref().unwrap();
    assert_eq!(rollback.file, "m/1_a.down.sql");
    assert_eq!(folder.files[1].rollback, None);
    for text in ["1_a", "1_a.up.sql", "m/1_a.up.sql"] {
        let id = folder.typed(text, project.0.path()).unwrap();
        assert_eq!(id.as_str(), "1_a", "{text}");
    }
}

/// Turns red if what takes a migration down counts as another migration.
#[test]
fn pairs_of_flyway_are_refused_by_name() {
    let project = Project::new(&[
        ("m/V1__a.sql", b"CREATE TABLE a (b int);"),
        ("m/U1__a.sql", b"DROP TABLE a;"),
        ("m/U2__b.sql", b"SELECT 1;"),
    ]);
    let folder = project.read();
    assert_eq!(names(&folder), ["U2__b", "V1__a"]);
    assert_eq!(
        faults(&folder),
        [
            "m/U1__a.sql:1: this is Flyway's way to take V1__a.sql down, which is not read: name it V1__a.down.sql"
        ]
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let project = Project::new(&[
        ("m/1_a.sql", b"SELECT 1;\n\nSELECT '\xff';"),
        ("m/2_b.sql", b"SELECT 1;\n-- ROLLBACK END\n"),
        ("m/3_c.down.sql", b"DROP TABLE a;"),
        ("m/ 4_d.sql", b"SELECT 1;"),
        ("outside.sql", b"SELECT 1;"),
    ]);
    symlink(project.path("outside.sql"), project.path("m/5_e.sql")).unwrap();
    symlink(project.path("nowhere.sql"), project.path("m/6_f.sql")).unwrap();
    let odd = project.path("m").join(OsStr::from_bytes(b"7_\xff.sql"));
    fs::write(odd, "SELECT 1;").unwrap();
    let folder = project.read();
    assert_eq!(names(&folder), [""; 0]);
    let faults = faults(&folder);
    assert_eq!(
        faults[..5],
        [
            "m/ 4_d.sql:1: there is white space around its name",
            "m/1_a.sql:3: what stands here is not UTF-8",
            "m/2_b.sql:2: a block ends here that did not begin",
            "m/3_c.down.sql:1: there is no 3_c.sql and no 3_c.up.sql that it could take down",
            "m/5_e.sql:1: it is a link that leads out of the folder",
        ]
    );
    assert!(
        faults[5].starts_with("m/6_f.sql:1: it cannot be read: "),
        "{faults:?}"
    );
    assert!(
        faults[6].ends_with(".sql:1: its name is not UTF-8"),
        "{faults:?}"
    );
}

#[test]
fn a_link_inside_the_folder_is_a_file_of_it() {
    let project = Project::new(&[("m/old/a.txt", MARKED.as_bytes())]);
    symlink("old/a.txt", project.path("m/1_a.sql")).unwrap();
    assert_eq!(names(&project.read()), ["1_a"]);
}

#[test]
fn no_folder_is_a_sentence() {
    let project = Project::new(&[]);
    let error = Folder::read(&project.path("x"), project.0.path(), Dialect::Sqlite).unwrap_err();
    assert!(error.starts_with("x cannot be read: "), "{error}");
}

#[test]
fn a_migration_is_typed_by_name_or_by_a_path_into_the_folder() {
    let project = Project::new(&[("m/1_a.sql", MARKED.as_bytes()), ("1_a.sql", b"")]);
    let folder = project.read();
    let typed = |text: &str| folder.typed(text, project.0.path());
    let absolute = project.path("m/1_a.sql");
    for text in [
        "1_a",
        "1_a.sql",
        "m/1_a.sql",
        "./m/1_a",
        absolute.to_str().unwrap(),
    ] {
        assert_eq!(typed(text).unwrap().as_str(), "1_a", "{text}");
    }
    for text in ["./1_a.sql", "m/../1_a.sql", "../m/1_a.sql", "m/.."] {
        assert!(matches!(typed(text), Err(NameError::Path(_))), "{text}");
    }
}

#[test]
fn folders_with_a_way_down_are_found() {
    let found = |files: &[(&str, &[u8])]| {
        let project = Project::new(files);
        find(project.0.path()).map(|path| path.strip_prefix(project.0.path()).unwrap().to_owned())
    };
    let marked = MARKED.as_bytes();
    assert_eq!(
        found(&[("supabase/migrations/a.sql", b"")]),
        Some("supabase/migrations".into())
    );
    assert_eq!(
        found(&[("migrations/a.sql", marked)]),
        Some("migrations".into())
    );
    assert_eq!(
        found(&[("db/migrations/a.down.sql", b"")]),
        Some("db/migrations".into())
    );
    assert_eq!(
        found(&[("db/migrations/a.sql", b"-- migrate:up\n-- migrate:down\n")]),
        Some("db/migrations".into())
    );
    assert_eq!(
        found(&[
            ("migrations/a.sql", b"SELECT 1;"),
            ("migrations/b.txt", marked)
        ]),
        None
    );
    assert_eq!(
        found(&[("migrations/env.py", b""), ("migrations/a.sql", marked)]),
        None
    );
    assert_eq!(found(&[]), None);
}

/// What the fixtures show is what is read of them.
#[test]
fn the_fixtures_are_read() {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("fixtures/sql");
    let read = |case: &str, folder: &str, dialect| {
        let project = fixtures.join(case);
        Folder::read(&project.join(folder), &project, dialect).unwrap()
    };
    let all = [Dialect::Postgres, Dialect::MySql, Dialect::Sqlite];
    for (case, folder, count) in [
        ("shop", "migrations", 5),
        ("plain_blocks", "migrations", 3),
        ("archive", "migrations", 2),
        ("companions", "migrations", 2),
        ("concurrently", "migrations", 3),
        ("supabase", "supabase/migrations", 5),
    ] {
        let postgresql_alone = ["concurrently", "supabase"].contains(&case);
        for dialect in all.iter().take(if postgresql_alone { 1 } else { 3 }) {
            let folder = read(case, folder, *dialect);
            assert_eq!(faults(&folder), [""; 0], "{case}");
            assert_eq!(folder.files.len(), count, "{case}");
            assert!(
                folder.files.iter().all(|file| file.rollback.is_some()),
                "{case}"
            );
        }
    }
    for dialect in all {
        let folder = read("malformed", "migrations", dialect);
        assert_eq!(names(&folder), ["0001_sound"]);
        let lines: Vec<String> = folder
            .malformed
            .iter()
            .map(|one| {
                format!(
                    "{}:{}",
                    one.file.trim_start_matches("migrations/"),
                    one.line
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "0002_no_end.sql:3",
                "0003_two_blocks.sql:7",
                "0004_nested.sql:4",
                "0005_empty.sql:3",
                "0006_end_before_start.sql:3",
                "0007_no_sql.sql:4",
                "0008_prose.sql:4",
                "0009_half_commented.sql:4",
                "0010_transaction.sql:5",
                "0011_no_string_end.sql:2",
                "0012_path.sql:1",
                "0013_both.sql:3",
                "0014_alone.down.sql:1",
                "0015_psql.sql:4",
            ]
        );
    }
}
