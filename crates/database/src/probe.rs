//! Many small questions within a time budget.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::connection::SessionError;

/// What may go into one statement together, in rows as the server estimates them.
const CHEAP: u64 = 20_000;

/// How many go into one statement at most.
const TOGETHER: usize = 200;

/// A question whose answer is one number.
pub(super) struct CountQuery {
    pub(super) key: String,
    /// `SELECT {number}, count(*) FROM ...` after the number.
    pub(super) from: String,
    /// The estimated rows to read.
    pub(super) weight: u64,
}

/// What came of the questions: a question that is not among the answers was too much.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) counts: BTreeMap<String, u64>,
    /// Those that the server refused for another reason than time: the table just went, say.
    pub(super) refused: BTreeMap<String, String>,
}

/// Asks: all that are cheap in one statement, each other one in its own, the smallest first, until
/// the time is over. `ask` limits a statement to the given time; `None` is "it took longer".
pub(super) fn ask_all(
    mut probes: Vec<CountQuery>,
    budget: Duration,
    mut ask: impl FnMut(&str, Duration) -> Result<Option<Vec<(usize, u64)>>, SessionError>,
) -> Answers {
    let end = Instant::now() + budget;
    let mut answers = Answers::default();
    probes.sort_by_key(|probe| probe.weight);
    let cheap = probes.partition_point(|probe| probe.weight <= CHEAP);
    let mut statements: Vec<(usize, usize)> = (0..cheap)
        .step_by(TOGETHER)
        .map(|start| (start, cheap.min(start + TOGETHER)))
        .collect();
    statements.extend((cheap..probes.len()).map(|at| (at, at + 1)));
    statements.reverse();
    while let Some((start, stop)) = statements.pop() {
        let left = end.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            break;
        }
        let selects: Vec<String> = (start..stop)
            .map(|at| format!("SELECT {at}, count(*) FROM {}", probes[at].from))
            .collect();
        match ask(&selects.join(" UNION ALL "), left) {
            Ok(Some(rows)) => {
                let known = rows.into_iter().filter(|(at, _)| *at < probes.len());
                answers
                    .counts
                    .extend(known.map(|(at, rows)| (probes[at].key.clone(), rows)));
            }
            Ok(None) => {}
            // One of them spoils the statement for all.
            Err(_) if stop - start > 1 => {
                statements.extend((start..stop).rev().map(|at| (at, at + 1)));
            }
            Err(error) => {
                let reason = error.report.to_string();
                answers.refused.insert(probes[start].key.clone(), reason);
            }
        }
    }
    answers
}

/// The two columns of the answer.
pub(super) fn pairs(rows: &[Vec<Option<String>>]) -> Vec<(usize, u64)> {
    rows.iter()
        .filter_map(|row| match row.as_slice() {
            [Some(at), Some(rows)] => Some((at.parse().ok()?, rows.parse().ok()?)),
            _ => None,
        })
        .collect()
}
