//! What the operator means by TARGET.
//!
//! The grammar is Alembic's (`_relative_destination` and `_parse_downgrade_target` in
//! `alembic/script/revision.py`), with two differences: `-N` means N single steps in the order of the
//! whole way down, where Alembic stops at the first merge; and everything that points upwards is
//! refused here, in words.

use super::names::{and, list};
use std::str::FromStr;

use fixedbitset::FixedBitSet;

use super::graph::{Branch, Graph, Node};
use super::revision::RevisionId;

/// A target as written, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `-N`: so many single steps.
    Steps(usize),
    /// The migration of exactly this name, which may look like anything else that is written here.
    Exactly(RevisionId),
    /// Everything else.
    Named {
        /// What stands before the `@`.
        branch: Option<String>,
        /// The id, prefix or label; `None` is the current position on the branch (`BRANCH@-1`).
        symbol: Option<String>,
        /// How many revisions below it.
        below: usize,
    },
}

/// Where a target leads, looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// So many single steps.
    Steps(usize),
    /// Down to `target`, or to base for `None`, on the line of `branch` where one is named.
    Below {
        branch: Branch,
        target: Option<Node>,
    },
}

/// Why a target is not one. Every message is one sentence; [`TargetError::hint`] says what to type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// An empty argument.
    #[error("the target is empty")]
    Empty,
    /// `-0`.
    #[error("-0 names no step to take back")]
    Zero,
    /// `head`, `heads`, `+1`, `REV+1`, or a bare small number.
    #[error("{written} points upwards, and a rollback only goes down")]
    Upwards {
        /// The target as written.
        written: String,
    },
    /// A bare number that is no id.
    #[error("{written} is no revision, and a number of steps is written with a minus")]
    BareNumber {
        /// The target as written.
        written: String,
    },
    /// No id, prefix or label of this name.
    #[error("no revision or branch label is called {symbol}")]
    Unknown {
        /// What was looked for.
        symbol: String,
        /// The nearest id or label.
        nearest: Option<String>,
    },
    /// A prefix of several ids.
    #[error("{prefix} is the beginning of {} revisions", candidates.len())]
    Ambiguous {
        /// The prefix.
        prefix: String,
        /// Their ids and first message lines.
        candidates: Vec<(RevisionId, String)>,
    },
    /// A label of which it is not known which revision declares it.
    #[error(
        "the branch label {label} stands on several revisions, and it is not known which one declares it"
    )]
    InheritedLabel {
        /// The label.
        label: String,
        /// The oldest revision that carries it.
        oldest: RevisionId,
    },
    /// The revision is on another line.
    #[error("{revision} is not on branch {branch}")]
    NotOnBranch {
        /// The revision.
        revision: RevisionId,
        /// The branch as written.
        branch: String,
    },
    /// The revision is not applied, so one cannot go down to it.
    #[error("{revision} is not below the current position: it is not applied")]
    NotApplied {
        /// The revision.
        revision: RevisionId,
    },
    /// `-N` with more steps than there are applied revisions.
    #[error("{asked} steps were asked for, and only {applied} {} applied", if *applied == 1 { "revision is" } else { "revisions are" })]
    TooManySteps {
        /// N.
        asked: usize,
        /// The applied revisions.
        applied: usize,
    },
    /// `REV-N` below base.
    #[error("{from}-{steps} lies below the base: {from} has only {available} revisions below it")]
    BelowBase {
        /// Where the walk started.
        from: RevisionId,
        /// N.
        steps: usize,
        /// How many there are.
        available: usize,
    },
    /// `REV-N` across a merge.
    #[error(
        "the way down from {from} is ambiguous: {merge} merges {}",
        and(parents)
    )]
    AmbiguousWalk {
        /// Where the walk started.
        from: RevisionId,
        /// The merge point in the way.
        merge: RevisionId,
        /// Its parents.
        parents: Vec<RevisionId>,
    },
    /// `BRANCH@-N` where several current heads, or none, are on the branch.
    #[error("branch {branch} has {} current heads{}", rows.len(), if rows.is_empty() { String::new() } else { format!(": {}", list(rows)) })]
    AmbiguousBranch {
        /// The branch as written.
        branch: String,
        /// The heads on it.
        rows: Vec<RevisionId>,
    },
}

