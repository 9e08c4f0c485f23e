//! A finding while it is made, with what decides which ones are the same.

use rollback_core::finding::{Culprit, Evidence, FailurePrediction, Finding};
use rollback_core::finding_code::{FindingCode, Level};
use rollback_core::operation::Place;

/// A finding with its object and its place in the order of events.
#[derive(Debug, Clone)]
pub(super) struct FindingDraft {
    object: String,
    order: usize,
    /// Whether what it is about happens whenever the migration runs.
    pub(super) certain: bool,
    finding: Finding,
}

impl FindingDraft {
    pub(super) fn new(
        code: FindingCode,
        object: impl Into<String>,
        level: Level,
        sentence: impl Into<String>,
    ) -> Self {
        Self {
            object: object.into(),
            order: 0,
            certain: true,
            finding: Finding {
                code,
                level,
                outcome: None,
                sentence: sentence.into(),
                evidence: None,
                advice: String::new(),
                place: None,
                culprit: None,
            },
        }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.finding.place = Some(place.clone());
        self
    }

    pub(super) fn after(mut self, order: usize) -> Self {
        self.order = order;
        self
    }

    pub(super) fn fails(mut self, outcome: impl Into<Option<FailurePrediction>>) -> Self {
        self.finding.outcome = outcome.into();
        self
    }

    pub(super) fn because(mut self, evidence: impl Into<Option<Evidence>>) -> Self {
        self.finding.evidence = evidence.into();
        self
    }

    /// A favourable answer of today means little if the plan changes the rows before.
    pub(super) fn unless(mut self, rows_change: bool) -> Self {
        if rows_change {
            let finding = &mut self.finding;
            finding.level = finding.level.max(Level::Medium);
            finding.outcome = Some(FailurePrediction::MayFail);
            finding
                .sentence
                .push_str(" today, before the plan changes rows");
        }
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.finding.advice = advice.into();
        self
    }

    pub(super) fn caused_by(mut self, culprit: Option<Culprit>) -> Self {
        self.finding.culprit = culprit;
        self
    }

    /// What is not certain to happen is not certain to fail either, and is told as a possibility.
    fn finished(self) -> Finding {
        let mut finding = self.finding;
        if !self.certain {
            finding.outcome = finding.outcome.map(|_| FailurePrediction::MayFail);
            finding.sentence = format!("perhaps {}", finding.sentence);
        }
        finding
    }
}

/// One finding for each object and code, in the order in which things happen. Of two the worse stays.
pub(super) fn merged(mut all: Vec<FindingDraft>) -> Vec<Finding> {
    all.sort_by_key(|found| found.order);
    let mut kept: Vec<FindingDraft> = Vec::new();
    for found in all {
        let same = kept
            .iter_mut()
            .find(|kept| kept.finding.code == found.finding.code && kept.object == found.object);
        match same {
            Some(same) => {
                let weight = |found: &FindingDraft| {
                    let outcome = found.finding.outcome.filter(|_| found.certain);
                    (outcome, found.finding.level, found.certain)
                };
                if weight(&found) > weight(same) {
                    *same = found;
                }
            }
            None => kept.push(found),
        }
    }
    kept.into_iter().map(FindingDraft::finished).collect()
}
