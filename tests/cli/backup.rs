//! `rollback backup`, `backups` and `restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Project, Run, bin};

/// A project whose database is large enough for several steps of a copy, and what is in it.
fn large() -> Project {
    let project = Project::alembic("linear").at("heads");
    project.sql("CREATE TABLE large (id INTEGER PRIMARY KEY, bytes BLOB)");
    project.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) \
         INSERT INTO large SELECT i, randomblob(9000) FROM n",
    );
    project
}

/// All rows that were put in, as one text, and the schema.
fn content(project: &Project) -> Vec<String> {
    let mut content = project.sql("SELECT id, hex(bytes) FROM large ORDER BY id");
    content.extend(project.sql("SELECT type, name, sql FROM sqlite_master ORDER BY name"));
    content.extend(project.rows());
    content
}

fn kept(project: &Project) -> Vec<PathBuf> {
    let mut kept = project.files();
    kept.retain(|path| path.starts_with(".rollback/backups"));
    kept
}

fn listed(project: &Project) -> Vec<serde_json::Value> {
    let answer = project.run("backups --format json").exits(0).json();
    answer["backups"].as_array().unwrap().clone()
}

fn restored(project: &Project, id: &str) -> Run {
    project.run(&format!("restore {id} -y --database app.db"))
}

#[test]
fn a_backup_is_made_proven_and_listed() {
    let project = large();
    let before = project.bytes();
    let made = project.run("backup --format json").exits(0).json();
    assert_eq!(project.bytes(), before, "the database was written to");
    assert_eq!(made["verified"], "read");
    assert_eq!(made["heads"], serde_json::json!(["5e6f7a8b9c05"]));
    let path = project.root().join(&kept(&project)[1]);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(made["bytes"], fs::metadata(&path).unwrap().len());
    let again = project.run("backup --verify-backup restore").exits(0);
    assert!(
        again
            .stdout
            .contains("restored beside the database and compared"),
        "{again}"
    );
    assert!(
        again
            .stdout
            .contains("Restore:   rollback restore [BACKUP]"),
        "{again}"
    );
    let listed = listed(&project);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1]["id"], made["id"]);
    assert_eq!(listed[0]["verified"], "restored");
    let table = project.run("backups").exits(0).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    // Two files of each, and nothing that was only needed meanwhile.
    assert_eq!(kept(&project).len(), 4, "{:?}", kept(&project));
}

#[test]
fn a_restore_brings_everything_back_and_keeps_what_was_there() {
    let project = large();
    let was = content(&project);
    project.run("backup").exits(0);
    project.run("downgrade-safe -2 -y --allow all").exits(0);
    project.sql("DELETE FROM large WHERE id > 5");
    project.sql("UPDATE large SET bytes = x'00'");
    let then = content(&project);
    let run = restored(&project, "latest").exits(0);
    assert!(run.stdout.contains("large: 5 now, 400 then"), "{run}");
    assert!(run.stdout.contains("Then:      5e6f7a8b9c05"), "{run}");
    assert!(run.stderr.contains("read from the database"), "{run}");
    assert_eq!(content(&project), was);
    // The newest backup is that of the state that was replaced.
    restored(&project, "latest").exits(0);
    assert_eq!(content(&project), then);
    let oldest = listed(&project).last().unwrap()["id"].clone();
    project
        .run(&format!(
            "restore {} -y --database app.db --no-backup --format json",
            oldest.as_str().unwrap()
        ))
        .exits(0);
    assert_eq!(content(&project), was);
    assert_eq!(listed(&project).len(), 3);
}

#[test]
fn a_restore_closes_the_unfinished_run() {
    let project = Project::alembic("failing").at("heads");
    project.run("backup").exits(0);
    project
        .run("downgrade-safe base -y --allow-failing")
        .exits(5);
    project.run("downgrade-safe -1 -y").exits(3);
    let run = restored(&project, "latest").exits(0);
    assert!(
        run.stdout.contains("Ends:      the unfinished run"),
        "{run}"
    );
    assert_eq!(project.rows(), ["5555aaaa"]);
    project.run("downgrade-safe --resume").exits(1);
    project.run("downgrade-safe -1 -y").exits(0);
}

