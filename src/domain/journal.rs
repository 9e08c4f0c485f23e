//! What is written down about a run, and what can be concluded from it later.
//!
//! A journal is read after a crash, by another version of this program, next to a database that may
//! have gone on meanwhile. So every entry stands for itself, nothing is ever changed, and the
//! judgement about an unfinished run is made here, from the entries and a look at the database.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::graph::Graph;
use super::lock::Operator;
use super::revision::{Heads, RevisionId};
use super::schema::{Difference, FORM, Schema};
use super::target::Target;

/// The version of the format; a journal of another one is not read.
pub const VERSION: u32 = 1;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`] of the program that wrote it.
    pub version: u32,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// [`FORM`] of the lines of a schema that the entry holds; 1 before it was written down.
    #[serde(default = "first_form")]
    pub form: u32,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

fn first_form() -> u32 {
    1
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A run began; nothing is changed yet.
    Begun(Box<Begun>),
    /// It goes on after an end before its target.
    Resumed {
        /// Who goes on with it.
        by: Operator,
    },
    /// A step is about to be run.
    Intent {
        /// Its number in the whole run, from 0.
        step: usize,
        /// The revision that is to go.
        removes: String,
    },
    /// The engine came to its end, whatever the database says.
    EngineEnded {
        /// The step.
        step: usize,
        /// How it ended, in words.
        ended: String,
    },
    /// A step is done and verified, or seen to be done afterwards.
    Done {
        /// The step.
        step: usize,
        /// The revision that went.
        removes: String,
        /// The version rows after it.
        heads: Heads,
        /// What it did to the schema; `None` where it was done before it could be recorded.
        difference: Option<Difference>,
        /// SHA-256 of the schema after it.
        schema: String,
        /// Seconds it took, to the millisecond.
        seconds: f64,
    },
    /// The operator vouches for the state of the database as it is.
    Accepted {
        /// The version rows.
        heads: Heads,
        /// The schema, whole.
        schema: Schema,
    },
    /// The run came to an end, at its target or before it.
    Ended {
        /// The exit code.
        exit_code: u8,
        /// Why it ended before its target; `None` at the target.
        cause: Option<String>,
        /// The version rows; `None` where they could not be read.
        heads: Option<Heads>,
    },
    /// The operator gave it up.
    Abandoned {
        /// Who did.
        by: Operator,
    },
}

/// The first entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's id, which is also the name of its directory.
    pub run: String,
    /// Which database, so that the same one is known again.
    pub database_key: String,
    /// Which database, for people.
    pub database: String,
    /// The target as typed.
    pub target: String,
    /// The revisions that are to go, in order.
    pub removes: Vec<String>,
    /// The arguments of the engine, in the same order.
    pub arguments: Vec<String>,
    /// Who began it.
    pub by: Operator,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// This program's version.
    pub tool: String,
    /// The engine and its version, for people.
    pub engine: String,
    /// The version rows at the start.
    pub heads: Heads,
    /// The schema at the start, whole; empty where it could not be read.
    pub schema: Schema,
}

/// A run as its journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How it began.
    pub begun: Begun,
    /// When.
    pub since: String,
    /// How many of its steps are done.
    pub done: usize,
    /// The step that was begun and of which no end is recorded.
    pub in_flight: Option<usize>,
    /// The version rows as last recorded.
    pub heads: Heads,
    /// The schema as last recorded; `None` where a step was recorded without its difference, or in
    /// another form.
    pub schema: Option<Schema>,
    /// Whether the schema is `None` because another version wrote it, in another form.
    pub other_form: bool,
    /// How it ended, if it did.
    pub end: Option<End>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// At its target.
    Target,
    /// Before it, with this exit code.
    Early(u8),
    /// Given up.
    Abandoned,
}

impl Run {
    /// Puts a journal together. `None` where it does not begin with [`Entry::Begun`] of this
    /// [`VERSION`]. A last line cut off by a crash is for the reader of the file to leave out.
    pub fn read(lines: impl IntoIterator<Item = Line>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let Line {
            version: VERSION,
            at: since,
            form,
            entry: Entry::Begun(begun),
        } = lines.next()?
        else {
            return None;
        };
        let mut run = Self {
            since,
            done: 0,
            in_flight: None,
            heads: begun.heads.clone(),
            schema: None,
            other_form: false,
            end: None,
            begun: *begun,
        };
        let schema = run.begun.schema.clone();
        run.stands_with((!schema.is_empty()).then_some(schema), form);
        for line in lines {
            run.take(line.entry, line.form);
        }
        Some(run)
    }

    /// Lines of two forms differ without a difference of the schema.
    fn stands_with(&mut self, schema: Option<Schema>, form: u32) {
        self.other_form = schema.is_some() && form != FORM;
        self.schema = schema.filter(|_| form == FORM);
    }

    fn take(&mut self, entry: Entry, form: u32) {
        match entry {
            Entry::Begun(_) | Entry::EngineEnded { .. } => {}
            Entry::Resumed { .. } => self.end = None,
            Entry::Intent { step, .. } => self.in_flight = Some(step),
            Entry::Done {
                step,
                heads,
                difference,
                ..
            } => {
                self.done = step + 1;
                self.in_flight = None;
                self.heads = heads;
                match (self.schema.take(), difference) {
                    (Some(schema), Some(difference)) => {
                        self.stands_with(Some(difference.applied_to(schema)), form);
                    }
                    (_, difference) => self.other_form &= difference.is_some(),
                }
            }
            Entry::Accepted { heads, schema } => {
                self.in_flight = None;
                self.heads = heads;
                self.stands_with(Some(schema), form);
            }
            Entry::Ended { exit_code: 0, .. } => self.end = Some(End::Target),
            Entry::Ended { exit_code, .. } => self.end = Some(End::Early(exit_code)),
            Entry::Abandoned { .. } => self.end = Some(End::Abandoned),
        }
    }

    /// Whether it neither reached its target nor was given up.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.end, Some(End::Target | End::Abandoned))
    }

    /// Whether its end left the database at a revision boundary, verified (exit codes 4 and 130).
    pub fn ended_cleanly(&self) -> bool {
        matches!(self.end, Some(End::Early(4 | 130)))
    }

    /// The revision of the step that was in flight.
    pub fn in_flight_revision(&self) -> Option<&str> {
        self.begun.removes.get(self.in_flight?).map(String::as_str)
    }

    /// The revisions that are still to go, where what is applied is the end of what was planned;
    /// `None` where it is not.
    pub fn remaining(&self, applied: &Heads) -> Option<&[String]> {
        let is_applied = |id: &String| applied.contains(&RevisionId::new(id.clone()));
        let gone = self
            .begun
            .removes
            .iter()
            .take_while(|id| !is_applied(id))
            .count();
        let remaining = &self.begun.removes[gone..];
        remaining.iter().all(is_applied).then_some(remaining)
    }

    /// What its target means from here on. A number of steps counts from where it began.
    pub fn remaining_target(&self, remaining: &[String]) -> Option<Target> {
        match self.begun.target.parse().ok()? {
            Target::Steps(_) => Some(Target::Steps(remaining.len())),
            named @ Target::Named { .. } => Some(named),
        }
    }
}

/// What a look at the database says about an unfinished run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It stands where the record ends, and no step was under way.
    AtTheBoundary,
    /// A step was under way, and nothing of it happened.
    NothingHappened,
    /// A step was under way, and it happened without being recorded.
    StepHappened,
    /// The version rows are right and the schema is not: half of a step, or somebody else's work.
    HalfDone(Difference),
    /// A step was under way, the version rows are as before it, and another version of this program
    /// wrote the schema down in a form that says nothing about ours.
    OtherForm,
    /// The version rows are those of neither before nor after.
    Elsewhere,
}

impl Run {
    /// Compares the record with the database as it is now. `schema` is `None` where it cannot be
    /// read, and is then not compared.
    pub fn examine(&self, graph: &Graph, heads: &Heads, schema: Option<&Schema>) -> Found {
        let difference = Difference::between(self.schema.as_ref(), schema);
        let applied = graph.applied(heads);
        if applied == graph.applied(&self.heads) {
            return match (difference.is_empty(), self.in_flight) {
                (false, _) => Found::HalfDone(difference),
                (true, Some(_)) if self.other_form && schema.is_some() => Found::OtherForm,
                (true, Some(_)) => Found::NothingHappened,
                (true, None) => Found::AtTheBoundary,
            };
        }
        let without = |gone: &str| {
            let mut before = graph.applied(&self.heads).ok()?;
            before.remove(&RevisionId::from(gone)).then_some(before)
        };
        let after = self.in_flight_revision().and_then(without);
        if after.is_some() && applied.ok() == after {
            Found::StepHappened
        } else {
            Found::Elsewhere
        }
    }
}

/// Seconds to the millisecond.
pub fn seconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::graph::drawn;

    const LINE: &str = "a; b:a; c:b";

    fn heads(ids: &[&str]) -> Heads {
        ids.iter().copied().map(RevisionId::from).collect()
    }

    fn schema(lines: &[&str]) -> Schema {
        lines.iter().map(ToString::to_string).collect()
    }

    fn operator() -> Operator {
        Operator {
            user: "ada".into(),
            host: "db1".into(),
            pid: 7,
        }
    }

    fn begun(target: &str) -> Entry {
        Entry::Begun(Box::new(Begun {
            run: "run".into(),
            database_key: "key".into(),
            database: "database".into(),
            target: target.into(),
            removes: vec!["c".into(), "b".into()],
            arguments: vec!["c@b".into(), "b@a".into()],
            by: operator(),
            reason: None,
            tool: "0".into(),
            engine: "alembic".into(),
            heads: heads(&["c"]),
            schema: schema(&["table one", "table two"]),
        }))
    }

    fn intent(step: usize) -> Entry {
        Entry::Intent {
            step,
            removes: "c".into(),
        }
    }

    fn done(step: usize, rows: &[&str], gone: &[&str]) -> Entry {
        Entry::Done {
            step,
            removes: "c".into(),
            heads: heads(rows),
            difference: Some(Difference {
                gone: gone.iter().map(ToString::to_string).collect(),
                new: Vec::new(),
            }),
            schema: String::new(),
            seconds: 0.0,
        }
    }

    fn run(entries: Vec<Entry>) -> Run {
        run_in_forms(
            entries
                .into_iter()
                .map(|entry| (entry, Some(FORM)))
                .collect(),
        )
    }

    /// The form is `None` where it was not written down yet.
    fn run_in_forms(entries: Vec<(Entry, Option<u32>)>) -> Run {
        let lines = entries.into_iter().map(|(entry, form)| {
            let line = Line {
                version: VERSION,
                at: String::new(),
                form: FORM,
                entry,
            };
            // Through the written form, as in life.
            let mut line = serde_json::to_value(&line).unwrap();
            match form {
                Some(form) => line["form"] = form.into(),
                None => drop(line.as_object_mut().unwrap().remove("form")),
            }
            serde_json::from_value(line).unwrap()
        });
        Run::read(lines).unwrap()
    }

    #[test]
    fn a_journal_knows_where_the_database_stood_after_the_last_step() {
        let run = run(vec![
            begun("-2"),
            intent(0),
            done(0, &["b"], &["table two"]),
        ]);
        assert_eq!((run.done, run.in_flight), (1, None));
        assert_eq!(run.heads, heads(&["b"]));
        assert_eq!(run.schema, Some(schema(&["table one"])));
        assert!(run.is_unfinished());
    }

    #[test]
    fn a_relative_target_counts_from_where_the_run_began() {
        let counted = run(vec![begun("-2")]);
        let left = counted.remaining(&heads(&["a", "b"])).unwrap();
        assert_eq!(left, ["b"]);
        assert_eq!(counted.remaining_target(left), Some(Target::Steps(1)));
        assert_eq!(
            run(vec![begun("a")]).remaining_target(left),
            "a".parse().ok()
        );
        // One in the middle is gone: that was not this run.
        assert_eq!(counted.remaining(&heads(&["a", "c"])), None);
    }

    #[test]
    fn a_step_under_way_is_told_from_what_the_database_shows() {
        let graph = drawn(LINE);
        let run = run(vec![begun("a"), intent(0)]);
        let both = schema(&["table one", "table two"]);
        assert_eq!(
            run.examine(&graph, &heads(&["c"]), Some(&both)),
            Found::NothingHappened
        );
        assert_eq!(
            run.examine(&graph, &heads(&["b"]), Some(&schema(&["table one"]))),
            Found::StepHappened
        );
        let half = run.examine(&graph, &heads(&["c"]), Some(&schema(&["table one"])));
        assert_eq!(
            half,
            Found::HalfDone(Difference {
                gone: vec!["table two".into()],
                new: Vec::new()
            })
        );
        assert_eq!(
            run.examine(&graph, &heads(&["a"]), Some(&both)),
            Found::Elsewhere
        );
    }

    /// Turns red if what another version wrote is held against what this one reads.
    #[test]
    fn a_schema_in_another_form_is_compared_with_none() {
        let graph = drawn(LINE);
        let ours = schema(&["table one in the form of today"]);
        let examine = |run: &Run, at: &str| run.examine(&graph, &heads(&[at]), Some(&ours));
        for form in [None, Some(FORM + 1)] {
            let old = |entry| (entry, form);
            let begun_only = run_in_forms(vec![old(begun("a"))]);
            assert_eq!(examine(&begun_only, "c"), Found::AtTheBoundary);
            // Half of it may have happened.
            let in_flight = run_in_forms(vec![old(begun("a")), old(intent(0))]);
            assert_eq!(examine(&in_flight, "c"), Found::OtherForm);
            assert_eq!(examine(&in_flight, "b"), Found::StepHappened);
            // Gone on with by this version, which only knows what a step did, not to what.
            let mut entries = vec![
                old(begun("a")),
                (done(0, &["b"], &["table two"]), Some(FORM)),
            ];
            assert_eq!(
                examine(&run_in_forms(entries.clone()), "b"),
                Found::AtTheBoundary
            );
            entries.push((intent(1), Some(FORM)));
            assert_eq!(
                examine(&run_in_forms(entries.clone()), "b"),
                Found::OtherForm
            );
            // What is vouched for is known whole.
            let accepted = Entry::Accepted {
                heads: heads(&["b"]),
                schema: ours.clone(),
            };
            entries.extend([accepted, intent(1)].map(|entry| (entry, Some(FORM))));
            assert_eq!(examine(&run_in_forms(entries), "b"), Found::NothingHappened);
        }
    }

    #[test]
    fn between_steps_the_database_has_to_stand_where_the_record_ends() {
        let graph = drawn(LINE);
        let run = run(vec![begun("a"), intent(0), done(0, &["b"], &["table two"])]);
        let one = schema(&["table one"]);
        assert_eq!(
            run.examine(&graph, &heads(&["b"]), Some(&one)),
            Found::AtTheBoundary
        );
        assert_eq!(
            run.examine(&graph, &heads(&["a"]), Some(&one)),
            Found::Elsewhere
        );
        assert_eq!(
            run.examine(&graph, &heads(&["b"]), None),
            Found::AtTheBoundary
        );
    }

    #[test]
    fn only_a_run_at_its_target_or_given_up_is_finished() {
        let end = |exit_code| Entry::Ended {
            exit_code,
            cause: None,
            heads: None,
        };
        assert!(!run(vec![begun("a"), end(0)]).is_unfinished());
        assert!(run(vec![begun("a"), end(4)]).is_unfinished());
        assert!(!run(vec![begun("a"), Entry::Abandoned { by: operator() }]).is_unfinished());
        let resumed = vec![begun("a"), end(4), Entry::Resumed { by: operator() }];
        assert!(!run(resumed).ended_cleanly());
    }
}
