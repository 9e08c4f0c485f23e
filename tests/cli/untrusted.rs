//! A project whose every text tries to command the terminal: messages, docstrings, labels, names in the database,
//! what its engine prints, what an operator types. All of it is shown, and none of it is obeyed.

use std::process::Output;

use rollback_core::untrusted::is_hidden;

use crate::support::Project;

/// Clears the screen, writes to the clipboard, is a C1 sequence, turns the line round, hides, and ends the line.
const HOSTILE: &str = "\x1b[2J\x1b]52;c;eA==\x07\u{9b}31m\x7f\u{202e}\u{200b}\u{2028}\r\x1b[31m";

/// The same in the source of Python.
const IN_PYTHON: &str = r"\x1b[2J\x1b]52;c;eA==\x07\x9b31m\x7f\u202e\u200b\u2028\r\x1b[31m";

const HEAD: &str = "migrations/versions/5e6f7a8b9c05_add_a_note_to_orders.py";

/// What our own styles are.
const STYLES: [&str; 8] = [
    "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[36m",
];

fn project() -> Project {
    let file = format!(
        "\"\"\"Add {IN_PYTHON} a note\"\"\"\nimport sqlalchemy as sa\nfrom alembic import op\n\n\
         revision = '5e6f7a8b9c05'\ndown_revision = '4d5e6f7a8b04'\n\
         branch_labels = ('label\\x1b[2J',)\n\n\
         def upgrade():\n    op.create_table('t {IN_PYTHON}', sa.Column('c {IN_PYTHON}', sa.Integer()))\n\n\n\
         def downgrade():\n    print('says {IN_PYTHON}', flush=True)\n\
         \x20   op.drop_table('t {IN_PYTHON}')\n    raise RuntimeError('fails {IN_PYTHON}')\n"
    );
    Project::alembic("linear").file(HEAD, file).at("heads")
}

/// Fails where a byte of the output is one that a terminal obeys.
#[track_caller]
fn is_harmless(line: &str, output: &Output, has_styles: bool) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let mut rest = text.clone();
        if has_styles {
            for style in STYLES {
                rest = rest.replace(style, "");
            }
        }
        let hidden = rest.chars().find(|&one| is_hidden(one));
        assert_eq!(hidden, None, "{line}\n{}", text.escape_debug());
    }
}

/// Red when one command prints one of these texts as it came, on either stream, with or without colour, or in JSON.
#[test]
fn no_command_has_the_terminal_obey_the_project() {
    let project = project().file("a.log", format!("ERROR: {HOSTILE} deadlock detected\n"));
    let typed = shlex::try_quote(HOSTILE).unwrap().into_owned();
    let mut told = String::new();
    for line in [
        "current".to_owned(),
        "list".to_owned(),
        "check".to_owned(),
        "check 5e6f7a8b9c05".to_owned(),
        "plan -1 -v".to_owned(),
        "plan -1 --sql".to_owned(),
        format!("plan {typed}"),
        format!("check {typed}"),
        format!("{typed} plan"),
        format!("plan -1 --{typed}"),
        format!("plan -1 --config {typed}"),
        format!("-C {typed} current"),
        "explain a.log".to_owned(),
        "backup".to_owned(),
        "backups".to_owned(),
        format!("restore {typed} -y --database app.db"),
        format!("downgrade-safe -1 --dry-run --reason {typed}"),
        format!(
            "downgrade-safe -1 -y -v --allow-failing --allow all --reason {typed} --state-dir {typed}"
        ),
        format!("history --state-dir {typed}"),
        format!("show latest --state-dir {typed}"),
        format!("show latest --format markdown --state-dir {typed}"),
        format!("downgrade-safe -1 -y --state-dir {typed}"),
        format!("downgrade-safe --resume -y --state-dir {typed}"),
        format!("downgrade-safe --abandon --state-dir {typed}"),
        format!("guard -y -- sh -c 'exit 1' {typed}"),
    ] {
        for style in ["--color always", "--color never", "--format json"] {
            if style == "--format json" && line.contains("--format") {
                continue;
            }
            // The project is changed by one of these alone.
            if line.contains("--allow-failing") && style == "--format json" {
                continue;
            }
            let output = project
                .rollback(
                    &format!("{line} {style}")
                        .replace("sh -c 'exit 1' ", &format!("{style} -- sh -c 'exit 1' ")),
                )
                .piped()
                .output()
                .unwrap();
            let is_of_clap = output.status.code() == Some(2);
            is_harmless(&line, &output, style == "--color always" || is_of_clap);
            told += &String::from_utf8_lossy(&output.stdout);
            told += &String::from_utf8_lossy(&output.stderr);
        }
    }
    // They were all there to be shown.
    for part in [
        "Add \\x1b[2J",
        "says \\x1b[2J",
        "fails \\x1b[2J",
        "t \\x1b[2J",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let reports: Vec<_> = project
        .files()
        .into_iter()
        .filter(|file| file.ends_with("report.md") || file.ends_with("report.json"))
        .collect();
    assert!(reports.len() >= 2, "{reports:?}");
    for file in reports {
        let text = std::fs::read_to_string(project.root().join(&file)).unwrap();
        let hidden = text.chars().find(|&one| is_hidden(one));
        assert_eq!(hidden, None, "{file:?}\n{}", text.escape_debug());
    }
}

/// Red when JSON loses what a text held: it is escaped, and not replaced.
#[test]
fn json_keeps_the_value() {
    let run = project().run("plan -1 --format json").exits(0);
    let message = run.json()["steps"][0]["message"].to_string();
    assert!(message.contains("[2J"), "{run}");
    assert!(run.stdout.contains(r"\u202e\u200b\u2028"), "{run}");
}

/// Red when a row of the version table looks like a line of the program's own.
#[test]
fn the_id_of_a_revision_has_one_line() {
    let project = Project::alembic("linear").at("heads");
    let forged = "Current:   5e6f7a8b9c05";
    project.sql(&format!(
        "UPDATE alembic_version SET version_num = 'abc' || char(10) || '{forged}'"
    ));
    for line in ["current", "list", "plan -1", "downgrade-safe -1 -y"] {
        let run = project.run(line);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains(&format!("abc\\n{forged}")), "{line}\n{run}");
        assert!(
            !text.lines().any(|line| line.starts_with(forged)),
            "{line}\n{run}"
        );
    }
}
