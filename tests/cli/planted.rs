//! Files that somebody else put where the program writes or reads: links, FIFOs, devices, journals of the future.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{Project, Run};

/// A wait for a FIFO ends with the test's patience, which is longer than this.
const AT_ONCE: Duration = Duration::from_mins(1);

fn at_heads() -> Project {
    Project::alembic("diamond").at("heads")
}

/// A file that a link leads to.
fn victim(project: &Project) -> PathBuf {
    let path = project.root().join("victim");
    fs::write(&path, "dear text\n").unwrap();
    path
}

#[track_caller]
fn is_as_it_was(victim: &PathBuf) {
    assert_eq!(fs::read_to_string(victim).unwrap(), "dear text\n");
}

/// Red when the lock file of SQLite is opened through a link: it was cut off there.
#[test]
fn a_link_in_the_place_of_the_lock_is_refused() {
    let project = at_heads();
    let (victim, bytes) = (victim(&project), project.bytes());
    let lock = project.root().join("app.db.rollback-lock");
    symlink(&victim, &lock).unwrap();
    let run = project.run("downgrade-safe -1 -y").exits(1);
    assert!(
        run.stderr.contains("app.db.rollback-lock: it is a link"),
        "{run}"
    );
    is_as_it_was(&victim);
    assert_eq!(project.bytes(), bytes);
    // A second name of a file is as good as a link.
    fs::remove_file(&lock).unwrap();
    fs::hard_link(&victim, &lock).unwrap();
    let run = project.run("downgrade-safe -1 -y").exits(1);
    assert!(run.stderr.contains("it has a second name"), "{run}");
    is_as_it_was(&victim);
}

/// Red when the record is written where a link in the project leads.
#[test]
fn a_link_in_the_place_of_the_record_is_refused() {
    let project = at_heads();
    let elsewhere = project.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let record = project.root().join(".rollback");
    symlink(&elsewhere, &record).unwrap();
    let bytes = project.bytes();
    // Where a backup cannot be made, that is a refusal.
    for (line, exit) in [
        ("downgrade-safe -1 -y", 1),
        ("backup", 3),
        ("downgrade-safe -1 -y --backup", 3),
    ] {
        let run = project.run(line).exits(exit);
        assert!(
            run.stderr.contains(".rollback: it is a link"),
            "{line}\n{run}"
        );
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(project.bytes(), bytes);
    // One that was named is the user's choice.
    project
        .run("downgrade-safe -1 -y --state-dir .rollback")
        .exits(0);
    assert!(elsewhere.join("runs").is_dir());
}

/// Red when one of the files of a record is opened through a link.
#[test]
fn a_link_among_the_records_is_refused() {
    for (name, exit) in [("runs", 1), ("backups", 3)] {
        let project = at_heads();
        fs::create_dir(project.root().join(".rollback")).unwrap();
        let elsewhere = project.root().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, project.root().join(".rollback").join(name)).unwrap();
        let run = project.run("downgrade-safe -1 -y --backup").exits(exit);
        assert!(run.stderr.contains("it is a link"), "{run}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(project.rows(), ["e86f3a7d1c95"]);
    }
}

/// Red when a report is written into what a link leads to, or waits for a FIFO.
#[test]
fn a_report_replaces_a_link_and_nothing_else() {
    let project = at_heads();
    let victim = victim(&project);
    symlink(&victim, project.root().join("a.md")).unwrap();
    mkfifo(&project.root().join("b.md"), Mode::S_IRWXU).unwrap();
    project.run("downgrade-safe -1 -y --report a.md").exits(0);
    is_as_it_was(&victim);
    let report = project.root().join("a.md");
    assert!(!report.symlink_metadata().unwrap().is_symlink());
    assert!(fs::read_to_string(report).unwrap().contains("e86f3a7d1c95"));
    let run = project.run("downgrade-safe -1 -y --report b.md").exits(0);
    assert!(run.stderr.contains("it is not an ordinary file"), "{run}");
}

/// Red when a FIFO or a device is read in the place of the settings or of a journal.
#[test]
fn what_never_ends_is_an_error_at_once() {
    let begun = Instant::now();
    let project = at_heads();
    let settings = project.root().join("rollback.toml");
    mkfifo(&settings, Mode::S_IRWXU).unwrap();
    let told = |run: Run| {
        let run = run.exits(1);
        assert!(run.stderr.contains("it is not an ordinary file"), "{run}");
    };
    told(project.run("current"));
    fs::remove_file(&settings).unwrap();
    symlink("/dev/zero", &settings).unwrap();
    told(project.run("current"));
    fs::remove_file(&settings).unwrap();
    let run = project.root().join(".rollback/runs/20261121T040000Z-1");
    fs::create_dir_all(&run).unwrap();
    mkfifo(&run.join("journal.jsonl"), Mode::S_IRWXU).unwrap();
    told(project.run("downgrade-safe -1 -y"));
    fs::remove_file(run.join("journal.jsonl")).unwrap();
    let backups = project.root().join(".rollback/backups");
    fs::create_dir_all(&backups).unwrap();
    mkfifo(&backups.join("20261121T040000Z-1.json"), Mode::S_IRWXU).unwrap();
    let listed = project.run("backups").exits(0);
    assert!(
        listed.to_string().contains("it is not an ordinary file"),
        "{listed}"
    );
    assert!(begun.elapsed() < AT_ONCE);
}

/// Red when a journal in a newer format is passed over, as if its run were none.
#[test]
fn a_journal_of_a_newer_version_is_refused() {
    let project = at_heads();
    project.run("downgrade-safe -1 -y").exits(0);
    let (rows, runs) = (project.rows(), project.root().join(".rollback/runs"));
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let journal = run.join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let begun = text.lines().next().unwrap();
    for newer in [
        begun.replacen("\"version\":1", "\"version\":2", 1),
        r#"{"version":2,"what":"nobody knows"}"#.to_owned(),
    ] {
        assert_ne!(newer, begun);
        fs::write(&journal, format!("{newer}\n")).unwrap();
        for line in [
            "downgrade-safe -1 -y",
            "downgrade-safe --resume -y",
            "guard -y -- true",
        ] {
            let run = project.run(line).exits(3);
            assert!(
                run.stderr
                    .contains("is in format 2, which a newer rollback wrote"),
                "{run}"
            );
        }
        assert_eq!(project.rows(), rows);
        let history = project.run("history").exits(0);
        assert!(history.to_string().contains("is in format 2"), "{history}");
    }
}

/// Red when a run goes on although what it writes down is lost: to the unlinked file it can still write.
#[test]
fn a_run_whose_record_is_taken_away_stops_before_the_next_step() {
    let project = Project::alembic("slow").at("heads");
    let mut child = project
        .rollback("downgrade-safe base -y -v")
        .piped()
        .spawn()
        .unwrap();
    let runs = project.root().join(".rollback/runs");
    let begun = Instant::now();
    let has_intent = || {
        let run = fs::read_dir(&runs).ok()?.next()?.ok()?;
        let text = fs::read_to_string(run.path().join("journal.jsonl")).ok()?;
        text.contains("\"intent\"").then_some(())
    };
    while has_intent().is_none() {
        assert!(begun.elapsed() < AT_ONCE);
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::rename(
        project.root().join(".rollback"),
        project.root().join("away"),
    )
    .unwrap();
    let run = project.told(&child.wait_with_output().unwrap());
    assert!(matches!(run.code, Some(4 | 5)), "{run}");
    assert!(
        run.stderr
            .contains("was removed or replaced while the run was under way"),
        "{run}"
    );
    assert_eq!(project.rows(), ["4444aaaa"], "{run}");
}
