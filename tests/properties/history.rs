//! Random histories, positions in them, and targets.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rollback_core::revision::Revision;

/// One question: a history, how the database got where it is, and a target.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) revisions: Vec<Revision>,
    pub(crate) upgrade_to: Vec<String>,
    /// Steps already taken back since.
    pub(crate) taken_back: usize,
    pub(crate) target: String,
}

/// The dice of one revision: how many parents, which, what it depends on, and its label.
#[derive(Debug, Clone)]
struct Dice {
    parents: u8,
    choose: Vec<Index>,
    dependencies: u8,
    by_label: bool,
    labelled: u8,
    place: Index,
}

fn dice() -> impl Strategy<Value = Dice> {
    (
        0..20_u8,
        vec(any::<Index>(), 5),
        0..12_u8,
        any::<bool>(),
        0..6_u8,
        any::<Index>(),
    )
        .prop_map(
            |(parents, choose, dependencies, by_label, labelled, place)| Dice {
                parents,
                choose,
                dependencies,
                by_label,
                labelled,
                place,
            },
        )
}

/// Histories of 1 to 14 revisions with branches, merges of up to three, several bases, labels and
/// `depends_on` (by id or label), loaded in any order.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    let taken_back = prop_oneof![2 => Just(0_usize), 1 => 1..5_usize];
    let length = prop_oneof![1 => 1..=5_usize, 3 => 6..=14_usize];
    let dice = length.prop_flat_map(|length| vec(dice(), length));
    let upgrade_to = prop_oneof![1 => vec(any::<Index>(), 0..=1), 5 => vec(any::<Index>(), 2..=5)];
    (
        dice,
        upgrade_to,
        taken_back,
        0..12_u8,
        vec(any::<Index>(), 3),
    )
        .prop_map(|(dice, upgrade_to, taken_back, kind, choose)| {
            let revisions = history(&dice);
            let upgrade_to: Vec<String> = upgrade_to
                .iter()
                .map(|index| index.get(&revisions).id.clone())
                .collect();
            let target = target(&revisions, kind, &choose);
            Case {
                revisions,
                upgrade_to,
                taken_back,
                target,
            }
        })
}

fn history(dice: &[Dice]) -> Vec<Revision> {
    let mut made: Vec<Revision> = Vec::new();
    let mut places = Vec::new();
    for (number, dice) in dice.iter().enumerate() {
        let parents = match dice.parents {
            _ if made.is_empty() => 0,
            0..2 => 0,
            2..14 => 1,
            14..19 => 2,
            _ => 3,
        };
        let pick = |index: &Index| index.get(&made);
        let mut down_revisions: Vec<String> = Vec::new();
        for index in &dice.choose[..parents] {
            let id = &pick(index).id;
            if !down_revisions.contains(id) {
                down_revisions.push(id.clone());
            }
        }
        let mut depends_on: Vec<String> = Vec::new();
        let dependencies = match dice.dependencies {
            _ if made.is_empty() => 0,
            0..8 => 0,
            8..11 => 1,
            _ => 2,
        };
        for index in &dice.choose[3..3 + dependencies] {
            let needed = pick(index);
            let name = match needed.branch_labels.first() {
                Some(label) if dice.by_label => label,
                _ => &needed.id,
            };
            if !depends_on.contains(name) {
                depends_on.push(name.clone());
            }
        }
        made.push(Revision {
            id: format!("r{number:03}"),
            down_revisions,
            depends_on,
            branch_labels: if dice.labelled == 0 {
                vec![format!("label{number}")]
            } else {
                Vec::new()
            },
            ..Revision::default()
        });
        places.push(dice.place.index(1000));
    }
    let mut order: Vec<usize> = (0..made.len()).collect();
    order.sort_by_key(|&number| places[number]);
    order
        .into_iter()
        .map(|number| made[number].clone())
        .collect()
}

fn target(revisions: &[Revision], kind: u8, choose: &[Index]) -> String {
    let one = &choose[0].get(revisions).id;
    let other = &choose[1].get(revisions).id;
    let label = revisions
        .iter()
        .find_map(|revision| revision.branch_labels.first());
    let branch = label.unwrap_or(other);
    let count = choose[2].index(4) + 1;
    match kind {
        0..=2 => "base".to_owned(),
        3 => format!("-{count}"),
        9.. => one.clone(),
        4 => format!("{branch}@base"),
        5 => format!("{other}@{one}"),
        6 => format!("{one}-{count}"),
        7 => format!("{branch}@{one}"),
        8 => format!("{branch}@-{count}"),
    }
}

impl Case {
    /// Equal for two cases exactly if they ask the same question.
    pub(crate) fn shape(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for revision in &self.revisions {
            write!(
                formatter,
                "{} <- {:?}",
                revision.id, revision.down_revisions
            )?;
            if !revision.depends_on.is_empty() {
                write!(formatter, " depends on {:?}", revision.depends_on)?;
            }
            if !revision.branch_labels.is_empty() {
                write!(formatter, " labelled {:?}", revision.branch_labels)?;
            }
            writeln!(formatter)?;
        }
        write!(
            formatter,
            "upgraded to {:?}, {} taken back, downgrade to {}",
            self.upgrade_to, self.taken_back, self.target
        )
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\n{self}")
    }
}
