//! One Python process with the real Alembic in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rollback_core::revision::Revision;
use serde_json::{Value, json};

/// Asks `alembic_oracle.py`.
pub(crate) struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What Alembic would do.
#[derive(Debug)]
pub(crate) enum Downgrade {
    /// It would remove these in this order and leave these rows.
    Done {
        removed: Vec<String>,
        rows: Vec<String>,
    },
    /// It would refuse, with these words.
    Refused(#[expect(dead_code, reason = "printed where a case fails")] String),
}

impl Oracle {
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".cache/python/alembic-current/bin/python");
        assert!(
            python.exists(),
            "{} is not there: run `make test`",
            python.display()
        );
        let mut process = Command::new(python)
            .arg(root.join("tests/properties/alembic_oracle.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Self {
            process,
            questions,
            answers,
        }
    }

    /// The rows after upgrading an empty database to each target in turn.
    pub(crate) fn upgrade(&mut self, revisions: &[Revision], targets: &[String]) -> Vec<String> {
        let answer = self.ask(&json!({ "revisions": scripts(revisions), "upgrade": targets }));
        strings(&answer["rows"])
    }

    /// What each downgrade from the given rows to the given target does.
    pub(crate) fn downgrades(
        &mut self,
        revisions: &[Revision],
        questions: &[(Vec<String>, String)],
    ) -> Vec<Downgrade> {
        let answer = self.ask(&json!({ "revisions": scripts(revisions), "downgrades": questions }));
        answer["downgrades"]
            .as_array()
            .expect("a list of answers")
            .iter()
            .map(|answer| match answer["error"].as_str() {
                Some(error) => Downgrade::Refused(error.to_owned()),
                None => Downgrade::Done {
                    removed: strings(&answer["removed"]),
                    rows: strings(&answer["rows"]),
                },
            })
            .collect()
    }

    fn ask(&mut self, question: &Value) -> Value {
        let questions = self.questions.as_mut().expect("open until dropped");
        writeln!(questions, "{question}").expect("the oracle listens");
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the oracle answers");
        let answer: Value = serde_json::from_str(&line).expect("one JSON line");
        assert!(answer.get("error").is_none(), "{question}\n{answer}");
        answer
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.questions.take();
        let _ = self.process.wait();
    }
}

fn scripts(revisions: &[Revision]) -> Vec<Value> {
    revisions
        .iter()
        .map(|revision| {
            json!({
                "id": revision.id,
                "down_revisions": revision.down_revisions,
                "depends_on": revision.depends_on,
                "branch_labels": revision.branch_labels,
            })
        })
        .collect()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("a list of strings")
        .iter()
        .map(|each| each.as_str().expect("a string").to_owned())
        .collect()
}
