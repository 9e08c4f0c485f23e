//! A command under guard: how it ended, and what has to go to undo what it applied.

use crate::names::and;
use serde::{Deserialize, Serialize};

use super::database_identity::DatabaseReference;
use super::graph::{Graph, UnknownRevision};
use super::plan::Plan;
use super::revision::{Heads, RevisionId};
use super::schema::{Difference, SchemaLines};

/// What the target of a run is called that rolls back what a command applied.
pub const TARGET: &str = "where it stood before the command";

/// A command that was run under guard and failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Guarded {
    /// Its command line, without what looks like a password.
    pub command: String,
    /// When it began, RFC 3339 in UTC.
    pub began: String,
    /// Seconds it took, to the millisecond.
    pub seconds: f64,
    /// Its exit status; `None` where a signal ended it.
    pub exit_status: Option<i32>,
    /// The signal that ended it; `None` where it ended by itself.
    pub signal: Option<i32>,
}

impl Guarded {
    /// How it ended, as it completes "the command ended ": `with exit status 7`, `by signal 9`.
    pub fn how(&self) -> String {
        match (self.exit_status, self.signal) {
            (Some(status), _) => format!("with exit status {status}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "in an unknown way".to_owned(),
        }
    }
}

/// Where a database stood before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Which database.
    pub database: DatabaseReference,
    /// The version rows.
    pub rows: Vec<RevisionId>,
    /// All that was applied.
    pub applied: Heads,
    /// The schema; `None` where it could not be read.
    pub schema: Option<SchemaLines>,
    /// The tables in which it is written down what is applied: they may come with the command, and stay.
    pub bookkeeping: Vec<String>,
}

/// Why what the command applied cannot be rolled back by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardRefusal {
    /// The database stands where the code knows nothing.
    #[error(transparent)]
    Unknown(#[from] UnknownRevision),
    /// The database is not above where it was: something is gone.
    #[error("the database is not above where it was: {} went", and(gone))]
    NotAbove {
        /// What was applied before and is not any more.
        gone: Vec<RevisionId>,
        /// What is applied now and was not before.
        new: Vec<RevisionId>,
    },
    /// What was there before would go along, or would not be what it was.
    #[error("{} cannot be taken back without what was there before", and(new))]
    NotAlone {
        /// What is applied now and was not before.
        new: Vec<RevisionId>,
    },
}

impl Before {
    /// The plan that leads back from `rows`, and takes nothing that was there before; it has no step where
    /// nothing was applied since.
    pub fn way_back(&self, graph: &Graph, rows: &[RevisionId]) -> Result<Plan, GuardRefusal> {
        let applied = graph.applied(rows)?;
        let difference = |one: &Heads, other: &Heads| -> Vec<RevisionId> {
            one.difference(other).cloned().collect()
        };
        let gone = difference(&self.applied, &applied);
        let new = difference(&applied, &self.applied);
        if !gone.is_empty() {
            return Err(GuardRefusal::NotAbove { gone, new });
        }
        if new.is_empty() {
            return Ok(Plan::nothing(rows));
        }
        let plan = Plan::exactly(graph, rows, &new)?;
        // A history that was rewritten meanwhile may have put something new below what was there.
        let left = graph.applied(plan.final_heads())?;
        if left == self.applied {
            Ok(plan)
        } else {
            Err(GuardRefusal::NotAlone { new })
        }
    }
}