impl TargetError {
    /// Whether a name was looked up and not found, so that it helps to know where.
    pub fn is_a_lookup(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// What to do instead. `command` makes the text of a command of this program.
    pub fn hint(&self, command: &dyn Fn(&[&str]) -> String) -> String {
        match self {
            Self::Empty | Self::Zero => {
                "give a number of steps such as -1, a revision, or base".to_owned()
            }
            Self::Upwards { .. } => {
                "to go up, use the engine's own upgrade; to go down, give -1, a revision below, or base"
                    .to_owned()
            }
            Self::BareNumber { written } => format!("write -{written} for {written} steps back"),
            Self::Unknown { nearest: Some(nearest), .. } => format!("did you mean {nearest}?"),
            Self::Ambiguous { candidates, .. } => {
                let width = candidates.iter().map(|(id, _)| id.as_str().len()).max().unwrap_or(0);
                let lines: Vec<String> = candidates
                    .iter()
                    .map(|(id, title)| format!("\n  {id:width$}  {title}").trim_end().to_owned())
                    .collect();
                format!("write more of it:{}", lines.concat())
            }
            Self::InheritedLabel { oldest, .. } => {
                format!("name the revision itself; {oldest} is the oldest on that branch")
            }
            Self::NotOnBranch { revision, .. } => {
                format!("leave the branch away: {revision}")
            }
            Self::Unknown { nearest: None, .. } | Self::NotApplied { .. } => {
                format!("see the revisions that are applied: {}", command(&["plan", "base"]))
            }
            Self::TooManySteps { .. } | Self::BelowBase { .. } => {
                "to roll back everything: base".to_owned()
            }
            Self::AmbiguousWalk { parents, .. } => match parents.first() {
                Some(parent) => format!("name the revision to go down to, such as {parent}"),
                None => "name the revision to go down to".to_owned(),
            },
            Self::AmbiguousBranch { rows, .. } => match rows.first() {
                Some(row) => format!("name the head: {row}@-1"),
                None => format!("see where the database stands: {}", command(&["current"])),
            },
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(written: &str) -> Result<Self, TargetError> {
        let written = written.trim();
        if written.is_empty() {
            return Err(TargetError::Empty);
        }
        let (branch, rest) = match written.split_once('@') {
            Some((branch, rest)) if !branch.is_empty() => (Some(branch.to_owned()), rest),
            Some((_, rest)) => (None, rest),
            None => (None, written),
        };
        let upwards = || TargetError::Upwards {
            written: written.to_owned(),
        };
        if matches!(rest, "head" | "heads") || rest.contains('+') {
            return Err(upwards());
        }
        let (symbol, below) = match rest.rsplit_once('-') {
            Some((symbol, digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                let below: usize = digits.parse().map_err(|_| unknown(written))?;
                if below == 0 {
                    return Err(TargetError::Zero);
                }
                (symbol, below)
            }
            _ => (rest, 0),
        };
        if matches!(symbol, "head" | "heads") {
            return Err(upwards());
        }
        match (branch, symbol) {
            (None, "") if below > 0 => Ok(Self::Steps(below)),
            (None, "") => Err(TargetError::Empty),
            (Some(_), "") if below == 0 => Err(TargetError::Empty),
            (branch, symbol) => {
                let symbol = (!symbol.is_empty()).then(|| symbol.to_owned());
                Ok(Self::Named {
                    branch,
                    symbol,
                    below,
                })
            }
        }
    }
}

fn unknown(symbol: &str) -> TargetError {
    TargetError::Unknown {
        symbol: symbol.to_owned(),
        nearest: None,
    }
}

impl Target {
    /// The same target in words that mean the same after some of its steps: `BRANCH@-N` counts from
    /// where the database stands, so it is named by where it leads. `None` where the words as typed
    /// keep their meaning, and for a number of steps, which has to be counted down.
    pub(super) fn restated(&self, graph: &Graph, destination: Destination) -> Option<String> {
        let (
            Self::Named {
                branch: Some(branch),
                symbol: None,
                ..
            },
            Destination::Below { target, .. },
        ) = (self, destination)
        else {
            return None;
        };
        let target = target.map_or_else(|| "base".to_owned(), |node| graph.id(node).to_string());
        Some(format!("{branch}@{target}"))
    }

    pub(super) fn resolve(
        &self,
        graph: &Graph,
        rows: &[Node],
        applied: &FixedBitSet,
    ) -> Result<Destination, TargetError> {
        let (branch, symbol, below) = match self {
            Self::Steps(asked) => {
                let applied = applied.count_ones(..);
                if *asked > applied {
                    return Err(TargetError::TooManySteps {
                        asked: *asked,
                        applied,
                    });
                }
                return Ok(Destination::Steps(*asked));
            }
            Self::Exactly(id) => {
                let target = graph
                    .node(id.as_str())
                    .ok_or_else(|| unknown(id.as_str()))?;
                if !applied.contains(target) {
                    return Err(TargetError::NotApplied {
                        revision: id.clone(),
                    });
                }
                return Ok(Destination::Below {
                    branch: None,
                    target: Some(target),
                });
            }
            Self::Named {
                branch,
                symbol,
                below,
            } => (branch.as_deref(), symbol.as_deref(), *below),
        };
        let branch_node = branch
            .map(|branch| find(graph, branch, None, true))
            .transpose()?;
        if symbol == Some("base") && below == 0 {
            return Ok(Destination::Below {
                branch: branch_node,
                target: None,
            });
        }
        let start = match (symbol, branch.zip(branch_node)) {
            (Some(symbol), _) => {
                let node = find(graph, symbol, branch_node, false)?;
                // Alembic checks this for relative targets only; for the others it then takes the
                // children of the revision on whatever branch they are.
                if let Some((branch, branch_node)) = branch.zip(branch_node)
                    && !graph.share_lineage(node, branch_node)
                {
                    return Err(TargetError::NotOnBranch {
                        revision: graph.id(node),
                        branch: branch.to_owned(),
                    });
                }
                node
            }
            (None, Some((branch, node))) => current_on_branch(graph, rows, applied, branch, node)?,
            (None, None) => return Err(TargetError::Empty),
        };
        let target = walk_down(graph, start, below)?;
        if let Some(target) = target
            && !applied.contains(target)
        {
            return Err(TargetError::NotApplied {
                revision: graph.id(target),
            });
        }
        Ok(Destination::Below {
            branch: branch_node,
            target,
        })
    }
}

/// Looks up an applied revision by its id or the beginning of it.
pub(super) fn find_applied(
    graph: &Graph,
    applied: &FixedBitSet,
    symbol: &str,
) -> Result<Node, TargetError> {
    if symbol.is_empty() {
        return Err(TargetError::Empty);
    }
    let node = find(graph, symbol, None, false)?;
    if applied.contains(node) {
        return Ok(node);
    }
    Err(TargetError::NotApplied {
        revision: graph.id(node),
    })
}

/// Looks up an id, a label, or the beginning of exactly one id, on the line of `within` if given.
fn find(graph: &Graph, symbol: &str, within: Branch, as_branch: bool) -> Result<Node, TargetError> {
    if let Some(node) = graph.node(symbol) {
        return Ok(node);
    }
    match graph.label(symbol) {
        Some(Ok(node)) => return Ok(node),
        // As a branch, any revision of the line does: they confine a walk to the same roots.
        Some(Err(oldest)) if as_branch => return Ok(oldest),
        Some(Err(oldest)) => {
            return Err(TargetError::InheritedLabel {
                label: symbol.to_owned(),
                oldest: graph.id(oldest),
            });
        }
        None => {}
    }
    // A slip of the finger: `3` for `-3` must not be taken for the beginning of an id.
    if symbol.len() < 4 && symbol.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::BareNumber {
            written: symbol.to_owned(),
        });
    }
    let candidates: Vec<Node> = graph
        .revisions()
        .iter()
        .enumerate()
        .filter(|(_, revision)| revision.id.starts_with(symbol))
        .map(|(node, _)| node)
        .filter(|&node| within.is_none_or(|branch| graph.share_lineage(node, branch)))
        .collect();
    match candidates[..] {
        [node] => Ok(node),
        [] => Err(TargetError::Unknown {
            symbol: symbol.to_owned(),
            nearest: nearest(graph, symbol),
        }),
        _ => Err(TargetError::Ambiguous {
            prefix: symbol.to_owned(),
            candidates: candidates
                .into_iter()
                .map(|node| (graph.id(node), graph.revisions()[node].title().to_owned()))
                .collect(),
        }),
    }
}

fn nearest(graph: &Graph, symbol: &str) -> Option<String> {
    graph
        .revisions()
        .iter()
        .flat_map(|revision| revision.branch_labels.iter().chain([&revision.id]))
        .map(String::as_str)
        .chain(["base"])
        .map(|name| {
            // A beginning is as good as the whole, so it is compared with a beginning too.
            let beginning: String = name.chars().take(symbol.chars().count()).collect();
            let whole = strsim::damerau_levenshtein(name, symbol);
            (
                whole.min(strsim::damerau_levenshtein(&beginning, symbol)),
                name,
            )
        })
        // Further off than a third of the word it is another word.
        .filter(|(distance, _)| distance * 3 <= symbol.chars().count())
        .min()
        .map(|(_, name)| name.to_owned())
}

/// The one current position on a branch, as Alembic finds it for `BRANCH@-N`.
fn current_on_branch(
    graph: &Graph,
    rows: &[Node],
    applied: &FixedBitSet,
    branch: &str,
    branch_node: Node,
) -> Result<Node, TargetError> {
    let mut found: Vec<Node> = rows
        .iter()
        .copied()
        .filter(|&row| graph.share_lineage(row, branch_node))
        .collect();
    if found.is_empty() {
        // Its newest revision may stand in the version table only through one that depends on it.
        found = applied
            .ones()
            .filter(|&node| !graph.has_applied_child(node, applied))
            .filter(|&node| graph.share_lineage(node, branch_node))
            .collect();
    }
    match found[..] {
        [node] => Ok(node),
        _ => Err(TargetError::AmbiguousBranch {
            branch: branch.to_owned(),
            rows: found.into_iter().map(|node| graph.id(node)).collect(),
        }),
    }
}

/// Walks `steps` revisions down; `None` is base.
fn walk_down(graph: &Graph, start: Node, steps: usize) -> Result<Option<Node>, TargetError> {
    let mut at = start;
    for taken in 0..steps {
        match *graph.down(at) {
            [parent] => at = parent,
            // The step off a base leads to `base`, if it is the last one.
            [] if taken + 1 == steps => return Ok(None),
            [] => {
                return Err(TargetError::BelowBase {
                    from: graph.id(start),
                    steps,
                    available: taken,
                });
            }
            ref parents => {
                return Err(TargetError::AmbiguousWalk {
                    from: graph.id(start),
                    merge: graph.id(at),
                    parents: parents.iter().map(|&parent| graph.id(parent)).collect(),
                });
            }
        }
    }
    Ok(Some(at))
}
