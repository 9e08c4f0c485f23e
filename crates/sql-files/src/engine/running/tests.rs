//! The order of effects, over a connection that only keeps what it is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::{RunningScript, SqlFiles};
use crate::engine::history_table::{By, Tables};
use rollback_core::dialect::Dialect;
use rollback_core::engine::{Ended, Engine as _, EngineError, Listener, StepRun};
use rollback_core::interrupt::Interrupt;
use rollback_core::journal::{Statement, StatementState};
use rollback_core::query::{Execution, RunError, RunErrorKind, TextRows};
use rollback_core::revision::RevisionId;

type Log = Rc<RefCell<Vec<String>>>;

/// Refuses the first text that holds the words, in that manner.
type Refusal = Option<(&'static str, RunErrorKind)>;

struct Fake {
    log: Log,
    refusal: Rc<RefCell<Refusal>>,
}

impl Execution for Fake {
    fn run(&mut self, sql: &str, goes_on: &mut dyn FnMut() -> bool) -> Result<TextRows, RunError> {
        let error = |kind| RunError {
            kind,
            code: Some("42P01".to_owned()),
            reason: "no such thing\nHINT:  Look again.".to_owned(),
        };
        if !goes_on() {
            return Err(error(RunErrorKind::GivenUp));
        }
        self.log.borrow_mut().extend(short(sql));
        if self
            .refusal
            .borrow()
            .is_some_and(|(words, _)| sql.contains(words))
            && let Some((_, kind)) = self.refusal.take()
        {
            return Err(error(kind));
        }
        Ok(vec![vec![Some("1".to_owned())]])
    }
}

/// A text as it stands in the expectations.
fn short(sql: &str) -> Option<String> {
    let row = sql.contains("UPDATE") && sql.contains("migration_history");
    let word = if row && !sql.contains("status = ") {
        "note".to_owned()
    } else if sql.contains("status = 'failed'") {
        "row failed".to_owned()
    } else if sql.contains("status = 'rolled_back'") {
        "row rolled back".to_owned()
    } else if sql.contains("_lock") || sql.contains("GET_LOCK") {
        "lock".to_owned()
    } else if sql.contains("migration_") || sql.contains("columns") || sql.contains("pg_catalog") {
        return None;
    } else {
        sql.to_owned()
    };
    Some(word)
}

/// Keeps what it hears of statements among what the connection is told.
struct Heard(Log);

impl Listener for Heard {
    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        let state = match statement.state {
            StatementState::Begun => "begun",
            StatementState::Ended => "ended",
            StatementState::Refused => "refused",
        };
        self.0
            .borrow_mut()
            .push(format!("record {state} {}/{}", statement.at, statement.of));
        Ok(())
    }

    fn schema(&mut self) -> Option<String> {
        Some("v4:0".to_owned())
    }
}

fn down(
    dialect: Dialect,
    sql: &str,
    refusal: Refusal,
    timeout: Option<Duration>,
) -> (Result<StepRun, EngineError>, Vec<String>) {
    let log = Log::default();
    let refusal = Rc::new(RefCell::new(refusal));
    let told = Rc::clone(&log);
    let script = RunningScript {
        sql: sql.to_owned(),
        source: "m/1.sql".to_owned(),
        line: 10,
        before: Vec::new(),
    };
    let engine = SqlFiles {
        connect: Box::new(move || {
            told.borrow_mut().push("connect".to_owned());
            Ok(Box::new(Fake {
                log: Rc::clone(&told),
                refusal: Rc::clone(&refusal),
            }))
        }),
        tables: Tables::new(dialect, None),
        scripts: BTreeMap::from([(RevisionId::from("1"), script)]),
        by: By {
            reason: None,
            who: "a@b".to_owned(),
            run: None,
        },
        supabase: BTreeMap::new(),
        interrupt: Interrupt::never(),
        cut_off: None,
    };
    let run = engine.downgrade("1", timeout, &mut Heard(Rc::clone(&log)));
    let log = log.borrow().clone();
    (run, log)
}

const TWO: &str = "DROP TABLE a;\n\nUPDATE b SET c = 1;";

