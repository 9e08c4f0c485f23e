//! What the documents say, held against what the program does.
//!
//! Turns red when a document and the program drift apart. What is copied from the program is written anew by
//! `UPDATE_DOCS=1 cargo test --test cli documents`; the rest is mended by hand where the failure says.

mod benchmarks;
mod crates;
mod deploy;
mod diagnosis;
mod examples;
mod findings;
mod json;
mod reference;
mod references;

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

use crate::support::{Project, source};

const UPDATE: &str = "UPDATE_DOCS=1 cargo test --test cli documents";

/// Where a project lies in the documents.
const PLACE: &str = "/srv/app";

/// Every document of the project itself.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![
        source().to_owned(),
        source().join("docs"),
        source().join("docs/internals"),
        source().join("fixtures"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && folder.starts_with(source().join("fixtures")) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    found
}

fn read(document: &str) -> String {
    fs::read_to_string(source().join(document))
        .unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Compares a document with what it should be, or writes it.
#[track_caller]
fn hold(document: &str, said: &str, expected: &str, same: bool) {
    if same {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(source().join(document), expected).expect("the document");
        return;
    }
    let differing: Vec<String> = said
        .lines()
        .zip(expected.lines())
        .filter(|(said, expected)| said != expected)
        .take(20)
        .map(|(said, expected)| format!("- {said}\n+ {expected}"))
        .collect();
    panic!(
        "{document} (-) is not what the program prints (+); write it anew: {UPDATE}\n{}",
        differing.join("\n")
    );
}

/// A fenced block of a document.
struct Block {
    /// The line before the fence.
    above: String,
    /// What follows the opening fence.
    language: String,
    /// The lines between the fences.
    text: String,
    /// Of the first line between the fences.
    line: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    let mut above = "";
    for (index, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(language), false) => {
                open = true;
                found.push(Block {
                    above: above.to_owned(),
                    language: language.to_owned(),
                    text: String::new(),
                    line: index + 2,
                });
            }
            (None, true) => {
                let block = found.last_mut().expect("an open block");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
        above = line;
    }
    assert!(!open, "a fence is not closed");
    found
}

/// The cells of the table rows below a heading.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let mut found = text.lines().skip_while(|line| *line != heading);
    assert!(found.next().is_some(), "no heading {heading}");
    let mut fenced = false;
    found
        .take_while(|line| {
            fenced ^= line.starts_with("```");
            let marks = line.bytes().take_while(|byte| *byte == b'#').count();
            fenced || marks == 0 || marks > level
        })
        .filter(|line| line.starts_with("| "))
        .map(|line| {
            line.trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .skip(1)
        .collect()
}

/// What stands between code marks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The document's text as the program would have printed it in this project.
fn placed(project: &Project, text: &str) -> String {
    static RUN: LazyLock<[Regex; 5]> = LazyLock::new(|| {
        [
            r"\b\d{8}T\d{6}Z-\d+\b",
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  \S+@\S+",
            // When a migration of SQL files was written down, and by whom.
            r"registered \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
            r"\d{4}-\d\d-\d\d \d\d:\d\d UTC by \S+@\S+",
            r"(yes|no )  \d{4}-\d\d-\d\d \d\d:\d\d  ",
        ]
        .map(|pattern| Regex::new(pattern).expect("a pattern"))
    });
    let text = project.on_screen(&text.replace(PLACE, &project.root().to_string_lossy()));
    // A run of its own each time.
    RUN.iter().fold(text, |text, pattern| {
        pattern.replace_all(&text, "[RUN]").into_owned()
    })
}
