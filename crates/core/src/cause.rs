//! The cause of a failure, as it is recorded and shown.

use serde::{Deserialize, Serialize};

/// The code of a failure that no entry fits.
pub const OTHER: &str = "other";

/// One failure, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable, for programs: `value-too-long`, `other` where nothing matched.
    pub code: String,
    /// What went wrong, in one sentence with the names of the objects.
    pub cause: String,
    /// What that means for the database now.
    pub meaning: String,
    /// What to do, most useful first, commands filled in.
    pub what_to_do: Vec<String>,
}

impl Diagnosis {
    /// Whether an entry fits.
    pub fn is_known(&self) -> bool {
        self.code != OTHER
    }
}
