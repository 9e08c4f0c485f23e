//! Restores without a project that works, of a file from elsewhere, and of a database that cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backup::real;
use crate::project::Project;
use crate::support::{Kind, PASSWORD, TestDatabase};
use crate::walk::{rows, upgraded};

fn name(database: &TestDatabase<'_>) -> String {
    match database.kind() {
        Kind::Sqlite => "app.db".to_owned(),
        _ => database.name().to_owned(),
    }
}

/// The id and the file of the backup that was made first.
fn first_backup(project: &Project) -> (String, PathBuf) {
    let listed = project.run("backups --format json").exits(0).json();
    let backup = listed["backups"].as_array().unwrap().last().unwrap();
    let id = backup["id"].as_str().unwrap().to_owned();
    let entries = fs::read_dir(project.root().join(".rollback/backups")).unwrap();
    let is_its_own = |path: &PathBuf| {
        path.file_stem().is_some_and(|stem| stem == id.as_str())
            && path
                .extension()
                .is_some_and(|extension| extension != "json")
    };
    let file = entries.map(|entry| entry.unwrap().path()).find(is_its_own);
    (id, file.unwrap())
}

/// Turns red if a restore needs the project's files.
fn a_restore_needs_no_project(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("linear", &database);
    let was = rows(&database);
    project.run("backup").exits(0);
    let (id, _) = first_backup(&project);
    let line = format!("restore {id} -y --database {}", name(&database));
    let restored = || {
        project
            .rollback(&line)
            .env("ROLLBACK_DATABASE_URL", &database.url())
            .run()
            .exits(0)
    };
    // First `env.py` raises, and there are no version rows.
    let env = project.root().join("migrations/env.py");
    fs::write(env, "raise SystemExit('no settings')\n").unwrap();
    database.execute("DELETE FROM alembic_version");
    restored();
    assert_eq!(rows(&database), was, "{kind:?}");
    // Then nothing of the project is there, and no version table.
    fs::remove_dir_all(project.root().join("migrations")).unwrap();
    fs::remove_file(project.root().join("alembic.ini")).unwrap();
    database.execute("DROP TABLE alembic_version");
    let run = restored();
    assert!(
        run.stderr.contains("the project could not be opened"),
        "{run}"
    );
    assert_eq!(rows(&database), was, "{kind:?}");
    // Without an address the way to one is named.
    let run = project.run(&line).exits(1);
    assert!(run.stderr.contains("--database-url URL"), "{run}");
}
on_each!(a_restore_needs_no_project: sqlite, postgresql, mariadb);

/// Turns red if only backups in the project's own folder can be restored.
fn a_file_from_another_machine_is_restored(kind: Kind) {
    let database = TestDatabase::create(kind);
    let project = upgraded("linear", &database);
    let was = rows(&database);
    project.run("backup").exits(0);
    let (_, path) = first_backup(&project);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join(path.file_name().unwrap());
    fs::copy(&path, &copy).unwrap();
    fs::remove_dir_all(project.root().join(".rollback/backups")).unwrap();
    project.run("downgrade-safe base -y").exits(0);
    let line = |file: &Path| {
        format!(
            "restore {} -y --database {} --no-backup",
            file.display(),
            name(&database)
        )
    };
    let run = project.run(&line(&copy)).exits(0);
    assert!(run.stdout.contains("it has no manifest"), "{run}");
    assert!(run.stderr.contains("are those of the backup"), "{run}");
    assert_eq!(rows(&database), was, "{kind:?}");
    let other = elsewhere.path().join("notes.txt");
    fs::write(&other, "notes").unwrap();
    let run = project.run(&line(&other)).exits(1);
    assert!(run.stderr.contains("is not a backup"), "{run}");
}
on_each!(a_file_from_another_machine_is_restored: sqlite, postgresql, mariadb);

fn restored_although_a_table_cannot_be_read(kind: Kind, damage: &str, table: &str) {
    let database = TestDatabase::create(kind);
    let project = upgraded("linear", &database);
    let was = rows(&database);
    project.run("backup").exits(0);
    database.execute(damage);
    project.run("backup").exits(3);
    let line = format!("restore latest -y --database {}", database.name());
    let run = project.run(&line).exits(0);
    assert!(run.stderr.contains("cannot be saved whole"), "{run}");
    let left_out = format!("leaves out table {table}");
    assert!(run.stderr.contains(&left_out), "{run}");
    assert_eq!(rows(&database), was);
}

/// Turns red if a table that cannot be read makes a restore impossible, or the safety copy does not say what it
/// leaves out.
#[test]
fn a_database_that_cannot_be_dumped_is_restored_on_mariadb() {
    restored_although_a_table_cannot_be_read(
        Kind::MariaDb,
        "CREATE TABLE lost (id int); ALTER TABLE lost DISCARD TABLESPACE",
        "lost",
    );
}

/// The same with a value that its type does not know any more.
#[test]
fn a_database_that_cannot_be_dumped_is_restored_on_postgresql() {
    restored_although_a_table_cannot_be_read(
        Kind::PostgreSql,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE lost (m mood); \
         INSERT INTO lost VALUES ('ok'); DELETE FROM pg_enum WHERE enumlabel = 'ok'",
        "public.lost",
    );
}

fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Turns red if a restore that fails half-way leaves its operator without a command, or the command does not work.
#[test]
fn a_restore_that_fails_prints_a_command_that_works() {
    let database = TestDatabase::create(Kind::MariaDb);
    let project = upgraded("linear", &database);
    let was = rows(&database);
    project.run("backup").exits(0);
    project.run("downgrade-safe -1 -y").exits(0);
    let folder = tempfile::tempdir().unwrap();
    // A client that loads into scratch databases alone: the restore fails after the tables are gone.
    program(
        folder.path(),
        Kind::MariaDb.clients().1,
        &format!(
            "for last; do :; done\ncase \"$last\" in rollback_scratch_*|--version) exec {} \"$@\";; esac\nexit 3",
            real(Kind::MariaDb.clients().1).display()
        ),
    );
    program(
        folder.path(),
        Kind::MariaDb.clients().0,
        &format!("exec {} \"$@\"", real(Kind::MariaDb.clients().0).display()),
    );
    let engine = project.python().parent().unwrap().display().to_string();
    let path = format!("{engine}:{}", crate::support::search_path().display());
    let run = project
        .rollback(&format!("restore latest -y --database {}", database.name()))
        .env("PATH", &format!("{}:{path}", folder.path().display()))
        .run()
        .exits(5);
    let hint = "to bring back the state from before the restore: rollback restore";
    assert!(run.stderr.contains(hint), "{run}");
    assert!(!run.stderr.contains(PASSWORD), "{run}");
    let (id, _) = first_backup(&project);
    let command = run
        .stderr
        .lines()
        .find_map(|line| line.split_once("without rollback: "));
    let command = command.unwrap_or_else(|| panic!("{run}")).1;
    // Ids are hidden in what a test sees; `--password` asks on a terminal, which there is none of.
    let command = command
        .replace("[BACKUP]", &id)
        .replace("[PROJECT]", &project.root().display().to_string())
        .replace(" --password ", " ");
    let ran = Command::new("sh")
        .args(["-c", &command])
        .env("MYSQL_PWD", PASSWORD)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command}\n{said}");
    assert_eq!(rows(&database), was);
}