#[test]
fn a_restore_is_refused_without_the_name_and_of_another_database() {
    let project = Project::alembic("linear").at("heads");
    project.run("backup").exits(0);
    let bytes = project.bytes();
    let run = project.run("restore latest -y").exits(3);
    assert!(run.stderr.contains("--database app.db"), "{run}");
    let run = project
        .run("restore latest -y --database other.db")
        .exits(3);
    assert!(run.stderr.contains("this database is app.db"), "{run}");
    let run = project.run("restore latest").exits(3);
    assert!(
        run.stderr.contains("there is no terminal to ask on"),
        "{run}"
    );
    let run = project.run("restore 1999").exits(1);
    assert!(run.stderr.contains("rollback backups"), "{run}");

    let other = Project::alembic("linear").at("heads");
    let shared = project.root().join(".rollback");
    let line = format!(
        "restore latest -y --database app.db --state-dir {}",
        shared.display()
    );
    let run = other.run(&line).exits(3);
    assert!(run.stderr.contains("--other-database"), "{run}");
    other.run(&format!("{line} --other-database")).exits(0);
    assert_eq!(project.bytes(), bytes);
    // Two databases in one folder are told apart.
    let both = project.run("backups").exits(0).stdout;
    assert!(both.lines().next().unwrap().ends_with("database"), "{both}");
}

#[test]
fn a_damaged_backup_is_refused_and_changes_nothing() {
    let project = large();
    project.run("backup").exits(0);
    let file = project.root().join(&kept(&project)[1]);
    let whole = fs::read(&file).unwrap();
    let bytes = project.bytes();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for (damaged, words) in [
        (&altered[..], "altered"),
        (&whole[..whole.len() / 2], "bytes, and had"),
    ] {
        fs::write(&file, damaged).unwrap();
        let run = restored(&project, "latest").exits(1);
        assert!(run.stderr.contains(words), "{run}");
        assert_eq!(project.bytes(), bytes);
    }
    fs::remove_file(&file).unwrap();
    restored(&project, "latest").exits(1);
    let manifest = file.with_extension("json");
    fs::write(manifest, "{").unwrap();
    let run = project.run("backups").exits(0);
    assert!(run.stderr.contains("it is no manifest"), "{run}");
}

#[test]
fn a_kill_in_a_restore_leaves_the_old_or_the_new_content() {
    for mode in ["DELETE", "WAL"] {
        let project = large();
        project.sql(&format!("PRAGMA journal_mode = {mode}"));
        let new = content(&project);
        project.run("backup").exits(0);
        project.sql("DELETE FROM large WHERE id % 2 = 0");
        project.sql("UPDATE large SET bytes = randomblob(8000)");
        let old = content(&project);
        for (point, expected) in [
            ("before_restoring", &old),
            ("restoring:1", &old),
            ("restoring:3", &old),
            ("after_restoring", &new),
        ] {
            let run = project
                .rollback("restore latest -y --database app.db --no-backup")
                .env("ROLLBACK_FAULT_POINT", point)
                .run();
            assert_eq!(run.code, None, "{point}: not killed\n{run}");
            assert!(content(&project) == *expected, "{mode} {point}");
            let check = project.sql("PRAGMA integrity_check");
            assert_eq!(check, ["ok"], "{mode} {point}");
        }
        project
            .run("restore latest -y --database app.db --no-backup")
            .exits(0);
        assert!(content(&project) == new, "{mode}");
    }
}

#[test]
fn a_kill_in_a_backup_leaves_nothing_that_counts_as_one() {
    let project = large();
    for point in ["backing_up:2", "after_dump", "between_backup_and_manifest"] {
        let run = project
            .rollback("backup")
            .env("ROLLBACK_FAULT_POINT", point)
            .run();
        assert_eq!(run.code, None, "{point}: not killed\n{run}");
        assert!(!kept(&project).is_empty(), "{point}: nothing was begun");
        assert!(listed(&project).is_empty(), "{point}");
        project.run("restore latest -y --database app.db").exits(1);
    }
    project.run("backup").exits(0);
    assert_eq!(listed(&project).len(), 1);
    assert_eq!(kept(&project).len(), 2, "{:?}", kept(&project));
}

/// A limit on the size of files stands for a full disk: the write fails in the middle.
#[test]
fn a_disk_that_is_full_leaves_no_backup_and_says_so() {
    let project = large();
    let call = project.rollback("backup").command();
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" backup"])
        .arg(bin())
        .current_dir(project.root())
        .env_clear()
        .envs(
            call.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let run = project.told(&limited.output().unwrap()).exits(3);
    assert!(run.stderr.contains("disk"), "{run}");
    assert!(listed(&project).is_empty());
    assert!(kept(&project).is_empty(), "{:?}", kept(&project));
}

