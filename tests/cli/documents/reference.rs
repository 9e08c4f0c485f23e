//! docs/cli.md is generated.

use super::hold;
use crate::support::{Project, source};

const HEAD: &str = "\
# Command line

What `rollback --help` and `--help` of each command print. Generated: `UPDATE_DOCS=1 cargo test --test cli documents` writes
this page, and a test compares it.
";

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // What a description goes on with stands further in.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Writes the help of a command, and of those below it.
fn write(page: &mut String, project: &Project, command: &str) {
    let line = format!("{command} --help");
    let help = project.run(line.trim_start()).exits(0).stdout;
    let title = format!("rollback {command}");
    page.push_str(&format!(
        "\n## {}\n\n```text\n{help}```\n",
        title.trim_end()
    ));
    for below in listed(&help) {
        write(page, project, format!("{command} {below}").trim_start());
    }
}

#[test]
fn the_command_reference_is_what_the_program_prints() {
    let project = Project::empty();
    let mut page = HEAD.to_owned();
    write(&mut page, &project, "");
    for command in ["downgrade-safe", "guard", "sql snapshot diff", "man"] {
        assert!(
            page.contains(&format!("\n## rollback {command}\n")),
            "{page}"
        );
    }
    let said = std::fs::read_to_string(source().join("docs/cli.md"));
    let said = said.unwrap_or_default();
    hold("docs/cli.md", &said, &page, said == page);
}
