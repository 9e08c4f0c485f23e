//! What the documents refer to: files, headings, tests, keys, codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use regex::Regex;
use rollback::cli::Cli;
use rollback::config::{Fallback, PartialSettings, SETTINGS, Setting, resolve};
use rollback::error::Exit;

use super::{blocks, documents, hold, read, rows};
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
        "{place}: there is no such test; name another or fix the document"
    );
}

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

/// The settings of the file. What is replaced and only accepted for one release is not in the README.
fn settings() -> impl Iterator<Item = (&'static str, &'static Setting)> {
    SETTINGS
        .iter()
        .filter(|setting| setting.name != "warm")
        .filter_map(|setting| Some((setting.key?, setting)))
}

/// The flags of a setting, as they are typed.
fn flags(setting: &Setting) -> String {
    let program = Cli::command();
    let run = program.find_subcommand("downgrade-safe").expect("it");
    let names = [setting.name.to_owned(), format!("no_{}", setting.name)];
    let flags: Vec<String> = names
        .iter()
        .filter_map(|name| {
            program
                .get_arguments()
                .chain(run.get_arguments())
                .find(|argument| argument.get_id() == name)
        })
        .flat_map(|argument| {
            let short = argument.get_short().map(|short| format!("`-{short}`"));
            let long = argument.get_long().map(|long| format!("`--{long}`"));
            short.into_iter().chain(long)
        })
        .collect();
    if flags.is_empty() {
        "none".to_owned()
    } else {
        flags.join(", ")
    }
}

#[test]
fn the_readme_lists_every_setting() {
    let mut table =
        "| key | environment | flag | default | meaning |\n|---|---|---|---|---|\n".to_owned();
    for (key, setting) in settings() {
        let variable = setting
            .variable
            .map_or("none".to_owned(), |name| format!("`{name}`"));
        let default = match setting.fallback {
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Words(words) => words.to_owned(),
        };
        let (flags, about) = (flags(setting), setting.about);
        table += &format!("| `{key}` | {variable} | {flags} | {default} | {about} |\n");
    }
    let readme = read("README.md");
    let start = readme.find("| key | environment |").expect("a table");
    let end = start + readme[start..].find("\n\n").expect("its end") + 1;
    let expected = format!("{}{table}{}", &readme[..start], &readme[end..]);
    hold("README.md", &readme, &expected, readme == expected);
}

#[test]
fn the_example_in_the_readme_sets_every_setting() {
    let file = blocks(&read("README.md"))
        .into_iter()
        .find(|block| block.language == "toml")
        .expect("an example of the file");
    let table: toml::Table = file.text.parse().expect("the example is TOML");
    let set: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    let keys: BTreeSet<&str> = settings().map(|(key, _)| key).collect();
    assert_eq!(set, keys, "the example of rollback.toml in README.md");
    let project = Project::empty().file("rollback.toml", &file.text);
    let none = rollback_system::process::Environment::new();
    let flags = PartialSettings::default();
    resolve(flags, &none, project.root(), None).expect("the example");
}

/// A value that is not the default.
fn value(setting: &Setting) -> &'static str {
    match setting.name {
        "timeout" | "lock_timeout" | "check_budget" | "probe_timeout" => "7m",
        "deployed_at" => "2026-11-21T04:00:00Z",
        "lock_retries" => "2",
        "validate" | "probe" => "false",
        "audit_table" | "process_per_step" | "strict" => "true",
        "allow" => "table-dropped",
        "engine" => "sql",
        "graph" => "engine",
        "verify_backup" | "on_failure" => "restore",
        "backup" | "color" | "warm" => "never",
        "format" => "json",
        _ => "x",
    }
}

/// Red if a variable or a flag is not read, or not in the same way.
#[test]
fn every_variable_and_every_flag_is_read() {
    let root = Project::empty();
    let settled = |flags: PartialSettings, environment: &[(&str, &str)]| {
        let environment = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let settings = resolve(flags, &environment.collect(), root.root(), None);
        format!("{:?}", settings.expect("a value"))
    };
    let none = settled(PartialSettings::default(), &[]);
    for setting in SETTINGS {
        let Some(variable) = setting.variable else {
            continue;
        };
        let value = value(setting);
        let by_variable = settled(PartialSettings::default(), &[(variable, value)]);
        assert_ne!(by_variable, none, "{variable}");
        let dashed = setting.name.replace('_', "-");
        let words = match (setting.name, value) {
            (
                "engine"
                | "migrations"
                | "history_schema"
                | "audit_table"
                | "version_table"
                | "version_table_schema"
                | "check_budget",
                _,
            ) => continue,
            (_, "true") => vec![format!("--{dashed}")],
            (_, "false") | ("backup", _) => vec![format!("--no-{dashed}")],
            _ => vec![format!("--{dashed}"), value.to_owned()],
        };
        let line = ["rollback", "downgrade-safe", "-1"].map(str::to_owned);
        let matches = Cli::command().get_matches_from(line.into_iter().chain(words));
        let by_flag = settled(PartialSettings::of_flags(&matches), &[]);
        assert_eq!(by_flag, by_variable, "{dashed}");
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
