//! Takes out of an answer what differs from run to run and from machine to machine. Whatever is left is compared.

use std::sync::LazyLock;

use regex::Regex;

use super::{Project, source};

/// What is replaced, in this order.
static VOLATILE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Elapsed times; a time limit is written without a fraction.
        (r"\b\d+\.\d s\b", "[TIME]"),
        (r#""seconds":\d+\.\d+"#, r#""seconds":0.0"#),
        // Where it is told of a record; who holds a lock is compared by its process.
        (r"\b\d{8}T\d{6}Z-\d+( of \S+@|/journal|/report)", "[RUN]$1"),
        (
            r"(?m)(backups/|restore |as backup |Backup:    )\d{8}T\d{6}Z-\d+(-\d+)?",
            "$1[BACKUP]",
        ),
        (
            r"(?m)^\d{8}T\d{6}Z-\d+(-\d+)? +\d+ (?:s|min|h|days?) +",
            "[BACKUP]  [AGE]  ",
        ),
        (r"(?m)^id +age +size", "id  age  size"),
        (r"\[BACKUP\], \S+( \S+)? old", "[BACKUP], [AGE] old"),
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[WHEN]"),
        (r"\bSQLite \d+[\d.]*", "SQLite [VERSION]"),
        (r#""server":"\d+[\d.]*""#, r#""server":"[VERSION]""#),
        (r"\bAlembic \d+[\d.]*", "Alembic [VERSION]"),
        (
            r"^(\.TH .*)rollback \d+\.\d+\.\d+",
            "${1}rollback [VERSION]",
        ),
        // Where an engine is shown by its full path, and in tracebacks.
        (r"python3\.\d+/", "python3/"),
        (r"(sqlalche\.me/e)/\d+/", "$1/[VERSION]/"),
        // Once for each process: steps may share one.
        (
            r"(?m)^[ |]*INFO  \[alembic\.runtime\.migration\] (Context impl|Will assume) .*\n",
            "",
        ),
        (
            r#"INFO  \[alembic\.runtime\.migration\] (Context impl|Will assume) [^\n"\\]*\\n"#,
            "",
        ),
    ]
    .map(|(pattern, with)| (Regex::new(pattern).expect("a pattern"), with))
    .into()
});

/// What is said to a terminal, by name.
static SEQUENCES: [(&str, &str); 12] = [
    ("\u{1b}[0m", "{/}"),
    ("\u{1b}[1m", "{bold}"),
    ("\u{1b}[2m", "{dim}"),
    ("\u{1b}[31m", "{red}"),
    ("\u{1b}[32m", "{green}"),
    ("\u{1b}[33m", "{yellow}"),
    ("\u{1b}[34m", "{blue}"),
    ("\u{1b}[35m", "{magenta}"),
    ("\u{1b}[36m", "{cyan}"),
    ("\u{1b}[2K", "{clear line}"),
    ("\u{1b}[?25l", "{hide cursor}"),
    ("\u{1b}[?25h", "{show cursor}"),
];

/// The text as every machine would print it.
pub fn stable(project: &Project, text: &str) -> String {
    let mut text = text.to_owned();
    for (path, name) in [
        (project.root.as_path(), "[PROJECT]"),
        (project.temporary.path(), "[HOME]"),
        (project.python.as_path(), "[PYTHON]"),
        (source(), "[SOURCE]"),
    ] {
        text = text.replace(&*path.to_string_lossy(), name);
    }
    for (sequence, name) in SEQUENCES {
        text = text.replace(sequence, name);
    }
    for (pattern, with) in VOLATILE.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    without_library_frames(&text)
}

/// Tracebacks without the frames of the engine's libraries: they change with every version of them.
fn without_library_frames(text: &str) -> String {
    let mut kept = Vec::new();
    let mut in_library = false;
    for line in text.lines() {
        let (margin, content) = match line.strip_prefix("  | ") {
            Some(content) => ("  | ", content),
            None => ("", line),
        };
        if let Some(file) = content.strip_prefix("  File \"") {
            let was_in_library = in_library;
            in_library = !file.starts_with("[PROJECT]");
            if in_library {
                if !was_in_library {
                    kept.push(format!("{margin}  [FRAMES]"));
                }
                continue;
            }
        } else if in_library && content.starts_with("    ") {
            continue;
        } else {
            in_library = false;
        }
        kept.push(line.to_owned());
    }
    let mut kept = kept.join("\n");
    if text.ends_with('\n') {
        kept.push('\n');
    }
    kept
}
