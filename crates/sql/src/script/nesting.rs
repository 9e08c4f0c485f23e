//! Where a `;` stands inside a statement: in the body of a routine or a trigger.

use super::super::tokens::{Kind, Token};
use rollback_core::dialect::Dialect;

/// What is open in a statement.
#[derive(Debug)]
pub(super) struct Nesting {
    dialect: Dialect,
    /// The words that it begins with, in capitals; the rest of them says nothing about bodies.
    words: Vec<String>,
    kind: Body,
    /// The last piece of code, in capitals.
    previous: String,
    /// Whether a piece of a body may begin here.
    at_start: bool,
    parentheses: usize,
    open: Vec<Frame>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Not known yet, or none.
    None,
    /// `BEGIN ATOMIC ... END` may come.
    Function,
    /// `BEGIN ... ; END` of SQLite.
    Trigger,
    /// A body of MySQL and MariaDB.
    Compound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// Holds statements.
    Statements,
    /// `CASE ... END` as a value.
    Value,
}

/// More words say no more about what a statement is.
const WORDS: usize = 12;

/// What ends in `END`, at the place of a statement.
const BLOCKS: [&str; 6] = ["IF", "LOOP", "WHILE", "REPEAT", "FOR", "CASE"];

/// After these a statement of a body begins.
const BEFORE: [&str; 9] = [
    ";", ":", "BEGIN", "ATOMIC", "THEN", "ELSE", "LOOP", "REPEAT", "DO",
];

/// What a body may follow.
const HEAD: [&str; 7] = [
    ")",
    "ROW",
    "DETERMINISTIC",
    "DATA",
    "SQL",
    "INVOKER",
    "DEFINER",
];

impl Nesting {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            words: Vec::new(),
            kind: Body::None,
            previous: String::new(),
            at_start: true,
            parentheses: 0,
            open: Vec::new(),
        }
    }

    /// Whether a `;` here is a part of the statement.
    pub(super) fn holds(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether it is of those that have a body of statements.
    pub(super) fn is_compound(&self) -> bool {
        self.kind == Body::Compound
    }

    /// Whether its words begin so; see [`begins`].
    pub(super) fn begins(&self, pattern: &[&str]) -> bool {
        begins(&self.words, pattern)
    }

    /// Takes in the next piece of code.
    pub(super) fn take(&mut self, token: &Token<'_>) {
        let text = token.text.to_ascii_uppercase();
        if token.kind == Kind::Word {
            if self.words.len() < WORDS {
                self.words.push(text.clone());
                self.learn();
            }
            // `t.end` and `AS end` are names.
            if self.previous != "." && self.previous != "AS" && self.parentheses == 0 {
                self.word(&text);
            }
        }
        match text.as_str() {
            "(" if token.kind == Kind::Symbol => self.parentheses += 1,
            ")" if token.kind == Kind::Symbol => {
                self.parentheses = self.parentheses.saturating_sub(1);
            }
            _ => {}
        }
        // `DO` as a statement of its own is followed by a value.
        let do_of_its_own = text == "DO" && self.at_start && !self.open.is_empty();
        let before = match self.open.last() {
            Some(Frame::Value) => false,
            Some(Frame::Statements) => BEFORE.contains(&text.as_str()),
            None => BEFORE.contains(&text.as_str()) || HEAD.contains(&text.as_str()),
        };
        self.at_start = before && !do_of_its_own && self.parentheses == 0;
        self.previous = match token.kind {
            Kind::Word | Kind::Symbol => text,
            _ => "'".to_owned(),
        };
    }

    /// What the first words say.
    fn learn(&mut self) {
        if self.kind != Body::None {
            return;
        }
        self.kind = match self.dialect {
            Dialect::Postgres
                if self.begins(&["CREATE", "OR?", "REPLACE?", "FUNCTION|PROCEDURE"]) =>
            {
                Body::Function
            }
            Dialect::Sqlite if self.begins(&["CREATE", "TEMP|TEMPORARY?", "TRIGGER"]) => {
                Body::Trigger
            }
            Dialect::MySql if self.is_routine() => Body::Compound,
            _ => Body::None,
        };
    }

    /// `CREATE DEFINER = x PROCEDURE` and its like, and what MariaDB runs without a routine.
    fn is_routine(&self) -> bool {
        if self.words.len() == 1 && BLOCKS.contains(&self.words[0].as_str())
            || self.begins(&["BEGIN", "NOT", "ATOMIC"])
        {
            return true;
        }
        if !self.begins(&["CREATE|ALTER"]) {
            return false;
        }
        let telling = self.words.iter().find(|word| {
            matches!(
                word.as_str(),
                "TRIGGER"
                    | "PROCEDURE"
                    | "FUNCTION"
                    | "EVENT"
                    | "TABLE"
                    | "VIEW"
                    | "INDEX"
                    | "DATABASE"
                    | "SCHEMA"
                    | "USER"
                    | "ROLE"
                    | "SERVER"
                    | "SEQUENCE"
                    | "TABLESPACE"
            )
        });
        telling.is_some_and(|word| {
            ["TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"].contains(&word.as_str())
        })
    }

    fn word(&mut self, word: &str) {
        match self.kind {
            Body::None => {}
            Body::Function => match word {
                "ATOMIC" if self.open.is_empty() && self.previous == "BEGIN" => {
                    self.open.push(Frame::Statements);
                }
                "CASE" if !self.open.is_empty() => self.open.push(Frame::Value),
                "END" => drop(self.open.pop()),
                _ => {}
            },
            Body::Trigger => match word {
                "BEGIN" if self.open.is_empty() => self.open.push(Frame::Statements),
                "END" if self.previous == ";" => drop(self.open.pop()),
                _ => {}
            },
            Body::Compound => self.compound(word),
        }
    }

    fn compound(&mut self, word: &str) {
        match word {
            // The body of a handler begins in the middle of its statement.
            "BEGIN" => self.open.push(Frame::Statements),
            "ATOMIC" if self.open.is_empty() && self.begins(&["BEGIN", "NOT", "ATOMIC"]) => {
                self.open.push(Frame::Statements);
            }
            "END" => drop(self.open.pop()),
            "CASE" if self.previous == "END" => {}
            // `SELECT ... WHERE x IN (1) FOR UPDATE`
            "FOR" if self.previous == ")" => {}
            "CASE" if self.at_start => self.open.push(Frame::Statements),
            "CASE" => self.open.push(Frame::Value),
            // `CREATE EVENT IF NOT EXISTS`, `FOR EACH ROW` and `END IF` are not at the beginning of one.
            word if self.at_start && BLOCKS.contains(&word) => self.open.push(Frame::Statements),
            _ => {}
        }
    }
}

/// Whether words begin so: `A|B` is either, `A?` may be missing.
pub fn begins(words: &[String], pattern: &[&str]) -> bool {
    let mut words = words.iter();
    let mut word = words.next();
    for wanted in pattern {
        let (choices, may_be_missing) = match wanted.strip_suffix('?') {
            Some(choices) => (choices, true),
            None => (*wanted, false),
        };
        if word.is_some_and(|word| choices.split('|').any(|choice| choice == word)) {
            word = words.next();
        } else if !may_be_missing {
            return false;
        }
    }
    true
}
