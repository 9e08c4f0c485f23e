//! What is known of a step before it runs.

use std::fmt;

use serde::Serialize;

use super::finding_code::{FindingCode, Level};
use super::operation::Place;
use super::revision::RevisionId;
use super::subject::Subject;

/// Whether the step comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePrediction {
    /// It depends on what is not known.
    MayFail,
    /// It does not.
    WillFail,
}

/// What a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// A sentence with the figures: `88 rows`.
    pub sentence: String,
    /// The figure, for programs.
    pub count: Option<u64>,
    /// Whether it was counted. Else it is the server's estimate.
    pub exact: bool,
    /// The query that was asked, to be asked again.
    pub query: Option<String>,
    /// Whether the sentence of the finding has the figure, so that it need not be shown again.
    #[serde(skip)]
    pub is_told: bool,
}

/// One thing to know before a step is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub code: FindingCode,
    /// How bad.
    pub level: Level,
    /// Whether the step fails by it; `None` where it does not.
    pub outcome: Option<FailurePrediction>,
    /// What happens, in one sentence, with the names of the objects.
    pub sentence: String,
    /// What that rests on; `None` where the code alone says it.
    pub evidence: Option<Evidence>,
    /// What to do about it, in one sentence; empty where there is nothing to do.
    pub advice: String,
    /// Where in the code.
    pub place: Option<Place>,
    /// Which revision made or removed the object that a failure is about, if one in sight did.
    pub culprit: Option<Culprit>,
}

/// The revision that made or removed an object, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// The object.
    pub object: Subject,
    /// The revision.
    pub revision: RevisionId,
    /// The place in its file.
    pub place: Option<Place>,
}

impl fmt::Display for Culprit {
    /// `revision c3 at c3.py:40`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "revision {}", self.revision)?;
        match &self.place {
            Some(place) => write!(formatter, " at {}", place.in_short()),
            None => Ok(()),
        }
    }
}