#[test]
fn without_room_nothing_is_written_and_both_figures_are_told() {
    let project = Project::alembic("linear").at("heads");
    // A hole takes no room; what the file takes by its length is more than the disk has.
    let file = fs::OpenOptions::new().write(true).open(project.database());
    file.unwrap().set_len(4 << 40).unwrap();
    let run = project.run("backup").exits(3);
    assert!(run.stderr.contains("the database takes 4.3 TB"), "{run}");
    assert!(run.stderr.contains(" left"), "{run}");
    assert!(kept(&project).is_empty());
    let run = project
        .rollback("downgrade-safe -1 -y --backup")
        .run()
        .exits(3);
    assert!(run.stderr.contains("--no-backup"), "{run}");
}

#[test]
fn a_restore_of_a_file_that_is_held_changes_nothing() {
    let project = large();
    project.run("backup").exits(0);
    project.sql("DELETE FROM large");
    let old = content(&project);
    let program = "
import sqlite3, sys
database = sqlite3.connect('app.db', isolation_level=None)
database.execute('BEGIN')
database.execute('SELECT count(*) FROM large').fetchall()
print('ready', flush=True)
sys.stdin.read()";
    let call = project.rollback("backup").command();
    let mut holder = Command::new(project.python())
        .args(["-c", program])
        .current_dir(project.root())
        .env_clear()
        .envs(
            call.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        // A fork would hold the file under a number of its own.
        .env_remove("TEST_PRELOADED")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(holder.stdout.as_mut().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let run = restored(&project, "latest").exits(4);
    assert!(run.stderr.contains("the database is as before"), "{run}");
    assert!(
        run.stderr.contains(&format!("pid {}", holder.id())),
        "{run}"
    );
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(content(&project), old);
}

/// Turns red if the clock decides which backup is the latest, or a time that has not come yet is an age.
#[test]
fn the_latest_backup_is_the_one_that_was_made_last_whatever_the_clock_said() {
    let project = Project::alembic("linear").at("heads");
    let first = project.run("backup --format json").exits(0).json();
    let id = first["id"].as_str().unwrap();
    let manifest = project.root().join(format!(".rollback/backups/{id}.json"));
    let text = fs::read_to_string(&manifest).unwrap();
    let mut written: serde_json::Value = serde_json::from_str(&text).unwrap();
    written["at"] = "2099-01-01T00:00:00.000Z".into();
    fs::write(&manifest, written.to_string()).unwrap();
    project.run("downgrade-safe -1 -y").exits(0);
    let second = project.run("backup --format json").exits(0).json();
    let ids: Vec<_> = listed(&project)
        .into_iter()
        .map(|backup| backup["id"].clone())
        .collect();
    assert_eq!(ids, [second["id"].clone(), first["id"].clone()]);
    let table = project.run("backups").exits(0).stdout;
    let last = table.lines().nth(2).unwrap();
    assert!(last.contains("clock was ahead"), "{table}");
    project.run("downgrade-safe -1 -y").exits(0);
    let restored = project
        .run("restore latest -y --database app.db --no-backup --format json")
        .exits(0)
        .json();
    assert_eq!(restored["backup"], second["id"]);
}

/// Turns red if a file that is damaged cannot be replaced, because no backup of it can be made.
#[test]
fn a_damaged_database_is_restored_and_its_bytes_are_kept() {
    let project = large();
    let was = content(&project);
    project.run("backup").exits(0);
    let mut bytes = project.bytes();
    // The root page of the schema.
    bytes[100..400].fill(0xff);
    fs::write(project.database(), &bytes).unwrap();
    let url = format!("sqlite:///{}", project.database().display());
    let run = project
        .rollback("restore latest -y --database app.db")
        .env("ROLLBACK_DATABASE_URL", &url)
        .run()
        .exits(0);
    assert!(run.stderr.contains("copied byte by byte"), "{run}");
    assert_eq!(content(&project), was);
    let saved = listed(&project)[0]["id"].clone();
    let saved = format!(".rollback/backups/{}.sqlite", saved.as_str().unwrap());
    assert!(fs::read(project.root().join(saved)).unwrap() == bytes);
}