impl Before {
    /// What the schema lacks or has too much, where it should be what it was: a migration that broke off, or a
    /// downgrade that is no inverse. Nothing where either schema is not known.
    pub fn left_over(&self, now: Option<&SchemaLines>) -> Difference {
        let mut difference = Difference::between(self.schema.as_ref(), now);
        let is_own = |line: &String| {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            words.any(|word| self.bookkeeping.iter().any(|name| name == word))
        };
        difference.gone.retain(|line| !is_own(line));
        difference.new.retain(|line| !is_own(line));
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::list;
    use crate::revision::Revision;
    use crate::testing::drawn;

    const DIAMOND: &str = "base0; a1:base0; b1:base0; m:a1,b1; top:m";

    fn ids(ids: &[&str]) -> Vec<RevisionId> {
        ids.iter().copied().map(RevisionId::from).collect()
    }

    fn before(graph: &Graph, rows: &[&str]) -> Before {
        let rows = ids(rows);
        Before {
            database: DatabaseReference::default(),
            applied: graph.applied(&rows).unwrap(),
            rows,
            schema: None,
            bookkeeping: vec!["alembic_version".to_owned()],
        }
    }

    /// What goes, and what is left in the version table.
    fn back(drawing: &str, from: &[&str], to: &[&str]) -> Result<(String, String), GuardRefusal> {
        let graph = drawn(drawing);
        let plan = before(&graph, from).way_back(&graph, &ids(to))?;
        let steps = plan.steps.iter().map(|step| &step.removes);
        Ok((list(steps), list(plan.final_heads())))
    }

    fn is(steps: &str, left: &str) -> (String, String) {
        (steps.to_owned(), left.to_owned())
    }

    #[test]
    fn only_what_was_applied_goes() {
        assert_eq!(back("a; b:a; c:b", &["a"], &["c"]), Ok(is("c, b", "a")));
        assert_eq!(back("a; b:a", &[], &["b"]), Ok(is("b, a", "")));
        assert_eq!(back(DIAMOND, &["a1"], &["top"]), Ok(is("top, m, b1", "a1")));
        assert_eq!(
            back(DIAMOND, &["a1", "b1"], &["top"]),
            Ok(is("top, m", "a1, b1"))
        );
        assert_eq!(
            back("x1; x2:x1; y1; y2:y1+x2", &["x1", "y1"], &["y2"]),
            Ok(is("y2, x2", "x1, y1"))
        );
        assert_eq!(
            back("x1; x2:x1; y1; y2:y1", &["x1", "y1"], &["x2", "y2"])
                .unwrap()
                .1,
            "x1, y1"
        );
    }

    #[test]
    fn nothing_is_taken_where_nothing_came() {
        assert_eq!(back(DIAMOND, &["m"], &["m"]), Ok(is("", "m")));
        assert_eq!(back(DIAMOND, &[], &[]), Ok(is("", "")));
    }

    #[test]
    fn a_database_that_went_down_is_left_alone() {
        assert_eq!(
            back(DIAMOND, &["top"], &["a1"]),
            Err(GuardRefusal::NotAbove {
                gone: ids(&["b1", "m", "top"]),
                new: Vec::new(),
            })
        );
        assert_eq!(
            back("c; a1:c; b1:c", &["a1"], &["b1"])
                .unwrap_err()
                .to_string(),
            "the database is not above where it was: a1 went"
        );
    }

    #[test]
    fn code_that_does_not_know_the_database_is_told() {
        let graph = drawn("a; b:a");
        let stood = before(&graph, &["a"]);
        let error = stood.way_back(&graph, &ids(&["c"])).unwrap_err();
        assert!(matches!(error, GuardRefusal::Unknown(_)), "{error}");
    }

    #[test]
    fn what_was_there_does_not_go_because_the_history_was_rewritten() {
        let stood = before(&drawn("a; c:a"), &["c"]);
        let rewritten = drawn("a; b:a; c:b; d:c");
        assert_eq!(
            stood.way_back(&rewritten, &ids(&["d"])),
            Err(GuardRefusal::NotAlone {
                new: ids(&["b", "d"])
            })
        );
    }

    #[test]
    fn what_is_left_of_a_migration_is_seen_and_the_version_table_is_not() {
        let schema = |lines: &[&str]| {
            lines
                .iter()
                .map(ToString::to_string)
                .collect::<SchemaLines>()
        };
        let stood = Before {
            schema: Some(schema(&["table a", "column a.id int"])),
            ..before(&drawn("a"), &[])
        };
        let now = schema(&[
            "table a",
            "table alembic_version",
            "column public.alembic_version.version_num varchar(32)",
            "table alembic_version_of_mine",
        ]);
        let left = stood.left_over(Some(&now));
        assert_eq!(left.gone, ["column a.id int"]);
        assert_eq!(left.new, ["table alembic_version_of_mine"]);
        assert!(stood.left_over(None).is_empty());
    }

    #[test]
    fn in_a_sequence_one_in_the_middle_goes_alone() {
        let one = |id: &str| Revision {
            id: id.to_owned(),
            ..Revision::default()
        };
        let graph = Graph::in_sequence([one("a"), one("b"), one("c")]).unwrap();
        let plan = before(&graph, &["a", "c"])
            .way_back(&graph, &ids(&["a", "b", "c"]))
            .unwrap();
        let steps: Vec<&str> = plan
            .steps
            .iter()
            .map(|step| step.removes.as_str())
            .collect();
        assert_eq!(steps, ["b"]);
    }
}
