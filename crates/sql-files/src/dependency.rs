//! Which migrations need which, read off their SQL.
//!
//! An object belongs to the last migration that made it, in the order in which they are applied. What is made,
//! changed and taken away is told by the head of a statement; what it uses by the positions of names in it, so
//! that the body of a routine and a statement that no parser knows are looked through as well. Where in doubt
//! a name counts as used: an order too much can be switched off, one too few is found out when a step fails.

mod apply;
mod heads;
mod object_index;
mod scan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::history::{Dependency, HistoryKind};
use object_index::ObjectIndex;
use rollback_core::dialect::Dialect;
use rollback_core::revision::RevisionId;
use rollback_sql::words;

/// A migration as it is looked through.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub id: &'a RevisionId,
    /// The text that goes up.
    pub up: &'a str,
    /// What it declares to need.
    pub depends_on: &'a [RevisionId],
    /// What it declares not to need.
    pub independent_of: &'a [RevisionId],
}

/// Why dependencies make no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// Each needs the next one, and the last the first.
    #[error("{}", circle(.0))]
    Cycle(Vec<RevisionId>),
    /// A name that no migration has.
    #[error("{of} depends on {on}, which is no migration here")]
    Unknown {
        /// The one that names it.
        of: RevisionId,
        /// The name.
        on: RevisionId,
        /// The migration whose name is most like it.
        nearest: Option<RevisionId>,
    },
    /// A name that no migration has, in `-- Independent of:`.
    #[error("{of} is declared independent of {on}, which is no migration here")]
    UnknownIndependent {
        /// The one that names it.
        of: RevisionId,
        /// The name.
        on: RevisionId,
        /// The migration whose name is most like it.
        nearest: Option<RevisionId>,
    },
}

impl DependencyError {
    /// What to do about it, a clause.
    pub fn hint(&self) -> String {
        match self {
            Self::Cycle(_) => {
                "take one of the names out of \"-- Depends on:\", or name it in \"-- Independent of:\""
                    .to_owned()
            }
            Self::Unknown { nearest, .. } | Self::UnknownIndependent { nearest, .. } => {
                match nearest {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "name a migration by its file, without .sql".to_owned(),
                }
            }
        }
    }
}

fn circle(ids: &[RevisionId]) -> String {
    match ids {
        [] => "the migrations depend on each other in a circle".to_owned(),
        [one] => format!("{one} depends on itself"),
        [first, ..] => {
            let names: Vec<&str> = ids.iter().map(RevisionId::as_str).collect();
            format!(
                "migrations depend on each other in a circle: {}, which depends on {first}",
                names.join(", which depends on ")
            )
        }
    }
}

/// The dependencies among `candidates`, which come in the order in which they are applied: declared ones, those
/// that the SQL shows, and those that are declared not to be. There is one for a pair; what is declared to be
/// needed is, whatever else is declared. Those that follow from others are in it as well.
pub fn dependencies(
    candidates: &[Candidate<'_>],
    dialect: Dialect,
) -> Result<Vec<Dependency>, DependencyError> {
    let positions: BTreeMap<&RevisionId, usize> = candidates
        .iter()
        .enumerate()
        .map(|(position, one)| (one.id, position))
        .collect();
    let mut declared = Vec::with_capacity(candidates.len());
    for one in candidates {
        let mut needs = Vec::new();
        for on in one.depends_on {
            let Some(position) = positions.get(on) else {
                return Err(DependencyError::Unknown {
                    of: one.id.clone(),
                    on: on.clone(),
                    nearest: nearest(on, candidates),
                });
            };
            if !needs.contains(position) {
                needs.push(*position);
            }
        }
        for on in one.independent_of {
            if !positions.contains_key(on) {
                return Err(DependencyError::UnknownIndependent {
                    of: one.id.clone(),
                    on: on.clone(),
                    nearest: nearest(on, candidates),
                });
            }
        }
        declared.push(needs);
    }
    let order = order(&declared).map_err(|cycle| {
        DependencyError::Cycle(
            cycle
                .into_iter()
                .map(|position| candidates[position].id.clone())
                .collect(),
        )
    })?;

    let mut inferred: Vec<Vec<(usize, String)>> = vec![Vec::new(); candidates.len()];
    let mut world = ObjectIndex::new(dialect);
    for position in order {
        for statement in words::statements(candidates[position].up, dialect) {
            scan::follow(&mut world, position, &statement);
        }
        inferred[position] = world.take_used();
    }

    let mut all = Vec::new();
    for (position, one) in candidates.iter().enumerate() {
        let mut of_one: BTreeMap<usize, (HistoryKind, Option<String>)> = BTreeMap::new();
        for (on, object) in std::mem::take(&mut inferred[position]) {
            let kind = if one.independent_of.contains(candidates[on].id) {
                HistoryKind::Independent
            } else {
                HistoryKind::Inferred
            };
            of_one.entry(on).or_insert((kind, Some(object)));
        }
        for on in &declared[position] {
            of_one.insert(*on, (HistoryKind::Declared, None));
        }
        all.extend(of_one.into_iter().map(|(on, (kind, object))| Dependency {
            of: one.id.clone(),
            on: candidates[on].id.clone(),
            kind,
            object,
        }));
    }
    Ok(all)
}

/// All positions, each after what it needs and otherwise as they are; or those of a circle, in which each needs
/// the next.
fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(needs.len());
    let mut done = vec![false; needs.len()];
    for start in 0..needs.len() {
        // The way from the start, each with how many of its needs were looked at.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if !done[start] {
            way.push((start, 0));
        }
        while let Some((position, looked_at)) = way.last_mut() {
            let position = *position;
            let Some(next) = needs[position].get(*looked_at).copied() else {
                done[position] = true;
                order.push(position);
                way.pop();
                continue;
            };
            *looked_at += 1;
            if let Some(from) = way.iter().position(|(one, _)| *one == next) {
                return Err(way[from..].iter().map(|(one, _)| *one).collect());
            }
            if !done[next] {
                way.push((next, 0));
            }
        }
    }
    Ok(order)
}

fn nearest(name: &RevisionId, candidates: &[Candidate<'_>]) -> Option<RevisionId> {
    let distance =
        |one: &&Candidate<'_>| strsim::damerau_levenshtein(one.id.as_str(), name.as_str());
    candidates
        .iter()
        .min_by_key(distance)
        .filter(|one| distance(one) <= name.as_str().len() / 2)
        .map(|one| one.id.clone())
}
