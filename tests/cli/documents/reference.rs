//! docs/cli.md is generated.

use super::hold;
use crate::support::{Project, source};

const HEAD: &str = "\
# Command line

What `rollback --help` and `--help` of each command print. Generated: `UPDATE_DOCS=1 cargo test --test cli documents` writes
this page, and a test compares it.
";

#[test]
fn the_command_reference_is_what_the_program_prints() {
    let project = Project::empty();
    let mut page = HEAD.to_owned();
    for command in [
        "",
        "current",
        "plan",
        "list",
        "check",
        "downgrade-safe",
        "guard",
        "sql",
        "sql install",
        "sql register",
        "sql sync",
        "sql template",
        "sql comment",
        "sql snapshot",
        "history",
        "show",
        "explain",
        "completions",
        "backup",
        "backups",
        "restore",
        "man",
    ] {
        let line = format!("{command} --help");
        let help = project.run(line.trim_start()).exits(0).stdout;
        let title = format!("rollback {command}");
        page.push_str(&format!(
            "\n## {}\n\n```text\n{help}```\n",
            title.trim_end()
        ));
    }
    let listed = project.run("--help").exits(0).stdout;
    let commands = listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // What is longer than a line goes on below it.
        .filter(|line| !line.starts_with("   "))
        .count();
    let described = page.lines().filter(|line| {
        // A command of its own, not one below `sql`.
        line.strip_prefix("## ")
            .is_some_and(|title| title.split(' ').count() <= 2)
    });
    assert_eq!(
        described.count(),
        commands + 1,
        "a command is missing in tests/cli/documents/reference.rs\n{listed}"
    );
    let said = std::fs::read_to_string(source().join("docs/cli.md"));
    let said = said.unwrap_or_default();
    hold("docs/cli.md", &said, &page, said == page);
}
