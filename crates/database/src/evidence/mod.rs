//! What the data says to the questions of the foresight: read-only, one statement each, within a
//! time that the caller gives.
//!
//! Nothing here may be slow or in anybody's way: a table that is too large is estimated rather than
//! counted, and a statement that waits for a lock is given up like one that works too long.

mod constant;
mod misfits;
mod sql;

pub use self::sql::query_of;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Database, Limited};
use rollback_core::dialect::Dialect;
use rollback_core::probe::{Answer, Probe, Question};

/// How many rows a server is expected to read in a second at least, from the disk. Only decides
/// whether it is worth trying: the time limit holds in any case.
const ROWS_PER_SECOND: f64 = 2_000_000.0;

/// For the server's own figures, which are at hand. They are read even when the budget is gone as
/// long as there is this much of it left.
const GLANCE: Duration = Duration::from_millis(500);

/// Puts questions to a database, each one once.
pub struct DatabaseProbe<'database> {
    database: &'database mut dyn Database,
    dialect: Dialect,
    left: Duration,
    per_query: Duration,
    used: Duration,
    answers: HashMap<Question, Option<Answer>>,
    /// The estimated rows of each table, by the query for them.
    rows: HashMap<String, Option<u64>>,
    unanswered: Vec<Question>,
}

impl<'database> DatabaseProbe<'database> {
    /// `budget` is for all questions together, `per_query` for each one of them.
    pub fn new(
        database: &'database mut dyn Database,
        dialect: Dialect,
        budget: Duration,
        per_query: Duration,
    ) -> Self {
        Self {
            database,
            dialect,
            left: budget,
            per_query,
            used: Duration::ZERO,
            answers: HashMap::new(),
            rows: HashMap::new(),
            unanswered: Vec::new(),
        }
    }

    /// The time that the questions took so far.
    pub fn used(&self) -> Duration {
        self.used
    }

    /// How many questions have an answer, be it an estimate.
    pub fn answered(&self) -> usize {
        self.answers.values().flatten().count()
    }

    /// What had no time or failed, in the order in which it was asked. What has but an estimate is
    /// none of these.
    pub fn unanswered(&self) -> &[Question] {
        &self.unanswered
    }

    fn answer(&mut self, question: &Question) -> Option<Answer> {
        if self.left.is_zero() {
            return None;
        }
        let query = query_of(self.dialect, question)?;
        if self.is_worth_trying(question) {
            let limit = self.per_query.min(self.left);
            match self.number(&query, limit) {
                Ok(Some(count)) => return Some(exact(count, query)),
                Ok(None) => {}
                // `json` has no equality on PostgreSQL, and a default need not be of the type.
                Err(_) => {
                    let plain = without_default(question)?;
                    let query = query_of(self.dialect, &plain)?;
                    let count = self.number(&query, self.per_query.min(self.left)).ok()??;
                    return Some(exact(count, query));
                }
            }
        }
        let query = sql::estimate_of(self.dialect, question)?;
        // The last statement may have taken all of the budget; its own figures cost the server nothing.
        let count = self.number(&query, GLANCE).ok()??;
        Some(Answer {
            count,
            exact: false,
            query,
        })
    }

    /// Whether the rows that have to be read can be read in the time that there is.
    fn is_worth_trying(&mut self, question: &Question) -> bool {
        let Some(query) = sql::rows_to_read(self.dialect, question) else {
            return true;
        };
        let known = if let Some(known) = self.rows.get(&query) {
            *known
        } else {
            let rows = self.number(&query, GLANCE).ok().flatten();
            self.rows.insert(query, rows);
            rows
        };
        let seconds = self.per_query.min(self.left).as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "an estimate has no digits to lose"
        )]
        // Where the server does not know, or does not say, the time limit decides.
        known.is_none_or(|rows| rows as f64 <= seconds * ROWS_PER_SECOND)
    }

    /// The only value of a query.
    fn number(&mut self, query: &str, limit: Duration) -> Limited<u64> {
        let started = Instant::now();
        let answer = self.database.query(query, limit);
        let took = started.elapsed();
        self.used += took;
        self.left = self.left.saturating_sub(took);
        Ok(answer?.and_then(|rows| {
            let value = rows.first()?.first()?.as_deref()?;
            value.parse().ok()
        }))
    }
}

impl Probe for DatabaseProbe<'_> {
    fn ask(&mut self, question: &Question) -> Option<Answer> {
        if let Some(answer) = self.answers.get(question) {
            return answer.clone();
        }
        let answer = self.answer(question);
        if answer.is_none() {
            self.unanswered.push(question.clone());
        }
        self.answers.insert(question.clone(), answer.clone());
        answer
    }
}

fn exact(count: u64, query: String) -> Answer {
    Answer {
        count,
        exact: true,
        query,
    }
}

/// The same question without what the server may not be able to compare.
fn without_default(question: &Question) -> Option<Question> {
    match question {
        Question::Values {
            table,
            column,
            default: Some(_),
        } => Some(Question::Values {
            table: table.clone(),
            column: column.clone(),
            default: None,
        }),
        _ => None,
    }
}