#[test]
fn a_script_and_the_row_about_it_are_one_transaction() {
    for (dialect, begin) in [
        (Dialect::Postgres, "BEGIN"),
        (Dialect::Sqlite, "BEGIN IMMEDIATE"),
    ] {
        let (run, mut log) = down(dialect, TWO, None, None);
        log.retain(|text| text != "lock");
        assert_eq!(run.unwrap().ended, Ended::Exited(0));
        let expected = [
            "connect",
            begin,
            "DROP TABLE a",
            "UPDATE b SET c = 1",
            "row rolled back",
            "COMMIT",
        ];
        assert_eq!(log, expected, "{dialect:?}");
    }
}

#[test]
fn a_refusal_takes_everything_back_and_is_written_down_over_another_connection() {
    let refusal = Some(("UPDATE b", RunErrorKind::Refused));
    let (run, log) = down(Dialect::Postgres, TWO, refusal, None);
    assert_eq!(
        log[3..],
        [
            "DROP TABLE a",
            "UPDATE b SET c = 1",
            "ROLLBACK",
            "connect",
            "BEGIN",
            "row failed",
            "COMMIT"
        ]
    );
    let run = run.unwrap();
    assert_eq!((run.ended, run.statement), (Ended::Exited(1), Some((2, 2))));
    assert_eq!(run.reason.as_deref(), Some("m/1.sql:12: no such thing"));
    for words in [
        "statement 2 of 2, m/1.sql:12",
        "    UPDATE b SET c = 1\n",
        "SQL:  42P01: no such thing\nHINT:  Look again.\n",
    ] {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
}

#[test]
fn what_says_nothing_about_the_script_is_not_called_a_failure_of_it() {
    for (words, kind) in [
        ("UPDATE b", RunErrorKind::LockTimeout),
        ("UPDATE b", RunErrorKind::Lost),
        ("COMMIT", RunErrorKind::Lost),
    ] {
        let (run, log) = down(Dialect::Postgres, TWO, Some((words, kind)), None);
        assert!(!log.contains(&"row failed".to_owned()), "{log:?}");
        let is_lock_timeout = run.is_ok_and(|run| run.lock_timeout);
        assert_eq!(is_lock_timeout, kind == RunErrorKind::LockTimeout);
    }
}

#[test]
fn what_is_over_its_time_sends_nothing_more() {
    let (run, log) = down(Dialect::Postgres, TWO, None, Some(Duration::ZERO));
    assert_eq!(run.unwrap().ended, Ended::TimedOut);
    assert_eq!(log, ["connect"]);
}

#[test]
fn on_mysql_each_statement_is_between_two_entries_of_the_record_and_has_its_note() {
    let (run, log) = down(Dialect::MySql, TWO, None, None);
    assert_eq!(run.unwrap().ended, Ended::Exited(0));
    assert_eq!(
        log,
        [
            "connect",
            "lock",
            "BEGIN",
            "note",
            "COMMIT",
            "record begun 0/2",
            "DROP TABLE a",
            "BEGIN",
            "note",
            "COMMIT",
            "record ended 0/2",
            "record begun 1/2",
            "BEGIN",
            "UPDATE b SET c = 1",
            "note",
            "COMMIT",
            "record ended 1/2",
            "BEGIN",
            "row rolled back",
            "COMMIT"
        ]
    );
}

#[test]
fn of_a_statement_that_was_refused_the_record_knows_that_nothing_happened() {
    for (kind, known) in [(RunErrorKind::Refused, true), (RunErrorKind::Lost, false)] {
        let (_, log) = down(Dialect::MySql, TWO, Some(("DROP TABLE a", kind)), None);
        let refused = log.contains(&"record refused 0/2".to_owned());
        assert_eq!(refused, known, "{log:?}");
        let notes = log.iter().filter(|text| *text == "note").count();
        assert_eq!(notes, 1, "{log:?}");
    }
}

#[test]
fn a_script_that_controls_the_transaction_is_not_begun() {
    let (run, log) = down(
        Dialect::Sqlite,
        "DROP TABLE a;\nCOMMIT;\nDROP TABLE b",
        None,
        None,
    );
    let error = run.unwrap_err();
    assert!(error.summary.starts_with("m/1.sql:11: "), "{error}");
    assert_eq!(log, [""; 0]);
}
