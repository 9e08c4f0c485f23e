//! The codes and levels of findings, which `--allow`, policies, JSON and journals use.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a finding is about. The variants are in the order of their published names, which are in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FindingCode {
    /// A check comes back.
    CheckRestored,
    /// A column goes.
    ColumnDropped,
    /// The downgrade commits or rolls back by itself.
    CommitsItself,
    /// Some of it depends on a condition that cannot be decided before.
    ConditionalCode,
    /// A table or column comes back without the data that the upgrade dropped.
    DataNotRestored,
    /// The downgrade inserts, updates or deletes rows.
    DataReversed,
    /// Views or foreign keys depend on what goes.
    Dependents,
    /// The downgrade does nothing though the upgrade did something.
    DoesNothing,
    /// A value goes from an enum.
    EnumValueRemoved,
    /// A foreign key comes back.
    ForeignKeyRestored,
    /// An index or key is built.
    IndexBuilt,
    /// An index goes.
    IndexDropped,
    /// The downgrade raises.
    Irreversible,
    /// A foreign key is to refer to columns without a key.
    KeyMissing,
    /// An earlier run measured it and rolled the step back.
    Measured,
    /// A merge point goes.
    Merge,
    /// The file has no downgrade.
    NoDowngrade,
    /// PostgreSQL does not convert a default or a value by itself.
    NotCastable,
    /// A statement that cannot run in a transaction.
    NotInTransaction,
    /// A column is made NOT NULL.
    NotNullRestored,
    /// The server cannot do it.
    NotSupported,
    /// A function, view or another object goes.
    ObjectDropped,
    /// The downgrade makes an object that will be there already.
    ObjectExists,
    /// The downgrade needs an object that will not be there.
    ObjectMissing,
    /// Grants, policies or row level security go.
    RightsLoosened,
    /// A table goes.
    TableDropped,
    /// Every row is written again.
    TableRewritten,
    /// A column gets another type that holds every value.
    TypeChanged,
    /// A column gets a type that does not hold every value.
    TypeNarrowed,
    /// A unique key or index comes back.
    UniqueRestored,
    /// Code, SQL or a file that cannot be followed.
    UnknownCode,
}

impl FindingCode {
    /// All codes, in the order of their names.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Whether data goes by a finding of this code if its level is high.
    pub fn loses_data(self) -> bool {
        matches!(
            self,
            Self::TableDropped | Self::ColumnDropped | Self::TypeNarrowed | Self::DataReversed
        )
    }

    /// Whether others have to wait and nothing else happens.
    pub fn only_delays(self) -> bool {
        matches!(
            self,
            Self::IndexBuilt | Self::IndexDropped | Self::Merge | Self::TableRewritten
        )
    }

    /// The names with `separator` between them.
    pub fn join<'a>(codes: impl IntoIterator<Item = &'a Self>, separator: &str) -> String {
        let names: Vec<String> = codes.into_iter().map(ToString::to_string).collect();
        names.join(separator)
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}

impl FromStr for FindingCode {
    type Err = NoSuchFinding;

    fn from_str(name: &str) -> Result<Self, NoSuchFinding> {
        ValueEnum::from_str(name, false).map_err(|_| NoSuchFinding::new(name, None))
    }
}

/// How bad. Unknown is a level of its own and stands above high where something has to be allowed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is lost.
    Low,
    /// Something is lost that can be made again, or others have to wait.
    Medium,
    /// Data is lost, or the step fails.
    High,
    /// It cannot be told.
    Unknown,
}

impl Level {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Unknown => "unknown",
        }
    }
}

/// A word that is not the code of a finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a finding; {help}")]
pub struct NoSuchFinding {
    name: String,
    help: String,
}

impl NoSuchFinding {
    /// `other` is a word that is accepted beside the codes.
    pub fn new(name: &str, other: Option<&str>) -> Self {
        let codes = FindingCode::all().iter().map(ToString::to_string);
        let known: Vec<String> = codes.chain(other.map(str::to_owned)).collect();
        let distance = |known: &&String| strsim::damerau_levenshtein(known, name);
        let nearest = known.iter().min_by_key(distance);
        Self {
            name: name.to_owned(),
            // Further off than a third of the word, it is another word.
            help: match nearest.filter(|known| distance(known) * 3 <= name.chars().count()) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => format!("the findings are {}", known.join(", ")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns red if a variant is inserted elsewhere: sets of codes are printed in their order.
    #[test]
    fn codes_are_in_the_order_of_their_names() {
        let names: Vec<String> = FindingCode::all().iter().map(ToString::to_string).collect();
        assert!(names.is_sorted(), "{names:?}");
        for (code, name) in FindingCode::all().iter().zip(names) {
            assert_eq!(name.parse(), Ok(*code));
            assert_eq!(serde_json::json!(code), name);
        }
    }

    #[test]
    fn a_misspelt_code_gets_the_nearest_one() {
        let error = |name: &str| name.parse::<FindingCode>().unwrap_err().to_string();
        assert_eq!(
            error("colum-dropped"),
            "\"colum-dropped\" is not a finding; did you mean column-dropped?"
        );
        let list = error("losses");
        assert!(
            list.starts_with(
                "\"losses\" is not a finding; the findings are check-restored, column-dropped,"
            ),
            "{list}"
        );
    }
}
