//! Whether a rollback may be run here and now, and what is missing if not.

pub mod checklist;

use serde::{Deserialize, Serialize};

/// What an operator says about a rollback besides its target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Where this is: `production`; `None` where nothing says so.
    pub environment: Option<String>,
    /// Why it is rolled back.
    pub reason: Option<String>,
    /// The record of the incident.
    pub incident: Option<String>,
    /// Who else agreed.
    pub approved_by: Option<String>,
    /// When the release went out, RFC 3339.
    pub deployed_at: Option<String>,
}

/// One requirement and whether it is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Stable, for programs: `reason`, `backup`, `window`.
    pub code: String,
    /// What is required, and what was found.
    pub sentence: String,
    /// Whether it is met.
    pub met: bool,
    /// The flag to give, where one helps.
    pub remedy: Option<String>,
}

/// What the policy made of a rollback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The environment whose rules were used.
    pub environment: Option<String>,
    /// Each requirement.
    pub points: Vec<Point>,
}

impl Ruling {
    /// The requirements that are not met.
    pub fn missing(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| !point.met)
    }
}

/// Whether two names of people are of one, whatever their case: `Anna` and `anna@example.com` are.
pub(crate) fn is_same_person(one: &str, other: &str) -> bool {
    let bare = |name: &str| {
        let name = name.trim().to_lowercase();
        name.split('@').next().unwrap_or_default().to_owned()
    };
    bare(one) == bare(other)
}
