//! The schema of a database as a set of lines, to be compared and recorded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One line for each table, column, index, constraint, view, sequence and enum value, such as
/// `column users.email varchar(100) not null`. Compared as a set.
pub type Schema = BTreeSet<String>;

/// What lies between two schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Lines that are gone.
    pub gone: Vec<String>,
    /// Lines that are new.
    pub new: Vec<String>,
}

impl Difference {
    /// What changed from one to the other; nothing where either is not known.
    pub fn between(before: Option<&Schema>, after: Option<&Schema>) -> Self {
        let (Some(before), Some(after)) = (before, after) else {
            return Self::default();
        };
        Self {
            gone: before.difference(after).cloned().collect(),
            new: after.difference(before).cloned().collect(),
        }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// The schema that results when this happens to `schema`.
    #[must_use]
    pub fn applied_to(&self, mut schema: Schema) -> Schema {
        for line in &self.gone {
            schema.remove(line);
        }
        schema.extend(self.new.iter().cloned());
        schema
    }
}
