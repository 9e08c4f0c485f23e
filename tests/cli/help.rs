//! What the program says of itself.

use insta::assert_snapshot;

use crate::support::Project;

#[test]
fn the_program_explains_itself() {
    let project = Project::empty();
    assert_snapshot!("help", project.run("--help").exits(0));
    assert_snapshot!("help_short", project.run("-h").exits(0));
    assert_eq!(
        project.run("--version").exits(0).stdout,
        concat!("rollback ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn every_command_explains_itself_with_examples() {
    let project = Project::empty();
    for command in [
        "current",
        "plan",
        "downgrade-safe",
        "guard",
        "backup",
        "backups",
        "restore",
        "completions",
        "man",
    ] {
        let help = project.run(&format!("{command} --help")).exits(0);
        assert!(help.stdout.contains("\nExamples:\n  rollback "), "{help}");
        assert_snapshot!(format!("help_{}", command.replace('-', "_")), help);
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let project = Project::empty();
    assert_snapshot!(project.run("downgrade-safe"), @r"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <TARGET>

    Usage: rollback downgrade-safe <TARGET>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run("downgrade -3"), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'downgrade'

      tip: a similar subcommand exists: 'downgrade-safe'

    Usage: rollback [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run("plan -3 --quiet --verbose"), @r"
    exit 2
    --- stderr
    error: the argument '--quiet' cannot be used with '--verbose'

    Usage: rollback plan --quiet <TARGET>

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run("downgrade-safe -3 --timeout soon"), @r"
    exit 2
    --- stderr
    error: invalid value 'soon' for '--timeout <DURATION>': soon is not a duration such as 90s, 5m or 1h 30m

    For more information, try '--help'.
    ");
    assert_snapshot!(project.run("current --format yaml"), @r"
    exit 2
    --- stderr
    error: invalid value 'yaml' for '--format <FORMAT>'
      [possible values: human, json]

    For more information, try '--help'.
    ");
}

#[test]
fn every_shell_gets_completions_for_every_command() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&format!("completions {shell}")).exits(0);
        for word in ["downgrade-safe", "engine-command", "dry-run"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
        assert_eq!(script.stderr, "");
    }
}

#[test]
fn the_manual_has_a_page_for_the_program_and_one_for_each_command() {
    let project = Project::empty();
    let page = project.run("man").exits(0).stdout;
    for part in [
        ".TH rollback 1",
        "downgrade\\-safe",
        "engine\\-command",
        "Exit codes",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let page = project.run("man downgrade-safe").exits(0).stdout;
    for part in [
        ".TH rollback-downgrade-safe 1",
        "dry\\-run",
        "timeout",
        "engine\\-command",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_snapshot!(project.run("man upgrade"), @"
    exit 1
    --- stderr
    error: there is no command upgrade
      → one of: current, plan, list, check, downgrade-safe, resume, abandon, backup, backups, restore, history, show, explain, guard, sql, completions, man
    ");
}
