//! The conversation with the bridge while a range is run: what it tells is judged, what the judge wants
//! to know is asked inside the engine's transaction, and the verdict is sent back.

use serde::Deserialize;
use serde_json::json;

use rollback_core::engine::{Channel, Judge, Listener};
use rollback_core::query::{Queries, QueryError, TextRows};
use rollback_core::revision::{Heads, RevisionId};

/// A line of the bridge that waits for a verdict.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BridgeEvent {
    /// The transaction is open, and nothing was done in it.
    Begun,
    /// The step at this position is done inside; the version rows after it.
    Applied(usize, Vec<String>),
    /// All steps are done inside, and nothing but the commit is left.
    Finished,
    /// The transaction of the step at this position is open, and nothing was done in it.
    Starting(usize),
    /// The step at this position is committed; whether it was seen whole before.
    Kept(usize),
}

/// A line of the bridge that waits for nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    /// The step at this position is next, and the version rows were read for it.
    Began(usize),
    /// The next steps are not run in this process, and why.
    Left(String),
    /// What was not committed is rolled back.
    TakenBack,
}

/// A line of the bridge that answers a question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BridgeAnswer {
    Rows(TextRows),
    Error {
        code: Option<String>,
        reason: String,
    },
}

/// Puts what the bridge tells before the judge.
pub(super) struct JudgeAdapter<'a>(pub(super) &'a mut dyn Judge);

impl Listener for JudgeAdapter<'_> {
    fn line(&mut self, line: &str) {
        self.0.line(line);
    }

    fn on_message(&mut self, line: &str, channel: &mut dyn Channel) {
        match serde_json::from_str(line) {
            Ok(News::Began(index)) => return self.0.began(index),
            Ok(News::Left(reason)) => return self.0.left(&reason),
            Ok(News::TakenBack) => return,
            Err(_) => {}
        }
        let Ok(told) = serde_json::from_str(line) else {
            // Nothing that waits for a verdict.
            self.0.on_message(line, channel);
            return;
        };
        let mut transaction = Transaction(&mut *channel);
        let verdict = match told {
            BridgeEvent::Begun => self.0.begun(&mut transaction),
            BridgeEvent::Applied(index, heads) => {
                let heads: Heads = heads.into_iter().map(RevisionId::new).collect();
                self.0.applied(index, &heads, &mut transaction)
            }
            BridgeEvent::Finished => self.0.finished(&mut transaction),
            BridgeEvent::Starting(index) => self.0.starting(index, &mut transaction),
            BridgeEvent::Kept(index) => {
                channel.cut();
                self.0.kept(index)
            }
        };
        channel.send(&match verdict {
            Ok(()) => json!({ "go_on": true }).to_string(),
            Err(reason) => json!({ "go_on": false, "reason": reason }).to_string(),
        });
    }

    fn left_nothing(&mut self) {
        self.0.left_nothing();
    }

    fn on_debug(&mut self, text: &str) {
        self.0.on_debug(text);
    }

    fn on_tick(&mut self) {
        self.0.on_tick();
    }
}

/// The engine's transaction, seen through the channel.
struct Transaction<'a>(&'a mut dyn Channel);

impl Queries for Transaction<'_> {
    fn rows(&mut self, statements: &[&str]) -> Result<TextRows, QueryError> {
        let error = |reason: &str| QueryError {
            code: None,
            reason: reason.to_owned(),
        };
        let answer = self
            .0
            .request(&json!({ "ask": statements }).to_string())
            .ok_or_else(|| error("the engine ended before it answered"))?;
        match serde_json::from_str(&answer) {
            Ok(BridgeAnswer::Rows(rows)) => Ok(rows),
            Ok(BridgeAnswer::Error { code, reason }) => Err(QueryError { code, reason }),
            Err(_) => Err(error("the engine's answer was not understood")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each question with the next line, and keeps what it was told.
    struct Script(Vec<&'static str>, Vec<String>);

    impl Channel for Script {
        fn send(&mut self, line: &str) {
            self.1.push(line.to_owned());
        }

        fn request(&mut self, line: &str) -> Option<String> {
            self.send(line);
            (!self.0.is_empty()).then(|| self.0.remove(0).to_owned())
        }
    }

    /// Asks one thing and objects with the answer.
    struct AskingJudge;

    impl Listener for AskingJudge {}

    impl Judge for AskingJudge {
        fn begun(&mut self, transaction: &mut dyn Queries) -> Result<(), String> {
            match transaction.rows(&["SELECT 1"]) {
                Ok(rows) => Err(format!("{rows:?}")),
                Err(error) => Err(format!("{:?} {error}", error.code)),
            }
        }

        fn applied(&mut self, _: usize, _: &Heads, _: &mut dyn Queries) -> Result<(), String> {
            Ok(())
        }

        fn finished(&mut self, _: &mut dyn Queries) -> Result<(), String> {
            Ok(())
        }
    }

    fn verdict(told: &str, answers: Vec<&'static str>) -> Vec<String> {
        let mut script = Script(answers, Vec::new());
        JudgeAdapter(&mut AskingJudge).on_message(told, &mut script);
        script.1
    }

    #[test]
    fn each_line_has_its_verdict_after_the_questions() {
        let go_on = vec!["{\"go_on\":true}"];
        assert_eq!(verdict("{\"applied\": [0, [\"a\"]]}", vec![]), go_on);
        assert_eq!(verdict("\"finished\"", vec![]), go_on);
        assert_eq!(
            verdict("\"begun\"", vec!["{\"rows\": [[\"1\", null]]}"]),
            [
                "{\"ask\":[\"SELECT 1\"]}",
                "{\"go_on\":false,\"reason\":\"[[Some(\\\"1\\\"), None]]\"}"
            ]
        );
        let error = "{\"error\": {\"code\": \"42P01\", \"reason\": \"no table\"}}";
        assert!(verdict("\"begun\"", vec![error])[1].contains("42P01"));
    }

    #[test]
    fn an_engine_that_is_gone_is_an_error_and_other_lines_are_nothing() {
        assert!(verdict("\"begun\"", vec![])[1].contains("ended before it answered"));
        assert_eq!(verdict("{\"rows\": []}", vec![]), [""; 0]);
    }
}
