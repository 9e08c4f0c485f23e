//! What the documents refer to: files, headings, tests, keys, codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use rollback::config::{Layer, settle};
use rollback::error::Exit;

use super::{blocks, code, documents, read, rows};
use crate::support::Project;

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\[([^\]]*)\]\(([^)\s]+)\)").expect("a pattern");
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for found in link.captures_iter(&text) {
            let (title, target) = (&found[1], &found[2]);
            if target.starts_with("http") {
                continue;
            }
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                document.clone()
            } else {
                document.parent().expect("a folder").join(path)
            };
            let place = format!("{}: [{title}]({target})", document.display());
            assert!(file.exists(), "{place}: there is no {}", file.display());
            if !anchor.is_empty() {
                let headings = headings(&file);
                assert!(headings.contains(anchor), "{place}: {headings:?}");
            }
            if file.extension().is_some_and(|extension| extension == "rs") {
                names_what_is_there(&place, title, &file);
            }
        }
    }
    assert!(links > 40, "only {links} links were found");
}

fn headings(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).expect("a document");
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// A link whose title is the name of a test leads to the file that has it.
fn names_what_is_there(place: &str, title: &str, file: &Path) {
    let name = title.trim_matches('`');
    if !name.contains('_') || name.contains(['/', '.']) {
        return;
    }
    let text = fs::read_to_string(file).expect("a source file");
    assert!(
        text.contains(&format!("fn {name}(")),
        "{place}: there is no such test; name another or mend the document"
    );
}

/// What a layer has and the file has not.
/// What is replaced and only accepted for one release is not in the README either.
const NOT_IN_THE_FILE: [&str; 6] = [
    "policy",
    "reason",
    "incident",
    "approved_by",
    "deployed_at",
    "warm",
];

#[test]
fn the_readme_lists_every_rule_of_a_policy() {
    let listed = rows(&read("README.md"), "## In production");
    let listed: BTreeSet<String> = listed
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    // A test of src/config sees to it that the fixture has every key.
    let fixture: toml::Table = read("fixtures/policy/rollback.toml").parse().expect("TOML");
    let policy = fixture["policy"].as_table().expect("a table");
    let tables = policy
        .values()
        .filter_map(toml::Value::as_table)
        .chain([policy]);
    let known: BTreeSet<String> = tables
        .flat_map(|table| table.iter().filter(|(_, value)| !value.is_table()))
        .map(|(key, _)| key.clone())
        .collect();
    assert_eq!(listed, known, "README.md, In production (left)");
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = read("README.md");
    let listed = rows(&readme, "## Configuration");
    let listed: Vec<&Vec<String>> = listed.iter().filter(|row| row.len() == 4).collect();
    let keys: BTreeSet<&str> = listed.iter().map(|row| row[0].trim_matches('`')).collect();

    // The derived form of a layer names all its settings.
    let layer = format!("{:#?}", Layer::default());
    let settings: BTreeSet<&str> = layer
        .lines()
        .filter_map(|line| Some(line.strip_prefix("    ")?.split_once(": ")?.0))
        // What is said of one run, and the rules that the environment chose, are not in the file.
        .filter(|name| !NOT_IN_THE_FILE.contains(name))
        // In the file they have tables of their own: `[[check]]`, `[policy]`, `[audit]`.
        .map(|name| match name {
            "checks" => "check",
            "policies" => "policy",
            "audit_table" => "audit",
            name => name,
        })
        .collect();
    assert_eq!(
        keys, settings,
        "mend the table of README.md, Configuration (left), or it is not what src/config reads (right)"
    );

    let file = blocks(&readme)
        .into_iter()
        .find(|block| block.language == "toml")
        .expect("an example of the file");
    let table: toml::Table = file.text.parse().expect("the example is TOML");
    let set: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(set, settings, "the example of rollback.toml in README.md");
    let project = Project::empty().file("rollback.toml", &file.text);
    let none = rollback::process::Environment::new();
    let settled = settle(Layer::default(), &none, project.root(), None).expect("the example");
    let settled = format!("{settled:#?}");
    let unset: Vec<&str> = settled
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(": None,"))
        .filter(|name| !name.starts_with(' ') && !NOT_IN_THE_FILE.contains(name))
        .collect();
    assert!(
        unset.is_empty(),
        "the example of rollback.toml in README.md sets everything but {unset:?}"
    );

    for row in listed {
        let value = match row[0].trim_matches('`') {
            "timeout" | "lock_timeout" | "check_budget" | "probe_timeout" => "5m",
            "lock_retries" => "2",
            "validate" | "probe" | "audit" | "process_per_step" | "strict" => "false",
            "allow" => "table-dropped",
            "engine" => "sql",
            "graph" => "engine",
            "verify_backup" | "on_failure" => "restore",
            "backup" | "color" => "never",
            "format" => "json",
            _ => "x",
        };
        let variable = match row[0].trim_matches('`') {
            "audit" => "ROLLBACK_AUDIT_TABLE".to_owned(),
            key => format!("ROLLBACK_{}", key.to_uppercase()),
        };
        let environment = [(variable.as_str().into(), value.into())].into();
        let settled = settle(
            Layer::default(),
            &environment,
            Project::empty().root(),
            None,
        );
        let is_read =
            format!("{:?}", settled.expect("a value")) != format!("{:?}", Layer::default());
        let expected = if is_read { variable.as_str() } else { "none" };
        assert_eq!(row[1].trim_matches('`'), expected, "README.md, {}", row[0]);
        for flag in code(&row[2]) {
            let help = Project::empty()
                .run("downgrade-safe --help")
                .exits(0)
                .stdout;
            assert!(
                help.lines().any(|line| line.contains(flag)),
                "README.md, {}: {flag}",
                row[0]
            );
        }
    }
}

#[test]
fn the_exit_codes_are_the_same_everywhere() {
    let codes: BTreeSet<u8> = [
        Exit::Done,
        Exit::User,
        Exit::Usage,
        Exit::Refused,
        Exit::StepFailed,
        Exit::StepChanged,
        Exit::Locked,
        Exit::NotKnown,
        Exit::Guarded,
        Exit::Internal,
        Exit::Interrupted,
    ]
    .map(|exit| match exit {
        // A new one has to come into the list above, too.
        Exit::Done
        | Exit::User
        | Exit::Usage
        | Exit::Refused
        | Exit::StepFailed
        | Exit::StepChanged
        | Exit::Locked
        | Exit::NotKnown
        | Exit::Guarded
        | Exit::Internal
        | Exit::Interrupted => exit.code(),
    })
    .into();
    let number = |text: &str| text.trim().parse::<u8>().ok();
    let readme: BTreeSet<u8> = rows(&read("README.md"), "## Exit codes")
        .iter()
        .filter_map(|row| number(&row[0]))
        .collect();
    assert_eq!(readme, codes, "README.md, Exit codes (left)");
    let help = Project::empty().run("--help").exits(0).stdout;
    let help: BTreeSet<u8> = help
        .lines()
        .skip_while(|line| *line != "Exit codes:")
        .filter_map(|line| number(line.strip_prefix("  ")?.split_once(' ')?.0))
        .collect();
    assert_eq!(help, codes, "rollback --help, src/cli.rs (left)");
}
