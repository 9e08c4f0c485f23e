//! Command lines in the documents, with and without their output.

use clap::Parser as _;
use rollback::cli::Cli;

use super::{Block, PLACE, blocks, code, documents, hold, placed, read, rows};
use crate::support::{Project, source};

const EXPORT: &str = "$ export ";

#[test]
fn examples_with_output_print_what_they_show() {
    let mut examples = 0;
    for document in documents() {
        let name = document
            .strip_prefix(source())
            .expect("a document of ours")
            .to_string_lossy()
            .into_owned();
        let text = read(&name);
        let mut expected = text.clone();
        let mut same = true;
        for block in blocks(&text) {
            let has_output = block.language == "console";
            if !has_output {
                continue;
            }
            let Some(case) = fixture(&block) else {
                panic!(
                    "{name}:{}: a console block needs the line <!-- runs on fixtures/alembic/CASE --> or \
                     <!-- runs on fixtures/sql/CASE --> above it",
                    block.line
                );
            };
            // Those of SQL files apply their migrations themselves: there is no engine that would.
            let project = match case.strip_prefix("alembic/") {
                Some(case) => Project::alembic(case).at("heads"),
                None => exported(
                    Project::copy_of(case, "project", "alembic-current"),
                    &block.text,
                ),
            };
            let printed = played(&project, &block.text);
            examples += 1;
            if placed(&project, &block.text) != placed(&project, &printed) {
                same = false;
                expected = expected.replacen(&block.text, &printed, 1);
            }
        }
        hold(&name, &text, &expected, same);
    }
    assert!(examples > 0, "no document shows a run");
}

fn fixture(block: &Block) -> Option<&str> {
    block
        .above
        .strip_prefix("<!-- runs on fixtures/")?
        .strip_suffix(" -->")
        .filter(|case| case.starts_with("alembic/") || case.starts_with("sql/"))
}

/// What a block exports is there for all of it.
fn exported(project: Project, block: &str) -> Project {
    let exports = block.lines().filter_map(|line| line.strip_prefix(EXPORT));
    exports.fold(project, |project, export| {
        let (name, value) = export.split_once('=').expect("NAME=VALUE");
        project.env(name, value)
    })
}

/// The block anew: each command of it is run, and its output put below it as a terminal would show it.
fn played(project: &Project, block: &str) -> String {
    let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
    let mut text = String::new();
    for command in commands {
        let output = match command.strip_prefix("rollback ") {
            Some(line) => project.rollback(line).piped().output(),
            None => project.shell(command).output(),
        };
        let output = output.expect("a program");
        if !command.starts_with("rollback ") {
            assert!(output.status.success(), "{command}: {output:?}");
        }
        let said = [output.stdout, output.stderr].concat();
        let said =
            String::from_utf8_lossy(&said).replace(&*project.root().to_string_lossy(), PLACE);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("$ {command}\n{said}"));
    }
    text
}

#[test]
fn every_command_line_in_the_documents_is_accepted() {
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document");
        let mut lines: Vec<String> = blocks(&text)
            .iter()
            .flat_map(|block| block.text.lines().map(str::to_owned))
            .collect();
        let prose: Vec<&str> = outside_of_blocks(&text);
        lines.extend(prose.iter().flat_map(|line| code(line)).map(str::to_owned));
        for line in lines {
            let Some(words) = command_line(&line) else {
                continue;
            };
            seen += 1;
            if let Err(error) = Cli::try_parse_from(&words)
                && error.use_stderr()
            {
                panic!("{}: `{line}` is not accepted:\n{error}", document.display());
            }
        }
    }
    assert!(seen > 40, "only {seen} command lines were found");
}

fn outside_of_blocks(text: &str) -> Vec<&str> {
    let mut open = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            open ^= fence;
            !open && !fence
        })
        .collect()
}

/// The words of a call of the program, as far as a line is one.
fn command_line(line: &str) -> Option<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ");
    let line = line.strip_prefix("- run: ").unwrap_or(line);
    // Help has an explanation in a second column.
    let line = line.split("  ").next()?;
    let words: Vec<String> = shlex::split(line)?
        .into_iter()
        .skip_while(|word| word.contains('=') && !word.starts_with('-'))
        .take_while(|word| !matches!(word.as_str(), "|" | ">" | ">>" | "&&" | "||" | ";"))
        .collect();
    (words.len() > 1 && words[0] == "rollback").then_some(words)
}

/// The traps that the README names are there in the Alembic that is pinned.
#[test]
fn alembic_does_what_the_readme_says_of_it() {
    let readme = read("README.md");
    let rows = rows(&readme, "## How it differs from `alembic downgrade`");
    let mut measured = 0;
    let mut case = String::new();
    for row in &rows {
        if let Some((_, path)) = row[0].split_once("](fixtures/alembic/") {
            path.split_once('/')
                .expect("a file in a fixture")
                .0
                .clone_into(&mut case);
        }
        let argument = code(&row[1])[0]
            .strip_prefix("downgrade ")
            .expect("a downgrade");
        let expected: &[&str] = match (case.as_str(), argument) {
            ("diamond", "-2") => &["e86f3a7d1c95"],
            ("two_heads", "-1") | ("merge_of_ancestor", "mmmm1111@aaaa1111") => &["aaaa1111"],
            ("two_heads", "bbbb1111-1") => &["cccc1111"],
            ("depends_on", "x@-1") => &["xxxx1111", "yyyy1111"],
            // Depends on the server, as it says.
            (_, "base") => continue,
            _ => panic!("README.md measures `{argument}` on {case}: add it to this test"),
        };
        let project = Project::alembic(&case).at("heads");
        let call =
            format!("import subprocess; subprocess.call(['alembic', 'downgrade', '{argument}'])");
        let said = project.engine(&format!("python -c \"{call}\""));
        assert_eq!(project.rows(), expected, "README.md, {row:?}\n{said}");
        assert_eq!(said.contains("Ambiguous walk"), argument == "-2", "{said}");
        measured += 1;
    }
    assert_eq!(measured, 5, "{rows:?}");
}
