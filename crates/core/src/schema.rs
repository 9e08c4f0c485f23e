//! The schema of a database as a set of lines, to be compared and recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::operation::TableName;

/// One line for each object and for each property of its own, such as `column users.email varchar(100) not null`
/// or `grant public.users SELECT to reader`. Compared as a set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaLines {
    lines: BTreeSet<String>,
    /// The columns of each table with their types in the server's words. A record does not have them.
    #[serde(skip)]
    pub tables: BTreeMap<TableName, BTreeMap<String, String>>,
}

impl SchemaLines {
    /// No line.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for SchemaLines {
    type Target = BTreeSet<String>;

    fn deref(&self) -> &Self::Target {
        &self.lines
    }
}

impl DerefMut for SchemaLines {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.lines
    }
}

impl PartialEq for SchemaLines {
    fn eq(&self, other: &Self) -> bool {
        self.lines == other.lines
    }
}

impl Eq for SchemaLines {}

impl IntoIterator for SchemaLines {
    type Item = String;
    type IntoIter = <BTreeSet<String> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.lines.into_iter()
    }
}

impl FromIterator<String> for SchemaLines {
    fn from_iter<Lines: IntoIterator<Item = String>>(lines: Lines) -> Self {
        Self {
            lines: lines.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl<const NUMBER: usize> From<[String; NUMBER]> for SchemaLines {
    fn from(lines: [String; NUMBER]) -> Self {
        lines.into_iter().collect()
    }
}

/// The form of the lines. It goes up with every change of what a server's lines look like, because
/// fingerprints of two forms say nothing about each other.
pub const FORM: u32 = 3;

/// `v3:` and the SHA-256 of the canonical form in hexadecimal: the lines in the order of their bytes,
/// each ended by a newline, in UTF-8. `sort | sha256sum` in the C locale gives the same.
///
/// docs/safety.md lists what the lines contain and what they leave out.
pub fn fingerprint(schema: &SchemaLines) -> String {
    let mut hash = Sha256::new();
    for line in schema.iter() {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    let digits = hex::encode(hash.finalize());
    format!("v{FORM}:{digits}")
}

/// Whether two fingerprints have the same form, so that they differ only if the schemas do.
pub fn is_comparable(one: &str, other: &str) -> bool {
    let form = |fingerprint: &str| fingerprint.split_once(':').map(|(form, _)| form.to_owned());
    form(one) == form(other)
}

/// What is between two schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Lines that are gone.
    pub gone: Vec<String>,
    /// Lines that are new.
    pub new: Vec<String>,
}

impl Difference {
    /// What changed from one to the other; nothing where either is not known.
    pub fn between(before: Option<&SchemaLines>, after: Option<&SchemaLines>) -> Self {
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
    pub fn applied_to(&self, mut schema: SchemaLines) -> SchemaLines {
        for line in &self.gone {
            schema.remove(line);
        }
        schema.extend(self.new.iter().cloned());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns red if stored fingerprints lose their meaning without a new form.
    #[test]
    fn a_fingerprint_is_what_sha256sum_says_of_the_lines() {
        let schema: SchemaLines = ["table b", "table a"].map(str::to_owned).into();
        assert_eq!(
            fingerprint(&schema),
            "v3:9457cd290bcb387b7b49991241c2f1cf5367fc59307121c4965225d9b52b3b57"
        );
    }
}
