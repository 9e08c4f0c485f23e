//! Folders of version files as people leave them.

use std::fs;
use std::os::unix::fs::symlink;

use super::super::layout::{Layout, Version};
use super::*;
use rollback_core::revision::Revision;

/// A script directory with these files of `versions/`.
fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Layout) {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().canonicalize().unwrap();
    let versions = directory.join("versions");
    fs::create_dir(&versions).unwrap();
    for (name, text) in files {
        let path = versions.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let layout = Layout {
        locations: vec![versions],
        directory,
        recursive: false,
        sourceless: false,
        roots: Vec::new(),
        may_autocommit: false,
        version: Version::parse("1.20.1").unwrap(),
    };
    (home, layout)
}

fn ids(layout: &Layout) -> Vec<String> {
    let files = read(layout).unwrap().files;
    files.into_iter().map(|file| file.revision.id).collect()
}

fn reason(layout: &Layout) -> String {
    read(layout).unwrap_err().reason
}

const FIRST: &str = "revision = 'a'\ndown_revision = None\n";
const SECOND: &str = "revision = 'b'\ndown_revision = 'a'\n";
const THIRD: &str = "revision = 'c'\ndown_revision = 'b'\n";

#[test]
fn files_come_in_the_order_of_their_names() {
    let (_home, layout) = project(&[
        ("b.py", FIRST),
        ("B.py", SECOND),
        ("a.py", THIRD),
        ("__init__.py", "raise"),
        (".#x.py", "raise"),
        ("README", "raise"),
        ("d.pyc", "raise"),
        ("below/e.py", "raise"),
    ]);
    assert_eq!(ids(&layout), ["b", "c", "a"]);
}

#[test]
fn folders_count_where_that_is_asked_for() {
    let (_home, mut layout) = project(&[
        ("z.py", FIRST),
        ("y/b.py", SECOND),
        ("x/c.py", THIRD),
        ("__pycache__/d.py", "raise"),
    ]);
    layout.recursive = true;
    assert_eq!(ids(&layout), ["a", "c", "b"]);
}

#[test]
fn a_file_that_two_locations_show_is_loaded_once() {
    let (home, mut layout) = project(&[("a.py", FIRST), ("b.py", SECOND)]);
    let other = home.path().join("other");
    fs::create_dir(&other).unwrap();
    symlink(layout.locations[0].join("b.py"), other.join("0.py")).unwrap();
    layout.locations.insert(0, other);
    layout.locations.push(home.path().join("none"));
    assert_eq!(ids(&layout), ["b", "a"]);
}

#[test]
fn a_dependency_on_a_label_names_its_revision() {
    let (_home, layout) = project(&[
        ("a.py", &format!("{FIRST}branch_labels = ('x', 'b')\n")),
        ("b.py", &format!("{SECOND}depends_on = ('x', 'b')\n")),
    ]);
    let files = read(&layout).unwrap();
    assert_eq!(files.files[1].revision.depends_on, ["a", "b"]);
}

#[test]
fn one_file_that_cannot_be_read_is_named() {
    for (text, expected) in [
        ("def f(:\n", "a bracket or a string is not closed"),
        ("a = = 1\n", "line 1: "),
        (
            "revision = f()\ndown_revision = None\n",
            "its revision is computed",
        ),
        ("", "it declares no revision"),
        ("revision = 'b'\0", "it contains a zero byte"),
    ] {
        let (_home, layout) = project(&[("a.py", FIRST), ("q.py", text)]);
        let said = reason(&layout);
        assert!(said.starts_with(expected), "{said}");
        let error = read(&layout).unwrap_err().to_string();
        assert!(error.contains("versions/q.py cannot be read: "), "{error}");
    }
}

#[test]
fn links_that_lead_nowhere() {
    let (_home, mut layout) = project(&[("a.py", FIRST)]);
    let versions = layout.locations[0].clone();
    symlink("someone@host.1234", versions.join(".#a.py")).unwrap();
    symlink(&versions, versions.join("loop")).unwrap();
    layout.recursive = true;
    assert_eq!(ids(&layout), ["a"]);
    symlink("round.py", versions.join("round.py")).unwrap();
    assert!(
        reason(&layout).contains("symbolic link"),
        "{}",
        reason(&layout)
    );
    fs::remove_file(versions.join("round.py")).unwrap();
    symlink("nowhere.py", versions.join("gone.py")).unwrap();
    assert_eq!(reason(&layout), "it is a link to nowhere");
}

#[test]
fn a_compiled_file_whose_source_is_gone_is_not_passed_over() {
    let (_home, mut layout) = project(&[("a.py", FIRST), ("a.pyc", ""), ("b.pyc", "")]);
    assert_eq!(ids(&layout), ["a"]);
    layout.sourceless = true;
    assert_eq!(
        reason(&layout),
        "it is compiled, and its source is not there"
    );
    let (_home, mut layout) = project(&[("a.py", FIRST), ("__pycache__/b.cpython-311.pyc", "")]);
    layout.sourceless = true;
    assert_eq!(
        reason(&layout),
        "it is compiled, and its source is not there"
    );
}

#[test]
fn a_huge_file_is_read() {
    let text = format!("{FIRST}TABLE = [\n{}]\n", "    ('a', 1),\n".repeat(700_000));
    let (_home, layout) = project(&[("a.py", &text)]);
    assert_eq!(ids(&layout), ["a"]);
}

/// Turns red if a file that is there and cannot be decoded is said not to be there.
#[test]
fn a_file_of_the_engines_that_cannot_be_decoded_is_named() {
    let home = tempfile::tempdir().unwrap();
    let revision = |id: &str, bytes: &[u8]| {
        let path = home.path().join(format!("{id}.py"));
        if !bytes.is_empty() {
            fs::write(&path, bytes).unwrap();
        }
        Revision {
            id: id.to_owned(),
            path: Some(path.display().to_string()),
            ..Revision::default()
        }
    };
    let revisions = [
        revision("a", b"# coding: latin-1\ndef downgrade():\n    '\xe4'\n"),
        revision("b", b"# coding: koi8-r\ndef downgrade():\n    '\xe4'\n"),
        revision("c", b""),
    ];
    let files = VersionFiles::of_engine(&revisions, Vec::new(), false);
    assert_eq!(files.files.len(), 1);
    assert_eq!(files.files[0].revision.id, "a");
    assert_eq!(files.unread.len(), 1);
    let said = files.unread["b"].to_string();
    assert!(
        said.ends_with("b.py cannot be read: it is written in koi8-r"),
        "{said}"
    );
}
